//! What must hold between keys.

use crate::config::Anonymous;
use crate::error::Place;
use crate::source::Reading;

impl Reading<'_> {
    pub(crate) fn check(&mut self) {
        self.check_doors();
        self.check_listeners();
        self.check_sizes();
    }

    /// No door stands open that nobody asked for (S72).
    fn check_doors(&mut self) {
        match self.config.allow_anonymous {
            Anonymous::FromAnywhere => {}
            Anonymous::Refused => self.wrong(
                self.place("allow_anonymous"),
                "allow_anonymous = false would let nobody in: this version knows no names and \
                 passwords yet; leave the key out to serve this machine only",
            ),
            Anonymous::FromLoopback => {
                let open: Vec<_> = self
                    .config
                    .listeners
                    .iter()
                    .zip(&self.listener_places)
                    .filter(|(listener, _)| !listener.is_loopback())
                    .map(|(listener, place)| (listener.address, place.clone()))
                    .collect();
                for (address, place) in open {
                    let how = match place {
                        Place::Option(_) => "--allow-anonymous",
                        _ => "allow_anonymous = true",
                    };
                    let message = format!(
                        "{address} is open to other machines, where anyone could connect without \
                         a password; if that is what you want, say {how}"
                    );
                    self.wrong(place, message);
                }
            }
        }
    }

    fn check_listeners(&mut self) {
        if self.config.listeners.is_empty() {
            self.wrong(
                self.place("listener"),
                "no listener: the server could not be reached",
            );
        }
        let mut seen = Vec::new();
        let mut twice = Vec::new();
        for (listener, place) in self.config.listeners.iter().zip(&self.listener_places) {
            let free_port = listener.address.port() == 0;
            if !free_port && seen.contains(&listener.address) {
                twice.push((listener.address, place.clone()));
            }
            seen.push(listener.address);
        }
        for (address, place) in twice {
            self.wrong(place, format!("{address} is there twice"));
        }
    }

    fn check_sizes(&mut self) {
        let limits = &self.config.limits;
        if limits.connect_packet_size > limits.packet_size {
            let message = format!(
                "limits.connect_packet_size ({}) is above limits.packet_size ({})",
                limits.connect_packet_size, limits.packet_size
            );
            let place = match self.place("limits.connect_packet_size") {
                Place::Default => self.place("limits.packet_size"),
                place => place,
            };
            self.wrong(place, message);
        }
    }

    fn place(&self, key: &str) -> Place {
        self.places.get(key).cloned().unwrap_or(Place::Default)
    }
}

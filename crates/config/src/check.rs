//! What must hold between keys.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use crate::config::Anonymous;
use crate::error::Place;
use crate::lists::{LISTENER, TOPIC};
use crate::source::Reading;
use crate::value::quote;

impl Reading<'_> {
    pub(crate) fn check(&mut self) {
        self.check_doors();
        self.check_listeners();
        self.check_topics();
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
                    .zip(self.entry_places(LISTENER))
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
                self.place(LISTENER),
                "no listener: the server could not be reached; name one, or leave the key out",
            );
        }
        let mut seen: Vec<SocketAddr> = Vec::new();
        let mut twice = Vec::new();
        for (listener, place) in self
            .config
            .listeners
            .iter()
            .zip(self.entry_places(LISTENER))
        {
            let address = listener.address;
            if let Some(other) = seen.iter().find(|other| overlap(**other, address)) {
                let message = if *other == address {
                    format!("{address} is there twice")
                } else {
                    format!("{address} and {other} overlap; leave one of them out")
                };
                twice.push((place.clone(), message));
            }
            seen.push(address);
        }
        for (place, message) in twice {
            self.wrong(place, message);
        }
    }

    fn check_topics(&mut self) {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut twice = Vec::new();
        for (rule, place) in self.config.topics.iter().zip(self.entry_places(TOPIC)) {
            if !seen.insert(&rule.prefix) {
                let message = format!("topic.prefix: {} is there twice", quote(&rule.prefix));
                twice.push((place.clone(), message));
            }
        }
        for (place, message) in twice {
            self.wrong(place, message);
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

/// Whether the system would refuse the second of two listeners. `[::]` takes IPv4 too.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers =
        |wide: IpAddr, ip: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || ip.is_ipv4());
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && one.port() != 0 && (a == b || covers(a, b) || covers(b, a))
}

//! What must hold between keys.
//!
//! | module | owns |
//! |---|---|
//! | `doors` | who can come in, and can do anything then |
//! | `names` | names that stand for entries of lists |

mod doors;
mod names;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use crate::config::{Address, ClientCertificate, Listener, Method, Protocol};
use crate::error::Place;
use crate::lists::{LISTENER, TOPIC};
use crate::source::Reading;
use crate::value::quote;

impl Reading<'_> {
    pub(crate) fn check(&mut self) {
        self.check_names();
        self.check_doors();
        self.check_permissions();
        self.check_listeners();
        self.check_topics();
        self.check_sizes();
        self.check_dashboard();
        self.check_metrics();
        self.check_ports();
        self.check_telemetry();
        self.check_dynamic_security();
    }

    /// A start would be refused the second of two doors at one port. Listeners among themselves are
    /// looked at above.
    fn check_ports(&mut self) {
        let config = &self.config;
        let board = config.dashboard.address;
        let board = board.filter(|_| config.dashboard.enabled);
        let wanted = [
            ("dashboard.address", board),
            ("metrics.listen", config.metrics.listen),
        ];
        let doors = config.listeners.iter().filter_map(|one| match one.address {
            Address::Ip(address) if one.protocol != Protocol::Quic => {
                Some((format!("listener {}", one.name), address))
            }
            _ => None,
        });
        let mut seen: Vec<(String, SocketAddr)> = doors.collect();
        let mut wrong = Vec::new();
        for (key, address) in wanted {
            let Some(address) = address else { continue };
            if let Some((other, _)) = seen.iter().find(|(_, other)| meet(*other, address)) {
                let message = format!("{key}: {address} is that of {other}; choose another port");
                wrong.push((self.place(key), message));
            }
            seen.push((key.to_owned(), address));
        }
        self.wrong_all(wrong);
    }

    /// Who makes users that nobody is asked for believes that they can come in.
    fn check_dynamic_security(&mut self) {
        let mut asked = self.config.authentication.iter();
        let is_asked = asked.any(|one| matches!(one.method, Method::Database | Method::Scram));
        if self.config.dynamic_security.enabled && !is_asked {
            let message = "dynamic_security.enabled changes the database of users, and no \
                           [[authentication]] has type = \"database\"";
            self.wrong(self.place("dynamic_security.enabled"), message);
        }
    }

    fn check_telemetry(&mut self) {
        let telemetry = &self.config.telemetry;
        if telemetry.traces && telemetry.endpoint.is_none() {
            let message = "telemetry.traces needs telemetry.endpoint: where they go";
            self.wrong(self.place("telemetry.traces"), message);
        }
        let telemetry = &self.config.telemetry;
        let endpoint = telemetry.endpoint.as_ref();
        if endpoint.is_some_and(|url| url.reveal().contains(['?', '#'])) {
            let message = "telemetry.endpoint ends before ? and #: a path is put behind it";
            self.wrong(self.place("telemetry.endpoint"), message);
        }
        let ours = ["host", "content-type", "content-length"];
        let headers = self.config.telemetry.headers.iter();
        let names = headers.map(|header| header.name.to_ascii_lowercase());
        let taken: Vec<String> = names.filter(|name| ours.contains(&&**name)).collect();
        for name in taken {
            let message = format!("telemetry.headers: {name} is said by the server itself");
            self.wrong(self.place("telemetry.headers"), message);
        }
    }

    /// Nobody signs in there: it is for this machine unless somebody says otherwise (S91).
    fn check_metrics(&mut self) {
        let metrics = &self.config.metrics;
        let Some(listen) = metrics.listen else {
            return;
        };
        if listen.ip().is_loopback() || metrics.allow_remote {
            return;
        }
        let message = format!(
            "metrics.listen: {listen} can be reached by other machines, and nobody signs in there; \
             give Prometheus an API key for the dashboard's port, or say allow_remote = true"
        );
        self.wrong(self.place("metrics.listen"), message);
    }

    fn check_dashboard(&mut self) {
        let dashboard = &self.config.dashboard;
        let (given, missing) = match (&dashboard.certificate, &dashboard.key) {
            (Some(_), None) => ("dashboard.certificate", "dashboard.key"),
            (None, Some(_)) => ("dashboard.key", "dashboard.certificate"),
            _ => return,
        };
        let message = format!("{given} needs {missing}");
        self.wrong(self.place(given), message);
    }

    fn check_listeners(&mut self) {
        if self.config.listeners.is_empty() {
            self.wrong(
                self.place(LISTENER),
                "no listener: the server could not be reached; name one, or leave the key out",
            );
        }
        let mut wrong = Vec::new();
        let mut seen: Vec<&Listener> = Vec::new();
        for (listener, places) in self
            .config
            .listeners
            .iter()
            .zip(self.entry_places(LISTENER))
        {
            let address = &listener.address;
            if let Some(other) = seen.iter().find(|other| overlap(other, listener)) {
                let message = if other.address == *address {
                    format!("{address} is there twice")
                } else {
                    format!(
                        "{address} and {} overlap; leave one of them out",
                        other.address
                    )
                };
                wrong.push((places.of("address"), message));
            }
            if listener.client_ca.is_some() && listener.client_certificate == ClientCertificate::Off
            {
                let message = "listener.client_certificate: \"off\" asks nobody for the \
                               certificate that client_ca is for; leave one of them out";
                wrong.push((places.of("client_certificate"), message.to_owned()));
            }
            seen.push(listener);
        }
        self.wrong_all(wrong);
    }

    fn check_topics(&mut self) {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut twice = Vec::new();
        for (rule, places) in self.config.topics.iter().zip(self.entry_places(TOPIC)) {
            if !seen.insert(&rule.prefix) {
                let message = format!("topic.prefix: {} is there twice", quote(&rule.prefix));
                twice.push((places.of("prefix"), message));
            }
        }
        self.wrong_all(twice);
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

    pub(crate) fn place(&self, key: &str) -> Place {
        self.places.get(key).cloned().unwrap_or(Place::Default)
    }

    pub(crate) fn wrong_all(&mut self, all: Vec<(Place, String)>) {
        for (place, message) in all {
            self.wrong(place, message);
        }
    }
}

/// Whether the system would refuse the second of two listeners. TCP and UDP do not meet.
fn overlap(one: &Listener, other: &Listener) -> bool {
    let is_udp = |listener: &Listener| listener.protocol == Protocol::Quic;
    match (&one.address, &other.address) {
        (Address::Ip(a), Address::Ip(b)) => is_udp(one) == is_udp(other) && meet(*a, *b),
        (Address::Unix(a), Address::Unix(b)) => a == b,
        _ => false,
    }
}

/// `[::]` takes IPv4 too.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let covers =
        |wide: IpAddr, ip: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || ip.is_ipv4());
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && one.port() != 0 && (a == b || covers(a, b) || covers(b, a))
}

//! Listeners, their certificates, their figures.

use admin::Stamp;
use admin::server::listeners::Certificate;
use admin::server::{Listener, Listeners};
use net::{Address, CertificateFacts};

use super::{Steer, count};

impl Listeners for Steer {
    fn listeners(&self) -> Vec<Listener> {
        let config = self.config();
        let open = self.doors.addresses().into_iter();
        open.filter_map(|(place, address)| {
            let listener = config.listeners.get(usize::from(place))?;
            Some(self.listener(place, &address, listener))
        })
        .collect()
    }
}

impl Steer {
    fn listener(&self, place: u16, address: &Address, listener: &config::Listener) -> Listener {
        let counters = self.counters.listener(place);
        let counters = counters.as_ref();
        let door = self.doors.tls(usize::from(place));
        let current = door.map(|door| door.current());
        let facts = current.as_ref().map_or(&[][..], |tls| tls.certificates());
        let certificates = listener.certificates.iter().zip(facts);
        Listener {
            name: listener.name.clone(),
            address: address.to_string(),
            protocol: listener.protocol.as_str().into(),
            connections: count(self.shared.listener_connections(place)),
            max_connections: listener.connections.map(u64::from),
            accepted: counters.map_or(0, |it| it.accepted()),
            refused: counters.map_or(0, |it| it.refused()),
            failed_handshakes: counters.map_or(0, |it| it.failed()),
            new_handshakes: counters.map_or(0, |it| it.handshakes_full()),
            resumed_handshakes: counters.map_or(0, |it| it.handshakes_resumed()),
            certificates: certificates
                .map(|(name, facts)| certificate(name, facts))
                .collect(),
        }
    }
}

fn certificate(name: &str, facts: &CertificateFacts) -> Certificate {
    Certificate {
        name: name.into(),
        subject: facts.subject.clone(),
        issuer: facts.issuer.clone(),
        sans: facts.names.clone(),
        fingerprint: facts.fingerprint.clone(),
        not_before: stamp(facts.not_before),
        not_after: stamp(facts.not_after),
    }
}

/// Seconds since 1970; none before.
fn stamp(seconds: i64) -> Stamp {
    super::seconds(u64::try_from(seconds).unwrap_or(0))
}

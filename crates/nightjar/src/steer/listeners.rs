//! Listeners, their certificates, their figures.

use admin::Stamp;
use admin::server::listeners::Certificate;
use admin::server::{CertificateRow, Listener, Listeners};
use config::{CertificateOrigin, Config};
use net::{Address, CertificateFacts};
use tracing::warn;

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

    fn certificates(&self) -> Vec<CertificateRow> {
        let config = self.config();
        let now = Stamp::now();
        let mut rows = Vec::new();
        for (place, _) in self.doors.addresses() {
            let listener = config.listeners.get(usize::from(place));
            let door = self.doors.tls(usize::from(place));
            let (Some(listener), Some(door)) = (listener, door) else {
                continue;
            };
            let current = door.current();
            for (name, facts) in listener.certificates.iter().zip(current.certificates()) {
                rows.push(CertificateRow {
                    listener: listener.name.clone(),
                    subject: facts.subject.clone(),
                    issuer: facts.issuer.clone(),
                    sans: facts.names.clone(),
                    not_before: stamp(facts.not_before),
                    not_after: stamp(facts.not_after),
                    days_left: days(now, facts.not_after),
                    source: source(&config, name).into(),
                    fingerprint: facts.fingerprint.clone(),
                });
            }
        }
        rows.extend(dashboard(&config, now));
        rows
    }
}

/// The dashboard's, which is read at the start: its file may say more by now.
fn dashboard(config: &Config, now: Stamp) -> Option<CertificateRow> {
    let file = config.dashboard.certificate.as_deref()?;
    let chain = net::certificate_chain(file);
    let links = chain.inspect_err(|error| warn!(%error, "the dashboard's certificate"));
    let link = links.ok()?.into_iter().next()?;
    Some(CertificateRow {
        listener: "dashboard".into(),
        days_left: days(now, link.not_after),
        subject: link.subject,
        issuer: link.issuer,
        sans: link.names,
        not_before: stamp(link.not_before),
        not_after: stamp(link.not_after),
        source: "file".into(),
        fingerprint: link.fingerprint,
    })
}

/// Who renews a certificate.
fn source(config: &Config, name: &str) -> &'static str {
    let named = config.certificates.iter().find(|one| one.name == name);
    match named.map(|one| &one.origin) {
        Some(CertificateOrigin::Acme(_)) => "acme",
        Some(CertificateOrigin::Files(_)) | None => "file",
    }
}

/// Whole days until then.
fn days(now: Stamp, then: i64) -> i64 {
    let now = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
    then.saturating_sub(now).div_euclid(86_400)
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

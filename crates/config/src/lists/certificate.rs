//! `[[certificate]]`.

use super::{CERTIFICATE, Column, List, Need, Sort, Sorts, Wrong, column, part_column};
use crate::config::{Acme, Certificate, CertificateFiles, CertificateOrigin, Challenge, Config};
use crate::formats::{domain, mail_address, name, socket_address};
use crate::keys::Effect;
use crate::value::{CHALLENGES, Kind};

pub(super) const LIST: List = List {
    name: CERTIFICATE,
    one: "a certificate",
    columns: &[column!(
        certificates,
        "name",
        Kind::Text(name),
        Need::Required("\"main\""),
        Restart,
        name
    )],
    sorts: Sorts::Key(&[
        Sort {
            word: "chain",
            columns: FILES,
            begin: |config, at| {
                begin(
                    config,
                    at,
                    CertificateOrigin::Files(CertificateFiles::default()),
                )
            },
            has: |config, at| matches!(origin(config, at), Some(CertificateOrigin::Files(_))),
        },
        Sort {
            word: "acme",
            columns: ACME,
            begin: |config, at| begin(config, at, CertificateOrigin::Acme(Acme::default())),
            has: |config, at| matches!(origin(config, at), Some(CertificateOrigin::Acme(_))),
        },
    ]),
    known_by: Some("name"),
    short: None,
    effect: Effect::Reload,
    len: |config| config.certificates.len(),
    push: |config| {
        config.certificates.push(Certificate {
            name: String::new(),
            origin: CertificateOrigin::Files(CertificateFiles::default()),
        });
    },
    copy: |config, other| config.certificates.clone_from(&other.certificates),
    check,
};

macro_rules! files {
    ($name:ident, $kind:expr, $need:expr) => {
        part_column!(
            certificates.origin,
            CertificateOrigin::Files,
            $name,
            $kind,
            $need,
            Restart
        )
    };
}

const FILES: &[Column] = &[
    files!(chain, Kind::File, Need::Required("\"chain.pem\"")),
    files!(key, Kind::File, Need::Required("\"key.pem\"")),
];

macro_rules! acme {
    ($name:ident, $kind:expr) => {
        acme!($name, $kind, Need::Optional)
    };
    ($name:ident, $kind:expr, $need:expr) => {
        part_column!(
            certificates.origin,
            CertificateOrigin::Acme,
            $name,
            $kind,
            $need,
            Restart
        )
    };
}

const ACME: &[Column] = &[
    acme!(acme, Kind::Url(&["https"]), Need::Required("\"https://…\"")),
    acme!(
        domains,
        Kind::List(&Kind::Text(domain)),
        Need::Required("[\"mqtt.example.com\"]")
    ),
    acme!(email, Kind::Text(mail_address)),
    acme!(acme_ca, Kind::File),
    acme!(challenge, Kind::Choice(CHALLENGES)),
    acme!(http_address, Kind::Text(socket_address)),
];

fn origin(config: &Config, at: usize) -> Option<&CertificateOrigin> {
    config.certificates.get(at).map(|entry| &entry.origin)
}

fn begin(config: &mut Config, at: usize, origin: CertificateOrigin) {
    if let Some(entry) = config.certificates.get_mut(at) {
        entry.origin = origin;
    }
}

fn check(config: &Config, at: usize) -> Vec<Wrong> {
    let Some(CertificateOrigin::Acme(acme)) = origin(config, at) else {
        return Vec::new();
    };
    let moved = acme.http_address != Acme::default().http_address;
    if acme.challenge != Challenge::Http01 && moved {
        let message = "certificate.http_address is for challenge = \"http-01\" only; leave it out";
        return vec![("http_address", message.to_owned())];
    }
    Vec::new()
}

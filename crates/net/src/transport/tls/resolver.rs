//! Which certificate a client sees.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::load::UnknownName;

/// Chooses by the name that a client asks for. The name chooses a certificate and nothing else
/// (S80).
#[derive(Debug)]
pub(super) struct Resolver {
    /// Never empty; the first is for those who ask for no name, or for an unknown one.
    keys: Vec<Arc<CertifiedKey>>,
    /// Names in lower case, perhaps with `*` for the first label, and the place of their key.
    names: Vec<(String, usize)>,
    unknown: UnknownName,
}

impl Resolver {
    pub(super) fn new(
        keys: Vec<Arc<CertifiedKey>>,
        names: Vec<(String, usize)>,
        unknown: UnknownName,
    ) -> Self {
        Self {
            keys,
            names,
            unknown,
        }
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        let exact = self.names.iter().find(|(known, _)| *known == name);
        let wild = || {
            let (_, domain) = name.split_once('.')?;
            let is_it = |known: &str| known.strip_prefix("*.") == Some(domain);
            self.names.iter().find(|(known, _)| is_it(known))
        };
        exact.or_else(wild).map(|(_, place)| *place)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let place = hello.server_name().and_then(|name| self.place_of(name));
        let place = match (place, self.unknown) {
            (Some(place), _) => place,
            (None, UnknownName::FirstCertificate) => 0,
            (None, UnknownName::Refuse) => return None,
        };
        self.keys.get(place).cloned()
    }
}

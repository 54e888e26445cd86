//! TLS that is spoken where the bytes come from: in QUIC.

use std::sync::Arc;

use types::Certificate;

use super::tls::{Failure, ServerTls};
use super::{Pong, Proxy, Tls, Transport, Web};
use crate::quic::Told;

/// What the handshake has proved, once it is over.
#[derive(Debug)]
pub(super) struct Elsewhere {
    told: Told,
    /// The [`ServerTls`] under which the client's certificate was last found good, once there are
    /// bytes.
    checked: Option<u64>,
}

impl Elsewhere {
    pub(super) fn is_established(&self) -> bool {
        self.checked.is_some()
    }

    /// The first bytes are there, so the handshake is over. It went by the rules of when it began
    /// (S81).
    pub(super) fn establish(
        &mut self,
        current: &ServerTls,
    ) -> Result<Option<Arc<Certificate>>, Failure> {
        self.checked = Some(current.id());
        let Some(proof) = self.told.get() else {
            return Ok(None);
        };
        if proof.by != current.id() {
            current.verify(&proof.chain)?;
        }
        Ok(proof.certificate.clone())
    }

    /// Whether [`Elsewhere::is_withdrawn`] would have something to do.
    pub(super) fn is_outdated(&self, current: &ServerTls) -> bool {
        self.checked.is_some_and(|checked| checked != current.id())
    }

    /// Whether `current` says that the client must go; asked once for each [`ServerTls`].
    pub(super) fn is_withdrawn(&mut self, current: &ServerTls) -> bool {
        if !self.is_outdated(current) {
            return false;
        }
        self.checked = Some(current.id());
        let proof = self.told.get();
        proof.is_some_and(|proof| current.withdraws(&proof.chain))
    }
}

impl Transport {
    /// What a connection of QUIC begins with.
    pub(crate) fn behind_quic(told: Told) -> Self {
        Self {
            proxy: Proxy::Passed,
            tls: Tls::Elsewhere(Elsewhere {
                told,
                checked: None,
            }),
            web: Web::Off,
            held: Vec::new(),
            pending: Vec::new(),
            sent: 0,
            owed: 0,
            pong: Pong::Free,
            certificate: None,
        }
    }
}

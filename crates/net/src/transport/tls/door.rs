//! What a listener's handshakes go by, and its replacement.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, ServerConfig};

use super::load::CertificateFacts;

/// Certificates, keys and rules of a listener's handshakes, with tickets and cached sessions that
/// hold for nothing else.
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) facts: Vec<CertificateFacts>,
    pub(super) crl_next_update: Option<i64>,
    /// No other has it.
    id: u64,
}

impl ServerTls {
    pub(super) fn new(
        config: ServerConfig,
        verifier: Option<Arc<dyn ClientCertVerifier>>,
        facts: Vec<CertificateFacts>,
        crl_next_update: Option<i64>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            config: Arc::new(config),
            verifier,
            facts,
            crl_next_update,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// What handshakes go by, for who speaks TLS without this crate's links.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What the certificates say, in the order of their files.
    pub fn certificates(&self) -> &[CertificateFacts] {
        &self.facts
    }

    /// When the first of the revocation lists is outdated, in seconds since 1970.
    pub fn crl_next_update(&self) -> Option<i64> {
        self.crl_next_update
    }

    #[cfg(all(feature = "quic", unix))]
    pub(crate) fn rustls(&self) -> &ServerConfig {
        &self.config
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether a client's certificate holds now.
    pub(in crate::transport) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let (Some(verifier), [end, between @ ..]) = (&self.verifier, chain) else {
            return Ok(());
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(now.unwrap_or(Duration::ZERO));
        verifier.verify_client_cert(end, between, now).map(|_| ())
    }

    /// Whether a client that was let in must go: its certificate is revoked, or its authority is
    /// trusted no more. That time has passed over it is no reason; nor that a list is outdated,
    /// which holds new clients off.
    pub(in crate::transport) fn withdraws(&self, chain: &[CertificateDer<'_>]) -> bool {
        use CertificateError as E;
        match self.verify(chain) {
            Ok(()) => false,
            Err(Error::InvalidCertificate(error)) => !matches!(
                error,
                E::Expired
                    | E::ExpiredContext { .. }
                    | E::ExpiredRevocationList
                    | E::ExpiredRevocationListContext { .. }
                    | E::UnknownRevocationStatus
            ),
            Err(_) => true,
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("certificates", &self.facts)
            .finish_non_exhaustive()
    }
}

/// A listener's [`ServerTls`], which can be replaced while it listens. Clones are the same door.
#[derive(Clone, Debug)]
pub struct TlsDoor {
    current: Arc<RwLock<Arc<ServerTls>>>,
}

impl TlsDoor {
    /// A door with what it begins with.
    pub fn new(tls: impl Into<Arc<ServerTls>>) -> Self {
        Self {
            current: Arc::new(RwLock::new(tls.into())),
        }
    }

    /// From now on handshakes go by `tls`, and no session of before is resumed. Open connections
    /// live on, until [`crate::Mailboxes::recheck_certificates`] finds that their client's
    /// certificate no longer holds. Returns what was there before.
    pub fn swap(&self, tls: impl Into<Arc<ServerTls>>) -> Arc<ServerTls> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, tls.into())
    }

    /// What handshakes go by now.
    pub fn current(&self) -> Arc<ServerTls> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

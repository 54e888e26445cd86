//! Doors, their certificates, their figures.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Stamp;

/// The listeners.
pub trait Listeners: Send + Sync {
    /// All of them, in the order of the configuration. Answers at once, from memory.
    fn listeners(&self) -> Vec<Listener>;

    /// The certificates that listeners and the dashboard show. May wait for a disk.
    fn certificates(&self) -> Vec<CertificateRow>;
}

/// A listener, with figures since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it listens: `ip:port`, or the path of a Unix socket.
    pub address: String,
    /// `mqtt`, `mqtts`, `ws`, `wss` or `quic`.
    pub protocol: String,
    /// Connections now.
    pub connections: u64,
    /// Most connections; absent: as many as the server takes.
    pub max_connections: Option<u64>,
    /// Links that were accepted.
    pub accepted: u64,
    /// Links that were closed unread: by address, by rate, or by a limit.
    pub refused: u64,
    /// Handshakes of TLS, WebSocket or PROXY that failed.
    pub failed_handshakes: u64,
    /// TLS handshakes that made a new session.
    pub new_handshakes: u64,
    /// TLS handshakes that resumed a session.
    pub resumed_handshakes: u64,
    /// The certificates that it shows.
    pub certificates: Vec<Certificate>,
}

/// A certificate that a listener shows, for who looks after their ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateRow {
    /// The listener, or `dashboard`.
    pub listener: String,
    /// The subject (RFC 4514).
    pub subject: String,
    /// The issuer (RFC 4514).
    pub issuer: String,
    /// Names and addresses that it is for.
    pub sans: Vec<String>,
    /// When it begins to be valid.
    pub not_before: Stamp,
    /// When it ends to be valid.
    pub not_after: Stamp,
    /// Whole days until then; negative if it is over.
    pub days_left: i64,
    /// `file`: somebody else renews it; `acme`: the server does.
    pub source: String,
    /// SHA-256 of its DER form, as hexadecimal digits.
    pub fingerprint: String,
}

/// A certificate of the server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// Its name in the configuration.
    pub name: String,
    /// The subject (RFC 4514).
    pub subject: String,
    /// The issuer (RFC 4514).
    pub issuer: String,
    /// Names and addresses that it is for.
    pub sans: Vec<String>,
    /// SHA-256 of its DER form, as hexadecimal digits.
    pub fingerprint: String,
    /// When it begins to be valid.
    pub not_before: Stamp,
    /// When it ends to be valid.
    pub not_after: Stamp,
}

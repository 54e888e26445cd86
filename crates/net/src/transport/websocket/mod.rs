//! MQTT over WebSocket (RFC 6455, MQTT 5.0 section 6), the server's side.

mod frames;
mod upgrade;

pub(crate) use frames::{End, Frames, NORMAL, close, header, pong};
pub(crate) use upgrade::{Upgrade, upgrade};

/// How a listener takes WebSocket connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// The paths that may be asked for, compared to the letter, or `*` for any; others are answered with 404.
    pub paths: Vec<String>,
    /// The pages from which a browser may connect; others are answered with 403 (S83).
    pub origins: Origins,
}

impl Default for WebSocket {
    /// The path `/mqtt`, for pages of the same host.
    fn default() -> Self {
        Self {
            paths: vec!["/mqtt".to_owned()],
            origins: Origins::SameHost,
        }
    }
}

/// Pages from which a browser may connect. Clients that are no browsers send no origin and are
/// not asked for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Those of the host and port that the request names.
    #[default]
    SameHost,
    /// These, as browsers write them: `https://example.org`, `http://example.org:8080`.
    Listed(Vec<String>),
    /// All: any page in a user's browser may try to connect with what that user may do.
    Any,
}

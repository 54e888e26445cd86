//! TLS of the listeners, by rustls.
//!
//! The unbuffered interface: records are taken from and written to the worker's own buffers, so
//! that an idle connection keeps its keys and little else.

mod chain;
mod door;
mod facts;
mod load;
mod resolver;
mod session;

pub use chain::{ChainLink, certificate_chain};
pub use door::{ServerTls, TlsDoor};
pub use load::{CertificateFacts, TlsVersion, UnknownName};
pub use load::{CertificateFiles, ClientAuth, ClientCa, Revocation, TlsError, TlsFiles};
pub use session::HandshakeFailure;

#[cfg(all(feature = "quic", unix))]
pub(crate) use session::client_certificate;
pub(crate) use session::{Failure, Progress, Session};

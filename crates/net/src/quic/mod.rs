//! MQTT over QUIC (RFC 9000): one stream in both directions for each connection, as EMQX has it.
//!
//! The endpoints live on a thread of their own. A connection is, for its worker, one end of a pair of
//! sockets of the system; the other end is read and written here. So everything that holds for links
//! holds for these, and what a pair and the windows of a connection keep is bounded: a worker that
//! does not read stops the client by QUIC's flow control. It costs two descriptors a connection, and
//! one more copy of each byte.
//!
//! A connection asks its worker for a place before a byte of the handshake is answered. There is no
//! early data, which could be replayed, and no resumption. The client's address may change; what was
//! decided about it when it came (address lists, limits by address) stays decided.

mod endpoint;
mod handshake;
mod pipe;

pub(crate) use endpoint::{Deliver, Endpoints};

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use socket2::Socket;
use tokio::sync::oneshot;
use types::{Certificate, Peer, WorkerId};

/// A connection on its way to a worker.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The worker's end.
    pub(crate) socket: Socket,
    pub(crate) peer: Peer,
    pub(crate) listener: u16,
    /// What the handshake will have proved by the time of the first byte.
    pub(crate) told: Told,
    /// Dropped, it says that there is no place.
    pub(crate) place: oneshot::Sender<WorkerId>,
}

/// What a handshake has proved; set before the first byte goes to the worker.
pub(crate) type Told = Arc<OnceLock<Proof>>;

/// What a handshake has proved.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The certificates that the client showed, its own first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// What its own says.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// The [`crate::ServerTls`] under which they were found good.
    pub(crate) by: u64,
}

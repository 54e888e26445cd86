//! The event loop: sockets, buffers, mailboxes.
//!
//! **Never:** no MQTT beyond telling it from other protocols, no decision about a client, no lock held while a core runs, no wake-up
//! for each message, no buffer for an idle connection, no busy wait, no sleep. `unsafe` only
//! in `poller`, and there only on systems other than Linux.
//!
//! One thread for each worker owns its sockets and a [`types::Core`], whose contract says
//! what a turn of the loop is. Entry types: [`Listener`], then [`Runtime::start`].
//!
//! | module | owns |
//! |---|---|
//! | `runtime` | [`Runtime`], [`WorkerSetup`], [`WorkerPanic`]: threads, start and end |
//! | `worker` | the turn: reads, mail, time, then actions; containment of panics |
//! | `read` | the way in: one read of a link, through what stands before it |
//! | `write` | the way out: one gathered write for each touched link |
//! | `through` | the way out through a transport |
//! | `recheck` | clients whose certificates are withdrawn |
//! | `transport` | what stands between socket and core: PROXY header, TLS, WebSocket |
//! | `links` | the slot of a link (64 bytes) and the list of them |
//! | `handshakes` | whose turn it is to shake hands |
//! | `linger` | closing so that the other side can still read our last packet |
//! | `accept` | taking connections; the pause when descriptors run out |
//! | `address` | [`Address`]: TCP or a Unix socket and its file |
//! | `network` | [`Network`] |
//! | `quic` | endpoints on a thread of their own, and the pipes from there to workers |
//! | `listener` | [`Listener`], [`ListenerConfig`], socket options |
//! | `listening` | [`Listening`]: listeners that come and go |
//! | `mailbox` | [`Mailboxes`]: mail between workers and from the control plane |
//! | `poller` | readiness: epoll on Linux, the `polling` crate elsewhere |
//! | `counters` | [`Counters`] and [`Notice`]: what the loop has to tell |
//! | `clock` | [`Clock`] |
//! | `descriptors` | the process's limit of open files |

mod accept;
mod address;
mod clock;
mod counters;
mod descriptors;
mod handshakes;
mod linger;
mod links;
mod listener;
mod listening;
mod mailbox;
mod network;
mod poller;
#[cfg(all(feature = "quic", unix))]
mod quic;
mod read;
mod recheck;
mod runtime;
mod through;
mod transport;
mod worker;
mod write;

pub use address::{Address, DEFAULT_MODE};
pub use clock::Clock;
pub use counters::{Counters, ListenerCounters, Notice, Refusal};
pub use descriptors::raise_descriptor_limit;
pub use listener::{Ipv6, Listener, ListenerConfig};
pub use listening::Listening;
pub use mailbox::{Mailboxes, Undeliverable};
pub use network::Network;
pub use runtime::{Runtime, WorkerPanic, WorkerSetup};
pub use transport::ProxyProtocol;
pub use transport::foreign::Protocol;
pub use transport::tls::{
    CertificateFacts, CertificateFiles, ChainLink, ClientAuth, ClientCa, HandshakeFailure,
    Revocation, ServerTls, TlsDoor, TlsError, TlsFiles, TlsVersion, UnknownName, certificate_chain,
};
pub use transport::websocket::{Origins, WebSocket};

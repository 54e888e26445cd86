//! What the loop has to tell to those who watch it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use types::{Peer, WorkerId};

use crate::transport::foreign::Protocol;
use crate::transport::tls::HandshakeFailure;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add_one(&self) {
        // Nothing is ordered by a count.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of rare events, all since the start. Nothing here is touched for each message.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) accepted: Count,
    pub(crate) refused: Count,
    pub(crate) panics: Count,
    pub(crate) accept_pauses: Count,
    pub(crate) wakes: Count,
    pub(crate) undelivered: Count,
    pub(crate) cut_short: Count,
    listeners: RwLock<Vec<Arc<ListenerCounters>>>,
}

impl Counters {
    pub(crate) fn new(listeners: usize) -> Self {
        Self {
            listeners: RwLock::new((0..listeners).map(|_| Arc::default()).collect()),
            ..Self::default()
        }
    }

    /// Counts for one more listener.
    pub(crate) fn add_listener(&self) {
        let listeners = self.listeners.write();
        let mut listeners = listeners.unwrap_or_else(PoisonError::into_inner);
        listeners.push(Arc::default());
    }

    /// What happened at a listener, by its place.
    pub fn listener(&self, place: u16) -> Option<Arc<ListenerCounters>> {
        let listeners = self.listeners.read();
        let listeners = listeners.unwrap_or_else(PoisonError::into_inner);
        listeners.get(usize::from(place)).cloned()
    }

    /// A connection was accepted at a listener.
    pub(crate) fn count_accepted(&self, place: u16) {
        self.accepted.add_one();
        if let Some(listener) = self.listener(place) {
            listener.accepted.add_one();
        }
    }

    /// A connection of a listener was closed at once.
    pub(crate) fn count_refused(&self, place: u16) {
        self.refused.add_one();
        if let Some(listener) = self.listener(place) {
            listener.refused.add_one();
        }
    }

    /// Connections accepted, whatever became of them.
    pub fn accepted(&self) -> u64 {
        self.accepted.load()
    }

    /// Connections closed at once: the core did not want them, or no descriptor was left.
    pub fn refused(&self) -> u64 {
        self.refused.load()
    }

    /// Panics of a core that ended one connection.
    pub fn panics(&self) -> u64 {
        self.panics.load()
    }

    /// Times that a worker began to pause accepting because descriptors or memory ran out.
    pub fn accept_pauses(&self) -> u64 {
        self.accept_pauses.load()
    }

    /// Wake-ups of sleeping workers by mail.
    pub fn wakes(&self) -> u64 {
        self.wakes.load()
    }

    /// Mail to workers that had ended.
    pub fn undelivered(&self) -> u64 {
        self.undelivered.load()
    }

    /// Closing links that were dropped before the other side was done: it was too slow, sent
    /// too much, or too many were closing at once. It may have missed our last packet.
    pub fn cut_short(&self) -> u64 {
        self.cut_short.load()
    }
}

/// Counts of one listener, all since the start.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    pub(crate) accepted: Count,
    pub(crate) refused: Count,
    pub(crate) full: Count,
    pub(crate) resumed: Count,
    failed: [Count; HandshakeFailure::ALL.len()],
    pub(crate) withdrawn: Count,
    pub(crate) foreign: Count,
    pub(crate) proxy_refused: Count,
    pub(crate) websocket_refused: Count,
}

impl ListenerCounters {
    /// Connections accepted, whatever became of them.
    pub fn accepted(&self) -> u64 {
        self.accepted.load()
    }

    /// Connections closed at once, as in [`Counters::refused`].
    pub fn refused(&self) -> u64 {
        self.refused.load()
    }

    /// Handshakes of TLS, WebSocket or PROXY that failed, and connections that spoke another
    /// protocol.
    pub fn failed(&self) -> u64 {
        let tls = self.failed.iter().map(Count::load).sum::<u64>();
        let others = [&self.foreign, &self.proxy_refused, &self.websocket_refused];
        tls + others.into_iter().map(Count::load).sum::<u64>()
    }

    /// TLS handshakes that made a new session.
    pub fn handshakes_full(&self) -> u64 {
        self.full.load()
    }

    /// TLS handshakes that resumed a session.
    pub fn handshakes_resumed(&self) -> u64 {
        self.resumed.load()
    }

    /// TLS handshakes that failed, and why.
    pub fn handshakes_failed(&self, why: HandshakeFailure) -> u64 {
        self.failed.get(why as usize).map_or(0, Count::load)
    }

    /// Clients cut because their certificate was withdrawn while they were connected.
    pub fn certificates_withdrawn(&self) -> u64 {
        self.withdrawn.load()
    }

    /// Connections closed because they spoke another protocol.
    pub fn foreign(&self) -> u64 {
        self.foreign.load()
    }

    /// Connections closed because their PROXY header was wrong, missing, or from somebody who is
    /// not trusted to send one.
    pub fn proxy_refused(&self) -> u64 {
        self.proxy_refused.load()
    }

    /// WebSocket requests refused, and connections closed for a frame that was wrong.
    pub fn websocket_refused(&self) -> u64 {
        self.websocket_refused.load()
    }

    pub(crate) fn count_failure(&self, why: HandshakeFailure) {
        if let Some(count) = self.failed.get(why as usize) {
            count.add_one();
        }
    }
}

/// Something that an operator should read in the log. The first kinds come at most once for each
/// event named, not for each try. [`Notice::Refused`] comes for each connection, as often as
/// anybody out there likes: who takes it must limit what it writes (S82).
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The core panicked over the bytes of one connection, which was closed.
    Panicked {
        /// Where.
        worker: WorkerId,
        /// Whose bytes.
        peer: Peer,
    },
    /// Accepting fails (mostly: no descriptors left) and is tried again with growing pauses
    /// of at most a second. Connections that wait meanwhile are closed where possible.
    AcceptPaused {
        /// Where.
        worker: WorkerId,
        /// What the system said.
        error: io::Error,
    },
    /// Accepting works again.
    AcceptResumed {
        /// Where.
        worker: WorkerId,
    },
    /// A connection was closed before or without anything of it reaching the core.
    Refused {
        /// Where.
        worker: WorkerId,
        /// The listener's place.
        listener: u16,
        /// Whose, as far as it is known.
        peer: Peer,
        /// Why.
        why: Refusal,
    },
}

/// Why a connection was closed by its transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It speaks another protocol than the listener.
    Foreign {
        /// What it looks like.
        looks_like: Protocol,
    },
    /// It may not send a PROXY header, or has sent none, or a wrong one.
    Proxy(&'static str),
    /// The TLS handshake failed.
    Handshake {
        /// As it is counted.
        class: HandshakeFailure,
        /// In words. May quote the peer.
        text: String,
    },
    /// TLS broke after the handshake.
    Tls(String),
    /// The client's certificate was withdrawn while it was connected.
    Withdrawn,
    /// The WebSocket request was refused, or a frame was wrong.
    WebSocket(&'static str),
    /// It sent too much that makes no sense without more.
    TooMuch,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { looks_like } => write!(f, "it speaks {looks_like} on this port"),
            Self::Proxy(why) => f.write_str(why),
            Self::Handshake { text, .. } => write!(f, "the TLS handshake failed: {text}"),
            Self::Tls(text) => write!(f, "TLS failed: {text}"),
            Self::Withdrawn => f.write_str("its certificate was withdrawn"),
            Self::WebSocket(why) => write!(f, "WebSocket: {why}"),
            Self::TooMuch => f.write_str("it sent more than can be kept of a handshake"),
        }
    }
}

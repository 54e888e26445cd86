//! What the loop has to tell to those who watch it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use types::{Peer, WorkerId};

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
}

impl Counters {
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

/// Something that an operator should read in the log. At most one for each event named,
/// not one for each try.
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
}

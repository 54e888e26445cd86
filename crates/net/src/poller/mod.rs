//! Readiness of sockets, level-triggered.
//!
//! Two implementations of one small interface. On Linux epoll is used directly: the `polling`
//! crate costs four more system calls for each wait (its timer and its wake-up channel are
//! armed anew each time), which is more than the loop's own work for a small message.

#[cfg(all(target_os = "linux", not(portable_poller)))]
mod epoll;
#[cfg(any(not(target_os = "linux"), portable_poller))]
mod portable;
#[cfg(test)]
mod tests;

#[cfg(all(target_os = "linux", not(portable_poller)))]
pub(crate) use epoll::{Events, Poller};
#[cfg(any(not(target_os = "linux"), portable_poller))]
pub(crate) use portable::{Events, Poller};

/// Most events taken from the system in one turn.
pub(crate) const EVENTS_PER_TURN: usize = 1024;

/// What one waits for on a socket. Errors are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interest(u8);

impl Interest {
    pub(crate) const READ: Self = Self(1);
    pub(crate) const WRITE: Self = Self(2);

    #[must_use]
    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Whose event it is. Fits in the 32 bits that a poller's key has on every system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The link in a slot.
    Link(u32),
    /// A link that is closing.
    Lingering(u32),
    /// A listener.
    Listener(u32),
}

impl Token {
    /// Indexes must be below this: the two bits above tell the kinds apart. (The fourth kind
    /// stays free, as the all-ones key is the wake-up's.)
    pub(crate) const INDEXES: u32 = 1 << 30;

    fn to_key(self) -> u32 {
        let (kind, index) = match self {
            Self::Link(index) => (0, index),
            Self::Lingering(index) => (1, index),
            Self::Listener(index) => (2, index),
        };
        assert!(index < Self::INDEXES, "a token's index is below 2^30");
        kind << 30 | index
    }

    fn from_key(key: u32) -> Option<Self> {
        let index = key & (Self::INDEXES - 1);
        match key >> 30 {
            0 => Some(Self::Link(index)),
            1 => Some(Self::Lingering(index)),
            2 => Some(Self::Listener(index)),
            _ => None,
        }
    }
}

/// What happened to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) token: Token,
    readiness: u8,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
const DEAD: u8 = 4;

impl Event {
    /// Reading would not block.
    pub(crate) fn is_readable(self) -> bool {
        self.readiness & READABLE != 0
    }

    /// Writing would not block.
    pub(crate) fn is_writable(self) -> bool {
        self.readiness & WRITABLE != 0
    }

    /// The socket failed or both directions are shut. Reported whatever the interest, and
    /// again and again until the socket is closed.
    pub(crate) fn is_dead(self) -> bool {
        self.readiness & DEAD != 0
    }
}

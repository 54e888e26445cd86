//! Identifiers. Each is a type of its own, so that none can stand in for another.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

/// The identifier of a client, as it gave it or as the server assigned it.
///
/// Any UTF-8 string of 1 to 65,535 bytes without U+0000 (MQTT-3.1.3-4). It is pure data:
/// never a path, a pattern or a storage key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes a client identifier; `None` if it is empty.
    pub fn new(id: &str) -> Option<Self> {
        if id.is_empty() {
            None
        } else {
            Some(Self(Arc::from(id)))
        }
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A packet identifier, never zero (MQTT-2.2.1-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The lowest identifier.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// `None` for zero.
    pub fn new(id: u16) -> Option<Self> {
        NonZeroU16::new(id).map(Self)
    }

    /// The number on the wire.
    pub fn get(self) -> u16 {
        self.0.get()
    }

    /// The next identifier; 65,535 is followed by 1.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(NonZeroU16::MIN))
    }
}

/// One event loop with its connections and sessions, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

impl WorkerId {
    /// The worker's place in a list of workers.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// One connection of one worker. The generation tells a slot's tenants apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// The slot; small and dense, fit to index a list of sockets.
    pub slot: u32,
    /// Counts the tenants of the slot.
    pub generation: u32,
}

/// One session of one worker. The generation tells a slot's tenants apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// The slot in the worker's list of sessions.
    pub slot: u32,
    /// Counts the tenants of the slot.
    pub generation: u32,
}

/// A session of some worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionRef {
    /// The session's home.
    pub worker: WorkerId,
    /// The session there.
    pub key: SessionKey,
}

/// A promise that an answer comes back later as an input: from the store, from an
/// authentication back end, from a quorum. Tickets of one source grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

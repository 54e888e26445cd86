//! Identifiers. Each is a type of its own, so that none can stand in for another.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU64};
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

    /// The same, for who keeps it.
    pub fn shared(&self) -> &Arc<str> {
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
/// authentication back end, from a quorum. Tickets of one source grow, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A session that a store knows. The store never gives a number twice, so that it outlives the
/// [`SessionKey`], which means something to one worker of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoredSession(pub u64);

/// A message in a store: never a place, because the store may move the message.
///
/// The upper 44 bits are the milliseconds of the store's clock (since 1970) at which the message
/// came, the lower 20 count within the millisecond: references grow, and tell a message's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageRef(pub u64);

impl MessageRef {
    /// Bits that count within a millisecond.
    pub const COUNT_BITS: u32 = 20;

    /// When the message came, in milliseconds of the store's clock.
    pub fn millis(self) -> u64 {
        self.0 >> Self::COUNT_BITS
    }
}

/// The number of a message among all that a store ever owed to one session, from 1. It names a
/// delivery until that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryNumber(NonZeroU64);

impl DeliveryNumber {
    /// The number of the first delivery.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// `None` for zero.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The number of the delivery after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

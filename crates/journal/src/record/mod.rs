//! Records to bytes and back. Pure: nothing here knows files or frames.
//!
//! Encoding runs on the workers for every message: it appends to a buffer that is there already.
//! Decoding borrows from what was read and allocates nothing, whatever the bytes are.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use store::{Publisher, Settled};
use types::{
    DeliveryNumber, Durability, MessageRef, PacketId, QoS, StoredSession, SubscriptionOptions, Time,
};

mod body;
mod bytes;
mod decode;
mod encode;
mod lists;

pub use body::{Damaged, decode_body, encode_body, encode_kept};
pub use decode::{Records, lengths};
pub use encode::{SessionStateParts, WillFields, encode};
pub(crate) use encode::{
    encode_begun, encode_begun_in_group, encode_body_place, encode_checkpoint_begins,
    encode_checkpoint_ends, encode_passed_state, encode_queue_state, encode_queued,
    encode_retained_state, encode_session_state, encode_subscribed,
};
pub(crate) use encode::{encode_cleared, encode_expired};
pub use lists::{Deliveries, Extra, Ids, PacketIds, QueueEntries, StoredSessions};

/// "Never", where a time or a span is stored.
pub const NEVER: u64 = u64::MAX;

/// Joins this run's [`Time`] to the store's clock, milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreClock {
    /// The store's clock at [`Time::ZERO`].
    pub base: u64,
}

impl StoreClock {
    /// A point of this run on the store's clock; never [`NEVER`].
    pub fn millis(self, time: Time) -> u64 {
        self.base
            .saturating_add(time.as_millis())
            .min(NEVER.saturating_sub(1))
    }

    /// A point of the store's clock in this run; what lies before the run is [`Time::ZERO`], and
    /// [`NEVER`] is [`Time::MAX`].
    pub fn time(self, millis: u64) -> Time {
        if millis == NEVER {
            Time::MAX
        } else {
            Time::from_millis(millis.saturating_sub(self.base))
        }
    }
}

/// Bytes that are no records: they are damaged, or a later version wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where the record begins, in bytes from the start of the payload.
    pub offset: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no valid record at byte {} of the payload: {}",
            self.offset, self.what
        )
    }
}

impl std::error::Error for Malformed {}

/// A record as it stands in the journal. Times are on the store's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A message. Its own checksum is not looked at: the frame's covers it here.
    Body(BodyItem<'a>),
    /// [`store::Record::Session`].
    Session(SessionFields<'a>),
    /// [`store::Record::Away`].
    Away {
        /// The session.
        session: StoredSession,
        /// When it ends; `None` is never.
        ends: Option<u64>,
        /// When its will is due.
        will: Option<u64>,
    },
    /// [`store::Record::SessionEnded`].
    SessionEnded {
        /// The session.
        session: StoredSession,
    },
    /// [`store::Record::Subscribed`].
    Subscribed {
        /// The session.
        session: StoredSession,
        /// With which options.
        options: SubscriptionOptions,
        /// With which identifier.
        id: Option<NonZeroU32>,
        /// To what.
        filter: &'a str,
    },
    /// [`store::Record::Unsubscribed`].
    Unsubscribed {
        /// The session.
        session: StoredSession,
        /// From what.
        filter: &'a str,
    },
    /// [`store::Record::Owed`].
    Owed {
        /// The message.
        message: MessageRef,
        /// To whom.
        deliveries: Deliveries<'a>,
    },
    /// [`store::Record::Sent`].
    Sent {
        /// The session.
        session: StoredSession,
        /// Its delivery.
        number: DeliveryNumber,
        /// The packet identifier.
        id: PacketId,
    },
    /// [`store::Record::Settled`].
    Settled {
        /// The session.
        session: StoredSession,
        /// Its delivery.
        number: DeliveryNumber,
        /// Which step.
        step: Settled,
    },
    /// A delivery that waited was dropped by the store itself, because its message expired.
    Expired {
        /// The session.
        session: StoredSession,
        /// Its delivery.
        number: DeliveryNumber,
    },
    /// [`store::Record::Received`].
    Received {
        /// The session.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
    },
    /// [`store::Record::Begun`].
    Begun {
        /// The session that published it.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
        /// Those that have it already.
        owed: StoredSessions<'a>,
    },
    /// [`store::Record::BegunInGroup`].
    BegunInGroup {
        /// The session that published it.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
        /// The group of which a member has it.
        group: &'a str,
    },
    /// [`store::Record::Released`].
    Released {
        /// The session.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
    },
    /// [`store::Record::Retained`].
    Retained {
        /// The message.
        message: MessageRef,
        /// The order of changes.
        sequence: u64,
        /// The topic.
        topic: &'a str,
        /// Who published it.
        publisher: Option<Publisher<'a>>,
    },
    /// [`store::Record::Cleared`].
    Cleared {
        /// The order of changes.
        sequence: u64,
        /// The topic.
        topic: &'a str,
    },
    /// [`store::Record::Passed`].
    Passed {
        /// The message.
        message: MessageRef,
        /// The group, as `$share/name/filter`.
        group: &'a str,
    },
    /// [`store::Record::Arrived`].
    Arrived {
        /// The message.
        message: MessageRef,
        /// The group, as `$share/name/filter`.
        group: &'a str,
    },
    /// What lives is written once more from here on.
    CheckpointBegins {
        /// The segment that a replay begins with.
        first: u64,
        /// The highest number of a session so far.
        last_session: u64,
        /// The highest sequence of a retained message so far.
        sequence: u64,
    },
    /// A session without its subscriptions and its queue: it replaces what is known of it.
    SessionState(SessionState<'a>),
    /// Deliveries of a session, in order.
    QueueState {
        /// The session.
        session: StoredSession,
        /// The deliveries.
        entries: QueueEntries<'a>,
    },
    /// Where a message lies that is older than the checkpoint.
    BodyPlace {
        /// The message.
        message: MessageRef,
        /// Where it lies.
        place: BodyPlace,
        /// [`types::Message::size`] of it.
        size: u32,
        /// When it expires.
        expires: Option<u64>,
    },
    /// A retained message, or none since lately.
    RetainedState {
        /// The message; `None`: it was cleared.
        message: Option<MessageRef>,
        /// The order of changes.
        sequence: u64,
        /// The topic.
        topic: &'a str,
        /// Who published it.
        publisher: Option<Publisher<'a>>,
    },
    /// A message on its way between members of a group.
    PassedState {
        /// The message.
        message: MessageRef,
        /// The group, as `$share/name/filter`.
        group: &'a str,
    },
    /// The checkpoint is whole.
    CheckpointEnds {
        /// The segment that a replay begins with.
        first: u64,
    },
}

/// Where the bytes of a message lie that [`decode_body`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyPlace {
    /// The number of the segment.
    pub segment: u64,
    /// Bytes from the start of its file.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
}

/// A message, as far as a replay must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyItem<'a> {
    /// Its name.
    pub message: MessageRef,
    /// When it expires.
    pub expires: Option<u64>,
    /// [`types::Message::size`] of it.
    pub size: u32,
    /// The record from its checksum on: what [`decode_body`] and [`encode_kept`] take.
    pub bytes: &'a [u8],
}

/// A session as its connection began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFields<'a> {
    /// Its number.
    pub session: StoredSession,
    /// How long it outlives its connection; `Duration::MAX` is for ever.
    pub expiry: Duration,
    /// Whose it is; never empty.
    pub client: &'a str,
    /// The user that it belongs to.
    pub user: Option<&'a str>,
    /// Its will.
    pub will: Option<WillFields<'a>>,
}

/// A session as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState<'a> {
    /// What it began with.
    pub fields: SessionFields<'a>,
    /// Its connection.
    pub link: Link,
    /// The number of its next delivery.
    pub next: DeliveryNumber,
    /// What comes before this one may have been sent, though nothing says so.
    pub unsure: DeliveryNumber,
    /// QoS 2 identifiers that its client has not released.
    pub received: PacketIds<'a>,
}

/// Whether the client of a session is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is.
    Connected,
    /// It is not.
    Away {
        /// When the session ends; `None` is never.
        ends: Option<u64>,
        /// When its will is due.
        will: Option<u64>,
    },
}

/// A delivery to one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryItem<'a> {
    /// The session.
    pub session: StoredSession,
    /// Its number for it.
    pub number: DeliveryNumber,
    /// The QoS towards the client.
    pub qos: QoS,
    /// The retain flag towards the client.
    pub retain: bool,
    /// The packet identifier, if it is sent.
    pub packet_id: Option<PacketId>,
    /// What few deliveries have.
    pub extra: Extra<'a>,
}

/// A delivery in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry<'a> {
    /// The message; `None` once PUBREC has arrived.
    pub message: Option<MessageRef>,
    /// The delivery.
    pub delivery: DeliveryItem<'a>,
}

fn durability_bits(durability: Durability) -> u8 {
    match durability {
        Durability::Memory => 0,
        Durability::Os => 1,
        Durability::Disk => 2,
    }
}

fn durability_from_bits(bits: u8) -> Option<Durability> {
    match bits {
        0 => Some(Durability::Memory),
        1 => Some(Durability::Os),
        2 => Some(Durability::Disk),
        _ => None,
    }
}

/// The numbers of the kinds, as docs/storage.md lists them.
mod kind {
    pub(super) const BODY: u8 = 1;
    pub(super) const SESSION: u8 = 2;
    pub(super) const AWAY: u8 = 3;
    pub(super) const SESSION_ENDED: u8 = 4;
    pub(super) const SUBSCRIBED: u8 = 5;
    pub(super) const UNSUBSCRIBED: u8 = 6;
    pub(super) const OWED: u8 = 7;
    pub(super) const SENT: u8 = 8;
    pub(super) const SETTLED: u8 = 9;
    pub(super) const RECEIVED: u8 = 10;
    pub(super) const RELEASED: u8 = 11;
    pub(super) const RETAINED: u8 = 12;
    pub(super) const CLEARED: u8 = 13;
    pub(super) const PASSED: u8 = 14;
    pub(super) const ARRIVED: u8 = 15;
    pub(super) const BEGUN: u8 = 16;
    pub(super) const BEGUN_IN_GROUP: u8 = 17;
    pub(super) const EXPIRED: u8 = 18;
    pub(super) const RETAINED_OF: u8 = 19;
    pub(super) const CHECKPOINT_BEGINS: u8 = 32;
    pub(super) const SESSION_STATE: u8 = 33;
    pub(super) const QUEUE_STATE: u8 = 34;
    pub(super) const BODY_PLACE: u8 = 35;
    pub(super) const RETAINED_STATE: u8 = 36;
    pub(super) const PASSED_STATE: u8 = 37;
    pub(super) const CHECKPOINT_ENDS: u8 = 38;
    pub(super) const RETAINED_STATE_OF: u8 = 39;
}

/// The bits of the flags.
mod flag {
    pub(super) const QOS: u8 = 0x03;
    pub(super) const RETAIN: u8 = 0x04;
    /// A body or a will expires; a delivery has a packet identifier.
    pub(super) const THIRD: u8 = 0x08;
    pub(super) const DURABILITY: u8 = 0x30;
    /// Of a body: somebody follows the message.
    pub(super) const FOLLOWED: u8 = 0x40;
    /// Of a body that is followed: a context was put behind its properties.
    pub(super) const CONTEXT_ADDED: u8 = 0x80;
    pub(super) const IDS: u8 = 0x10;
    pub(super) const GROUP: u8 = 0x20;
    /// Of a delivery in a queue: PUBREC has arrived.
    pub(super) const RECEIVED: u8 = 0x40;
    pub(super) const USER: u8 = 0x01;
    pub(super) const WILL: u8 = 0x02;
    pub(super) const GRANTED: u8 = 0x02;
    pub(super) const ENDS: u8 = 0x01;
    pub(super) const WILL_DUE: u8 = 0x02;
}

#[cfg(test)]
mod tests;

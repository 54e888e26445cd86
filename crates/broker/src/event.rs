//! What happened, for logs, counters and timelines. Closed lists: each kind of end and
//! each kind of loss stands here.

use std::sync::Arc;

use protocol::Violation;
use types::{ClientId, MessageRef, Peer, ProtocolVersion, QoS, ReasonCode, WorkerId};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client sent DISCONNECT with this reason.
    Client(ReasonCode),
    /// The other side closed the link without DISCONNECT.
    Eof,
    /// Reading or writing failed.
    LinkError,
    /// The client broke a rule.
    Violation(Violation),
    /// CONNECT was refused with this reason.
    Refused(ReasonCode),
    /// What arrived first was not CONNECT.
    NotMqtt,
    /// CONNECT was not finished in time.
    ConnectDeadline,
    /// Too many bytes of links without CONNECT; this one was the oldest.
    UnauthenticatedBytes,
    /// The server has as many connections as it takes.
    ConnectionLimit,
    /// The listener is not for this address.
    AddressDenied,
    /// More connect than the rate allows; this one would have waited for too long.
    ConnectionRate,
    /// The client connected again.
    TakenOver,
    /// The client took nothing for `limits.write_stall`.
    WriteStall,
    /// Client, user or address is banned.
    Banned,
    /// A subscription is not allowed any more, and the client is told so.
    Revoked,
    /// What it was granted is over: a token expired.
    GrantOver,
    /// Its back end does not know it any more.
    Unwelcome,
    /// An operator ended it.
    Ended,
    /// The server stops.
    ShuttingDown,
    /// The connection's state machine panicked.
    Panic,
}

impl CloseReason {
    /// A word for logs and presence events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client(ReasonCode::Success) => "disconnect",
            Self::Client(reason) | Self::Refused(reason) => reason.as_str(),
            Self::Eof => "connection closed",
            Self::LinkError => "connection lost",
            Self::Violation(violation) => violation.explain(),
            Self::NotMqtt => "not MQTT",
            Self::ConnectDeadline => "connect deadline",
            Self::UnauthenticatedBytes => "too many bytes without CONNECT",
            Self::ConnectionLimit => "too many connections",
            Self::AddressDenied => "address not allowed",
            Self::ConnectionRate => "too many connections in a short time",
            Self::TakenOver => "session taken over",
            Self::WriteStall => "write stall",
            Self::Banned => "banned",
            Self::Revoked => "subscription revoked",
            Self::GrantOver => "credentials expired",
            Self::Unwelcome => "credentials withdrawn",
            Self::Ended => "ended by an operator",
            Self::ShuttingDown => "server shutting down",
            Self::Panic => "panic",
        }
    }
}

/// Why a message did not reach a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// The session's queue was full.
    QueueFull,
    /// It expired.
    Expired,
    /// It is larger than the client takes.
    TooLarge,
    /// QoS 0 and the client does not keep up.
    SlowConsumer,
    /// QoS 0 and another worker's mailbox is full.
    MailboxFull,
    /// QoS 0 and the memory budget is used up.
    Memory,
    /// The publisher may not publish there, or the recipient may not have it.
    NotAuthorized,
    /// A limit of the server refused it.
    Quota,
    /// No member of the shared subscription is left.
    NoMember,
    /// The session ended with messages waiting.
    SessionEnded,
    /// The store has no room left.
    StoreFull,
    /// It waited for longer than `limits.queued_age`.
    TooOld,
    /// The store found it damaged.
    Damaged,
    /// The store has forgotten it, and it has not expired.
    Missing,
}

impl DropReason {
    /// Every reason, in order.
    pub const ALL: [Self; 14] = [
        Self::QueueFull,
        Self::Expired,
        Self::TooLarge,
        Self::SlowConsumer,
        Self::MailboxFull,
        Self::Memory,
        Self::NotAuthorized,
        Self::Quota,
        Self::NoMember,
        Self::SessionEnded,
        Self::StoreFull,
        Self::TooOld,
        Self::Damaged,
        Self::Missing,
    ];

    /// The reason's name under `$SYS/broker/drops/`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
            Self::SlowConsumer => "slow_consumer",
            Self::MailboxFull => "mailbox_full",
            Self::Memory => "memory",
            Self::NotAuthorized => "not_authorized",
            Self::Quota => "quota",
            Self::NoMember => "no_member",
            Self::SessionEnded => "session_ended",
            Self::StoreFull => "store_full",
            Self::TooOld => "too_old",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }
}

/// Something that an operator may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client was let in.
    Connected {
        /// The client.
        client: ClientId,
        /// Where it connects from.
        peer: Peer,
        /// What it speaks.
        version: ProtocolVersion,
        /// Keep alive in seconds.
        keep_alive: u16,
        /// Whether a session was resumed.
        session_present: bool,
        /// Whether it calls itself a bridge.
        bridge: bool,
        /// Its user, unless it is anonymous.
        user: Option<Arc<str>>,
        /// The name of the provider that let it in.
        provider: Option<Arc<str>>,
    },
    /// A client asked for a subscription.
    Subscribed {
        /// The client.
        client: ClientId,
        /// Where it is connected from.
        peer: Peer,
        /// The filter, as the client wrote it.
        filter: Arc<str>,
        /// What it was granted, or why it was not.
        granted: Result<QoS, ReasonCode>,
    },
    /// A client ended a subscription.
    Unsubscribed {
        /// The client.
        client: ClientId,
        /// Where it is connected from.
        peer: Peer,
        /// The filter, as the client wrote it.
        filter: Arc<str>,
    },
    /// A client's connection ended.
    Disconnected {
        /// The client.
        client: ClientId,
        /// Where it was connected from.
        peer: Peer,
        /// Why.
        reason: CloseReason,
    },
    /// A link ended before a client was let in.
    Rejected {
        /// Where it came from.
        peer: Peer,
        /// The client id it gave, if it got so far.
        client: Option<ClientId>,
        /// The user that it says it is.
        user: Option<Arc<str>>,
        /// Why.
        reason: CloseReason,
        /// Plain words, if there are more than the reason says.
        why: &'static str,
    },
    /// A client connected again while it was connected; both addresses (F26).
    TakenOver {
        /// The client.
        client: ClientId,
        /// The connection that was ended.
        old: Peer,
        /// The connection that took its place.
        new: Peer,
    },
    /// Somebody was not allowed what he wanted.
    Denied(Box<Denial>),
    /// A session ended.
    SessionEnded {
        /// The client.
        client: ClientId,
        /// Whether its time was up; otherwise the client ended it.
        expired: bool,
        /// Messages that waited in it.
        lost: usize,
    },
    /// The store has failed: nothing more is promised to anybody.
    StoreFailed {
        /// The worker that noticed.
        worker: WorkerId,
    },
    /// A stored message is damaged: it is withheld from everybody.
    MessageDamaged {
        /// The message.
        message: MessageRef,
    },
    /// A packet for a client could not be encoded, which is a mistake of the server's own;
    /// the connection ends.
    Unencodable {
        /// Where the client is connected from.
        peer: Peer,
        /// The packet's name.
        packet: &'static str,
    },
    /// The configuration was taken over.
    Reloaded {
        /// By this worker.
        worker: WorkerId,
    },
}

/// That somebody was not allowed what he wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Who, if he gave a client id.
    pub client: Option<ClientId>,
    /// The user that he is, or says he is if he wanted in.
    pub user: Option<Arc<str>>,
    /// From where, unless away.
    pub peer: Option<Peer>,
    /// What he wanted.
    pub wanted: Wanted,
    /// The topic or filter; empty if he wanted in.
    pub topic: Arc<str>,
    /// The rule that denied it, in words; `None`: no rule allowed it.
    pub why: Option<Arc<str>>,
}

/// What somebody wanted who was not allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To come in.
    Connect,
    /// To publish.
    Publish,
    /// To subscribe, or to stay subscribed.
    Subscribe,
}

impl Wanted {
    /// A word for logs and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        }
    }
}

/// A message that somebody does not get. In a storm one is told for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped<'a> {
    /// At which worker.
    pub worker: WorkerId,
    /// Why.
    pub reason: DropReason,
    /// Who should have had it, or, if that is nobody in particular, who sent it.
    pub client: Option<&'a ClientId>,
    /// Its topic, with the mount of a listener, if it is at hand.
    pub topic: Option<&'a str>,
    /// At which QoS, if that is known.
    pub qos: Option<QoS>,
    /// Bytes of its payload.
    pub size: usize,
    /// It stands for so many.
    pub count: u64,
}

/// Takes events. Called on a worker: it must not block.
pub trait EventSink: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);

    /// A message was dropped. All of them are counted by [`crate::Metrics`]; what is told here is
    /// a sample when there are many in one turn.
    fn dropped(&self, _: &Dropped<'_>) {}
}

/// Takes no interest.
impl EventSink for () {
    fn event(&self, _: Event) {}
}

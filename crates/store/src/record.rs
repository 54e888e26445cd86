//! What a session or a retained message must survive by.
//!
//! A replay of the records, in order, gives back all sessions: it never matches topics and never
//! chooses group members again, because each message names whom it is owed to.

use std::num::NonZeroU32;
use std::time::Duration;

use types::{
    ClientId, DeliveryNumber, Durability, MessageRef, PacketId, QoS, StoredSession,
    SubscriptionFilter, SubscriptionOptions, Time,
};

/// Who published a retained message (S47).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publisher<'a> {
    /// The client identifier.
    pub client: &'a str,
    /// The user; `None` is nobody in particular.
    pub user: Option<&'a str>,
    /// It had rules, groups or more from a back end, which are not known later.
    pub granted: bool,
}

/// One thing that happened. Borrowed: the store copies what it keeps.
///
/// The message itself goes by [`crate::Store::keep`], before the first record that refers to it.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// A session that outlives its connection began, was resumed, or its expiry changed; its
    /// client is connected.
    Session {
        /// The name for it in later records.
        session: StoredSession,
        /// Whose it is.
        client: &'a ClientId,
        /// The user that it belongs to; `None` is nobody in particular (S25).
        user: Option<&'a str>,
        /// How long it outlives its connection; `Duration::MAX` is for ever. Zero: a replay need
        /// not bring it back.
        expiry: Duration,
        /// The will of the connection (3.1.2.5).
        will: Option<WillParts<'a>>,
    },
    /// The connection of a session is over.
    Away {
        /// The session.
        session: StoredSession,
        /// When it ends; `None` is never.
        ends: Option<Time>,
        /// When its will is to be published; `None`: there is none, or no more.
        will: Option<Time>,
    },
    /// A session ended with all that belongs to it.
    SessionEnded {
        /// The session.
        session: StoredSession,
    },
    /// A subscription was made or changed.
    Subscribed {
        /// The session.
        session: StoredSession,
        /// What it subscribed to.
        filter: &'a SubscriptionFilter,
        /// With which options.
        options: SubscriptionOptions,
        /// And which identifier.
        id: Option<NonZeroU32>,
    },
    /// A subscription was taken back.
    Unsubscribed {
        /// The session.
        session: StoredSession,
        /// What it was subscribed to.
        filter: &'a SubscriptionFilter,
    },
    /// A message is owed to sessions.
    Owed {
        /// The message.
        message: MessageRef,
        /// The sessions, each once at most.
        deliveries: &'a [Delivery],
    },
    /// A message that waited was given a packet identifier.
    Sent {
        /// The session.
        session: StoredSession,
        /// Which of its deliveries.
        number: DeliveryNumber,
        /// The packet identifier.
        id: PacketId,
    },
    /// A delivery went one step on.
    Settled {
        /// The session.
        session: StoredSession,
        /// Which of its deliveries.
        number: DeliveryNumber,
        /// Which step.
        step: Settled,
    },
    /// A QoS 2 message arrived with this identifier: it stands in the same commit as what the
    /// message is owed to (MQTT-4.3.3-10).
    Received {
        /// The session that published it.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
    },
    /// A QoS 2 message with this identifier is owed to these sessions, but not to all that it is
    /// for: it stands in the same commit as what they are owed. [`Record::Received`] follows when
    /// all are recorded. If it never does, the message comes again, and must not come to them a
    /// second time.
    Begun {
        /// The session that published it.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
        /// Those that have it already, each for itself.
        owed: &'a [StoredSession],
    },
    /// The same for a member of a group: when the message comes again, it is not for the group.
    BegunInGroup {
        /// The session that published it.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
        /// The group of which a member has it.
        group: &'a SubscriptionFilter,
    },
    /// The publisher released the identifier.
    Released {
        /// The session.
        session: StoredSession,
        /// The packet identifier.
        id: PacketId,
    },
    /// A retained message was set. Of two changes of one topic the one with the higher sequence
    /// holds, whichever was recorded last.
    Retained {
        /// The message.
        message: MessageRef,
        /// Its topic.
        topic: &'a str,
        /// The order of changes over all workers.
        sequence: u64,
        /// Who published it; `None`: the server, or nobody noted it.
        publisher: Option<Publisher<'a>>,
    },
    /// The retained message of a topic was cleared.
    Cleared {
        /// The topic.
        topic: &'a str,
        /// The order of changes over all workers.
        sequence: u64,
    },
    /// A message left one member of a group and is on its way to another.
    Passed {
        /// The message.
        message: MessageRef,
        /// The group.
        group: &'a SubscriptionFilter,
    },
    /// It has arrived, or there is nobody to have it.
    Arrived {
        /// The message.
        message: MessageRef,
        /// The group.
        group: &'a SubscriptionFilter,
    },
}

/// A message owed to one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub session: StoredSession,
    /// The session's number for it; one more than the one before.
    pub number: DeliveryNumber,
    /// The QoS towards this client, 1 or 2.
    pub qos: QoS,
    /// The retain flag towards this client.
    pub retain: bool,
    /// The packet identifier, if it is sent at once.
    pub packet_id: Option<PacketId>,
    /// The identifiers of the subscriptions that matched.
    pub ids: Option<Box<[NonZeroU32]>>,
    /// The shared subscription that chose this client.
    pub share: Option<std::sync::Arc<SubscriptionFilter>>,
}

/// The steps of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// PUBREC arrived: the message is no longer needed, PUBREL follows.
    Received,
    /// PUBACK or PUBCOMP arrived, or the message was dropped: done.
    Done,
}

/// A will, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WillParts<'a> {
    /// Where it is published.
    pub topic: &'a str,
    /// Forwardable properties in the encoding of MQTT 5.0, without their length.
    pub properties: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// At this QoS.
    pub qos: QoS,
    /// With this retain flag.
    pub retain: bool,
    /// How long it waits.
    pub delay: Duration,
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
    /// What its acknowledgement would promise.
    pub durability: Durability,
}

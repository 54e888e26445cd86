//! What a session or a retained message must survive by.
//!
//! A replay of the records, in order, gives back the sessions of a worker: it never matches
//! topics and never chooses group members again, because each message names its sessions.

use std::num::NonZeroU32;
use std::time::Duration;

use types::{
    ClientId, Message, PacketId, QoS, SessionKey, SubscriptionFilter, SubscriptionOptions,
};

/// One thing that happened. Borrowed: the store copies what it keeps.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// A session that outlives its connection began, or its expiry changed.
    Session {
        /// The name for it in later records.
        session: SessionKey,
        /// Whose it is.
        client: &'a ClientId,
        /// How long it outlives its connection. Zero: a replay need not bring it back.
        expiry: Duration,
    },
    /// A session ended with all that belongs to it.
    SessionEnded {
        /// The session.
        session: SessionKey,
    },
    /// A subscription was made or changed.
    Subscribed {
        /// The session.
        session: SessionKey,
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
        session: SessionKey,
        /// What it was subscribed to.
        filter: &'a SubscriptionFilter,
    },
    /// A message is owed to sessions: once, however many they are.
    Message {
        /// The message.
        message: &'a Message,
        /// The sessions, each with the QoS at which it gets the message.
        recipients: &'a [(SessionKey, QoS)],
    },
    /// A QoS 2 message arrived with this identifier: it stands in the same commit as the
    /// message itself (MQTT-4.3.3-10).
    Received {
        /// The session that published it.
        session: SessionKey,
        /// The packet identifier.
        id: PacketId,
    },
    /// The publisher released the identifier.
    Released {
        /// The session.
        session: SessionKey,
        /// The packet identifier.
        id: PacketId,
    },
    /// A message on its way to a client went one step on.
    Settled {
        /// The session.
        session: SessionKey,
        /// The packet identifier.
        id: PacketId,
        /// Which step.
        step: Settled,
    },
    /// A retained message was set, or cleared if the payload is empty. Of two records for one
    /// topic the one with the higher sequence holds, whichever store has it.
    Retained {
        /// The message.
        message: &'a Message,
        /// The order of changes over all workers.
        sequence: u64,
    },
}

/// The steps of a QoS 1 or 2 message on its way to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// PUBREC arrived: PUBREL follows.
    Received,
    /// PUBACK or PUBCOMP arrived, or PUBREC with an error: done.
    Done,
}

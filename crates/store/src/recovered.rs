//! What a store gives back at the start.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use types::{
    ClientId, DeliveryNumber, Durability, PacketId, QoS, StoredBody, StoredSession,
    SubscriptionFilter, SubscriptionOptions, Time,
};

use crate::record::Publisher;

/// All that the records of earlier runs come to. Times are on the clock of this run, which starts
/// at [`Time::ZERO`]; what was due earlier is due at once.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The sessions, in the order of their numbers.
    pub sessions: Vec<RecoveredSession>,
    /// The retained messages.
    pub retained: Vec<RecoveredRetained>,
    /// Messages that were on their way from one member of a group to another.
    pub passed: Vec<(StoredBody, Arc<SubscriptionFilter>)>,
    /// The highest sequence of a change of retained messages.
    pub sequence: u64,
}

/// A session. Whether its client was connected makes no difference: it is not any more.
#[derive(Clone, Debug)]
pub struct RecoveredSession {
    /// Its number in the store.
    pub session: StoredSession,
    /// Whose it is.
    pub client: ClientId,
    /// The user that it belongs to.
    pub user: Option<Arc<str>>,
    /// How long it outlives its connection.
    pub expiry: Duration,
    /// When it ends; `None` is never.
    pub ends: Option<Time>,
    /// Its will, and when it is to be published.
    pub will: Option<(Time, RecoveredWill)>,
    /// What it subscribed to.
    pub subscriptions: Vec<RecoveredSubscription>,
    /// What it is owed, in order.
    pub deliveries: Vec<RecoveredDelivery>,
    /// The number of its next delivery.
    pub next: DeliveryNumber,
    /// Deliveries before this one that wait at QoS 1 may have been sent: the client was connected
    /// when a run ended, and a [`crate::Record::Sent`] waits for nobody.
    pub unsure: DeliveryNumber,
    /// QoS 2 identifiers of the client that it has not released.
    pub received: Vec<PacketId>,
    /// QoS 2 messages of the client that are not received as a whole.
    pub begun: Vec<(PacketId, RecoveredBegun)>,
}

/// Those that a QoS 2 message is not for when it comes again, because they have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredBegun {
    /// Sessions.
    pub sessions: Vec<StoredSession>,
    /// Groups.
    pub groups: Vec<SubscriptionFilter>,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredSubscription {
    /// What was subscribed to.
    pub filter: SubscriptionFilter,
    /// With which options.
    pub options: SubscriptionOptions,
    /// And which identifier.
    pub id: Option<NonZeroU32>,
}

/// A will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredWill {
    /// Where it is published.
    pub topic: Arc<str>,
    /// Forwardable properties in the encoding of MQTT 5.0, without their length.
    pub properties: Box<[u8]>,
    /// The payload.
    pub payload: Box<[u8]>,
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

/// A message owed to a session.
#[derive(Clone, Debug)]
pub struct RecoveredDelivery {
    /// The session's number for it.
    pub number: DeliveryNumber,
    /// The QoS towards the client.
    pub qos: QoS,
    /// The retain flag towards the client.
    pub retain: bool,
    /// The identifiers of the subscriptions that matched.
    pub ids: Option<Box<[NonZeroU32]>>,
    /// The shared subscription that chose the client.
    pub share: Option<Arc<SubscriptionFilter>>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has no packet identifier.
    Waiting(StoredBody),
    /// It was sent, or about to be, with this identifier.
    Sent(PacketId, StoredBody),
    /// PUBREC arrived; PUBREL is to be sent.
    Received(PacketId),
}

/// A retained message.
#[derive(Clone, Debug)]
pub struct RecoveredRetained {
    /// Its topic.
    pub topic: Arc<str>,
    /// The message.
    pub body: StoredBody,
    /// The order of changes.
    pub sequence: u64,
    /// Who published it, if that was noted.
    pub publisher: Option<Arc<RecoveredPublisher>>,
}

/// Who published retained messages: one for all of the same client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecoveredPublisher {
    /// The client identifier.
    pub client: Arc<str>,
    /// The user; `None` is nobody in particular.
    pub user: Option<Arc<str>>,
    /// It had rules, groups or more from a back end.
    pub granted: bool,
}

impl RecoveredPublisher {
    /// The same, borrowed.
    pub fn as_record(&self) -> Publisher<'_> {
        Publisher {
            client: &self.client,
            user: self.user.as_deref(),
            granted: self.granted,
        }
    }
}

impl From<Publisher<'_>> for RecoveredPublisher {
    fn from(publisher: Publisher<'_>) -> Self {
        Self {
            client: publisher.client.into(),
            user: publisher.user.map(Into::into),
            granted: publisher.granted,
        }
    }
}

//! A message on its way to one client.

use std::num::NonZeroU32;
use std::sync::Arc;

use types::{Body, DeliveryNumber, PacketId, QoS, SubscriptionFilter};

/// One message on its way to one client.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The message that all recipients share, in memory or in the store.
    pub body: Body,
    /// What the store calls this delivery; `None` if the store does not know of it.
    pub number: Option<DeliveryNumber>,
    /// The QoS towards this client (MQTT-3.8.4-8).
    pub qos: QoS,
    /// The retain flag towards this client (MQTT-3.3.1-12, -13).
    pub retain: bool,
    /// What matters of the subscriptions that matched.
    pub matched: Matched,
}

/// What matters to a client of the subscriptions that matched a message. Most often nothing
/// does, and then it takes no memory of its own.
#[derive(Clone, Debug, Default)]
pub struct Matched(Option<Arc<Named>>);

#[derive(Debug)]
struct Named {
    ids: Box<[NonZeroU32]>,
    share: Option<Arc<SubscriptionFilter>>,
}

impl Matched {
    /// The identifiers of the subscriptions that matched (MQTT-3.3.4-3, -4), and the shared
    /// subscription that chose the client.
    pub fn new(ids: Option<Box<[NonZeroU32]>>, share: Option<Arc<SubscriptionFilter>>) -> Self {
        let ids = ids.unwrap_or_default();
        let named = !ids.is_empty() || share.is_some();
        Self(named.then(|| Arc::new(Named { ids, share })))
    }

    /// The identifiers of the subscriptions that matched (MQTT-3.3.4-3, -4).
    pub fn ids(&self) -> &[NonZeroU32] {
        self.0.as_ref().map_or(&[], |named| &named.ids)
    }

    /// The shared subscription that chose this client; another member may get the message if
    /// this one leaves it unacknowledged.
    pub fn share(&self) -> Option<&Arc<SubscriptionFilter>> {
        self.0.as_ref()?.share.as_ref()
    }
}

/// When a packet may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now.
    Now,
    /// When the store has its record safe: a client must not see a QoS 2 identifier, or its
    /// PUBREL, that a crash would take back.
    Safe,
}

/// A delivery that an earlier run left.
#[derive(Clone, Debug)]
pub enum Restored {
    /// It has no packet identifier.
    Waiting(Outbound),
    /// It was sent, or about to be, with this identifier.
    Sent(PacketId, Outbound),
    /// PUBREC arrived; PUBREL is to be sent.
    Received(PacketId, Option<DeliveryNumber>),
}

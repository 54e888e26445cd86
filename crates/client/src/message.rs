//! Application messages, owned: both what is published and what arrives.

use codec::{Publish, PublishProperties, UserPropertiesBuf};
use types::{PacketId, QoS};

/// An application message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The topic; never empty, aliases are resolved.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// QoS.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// Properties of 5.0; left out towards a server of MQTT 3.
    pub properties: MessageProperties,
}

impl Message {
    /// A message of QoS 0 without properties.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: MessageProperties::default(),
        }
    }

    /// The PUBLISH that carries the message.
    pub(crate) fn packet(&self, dup: bool, packet_id: Option<PacketId>) -> Publish<'_> {
        Publish {
            dup,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id,
            properties: PublishProperties {
                message_expiry: self.properties.message_expiry,
                topic_alias: self.properties.topic_alias,
                forward: self.properties.forward(),
                ..PublishProperties::default()
            },
            payload: &self.payload,
        }
    }
}

/// Properties of a message or a will (3.3.2.3).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageProperties {
    /// Payload Format Indicator: `true` is UTF-8 text.
    pub payload_is_utf8: Option<bool>,
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
    /// Topic Alias: as received, or to be set with the topic that goes with it.
    pub topic_alias: Option<u16>,
    /// Content Type.
    pub content_type: Option<String>,
    /// Response Topic.
    pub response_topic: Option<String>,
    /// Correlation Data.
    pub correlation_data: Option<Vec<u8>>,
    /// User Properties, in order.
    pub user: UserPropertiesBuf,
}

/// A message that arrived, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// Sent before, perhaps (MQTT-3.3.1-1); for QoS 2 the session has removed repetitions.
    pub dup: bool,
    /// Present exactly if QoS is above 0.
    pub packet_id: Option<PacketId>,
    /// Subscription Identifiers, in order.
    pub subscription_ids: Vec<u32>,
}

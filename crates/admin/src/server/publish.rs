//! Messages that are published by the API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::message::Bytes;

/// The door by which the API publishes.
pub trait Publish: Send + Sync {
    /// Publishes a message as a client would, and answers when it is as safe as its class of
    /// durability says.
    ///
    /// # Errors
    /// [`crate::Failure::Invalid`] if a topic or property is none, or the message is too large;
    /// [`crate::Failure::Denied`] for topics of the server; [`crate::Failure::Busy`] if a worker or
    /// the store is behind or does not answer in time; [`crate::Failure::Unavailable`] if there is no
    /// room for it.
    fn publish(&self, publication: Publication) -> Answer<'_, Published>;

    /// Publishes several: all are on their way before the first is waited for. Those of one topic keep
    /// their order. Each has its own outcome, in the order of the messages.
    fn publish_all(
        &self,
        publications: Vec<Publication>,
    ) -> Answer<'_, Vec<Result<Published, crate::Failure>>>;
}

/// A message of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// The topic, as the server knows it: with the mount of a listener, if there is one.
    pub topic: String,
    /// The payload.
    pub payload: Bytes,
    /// The QoS, 0 to 2.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// Properties.
    pub properties: NewProperties,
}

/// Properties of MQTT 5.0 for a message, as EMQX names them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewProperties {
    /// 1: the payload is text in UTF-8.
    #[schema(minimum = 0, maximum = 1)]
    pub payload_format_indicator: Option<u8>,
    /// Seconds for which it is worth sending.
    pub message_expiry_interval: Option<u32>,
    /// Where an answer is expected.
    pub response_topic: Option<String>,
    /// What an answer is to carry, as text.
    pub correlation_data: Option<String>,
    /// What kind of payload it is.
    pub content_type: Option<String>,
    /// User properties.
    pub user_properties: BTreeMap<String, String>,
}

/// A message that is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// A name for it, which no other has.
    pub id: String,
    /// Whether anybody is subscribed to it.
    pub reached: bool,
}

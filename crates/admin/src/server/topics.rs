//! The topics that there are: what is published while somebody looks, and what is retained.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::message::{Bytes, MessageProperties};
use crate::{Failure, Stamp};

/// The topics. To ask is to watch: workers tell of messages for a while behind each question, and of
/// none when nobody has asked for some time.
pub trait Topics: Send + Sync {
    /// One level of the topics, in the order of the names' bytes: as many as wanted, or as have a MiB of
    /// names and topics together. It may wait for a moment.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] if the server ends or the system gives no thread.
    fn level(&self, wanted: &LevelWanted) -> Result<Level, Failure>;

    /// The last value of a topic that was seen, and those before it; `None`: nothing was. It may wait
    /// for a moment.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] if the server ends or the system gives no thread.
    fn seen(&self, topic: &str) -> Result<Option<LastValue>, Failure>;

    /// What is retained of a topic, as its last value.
    ///
    /// # Errors
    /// [`Failure::NotFound`] if nothing is.
    fn kept(&self, topic: String) -> Answer<'_, LastValue>;
}

/// Which topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LevelWanted {
    /// Below this one; `None`: the first level.
    pub under: Option<String>,
    /// Behind this name.
    pub after: Option<String>,
    /// Most names.
    pub limit: usize,
}

/// One level of the topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Level {
    /// The names.
    pub data: Vec<TopicNode>,
    /// How to go on, and what is to be known of the figures.
    pub meta: LevelMeta,
}

/// What is to be known of a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LevelMeta {
    /// The last name, to go on behind; absent: this was all.
    pub after: Option<String>,
    /// Figures are estimates, and topics may be missing: not each message was looked at, or there
    /// are more topics than are kept.
    pub sampled: bool,
    /// Since when live topics are watched; messages before are not counted.
    pub since: Stamp,
}

/// A name in a level of the topics. What is counted is of this topic and of all below it, since
/// somebody watches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopicNode {
    /// The name of the level.
    pub name: String,
    /// The whole topic up to here.
    pub topic: String,
    /// Names in the level below. Of retained messages that were not published while somebody
    /// watched, no more than 16 are counted.
    pub children: u64,
    /// Messages.
    pub messages: u64,
    /// Messages in a second, of the last ten.
    pub rate: f64,
    /// Bytes of payloads in a second, of the last ten.
    pub bytes_rate: f64,
    /// Whether a message is retained on this topic itself.
    pub retained: bool,
    /// When the last message was seen.
    pub last_at: Option<Stamp>,
}

/// The last value of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LastValue {
    /// The topic.
    pub topic: String,
    /// The value.
    #[serde(flatten)]
    pub value: Value,
    /// Values that were seen, the newest first, this one too: at most 20.
    pub history: Vec<Value>,
}

/// A message as a value of its topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Value {
    /// The payload, of a long one the beginning.
    pub payload: Bytes,
    /// Bytes of the whole payload.
    pub size: u64,
    /// The payload is longer than what is here.
    pub truncated: bool,
    /// The QoS with which it was published.
    pub qos: u8,
    /// Whether it was published to be retained.
    pub retain: bool,
    /// When it was seen; absent for a retained message whose time is not known.
    pub at: Option<Stamp>,
    /// Who published it, if that was seen.
    pub from_clientid: Option<String>,
    /// Its properties, if it has any.
    pub properties: Option<MessageProperties>,
}

//! The last message of a topic, kept for who subscribes later.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::message::{Absent, Bytes, MessageProperties};
use crate::{Piece, Stamp};

/// Retained messages.
pub trait Retained: Send + Sync {
    /// Some of the messages whose topics match a filter, by topic: at most `limit`, and perhaps fewer
    /// although there are more. Without payloads.
    ///
    /// # Errors
    /// [`crate::Failure::Invalid`] if the filter or the cursor is none; [`crate::Failure::Busy`] if a
    /// worker does not answer in time.
    fn messages(
        &self,
        filter: String,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<RetainedMessage>>;

    /// The message of a topic, with up to [`PAYLOAD`] bytes of its payload.
    ///
    /// # Errors
    /// [`crate::Failure::NotFound`] if there is none; otherwise as [`Retained::messages`].
    fn message(&self, topic: String) -> Answer<'_, RetainedMessage>;

    /// Forgets all messages whose topics match a filter, step by step; answers how many they were
    /// when that is safe. Nobody hears of it: subscribers keep what they were sent.
    ///
    /// # Errors
    /// As [`Retained::messages`]; some may be gone then.
    fn clear(&self, filter: String) -> Answer<'_, u64>;
}

/// Most bytes of a payload that are shown.
pub const PAYLOAD: usize = 1024 * 1024;

/// A retained message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RetainedMessage {
    /// Its topic.
    pub topic: String,
    /// Its QoS; absent if the message was not looked at.
    pub qos: Option<u8>,
    /// When it came, if it is stored.
    pub publish_at: Option<Stamp>,
    /// The client that published it; absent if that was the server or the API.
    pub from_clientid: Option<String>,
    /// The user of that client.
    pub from_username: Option<String>,
    /// Bytes of its payload; of the message as a whole if it was not looked at.
    pub size: u64,
    /// When it expires.
    pub expires_at: Option<Stamp>,
    /// Its properties; none in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<MessageProperties>,
    /// Its payload, at most the first MiB; none in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Bytes>,
    /// Why something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absent>,
}

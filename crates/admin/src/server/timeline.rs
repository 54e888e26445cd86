//! What happened to a client.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Stamp;

/// What happened to a client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Events, the newest first.
    pub data: Vec<TimelineEvent>,
    /// What is to be known of them.
    pub meta: TimelineMeta,
}

/// What is to be known of a timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineMeta {
    /// Events of all clients that were not kept because two came at the same moment.
    pub lost: u64,
}

/// Something that happened to a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEvent {
    /// When; of several that became one, the last.
    pub at: Stamp,
    /// What.
    pub event: TimelineKind,
    /// Why, or how, in words.
    pub reason: Option<String>,
    /// What more there is to say.
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>)]
    pub detail: Option<serde_json::Map<String, serde_json::Value>>,
    /// From where.
    pub peer: Option<String>,
}

/// What happened to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKind {
    /// It was let in.
    Connected,
    /// A provider said who it is.
    Authenticated,
    /// It was not let in.
    Refused,
    /// Another connection took its session.
    Takeover,
    /// Its connection ended.
    Disconnected,
    /// It subscribed.
    Subscribed,
    /// It ended a subscription.
    Unsubscribed,
    /// It was not allowed what it wanted.
    Denied,
    /// It did not get messages, or they were not taken from it.
    Dropped,
    /// It met a limit.
    Quota,
    /// It was banned.
    Ban,
    /// Its session ended.
    SessionEnded,
}

//! Messages that somebody did not get.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Stamp;

/// Messages that were dropped since the server started. All are counted by reason; by client and by
/// topic, those with the most are known, by estimates when many were dropped at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Drops {
    /// All.
    pub total: u64,
    /// By reason, the most first; reasons for which none was dropped are left out.
    pub by_reason: Vec<DropsByReason>,
    /// The 100 clients with the most.
    pub by_client: Vec<DropsByClient>,
    /// The 100 topics with the most.
    pub by_topic: Vec<DropsByTopic>,
    /// The newest of those that were looked at, the newest first: at most 200.
    pub samples: Vec<DropSample>,
}

/// Messages dropped for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DropsByReason {
    /// A word: `queue_full`, `expired`, `too_large`, ...
    pub reason: String,
    /// How many.
    pub count: u64,
    /// How many in a second since somebody asked before, up to 15 seconds ago; 0 for who asks first.
    pub rate: f64,
}

/// Messages that a client did not get, or that were not taken from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DropsByClient {
    /// The client.
    pub clientid: String,
    /// About how many.
    pub count: u64,
    /// Why the last of them was.
    pub reason: String,
}

/// Messages on a topic that somebody did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DropsByTopic {
    /// The topic.
    pub topic: String,
    /// About how many.
    pub count: u64,
    /// Why the last of them was.
    pub reason: String,
}

/// A message that somebody did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DropSample {
    /// When.
    pub at: Stamp,
    /// Why, in a word.
    pub reason: String,
    /// Who should have had it, or, if that is nobody in particular, who sent it.
    pub clientid: Option<String>,
    /// Its topic, if it was at hand.
    pub topic: Option<String>,
    /// At which QoS, if that is known.
    pub qos: Option<u8>,
    /// Bytes.
    pub size: u64,
    /// What more there is to say.
    pub detail: Option<String>,
}

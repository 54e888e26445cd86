//! What is kept, and how safely.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::authentication::Bucket;

/// What acknowledgements promise, and what the store holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Store {
    /// What an acknowledged message survives if no rule says otherwise: nothing (`memory`), a crash
    /// of the server (`os`), a power cut (`disk`).
    pub durability: String,
    /// Listeners with a class of their own.
    pub listeners: Vec<ListenerDurability>,
    /// Topics with a class of their own; the longest prefix holds.
    pub topics: Vec<TopicDurability>,
    /// Figures; absent if nothing is stored.
    pub figures: Option<StoreFigures>,
}

/// The class of what is published through a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerDurability {
    /// The listener.
    pub listener: String,
    /// `memory`, `os` or `disk`.
    pub durability: String,
}

/// The class of what is published below a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicDurability {
    /// What the topics begin with.
    pub prefix: String,
    /// `memory`, `os` or `disk`.
    pub durability: String,
}

/// Figures of the store, since the start where they count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoreFigures {
    /// How it fares: `ok`, `slow`, `full`, `failed` and the like, as in
    /// `$SYS/broker/store/state`.
    pub state: String,
    /// Bytes on the disk.
    pub disk_bytes: u64,
    /// Bytes of records that are needed.
    pub live_bytes: u64,
    /// Messages that are owed to somebody or retained.
    pub messages: u64,
    /// Seconds since the oldest of them came; absent if there is none.
    pub oldest_seconds: Option<u64>,
    /// Messages that were found damaged.
    pub damaged: u64,
    /// Syncs of the disk.
    pub syncs: u64,
    /// Writes and syncs that failed.
    pub failures: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Bytes that wait to be written.
    pub backlog_bytes: u64,
    /// How many commits took how long, from the first write to the end of the sync; not cumulative.
    pub commits: Vec<Bucket>,
}

//! Who takes longest.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::Stamp;

/// Those who are slow. To ask is to watch: workers are asked every second for a while behind each
/// question, so that times are known to about a second.
pub trait Slow: Send + Sync {
    /// The slowest first, of those that were seen since somebody watches.
    ///
    /// # Errors
    /// [`crate::Failure::Unavailable`] if the system gives no thread.
    fn slow(&self) -> Answer<'_, Vec<SlowSubscription>>;

    /// Forgets all.
    fn forget_slow(&self);
}

/// A client that takes long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SlowSubscription {
    /// The client.
    pub clientid: String,
    /// The topic of the message that waited longest, if it was at hand; empty otherwise.
    pub topic: String,
    /// How long the message waited for its acknowledgement, or, at QoS 0, for how long the client
    /// took nothing. In milliseconds.
    pub timespan_ms: u64,
    /// What it did not do in that time.
    pub waits_for: SlowKind,
    /// When it was looked at last.
    pub last_update: Stamp,
}

/// What a slow client does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SlowKind {
    /// It does not acknowledge.
    Acknowledgement,
    /// It takes no bytes.
    Reading,
}

//! What runs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Stamp;

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The server's version.
    pub version: String,
    /// Where it is in its life.
    pub state: State,
    /// When it started.
    pub started_at: Stamp,
    /// Seconds since then.
    pub uptime: u64,
    /// Event loops.
    pub workers: u64,
    /// Clients that are connected.
    pub connections: u64,
    /// Sessions, of connected clients and of those that are away.
    pub sessions: u64,
    /// What is wrong, in words; none: nothing.
    pub alarms: Vec<String>,
}

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It reads its store.
    Starting,
    /// It serves.
    Running,
    /// It ends connections.
    Stopping,
}

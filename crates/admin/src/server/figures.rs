//! What the server does, in numbers.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::Stamp;

/// What the server does, in numbers. Everything here answers at once, from memory.
pub trait Figures: Send + Sync {
    /// The newest overview; it is made anew each second.
    fn overview(&self) -> Arc<Overview>;

    /// Each overview from now on.
    fn overviews(&self) -> watch::Receiver<Arc<Overview>>;

    /// What was noted in the span up to now: the oldest first, at most 720.
    fn monitor(&self, latest: Duration) -> Vec<Sample>;

    /// What is counted, as it is now.
    fn counts(&self) -> Counts;

    /// What the machine says of itself.
    fn machine(&self) -> Machine;

    /// By which names metrics are told.
    fn names(&self) -> Names;

    /// Whether clients can be served; if not, why, in one word.
    fn readiness(&self) -> Result<(), &'static str>;
}

/// By which names metrics are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Our own.
    #[default]
    Own,
    /// EMQX's, for what it has a name for; the others keep ours.
    Emqx,
}

/// The server at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// The server's version.
    pub version: String,
    /// The server's name.
    pub node: String,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// When it started.
    pub started_at: Stamp,
    /// Clients that are connected.
    pub connections: u64,
    /// Sessions, of connected clients and of those that are away.
    pub sessions: u64,
    /// Subscriptions, shared ones among them.
    pub subscriptions: u64,
    /// Shared subscriptions.
    pub shared_subscriptions: u64,
    /// Topic filters that somebody subscribed to.
    pub topics: u64,
    /// Retained messages.
    pub retained: u64,
    /// PUBLISH packets that came in the last second.
    pub messages_in_per_s: f64,
    /// PUBLISH packets that went out in the last second.
    pub messages_out_per_s: f64,
    /// Messages that were dropped in the last second.
    pub dropped_per_s: f64,
    /// Bytes that came in the last second.
    pub bytes_in_per_s: f64,
    /// Bytes that went out in the last second.
    pub bytes_out_per_s: f64,
    /// How busy the process keeps the machine's processors, all of them being 100. Absent where the
    /// system does not tell, as are those below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Bytes of memory that the process holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Bytes of the store on the disk; absent if nothing is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Bytes that are free where the data folder is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Files and sockets that are open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Most files and sockets that may be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files_limit: Option<u64>,
    /// The event loops.
    pub workers: Vec<WorkerLoad>,
    /// The store; absent if nothing is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<OverviewStore>,
    /// Alarms that are active.
    pub alarms: u64,
}

/// An event loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerLoad {
    /// Its number.
    pub id: u64,
    /// Clients that are connected to it.
    pub connections: u64,
    /// How busy it was in the last second, a processor core being 100; zero where the system does
    /// not tell.
    pub busy_percent: f64,
}

/// The store at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OverviewStore {
    /// What an acknowledged message survives, unless a rule says otherwise: `memory`, `os`, `disk`.
    pub class: String,
    /// Messages that are owed to somebody or retained.
    pub messages: u64,
    /// Bytes of records that are needed.
    pub bytes: u64,
    /// Milliseconds since the oldest message came; zero if there is none.
    pub oldest_ms: u64,
    /// Half of the commits took at most so many microseconds, of those of the last minutes. It is
    /// as exact as the histogram.
    pub commit_p50_us: u64,
    /// 99 of 100 commits took at most so many microseconds.
    pub commit_p99_us: u64,
    /// Syncs of the disk since the start.
    pub syncs: u64,
    /// Writes and syncs that failed since the start.
    pub sync_failures: u64,
    /// How it fares: `ok`, `slow`, `full` or `failed`.
    pub state: String,
}

/// What was noted at a point in time, of the step up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When, in milliseconds since 1970.
    pub time_stamp: u64,
    /// Clients that were connected.
    pub connections: u64,
    /// PUBLISH packets that came in this step.
    pub received: u64,
    /// PUBLISH packets that went out in this step.
    pub sent: u64,
    /// Messages that were dropped in this step.
    pub dropped: u64,
    /// Bytes that came in this step.
    pub bytes_in: u64,
    /// Bytes that went out in this step.
    pub bytes_out: u64,
    /// How busy the process kept the machine's processors, on average, all of them being 100.
    pub cpu_percent: f64,
    /// Bytes of memory that the process held.
    pub memory_bytes: u64,
    /// Bytes of the store on the disk.
    pub disk_bytes: u64,
}

/// What is counted, since the start of the server where it is not a state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Packets of any kind that arrived.
    pub packets_received: u64,
    /// Packets of any kind that were sent.
    pub packets_sent: u64,
    /// Bytes that arrived.
    pub bytes_received: u64,
    /// Bytes that were sent.
    pub bytes_sent: u64,
    /// PUBLISH packets that arrived, by QoS.
    pub messages_received: [u64; 3],
    /// PUBLISH packets that were sent, by QoS.
    pub messages_sent: [u64; 3],
    /// Bytes of payloads that arrived.
    pub payload_received: u64,
    /// Bytes of payloads that were sent.
    pub payload_sent: u64,
    /// Bytes of payloads of messages that were dropped.
    pub payload_dropped: u64,
    /// Messages that were dropped, by reason.
    pub drops: Vec<(&'static str, u64)>,
    /// CONNECT packets that arrived.
    pub connects: u64,
    /// Links that were accepted.
    pub links_opened: u64,
    /// Links that were closed at once because there are too many.
    pub links_refused: u64,
    /// Clients that were let in.
    pub connected: u64,
    /// Connections of clients that ended, by reason.
    pub disconnected: Vec<(&'static str, u64)>,
    /// Links that ended before a client was let in, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// What was denied: by what was wanted.
    pub denied: Vec<(&'static str, u64)>,
    /// Connections that took over another.
    pub takeovers: u64,
    /// Sessions that expired.
    pub sessions_expired: u64,
    /// Most links that were open at once.
    pub most_connections: u64,
    /// Messages that wait in queues.
    pub queued: u64,
    /// Bytes of messages that wait in queues.
    pub queued_bytes: u64,
    /// Bytes of retained messages.
    pub retained_bytes: u64,
    /// Bytes that links hold whose client is not let in yet.
    pub unauthenticated_bytes: u64,
    /// Groups of shared subscriptions.
    pub shared_groups: u64,
    /// Connections that ended by a mistake of the server's own.
    pub panics: u64,
    /// Times that no more links were accepted for want of descriptors or memory.
    pub accept_pauses: u64,
    /// The event loops, by number.
    pub workers: Vec<WorkerCounts>,
    /// Seconds of processor time that the process took.
    pub cpu_seconds: Option<f64>,
    /// Most bytes of memory that the process held at once.
    pub most_memory: Option<u64>,
    /// Bytes of the disk of the data folder.
    pub disk_size: Option<u64>,
    /// Bytes of memory that the server may use for messages and buffers; zero: no bound.
    pub memory_budget: u64,
    /// What goes to a collector, signal by signal; none if nothing does.
    pub telemetry: Vec<TelemetryCounts>,
    /// Messages that were to be followed and are not, because too many are.
    pub unfollowed: Option<u64>,
}

/// What is counted of what goes to a collector of metrics and traces.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TelemetryCounts {
    /// `traces` or `metrics`.
    pub signal: &'static str,
    /// Spans or values that it took.
    pub sent: u64,
    /// Spans or values that it did not take, or that there was no room for.
    pub dropped: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Whether the last request failed.
    pub is_failing: bool,
}

/// What is counted of an event loop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkerCounts {
    /// Clients that are connected to it.
    pub connections: u64,
    /// Seconds of processor time that it took.
    pub cpu_seconds: Option<f64>,
    /// Bytes of mail on its way to it.
    pub mailbox_bytes: u64,
}

/// What the machine says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Machine {
    /// Processes that ran or wanted to, on average over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Bytes of memory.
    pub memory: Option<u64>,
}

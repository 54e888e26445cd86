//! Traces: what happens to one client, topic or address, line by line.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Failure, Record, Stamp};

/// Traces. Their lines are written beside the workers; what they could not take is counted and told
/// in the trace.
pub trait Traces: Send + Sync {
    /// All, the newest first. They outlive the server.
    ///
    /// # Errors
    /// The folder of traces cannot be read.
    fn traces(&self) -> Result<Vec<Trace>, Failure>;

    /// One.
    ///
    /// # Errors
    /// [`Failure::NotFound`].
    fn trace(&self, name: &str) -> Result<Trace, Failure>;

    /// Starts one. Only a prepared request comes here: see [`NewTrace`].
    ///
    /// # Errors
    /// [`Failure::Exists`], [`Failure::Invalid`], [`Failure::Busy`] if there are as many as there may
    /// be, or the disk does not take it.
    fn start_trace(&self, new: NewTrace, record: &Record) -> Result<Trace, Failure>;

    /// Stops one; its lines stay.
    ///
    /// # Errors
    /// As [`Traces::trace`].
    fn stop_trace(&self, name: &str, record: &Record) -> Result<Trace, Failure>;

    /// Stops one and removes its lines.
    ///
    /// # Errors
    /// As [`Traces::trace`], or the disk does not.
    fn delete_trace(&self, name: &str, record: &Record) -> Result<(), Failure>;

    /// Lines from this byte on, at most so many bytes, and whole ones unless one is longer.
    ///
    /// # Errors
    /// As [`Traces::trace`], or the disk does not give them.
    fn read_trace(&self, name: &str, position: u64, bytes: usize) -> Result<Chunk, Failure>;
}

/// A trace that is to be started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrace {
    /// Its name: 1 to 64 letters, digits, `-` and `_`.
    pub name: String,
    /// What is traced.
    #[serde(rename = "type")]
    pub kind: TraceKind,
    /// Which client, which topics by a filter, or which address.
    pub value: String,
    /// When it begins; now unless given.
    #[serde(default)]
    pub start_at: Option<Stamp>,
    /// When it ends: at most an hour after it began, which is also what holds unless given.
    #[serde(default)]
    pub end_at: Option<Stamp>,
    /// What is written of payloads.
    #[serde(default)]
    pub payload_encode: PayloadEncode,
}

/// What is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceKind {
    /// A client, by its identifier.
    #[serde(rename = "clientid")]
    ClientId,
    /// Topics that a filter matches, with the mount of a listener.
    Topic,
    /// Clients that are connected from an address.
    IpAddress,
}

/// What is written of payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayloadEncode {
    /// Nothing.
    #[default]
    Hidden,
    /// The first 1024 bytes, as text.
    Text,
    /// The first 1024 bytes, as hexadecimal digits.
    Hex,
}

/// A trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// Its name.
    pub name: String,
    /// What is traced.
    #[serde(rename = "type")]
    pub kind: TraceKind,
    /// Which client, which topics, or which address.
    pub value: String,
    /// Whether it goes on.
    pub status: TraceStatus,
    /// When it began, or will.
    pub start_at: Stamp,
    /// When it ends, or ended.
    pub end_at: Stamp,
    /// What is written of payloads.
    pub payload_encode: PayloadEncode,
    /// Bytes of its lines.
    pub size: u64,
    /// Lines that were not written because there were too many at once.
    pub lost: u64,
}

/// Whether a trace goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceStatus {
    /// Its time has not come.
    Waiting,
    /// It goes on.
    Running,
    /// It is over.
    Stopped,
}

/// Lines of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chunk {
    /// The lines.
    pub items: String,
    /// Where they were.
    pub meta: ChunkMeta,
}

/// Where lines of a trace were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkMeta {
    /// Where to go on, in bytes.
    pub position: u64,
    /// How many bytes these are.
    pub bytes: u64,
}

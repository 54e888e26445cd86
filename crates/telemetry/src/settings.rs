//! Where to, and as whom.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Where metrics and traces go, and what is said of who sends them.
#[derive(Clone)]
pub struct Settings {
    /// Address of the collector, such as `http://localhost:4318`: `/v1/traces` and `/v1/metrics` are
    /// put behind it. A name and a password in it are sent as the header `authorization`.
    pub endpoint: String,
    /// Further headers, which nobody else may see.
    pub headers: Vec<(String, String)>,
    /// Who vouches for the collector by TLS (PEM); without it the authorities that browsers trust.
    pub ca: Option<PathBuf>,
    /// How long the collector may take for an answer.
    pub timeout: Duration,
    /// What is said of the server with all that is sent (`Resource`).
    pub resource: Vec<(String, String)>,
    /// The version of the server.
    pub version: &'static str,
    /// How often metrics are sent; `None`: never.
    pub metrics: Option<Duration>,
    /// Whether traces are sent.
    pub traces: bool,
    /// Since when what only grows is counted.
    pub started: SystemTime,
}

/// Without what nobody may see.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("metrics", &self.metrics)
            .field("traces", &self.traces)
            .finish_non_exhaustive()
    }
}

/// Why nothing can be sent. It shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

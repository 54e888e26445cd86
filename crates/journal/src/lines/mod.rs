//! Export and import: what lives in a store, one JSON object a line. Pure: lines go out by a
//! closure and come in one by one. docs/storage.md, "Export", has every line.

use std::fmt;

mod export;
mod import;
mod json;

pub use export::{Exported, export};
pub use import::{Header, Import};

/// The version of the lines, in the first one. Another is refused.
pub const VERSION: u64 = 1;

/// How many lines of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Sessions.
    pub sessions: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Messages.
    pub messages: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Topics with a retained message, or without one since lately.
    pub retained: u64,
    /// Messages on their way between members of a group.
    pub passed: u64,
}

impl LineCounts {
    /// The counts with the names that they have in the last line.
    fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("sessions", self.sessions),
            ("subscriptions", self.subscriptions),
            ("messages", self.messages),
            ("deliveries", self.deliveries),
            ("retained", self.retained),
            ("passed", self.passed),
        ]
    }
}

/// A line that cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for LineError {}

#[cfg(test)]
mod tests;

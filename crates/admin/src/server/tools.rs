//! The log's level, and a copy of all that is kept.

use std::io::Write;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Failure, Record};

/// The log. Answers at once.
pub trait Logging: Send + Sync {
    /// How much is written.
    fn level(&self) -> Level;

    /// Writes more or less, until the configuration is read again or the server restarts.
    ///
    /// # Errors
    /// The log is gone.
    fn set_level(&self, level: Level, record: &Record) -> Result<(), Failure>;
}

/// How much is written into the log. Each has what those before it have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What does not work.
    Error,
    /// What is odd.
    Warn,
    /// What an operator wants to know of a normal day.
    #[default]
    Info,
    /// Each connection.
    Debug,
    /// Everything.
    Trace,
}

/// A copy of all that is kept. May wait for a disk, and take minutes.
pub trait Backup: Send + Sync {
    /// Writes it, a JSON object a line: first what it is, last that it is whole.
    ///
    /// # Errors
    /// Something cannot be read, or `out` takes no more. What was written is then not whole, and says
    /// so by its missing last line.
    fn export(&self, out: &mut dyn Write) -> Result<(), Failure>;
}

//! The log's level, and copies of all that is kept.

use std::io::{self, Write};
use std::path::Path;

use admin::server::tools::{Backup, Level, Logging};
use admin::{Failure, Record, Stamp};
use config::LogLevel;
use serde_json::{Value, json};
use tracing::info;

use super::Steer;
use crate::cli::store;
use crate::storage;

/// The form of copies that this version writes and reads.
pub(crate) const FORM: u64 = 1;

/// Files of the data folder that a copy has as they are.
pub(crate) const ADMINISTRATORS: &str = "administrators.json";

impl Logging for Steer {
    fn level(&self) -> Level {
        match self.level.now() {
            Some(LogLevel::Error) => Level::Error,
            Some(LogLevel::Warn) => Level::Warn,
            Some(LogLevel::Info) | None => Level::Info,
            Some(LogLevel::Debug) => Level::Debug,
            Some(LogLevel::Trace) => Level::Trace,
        }
    }

    fn set_level(&self, level: Level, record: &Record) -> Result<(), Failure> {
        let (wanted, now) = match level {
            Level::Error => (LogLevel::Error, "error"),
            Level::Warn => (LogLevel::Warn, "warn"),
            Level::Info => (LogLevel::Info, "info"),
            Level::Debug => (LogLevel::Debug, "debug"),
            Level::Trace => (LogLevel::Trace, "trace"),
        };
        record.done(Some(&Logging::level(self)), Some(&level))?;
        let set = self.level.set(wanted);
        set.map_err(|error| Failure::Unavailable(format!("the log: {error}")))?;
        info!(now, "the log's level was changed");
        Ok(())
    }
}

/// Lines on their way out.
struct Lines<'a> {
    out: &'a mut dyn Write,
    count: u64,
}

impl Lines<'_> {
    fn add(&mut self, line: &str) -> io::Result<()> {
        self.count += 1;
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }

    fn value(&mut self, value: &Value) -> io::Result<()> {
        self.add(&value.to_string())
    }
}

impl Backup for Steer {
    fn export(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let gone = |error: io::Error| Failure::Unavailable(format!("the copy: {error}"));
        let mut lines = Lines { out, count: 0 };
        let head = json!({ "nightjar_backup": {
            "form": FORM,
            "version": env!("CARGO_PKG_VERSION"),
            "at": Stamp::now(),
        }});
        lines.value(&head).map_err(gone)?;
        if let Some(line) = self.kept.backup()? {
            lines.value(&line).map_err(gone)?;
        }
        let administrators = self.data_dir.join(ADMINISTRATORS);
        if administrators.exists() {
            let line = file_line("administrators", &administrators)?;
            lines.value(&line).map_err(gone)?;
        }
        let access = self.doors.access().rows(&mut |row| {
            let row = json!([row.table, row.key, row.record]);
            lines.value(&json!({ "access": row }))
        });
        access.map_err(|error| Failure::Unavailable(error.to_string()))?;
        let store = store::copy(&self.data_dir.join(storage::FOLDER), &mut |line| {
            lines.add(&format!("{{\"store\":{line}}}"))
        });
        store.map_err(|why| Failure::Unavailable(format!("the store: {why}")))?;
        let end = json!({ "end": { "lines": lines.count } });
        lines.value(&end).map_err(gone)
    }
}

/// A file as a line. Files of this kind are small.
pub(super) fn file_line(name: &str, path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Unavailable(format!("{}: {error}", path.display())))?;
    Ok(json!({ name: { "text": text } }))
}

//! Who changed what: lines of JSON that are only ever added.
//!
//! A line is on the disk before the change that it is about is made: no line, no change. If the
//! change then fails after all, another line with the same `id` says so. Refused attempts have
//! their lines too. The file is the server's user's alone (S99); when it is full it becomes
//! `FILE.1`, what was that becomes `FILE.2`, and so on.
//!
//! | module | owns |
//! |---|---|
//! | [`mod@line`] | [`Line`]: what is written |
//! | [`record`] | [`Record`]: one change on its way into the log |
//! | `log` | the files |
//! | `backwards` | lines of a file from its end |

mod backwards;
pub mod line;
mod log;
pub mod record;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Failure, Listed, Page, Problem, Stamp};
pub use line::{Line, Outcome};
use log::{Log, Sheet};
pub use record::Record;

/// Where the log is and how large it may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The newest file. Its folder exists.
    pub file: PathBuf,
    /// Most bytes of a file, unless a single line has more.
    pub size: u64,
    /// Files that are kept beside the newest.
    pub keep: u32,
}

/// The audit log. All who change something share it.
#[derive(Debug)]
pub struct Audit {
    log: Mutex<Log>,
    run: u64,
    ids: AtomicU64,
}

impl Audit {
    /// Opens the log, and makes it if there is none.
    ///
    /// # Errors
    /// A file of it cannot be read or written.
    pub fn open(settings: Settings) -> Result<Arc<Self>, Problem> {
        let path = settings.file.clone();
        let log = Log::open(settings).map_err(|error| Problem::Audit(path, error))?;
        Ok(Arc::new(Self {
            log: Mutex::new(log),
            run: Stamp::now().as_millis(),
            ids: AtomicU64::new(1),
        }))
    }

    /// A change that somebody is about to make: who he is, from where he asks, what he does
    /// (`user.create`), and to what.
    pub fn record(
        self: &Arc<Self>,
        who: &str,
        from: &str,
        operation: &str,
        target: &str,
    ) -> Record {
        let count = self.ids.fetch_add(1, Relaxed);
        let id = format!("{:x}-{count}", self.run);
        Record::new(
            Arc::clone(self),
            Line::new(id, who, from, operation, target),
        )
    }

    /// The newest lines first. Values of more than [`line::SHOWN`] bytes are left out here; the
    /// files have them.
    ///
    /// # Errors
    /// A file of the log cannot be read.
    pub fn newest(&self, page: Page) -> Result<Listed<Line>, Failure> {
        let sheets = self.lock().sheets();
        let unread = |error| Failure::Unavailable(format!("the audit log cannot be read: {error}"));
        let sheets = sheets.map_err(unread)?;
        let count = sheets.iter().map(|sheet| sheet.lines).sum();
        let rows = pick(sheets, page).map_err(unread)?;
        Ok(Listed { rows, count })
    }

    fn write(&self, line: &Line) -> Result<(), Failure> {
        let bytes = line.to_bytes()?;
        self.lock().append(&bytes).map_err(|error| {
            Failure::Audit(format!(
                "the audit log cannot be written, so nothing is changed: {error}"
            ))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        // What is behind the lock is whole at each moment: a panic cannot leave it half done.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines of a page, out of the files from the newest on.
fn pick(sheets: Vec<Sheet>, page: Page) -> std::io::Result<Vec<Line>> {
    let (mut skip, mut rows) = (page.offset(), Vec::new());
    for sheet in sheets {
        if rows.len() >= page.limit() {
            break;
        }
        if skip >= sheet.lines {
            skip = skip.saturating_sub(sheet.lines);
            continue;
        }
        for line in sheet.backwards() {
            let line = line?;
            if skip > 0 {
                skip = skip.saturating_sub(1);
            } else if rows.len() < page.limit() {
                rows.push(Line::read(&line));
            } else {
                break;
            }
        }
    }
    Ok(rows)
}

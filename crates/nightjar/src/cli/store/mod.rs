//! `nightjar store`: checks, counts, copies and shrinks a store from outside of the server.
//!
//! What only reads works beside a running server. What writes needs the store for itself, and
//! says who has it.
//!
//! | module | owns |
//! |---|---|
//! | [`target`] | which store is meant, and its lock |
//! | [`look`] | a folder that is read only |
//! | [`survey`] | what is in a store, and what is wrong with it |
//! | [`verify`], [`stats`], [`transfer`], [`compact`] | the commands |

use std::fmt;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use journal::engine::OpenError;
use journal::log::WriteError;

mod compact;
mod look;
mod stats;
mod survey;
mod target;
mod transfer;
mod verify;

pub(crate) use self::target::words;
#[cfg(feature = "api")]
pub(crate) use self::transfer::copy;
pub(crate) use self::transfer::refill;

/// Check, count, copy or shrink the store: what the server keeps on the disk
///
/// The store is the folder `store` in the server's data folder. verify, stats and export only
/// read, and work while the server runs; verify --quarantine, import and compact need the store
/// for themselves.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Verify(verify::VerifyArgs),
    Stats(stats::StatsArgs),
    Export(transfer::ExportArgs),
    Import(transfer::ImportArgs),
    Compact(compact::CompactArgs),
}

/// Does what `nightjar store` is asked for.
pub(crate) fn run(args: StoreArgs) -> ExitCode {
    let done = match args.task {
        Task::Verify(args) => verify::run(args),
        Task::Stats(args) => stats::run(&args),
        Task::Export(args) => transfer::export(&args),
        Task::Import(args) => transfer::import(&args),
        Task::Compact(args) => compact::run(&args),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("{failure}");
        ExitCode::FAILURE
    })
}

/// Why a task was not done: one line, or one for each mistake of a configuration.
#[derive(Debug, PartialEq, Eq)]
struct Failure(String);

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self(error.to_string())
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let advice = match error {
            WriteError::Full(_) => "; make room on the disk and try again",
            WriteError::Failed(_) => "; what was there before is still there",
        };
        Self(format!("{error}{advice}"))
    }
}

/// Prints what was found.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure(format!("cannot write the output: {error}")))
}

/// The wall clock. Before 1970 it is wrong, and the store goes on from its own.
fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Bytes for people.
fn show_bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

/// So many of something.
fn counted(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    }
}

const EXAMPLES: &str = "\
Examples:
  nightjar store verify --data-dir /var/lib/nightjar    is everything what was written?
  nightjar store stats -c nightjar.toml                 how much there is, who has most waiting
  nightjar store export -o backup.jsonl                 copy what lives, while the server runs
  nightjar store import backup.jsonl --data-dir NEW     begin a new store with it";

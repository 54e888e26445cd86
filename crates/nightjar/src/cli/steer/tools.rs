//! `log-level`, `certificates`, `backup`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::part::Part;
use super::super::restore;
use super::way::Way;
use super::{end, time, word};

/// Show or change how much a running server logs
///
/// A change lasts until the server restarts or reads its configuration again.
#[derive(Args, Debug)]
pub(crate) struct LogLevelArgs {
    /// How much; without it, what it is
    #[arg(value_parser = ["error", "warn", "info", "debug", "trace"])]
    level: Option<String>,
    #[command(flatten)]
    way: Way,
}

/// List the server's certificates and how long they hold
#[derive(Args, Debug)]
pub(crate) struct CertificatesArgs {
    #[command(flatten)]
    way: Way,
}

/// Copy all that a running server keeps into a file
///
/// Sessions with their queues, retained messages, users, groups, roles, bans, administrators and keys
/// (as hashes), and the configuration with its secrets: only its owner may read the file. `nightjar
/// restore` begins a new server with it.
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The file; what it held stays until the copy is whole
    file: PathBuf,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar log-level` is asked for.
pub(super) fn log_level(args: LogLevelArgs) -> ExitCode {
    let asked = match &args.level {
        None => args.way.ask("GET", "/log/level", None),
        Some(level) => args
            .way
            .ask("PUT", "/log/level", Some(&json!({ "level": level }))),
    };
    end(asked.and_then(|answer| {
        args.way
            .show(&answer, |answer| format!("{}\n", word(answer, "level")))
    }))
}

/// Does what `nightjar certificates` is asked for.
pub(super) fn certificates(args: CertificatesArgs) -> ExitCode {
    let listed = args
        .way
        .ask("GET", "/certificates", None)
        .and_then(|mut answer| {
            let rows = match answer.get_mut("data").map(Value::take) {
                Some(Value::Array(rows)) => rows,
                _ => Vec::new(),
            };
            let head = [
                "LISTENER",
                "SUBJECT",
                "NAMES",
                "FROM",
                "EXPIRES",
                "DAYS LEFT",
            ];
            args.way.list(rows, head, |row| {
                [
                    word(row, "listener"),
                    word(row, "subject"),
                    word(row, "sans"),
                    word(row, "source"),
                    time(row, "not_after"),
                    word(row, "days_left"),
                ]
            })
        });
    end(listed)
}

/// Messages that move on the disk while they are read break a copy; the next one finds them.
const ATTEMPTS: usize = 3;

/// Does what `nightjar backup` is asked for.
pub(super) fn backup(args: BackupArgs) -> ExitCode {
    end(make(&args))
}

fn make(args: &BackupArgs) -> Result<(), Failure> {
    let refused = |error: std::io::Error| {
        Failure::new(format!("cannot write {}: {error}", args.file.display()))
    };
    let mut part = Part::beside(&args.file).map_err(refused)?;
    let mut made = Err(Failure::new(""));
    for _ in 0..ATTEMPTS {
        made = fill(args, &mut part);
        if made.is_ok() {
            break;
        }
    }
    let lines = made?;
    part.replace(&args.file).map_err(refused)?;
    args.way.done(
        &json!({ "file": args.file, "lines": lines }),
        &format!("saved {lines} lines in {}", args.file.display()),
    )
}

/// Writes the copy and looks whether it is whole.
fn fill(args: &BackupArgs, part: &mut Part) -> Result<u64, Failure> {
    let path = part.path().to_owned();
    let refused =
        |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    let mut out = BufWriter::new(part.again().map_err(refused)?);
    args.way.download("/data/export", &mut out)?;
    out.flush().map_err(refused)?;
    out.get_ref().sync_all().map_err(refused)?;
    drop(out);
    restore::whole(&path).map_err(Failure::new)
}

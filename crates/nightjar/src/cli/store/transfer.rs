//! `nightjar store export` and `nightjar store import`.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use journal::disk::{Disk, Folder, LOCK, QUARANTINE};
use journal::engine::{Engine, Options};
use journal::lines::{Import, LineCounts};
use journal::segment::{FrameBuffer, segment_number, spare_number};

use super::super::part::Part;
use super::look::Look;
use super::survey::{Depth, Survey, steadily};
use super::target::{Target, Where, locked};
use super::{Failure, counted, print, wall_millis};
use crate::data_dir;

/// Copy what lives in the store, one JSON object a line
///
/// The copy is what the store was at one moment, also while a server runs: a backup. It says
/// who subscribed to what and holds all messages that wait, so only its owner may read the file.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    place: Where,
    /// Write to this file in place of standard output; what it held stays until the copy is
    /// whole
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Begin a store with what was exported
///
/// The store must be empty, or not there yet. Either all of the file is in it afterwards, or
/// nothing.
#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    place: Where,
    /// The export; "-" is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Exports a store.
pub(super) fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    let target = args.place.target()?;
    let disk = target.look()?;
    let verify = target.command("verify");
    let Some(path) = &args.output else {
        let survey = survey(&disk, &verify).map_err(|failure| target.about(failure))?;
        let mut out = BufWriter::new(io::stdout().lock());
        write_lines(&survey, &verify, &mut out).map_err(|failure| target.about(failure))?;
        return Ok(ExitCode::SUCCESS);
    };
    let counts = export_to(&disk, &verify, path).map_err(|failure| target.about(failure))?;
    print(&format!(
        "exported {} to {}\n",
        show(&counts),
        path.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Exports to a file: all of it, or the file stays as it was. `verify` is the command to advise if
/// the store is damaged.
fn export_to(disk: &Arc<dyn Disk>, verify: &str, path: &Path) -> Result<LineCounts, Failure> {
    let refused = |error: io::Error| {
        Failure(format!(
            "the export cannot be written to {}: {error}",
            path.display()
        ))
    };
    let mut part = Part::beside(path).map_err(refused)?;
    // A message that moves while it is read fails once.
    let attempt = || {
        let survey = survey(disk, verify)?;
        let mut out = BufWriter::new(part.again().map_err(refused)?);
        let counts = write_lines(&survey, verify, &mut out)?;
        let file = out
            .into_inner()
            .map_err(|error| refused(error.into_error()))?;
        file.sync_all().map_err(refused)?;
        Ok::<LineCounts, Failure>(counts)
    };
    let counts = steadily(attempt, |_| &[])?;
    part.replace(path).map_err(refused)?;
    Ok(counts)
}

/// A store that is whole. `verify` is the command to advise if it is not.
fn survey(disk: &Arc<dyn Disk>, verify: &str) -> Result<Survey, Failure> {
    let survey = steadily(
        || Survey::take(Arc::clone(disk), Depth::State),
        |survey| &survey.faults,
    )?;
    match survey.faults.first() {
        None => Ok(survey),
        Some(fault) => Err(Failure(format!(
            "it is damaged, and an export would not be whole: {fault}; see what is lost with {verify}"
        ))),
    }
}

fn write_lines(survey: &Survey, verify: &str, out: &mut dyn Write) -> Result<LineCounts, Failure> {
    let exported = survey.export(wall_millis(), &mut |line| {
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")
    });
    let counts = exported
        .and_then(|exported| out.flush().map(|()| exported.counts))
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Failure(format!(
                "{error}, and an export would not be whole; if a server runs, it may have moved \
                 it: try again, else see what is lost with {verify}"
            )),
            _ => Failure(format!("the export cannot be written: {error}")),
        })?;
    Ok(counts)
}

/// Copies the store in a folder, as `nightjar store export` does, line by line. A store that is not
/// there has no lines.
///
/// # Errors
/// It is damaged, cannot be read, or `line` failed.
pub(crate) fn copy(
    folder: &Path,
    line: &mut dyn FnMut(&str) -> io::Result<()>,
) -> Result<(), String> {
    if !folder.is_dir() {
        return Ok(());
    }
    let disk: Arc<dyn Disk> = Arc::new(Look::new(folder));
    let survey = survey(&disk, "`nightjar store verify`").map_err(|failure| failure.to_string())?;
    let exported = survey.export(wall_millis(), line);
    exported.map(drop).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => format!("{error}: the server may have moved it; try again"),
        _ => error.to_string(),
    })
}

/// Makes a store of such lines, as `nightjar store import` does.
///
/// # Errors
/// There is a store with something in it, or the lines are not valid: nothing was made.
pub(crate) fn refill(
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    lines: &mut dyn BufRead,
) -> Result<String, String> {
    let place = Where { config, data_dir };
    let target = place.target().map_err(|failure| failure.to_string())?;
    let counts = import_from(&target, lines).map_err(|failure| failure.to_string())?;
    Ok(show(&counts))
}

/// Imports into a store.
pub(super) fn import(args: &ImportArgs) -> Result<ExitCode, Failure> {
    let target = args.place.target()?;
    let counts = if args.file.as_os_str() == "-" {
        import_from(&target, &mut io::stdin().lock())?
    } else {
        let file = File::open(&args.file)
            .map_err(|error| Failure(format!("{} cannot be read: {error}", args.file.display())))?;
        import_from(&target, &mut BufReader::new(file))?
    };
    let folder = target.folder.display();
    print(&format!("imported {} into {folder}\n", show(&counts)))?;
    Ok(ExitCode::SUCCESS)
}

/// Imports all lines, or nothing: the new store gets its name when it is whole.
pub(super) fn import_from(target: &Target, lines: &mut dyn BufRead) -> Result<LineCounts, Failure> {
    let refused = |what: &Path, error: io::Error| {
        Failure(format!("{}: {error}; nothing was imported", what.display()))
    };
    let data_dir = target.folder.parent().unwrap_or(Path::new("."));
    data_dir::create(data_dir).map_err(|error| refused(data_dir, error))?;
    // Held to the end, so that no server begins with what is about to be replaced.
    let old = vacant(target)?;
    let new = data_dir.join(NEW);
    let counts = fill(&new, target.options, lines)?;
    match old {
        Some(_) => replace(&new, target)?,
        None => finish(&new, target)?,
    }
    Ok(counts)
}

/// Puts the new store in the place of an empty one.
fn replace(new: &Path, target: &Target) -> Result<(), Failure> {
    let aside = new.with_file_name(format!("{NEW}.{}.empty", std::process::id()));
    let failed = |error: io::Error| {
        let folder = target.folder.display();
        Failure(format!(
            "the empty store {folder} cannot be replaced: {error}"
        ))
    };
    // What was put aside there earlier is for somebody to look at.
    let quarantine = target.folder.join(QUARANTINE);
    if quarantine.is_dir() {
        fs::rename(&quarantine, new.join(QUARANTINE)).map_err(failed)?;
    }
    fs::rename(&target.folder, &aside).map_err(failed)?;
    if let Err(failure) = finish(new, target) {
        if let Err(error) = fs::rename(&aside, &target.folder) {
            eprintln!("the empty store is now {}: {error}", aside.display());
        }
        return Err(failure);
    }
    fs::remove_dir_all(&aside)
        .map_err(|error| Failure(format!("{} is left over: {error}", aside.display())))
}

/// Gives the new store its name.
fn finish(new: &Path, target: &Target) -> Result<(), Failure> {
    let renamed = fs::rename(new, &target.folder).and_then(|()| {
        let parent = target.folder.parent().unwrap_or(Path::new("."));
        sync_folder(parent)
    });
    renamed.map_err(|error| {
        Failure(format!(
            "the new store {} cannot be named {}: {error}; did a server start meanwhile?",
            new.display(),
            target.folder.display()
        ))
    })
}

/// The lock of the store, if it is there, provided that nothing lives in it.
fn vacant(target: &Target) -> Result<Option<Arc<dyn Disk>>, Failure> {
    if !target.folder.exists() {
        return Ok(None);
    }
    let disk = target.lock()?;
    let names = disk
        .list()
        .map_err(|error| target.about(Failure(format!("cannot be read: {error}"))))?;
    if names.iter().all(|name| name == LOCK) {
        return Ok(Some(disk));
    }
    let survey = Survey::take(Arc::clone(&disk), Depth::State);
    let survey = survey.map_err(|failure| target.about(failure))?;
    if let Some(fault) = survey.faults.first() {
        return Err(target.about(Failure(format!(
            "it is damaged, and may not be empty: {fault}; import into another data folder"
        ))));
    }
    let counts = survey.model.counts();
    if counts.sessions + counts.messages + counts.retained > 0 {
        return Err(target.about(Failure(format!(
            "it is not empty ({}, {}, {} retained); import into another data folder, or move this \
             one away",
            counted(counts.sessions, "session"),
            counted(counts.messages, "message"),
            counts.retained
        ))));
    }
    Ok(Some(disk))
}

/// Makes a store of lines in a folder of its own.
fn fill(folder: &Path, options: Options, lines: &mut dyn BufRead) -> Result<LineCounts, Failure> {
    let disk = Folder::open(folder).map_err(locked)?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let filled = clear(&*disk)
        .map_err(|error| Failure(format!("{}: {error}", folder.display())))
        .and_then(|()| write(&disk, options, lines));
    if filled.is_err()
        && let Err(error) = clear(&*disk).and_then(|()| fs::remove_dir_all(folder))
    {
        eprintln!("{} is left over: {error}", folder.display());
    }
    filled
}

/// Removes what an import that was cut off has left.
fn clear(disk: &dyn Disk) -> io::Result<()> {
    for name in disk.list()? {
        let is_ours = segment_number(&name).is_some()
            || spare_number(&name).is_some()
            || name.starts_with("store.id");
        if is_ours {
            disk.remove(&name)?;
        } else if name != LOCK {
            let error = format!("{name} is no part of a store");
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
    disk.sync_folder()
}

/// Writes lines into an empty store.
pub(super) fn write(
    disk: &Arc<dyn Disk>,
    options: Options,
    lines: &mut dyn BufRead,
) -> Result<LineCounts, Failure> {
    let mut import = Import::new();
    let mut frame = FrameBuffer::default();
    let mut engine: Option<Engine> = None;
    let mut text = String::new();
    loop {
        text.clear();
        let mut line = (&mut *lines).take(LONGEST_LINE);
        let read = line
            .read_line(&mut text)
            .map_err(|error| Failure(format!("the export cannot be read: {error}")))?;
        if read == 0 {
            break;
        }
        import.line(&text, frame.records()).map_err(invalid)?;
        if engine.is_none() {
            let time = import.header().map_or(0, |header| header.time);
            let wall = wall_millis().max(time);
            engine = Some(Engine::open(Arc::clone(disk), options, wall)?.0);
        }
        if let Some(engine) = &mut engine
            && frame.payload().len() >= FRAME
        {
            commit(engine, &mut frame)?;
        }
    }
    let counts = import.end().map_err(invalid)?;
    if let Some(mut engine) = engine {
        commit(&mut engine, &mut frame)?;
        engine.close()?;
    }
    Ok(counts)
}

fn commit(engine: &mut Engine, frame: &mut FrameBuffer) -> Result<(), Failure> {
    let now = engine.clock().base;
    let at = engine.write(frame, now)?;
    engine.apply(at, frame.payload()).map_err(invalid)?;
    frame.clear();
    Ok(())
}

/// What is wrong with an export. The new store goes then, and the old one was never touched.
fn invalid(error: impl Display) -> Failure {
    Failure(format!(
        "the export is not valid: {error}; nothing was imported"
    ))
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Other systems give no way to sync a folder, and keep its changes in order.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn show(counts: &LineCounts) -> String {
    format!(
        "{}, {}, {}, {} retained",
        counted(counts.sessions, "session"),
        counted(counts.subscriptions, "subscription"),
        counted(counts.messages, "message"),
        counts.retained
    )
}

/// The folder of a store that is being imported, beside that of the store.
const NEW: &str = "store.import";
/// Bytes of records that are written at once.
const FRAME: usize = 1 << 20;
/// A message of the largest packet fits in twice.
const LONGEST_LINE: u64 = 1 << 30;

//! `nightjar store compact`.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use journal::disk::Disk;
use journal::engine::{Engine, Options};
use journal::log;
use journal::segment::spare_number;

use super::target::Where;
use super::verify::Checked;
use super::{Failure, print, show_bytes, wall_millis};

/// Write what lives in the store once more, and give the space of the rest back
///
/// A running server does this by itself, as long as the disk holds more than twice what lives;
/// this goes further, and needs the store for itself.
#[derive(Args, Debug)]
pub(super) struct CompactArgs {
    #[command(flatten)]
    place: Where,
}

/// Compacts a store.
pub(super) fn run(args: &CompactArgs) -> Result<ExitCode, Failure> {
    let target = args.place.target()?;
    let disk = target.lock()?;
    // Of what is damaged nothing is to be lost without a word.
    let checked = Checked::check(&disk).map_err(|it| target.about(it))?;
    if let Some(fault) = checked.survey.faults.first() {
        return Err(target.about(Failure(format!(
            "it is damaged, and nothing was done: {fault}; see what is lost with {}",
            target.command("verify")
        ))));
    }
    drop(checked);
    let (before, after) = compact(disk, target.options).map_err(|it| target.about(it))?;
    print(&format!(
        "The store {} takes {} on the disk; it took {}.\n",
        target.folder.display(),
        show_bytes(after),
        show_bytes(before)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Compacts, and says how many bytes the store took before and takes now.
fn compact(disk: Arc<dyn Disk>, options: Options) -> Result<(u64, u64), Failure> {
    let unreadable = |error: io::Error| Failure(format!("cannot be read: {error}"));
    let before = bytes(&*disk).map_err(unreadable)?;
    let options = Options {
        log: log::Options {
            spares: 0,
            ..options.log
        },
        ..options
    };
    let (engine, _, _) = Engine::open(Arc::clone(&disk), options, wall_millis())?;
    let now = engine.clock().base;
    engine.compact_all(now)?;
    let after = remove_spares(&*disk).and_then(|()| bytes(&*disk));
    Ok((before, after.map_err(unreadable)?))
}

/// The next start makes new ones.
fn remove_spares(disk: &dyn Disk) -> io::Result<()> {
    for name in disk.list()? {
        if spare_number(&name).is_some() {
            disk.remove(&name)?;
        }
    }
    disk.sync_folder()
}

/// The bytes of all files.
fn bytes(disk: &dyn Disk) -> io::Result<u64> {
    let mut sum = 0;
    for name in disk.list()? {
        sum += disk.open(&name)?.len()?;
    }
    Ok(sum)
}

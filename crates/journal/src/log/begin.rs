//! The first steps of a log that is written again.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::found::{IDENTITY, Identity, NEW_IDENTITY, identity_text};
use super::room::{SMALLEST, is_full};
use super::scan::{Scan, Tail};
use super::{Current, Log, Segment, Spare, Unsettled, free_name, settle};
use crate::disk::{Disk, DiskFile};
use crate::segment::{SegmentHeader, segment_name};

impl Log {
    /// Begins a new segment behind what was found; what was found is never appended to. What is
    /// torn at its end is cut off, and the rest is made safe: it may be with the system alone.
    ///
    /// # Errors
    ///
    /// What the system says. The store is as it was, but for what was torn.
    pub fn begin(scan: Scan, tail: &Tail, time: u64) -> io::Result<Self> {
        let mut scan = scan;
        seal(&mut scan, tail)?;
        let disk = Arc::clone(&scan.disk);
        let mut spares = spares(&scan)?;
        if scan.identity == Identity::New {
            // The very first start was cut off.
            for (number, _) in std::mem::take(&mut scan.segments) {
                disk.remove(&segment_name(number))?;
            }
        }
        replace_empty(&mut scan, tail);
        let newest = scan.segments.keys().next_back().copied().unwrap_or(0);
        let header = SegmentHeader {
            number: newest.saturating_add(1),
            generation: disk.random(),
            first: tail.sequence.saturating_add(1),
            checkpoint: scan.checkpoint,
            time: time.max(tail.time),
        };
        let spare = match spares.pop() {
            Some(spare) => spare,
            None => first_spare(&*disk, scan.options.segment_bytes)?,
        };
        settle(&*disk, &spare, &header).map_err(|error| match error {
            Unsettled::Before(error) | Unsettled::Failed(error) => error,
        })?;
        if scan.identity == Identity::New {
            // Only now: an identity without a segment means that segments were lost.
            identify(&*disk)?;
        }
        let current = Current {
            number: header.number,
            generation: header.generation,
            file: Arc::clone(&spare.file),
        };
        let mut segments: BTreeMap<u64, Segment> = scan
            .segments
            .into_iter()
            .map(|(number, found)| {
                let segment = Segment {
                    file: found.file,
                    bytes: found.length,
                    used: found.length,
                };
                (number, segment)
            })
            .collect();
        segments.insert(header.number, spare.into_segment());
        Ok(Self {
            disk,
            options: scan.options,
            segments,
            spares,
            current,
            checkpoint: scan.checkpoint,
            reserve: 0,
            written: tail.sequence,
            synced: tail.sequence,
            failed: None,
        })
    }
}

/// Cuts what is torn off the newest segment, and makes it safe.
fn seal(scan: &mut Scan, tail: &Tail) -> io::Result<()> {
    let Some((number, end)) = tail.end else {
        return Ok(());
    };
    if let Some(found) = scan.segments.get_mut(&number) {
        if found.length > end {
            found.file.set_len(end)?;
            found.length = end;
        }
        write_again(&*found.file, tail.unsure, end)?;
        found.file.sync()?;
    }
    Ok(())
}

/// A newest segment without a frame is replaced by the new one: if the sync of its name failed, the
/// system may show the name and never write it to the disk, where it would be missed later.
fn replace_empty(scan: &mut Scan, tail: &Tail) {
    if let Some(number) = tail.empty {
        scan.segments.remove(&number);
    }
}

/// Writes once more what lies there. If a sync failed in the run before, the system may show what
/// the disk does not have, and would neither write it by itself nor tell of the error again.
fn write_again(file: &dyn DiskFile, from: u64, end: u64) -> io::Result<()> {
    let mut bytes = vec![0; PIECE];
    let mut at = from;
    while at < end {
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(PIECE);
        bytes.truncate(left);
        let read = file.read_at(at, &mut bytes)?;
        let there = bytes.get(..read).filter(|there| !there.is_empty());
        let there = there.ok_or(io::ErrorKind::UnexpectedEof)?;
        file.write_at(at, there)?;
        at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// Bytes that are written again at once.
const PIECE: usize = 1 << 20;

/// The spares that can be used: all that have the right size, because the disk may be full; others
/// are removed.
fn spares(scan: &Scan) -> io::Result<Vec<Spare>> {
    let mut spares = Vec::new();
    for name in &scan.spares {
        let file = scan.disk.open(name)?;
        let bytes = file.len()?;
        if bytes == scan.options.segment_bytes && scan.options.spares > 0 {
            let name = name.clone();
            spares.push(Spare { name, file, bytes });
        } else {
            scan.disk.remove(name)?;
        }
    }
    Ok(spares)
}

/// Room for the first segment. On a full disk it is a small one, so that clients can collect what
/// is there, which makes room.
fn first_spare(disk: &dyn Disk, wanted: u64) -> io::Result<Spare> {
    let mut bytes = wanted;
    loop {
        match Spare::make(disk, free_name(&[]), bytes) {
            Err(error) if is_full(&error) && bytes / 2 >= SMALLEST => bytes /= 2,
            made => return made,
        }
    }
}

/// Gives the store a name.
fn identify(disk: &dyn Disk) -> io::Result<()> {
    let text = identity_text([disk.random(), disk.random()]);
    if disk.list()?.iter().any(|name| name == NEW_IDENTITY) {
        disk.remove(NEW_IDENTITY)?;
    }
    let file = disk.create(NEW_IDENTITY, 0)?;
    file.write_at(0, text.as_bytes())?;
    file.sync()?;
    disk.rename(NEW_IDENTITY, IDENTITY)?;
    disk.sync_folder()
}

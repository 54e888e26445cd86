//! Segments as one log: append, sync, roll, recycle; what is found at the start.
//!
//! A file gets the name of a segment when its header is on the disk, never before: so a segment
//! with a bad header is damaged, and not half made. A segment that is not the newest ends where
//! its last frame ends, and all of it was synced before the next one was made.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

mod begin;
mod error;
mod found;
mod reader;
mod room;
mod scan;
mod sums;
#[cfg(test)]
mod tests;

pub(crate) use error::shortage;
pub use error::{OpenError, WriteError};
pub use scan::{Damage, Each, Scan, Tail, Wrong};

use crate::disk::{Disk, DiskFile};
use crate::segment::{
    FRAME_HEAD, FrameBuffer, FrameHead, HEADER_BYTES, MAX_PAYLOAD, SegmentHeader, frame_bytes,
    segment_name, spare_name,
};

/// How a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a segment, header and all. One that must take a longer frame is made longer.
    pub segment_bytes: u64,
    /// Segments that are kept for the next ones to be made of, at most.
    pub spares: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            spares: 2,
        }
    }
}

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAt {
    /// The number of its segment.
    pub segment: u64,
    /// Where its payload begins, in bytes from the start of the file.
    pub offset: u64,
    /// Its sequence.
    pub sequence: u64,
    /// The store's clock when it was written, in milliseconds.
    pub time: u64,
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Where its last frame ends, in bytes from the start of the file.
    pub used: u64,
    /// Whether nothing is ever appended to it any more.
    pub sealed: bool,
}

/// The log of a store that is written. Times are arguments, in milliseconds of the store's clock.
///
/// After [`WriteError::Failed`] the disk is not touched again, and every call that would fails in
/// the same way: a write or a sync that failed is never taken for done because a second one
/// succeeds.
pub struct Log {
    disk: Arc<dyn Disk>,
    options: Options,
    /// All but the spares, the current one last.
    segments: BTreeMap<u64, Segment>,
    spares: Vec<Spare>,
    current: Current,
    /// The segment that the last whole checkpoint begins with, for the next header.
    checkpoint: u64,
    /// Bytes that shall be there for what is written without asking.
    reserve: u64,
    /// The last frame that was written.
    written: u64,
    /// The last frame that is on the disk.
    synced: u64,
    failed: Option<Failure>,
}

struct Segment {
    file: Arc<dyn DiskFile>,
    /// Bytes of the file.
    bytes: u64,
    /// Where its last frame ends.
    used: u64,
}

/// A file that becomes the next segment.
struct Spare {
    name: String,
    file: Arc<dyn DiskFile>,
    bytes: u64,
}

/// The segment that is appended to. No file is held that [`Log::segments`] does not have.
struct Current {
    number: u64,
    generation: u64,
    file: Arc<dyn DiskFile>,
}

/// Why a log has failed for good.
struct Failure {
    kind: io::ErrorKind,
    text: String,
}

impl Log {
    /// Writes a frame behind the last one, in a new segment if the current one has no room for
    /// it. It is safe after [`Log::sync`].
    ///
    /// # Errors
    ///
    /// [`WriteError::Full`]: nothing has happened, and the same frame may be tried again. It will
    /// have the same place then. [`WriteError::Failed`]: for good; so also for a payload of more
    /// than [`MAX_PAYLOAD`] bytes.
    pub fn append(&mut self, frame: &mut FrameBuffer, time: u64) -> Result<FrameAt, WriteError> {
        self.check()?;
        let payload = frame.payload().len();
        if payload > MAX_PAYLOAD {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "a frame is too long");
            return Err(self.note(WriteError::Failed(error)));
        }
        let needed = frame_bytes(payload);
        if !self.current_has_room(needed) {
            self.next_segment(HEADER_BYTES.saturating_add(needed), time)?;
        }
        let Some(segment) = self.segments.get_mut(&self.current.number) else {
            return Err(WriteError::Failed(io::ErrorKind::NotFound.into()));
        };
        let offset = segment.used;
        let head = FrameHead {
            checksum: 0,
            length: 0,
            sequence: self.written.saturating_add(1),
            synced: self.synced,
            time,
        };
        let bytes = frame.seal(&head, self.current.generation, offset);
        if let Err(error) = self.current.file.write_at(offset, bytes) {
            return Err(self.note(WriteError::of(error)));
        }
        segment.used = offset.saturating_add(needed);
        self.written = head.sequence;
        Ok(FrameAt {
            segment: self.current.number,
            offset: offset.saturating_add(FRAME_HEAD_BYTES),
            sequence: head.sequence,
            time,
        })
    }

    /// Makes everything that was written safe. Does nothing if it is.
    ///
    /// # Errors
    ///
    /// [`WriteError::Failed`], whatever the reason is: the system may have dropped what it could
    /// not write, so nobody knows what is on the disk.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.check()?;
        if self.synced < self.written {
            if let Err(error) = self.current.file.sync() {
                return Err(self.note(WriteError::Failed(error)));
            }
            self.synced = self.written;
        }
        Ok(())
    }

    /// Syncs, and goes on in a new segment. Returns its number.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn roll(&mut self, time: u64) -> Result<u64, WriteError> {
        self.check()?;
        self.next_segment(0, time)?;
        Ok(self.current.number)
    }

    /// Syncs, and leaves a mark behind everything that says so: what is damaged before it is never
    /// taken for a torn tail. For the end of a run, or for a while without traffic.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn mark(&mut self, time: u64) -> Result<(), WriteError> {
        self.sync()?;
        self.append(&mut FrameBuffer::default(), time)?;
        self.sync()
    }

    /// All segments, by their numbers. The last is the one that is written.
    pub fn segments(&self) -> impl Iterator<Item = SegmentInfo> {
        self.segments_from(0)
    }

    /// Those of them with at least this number.
    pub fn segments_from(&self, first: u64) -> impl Iterator<Item = SegmentInfo> {
        self.segments
            .range(first..)
            .map(|(&number, segment)| self.info(number, segment))
    }

    fn info(&self, number: u64, segment: &Segment) -> SegmentInfo {
        SegmentInfo {
            number,
            used: segment.used,
            sealed: number != self.current.number,
        }
    }

    /// The number of the segment that is written.
    pub fn current(&self) -> u64 {
        self.current.number
    }

    /// The sequence of the last frame that was written; 0 if there was never one.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The sequence of the last frame that is on the disk.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// A segment, to read from.
    pub fn file(&self, number: u64) -> Option<Arc<dyn DiskFile>> {
        let segment = self.segments.get(&number)?;
        Some(Arc::clone(&segment.file))
    }

    /// Removes a sealed segment. Its file becomes a spare if there is need of one; but one that
    /// somebody still reads ([`Log::file`]) is left to him, and vanishes with the last reader.
    ///
    /// The caller sees to it that nobody needs what is in it, and that the disk knows.
    ///
    /// # Errors
    ///
    /// What the system says, and [`io::ErrorKind::InvalidInput`] for a segment that is not there
    /// or is still written. The segment is there then, unless it was to become a spare and has lost
    /// its name already: [`Log::file`] says so.
    pub fn remove(&mut self, number: u64) -> io::Result<()> {
        let segment = self.take_sealed(number)?;
        let recycles = (self.spares.len() < self.options.spares || self.room() < self.reserve)
            && segment.bytes <= self.options.segment_bytes
            && Arc::strong_count(&segment.file) == 1;
        let name = segment_name(number);
        let spare = free_name(&self.spares);
        let unnamed = if recycles {
            self.disk.rename(&name, &spare)
        } else {
            self.disk.remove(&name)
        };
        if let Err(error) = unnamed {
            self.segments.insert(number, segment);
            return Err(error);
        }
        // It is no segment any more, whatever comes.
        if recycles {
            self.recycle(spare, segment.file)
        } else {
            Ok(())
        }
    }

    /// Puts a sealed segment aside, for somebody to look at. It is not part of the log any more.
    ///
    /// # Errors
    ///
    /// As [`Log::remove`].
    pub fn quarantine(&mut self, number: u64) -> io::Result<()> {
        let segment = self.take_sealed(number)?;
        let aside = self.disk.quarantine(&segment_name(number));
        if aside.is_err() {
            self.segments.insert(number, segment);
        }
        aside
    }

    /// Says which segment the last whole checkpoint begins with. The headers of all segments from
    /// the next one on have it; only then what lies before it may be removed.
    pub fn set_checkpoint(&mut self, number: u64) {
        self.checkpoint = number;
    }

    /// Bytes of all files, spares too.
    pub fn disk_bytes(&self) -> u64 {
        let segments = self.segments.values().map(|segment| segment.bytes);
        let spares = self.spares.iter().map(|spare| spare.bytes);
        segments.chain(spares).fold(0, u64::saturating_add)
    }

    /// Bytes of all segments up to their last frames.
    pub fn used_bytes(&self) -> u64 {
        let used = self.segments.values().map(|segment| segment.used);
        used.fold(0, u64::saturating_add)
    }

    /// Whether the next segment has its room already.
    pub fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    fn current_has_room(&self, needed: u64) -> bool {
        self.segments
            .get(&self.current.number)
            .is_some_and(|segment| segment.used.saturating_add(needed) <= segment.bytes)
    }

    /// Seals the current segment, and makes one with room for at least `bytes`.
    fn next_segment(&mut self, bytes: u64, time: u64) -> Result<(), WriteError> {
        // The room comes first: without it nothing changes.
        let spare = match self.spare(bytes) {
            Err(WriteError::Full(error)) => self.spare_in_need(bytes, error)?,
            spare => spare?,
        };
        match self.seal() {
            Ok(()) => self.enter(spare, time),
            Err(error) => {
                self.spares.push(spare);
                Err(error)
            }
        }
    }

    /// A file with room for at least `bytes`.
    fn spare(&mut self, bytes: u64) -> Result<Spare, WriteError> {
        if bytes <= self.options.segment_bytes
            && let Some(spare) = self.spares.pop()
        {
            return Ok(spare);
        }
        let whole_pages = bytes.saturating_add(HEADER_BYTES - 1) & !(HEADER_BYTES - 1);
        self.new_file(whole_pages.max(self.options.segment_bytes))
    }

    fn new_file(&mut self, bytes: u64) -> Result<Spare, WriteError> {
        let name = free_name(&self.spares);
        let made = match Spare::make(&*self.disk, name.clone(), bytes) {
            // A spare that could not be removed, and means nothing.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self
                .disk
                .remove(&name)
                .and_then(|()| Spare::make(&*self.disk, name, bytes)),
            made => made,
        };
        made.map_err(|error| self.note(WriteError::of(error)))
    }

    /// Cuts the current segment behind its last frame, and syncs it.
    fn seal(&mut self) -> Result<(), WriteError> {
        let Some(segment) = self.segments.get_mut(&self.current.number) else {
            return Ok(());
        };
        if let Err(error) = segment.file.set_len(segment.used) {
            return Err(self.note(WriteError::of(error)));
        }
        segment.bytes = segment.used;
        if let Err(error) = segment.file.sync() {
            return Err(self.note(WriteError::Failed(error)));
        }
        self.synced = self.written;
        Ok(())
    }

    /// Makes a spare the next segment: header, sync, name, sync of the folder.
    fn enter(&mut self, spare: Spare, time: u64) -> Result<(), WriteError> {
        let header = SegmentHeader {
            number: self.current.number.saturating_add(1),
            generation: self.disk.random(),
            first: self.written.saturating_add(1),
            checkpoint: self.checkpoint,
            time,
        };
        match settle(&*self.disk, &spare, &header) {
            Ok(()) => {
                self.current = Current {
                    number: header.number,
                    generation: header.generation,
                    file: Arc::clone(&spare.file),
                };
                self.segments.insert(header.number, spare.into_segment());
                Ok(())
            }
            Err(Unsettled::Before(error)) => {
                self.spares.push(spare);
                Err(self.note(WriteError::of(error)))
            }
            Err(Unsettled::Failed(error)) => Err(self.note(WriteError::Failed(error))),
        }
    }

    fn take_sealed(&mut self, number: u64) -> io::Result<Segment> {
        if let Err(WriteError::Failed(error)) = self.check() {
            return Err(error);
        }
        if number == self.current.number {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let segment = self.segments.remove(&number);
        segment.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Makes what was a segment a spare. It is not written to before the folder is synced: a name
    /// that comes back after a power cut must have the old content.
    fn recycle(&mut self, name: String, file: Arc<dyn DiskFile>) -> io::Result<()> {
        if let Err(error) = self.disk.sync_folder() {
            let again = io::Error::new(error.kind(), error.to_string());
            self.note(WriteError::Failed(error));
            return Err(again);
        }
        let bytes = self.options.segment_bytes;
        match file.allocate(bytes).map_err(WriteError::of) {
            Ok(()) => {
                self.spares.push(Spare { name, file, bytes });
                Ok(())
            }
            // This gives the disk the room for a whole one.
            Err(WriteError::Full(_)) => self.disk.remove(&name),
            Err(WriteError::Failed(error)) => {
                self.disk.remove(&name)?;
                Err(error)
            }
        }
    }

    fn check(&self) -> Result<(), WriteError> {
        match &self.failed {
            None => Ok(()),
            Some(failure) => {
                let error = io::Error::new(failure.kind, failure.text.clone());
                Err(WriteError::Failed(error))
            }
        }
    }

    /// Remembers a failure.
    fn note(&mut self, error: WriteError) -> WriteError {
        if let WriteError::Failed(why) = &error {
            self.failed.get_or_insert_with(|| Failure {
                kind: why.kind(),
                text: why.to_string(),
            });
        }
        error
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("current", &self.current.number)
            .field("written", &self.written)
            .field("synced", &self.synced)
            .finish_non_exhaustive()
    }
}

impl Spare {
    fn make(disk: &dyn Disk, name: String, bytes: u64) -> io::Result<Self> {
        let file = disk.create(&name, bytes)?;
        Ok(Self { name, file, bytes })
    }

    fn into_segment(self) -> Segment {
        Segment {
            file: self.file,
            bytes: self.bytes,
            used: HEADER_BYTES,
        }
    }
}

/// A name that no spare has.
fn free_name(spares: &[Spare]) -> String {
    let mut number = 1;
    while spares.iter().any(|spare| spare.name == spare_name(number)) {
        number = number.saturating_add(1);
    }
    spare_name(number)
}

/// A segment that was not made.
enum Unsettled {
    /// The file has no header or no name yet, and may be tried again.
    Before(io::Error),
    /// Nobody knows what is on the disk.
    Failed(io::Error),
}

/// Makes a spare a segment, durably.
fn settle(disk: &dyn Disk, spare: &Spare, header: &SegmentHeader) -> Result<(), Unsettled> {
    let written = spare.file.write_at(0, &header.encode());
    written.map_err(Unsettled::Before)?;
    spare.file.sync().map_err(Unsettled::Failed)?;
    let named = disk.rename(&spare.name, &segment_name(header.number));
    named.map_err(Unsettled::Before)?;
    disk.sync_folder().map_err(Unsettled::Failed)
}

/// [`FRAME_HEAD`] as a distance in a file.
const FRAME_HEAD_BYTES: u64 = FRAME_HEAD as u64;

//! What is found at the start.
//!
//! The rule for what is wrong: the end of the newest segment may be torn, because a power cut
//! loses what was not synced, in any order. So frames that are missing there are dropped, unless
//! a later frame says that they were on the disk. Anywhere else a frame that is missing was on
//! the disk: it is damage, and never passed over in silence.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::error::OpenError;
use super::found::{Found, Identity, find, identity, io_error, only_begun};
use super::reader::{Reader, Survey};
use super::{FRAME_HEAD_BYTES, FrameAt, Options};
use crate::disk::{Disk, DiskFile};
use crate::segment::{
    HEADER_BYTES, HeaderError, SegmentHeader, segment_name, segment_number, spare_number,
};

/// A store as it is found, before it is written again.
pub struct Scan {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: Options,
    pub(super) identity: Identity,
    pub(super) segments: BTreeMap<u64, Found>,
    /// Files of spares.
    pub(super) spares: Vec<String>,
    /// The segment that the last whole checkpoint begins with, by the newest header; 0 if none.
    pub(super) checkpoint: u64,
}

/// Where the valid log ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The sequence of the last frame; 0 if there is none.
    pub sequence: u64,
    /// The latest time in any frame or header, in milliseconds of the store's clock.
    pub time: u64,
    /// Bytes of frames behind it that were torn or came after a torn one, as far as can be told.
    pub dropped_bytes: u64,
    /// Bytes of frames that were replayed.
    pub replayed_bytes: u64,
    /// The newest segment and where its last frame ends.
    pub(super) end: Option<(u64, u64)>,
    /// Where in it the first frame begins of which no later one says that it is on the disk; if
    /// there is none, where the last ends.
    pub(super) unsure: u64,
    /// The newest segment, if it has no frame and nothing is wrong with it.
    pub(super) empty: Option<u64>,
}

/// Something that was on the disk and is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The number of the segment.
    pub segment: u64,
    /// Where, in bytes from the start of its file.
    pub offset: u64,
    /// What.
    pub wrong: Wrong,
}

/// What is wrong with a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// It cannot be read.
    Unreadable(String),
    /// Its header is none.
    Header(HeaderError),
    /// Its header says that it has this other number.
    Number(u64),
    /// Its header names a checkpoint that begins in this later segment.
    Checkpoint(u64),
    /// These frames are damaged; the last of them is known if a later one is not.
    Frames(RangeInclusive<u64>),
    /// These frames, and maybe more, are damaged.
    FramesFrom(u64),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Header(error) => error.fmt(f),
            Self::Number(number) => write!(f, "its header is that of segment {number}"),
            Self::Checkpoint(number) => {
                write!(
                    f,
                    "its header names a checkpoint in the later segment {number}"
                )
            }
            Self::Frames(lost) if lost.start() == lost.end() => {
                write!(f, "frame {} is not what was written", lost.start())
            }
            Self::Frames(lost) => write!(
                f,
                "frames {} to {} are not what was written",
                lost.start(),
                lost.end()
            ),
            Self::FramesFrom(first) => {
                write!(
                    f,
                    "what follows from frame {first} on is not what was written"
                )
            }
        }
    }
}

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> Self {
        let file = segment_name(damage.segment);
        match damage.wrong {
            Wrong::Missing => Self::Missing { file },
            wrong => Self::Damaged {
                file,
                offset: damage.offset,
                what: wrong.to_string(),
            },
        }
    }
}

/// What is done with each frame: its place, and its payload.
pub type Each<'a> = dyn FnMut(FrameAt, &[u8]) -> Result<(), OpenError> + 'a;

impl Scan {
    /// Looks at what there is. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is no store that this version can use. Damage is found when it is
    /// replayed.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Self, OpenError> {
        let names = disk.list().map_err(|error| io_error("its files", error))?;
        let identity = identity(&*disk, &names)?;
        let mut segments = BTreeMap::new();
        for number in names.iter().filter_map(|name| segment_number(name)) {
            segments.insert(number, find(&*disk, number)?);
        }
        match identity {
            Identity::New => only_begun(&segments)?,
            Identity::Known(_) if segments.is_empty() => return Err(OpenError::NoSegment),
            Identity::Known(_) => {}
        }
        let is_spare = |name: &String| spare_number(name).is_some();
        let mut scan = Self {
            disk,
            options,
            identity,
            segments,
            spares: names.into_iter().filter(is_spare).collect(),
            checkpoint: 0,
        };
        let newest = scan.headers().last().map(|header| header.checkpoint);
        scan.checkpoint = newest.unwrap_or_default();
        Ok(scan)
    }

    /// Whether there was no store yet.
    pub fn is_new(&self) -> bool {
        self.identity == Identity::New
    }

    /// The name that the store was given when it was made; `None` if it is new.
    pub fn id(&self) -> Option<&str> {
        match &self.identity {
            Identity::New => None,
            Identity::Known(id) => Some(id),
        }
    }

    /// The segment that the last whole checkpoint begins with; 0 if there is none.
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// The numbers of all segments, and the bytes of their files.
    pub fn segments(&self) -> impl Iterator<Item = (u64, u64)> {
        self.segments
            .iter()
            .map(|(&number, found)| (number, found.length))
    }

    /// A segment, to read from.
    pub fn file(&self, number: u64) -> Option<Arc<dyn DiskFile>> {
        let found = self.segments.get(&number)?;
        Some(Arc::clone(&found.file))
    }

    /// Gives all frames from the last whole checkpoint on, in order.
    ///
    /// # Errors
    ///
    /// [`OpenError`] for anything that is damaged or missing, or from `each`.
    pub fn replay(&mut self, each: &mut Each<'_>) -> Result<Tail, OpenError> {
        for (&segment, found) in &self.segments {
            if let Err(wrong) = &found.header {
                let wrong = wrong.clone();
                let damage = Damage {
                    segment,
                    offset: 0,
                    wrong,
                };
                return Err(damage.into());
            }
        }
        self.walk(self.replay_from(), each, &mut |damage| Err(damage.into()))
    }

    /// Gives all undamaged frames from the last whole checkpoint on, in order, and says what is
    /// damaged.
    ///
    /// # Errors
    ///
    /// From `each` alone.
    pub fn salvage(
        &mut self,
        each: &mut Each<'_>,
        damages: &mut Vec<Damage>,
    ) -> Result<Tail, OpenError> {
        self.walk(self.replay_from(), each, &mut |damage| {
            damages.push(damage);
            Ok(())
        })
    }

    /// Gives all undamaged frames of all segments, in order, and says what is damaged. Segments
    /// before the last checkpoint may be missing without damage.
    ///
    /// # Errors
    ///
    /// From `each` alone.
    pub fn replay_all(
        &mut self,
        each: &mut Each<'_>,
        damages: &mut Vec<Damage>,
    ) -> Result<Tail, OpenError> {
        self.walk(1, each, &mut |damage| {
            damages.push(damage);
            Ok(())
        })
    }

    /// Where a replay begins: a segment that must be there.
    pub fn replay_from(&self) -> u64 {
        self.checkpoint.max(1)
    }

    fn headers(&self) -> impl Iterator<Item = &SegmentHeader> {
        let headers = self.segments.values();
        headers.filter_map(|found| found.header.as_ref().ok())
    }

    fn walk(
        &self,
        from: u64,
        each: &mut Each<'_>,
        damaged: &mut dyn FnMut(Damage) -> Result<(), OpenError>,
    ) -> Result<Tail, OpenError> {
        let mut walk = Walk {
            each,
            damaged,
            tail: Tail::default(),
            unsure: VecDeque::new(),
        };
        walk.tail.time = self.headers().map(|header| header.time).max().unwrap_or(0);
        if self.is_new() {
            return Ok(walk.tail);
        }
        let newest = self.segments.keys().next_back().copied().unwrap_or(1);
        let first = self.segments.keys().next().copied().unwrap_or(1);
        for number in from.max(first.min(self.replay_from()))..=newest {
            match self.segments.get(&number) {
                Some(found) => walk.segment(number, found, self.limit(number, newest))?,
                None if number >= self.replay_from() => walk.damage(number, 0, Wrong::Missing)?,
                None => {}
            }
        }
        Ok(walk.tail)
    }

    /// Where the frames of a segment must end.
    fn limit(&self, number: u64, newest: u64) -> Limit {
        if number == newest {
            return Limit::Newest;
        }
        let next = self.segments.get(&number.saturating_add(1));
        match next.map(|next| &next.header) {
            Some(Ok(next)) => Limit::Before(next.first),
            _ => Limit::EndOfFile,
        }
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("identity", &self.identity)
            .field("segments", &self.segments.keys())
            .field("checkpoint", &self.checkpoint)
            .finish_non_exhaustive()
    }
}

/// Where the frames of a segment must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// Before the frame with this sequence, which the next segment begins with.
    Before(u64),
    /// Where the file ends: the next segment is not there, or does not say.
    EndOfFile,
    /// Anywhere: the end may be torn.
    Newest,
}

/// A replay that is going on.
struct Walk<'a, 'b> {
    each: &'a mut Each<'b>,
    damaged: &'a mut dyn FnMut(Damage) -> Result<(), OpenError>,
    tail: Tail,
    /// Frames of this segment of which none so far says that they are on the disk: their
    /// sequences, and where they begin.
    unsure: VecDeque<(u64, u64)>,
}

impl Walk<'_, '_> {
    fn segment(&mut self, number: u64, found: &Found, limit: Limit) -> Result<(), OpenError> {
        let header = match &found.header {
            Ok(header) => header,
            Err(wrong) => return self.damage(number, 0, wrong.clone()),
        };
        let file = Arc::clone(&found.file);
        let mut reader = Reader::new(file, header.generation, found.length);
        self.unsure.clear();
        let mut at = HEADER_BYTES;
        let mut expected = header.first;
        loop {
            match self.frames(&mut reader, number, limit, &mut at, &mut expected) {
                Ok(()) => {}
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Unreadable(error)) => {
                    self.damage(number, at, Wrong::Unreadable(error.to_string()))?;
                    break;
                }
            }
            if limit == Limit::Before(expected) {
                break;
            }
            match self.pass(&mut reader, number, limit, at, expected) {
                Ok(Some((next, sequence))) => (at, expected) = (next, sequence),
                Ok(None) => break,
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Unreadable(error)) => {
                    self.damage(number, at, Wrong::Unreadable(error.to_string()))?;
                    break;
                }
            }
        }
        self.tail.sequence = self.tail.sequence.max(expected.saturating_sub(1));
        if limit == Limit::Newest {
            self.tail.end = Some((number, at));
            self.tail.unsure = self.unsure.front().map_or(at, |&(_, begins)| begins);
        }
        Ok(())
    }

    /// Gives all frames from `at` on, as far as they follow each other.
    fn frames(
        &mut self,
        reader: &mut Reader,
        number: u64,
        limit: Limit,
        at: &mut u64,
        expected: &mut u64,
    ) -> Result<(), Stop> {
        while limit != Limit::Before(*expected) {
            let Some((head, payload)) = reader.frame(*at)? else {
                return Ok(());
            };
            if head.sequence != *expected {
                return Ok(());
            }
            let place = FrameAt {
                segment: number,
                offset: at.saturating_add(FRAME_HEAD_BYTES),
                sequence: head.sequence,
                time: head.time,
            };
            (self.each)(place, payload).map_err(Stop::Error)?;
            let is_synced = |one: &mut (u64, u64)| one.0 <= head.synced;
            while self.unsure.pop_front_if(is_synced).is_some() {}
            self.unsure.push_back((head.sequence, *at));
            *at = at.saturating_add(head.frame_bytes());
            *expected = expected.saturating_add(1);
            self.tail.time = self.tail.time.max(head.time);
            let replayed = &mut self.tail.replayed_bytes;
            *replayed = replayed.saturating_add(head.frame_bytes());
        }
        Ok(())
    }

    /// The expected frame is not at `at`: says what that means, and where there is one to go on
    /// with.
    fn pass(
        &mut self,
        reader: &mut Reader,
        number: u64,
        limit: Limit,
        at: u64,
        expected: u64,
    ) -> Result<Option<(u64, u64)>, Stop> {
        let survey = reader.survey(at, expected)?;
        let is_damage = match limit {
            Limit::Before(_) => true,
            Limit::EndOfFile => at < reader.length(),
            Limit::Newest => survey.synced >= expected,
        };
        if !is_damage {
            if limit == Limit::Newest {
                self.tail.empty = (at == HEADER_BYTES).then_some(number);
                self.tail.dropped_bytes = torn(reader, at, expected, &survey)?;
            }
            return Ok(None);
        }
        let next = match survey.next {
            Some(next) => reader.head(next)?.map(|head| (next, head.sequence)),
            None => None,
        };
        let wrong = match (next, limit) {
            (Some((_, sequence)), _) | (None, Limit::Before(sequence)) => {
                Wrong::Frames(expected..=sequence.saturating_sub(1))
            }
            (None, _) => Wrong::FramesFrom(expected),
        };
        self.damage(number, at, wrong).map_err(Stop::Error)?;
        Ok(next)
    }

    fn damage(&mut self, segment: u64, offset: u64, wrong: Wrong) -> Result<(), OpenError> {
        (self.damaged)(Damage {
            segment,
            offset,
            wrong,
        })
    }
}

/// Why the frames of a segment are not read on.
enum Stop {
    Error(OpenError),
    Unreadable(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Bytes of what lies behind the last frame and was meant to be frames.
fn torn(reader: &mut Reader, at: u64, expected: u64, survey: &Survey) -> io::Result<u64> {
    let begun = match reader.head(at)? {
        Some(head) if head.sequence == expected => at.saturating_add(head.frame_bytes()),
        _ => at,
    };
    let end = begun.min(reader.length()).max(survey.end);
    Ok(end.saturating_sub(at))
}

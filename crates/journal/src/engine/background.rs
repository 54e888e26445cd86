//! Housekeeping, in small pieces between commits: checkpoints, compaction, spare segments, and the
//! removal of segments that nobody needs.
//!
//! A segment is needed as long as a replay begins before its end (see the header's `checkpoint`),
//! or a message lies in it that is needed. Compaction writes such messages once more, so that no
//! message keeps a segment for long.

use store::Shortage;

use crate::checkpoint::{Checkpoint, Progress, pieces};
use crate::log::{FrameAt, SegmentInfo, WriteError, shortage};
use crate::segment::{FrameBuffer, MAX_PAYLOAD};

use super::Engine;
use super::compact::Victim;
use crate::model::{ExpiryWalk, GRACE};

/// Whether there is housekeeping left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// There is: call again soon.
    More,
    /// Nothing for now.
    Done,
}

/// What the housekeeping has to remember.
pub(super) struct Background {
    checkpoint: Option<Running>,
    /// The checkpoint that the newest segment's header names; 0 is none.
    pub(super) noted: u64,
    /// The last whole checkpoint: the next header names it.
    whole: u64,
    since: Since,
    /// Bytes of the last whole checkpoint.
    written: u64,
    /// Bytes of it for each byte that was estimated.
    factor: u64,
    expiry: Option<ExpiryWalk>,
    /// When what has expired is looked for again.
    next_expiry: u64,
    pub(super) victim: Option<Victim>,
    /// Damaged segments, which are not compacted.
    pub(super) stuck: Vec<u64>,
    /// Segments that the system would not remove; the next run tries again.
    unremovable: Vec<u64>,
    room: SpareRoom,
    pub(super) limit: Limit,
    /// When a full disk is tried again.
    retry_at: u64,
    next_tidy: u64,
    tidy_until: u64,
    /// Room was short until a while before.
    hurry_until: u64,
    pub(super) frame: FrameBuffer,
}

/// A checkpoint that is being written.
struct Running {
    checkpoint: Checkpoint,
    /// What was written since it began.
    since: Since,
    bytes: u64,
    estimate: u64,
}

/// What was written since some point.
#[derive(Clone, Copy, Debug, Default)]
struct Since {
    bytes: u64,
    segments: u64,
}

/// Whether there is room for another segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpareRoom {
    Enough,
    Full(Shortage),
}

/// Whether `limits.store_bytes` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Ahead,
    Reached,
}

impl Background {
    /// `checkpoint`: what the newest segment's header names. `replayed`: bytes of the replay, which
    /// found so many sessions.
    pub(super) fn new(checkpoint: u64, replayed: u64, sessions: u64) -> Self {
        Self {
            checkpoint: None,
            noted: checkpoint,
            whole: checkpoint,
            since: Since {
                bytes: replayed,
                // Who was connected is not any more, and the journal does not say so yet.
                segments: if sessions > 0 { u64::MAX } else { 0 },
            },
            written: 0,
            factor: 1,
            expiry: None,
            next_expiry: 0,
            victim: None,
            stuck: Vec::new(),
            unremovable: Vec::new(),
            room: SpareRoom::Enough,
            limit: Limit::Ahead,
            retry_at: 0,
            next_tidy: 0,
            tidy_until: 0,
            hurry_until: 0,
            frame: FrameBuffer::default(),
        }
    }

    pub(super) fn has_written(&mut self, payload: usize, now: u64) {
        let bytes = u64::try_from(payload).unwrap_or(u64::MAX);
        self.since.bytes = self.since.bytes.saturating_add(bytes);
        if let Some(running) = &mut self.checkpoint {
            running.since.bytes = running.since.bytes.saturating_add(bytes);
        }
        self.tidy_until = now.saturating_add(TIDY_FOR);
    }

    pub(super) fn has_rolled(&mut self) {
        self.noted = self.whole;
        self.since.segments = self.since.segments.saturating_add(1);
        if let Some(running) = &mut self.checkpoint {
            running.since.segments = running.since.segments.saturating_add(1);
        }
    }

    /// Room is short: what nobody refers to is forgotten sooner for a while.
    pub(super) fn hurry(&mut self, now: u64) {
        self.hurry_until = now.saturating_add(GRACE);
    }

    pub(super) fn is_full(&self) -> bool {
        self.shortage().is_some()
    }

    /// Why there is no room for another segment.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        match self.room {
            SpareRoom::Enough => None,
            SpareRoom::Full(why) => Some(why),
        }
    }
}

impl Engine {
    /// One piece of housekeeping: about 256 KiB, or a session.
    ///
    /// # Errors
    ///
    /// [`WriteError::Failed`], for good. A full disk is no error here: [`Engine::shortage`] says it.
    pub fn idle(&mut self, now: u64) -> Result<Idle, WriteError> {
        self.now = self.now.max(now);
        if self.now >= self.background.next_tidy {
            if self.is_short() {
                self.background.hurry(self.now);
            }
            if self.now < self.background.hurry_until {
                self.model.tidy_in_need(self.now);
            } else {
                self.model.tidy(self.now);
            }
            self.background.next_tidy = self.now.saturating_add(TIDY_EACH);
        }
        self.sweep()?;
        if self.now < self.background.retry_at {
            return Ok(Idle::Done);
        }
        match self.make_spare().and_then(|()| self.step()) {
            Err(WriteError::Full(_)) => {
                // A checkpoint would go on from what is not true any more when there is room.
                self.background.checkpoint = None;
                self.background.retry_at = self.now.saturating_add(RETRY);
                Ok(Idle::Done)
            }
            other => other,
        }
    }

    /// When [`Engine::idle`] has something to do if nothing is written until then.
    pub fn next_due(&self, now: u64) -> Option<u64> {
        let background = &self.background;
        let tidy = (now < background.tidy_until).then_some(background.next_tidy);
        let retry = background.is_full().then_some(background.retry_at);
        let expiry = self.expiry_due().map(|due| due.max(background.retry_at));
        [tidy, retry, expiry].into_iter().flatten().min()
    }

    fn make_spare(&mut self) -> Result<(), WriteError> {
        if self.log.has_spare() {
            self.background.room = SpareRoom::Enough;
            return Ok(());
        }
        let made = self.log.make_spare();
        self.background.room = match &made {
            Err(WriteError::Full(error)) => SpareRoom::Full(shortage(error)),
            _ => SpareRoom::Enough,
        };
        match made {
            // Compaction and checkpoints make room; they may use what is left of this segment.
            Err(WriteError::Full(_)) => Ok(()),
            Err(error) => Err(self.failed(error)),
            Ok(()) => Ok(()),
        }
    }

    fn step(&mut self) -> Result<Idle, WriteError> {
        if self.background.checkpoint.is_some() {
            self.go_on_with_checkpoint()?;
        } else if self.background.expiry.is_some() {
            self.go_on_with_expiry()?;
        } else if self.expiry_due().is_some_and(|due| due <= self.now) {
            let before = self.now.saturating_sub(GRACE);
            self.background.expiry = Some(ExpiryWalk::begin(&mut self.model, before));
            self.background.next_expiry = self.now.saturating_add(EXPIRY_EACH);
        } else if self.wants_checkpoint() {
            self.begin_checkpoint()?;
        } else if self.background.victim.is_some() {
            self.compact()?;
        } else if let Some(victim) = self.choose_victim() {
            self.background.victim = Some(victim);
        } else {
            return Ok(Idle::Done);
        }
        Ok(Idle::More)
    }

    /// When what has expired is to be looked for. After the grace: the workers, who look at the
    /// expiry themselves, do not get in between.
    fn expiry_due(&self) -> Option<u64> {
        let soonest = self.model.soonest()?;
        let due = soonest.saturating_add(GRACE).saturating_add(1);
        Some(due.max(self.background.next_expiry))
    }

    fn go_on_with_expiry(&mut self) -> Result<(), WriteError> {
        let Some(mut walk) = self.background.expiry.take() else {
            return Ok(());
        };
        let mut records = Vec::new();
        let progress = walk.step(&mut self.model, &mut records, LOOKS);
        for piece in pieces(&records, LONGEST) {
            if let Err(error) = self.write_and_apply(piece) {
                self.model.expire_again();
                return Err(error);
            }
        }
        if progress == Progress::More {
            self.background.expiry = Some(walk);
        }
        Ok(())
    }

    /// About the bytes that a checkpoint takes now.
    pub(super) fn state_bytes(&self) -> u64 {
        self.model
            .state_bytes()
            .saturating_mul(self.background.factor)
    }

    /// A checkpoint costs as much as it is large, and saves a replay of what came before it.
    fn wants_checkpoint(&self) -> bool {
        let since = self.background.since;
        let enough = self.state_bytes().max(self.background.written);
        let enough = enough.saturating_mul(2);
        let segment = self.options.log.segment_bytes;
        // One that takes many segments itself must not be followed by the next at once.
        let segments = enough.checked_div(segment).unwrap_or(0);
        since.bytes >= enough.max(segment) || since.segments >= segments.max(SEGMENTS_BETWEEN)
    }

    /// A checkpoint at once, and named in a header.
    pub(super) fn whole_checkpoint(&mut self) -> Result<(), WriteError> {
        self.begin_checkpoint()?;
        while self.background.checkpoint.is_some() {
            self.go_on_with_checkpoint()?;
        }
        if self.background.noted != self.background.whole {
            self.roll()?;
        }
        Ok(())
    }

    fn begin_checkpoint(&mut self) -> Result<(), WriteError> {
        let first = self.roll()?;
        self.background.checkpoint = Some(Running {
            checkpoint: Checkpoint::begin(&self.model, first),
            since: Since::default(),
            bytes: 0,
            estimate: self.model.state_bytes(),
        });
        Ok(())
    }

    fn go_on_with_checkpoint(&mut self) -> Result<(), WriteError> {
        let Some(mut running) = self.background.checkpoint.take() else {
            return Ok(());
        };
        let mut records = Vec::new();
        let progress = running.checkpoint.step(&self.model, &mut records, PIECE);
        let bytes = u64::try_from(records.len()).unwrap_or(u64::MAX);
        running.bytes = running.bytes.saturating_add(bytes);
        let first = running.checkpoint.first();
        let (written, estimate) = (running.bytes, running.estimate);
        self.background.checkpoint = Some(running);
        // In one frame: half of a session would take the place of the whole one.
        for piece in pieces(&records, MAX_PAYLOAD) {
            self.write_own(piece)?;
        }
        if progress == Progress::More {
            return Ok(());
        }
        // Only what is on the disk may be named in a header.
        self.sync()?;
        self.log.set_checkpoint(first);
        self.background.whole = first;
        self.background.written = written;
        self.background.factor = written.checked_div(estimate.max(4096)).unwrap_or(1).max(1);
        if let Some(running) = self.background.checkpoint.take() {
            self.background.since = running.since;
        }
        if self.has_garbage() {
            // The next header lets go of what lies before the checkpoint.
            self.roll()?;
        }
        Ok(())
    }

    /// Whether the segments hold more than twice what lives, and some more than that.
    pub(super) fn has_garbage(&self) -> bool {
        let slack = self.options.log.segment_bytes.saturating_mul(2);
        let live = self.live_bytes().saturating_mul(2);
        self.log.used_bytes() > live.saturating_add(slack) || self.is_short() || self.is_scattered()
    }

    /// Whether there are many small segments: each start leaves one, and each takes a file.
    pub(super) fn is_scattered(&self) -> bool {
        let small = self.log.segments().filter(|one| self.is_small(one));
        small.count() > SCATTERED
    }

    pub(super) fn is_small(&self, segment: &SegmentInfo) -> bool {
        segment.sealed && segment.used < self.options.log.segment_bytes / 4
    }

    /// Writes records of the housekeeping as a frame of their own; the model need not be told.
    /// Says where.
    pub(super) fn write_own(&mut self, records: &[u8]) -> Result<FrameAt, WriteError> {
        let mut frame = std::mem::take(&mut self.background.frame);
        frame.clear();
        frame.push(records);
        let written = self.write(&mut frame, self.now);
        if frame.capacity() <= LONGEST {
            self.background.frame = frame;
        }
        written
    }

    fn roll(&mut self) -> Result<u64, WriteError> {
        match self.log.roll(self.now) {
            Ok(number) => {
                self.current = number;
                self.background.has_rolled();
                Ok(number)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Removes segments that nobody needs.
    fn sweep(&mut self) -> Result<(), WriteError> {
        let noted = self.background.noted;
        let dead: Vec<u64> = self
            .log
            .segments()
            .map(|segment| segment.number)
            .filter(|&number| number < noted && self.model.live(number).messages == 0)
            .filter(|number| !self.background.unremovable.contains(number))
            .collect();
        if dead.is_empty() {
            return Ok(());
        }
        // What made them dead must not be lost before them.
        self.sync()?;
        for number in dead {
            if self
                .background
                .victim
                .as_ref()
                .is_some_and(|victim| victim.is(number))
            {
                self.background.victim = None;
            }
            if self.log.remove(number).is_err() {
                self.failures = self.failures.saturating_add(1);
                self.background.unremovable.push(number);
            }
        }
        Ok(())
    }
}

/// Bytes of one piece of housekeeping.
pub(super) const PIECE: usize = 256 << 10;
/// The longest payload of a frame of the housekeeping's own, but for single long records.
const LONGEST: usize = 4 << 20;
/// A checkpoint comes after so many segments at the latest, so that a restart is quick; later if
/// it takes half as many itself.
const SEGMENTS_BETWEEN: u64 = 16;
/// So many small segments are borne.
const SCATTERED: usize = 8;
/// Milliseconds between two looks at what waits to be forgotten.
const TIDY_EACH: u64 = 1000;
/// Milliseconds after the last write for which something may wait to be forgotten.
const TIDY_FOR: u64 = 70_000;
/// Milliseconds between two walks over what may have expired.
const EXPIRY_EACH: u64 = 120_000;
/// So many things are looked at in one piece of such a walk: a millisecond or two.
const LOOKS: usize = 10_000;
/// Milliseconds until a full disk is tried again.
const RETRY: u64 = 100;

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
    /// After one that had to be given up: when the next may begin, and how long that takes.
    next_checkpoint: u64,
    patience: u64,
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
    pub(super) reserve: Reserve,
    /// What the disk has left for others, and when that is looked up again.
    pub(super) disk_free: Option<u64>,
    next_look: u64,
    /// When a full disk is tried again.
    pub(super) retry_at: u64,
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
    /// What it takes away from what it replaces, in bytes.
    behind: u64,
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

/// Whether room is kept for what clients will settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserve {
    Kept,
    /// There are no clients.
    None,
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
            next_checkpoint: 0,
            patience: 0,
            expiry: None,
            next_expiry: 0,
            victim: None,
            stuck: Vec::new(),
            unremovable: Vec::new(),
            room: SpareRoom::Enough,
            limit: Limit::Ahead,
            reserve: Reserve::Kept,
            disk_free: None,
            next_look: 0,
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
                self.give_up_checkpoint();
                self.background.retry_at = self.now.saturating_add(RETRY);
                Ok(Idle::Done)
            }
            Ok(Idle::Done) if self.background.is_full() => {
                self.background.retry_at = self.now.saturating_add(RETRY);
                Ok(Idle::Done)
            }
            other => other,
        }
    }

    /// A checkpoint would go on from what is not true any more when there is room. What was written
    /// of it is for nothing: the next one waits, ever longer.
    fn give_up_checkpoint(&mut self) {
        let background = &mut self.background;
        if background.checkpoint.take().is_some() {
            let longer = background.patience.saturating_mul(2);
            background.patience = longer.clamp(PATIENCE, MOST_PATIENCE);
            background.next_checkpoint = self.now.saturating_add(background.patience);
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
        let reserve = self.reserve();
        self.log.set_reserve(reserve);
        if self.log.trim().is_err() {
            self.failures = self.failures.saturating_add(1);
        }
        let before = self.log.room();
        let made = self.log.make_spare();
        if self.now >= self.background.next_look || self.log.room() != before {
            self.background.next_look = self.now.saturating_add(LOOK_EACH);
            self.background.disk_free = self.log.free_bytes();
        }
        match made {
            // Compaction and checkpoints make room, of what was kept for them.
            Err(WriteError::Full(error)) => {
                self.background.room = SpareRoom::Full(shortage(&error));
            }
            Err(error) => return Err(self.failed(error)),
            Ok(()) => {
                // Who is refused should not have to ask why the next one is not.
                let segment = self.options.log.segment_bytes;
                let least = match self.background.room {
                    SpareRoom::Enough => segment / 8,
                    SpareRoom::Full(_) => segment / 2,
                };
                self.background.room = if self.disk_left() < least {
                    SpareRoom::Full(Shortage::Disk)
                } else {
                    SpareRoom::Enough
                };
            }
        }
        Ok(())
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
        } else if self.is_short() && self.background.whole > self.background.noted {
            self.roll()?;
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

    /// A checkpoint costs as much as it is large, and saves a replay of what came before it; and it
    /// gives back the room of what is not true any more.
    fn wants_checkpoint(&self) -> bool {
        let since = self.background.since;
        let state = self.model.state_bytes();
        let enough = state.saturating_mul(2);
        let segment = self.options.log.segment_bytes;
        // One that takes many segments itself must not be followed by the next at once.
        let segments = enough.checked_div(segment).unwrap_or(0);
        let is_due =
            since.bytes >= enough.max(segment) || since.segments >= segments.max(SEGMENTS_BETWEEN);
        let gain = self.dead_from(self.background.whole).saturating_sub(state);
        if !self.is_short() {
            return is_due || gain >= state.saturating_add(segment.saturating_mul(2));
        }
        if self.now < self.background.next_checkpoint {
            return false;
        }
        // One that does not fit would make things worse.
        let slack = self.log.smallest().saturating_mul(2);
        let is_tight = self.available() < enough.saturating_add(segment);
        let least = if is_tight { state / 4 } else { state };
        let settling = self.model.settling_bytes();
        gain >= least.saturating_add(slack) && self.fits(state)
            || is_due && self.fits(state.saturating_add(settling))
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
        let behind = self.dead_from(self.background.whole);
        let first = self.roll()?;
        self.background.checkpoint = Some(Running {
            checkpoint: Checkpoint::begin(&self.model, first),
            since: Since::default(),
            behind,
        });
        Ok(())
    }

    fn go_on_with_checkpoint(&mut self) -> Result<(), WriteError> {
        let Some(mut running) = self.background.checkpoint.take() else {
            return Ok(());
        };
        let mut records = Vec::new();
        let progress = running.checkpoint.step(&self.model, &mut records, PIECE);
        let first = running.checkpoint.first();
        let behind = running.behind;
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
        self.background.patience = 0;
        if let Some(running) = self.background.checkpoint.take() {
            self.background.since = running.since;
        }
        let much = self.options.log.segment_bytes.saturating_mul(2);
        if behind >= much || self.has_garbage() {
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
/// Milliseconds between two looks at what the disk has left.
const LOOK_EACH: u64 = 100;
/// Milliseconds until a checkpoint is tried again that had to be given up: at first, and at most.
const PATIENCE: u64 = 1_000;
const MOST_PATIENCE: u64 = 60_000;

//! How much room there is: for messages, and beside them for all that is written without asking.
//!
//! What clients settle, checkpoints and messages that are moved must go on when there is no room for
//! anything new, because they make room. So theirs is kept, for as much as it may be: on the disk as
//! spare segments, below `limits.store_bytes` by counting.

use store::Shortage;

use super::Engine;
use super::background::{Limit, Reserve};

impl Engine {
    /// Why there is no room for more messages; `None` if there is.
    pub fn shortage(&self) -> Option<Shortage> {
        let disk = self.background.shortage();
        disk.or_else(|| (self.background.limit == Limit::Reached).then_some(Shortage::Limit))
    }

    /// Whether there is no room, or soon none.
    pub(super) fn is_short(&self) -> bool {
        let segment = self.options.log.segment_bytes;
        self.background.is_full()
            || self.background.limit == Limit::Reached
            || self.limit_left() < segment.saturating_mul(RESERVE)
            || self.disk_left() < segment
    }

    /// Bytes of messages that may be written before this is asked again, and what ends the room for
    /// them. What is written without asking has its room beside them: see [`Engine::reserve`].
    pub fn left(&self) -> (u64, Shortage) {
        let limit = match self.background.limit {
            Limit::Reached => 0,
            Limit::Ahead => self.limit_left(),
        };
        let disk = self.disk_left();
        let (left, why) = if disk < limit {
            (disk, Shortage::Disk)
        } else {
            (limit, Shortage::Limit)
        };
        (left / AT_ONCE, why)
    }

    /// Bytes for which the room is taken before it is needed, so that it is there when the disk is
    /// full: for what clients settle, for a checkpoint, and a segment for messages that are moved.
    pub(super) fn reserve(&self) -> u64 {
        let segment = self.options.log.segment_bytes;
        match self.background.reserve {
            Reserve::Kept => segment.saturating_add(self.proportional()),
            Reserve::None => segment,
        }
    }

    /// The part of the reserve that depends on what there is.
    fn proportional(&self) -> u64 {
        let state = self.model.needed_state_bytes();
        state.saturating_add(self.model.settling_bytes())
    }

    /// Bytes of messages for which the disk has room beside the reserve.
    pub(super) fn disk_left(&self) -> u64 {
        match self.background.disk_free {
            Some(_) => self.available().saturating_sub(self.reserve()),
            None => u64::MAX,
        }
    }

    /// Looks whether `limits.store_bytes` is reached. Who is refused should not have to ask why the
    /// next one is not: so it stays reached until there is room for some segments.
    pub fn watch_limit(&mut self) {
        let segment = self.options.log.segment_bytes;
        let least = match self.background.limit {
            Limit::Reached => segment.saturating_mul(2),
            Limit::Ahead => segment,
        };
        self.background.limit = if self.limit_left() < least {
            Limit::Reached
        } else {
            Limit::Ahead
        };
        if self.background.limit == Limit::Reached {
            self.background.hurry(self.now);
        }
    }

    pub(super) fn limit_left(&self) -> u64 {
        let most = self.options.store_bytes;
        if most == 0 {
            return u64::MAX;
        }
        let files = self.options.log.segment_bytes.saturating_mul(RESERVE);
        let aside = files.saturating_add(self.proportional());
        most.saturating_sub(aside)
            .saturating_sub(self.log.used_bytes())
    }

    /// Bytes in the segments from `first` on that are not messages which somebody needs.
    pub(super) fn dead_from(&self, first: u64) -> u64 {
        let segments = self.log.segments_from(first);
        let dead = segments.map(|segment| {
            let live = self.model.live(segment.number).bytes;
            segment.used.saturating_sub(live)
        });
        dead.fold(0, u64::saturating_add)
    }

    /// Whether there is room for a checkpoint of so many bytes, and for naming it in a header.
    pub(super) fn fits(&self, state: u64) -> bool {
        let files = self.log.smallest().saturating_mul(2);
        let more = state / 8;
        self.available() >= state.saturating_add(more).saturating_add(files)
    }

    /// Bytes that can be written until the disk is full.
    pub(super) fn available(&self) -> u64 {
        let others = self.background.disk_free.unwrap_or(0);
        self.log.room().saturating_add(others)
    }
}

/// Segments for which there is room aside of messages: the rest of the one that is written, two
/// spares, and what makes room.
const RESERVE: u64 = 4;

/// One in so many bytes of the room may be taken at once: what is owed to many takes much more of
/// the reserve than it takes itself.
const AT_ONCE: u64 = 4;

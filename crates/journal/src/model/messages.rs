//! Messages: where they lie, how many refer to them, and how long they stay when nobody does.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use types::MessageRef;

use super::nearby::BuildNearby;
use super::recent::{Packed, Recent, RecentMessages};
use super::{GRACE, HURRIED_GRACE, LIMBO};
use crate::record::{BodyPlace, NEVER};

/// What is needed in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentUse {
    /// How many messages.
    pub messages: u64,
    /// How many bytes of them.
    pub bytes: u64,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) place: BodyPlace,
    pub(crate) size: u32,
    pub(crate) expires: Option<u64>,
}

/// A message that somebody refers to, or did: 40 bytes with its name.
#[derive(Clone, Copy, Debug)]
struct Slot {
    known: Packed,
    references: u32,
    /// The low half of the time since which nobody refers to it.
    idle: u32,
}

/// Whether messages that nobody refers to are forgotten sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hurry {
    No,
    /// If they are many.
    IfMany,
    Yes,
}

/// All messages.
///
/// Most are referred to for a moment only, soon after they came. They are in [`RecentMessages`]
/// from then on, and in the table as long as somebody refers to them; so the table is small
/// unless much is owed.
#[derive(Debug)]
pub(super) struct Messages {
    table: HashMap<u64, Slot, BuildNearby>,
    recent: RecentMessages,
    /// Messages of the table that nobody referred to at some time, and that time.
    limbo: VecDeque<(u64, u64)>,
    segments: HashMap<u32, SegmentUse, FixedState>,
    ages: Ages,
    needed: u64,
    /// Messages of the table that nobody has seen.
    missing: u64,
    bytes: u64,
    last: u64,
    /// No message expires before, but for those that are of no concern.
    soonest: u64,
}

impl Messages {
    pub(super) fn new(hasher: &dyn Fn() -> FixedState) -> Self {
        Self {
            table: HashMap::default(),
            recent: RecentMessages::default(),
            limbo: VecDeque::new(),
            segments: HashMap::with_hasher(hasher()),
            ages: Ages::default(),
            needed: 0,
            missing: 0,
            bytes: 0,
            last: 0,
            soonest: NEVER,
        }
    }

    /// A message has come, or was written once more elsewhere.
    #[inline]
    pub(super) fn come(&mut self, message: u64, known: Known, now: u64) -> Result<(), Fault> {
        let packed = Packed::new(&known)?;
        let recent = Recent {
            message,
            since: now,
            known: packed,
        };
        if message > self.last && self.recent.push(recent) {
            self.last = message;
            self.enter(&packed);
            // A reference may have come before.
            self.fill(message, packed);
            return Ok(());
        }
        if self.has(message) || !self.recent.push(recent) {
            return self.place(message, known, now);
        }
        self.enter(&packed);
        Ok(())
    }

    /// Gives a place to a message of the table that has none.
    fn fill(&mut self, message: u64, packed: Packed) {
        if self.missing == 0 {
            return;
        }
        if let Some(slot) = self.table.get_mut(&message) {
            slot.known = packed;
            self.missing = self.missing.saturating_sub(1);
        }
    }

    fn has(&self, message: u64) -> bool {
        self.table.contains_key(&message) || self.recent.message(message).is_some()
    }

    /// A message was found, or has moved.
    pub(super) fn place(&mut self, message: u64, known: Known, now: u64) -> Result<(), Fault> {
        let packed = Packed::new(&known)?;
        self.last = self.last.max(message);
        let recent = self.recent.message_mut(message);
        let mut before = recent.map(|recent| std::mem::replace(&mut recent.known, packed));
        if let Some(slot) = self.table.get_mut(&message) {
            let known = std::mem::replace(&mut slot.known, packed);
            if known.segment == 0 {
                self.missing = self.missing.saturating_sub(1);
                if slot.references == 0 {
                    slot.idle = low(now);
                    self.limbo.push_back((message, now));
                }
            }
            before = before.or(Some(known));
        } else if before.is_none() {
            self.limbo.push_back((message, now));
            let slot = Slot {
                known: packed,
                references: 0,
                idle: low(now),
            };
            self.table.insert(message, slot);
        }
        if let Some(before) = before {
            self.leave(&before);
        }
        self.enter(&packed);
        Ok(())
    }

    /// A message lies there from now on.
    #[inline]
    fn enter(&mut self, known: &Packed) {
        let used = self.segments.entry(known.segment).or_default();
        let length = u64::from(known.length);
        used.messages = used.messages.saturating_add(1);
        used.bytes = used.bytes.saturating_add(length);
        self.bytes = self.bytes.saturating_add(length);
        self.soonest = self.soonest.min(known.expires);
    }

    /// A message is no longer where it was.
    #[inline]
    fn leave(&mut self, known: &Packed) {
        if known.segment == 0 {
            return;
        }
        let length = u64::from(known.length);
        self.bytes = self.bytes.saturating_sub(length);
        if let Some(used) = self.segments.get_mut(&known.segment) {
            used.messages = used.messages.saturating_sub(1);
            used.bytes = used.bytes.saturating_sub(length);
            if used.messages == 0 {
                self.segments.remove(&known.segment);
            }
        }
    }

    /// Somebody refers to a message. Whether the message itself is there.
    #[inline]
    pub(super) fn refer(&mut self, message: u64, now: u64) -> bool {
        let slot = match self.table.entry(message) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => {
                let recent = self.recent.message(message);
                if recent.is_none() {
                    self.missing = self.missing.saturating_add(1);
                }
                slot.insert(Slot {
                    known: recent.map_or(UNSEEN, |recent| recent.known),
                    references: 0,
                    idle: low(now),
                })
            }
        };
        slot.references = slot.references.saturating_add(1);
        let is_there = slot.known.segment != 0;
        if slot.references == 1 {
            self.needed = self.needed.saturating_add(1);
            self.ages.add(second(message));
        }
        is_there
    }

    /// Somebody no longer refers to a message.
    #[inline]
    pub(super) fn release(&mut self, message: u64, now: u64) {
        let Entry::Occupied(mut entry) = self.table.entry(message) else {
            return;
        };
        let slot = entry.get_mut();
        slot.references = slot.references.saturating_sub(1);
        if slot.references > 0 {
            return;
        }
        let recent = self.recent.message(message);
        if recent.is_some_and(|recent| now.saturating_sub(recent.since) < QUICK) {
            entry.remove();
        } else {
            slot.idle = low(now);
            self.limbo.push_back((message, now));
        }
        self.needed = self.needed.saturating_sub(1);
        self.ages.take(second(message));
    }

    /// Forgets messages that nobody has referred to for long.
    pub(super) fn tidy(&mut self, now: u64, hurry: Hurry) {
        while let Some(&recent) = self.recent.first() {
            if !self.is_over(recent.since, now, hurry) {
                break;
            }
            self.recent.pop();
            if !self.table.contains_key(&recent.message) {
                self.leave(&recent.known);
            }
        }
        while let Some(&(message, since)) = self.limbo.front() {
            if !self.is_over(since, now, hurry) {
                break;
            }
            self.limbo.pop_front();
            // It may have been referred to since, and be here once more for a later time.
            let slot = self.table.get(&message);
            if slot.is_some_and(|slot| slot.references == 0 && slot.idle == low(since)) {
                self.forget(message);
            }
        }
        let capacity = self.limbo.capacity();
        if capacity > LIMBO && self.limbo.len() < capacity / 8 {
            self.limbo.shrink_to(capacity / 4);
        }
    }

    fn is_over(&self, since: u64, now: u64, hurry: Hurry) -> bool {
        let many = || self.limbo.len().saturating_add(self.recent.len()) > LIMBO;
        let grace = match hurry {
            Hurry::Yes => HURRIED_GRACE,
            Hurry::IfMany if many() => HURRIED_GRACE,
            Hurry::IfMany | Hurry::No => GRACE,
        };
        now.saturating_sub(since) >= grace
    }

    fn forget(&mut self, message: u64) {
        let Some(slot) = self.table.remove(&message) else {
            return;
        };
        if slot.known.segment == 0 {
            self.missing = self.missing.saturating_sub(1);
        } else if self.recent.message(message).is_none() {
            self.leave(&slot.known);
        }
    }

    /// Forgets all messages that nobody refers to.
    pub(super) fn forget_idle(&mut self) {
        self.limbo = VecDeque::new();
        let recent = std::mem::take(&mut self.recent);
        for recent in recent.iter() {
            if !self.table.contains_key(&recent.message) {
                self.leave(&recent.known);
            }
        }
        let idle = self.table.extract_if(|_, slot| slot.references == 0);
        let idle: Vec<Packed> = idle.map(|(_, slot)| slot.known).collect();
        for known in idle {
            if known.segment == 0 {
                self.missing = self.missing.saturating_sub(1);
            }
            self.leave(&known);
        }
    }

    /// Messages in a segment are lost.
    pub(super) fn lose(&mut self, segment: u64) {
        let Ok(segment) = u32::try_from(segment) else {
            return;
        };
        if let Some(used) = self.segments.remove(&segment) {
            self.bytes = self.bytes.saturating_sub(used.bytes);
        }
        self.recent.retain(|recent| recent.known.segment != segment);
        for slot in self.table.values_mut() {
            if slot.known.segment == segment && segment != 0 {
                slot.known.segment = 0;
                self.missing = self.missing.saturating_add(1);
            }
        }
    }

    /// Whether somebody refers to a message that nobody has seen.
    pub(super) fn misses_some(&self) -> bool {
        self.missing > 0
    }

    #[inline]
    pub(super) fn known(&self, message: u64) -> Option<Known> {
        let known = match self.table.get(&message) {
            Some(slot) => slot.known,
            None => self.recent.message(message)?.known,
        };
        if known.segment == 0 {
            return None;
        }
        Some(Known {
            place: BodyPlace {
                segment: u64::from(known.segment),
                offset: u64::from(known.offset),
                length: known.length,
            },
            size: known.size,
            expires: Some(known.expires).filter(|&time| time != NEVER),
        })
    }

    pub(super) fn used(&self, segment: u64) -> SegmentUse {
        u32::try_from(segment)
            .ok()
            .and_then(|segment| self.segments.get(&segment))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = (u64, SegmentUse)> {
        self.segments
            .iter()
            .map(|(&segment, &used)| (u64::from(segment), used))
    }

    /// The messages that lie in segments before `first`.
    pub(super) fn before(&self, first: u64) -> Vec<MessageRef> {
        self.at(|segment| segment != 0 && segment < first)
    }

    /// The messages that lie in a segment.
    pub(super) fn within(&self, segment: u64) -> Vec<MessageRef> {
        self.at(|one| one != 0 && one == segment)
    }

    /// The messages in some segments. Looks at all.
    fn at(&self, segment: impl Fn(u64) -> bool) -> Vec<MessageRef> {
        let table = self.table.iter();
        let table = table.map(|(&message, slot)| (message, slot.known));
        let recent = self.recent.iter().map(|it| (it.message, it.known));
        let recent = recent.filter(|(message, _)| !self.table.contains_key(message));
        table
            .chain(recent)
            .filter(|(_, known)| segment(u64::from(known.segment)))
            .map(|(message, _)| MessageRef(message))
            .collect()
    }

    /// No message expires before that came, or was expected to, since [`Self::forget_soonest`].
    pub(super) fn soonest(&self) -> Option<u64> {
        Some(self.soonest).filter(|&time| time != NEVER)
    }

    pub(super) fn forget_soonest(&mut self) {
        self.soonest = NEVER;
    }

    /// One of those before then expires at this time.
    pub(super) fn expects(&mut self, expires: u64) {
        self.soonest = self.soonest.min(expires);
    }

    /// The messages that somebody refers to.
    pub(super) fn referred(&self) -> impl Iterator<Item = MessageRef> {
        self.table
            .iter()
            .filter(|(_, slot)| slot.references > 0)
            .map(|(&message, _)| MessageRef(message))
    }

    pub(super) fn needed(&self) -> u64 {
        self.needed
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first name of the second in which the oldest message came that somebody refers to.
    pub(super) fn oldest(&self) -> Option<MessageRef> {
        let second = self.ages.first()?;
        Some(MessageRef(second << SECOND_BITS << MessageRef::COUNT_BITS))
    }

    pub(super) fn last(&self) -> MessageRef {
        MessageRef(self.last)
    }

    #[cfg(test)]
    pub(super) fn references(&self) -> BTreeMap<u64, u32> {
        let recent = self.recent.iter().map(|it| (it.message, 0));
        let table = self.table.iter();
        recent
            .chain(table.map(|(&message, slot)| (message, slot.references)))
            .collect()
    }
}

/// How many messages came in which second, of 1,024 ms.
#[derive(Debug, Default)]
struct Ages {
    /// The latest second, which nearly all is about.
    latest: (u64, u64),
    earlier: BTreeMap<u64, u64>,
}

impl Ages {
    #[inline]
    fn add(&mut self, second: u64) {
        if second > self.latest.0 {
            let (before, count) = std::mem::replace(&mut self.latest, (second, 0));
            if count > 0 {
                self.earlier.insert(before, count);
            }
        }
        if second == self.latest.0 {
            self.latest.1 = self.latest.1.saturating_add(1);
        } else {
            let count = self.earlier.entry(second).or_default();
            *count = count.saturating_add(1);
        }
    }

    #[inline]
    fn take(&mut self, second: u64) {
        if second == self.latest.0 {
            self.latest.1 = self.latest.1.saturating_sub(1);
        } else if let Some(count) = self.earlier.get_mut(&second) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.earlier.remove(&second);
            }
        }
    }

    fn first(&self) -> Option<u64> {
        let earlier = self.earlier.first_key_value().map(|(&second, _)| second);
        earlier.or_else(|| (self.latest.1 > 0).then_some(self.latest.0))
    }
}

/// Nobody has seen it.
const UNSEEN: Packed = Packed {
    expires: NEVER,
    segment: 0,
    offset: 0,
    length: 0,
    size: 0,
};

fn low(time: u64) -> u32 {
    u32::try_from(time & u64::from(u32::MAX)).unwrap_or_default()
}

fn second(message: u64) -> u64 {
    MessageRef(message).millis() >> SECOND_BITS
}

const SECOND_BITS: u32 = 10;
/// A message that is released within so many milliseconds after it came stays long enough among
/// the recent ones.
pub(super) const QUICK: u64 = 1_000;

type Fault = &'static str;

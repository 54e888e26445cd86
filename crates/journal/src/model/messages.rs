//! Messages: where they lie, how many refer to them, and how long they stay when nobody does.

#[cfg(test)]
use std::collections::BTreeMap;
use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use types::MessageRef;

use super::ages::Ages;
use super::nearby::BuildNearby;
use super::recent::{Packed, RecentMessages, Row};
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

/// A message that somebody refers to, or may: 32 bytes, because there may be very many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) known: Packed,
    references: u32,
    /// The low half of the time since which nobody refers to it, if it is in limbo; else 0.
    idle: u32,
}

impl Slot {
    /// No message.
    pub(super) const EMPTY: Self = Self {
        known: UNSEEN,
        references: 0,
        idle: 0,
    };

    pub(super) fn is_empty(&self) -> bool {
        self.known.segment == 0 && self.references == 0
    }

    pub(super) fn end_limbo(&mut self) {
        self.idle = 0;
    }

    fn is_missing(&self) -> bool {
        self.known.segment == 0
    }
}

/// Whether messages that nobody refers to are forgotten sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hurry {
    No,
    /// If they are many.
    IfMany,
    Yes,
}

/// All messages: those that came lately in [`RecentMessages`], the others, if anybody refers to
/// them, in the table. No message is in both. Most are referred to for a moment only, soon after
/// they came, and never come into the table.
#[derive(Debug)]
pub(super) struct Messages {
    recent: RecentMessages,
    table: HashMap<u64, Slot, BuildNearby>,
    /// The highest that ever was in the table.
    highest: u64,
    /// Messages that nobody referred to at some time, and that time.
    limbo: VecDeque<(u64, u64)>,
    segments: HashMap<u32, SegmentUse, FixedState>,
    ages: Ages,
    needed: u64,
    /// Messages that lie somewhere.
    places: u64,
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
            recent: RecentMessages::default(),
            table: HashMap::default(),
            highest: 0,
            limbo: VecDeque::new(),
            segments: HashMap::with_hasher(hasher()),
            ages: Ages::default(),
            needed: 0,
            places: 0,
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
        if message <= self.highest && self.table.contains_key(&message) {
            return self.place(message, known, now);
        }
        let Some(slot) = self.recent.slot_for(message, now) else {
            return self.place(message, known, now);
        };
        let is_new = slot.is_empty();
        let before = std::mem::replace(&mut slot.known, packed);
        if is_new {
            self.recent.has_come();
        }
        self.last = self.last.max(message);
        self.moved(&before, is_new, &packed);
        Ok(())
    }

    /// A message was found, or has moved.
    pub(super) fn place(&mut self, message: u64, known: Known, now: u64) -> Result<(), Fault> {
        let packed = Packed::new(&known)?;
        self.last = self.last.max(message);
        if let Some((slot, _)) = self.recent.slot_mut(message) {
            let before = std::mem::replace(&mut slot.known, packed);
            self.moved(&before, false, &packed);
            return Ok(());
        }
        let (before, is_new) = match self.table.entry(message) {
            Entry::Occupied(mut slot) => {
                let slot = slot.get_mut();
                if slot.is_empty() {
                    slot.idle = low(now);
                    self.limbo.push_back((message, now));
                }
                (std::mem::replace(&mut slot.known, packed), false)
            }
            Entry::Vacant(slot) => {
                slot.insert(Slot {
                    known: packed,
                    references: 0,
                    idle: low(now),
                });
                self.highest = self.highest.max(message);
                self.limbo.push_back((message, now));
                (UNSEEN, true)
            }
        };
        self.moved(&before, is_new, &packed);
        Ok(())
    }

    /// What is known of a message has changed.
    #[inline]
    fn moved(&mut self, before: &Packed, is_new: bool, packed: &Packed) {
        if before.segment != 0 {
            self.leave(before);
        } else if !is_new {
            self.missing = self.missing.saturating_sub(1);
        }
        self.enter(packed);
    }

    /// A message lies there from now on.
    #[inline]
    fn enter(&mut self, known: &Packed) {
        let used = self.segments.entry(known.segment).or_default();
        let length = u64::from(known.length);
        used.messages = used.messages.saturating_add(1);
        self.places = self.places.saturating_add(1);
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
            self.places = self.places.saturating_sub(1);
            used.bytes = used.bytes.saturating_sub(length);
            if used.messages == 0 {
                self.segments.remove(&known.segment);
            }
        }
    }

    /// Somebody refers to a message. Whether the message itself is there.
    #[inline]
    pub(super) fn refer(&mut self, message: u64) -> bool {
        let slot = match self.recent.slot_mut(message) {
            Some((slot, _)) => slot,
            None => match self.table.entry(message) {
                Entry::Occupied(slot) => slot.into_mut(),
                Entry::Vacant(slot) => {
                    self.highest = self.highest.max(message);
                    self.missing = self.missing.saturating_add(1);
                    slot.insert(Slot::EMPTY)
                }
            },
        };
        slot.references = slot.references.saturating_add(1);
        if slot.references == 1 {
            self.needed = self.needed.saturating_add(1);
            self.ages.add(second(message));
        }
        !slot.is_missing()
    }

    /// Somebody no longer refers to a message.
    #[inline]
    pub(super) fn release(&mut self, message: u64, now: u64) {
        let (slot, recent, quick) = match self.recent.slot_mut(message) {
            Some((slot, since)) => (slot, true, now.saturating_sub(since) < QUICK),
            None => match self.table.get_mut(&message) {
                Some(slot) => (slot, false, false),
                None => return,
            },
        };
        if slot.references == 0 {
            return;
        }
        slot.references = slot.references.saturating_sub(1);
        if slot.references > 0 {
            return;
        }
        self.needed = self.needed.saturating_sub(1);
        self.ages.take(second(message));
        if recent && slot.is_missing() {
            // Nothing is known of it any more.
            *slot = Slot::EMPTY;
            self.missing = self.missing.saturating_sub(1);
            self.recent.have_gone(1);
        } else if quick {
            slot.idle = 0;
        } else {
            slot.idle = low(now);
            self.limbo.push_back((message, now));
        }
    }

    /// Forgets messages that nobody has referred to for long.
    pub(super) fn tidy(&mut self, now: u64, hurry: Hurry) {
        while let Some(since) = self.recent.oldest() {
            if !self.is_over(since, now, hurry) {
                break;
            }
            if let Some(row) = self.recent.pop() {
                self.retire(&row);
            }
        }
        while let Some(&(message, since)) = self.limbo.front() {
            if !self.is_over(since, now, hurry) {
                break;
            }
            self.limbo.pop_front();
            self.forget(message, low(since));
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

    /// Messages are no longer recent: those that are needed, or in limbo, go on in the table.
    fn retire(&mut self, row: &Row) {
        for (message, slot) in row.iter() {
            if slot.references > 0 || slot.idle != 0 {
                self.table.insert(message, *slot);
                self.highest = self.highest.max(message);
            } else {
                self.leave(&slot.known);
            }
        }
    }

    /// Forgets a message that nobody referred to since then. It may have been referred to since,
    /// and be in limbo once more for a later time.
    fn forget(&mut self, message: u64, idle: u32) {
        let is_idle = |slot: &Slot| slot.references == 0 && slot.idle == idle;
        if let Some((slot, _)) = self.recent.slot_mut(message) {
            if is_idle(slot) {
                let slot = std::mem::replace(slot, Slot::EMPTY);
                self.recent.have_gone(1);
                self.leave(&slot.known);
            }
        } else if let Entry::Occupied(entry) = self.table.entry(message)
            && is_idle(entry.get())
        {
            let slot = entry.remove();
            self.gone(&slot);
        }
    }

    /// A message of the table that nobody refers to is forgotten.
    fn gone(&mut self, slot: &Slot) {
        if slot.is_missing() {
            self.missing = self.missing.saturating_sub(1);
        }
        self.leave(&slot.known);
    }

    /// Forgets all messages that nobody refers to.
    pub(super) fn forget_idle(&mut self) {
        self.limbo = VecDeque::new();
        let rows = self.recent.take();
        let referred = |row: &Row| row.iter().filter(|(_, slot)| slot.references > 0).count();
        self.table.reserve(rows.iter().map(referred).sum());
        for mut row in rows {
            row.end_limbo();
            self.retire(&row);
        }
        let idle = self.table.extract_if(|_, slot| slot.references == 0);
        let idle: Vec<Slot> = idle.map(|(_, slot)| slot).collect();
        for slot in idle {
            self.gone(&slot);
        }
    }

    /// Messages in a segment are lost. Those that somebody refers to are missing then, recent or
    /// not.
    pub(super) fn lose(&mut self, segment: u64) {
        let Some(segment) = u32::try_from(segment).ok().filter(|&segment| segment != 0) else {
            return;
        };
        if let Some(used) = self.segments.remove(&segment) {
            self.bytes = self.bytes.saturating_sub(used.bytes);
            self.places = self.places.saturating_sub(used.messages);
        }
        let mut gone = 0_usize;
        let mut missing = 0_u64;
        let lost = |slot: &&mut Slot| slot.known.segment == segment;
        for slot in self.recent.slots_mut().filter(lost) {
            slot.known.segment = 0;
            if slot.references == 0 {
                *slot = Slot::EMPTY;
                gone = gone.saturating_add(1);
            } else {
                missing = missing.saturating_add(1);
            }
        }
        for slot in self.table.values_mut().filter(lost) {
            slot.known.segment = 0;
            missing = missing.saturating_add(1);
        }
        self.recent.have_gone(gone);
        self.missing = self.missing.saturating_add(missing);
    }

    /// Whether somebody refers to a message that nobody has seen.
    pub(super) fn misses_some(&self) -> bool {
        self.missing > 0
    }

    #[inline]
    pub(super) fn known(&self, message: u64) -> Option<Known> {
        let slot = match self.recent.slot(message) {
            Some(slot) => slot,
            None => self.table.get(&message)?,
        };
        let known = slot.known;
        if slot.is_missing() {
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
        self.slots()
            .filter(|(_, slot)| segment(u64::from(slot.known.segment)))
            .map(|(message, _)| MessageRef(message))
            .collect()
    }

    fn slots(&self) -> impl Iterator<Item = (u64, &Slot)> {
        let table = self.table.iter().map(|(&message, slot)| (message, slot));
        self.recent.iter().chain(table)
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
        self.slots()
            .filter(|(_, slot)| slot.references > 0)
            .map(|(message, _)| MessageRef(message))
    }

    /// Messages that lie somewhere.
    pub(super) fn places(&self) -> u64 {
        self.places
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
        self.slots()
            .map(|(message, slot)| (message, slot.references))
            .collect()
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

/// Never 0.
fn low(time: u64) -> u32 {
    u32::try_from(time & u64::from(u32::MAX))
        .unwrap_or_default()
        .max(1)
}

fn second(message: u64) -> u64 {
    MessageRef(message).millis() >> SECOND_BITS
}

const SECOND_BITS: u32 = 10;
/// A message that is released within so many milliseconds after it came stays long enough among
/// the recent ones.
pub(super) const QUICK: u64 = 1_000;

type Fault = &'static str;

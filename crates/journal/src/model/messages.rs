//! Messages: where they lie, how many refer to them, and how long they stay when nobody does.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use types::MessageRef;

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

/// A message: 40 bytes with its name.
#[derive(Clone, Copy, Debug)]
struct Slot {
    expires: u64,
    /// 0: nobody has seen the message itself.
    segment: u32,
    offset: u32,
    length: u32,
    size: u32,
    references: u32,
    /// The low half of the time since which nobody refers to it.
    idle: u32,
}

impl Slot {
    fn has_body(&self) -> bool {
        self.segment != 0
    }
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) place: BodyPlace,
    pub(crate) size: u32,
    pub(crate) expires: Option<u64>,
}

/// All messages.
#[derive(Debug)]
pub(super) struct Messages {
    table: HashMap<u64, Slot, FixedState>,
    segments: HashMap<u32, SegmentUse, FixedState>,
    /// Messages that nobody referred to at some time, and that time.
    limbo: VecDeque<(u64, u64)>,
    /// Messages that somebody refers to, by the second in which they came (of 1,024 ms).
    ages: BTreeMap<u64, u64>,
    needed: u64,
    bodies: u64,
    bytes: u64,
    last: u64,
}

impl Messages {
    pub(super) fn new(hasher: &dyn Fn() -> FixedState) -> Self {
        Self {
            table: HashMap::with_hasher(hasher()),
            segments: HashMap::with_hasher(hasher()),
            limbo: VecDeque::new(),
            ages: BTreeMap::new(),
            needed: 0,
            bodies: 0,
            bytes: 0,
            last: 0,
        }
    }

    /// A message was found, or has moved.
    pub(super) fn place(
        &mut self,
        message: u64,
        known: Known,
        now: u64,
    ) -> Result<(), &'static str> {
        let narrow = |number| u32::try_from(number).map_err(|_| "a place beyond 32 bits");
        let segment = narrow(known.place.segment)?;
        let offset = narrow(known.place.offset)?;
        let slot = match self.table.entry(message) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => {
                self.limbo.push_back((message, now));
                slot.insert(empty(now))
            }
        };
        self.last = self.last.max(message);
        let before = *slot;
        slot.expires = known.expires.unwrap_or(NEVER);
        slot.segment = segment;
        slot.offset = offset;
        slot.length = known.place.length;
        slot.size = known.size;
        self.leave(&before);
        let used = self.segments.entry(segment).or_default();
        let length = u64::from(known.place.length);
        used.messages = used.messages.saturating_add(1);
        used.bytes = used.bytes.saturating_add(length);
        self.bytes = self.bytes.saturating_add(length);
        self.bodies = self.bodies.saturating_add(1);
        Ok(())
    }

    /// A message is no longer where it was.
    fn leave(&mut self, slot: &Slot) {
        if !slot.has_body() {
            return;
        }
        let length = u64::from(slot.length);
        self.bytes = self.bytes.saturating_sub(length);
        self.bodies = self.bodies.saturating_sub(1);
        if let Some(used) = self.segments.get_mut(&slot.segment) {
            used.messages = used.messages.saturating_sub(1);
            used.bytes = used.bytes.saturating_sub(length);
            if used.messages == 0 {
                self.segments.remove(&slot.segment);
            }
        }
    }

    /// Somebody refers to a message. Whether the message itself is there.
    #[inline]
    pub(super) fn refer(&mut self, message: u64, now: u64) -> bool {
        let slot = self.table.entry(message).or_insert_with(|| empty(now));
        slot.references = slot.references.saturating_add(1);
        if slot.references == 1 {
            self.needed = self.needed.saturating_add(1);
            let age = self.ages.entry(second(message)).or_default();
            *age = age.saturating_add(1);
        }
        slot.has_body()
    }

    /// Somebody no longer refers to a message.
    #[inline]
    pub(super) fn release(&mut self, message: u64, now: u64) {
        let Some(slot) = self.table.get_mut(&message) else {
            return;
        };
        slot.references = slot.references.saturating_sub(1);
        if slot.references > 0 {
            return;
        }
        slot.idle = low(now);
        self.limbo.push_back((message, now));
        self.needed = self.needed.saturating_sub(1);
        let second = second(message);
        if let Some(age) = self.ages.get_mut(&second) {
            *age = age.saturating_sub(1);
            if *age == 0 {
                self.ages.remove(&second);
            }
        }
    }

    /// Forgets messages that nobody has referred to for long. `hurry`: sooner, if they are many.
    pub(super) fn tidy(&mut self, now: u64, hurry: bool) {
        while let Some(&(message, since)) = self.limbo.front() {
            let waited = now.saturating_sub(since);
            let hurried = hurry && waited >= HURRIED_GRACE && self.limbo.len() > LIMBO;
            if waited < GRACE && !hurried {
                break;
            }
            self.limbo.pop_front();
            let slot = self.table.get(&message);
            // It may have been referred to since, and be here once more for a later time.
            if slot.is_some_and(|slot| slot.references == 0 && slot.idle == low(since)) {
                self.forget(message);
            }
        }
        let capacity = self.limbo.capacity();
        if capacity > LIMBO && self.limbo.len() < capacity / 8 {
            self.limbo.shrink_to(capacity / 4);
        }
    }

    fn forget(&mut self, message: u64) {
        if let Some(slot) = self.table.remove(&message) {
            self.leave(&slot);
        }
    }

    /// Forgets all messages that nobody refers to.
    pub(super) fn forget_idle(&mut self) {
        self.limbo = VecDeque::new();
        let idle = self.table.extract_if(|_, slot| slot.references == 0);
        let idle: Vec<Slot> = idle.map(|(_, slot)| slot).collect();
        for slot in idle {
            self.leave(&slot);
        }
    }

    /// Messages in a segment are lost.
    pub(super) fn lose(&mut self, segment: u64) {
        let lost: Vec<u64> = self
            .table
            .iter()
            .filter(|(_, slot)| u64::from(slot.segment) == segment && slot.has_body())
            .map(|(&message, _)| message)
            .collect();
        for message in lost {
            if let Some(slot) = self.table.get_mut(&message) {
                let before = *slot;
                slot.segment = 0;
                self.leave(&before);
            }
        }
    }

    /// Whether somebody refers to a message that nobody has seen.
    pub(super) fn misses_some(&self) -> bool {
        u64::try_from(self.table.len()).unwrap_or(u64::MAX) > self.bodies
    }

    #[inline]
    pub(super) fn known(&self, message: u64) -> Option<Known> {
        let slot = self.table.get(&message).filter(|slot| slot.has_body())?;
        Some(Known {
            place: BodyPlace {
                segment: u64::from(slot.segment),
                offset: u64::from(slot.offset),
                length: slot.length,
            },
            size: slot.size,
            expires: Some(slot.expires).filter(|&time| time != NEVER),
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
        self.table
            .iter()
            .filter(|(_, slot)| slot.has_body() && u64::from(slot.segment) < first)
            .map(|(&message, _)| MessageRef(message))
            .collect()
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
        let (&second, _) = self.ages.first_key_value()?;
        Some(MessageRef(second << SECOND_BITS << MessageRef::COUNT_BITS))
    }

    pub(super) fn last(&self) -> MessageRef {
        MessageRef(self.last)
    }

    #[cfg(test)]
    pub(super) fn references(&self) -> BTreeMap<u64, u32> {
        let all = self.table.iter();
        all.map(|(&message, slot)| (message, slot.references))
            .collect()
    }
}

fn empty(now: u64) -> Slot {
    Slot {
        expires: NEVER,
        segment: 0,
        offset: 0,
        length: 0,
        size: 0,
        references: 0,
        idle: low(now),
    }
}

fn low(time: u64) -> u32 {
    u32::try_from(time & u64::from(u32::MAX)).unwrap_or_default()
}

fn second(message: u64) -> u64 {
    MessageRef(message).millis() >> SECOND_BITS
}

const SECOND_BITS: u32 = 10;

//! Messages that came lately, in rows: one for each millisecond in which some came, and in it one
//! place for each name that was given. Names are counted, so a message is found by its name without
//! a search, and its name takes no room.

use std::collections::VecDeque;

use types::MessageRef;

use super::messages::{Known, Slot};

/// [`Known`], in 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) expires: u64,
    /// 0: nobody has seen the message itself.
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) size: u32,
}

impl Packed {
    pub(super) fn new(known: &Known) -> Result<Self, &'static str> {
        let narrow = |number| u32::try_from(number).map_err(|_| "a place beyond 32 bits");
        let segment = narrow(known.place.segment)?;
        if segment == 0 {
            return Err("there is no segment zero");
        }
        Ok(Self {
            expires: known.expires.unwrap_or(crate::record::NEVER),
            segment,
            offset: narrow(known.place.offset)?,
            length: known.place.length,
            size: known.size,
        })
    }
}

/// The messages of one millisecond.
#[derive(Debug)]
pub(super) struct Row {
    millis: u64,
    /// The count in the name of the first.
    first: u32,
    /// When the last of them came.
    since: u64,
    /// [`Slot::EMPTY`] where there is none.
    slots: Vec<Slot>,
}

impl Row {
    /// The messages, each with its name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Slot)> {
        let first = (self.millis << MessageRef::COUNT_BITS).saturating_add(u64::from(self.first));
        (first..)
            .zip(&self.slots)
            .filter(|(_, slot)| !slot.is_empty())
    }

    /// Nobody waits any more for those that nobody refers to.
    pub(super) fn end_limbo(&mut self) {
        for slot in &mut self.slots {
            slot.end_limbo();
        }
    }

    fn place(&self, message: u64) -> Option<usize> {
        usize::try_from(count(message).checked_sub(self.first)?).ok()
    }

    /// Makes a place for a message, unless it is too far from the others.
    fn place_for(&mut self, message: u64) -> Option<usize> {
        let count = count(message);
        if count < self.first {
            let before = usize::try_from(self.first.saturating_sub(count)).ok()?;
            if before > MOST_EMPTY {
                return None;
            }
            let empty = std::iter::repeat_n(Slot::EMPTY, before);
            self.slots.splice(0..0, empty);
            self.first = count;
        }
        let place = self.place(message)?;
        if place >= self.slots.len() {
            if place.saturating_sub(self.slots.len()) > MOST_EMPTY {
                return None;
            }
            self.slots.resize(place.saturating_add(1), Slot::EMPTY);
        }
        Some(place)
    }
}

/// The messages that came lately.
#[derive(Debug, Default)]
pub(super) struct RecentMessages {
    /// Ascending.
    rows: VecDeque<Row>,
    count: usize,
}

impl RecentMessages {
    /// How many messages.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// A place was filled.
    pub(super) fn has_come(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// Places were emptied.
    pub(super) fn have_gone(&mut self, count: usize) {
        self.count = self.count.saturating_sub(count);
    }

    /// The row of a millisecond, or where it would be. Quick for the latest.
    #[inline]
    fn find(&self, millis: u64) -> Result<usize, usize> {
        let last = self.rows.len().wrapping_sub(1);
        match self.rows.get(last) {
            None => return Err(0),
            Some(row) if row.millis == millis => return Ok(last),
            Some(row) if row.millis < millis => return Err(self.rows.len()),
            _ => {}
        }
        let (Some(front), Some(back)) = (self.rows.front(), self.rows.back()) else {
            return Err(0);
        };
        // Its place follows from the time, but for the milliseconds in which nothing came.
        let Some(most) = place_after(front.millis, millis) else {
            return Err(0);
        };
        let all = place_after(front.millis, back.millis).unwrap_or(usize::MAX);
        let skipped = all.saturating_sub(last);
        let mut low = most.saturating_sub(skipped);
        let mut high = most.saturating_add(1).min(last);
        while low < high {
            let middle = low.midpoint(high);
            match self.rows.get(middle) {
                Some(row) if row.millis == millis => return Ok(middle),
                Some(row) if row.millis < millis => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        Err(low)
    }

    /// What is known of a message, if it came lately.
    #[inline]
    pub(super) fn slot(&self, message: u64) -> Option<&Slot> {
        let row = self
            .rows
            .get(self.find(MessageRef(message).millis()).ok()?)?;
        let slot = row.slots.get(row.place(message)?)?;
        (!slot.is_empty()).then_some(slot)
    }

    /// The same to be changed, and when the row's last message came.
    #[inline]
    pub(super) fn slot_mut(&mut self, message: u64) -> Option<(&mut Slot, u64)> {
        let at = self.find(MessageRef(message).millis()).ok()?;
        let row = self.rows.get_mut(at)?;
        let place = row.place(message)?;
        let slot = row.slots.get_mut(place)?;
        (!slot.is_empty()).then_some((slot, row.since))
    }

    /// The place of a message that comes now, empty or not. Names come nearly in order; one that
    /// does not has none.
    #[inline]
    pub(super) fn slot_for(&mut self, message: u64, now: u64) -> Option<&mut Slot> {
        let millis = MessageRef(message).millis();
        let at = match self.find(millis) {
            Ok(at) => at,
            Err(at) if self.rows.len().saturating_sub(at) <= DISORDER => {
                self.begin_row(at, message, now);
                at
            }
            Err(_) => return None,
        };
        let row = self.rows.get_mut(at)?;
        let place = row.place_for(message)?;
        let slot = row.slots.get_mut(place)?;
        if slot.is_empty() {
            row.since = row.since.max(now);
        }
        Some(slot)
    }

    fn begin_row(&mut self, at: usize, message: u64, now: u64) {
        // Much alike the one before.
        let before = at.checked_sub(1).and_then(|before| self.rows.get(before));
        let room = before.map_or(1, |row| row.slots.len()).clamp(1, MOST_EMPTY);
        let row = Row {
            millis: MessageRef(message).millis(),
            first: count(message),
            since: now,
            slots: Vec::with_capacity(room),
        };
        if at == self.rows.len() {
            self.rows.push_back(row);
        } else {
            self.rows.insert(at, row);
        }
    }

    /// When the last message of the first row came.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.rows.front().map(|row| row.since)
    }

    /// Takes the first row out.
    pub(super) fn pop(&mut self) -> Option<Row> {
        let row = self.rows.pop_front()?;
        self.count = self.count.saturating_sub(row.iter().count());
        Some(row)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Slot)> {
        self.rows.iter().flat_map(Row::iter)
    }

    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        let slots = self.rows.iter_mut().flat_map(|row| row.slots.iter_mut());
        slots.filter(|slot| !slot.is_empty())
    }

    /// Takes all rows out.
    pub(super) fn take(&mut self) -> VecDeque<Row> {
        self.count = 0;
        std::mem::take(&mut self.rows)
    }
}

/// How many milliseconds one is behind another; `None` if it is before it.
fn place_after(first: u64, millis: u64) -> Option<usize> {
    millis
        .checked_sub(first)
        .map(|after| usize::try_from(after).unwrap_or(usize::MAX))
}

/// The lower bits of a name, which count within its millisecond.
fn count(message: u64) -> u32 {
    u32::try_from(message & ((1 << MessageRef::COUNT_BITS) - 1)).unwrap_or(u32::MAX)
}

/// So many rows from the end a message may come that others have overtaken.
const DISORDER: usize = 1_024;
/// So many places may be kept free before the first or behind the last message of a row.
const MOST_EMPTY: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use foldhash::fast::FixedState;
    use proptest::prelude::*;

    use super::super::GRACE;
    use super::super::messages::{Hurry, Known, Messages};
    use crate::record::BodyPlace;

    /// A message, plainly.
    #[derive(Clone, Copy, Debug, Default)]
    struct Plain {
        place: Option<BodyPlace>,
        references: u32,
        idle: u64,
    }

    proptest! {
        /// Whatever the order in which messages come, move, are referred to and released: what
        /// is referred to is where it was put last, and nothing is forgotten too soon or kept.
        #[test]
        fn messages_are_there_as_long_as_they_must(
            steps in prop::collection::vec((0..9_u8, 1..60_u64, any::<u16>()), 0..400),
        ) {
            let mut messages = Messages::new(&|| FixedState::with_seed(1));
            let mut plain: BTreeMap<u64, Plain> = BTreeMap::new();
            let mut now = 1_000_000;
            let mut newest = 1;
            for (offset, (what, which, number)) in (0_u64..).zip(steps) {
                // Most are about the latest.
                newest += u64::from(number % 3);
                let message = newest.saturating_sub(which / 4).max(1);
                let place = BodyPlace { segment: 1 + which % 4, offset, length: 10 };
                let known = Known { place, size: 3, expires: None };
                let one = plain.entry(message).or_default();
                match what {
                    0..=2 => {
                        messages.come(message, known, now).unwrap();
                        if one.place.replace(place).is_none() {
                            one.idle = now;
                        }
                    }
                    3 => {
                        messages.place(message, known, now).unwrap();
                        if one.place.replace(place).is_none() {
                            one.idle = now;
                        }
                    }
                    4 | 5 => {
                        prop_assert!(!messages.refer(message) || one.place.is_some());
                        one.references += 1;
                    }
                    6 | 7 if one.references > 0 => {
                        messages.release(message, now);
                        one.references -= 1;
                        one.idle = now;
                    }
                    8 => now += u64::from(number),
                    _ => {}
                }
                messages.tidy(now, Hurry::No);
                let mut bytes = 0;
                for (&message, one) in &mut plain {
                    let found = messages.known(message).map(|known| known.place);
                    if found.is_some() {
                        prop_assert_eq!(found, one.place);
                        bytes += 10;
                    } else if one.references > 0 {
                        prop_assert_eq!(one.place, None);
                    } else if one.place.take().is_some() {
                        prop_assert!(now - one.idle >= GRACE - super::super::messages::QUICK);
                    }
                }
                prop_assert_eq!(messages.bytes(), bytes);
            }
            for one in plain.values() {
                now = now.max(one.idle + GRACE);
            }
            messages.tidy(now, Hurry::No);
            let referred = plain.values().filter(|one| one.references > 0);
            let count = u64::try_from(referred.clone().count()).unwrap();
            prop_assert_eq!(messages.needed(), count);
            let seen = referred.filter(|one| one.place.is_some()).count();
            prop_assert_eq!(messages.bytes(), u64::try_from(seen * 10).unwrap());
            let missing = plain.values().any(|one| one.references > 0 && one.place.is_none());
            prop_assert!(messages.misses_some() || !missing);
            messages.forget_idle();
            prop_assert_eq!(messages.misses_some(), missing);
        }
    }
}

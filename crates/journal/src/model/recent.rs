//! Messages that came lately, in order of their names, which is that of their coming: found
//! quickly near the end, and forgotten from the front.

use std::collections::VecDeque;

use super::messages::Known;

/// A message that came lately.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recent {
    pub(super) message: u64,
    /// When it came.
    pub(super) since: u64,
    pub(super) known: Packed,
}

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

/// The messages that came lately.
#[derive(Debug, Default)]
pub(super) struct RecentMessages {
    list: VecDeque<Recent>,
}

impl RecentMessages {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a message. Names come nearly in order; one that does not is not taken.
    #[inline]
    pub(super) fn push(&mut self, recent: Recent) -> bool {
        if self
            .list
            .back()
            .is_none_or(|last| last.message < recent.message)
        {
            self.list.push_back(recent);
            return true;
        }
        match self.find(recent.message) {
            Err(place) if self.list.len().saturating_sub(place) <= DISORDER => {
                self.list.insert(place, recent);
                true
            }
            _ => false,
        }
    }

    /// The place of a message, or where it would be. Quick for the latest.
    #[inline]
    fn find(&self, message: u64) -> Result<usize, usize> {
        if self
            .list
            .front()
            .is_none_or(|first| message < first.message)
        {
            return Err(0);
        }
        let mut high = self.list.len();
        let mut step = 16_usize;
        let mut low = high.saturating_sub(step);
        while low > 0 && self.list.get(low).is_some_and(|it| it.message > message) {
            high = low;
            step = step.saturating_mul(2);
            low = low.saturating_sub(step);
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.list.get(middle) {
                Some(it) if it.message == message => return Ok(middle),
                Some(it) if it.message < message => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        Err(low)
    }

    #[inline]
    pub(super) fn message(&self, message: u64) -> Option<&Recent> {
        self.list.get(self.find(message).ok()?)
    }

    pub(super) fn message_mut(&mut self, message: u64) -> Option<&mut Recent> {
        let place = self.find(message).ok()?;
        self.list.get_mut(place)
    }

    pub(super) fn first(&self) -> Option<&Recent> {
        self.list.front()
    }

    pub(super) fn pop(&mut self) -> Option<Recent> {
        let popped = self.list.pop_front();
        let capacity = self.list.capacity();
        if capacity > MANY && self.list.len() < capacity / 8 {
            self.list.shrink_to(capacity / 4);
        }
        popped
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Recent> {
        self.list.iter()
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&Recent) -> bool) {
        self.list.retain(keep);
    }
}

/// So far from the end a message may come that others have overtaken.
const DISORDER: usize = 1_024;
/// Room for fewer messages is not worth giving back.
const MANY: usize = 65_536;

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
                        prop_assert!(!messages.refer(message, now) || one.place.is_some());
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

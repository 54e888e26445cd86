//! What one session is owed.

use std::collections::VecDeque;

/// A delivery: 24 bytes, because there may be very many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The message; 0 once PUBREC has arrived.
    pub(super) message: u64,
    /// The session's number for it.
    number: u64,
    /// What few deliveries have, by the name that [`super::extras::Extras`] gave.
    pub(super) extra: u32,
    /// The packet identifier; 0 if there is none.
    pub(super) packet_id: u16,
    /// The QoS in bits 0 and 1, the retain flag in bit 2.
    pub(super) flags: u8,
    settled: bool,
}

impl Entry {
    pub(super) fn new(message: u64, number: u64) -> Self {
        Self {
            message,
            number,
            extra: 0,
            packet_id: 0,
            flags: 0,
            settled: false,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

/// Deliveries by number. Most are settled from the front, in order.
///
/// The list is sorted. What is settled in its midst stays as a hole until it comes to the front,
/// or until more than half are holes, so that one delivery that is never acknowledged does not
/// keep the room of all that came after it.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    holes: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.entries.len().saturating_sub(self.holes)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.settled)
    }

    /// The place of a number, or where it would be.
    #[inline]
    fn find(&self, number: u64) -> Result<usize, usize> {
        let Some(front) = self.entries.front() else {
            return Err(0);
        };
        // Without holes that went away, the place follows from the number.
        let guess = usize::try_from(number.wrapping_sub(front.number)).unwrap_or(usize::MAX);
        match self.entries.get(guess) {
            Some(entry) if entry.number == number => Ok(guess),
            _ => self.entries.binary_search_by_key(&number, Entry::number),
        }
    }

    pub(super) fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let place = self.find(number).ok()?;
        self.entries.get_mut(place).filter(|entry| !entry.settled)
    }

    /// Adds an entry; gives back the one with the same number that it replaces.
    #[inline]
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        if self
            .entries
            .back()
            .is_none_or(|last| last.number < entry.number)
        {
            self.entries.push_back(entry);
            return None;
        }
        match self.find(entry.number) {
            Ok(place) => {
                let old = std::mem::replace(self.entries.get_mut(place)?, entry);
                if old.settled {
                    self.holes = self.holes.saturating_sub(1);
                    return None;
                }
                Some(old)
            }
            Err(place) => {
                self.entries.insert(place, entry);
                None
            }
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, number: u64) -> Option<Entry> {
        let place = self.find(number).ok()?;
        let entry = self.entries.get_mut(place)?;
        if entry.settled {
            return None;
        }
        let removed = *entry;
        entry.settled = true;
        self.holes = self.holes.saturating_add(1);
        while self.entries.front().is_some_and(|front| front.settled) {
            self.entries.pop_front();
            self.holes = self.holes.saturating_sub(1);
        }
        self.give_back();
        Some(removed)
    }

    /// Gives room back that is no longer needed.
    fn give_back(&mut self) {
        if self.holes > FEW && self.holes > self.entries.len() / 2 {
            self.entries.retain(|entry| !entry.settled);
            self.holes = 0;
        }
        let capacity = self.entries.capacity();
        if capacity > FEW && self.entries.len() < capacity / 8 {
            self.entries.shrink_to(capacity / 4);
        }
    }
}

/// So many entries are not worth any work.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_is_24_bytes() {
        assert_eq!(size_of::<Entry>(), 24);
    }

    #[test]
    fn a_delivery_that_stays_does_not_keep_the_room_of_others() {
        let mut queue = Queue::default();
        queue.insert(Entry::new(1, 1));
        for number in 2..100_000 {
            queue.insert(Entry::new(number, number));
            assert!(queue.remove(number).is_some());
            assert!(queue.entries.len() <= 2 * FEW + 2);
        }
        assert_eq!(queue.len(), 1);
        assert!(queue.entries.capacity() <= 8 * FEW);
    }

    proptest! {
        #[test]
        fn a_queue_is_a_map(steps in prop::collection::vec((0..3_u8, 1..300_u64), 0..600)) {
            let mut queue = Queue::default();
            let mut map = BTreeMap::new();
            let mut message = 0;
            for (step, number) in steps {
                message += 1;
                match step {
                    0 => {
                        let old = queue.insert(Entry::new(message, number));
                        prop_assert_eq!(old.map(|old| old.message), map.insert(number, message));
                    }
                    1 => {
                        let old = queue.remove(number).map(|old| old.message);
                        prop_assert_eq!(old, map.remove(&number));
                    }
                    _ => {
                        let found = queue.entry(number).map(|entry| entry.message);
                        prop_assert_eq!(found, map.get(&number).copied());
                    }
                }
                prop_assert_eq!(queue.len(), map.len());
            }
            let left: Vec<_> = queue.iter().map(|entry| (entry.number, entry.message)).collect();
            prop_assert_eq!(left, map.into_iter().collect::<Vec<_>>());
        }
    }
}

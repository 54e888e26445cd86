//! Which packet identifiers of QoS 2 a session may hold as received and not released.

/// A set of packet identifiers, or all of them.
#[derive(Clone, Debug)]
pub(super) struct Receipts {
    /// Nothing is known of what was before this process: any identifier may be one.
    any: bool,
    /// One bit for each identifier; empty until the first.
    bits: Vec<u64>,
    count: usize,
}

impl Receipts {
    /// Nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self {
            any: true,
            ..Self::none()
        }
    }

    /// There are none.
    pub(super) fn none() -> Self {
        Self {
            any: false,
            bits: Vec::new(),
            count: 0,
        }
    }

    /// Adds one; `false` if it was in.
    pub(super) fn insert(&mut self, id: u16) -> bool {
        if self.bits.is_empty() {
            self.bits = vec![0; WORDS];
        }
        let Some(word) = self.bits.get_mut(usize::from(id >> 6)) else {
            return false;
        };
        let bit = 1 << (id & 63);
        let new = *word & bit == 0;
        *word |= bit;
        self.count = self.count.saturating_add(usize::from(new));
        new
    }

    /// Takes one out; `false` if it was not in.
    pub(super) fn remove(&mut self, id: u16) -> bool {
        let Some(word) = self.bits.get_mut(usize::from(id >> 6)) else {
            return false;
        };
        let bit = 1 << (id & 63);
        let was = *word & bit != 0;
        *word &= !bit;
        self.count = self.count.saturating_sub(usize::from(was));
        was
    }

    pub(super) fn contains(&self, id: u16) -> bool {
        let word = self.bits.get(usize::from(id >> 6));
        word.is_some_and(|word| word & (1 << (id & 63)) != 0)
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Each that may be in.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (1..=u16::MAX).filter(|id| self.any || self.contains(*id))
    }
}

/// Words of 64 bits for 65,536 identifiers.
const WORDS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_come_and_go() {
        let mut receipts = Receipts::none();
        assert!(!receipts.remove(7) && !receipts.contains(7));
        for id in [1, 64, 65_535] {
            assert!(receipts.insert(id) && !receipts.insert(id));
        }
        assert_eq!(receipts.iter().collect::<Vec<_>>(), [1, 64, 65_535]);
        assert!(receipts.remove(64) && !receipts.remove(64));
        assert_eq!(receipts.len(), 2);
        assert_eq!(Receipts::unknown().iter().count(), 65_535);
    }
}

//! A hash that keeps neighbours together.
//!
//! Messages come, are owed and are settled in about the order of their references. With a hash
//! that scatters them, each of these steps misses the processor's caches in a table of a million
//! messages, which is most of what it costs. Those of one millisecond stand side by side here;
//! where their row begins is scattered.

use std::hash::{BuildHasherDefault, Hasher};

use types::MessageRef;

/// Makes [`Nearby`].
pub(super) type BuildNearby = BuildHasherDefault<Nearby>;

/// Hashes one message's reference. Clients do not choose it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nearby(u64);

/// Spreads the bits of a number over all bits above them.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// The table takes its place from the lower bits, and the upper seven tell those in one place
/// apart.
const TAG: u32 = 57;

impl Hasher for Nearby {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte).wrapping_add(self.0));
        }
    }

    fn write_u64(&mut self, reference: u64) {
        let reference = MessageRef(reference);
        let count = reference.0 & ((1 << MessageRef::COUNT_BITS) - 1);
        let row = reference.millis().wrapping_mul(SPREAD) >> 16;
        let place = row.wrapping_add(count) & ((1 << TAG) - 1);
        let tag = count.wrapping_mul(SPREAD) >> TAG;
        self.0 = place | (tag << TAG);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn those_of_one_millisecond_are_neighbours_and_others_are_not() {
        let hash = |millis: u64, count: u64| {
            BuildNearby::default().hash_one((millis << MessageRef::COUNT_BITS) | count)
        };
        let place = |hash: u64| hash & ((1 << TAG) - 1);
        let now = 1_800_000_000_000;
        assert_eq!(place(hash(now, 1)), place(hash(now, 0)) + 1);
        assert_ne!(hash(now, 1) >> TAG, hash(now, 0) >> TAG);
        // In a table of 65,536 places, a thousand rows begin in nearly as many.
        let mut rows: Vec<u64> = (0..1_000).map(|ms| hash(now + ms, 0) & 0xffff).collect();
        rows.sort_unstable();
        rows.dedup();
        assert!(rows.len() > 950, "{}", rows.len());
    }
}

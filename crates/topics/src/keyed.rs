//! Keyed hashing: what clients choose never chooses where it lands.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// A hash function with an injected key.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    seed: u64,
    // All of the multipliers are keyed: with known ones, inputs that collide under every
    // seed can be computed.
    shared: SharedSeed,
}

impl Keyed {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed: mix(seed),
            shared: SharedSeed::from_u64(seed),
        }
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(bytes);
        hasher.finish()
    }

    pub(crate) fn pair(&self, a: u64, b: u64) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write_u64(a);
        hasher.write_u64(b);
        hasher.finish()
    }
}

/// Spreads the bits of a number, one to one.
pub(crate) fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number's remainder by a small count, as a place in a list.
///
/// `count` must not be zero.
pub(crate) fn place(number: u64, count: usize) -> usize {
    let product = u128::from(number).wrapping_mul(count as u128);
    (product >> 64) as usize
}

//! How long to wait before the next try.

use std::time::Duration;

/// Pauses that grow, with chance in them, so that many bridges to one server do not come back all
/// at once (F32).
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
    seed: u64,
}

impl Backoff {
    pub(crate) fn new((first, longest): (Duration, Duration), seed: u64) -> Self {
        let first = first.max(SHORTEST);
        Self {
            first,
            longest: longest.max(first),
            next: first,
            // Zero would stay zero.
            seed: seed | 1,
        }
    }

    /// The next pause: between half of what it grew to and all of it.
    pub(crate) fn pause(&mut self) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.longest);
        let half = whole.checked_div(2).unwrap_or_default();
        half.saturating_add(half.mul_f64(self.chance()))
    }

    /// A try went well.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// From 0 up to 1 (xorshift64).
    fn chance(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let bits = u32::try_from(self.seed >> 32).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A pause of zero would be none.
const SHORTEST: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f32_pauses_grow_to_the_longest_and_are_not_all_alike() {
        let seconds = |count| Duration::from_secs(count);
        let mut backoff = Backoff::new((seconds(2), seconds(9)), 7);
        for whole in [2, 4, 8, 9, 9] {
            let pause = backoff.pause();
            assert!(
                (seconds(whole) / 2..=seconds(whole)).contains(&pause),
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.pause() <= seconds(2));
        let mut other = Backoff::new((seconds(2), seconds(9)), 8);
        backoff.reset();
        assert_ne!(backoff.pause(), other.pause());
        let mut none = Backoff::new((seconds(0), seconds(0)), 0);
        assert!(none.pause() > Duration::ZERO);
    }
}

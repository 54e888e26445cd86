//! How much may go out in which time.

use std::time::Duration;

use types::Time;
use types::limits::Rate;

/// A bucket that fills with time. It may be overdrawn by one message, and is then waited for.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Thousandths of what may go now; below zero after a large message.
    left: i128,
    at: Time,
}

impl Bucket {
    pub(super) fn new(rate: Rate, now: Time) -> Self {
        Self {
            rate,
            left: full(rate),
            at: now,
        }
    }

    pub(super) fn charge(&mut self, amount: u64, now: Time) {
        self.fill(now);
        self.left = self
            .left
            .saturating_sub(i128::from(amount).saturating_mul(SCALE));
    }

    /// When more may go; `None`: now.
    pub(super) fn until(&mut self, now: Time) -> Option<Time> {
        self.fill(now);
        if self.left > 0 {
            return None;
        }
        let period = i128::try_from(self.rate.period().as_millis()).unwrap_or(i128::MAX);
        let each = i128::from(self.rate.count()).saturating_mul(SCALE);
        let missing = self.left.saturating_neg().saturating_add(1);
        let millis = missing.saturating_mul(period).checked_div(each)?;
        let wait = u64::try_from(millis).unwrap_or(u64::MAX).saturating_add(1);
        Some(now + Duration::from_millis(wait))
    }

    fn fill(&mut self, now: Time) {
        let passed = i128::try_from(now.since(self.at).as_millis()).unwrap_or(i128::MAX);
        let period = i128::try_from(self.rate.period().as_millis()).unwrap_or(i128::MAX);
        let more = i128::from(self.rate.count())
            .saturating_mul(SCALE)
            .saturating_mul(passed)
            .checked_div(period.max(1));
        let more = more.unwrap_or(0);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(full(self.rate));
            self.at = now;
        }
    }
}

fn full(rate: Rate) -> i128 {
    i128::from(rate.count()).saturating_mul(SCALE)
}

const SCALE: i128 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_go_at_once_and_then_so_many_in_time() {
        let rate = Rate::new(10, Duration::from_secs(1)).unwrap();
        let mut bucket = Bucket::new(rate, Time::ZERO);
        for _ in 0..10 {
            assert_eq!(bucket.until(Time::ZERO), None);
            bucket.charge(1, Time::ZERO);
        }
        let next = bucket.until(Time::ZERO).unwrap();
        assert!((1..=101).contains(&next.as_millis()), "{next:?}");
        assert_eq!(bucket.until(next), None);
        bucket.charge(25, next);
        let later = bucket.until(next).unwrap();
        assert!(
            (2_300..2_700).contains(&later.since(next).as_millis()),
            "{later:?}"
        );
        // What was not used does not pile up.
        let late = later + Duration::from_secs(100);
        bucket.charge(10, late);
        assert!(bucket.until(late).is_some());
    }
}

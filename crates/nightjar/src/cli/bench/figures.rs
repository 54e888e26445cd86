//! What a load comes to: counts, errors, and how long things took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};

/// How long things took, in buckets that are at most a 64th of their value wide: 30 KiB.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    most: u64,
}

/// Bits of a value that tell buckets of one magnitude apart.
const FINE: u32 = 6;

impl Default for Histogram {
    fn default() -> Self {
        let magnitudes = usize::try_from(u64::BITS - FINE + 1).unwrap_or(0);
        Self {
            buckets: vec![0; magnitudes << FINE],
            count: 0,
            most: 0,
        }
    }
}

impl Histogram {
    /// One more, in nanoseconds.
    pub(super) fn add(&mut self, nanos: u64) {
        if let Some(bucket) = self.buckets.get_mut(place(nanos)) {
            *bucket += 1;
        }
        self.count += 1;
        self.most = self.most.max(nanos);
    }

    /// All of another.
    pub(super) fn merge(&mut self, other: &Self) {
        for (own, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += more;
        }
        self.count += other.count;
        self.most = self.most.max(other.most);
    }

    /// Nanoseconds that so many of a thousand do not exceed.
    pub(super) fn at(&self, permille: u64) -> u64 {
        let wanted = (self.count.saturating_mul(permille)).div_ceil(1000).max(1);
        let mut seen = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper(place).min(self.most);
            }
        }
        self.most
    }

    /// For machines, in milliseconds; `null` if there is none.
    pub(super) fn to_json(&self) -> Value {
        if self.count == 0 {
            return Value::Null;
        }
        let ms = |nanos: u64| (Duration::from_nanos(nanos).as_secs_f64() * 1e6).round() / 1e3;
        json!({
            "count": self.count,
            "p50": ms(self.at(500)),
            "p90": ms(self.at(900)),
            "p99": ms(self.at(990)),
            "p999": ms(self.at(999)),
            "max": ms(self.most),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> Option<String> {
        let ms = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64() * 1e3;
        (self.count > 0).then(|| {
            format!(
                "50 %: {:.3} ms, 90 %: {:.3} ms, 99 %: {:.3} ms, 99.9 %: {:.3} ms, longest {:.3} ms",
                ms(self.at(500)),
                ms(self.at(900)),
                ms(self.at(990)),
                ms(self.at(999)),
                ms(self.most),
            )
        })
    }
}

fn place(value: u64) -> usize {
    let fine = 1_u64 << FINE;
    let index = if value < fine {
        value
    } else {
        let magnitude = value.ilog2() - FINE;
        (u64::from(magnitude) + 1) * fine + ((value >> magnitude) - fine)
    };
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper(place: usize) -> u64 {
    let place = u64::try_from(place).unwrap_or(u64::MAX);
    let fine = 1_u64 << FINE;
    if place < fine {
        return place;
    }
    let magnitude = place / fine - 1;
    let first = (place % fine + fine) << magnitude;
    first + ((1 << magnitude) - 1)
}

/// What threads tell while they run.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// What everybody is at: a [`Phase`].
    phase: AtomicU8,
    /// Clients that are connected and, if they subscribe, subscribed.
    pub(super) ready: AtomicU64,
    /// Clients that never will be.
    pub(super) failed: AtomicU64,
    /// Messages that were handed to the system (QoS 0) or to a session.
    pub(super) sent: AtomicU64,
    /// Messages of QoS 1 and 2 that were acknowledged.
    pub(super) acknowledged: AtomicU64,
    /// Messages that arrived.
    pub(super) received: AtomicU64,
    /// Things that went wrong.
    pub(super) errors: AtomicU64,
    /// Publishers that have sent all that they were to send.
    pub(super) done: AtomicU64,
}

/// What everybody is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Clients connect and subscribe.
    Opening = 0,
    /// Messages flow.
    Running = 1,
    /// No more are sent; those on their way arrive.
    Draining = 2,
    /// Clients leave.
    Ending = 3,
}

impl Shared {
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Opening,
            1 => Phase::Running,
            2 => Phase::Draining,
            _ => Phase::Ending,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }
}

/// What one thread has measured.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// From the first byte to CONNACK.
    pub(super) connects: Histogram,
    /// From PUBLISH to its last acknowledgement.
    pub(super) acknowledgements: Histogram,
    /// From a publisher's hand to a subscriber's.
    pub(super) latencies: Histogram,
    /// What went wrong, and how often.
    pub(super) errors: BTreeMap<String, u64>,
}

/// Errors that are told apart; the others count together.
const KINDS: usize = 50;

impl Figures {
    /// Something went wrong.
    pub(super) fn error(&mut self, shared: &Shared, words: String) {
        shared.errors.fetch_add(1, Relaxed);
        self.count(words, 1);
    }

    fn count(&mut self, words: String, count: u64) {
        let is_known = self.errors.contains_key(&words) || self.errors.len() < KINDS;
        let words = if is_known { words } else { "others".to_owned() };
        *self.errors.entry(words).or_default() += count;
    }

    /// All of another.
    pub(super) fn merge(&mut self, other: Self) {
        self.connects.merge(&other.connects);
        self.acknowledgements.merge(&other.acknowledgements);
        self.latencies.merge(&other.latencies);
        for (words, count) in other.errors {
            self.count(words, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_off_by_a_64th_at_most() {
        let mut histogram = Histogram::default();
        (1..=100_000_u64).for_each(|value| histogram.add(value * 1000));
        for permille in [1, 500, 990, 999, 1000] {
            let exact = permille * 100 * 1000;
            let found = histogram.at(permille);
            assert!(
                found >= exact && found - exact <= exact / 64 + 1,
                "{permille}: {found}"
            );
        }
        let mut other = Histogram::default();
        other.add(u64::MAX);
        histogram.merge(&other);
        assert_eq!((histogram.count, histogram.at(1000)), (100_001, u64::MAX));
    }

    #[test]
    fn each_value_is_in_the_bucket_whose_bound_is_next() {
        for value in [0, 1, 63, 64, 65, 127, 128, 1000, 123_456_789, u64::MAX - 1] {
            let place = place(value);
            assert!(upper(place) >= value);
            assert!(place == 0 || upper(place - 1) < value, "{value}");
        }
    }

    #[test]
    fn errors_are_counted_by_kind_and_bounded() {
        let (shared, mut figures) = (Shared::default(), Figures::default());
        (0..200).for_each(|kind| figures.error(&shared, format!("kind {kind}")));
        assert_eq!(figures.errors.len(), KINDS + 1);
        assert_eq!(figures.errors["others"], 150);
        assert_eq!(shared.errors.load(Relaxed), 200);
    }
}

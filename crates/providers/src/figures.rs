//! What was asked, and what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The figures of a chain at one moment. Counts go on where they were when settings are replaced,
/// for providers that keep their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// In the order of the chain.
    pub providers: Vec<ProviderFigures>,
    /// Attempts that were refused unread because of failed logins from their address (S64).
    pub throttled: u64,
    /// Addresses that the list of failed logins has.
    pub addresses: usize,
}

/// The figures of a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderFigures {
    /// Its name.
    pub name: Arc<str>,
    /// Its kind: `passwords`, `jwt`, ...
    pub kind: &'static str,
    /// Questions that it was asked.
    pub asked: u64,
    /// Clients that it knew.
    pub admitted: u64,
    /// Clients whose credentials were wrong.
    pub wrong: u64,
    /// Clients that it did not know.
    pub unknown: u64,
    /// Questions that it could not answer, those out of time aside.
    pub failed: u64,
    /// Questions that were not answered in time.
    pub timed_out: u64,
    /// Questions that it was not asked because it was down.
    pub refused_by_breaker: u64,
    /// Clients that were refused because too many questions waited.
    pub busy: u64,
    /// Clients that were admitted from memory.
    pub cached: u64,
    /// Whether it is down: asked again only by one question now and then.
    pub down: bool,
    /// Questions that run or wait.
    pub inside: u32,
    /// How long answers took, waiting included.
    pub latency: Histogram,
}

/// How long something took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// How many took at most [`BOUNDS`]; the last count is of all that took longer. Not
    /// cumulative.
    pub counts: Vec<u64>,
    /// All times added up.
    pub sum: Duration,
}

/// Upper bounds of a [`Histogram`].
pub const BOUNDS: [Duration; 11] = [
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// What is counted of a provider.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) asked: AtomicU64,
    pub(crate) admitted: AtomicU64,
    pub(crate) wrong: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) refused_by_breaker: AtomicU64,
    pub(crate) busy: AtomicU64,
    pub(crate) cached: AtomicU64,
    latency: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    pub(crate) fn took(&self, time: Duration) {
        let place = BOUNDS.partition_point(|&bound| bound < time);
        if let Some(counter) = self.latency.get(place) {
            count(counter);
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Relaxed);
    }

    pub(crate) fn figures(&self, name: &Arc<str>, kind: &'static str) -> ProviderFigures {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        ProviderFigures {
            name: Arc::clone(name),
            kind,
            asked: read(&self.asked),
            admitted: read(&self.admitted),
            wrong: read(&self.wrong),
            unknown: read(&self.unknown),
            failed: read(&self.failed),
            timed_out: read(&self.timed_out),
            refused_by_breaker: read(&self.refused_by_breaker),
            busy: read(&self.busy),
            cached: read(&self.cached),
            down: false,
            inside: 0,
            latency: Histogram {
                counts: self.latency.iter().map(read).collect(),
                sum: Duration::from_micros(read(&self.micros)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_sorted_by_their_bounds() {
        let counters = Counters::default();
        counters.took(Duration::ZERO);
        counters.took(Duration::from_micros(100));
        counters.took(Duration::from_micros(101));
        counters.took(Duration::from_secs(60));
        let latency = counters.figures(&"p".into(), "jwt").latency;
        assert_eq!(latency.counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(latency.sum, Duration::from_micros(60_000_201));
    }
}

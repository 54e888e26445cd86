//! What was sent, and what was not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Values of metrics.
    Metrics,
}

impl Signal {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Traces, Self::Metrics];

    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

/// What was sent, and what was not, since the start of the server.
#[derive(Debug, Default)]
pub struct Figures {
    traces: Figure,
    metrics: Figure,
}

/// The figures of one signal.
#[derive(Debug, Default)]
pub struct Figure {
    sent: AtomicU64,
    dropped: AtomicU64,
    failures: AtomicU64,
}

impl Figures {
    /// Those of a signal.
    pub fn of(&self, signal: Signal) -> &Figure {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
        }
    }
}

impl Figure {
    /// Spans or values that the collector has taken.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Spans or values that it did not take, or that there was no room for.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Requests that failed, those that were made again among them.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// There was no room for so many.
    pub fn drop(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    pub(crate) fn send(&self, count: u64) {
        self.sent.fetch_add(count, Relaxed);
    }

    pub(crate) fn fail(&self) {
        self.failures.fetch_add(1, Relaxed);
    }
}

/// Whether requests of one signal get through. It is one exporter's: what follows on it begins anew.
#[derive(Debug)]
pub(crate) struct Health {
    /// For so long a failure that no other request followed on says anything.
    memory: Duration,
    failing: Mutex<Option<Failing>>,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    first: Instant,
    last: Instant,
}

impl Health {
    pub(crate) fn new(memory: Duration) -> Self {
        Self {
            memory,
            failing: Mutex::default(),
        }
    }

    /// From the first failure to the last one, if all between failed and the last is not long ago.
    pub(crate) fn failing(&self, now: Instant) -> Option<Duration> {
        let failing = (*self.lock())?;
        let is_known = now.saturating_duration_since(failing.last) <= self.memory;
        is_known.then(|| failing.last.saturating_duration_since(failing.first))
    }

    /// A request failed; whether it is the first.
    pub(crate) fn fail(&self, now: Instant) -> bool {
        let mut failing = self.lock();
        let first = failing.map_or(now, |failing| failing.first);
        failing.replace(Failing { first, last: now }).is_none()
    }

    /// A request was taken; whether the one before was not.
    pub(crate) fn recover(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_no_trouble_and_is_forgotten() {
        let minute = Duration::from_secs(60);
        let health = Health::new(minute * 5);
        let begun = Instant::now();
        assert!(health.failing(begun).is_none());
        assert!(health.fail(begun));
        // Nothing was sent since: nothing is known.
        assert_eq!(health.failing(begun + minute * 4), Some(Duration::ZERO));
        assert_eq!(health.failing(begun + minute * 6), None);
        assert!(!health.fail(begun + minute));
        assert_eq!(health.failing(begun + minute * 2), Some(minute));
        assert!(health.recover() && !health.recover());
        assert_eq!(health.failing(begun + minute * 2), None);
    }
}

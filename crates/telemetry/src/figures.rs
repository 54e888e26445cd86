//! What was sent, and what was not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
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
    /// Since when nothing gets through.
    failing: Mutex<Option<Instant>>,
}

impl Figures {
    /// Those of a signal.
    pub fn of(&self, signal: Signal) -> &Figure {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
        }
    }

    /// For how long nothing of one of them has got through.
    pub fn failing(&self) -> Option<Duration> {
        let times = Signal::ALL.map(|signal| self.of(signal).failing());
        times.into_iter().flatten().max()
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

    /// For how long nothing has got through.
    pub fn failing(&self) -> Option<Duration> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.map(|since| since.elapsed())
    }

    /// There was no room for so many.
    pub fn drop(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    pub(crate) fn send(&self, count: u64) {
        self.sent.fetch_add(count, Relaxed);
    }

    /// A request failed; whether the one before did not.
    pub(crate) fn fail(&self) -> bool {
        self.failures.fetch_add(1, Relaxed);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = failing.is_none();
        failing.get_or_insert_with(Instant::now);
        is_first
    }

    /// A request was taken, or nothing is asked any more; whether the one before was not.
    pub(crate) fn recover(&self) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.take().is_some()
    }
}

//! The memory that the process holds, as it was last looked at, and what may have come since.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::{Counter, Gauge, Totals};

/// What a message that waits for one session takes beside the message itself: its place in the
/// queue, and in the store's memory.
pub(crate) const DELIVERY_BYTES: usize = 128;

/// What waits, and what has arrived, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// Messages that wait, once for each session.
    waiting: u64,
    /// Their bytes, as if each session had its own.
    waiting_bytes: u64,
    /// Bytes of mail on its way.
    mail: u64,
    /// Bytes that ever arrived from clients.
    arrived: u64,
}

impl Load {
    pub(crate) fn new(totals: Totals<'_>, mail: usize) -> Self {
        Self {
            waiting: totals.gauge(Gauge::Waiting),
            waiting_bytes: totals.gauge(Gauge::WaitingBytes),
            mail: u64::try_from(mail).unwrap_or(u64::MAX),
            arrived: totals.counter(Counter::BytesReceived),
        }
    }
}

/// What the system said last.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    resident: AtomicU64,
    most: AtomicU64,
    /// [`Load`] at that time.
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
    mail: AtomicU64,
    arrived: AtomicU64,
}

impl Memory {
    pub(crate) fn set(&self, bytes: u64, load: Load) {
        self.resident.store(bytes, Ordering::Relaxed);
        self.most.fetch_max(bytes, Ordering::Relaxed);
        self.waiting.store(load.waiting, Ordering::Relaxed);
        self.waiting_bytes
            .store(load.waiting_bytes, Ordering::Relaxed);
        self.mail.store(load.mail, Ordering::Relaxed);
        self.arrived.store(load.arrived, Ordering::Relaxed);
    }

    pub(crate) fn resident(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// What may have come since. Sessions share a message, so what waits has not grown by more
    /// than what arrived.
    pub(crate) fn growth(&self, load: Load) -> u64 {
        let since = |now: u64, then: &AtomicU64| now.saturating_sub(then.load(Ordering::Relaxed));
        let each = u64::try_from(DELIVERY_BYTES).unwrap_or(u64::MAX);
        let places = since(load.waiting, &self.waiting).saturating_mul(each);
        let bytes =
            since(load.waiting_bytes, &self.waiting_bytes).min(since(load.arrived, &self.arrived));
        let mail = since(load.mail, &self.mail);
        places.saturating_add(bytes).saturating_add(mail)
    }
}

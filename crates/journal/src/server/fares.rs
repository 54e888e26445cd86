//! How the store fares, as the journal's thread leaves it for whoever looks.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use store::{Condition, Health, Shortage};

/// What is wrong, if anything is. Writing it down never waits.
#[derive(Debug, Default)]
pub(crate) struct Fares {
    failed: AtomicBool,
    failure: OnceLock<String>,
    /// A [`Shortage`], or 0.
    short: AtomicU8,
    /// The same, for what will be short first.
    next: AtomicU8,
    /// The same, for what workers were told since the watch looked last.
    told: AtomicU8,
    /// Since when the journal's thread is with the disk, on the store's clock; 0: it is not.
    busy_since: AtomicU64,
    /// When the disk took too long for the last time; 0: never.
    slow_at: AtomicU64,
    health: Mutex<Health>,
}

impl Fares {
    /// The store has failed for good.
    pub(super) fn fail(&self, why: &dyn fmt::Display) {
        self.failure.get_or_init(|| why.to_string());
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Why the store has failed, if it has.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Says whether there is room, and why not.
    pub(super) fn set_shortage(&self, shortage: Option<Shortage>) {
        self.short.store(code(shortage), Ordering::Relaxed);
    }

    pub(super) fn shortage(&self) -> Option<Shortage> {
        shortage_of(self.short.load(Ordering::Relaxed))
    }

    /// Says what will be short first.
    pub(super) fn set_next(&self, shortage: Shortage) {
        self.next.store(code(Some(shortage)), Ordering::Relaxed);
    }

    pub(super) fn next(&self) -> Option<Shortage> {
        shortage_of(self.next.load(Ordering::Relaxed))
    }

    /// A worker is told that there is no room. Near a limit there may be some again before anybody
    /// looks.
    pub(super) fn tell(&self, shortage: Shortage) {
        self.told.store(code(Some(shortage)), Ordering::Relaxed);
    }

    /// What workers were told since this was asked last.
    pub(super) fn take_told(&self) -> Option<Shortage> {
        shortage_of(self.told.swap(0, Ordering::Relaxed))
    }

    /// The journal's thread turns to the disk, which may take its time.
    pub(super) fn begin_disk(&self, now: u64) {
        self.busy_since.store(now.max(1), Ordering::Relaxed);
    }

    /// It is back.
    pub(super) fn end_disk(&self, now: u64) {
        let since = self.busy_since.swap(0, Ordering::Relaxed);
        if since != 0 && now.saturating_sub(since) >= SLOW {
            self.slow_at.store(now, Ordering::Relaxed);
        }
    }

    /// Whether the disk takes too long, or did after `last`.
    pub(super) fn is_slow(&self, last: u64, now: u64) -> bool {
        let since = self.busy_since.load(Ordering::Relaxed);
        let hangs = since != 0 && now.saturating_sub(since) >= SLOW;
        let slow_at = self.slow_at.load(Ordering::Relaxed);
        hangs || slow_at != 0 && slow_at >= last
    }

    /// What is shown from now on.
    pub(super) fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    pub(super) fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl super::Shared {
    /// How the store fares at this moment. `last`: when this was asked last.
    pub(super) fn condition(&self, last: u64, now: u64) -> Condition {
        if self.fares.has_failed() {
            return Condition::Failed;
        }
        let told = self.fares.take_told();
        if let Some(shortage) = self.shortage().or(told) {
            return Condition::Full(shortage);
        }
        if self.fares.is_slow(last, now) {
            return Condition::Slow;
        }
        Condition::Ok
    }
}

fn code(shortage: Option<Shortage>) -> u8 {
    match shortage {
        None => 0,
        Some(Shortage::Limit) => 1,
        Some(Shortage::Disk) => 2,
        Some(Shortage::ReadOnly) => 3,
    }
}

fn shortage_of(code: u8) -> Option<Shortage> {
    match code {
        0 => None,
        1 => Some(Shortage::Limit),
        2 => Some(Shortage::Disk),
        _ => Some(Shortage::ReadOnly),
    }
}

/// Milliseconds from which on the disk is too slow.
const SLOW: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_slow_while_it_hangs_and_until_somebody_has_looked() {
        let fares = Fares::default();
        fares.begin_disk(5_000);
        assert!(!fares.is_slow(5_500, 5_999));
        assert!(fares.is_slow(5_999, 6_000));
        fares.end_disk(6_200);
        assert!(fares.is_slow(6_000, 6_500));
        assert!(!fares.is_slow(6_500, 7_000));
        fares.begin_disk(7_000);
        fares.end_disk(7_999);
        assert!(!fares.is_slow(6_500, 9_000));
    }
}

//! How many questions a provider has at once, how many wait, and whether it is asked at all.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;

use super::breaker::{Breaker, Change};

/// The gate before a provider.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Who may ask now.
    pub(crate) running: Semaphore,
    inside: AtomicU32,
    most: u32,
    /// Of providers that can be down by themselves.
    breaker: Option<Mutex<Breaker>>,
}

/// What is said at the gate.
pub(crate) enum Entry {
    /// The question may wait for its turn.
    In(Place),
    /// Too many wait.
    Busy,
    /// The provider is down.
    Down,
}

/// A question inside; it leaves by being dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    is_told: bool,
}

impl Gate {
    pub(crate) fn new(concurrency: u32, queue: u32, breaks: bool) -> Arc<Self> {
        let concurrency = concurrency.max(1);
        let permits = usize::try_from(concurrency).unwrap_or(usize::MAX);
        Arc::new(Self {
            running: Semaphore::new(permits.min(Semaphore::MAX_PERMITS)),
            inside: AtomicU32::new(0),
            most: concurrency.saturating_add(queue),
            breaker: breaks.then(|| Mutex::new(Breaker::new())),
        })
    }

    pub(crate) fn enter(self: &Arc<Self>, now: Instant) -> Entry {
        let most = self.most;
        let more = |inside: u32| inside.checked_add(1).filter(|&it| it <= most);
        if self.inside.fetch_update(Relaxed, Relaxed, more).is_err() {
            return Entry::Busy;
        }
        let admitted = self.with_breaker(|breaker| breaker.admit(now)) != Some(false);
        let place = Place {
            gate: Arc::clone(self),
            // The breaker did not count one that it did not admit.
            is_told: !admitted,
        };
        if admitted {
            Entry::In(place)
        } else {
            Entry::Down
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.with_breaker(|breaker| breaker.is_down()) == Some(true)
    }

    pub(crate) fn inside(&self) -> u32 {
        self.inside.load(Relaxed)
    }

    fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> Option<T> {
        let breaker = self.breaker.as_ref()?;
        Some(act(&mut breaker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Place {
    /// The provider answered, whatever it said.
    pub(crate) fn succeed(mut self) -> Option<Change> {
        self.is_told = true;
        self.gate.with_breaker(Breaker::succeed).flatten()
    }

    /// It could not.
    pub(crate) fn fail(mut self, now: Instant) -> Option<Change> {
        self.is_told = true;
        self.gate
            .with_breaker(|breaker| breaker.fail(now))
            .flatten()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_told {
            self.gate
                .with_breaker(|breaker| breaker.abandon(Instant::now()));
        }
        self.gate.inside.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s64_a_full_queue_turns_away_and_a_place_is_given_back() {
        let gate = Gate::new(1, 1, false);
        let now = Instant::now();
        let Entry::In(first) = gate.enter(now) else {
            panic!("there is room");
        };
        let Entry::In(_second) = gate.enter(now) else {
            panic!("there is room");
        };
        assert!(matches!(gate.enter(now), Entry::Busy));
        drop(first);
        assert_eq!(gate.inside(), 1);
        assert!(matches!(gate.enter(now), Entry::In(_)));
        assert_eq!(gate.inside(), 1);
    }

    #[test]
    fn s68_a_provider_that_is_down_is_not_asked() {
        let gate = Gate::new(8, 0, true);
        let now = Instant::now();
        let mut change = None;
        while change.is_none() {
            let Entry::In(place) = gate.enter(now) else {
                panic!("it is not down yet");
            };
            change = place.fail(now);
        }
        assert_eq!(change, Some(Change::Down));
        assert!(gate.is_down());
        assert!(matches!(gate.enter(now), Entry::Down));
        assert_eq!(gate.inside(), 0);
    }
}

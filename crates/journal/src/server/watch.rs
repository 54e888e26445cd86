//! The thread that looks at how the store fares, and tells of changes.
//!
//! It looks from outside, because the journal's thread says nothing while it waits for a disk.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use store::{Condition, Health};
use types::Time;

use super::inbox::Shared;
use super::writer::{Clock, millis};

/// That a store fares differently now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How it fared.
    pub before: Condition,
    /// For how long.
    pub lasted: Duration,
    /// How it fares now.
    pub now: Health,
    /// What the system said, for [`Condition::Failed`].
    pub why: Option<String>,
}

/// What is called for each [`Change`].
pub type Tell = Box<dyn Fn(&Change) + Send>;

/// The life of the thread `store-watch`: until `end` is dropped.
pub(super) fn watch(shared: &Shared, clock: &Clock, end: &Receiver<()>, tell: &Tell) {
    let now = || shared.clock.millis(Time::from_millis(millis(clock())));
    let mut patience = Patience::new(now());
    let mut last = 0;
    loop {
        // The last look is after the end: why a store has failed is always told.
        let ended = end.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected);
        let now = now();
        let seen = shared.condition(last, now);
        last = now;
        if let Some(mut change) = patience.look(seen, now) {
            shared.fares.set_health(change.now);
            if change.now.condition == Condition::Failed {
                change.why = shared.fares.failure().map(str::to_owned);
            }
            tell(&change);
        }
        if ended {
            return;
        }
    }
}

/// What is told of what is seen: trouble at once, its end when it has not been seen for a while.
/// The more often it comes back, the longer that while is.
struct Patience {
    health: Health,
    began: u64,
    /// When the condition was seen last.
    seen: u64,
    /// When the last trouble ended.
    ended: Option<u64>,
    calm: u64,
}

impl Patience {
    fn new(now: u64) -> Self {
        Self {
            health: Health::default(),
            began: now,
            seen: now,
            ended: None,
            calm: CALM,
        }
    }

    fn look(&mut self, seen: Condition, now: u64) -> Option<Change> {
        let before = self.health.condition;
        if seen == before {
            self.seen = now;
            return None;
        }
        if seen > before {
            let soon = |ended: u64| now.saturating_sub(ended) < REMEMBERED;
            self.calm = match self.ended {
                Some(ended) if soon(ended) => self.calm.saturating_mul(2).min(MOST_CALM),
                _ => CALM,
            };
        } else if now.saturating_sub(self.seen) < self.calm {
            return None;
        } else {
            self.ended = Some(now);
        }
        let lasted = Duration::from_millis(now.saturating_sub(self.began));
        self.health = Health {
            condition: seen,
            since: now,
        };
        self.began = now;
        self.seen = now;
        Some(Change {
            before,
            lasted,
            now: self.health,
            why: None,
        })
    }
}

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Milliseconds for which trouble must not be seen to be over.
const CALM: u64 = 3_000;
/// The same for trouble that always comes back.
const MOST_CALM: u64 = 300_000;
/// Milliseconds after its end in which trouble comes back, and is not new.
const REMEMBERED: u64 = 600_000;

#[cfg(test)]
mod tests {
    use store::Shortage;

    use super::*;

    const FULL: Condition = Condition::Full(Shortage::Disk);

    fn told(patience: &mut Patience, seen: Condition, now: u64) -> Option<(Condition, Condition)> {
        let change = patience.look(seen, now)?;
        assert_eq!(change.now.since, now);
        Some((change.before, change.now.condition))
    }

    #[test]
    fn trouble_is_told_at_once_and_its_end_when_it_stays_away() {
        let mut patience = Patience::new(0);
        assert_eq!(told(&mut patience, Condition::Ok, 10), None);
        let begins = Some((Condition::Ok, Condition::Slow));
        assert_eq!(told(&mut patience, Condition::Slow, 20), begins);
        assert_eq!(told(&mut patience, Condition::Slow, 5_000), None);
        assert_eq!(told(&mut patience, Condition::Ok, 5_000 + CALM - 1), None);
        let worse = Some((Condition::Slow, FULL));
        assert_eq!(told(&mut patience, FULL, 9_000), worse);
        let ends = patience.look(Condition::Ok, 9_000 + CALM).unwrap();
        assert_eq!(ends.lasted, Duration::from_millis(CALM));
        let fails = Some((Condition::Ok, Condition::Failed));
        assert_eq!(told(&mut patience, Condition::Failed, 20_000), fails);
    }

    #[test]
    fn what_comes_and_goes_is_told_ever_more_rarely() {
        let mut patience = Patience::new(0);
        let mut told = 0;
        for second in 0..3_600 {
            let seen = if second % 10 == 0 {
                FULL
            } else {
                Condition::Ok
            };
            told += u32::from(patience.look(seen, second * 1_000).is_some());
        }
        assert!((2..=6).contains(&told), "{told}");
        // After a quiet while it is new.
        assert!(patience.look(Condition::Ok, 4_000_000).is_some());
        assert!(patience.look(FULL, 5_000_000).is_some());
        assert!(patience.look(Condition::Ok, 5_000_000 + CALM).is_some());
    }
}

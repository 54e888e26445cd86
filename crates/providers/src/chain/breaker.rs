//! A provider that is down is left alone, but for one question now and then.

use std::time::{Duration, Instant};

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// How long it stays open the next time.
    hold: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Questions pass; so many failed in a row.
    Closed(u32),
    /// None passes until then.
    Open(Instant),
    /// One is on its way to find out.
    Probing,
}

/// What is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Down,
    Up,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Closed(0),
            hold: FIRST_HOLD,
        }
    }

    /// Whether a question may be asked. Its end must be told by one of the other three.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed(_) => true,
            State::Open(until) if until <= now => {
                self.state = State::Probing;
                true
            }
            State::Open(_) | State::Probing => false,
        }
    }

    /// A question was answered.
    pub(crate) fn succeed(&mut self) -> Option<Change> {
        let was = std::mem::replace(&mut self.state, State::Closed(0));
        self.hold = FIRST_HOLD;
        match was {
            State::Closed(_) => None,
            State::Open(_) | State::Probing => Some(Change::Up),
        }
    }

    /// A question was not.
    pub(crate) fn fail(&mut self, now: Instant) -> Option<Change> {
        match self.state {
            State::Closed(failures) if failures.saturating_add(1) < FAILURES => {
                self.state = State::Closed(failures.saturating_add(1));
                None
            }
            State::Closed(_) => {
                self.open(now);
                Some(Change::Down)
            }
            State::Probing => {
                self.open(now);
                None
            }
            // One that was asked before it opened.
            State::Open(_) => None,
        }
    }

    /// A question ended before it was asked.
    pub(crate) fn abandon(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Open(now);
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        !matches!(self.state, State::Closed(_))
    }

    fn open(&mut self, now: Instant) {
        // Near the end of the clock it stays open for no time.
        self.state = State::Open(now.checked_add(self.hold).unwrap_or(now));
        self.hold = self.hold.saturating_mul(2).min(LONGEST_HOLD);
    }
}

const FAILURES: u32 = 5;
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        for _ in 1..FAILURES {
            assert!(breaker.admit(now));
            assert_eq!(breaker.fail(now), None);
        }
        assert!(breaker.admit(now));
        assert_eq!(breaker.fail(now), Some(Change::Down));
        breaker
    }

    #[test]
    fn s68_a_dead_back_end_is_asked_by_one_question_at_a_time() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for hold in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!breaker.admit(now + Duration::from_millis(hold * 1000 - 1)));
            now += Duration::from_secs(hold);
            assert!(breaker.admit(now), "{hold}");
            assert!(!breaker.admit(now), "one is enough");
            assert_eq!(breaker.fail(now), None, "it is told once");
        }
        now += Duration::from_secs(30);
        assert!(breaker.admit(now));
        assert_eq!(breaker.succeed(), Some(Change::Up));
        assert!(breaker.admit(now) && breaker.admit(now));
        assert!(!breaker.is_down());
    }

    #[test]
    fn failures_count_in_a_row_only() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        for _ in 0..20 {
            for _ in 1..FAILURES {
                assert_eq!(breaker.fail(now), None);
            }
            assert_eq!(breaker.succeed(), None);
        }
        assert!(!breaker.is_down());
    }

    #[test]
    fn a_probe_that_was_never_asked_leaves_room_for_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + Duration::from_secs(1);
        assert!(breaker.admit(later));
        breaker.abandon(later);
        assert!(breaker.admit(later));
        assert_eq!(breaker.fail(now), None, "one that was asked long ago");
    }
}

//! The one place that reads a clock.

use std::time::Instant;

use types::Time;

/// Gives [`Time`] as milliseconds since an injected start. All parts of a process must use
/// copies of one clock, or their times cannot be compared.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that shows [`Time::ZERO`] at `start`, and before it.
    pub fn new(start: Instant) -> Self {
        Self { start }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        let millis = Instant::now()
            .saturating_duration_since(self.start)
            .as_millis();
        Time::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }
}

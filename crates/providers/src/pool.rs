//! Connections that wait for the next question.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Idle connections; as many as questions that are asked at once.
pub(crate) struct Pool<C> {
    idle: Mutex<Vec<(C, Instant)>>,
}

impl<C> std::fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl<C> Pool<C> {
    pub(crate) fn new() -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The one that was used last, if it was not long ago.
    pub(crate) fn take(&self) -> Option<C> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < LONGEST);
        idle.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection that is in order.
    pub(crate) fn put(&self, connection: C) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST {
            idle.push((connection, Instant::now()));
        }
    }
}

/// Servers close what is idle for minutes; what was is not worth a try.
const LONGEST: Duration = Duration::from_secs(60);
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_last_comes_first_and_few_wait() {
        let pool = Pool::new();
        assert_eq!(pool.take(), None);
        for number in 0..100 {
            pool.put(number);
        }
        assert_eq!(pool.take(), Some(63));
        assert_eq!(pool.take(), Some(62));
        pool.put(7);
        assert_eq!(pool.take(), Some(7));
    }
}

//! A queue with a bound on what waits, which takes memory for what does wait and not for what could.
//! (Std's own bounded channel has all its places from the start: megabytes in an idle server.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvError, RecvTimeoutError};
use std::time::Duration;

/// Where things go in. Cheap to clone.
pub(crate) struct Sender<T> {
    to: mpsc::Sender<T>,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

/// Where they come out.
pub(crate) struct Receiver<T> {
    from: mpsc::Receiver<T>,
    waiting: Arc<AtomicUsize>,
}

/// A queue in which at most so many wait.
pub(crate) fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let (to, from) = mpsc::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let sender = Sender {
        to,
        waiting: Arc::clone(&waiting),
        most,
    };
    (sender, Receiver { from, waiting })
}

impl<T> Sender<T> {
    /// Puts it in, without waiting; `false` if there is no room, or nobody at the other end.
    pub(crate) fn push(&self, item: T) -> bool {
        // First, since the other end may have it at once.
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let is_in = before < self.most && self.to.send(item).is_ok();
        if !is_in {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        is_in
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            to: self.to.clone(),
            waiting: Arc::clone(&self.waiting),
            most: self.most,
        }
    }
}

impl<T> Receiver<T> {
    /// The next one, when it comes.
    ///
    /// # Errors
    /// Nothing is left, and nobody at the other end.
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        let item = self.from.recv()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(item)
    }

    /// The next one, if it comes in time.
    ///
    /// # Errors
    /// It did not, or as [`Receiver::recv`].
    pub(crate) fn recv_timeout(&self, time: Duration) -> Result<T, RecvTimeoutError> {
        let item = self.from.recv_timeout(time)?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_waits_than_may() {
        let (to, from) = bounded(2);
        assert!(to.push(1) && to.clone().push(2));
        assert!(!to.push(3), "there is no room");
        assert_eq!(from.recv(), Ok(1));
        assert!(to.push(4), "there is room again");
        assert_eq!(from.recv_timeout(Duration::ZERO), Ok(2));
        assert_eq!(from.recv(), Ok(4));
        let none = from.recv_timeout(Duration::ZERO);
        assert_eq!(none, Err(RecvTimeoutError::Timeout));
        drop(from);
        assert!(!to.push(5), "nobody is at the other end");
    }
}

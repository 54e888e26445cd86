//! Passwords are hashed by few threads, so that guessing is no way to keep the processor busy
//! (S64).

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::hash::Hash;
use auth::Secret;

/// Runs what takes the processor long.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    permits: Arc<Semaphore>,
}

impl Hashing {
    /// So many at once as there are processors, at most four.
    pub(crate) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(threads())),
        }
    }

    /// Whether the password is the one that was hashed.
    pub(crate) async fn verify(&self, hash: Arc<Hash>, password: Secret) -> Result<bool, Arc<str>> {
        self.run(move || hash.verify(password.reveal())).await
    }

    /// Does it on a thread that may take its time. What was begun goes on if nobody waits for it
    /// any more, and counts until it ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Arc<str>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let result = job();
            drop(permit);
            result
        });
        done.await
            .map_err(|_| "hashing ended without a result".into())
    }
}

/// Threads that hash.
pub(crate) fn threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    processors.min(4)
}

//! What routes work with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;
use crate::staff::Staff;
use crate::{Audit, Denials, Failure, Server};

/// Most passwords that are hashed at once.
const PASSWORDS: usize = 4;

/// What routes work with. Clones are the same.
#[derive(Clone)]
pub(crate) struct State(Arc<Inner>);

struct Inner {
    server: Arc<dyn Server>,
    audit: Arc<Audit>,
    denials: Arc<Denials>,
    staff: Arc<Staff>,
    requests: Arc<Semaphore>,
    most: u32,
    imports: Arc<Semaphore>,
    passwords: Arc<Semaphore>,
    time_limit: Duration,
}

impl State {
    pub(crate) fn new(
        server: Arc<dyn Server>,
        audit: Arc<Audit>,
        denials: Arc<Denials>,
        staff: Arc<Staff>,
        requests: u16,
        time_limit: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            server,
            audit,
            denials,
            staff,
            requests: Arc::new(Semaphore::new(usize::from(requests))),
            most: u32::from(requests),
            imports: Arc::new(Semaphore::new(1)),
            passwords: Arc::new(Semaphore::new(PASSWORDS)),
            time_limit,
        }))
    }

    pub(crate) fn server(&self) -> &dyn Server {
        &*self.0.server
    }

    pub(crate) fn audit(&self) -> &Arc<Audit> {
        &self.0.audit
    }

    pub(crate) fn denials(&self) -> &Denials {
        &self.0.denials
    }

    pub(crate) fn staff(&self) -> &Arc<Staff> {
        &self.0.staff
    }

    /// A turn to hash a password: each takes memory and a processor for a while, and strangers may
    /// ask for it.
    pub(crate) fn password_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.0.passwords).try_acquire_owned();
        turn.map_err(|_| Failure::Busy("others sign in right now; try again".into()).into())
    }

    /// The turn to import a file: there is one, because the database is another's meanwhile.
    pub(crate) fn import_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.0.imports).try_acquire_owned();
        turn.map_err(|_| {
            let words = "another import goes on; try again when it is done";
            Failure::Busy(words.into()).into()
        })
    }

    pub(super) fn requests(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.requests)
    }

    /// How long a request may take, and a piece of what is uploaded.
    pub(crate) fn time_limit(&self) -> Duration {
        self.0.time_limit
    }

    /// Waits until no request is inside, and lets none in any more.
    pub(super) async fn finished(&self) {
        // The semaphore is never closed.
        drop(self.0.requests.acquire_many(self.0.most).await);
        self.0.requests.close();
    }

    /// Runs what may wait for a disk, on a thread that may.
    pub(crate) async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refusal> {
        let state = self.clone();
        match tokio::task::spawn_blocking(move || work(&state)).await {
            Ok(result) => Ok(result?),
            // It panicked; the hook has said so.
            Err(_) => Err(Refusal::internal()),
        }
    }
}

//! Threads: start and end.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

use types::{Core, WorkerId};

use crate::clock::Clock;
use crate::counters::{Counters, Notice};
use crate::listener::Listener;
use crate::listening::Listening;
use crate::mailbox::{Envelope, Mailboxes, pollers};
use crate::transport::Doors;
use crate::worker::{Shell, Worker};

/// Takes what the loop has to tell. Called on the workers' threads: it must not wait.
pub(crate) type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// What a worker is made of.
pub struct WorkerSetup<C> {
    make: Box<dyn FnOnce() -> C + Send>,
    notices: Notices,
}

impl<C> WorkerSetup<C> {
    /// `make` runs on the worker's thread, so the core need not be [`Send`].
    pub fn new(make: impl FnOnce() -> C + Send + 'static) -> Self {
        Self {
            make: Box::new(make),
            notices: Arc::new(|_| {}),
        }
    }

    /// Where this worker's notices go. It is called on the worker's thread and must not wait.
    #[must_use]
    pub fn notices(mut self, notices: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        self.notices = Arc::new(notices);
        self
    }
}

impl<C> fmt::Debug for WorkerSetup<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerSetup").finish_non_exhaustive()
    }
}

/// Running workers.
#[derive(Debug)]
pub struct Runtime<M> {
    listening: Listening<M>,
    ended: mpsc::Receiver<Result<(), WorkerPanic>>,
}

impl<M: Send + 'static> Runtime<M> {
    /// Starts one named thread (`worker-0` and so on) for each setup; all of them accept from
    /// all listeners. The place of a listener is its number in [`types::LinkInfo`].
    ///
    /// # Errors
    /// The system has no descriptors or threads left. Workers started before are told to end
    /// at once.
    pub fn start<C>(
        listeners: Vec<Listener>,
        workers: Vec<WorkerSetup<C>>,
        clock: Clock,
    ) -> io::Result<Self>
    where
        C: Core<Mail = M> + 'static,
    {
        if u16::try_from(workers.len()).is_err() || u16::try_from(listeners.len()).is_err() {
            let text = "more than 65,535 workers or listeners";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let doors = Doors::new(listeners.iter().map(|one| Arc::clone(one.door())));
        let counters = Arc::new(Counters::new(listeners.len()));
        // The endpoints of QUIC, which are above all workers, tell by the first one's way.
        let notices: Notices = match workers.first() {
            Some(setup) => Arc::clone(&setup.notices),
            None => Arc::new(|_| {}),
        };
        let pollers = pollers(workers.len())?;
        let mailboxes = Mailboxes::new(&pollers, Arc::clone(&counters));
        let with = (Arc::clone(&counters), notices);
        let listening = Listening::new(mailboxes.clone(), with, doors.clone());
        let (datagrams, streams) = (0..)
            .zip(listeners)
            .partition::<Vec<_>, _>(|(_, listener)| listener.address().udp().is_some());
        let streams: Vec<_> = streams
            .into_iter()
            .map(|(place, listener)| (place, Arc::new(listener)))
            .collect();
        let (end, ended) = mpsc::channel();
        let runtime = Self { listening, ended };
        for ((id, setup), poller) in (0..).map(WorkerId).zip(workers).zip(pollers) {
            let shell = Shell::new(
                id,
                poller,
                mailboxes.clone(),
                clock,
                doors.clone(),
                (Arc::clone(&counters), setup.notices),
            );
            let (make, streams, end) = (setup.make, streams.clone(), end.clone());
            let spawned = thread::Builder::new()
                .name(format!("worker-{}", id.0))
                .spawn(move || {
                    let result = run(id, || Worker::new(make(), shell, streams)?.run());
                    // Nobody listens any more if the runtime was dropped.
                    let _ = end.send(result);
                });
            if let Err(error) = spawned {
                runtime.listening.tell_all(|| Envelope::Abandon);
                return Err(error);
            }
        }
        for (place, listener) in datagrams {
            if let Err(error) = runtime.listening.begin(place, listener) {
                runtime.listening.tell_all(|| Envelope::Abandon);
                return Err(error);
            }
        }
        Ok(runtime)
    }

    /// The workers' mailboxes.
    pub fn mailboxes(&self) -> Mailboxes<M> {
        self.listening.mailboxes().clone()
    }

    /// Counts of what happened in all workers.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(self.listening.counters())
    }

    /// What the workers take connections from, and can be given more of.
    pub fn listening(&self) -> Listening<M> {
        self.listening.clone()
    }

    /// Closes the listeners, soon: the system refuses connections once each worker has heard
    /// of it. Open links stay.
    pub fn stop_accepting(&self) {
        self.listening.stop_accepting();
    }

    /// Waits until all workers have ended, each when its core is drained and its last packets
    /// were read.
    ///
    /// # Errors
    /// The first worker that ended in another way, at once: the others may still run, and the
    /// process should end.
    pub fn join(self) -> Result<(), WorkerPanic> {
        // The channel ends with the last worker's end of it.
        let ended = self.ended.iter().collect();
        self.listening.end();
        ended
    }
}

/// A worker ended by a panic outside of one connection's bytes, or because the system's
/// readiness interface failed. Its state is lost: the process must alarm and exit non-zero,
/// to start again from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerPanic {
    /// Which worker.
    pub worker: WorkerId,
    /// The panic's or error's text.
    pub message: String,
}

impl fmt::Display for WorkerPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} ended: {}", self.worker.0, self.message)
    }
}

impl std::error::Error for WorkerPanic {}

/// Runs a worker to its end, whatever end that is.
fn run(worker: WorkerId, body: impl FnOnce() -> io::Result<()>) -> Result<(), WorkerPanic> {
    // Unwind safe: everything that the body owns is gone after a panic, and what it shares
    // (mailboxes, counters) is whole at every point.
    let message = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => text_of(&*panic),
    };
    Err(WorkerPanic { worker, message })
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without text").to_owned()
}

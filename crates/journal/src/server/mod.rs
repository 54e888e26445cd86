//! The threads around an engine: one that writes, one that reads, and one that watches.
//!
//! ```text
//! worker: append, keep -> commit --> inbox --> journal: write, sync, publish, apply
//!    ^                                            |  wake            | places
//!    +------- loaded <---------- reader <---------+-----------------+
//! ```
//!
//! The journal's thread takes all that lies in the inbox at once: while one commit is on its way
//! to the disk, the next one gathers.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use store::{Figures, Wish};
use types::WorkerId;

mod fares;
mod handle;
mod inbox;
mod reader;
mod watch;
mod writer;

pub use handle::Handle;
pub use inbox::Wake;
use inbox::{Life, Listens};
pub(crate) use inbox::{Shared, Start};
use reader::AGAIN;
pub(crate) use reader::{Read, answer};
pub use watch::{Change, Tell};
pub(crate) use writer::{Reach, State, Writer};

use crate::engine::{Engine, Idle};

/// How a server treats what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest time for which something stays written but not synced.
    pub sync_interval: Duration,
    /// Bytes that wait to be written at which publishers are told to wait (`limits.store_backlog`).
    pub backlog: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sync_interval: Duration::from_secs(1),
            backlog: 64 << 20,
        }
    }
}

/// A running store.
pub struct Server {
    shared: Arc<Shared>,
    journal: JoinHandle<Engine>,
    reader: JoinHandle<()>,
    watch: JoinHandle<()>,
    /// Dropped, it ends the watch.
    watching: Sender<()>,
}

/// How a stopped store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All that was committed is on the disk.
    Clean,
    /// Something was not written: the disk is full, or failed, or a thread panicked.
    Incomplete,
}

/// The figures of a store that runs, from any thread.
pub struct View {
    shared: Arc<Shared>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("View").field(&self.figures()).finish()
    }
}

impl View {
    /// The figures as they are now.
    pub fn figures(&self) -> Figures {
        self.shared.figures()
    }
}

impl Server {
    /// Starts the threads `journal`, `store-reader` and `store-watch`.
    ///
    /// `clock` is the time since the start of the run, on the same clock as the [`types::Time`]
    /// of the workers. `wake` is called by these threads and must not wait. `tell` is called by
    /// the watch.
    ///
    /// # Errors
    ///
    /// That of the system, if it starts no thread.
    pub fn start(
        engine: Engine,
        settings: Settings,
        clock: impl Fn() -> Duration + Clone + Send + 'static,
        wake: impl Fn(WorkerId) + Send + Sync + 'static,
        tell: Tell,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(engine.start(settings.backlog), Box::new(wake)));
        let (reads, questions) = channel();
        let reader = std::thread::Builder::new().name("store-reader".to_owned());
        let reader = reader.spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _alarm = Alarm(&shared);
                read(&questions, &shared);
            }
        })?;
        let (watching, end) = channel();
        let watch = std::thread::Builder::new().name("store-watch".to_owned());
        let watch = watch.spawn({
            let (shared, clock) = (Arc::clone(&shared), clock.clone());
            move || watch::watch(&shared, &clock, &end, &tell)
        })?;
        let journal = std::thread::Builder::new().name("journal".to_owned());
        let journal = journal.spawn({
            let shared = Arc::clone(&shared);
            let writer = Writer::new(engine, Arc::clone(&shared), settings.sync_interval);
            move || {
                let _alarm = Alarm(&shared);
                write(writer, &shared, &clock, &reads)
            }
        })?;
        Ok(Self {
            shared,
            journal,
            reader,
            watch,
            watching,
        })
    }

    /// A handle for a worker, which is woken for it.
    pub fn handle(&self, worker: WorkerId) -> Handle {
        Handle::new(&self.shared, worker)
    }

    /// The store's figures, for somebody who keeps nothing in it.
    pub fn view(&self) -> View {
        View {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Writes and syncs all that was committed, and ends the threads. What handles hand over
    /// afterwards is lost: the workers must have ended.
    pub fn stop(self) -> Stopped {
        self.shared.stop();
        let journal = self.journal.join();
        let reader = self.reader.join();
        drop(self.watching);
        let watch = self.watch.join();
        match (journal, reader, watch) {
            (Ok(engine), Ok(()), Ok(())) if engine.is_synced() && self.shared.is_empty() => {
                Stopped::Clean
            }
            _ => Stopped::Incomplete,
        }
    }
}

/// Tells the workers if a thread panics: nothing would be acknowledged any more, and nobody knew.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.publish_failed(&"a thread of the store panicked");
        }
    }
}

/// The life of the thread `journal`.
fn write(
    mut writer: Writer,
    shared: &Shared,
    clock: &writer::Clock,
    reads: &Sender<Vec<Read>>,
) -> Engine {
    let mut idle = Idle::More;
    loop {
        let life = rest(&writer, shared, clock, idle);
        let mut found = Vec::new();
        let reach = match life {
            Life::Running => Reach::Wished,
            Life::Stopping => Reach::Synced,
        };
        writer.turn(reach, clock, &mut found);
        if !found.is_empty() && reads.send(found).is_err() {
            // The reader panicked: what was asked for cannot be answered any more.
            writer.fail(&"the thread that reads has ended");
        }
        if life == Life::Stopping {
            return writer.close();
        }
        idle = writer.idle(clock);
    }
}

/// Sleeps until there is something to do.
fn rest(writer: &Writer, shared: &Shared, clock: &writer::Clock, idle: Idle) -> Life {
    match writer.state() {
        State::Failed => shared.wait(Listens::Loads, None),
        State::Stuck(_) => shared.wait(Listens::Loads, Some(RETRY)),
        State::Running => {
            if shared.wish().is_none() {
                let most = match idle {
                    Idle::More => Some(PACE),
                    Idle::Done => writer.rest(clock),
                };
                let life = shared.wait(Listens::Commits, most);
                if life == Life::Stopping {
                    return life;
                }
            }
            match shared.wish() {
                Some(Wish::Lazy) => shared.wait(Listens::Wishes, Some(LAZY)),
                _ => shared.life(),
            }
        }
    }
}

/// The life of the thread `store-reader`.
fn read(questions: &Receiver<Vec<Read>>, shared: &Shared) {
    let mut reads = Vec::new();
    loop {
        let more = if reads.is_empty() {
            questions.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            questions.recv_timeout(AGAIN)
        };
        match more {
            Ok(mut more) => reads.append(&mut more),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        answer(&mut reads, shared);
    }
}

/// How long batches that nobody waits for gather.
const LAZY: Duration = Duration::from_millis(10);
/// How long to wait for room on a full disk.
const RETRY: Duration = Duration::from_millis(100);
/// The pause between two pieces of housekeeping.
const PACE: Duration = Duration::from_millis(4);

#[cfg(test)]
mod tests;

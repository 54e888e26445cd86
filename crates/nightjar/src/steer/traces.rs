//! Traces: what happens to one client, topic or address, line by line.
//!
//! Workers look whether a trace takes a step, and put what it takes into a bounded queue; a thread
//! of its own writes, as long as a trace goes on. What the queue does not take, and what is more than
//! [`LINES_A_SECOND`], is counted and told in the trace.
//!
//! | module | owns |
//! |---|---|
//! | [`one`] | [`One`]: a trace and its file |
//! | [`line`] | how a line reads |

mod line;
mod one;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, io, thread};

use admin::server::traces::{Chunk, ChunkMeta, NewTrace, Trace};
use admin::{Failure, Record, Stamp};
use broker::{Event, Probe, Step};
use tracing::warn;

use super::watching::Watching;
use line::{Line, Said};
use one::{Head, One};

/// Most traces that are kept: their files take 16 MiB each at most.
const MOST: usize = 32;
/// Most that go on at once: each step of each message is held against them.
const RUNNING: usize = 8;
/// Lines that wait to be written.
const QUEUE: usize = 8192;
/// Most lines of a trace in a second.
const LINES_A_SECOND: u32 = 10_000;
/// How often it is looked whether a trace begins or ends, and what is written gets to the file.
const TICK: Duration = Duration::from_millis(200);
/// How long a trace goes on at most.
const LONGEST: Duration = Duration::from_secs(3600);
/// How far ahead a trace may be asked for.
const AHEAD: Duration = Duration::from_secs(7 * 24 * 3600);

/// All traces.
pub(crate) struct Traces(Arc<Inner>);

struct Inner {
    folder: OnceLock<PathBuf>,
    watching: OnceLock<Arc<Watching>>,
    state: Mutex<State>,
    /// What goes on, for events.
    active: RwLock<Option<Arc<Tracing>>>,
    is_active: AtomicBool,
}

#[derive(Default)]
struct State {
    all: BTreeMap<String, Arc<One>>,
    /// The way to the thread that writes, while it runs.
    lines: Option<SyncSender<Line>>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}

/// What goes on, as workers see it.
struct Tracing {
    running: Vec<Arc<One>>,
    lines: SyncSender<Line>,
}

impl Probe for Tracing {
    fn step(&self, step: &Step<'_>) {
        for one in &self.running {
            if one.takes_step(step) {
                self.send(one, Said::step(step, one.shows_payload()));
            }
        }
    }
}

impl Tracing {
    fn event(&self, event: &Event) {
        for one in &self.running {
            if one.takes_event(event) {
                self.send(one, Said::Event(Box::new(event.clone())));
            }
        }
    }

    /// Never waits: it may be called on a worker.
    fn send(&self, one: &Arc<One>, said: Said) {
        let at = SystemTime::now();
        if !one.has_room(at, LINES_A_SECOND) {
            return one.lose();
        }
        let trace = Arc::clone(one);
        if self.lines.try_send(Line { trace, at, said }).is_err() {
            one.lose();
        }
    }
}

impl Traces {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            folder: OnceLock::new(),
            watching: OnceLock::new(),
            state: Mutex::default(),
            active: RwLock::default(),
            is_active: AtomicBool::new(false),
        }))
    }

    /// Traces are kept in this folder from now on; those that are there are over.
    pub(crate) fn open(&self, folder: PathBuf, watching: Arc<Watching>) {
        let found = match one::found(&folder) {
            Ok(found) => found,
            Err(error) => {
                warn!(%error, folder = &*folder.to_string_lossy(), "traces cannot be read");
                Vec::new()
            }
        };
        let mut state = self.0.lock();
        for one in found {
            state.all.insert(one.name().to_owned(), Arc::new(one));
        }
        // It is opened once.
        let _opened_before = self.0.folder.set(folder);
        let _opened_before = self.0.watching.set(watching);
    }

    /// Something happened. Called on a worker.
    pub(crate) fn event(&self, event: &Event) {
        if self.0.is_active.load(Relaxed)
            && let Ok(active) = self.0.active.try_read()
            && let Some(tracing) = &*active
        {
            tracing.event(event);
        }
    }

    /// The server ends: what was written gets to the files.
    pub(crate) fn end(&self) {
        for one in self.0.lock().all.values() {
            one.stop("the server ended");
        }
    }
}

impl admin::server::Traces for Traces {
    fn traces(&self) -> Result<Vec<Trace>, Failure> {
        let mut traces: Vec<Trace> = self.0.lock().all.values().map(|one| one.shown()).collect();
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.start_at));
        Ok(traces)
    }

    fn trace(&self, name: &str) -> Result<Trace, Failure> {
        Ok(self.0.one(name)?.shown())
    }

    fn start_trace(&self, new: NewTrace, record: &Record) -> Result<Trace, Failure> {
        let head = head(new)?;
        let mut state = self.0.lock();
        if state.all.contains_key(&head.name) {
            let words = format!("there is a trace {:?} already", head.name);
            return Err(Failure::Exists(words));
        }
        let running = state.all.values().filter(|one| !one.is_over()).count();
        if state.all.len() >= MOST || running >= RUNNING {
            let words = format!("there are at most {MOST} traces, {RUNNING} at once: remove one");
            return Err(Failure::Busy(words));
        }
        let folder = self.0.folder()?;
        let not_taken =
            |error: io::Error| Failure::Unavailable(format!("the folder of traces: {error}"));
        let one = Arc::new(One::create(folder, head).map_err(not_taken)?);
        if let Err(failure) = record.done(None, Some(&one.shown())) {
            one.remove().map_err(not_taken)?;
            return Err(failure);
        }
        state.all.insert(one.name().to_owned(), Arc::clone(&one));
        Inner::publish(&self.0, &mut state).map_err(not_taken)?;
        Ok(one.shown())
    }

    fn stop_trace(&self, name: &str, record: &Record) -> Result<Trace, Failure> {
        let one = self.0.one(name)?;
        record.done(None, Some(&one.shown()))?;
        one.stop("stopped by an operator");
        Inner::publish(&self.0, &mut self.0.lock()).map_err(no_thread)?;
        Ok(one.shown())
    }

    fn delete_trace(&self, name: &str, record: &Record) -> Result<(), Failure> {
        let one = self.0.one(name)?;
        record.done(Some(&one.shown()), None)?;
        one.stop("removed by an operator");
        let mut state = self.0.lock();
        Inner::publish(&self.0, &mut state).map_err(no_thread)?;
        // Somebody may have removed the file already.
        let gone = match one.remove() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            gone => gone,
        };
        gone.map_err(|error| Failure::Unavailable(format!("the trace's file: {error}")))?;
        state.all.remove(name);
        Ok(())
    }

    fn read_trace(&self, name: &str, position: u64, bytes: usize) -> Result<Chunk, Failure> {
        let read = self.0.one(name)?.read(position, bytes);
        let read =
            read.map_err(|error| Failure::Unavailable(format!("the trace's file: {error}")))?;
        let length = u64::try_from(read.len()).unwrap_or(0);
        Ok(Chunk {
            items: String::from_utf8_lossy(&read).into_owned(),
            meta: ChunkMeta {
                position: position.saturating_add(length),
                bytes: length,
            },
        })
    }
}

fn no_thread(error: io::Error) -> Failure {
    Failure::Unavailable(format!("a thread for traces: {error}"))
}

/// What was asked for, if it makes sense.
fn head(new: NewTrace) -> Result<Head, Failure> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if new.name.is_empty() || new.name.len() > 64 || !new.name.chars().all(fits) {
        let words = "name: 1 to 64 letters, digits, - and _";
        return Err(Failure::Invalid(words.into()));
    }
    let now = SystemTime::now();
    let start = new.start_at.unwrap_or(Stamp::from(now));
    let ahead = u64::try_from(AHEAD.as_millis()).unwrap_or(0);
    let farthest = Stamp::from(now).as_millis().saturating_add(ahead);
    if start.as_millis() > farthest {
        let words = "start_at: a trace begins within seven days";
        return Err(Failure::Invalid(words.into()));
    }
    let longest = u64::try_from(LONGEST.as_millis()).unwrap_or(0);
    let latest = start.as_millis().saturating_add(longest);
    let end = new.end_at.unwrap_or(Stamp::from_millis(latest));
    if end <= start || end <= Stamp::from(now) {
        return Err(Failure::Invalid(
            "end_at: it is over before it begins".into(),
        ));
    }
    if end.as_millis() > latest {
        let words = "end_at: a trace goes on for an hour at most";
        return Err(Failure::Invalid(words.into()));
    }
    Head::new(new, start, end)
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> Result<&Path, Failure> {
        let folder = self.folder.get();
        let folder = folder.ok_or_else(|| Failure::Unavailable("the server starts".into()))?;
        Ok(folder)
    }

    fn one(&self, name: &str) -> Result<Arc<One>, Failure> {
        let one = self.lock().all.get(name).cloned();
        one.ok_or_else(|| Failure::NotFound(format!("there is no trace {name:?}")))
    }

    /// Lets workers know what goes on. What waits for its time costs them nothing; the thread that
    /// writes looks when it comes.
    fn publish(inner: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let is_wanted = state.all.values().any(|one| !one.is_over());
        let running: Vec<Arc<One>> = state
            .all
            .values()
            .filter(|one| one.is_running())
            .cloned()
            .collect();
        let tracing = match is_wanted {
            false => None,
            true => {
                let lines = match &state.lines {
                    Some(lines) => lines.clone(),
                    None => {
                        let lines = Self::begin(inner)?;
                        state.lines = Some(lines.clone());
                        lines
                    }
                };
                (!running.is_empty()).then(|| Arc::new(Tracing { running, lines }))
            }
        };
        let mut active = inner.active.write().unwrap_or_else(PoisonError::into_inner);
        inner.is_active.store(tracing.is_some(), Relaxed);
        active.clone_from(&tracing);
        drop(active);
        if let Some(watching) = inner.watching.get() {
            watching.every(tracing.map(|tracing| tracing as Arc<dyn Probe>));
        }
        Ok(())
    }

    /// How many workers know of.
    fn active(&self) -> usize {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.as_ref().map_or(0, |tracing| tracing.running.len())
    }

    /// Begins to write.
    fn begin(inner: &Arc<Self>) -> io::Result<SyncSender<Line>> {
        let (lines, from) = sync_channel(QUEUE);
        let inner = Arc::clone(inner);
        let write = move || inner.write(&from);
        thread::Builder::new().name("traces".into()).spawn(write)?;
        Ok(lines)
    }

    fn write(self: Arc<Self>, from: &Receiver<Line>) {
        let mut looked = Instant::now();
        loop {
            match from.recv_timeout(TICK) {
                Ok(line) => line.trace.write(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                if self.look(from) {
                    return;
                }
            }
        }
    }

    /// Begins and ends what has come to its time; whether nothing goes on any more.
    fn look(self: &Arc<Self>, from: &Receiver<Line>) -> bool {
        let now = Stamp::now();
        let mut state = self.lock();
        state.all.values().for_each(|one| one.look(now));
        let waits = state.all.values().any(|one| !one.is_over());
        let running = state.all.values().filter(|one| one.is_running()).count();
        if running != self.active()
            && let Err(error) = Self::publish(self, &mut state)
        {
            warn!(%error, "a trace goes on beyond its time");
        }
        if waits {
            return false;
        }
        state.lines = None;
        while let Ok(line) = from.try_recv() {
            line.trace.write(&line);
        }
        state.all.values().for_each(|one| one.close());
        true
    }
}

//! The log: one line an event, written by a thread of its own.
//!
//! Who logs never waits for the terminal or the pipe at the other end: lines and events go
//! through one queue that is bounded in number and in bytes, and what finds it full is dropped
//! and counted. Whatever comes from a client goes into a field as `&str`, never into the
//! message and never with `%`: the subscriber then escapes it, so that no client can forge a
//! line.

mod lines;

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, sync_channel};
use std::thread;
use std::time::Duration;

use broker::{Event, EventSink};
use config::{LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use lines::Lines;

use crate::events;
use crate::queue;

/// The log of this process.
pub(crate) struct Log {
    queue: Queue,
    level: Level,
    /// Hears of the end of the thread.
    ended: mpsc::Receiver<()>,
}

/// How much is written, to be looked at and changed. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// How much is written; `None` if the log is gone.
    pub(crate) fn now(&self) -> Option<LogLevel> {
        let known = [
            LogLevel::Error,
            LogLevel::Warn,
            LogLevel::Info,
            LogLevel::Debug,
            LogLevel::Trace,
        ];
        let now = self.0.clone_current()?;
        known.into_iter().find(|&level| filter(level) == now)
    }

    /// Changes it.
    ///
    /// # Errors
    /// The log is gone.
    pub(crate) fn set(&self, level: LogLevel) -> Result<(), reload::Error> {
        self.0.reload(filter(level))
    }
}

/// The way to the log's thread. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Queue {
    items: queue::Sender<Item>,
    dropped: Arc<AtomicU64>,
    /// Bytes of what waits, but of each the part that is always the same.
    waiting: Arc<AtomicUsize>,
}

/// What waits for the log's thread.
enum Item {
    /// An event of the broker, not formatted yet: workers have better things to do.
    Event(Event),
    /// A line.
    Line(Vec<u8>),
    /// Nothing comes after this.
    End,
}

impl Item {
    /// Bytes that it takes beside what all take.
    fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => events::words_of(event),
            Self::Line(text) => text.len(),
            Self::End => 0,
        }
    }
}

/// Whether lines are made for people or for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Form {
    /// The form that the configuration asks for.
    pub(crate) fn of(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
            LogFormat::Auto if io::stderr().is_terminal() => Self::Text,
            LogFormat::Auto => Self::Json,
        }
    }
}

impl Log {
    /// Starts the log of the process, on standard error.
    ///
    /// # Errors
    /// The system gives no thread, or the process has a log already.
    pub(crate) fn start(form: Form, level: LogLevel) -> io::Result<Self> {
        let (queue, ended) = Queue::start(io::stderr())?;
        let (filter, handle) = reload::Layer::new(filter(level));
        let registry = tracing_subscriber::registry().with(filter);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(queue.clone())
            .with_target(false);
        let installed = match form {
            Form::Text => {
                let lines = lines.with_ansi(io::stderr().is_terminal());
                registry.with(lines).try_init()
            }
            Form::Json => {
                let lines = lines.json().flatten_event(true).with_current_span(false);
                registry.with(lines.with_span_list(false)).try_init()
            }
        };
        installed.map_err(io::Error::other)?;
        Ok(Self {
            queue,
            level: Level(handle),
            ended,
        })
    }

    /// Where the broker's events go.
    pub(crate) fn events(&self) -> Arc<dyn EventSink> {
        Arc::new(self.queue.clone())
    }

    /// How much is written.
    pub(crate) fn level(&self) -> &Level {
        &self.level
    }

    /// Waits until all that was logged is written, but no longer than a second: the other end
    /// of the pipe may have stopped reading.
    pub(crate) fn finish(self) {
        if self.queue.items.push(Item::End) {
            // Disconnected says the same as a message: the thread has ended.
            let _written_or_late = self.ended.recv_timeout(Duration::from_secs(1));
        }
    }
}

impl Queue {
    /// Starts a thread that writes to `output`. The receiver hears when it ends.
    fn start(output: impl Write + Send + 'static) -> io::Result<(Self, mpsc::Receiver<()>)> {
        let (items, waiting) = queue::bounded(QUEUE);
        let (ending, ended) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let bytes = Arc::clone(&waiting_bytes);
        thread::Builder::new().name("log".into()).spawn(move || {
            let _ending = ending;
            write_all(&waiting, (&counter, &bytes), output);
        })?;
        let queue = Self {
            items,
            dropped,
            waiting: waiting_bytes,
        };
        Ok((queue, ended))
    }

    fn push(&self, item: Item) {
        let bytes = item.bytes();
        // First, since the thread may have it at once.
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        // Something always fits into an empty queue.
        let fits = before == 0 || before.saturating_add(bytes) <= WAITING;
        let sent = fits && self.items.push(item);
        if !sent {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl EventSink for Queue {
    fn event(&self, event: Event) {
        if events::level(&event) <= LevelFilter::current() {
            self.push(Item::Event(event));
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            queue: self,
            text: Vec::new(),
        }
    }
}

/// A line on its way into the queue.
pub(crate) struct Line<'a> {
    queue: &'a Queue,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        FORMATTED.with(|formatted| match formatted.take() {
            // The log's own thread waits for the line of the event that it formats.
            Some(mut lines) => {
                lines.extend_from_slice(&text);
                formatted.set(Some(lines));
            }
            None => self.queue.push(Item::Line(text)),
        });
    }
}

thread_local! {
    /// On the log's thread: what was formatted there and is to be written. Elsewhere `None`.
    static FORMATTED: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

fn write_all(
    waiting: &queue::Receiver<Item>,
    (dropped, bytes): (&AtomicU64, &AtomicUsize),
    mut output: impl Write,
) {
    while let Ok(item) = waiting.recv() {
        bytes.fetch_sub(item.bytes(), Ordering::Relaxed);
        let lines = match item {
            Item::Event(event) => formatted(|| events::log(&event)),
            Item::Line(text) => text,
            Item::End => return,
        };
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let notice = formatted(|| tracing::warn!(lines = lost, "log lines dropped"));
            write(&mut output, &notice);
        }
        write(&mut output, &lines);
    }
}

/// Writes to the log's end. An end that is gone (a closed terminal) is no reason to stop
/// serving, and there is nowhere left to say so.
fn write(output: &mut impl Write, lines: &[u8]) {
    let _nowhere_to_say_so = output.write_all(lines);
}

/// The lines that `log` makes on this thread.
fn formatted(log: impl FnOnce()) -> Vec<u8> {
    FORMATTED.set(Some(Vec::new()));
    log();
    FORMATTED.take().unwrap_or_default()
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Lines and events that may wait; more are dropped and counted.
const QUEUE: usize = 16 * 1024;
/// Most bytes of them: a client's identifier alone has up to 64 KB.
const WAITING: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;

//! One trace, and its file: first a line that says what it is of, then what happened.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use admin::server::traces::{NewTrace, PayloadEncode, Trace, TraceKind, TraceStatus};
use admin::{Failure, Stamp};
use broker::{Event, Step};
use serde::{Deserialize, Serialize};
use tracing::warn;
use types::{Peer, TopicFilter, TopicName};

use super::line::{self, Line};

/// Most bytes of a trace; then it is over.
pub(super) const BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of the longest letter.
const LETTER: usize = 4;

/// What a trace is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: TraceKind,
    value: String,
    start_at: Stamp,
    end_at: Stamp,
    payload_encode: PayloadEncode,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct First {
    at: Stamp,
    event: String,
    trace: Head,
}

/// What a trace takes.
enum Of {
    Client(String),
    Topic(TopicFilter),
    Address(IpAddr),
    /// It is of an earlier run, and takes nothing.
    Nothing,
}

/// One trace.
pub(super) struct One {
    head: Head,
    of: Of,
    path: PathBuf,
    /// Its time has come.
    is_begun: AtomicBool,
    is_over: AtomicBool,
    /// When it ended, in milliseconds since 1970.
    ended: AtomicU64,
    size: AtomicU64,
    /// Lines that were not written, and how many of them were told.
    lost: AtomicU64,
    told: AtomicU64,
    second: AtomicU64,
    in_second: AtomicU32,
    file: Mutex<Option<BufWriter<File>>>,
}

impl Head {
    /// # Errors
    /// The value is none of its kind.
    pub(super) fn new(new: NewTrace, start_at: Stamp, end_at: Stamp) -> Result<Self, Failure> {
        let head = Self {
            name: new.name,
            kind: new.kind,
            value: new.value,
            start_at,
            end_at,
            payload_encode: new.payload_encode,
        };
        head.of().map(|_| head)
    }

    fn of(&self) -> Result<Of, Failure> {
        let value = self.value.as_str();
        if value.is_empty() || value.len() > 65_535 {
            return Err(Failure::Invalid("value: 1 to 65535 bytes".into()));
        }
        match self.kind {
            TraceKind::ClientId => Ok(Of::Client(value.into())),
            TraceKind::Topic => {
                // A group's name stands in no topic: nothing would ever match.
                let shared = value.split('/').next() == Some("$share");
                TopicFilter::parse(value, u16::MAX)
                    .ok()
                    .filter(|_| !shared)
                    .map(Of::Topic)
                    .ok_or_else(|| Failure::Invalid(format!("value: {value:?} is no topic filter")))
            }
            // IPv4 within IPv6 is the same address; clients have it as IPv4.
            TraceKind::IpAddress => value
                .parse()
                .map(|address: IpAddr| Of::Address(address.to_canonical()))
                .map_err(|_| Failure::Invalid(format!("value: {value:?} is no IP address"))),
        }
    }
}

impl One {
    /// Creates its file, which only this user may read (S99).
    pub(super) fn create(folder: &Path, head: Head) -> io::Result<Self> {
        private_folder(folder)?;
        let path = folder.join(format!("{}.jsonl", head.name));
        let file = private(OpenOptions::new().write(true).create_new(true)).open(&path)?;
        let of = head.of().map_err(|_| io::ErrorKind::InvalidInput)?;
        let one = Self::new(head.clone(), of, path, Some(BufWriter::new(file)), 0);
        let first = First {
            at: Stamp::now(),
            event: "started".into(),
            trace: head,
        };
        one.append(&line::inert(serde_json::to_string(&first)?));
        one.flush();
        Ok(one)
    }

    fn new(head: Head, of: Of, path: PathBuf, file: Option<BufWriter<File>>, size: u64) -> Self {
        Self {
            ended: AtomicU64::new(head.end_at.as_millis()),
            is_begun: AtomicBool::new(head.start_at <= Stamp::now()),
            is_over: AtomicBool::new(file.is_none()),
            head,
            of,
            path,
            size: AtomicU64::new(size),
            lost: AtomicU64::new(0),
            told: AtomicU64::new(0),
            second: AtomicU64::new(0),
            in_second: AtomicU32::new(0),
            file: Mutex::new(file),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.head.name
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    pub(super) fn payload(&self) -> PayloadEncode {
        self.head.payload_encode
    }

    pub(super) fn shows_payload(&self) -> bool {
        self.head.payload_encode != PayloadEncode::Hidden
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_begun.load(Relaxed) && !self.is_over()
    }

    /// Whether it takes a step of a message.
    pub(super) fn takes_step(&self, step: &Step<'_>) -> bool {
        let client = step.client.map(|client| client.as_str());
        let topic = step.topic.map(|topic| &**topic);
        self.takes(client, step.peer, topic)
    }

    /// Whether it takes an event.
    pub(super) fn takes_event(&self, event: &Event) -> bool {
        let about = line::about(event);
        self.takes(about.client, about.peer, about.topic)
    }

    fn takes(&self, client: Option<&str>, peer: Option<Peer>, topic: Option<&str>) -> bool {
        let is_of = match &self.of {
            Of::Client(wanted) => client == Some(wanted.as_str()),
            Of::Address(wanted) => peer.and_then(Peer::ip) == Some(*wanted),
            Of::Topic(filter) => topic
                .and_then(|topic| TopicName::parse(topic, u16::MAX).ok())
                .is_some_and(|topic| topics::filter::matches(filter, topic)),
            Of::Nothing => false,
        };
        is_of && self.is_running()
    }

    /// Whether another line fits into this second.
    pub(super) fn has_room(&self, at: SystemTime, most: u32) -> bool {
        let second = at.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
        if self.second.swap(second, Relaxed) != second {
            self.in_second.store(0, Relaxed);
        }
        self.in_second.fetch_add(1, Relaxed) < most
    }

    pub(super) fn lose(&self) {
        self.lost.fetch_add(1, Relaxed);
    }

    pub(super) fn write(&self, line: &Line) {
        let text = line.text();
        self.append(&text);
    }

    fn append(&self, text: &str) {
        let mut file = self.file();
        let Some(writer) = &mut *file else { return };
        let length = u64::try_from(text.len()).unwrap_or(0).saturating_add(1);
        let written = writeln!(writer, "{text}");
        let size = self.size.fetch_add(length, Relaxed).saturating_add(length);
        if let Err(error) = written {
            warn!(%error, trace = self.name(), "the disk does not take a trace");
            drop(file);
            self.over();
        } else if size >= BYTES {
            drop(file);
            self.stop("there is no more room");
        }
    }

    /// Looks whether its time has come, tells what was lost, and brings lines to the file.
    pub(super) fn look(&self, now: Stamp) {
        if self.is_over() {
            return;
        }
        if now >= self.head.start_at {
            self.is_begun.store(true, Relaxed);
        }
        self.tell_lost();
        match now >= self.head.end_at {
            true => self.stop("its time was over"),
            false => self.flush(),
        }
    }

    fn tell_lost(&self) {
        let lost = self.lost.load(Relaxed);
        let before = self.told.swap(lost, Relaxed);
        if lost > before {
            self.append(&line::lost(lost - before));
        }
    }

    /// Ends it with these words.
    pub(super) fn stop(&self, why: &str) {
        if self.over() {
            self.tell_lost();
            let text = line::ended(why);
            if let Some(file) = &mut *self.file() {
                let length = u64::try_from(text.len()).unwrap_or(0).saturating_add(1);
                if let Err(error) = writeln!(file, "{text}") {
                    warn!(%error, trace = self.name(), "the disk does not take a trace");
                }
                self.size.fetch_add(length, Relaxed);
            }
            self.flush();
        }
    }

    /// It is over; whether it was not before.
    fn over(&self) -> bool {
        let first = !self.is_over.swap(true, Relaxed);
        if first {
            self.ended.store(Stamp::now().as_millis(), Relaxed);
        }
        first
    }

    fn flush(&self) {
        if let Some(file) = &mut *self.file()
            && let Err(error) = file.flush()
        {
            warn!(%error, trace = self.name(), "the disk does not take a trace");
        }
    }

    /// Nothing is written any more.
    pub(super) fn close(&self) {
        self.flush();
        *self.file() = None;
    }

    /// Removes its file.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.over();
        *self.file() = None;
        fs::remove_file(&self.path)
    }

    /// Bytes of its file from here on, up to the end of a line if one ends there, else of a letter.
    pub(super) fn read(&self, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(position))?;
        let mut read = Vec::new();
        // There is always room for a letter, so that who reads on gets on.
        let most = u64::try_from(bytes.max(LETTER)).unwrap_or(u64::MAX);
        file.take(most).read_to_end(&mut read)?;
        if let Some(end) = read.iter().rposition(|&byte| byte == b'\n') {
            read.truncate(end + 1);
        } else if let Err(error) = std::str::from_utf8(&read)
            && error.error_len().is_none()
        {
            read.truncate(error.valid_up_to());
        }
        Ok(read)
    }

    pub(super) fn shown(&self) -> Trace {
        let head = self.head.clone();
        Trace {
            name: head.name,
            kind: head.kind,
            value: head.value,
            status: match (self.is_over(), self.is_begun.load(Relaxed)) {
                (true, _) => TraceStatus::Stopped,
                (false, true) => TraceStatus::Running,
                (false, false) => TraceStatus::Waiting,
            },
            start_at: head.start_at,
            end_at: Stamp::from_millis(self.ended.load(Relaxed)),
            payload_encode: head.payload_encode,
            size: self.size.load(Relaxed),
            lost: self.lost.load(Relaxed),
        }
    }

    fn file(&self) -> MutexGuard<'_, Option<BufWriter<File>>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Traces of earlier runs; files that are none are left alone.
pub(super) fn found(folder: &Path) -> io::Result<Vec<One>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let size = entry.metadata()?.len();
        let mut first = String::new();
        let is_line = entry.file_type()?.is_file()
            && BufReader::new(File::open(&path)?.take(256 * 1024))
                .read_line(&mut first)
                .is_ok();
        let read = serde_json::from_str::<First>(&first).ok();
        let Some(First { trace: head, .. }) = read.filter(|_| is_line) else {
            continue;
        };
        // Its name is the file's, whatever it says.
        if path.file_stem().and_then(|stem| stem.to_str()) == Some(&head.name) {
            found.push(One::new(head, Of::Nothing, path, None, size));
        }
    }
    Ok(found)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

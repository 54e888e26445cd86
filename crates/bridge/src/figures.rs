//! What is told of a bridge.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Why a message did not go over, though both servers could be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// No rule is about its topic any more: it waited for a rule that is gone, or the other server
    /// sends what it was not asked for.
    NoRule,
    /// It has been at this server already, or at too many (S102).
    Loop,
    /// It is larger than the receiver takes.
    TooLarge,
    /// Its topic is none that the receiver takes.
    Topic,
    /// It has more user properties than the receiver takes.
    Properties,
    /// The other server did not want it, and said so.
    RefusedThere,
    /// The other server ended the connection whenever it came, again and again.
    EndsConnection,
    /// This server did not want it: by its rules, mostly.
    RefusedHere,
    /// Of QoS 0, while this server takes less than the other one sends.
    Slow,
}

impl Dropped {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::NoRule,
        Self::Loop,
        Self::TooLarge,
        Self::Topic,
        Self::Properties,
        Self::RefusedThere,
        Self::EndsConnection,
        Self::RefusedHere,
        Self::Slow,
    ];

    /// The word for it, in metrics and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRule => "no_rule",
            Self::Loop => "loop",
            Self::TooLarge => "too_large",
            Self::Topic => "topic",
            Self::Properties => "properties",
            Self::RefusedThere => "refused_there",
            Self::EndsConnection => "ends_connection",
            Self::RefusedHere => "refused_here",
            Self::Slow => "slow",
        }
    }
}

/// What a bridge does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It tries to connect.
    #[default]
    Connecting,
    /// Both sides are connected.
    Connected,
    /// It waits before the next try.
    Waiting,
    /// It waits for messages to connect for.
    Idle,
    /// An operator has switched it off, or it was to connect once only.
    Off,
}

impl Phase {
    /// The word for it, in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::Off => "off",
        }
    }
}

/// What a bridge does, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it does now.
    pub phase: Phase,
    /// Since when.
    pub since: SystemTime,
    /// Since when it has not been connected though it should be; `None` if it is, or should not be.
    pub down_since: Option<SystemTime>,
    /// The address in use, or the one tried last.
    pub address: Option<String>,
    /// Why the last connection or the last try ended, and when.
    pub error: Option<(String, SystemTime)>,
}

/// Counts of one bridge since the server's start, and its status.
#[derive(Debug)]
pub struct Figures {
    out_messages: AtomicU64,
    out_bytes: AtomicU64,
    in_messages: AtomicU64,
    in_bytes: AtomicU64,
    out_inflight: AtomicU64,
    in_inflight: AtomicU64,
    connects: AtomicU64,
    failures: AtomicU64,
    waiting: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
    status: Mutex<Status>,
}

impl Default for Figures {
    fn default() -> Self {
        let status = Status {
            phase: Phase::Connecting,
            since: SystemTime::now(),
            down_since: Some(SystemTime::now()),
            address: None,
            error: None,
        };
        Self {
            out_messages: AtomicU64::default(),
            out_bytes: AtomicU64::default(),
            in_messages: AtomicU64::default(),
            in_bytes: AtomicU64::default(),
            out_inflight: AtomicU64::default(),
            in_inflight: AtomicU64::default(),
            connects: AtomicU64::default(),
            failures: AtomicU64::default(),
            waiting: AtomicU64::default(),
            dropped: Default::default(),
            status: Mutex::new(status),
        }
    }
}

impl Figures {
    /// Messages sent to the other server and bytes of their packets; those sent again count again.
    pub fn out(&self) -> (u64, u64) {
        (load(&self.out_messages), load(&self.out_bytes))
    }

    /// The same of messages that came from the other server.
    pub fn came(&self) -> (u64, u64) {
        (load(&self.in_messages), load(&self.in_bytes))
    }

    /// Messages of QoS 1 and 2 on their way and not acknowledged to the end: out and in.
    pub fn inflight(&self) -> (u64, u64) {
        (load(&self.out_inflight), load(&self.in_inflight))
    }

    /// How often both sides were connected.
    pub fn connects(&self) -> u64 {
        load(&self.connects)
    }

    /// How often a connection or the try of one has failed.
    pub fn failures(&self) -> u64 {
        load(&self.failures)
    }

    /// Messages at this server that the other one has not acknowledged, those on their way among
    /// them, when [`crate::Bridges::ask_waiting`] was answered last.
    pub fn waiting(&self) -> u64 {
        load(&self.waiting)
    }

    /// Messages that did not go over.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped.get(why as usize).map_or(0, load)
    }

    /// What the bridge does now.
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    pub(crate) fn count_out(&self, bytes: usize) {
        add(&self.out_messages, 1);
        add(&self.out_bytes, bytes as u64);
    }

    pub(crate) fn count_in(&self, bytes: usize) {
        add(&self.in_messages, 1);
        add(&self.in_bytes, bytes as u64);
    }

    pub(crate) fn set_inflight(&self, out: usize, came: usize) {
        self.out_inflight.store(out as u64, Ordering::Relaxed);
        self.in_inflight.store(came as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self, why: Dropped) {
        if let Some(count) = self.dropped.get(why as usize) {
            add(count, 1);
        }
    }

    pub(crate) fn set_waiting(&self, count: u64) {
        self.waiting.store(count, Ordering::Relaxed);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let now = SystemTime::now();
        let mut status = self.lock();
        if phase == Phase::Connected {
            add(&self.connects, 1);
        }
        status.down_since = match phase {
            Phase::Connected | Phase::Idle | Phase::Off => None,
            Phase::Connecting | Phase::Waiting => status.down_since.or(Some(now)),
        };
        if status.phase != phase {
            status.phase = phase;
            status.since = now;
        }
    }

    pub(crate) fn trying(&self, address: String) {
        self.lock().address = Some(address);
    }

    /// Something that an operator should know, though the connection goes on.
    pub(crate) fn complain(&self, words: String) {
        self.lock().error = Some((words, SystemTime::now()));
    }

    pub(crate) fn failed(&self, words: String) {
        add(&self.failures, 1);
        self.complain(words);
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // It is whole at every point.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

//! The port.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use types::{Message, MessageRef, SessionKey, StoredSession, Ticket, Time};

use crate::record::Record;

/// The store has failed and promises nothing more: acknowledgements that wait are never given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFailed;

impl fmt::Display for StoreFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store has failed")
    }
}

impl std::error::Error for StoreFailed {}

/// How far the store must go for a batch, because somebody waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Nobody waits: with the next batch, or within the sync interval.
    #[default]
    Lazy,
    /// To the operating system, now.
    Written,
    /// To the disk, now.
    Synced,
}

/// How far the store has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All batches up to this ticket are with the operating system.
    pub written: Ticket,
    /// All batches up to this ticket are on the disk.
    pub synced: Ticket,
}

/// Whether the store takes more messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It does.
    Enough,
    /// The disk lags behind by `limits.store_backlog`: publishers of QoS 1 and 2 wait, and whoever
    /// begins, resumes or changes a session that lasts.
    Behind,
    /// The disk, or `limits.store_bytes`, is full: QoS 1 and 2 are refused with 0x97 where they
    /// would have to be stored. Acknowledgements are still taken.
    Full,
    /// It is [`Room::Full`], and [`Room::Behind`] with what came before and since: who resumes or
    /// changes a session that lasts waits.
    FullAndBehind,
}

impl Room {
    /// Whether messages that would have to be stored are refused.
    pub fn is_full(self) -> bool {
        matches!(self, Self::Full | Self::FullAndBehind)
    }

    /// Whether who would add to what waits to be written has to wait.
    pub fn is_behind(self) -> bool {
        matches!(self, Self::Behind | Self::FullAndBehind)
    }
}

/// A message that was asked for.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Who asked.
    pub reader: SessionKey,
    /// For which message.
    pub message: MessageRef,
    /// What there is.
    pub found: Found,
}

/// What a load came to.
#[derive(Clone, Debug)]
pub enum Found {
    /// The message.
    Message(Arc<Message>),
    /// Nobody is owed it any more.
    Gone,
    /// It is damaged, and withheld.
    Damaged,
}

/// How a store fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// How.
    pub condition: Condition,
    /// Since when, in milliseconds of the store's clock; 0: since the start.
    pub since: u64,
}

/// How a store fares, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// All is well.
    #[default]
    Ok,
    /// The disk takes longer than a second, or hangs: acknowledgements are late.
    Slow,
    /// There is no room: see [`Room::Full`].
    Full(Shortage),
    /// Nothing is acknowledged any more: see [`StoreFailed`].
    Failed,
}

impl Condition {
    /// One word: `ok`, `slow`, `full` or `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Full(_) => "full",
            Self::Failed => "failed",
        }
    }
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortage {
    /// `limits.store_bytes` is reached.
    Limit,
    /// The disk is full, or a quota on it is used up.
    Disk,
    /// The file system is read-only.
    ReadOnly,
}

/// What a store shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes that the store takes on the disk.
    pub disk_bytes: u64,
    /// Bytes of records that are needed.
    pub live_bytes: u64,
    /// Messages that are owed or retained.
    pub messages: u64,
    /// When the oldest of them came, in milliseconds of the store's clock; 0 if there is none.
    pub oldest: u64,
    /// Milliseconds of the store's clock now.
    pub now: u64,
    /// Commits that were synced.
    pub syncs: u64,
    /// Writes or syncs that failed.
    pub failures: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Bytes that wait to be written.
    pub backlog_bytes: u64,
    /// Messages that were found damaged.
    pub damaged: u64,
    /// How many commits took how long: for each of [`COMMIT_BOUNDS`] those not longer, and last
    /// the longer ones.
    pub commits: [u64; COMMIT_BOUNDS.len() + 1],
    /// How it fares.
    pub health: Health,
}

/// The bounds of the commit latency histogram, from the first write to the end of the sync.
pub const COMMIT_BOUNDS: [Duration; 12] = [
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Where a worker keeps what must outlive the process. All workers stand before the same store,
/// each with a handle of its own.
///
/// Calls never wait for a disk. What one handle appends stays in order, and a commit covers all
/// that its handle appended before it. Of two handles, what was committed (or kept) first in
/// time comes first in the store: a batch is safe only with all that came before it.
pub trait Store: Send {
    /// Whether records are wanted at all. Workers spend nothing on a store that wants none.
    fn is_durable(&self) -> bool;

    /// A number for a session that begins to be kept.
    fn new_session(&mut self) -> StoredSession;

    /// Takes a message. It is in the store before any batch that is committed from now on, by
    /// whatever worker; if no [`Record`] refers to it, the store forgets it again.
    fn keep(&mut self, message: &Message, now: Time) -> MessageRef;

    /// The same for a message whose name nobody but this worker learns before its next
    /// [`Store::commit`]: it may go with that batch, which is cheaper.
    fn keep_here(&mut self, message: &Message, now: Time) -> MessageRef {
        self.keep(message, now)
    }

    /// Takes a record into the batch of this turn. The records of one batch survive together or
    /// not at all.
    fn append(&mut self, record: Record<'_>);

    /// Closes a batch and returns its ticket. Tickets grow, over all workers.
    fn commit(&mut self, wish: Wish) -> Ticket;

    /// How far the store has come. The store wakes its worker (by mail) when a ticket that it
    /// wished for is reached.
    ///
    /// # Errors
    ///
    /// [`StoreFailed`] for good, once a write or a sync has failed.
    fn progress(&self) -> Result<Progress, StoreFailed>;

    /// Whether it takes more messages.
    fn room(&self) -> Room;

    /// Asks for messages on behalf of a session. The answers come by [`Store::loaded`], one for
    /// each, in this order; the store wakes its worker (by mail) for them.
    fn load(&mut self, reader: SessionKey, messages: &[MessageRef]);

    /// The next answer.
    fn loaded(&mut self) -> Option<Loaded>;

    /// What the store's clock said at [`Time::ZERO`], in milliseconds since 1970.
    fn clock(&self) -> u64;

    /// What there is to show; `None` if the store keeps nothing.
    fn figures(&self) -> Option<Figures>;
}

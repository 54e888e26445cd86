//! What the workers hand over, and what the journal's thread says back.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{Figures, Loaded, Room, Shortage, Wish};
use types::{MessageRef, SessionKey, StoredSession, Time, WorkerId};

use super::fares::Fares;
use crate::record::StoreClock;
use crate::segment::FrameBuffer;

/// What a store calls when a worker should look at it again.
pub type Wake = Box<dyn Fn(WorkerId) + Send + Sync>;

/// Payload at which a frame is full, in bytes. A batch is never split, so that a frame may be as
/// much longer as its last batch is.
pub(crate) const FRAME_BYTES: usize = 4 << 20;

/// What all handles, the journal's thread and the reader share.
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    call: Condvar,
    written: AtomicU64,
    synced: AtomicU64,
    pub(crate) fares: Fares,
    /// Bytes that were handed over so far.
    came: AtomicU64,
    /// Those of them that are written.
    went: AtomicU64,
    most_backlog: u64,
    /// What may be handed over before `limits.store_bytes` is reached, since the start.
    room_until: AtomicU64,
    references: AtomicU64,
    sessions: AtomicU64,
    pub(crate) damaged: AtomicU64,
    /// How often a message could not be read.
    pub(crate) unread: AtomicU64,
    pub(crate) clock: StoreClock,
    figures: Mutex<Figures>,
    wake: Wake,
}

/// Where the numbers of a run begin.
pub(crate) struct Start {
    pub(crate) clock: StoreClock,
    /// The highest reference given so far.
    pub(crate) reference: MessageRef,
    /// The highest session number given so far.
    pub(crate) session: StoredSession,
    /// Unwritten bytes at which publishers wait.
    pub(crate) most_backlog: u64,
    pub(crate) figures: Figures,
}

/// What came since the journal's thread looked last.
#[derive(Default)]
pub(crate) struct Inbox {
    /// Whole batches; the last frame is being filled.
    frames: Vec<FrameBuffer>,
    /// Frames to fill next, empty.
    blank: Vec<FrameBuffer>,
    /// The last ticket given.
    ticket: u64,
    waiting: Waiting,
    loads: VecDeque<Asked>,
    /// All that have a handle.
    workers: Vec<WorkerId>,
    commits: Commits,
    life: Life,
    listens: Listens,
}

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) wish: Wish,
    pub(crate) for_written: Vec<WorkerId>,
    pub(crate) for_synced: Vec<WorkerId>,
}

/// Whether batches lie in the inbox.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Commits {
    #[default]
    None,
    Some,
}

/// Whether the journal's thread is to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Life {
    #[default]
    Running,
    /// The server stops: write all and end.
    Stopping,
}

/// What wakes the journal's thread. Each word includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listens {
    /// It is awake.
    #[default]
    Nothing,
    /// Loads, because nothing can be written now.
    Loads,
    /// Wishes as well.
    Wishes,
    /// Any commit.
    Commits,
}

/// A message that somebody asked for.
pub(crate) struct Asked {
    pub(crate) slot: Arc<Slot>,
    pub(crate) reader: SessionKey,
    pub(crate) message: MessageRef,
}

/// Where the answers for one handle lie.
pub(crate) struct Slot {
    pub(crate) worker: WorkerId,
    answers: Mutex<VecDeque<Loaded>>,
    has_answers: AtomicBool,
}

/// All that was in the inbox.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) frames: Vec<FrameBuffer>,
    /// The last ticket that it covers.
    pub(crate) ticket: u64,
    pub(crate) waiting: Waiting,
}

impl Shared {
    pub(crate) fn new(start: Start, wake: Wake) -> Self {
        Self {
            inbox: Mutex::default(),
            call: Condvar::new(),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            fares: Fares::default(),
            came: AtomicU64::new(0),
            went: AtomicU64::new(0),
            most_backlog: start.most_backlog,
            room_until: AtomicU64::new(u64::MAX),
            references: AtomicU64::new(start.reference.0),
            sessions: AtomicU64::new(start.session.0),
            damaged: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            clock: start.clock,
            figures: Mutex::new(start.figures),
            wake,
        }
    }

    /// Where a worker finds its answers.
    pub(crate) fn slot(&self, worker: WorkerId) -> Arc<Slot> {
        let mut inbox = self.lock();
        if !inbox.workers.contains(&worker) {
            inbox.workers.push(worker);
        }
        Arc::new(Slot {
            worker,
            answers: Mutex::default(),
            has_answers: AtomicBool::new(false),
        })
    }

    /// A number for a session.
    pub(crate) fn new_session(&self) -> StoredSession {
        StoredSession(
            self.sessions
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1),
        )
    }

    /// Names for messages that came `now`: `count` of them, from this one on.
    pub(crate) fn new_references(&self, now: Time, count: u64) -> MessageRef {
        let floor = self.clock.millis(now) << MessageRef::COUNT_BITS;
        let mut last = self.references.load(Ordering::Relaxed);
        loop {
            let next = last.saturating_add(1).max(floor);
            let swapped = self.references.compare_exchange_weak(
                last,
                next.saturating_add(count.saturating_sub(1)),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return MessageRef(next),
                Err(other) => last = other,
            }
        }
    }

    /// Takes a body. It waits for the batch that refers to it and wakes nobody.
    pub(crate) fn keep(&self, body: &[u8]) {
        self.came.fetch_add(bytes(body.len()), Ordering::Relaxed);
        self.lock().push(body);
    }

    /// Somebody has bytes for [`Shared::keep_frame`] or [`Shared::commit`].
    pub(crate) fn has_come(&self, length: usize) {
        self.came.fetch_add(bytes(length), Ordering::Relaxed);
    }

    /// Takes messages that were counted already. Empties the frame.
    pub(crate) fn keep_frame(&self, frame: &mut FrameBuffer) {
        if !frame.is_empty() {
            self.lock().push_frame(frame);
            empty(frame);
        }
    }

    /// Takes a batch that was counted already, which stays in one piece, and returns its ticket.
    /// Empties the frame.
    pub(crate) fn commit(&self, batch: &mut FrameBuffer, worker: WorkerId, wish: Wish) -> u64 {
        let mut inbox = self.lock();
        inbox.push_frame(batch);
        inbox.ticket = inbox.ticket.saturating_add(1);
        inbox.commits = Commits::Some;
        inbox.waiting.add(worker, wish);
        let least = if wish > Wish::Lazy {
            Listens::Wishes
        } else {
            Listens::Commits
        };
        let ticket = inbox.ticket;
        self.call(inbox, least);
        empty(batch);
        ticket
    }

    /// Takes questions.
    pub(crate) fn load(&self, asked: impl Iterator<Item = Asked>) {
        let mut inbox = self.lock();
        inbox.loads.extend(asked);
        self.call(inbox, Listens::Loads);
    }

    /// Lets the journal's thread write all that it has and end.
    pub(crate) fn stop(&self) {
        let mut inbox = self.lock();
        inbox.life = Life::Stopping;
        self.call(inbox, Listens::Loads);
    }

    /// Wakes the journal's thread if it sleeps and listens for this.
    fn call(&self, mut inbox: MutexGuard<'_, Inbox>, least: Listens) {
        let calls = inbox.listens >= least;
        if calls {
            inbox.listens = Listens::Nothing;
        }
        drop(inbox);
        if calls {
            self.call.notify_one();
        }
    }

    /// Sleeps until something comes that `listens` names, or the time is over; not at all if it
    /// is there.
    pub(crate) fn wait(&self, listens: Listens, most: Option<Duration>) -> Life {
        let mut inbox = self.lock();
        if !inbox.has(listens) {
            inbox.listens = listens;
            let asleep = |inbox: &mut Inbox| inbox.listens != Listens::Nothing;
            inbox = match most {
                None => {
                    let woken = self.call.wait_while(inbox, asleep);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(most) => {
                    let woken = self.call.wait_timeout_while(inbox, most, asleep);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            inbox.listens = Listens::Nothing;
        }
        inbox.life
    }

    /// Whether a batch lies in the inbox, and how much is wished for it; `None` if there is none.
    pub(crate) fn wish(&self) -> Option<Wish> {
        let inbox = self.lock();
        (inbox.commits == Commits::Some).then_some(inbox.waiting.wish)
    }

    /// Whether the journal's thread is to go on.
    pub(crate) fn life(&self) -> Life {
        self.lock().life
    }

    /// Whether all that was handed over is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.backlog() == 0
    }

    /// Bytes that are not written yet.
    fn backlog(&self) -> u64 {
        let went = self.went.load(Ordering::Relaxed);
        self.came.load(Ordering::Relaxed).saturating_sub(went)
    }

    /// Takes all batches out. The frames of `taken` must have been taken out.
    pub(crate) fn take(&self, taken: &mut Taken) {
        let mut inbox = self.lock();
        std::mem::swap(&mut inbox.frames, &mut taken.frames);
        taken.waiting.append(&mut inbox.waiting);
        inbox.commits = Commits::None;
        taken.ticket = inbox.ticket;
    }

    /// Takes the questions out, behind those that are still in `into`.
    pub(crate) fn take_loads(&self, into: &mut VecDeque<Asked>) {
        into.append(&mut self.lock().loads);
    }

    /// Gives an emptied frame back to be filled again.
    pub(crate) fn give_back(&self, blank: FrameBuffer) {
        let mut inbox = self.lock();
        let kept = inbox.blank.iter().map(FrameBuffer::capacity);
        let kept = kept.fold(blank.capacity(), usize::saturating_add);
        if inbox.blank.len() < BLANKS && kept <= BLANK_BYTES {
            inbox.blank.push(blank);
        }
    }

    /// Says that bytes are written, or will never be.
    pub(crate) fn has_written(&self, written: usize) {
        self.went.fetch_add(bytes(written), Ordering::Relaxed);
    }

    pub(crate) fn publish_written(&self, ticket: u64) {
        self.written.store(ticket, Ordering::Release);
    }

    pub(crate) fn publish_synced(&self, ticket: u64) {
        self.synced.store(ticket, Ordering::Release);
    }

    /// Tells all workers that the store has failed.
    pub(crate) fn publish_failed(&self, why: &dyn fmt::Display) {
        self.fares.fail(why);
        let workers = self.lock().workers.clone();
        for worker in workers {
            self.wake(worker);
        }
    }

    /// Says how many bytes may still be written, and what there is none of then. A part of them may
    /// be handed over before this is said again: what is owed takes room in the next checkpoint too.
    pub(crate) fn publish_left(&self, left: u64, next: Shortage) {
        self.fares.set_next(next);
        let went = self.went.load(Ordering::Relaxed);
        let most = went.saturating_add(left.div_ceil(ON_THE_WAY));
        self.room_until.store(most, Ordering::Relaxed);
    }

    /// Why there is no room, or none for what is on its way.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        let room_until = self.room_until.load(Ordering::Relaxed);
        let over = || self.came.load(Ordering::Relaxed) >= room_until;
        self.fares
            .shortage()
            .or_else(|| if over() { self.fares.next() } else { None })
    }

    pub(crate) fn publish_figures(&self, figures: Figures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.fares.has_failed()
    }

    pub(crate) fn room(&self) -> Room {
        let shortage = self.shortage();
        if let Some(shortage) = shortage {
            self.fares.tell(shortage);
        }
        match (shortage, self.backlog() > self.most_backlog) {
            (Some(_), true) => Room::FullAndBehind,
            (Some(_), false) => Room::Full,
            (None, true) => Room::Behind,
            (None, false) => Room::Enough,
        }
    }

    /// What there is to show; up to date but for what the journal's thread does right now.
    pub(crate) fn figures(&self) -> Figures {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        Figures {
            backlog_bytes: self.backlog(),
            damaged: self.damaged.load(Ordering::Relaxed),
            failures: figures
                .failures
                .saturating_add(self.unread.load(Ordering::Relaxed)),
            health: self.fares.health(),
            ..figures.clone()
        }
    }

    pub(crate) fn wake(&self, worker: WorkerId) {
        (self.wake)(worker);
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Appends whole records, in a new frame if the last one is full.
    fn push(&mut self, records: &[u8]) {
        if records.is_empty() {
            return;
        }
        let fits = self.frames.last().is_some_and(|frame| {
            let used = frame.payload().len();
            used == 0 || used.saturating_add(records.len()) <= FRAME_BYTES
        });
        if !fits {
            self.frames.push(self.blank.pop().unwrap_or_default());
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.push(records);
        }
    }

    /// The same with a frame: a long one is taken as it is, for an empty one.
    fn push_frame(&mut self, frame: &mut FrameBuffer) {
        if frame.payload().len() < LONG {
            return self.push(frame.payload());
        }
        let blank = self.blank.pop().unwrap_or_default();
        self.frames.push(std::mem::replace(frame, blank));
    }

    /// Whether there is something that `listens` names.
    fn has(&self, listens: Listens) -> bool {
        self.life == Life::Stopping
            || listens >= Listens::Loads && !self.loads.is_empty()
            || listens >= Listens::Wishes && self.waiting.wish > Wish::Lazy
            || listens >= Listens::Commits && self.commits == Commits::Some
    }
}

impl Waiting {
    fn append(&mut self, later: &mut Self) {
        for worker in later.for_written.drain(..) {
            self.add(worker, Wish::Written);
        }
        for worker in later.for_synced.drain(..) {
            self.add(worker, Wish::Synced);
        }
        later.wish = Wish::Lazy;
    }

    fn add(&mut self, worker: WorkerId, wish: Wish) {
        let list = match wish {
            Wish::Lazy => return,
            Wish::Written => &mut self.for_written,
            Wish::Synced => &mut self.for_synced,
        };
        if !list.contains(&worker) {
            list.push(worker);
        }
        self.wish = self.wish.max(wish);
    }
}

impl Slot {
    /// Lays an answer down. Says whether the worker has to be told: whether there was none.
    pub(crate) fn answer(&self, answer: Loaded) -> Told {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_back(answer);
        if self.has_answers.swap(true, Ordering::Release) {
            Told::Before
        } else {
            Told::NotYet
        }
    }

    /// Takes all answers, if there are any. `into` must be empty.
    pub(crate) fn take(&self, into: &mut VecDeque<Loaded>) {
        if self.has_answers.load(Ordering::Acquire) {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            self.has_answers.store(false, Ordering::Release);
            std::mem::swap(&mut *answers, into);
        }
    }
}

/// Whether a worker knows that there are answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Before,
    NotYet,
}

pub(crate) fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Empties a frame, and lets go of what a rare large one took.
fn empty(frame: &mut FrameBuffer) {
    if frame.capacity() > FRAME_BYTES.saturating_mul(2) {
        *frame = FrameBuffer::default();
    } else {
        frame.clear();
    }
}

/// Frames that are kept to be filled again: some are filled while others are written.
const BLANKS: usize = 16;
/// Bytes that they may have together.
const BLANK_BYTES: usize = 24 << 20;
/// A batch of so many bytes is cheaper handed over than copied, for it is one write more.
const LONG: usize = 32 << 10;
/// One in so many of the bytes that may still be written may be on the way at once.
const ON_THE_WAY: u64 = 4;

//! One turn of the journal: take what came, write it, make it safe, apply it, look up what was
//! asked for, and a little housekeeping. The thread and [`crate::by_hand`] run the same turns.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use store::{Shortage, Wish};
use types::{Time, WorkerId};

use super::inbox::{Asked, Shared, Slot, Taken};
use super::reader::Read;
use crate::engine::{Engine, Idle, Lookup};
use crate::figures::Histogram;
use crate::log::{FrameAt, WriteError, shortage};
use crate::segment::FrameBuffer;

/// The one who writes.
pub(crate) struct Writer {
    engine: Engine,
    shared: Arc<Shared>,
    taken: Taken,
    /// What was taken and is not written yet.
    unwritten: VecDeque<FrameBuffer>,
    /// What is written and not applied yet.
    unapplied: Vec<(FrameAt, FrameBuffer)>,
    loads: VecDeque<Asked>,
    state: State,
    /// Since when something is written that is not safe.
    unsafe_since: Option<u64>,
    sync_interval: Duration,
    histogram: Histogram,
}

/// Whether the disk takes what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    /// It is full: what was taken is tried again later.
    Stuck(Shortage),
    /// For good.
    Failed,
}

/// How far a turn goes whatever was wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Nothing is synced, even if it is wished.
    Written,
    /// As far as somebody wished, and the sync interval asks for.
    Wished,
    /// Everything is synced.
    Synced,
}

/// The time since the start of the run, which is [`Time::ZERO`] of all workers.
pub(crate) type Clock = dyn Fn() -> Duration + Send;

impl Writer {
    pub(crate) fn new(engine: Engine, shared: Arc<Shared>, sync_interval: Duration) -> Self {
        Self {
            engine,
            shared,
            taken: Taken::default(),
            unwritten: VecDeque::new(),
            unapplied: Vec::new(),
            loads: VecDeque::new(),
            state: State::Running,
            unsafe_since: None,
            sync_interval,
            histogram: Histogram::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The end of a run.
    pub(crate) fn close(mut self) -> Engine {
        if self.state == State::Running
            && let Err(error) = self.engine.close()
        {
            self.fail(&error);
        }
        self.engine
    }

    /// One turn. What is to be read comes into `reads`.
    pub(crate) fn turn(&mut self, reach: Reach, clock: &Clock, reads: &mut Vec<Read>) {
        self.shared.take_loads(&mut self.loads);
        if self.state != State::Failed {
            let began = clock();
            let now = self.millis(began);
            self.shared.fares.begin_disk(now);
            // First what an earlier turn could not write: what was asked for may lie in the inbox
            // behind it.
            self.write(now);
            if self.unwritten.is_empty() {
                self.take();
                self.write(now);
            }
            if self.must_sync(reach, now) {
                let was_synced = self.engine.is_synced();
                self.sync();
                if !was_synced {
                    self.histogram.add(clock().saturating_sub(began));
                }
            }
        }
        self.apply();
        self.look_up(reads);
        self.publish(self.millis(clock()));
    }

    /// A little housekeeping.
    pub(crate) fn idle(&mut self, clock: &Clock) -> Idle {
        if self.state == State::Failed {
            return Idle::Done;
        }
        let now = self.millis(clock());
        self.shared.fares.begin_disk(now);
        let done = self.engine.idle(now);
        let idle = match done {
            Ok(idle) => idle,
            // The engine says by its room that the disk is full, and tries again.
            Err(WriteError::Full(_)) => Idle::Done,
            Err(error @ WriteError::Failed(_)) => {
                self.fail(&error);
                Idle::Done
            }
        };
        if self.engine.is_synced() {
            self.unsafe_since = None;
        } else {
            self.unsafe_since.get_or_insert(now);
        }
        self.publish(self.millis(clock()));
        idle
    }

    /// How long nothing has to be done if nothing comes; `None`: for ever.
    pub(crate) fn rest(&self, clock: &Clock) -> Option<Duration> {
        let now = self.millis(clock());
        let sync = self.unsafe_since.map(|since| {
            since
                .saturating_add(millis(self.sync_interval))
                .saturating_sub(now)
        });
        let tidy = self.engine.next_due(now).map(|at| at.saturating_sub(now));
        let rest = [sync, tidy].into_iter().flatten().min();
        rest.map(Duration::from_millis)
    }

    fn millis(&self, since_start: Duration) -> u64 {
        self.shared
            .clock
            .millis(Time::from_millis(millis(since_start)))
    }

    /// Takes the inbox. All that was taken earlier must be written.
    fn take(&mut self) {
        self.shared.take(&mut self.taken);
        self.unwritten.extend(self.taken.frames.drain(..));
    }

    fn write(&mut self, now: u64) {
        while let Some(frame) = self.unwritten.front_mut() {
            match self.engine.write(frame, now) {
                Ok(at) => {
                    self.state = State::Running;
                    if let Some(frame) = self.unwritten.pop_front() {
                        self.shared.has_written(frame.payload().len());
                        self.unapplied.push((at, frame));
                    }
                    self.unsafe_since.get_or_insert(now);
                }
                Err(WriteError::Full(error)) => {
                    self.state = State::Stuck(shortage(&error));
                    return;
                }
                Err(error @ WriteError::Failed(_)) => return self.fail(&error),
            }
        }
        if self.shared.written() < self.taken.ticket {
            self.shared.publish_written(self.taken.ticket);
        }
        wake(&self.shared, &mut self.taken.waiting.for_written);
    }

    fn must_sync(&self, reach: Reach, now: u64) -> bool {
        let due = || {
            self.unsafe_since
                .is_some_and(|since| now.saturating_sub(since) >= millis(self.sync_interval))
        };
        match (self.state, reach) {
            (State::Failed, _) | (_, Reach::Written) => false,
            (State::Stuck(_), Reach::Wished) => due(),
            (State::Running, Reach::Wished) => self.taken.waiting.wish == Wish::Synced || due(),
            (_, Reach::Synced) => true,
        }
    }

    fn sync(&mut self) {
        if let Err(error) = self.engine.sync() {
            return self.fail(&error);
        }
        self.unsafe_since = None;
        if self.unwritten.is_empty() {
            self.shared.publish_synced(self.shared.written());
            self.taken.waiting.wish = Wish::Lazy;
            wake(&self.shared, &mut self.taken.waiting.for_synced);
        }
    }

    /// Nothing that waits is ever acknowledged.
    pub(crate) fn fail(&mut self, why: &dyn fmt::Display) {
        self.state = State::Failed;
        self.shared.publish_failed(why);
    }

    /// Brings the model to what is written, by the same way as a replay.
    fn apply(&mut self) {
        let mut malformed = false;
        for (at, mut frame) in self.unapplied.drain(..) {
            malformed |= self.engine.apply(at, frame.payload()).is_err();
            frame.clear();
            self.shared.give_back(frame);
        }
        if malformed {
            // A restart would refuse it as well: better to stop here, where somebody looks.
            self.fail(&"records were written that cannot be read");
        }
    }

    /// Finds out where the messages lie that were asked for, in order for each handle. What may
    /// lie in frames that are not written yet is answered after them; by a failed store, never.
    fn look_up(&mut self, reads: &mut Vec<Read>) {
        let mut blocked: Vec<Arc<Slot>> = Vec::new();
        let mut later = VecDeque::new();
        for asked in self.loads.drain(..) {
            let waits = blocked.iter().any(|slot| Arc::ptr_eq(slot, &asked.slot));
            let lookup = self.engine.look_up(asked.message);
            let missing = matches!(lookup, Lookup::Gone) && !self.unwritten.is_empty();
            if waits || missing {
                if !waits {
                    blocked.push(Arc::clone(&asked.slot));
                }
                later.push_back(asked);
                continue;
            }
            reads.push(Read::new(asked, lookup));
        }
        self.loads = later;
    }

    fn publish(&mut self, now: u64) {
        self.shared.fares.end_disk(now);
        self.engine.watch_limit();
        let stuck = match self.state {
            State::Stuck(shortage) => Some(shortage),
            State::Running | State::Failed => None,
        };
        self.shared
            .fares
            .set_shortage(stuck.or_else(|| self.engine.shortage()));
        let (left, next) = self.engine.left();
        self.shared.publish_left(left, next);
        let mut figures = self.engine.figures(now);
        figures.commits = self.histogram.counts();
        self.shared.publish_figures(figures);
    }
}

fn wake(shared: &Shared, workers: &mut Vec<WorkerId>) {
    for worker in workers.drain(..) {
        shared.wake(worker);
    }
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

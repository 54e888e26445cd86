//! A store without threads and without a clock, driven one turn at a time: for simulation, and for
//! tests that cut the power between two turns.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store::{Recovered, Store};
use types::{Time, WorkerId};

use crate::disk::Disk;
use crate::engine::{Engine, Idle, OpenError, Options, Report};
use crate::server::{Handle, Reach, Read, Settings, Shared, State, Writer, answer};

/// A store whose turns somebody takes.
pub struct ByHand {
    writer: Writer,
    shared: Arc<Shared>,
    woken: Arc<Mutex<Vec<WorkerId>>>,
    reads: Vec<Read>,
}

impl ByHand {
    /// Opens a store as [`Engine::open`] does. `wall` is the wall clock, in milliseconds since
    /// 1970.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::open`].
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        wall: u64,
    ) -> Result<(Self, Recovered, Report), OpenError> {
        Self::open_with(disk, options, Settings::default(), wall)
    }

    /// The same with settings of one's own.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::open`].
    pub fn open_with(
        disk: Arc<dyn Disk>,
        options: Options,
        settings: Settings,
        wall: u64,
    ) -> Result<(Self, Recovered, Report), OpenError> {
        let (engine, recovered, report) = Engine::open(disk, options, wall)?;
        let woken = Arc::new(Mutex::new(Vec::new()));
        let wake = {
            let woken = Arc::clone(&woken);
            move |worker| {
                let mut woken = woken.lock().unwrap_or_else(PoisonError::into_inner);
                woken.push(worker);
            }
        };
        let shared = Arc::new(Shared::new(engine.start(settings.backlog), Box::new(wake)));
        let by_hand = Self {
            writer: Writer::new(engine, Arc::clone(&shared), settings.sync_interval),
            shared,
            woken,
            reads: Vec::new(),
        };
        Ok((by_hand, recovered, report))
    }

    /// A handle for a worker.
    pub fn handle(&self, worker: WorkerId) -> Box<dyn Store> {
        Box::new(Handle::new(&self.shared, worker))
    }

    /// A whole turn: all that was handed over is written, synced and applied, what was asked for is
    /// answered, and one piece of housekeeping is done.
    pub fn turn(&mut self, now: Time) -> Idle {
        self.run(Reach::Synced, now);
        self.writer.idle(&clock(now))
    }

    /// A turn as the journal's thread takes it: synced is what somebody wished, or what waited
    /// for the sync interval.
    pub fn turn_as_wished(&mut self, now: Time) -> Idle {
        self.run(Reach::Wished, now);
        self.writer.idle(&clock(now))
    }

    /// A turn that syncs nothing, whatever was wished, and does no housekeeping.
    pub fn write_only(&mut self, now: Time) {
        self.run(Reach::Written, now);
    }

    /// Housekeeping until there is none left, at most `most` pieces.
    pub fn settle(&mut self, now: Time, most: usize) {
        for _ in 0..most {
            if self.turn(now) == Idle::Done {
                return;
            }
        }
    }

    /// Whether the store has failed for good.
    pub fn has_failed(&self) -> bool {
        self.writer.state() == State::Failed
    }

    /// The engine, to look at.
    pub fn engine(&self) -> &Engine {
        self.writer.engine()
    }

    /// The workers that were woken since this was asked last, in order.
    pub fn woken(&self) -> Vec<WorkerId> {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut woken)
    }

    fn run(&mut self, reach: Reach, now: Time) {
        self.writer.turn(reach, &clock(now), &mut self.reads);
        answer(&mut self.reads, &self.shared);
    }
}

/// A clock that stands.
fn clock(now: Time) -> impl Fn() -> Duration + Send {
    move || Duration::from_millis(now.as_millis())
}

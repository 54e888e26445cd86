//! A server that outlives its process: workers, a store and a disk, each turned by hand.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerConfig, Control};
use journal::by_hand::ByHand;
use journal::disk::Disk;
use journal::engine::{Idle, OpenError, Options, Report};
use journal::faulty::MemoryDisk;
use journal::server::Settings;
use store::Recovered;
use types::{Time, WorkerId};

use crate::universe::Universe;

/// What each life of a server is made with.
pub struct Setup {
    /// How the store is kept.
    pub options: Options,
    /// How the store treats what it is given.
    pub settings: Settings,
    /// The configuration of the life with this number; the first is 0. A process that starts
    /// again has another seed, and may have another number of workers.
    pub config: Box<dyn Fn(u64) -> BrokerConfig>,
}

/// How far the store goes in one of its turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It writes, and syncs nothing whatever was wished.
    Write,
    /// It writes and syncs what somebody wished, as the journal's thread does.
    Wished,
    /// It writes and syncs everything.
    All,
}

/// A server, its store and its disk.
pub struct Server {
    /// The disk, which outlives everything.
    pub disk: MemoryDisk,
    setup: Setup,
    /// The wall clock at the start of this life, in milliseconds since 1970.
    wall: u64,
    /// How many lives there were before.
    life: u64,
    alive: Option<Alive>,
    /// How far the clock of this life, or the last one, came.
    last: Time,
}

struct Alive {
    universe: Universe,
    store: ByHand,
    base: u64,
}

impl Server {
    /// Starts a server on a disk, at this wall clock (in milliseconds since 1970).
    ///
    /// # Errors
    ///
    /// The store refuses what it finds.
    pub fn start(disk: MemoryDisk, setup: Setup, wall: u64) -> Result<Self, OpenError> {
        let mut server = Self {
            disk,
            setup,
            wall,
            life: 0,
            alive: None,
            last: Time::ZERO,
        };
        server.open()?;
        Ok(server)
    }

    fn open(&mut self) -> Result<Report, OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let setup = &self.setup;
        let (store, recovered, report) =
            ByHand::open_with(disk, setup.options, setup.settings, self.wall)?;
        let handle = |worker: usize| {
            let worker = WorkerId(u16::try_from(worker).unwrap_or(u16::MAX));
            store.handle(worker)
        };
        let universe = Universe::recovered((setup.config)(self.life), handle, recovered);
        self.alive = Some(Alive {
            universe,
            base: store.engine().clock().base,
            store,
        });
        self.last = Time::ZERO;
        Ok(report)
    }

    fn alive(&mut self) -> &mut Alive {
        match &mut self.alive {
            Some(alive) => alive,
            None => panic!("the server does not run"),
        }
    }

    /// The workers and the links to them.
    ///
    /// # Panics
    ///
    /// If the server does not run, as all that follows.
    pub fn universe(&mut self) -> &mut Universe {
        &mut self.alive().universe
    }

    /// The store.
    pub fn store(&mut self) -> &mut ByHand {
        &mut self.alive().store
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.alive.is_some()
    }

    /// The number of this life; the first is 0.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The store's clock now, in milliseconds since 1970.
    pub fn store_clock(&mut self) -> u64 {
        let alive = self.alive();
        alive.base + alive.universe.now().as_millis()
    }

    /// One turn of the store. Workers that it wakes have it in their mail. Whether it woke any.
    pub fn store_turn(&mut self, turn: Turn) -> bool {
        let Alive {
            universe, store, ..
        } = self.alive();
        let now = universe.now();
        match turn {
            Turn::Write => store.write_only(now),
            Turn::Wished => {
                store.turn_as_wished(now);
            }
            Turn::All => {
                store.turn(now);
            }
        }
        let woken = store.woken();
        for &worker in &woken {
            universe.tell(worker, Control::StoreReady);
        }
        !woken.is_empty()
    }

    /// Turns workers and store until nothing happens any more and everything is on the disk.
    ///
    /// # Panics
    ///
    /// If that takes a hundred thousand rounds: something is going in circles.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            self.universe().settle();
            if !self.store_turn(Turn::All) {
                return;
            }
        }
        panic!("the server does not settle");
    }

    /// Lets workers and time go on while the store stands still.
    pub fn settle_workers(&mut self) {
        self.universe().settle();
    }

    /// Does the store's housekeeping until there is none left.
    ///
    /// # Panics
    ///
    /// If there is no end of it.
    pub fn keep_house(&mut self) {
        for _ in 0..100_000 {
            let Alive {
                universe, store, ..
            } = self.alive();
            if store.turn(universe.now()) == Idle::Done {
                return self.settle();
            }
        }
        panic!("the housekeeping does not end");
    }

    /// Lets time pass, stopping wherever a worker wants to be woken. Workers and store settle at
    /// each stop.
    pub fn advance(&mut self, span: Duration) {
        let end = self.universe().now() + span;
        self.settle();
        while let Some(due) = self.universe().next_timeout().filter(|due| *due <= end) {
            let now = self.universe().now();
            self.universe().pass(due.since(now));
            self.settle();
        }
        let now = self.universe().now();
        self.universe().pass(end.since(now));
        self.settle();
    }

    /// kill -9: the process is gone with all that it had in memory. What it had written stays.
    pub fn kill(&mut self) {
        self.end();
    }

    /// The power is cut: what was not synced survives in part, as the seed says.
    pub fn cut_power(&mut self, seed: u64) {
        self.die();
        self.disk.cut_power(seed);
    }

    /// What a restart would find if the process were killed now, or the power cut with this seed;
    /// the server goes on as if nothing had happened.
    ///
    /// # Errors
    ///
    /// The store would be refused.
    pub fn rehearse(&self, cut: Option<u64>) -> Result<(Recovered, Report), OpenError> {
        let disk = self.disk.copy();
        match cut {
            Some(seed) => disk.cut_power(seed),
            None => disk.kill(),
        }
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let wall = self.wall + self.now().as_millis();
        let (_, recovered, report) = ByHand::open(disk, self.setup.options, wall)?;
        Ok((recovered, report))
    }

    /// The server ends as it should: clients are told, and everything is on the disk.
    pub fn stop(&mut self) {
        self.drain();
        self.end();
    }

    /// All connections end, and everything is on the disk.
    pub fn drain(&mut self) {
        self.universe().control(&Control::Drain);
        self.settle();
    }

    /// The process ends.
    pub fn end(&mut self) {
        self.die();
        self.disk.kill();
    }

    fn die(&mut self) {
        self.last = self.universe().now();
        self.alive = None;
    }

    /// The time of this life, or the last of the one before.
    pub fn now(&self) -> Time {
        match &self.alive {
            Some(alive) => alive.universe.now(),
            None => self.last,
        }
    }

    /// Starts it again, so many milliseconds (or as many less) after it ended by the wall clock.
    ///
    /// # Errors
    ///
    /// The store refuses what it finds; the server stays down and may be started again.
    pub fn restart(&mut self, step: i64) -> Result<Report, OpenError> {
        self.wall = (self.wall + self.last.as_millis()).saturating_add_signed(step);
        self.last = Time::ZERO;
        self.life += 1;
        self.open()
    }
}

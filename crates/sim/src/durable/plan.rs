//! What one run is made of: everything follows from the seed.

use std::time::Duration;

use broker::{BrokerConfig, DurabilityRules};
use journal::engine::Options;
use journal::server::Settings;
use topics::Strategy;
use types::{Durability, Limits, ProtocolVersion, QoS};

use super::server::Setup;
use crate::rng::Rng;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What an acknowledgement promises.
    pub class: Durability,
    /// How many workers each life has.
    pub workers: Vec<usize>,
    /// The server's limits.
    pub limits: Limits,
    /// Bytes of a segment of the journal.
    pub segment_bytes: u64,
    /// Milliseconds for which something stays written but not synced.
    pub sync_interval: u64,
    /// The clients.
    pub clients: Vec<Habits>,
    /// How each life ends, the last one aside.
    pub ends: Vec<End>,
    /// Milliseconds of the wall clock between two lives.
    pub steps: Vec<i64>,
    /// Clients whose session ends with the connection are in groups as well; what they are given
    /// is lost with them, so that less is checked.
    pub mixed_groups: bool,
    /// Events of one life.
    pub events: usize,
    /// Of a hundred events, those in which the store has a turn.
    pub store_pace: usize,
    /// Of a hundred turns of the store, those that only write, and those that sync everything.
    pub store_turns: (usize, usize),
    /// Of a hundred turns of a worker, those that take all its mail at once.
    pub prompt_mail: usize,
    /// Of a thousand events, those in which time passes.
    pub time_passes: usize,
    /// Of a thousand events, those in which all comes to rest and is checked.
    pub calms: usize,
    /// Of a thousand turns of the store, those after which it is tried what a crash would leave.
    pub rehearsals: usize,
    /// Of a thousand events, those in which the disk gets full, or has room again.
    pub full: usize,
}

/// How a life of the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// kill -9.
    Kill,
    /// The power is cut.
    Cut,
    /// It stops as it should.
    Stop,
    /// Syncs fail, it goes on for a while, then the power is cut (F04).
    SyncsFail,
    /// Syncs fail, it goes on for a while, then it is killed. The system still shows what the disk
    /// may not have: a later power cut must not take what the next life goes by.
    SyncsFailAndKill,
    /// The disk is gone in the middle of what it does; then the process is killed.
    DiskGone,
    /// The same; then the power is cut.
    DiskGoneAndCut,
}

/// How one client behaves.
#[derive(Clone, Debug)]
pub struct Habits {
    /// What it speaks.
    pub version: ProtocolVersion,
    /// Session expiry asked for, in seconds; 0 is a session that ends with its connection. A MQTT
    /// 3.1.1 client asks for a session that lasts if it is not 0.
    pub expiry: u32,
    /// The QoS that it publishes with.
    pub publishes: Vec<QoS>,
    /// The QoS that it subscribes with.
    pub subscribes: Vec<QoS>,
    /// Filters that it subscribes to.
    pub filters: Vec<&'static str>,
    /// Percent of messages that are retained.
    pub retain: usize,
    /// Percent of messages that expire (5.0).
    pub expires: usize,
    /// Percent of messages that are large.
    pub large: usize,
    /// Percent of connections with a will.
    pub will: usize,
    /// Seconds that a will waits at most (5.0).
    pub will_delay: usize,
    /// Percent of connections that begin clean.
    pub clean: usize,
    /// Subscription Identifiers and options are used (5.0).
    pub options: bool,
    /// Receive Maximum (5.0).
    pub receive_maximum: Option<u16>,
    /// Percent of acknowledgements that are late.
    pub late: usize,
    /// Weights of what it does: publish, subscribe, unsubscribe, acknowledge, leave, hang up,
    /// connect again, and, while away, come back.
    pub weights: [usize; 8],
}

/// Topics that anybody publishes to.
pub(super) const TOPICS: [&str; 6] = ["t/0", "t/1", "t/2", "t/a/0", "t/a/1", "t/b"];
/// Topics of shared groups alone.
pub(super) const SHARED: [&str; 2] = ["s/0", "s/1"];
/// Topics of wills alone.
pub(super) const WILLS: [&str; 2] = ["w/0", "w/1"];

const FILTERS: [&str; 9] = [
    "t/0", "t/1", "t/2", "t/+", "t/#", "t/a/+", "t/b", "w/#", "w/1",
];
const GROUPS: [&str; 3] = ["$share/g/s/#", "$share/g/s/0", "$share/h/s/1"];

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let lives = rng.between(2, 5);
        let groups = rng.percent(50);
        let count = rng.between(2, 8);
        let calm = rng.percent(50);
        let mut plan = Self {
            seed,
            class: if rng.percent(85) {
                Durability::Disk
            } else {
                Durability::Os
            },
            workers: (0..lives).map(|_| rng.between(1, 3)).collect(),
            limits: limits(&mut rng),
            segment_bytes: rng.pick(&[16 << 10, 24 << 10, 64 << 10]),
            sync_interval: rng.pick(&[1, 100, 1000]),
            clients: (0..count).map(|_| Habits::new(&mut rng, groups)).collect(),
            ends: (1..lives).map(|_| end(&mut rng)).collect(),
            steps: (1..lives).map(|_| step(&mut rng)).collect(),
            mixed_groups: rng.percent(20),
            events: rng.pick(&[60, 200, 600]),
            store_pace: rng.pick(&[2, 10, 30]),
            store_turns: rng.pick(&[(0, 0), (30, 10), (80, 10), (0, 50)]),
            prompt_mail: rng.pick(&[0, 50, 95]),
            time_passes: rng.pick(&[0, 5, 30]),
            calms: if calm { rng.pick(&[2, 10]) } else { 0 },
            full: rng.pick(&[0, 0, 0, 8]),
            rehearsals: rng.pick(&[0, 0, 100]),
        };
        // Last, so that seeds stay what they were in everything else.
        let failing = plan.ends.iter_mut().filter(|end| **end == End::SyncsFail);
        for end in failing {
            if rng.percent(50) {
                *end = End::SyncsFailAndKill;
            }
        }
        plan
    }

    /// What the server is made with.
    pub fn setup(&self) -> Setup {
        let plan = self.clone();
        let mut options = Options::default();
        options.log.segment_bytes = self.segment_bytes;
        Setup {
            options,
            settings: Settings {
                sync_interval: Duration::from_millis(self.sync_interval),
                ..Settings::default()
            },
            config: Box::new(move |life| plan.config(life)),
        }
    }

    fn config(&self, life: u64) -> BrokerConfig {
        let place = usize::try_from(life).unwrap_or(0) % self.workers.len();
        BrokerConfig {
            limits: self.limits.clone(),
            strategy: Strategy::RoundRobin,
            durability: DurabilityRules::always(self.class),
            ..BrokerConfig::open(self.workers[place], self.seed.wrapping_add(life))
        }
    }

    /// Whether the server may have to refuse messages.
    pub fn refuses(&self) -> bool {
        let fails = |end: &End| !matches!(end, End::Kill | End::Cut | End::Stop);
        self.full > 0 || self.ends.iter().any(fails)
    }

    /// How long a session outlives its connection.
    pub fn expiry(&self, client: usize) -> Duration {
        let habits = &self.clients[client];
        match (habits.expiry, habits.version.has_properties()) {
            (0, _) => Duration::ZERO,
            (seconds, true) => {
                Duration::from_secs(u64::from(seconds)).min(self.limits.session_expiry)
            }
            (_, false) => self.limits.v3_session_expiry,
        }
    }
}

fn limits(rng: &mut Rng) -> Limits {
    Limits {
        v3_session_expiry: Duration::from_secs(rng.pick(&[600, 7 * 24 * 3600])),
        inflight: rng.pick(&[1, 3, 20, 1024]),
        receive_maximum: rng.pick(&[1, 5, 1024]),
        stored_memory: rng.pick(&[1, 2_000, 0]),
        ..Limits::default()
    }
}

fn end(rng: &mut Rng) -> End {
    rng.pick(&[
        End::Kill,
        End::Kill,
        End::Cut,
        End::Cut,
        End::Stop,
        End::SyncsFail,
        End::DiskGone,
        End::DiskGoneAndCut,
    ])
}

/// Most often the wall clock goes on as it should, at times by a day or an hour too much, and at
/// times back (F10).
fn step(rng: &mut Rng) -> i64 {
    match rng.below(8) {
        0 => DAY,
        1 => -DAY,
        2 => HOUR,
        3 => -HOUR,
        4 => 0,
        _ => i64::try_from(rng.between(10, 60_000)).unwrap_or(0),
    }
}

impl Habits {
    fn new(rng: &mut Rng, groups: bool) -> Self {
        let version = rng.pick(&[ProtocolVersion::V311, ProtocolVersion::V5]);
        let five = version.has_properties();
        let all = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let expiry = rng.pick(&[0, 60, 7_200, 100_000, u32::MAX, u32::MAX]);
        let mut filters: Vec<&str> = FILTERS.into_iter().filter(|_| rng.percent(40)).collect();
        if groups && expiry > 0 {
            filters.extend(GROUPS.into_iter().filter(|_| rng.percent(60)));
        }
        let some = |rng: &mut Rng| match rng.below(4) {
            0 => vec![QoS::AtLeastOnce],
            1 => vec![QoS::ExactlyOnce],
            2 => all[1..].to_vec(),
            _ => all.to_vec(),
        };
        let subscribes = some(rng);
        Self {
            version,
            expiry,
            publishes: some(rng),
            subscribes: match groups {
                true => subscribes
                    .into_iter()
                    .filter(|qos| *qos > QoS::AtMostOnce)
                    .collect(),
                false => subscribes,
            },
            filters,
            retain: rng.pick(&[0, 0, 10, 50]),
            expires: if five { rng.pick(&[0, 0, 30]) } else { 0 },
            large: rng.pick(&[0, 10, 60]),
            will: rng.pick(&[0, 0, 50]),
            will_delay: if five { rng.pick(&[0, 5, 4_000]) } else { 0 },
            clean: rng.pick(&[0, 0, 5, 30]),
            options: five && rng.percent(50),
            receive_maximum: if five {
                rng.pick(&[None, Some(1), Some(3)])
            } else {
                None
            },
            late: rng.pick(&[0, 20, 80]),
            weights: [
                rng.pick(&[0, 20, 100]),
                rng.pick(&[3, 10]),
                rng.pick(&[0, 1, 4]),
                30,
                rng.pick(&[0, 2]),
                rng.pick(&[0, 3, 10]),
                rng.pick(&[0, 0, 2]),
                rng.pick(&[2, 20, 80]),
            ],
        }
    }
}

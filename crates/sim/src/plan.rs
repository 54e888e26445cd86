//! What one run is made of: everything follows from the seed.
//!
//! Each run switches behaviours on and off as a whole (swarm testing): a run that only ever
//! hangs up finds other errors than one in which everything happens a little.

use std::time::Duration;

use broker::BrokerConfig;
use topics::Strategy;
use types::limits::QueuePolicy;
use types::{Limits, ProtocolVersion, QoS};

use crate::rng::Rng;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How many workers there are.
    pub workers: usize,
    /// The server's limits.
    pub limits: Limits,
    /// How groups choose.
    pub strategy: Strategy,
    /// Topics that are published to.
    pub topics: Vec<&'static str>,
    /// Filters that are subscribed to.
    pub filters: Vec<&'static str>,
    /// The clients.
    pub clients: Vec<Habits>,
    /// Phases of chaos, each followed by quiet and checks.
    pub rounds: usize,
    /// Events of one phase.
    pub events: usize,
    /// Mailboxes are so small that publishers are paused: what was published when is then
    /// known only roughly.
    pub tight_mail: bool,
    /// Clients send on behind SUBSCRIBE, which the server takes in later.
    pub pipelines: bool,
    /// Queues are so small that they overflow.
    pub tight_queue: bool,
    /// Percent of turns that take all the mail at once.
    pub prompt_mail: usize,
    /// Workers hold index changes back at times.
    pub slow_index: bool,
    /// Percent of steps in which time passes.
    pub time_passes: usize,
}

/// How one client behaves.
#[derive(Clone, Debug)]
pub struct Habits {
    /// What it speaks.
    pub version: ProtocolVersion,
    /// Percent of connects that ask for a clean start.
    pub clean: usize,
    /// Session expiry asked for, in seconds (5.0).
    pub session_expiry: u32,
    /// Keep alive in seconds.
    pub keep_alive: u16,
    /// Percent of connects with a will.
    pub will: usize,
    /// Highest will delay in seconds (5.0).
    pub will_delay: usize,
    /// QoS that it publishes and subscribes with.
    pub qos: Vec<QoS>,
    /// Percent of messages that are retained.
    pub retain: usize,
    /// Percent of messages that expire (5.0).
    pub expires: usize,
    /// Percent of messages that are large.
    pub large: usize,
    /// Options of 5.0 are used.
    pub options: bool,
    /// Subscription Identifiers are used (5.0).
    pub ids: bool,
    /// Most aliases that it takes, and whether it uses them.
    pub aliases: u16,
    /// Receive Maximum (5.0).
    pub receive_maximum: Option<u16>,
    /// Maximum Packet Size (5.0).
    pub packet_size: Option<u32>,
    /// Percent of acknowledgements that are late.
    pub late: usize,
    /// Percent of PUBREC with an error (5.0).
    pub refuses: usize,
    /// Weights of what it does.
    pub weights: Weights,
}

/// How often a client does what, against each other.
#[derive(Clone, Debug)]
pub struct Weights {
    /// PUBLISH.
    pub publish: usize,
    /// SUBSCRIBE.
    pub subscribe: usize,
    /// UNSUBSCRIBE.
    pub unsubscribe: usize,
    /// DISCONNECT.
    pub disconnect: usize,
    /// Close without DISCONNECT.
    pub hang_up: usize,
    /// Connect while connected.
    pub take_over: usize,
    /// Send acknowledgements that are late.
    pub acknowledge: usize,
    /// Read slowly, not at all, or again.
    pub throttle: usize,
    /// PINGREQ.
    pub ping: usize,
    /// Send QoS 2 again with DUP within the connection (3.1 only).
    pub retry: usize,
}

const TOPICS: [&str; 12] = [
    "a", "a/b", "a/b/c", "a/c", "b", "b/c", "/", "/a", "s/1", "s/2", "s/2/x", "x/$own",
];

const FILTERS: [&str; 22] = [
    "a",
    "a/b",
    "a/+",
    "a/#",
    "#",
    "+",
    "+/b",
    "+/+/c",
    "b/#",
    "/+",
    "s/1",
    "s/#",
    "a/b/c",
    "x/+",
    "b/c",
    "$share/g/s/#",
    "$share/g/s/1",
    "$share/h/s/#",
    "$share/h/s/+",
    "$share/g/a/#",
    "$share/g/#",
    "$share/h/a/b",
];

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let tight_mail = rng.percent(10);
        let pipelines = rng.percent(15);
        let tight_queue = rng.percent(15);
        let shared = rng.percent(50);
        let topics = subset(&mut rng, &TOPICS, 2);
        let filters: Vec<&str> = FILTERS
            .into_iter()
            .filter(|filter| shared || !filter.starts_with("$share"))
            .collect();
        let filters = subset(&mut rng, &filters, 3);
        let count = rng.between(3, 12);
        let rare_retain = rng.percent(40) || tight_mail || pipelines;
        let clients = (0..count)
            .map(|_| {
                let mut habits = Habits::new(&mut rng);
                if rare_retain {
                    habits.retain = 0;
                }
                habits
            })
            .collect();
        let strategies = [
            Strategy::RoundRobin,
            Strategy::Random,
            Strategy::Sticky,
            Strategy::HashClient,
            Strategy::HashTopic,
            Strategy::LeastInflight,
        ];
        Self {
            seed,
            workers: rng.between(1, 4),
            limits: limits(&mut rng, tight_mail, tight_queue),
            strategy: rng.pick(&strategies),
            topics,
            filters,
            clients,
            rounds: rng.between(1, 3),
            events: rng.between(50, 400),
            tight_mail,
            pipelines,
            tight_queue,
            prompt_mail: rng.pick(&[0, 50, 90]),
            slow_index: rng.percent(50),
            time_passes: rng.pick(&[0, 1, 5]),
        }
    }

    /// What the server takes in when is known only roughly.
    pub fn is_loose(&self) -> bool {
        self.tight_mail || self.pipelines
    }

    /// The server's configuration.
    pub fn config(&self) -> BrokerConfig {
        BrokerConfig {
            limits: self.limits.clone(),
            strategy: self.strategy,
            ..BrokerConfig::open(self.workers, self.seed)
        }
    }
}

fn subset(rng: &mut Rng, from: &[&'static str], least: usize) -> Vec<&'static str> {
    let percent = rng.pick(&[25, 60, 100]);
    let mut chosen: Vec<&str> = from
        .iter()
        .copied()
        .filter(|_| rng.percent(percent))
        .collect();
    while chosen.len() < least {
        chosen.push(rng.pick(from));
    }
    chosen
}

fn limits(rng: &mut Rng, tight_mail: bool, tight_queue: bool) -> Limits {
    let mut limits = Limits {
        v3_session_expiry: Duration::from_secs(rng.pick(&[5, 60, 3600])),
        session_expiry: Duration::from_secs(rng.pick(&[30, 7200])),
        inflight: rng.pick(&[1, 3, 20, 1024]),
        receive_maximum: rng.pick(&[1, 5, 1024]),
        topic_alias_maximum: rng.pick(&[0, 2, 64]),
        queue_qos0: rng.percent(20),
        queue_policy: rng.pick(&[QueuePolicy::DropOldest, QueuePolicy::DropNewest]),
        ..Limits::default()
    };
    if tight_mail {
        limits.mailbox_bytes = rng.between(1_000, 4_000);
    }
    if tight_queue {
        limits.queued_messages = u32::try_from(rng.between(1, 10)).unwrap_or(1);
    }
    limits
}

impl Habits {
    fn new(rng: &mut Rng) -> Self {
        let version = rng.pick(&[
            ProtocolVersion::V31,
            ProtocolVersion::V311,
            ProtocolVersion::V5,
            ProtocolVersion::V5,
        ]);
        let five = version.has_properties();
        let all = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let qos = match rng.below(5) {
            0 => vec![rng.pick(&all)],
            1 => all[1..].to_vec(),
            _ => all.to_vec(),
        };
        Self {
            version,
            clean: rng.pick(&[0, 20, 100]),
            session_expiry: rng.pick(&[0, 2, 10, 3600, u32::MAX]),
            keep_alive: rng.pick(&[0, 0, 0, 2, 30]),
            will: rng.pick(&[0, 0, 50, 100]),
            will_delay: rng.pick(&[0, 3, 20]),
            qos,
            retain: rng.pick(&[0, 0, 10, 60]),
            expires: if five { rng.pick(&[0, 0, 40]) } else { 0 },
            large: rng.pick(&[0, 0, 10, 50]),
            options: five && rng.percent(60),
            ids: five && rng.percent(50),
            aliases: if five { rng.pick(&[0, 1, 10]) } else { 0 },
            receive_maximum: if five {
                rng.pick(&[None, Some(1), Some(2), Some(10)])
            } else {
                None
            },
            packet_size: if five {
                rng.pick(&[None, None, Some(120)])
            } else {
                None
            },
            late: rng.pick(&[0, 20, 80]),
            refuses: if five { rng.pick(&[0, 0, 30]) } else { 0 },
            weights: Weights::new(rng, version),
        }
    }
}

impl Weights {
    fn new(rng: &mut Rng, version: ProtocolVersion) -> Self {
        Self {
            publish: rng.pick(&[0, 30, 100]),
            subscribe: rng.pick(&[2, 20, 40]),
            unsubscribe: rng.pick(&[0, 3, 10]),
            disconnect: rng.pick(&[0, 2, 5]),
            hang_up: rng.pick(&[0, 2, 10]),
            take_over: rng.pick(&[0, 0, 5]),
            acknowledge: 30,
            throttle: rng.pick(&[0, 0, 10]),
            ping: 2,
            retry: if version == ProtocolVersion::V31 {
                rng.pick(&[0, 10])
            } else {
                0
            },
        }
    }
}

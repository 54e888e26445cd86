//! What the core does for a message, to be counted: `messages SCENARIO ROUNDS` plays so many
//! rounds of one scenario and says on standard output how many messages were delivered.
//!
//! Nothing is timed in here: `make count` runs it where instructions are counted, with two numbers
//! of rounds, and the difference is the cost. A round is what one turn of the event loop hands to
//! the core: a batch of PUBLISH packets from each publisher, and what the subscribers answer.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use auth::Policy;
use broker::probe::samples::Samples;
use broker::{
    Asked, BrokerConfig, Control, Mail, Mark, Probe, Shared, Step, Tracer, Watchers, Worker,
};
use codec::{Packet, Subscribe, SubscribeFiltersBuf, encode};
use sim::guard::book;
use sim::peer::{connect, publish};
use types::{
    Action, Arrival, ConnId, Core, LinkInfo, PacketId, Peer, ProtocolVersion, QoS,
    SubscriptionOptions, Time, WorkerId,
};

const PAYLOAD: [u8; 64] = [b'x'; 64];
/// Packet identifiers of a batch begin here, and are used again in the next round.
const FIRST_ID: u16 = 1;

/// What is played.
struct Scenario {
    name: &'static str,
    version: ProtocolVersion,
    qos: QoS,
    publishers: usize,
    /// For each publisher, all on its topic.
    subscribers: usize,
    /// PUBLISH packets of a publisher in one round.
    batch: u16,
    /// Rules before the one that allows everything; none: no rules at all.
    rules: usize,
    /// The messages of a batch go to topics that are all different, and subscribers use `+`.
    varied: bool,
    /// Somebody looks at the topics.
    watched: bool,
    /// Somebody follows messages, and none of these.
    traced: bool,
}

const PLAIN: Scenario = Scenario {
    name: "",
    version: ProtocolVersion::V311,
    qos: QoS::AtMostOnce,
    publishers: 20,
    subscribers: 1,
    batch: 20,
    rules: 0,
    varied: false,
    watched: false,
    traced: false,
};

const SCENARIOS: [Scenario; 14] = [
    Scenario {
        name: "p2p-qos0",
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos1",
        qos: QoS::AtLeastOnce,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos2",
        qos: QoS::ExactlyOnce,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos0-watched",
        watched: true,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos0-traced",
        traced: true,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos1-traced",
        traced: true,
        qos: QoS::AtLeastOnce,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos0-v5",
        version: ProtocolVersion::V5,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos0-single",
        batch: 1,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos1-single",
        batch: 1,
        qos: QoS::AtLeastOnce,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos0-1000-rules",
        rules: 1000,
        ..PLAIN
    },
    Scenario {
        name: "p2p-qos1-1000-rules",
        rules: 1000,
        qos: QoS::AtLeastOnce,
        ..PLAIN
    },
    Scenario {
        name: "fan-out",
        publishers: 1,
        subscribers: 100,
        ..PLAIN
    },
    Scenario {
        name: "varied-qos0",
        varied: true,
        ..PLAIN
    },
    Scenario {
        name: "varied-qos0-1000-rules",
        varied: true,
        rules: 1000,
        ..PLAIN
    },
];

/// Follows messages that are chosen or bring a context, of which there are none. Asked for more, it
/// fails: what is not followed costs a worker its own countdown only.
struct Nobody(AtomicBool);

impl Probe for Nobody {
    fn step(&self, step: &Step<'_>) {
        panic!("nobody follows this: {step:?}");
    }
}

impl Tracer for Nobody {
    fn gap(&self, _: WorkerId) -> Option<NonZeroU32> {
        Some(NonZeroU32::MAX)
    }

    fn honors_contexts(&self) -> bool {
        true
    }

    fn mark(&self, step: &Step<'_>, _: Asked) -> Option<Mark> {
        panic!("nobody follows this: {step:?}");
    }

    fn awaits_any(&self, _: WorkerId) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Run {
    scenario: &'static Scenario,
    worker: Worker,
    /// Each with what it sends in a round.
    publishers: Vec<(ConnId, Vec<u8>)>,
    /// By the slot of their connection, where the packet identifier is in a PUBLISH.
    id_places: Vec<Option<usize>>,
    now: Time,
    inbox: Vec<(ConnId, Vec<u8>)>,
    delivered: u64,
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|one| !one.starts_with("--"));
    let Some(name) = arguments.next() else {
        for scenario in &SCENARIOS {
            println!("{}", scenario.name);
        }
        return;
    };
    let Some(scenario) = SCENARIOS.iter().find(|one| one.name == name) else {
        panic!("no scenario is called {name}");
    };
    let rounds: u32 = arguments
        .next()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10);
    let mut run = Run::new(scenario);
    for _ in 0..rounds {
        run.round();
    }
    println!("{}", run.delivered);
}

impl Run {
    fn new(scenario: &'static Scenario) -> Self {
        let mut config = BrokerConfig::open(1, 1);
        if scenario.rules > 0 {
            config.policy = rules(scenario.rules);
        }
        let mut worker = Worker::new(WorkerId(0), Shared::new(config));
        if scenario.watched || scenario.traced {
            let nobody: Arc<dyn Tracer> = Arc::new(Nobody(AtomicBool::new(false)));
            let watchers = Watchers {
                some: scenario.watched.then(|| Samples::new(1) as Arc<dyn Probe>),
                traced: scenario.traced.then_some(nobody),
                ..Watchers::default()
            };
            let watch = Mail::Control(Control::Watch(watchers));
            worker.handle_mail(watch, Time::ZERO);
        }
        let mut run = Self {
            scenario,
            worker,
            publishers: Vec::new(),
            id_places: Vec::new(),
            now: Time::ZERO,
            inbox: Vec::new(),
            delivered: 0,
        };
        for number in 0..scenario.publishers {
            for member in 0..scenario.subscribers {
                let conn = run.join(&format!("s{number}-{member}"));
                let filter = match scenario.varied {
                    true => format!("plant/{number}/+"),
                    false => topic(number, 0),
                };
                run.send(conn, &subscribe(&filter, scenario));
                run.note_subscriber(conn, &topic(number, 0));
            }
            let conn = run.join(&format!("p{number}"));
            let sends = run.batch(number);
            run.publishers.push((conn, sends));
        }
        run.inbox.clear();
        run
    }

    fn join(&mut self, name: &str) -> ConnId {
        let info = LinkInfo {
            peer: Peer::Net(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000)),
            certificate: None,
            listener: 0,
            accepted: self.now,
            arrival: Arrival::Accepted,
        };
        let Some(conn) = self.worker.handle_open(info, self.now) else {
            panic!("the server refuses a link");
        };
        let version = self.scenario.version;
        let hello = bytes(&Packet::Connect(Box::new(connect(version, name))), version);
        self.send(conn, &hello);
        conn
    }

    fn batch(&self, publisher: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for place in 0..self.scenario.batch {
            let topic = topic(publisher, if self.scenario.varied { place } else { 0 });
            let id = match self.scenario.qos {
                QoS::AtMostOnce => 0,
                QoS::AtLeastOnce | QoS::ExactlyOnce => FIRST_ID + place,
            };
            let packet = Packet::Publish(publish(&topic, &PAYLOAD, self.scenario.qos, id));
            out.extend(bytes(&packet, self.scenario.version));
        }
        out
    }

    fn note_subscriber(&mut self, conn: ConnId, topic: &str) {
        let slot = conn.slot as usize;
        if self.id_places.len() <= slot {
            self.id_places.resize(slot + 1, None);
        }
        // After the fixed header and the topic's length.
        self.id_places[slot] = Some(4 + topic.len());
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.worker.handle_bytes(conn, bytes, self.now);
        self.turn();
    }

    /// Ends a turn, and gathers what was written.
    fn turn(&mut self) {
        self.worker.end_turn(self.now);
        while let Some(action) = self.worker.poll_action() {
            match action {
                Action::Flush(conn) => self.flush(conn),
                Action::Pause(_) | Action::Resume(_) => panic!("the server is not that busy"),
                Action::Close { .. } => panic!("the server closes a link"),
                Action::Move { .. } | Action::Mail { .. } => panic!("there is one worker"),
            }
        }
        self.now = self.now + Duration::from_micros(100);
    }

    fn flush(&mut self, conn: ConnId) {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = self.worker.output(conn, &mut slices);
        let mut written = Vec::new();
        for slice in &slices[..count] {
            written.extend_from_slice(slice);
        }
        self.worker.handle_written(conn, written.len(), self.now);
        self.inbox.push((conn, written));
    }

    fn round(&mut self) {
        for (conn, sends) in &self.publishers {
            self.worker.handle_bytes(*conn, sends, self.now);
        }
        self.turn();
        while !self.inbox.is_empty() {
            for (conn, bytes) in std::mem::take(&mut self.inbox) {
                let answer = self.answer(conn, &bytes);
                if !answer.is_empty() {
                    self.worker.handle_bytes(conn, &answer, self.now);
                }
            }
            self.turn();
        }
    }

    /// What a client says to these bytes: packets are told apart by their first byte, and their
    /// lengths are known.
    fn answer(&mut self, conn: ConnId, mut bytes: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        let id_place = self.id_places.get(conn.slot as usize).copied().flatten();
        while let [first, ..] = bytes {
            let (kind, length) = (first >> 4, usize::from(bytes[1]) + 2);
            let reply = match (kind, id_place) {
                (3, Some(place)) => {
                    self.delivered += 1;
                    let id = [bytes[place], bytes[place + 1]];
                    match self.scenario.qos {
                        QoS::AtMostOnce => None,
                        QoS::AtLeastOnce => Some([0x40, 2, id[0], id[1]]),
                        QoS::ExactlyOnce => Some([0x50, 2, id[0], id[1]]),
                    }
                }
                (5, None) => Some([0x62, 2, bytes[2], bytes[3]]),
                (6, Some(_)) => Some([0x70, 2, bytes[2], bytes[3]]),
                (4 | 7, None) => None,
                other => panic!("an unexpected packet: {:?}", other.0),
            };
            // Not by an iterator: whether the compiler puts its loop here depends on who else has one,
            // and would be counted.
            if let Some(reply) = reply {
                answer.extend_from_slice(&reply);
            }
            bytes = &bytes[length..];
        }
        answer
    }
}

fn subscribe(filter: &str, scenario: &Scenario) -> Vec<u8> {
    let mut filters = SubscribeFiltersBuf::new();
    let options = SubscriptionOptions::plain(scenario.qos);
    assert!(filters.push(filter, options).is_ok(), "the filter is short");
    let packet = Subscribe {
        packet_id: PacketId::FIRST,
        subscription_id: None,
        user: Default::default(),
        filters: filters.as_borrowed(),
    };
    bytes(&Packet::Subscribe(packet), scenario.version)
}

/// All topics of a publisher have the same length.
fn topic(publisher: usize, place: u16) -> String {
    format!("plant/{publisher}/temperature-{place:02}")
}

fn bytes(packet: &Packet<'_>, version: ProtocolVersion) -> Vec<u8> {
    let mut out = Vec::new();
    if let Err(error) = encode(packet, version, &mut out) {
        panic!("{error:?}");
    }
    out
}

/// Rules about other topics, and one that allows the rest.
fn rules(count: usize) -> Arc<dyn Policy> {
    let mut lines: Vec<String> = (0..count)
        .map(|number| format!("deny both secret/{number}/#"))
        .collect();
    lines.push("allow both #".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    book(&lines)
}

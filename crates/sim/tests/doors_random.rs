//! Rules that change by chance while clients come, go and talk, against a list of rules that is
//! read from top to bottom.
//!
//! Nothing may arrive that no policy allowed which held at the client's worker since the bytes may
//! have been written, and nothing may be lost that all policies allowed.

mod hostile;

use std::collections::BTreeMap;

use broker::{BrokerConfig, Control};
use codec::{Packet, Subscribe, SubscribeFiltersBuf};
use hostile::*;
use sim::guard::book;
use sim::peer::publish;
use sim::rng::Rng;
use sim::{Peer, Universe};
use topics::matches;
use types::{
    PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions, TopicFilter, TopicName,
    WorkerId,
};

const TOPICS: [&str; 8] = ["a", "a/b", "a/c", "b", "b/c", "a/b/c", "/a", "c"];
const FILTERS: [&str; 10] = [
    "a", "a/b", "a/+", "a/#", "#", "+/c", "b/#", "+", "a/+/c", "/+",
];
const GROUPS: [&str; 2] = ["$share/g/a/#", "$share/g/#"];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// One rule: whether it allows, whom it is about, what it is about, and which topics.
#[derive(Clone, Debug)]
struct Line {
    allows: bool,
    client: Option<usize>,
    action: &'static str,
    filter: &'static str,
}

type Lines = Vec<Line>;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text, 128).expect("a filter")
}

fn covers(pattern: &str, text: &str) -> bool {
    match (pattern.split_once('/'), text.split_once('/')) {
        _ if pattern == "#" => !text.starts_with('$'),
        _ if text == "#" => false,
        (Some((first, rest)), None) => rest == "#" && level_covers(first, text),
        (None, Some(_)) => false,
        (None, None) => level_covers(pattern, text),
        (Some((first, more)), Some((level, rest))) => {
            level_covers(first, level) && (more == "#" || covers(more, rest))
        }
    }
}

fn level_covers(pattern: &str, level: &str) -> bool {
    pattern == level || pattern == "+" && level != "#"
}

impl Line {
    fn random(rng: &mut Rng, clients: usize) -> Self {
        Self {
            allows: rng.percent(40),
            client: rng.percent(60).then(|| rng.below(clients)),
            action: rng.pick(&["publish", "subscribe", "subscribe", "both"]),
            filter: rng.pick(&FILTERS),
        }
    }

    fn text(&self) -> String {
        let effect = if self.allows { "allow" } else { "deny" };
        let who = self.client.map(|number| format!(" client=c{number}"));
        let who = who.unwrap_or_default();
        format!("{effect}{who} {} {}", self.action, self.filter)
    }

    fn is_about(&self, client: usize, action: &str) -> bool {
        self.client.is_none_or(|number| number == client)
            && (self.action == action || self.action == "both")
    }
}

/// Whether a client may publish to a topic, or be given it.
fn allows(lines: &[Line], client: usize, action: &str, topic: &str) -> bool {
    let name = TopicName::parse(topic, 128).expect("a topic");
    let first = lines
        .iter()
        .find(|line| line.is_about(client, action) && matches(&filter(line.filter), name));
    first.is_some_and(|line| line.allows)
}

/// Whether a client may surely stay subscribed: an allow covers all of it before a deny does.
fn stays(lines: &[Line], client: usize, wanted: &str) -> bool {
    let wanted = match wanted.strip_prefix("$share/g/") {
        Some(rest) => rest,
        None => wanted,
    };
    let first = lines
        .iter()
        .find(|line| line.is_about(client, "subscribe") && covers(line.filter, wanted));
    first.is_some_and(|line| line.allows)
}

struct Client {
    version: ProtocolVersion,
    peer: Option<Peer>,
    worker: usize,
    /// The step since which its link did not take all at once.
    slow_since: Option<usize>,
    /// By filter: in which step it was asked for, and in which answered.
    subscriptions: BTreeMap<&'static str, (usize, usize, QoS)>,
    /// By packet identifier, which is the step.
    asked: BTreeMap<u16, (&'static str, QoS)>,
    got: Vec<usize>,
}

/// A message: when, by whom, on what.
struct Said {
    step: usize,
    by: usize,
    topic: &'static str,
    /// The server has acknowledged it.
    taken: bool,
}

struct Run {
    seed: u64,
    rng: Rng,
    universe: Universe,
    clients: Vec<Client>,
    /// All policies, and from which step on each worker has which.
    policies: Vec<Lines>,
    held: Vec<Vec<(usize, usize)>>,
    said: Vec<Said>,
    step: usize,
    heard: usize,
    received: usize,
    withheld: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let workers = rng.between(1, 3);
        let count = rng.between(2, 6);
        let first = vec![Line {
            allows: true,
            client: None,
            action: "both",
            filter: "#",
        }];
        let mut config = BrokerConfig::open(workers, seed);
        config.policy = book(&["allow both #"]);
        if rng.percent(50) {
            config.revoked = broker::shared::Revoked::Remove;
        }
        let clients = (0..count).map(|_| Client {
            version: rng.pick(&[V311, V5]),
            peer: None,
            worker: 0,
            slow_since: None,
            subscriptions: BTreeMap::new(),
            asked: BTreeMap::new(),
            got: Vec::new(),
        });
        Self {
            seed,
            clients: clients.collect(),
            rng,
            universe: Universe::new(config),
            policies: vec![first],
            held: vec![vec![(0, 0)]; workers],
            said: Vec::new(),
            step: 0,
            heard: 0,
            received: 0,
            withheld: 0,
        }
    }

    fn play(&mut self) {
        for _ in 0..self.rng.between(100, 400) {
            self.step += 1;
            self.act();
            self.listen();
        }
        self.calm_down();
        self.check_lost();
    }

    fn act(&mut self) {
        let number = self.rng.below(self.clients.len());
        match self.rng.below(20) {
            0 => self.change_policy(),
            1 | 2 => self.turn_with_policy(),
            3 => self.throttle(number),
            4 if self.clients[number].peer.is_some() => self.hang_up(number),
            5..=8 if self.clients[number].peer.is_some() => self.subscribe(number),
            9..=13 if self.clients[number].peer.is_some() => self.publish(number),
            4..=13 => self.connect(number),
            _ => {
                let worker = self.rng.below(self.universe.workers());
                let lanes = self.universe.waiting_mail(worker);
                let plane = lanes.len() - 1;
                let lanes: Vec<usize> = lanes[..plane]
                    .iter()
                    .enumerate()
                    .flat_map(|(lane, &count)| std::iter::repeat_n(lane, count))
                    .filter(|_| self.rng.percent(70))
                    .collect();
                self.universe.turn_with(worker, &lanes);
            }
        }
    }

    fn change_policy(&mut self) {
        let count = self.rng.between(0, 5);
        let clients = self.clients.len();
        let mut lines: Lines = (0..count)
            .map(|_| Line::random(&mut self.rng, clients))
            .collect();
        if self.rng.percent(85) {
            lines.push(Line {
                allows: true,
                client: None,
                action: "both",
                filter: "#",
            });
        }
        let texts: Vec<String> = lines.iter().map(Line::text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.universe.control(&Control::Policy(book(&texts)));
        self.policies.push(lines);
    }

    /// A policy that is on its way reaches a worker.
    fn turn_with_policy(&mut self) {
        let worker = self.rng.below(self.universe.workers());
        let plane = self.universe.waiting_mail(worker).len() - 1;
        if self.universe.waiting_mail(worker)[plane] > 0 {
            self.take_policy(worker);
            self.universe.turn_with(worker, &[plane]);
        }
    }

    fn take_policy(&mut self, worker: usize) {
        let held = &mut self.held[worker];
        let next = held.last().expect("the first").1 + 1;
        held.push((self.step, next));
    }

    fn throttle(&mut self, number: usize) {
        let step = self.step;
        let client = &mut self.clients[number];
        let Some(peer) = &client.peer else { return };
        let takes = self.rng.pick(&[0, 100, usize::MAX, usize::MAX]);
        client.slow_since = client.slow_since.or(Some(step));
        self.universe.set_takes(peer.link, takes);
        if takes == usize::MAX {
            self.listen();
            self.clients[number].slow_since = None;
        }
    }

    fn connect(&mut self, number: usize) {
        let version = self.clients[number].version;
        let worker = self.rng.below(self.universe.workers());
        let peer = Peer::open_at(&mut self.universe, version, worker);
        let name = format!("c{number}");
        let mut hello = lasting(&name);
        hello.version = version;
        if !version.has_properties() {
            hello.properties = Default::default();
        }
        self.universe.send(
            peer.link,
            &encode(&Packet::Connect(Box::new(hello)), version),
        );
        let client = &mut self.clients[number];
        client.peer = Some(peer);
        client.slow_since = None;
        client.asked.clear();
        // It goes home before anything else happens.
        for worker in 0..self.universe.workers() {
            let lanes = self.universe.waiting_mail(worker);
            let plane = lanes.len() - 1;
            let lanes: Vec<usize> = (0..plane)
                .flat_map(|lane| std::iter::repeat_n(lane, lanes[lane]))
                .collect();
            self.universe.turn_with(worker, &lanes);
        }
        let link = self.clients[number].peer.as_ref().map(|peer| peer.link);
        self.clients[number].worker = link.map_or(0, |link| self.universe.worker_of(link));
    }

    fn hang_up(&mut self, number: usize) {
        if let Some(peer) = self.clients[number].peer.take() {
            self.universe.hang_up(peer.link);
        }
    }

    fn subscribe(&mut self, number: usize) {
        let id = self.id();
        let wanted = match self.rng.percent(15) {
            true => self.rng.pick(&GROUPS),
            false => self.rng.pick(&FILTERS),
        };
        let qos = self.rng.pick(&QOS);
        let mut filters = SubscribeFiltersBuf::new();
        filters
            .push(wanted, SubscriptionOptions::plain(qos))
            .expect("short");
        let packet = Packet::Subscribe(Subscribe {
            packet_id: id,
            subscription_id: None,
            user: Default::default(),
            filters: filters.as_borrowed(),
        });
        self.clients[number].asked.insert(id.get(), (wanted, qos));
        self.clients[number].subscriptions.remove(wanted);
        self.send(number, &packet);
    }

    fn publish(&mut self, number: usize) {
        let payload = self.said.len().to_string();
        let topic = self.rng.pick(&TOPICS);
        let qos = self.rng.pick(&QOS);
        let id = match qos {
            QoS::AtMostOnce => 0,
            _ => self.id().get(),
        };
        self.said.push(Said {
            step: self.step,
            by: number,
            topic,
            taken: false,
        });
        let packet = Packet::Publish(publish(topic, payload.as_bytes(), qos, id));
        self.send(number, &packet);
    }

    fn id(&mut self) -> PacketId {
        let id = u16::try_from(self.step).unwrap_or(1);
        PacketId::new(id).expect("not zero")
    }

    fn send(&mut self, number: usize, packet: &Packet<'_>) {
        let client = &self.clients[number];
        if let Some(peer) = &client.peer {
            let bytes = encode(packet, client.version);
            self.universe.send(peer.link, &bytes);
        }
    }

    /// Until nobody has anything to hear: what is answered may bring more.
    fn listen(&mut self) {
        let mut before = usize::MAX;
        while before != self.heard {
            before = self.heard;
            self.listen_once();
        }
    }

    fn listen_once(&mut self) {
        for number in 0..self.clients.len() {
            let Some(mut peer) = self.clients[number].peer.take() else {
                continue;
            };
            let closed = self.universe.is_closed(peer.link);
            let received = peer.received(&mut self.universe);
            self.clients[number].peer = Some(peer);
            for packet in packets(&received) {
                self.hear(number, &packet);
            }
            if closed {
                self.clients[number].peer = None;
            }
        }
    }

    fn hear(&mut self, number: usize, packet: &Packet<'_>) {
        let ok = ReasonCode::Success;
        self.heard += 1;
        match packet {
            Packet::Publish(message) => {
                self.received += 1;
                self.check_allowed(number, message.topic, message.payload);
                let answer = message.packet_id.map(|id| match message.qos {
                    QoS::ExactlyOnce => Packet::PubRec(Peer::ack(id, ok)),
                    _ => Packet::PubAck(Peer::ack(id, ok)),
                });
                if let Some(answer) = answer {
                    self.send(number, &answer);
                }
            }
            Packet::PubRel(ack) => {
                self.send(number, &Packet::PubComp(Peer::ack(ack.packet_id, ok)));
            }
            Packet::PubAck(ack) if !ack.reason.is_error() => self.taken(number, ack.packet_id),
            Packet::PubRec(ack) if !ack.reason.is_error() => {
                self.taken(number, ack.packet_id);
                self.send(number, &Packet::PubRel(Peer::ack(ack.packet_id, ok)));
            }
            Packet::SubAck(suback) => {
                let step = self.step;
                let client = &mut self.clients[number];
                let asked = client.asked.remove(&suback.packet_id.get());
                let (wanted, qos) = asked.expect("a question");
                if suback.reasons[0] < 0x80 {
                    let since = usize::from(suback.packet_id.get());
                    client.subscriptions.insert(wanted, (since, step, qos));
                }
            }
            _ => {}
        }
    }

    /// The identifier is the step in which the message was said.
    fn taken(&mut self, number: usize, id: PacketId) {
        let step = usize::from(id.get());
        let said = self.said.iter_mut();
        for one in said.filter(|one| one.by == number && one.step == step) {
            one.taken = true;
        }
    }

    /// The policies that held at a worker since a step.
    fn since(&self, worker: usize, step: usize) -> impl Iterator<Item = &Lines> {
        let held = &self.held[worker];
        let first = held.iter().rposition(|(from, _)| *from < step).unwrap_or(0);
        held[first..]
            .iter()
            .map(|(_, policy)| &self.policies[*policy])
    }

    fn check_allowed(&mut self, number: usize, topic: &str, payload: &[u8]) {
        let client = &self.clients[number];
        let since = client.slow_since.unwrap_or(self.step);
        let seed = self.seed;
        assert!(
            self.since(client.worker, since)
                .any(|lines| allows(lines, number, "subscribe", topic)),
            "seed {seed}: c{number} gets {topic}, which is denied, in step {}",
            self.step
        );
        let place: usize = String::from_utf8_lossy(payload).parse().expect("a number");
        let said = &self.said[place];
        assert_eq!(said.topic, topic, "seed {seed}");
        let worker = self.clients[said.by].worker;
        assert!(
            self.since(worker, said.step)
                .any(|lines| allows(lines, said.by, "publish", topic)),
            "seed {seed}: c{} could publish to {topic}, which is denied",
            said.by
        );
        self.clients[number].got.push(place);
    }

    /// All that is on its way arrives, and everybody comes back for what waits.
    fn calm_down(&mut self) {
        for _ in 0..20 {
            self.step += 1;
            for worker in 0..self.universe.workers() {
                let plane = self.universe.waiting_mail(worker).len() - 1;
                while self.universe.waiting_mail(worker)[plane] > 0 {
                    self.take_policy(worker);
                    self.universe.turn_with(worker, &[plane]);
                }
            }
            for number in 0..self.clients.len() {
                match &self.clients[number].peer {
                    Some(peer) => self.universe.set_takes(peer.link, usize::MAX),
                    None => self.connect(number),
                }
            }
            self.universe.settle();
            self.listen();
            for client in &mut self.clients {
                client.slow_since = None;
            }
        }
    }

    /// What all policies allowed has arrived.
    fn check_lost(&mut self) {
        let mut withheld = 0;
        for (place, said) in self.said.iter().enumerate() {
            if !said.taken {
                continue;
            }
            let worker = self.clients[said.by].worker;
            let may_publish = |lines: &Lines| allows(lines, said.by, "publish", said.topic);
            if !self.since(worker, said.step).all(may_publish) {
                withheld += 1;
                continue;
            }
            for (number, client) in self.clients.iter().enumerate() {
                let owed = client
                    .subscriptions
                    .iter()
                    .any(|(wanted, (since, sure, qos))| {
                        let name = TopicName::parse(said.topic, 128).expect("a topic");
                        let policies = || self.since(client.worker, *since);
                        !wanted.starts_with('$')
                            && *sure < said.step
                            && *qos != QoS::AtMostOnce
                            && matches(&filter(wanted), name)
                            && policies().all(|lines| stays(lines, number, wanted))
                            && policies()
                                .all(|lines| allows(lines, number, "subscribe", said.topic))
                    });
                assert!(
                    !owed || client.got.contains(&place),
                    "seed {}: c{number} never gets {place} on {}",
                    self.seed,
                    said.topic
                );
            }
        }
        self.withheld = withheld;
    }
}

#[test]
fn s48_nothing_denied_arrives_and_nothing_allowed_is_lost() {
    let (mut received, mut withheld) = (0, 0);
    for seed in 0..400 {
        let mut run = Run::new(seed);
        run.play();
        received += run.received;
        withheld += run.withheld;
        let last = u16::try_from(run.universe.workers() - 1).expect("few");
        assert!(run.universe.shared.metrics(WorkerId(last)).is_some());
    }
    // The runs are about something.
    assert!(received > 5_000, "{received}");
    assert!(withheld > 500, "{withheld}");
}

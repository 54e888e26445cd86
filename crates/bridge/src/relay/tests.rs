//! The relay between two small servers that keep sessions as the standard says.

mod crashes;
mod hostile;
mod poison;
mod server;

use std::sync::Arc;
use std::time::Duration;

use types::limits::Rate;
use types::{ProtocolVersion, QoS, ReasonCode, Time};

use self::server::{Said, Server};
use super::{Beginning, End, Memory, Relay, Side};
use crate::figures::{Dropped, Figures};
use crate::rule::{Direction, Rule};
use crate::settings::{Address, Bounds, Notify, Outflow, Settings, Start};

fn settings(version: ProtocolVersion) -> Settings {
    let rule = Rule::new(Direction::Both, QoS::ExactlyOnce, "#", ("l/", "r/"));
    Settings {
        name: "b".into(),
        addresses: vec![Address {
            host: "h".into(),
            port: 1883,
        }],
        prefers_first: false,
        version,
        says_bridge: false,
        client_id: "there".into(),
        username: None,
        password: None,
        clean_start: false,
        session_expiry: u32::MAX,
        keep_alive: 60,
        tls: None,
        local_client_id: "here".into(),
        local_clean_start: false,
        rules: vec![rule.unwrap()],
        inflight: 20,
        packet_size: 10_000,
        outflow: Outflow::default(),
        retains: true,
        via: Some("own".into()),
        notify: Notify::Nobody,
        start: Start::Automatic,
        restart: (Duration::from_secs(1), Duration::from_secs(1)),
        bounds: Bounds {
            receive_maximum: 10,
            topic_levels: 10,
            user_properties: 10,
            packet_size: 10_000,
        },
    }
}

/// Two servers and a relay between them.
struct Pair {
    settings: Arc<Settings>,
    figures: Arc<Figures>,
    here: Server,
    there: Server,
    relay: Relay,
    now: Time,
}

impl Pair {
    fn new(settings: Settings) -> Self {
        let version = settings.version;
        let servers = (Server::new(ProtocolVersion::V5), Server::new(version));
        Self::between(settings, servers)
    }

    fn between(settings: Settings, (here, there): (Server, Server)) -> Self {
        let (settings, figures) = (Arc::new(settings), Arc::<Figures>::default());
        let relay = relay(&settings, &figures, Memory::unknown(), Time::ZERO);
        Self {
            settings,
            figures,
            here,
            there,
            relay,
            now: Time::ZERO,
        }
    }

    /// Moves up to so many bytes in each direction; whether there were any.
    fn step(&mut self, most: [usize; 4]) -> bool {
        let mut moved = false;
        for (side, (out, back)) in [
            (Side::Local, (most[0], most[1])),
            (Side::Remote, (most[2], most[3])),
        ] {
            if side == Side::Local && self.relay.needs_local() {
                self.relay.handle_local_open();
            }
            let server = match side {
                Side::Local => &mut self.here,
                Side::Remote => &mut self.there,
            };
            let output = self.relay.output(side);
            let count = output.len().min(out);
            if count > 0 {
                server.take(&output[..count]);
                self.relay.handle_written(side, count, self.now);
                moved = true;
            }
            let count = server.output.len().min(back);
            if count > 0 && self.relay.wants(side) && self.relay.end().is_none() {
                let bytes: Vec<u8> = server.output.drain(..count).collect();
                self.relay.handle_bytes(side, &bytes, self.now);
                moved = true;
            }
            if server.closed && server.output.is_empty() && self.relay.end().is_none() {
                self.relay.handle_closed(side, self.now);
                moved = true;
            }
        }
        moved
    }

    fn run(&mut self) {
        while self.step([usize::MAX; 4]) {}
        if let Some(end) = self.relay.end() {
            panic!("over: {end}");
        }
    }

    fn run_to_end(&mut self) -> End {
        while self.step([usize::MAX; 4]) {}
        self.relay.end().expect("it is over").clone()
    }

    /// Both links are gone, and there is another relay.
    fn reconnect(&mut self, knows: bool) {
        self.here.hang_up();
        self.there.hang_up();
        let next = relay(&self.settings, &self.figures, Memory::unknown(), self.now);
        let before = std::mem::replace(&mut self.relay, next);
        if knows {
            let memory = before.into_memory();
            self.relay = relay(&self.settings, &self.figures, memory, self.now);
        }
    }
}

fn relay(settings: &Arc<Settings>, figures: &Arc<Figures>, memory: Memory, now: Time) -> Relay {
    let beginning = Beginning {
        password: None,
        says_bridge: false,
        memory,
        stale: (Vec::new(), Vec::new()),
    };
    Relay::new(Arc::clone(settings), Arc::clone(figures), beginning, now)
}

const VERSIONS: [ProtocolVersion; 3] = [
    ProtocolVersion::V31,
    ProtocolVersion::V311,
    ProtocolVersion::V5,
];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

#[test]
fn messages_go_both_ways_by_their_other_names() {
    for version in VERSIONS {
        let mut pair = Pair::new(settings(version));
        pair.run();
        assert!(pair.relay.is_open());
        for qos in QOS {
            pair.here.send("l/a/b", "out", qos);
            pair.there.send("r/c", "in", qos);
        }
        pair.run();
        assert_eq!(pair.there.published("r/a/b"), vec!["out"; 3], "{version:?}");
        assert_eq!(pair.here.published("l/c"), vec!["in"; 3], "{version:?}");
        assert!(pair.relay.is_idle() && pair.here.is_settled() && pair.there.is_settled());
        assert_eq!((pair.figures.out().0, pair.figures.came().0), (3, 3));
    }
}

#[test]
fn nothing_is_acknowledged_before_the_other_side_has_it() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut pair = Pair::new(settings(ProtocolVersion::V5));
        pair.run();
        pair.here.send("l/a", "1", qos);
        // To the relay and not on from there.
        while pair.step([usize::MAX, usize::MAX, 0, 0]) {}
        assert!(!pair.here.is_settled());
        assert_eq!(pair.here.acknowledged(), 0);
        // On to the other server, whose answer does not come back.
        while pair.step([usize::MAX, usize::MAX, usize::MAX, 0]) {}
        assert_eq!(pair.there.published("r/a"), ["1"]);
        assert_eq!(pair.here.acknowledged(), 0);
        pair.run();
        assert!(pair.here.is_settled());
    }
}

#[test]
fn what_the_other_server_does_not_take_is_dropped_and_counted() {
    let mut there = Server::new(ProtocolVersion::V5);
    there.maximum_packet_size = Some(100);
    let here = Server::new(ProtocolVersion::V5);
    let mut pair = Pair::between(settings(ProtocolVersion::V5), (here, there));
    pair.run();
    for qos in QOS {
        pair.here.send("l/a", &"x".repeat(200), qos);
        pair.here.send("not/by/a/rule", "x", qos);
        pair.here.send("l/a", "small", qos);
    }
    pair.run();
    assert_eq!(pair.there.published("r/a"), vec!["small"; 3]);
    assert_eq!(pair.figures.dropped(Dropped::TooLarge), 3);
    assert_eq!(pair.figures.dropped(Dropped::NoRule), 3);
    assert!(pair.here.is_settled(), "all is acknowledged");
}

#[test]
fn a_server_without_qos_2_and_retained_messages_gets_what_it_takes() {
    for most in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        let mut there = Server::new(ProtocolVersion::V5);
        there.maximum_qos = Some(most);
        there.retain_available = Some(false);
        let here = Server::new(ProtocolVersion::V5);
        let mut pair = Pair::between(settings(ProtocolVersion::V5), (here, there));
        pair.run();
        for qos in QOS {
            pair.here.send_retained("l/a", "x", qos);
        }
        pair.run();
        assert_eq!(pair.there.published("r/a"), vec!["x"; 3]);
        assert!(pair.here.is_settled() && pair.relay.is_idle());
    }
}

#[test]
fn a_rule_lowers_the_qos() {
    let mut wanted = settings(ProtocolVersion::V5);
    let rule = |filter, qos| Rule::new(Direction::Out, qos, filter, ("", "")).unwrap();
    wanted.rules = vec![rule("low", QoS::AtLeastOnce), rule("#", QoS::ExactlyOnce)];
    let mut pair = Pair::new(wanted);
    pair.run();
    pair.here.send("low", "1", QoS::ExactlyOnce);
    pair.here.send("high", "2", QoS::ExactlyOnce);
    pair.run();
    assert_eq!(pair.there.qos_of("low"), [QoS::AtLeastOnce]);
    assert_eq!(pair.there.qos_of("high"), [QoS::ExactlyOnce]);
    assert!(pair.here.is_settled());
}

#[test]
fn the_smallest_window_holds() {
    let mut there = Server::new(ProtocolVersion::V5);
    there.receive_maximum = Some(3);
    let here = Server::new(ProtocolVersion::V5);
    let mut pair = Pair::between(settings(ProtocolVersion::V5), (here, there));
    pair.run();
    assert_eq!(pair.here.window, 3);
    let mut pair = Pair::new(settings(ProtocolVersion::V311));
    pair.run();
    assert_eq!(pair.here.window, 20, "the bridge's own");
    let few = Settings {
        inflight: 5,
        ..settings(ProtocolVersion::V5)
    };
    let mut pair = Pair::new(few);
    pair.run();
    assert_eq!((pair.here.window, pair.there.window), (5, 5));
}

#[test]
fn this_servers_window_holds_against_a_server_without_one() {
    let mut pair = Pair::new(settings(ProtocolVersion::V311));
    pair.run();
    // MQTT 3 knows no window.
    assert_eq!(pair.there.window, u16::MAX);
    for number in 0..40 {
        pair.there
            .send("r/a", &number.to_string(), QoS::ExactlyOnce);
    }
    pair.run();
    assert_eq!(pair.here.published("l/a").len(), 40);
    assert!(
        pair.here.most_unreleased <= 10,
        "{}",
        pair.here.most_unreleased
    );
    assert!(pair.there.is_settled());
}

#[test]
fn a_refusal_is_passed_on_and_counted() {
    let mut pair = Pair::new(settings(ProtocolVersion::V5));
    pair.there.answers = Said::Refuses(ReasonCode::NotAuthorized);
    pair.here.answers = Said::Refuses(ReasonCode::NotAuthorized);
    pair.run();
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        pair.here.send("l/a", "1", qos);
        pair.there.send("r/a", "1", qos);
    }
    pair.run();
    assert_eq!(pair.figures.dropped(Dropped::RefusedThere), 2);
    assert_eq!(pair.figures.dropped(Dropped::RefusedHere), 2);
    assert!(pair.here.is_settled() && pair.there.is_settled() && pair.relay.is_idle());
}

#[test]
fn a_full_server_is_tried_again_and_nothing_is_lost() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut pair = Pair::new(settings(ProtocolVersion::V5));
        pair.run();
        pair.there.answers = Said::Refuses(ReasonCode::QuotaExceeded);
        pair.here.send("l/a", "1", qos);
        assert_eq!(pair.run_to_end(), End::Full(Side::Remote));
        pair.there.answers = Said::Takes;
        pair.reconnect(true);
        pair.run();
        assert_eq!(pair.there.published("r/a"), ["1"]);
        assert!(pair.here.is_settled());
    }
}

#[test]
fn s102_what_was_here_does_not_come_again() {
    let mut pair = Pair::new(settings(ProtocolVersion::V5));
    pair.run();
    for qos in QOS {
        pair.here.send("l/a", "round", qos);
    }
    pair.run();
    let went = pair.there.take_published();
    assert_eq!(went.len(), 3);
    for message in went {
        assert_eq!(
            message.user,
            [(crate::via::NAME.to_owned(), "own".to_owned())]
        );
        pair.there.send_again(message);
    }
    pair.run();
    assert!(pair.here.published("l/a").is_empty());
    assert_eq!(pair.figures.dropped(Dropped::Loop), 3);
    assert!(pair.there.is_settled());
}

#[test]
fn s101_what_ends_a_connection_here_is_dropped_before() {
    let mut pair = Pair::new(settings(ProtocolVersion::V5));
    pair.run();
    pair.there
        .send(&["r", &"/x".repeat(20)].concat(), "deep", QoS::AtLeastOnce);
    pair.there.send("r/\u{1}", "control", QoS::ExactlyOnce);
    pair.there
        .send("r/a", &"x".repeat(20_000), QoS::AtLeastOnce);
    pair.there.send("other", "no rule", QoS::ExactlyOnce);
    pair.there.send("r/a", "good", QoS::AtLeastOnce);
    pair.run();
    assert_eq!(pair.here.published("l/a"), ["good"]);
    assert_eq!(pair.figures.dropped(Dropped::Topic), 1);
    // What is no topic matches no rule.
    assert_eq!(pair.figures.dropped(Dropped::NoRule), 2);
    assert_eq!(pair.figures.dropped(Dropped::TooLarge), 1);
    assert!(pair.there.is_settled());
}

#[test]
fn s101_any_bytes_end_the_relay_and_nothing_else() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..2_000 {
        let mut pair = Pair::new(settings(VERSIONS[round % 3]));
        if round % 4 > 0 {
            pair.run();
        }
        if round % 4 > 1 {
            // Something is on its way.
            pair.here.send("l/a", "1", QOS[round % 3]);
            while pair.step([usize::MAX, usize::MAX, 0, 0]) {}
        }
        for _ in 0..40 {
            let first = [
                0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xd0, 0xe0,
            ];
            let length = (next() % 12) as usize;
            let mut bytes = vec![first[(next() % 11) as usize], length as u8];
            bytes.extend((0..length).map(|_| (next() % 9) as u8));
            pair.relay.handle_bytes(Side::Remote, &bytes, pair.now);
        }
    }
}

#[test]
fn no_more_goes_out_than_was_agreed_on() {
    let mut wanted = settings(ProtocolVersion::V5);
    wanted.outflow.messages = Rate::new(5, Duration::from_secs(1));
    wanted.inflight = 100;
    let mut pair = Pair::new(wanted);
    pair.run();
    for number in 0..20 {
        pair.here.send("l/a", &number.to_string(), QoS::AtLeastOnce);
    }
    // What comes in does not wait for what goes out.
    pair.there.send("r/in", "x", QoS::ExactlyOnce);
    pair.run();
    assert_eq!(pair.here.published("l/in"), ["x"]);
    assert_eq!(pair.there.published("r/a").len(), 5);
    let mut went = vec![5];
    while went.last() != Some(&20) {
        let due = pair.relay.poll_timeout(pair.now).unwrap();
        assert!(due > pair.now && due.since(pair.now) <= Duration::from_millis(300));
        pair.now = due;
        pair.relay.handle_timeout(due);
        pair.run();
        went.push(pair.there.published("r/a").len());
    }
    let took = pair.now.since(Time::ZERO);
    assert!((2_700..3_300).contains(&took.as_millis()), "{took:?}");
    let order: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(pair.there.published("r/a"), order);
}

#[test]
fn a_silent_server_is_left() {
    let mut pair = Pair::new(settings(ProtocolVersion::V311));
    pair.run();
    pair.now = pair.relay.poll_timeout(pair.now).unwrap();
    assert_eq!(pair.now, Time::from_millis(48_000));
    pair.relay.handle_timeout(pair.now);
    pair.run();
    assert!(pair.there.pings == 1 && pair.relay.end().is_none());
    // It answered; the next time it does not.
    pair.now = pair.relay.poll_timeout(pair.now).unwrap();
    pair.relay.handle_timeout(pair.now);
    pair.now = pair.relay.poll_timeout(pair.now).unwrap();
    pair.relay.handle_timeout(pair.now);
    assert_eq!(pair.relay.end(), Some(&End::Silent));
}

#[test]
fn a_wrong_password_says_so() {
    for version in VERSIONS {
        let mut pair = Pair::new(settings(version));
        pair.there.refuses = Some(ReasonCode::BadUserNameOrPassword);
        let end = pair.run_to_end();
        assert_eq!(
            end.to_string(),
            "the other server refuses the bridge: bad user name or password"
        );
    }
}

#[test]
fn a_refused_subscription_is_told_and_the_rest_goes_on() {
    let mut pair = Pair::new(settings(ProtocolVersion::V5));
    pair.there.refuses_subscriptions = true;
    pair.run();
    assert!(pair.relay.is_open());
    let (words, _) = pair.figures.status().error.unwrap();
    assert!(
        words.starts_with("the other server refuses a subscription"),
        "{words}"
    );
}

#[test]
fn who_watches_is_told_of_the_state() {
    let mut wanted = settings(ProtocolVersion::V5);
    let topic = "$SYS/broker/connection/b/state".to_owned();
    wanted.notify = Notify::Both {
        topic: topic.clone(),
    };
    let mut pair = Pair::new(wanted);
    pair.run();
    assert_eq!(pair.there.will.as_deref(), Some(&*topic));
    assert_eq!(pair.there.published(&topic), ["1"]);
    pair.relay.leave();
    while pair.step([usize::MAX; 4]) {}
    assert_eq!(pair.there.published(&topic), ["1", "0"]);
    assert!(!pair.there.is_connected() && !pair.here.is_connected());
}

#[test]
fn what_no_rule_has_any_more_is_not_asked_for() {
    let mut pair = Pair::new(settings(ProtocolVersion::V5));
    let beginning = Beginning {
        password: None,
        says_bridge: false,
        memory: Memory::unknown(),
        stale: (
            vec!["old/here".into(), "l/#".into()],
            vec!["old/there".into()],
        ),
    };
    pair.relay = Relay::new(
        Arc::clone(&pair.settings),
        Arc::clone(&pair.figures),
        beginning,
        pair.now,
    );
    pair.run();
    assert_eq!(pair.here.unsubscribed, ["old/here"]);
    assert_eq!(pair.there.unsubscribed, ["old/there"]);
    assert_eq!(pair.here.subscribed, ["l/#"]);
}

#[test]
fn many_filters_are_asked_for_in_small_packets() {
    let mut wanted = settings(ProtocolVersion::V311);
    let rule = |number| {
        let filter = format!("f/{number}");
        Rule::new(Direction::Both, QoS::AtLeastOnce, &filter, ("", "")).unwrap()
    };
    wanted.rules = (0..30).map(rule).collect();
    let mut pair = Pair::new(wanted);
    pair.run();
    assert!(pair.relay.is_open());
    assert_eq!(
        (pair.there.subscribed.len(), pair.there.most_filters),
        (30, 8)
    );
    assert_eq!(pair.here.subscribed.len(), 30);
}

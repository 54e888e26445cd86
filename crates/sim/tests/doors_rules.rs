//! S46, S48, S49, S53, S57, S61: rules that change while clients live.

mod hostile;

use std::sync::Arc;
use std::time::Duration;

use auth::{Admitted, Identity, Outcome, Request};
use broker::shared::Revoked;
use broker::{BrokerConfig, Control, DropReason, Event, EventSink};
use codec::{Packet, Will};
use hostile::*;
use sim::guard::{Clerk, book};
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{Core, ProtocolVersion, QoS, ReasonCode, WorkerId};

const ALL: &str = "allow both #";

fn ruled(workers: usize, rules: &[&str]) -> Universe {
    let mut config = BrokerConfig::open(workers, 11);
    config.policy = book(rules);
    Universe::new(config)
}

fn rule(universe: &mut Universe, rules: &[&str]) {
    universe.control(&Control::Policy(book(rules)));
    universe.settle();
}

fn denied(universe: &Universe) -> u64 {
    universe.shared.totals().drops(DropReason::NotAuthorized)
}

#[test]
fn s48_a_live_subscription_that_is_not_allowed_any_more_ends() {
    for version in VERSIONS {
        let mut universe = ruled(2, &[ALL]);
        let mut speaker = Peer::join(&mut universe, V5, "speaker");
        let mut peer = Peer::join(&mut universe, version, "m");
        peer.subscribe(&mut universe, "a/#", QoS::AtMostOnce);
        peer.subscribe(&mut universe, "b", QoS::AtMostOnce);
        peer.received(&mut universe);
        rule(&mut universe, &["deny client=m subscribe a/#", ALL]);
        assert_eq!(universe.shared.index.stats().subscriptions, {
            usize::from(!version.has_properties())
        });
        if version.has_properties() {
            let received = peer.received(&mut universe);
            let [Packet::Disconnect(disconnect)] = packets(&received)[..] else {
                panic!("{:?}", packets(&received));
            };
            assert_eq!(disconnect.reason, ReasonCode::NotAuthorized);
            let words = disconnect.reason_string.expect("words");
            assert!(words.contains("a/#"), "{words}");
            continue;
        }
        for topic in ["a/x", "b"] {
            speaker.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
        }
        let heard = peer.messages(&mut universe);
        assert_eq!(heard, [("b".to_owned(), b"".to_vec())]);
    }
}

#[test]
fn s48_or_its_messages_stop_without_a_word() {
    let mut config = BrokerConfig::open(1, 11);
    config.policy = book(&[ALL]);
    config.revoked = Revoked::Remove;
    let mut universe = Universe::new(config);
    let mut peer = Peer::join(&mut universe, V5, "m");
    peer.subscribe(&mut universe, "a", QoS::AtMostOnce);
    peer.received(&mut universe);
    rule(&mut universe, &["deny subscribe a", ALL]);
    peer.publish(&mut universe, "a", b"", QoS::AtMostOnce, 0);
    assert!(peer.received(&mut universe).is_empty());
    assert!(!universe.is_closed(peer.link));
}

#[test]
fn s48_a_change_acts_on_the_next_message_before_the_walk_comes_by() {
    let mut universe = ruled(1, &[ALL]);
    let mut peers: Vec<Peer> = (0..4_000)
        .map(|number| {
            let mut peer = Peer::join(&mut universe, V311, &format!("c{number}"));
            peer.subscribe(&mut universe, "a", QoS::AtMostOnce);
            peer.received(&mut universe);
            peer
        })
        .collect();
    let message = encode(
        &Packet::Publish(publish("a", b"", QoS::AtMostOnce, 0)),
        V311,
    );
    universe.tell(
        WorkerId(0),
        Control::Policy(book(&["deny subscribe a", ALL])),
    );
    universe.turn(0);
    let left = universe.shared.index.stats().subscriptions;
    assert!(left > 0, "all were looked at in one turn");
    universe.send(peers[0].link, &message);
    universe.turn(0);
    for peer in &mut peers {
        assert!(peer.received(&mut universe).is_empty());
    }
    universe.settle();
    assert_eq!(universe.shared.index.stats().subscriptions, 0);
}

#[test]
fn s48_what_waits_or_is_sent_again_is_asked_about_first() {
    let mut universe = ruled(2, &[ALL]);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut hello = lasting("m");
    hello.properties.receive_maximum = Some(2);
    let mut peer = Peer::connect(&mut universe, hello.clone());
    peer.subscribe(&mut universe, "#", QoS::ExactlyOnce);
    peer.received(&mut universe);
    // Two inflight, four in the queue.
    for id in 1..=6 {
        let topic = if id % 2 == 0 { "closed" } else { "open" };
        let qos = if id < 4 {
            QoS::AtLeastOnce
        } else {
            QoS::ExactlyOnce
        };
        speaker.publish(&mut universe, topic, &[id as u8], qos, id);
    }
    assert_eq!(peer.messages(&mut universe).len(), 2);
    peer.hang_up(&mut universe);
    rule(&mut universe, &["deny client=m subscribe closed", ALL]);
    // Away, it gets nothing new of that either.
    speaker.publish(&mut universe, "closed", &[7], QoS::AtLeastOnce, 7);
    assert_eq!(denied(&universe), 1);
    let mut peer = Peer::connect(&mut universe, hello);
    let mut heard = Vec::new();
    loop {
        let received = peer.received(&mut universe);
        if received.is_empty() {
            break;
        }
        for packet in packets(&received) {
            match packet {
                Packet::Publish(publish) => {
                    heard.push(publish.payload[0]);
                    let ack = Peer::ack(publish.packet_id.expect("an id"), ReasonCode::Success);
                    let packet = match publish.qos {
                        QoS::ExactlyOnce => Packet::PubRec(ack),
                        _ => Packet::PubAck(ack),
                    };
                    peer.send(&mut universe, &packet);
                }
                Packet::PubRel(ack) => {
                    peer.send(
                        &mut universe,
                        &Packet::PubComp(Peer::ack(ack.packet_id, ReasonCode::Success)),
                    );
                }
                _ => {}
            }
        }
    }
    assert_eq!(heard, [1, 3, 5]);
    assert_eq!(denied(&universe), 4);
    assert!(
        !universe.is_closed(peer.link),
        "the subscription is granted in part"
    );
}

#[test]
fn s48_retained_messages_are_asked_about_when_they_are_sent() {
    let mut universe = ruled(1, &["deny client=m subscribe a/secret", ALL]);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    for topic in ["a/open", "a/secret"] {
        speaker.retain(&mut universe, topic, b"1");
    }
    let mut peer = Peer::join(&mut universe, V5, "m");
    peer.subscribe(&mut universe, "a/+", QoS::AtLeastOnce);
    let heard = peer.messages(&mut universe);
    assert_eq!(heard, [("a/open".to_owned(), b"1".to_vec())]);
    // A replay that waits for the client ends with its rights.
    let mut slow = Peer::join(&mut universe, V5, "slow");
    universe.set_takes(slow.link, 0);
    for number in 0..600 {
        speaker.retain(&mut universe, &format!("b/{number}"), &[0; 1000]);
    }
    slow.subscribe(&mut universe, "b/+", QoS::AtMostOnce);
    universe.control(&Control::Policy(book(&[
        "deny client=slow subscribe b/#",
        ALL,
    ])));
    universe.settle();
    universe.set_takes(slow.link, usize::MAX);
    universe.settle();
    assert!(slow.messages(&mut universe).len() < 600);
}

#[test]
fn s49_a_deny_holds_for_what_wildcards_and_groups_bring() {
    let rules = ["deny client=m subscribe a/x secret/#", ALL];
    let mut universe = ruled(2, &rules);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut peer = Peer::join(&mut universe, V5, "m");
    let mut reasons = Vec::new();
    for filter in [
        "+/x",
        "secret/#",
        "$share/g/secret/#",
        "$share/g/secret/a",
        "$share/h/+/x",
        "$queue/secret/a",
    ] {
        peer.subscribe(&mut universe, filter, QoS::AtLeastOnce);
        let received = peer.received(&mut universe);
        let [Packet::SubAck(suback)] = packets(&received)[..] else {
            panic!("{:?}", packets(&received));
        };
        reasons.push(suback.reasons[0]);
    }
    // `$queue` is a topic like others below `$`: it needs a grant of its own (S50).
    assert_eq!(reasons, [1, 0x87, 0x87, 0x87, 1, 0x87]);
    for (id, topic) in (1..).zip(["a/x", "b/x", "secret/a", "secret/x", "secret"]) {
        speaker.publish(&mut universe, topic, b"", QoS::AtLeastOnce, id);
    }
    let heard: Vec<String> = peer
        .messages(&mut universe)
        .into_iter()
        .map(|(topic, _)| topic)
        .collect();
    // By its own subscription, and by the group.
    assert_eq!(heard, ["b/x", "b/x"]);
}

#[test]
fn s49_a_group_passes_over_who_may_not_have_it() {
    let mut universe = ruled(2, &["deny client=m subscribe s/x", ALL]);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut members: Vec<Peer> = ["m", "n"]
        .into_iter()
        .map(|name| {
            let mut peer = Peer::join(&mut universe, V5, name);
            peer.subscribe(&mut universe, "$share/g/s/+", QoS::AtLeastOnce);
            peer.received(&mut universe);
            peer
        })
        .collect();
    for id in 1..=20 {
        speaker.publish(&mut universe, "s/x", b"", QoS::AtLeastOnce, id);
    }
    assert_eq!(members[0].messages(&mut universe), []);
    assert_eq!(members[1].messages(&mut universe).len(), 20);
}

#[test]
fn s49_what_waits_at_a_member_that_is_shut_out_goes_to_another() {
    let mut universe = ruled(2, &[ALL]);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut hello = connect(V311, "m");
    hello.clean_start = true;
    let mut first = Peer::connect(&mut universe, hello);
    first.subscribe(&mut universe, "$share/g/s", QoS::AtLeastOnce);
    universe.set_takes(first.link, 0);
    for id in 1..=200 {
        speaker.publish(&mut universe, "s", &[0; 4096], QoS::AtLeastOnce, id);
    }
    let mut second = Peer::join(&mut universe, V5, "n");
    second.subscribe(&mut universe, "$share/g/s", QoS::AtLeastOnce);
    second.received(&mut universe);
    rule(&mut universe, &["deny client=m subscribe s", ALL]);
    let mut to_second = 0;
    loop {
        let received = second.received(&mut universe);
        if received.is_empty() {
            break;
        }
        for packet in packets(&received) {
            if let Packet::Publish(publish) = packet {
                to_second += 1;
                let ack = Peer::ack(publish.packet_id.expect("an id"), ReasonCode::Success);
                second.send(&mut universe, &Packet::PubAck(ack));
            }
        }
    }
    universe.set_takes(first.link, usize::MAX);
    universe.settle();
    let to_first = first.messages(&mut universe).len();
    assert!(to_second > 50, "{to_second}");
    // What was written before the change is written.
    assert_eq!(to_first + to_second, 200);
}

#[test]
fn s53_an_alias_is_asked_about_by_its_topic_each_time() {
    let mut universe = ruled(1, &[ALL]);
    let mut listener = Peer::join(&mut universe, V5, "listener");
    listener.subscribe(&mut universe, "#", QoS::AtMostOnce);
    listener.received(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    let mut send = |universe: &mut Universe, topic| {
        let mut packet = publish(topic, b"x", QoS::AtMostOnce, 0);
        packet.properties.topic_alias = Some(1);
        peer.send(universe, &Packet::Publish(packet));
    };
    send(&mut universe, "a");
    send(&mut universe, "");
    assert_eq!(listener.messages(&mut universe).len(), 2);
    rule(&mut universe, &["deny client=m publish a", ALL]);
    send(&mut universe, "");
    send(&mut universe, "a");
    assert_eq!(listener.messages(&mut universe), []);
    send(&mut universe, "b");
    send(&mut universe, "");
    assert_eq!(listener.messages(&mut universe).len(), 2);
    rule(&mut universe, &["deny client=m publish b", ALL]);
    send(&mut universe, "");
    assert_eq!(listener.messages(&mut universe), []);
    assert_eq!(denied(&universe), 3);
}

#[test]
fn s61_what_is_remembered_is_of_the_identity_and_of_the_policy() {
    let mut config = BrokerConfig::open(1, 11);
    config.authenticator = Arc::new(Clerk(|request: &Request| {
        let user = request.username.as_deref().map(Arc::from);
        Outcome::Admitted(Admitted::plain(Identity::of(user)))
    }));
    config.policy = book(&["allow user=alice both #"]);
    let mut universe = Universe::new(config);
    let taken = |universe: &Universe| {
        let totals = universe.shared.totals();
        totals.publish_received().iter().sum::<u64>() - totals.drops(DropReason::NotAuthorized)
    };
    for (user, expected) in [("alice", 4), ("bob", 4), ("alice", 8)] {
        let mut hello = connect(V5, "same");
        hello.username = Some(user);
        let mut peer = Peer::connect(&mut universe, hello);
        for topic in ["a", "b", "a", "b"] {
            peer.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
        }
        assert_eq!(taken(&universe), expected, "{user}");
        peer.hang_up(&mut universe);
    }
    let mut hello = connect(V5, "same");
    hello.username = Some("alice");
    let mut peer = Peer::connect(&mut universe, hello);
    for topic in ["a", "b"] {
        peer.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
    }
    rule(&mut universe, &["deny both b", "allow user=alice both #"]);
    for topic in ["a", "b", "a", "b"] {
        peer.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
    }
    assert_eq!(taken(&universe), 12);
}

#[test]
fn s46_a_will_may_depend_on_what_only_a_connection_shows() {
    let rules = [
        "allow address=10.0.0.0/8 publish by-address",
        "allow listener=3 publish by-listener",
        "allow client=heir both #",
    ];
    for delay in [None, Some(5)] {
        for topic in ["by-address", "by-listener"] {
            let mut universe = ruled(2, &rules);
            let mut heir = Peer::join(&mut universe, V5, "heir");
            heir.subscribe(&mut universe, "#", QoS::AtMostOnce);
            heir.received(&mut universe);
            let mut hello = lasting("m");
            hello.will = Some(Will {
                topic,
                payload: b"gone",
                qos: QoS::AtMostOnce,
                retain: false,
                delay,
                message_expiry: None,
                forward: Default::default(),
            });
            let connect = |universe: &mut Universe, address: &str, listener| {
                let from = types::Peer::Net(address.parse().expect("an address"));
                let mut peer = Peer::open_from(universe, V5, from, listener);
                peer.send(universe, &Packet::Connect(Box::new(hello.clone())));
                peer
            };
            let mut peer = connect(&mut universe, "11.0.0.1:5", 4);
            sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
            let mut peer = connect(&mut universe, "10.0.0.1:5", 3);
            peer.hang_up(&mut universe);
            universe.advance(Duration::from_secs(6));
            assert_eq!(heir.messages(&mut universe).len(), 1, "{topic} {delay:?}");
            let mut peer = connect(&mut universe, "10.0.0.1:5", 3);
            rule(&mut universe, &["allow client=heir both #"]);
            peer.hang_up(&mut universe);
            universe.advance(Duration::from_secs(6));
            assert_eq!(heir.messages(&mut universe), [], "{topic} {delay:?}");
        }
    }
}

#[test]
fn a_client_that_is_away_loses_nothing_for_having_no_address() {
    let rules = [
        "allow address=127.0.0.1 both #",
        "allow client=speaker both #",
    ];
    let mut universe = ruled(2, &rules);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    peer.subscribe(&mut universe, "a/#", QoS::AtLeastOnce);
    peer.hang_up(&mut universe);
    rule(&mut universe, &rules);
    speaker.publish(&mut universe, "a/1", b"", QoS::AtLeastOnce, 1);
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    assert_eq!(peer.messages(&mut universe).len(), 1);
    speaker.publish(&mut universe, "a/2", b"", QoS::AtLeastOnce, 2);
    assert_eq!(peer.messages(&mut universe).len(), 1);
    assert!(!universe.is_closed(peer.link));
}

#[test]
fn s48_who_comes_back_hears_what_it_lost() {
    let mut universe = ruled(1, &[ALL]);
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    peer.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    peer.hang_up(&mut universe);
    rule(&mut universe, &["deny subscribe a", ALL]);
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
    // Once is enough.
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    let received = peer.received(&mut universe);
    assert!(matches!(packets(&received)[..], [Packet::ConnAck(_)]));
    assert_eq!(universe.shared.index.stats().subscriptions, 0);
}

/// Turns that a change of the policy takes until all is done.
fn turns_of(universe: &mut Universe, rules: &[&str]) -> usize {
    universe.tell(WorkerId(0), Control::Policy(book(rules)));
    let mut turns = 0;
    loop {
        universe.turn(0);
        turns += 1;
        let now = universe.now();
        if universe
            .worker(0)
            .poll_timeout()
            .is_none_or(|due| due > now)
        {
            return turns;
        }
    }
}

#[test]
fn a_change_goes_through_many_sessions_in_bounded_steps() {
    let mut universe = ruled(1, &[ALL]);
    for number in 0..20_000 {
        let mut peer = Peer::join(&mut universe, V311, &format!("c{number}"));
        peer.subscribe(&mut universe, "a", QoS::AtMostOnce);
    }
    let turns = turns_of(&mut universe, &["deny subscribe b", ALL]);
    // At 2 ms each, this is a fifth of a second for 100,000 sessions.
    assert!((10..30).contains(&turns), "{turns}");
    // Filters with wildcards may cost as much as there are rules.
    let mut peer = Peer::join(&mut universe, V311, "many");
    for number in 0..50 {
        peer.subscribe(&mut universe, &format!("w/{number}/#"), QoS::AtMostOnce);
    }
    let rules: Vec<String> = (0..10_000)
        .map(|number| format!("allow subscribe x/{number}/+"))
        .chain([ALL.to_owned()])
        .collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let more = turns_of(&mut universe, &rules);
    assert!((turns + 4..turns + 10).contains(&more), "{more}");
    let left = universe.shared.index.stats().subscriptions;
    assert_eq!(left, 20_050);
}

/// Counts what is told of denials.
#[derive(Default)]
struct Ear(std::sync::Mutex<Vec<broker::event::Denial>>);

impl EventSink for Ear {
    fn event(&self, event: Event) {
        if let Event::Denied(denial) = event {
            self.0.lock().expect("the ear").push(*denial);
        }
    }
}

#[test]
fn denials_are_told_with_the_rule_and_bounded() {
    let ear = Arc::new(Ear::default());
    let mut config = BrokerConfig::open(1, 11);
    config.policy = book(&["deny publish a", "allow publish b"]);
    config.events = Arc::clone(&ear) as Arc<dyn EventSink>;
    let mut universe = Universe::new(config);
    let mut peer = Peer::join(&mut universe, ProtocolVersion::V5, "m");
    peer.publish(&mut universe, "a", b"", QoS::AtMostOnce, 0);
    peer.publish(&mut universe, "c", b"", QoS::AtMostOnce, 0);
    peer.subscribe(&mut universe, "b", QoS::AtMostOnce);
    let told: Vec<_> = ear
        .0
        .lock()
        .expect("the ear")
        .drain(..)
        .map(|denial| (denial.wanted.as_str(), denial.topic, denial.why))
        .collect();
    assert_eq!(told.len(), 3);
    assert_eq!((told[0].0, &*told[0].1), ("publish", "a"));
    assert!(
        told[0]
            .2
            .as_ref()
            .is_some_and(|why| why.contains("deny publish a"))
    );
    assert_eq!(
        (told[1].0, &*told[1].1, &told[1].2),
        ("publish", "c", &None)
    );
    assert_eq!((told[2].0, &*told[2].1), ("subscribe", "b"));
    for _ in 0..2_000 {
        peer.publish(&mut universe, "a", b"", QoS::AtMostOnce, 0);
    }
    let count = ear.0.lock().expect("the ear").len();
    assert!(count <= 500, "{count}");
}

/// What is retained for a new subscriber, without the probe being noticed.
fn retained(universe: &mut Universe) -> Vec<String> {
    let mut probe = Peer::join(universe, V5, "probe");
    probe.subscribe(universe, "#", QoS::AtMostOnce);
    let heard = probe.messages(universe);
    probe.disconnect(universe, ReasonCode::Success);
    heard.into_iter().map(|(topic, _)| topic).collect()
}

#[test]
fn s47_retained_messages_stay_with_their_publishers_permission() {
    let mut universe = ruled(2, &[ALL]);
    let mut peer = Peer::join(&mut universe, V5, "m");
    let mut other = Peer::join(&mut universe, V5, "n");
    peer.retain(&mut universe, "a", b"1");
    peer.retain(&mut universe, "b", b"1");
    other.retain(&mut universe, "c", b"1");
    assert_eq!(retained(&mut universe), ["a", "b", "c"]);
    rule(&mut universe, &["deny client=m publish a", ALL]);
    assert_eq!(retained(&mut universe), ["b", "c"]);
    assert_eq!(denied(&universe), 1);
    // Whoever publishes last is the one who counts.
    other.retain(&mut universe, "a", b"2");
    assert_eq!(retained(&mut universe), ["a", "b", "c"]);
    peer.hang_up(&mut universe);
    rule(&mut universe, &["ban client=m", ALL]);
    assert_eq!(retained(&mut universe), ["a", "c"]);
    rule(&mut universe, &[ALL]);
    assert_eq!(retained(&mut universe), ["a", "b", "c"]);
}

#[test]
fn s47_what_a_back_end_granted_stands_until_a_ban() {
    let mut config = BrokerConfig::open(1, 11);
    config.authenticator = Arc::new(Clerk(|request: &Request| {
        let group = request.client_id.starts_with('m').then(|| "in".into());
        Outcome::Admitted(Admitted {
            grant: Some(Arc::new(auth::Grant {
                groups: group.into_iter().collect(),
                ..Default::default()
            })),
            ..Admitted::plain(Identity::Anonymous)
        })
    }));
    let rules = ["allow group=in publish #", "allow subscribe #"];
    config.policy = book(&rules);
    let mut universe = Universe::new(config);
    let mut hello = connect(V5, "m");
    hello.will = Some(Will {
        topic: "will",
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: true,
        delay: None,
        message_expiry: None,
        forward: Default::default(),
    });
    let mut peer = Peer::connect(&mut universe, hello);
    peer.retain(&mut universe, "a", b"1");
    peer.hang_up(&mut universe);
    assert_eq!(retained(&mut universe), ["a", "will"]);
    let banned = ["ban client=m*", rules[0], rules[1]];
    rule(&mut universe, &banned);
    assert_eq!(retained(&mut universe), [""; 0]);
}

#[test]
fn a_subscription_that_comes_while_its_client_is_reviewed_is_seen() {
    let mut universe = ruled(1, &[ALL]);
    let mut speaker = Peer::join(&mut universe, V311, "speaker");
    let mut peer = Peer::join(&mut universe, V311, "m");
    for number in 0..50 {
        peer.subscribe(&mut universe, &format!("w/{number}/#"), QoS::AtMostOnce);
    }
    let rules: Vec<String> = std::iter::once("deny client=m subscribe a/secret".to_owned())
        .chain((0..10_000).map(|number| format!("allow subscribe x/{number}/+")))
        .chain([ALL.to_owned()])
        .collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    universe.tell(WorkerId(0), Control::Policy(book(&rules)));
    universe.turn(0);
    universe.turn(0);
    // The first in order, which the review has passed.
    peer.subscribe(&mut universe, "a/+", QoS::AtMostOnce);
    speaker.publish(&mut universe, "a/secret", b"", QoS::AtMostOnce, 0);
    speaker.publish(&mut universe, "a/open", b"", QoS::AtMostOnce, 0);
    let heard = peer.messages(&mut universe);
    assert_eq!(heard, [("a/open".to_owned(), b"".to_vec())]);
}

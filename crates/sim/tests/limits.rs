//! Bounds that no other story meets, and what the server says and counts at each of them.

use std::time::Duration;

use broker::{BrokerConfig, Control, DropReason};
use codec::{Connect, ConnectProperties, Packet, UserPropertiesBuf, Will};
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{Limits, ProtocolVersion, QoS, ReasonCode};

const V311: ProtocolVersion = ProtocolVersion::V311;
const V5: ProtocolVersion = ProtocolVersion::V5;

fn bounded(change: impl FnOnce(&mut Limits)) -> Universe {
    let mut config = BrokerConfig::open(1, 5);
    change(&mut config.limits);
    Universe::new(config)
}

fn lasting(client_id: &str) -> Connect<'_> {
    let mut packet = connect(V5, client_id);
    packet.clean_start = false;
    packet.properties.session_expiry = Some(3_600);
    packet
}

fn will<'a>(topic: &'a str, payload: &'a [u8]) -> Will<'a> {
    Will {
        topic,
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        delay: None,
        message_expiry: None,
        forward: Default::default(),
    }
}

fn drops(universe: &Universe, reason: DropReason) -> u64 {
    universe.shared.totals().drops(reason)
}

#[test]
fn connect_deadline_counts_from_accept_not_from_the_last_byte() {
    let mut universe = bounded(|limits| limits.connect_deadline = Duration::from_secs(10));
    let link = universe.open();
    for byte in [0x10, 0x20, 0x00, 0x04] {
        universe.advance(Duration::from_secs(2));
        universe.send(link, &[byte]);
    }
    assert!(!universe.is_closed(link));
    universe.advance(Duration::from_millis(2_100));
    assert!(universe.is_closed(link));
}

#[test]
fn user_properties_beyond_the_bound_end_the_connection_with_0x97() {
    let mut universe = bounded(|limits| limits.user_properties = 2);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    let mut user = UserPropertiesBuf::new();
    for _ in 0..3 {
        user.push("k", "v").unwrap();
    }
    let mut packet = publish("a", b"", QoS::AtMostOnce, 0);
    packet.properties.forward.user = user.as_borrowed();
    bob.send(&mut universe, &Packet::Publish(packet));
    let received = bob.received(&mut universe);
    let Packet::Disconnect(last) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(last.reason, ReasonCode::QuotaExceeded);
    assert!(universe.is_closed(bob.link));
}

#[test]
fn inflight_holds_for_clients_that_allow_more() {
    let mut universe = bounded(|limits| limits.inflight = 3);
    let mut alice = Peer::join(&mut universe, V5, "alice");
    alice.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    for id in 1..=5 {
        bob.publish(&mut universe, "a", b"", QoS::AtLeastOnce, id);
    }
    let received = alice.received(&mut universe);
    let ids: Vec<_> = received
        .iter()
        .filter_map(|received| match received.packet() {
            Packet::Publish(publish) => publish.packet_id,
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 3);
    let ack = Peer::ack(ids[0], ReasonCode::Success);
    alice.send(&mut universe, &Packet::PubAck(ack));
    assert_eq!(alice.messages(&mut universe).len(), 1);
}

#[test]
fn topic_alias_out_bounds_what_the_server_uses() {
    let mut universe = bounded(|limits| limits.topic_alias_out = 1);
    let mut packet = connect(V5, "alice");
    packet.properties = ConnectProperties {
        topic_alias_maximum: Some(10),
        ..Default::default()
    };
    let mut alice = Peer::connect(&mut universe, packet);
    alice.subscribe(&mut universe, "#", QoS::AtMostOnce);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    for topic in ["a", "b", "a", "b"] {
        bob.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
    }
    let seen: Vec<_> = alice
        .received(&mut universe)
        .iter()
        .filter_map(|received| match received.packet() {
            Packet::Publish(publish) => {
                Some((publish.topic.to_owned(), publish.properties.topic_alias))
            }
            _ => None,
        })
        .collect();
    let plain = |topic: &str, alias| (topic.to_owned(), alias);
    let wanted = [
        plain("a", Some(1)),
        plain("b", None),
        plain("", Some(1)),
        plain("b", None),
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn retained_bytes_are_refused_with_0x97_and_counted() {
    let mut universe = bounded(|limits| limits.retained_bytes = 1_000);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    let mut packet = publish("a", &[0; 2_000], QoS::AtLeastOnce, 1);
    packet.retain = true;
    bob.send(&mut universe, &Packet::Publish(packet));
    let received = bob.received(&mut universe);
    let Packet::PubAck(ack) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(ack.reason, ReasonCode::QuotaExceeded);
    assert_eq!(drops(&universe, DropReason::Quota), 1);
    assert_eq!(universe.shared.retained.count(), 0);
}

#[test]
fn write_stall_closes_a_client_that_takes_nothing_and_spares_one_that_is_slow() {
    let mut universe = bounded(|limits| limits.write_stall = Duration::from_secs(30));
    let mut stuck = Peer::join(&mut universe, V311, "stuck");
    let mut slow = Peer::join(&mut universe, V311, "slow");
    for peer in [&mut stuck, &mut slow] {
        peer.subscribe(&mut universe, "a", QoS::AtMostOnce);
        universe.set_takes(peer.link, 0);
    }
    let mut bob = Peer::join(&mut universe, V311, "bob");
    for _ in 0..100 {
        bob.publish(&mut universe, "a", &[0; 1_000], QoS::AtMostOnce, 0);
    }
    for _ in 0..4 {
        universe.advance(Duration::from_secs(10));
        universe.set_takes(slow.link, 10);
    }
    assert!(universe.is_closed(stuck.link));
    assert!(!universe.is_closed(slow.link));
    bob.publish(&mut universe, "b", b"", QoS::AtLeastOnce, 1);
    assert_eq!(bob.received(&mut universe).len(), 1);
}

#[test]
fn short_of_memory_qos_0_goes_first_from_the_slowest_and_then_nothing_is_taken() {
    let mut universe = bounded(|limits| {
        limits.memory = 1_000_000;
        limits.output_bytes = 160_000;
    });
    let mut slow = Peer::join(&mut universe, V5, "slow");
    let mut quick = Peer::join(&mut universe, V5, "quick");
    for peer in [&mut slow, &mut quick] {
        peer.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        peer.received(&mut universe);
    }
    universe.set_takes(slow.link, 0);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    let mut tell = |universe: &mut Universe, resident: u64, qos: QoS, id: u16| {
        universe.shared.set_resident(resident);
        bob.publish(universe, "a", &[0; 1_000], qos, id);
        let received = bob.received(universe);
        received.first().map(|received| match received.packet() {
            Packet::PubAck(ack) => ack.reason,
            other => panic!("{other:?}"),
        })
    };
    // With room, the slow one has a backlog; near the budget a small one is still borne.
    for _ in 0..12 {
        tell(&mut universe, 100_000, QoS::AtMostOnce, 0);
    }
    assert_eq!(drops(&universe, DropReason::Memory), 0);
    tell(&mut universe, 950_000, QoS::AtMostOnce, 0);
    assert_eq!(drops(&universe, DropReason::Memory), 1);
    assert_eq!(quick.messages(&mut universe).len(), 13);
    // QoS 1 is taken until the budget is used up.
    let taken = tell(&mut universe, 950_000, QoS::AtLeastOnce, 1);
    assert_eq!(taken, Some(ReasonCode::Success));
    let refused = tell(&mut universe, 1_000_001, QoS::AtLeastOnce, 2);
    assert_eq!(refused, Some(ReasonCode::QuotaExceeded));
    assert_eq!(drops(&universe, DropReason::Memory), 2);
}

/// Between two looks at the memory what waits is counted: a flood does not outrun the budget.
#[test]
fn what_came_since_the_last_look_counts_against_the_memory_budget() {
    for workers in [1, 2] {
        let mut config = BrokerConfig::open(workers, 5);
        config.limits.memory = 1_000_000;
        let mut universe = Universe::new(config);
        for number in 0..100 {
            let mut away = Peer::connect(&mut universe, lasting(&format!("away{number}")));
            away.subscribe(&mut universe, "a", QoS::AtLeastOnce);
            away.hang_up(&mut universe);
        }
        let mut bob = Peer::join(&mut universe, V5, "bob");
        for _ in 0..3 {
            universe.shared.set_resident(800_000);
            let taken = (1..=100)
                .take_while(|&id| {
                    bob.publish(&mut universe, "a", &[0; 10], QoS::AtLeastOnce, id);
                    match bob.received(&mut universe)[0].packet() {
                        Packet::PubAck(ack) => ack.reason == ReasonCode::Success,
                        other => panic!("{other:?}"),
                    }
                })
                .count();
            // A hundred places of some 128 bytes for each.
            assert!((10..20).contains(&taken), "{taken}");
        }
        // The sessions share a message: it counts once.
        universe.shared.set_resident(900_000);
        bob.publish(&mut universe, "a", &[0; 10_000], QoS::AtLeastOnce, 1);
        bob.publish(&mut universe, "a", &[0; 10_000], QoS::AtLeastOnce, 2);
        let received = bob.received(&mut universe);
        let reasons = received.iter().map(|received| match received.packet() {
            Packet::PubAck(ack) => ack.reason,
            other => panic!("{other:?}"),
        });
        assert_eq!(reasons.collect::<Vec<_>>(), [ReasonCode::Success; 2]);
    }
}

/// Short of memory, who is there goes on and comes back, and nobody and nothing is new.
#[test]
fn short_of_memory_there_are_no_new_sessions_subscriptions_and_large_wills() {
    let mut universe = bounded(|limits| limits.memory = 1_000_000);
    let mut known = Peer::connect(&mut universe, lasting("known"));
    known.subscribe(&mut universe, "a", QoS::AtMostOnce);
    known.received(&mut universe);
    universe.shared.set_resident(1_000_001);
    let mut refused = |packet| {
        let mut peer = Peer::connect(&mut universe, packet);
        let received = peer.received(&mut universe);
        match received[0].packet() {
            Packet::ConnAck(connack) => connack.reason == ReasonCode::QuotaExceeded,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(lasting("new")));
    assert!(refused(connect(V5, "new")));
    let mut large = lasting("known");
    let payload = [0; 2_000];
    large.will = Some(will("b", &payload));
    assert!(refused(large));
    let mut small = lasting("known");
    small.will = Some(will("b", &payload[..20]));
    assert!(!refused(small));
    let mut known = Peer::connect(&mut universe, lasting("known"));
    known.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    known.subscribe(&mut universe, "b", QoS::AtLeastOnce);
    let received = known.received(&mut universe);
    let answers = received.iter().map(|received| match received.packet() {
        Packet::ConnAck(connack) => connack.reason.byte(),
        Packet::SubAck(ack) => ack.reasons[0],
        other => panic!("{other:?}"),
    });
    assert_eq!(answers.collect::<Vec<_>>(), [0, 1, 0x97]);
}

#[test]
fn a_full_or_ending_server_names_another_one_4_13() {
    let mut config = BrokerConfig::open(1, 5);
    config.limits.sessions = 1;
    config.server_reference = Some("other.example:1883".into());
    let mut universe = Universe::new(config);
    let mut first = Peer::join(&mut universe, V5, "first");
    let mut second = Peer::connect(&mut universe, connect(V5, "second"));
    let received = second.received(&mut universe);
    let Packet::ConnAck(connack) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(connack.reason, ReasonCode::UseAnotherServer);
    assert_eq!(
        connack.properties.server_reference,
        Some("other.example:1883")
    );
    universe.control(&Control::Drain);
    universe.settle();
    let received = first.received(&mut universe);
    let Packet::Disconnect(last) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(last.reason, ReasonCode::UseAnotherServer);
    assert_eq!(last.server_reference, Some("other.example:1883"));
    assert!(universe.is_closed(first.link));
}

#[test]
fn an_ending_server_says_so_and_takes_nobody_0x8b() {
    let mut universe = bounded(|_| {});
    let mut five = Peer::join(&mut universe, V5, "five");
    let mut three = Peer::join(&mut universe, V311, "three");
    universe.control(&Control::Drain);
    universe.settle();
    let received = five.received(&mut universe);
    let Packet::Disconnect(last) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(last.reason, ReasonCode::ServerShuttingDown);
    assert!(three.received(&mut universe).is_empty());
    assert!(universe.is_closed(three.link));
    let late = universe.open();
    assert!(universe.is_closed(late));
}

#[test]
fn connections_above_the_bound_are_closed_and_counted() {
    let mut universe = bounded(|limits| limits.connections = 1);
    let first = universe.open();
    let second = universe.open();
    assert!(!universe.is_closed(first));
    assert!(universe.is_closed(second));
    let totals = universe.shared.totals();
    assert_eq!(totals.counter(broker::Counter::LinksRefused), 1);
}

#[test]
fn a_link_that_moves_home_and_its_bytes_count_once() {
    for workers in [1, 4] {
        let mut universe = Universe::new(BrokerConfig::open(workers, 3));
        let mut bytes = 0;
        for number in 0..16 {
            let client_id = format!("client{number:02}");
            let packet = Packet::Connect(Box::new(connect(V5, &client_id)));
            bytes += u64::try_from(codec::encoded_len(&packet, V5)).unwrap();
            Peer::join(&mut universe, V5, &client_id);
        }
        let totals = universe.shared.totals();
        assert_eq!(totals.counter(broker::Counter::LinksOpened), 16);
        assert_eq!(totals.counter(broker::Counter::BytesReceived), bytes);
        assert_eq!(universe.shared.connections_and_sessions().0, 16);
    }
}

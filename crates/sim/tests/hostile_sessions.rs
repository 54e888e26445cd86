//! S24, S28 to S31, S33, S35, S37, S40: sessions and handshakes that are played with.

mod hostile;

use std::time::Duration;

use codec::{Packet, Publish, Will};
use hostile::*;
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{Limits, PacketId, QoS, ReasonCode};

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not zero")
}

/// The payloads of what came, each QoS 1 message acknowledged.
fn take_all(peer: &mut Peer, universe: &mut Universe) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    loop {
        let received = peer.received(universe);
        let mut acks = Vec::new();
        for packet in packets(&received) {
            if let Packet::Publish(publish) = packet {
                payloads.push(publish.payload.to_vec());
                acks.extend(
                    publish
                        .packet_id
                        .filter(|_| publish.qos == QoS::AtLeastOnce),
                );
            }
        }
        if acks.is_empty() {
            return payloads;
        }
        for ack in acks {
            peer.send(
                universe,
                &Packet::PubAck(Peer::ack(ack, ReasonCode::Success)),
            );
        }
    }
}

#[test]
fn s24_a_storm_of_takeovers_leaves_the_last_and_one_session() {
    for workers in [1, 3] {
        let mut universe = limited(workers, Default::default());
        let mut others = Others::new(&mut universe);
        let mut first = Peer::connect(&mut universe, lasting("twin"));
        first.subscribe(&mut universe, "twin/#", QoS::AtLeastOnce);
        let mut speaker = Peer::join(&mut universe, V5, "speaker");
        let before = universe.shared.connections_and_sessions();
        let mut owner = first;
        let (mut heard, mut said) = (Vec::new(), 0);
        for round in 0..300_u16 {
            // Ten at a time, all before anything is answered.
            let storm: Vec<Peer> = (0..10)
                .map(|_| {
                    let peer = Peer::open(&mut universe, V5);
                    let hello = encode(&Packet::Connect(Box::new(lasting("twin"))), V5);
                    universe.send(peer.link, &hello);
                    peer
                })
                .collect();
            let payload = round.to_be_bytes();
            speaker.publish(
                &mut universe,
                "twin/a",
                &payload,
                QoS::AtLeastOnce,
                round + 1,
            );
            said += 1;
            assert_eq!(
                told(&mut owner, &mut universe),
                Some(ReasonCode::SessionTakenOver)
            );
            assert!(universe.is_closed(owner.link));
            let mut winners = Vec::new();
            for mut peer in storm {
                if universe.is_closed(peer.link) {
                    let reason = Some(ReasonCode::SessionTakenOver);
                    assert_eq!(told(&mut peer, &mut universe), reason);
                } else {
                    winners.push(peer);
                }
            }
            assert_eq!(winners.len(), 1);
            owner = winners.remove(0);
            heard.extend(take_all(&mut owner, &mut universe));
            assert_eq!(universe.shared.connections_and_sessions(), before);
        }
        heard.sort();
        heard.dedup();
        assert_eq!(heard.len(), said, "no message of the session is lost");
        owner.send(
            &mut universe,
            &Packet::Disconnect(codec::Disconnect {
                reason: ReasonCode::Success,
                session_expiry: Some(0),
                reason_string: None,
                user: Default::default(),
                server_reference: None,
            }),
        );
        speaker.hang_up(&mut universe);
        others.are_alone(&mut universe);
    }
}

#[test]
fn s28_a_will_is_published_once_or_never_as_the_clocks_say() {
    // Will delay, session expiry, when the client comes back, and whether its will was
    // published by then.
    for (delay, expiry, back, told) in [
        (0, 0, None, true),
        (10, 0, None, true),
        (10, 5, None, true),
        (5, 10, None, true),
        (10, 20, Some(9), false),
        (20, 10, Some(9), false),
        (5, 20, Some(9), true),
        (20, 5, Some(9), true),
        (u32::MAX, 7, Some(8), true),
        (90, 200, Some(80), false),
        (70, 200, Some(80), true),
    ] {
        let mut universe = Universe::small();
        let mut others = Others::new(&mut universe);
        let mut listener = Peer::join(&mut universe, V5, "listener");
        listener.subscribe(&mut universe, "will", QoS::AtMostOnce);
        let mut hello = lasting("mortal");
        hello.properties.session_expiry = Some(expiry);
        let calm = hello.clone();
        hello.will = Some(Will {
            topic: "will",
            payload: b"gone",
            qos: QoS::AtMostOnce,
            retain: false,
            delay: Some(delay),
            message_expiry: None,
            forward: Default::default(),
        });
        let mut peer = Peer::connect(&mut universe, hello);
        peer.hang_up(&mut universe);
        if let Some(back) = back {
            universe.advance(Duration::from_secs(back));
            let mut again = Peer::connect(&mut universe, calm);
            universe.advance(Duration::from_secs(300));
            let heard = listener.messages(&mut universe).len();
            assert_eq!(heard, usize::from(told), "{delay} {expiry} {back}");
            again.hang_up(&mut universe);
        }
        universe.advance(Duration::from_secs(300));
        let heard = listener.messages(&mut universe).len();
        assert_eq!(
            heard,
            usize::from(back.is_none()),
            "{delay} {expiry} {back:?}"
        );
        listener.hang_up(&mut universe);
        others.are_alone(&mut universe);
    }
}

#[test]
fn s29_the_same_qos_2_message_again_and_again_is_one_message() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    peer.subscribe(&mut universe, "t", QoS::AtMostOnce);
    peer.received(&mut universe);
    let once = encode(
        &Packet::Publish(publish("t", b"x", QoS::ExactlyOnce, 9)),
        V5,
    );
    let many = once.repeat(1_000);
    let (mut heard, mut answered) = (0, 0);
    for _ in 0..100 {
        peer.send_bytes(&mut universe, &many);
        for received in peer.received(&mut universe) {
            match received.packet() {
                Packet::Publish(_) => heard += 1,
                Packet::PubRec(ack) => answered += usize::from(ack.packet_id == id(9)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((heard, answered), (1, 100_000));
    let release = Packet::PubRel(Peer::ack(id(9), ReasonCode::Success));
    peer.send(&mut universe, &release);
    peer.publish(&mut universe, "t", b"y", QoS::ExactlyOnce, 9);
    assert_eq!(peer.messages(&mut universe).len(), 1);
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s30_open_qos_2_handshakes_stay_within_receive_maximum() {
    let limits = Limits {
        receive_maximum: 100,
        ..Default::default()
    };
    let mut universe = limited(1, limits);
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    for number in 1..=100 {
        peer.publish(&mut universe, "t", b"", QoS::ExactlyOnce, number);
    }
    // A place that is given back can be used again.
    let release = Packet::PubRel(Peer::ack(id(50), ReasonCode::Success));
    peer.send(&mut universe, &release);
    peer.publish(&mut universe, "t", b"", QoS::ExactlyOnce, 101);
    assert!(!universe.is_closed(peer.link));
    peer.publish(&mut universe, "t", b"", QoS::ExactlyOnce, 102);
    sent_away(
        &mut peer,
        &mut universe,
        Some(ReasonCode::ReceiveMaximumExceeded),
    );
    others.are_alone(&mut universe);
    // MQTT 3 was told no maximum: its identifiers are the bound.
    let mut peer = Peer::join(&mut universe, V311, "m");
    for number in 1..=u16::MAX {
        peer.publish(&mut universe, "t", b"", QoS::ExactlyOnce, number);
    }
    assert!(!universe.is_closed(peer.link));
    assert_eq!(peer.received(&mut universe).len(), 65_535);
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s31_a_qos_2_message_again_on_another_connection_is_not_delivered_again() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut listener = Peer::join(&mut universe, V5, "listener");
    listener.subscribe(&mut universe, "t", QoS::AtMostOnce);
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    peer.publish(&mut universe, "t", b"x", QoS::ExactlyOnce, 9);
    for _ in 0..10 {
        peer.hang_up(&mut universe);
        peer = Peer::connect(&mut universe, lasting("m"));
        let mut again: Publish<'_> = publish("t", b"x", QoS::ExactlyOnce, 9);
        again.dup = true;
        peer.send(&mut universe, &Packet::Publish(again));
        let received = peer.received(&mut universe);
        assert!(
            matches!(
                packets(&received)[..],
                [Packet::ConnAck(_), Packet::PubRec(_)]
            ),
            "{:?}",
            packets(&received)
        );
    }
    assert_eq!(listener.messages(&mut universe).len(), 1);
    for mut client in [peer, listener] {
        client.hang_up(&mut universe);
    }
    universe.advance(Duration::from_secs(3_601));
    others.are_alone(&mut universe);
}

#[test]
fn s33_acknowledgements_of_nothing_free_nothing() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut hello = connect(V5, "m");
    hello.properties.receive_maximum = Some(2);
    let mut peer = Peer::connect(&mut universe, hello);
    peer.subscribe(&mut universe, "t", QoS::ExactlyOnce);
    for number in 0..4 {
        others_publish(&mut universe, number);
    }
    let sent = |peer: &mut Peer, universe: &mut Universe| -> Vec<u16> {
        peer.received(universe)
            .iter()
            .filter_map(|received| match received.packet() {
                Packet::Publish(publish) => publish.packet_id.map(PacketId::get),
                _ => None,
            })
            .collect()
    };
    assert_eq!(sent(&mut peer, &mut universe), [1, 2]);
    let ack = |number| Peer::ack(id(number), ReasonCode::Success);
    // The wrong packet for the state, identifiers that nobody has, each of them twice.
    for packet in [
        Packet::PubAck(ack(1)),
        Packet::PubComp(ack(1)),
        Packet::PubAck(ack(77)),
        Packet::PubComp(ack(77)),
    ] {
        peer.send(&mut universe, &packet);
        peer.send(&mut universe, &packet);
        assert!(peer.received(&mut universe).is_empty());
    }
    for (packet, not_found) in [
        (Packet::PubRec(ack(77)), true),
        (Packet::PubRel(ack(77)), true),
        (Packet::PubRec(ack(1)), false),
        (Packet::PubRec(ack(1)), false), // answered again (MQTT-4.3.3-4)
    ] {
        peer.send(&mut universe, &packet);
        let received = peer.received(&mut universe);
        let [Packet::PubRel(answer) | Packet::PubComp(answer)] = packets(&received)[..] else {
            panic!("{:?}", packets(&received));
        };
        assert_eq!(
            answer.reason == ReasonCode::PacketIdentifierNotFound,
            not_found
        );
    }
    peer.send(&mut universe, &Packet::PubComp(ack(1)));
    assert_eq!(sent(&mut peer, &mut universe), [3]);
    // Once more frees nothing: two are outstanding still.
    peer.send(&mut universe, &Packet::PubComp(ack(1)));
    assert!(sent(&mut peer, &mut universe).is_empty());
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

/// A QoS 2 message to `t` by a client that comes and goes.
fn others_publish(universe: &mut Universe, number: u16) {
    let mut speaker = Peer::join(universe, V5, "passing");
    let payload = number.to_be_bytes();
    speaker.publish(universe, "t", &payload, QoS::ExactlyOnce, 1);
    speaker.disconnect(universe, ReasonCode::Success);
}

#[test]
fn s35_identifiers_wrap_and_pass_over_those_in_use() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    peer.subscribe(&mut universe, "t", QoS::AtLeastOnce);
    peer.received(&mut universe);
    let mut kept = Vec::new();
    let mut number = 0_u16;
    for round in 0..140_000_u32 {
        number = number % 60_000 + 1;
        peer.publish(&mut universe, "t", b"", QoS::AtLeastOnce, number);
        for received in peer.received(&mut universe) {
            let Packet::Publish(publish) = received.packet() else {
                continue;
            };
            let id = publish.packet_id.expect("QoS 1");
            assert!(!kept.contains(&id), "{id:?} is in flight");
            if round % 1_000 == 0 && kept.len() < 50 {
                kept.push(id);
            } else {
                let ack = Peer::ack(id, ReasonCode::Success);
                peer.send(&mut universe, &Packet::PubAck(ack));
            }
        }
    }
    assert_eq!(kept.len(), 50);
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s37_shared_and_plain_subscriptions_to_one_filter_are_two() {
    let mut universe = limited(2, Default::default());
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut copies = |peer: &mut Peer, universe: &mut Universe| {
        peer.received(universe);
        speaker.publish(universe, "t", b"", QoS::AtMostOnce, 0);
        peer.messages(universe).len()
    };
    for _ in 0..50 {
        peer.subscribe(&mut universe, "$share/g/t", QoS::AtMostOnce);
        peer.unsubscribe(&mut universe, "t");
        assert_eq!(copies(&mut peer, &mut universe), 1);
        peer.subscribe(&mut universe, "t", QoS::AtMostOnce);
        peer.unsubscribe(&mut universe, "$share/h/t");
        assert_eq!(copies(&mut peer, &mut universe), 2);
        peer.unsubscribe(&mut universe, "$share/g/t");
        assert_eq!(copies(&mut peer, &mut universe), 1);
        peer.unsubscribe(&mut universe, "$share/g/t");
        peer.unsubscribe(&mut universe, "t");
        assert_eq!(copies(&mut peer, &mut universe), 0);
    }
    peer.hang_up(&mut universe);
    speaker.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s40_a_subscription_at_a_lower_qos_keeps_the_inflight_budget_whole() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut hello = connect(V5, "m");
    hello.properties.receive_maximum = Some(3);
    let mut peer = Peer::connect(&mut universe, hello);
    for round in 0..20_u16 {
        peer.subscribe(&mut universe, "t", QoS::AtLeastOnce);
        for number in 0..3 {
            others_publish(&mut universe, round * 10 + number);
        }
        let in_flight: Vec<PacketId> = peer
            .received(&mut universe)
            .iter()
            .filter_map(|received| match received.packet() {
                Packet::Publish(publish) => publish.packet_id,
                _ => None,
            })
            .collect();
        assert_eq!(in_flight.len(), 3, "round {round}");
        peer.subscribe(&mut universe, "t", QoS::AtMostOnce);
        for id in in_flight {
            peer.send(
                &mut universe,
                &Packet::PubAck(Peer::ack(id, ReasonCode::Success)),
            );
        }
        others_publish(&mut universe, round * 10 + 9);
        assert_eq!(peer.messages(&mut universe).len(), 1);
    }
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

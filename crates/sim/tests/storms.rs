//! Many at once.

use std::collections::BTreeMap;

use broker::{BrokerConfig, DropReason};
use codec::{ConnectProperties, Packet};
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{ProtocolVersion, QoS, ReasonCode};

const V5: ProtocolVersion = ProtocolVersion::V5;

fn universe(workers: usize) -> Universe {
    Universe::new(BrokerConfig::open(workers, 7))
}

fn retain(peer: &mut Peer, universe: &mut Universe, topic: &str, payload: &[u8], id: u16) {
    let mut packet = publish(topic, payload, QoS::AtLeastOnce, id);
    packet.retain = true;
    peer.send(universe, &Packet::Publish(packet));
}

#[test]
fn a_message_outlives_a_group_whose_members_all_left_while_the_index_lags() {
    const MEMBERS: usize = 6_000;
    let mut universe = universe(1);
    let members: Vec<Peer> = (0..MEMBERS)
        .map(|number| {
            let mut member = Peer::join(&mut universe, V5, &format!("member{number}"));
            member.subscribe(&mut universe, "$share/g/t", QoS::AtLeastOnce);
            member
        })
        .collect();
    let mut bob = Peer::join(&mut universe, V5, "bob");
    universe.worker(0).set_index_batch(0);
    for mut member in members {
        member.hang_up(&mut universe);
    }
    bob.publish(&mut universe, "t", b"1", QoS::AtLeastOnce, 1);
    let received = bob.received(&mut universe);
    assert!(matches!(received[0].packet(), Packet::PubAck(_)));
    assert_eq!(universe.shared.totals().drops(DropReason::NoMember), 1);
}

#[test]
fn no_retained_message_of_qos_0_is_dropped_for_its_own_flood() {
    let mut universe = universe(1);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    let payload = vec![7; 256 * 1024];
    for number in 0..40 {
        bob.retain(&mut universe, &format!("t/{number}"), &payload);
    }
    let mut alice = Peer::join(&mut universe, V5, "alice");
    alice.subscribe(&mut universe, "t/#", QoS::AtMostOnce);
    assert_eq!(alice.messages(&mut universe).len(), 40);
    assert_eq!(universe.shared.totals().all_drops(), 0);
}

#[test]
fn a_replay_that_waits_for_room_does_not_bring_back_what_was_replaced_meanwhile() {
    let mut universe = universe(1);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    for number in 0..400 {
        let topic = format!("t/{number:03}");
        retain(&mut bob, &mut universe, &topic, b"old", number + 1);
    }
    let mut packet = connect(V5, "alice");
    packet.properties = ConnectProperties {
        receive_maximum: Some(1),
        ..Default::default()
    };
    let mut alice = Peer::connect(&mut universe, packet);
    alice.subscribe(&mut universe, "t/#", QoS::AtLeastOnce);
    // So far the replay has come, and some way beyond: there it waits for room.
    for number in 257..320 {
        let topic = format!("t/{number:03}");
        retain(&mut bob, &mut universe, &topic, b"new", number + 1);
    }
    let mut last: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    loop {
        let mut acks = Vec::new();
        for received in alice.received(&mut universe) {
            if let Packet::Publish(publish) = received.packet() {
                last.insert(publish.topic.to_owned(), publish.payload.to_vec());
                acks.extend(publish.packet_id);
            }
        }
        if acks.is_empty() {
            break;
        }
        for id in acks {
            let ack = Peer::ack(id, ReasonCode::Success);
            alice.send(&mut universe, &Packet::PubAck(ack));
        }
    }
    assert_eq!(last.len(), 400);
    let new = last.values().filter(|payload| **payload == b"new").count();
    assert_eq!(new, 63);
}

//! What a session leaves in the store is bounded as messages are: when the store lags behind,
//! those who would add to it wait, and when it is full, they are refused.

use std::time::Duration;

use broker::{BrokerConfig, DropReason};
use codec::{ConnectProperties, Packet};
use sim::peer::connect;
use sim::{Peer, Universe};
use store::{MemoryStore, Room};
use types::{ProtocolVersion, QoS, ReasonCode};

const V5: ProtocolVersion = ProtocolVersion::V5;
const V311: ProtocolVersion = ProtocolVersion::V311;
const NOTHING: [u8; 0] = [];

fn universe() -> (Universe, MemoryStore) {
    let store = MemoryStore::default();
    let universe = Universe::with_stores(BrokerConfig::open(2, 3), |_| Box::new(store.clone()));
    (universe, store)
}

/// A client whose session lasts, new or resumed.
fn lasting(universe: &mut Universe, version: ProtocolVersion, client_id: &str) -> Peer {
    let mut packet = connect(version, client_id);
    packet.clean_start = false;
    if version == V5 {
        packet.properties = ConnectProperties {
            session_expiry: Some(3_600),
            ..Default::default()
        };
    }
    Peer::connect(universe, packet)
}

/// Makes all safe that was recorded, and lets the time pass in which workers try again.
fn go_on(universe: &mut Universe, store: &MemoryStore, room: Room) {
    store.with(|tape| tape.room = Some(room));
    for _ in 0..3 {
        store.sync();
        universe.control(&broker::Control::StoreReady);
        universe.advance(Duration::from_millis(100));
    }
}

/// What came: the reasons of CONNACK, SUBACK and UNSUBACK, and pongs as success.
fn answers(peer: &mut Peer, universe: &mut Universe) -> Vec<u8> {
    let received = peer.received(universe);
    let mut answers = Vec::new();
    for one in &received {
        match one.packet() {
            Packet::ConnAck(connack) => answers.push(connack.reason.byte()),
            Packet::SubAck(ack) | Packet::UnsubAck(ack) => answers.extend(ack.reasons.iter()),
            Packet::PingResp => answers.push(0),
            _ => {}
        }
    }
    answers
}

fn records(store: &MemoryStore, word: &str) -> usize {
    store.with(|tape| {
        let records = tape.records.iter();
        records
            .filter(|(_, record)| record.starts_with(word))
            .count()
    })
}

#[test]
fn who_would_add_to_a_store_that_lags_behind_waits() {
    for version in [V311, V5] {
        let (mut universe, store) = universe();
        let mut old = lasting(&mut universe, version, "old");
        go_on(&mut universe, &store, Room::Enough);
        assert_eq!(answers(&mut old, &mut universe), [0]);
        store.with(|tape| tape.room = Some(Room::Behind));
        let before = (records(&store, "Session"), records(&store, "Subscribed"));
        old.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        let mut new = lasting(&mut universe, version, "new");
        go_on(&mut universe, &store, Room::Behind);
        assert_eq!(answers(&mut old, &mut universe), NOTHING);
        assert_eq!(answers(&mut new, &mut universe), NOTHING);
        let after = (records(&store, "Session"), records(&store, "Subscribed"));
        assert_eq!(after, before);
        // What the store need not know goes on.
        let mut brief = Peer::join(&mut universe, version, "brief");
        brief.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        brief.send(&mut universe, &Packet::PingReq);
        assert_eq!(answers(&mut brief, &mut universe), [1, 0]);
        go_on(&mut universe, &store, Room::Enough);
        assert_eq!(answers(&mut old, &mut universe), [1]);
        assert_eq!(answers(&mut new, &mut universe), [0]);
    }
}

/// On a full disk nothing leaves the backlog: who comes back with a large will, or asks again and
/// again for what it has, would add to it for ever.
#[test]
fn who_comes_back_to_a_full_store_that_lags_behind_waits() {
    for version in [V311, V5] {
        let (mut universe, store) = universe();
        let mut old = lasting(&mut universe, version, "old");
        let mut here = lasting(&mut universe, version, "here");
        here.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        go_on(&mut universe, &store, Room::Enough);
        answers(&mut here, &mut universe);
        old.hang_up(&mut universe);
        go_on(&mut universe, &store, Room::FullAndBehind);
        let before = store.with(|tape| tape.records.len());
        let mut old = lasting(&mut universe, version, "old");
        here.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        here.unsubscribe(&mut universe, "a");
        // Who is new learns at once that there is no room.
        let mut new = lasting(&mut universe, version, "new");
        let mut bob = Peer::join(&mut universe, version, "bob");
        bob.publish(&mut universe, "a", b"", QoS::AtLeastOnce, 1);
        go_on(&mut universe, &store, Room::FullAndBehind);
        assert_eq!(answers(&mut new, &mut universe).len(), 1);
        assert_eq!(answers(&mut old, &mut universe), NOTHING);
        assert_eq!(answers(&mut here, &mut universe), NOTHING);
        assert_eq!(store.with(|tape| tape.records.len()), before);
        assert_eq!(universe.shared.totals().drops(DropReason::StoreFull), 1);
        go_on(&mut universe, &store, Room::Full);
        assert_eq!(answers(&mut old, &mut universe), [0]);
        let unsuback: &[u8] = if version == V5 { &[0] } else { &[] };
        assert_eq!(answers(&mut here, &mut universe), [&[1], unsuback].concat());
    }
}

#[test]
fn a_full_store_takes_no_new_sessions_and_subscriptions() {
    for version in [V311, V5] {
        let (mut universe, store) = universe();
        let mut old = lasting(&mut universe, version, "old");
        old.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        go_on(&mut universe, &store, Room::Enough);
        assert_eq!(answers(&mut old, &mut universe), [0, 1]);
        go_on(&mut universe, &store, Room::Full);

        let mut new = lasting(&mut universe, version, "new");
        let refused = if version == V5 {
            ReasonCode::QuotaExceeded.byte()
        } else {
            ReasonCode::ServerUnavailable.byte()
        };
        assert_eq!(answers(&mut new, &mut universe), [refused]);
        // Who is here may leave and come, and ask once more for what it has.
        old.hang_up(&mut universe);
        let mut old = lasting(&mut universe, version, "old");
        old.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        old.subscribe(&mut universe, "b", QoS::AtLeastOnce);
        old.unsubscribe(&mut universe, "a");
        go_on(&mut universe, &store, Room::Full);
        let refused = if version == V5 {
            ReasonCode::QuotaExceeded.byte()
        } else {
            0x80
        };
        let unsuback: &[u8] = if version == V5 { &[0] } else { &[] };
        let wanted = [&[0, 1, refused], unsuback].concat();
        assert_eq!(answers(&mut old, &mut universe), wanted);

        let mut brief = Peer::join(&mut universe, version, "brief");
        brief.subscribe(&mut universe, "b", QoS::AtLeastOnce);
        assert_eq!(answers(&mut brief, &mut universe), [1]);
        go_on(&mut universe, &store, Room::Enough);
        old.subscribe(&mut universe, "b", QoS::AtLeastOnce);
        go_on(&mut universe, &store, Room::Enough);
        assert_eq!(answers(&mut old, &mut universe), [1]);
    }
}

#[test]
fn a_retained_message_that_is_refused_takes_no_room_in_the_store() {
    let (_, store) = universe();
    let mut config = BrokerConfig::open(1, 3);
    config.limits.retained_messages = 1;
    let mut universe = Universe::with_stores(config, |_| Box::new(store.clone()));
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.retain(&mut universe, "a", b"1");
    assert_eq!(store.with(|tape| tape.messages.len()), 1);
    bob.retain(&mut universe, "b", b"2");
    assert_eq!(store.with(|tape| tape.messages.len()), 1);
    bob.retain(&mut universe, "a", b"3");
    assert_eq!(store.with(|tape| tape.messages.len()), 2);
}

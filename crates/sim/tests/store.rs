//! What the store promises, the server promises: acknowledgements wait for it.

use std::time::Duration;

use broker::{BrokerConfig, Control, DropReason};
use codec::{ConnectProperties, Disconnect, Packet};
use sim::peer::{connect, publish};
use sim::{Peer, Received, Universe};
use store::MemoryStore;
use types::{ProtocolVersion, QoS, ReasonCode};

const V5: ProtocolVersion = ProtocolVersion::V5;

fn durable(universe: &mut Universe, client_id: &str) -> Peer {
    let mut packet = connect(V5, client_id);
    packet.properties = ConnectProperties {
        session_expiry: Some(3_600),
        ..Default::default()
    };
    Peer::connect(universe, packet)
}

fn acks(peer: &mut Peer, universe: &mut Universe) -> Vec<(u16, ReasonCode)> {
    peer.received(universe)
        .iter()
        .filter_map(|received| match received.packet() {
            Packet::PubAck(ack) | Packet::PubRec(ack) => Some((ack.packet_id.get(), ack.reason)),
            _ => None,
        })
        .collect()
}

fn universe(workers: usize) -> (Universe, MemoryStore) {
    let store = MemoryStore::default();
    let universe =
        Universe::with_stores(BrokerConfig::open(workers, 3), |_| Box::new(store.clone()));
    (universe, store)
}

fn sync(universe: &mut Universe, store: &MemoryStore) {
    store.sync();
    universe.control(&Control::StoreReady);
    universe.settle();
}

#[test]
fn puback_and_pubrec_wait_until_the_store_has_the_message_mqtt_4_3_2_4() {
    for workers in [1, 2, 4] {
        let (mut universe, store) = universe(workers);
        for number in 0..6 {
            let mut away = durable(&mut universe, &format!("away{number}"));
            away.subscribe(&mut universe, "a", QoS::ExactlyOnce);
            away.hang_up(&mut universe);
        }
        let mut bob = Peer::join(&mut universe, V5, "bob");
        sync(&mut universe, &store);
        bob.received(&mut universe);
        bob.publish(&mut universe, "a", b"1", QoS::AtLeastOnce, 1);
        bob.publish(&mut universe, "a", b"2", QoS::ExactlyOnce, 2);
        // The same again: its answer promises no less.
        bob.publish(&mut universe, "a", b"2", QoS::ExactlyOnce, 2);
        // Nobody wants this one, yet acknowledgements keep their order.
        bob.publish(&mut universe, "b", b"3", QoS::AtLeastOnce, 3);
        assert_eq!(acks(&mut bob, &mut universe), []);
        sync(&mut universe, &store);
        let wanted = [
            (1, ReasonCode::Success),
            (2, ReasonCode::Success),
            (2, ReasonCode::Success),
            (3, ReasonCode::NoMatchingSubscribers),
        ];
        assert_eq!(acks(&mut bob, &mut universe), wanted, "{workers} workers");
    }
}

#[test]
fn a_message_is_stored_once_however_many_want_it_on_however_many_workers() {
    let (mut universe, store) = universe(4);
    for number in 0..10 {
        let mut away = durable(&mut universe, &format!("away{number}"));
        away.subscribe(&mut universe, "a", QoS::AtLeastOnce);
        away.hang_up(&mut universe);
    }
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.publish(&mut universe, "a", b"1", QoS::AtLeastOnce, 1);
    assert_eq!(store.with(|tape| tape.messages.len()), 1);
    let owed: usize = tape(&store)
        .iter()
        .filter(|record| record.starts_with("Owed"))
        .map(|record| record.matches("Delivery {").count())
        .sum();
    assert_eq!(owed, 10);
}

#[test]
fn what_nobody_must_keep_is_acknowledged_at_once_and_not_recorded() {
    let (mut universe, store) = universe(1);
    let mut alice = Peer::join(&mut universe, V5, "alice");
    alice.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.publish(&mut universe, "a", b"1", QoS::AtLeastOnce, 1);
    assert_eq!(acks(&mut bob, &mut universe), [(1, ReasonCode::Success)]);
    assert_eq!(alice.messages(&mut universe).len(), 1);
    assert!(store.with(|tape| tape.records.is_empty()));
}

#[test]
fn a_store_that_failed_promises_nothing_more_f04() {
    let (mut universe, store) = universe(1);
    let mut away = durable(&mut universe, "away");
    away.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    away.hang_up(&mut universe);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.publish(&mut universe, "a", b"1", QoS::AtLeastOnce, 1);
    store.fail();
    sync(&mut universe, &store);
    assert_eq!(acks(&mut bob, &mut universe), []);
    bob.publish(&mut universe, "a", b"2", QoS::AtLeastOnce, 2);
    // Behind the first, which is never acknowledged, the refusal waits too: order is kept.
    assert_eq!(acks(&mut bob, &mut universe), []);
    let mut carol = Peer::join(&mut universe, V5, "carol");
    carol.publish(&mut universe, "a", b"3", QoS::AtLeastOnce, 1);
    let refused: Vec<Received> = carol.received(&mut universe);
    let Packet::PubAck(ack) = refused[0].packet() else {
        panic!("{refused:?}")
    };
    assert_eq!(ack.reason, ReasonCode::QuotaExceeded);
}

fn tape(store: &MemoryStore) -> Vec<String> {
    store.with(|tape| {
        let texts = tape.records.iter().map(|(_, record)| record.clone());
        texts.collect()
    })
}

/// DISCONNECT with a new session expiry.
fn leave(peer: &mut Peer, universe: &mut Universe, session_expiry: u32) {
    let disconnect = Disconnect {
        reason: ReasonCode::Success,
        session_expiry: Some(session_expiry),
        reason_string: None,
        user: Default::default(),
        server_reference: None,
    };
    peer.send(universe, &Packet::Disconnect(disconnect));
}

#[test]
fn a_session_that_disconnect_gives_up_is_given_up_in_the_store() {
    let (mut universe, store) = universe(1);
    let mut alice = durable(&mut universe, "alice");
    leave(&mut alice, &mut universe, 0);
    let records = tape(&store);
    assert!(records[0].starts_with("Session {"), "{records:?}");
    let last = records.last().expect("a record");
    assert!(last.starts_with("SessionEnded {"), "{records:?}");
}

#[test]
fn an_expiry_that_disconnect_changes_is_changed_in_the_store() {
    let (mut universe, store) = universe(1);
    let mut alice = durable(&mut universe, "alice");
    leave(&mut alice, &mut universe, 60);
    let records = tape(&store);
    assert!(records[0].contains("expiry: 3600s"), "{records:?}");
    assert!(records[1].contains("expiry: 60s"), "{records:?}");
}

#[test]
fn a_session_resumed_for_one_connection_only_is_said_so_to_the_store() {
    let (mut universe, store) = universe(1);
    let mut alice = durable(&mut universe, "alice");
    alice.hang_up(&mut universe);
    let mut packet = connect(V5, "alice");
    packet.clean_start = false;
    let mut alice = Peer::connect(&mut universe, packet);
    let records = tape(&store);
    assert!(records[1].starts_with("Away {"), "{records:?}");
    assert!(records[2].starts_with("Session {"), "{records:?}");
    assert!(records[2].contains("expiry: 0ns"), "{records:?}");
    alice.hang_up(&mut universe);
    let records = tape(&store);
    assert!(records[3].starts_with("SessionEnded {"), "{records:?}");
}

#[test]
fn what_dies_with_its_connection_leaves_no_identifier_in_the_store() {
    let (mut universe, store) = universe(1);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.publish(&mut universe, "a", b"1", QoS::ExactlyOnce, 1);
    // Nothing has to be safe, so nothing is waited for.
    assert_eq!(
        acks(&mut bob, &mut universe),
        [(1, ReasonCode::NoMatchingSubscribers)]
    );
    let records = tape(&store);
    assert!(records.is_empty(), "{records:?}");
}

#[test]
fn a_retained_message_that_is_cleared_has_a_later_place_in_the_order() {
    let (mut universe, store) = universe(1);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.retain(&mut universe, "a", b"1");
    bob.retain(&mut universe, "a", b"");
    bob.retain(&mut universe, "a", b"2");
    let records = tape(&store);
    let places: Vec<&str> = records
        .iter()
        .filter_map(|record| record.rsplit_once("sequence: "))
        .filter_map(|(_, rest)| rest.split([',', ' ']).next())
        .collect();
    assert_eq!(places, ["1", "2", "3"], "{records:?}");
}

#[test]
fn who_begins_anew_hears_so_when_the_end_of_the_old_session_is_safe_mqtt_3_1_2_4() {
    let (mut universe, store) = universe(2);
    let mut alice = durable(&mut universe, "alice");
    alice.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    sync(&mut universe, &store);
    alice.hang_up(&mut universe);
    let mut alice = durable(&mut universe, "alice");
    // What she says meanwhile is heard, and answered behind CONNACK (MQTT-3.2.0-1).
    alice.send(&mut universe, &Packet::PingReq);
    assert!(alice.received(&mut universe).is_empty());
    sync(&mut universe, &store);
    let received = alice.received(&mut universe);
    assert!(
        matches!(received[0].packet(), Packet::ConnAck(connack) if !connack.session_present),
        "{received:?}"
    );
    assert!(matches!(received[1].packet(), Packet::PingResp));
    // The end of an earlier connection counts as well.
    leave(&mut alice, &mut universe, 0);
    let mut alice = durable(&mut universe, "alice");
    assert!(alice.received(&mut universe).is_empty());
    alice.hang_up(&mut universe);
    sync(&mut universe, &store);
    // Who has no session to lose is let in at once.
    let mut bob = durable(&mut universe, "bob");
    assert_eq!(bob.received(&mut universe).len(), 1);
}

#[test]
fn a_message_that_expires_while_its_identifier_gets_safe_is_not_sent_mqtt_3_3_2_5() {
    let (mut universe, store) = universe(1);
    let mut alice = durable(&mut universe, "alice");
    alice.subscribe(&mut universe, "a", QoS::ExactlyOnce);
    sync(&mut universe, &store);
    alice.received(&mut universe);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    for (payload, expiry, id) in [(&b"1"[..], 2, 1), (b"2", 60, 2)] {
        let mut packet = publish("a", payload, QoS::ExactlyOnce, id);
        packet.properties.message_expiry = Some(expiry);
        bob.send(&mut universe, &Packet::Publish(packet));
    }
    universe.advance(Duration::from_secs(3));
    sync(&mut universe, &store);
    let got = alice.messages(&mut universe);
    assert_eq!(got, [("a".to_owned(), b"2".to_vec())]);
    let dropped = universe.shared.totals().drops(DropReason::Expired);
    assert_eq!(dropped, 1);
    let last = tape(&store).pop().expect("a record");
    assert!(last.starts_with("Settled {"), "{last}");
}

#[test]
fn a_message_that_the_store_was_not_owed_for_a_while_is_stored_anew() {
    let (mut universe, store) = universe(1);
    let mut alice = durable(&mut universe, "alice");
    alice.subscribe(&mut universe, "$share/g/a", QoS::AtLeastOnce);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.publish(&mut universe, "a", b"1", QoS::AtLeastOnce, 1);
    // Alice leaves it to Carol, whose session is not stored: nobody in the store is owed it.
    let mut carol = Peer::join(&mut universe, V5, "carol");
    carol.subscribe(&mut universe, "$share/g/a", QoS::AtLeastOnce);
    alice.hang_up(&mut universe);
    assert_eq!(carol.messages(&mut universe).len(), 1);
    assert_eq!(store.with(|tape| tape.messages.len()), 1);
    // Carol leaves it to Alice, long after.
    carol.hang_up(&mut universe);
    assert_eq!(store.with(|tape| tape.messages.len()), 2);
    let last = tape(&store)
        .into_iter()
        .rfind(|one| one.starts_with("Owed"));
    let last = last.expect("a record");
    assert!(last.contains("message: MessageRef(2)"), "{last}");
}

#[test]
fn a_message_that_the_store_has_forgotten_is_not_counted_as_damaged() {
    let store = MemoryStore::default();
    let mut config = BrokerConfig::open(1, 3);
    config.limits.stored_memory = 1;
    let mut universe = Universe::with_stores(config, |_| Box::new(store.clone()));
    let mut away = durable(&mut universe, "away");
    away.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    away.hang_up(&mut universe);
    let mut bob = Peer::join(&mut universe, V5, "bob");
    bob.publish(&mut universe, "a", b"forgotten", QoS::AtLeastOnce, 1);
    bob.publish(&mut universe, "a", b"kept", QoS::AtLeastOnce, 2);
    sync(&mut universe, &store);
    store.with(|tape| {
        tape.messages
            .retain(|_, message| message.payload() == b"kept")
    });
    let mut packet = connect(V5, "away");
    packet.clean_start = false;
    packet.properties.session_expiry = Some(3_600);
    let mut away = Peer::connect(&mut universe, packet);
    sync(&mut universe, &store);
    let messages = away.messages(&mut universe);
    assert_eq!(messages, [("a".to_owned(), b"kept".to_vec())]);
    let totals = universe.shared.totals();
    let drops = [DropReason::Missing, DropReason::Damaged].map(|reason| totals.drops(reason));
    assert_eq!(drops, [1, 0]);
}

//! S23, S36, S38, S39, S42: floods, and what bounds them.

mod hostile;

use std::time::Duration;

use broker::metrics::Gauge;
use broker::{BrokerConfig, Control, Counter, DropReason};
use codec::{
    Packet, Subscribe, SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf, UserPropertiesBuf,
};
use hostile::*;
use sim::peer::publish;
use sim::{Peer, Universe};
use store::MemoryStore;
use types::limits::QueuePolicy;
use types::{Limits, PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions};

fn subscribe(filters: impl Iterator<Item = String>, version: ProtocolVersion) -> Vec<u8> {
    let mut list = SubscribeFiltersBuf::new();
    for filter in filters {
        let options = SubscriptionOptions::plain(QoS::AtMostOnce);
        list.push(&filter, options).expect("short");
    }
    let packet = Subscribe {
        packet_id: PacketId::FIRST,
        subscription_id: None,
        user: Default::default(),
        filters: list.as_borrowed(),
    };
    encode(&Packet::Subscribe(packet), version)
}

fn unsubscribe(filters: impl Iterator<Item = String>, version: ProtocolVersion) -> Vec<u8> {
    let mut list = UnsubscribeFiltersBuf::new();
    for filter in filters {
        list.push(&filter).expect("short");
    }
    let packet = Unsubscribe {
        packet_id: PacketId::FIRST,
        user: Default::default(),
        filters: list.as_borrowed(),
    };
    encode(&Packet::Unsubscribe(packet), version)
}

/// The codes of each SUBACK and UNSUBACK that came.
fn codes(peer: &mut Peer, universe: &mut Universe) -> Vec<Vec<u8>> {
    peer.received(universe)
        .iter()
        .filter_map(|received| match received.packet() {
            Packet::SubAck(list) | Packet::UnsubAck(list) => Some(list.reasons.to_vec()),
            _ => None,
        })
        .collect()
}

fn waiting(universe: &Universe) -> (u64, u64) {
    let totals = universe.shared.totals();
    (
        totals.gauge(Gauge::Waiting),
        totals.gauge(Gauge::WaitingBytes),
    )
}

#[test]
fn s23_what_waits_is_counted_with_topic_and_properties() {
    let limits = Limits {
        queued_bytes: 256 * 1024,
        ..Default::default()
    };
    let mut universe = limited(1, limits);
    let mut others = Others::new(&mut universe);
    let mut away = Peer::connect(&mut universe, lasting("away"));
    away.subscribe(&mut universe, "t/#", QoS::AtLeastOnce);
    away.hang_up(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    let mut user = UserPropertiesBuf::new();
    for _ in 0..60 {
        user.push("k", &"v".repeat(1_000)).expect("short");
    }
    let topic = format!("t/{}", "x".repeat(60_000));
    for number in 1..=50 {
        let mut message = publish(&topic, b"", QoS::AtLeastOnce, number);
        message.properties.forward.user = user.as_borrowed();
        peer.send(&mut universe, &Packet::Publish(message));
        let (messages, bytes) = waiting(&universe);
        assert!(bytes <= 256 * 1024, "{bytes}");
        assert!(bytes >= messages * 120_000, "{messages} of {bytes}");
    }
    assert_eq!(waiting(&universe).0, 2);
    assert_eq!(universe.shared.totals().drops(DropReason::QueueFull), 48);
    peer.hang_up(&mut universe);
    universe.advance(Duration::from_secs(3_601));
    assert_eq!(waiting(&universe), (0, 0));
    others.are_alone(&mut universe);
}

#[test]
fn s23_a_message_above_the_mailbox_goes_when_it_is_empty() {
    let limits = Limits {
        packet_size: 8 << 20,
        mailbox_bytes: 1 << 20,
        ..Default::default()
    };
    let mut universe = limited(4, limits);
    let mut others = Others::new(&mut universe);
    let mut listeners: Vec<Peer> = (0..12)
        .map(|number| {
            let mut peer = Peer::join(&mut universe, V5, &format!("listener{number}"));
            peer.subscribe(&mut universe, "t", QoS::AtMostOnce);
            peer.received(&mut universe);
            peer
        })
        .collect();
    let mut peer = Peer::join(&mut universe, V5, "m");
    let payload = vec![7; 4 << 20];
    for number in 1..=5 {
        peer.publish(&mut universe, "t", &payload, QoS::AtLeastOnce, number);
        universe.advance(Duration::from_millis(10));
        let answers = peer.received(&mut universe);
        assert!(matches!(packets(&answers).last(), Some(Packet::PubAck(_))));
        for listener in &mut listeners {
            assert_eq!(listener.messages(&mut universe).len(), 1);
        }
    }
    listeners.push(peer);
    for mut client in listeners {
        client.hang_up(&mut universe);
    }
    others.are_alone(&mut universe);
}

#[test]
fn s30_a_slow_store_holds_no_more_answers_than_receive_maximum() {
    let store = MemoryStore::default();
    let mut config = BrokerConfig::open(1, 11);
    config.limits.receive_maximum = 10;
    let mut universe = Universe::with_stores(config, |_| Box::new(store.clone()));
    let sync = |universe: &mut Universe| {
        store.sync();
        universe.control(&Control::StoreReady);
        universe.advance(Duration::from_millis(10));
    };
    let mut away = Peer::connect(&mut universe, lasting("away"));
    away.subscribe(&mut universe, "t", QoS::AtLeastOnce);
    away.hang_up(&mut universe);
    let mut peer = Peer::join(&mut universe, V311, "m");
    sync(&mut universe);
    for number in 1..=25 {
        peer.publish(&mut universe, "t", b"", QoS::AtLeastOnce, number);
    }
    assert!(peer.received(&mut universe).is_empty());
    assert!(universe.is_paused(peer.link));
    assert_eq!(waiting(&universe).0, 10);
    for (answered, waits) in [(10, 20), (10, 25), (5, 25)] {
        sync(&mut universe);
        assert_eq!(peer.received(&mut universe).len(), answered);
        assert_eq!(waiting(&universe).0, waits);
    }
    assert!(!universe.is_paused(peer.link));
}

#[test]
fn s36_filters_are_bounded_by_packet_and_by_client() {
    let limits = Limits {
        filters_per_packet: 10,
        subscriptions_per_client: 15,
        ..Default::default()
    };
    let mut universe = limited(1, limits);
    let mut others = Others::new(&mut universe);
    for version in VERSIONS {
        let five = version.has_properties();
        let quota = if five { 0x97 } else { 0x80 };
        let names = |from: usize, to: usize| (from..to).map(|number| number.to_string());
        let mut peer = Peer::join(&mut universe, version, "m");
        // Beyond the packet's bound, in its place.
        peer.send_bytes(&mut universe, &subscribe(names(0, 12), version));
        let granted = [vec![0; 10], vec![quota; 2]].concat();
        assert_eq!(codes(&mut peer, &mut universe), [granted]);
        // Beyond the client's bound; what it has already it may have again.
        peer.send_bytes(&mut universe, &subscribe(names(7, 17), version));
        let granted = [vec![0; 8], vec![quota; 2]].concat();
        assert_eq!(codes(&mut peer, &mut universe), [granted]);
        // One filter again and again is one subscription.
        let same = std::iter::repeat_n("3".to_owned(), 1_000);
        peer.send_bytes(&mut universe, &subscribe(same, version));
        assert_eq!(codes(&mut peer, &mut universe)[0].len(), 1_000);
        assert_eq!(universe.shared.index.stats().subscriptions, 16);
        peer.send_bytes(&mut universe, &unsubscribe(names(0, 12), version));
        if five {
            let removed = [vec![0; 10], vec![0x83; 2]].concat();
            assert_eq!(codes(&mut peer, &mut universe), [removed]);
        }
        assert_eq!(universe.shared.index.stats().subscriptions, 6);
        // No filter at all.
        let empty: &[u8] = if five {
            b"\x82\x03\x00\x01\x00"
        } else {
            b"\x82\x02\x00\x01"
        };
        peer.received(&mut universe);
        peer.send_bytes(&mut universe, empty);
        sent_away(
            &mut peer,
            &mut universe,
            five.then_some(ReasonCode::ProtocolError),
        );
    }
    others.are_alone(&mut universe);
}

#[test]
fn s36_the_bytes_of_a_clients_filters_are_bounded() {
    let limits = Limits {
        subscription_bytes_per_client: 100_000,
        ..Default::default()
    };
    let mut universe = limited(1, limits);
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    let long = |number: usize| format!("{number}/{}", "x".repeat(39_998));
    for (number, code) in [(1, 0), (2, 0), (3, 0x97), (2, 0)] {
        let one = std::iter::once(long(number));
        peer.send_bytes(&mut universe, &subscribe(one, V5));
        assert_eq!(codes(&mut peer, &mut universe), [[code]]);
    }
    // What is given back may be taken again.
    let one = std::iter::once(long(1));
    peer.send_bytes(&mut universe, &unsubscribe(one, V5));
    let shared = std::iter::once(format!("$share/g/{}", long(3)));
    peer.send_bytes(&mut universe, &subscribe(shared, V5));
    assert_eq!(codes(&mut peer, &mut universe), [[0], [0]]);
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s36_a_subscriber_waits_for_the_index_and_all_is_answered() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut peers: Vec<Peer> = (0..4)
        .map(|number| Peer::join(&mut universe, V5, &format!("m{number}")))
        .collect();
    // The same filters with and without effect, and such as are none: each has its cost.
    let on = subscribe((0..500).map(|number| format!("f/{number}")), V5);
    let off = unsubscribe((0..500).map(|number| format!("f/{number}")), V5);
    let none = subscribe(std::iter::repeat_n("#/".to_owned(), 1), V5);
    let mut packets = 0;
    while !peers.iter().any(|peer| universe.is_paused(peer.link)) {
        assert!(packets < 100, "nothing holds the flood back");
        for peer in &peers {
            for bytes in [&on, &off, &none] {
                universe.send(peer.link, bytes);
            }
        }
        packets += 3;
    }
    assert!(packets * 500 < 20_000, "{packets} packets of each");
    for peer in &peers {
        universe.send(peer.link, &none.repeat(5_000));
    }
    universe.settle();
    universe.advance(Duration::from_secs(1));
    for peer in &mut peers {
        assert!(!universe.is_paused(peer.link));
        let answers = codes(peer, &mut universe);
        assert_eq!(answers.len(), packets + 5_000);
        peer.hang_up(&mut universe);
    }
    universe.settle();
    others.are_alone(&mut universe);
}

#[test]
fn s36_subscribing_again_and_again_piles_up_no_replays() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for number in 0..100 {
        let topic = format!("r/{number}");
        let mut peer = Peer::join(&mut universe, V5, "keeper");
        peer.retain(&mut universe, &topic, b"kept");
        peer.hang_up(&mut universe);
    }
    let mut peer = Peer::join(&mut universe, V5, "m");
    let again = subscribe(std::iter::once("r/#".to_owned()), V5);
    for _ in 0..50 {
        universe.send(peer.link, &again);
    }
    universe.settle();
    // Each SUBSCRIBE is owed a replay (MQTT-3.3.1-9).
    assert_eq!(peer.messages(&mut universe).len(), 50 * 100);
    // One that ends in the middle of them takes them along.
    universe.set_takes(peer.link, 0);
    for _ in 0..50 {
        universe.send(peer.link, &again);
    }
    universe.settle();
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s38_the_queue_of_a_client_that_is_away_is_bounded_and_its_losses_counted() {
    for policy in [QueuePolicy::DropOldest, QueuePolicy::DropNewest] {
        let limits = Limits {
            queued_messages: 100,
            queue_policy: policy,
            ..Default::default()
        };
        let mut universe = limited(2, limits);
        let mut others = Others::new(&mut universe);
        let mut away = Peer::connect(&mut universe, lasting("away"));
        away.subscribe(&mut universe, "t", QoS::AtLeastOnce);
        away.hang_up(&mut universe);
        let mut peer = Peer::join(&mut universe, V5, "m");
        for number in 1..=5_000_u16 {
            let payload = number.to_be_bytes();
            peer.publish(&mut universe, "t", &payload, QoS::AtLeastOnce, number);
            assert!(waiting(&universe).0 <= 100);
        }
        // The publisher was never told no (a full queue of one session refuses nothing).
        let answers = peer.received(&mut universe);
        assert!(packets(&answers).iter().skip(1).all(
            |packet| matches!(packet, Packet::PubAck(ack) if ack.reason == ReasonCode::Success)
        ));
        assert_eq!(answers.len(), 5_000);
        assert_eq!(universe.shared.totals().drops(DropReason::QueueFull), 4_900);
        let mut away = Peer::connect(&mut universe, lasting("away"));
        let heard = away.messages(&mut universe);
        let first: u16 = if policy == QueuePolicy::DropOldest {
            4_901
        } else {
            1
        };
        assert_eq!(heard.len(), 100);
        assert_eq!(heard[0].1, first.to_be_bytes());
        for mut client in [away, peer] {
            client.hang_up(&mut universe);
        }
        universe.advance(Duration::from_secs(3_601));
        others.are_alone(&mut universe);
    }
}

#[test]
fn s39_sessions_are_capped_in_number_and_in_time() {
    let limits = Limits {
        sessions: 50,
        session_expiry: Duration::from_secs(150),
        ..Default::default()
    };
    let mut universe = limited(2, limits);
    let mut others = Others::new(&mut universe);
    for number in 0..1_000 {
        let id = format!("random{number}");
        let mut hello = lasting(&id);
        hello.properties.session_expiry = Some(u32::MAX);
        let mut peer = Peer::connect(&mut universe, hello);
        if number < 48 {
            let received = peer.received(&mut universe);
            let [Packet::ConnAck(connack)] = &packets(&received)[..] else {
                panic!("{:?}", packets(&received));
            };
            assert_eq!(connack.properties.session_expiry, Some(150));
            peer.hang_up(&mut universe);
        } else {
            sent_away(&mut peer, &mut universe, Some(ReasonCode::QuotaExceeded));
        }
        assert!(universe.shared.connections_and_sessions().1 <= 50);
    }
    // A client that comes and goes does not stay longer for it.
    universe.advance(Duration::from_secs(149));
    assert_eq!(universe.shared.connections_and_sessions().1, 50);
    for _ in 0..100 {
        let mut peer = Peer::connect(&mut universe, lasting("random0"));
        assert_eq!(told(&mut peer, &mut universe), Some(ReasonCode::Success));
        peer.hang_up(&mut universe);
    }
    universe.advance(Duration::from_secs(1));
    assert_eq!(universe.shared.connections_and_sessions().1, 3);
    universe.advance(Duration::from_secs(148));
    assert_eq!(universe.shared.connections_and_sessions().1, 3);
    universe.advance(Duration::from_secs(1));
    others.are_alone(&mut universe);
}

#[test]
fn s42_a_client_that_never_reads_is_bounded_and_goes() {
    for workers in [1, 2] {
        let limits = Limits {
            output_bytes: 64 * 1024,
            queued_bytes: 64 * 1024,
            ..Default::default()
        };
        let mut universe = limited(workers, limits);
        let mut others = Others::new(&mut universe);
        let mut stuck = Peer::join(&mut universe, V5, "stuck");
        stuck.subscribe(&mut universe, "t", QoS::AtLeastOnce);
        universe.set_takes(stuck.link, 0);
        let mut peer = Peer::join(&mut universe, V5, "m");
        let payload = [0; 1_000];
        for number in 1..=2_000 {
            peer.publish(&mut universe, "t", &payload, QoS::AtMostOnce, 0);
            peer.publish(&mut universe, "t", &payload, QoS::AtLeastOnce, number);
            // The publisher is answered at once.
            let answers = peer.received(&mut universe);
            assert!(
                matches!(
                    packets(&answers)[..],
                    [Packet::PubAck(_)] | [Packet::ConnAck(_), ..]
                ),
                "{:?}",
                packets(&answers)
            );
        }
        let totals = universe.shared.totals();
        assert!(totals.drops(DropReason::SlowConsumer) > 1_500);
        assert!(totals.gauge(Gauge::WaitingBytes) <= 64 * 1024);
        universe.advance(Duration::from_secs(59));
        assert!(!universe.is_closed(stuck.link));
        universe.advance(Duration::from_secs(2));
        assert!(universe.is_closed(stuck.link));
        peer.hang_up(&mut universe);
        others.are_alone(&mut universe);
    }
}

#[test]
fn s42_who_asks_and_does_not_read_the_answers_is_not_read_any_more() {
    let limits = Limits {
        output_bytes: 64 * 1024,
        ..Default::default()
    };
    let mut universe = limited(1, limits);
    let mut others = Others::new(&mut universe);
    let pings = b"\xc0\x00".repeat(32 * 1024);
    let flood = |universe: &mut Universe, peer: &Peer| {
        for _ in 0..20 {
            universe.send(peer.link, &pings);
            universe.settle();
        }
    };
    let mut asking = Peer::join(&mut universe, V5, "asking");
    universe.set_takes(asking.link, 0);
    asking.received(&mut universe);
    let before = universe.shared.totals().counter(Counter::PacketsReceived);
    flood(&mut universe, &asking);
    assert!(universe.is_paused(asking.link));
    let taken = universe.shared.totals().counter(Counter::PacketsReceived) - before;
    // 128 KiB of answers of two bytes, and what was in the last read.
    assert!(taken <= 64 * 1024 + 32 * 1024 + 1, "{taken}");
    others.are_served(&mut universe);
    // It reads after all, and every question is answered.
    universe.set_takes(asking.link, usize::MAX);
    universe.settle();
    universe.advance(Duration::from_secs(1));
    assert!(!universe.is_paused(asking.link));
    let answers = universe.take_inbox(asking.link);
    assert_eq!(answers, b"\xd0\x00".repeat(20 * 32 * 1024));
    asking.hang_up(&mut universe);
    // Another one never does.
    let asking = Peer::join(&mut universe, V5, "asking");
    universe.set_takes(asking.link, 0);
    flood(&mut universe, &asking);
    universe.advance(Duration::from_secs(61));
    assert!(universe.is_closed(asking.link));
    others.are_alone(&mut universe);
}

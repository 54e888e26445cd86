//! What holds for the links of one listener: addresses, numbers, rates, and what stands before
//! their topics.

mod hostile;

use std::sync::Arc;
use std::time::Duration;

use auth::rules::Network;
use auth::{Admitted, Identity, Outcome, Request};
use broker::listeners::Knows;
use broker::{BrokerConfig, Control, Counter, DropReason, ListenerRules, Mount};
use codec::{Packet, Will};
use hostile::*;
use sim::guard::Clerk;
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::limits::Rate;
use types::{Limits, QoS, ReasonCode};

fn from(address: &str) -> types::Peer {
    types::Peer::Net(address.parse().expect("an address"))
}

fn network(text: &str) -> Network {
    Network::parse(text).expect("a network")
}

fn rate(count: u64, seconds: u64) -> Option<Rate> {
    Rate::new(count, Duration::from_secs(seconds))
}

/// Listener 0 has no rules, listener 1 these.
fn listening(workers: usize, rules: ListenerRules, limits: Limits) -> Universe {
    let mut config = BrokerConfig::open(workers, 11);
    config.listeners = vec![ListenerRules::default(), rules];
    config.limits = limits;
    config.authenticator = Arc::new(Clerk(|request: &Request| {
        let user = request.username.as_deref().map(Arc::from);
        Outcome::Admitted(Admitted::plain(Identity::of(user)))
    }));
    Universe::new(config)
}

/// A client of listener 1.
fn join(universe: &mut Universe, hello: codec::Connect<'_>) -> Peer {
    let version = hello.version;
    let mut peer = Peer::open_from(universe, version, from("10.0.0.1:1"), 1);
    peer.send(universe, &Packet::Connect(Box::new(hello)));
    let received = peer.received(universe);
    assert!(matches!(packets(&received)[..], [Packet::ConnAck(_), ..]));
    peer
}

#[test]
fn an_address_that_may_not_connect_hears_nothing() {
    for knows in [Knows::AtAccept, Knows::FromProxy] {
        let rules = ListenerRules {
            knows,
            allow: vec![network("10.0.0.0/8")],
            deny: vec![network("10.9.0.0/16")],
            ..ListenerRules::default()
        };
        let mut universe = listening(2, rules, Limits::default());
        let mut others = Others::new(&mut universe);
        for (address, is_in) in [
            ("10.1.0.1:1", true),
            ("10.9.0.1:1", false),
            ("9.0.0.1:1", false),
        ] {
            let mut peer = match knows {
                Knows::AtAccept => Peer::open_from(&mut universe, V5, from(address), 1),
                Knows::FromProxy => {
                    let proxy = from("192.168.0.1:1");
                    let peer = Peer::open_from(&mut universe, V5, proxy, 1);
                    assert!(!universe.is_closed(peer.link));
                    universe.introduce(peer.link, from(address));
                    peer
                }
            };
            assert_eq!(universe.is_closed(peer.link), !is_in, "{address}");
            peer.send(&mut universe, &Packet::Connect(Box::new(connect(V5, "m"))));
            assert_eq!(peer.received(&mut universe).len(), usize::from(is_in));
            peer.hang_up(&mut universe);
        }
        let refused = universe.shared.totals().counter(Counter::LinksRefused);
        assert_eq!(refused, 2);
        others.are_alone(&mut universe);
    }
}

#[test]
fn a_listener_has_a_number_of_connections_of_its_own() {
    let rules = ListenerRules {
        connections: 3,
        ..ListenerRules::default()
    };
    let mut universe = listening(3, rules, Limits::default());
    let mut others = Others::new(&mut universe);
    for _ in 0..3 {
        let mut peers: Vec<Peer> = (0..5)
            .map(|_| Peer::open_from(&mut universe, V5, from("10.0.0.1:1"), 1))
            .collect();
        let closed: Vec<bool> = peers
            .iter()
            .map(|peer| universe.is_closed(peer.link))
            .collect();
        assert_eq!(closed, [false, false, false, true, true]);
        // One goes home to another worker: it is still one.
        for (number, peer) in peers.iter_mut().enumerate().take(3) {
            let name = format!("c{number}");
            peer.send(
                &mut universe,
                &Packet::Connect(Box::new(connect(V5, &name))),
            );
        }
        let extra = Peer::open_from(&mut universe, V5, from("10.0.0.1:1"), 1);
        assert!(universe.is_closed(extra.link));
        for peer in peers.iter_mut().take(3) {
            assert!(!universe.is_closed(peer.link));
            peer.hang_up(&mut universe);
        }
    }
    others.are_alone(&mut universe);
}

#[test]
fn connections_above_their_rate_wait_in_order_or_are_refused() {
    let of_server = Limits {
        connection_rate: rate(10, 1),
        ..Limits::default()
    };
    let of_listener = ListenerRules {
        connection_rate: rate(10, 1),
        ..ListenerRules::default()
    };
    for mut universe in [
        listening(2, ListenerRules::default(), of_server),
        listening(2, of_listener, Limits::default()),
    ] {
        let hello = encode(&Packet::Connect(Box::new(connect(V5, ""))), V5);
        let mut peers: Vec<Peer> = (0..200)
            .map(|_| {
                let peer = Peer::open_from(&mut universe, V5, from("10.0.0.1:1"), 1);
                universe.send(peer.link, &hello);
                peer
            })
            .collect();
        universe.settle();
        // Ten at once, ten in each second of the ten that a CONNECT may take.
        let refused = peers
            .iter()
            .filter(|peer| universe.is_closed(peer.link))
            .count();
        assert!((85..=95).contains(&refused), "{refused}");
        let mut before = 0;
        for second in 0..10 {
            let answered = peers
                .iter_mut()
                .filter(|peer| !universe.is_paused(peer.link) && !universe.is_closed(peer.link))
                .count();
            assert!(answered >= before, "those who came first are first");
            assert!(
                (9..=12).contains(&(answered - before)),
                "{second}: {answered}"
            );
            before = answered;
            universe.advance(Duration::from_secs(1));
        }
    }
}

#[test]
fn messages_above_a_rate_come_later_and_none_is_lost() {
    let of_client = Limits {
        client_message_rate: rate(10, 1),
        ..Limits::default()
    };
    let of_user = Limits {
        user_message_rate: rate(10, 1),
        ..Limits::default()
    };
    let of_listener = ListenerRules {
        message_rate: rate(10, 1),
        ..ListenerRules::default()
    };
    let in_bytes = Limits {
        client_byte_rate: rate(100, 1),
        ..Limits::default()
    };
    let none = ListenerRules::default;
    for (name, mut universe) in [
        ("client", listening(1, none(), of_client)),
        ("user", listening(2, none(), of_user)),
        ("listener", listening(2, of_listener, Limits::default())),
        ("bytes", listening(1, none(), in_bytes)),
    ] {
        let mut others = Others::new(&mut universe);
        let mut hello = connect(V311, "m");
        hello.username = Some("user");
        hello.keep_alive = 2;
        let mut peer = join(&mut universe, hello);
        // Whatever CONNECT has cost is paid.
        universe.advance(Duration::from_secs(1));
        for id in 1..=100 {
            let packet = Packet::Publish(publish("t", b"", QoS::AtLeastOnce, id));
            let bytes = encode(&packet, V311);
            universe.send(peer.link, &bytes);
        }
        universe.settle();
        assert!(universe.is_paused(peer.link), "{name}");
        let mut answered = peer.received(&mut universe).len();
        assert!(answered <= 20, "{name}: {answered}");
        let mut seconds = 0;
        while answered < 100 {
            universe.advance(Duration::from_secs(1));
            let more = peer.received(&mut universe).len();
            // Bytes are charged as they are read: many at once are paid for before the first.
            assert!(more <= 16 || name == "bytes", "{name}: {more}");
            answered += more;
            seconds += 1;
            assert!(seconds < 20, "{name}");
        }
        // Its keep alive did not run meanwhile.
        assert!(!universe.is_closed(peer.link), "{name}");
        assert!(seconds >= 5, "{name}: {seconds}");
        others.are_served(&mut universe);
        peer.hang_up(&mut universe);
        others.are_alone(&mut universe);
    }
}

#[test]
fn the_clients_of_a_user_share_its_rate_on_all_workers() {
    let limits = Limits {
        user_message_rate: rate(10, 1),
        ..Limits::default()
    };
    let mut universe = listening(4, ListenerRules::default(), limits);
    let mut peers: Vec<Peer> = (0..8)
        .map(|number| {
            let name = format!("c{number}");
            let mut hello = connect(V5, &name);
            hello.username = Some(if number < 7 { "many" } else { "one" });
            join(&mut universe, hello)
        })
        .collect();
    let homes: std::collections::BTreeSet<usize> = peers
        .iter()
        .map(|peer| universe.worker_of(peer.link))
        .collect();
    assert!(homes.len() > 1);
    let mut answered = [0; 2];
    for _ in 0..10 {
        for peer in &peers {
            for id in 1..=3 {
                let packet = Packet::Publish(publish("t", b"", QoS::AtLeastOnce, id));
                universe.send(peer.link, &encode(&packet, V5));
            }
        }
        universe.advance(Duration::from_secs(1));
        for (number, peer) in peers.iter_mut().enumerate() {
            answered[usize::from(number == 7)] += peer.received(&mut universe).len();
        }
    }
    // Each connection may run into debt by one message.
    assert!((100..130).contains(&answered[0]), "{answered:?}");
    assert_eq!(answered[1], 30);
}

fn mounted(prefix: &str) -> ListenerRules {
    ListenerRules {
        mount: Mount::new(prefix),
        ..ListenerRules::default()
    }
}

#[test]
fn a_mount_stands_before_all_topics_and_is_not_seen() {
    for workers in [1, 2] {
        let mut universe = listening(workers, mounted("tenant/"), Limits::default());
        let mut outside = Peer::join(&mut universe, V5, "outside");
        outside.subscribe(&mut universe, "#", QoS::AtLeastOnce);
        outside.received(&mut universe);
        let mut hello = lasting("inside");
        hello.properties.topic_alias_maximum = Some(5);
        hello.will = Some(Will {
            topic: "will",
            payload: b"gone",
            qos: QoS::AtMostOnce,
            retain: false,
            delay: None,
            message_expiry: None,
            forward: Default::default(),
        });
        let mut inside = join(&mut universe, hello.clone());
        let mut member = join(&mut universe, connect(V311, "member"));
        inside.subscribe(&mut universe, "a/+", QoS::AtMostOnce);
        member.subscribe(&mut universe, "$share/g/a/#", QoS::AtMostOnce);
        for peer in [&mut inside, &mut member] {
            peer.received(&mut universe);
        }
        // In and out again, by name and by alias, in one direction and in the other.
        let mut packet = publish("a/1", b"1", QoS::AtMostOnce, 0);
        packet.properties.topic_alias = Some(3);
        inside.send(&mut universe, &Packet::Publish(packet));
        packet.topic = "";
        inside.send(&mut universe, &Packet::Publish(packet));
        inside.retain(&mut universe, "a/1", b"kept");
        outside.publish(&mut universe, "tenant/a/1", b"2", QoS::AtMostOnce, 0);
        outside.publish(&mut universe, "a/1", b"3", QoS::AtMostOnce, 0);
        let heard: Vec<_> = outside.messages(&mut universe);
        let topics: Vec<&str> = heard.iter().map(|(topic, _)| topic.as_str()).collect();
        let tenant = "tenant/a/1";
        assert_eq!(topics, [tenant, tenant, tenant, tenant, "a/1"]);
        let heard = inside.messages(&mut universe);
        assert_eq!(heard.len(), 4);
        assert_eq!(heard[0].0, "a/1");
        // By alias from then on.
        assert!(heard[1..].iter().all(|(topic, _)| topic.is_empty()));
        let heard = member.messages(&mut universe);
        assert_eq!(heard.len(), 4);
        assert!(heard.iter().all(|(topic, _)| topic == "a/1"));
        member.subscribe(&mut universe, "#", QoS::AtMostOnce);
        let heard = member.messages(&mut universe);
        assert_eq!(heard, [("a/1".to_owned(), b"kept".to_vec())]);
        // The text that was subscribed to is the one to unsubscribe from.
        inside.unsubscribe(&mut universe, "a/+");
        let received = inside.received(&mut universe);
        let [Packet::UnsubAck(list)] = packets(&received)[..] else {
            panic!("{:?}", packets(&received));
        };
        assert_eq!(list.reasons, [0]);
        inside.hang_up(&mut universe);
        let heard = outside.messages(&mut universe);
        assert_eq!(heard, [("tenant/will".to_owned(), b"gone".to_vec())]);
    }
}

#[test]
fn a_mount_reaches_nothing_of_the_server_or_of_others() {
    let mut universe = listening(1, mounted("tenant/"), Limits::default());
    let mut inside = join(&mut universe, connect(V5, "inside"));
    for (filter, reason) in [
        ("$SYS/#", 0x87),
        ("$share/g/$SYS/#", 0x87),
        ("#", 0),
        ("../#", 0),
    ] {
        inside.subscribe(&mut universe, filter, QoS::AtMostOnce);
        let received = inside.received(&mut universe);
        let [Packet::SubAck(list)] = packets(&received)[..] else {
            panic!("{:?}", packets(&received));
        };
        assert_eq!(list.reasons, [reason], "{filter}");
    }
    inside.publish(&mut universe, "$SYS/x", b"", QoS::AtLeastOnce, 1);
    let received = inside.received(&mut universe);
    let [Packet::PubAck(ack)] = packets(&received)[..] else {
        panic!("{:?}", packets(&received));
    };
    assert_eq!(ack.reason, ReasonCode::NotAuthorized);
    let mut outside = Peer::join(&mut universe, V5, "outside");
    for topic in ["a", "tenant", "tenant2/a"] {
        outside.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
    }
    assert_eq!(inside.messages(&mut universe), []);
    let mut hello = connect(V5, "willing");
    hello.will = Some(Will {
        topic: "$SYS/x",
        payload: b"",
        qos: QoS::AtMostOnce,
        retain: false,
        delay: None,
        message_expiry: None,
        forward: Default::default(),
    });
    let mut peer = Peer::open_from(&mut universe, V5, from("10.0.0.1:1"), 1);
    peer.send(&mut universe, &Packet::Connect(Box::new(hello)));
    sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
    // A session that was made elsewhere brings nothing in.
    let mut hello = lasting("wanders");
    let mut peer = Peer::connect(&mut universe, hello.clone());
    peer.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    peer.hang_up(&mut universe);
    outside.publish(&mut universe, "a", b"waits", QoS::AtLeastOnce, 1);
    hello.clean_start = false;
    let mut peer = join(&mut universe, hello);
    outside.publish(&mut universe, "a", b"", QoS::AtLeastOnce, 2);
    outside.publish(&mut universe, "a", b"", QoS::AtMostOnce, 0);
    assert_eq!(peer.messages(&mut universe), []);
    let drops = universe.shared.totals().drops(DropReason::NotAuthorized);
    // These three, what was published to `$SYS`, and `tenant`, which `tenant/#` matches.
    assert_eq!(drops, 5);
}

#[test]
fn a_reload_holds_who_is_connected_to_other_rates() {
    let of_listener = |count| ListenerRules {
        message_rate: rate(count, 1),
        ..ListenerRules::default()
    };
    let limits = Limits {
        client_message_rate: rate(1_000, 1),
        ..Limits::default()
    };
    let mut universe = listening(2, of_listener(1_000), limits.clone());
    let mut peer = join(&mut universe, connect(V311, "m"));
    universe.advance(Duration::from_secs(1));
    let answered_in_a_second = |universe: &mut Universe, peer: &mut Peer| {
        for id in 1..=100 {
            let packet = Packet::Publish(publish("t", b"", QoS::AtLeastOnce, id));
            universe.send(peer.link, &encode(&packet, V311));
        }
        universe.advance(Duration::from_secs(1));
        let answered = peer.received(universe).len();
        // What is left comes before the next round, at whatever rate.
        let mut rest = 100 - answered;
        while rest > 0 {
            universe.advance(Duration::from_secs(10));
            rest -= peer.received(universe).len();
        }
        universe.advance(Duration::from_secs(60));
        answered
    };
    assert_eq!(answered_in_a_second(&mut universe, &mut peer), 100);

    let reload = |universe: &mut Universe, of_listener: ListenerRules, limits: &Limits| {
        let rules = vec![ListenerRules::default(), of_listener];
        universe.shared.set_listeners(rules);
        universe.control(&Control::Reload {
            limits: Arc::new(limits.clone()),
            reference: None,
        });
        universe.settle();
    };
    reload(&mut universe, of_listener(10), &limits);
    let slowly = answered_in_a_second(&mut universe, &mut peer);
    assert!(slowly <= 30, "by its listener's rate: {slowly}");
    reload(&mut universe, of_listener(1_000), &limits);
    assert_eq!(answered_in_a_second(&mut universe, &mut peer), 100);

    let slower = Limits {
        client_message_rate: rate(10, 1),
        ..limits.clone()
    };
    reload(&mut universe, of_listener(1_000), &slower);
    let slowly = answered_in_a_second(&mut universe, &mut peer);
    assert!(slowly <= 30, "by its own rate: {slowly}");
    reload(&mut universe, of_listener(1_000), &limits);
    assert_eq!(answered_in_a_second(&mut universe, &mut peer), 100);
}

#[test]
fn a_reload_wakes_who_rests_for_a_rate_that_is_gone() {
    let limits = Limits {
        client_message_rate: rate(1, 3_600),
        ..Limits::default()
    };
    let mut universe = listening(1, ListenerRules::default(), limits);
    let mut peer = join(&mut universe, connect(V311, "m"));
    for id in 1..=10 {
        let packet = Packet::Publish(publish("t", b"", QoS::AtLeastOnce, id));
        universe.send(peer.link, &encode(&packet, V311));
    }
    universe.settle();
    let before = peer.received(&mut universe).len();
    assert!(before < 10, "{before}");
    universe.control(&Control::Reload {
        limits: Arc::new(Limits::default()),
        reference: None,
    });
    universe.settle();
    assert_eq!(before + peer.received(&mut universe).len(), 10);
}

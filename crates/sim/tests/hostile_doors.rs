//! S25, S26, S32, S43 to S46, S50, S51, S56 to S58, S70: who may come in, and do what.

mod hostile;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use auth::{Access, Admitted, Exchange, Identity, Outcome, Subject};
use broker::{BrokerConfig, DropReason};
use codec::{Auth, Connect, Packet, Subscribe, SubscribeFiltersBuf, Will};
use hostile::*;
use sim::guard::{Clerk, Judge, refused, wanted};
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{Limits, PacketId, QoS, ReasonCode, SubscriptionOptions};

/// Lets in whose password is the user name backwards.
fn backwards(username: Option<&str>, password: Option<&[u8]>) -> Outcome {
    let Some(user) = username else {
        return Outcome::Admitted(Admitted::plain(Identity::Anonymous));
    };
    let right: String = user.chars().rev().collect();
    match password {
        Some(given) if given == right.as_bytes() => {
            Outcome::Admitted(Admitted::plain(Identity::User(user.into())))
        }
        _ => refused(ReasonCode::BadUserNameOrPassword),
    }
}

/// Such a server, where `secret/#` is closed, and all else too once the rights are revoked.
fn guarded(workers: usize) -> (Universe, Arc<AtomicBool>) {
    let revoked = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&revoked);
    let mut config = BrokerConfig::open(workers, 11);
    config.authenticator = Arc::new(Clerk(|request: &auth::Request| {
        let password = request.password.as_ref().map(auth::Secret::reveal);
        backwards(request.username.as_deref(), password)
    }));
    config.policy = Arc::new(Judge(move |who: &Subject<'_>, access: &Access<'_>| {
        let others = who.client_id.starts_with("others") && *who.identity == Identity::Anonymous;
        others || !(gone.load(Ordering::Relaxed) || wanted(access).starts_with("secret"))
    }));
    (Universe::new(config), revoked)
}

fn user<'a>(mut hello: Connect<'a>, user: &'a str, password: &'a str) -> Connect<'a> {
    hello.username = Some(user);
    hello.password = Some(password.as_bytes());
    hello
}

#[test]
fn s25_a_session_belongs_to_the_identity_that_made_it() {
    for workers in [1, 2] {
        let (mut universe, _) = guarded(workers);
        let mut others = Others::new(&mut universe);
        let mut alice = Peer::connect(&mut universe, user(lasting("device"), "alice", "ecila"));
        alice.subscribe(&mut universe, "private", QoS::AtLeastOnce);
        for connected in [true, false] {
            if !connected {
                alice.hang_up(&mut universe);
                let mut speaker = Peer::join(&mut universe, V5, "speaker");
                speaker.publish(&mut universe, "private", b"for alice", QoS::AtLeastOnce, 1);
                speaker.disconnect(&mut universe, ReasonCode::Success);
            }
            for clean_start in [false, true] {
                let mut theirs = user(lasting("device"), "bob", "bob");
                theirs.clean_start = clean_start;
                let mut nobodys = lasting("device");
                nobodys.clean_start = clean_start;
                for hello in [theirs, nobodys] {
                    let mut bob = Peer::connect(&mut universe, hello);
                    sent_away(&mut bob, &mut universe, Some(ReasonCode::NotAuthorized));
                }
            }
            assert_eq!(universe.is_closed(alice.link), !connected);
        }
        let mut alice = Peer::connect(&mut universe, user(lasting("device"), "alice", "ecila"));
        let heard = alice.messages(&mut universe);
        assert_eq!(heard, [("private".to_owned(), b"for alice".to_vec())]);
        alice.hang_up(&mut universe);
        universe.advance(Duration::from_secs(3_601));
        others.are_alone(&mut universe);
    }
}

#[test]
fn s26_who_fails_to_prove_who_it_is_disturbs_nobody() {
    let (mut universe, _) = guarded(2);
    let mut others = Others::new(&mut universe);
    let mut alice = Peer::connect(&mut universe, user(connect(V5, "device"), "alice", "ecila"));
    alice.subscribe(&mut universe, "t", QoS::AtMostOnce);
    alice.received(&mut universe);
    for version in VERSIONS {
        for password in ["", "alice", "ecil", "ecilaa"] {
            let mut mallory = Peer::connect(
                &mut universe,
                user(connect(version, "device"), "alice", password),
            );
            assert!(universe.is_closed(mallory.link));
            assert!(told(&mut mallory, &mut universe).is_some_and(ReasonCode::is_error));
        }
    }
    assert!(!universe.is_closed(alice.link));
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    speaker.publish(&mut universe, "t", b"1", QoS::AtMostOnce, 0);
    assert_eq!(alice.messages(&mut universe).len(), 1);
    for mut client in [alice, speaker] {
        client.hang_up(&mut universe);
    }
    others.are_alone(&mut universe);
}

#[test]
fn s26_a_no_stays_a_no_whatever_code_it_comes_with() {
    let mut config = BrokerConfig::open(1, 11);
    // With codes that CONNACK does not have.
    config.authenticator = Arc::new(Clerk(|request: &auth::Request| {
        match request.username.as_deref() {
            None => Outcome::Admitted(Admitted::plain(Identity::Anonymous)),
            Some("yes") => refused(ReasonCode::Success),
            Some("two") => refused(ReasonCode::GrantedQoS2),
            Some(_) => refused(ReasonCode::TopicFilterInvalid),
        }
    }));
    let mut universe = Universe::new(config);
    let mut others = Others::new(&mut universe);
    for name in ["yes", "two", "no"] {
        let mut peer = Peer::connect(&mut universe, user(connect(V5, "m"), name, ""));
        sent_away(&mut peer, &mut universe, Some(ReasonCode::UnspecifiedError));
        let mut peer = Peer::connect(&mut universe, user(connect(V311, "m"), name, ""));
        assert!(universe.is_closed(peer.link));
        assert!(told(&mut peer, &mut universe).is_some_and(ReasonCode::is_error));
    }
    others.are_alone(&mut universe);
}

#[test]
fn s32_rights_that_are_revoked_between_the_halves_of_a_handshake() {
    let (mut universe, revoked) = guarded(1);
    let mut others = Others::new(&mut universe);
    let mut listener = Peer::join(&mut universe, V5, "others-too");
    listener.subscribe(&mut universe, "t", QoS::AtMostOnce);
    listener.received(&mut universe);
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    peer.publish(&mut universe, "t", b"before", QoS::ExactlyOnce, 1);
    peer.hang_up(&mut universe);
    revoked.store(true, Ordering::Relaxed);
    // What was taken was delivered then, and is no second time; its release goes through
    // (4.3.3: what PUBREC promised cannot be refused any more).
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    let mut again = publish("t", b"before", QoS::ExactlyOnce, 1);
    again.dup = true;
    peer.send(&mut universe, &Packet::Publish(again));
    let release = Packet::PubRel(Peer::ack(PacketId::FIRST, ReasonCode::Success));
    peer.send(&mut universe, &release);
    peer.publish(&mut universe, "t", b"after", QoS::ExactlyOnce, 1);
    let reasons: Vec<ReasonCode> = peer
        .received(&mut universe)
        .iter()
        .filter_map(|received| match received.packet() {
            Packet::PubRec(ack) | Packet::PubComp(ack) => Some(ack.reason),
            _ => None,
        })
        .collect();
    let done = ReasonCode::Success;
    assert_eq!(reasons, [done, done, ReasonCode::NotAuthorized]);
    let heard = listener.messages(&mut universe);
    assert_eq!(heard, [("t".to_owned(), b"before".to_vec())]);
    let drops = universe.shared.totals().drops(DropReason::NotAuthorized);
    assert_eq!(drops, 1);
    for mut client in [peer, listener] {
        client.hang_up(&mut universe);
    }
    universe.advance(Duration::from_secs(3_601));
    others.are_alone(&mut universe);
}

#[test]
fn s43_what_follows_a_connect_that_is_refused_is_not_looked_at() {
    let (mut universe, _) = guarded(2);
    let mut others = Others::new(&mut universe);
    let mut listener = Peer::join(&mut universe, V5, "listener");
    listener.subscribe(&mut universe, "#", QoS::AtMostOnce);
    listener.received(&mut universe);
    let mut message = publish("t", b"1", QoS::AtMostOnce, 0);
    message.retain = true;
    let behind = encode(&Packet::Publish(message), V5).repeat(3);
    for (hello, let_in) in [
        (user(connect(V5, "m"), "alice", "wrong"), false),
        (user(connect(V5, "m"), "alice", "ecila"), true),
    ] {
        let hello = encode(&Packet::Connect(Box::new(hello)), V5);
        // In one piece, and cut in the middle of each packet.
        let bytes = [&hello[..], &behind].concat();
        for cut in [bytes.len(), hello.len() + 3, hello.len() - 3] {
            let mut peer = Peer::open(&mut universe, V5);
            peer.send_bytes(&mut universe, &bytes[..cut]);
            peer.send_bytes(&mut universe, &bytes[cut..]);
            let heard = listener.messages(&mut universe).len();
            assert_eq!(heard, if let_in { 3 } else { 0 });
            assert_eq!(universe.shared.retained.count(), usize::from(let_in));
            if let_in {
                peer.hang_up(&mut universe);
            } else {
                let reason = Some(ReasonCode::BadUserNameOrPassword);
                sent_away(&mut peer, &mut universe, reason);
            }
        }
    }
    listener.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s44_a_client_id_with_wildcards_stays_one_level_in_topics_of_the_server() {
    let (mut universe, _) = guarded(1);
    let mut others = Others::new(&mut universe);
    let mut listener = Peer::join(&mut universe, V5, "listener");
    listener.subscribe(
        &mut universe,
        "$SYS/brokers/+/clients/+/connected",
        QoS::AtMostOnce,
    );
    listener.received(&mut universe);
    for id in ["a/b", "+", "#", "a/../b", "%2F", "\u{2f}\u{2f}"] {
        let mut peer = Peer::join(&mut universe, V5, id);
        let heard = listener.messages(&mut universe);
        assert_eq!(heard.len(), 1, "{id}");
        assert_eq!(heard[0].0.split('/').count(), 6, "{}", heard[0].0);
        peer.hang_up(&mut universe);
    }
    listener.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s46_a_will_is_asked_about_at_connect_and_again_when_it_is_due() {
    let (mut universe, revoked) = guarded(1);
    let mut others = Others::new(&mut universe);
    let mut listener = Peer::join(&mut universe, V5, "others-too");
    listener.subscribe(&mut universe, "#", QoS::AtMostOnce);
    listener.received(&mut universe);
    let will = |topic| Will {
        topic,
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: true,
        delay: None,
        message_expiry: None,
        forward: Default::default(),
    };
    let mut hello = connect(V5, "m");
    hello.will = Some(will("secret/t"));
    let mut peer = Peer::connect(&mut universe, hello.clone());
    sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
    hello.will = Some(will("t"));
    let mut peer = Peer::connect(&mut universe, hello);
    revoked.store(true, Ordering::Relaxed);
    peer.hang_up(&mut universe);
    assert_eq!(listener.messages(&mut universe), []);
    assert_eq!(universe.shared.retained.count(), 0);
    assert_eq!(universe.shared.totals().drops(DropReason::NotAuthorized), 1);
    listener.hang_up(&mut universe);
    others.are_alone(&mut universe);
    // The policy of a server without configuration keeps `$` to itself.
    let mut universe = Universe::small();
    let mut hello = connect(V5, "m");
    hello.will = Some(will("$SYS/broker/version"));
    let mut peer = Peer::connect(&mut universe, hello);
    sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
}

#[test]
fn s50_and_s51_topics_of_the_server_are_out_of_reach() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut wild = Peer::join(&mut universe, V5, "wild");
    for filter in [
        "#",
        "+/#",
        "+/broker/version",
        "$share/g/#",
        "$share/g/+/broker/#",
    ] {
        wild.subscribe(&mut universe, filter, QoS::AtMostOnce);
    }
    let mut named = Peer::join(&mut universe, V5, "named");
    named.subscribe(&mut universe, "$SYS/brokers/#", QoS::AtMostOnce);
    for peer in [&mut wild, &mut named] {
        peer.received(&mut universe);
    }
    let mut peer = Peer::join(&mut universe, V5, "m");
    assert_eq!(named.messages(&mut universe).len(), 1, "presence of m");
    for topic in [
        "$SYS/broker/version",
        "$share/g/t",
        "$unknown/t",
        "$",
        "$queue/t",
    ] {
        peer.publish(&mut universe, topic, b"", QoS::AtLeastOnce, 1);
        let received = peer.received(&mut universe);
        let [Packet::PubAck(ack)] = packets(&received)[..] else {
            panic!("{:?}", packets(&received));
        };
        assert_eq!(ack.reason, ReasonCode::NotAuthorized);
        peer.retain(&mut universe, topic, b"x");
    }
    assert_eq!(wild.messages(&mut universe), []);
    assert_eq!(named.messages(&mut universe), []);
    assert_eq!(universe.shared.retained.count(), 0);
    for mut client in [wild, named, peer] {
        client.hang_up(&mut universe);
    }
    others.are_alone(&mut universe);
}

#[test]
fn s56_and_s57_each_filter_has_its_own_code() {
    let (mut universe, _) = guarded(1);
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    let places = [
        ("a", 1),
        ("$share", 0x8f),
        ("$share/ab", 0x8f),
        ("$share//t", 0x8f),
        ("b", 1),
        ("$share/+/t", 0x8f),
        ("$share/g/", 0x8f),
        ("$share/g/secret/#", 0x87),
        ("a#", 0x8f),
        ("secret/x", 0x87),
        ("", 0x8f),
        ("$share/g/c", 1),
    ];
    let mut filters = SubscribeFiltersBuf::new();
    for (filter, _) in places {
        let options = SubscriptionOptions::plain(QoS::AtLeastOnce);
        filters.push(filter, options).expect("short");
    }
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: PacketId::FIRST,
        subscription_id: None,
        user: Default::default(),
        filters: filters.as_borrowed(),
    });
    for _ in 0..100 {
        peer.send(&mut universe, &subscribe);
    }
    let received = peer.received(&mut universe);
    assert_eq!(received.len(), 100);
    for packet in packets(&received) {
        let Packet::SubAck(suback) = packet else {
            panic!("{packet:?}");
        };
        assert_eq!(suback.reasons, places.map(|(_, code)| code));
    }
    for topic in ["a", "b", "c"] {
        peer.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
        assert_eq!(peer.messages(&mut universe).len(), 1, "{topic}");
    }
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s58_retained_messages_keep_to_the_granted_qos_and_out_of_groups() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::join(&mut universe, V5, "m");
    let mut message = publish("t", b"kept", QoS::ExactlyOnce, 1);
    message.retain = true;
    peer.send(&mut universe, &Packet::Publish(message));
    peer.received(&mut universe);
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        peer.subscribe(&mut universe, "t", qos);
        let received = peer.received(&mut universe);
        let [Packet::SubAck(_), Packet::Publish(kept)] = packets(&received)[..] else {
            panic!("{:?}", packets(&received));
        };
        assert_eq!((kept.qos, kept.retain), (qos, true));
    }
    peer.subscribe(&mut universe, "$share/g/t", QoS::ExactlyOnce);
    assert_eq!(peer.messages(&mut universe), []);
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

fn auth(method: Option<&'static str>, reason: ReasonCode) -> Packet<'static> {
    Packet::Auth(Auth {
        reason,
        method,
        data: None,
        reason_string: None,
        user: Default::default(),
    })
}

#[test]
fn s70_authentication_has_bounds_of_time_and_memory() {
    let mut config = BrokerConfig::open(1, 11);
    // Asks for more for ever.
    config.authenticator = Arc::new(Clerk(|request: &auth::Request| {
        let method = request.enhanced.as_ref().map(|asked| &*asked.method);
        match method {
            None => Outcome::Admitted(Admitted::plain(Identity::Anonymous)),
            Some("endless") => Outcome::Continue {
                data: b"more".to_vec(),
                exchange: Exchange(Box::new(())),
            },
            Some(_) => refused(ReasonCode::BadAuthenticationMethod),
        }
    }));
    config.limits = Limits {
        unauthenticated_bytes: 64 * 1024,
        ..Default::default()
    };
    let mut universe = Universe::new(config);
    let mut others = Others::new(&mut universe);
    let more = ReasonCode::ContinueAuthentication;
    let filling = "u".repeat(8_000);
    let mut hello = connect(V5, "m");
    hello.username = Some(&filling);
    hello.properties.authentication_method = Some("endless");
    let mut peers: Vec<Peer> = (0..50)
        .map(|_| {
            let peer = Peer::connect(&mut universe, hello.clone());
            assert!(universe.shared.unauthenticated_bytes() <= 64 * 1024);
            peer
        })
        .collect();
    let open = peers.iter().filter(|peer| !universe.is_closed(peer.link));
    assert_eq!(open.count(), 8);
    // However long they keep it up, the deadline is that of CONNECT.
    let mut last = peers.pop().expect("fifty");
    for _ in 0..9 {
        for _ in 0..100 {
            last.send(&mut universe, &auth(Some("endless"), more));
        }
        universe.advance(Duration::from_secs(1));
        assert!(!universe.is_closed(last.link));
    }
    universe.advance(Duration::from_secs(1));
    assert!(universe.is_closed(last.link));
    others.are_alone(&mut universe);
    for (packet, reason) in [
        (auth(None, ReasonCode::Success), ReasonCode::ProtocolError),
        (auth(Some("other"), more), ReasonCode::ProtocolError),
        (
            auth(Some("endless"), ReasonCode::ReAuthenticate),
            ReasonCode::ProtocolError,
        ),
        (Packet::PingReq, ReasonCode::ProtocolError),
    ] {
        let mut peer = Peer::connect(&mut universe, hello.clone());
        peer.send(&mut universe, &packet);
        sent_away(&mut peer, &mut universe, Some(reason));
    }
    let mut unknown = connect(V5, "m");
    unknown.properties.authentication_method = Some("unknown");
    let mut peer = Peer::connect(&mut universe, unknown);
    let reason = ReasonCode::BadAuthenticationMethod;
    sent_away(&mut peer, &mut universe, Some(reason));
    // Without a method there is no AUTH.
    let mut peer = Peer::join(&mut universe, V5, "m");
    peer.send(&mut universe, &auth(Some("endless"), more));
    sent_away(&mut peer, &mut universe, Some(ReasonCode::ProtocolError));
    others.are_alone(&mut universe);
}

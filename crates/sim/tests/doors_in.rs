//! S43, S55, S67: who comes in when the answer comes late, and how long he may stay.

mod hostile;

use std::sync::Arc;
use std::time::Duration;

use auth::{Admitted, Grant, Identity, Outcome, Request};
use broker::mail::Selector;
use broker::{BrokerConfig, CloseReason, Control};
use codec::{Packet, Will};
use hostile::*;
use sim::guard::{Clerk, LateClerk, book, refused};
use sim::peer::{connect, publish};
use sim::rng::Rng;
use sim::{Peer, Universe};
use types::{QoS, ReasonCode};

type Late = LateClerk<fn(&Request) -> Outcome>;

/// Lets in who gives no user name, or `good`, as him.
fn good(request: &Request) -> Outcome {
    let user = request.username.as_deref();
    match user {
        None | Some("good") => {
            let identity = Identity::of(user.map(Arc::from));
            Outcome::Admitted(Admitted::plain(identity))
        }
        Some(_) => refused(ReasonCode::BadUserNameOrPassword),
    }
}

fn guarded(workers: usize) -> (Universe, Arc<Late>) {
    let clerk = LateClerk::new(good as fn(&Request) -> Outcome);
    let mut config = BrokerConfig::open(workers, 11);
    config.authenticator = Arc::clone(&clerk) as Arc<dyn auth::Authenticator>;
    (Universe::new(config), clerk)
}

/// All answers that wait arrive.
fn answer(universe: &mut Universe, clerk: &Late) {
    for (asker, outcome) in clerk.take() {
        universe.answer(asker, outcome);
    }
    universe.settle();
}

/// A client that is let in.
fn join(universe: &mut Universe, clerk: &Late, hello: codec::Connect<'_>) -> Peer {
    let mut peer = Peer::connect(universe, hello);
    answer(universe, clerk);
    let received = peer.received(universe);
    let Some(Packet::ConnAck(connack)) = packets(&received).into_iter().next() else {
        panic!("{:?}", packets(&received));
    };
    assert_eq!(connack.reason, ReasonCode::Success);
    peer
}

#[test]
fn s43_what_follows_connect_waits_for_an_answer_that_comes_late() {
    for workers in [1, 2] {
        let (mut universe, clerk) = guarded(workers);
        let mut listener = join(&mut universe, &clerk, connect(V5, "listener"));
        listener.subscribe(&mut universe, "#", QoS::AtMostOnce);
        listener.received(&mut universe);
        for (user, is_good) in [("good", true), ("bad", false)] {
            let mut hello = connect(V5, "m");
            hello.username = Some(user);
            let hello = encode(&Packet::Connect(Box::new(hello)), V5);
            let mut message = publish("t", b"1", QoS::AtMostOnce, 0);
            message.retain = true;
            let behind = encode(&Packet::Publish(message), V5).repeat(3);
            let mut peer = Peer::open(&mut universe, V5);
            peer.send_bytes(&mut universe, &[&hello[..], &behind[..5]].concat());
            peer.send_bytes(&mut universe, &behind[5..]);
            universe.advance(Duration::from_secs(5));
            assert_eq!(listener.messages(&mut universe), []);
            assert!(peer.received(&mut universe).is_empty());
            assert!(universe.shared.unauthenticated_bytes() >= hello.len());
            answer(&mut universe, &clerk);
            let heard = listener.messages(&mut universe).len();
            assert_eq!(heard, if is_good { 3 } else { 0 });
            assert_eq!(universe.shared.unauthenticated_bytes(), 0);
            if is_good {
                peer.hang_up(&mut universe);
            } else {
                let reason = Some(ReasonCode::BadUserNameOrPassword);
                sent_away(&mut peer, &mut universe, reason);
            }
        }
        assert_eq!(universe.shared.retained.count(), 1);
    }
}

#[test]
fn s43_a_flood_behind_connect_is_not_read_before_the_answer() {
    let (mut universe, clerk) = guarded(1);
    let hello = encode(&Packet::Connect(Box::new(connect(V311, "m"))), V311);
    let message = encode(
        &Packet::Publish(publish("t", &[7; 1000], QoS::AtMostOnce, 0)),
        V311,
    );
    let mut peer = Peer::open(&mut universe, V311);
    peer.send_bytes(&mut universe, &hello);
    for _ in 0..1_000 {
        peer.send_bytes(&mut universe, &message);
    }
    assert!(universe.is_paused(peer.link));
    assert!(universe.shared.unauthenticated_bytes() < 70_000);
    answer(&mut universe, &clerk);
    assert!(!universe.is_paused(peer.link));
    let taken = universe
        .shared
        .totals()
        .publish_received()
        .iter()
        .sum::<u64>();
    assert_eq!(taken, 1_000);
}

#[test]
fn s43_an_answer_that_comes_too_late_is_for_nobody() {
    let (mut universe, clerk) = guarded(1);
    let mut late = Peer::connect(&mut universe, connect(V5, "late"));
    universe.advance(Duration::from_secs(9));
    assert!(!universe.is_closed(late.link));
    universe.advance(Duration::from_secs(2));
    sent_away(&mut late, &mut universe, None);
    let mut gone = Peer::connect(&mut universe, connect(V5, "gone"));
    gone.hang_up(&mut universe);
    // Their slots have other tenants when the answers arrive.
    let mut others: Vec<Peer> = (0..2).map(|_| Peer::open(&mut universe, V5)).collect();
    answer(&mut universe, &clerk);
    for other in &mut others {
        assert!(other.received(&mut universe).is_empty());
        other.hang_up(&mut universe);
    }
    assert_eq!(universe.shared.connections_and_sessions(), (0, 0));
}

#[test]
fn s43_answers_come_in_any_order_and_one_connection_remains() {
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let (mut universe, clerk) = guarded(rng.between(1, 3));
        let mut peers = Vec::new();
        let mut waiting = Vec::new();
        for number in 0..rng.between(2, 12) {
            let name = format!("c{}", number % 3);
            let mut hello = connect(V5, &name);
            hello.clean_start = rng.percent(50);
            hello.username = Some(if rng.percent(70) { "good" } else { "bad" });
            peers.push(Peer::connect(&mut universe, hello));
            waiting.extend(clerk.take());
            while !waiting.is_empty() && rng.percent(30) {
                let (asker, outcome) = waiting.swap_remove(rng.below(waiting.len()));
                universe.answer(asker, outcome);
                universe.settle();
            }
        }
        while !waiting.is_empty() {
            let (asker, outcome) = waiting.swap_remove(rng.below(waiting.len()));
            universe.answer(asker, outcome);
        }
        universe.settle();
        let open = peers.iter().filter(|peer| !universe.is_closed(peer.link));
        let open = open.count();
        assert!(open <= 3, "seed {seed}");
        let counted = universe.shared.connections_and_sessions().0;
        assert_eq!(counted, open, "seed {seed}");
        let connected: usize = (0..universe.workers())
            .map(|worker| universe.worker(worker).connected())
            .sum();
        assert_eq!(connected, open, "seed {seed}");
    }
}

/// Lets everybody in with this grant.
fn granting(grant: Grant) -> (Universe, Arc<Late>) {
    let (_, clerk) = guarded(1);
    let mut config = BrokerConfig::open(1, 11);
    config.authenticator = Arc::new(Granting(grant, Arc::clone(&clerk)));
    config.policy = book(&["allow group=in both #"]);
    (Universe::new(config), clerk)
}

/// Lets in at once, and refreshes late.
struct Granting(Grant, Arc<Late>);

impl auth::Authenticator for Granting {
    fn authenticate(&self, _: Request) -> auth::Answer {
        auth::Answer::Now(admitted(self.0.clone()))
    }

    fn refresh(&self, request: auth::Refresh) -> auth::Answer {
        self.1.refresh(request)
    }
}

fn admitted(grant: Grant) -> Outcome {
    Outcome::Admitted(Admitted {
        grant: Some(Arc::new(grant)),
        ..Admitted::plain(Identity::Anonymous)
    })
}

fn grant(groups: &[&str], valid: u64, refresh: u64) -> Grant {
    let span = |seconds| (seconds > 0).then(|| Duration::from_secs(seconds));
    Grant {
        groups: groups.iter().map(|name| Arc::from(*name)).collect(),
        valid_for: span(valid),
        refresh_after: span(refresh),
        ..Grant::default()
    }
}

#[test]
fn s67_a_grant_that_is_over_ends_the_connection() {
    for version in VERSIONS {
        let (mut universe, _) = granting(grant(&["in"], 300, 0));
        let mut peer = Peer::join(&mut universe, version, "m");
        universe.advance(Duration::from_secs(299));
        assert!(!universe.is_closed(peer.link));
        universe.advance(Duration::from_secs(2));
        let five = version.has_properties();
        sent_away(
            &mut peer,
            &mut universe,
            five.then_some(ReasonCode::NotAuthorized),
        );
    }
}

#[test]
fn s67_a_refresh_changes_what_is_granted_and_lengthens_nothing() {
    let (mut universe, clerk) = granting(grant(&["in"], 300, 100));
    let mut peer = Peer::join(&mut universe, V311, "m");
    peer.subscribe(&mut universe, "t", QoS::AtMostOnce);
    peer.publish(&mut universe, "t", b"1", QoS::AtMostOnce, 0);
    assert_eq!(peer.messages(&mut universe).len(), 1);
    // Nobody answers: it stays as it was.
    universe.advance(Duration::from_secs(101));
    assert!(clerk.take().is_empty());
    clerk.refresh_with(admitted(grant(&[], 300, 100)));
    universe.control(&Control::Refresh(Selector::Client("m".into())));
    universe.settle();
    answer(&mut universe, &clerk);
    // Both what it gets and what it says, by a topic that it has just used.
    assert_eq!(universe.shared.index.stats().subscriptions, 0);
    peer.publish(&mut universe, "t", b"2", QoS::AtMostOnce, 0);
    assert_eq!(peer.messages(&mut universe), []);
    let denied = broker::DropReason::NotAuthorized;
    assert_eq!(universe.shared.totals().drops(denied), 1);
    clerk.refresh_with(admitted(grant(&["in"], 300, 0)));
    universe.advance(Duration::from_secs(101));
    answer(&mut universe, &clerk);
    peer.subscribe(&mut universe, "t", QoS::AtMostOnce);
    peer.publish(&mut universe, "t", b"3", QoS::AtMostOnce, 0);
    assert_eq!(peer.messages(&mut universe).len(), 1);
    universe.advance(Duration::from_secs(90));
    assert!(!universe.is_closed(peer.link));
    universe.advance(Duration::from_secs(10));
    assert!(universe.is_closed(peer.link), "300 seconds are over");
}

#[test]
fn s67_a_refresh_that_says_no_ends_the_connection() {
    let (mut universe, clerk) = granting(grant(&["in"], 0, 10));
    let mut peer = Peer::join(&mut universe, V5, "m");
    clerk.refresh_with(refused(ReasonCode::NotAuthorized));
    universe.advance(Duration::from_secs(11));
    assert!(!universe.is_closed(peer.link));
    answer(&mut universe, &clerk);
    sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
}

#[test]
fn s55_a_ban_ends_what_lives_and_lets_nobody_in() {
    let will = Will {
        topic: "others/will",
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: false,
        delay: None,
        message_expiry: None,
        forward: Default::default(),
    };
    let all = "allow both #";
    for ban in ["ban client=bad", "ban user=bad", "ban address=10.0.0.0/8"] {
        for delay in [None, Some(60)] {
            let mut config = BrokerConfig::open(2, 11);
            config.authenticator = Arc::new(Clerk(|request: &Request| {
                let user = request.username.as_deref().map(Arc::from);
                Outcome::Admitted(Admitted::plain(Identity::of(user)))
            }));
            config.policy = book(&[all]);
            let mut universe = Universe::new(config);
            let mut others = Others::new(&mut universe);
            let mut heir = Peer::join(&mut universe, V5, "heir");
            heir.subscribe(&mut universe, "others/will", QoS::AtMostOnce);
            let bad = |universe: &mut Universe| {
                let from = types::Peer::Net("10.1.2.3:4".parse().expect("an address"));
                let mut peer = Peer::open_from(universe, V5, from, 0);
                let mut hello = lasting("bad");
                hello.username = Some("bad");
                hello.will = Some(Will {
                    delay,
                    ..will.clone()
                });
                peer.send(universe, &Packet::Connect(Box::new(hello)));
                peer
            };
            let mut peer = bad(&mut universe);
            peer.subscribe(&mut universe, "t", QoS::AtLeastOnce);
            peer.received(&mut universe);
            universe.control(&Control::Policy(book(&[ban, all])));
            universe.settle();
            sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
            heir.publish(&mut universe, "t", b"queued", QoS::AtLeastOnce, 1);
            universe.advance(Duration::from_secs(61));
            let mut again = bad(&mut universe);
            sent_away(&mut again, &mut universe, Some(ReasonCode::Banned));
            assert_eq!(heir.messages(&mut universe), [], "{ban}");
            // When the ban is over, what waited is there.
            universe.control(&Control::Policy(book(&[all])));
            universe.settle();
            let mut back = bad(&mut universe);
            assert_eq!(back.messages(&mut universe).len(), 1, "{ban}");
            back.disconnect(&mut universe, ReasonCode::Success);
            heir.hang_up(&mut universe);
            universe.advance(Duration::from_secs(3_601));
            others.are_alone(&mut universe);
        }
    }
}

#[test]
fn an_operator_ends_connections_and_their_wills_go_out() {
    let mut universe = Universe::small();
    let mut peer = Peer::join(&mut universe, V5, "m");
    let mut other = Peer::join(&mut universe, V5, "other");
    let selector = Selector::Client("m".into());
    universe.control(&Control::End(selector, CloseReason::Ended));
    universe.settle();
    sent_away(
        &mut peer,
        &mut universe,
        Some(ReasonCode::AdministrativeAction),
    );
    assert!(!universe.is_closed(other.link));
    other.hang_up(&mut universe);
}

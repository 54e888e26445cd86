//! S47, S48, S49, S71: what becomes of a message whose recipient may not have it any more, and who
//! is told of what was denied.

mod hostile;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use auth::{Admitted, Answer, Authenticator, Grant, Identity, Outcome, Refresh, Request};
use broker::event::Denial;
use broker::{BrokerConfig, Control, Event, EventSink};
use codec::{Packet, Will};
use hostile::*;
use sim::guard::{book, refused};
use sim::peer::connect;
use sim::{Peer, Universe};
use types::{QoS, ReasonCode, WorkerId};

const ALL: &str = "allow both #";

fn ruled(rules: &[&str]) -> Universe {
    let mut config = BrokerConfig::open(1, 11);
    config.policy = book(rules);
    Universe::new(config)
}

fn rule(universe: &mut Universe, rules: &[&str]) {
    universe.control(&Control::Policy(book(rules)));
    universe.settle();
}

/// Topics and payloads that arrive; each is acknowledged if that is wanted.
fn take(universe: &mut Universe, peer: &mut Peer, acknowledges: bool) -> BTreeSet<(String, u8)> {
    let mut taken = BTreeSet::new();
    loop {
        let received = peer.received(universe);
        if received.is_empty() {
            return taken;
        }
        for packet in packets(&received) {
            let Packet::Publish(publish) = packet else {
                continue;
            };
            let first = taken.insert((publish.topic.to_owned(), publish.payload[0]));
            assert!(first || publish.dup, "{publish:?} came twice");
            if acknowledges {
                let ack = Peer::ack(publish.packet_id.expect("an id"), ReasonCode::Success);
                peer.send(universe, &Packet::PubAck(ack));
            }
        }
    }
}

fn say(universe: &mut Universe, speaker: &mut Peer, topics: [&str; 2]) {
    for number in 0..10_u8 {
        let topic = topics[usize::from(number % 2)];
        let id = u16::from(number) + 1;
        speaker.publish(universe, topic, &[number], QoS::AtLeastOnce, id);
    }
}

#[test]
fn s49_what_a_member_did_not_acknowledge_goes_to_another_if_its_group_is_taken_away() {
    let mut universe = ruled(&[ALL]);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut first = Peer::connect(&mut universe, lasting("m"));
    first.subscribe(&mut universe, "$share/g/t", QoS::AtLeastOnce);
    say(&mut universe, &mut speaker, ["t", "t"]);
    assert_eq!(take(&mut universe, &mut first, false).len(), 10);
    let mut second = Peer::connect(&mut universe, lasting("n"));
    second.subscribe(&mut universe, "$share/g/t", QoS::AtLeastOnce);
    rule(&mut universe, &["deny client=m subscribe t", ALL]);
    assert!(universe.is_closed(first.link));
    assert_eq!(take(&mut universe, &mut second, true).len(), 10);
    let mut first = Peer::connect(&mut universe, lasting("m"));
    assert_eq!(take(&mut universe, &mut first, true).len(), 0);
}

#[test]
fn s49_what_waits_for_a_member_that_may_have_a_part_goes_to_another() {
    let mut universe = ruled(&[ALL]);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut hello = lasting("m");
    hello.properties.receive_maximum = Some(1);
    let mut first = Peer::connect(&mut universe, hello);
    first.subscribe(&mut universe, "$share/g/#", QoS::AtLeastOnce);
    say(&mut universe, &mut speaker, ["open", "closed"]);
    let mut second = Peer::connect(&mut universe, lasting("n"));
    second.subscribe(&mut universe, "$share/g/#", QoS::AtLeastOnce);
    rule(&mut universe, &["deny client=m subscribe closed", ALL]);
    let opens = take(&mut universe, &mut first, true);
    assert_eq!(opens.len(), 5);
    assert!(opens.iter().all(|(topic, _)| topic == "open"));
    let closed = take(&mut universe, &mut second, true);
    assert_eq!(closed.len(), 5, "{closed:?}");
    assert!(closed.iter().all(|(topic, _)| topic == "closed"));
}

#[test]
fn s49_what_may_not_be_sent_again_goes_to_another() {
    let mut universe = ruled(&[ALL]);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    let mut first = Peer::connect(&mut universe, lasting("m"));
    first.subscribe(&mut universe, "$share/g/#", QoS::AtLeastOnce);
    say(&mut universe, &mut speaker, ["open", "closed"]);
    assert_eq!(take(&mut universe, &mut first, false).len(), 10);
    // Nobody else is there: it keeps them.
    first.hang_up(&mut universe);
    rule(&mut universe, &["deny client=m subscribe closed", ALL]);
    let mut second = Peer::connect(&mut universe, lasting("n"));
    second.subscribe(&mut universe, "$share/g/#", QoS::AtLeastOnce);
    let mut first = Peer::connect(&mut universe, lasting("m"));
    assert_eq!(take(&mut universe, &mut first, true).len(), 5);
    assert_eq!(take(&mut universe, &mut second, true).len(), 5);
}

/// Identifiers of PUBLISH and of PUBREL that arrive.
fn identifiers(universe: &mut Universe, peer: &mut Peer) -> (Vec<u16>, Vec<u16>) {
    let (mut publishes, mut releases) = (Vec::new(), Vec::new());
    for packet in packets(&peer.received(universe)) {
        match packet {
            Packet::Publish(publish) => publishes.extend(publish.packet_id.map(|id| id.get())),
            Packet::PubRel(ack) => releases.push(ack.packet_id.get()),
            _ => {}
        }
    }
    (publishes, releases)
}

#[test]
fn s48_an_identifier_stays_taken_until_its_client_has_released_it() {
    for is_denied in [true, false] {
        let mut universe = ruled(&[ALL]);
        let mut speaker = Peer::join(&mut universe, V5, "speaker");
        let mut peer = Peer::connect(&mut universe, lasting("m"));
        peer.subscribe(&mut universe, "+", QoS::ExactlyOnce);
        peer.received(&mut universe);
        let large = vec![7; 1_000];
        speaker.publish(&mut universe, "closed", &large, QoS::ExactlyOnce, 1);
        assert_eq!(identifiers(&mut universe, &mut peer), (vec![1], vec![]));
        // PUBREC is lost on its way.
        peer.hang_up(&mut universe);
        let mut hello = lasting("m");
        if is_denied {
            rule(&mut universe, &["deny client=m subscribe closed", ALL]);
        } else {
            hello.properties.maximum_packet_size = Some(100);
        }
        for _ in 0..2 {
            peer = Peer::connect(&mut universe, hello.clone());
            // MQTT-4.3.3-10: by PUBLISH it could be taken for the old one.
            assert_eq!(identifiers(&mut universe, &mut peer), (vec![], vec![1]));
            peer.hang_up(&mut universe);
        }
        peer = Peer::connect(&mut universe, hello);
        speaker.publish(&mut universe, "open", b"2", QoS::ExactlyOnce, 2);
        assert_eq!(identifiers(&mut universe, &mut peer), (vec![2], vec![1]));
        // One that never had it says that it does not know it.
        let id = types::PacketId::FIRST;
        let ack = Peer::ack(id, ReasonCode::PacketIdentifierNotFound);
        peer.send(&mut universe, &Packet::PubComp(ack));
        peer.hang_up(&mut universe);
        peer = Peer::connect(&mut universe, lasting("m"));
        assert_eq!(identifiers(&mut universe, &mut peer), (vec![2], vec![]));
    }
}

#[test]
fn s48_what_the_index_brings_by_a_subscription_that_is_gone_is_asked_about() {
    let mut universe = ruled(&[ALL]);
    let mut speaker = Peer::join(&mut universe, V311, "speaker");
    let mut peer = Peer::join(&mut universe, V311, "m");
    peer.subscribe(&mut universe, "a", QoS::AtMostOnce);
    peer.received(&mut universe);
    // The index is behind: UNSUBSCRIBE is not in it yet.
    universe.worker(0).set_index_batch(0);
    peer.unsubscribe(&mut universe, "a");
    universe.tell(
        WorkerId(0),
        Control::Policy(book(&["deny client=m subscribe a", ALL])),
    );
    for _ in 0..3 {
        universe.turn(0);
    }
    speaker.publish(&mut universe, "a", b"secret", QoS::AtMostOnce, 0);
    assert_eq!(peer.messages(&mut universe), []);
    universe.worker(0).set_index_batch(256);
    universe.settle();
    assert_eq!(universe.shared.index.stats().subscriptions, 0);
}

#[test]
fn s47_what_a_superuser_published_stands_as_long_as_the_policy_says_so() {
    struct Supers(bool);
    impl Authenticator for Supers {
        fn authenticate(&self, request: Request) -> Answer {
            let grant = Grant {
                superuser: true,
                is_known: self.0,
                ..Grant::default()
            };
            let user = request.username.as_deref().map(Arc::from);
            Answer::Now(Outcome::Admitted(Admitted {
                grant: Some(Arc::new(grant)),
                ..Admitted::plain(Identity::of(user))
            }))
        }

        fn refresh(&self, request: Refresh) -> Answer {
            Answer::Now(Outcome::Admitted(Admitted::plain(request.identity)))
        }
    }
    for is_known in [true, false] {
        let mut config = BrokerConfig::open(1, 11);
        config.authenticator = Arc::new(Supers(is_known));
        config.policy = book(&[]);
        let mut universe = Universe::new(config);
        let mut hello = connect(V5, "m");
        hello.username = Some("root");
        let mut peer = Peer::connect(&mut universe, hello);
        peer.retain(&mut universe, "a", b"1");
        let mut probe = Peer::join(&mut universe, V5, "probe");
        probe.subscribe(&mut universe, "#", QoS::AtMostOnce);
        // A back end's word is not known here: it stands. The policy's own users it knows.
        let stands = probe.messages(&mut universe).len();
        assert_eq!(stands, usize::from(!is_known));
    }
}

/// Hears what is denied, and as whom clients are turned away.
#[derive(Default)]
struct Ear {
    denials: Mutex<Vec<Denial>>,
    rejected: Mutex<Vec<Option<Arc<str>>>>,
}

impl EventSink for Ear {
    fn event(&self, event: Event) {
        match event {
            Event::Denied(denial) => self.denials.lock().expect("the ear").push(*denial),
            Event::Rejected { user, .. } => self.rejected.lock().expect("the ear").push(user),
            _ => {}
        }
    }
}

fn heard(rules: &[&str]) -> (Universe, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    let mut config = BrokerConfig::open(1, 11);
    config.policy = book(rules);
    config.events = Arc::clone(&ear) as Arc<dyn EventSink>;
    (Universe::new(config), ear)
}

fn hello_with_will(client_id: &str) -> codec::Connect<'_> {
    let mut hello = connect(V5, client_id);
    hello.will = Some(Will {
        topic: "will",
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: false,
        delay: None,
        message_expiry: None,
        forward: Default::default(),
    });
    hello
}

#[test]
fn who_is_turned_away_for_a_ban_or_a_will_is_among_the_denials() {
    let (mut universe, ear) = heard(&["ban client=bad", "deny publish will", ALL]);
    for hello in [hello_with_will("m"), connect(V5, "bad")] {
        let peer = Peer::connect(&mut universe, hello);
        assert!(universe.is_closed(peer.link));
    }
    let mut denials = ear.denials.lock().expect("the ear");
    let told = denials.drain(..).map(|it| {
        let client = it.client.map(|client| client.as_str().to_owned());
        let why = it.why.map(|why| why.to_string()).unwrap_or_default();
        (
            it.wanted.as_str(),
            client.unwrap_or_default(),
            it.topic,
            why,
        )
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        (told[0].0, &*told[0].1, &*told[0].2),
        ("publish", "m", "will")
    );
    assert!(told[0].3.contains("deny publish will"), "{told:?}");
    assert_eq!((told[1].0, &*told[1].1), ("connect", "bad"));
    assert_eq!(told[1].3, "the client id is banned");
}

/// Takes user names for tokens: this one is `ann`'s, others are wrong.
struct Tokens;

const TOKEN: &str = "eyJ-a-token-of-ann";

impl Authenticator for Tokens {
    fn authenticate(&self, request: Request) -> Answer {
        Answer::Now(match request.username.as_deref() {
            Some(TOKEN) => Outcome::Admitted(Admitted::plain(Identity::User("ann".into()))),
            Some(_) => refused(ReasonCode::BadUserNameOrPassword),
            None => Outcome::Admitted(Admitted::plain(Identity::Anonymous)),
        })
    }

    fn refresh(&self, request: Refresh) -> Answer {
        Answer::Now(Outcome::Admitted(Admitted::plain(request.identity)))
    }

    fn takes_secret_names(&self, listener: u16) -> bool {
        listener == 0
    }
}

#[test]
fn s71_a_token_in_the_place_of_the_user_name_is_told_to_nobody() {
    let ear = Arc::new(Ear::default());
    let mut config = BrokerConfig::open(1, 11);
    config.authenticator = Arc::new(Tokens);
    config.policy = book(&["ban client=bad", "allow subscribe $SYS/#", ALL]);
    config.events = Arc::clone(&ear) as Arc<dyn EventSink>;
    let mut universe = Universe::new(config);
    let mut watcher = Peer::join(&mut universe, V5, "watcher");
    watcher.subscribe(&mut universe, "$SYS/#", QoS::AtMostOnce);
    watcher.received(&mut universe);
    for (client, token) in [("m", TOKEN), ("n", "eyJ-another"), ("bad", TOKEN)] {
        let mut hello = connect(V5, client);
        hello.username = Some(token);
        Peer::connect(&mut universe, hello);
    }
    let told = watcher.messages(&mut universe);
    let told: Vec<_> = told
        .into_iter()
        .filter(|(topic, _)| topic.ends_with("/connected"))
        .map(|(_, payload)| String::from_utf8(payload).expect("JSON"))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("\"username\":\"ann\""), "{told:?}");
    let denials = ear.denials.lock().expect("the ear");
    assert_eq!(denials.len(), 2);
    assert!(denials.iter().all(|denial| denial.user.is_none()));
    let rejected = ear.rejected.lock().expect("the ear");
    assert_eq!(*rejected, [None, None]);
}

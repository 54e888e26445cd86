//! What the control plane may have done: by the same doors as clients.

mod hostile;

use broker::errand::Publication;
use broker::question::{
    Awaits, Findings, Messages, Part, Question, RetainedFacts, Subscribed, WantedSubscriptions,
};
use broker::{BrokerConfig, Done, ListenerRules, Mount, NotDone, Task};
use hostile::*;
use sim::durable::{End, Story, Turn};
use sim::guard::book;
use sim::peer::connect;
use sim::{Peer, Universe};
use topics::ScanCursor;
use types::{
    Limits, QoS, ReasonCode, RetainHandling, SubscriptionFilter, SubscriptionOptions, TopicFilter,
    WorkerId,
};

const FIRST: WorkerId = WorkerId(0);

fn message(topic: &str, payload: &[u8], qos: QoS) -> Publication {
    Publication {
        topic: topic.into(),
        properties: Box::default(),
        payload: payload.into(),
        qos,
        retain: false,
        expiry: None,
    }
}

fn retained(topic: &str, payload: &[u8]) -> Publication {
    Publication {
        retain: true,
        ..message(topic, payload, QoS::AtLeastOnce)
    }
}

/// Does it, and wants to hear of it at once.
fn done(universe: &mut Universe, worker: WorkerId, task: Task) -> Result<Done, NotDone> {
    let answer = universe.errand(worker, task).try_recv();
    answer.expect("an answer")
}

fn publish(universe: &mut Universe, message: Publication) -> Result<Done, NotDone> {
    done(universe, FIRST, Task::Publish(Box::new(message)))
}

fn filter(text: &str) -> SubscriptionFilter {
    SubscriptionFilter::parse(text, 128).expect("a filter")
}

fn subscribe(universe: &mut Universe, client: &str, text: &str) -> Result<Done, NotDone> {
    let task = Task::Subscribe {
        client: client.into(),
        filter: filter(text),
        options: SubscriptionOptions::plain(QoS::AtLeastOnce),
    };
    let home = universe.shared.home_of(client);
    done(universe, home, task)
}

fn unsubscribe(universe: &mut Universe, client: &str, text: &str) -> Result<Done, NotDone> {
    let task = Task::Unsubscribe {
        client: client.into(),
        filter: filter(text),
    };
    let home = universe.shared.home_of(client);
    done(universe, home, task)
}

/// Forgets in steps of this size; how many, and in how many steps.
fn clear(universe: &mut Universe, filter: &str, most: usize) -> (u64, usize) {
    let filter = TopicFilter::parse(filter, 128).expect("a filter");
    let (mut after, mut all, mut steps) = (ScanCursor::default(), 0, 0);
    loop {
        let task = Task::ClearRetained {
            filter: filter.clone(),
            after,
            most,
        };
        let Ok(Done::Cleared { count, next }) = done(universe, FIRST, task) else {
            panic!("it is not cleared");
        };
        assert!(count <= u64::try_from(most).expect("few"));
        (all, steps) = (all + count, steps + 1);
        match next {
            Some(next) => after = next,
            None => return (all, steps),
        }
    }
}

fn listed(universe: &mut Universe, filter: &str, most: usize) -> Vec<RetainedFacts> {
    let filter = TopicFilter::parse(filter, 128).expect("a filter");
    let (mut after, mut all) = (ScanCursor::default(), Vec::new());
    loop {
        let question = Question::Retained {
            filter: filter.clone(),
            after,
            most,
            load: true,
        };
        let Findings::Retained(piece) = universe.ask(FIRST, question) else {
            panic!("no answer");
        };
        assert!(piece.rows.len() <= most);
        all.extend(piece.rows);
        match piece.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

fn waiting(universe: &mut Universe, client: &str, part: Part, from: usize) -> Messages {
    let question = Question::Messages {
        client: client.into(),
        part,
        from,
        most: 2,
    };
    let home = universe.shared.home_of(client);
    match universe.ask(home, question) {
        Findings::Messages(Some(messages)) => messages,
        other => panic!("{other:?}"),
    }
}

fn payloads(messages: &Messages) -> Vec<&[u8]> {
    let bodies = messages.rows.iter().filter_map(|row| row.body.as_ref());
    let here = bodies.map(|body| body.message().expect("it is loaded").payload());
    here.collect()
}

#[test]
fn a_message_of_the_control_plane_reaches_who_wants_it() {
    let mut universe = Universe::new(BrokerConfig::open(3, 11));
    let mut peers: Vec<Peer> = (0..6)
        .map(|number| Peer::join(&mut universe, V5, &format!("c{number}")))
        .collect();
    for peer in &mut peers {
        peer.subscribe(&mut universe, "a/+", QoS::AtLeastOnce);
    }
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let reached = publish(&mut universe, message("a/b", b"x", qos));
        assert_eq!(reached, Ok(Done::Published { reached: true }));
    }
    let nobody = publish(&mut universe, message("b", b"x", QoS::AtLeastOnce));
    assert_eq!(nobody, Ok(Done::Published { reached: false }));
    for peer in &mut peers {
        let messages = peer.messages(&mut universe);
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0], ("a/b".into(), b"x".to_vec()));
    }
    let kept = publish(&mut universe, retained("a/kept", b"last"));
    assert_eq!(kept, Ok(Done::Published { reached: true }));
    let mut late = Peer::join(&mut universe, V5, "late");
    late.subscribe(&mut universe, "a/#", QoS::AtMostOnce);
    assert_eq!(
        late.messages(&mut universe),
        [("a/kept".into(), b"last".to_vec())]
    );
}

#[test]
fn s51_the_control_plane_publishes_by_the_same_door_as_clients() {
    let mut config = BrokerConfig::open(2, 11);
    config.limits = Limits {
        packet_size: 200,
        topic_levels: 4,
        user_properties: 1,
        retained_messages: 1,
        ..Limits::default()
    };
    let mut universe = Universe::new(config);
    let mut peer = Peer::join(&mut universe, V5, "c");
    for filter in ["#", "$SYS/#", "$other/#"] {
        peer.subscribe(&mut universe, filter, QoS::AtMostOnce);
    }
    drop(peer.messages(&mut universe));
    let mut refused = |message: Publication| publish(&mut universe, message).expect_err("refused");
    for topic in ["$SYS/broker/version", "$share/g/t", "$other/t", "$"] {
        let why = refused(message(topic, b"", QoS::AtMostOnce));
        assert!(
            matches!(why, NotDone::Refused(ReasonCode::NotAuthorized, _)),
            "{topic}: {why:?}"
        );
    }
    for topic in ["", "a/+", "#", "a\0", "1/2/3/4/5"] {
        let why = refused(message(topic, b"", QoS::AtMostOnce));
        assert!(matches!(why, NotDone::Invalid(_)), "{topic}: {why:?}");
    }
    let large = refused(message("a", &[0; 200], QoS::AtMostOnce));
    assert!(matches!(
        large,
        NotDone::Refused(ReasonCode::PacketTooLarge, _)
    ));
    // Two user properties; a response topic with a wildcard; no properties at all; one that is not
    // passed on.
    let (pair, response) = (b"\x26\0\x01k\0\x01v", b"\x08\0\x01#");
    for properties in [
        &[*pair, *pair].concat()[..],
        response,
        b"\xff",
        b"\x23\0\x01",
    ] {
        let why = refused(Publication {
            properties: properties.into(),
            ..message("a", b"", QoS::AtMostOnce)
        });
        assert!(
            matches!(why, NotDone::Invalid(_)),
            "{properties:?}: {why:?}"
        );
    }
    assert!(publish(&mut universe, retained("one", b"1")).is_ok());
    let full = publish(&mut universe, retained("two", b"2"));
    assert!(matches!(
        full,
        Err(NotDone::Refused(ReasonCode::QuotaExceeded, _))
    ));
    assert_eq!(
        peer.messages(&mut universe),
        [("one".into(), b"1".to_vec())]
    );
}

#[test]
fn s44_who_subscribes_for_a_client_asks_as_the_client() {
    let mut config = BrokerConfig::open(3, 11);
    config.policy = book(&["deny client=c subscribe a/secret", "allow both a/#"]);
    config.limits.subscriptions_per_client = 2;
    let mut universe = Universe::new(config);
    let mut peer = Peer::join(&mut universe, V5, "c");
    for denied in ["a/secret", "$share/g/a/secret", "b", "$SYS/#"] {
        let why = subscribe(&mut universe, "c", denied);
        assert!(
            matches!(why, Err(NotDone::Refused(ReasonCode::NotAuthorized, _))),
            "{denied}: {why:?}"
        );
    }
    // It is granted in part, and so are its messages.
    assert_eq!(subscribe(&mut universe, "c", "a/#"), Ok(Done::Subscribed));
    for topic in ["a/secret", "a/b"] {
        let sent = publish(&mut universe, message(topic, b"x", QoS::AtMostOnce));
        assert!(sent.is_ok());
    }
    assert_eq!(
        peer.messages(&mut universe),
        [("a/b".into(), b"x".to_vec())]
    );
    assert_eq!(subscribe(&mut universe, "c", "a/1"), Ok(Done::Subscribed));
    let full = subscribe(&mut universe, "c", "a/2");
    assert!(matches!(
        full,
        Err(NotDone::Refused(ReasonCode::QuotaExceeded, _))
    ));
    assert_eq!(subscribe(&mut universe, "d", "a/1"), Err(NotDone::NoClient));
    let task = Task::Subscribe {
        client: "c".into(),
        filter: filter("$share/g/a/b"),
        options: SubscriptionOptions {
            no_local: true,
            ..SubscriptionOptions::plain(QoS::AtMostOnce)
        },
    };
    let home = universe.shared.home_of("c");
    assert!(matches!(
        done(&mut universe, home, task),
        Err(NotDone::Invalid(_))
    ));
    let gone = unsubscribe(&mut universe, "c", "a/#");
    assert_eq!(gone, Ok(Done::Unsubscribed));
    assert_eq!(
        unsubscribe(&mut universe, "c", "a/#"),
        Err(NotDone::NoSubscription)
    );
    publish(&mut universe, message("a/b", b"y", QoS::AtMostOnce)).expect("published");
    // Not even an UNSUBACK.
    assert!(peer.received(&mut universe).is_empty());
}

#[test]
fn filters_for_a_client_are_as_the_server_knows_them() {
    let mut config = BrokerConfig::open(2, 11);
    config.listeners = vec![ListenerRules {
        mount: Mount::new("site/"),
        ..ListenerRules::default()
    }];
    let mut universe = Universe::new(config);
    let mut peer = Peer::join(&mut universe, V5, "c");
    publish(&mut universe, retained("site/a", b"kept")).expect("published");
    let outside = subscribe(&mut universe, "c", "other/a");
    assert!(matches!(
        outside,
        Err(NotDone::Refused(ReasonCode::NotAuthorized, _))
    ));
    for inside in ["site/a", "$share/g/site/b"] {
        assert_eq!(subscribe(&mut universe, "c", inside), Ok(Done::Subscribed));
    }
    assert_eq!(
        peer.messages(&mut universe),
        [("a".into(), b"kept".to_vec())]
    );
    publish(&mut universe, message("site/b", b"b", QoS::AtMostOnce)).expect("published");
    assert_eq!(peer.messages(&mut universe), [("b".into(), b"b".to_vec())]);
    for inside in ["site/a", "$share/g/site/b"] {
        assert_eq!(
            unsubscribe(&mut universe, "c", inside),
            Ok(Done::Unsubscribed)
        );
    }
    peer.hang_up(&mut universe);
}

#[test]
fn who_is_away_is_unsubscribed_and_not_subscribed() {
    let mut universe = Universe::new(BrokerConfig::open(2, 11));
    let mut peer = Peer::connect(&mut universe, lasting("c"));
    peer.subscribe(&mut universe, "a", QoS::AtLeastOnce);
    peer.hang_up(&mut universe);
    assert_eq!(subscribe(&mut universe, "c", "b"), Err(NotDone::Away));
    assert_eq!(unsubscribe(&mut universe, "c", "a"), Ok(Done::Unsubscribed));
    let nobody = publish(&mut universe, message("a", b"", QoS::AtLeastOnce));
    assert_eq!(nobody, Ok(Done::Published { reached: false }));
}

#[test]
fn retained_messages_are_listed_and_forgotten_in_steps() {
    let mut universe = Universe::new(BrokerConfig::open(2, 11));
    let mut peer = Peer::join(&mut universe, V5, "c");
    for number in 0..50 {
        peer.retain(&mut universe, &format!("a/{number:02}"), b"x");
        peer.retain(&mut universe, &format!("b/{number:02}/c"), b"x");
    }
    for most in [1, 7, 1000] {
        let rows = listed(&mut universe, "a/#", most);
        let topics: Vec<&str> = rows.iter().map(|row| &*row.topic).collect();
        let wanted: Vec<String> = (0..50).map(|number| format!("a/{number:02}")).collect();
        assert_eq!(topics, wanted);
        let publisher = rows[0].publisher.as_ref().expect("a publisher");
        assert_eq!(publisher.0.as_str(), "c");
        assert_eq!(listed(&mut universe, "b/+/c", most).len(), 50);
        assert_eq!(listed(&mut universe, "a/01", most).len(), 1);
        assert!(listed(&mut universe, "none", most).is_empty());
    }
    let mut listener = Peer::join(&mut universe, V5, "listener");
    listener.subscribe(&mut universe, "a/#", QoS::AtMostOnce);
    assert_eq!(listener.messages(&mut universe).len(), 50);
    let (count, steps) = clear(&mut universe, "a/#", 10);
    assert_eq!((count, steps >= 5), (50, true));
    assert_eq!(clear(&mut universe, "b/07/c", 10), (1, 1));
    assert_eq!(clear(&mut universe, "b/07/c", 10), (0, 1));
    assert!(listed(&mut universe, "a/#", 100).is_empty());
    assert_eq!(listed(&mut universe, "#", 100).len(), 49);
    // Nobody hears of it.
    assert!(listener.messages(&mut universe).is_empty());
}

#[test]
fn what_waits_and_what_is_on_its_way_is_shown() {
    let mut universe = Universe::new(BrokerConfig::open(2, 11));
    let mut peer = Peer::connect(&mut universe, lasting("c"));
    peer.subscribe(&mut universe, "a", QoS::ExactlyOnce);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    speaker.publish(&mut universe, "a", b"1", QoS::AtLeastOnce, 1);
    speaker.publish(&mut universe, "a", b"2", QoS::ExactlyOnce, 2);
    let underway = waiting(&mut universe, "c", Part::Underway, 0);
    assert_eq!(
        (underway.count, payloads(&underway)),
        (2, vec![&b"1"[..], b"2"])
    );
    let states: Vec<_> = underway.rows.iter().map(|row| row.underway).collect();
    let states: Vec<_> = states.into_iter().flatten().map(|(_, it)| it).collect();
    assert_eq!(states, [Awaits::Puback, Awaits::Pubrec]);
    peer.hang_up(&mut universe);
    for number in 3..8 {
        speaker.publish(&mut universe, "a", &[b'0' + number], QoS::AtLeastOnce, 3);
    }
    let first = waiting(&mut universe, "c", Part::Waiting, 0);
    assert_eq!((first.count, payloads(&first)), (5, vec![&b"3"[..], b"4"]));
    let last = waiting(&mut universe, "c", Part::Waiting, 4);
    assert_eq!(payloads(&last), [b"7"]);
    assert!(
        waiting(&mut universe, "c", Part::Waiting, 5)
            .rows
            .is_empty()
    );
    let message = last.rows[0].body.as_ref().and_then(|body| body.message());
    let publisher = message.and_then(|message| message.publisher());
    let publisher = publisher.expect("a publisher");
    let names = universe.ask(publisher.worker, Question::Names(vec![publisher.key]));
    let Findings::Names(names) = names else {
        panic!("no answer");
    };
    let names: Vec<_> = names.iter().flatten().map(|id| id.as_str()).collect();
    assert_eq!(names, ["speaker"]);
}

fn subscriptions(
    universe: &mut Universe,
    wanted: &WantedSubscriptions,
    most: usize,
) -> Vec<String> {
    let mut all: Vec<Subscribed> = Vec::new();
    for worker in 0..universe.workers() {
        let worker = WorkerId(u16::try_from(worker).expect("few"));
        let mut after = None;
        loop {
            let question = Question::Subscriptions {
                wanted: Box::new(wanted.clone()),
                after,
                most,
            };
            let Findings::Subscriptions(found) = universe.ask(worker, question) else {
                panic!("no answer");
            };
            assert!(found.rows.len() <= most);
            all.extend(found.rows);
            after = found.next;
            if after.is_none() {
                break;
            }
        }
    }
    let shown = |one: Subscribed| format!("{} {}", one.client.as_str(), one.filter);
    let mut all: Vec<String> = all.into_iter().map(shown).collect();
    all.sort_unstable();
    all
}

#[test]
fn subscriptions_are_listed_by_what_is_wanted() {
    let mut universe = Universe::new(BrokerConfig::open(3, 11));
    let mut peers = Vec::new();
    for number in 0..6 {
        let mut peer = Peer::connect(&mut universe, lasting(&format!("c{number}")));
        for filter in ["a/+", "a/b", "$share/g/a/#"] {
            peer.subscribe(&mut universe, filter, QoS::AtLeastOnce);
        }
        peer.subscribe(&mut universe, &format!("own/{number}"), QoS::AtMostOnce);
        peers.push(peer);
    }
    let some = |change: fn(&mut WantedSubscriptions)| {
        let mut wanted = WantedSubscriptions::default();
        change(&mut wanted);
        wanted
    };
    for most in [1, 3, 1000] {
        let mut count = |wanted: WantedSubscriptions| {
            let found = subscriptions(&mut universe, &wanted, most);
            let mut once = found.clone();
            once.dedup();
            assert_eq!(once, found);
            found.len()
        };
        assert_eq!(count(WantedSubscriptions::default()), 24);
        assert_eq!(count(some(|it| it.matching = Some("a/b".into()))), 18);
        assert_eq!(count(some(|it| it.matching = Some("a".into()))), 6);
        assert_eq!(count(some(|it| it.filter = Some("a/#".into()))), 6);
        assert_eq!(count(some(|it| it.filter = Some("$share/g/a/#".into()))), 6);
        assert_eq!(count(some(|it| it.is_shared = true)), 6);
        assert_eq!(count(some(|it| it.share = Some("h".into()))), 0);
        assert_eq!(count(some(|it| it.qos = Some(QoS::AtMostOnce))), 6);
        assert_eq!(count(some(|it| it.client = Some("c3".into()))), 4);
    }
}

#[test]
fn what_was_done_is_answered_when_it_is_safe() {
    let mut story = Story::new(2);
    let (mut peer, _) = story.durable("c");
    peer.subscribe(story.universe(), "a", QoS::AtLeastOnce);
    story.server.settle();
    let home = story.universe().shared.home_of("c");
    let errands = [
        Task::Publish(Box::new(message("a", b"x", QoS::AtLeastOnce))),
        Task::Publish(Box::new(retained("kept", b"x"))),
        Task::Subscribe {
            client: "c".into(),
            filter: filter("b"),
            options: SubscriptionOptions {
                retain_handling: RetainHandling::DoNotSend,
                ..SubscriptionOptions::plain(QoS::AtLeastOnce)
            },
        },
        Task::Unsubscribe {
            client: "c".into(),
            filter: filter("b"),
        },
        Task::ClearRetained {
            filter: TopicFilter::parse("kept", 128).expect("a filter"),
            after: ScanCursor::default(),
            most: 10,
        },
    ];
    for task in errands {
        let words = format!("{task:?}");
        let answer = story.universe().errand(home, task);
        assert!(answer.try_recv().is_err(), "too early: {words}");
        story.store(Turn::Write);
        assert!(answer.try_recv().is_err(), "too early: {words}");
        story.store(Turn::All);
        let answer = answer.try_recv().expect("an answer");
        assert!(answer.is_ok(), "{words}: {answer:?}");
    }
}

#[test]
fn what_was_done_for_the_control_plane_outlives_the_power() {
    let mut story = Story::new(2);
    let (peer, _) = story.durable("c");
    let errand = |story: &mut Story, task: Task| {
        let home = story.universe().shared.home_of("c");
        let answer = story.universe().errand(home, task);
        story.server.settle();
        let answer = answer.try_recv().expect("an answer");
        answer.expect("it is done");
    };
    drop(peer);
    for topic in ["kept/1", "kept/2", "other"] {
        errand(&mut story, Task::Publish(Box::new(retained(topic, b"x"))));
    }
    let clear = Task::ClearRetained {
        filter: TopicFilter::parse("kept/#", 128).expect("a filter"),
        after: ScanCursor::default(),
        most: 10,
    };
    errand(&mut story, clear);
    let subscribe = Task::Subscribe {
        client: "c".into(),
        filter: filter("a/+"),
        options: SubscriptionOptions::plain(QoS::AtLeastOnce),
    };
    errand(&mut story, subscribe);
    story.restart(End::Cut(7));
    errand(
        &mut story,
        Task::Publish(Box::new(message("a/b", b"waits", QoS::AtLeastOnce))),
    );
    story.restart(End::Cut(8));
    // After a restart all lies in the store alone, and is loaded for who asks.
    let home = story.universe().shared.home_of("c");
    let question = |story: &mut Story, question: Question| {
        let (told, hears) = std::sync::mpsc::channel();
        story.universe().ask_later(home, question, told);
        story.server.settle();
        hears.try_recv().expect("an answer")
    };
    let messages = Question::Messages {
        client: "c".into(),
        part: Part::Waiting,
        from: 0,
        most: 10,
    };
    let Findings::Messages(Some(messages)) = question(&mut story, messages) else {
        panic!("no answer");
    };
    assert_eq!(payloads(&messages), [b"waits"]);
    let kept = Question::Retained {
        filter: TopicFilter::parse("#", 128).expect("a filter"),
        after: ScanCursor::default(),
        most: 10,
        load: true,
    };
    let Findings::Retained(kept) = question(&mut story, kept) else {
        panic!("no answer");
    };
    assert_eq!(kept.rows.len(), 1);
    assert_eq!(&*kept.rows[0].topic, "other");
    assert!(kept.rows[0].body.message().is_some());
}

#[test]
fn what_goes_through_a_connection_is_counted() {
    let mut universe = Universe::new(BrokerConfig::open(2, 11));
    let mut packet = connect(V5, "c");
    packet.clean_start = true;
    let mut peer = Peer::connect(&mut universe, packet);
    peer.subscribe(&mut universe, "a", QoS::AtMostOnce);
    for _ in 0..3 {
        peer.publish(&mut universe, "a", b"0123456789", QoS::AtMostOnce, 0);
    }
    assert_eq!(peer.messages(&mut universe).len(), 3);
    let question = Question::Client {
        client: "c".into(),
        after: None,
        most: 0,
    };
    let home = universe.shared.home_of("c");
    let Findings::Client(Some(facts)) = universe.ask(home, question) else {
        panic!("no answer");
    };
    let link = facts.link.expect("a link");
    assert_eq!(
        (link.traffic.messages_in, link.traffic.messages_out),
        (3, 3)
    );
    assert!(link.traffic.bytes_in > 45 && link.traffic.bytes_out > 45);
    assert!(link.clean_start && link.pending == 0);
}

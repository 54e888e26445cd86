//! What the control plane may ask: about a client, and who would get a message.

mod hostile;

use broker::BrokerConfig;
use broker::question::{ClientFacts, Findings, Gets, Presence, Question, Subscriber, Wanted};
use hostile::*;
use sim::guard::book;
use sim::{Peer, Universe};
use types::{QoS, SubscriptionFilter, WorkerId};

fn facts(universe: &mut Universe, client: &str, most: usize) -> Option<ClientFacts> {
    facts_after(universe, client, None, most)
}

fn facts_after(
    universe: &mut Universe,
    client: &str,
    after: Option<SubscriptionFilter>,
    most: usize,
) -> Option<ClientFacts> {
    let home = universe.shared.home_of(client);
    let question = Question::Client {
        client: client.into(),
        after,
        most,
    };
    match universe.ask(home, question) {
        Findings::Client(facts) => facts.map(|facts| *facts),
        other => panic!("{other:?}"),
    }
}

/// All who would get a message, of all workers, in pages of this size.
fn subscribers(
    universe: &mut Universe,
    topic: &str,
    group: Option<&str>,
    most: usize,
) -> Vec<Subscriber> {
    let group = group.map(|text| SubscriptionFilter::parse(text, 128).expect("a filter"));
    let mut all = Vec::new();
    for worker in 0..universe.workers() {
        let mut after = None;
        loop {
            let question = Question::Subscribers {
                topic: topic.into(),
                qos: QoS::ExactlyOnce,
                publisher: None,
                group: group.clone(),
                after,
                most,
            };
            let worker = WorkerId(u16::try_from(worker).expect("few"));
            let Findings::Subscribers(Some(found)) = universe.ask(worker, question) else {
                panic!("no answer");
            };
            assert!(found.clients.len() <= most);
            all.extend(found.clients);
            after = found.next;
            if after.is_none() {
                break;
            }
        }
    }
    all.sort_by(|one, other| one.client.as_str().cmp(other.client.as_str()));
    all
}

#[test]
fn what_is_known_of_a_client() {
    let mut universe = Universe::new(BrokerConfig::open(3, 11));
    assert_eq!(facts(&mut universe, "m", 10), None);
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    for number in 0..25 {
        peer.subscribe(&mut universe, &format!("a/{number:02}"), QoS::AtLeastOnce);
    }
    let known = facts(&mut universe, "m", 10).expect("m");
    let link = known.link.expect("a link");
    assert_eq!((link.version, known.subscription_count), (V5, 25));
    assert_eq!(known.subscriptions.len(), 10);
    let mut all = Vec::new();
    loop {
        let after = all.last().cloned();
        let more = facts_after(&mut universe, "m", after, 10).expect("m");
        if more.subscriptions.is_empty() {
            break;
        }
        all.extend(more.subscriptions.into_iter().map(|one| one.filter));
    }
    assert_eq!(all.len(), 25);
    peer.hang_up(&mut universe);
    let mut speaker = Peer::join(&mut universe, V5, "speaker");
    speaker.publish(&mut universe, "a/01", b"", QoS::AtLeastOnce, 1);
    let known = facts(&mut universe, "m", usize::MAX).expect("m");
    assert_eq!((known.link, known.waiting), (None, 1));
    assert_eq!(known.subscriptions.len(), 25);
}

/// The ids of all clients that are wanted, in pages of this size.
fn clients(universe: &mut Universe, wanted: &Wanted, most: usize) -> Vec<String> {
    let mut all = Vec::new();
    for worker in 0..universe.workers() {
        let worker = WorkerId(u16::try_from(worker).expect("few"));
        let mut after = None;
        loop {
            let question = Question::Clients {
                wanted: Box::new(wanted.clone()),
                after,
                most,
            };
            let Findings::Clients(found) = universe.ask(worker, question) else {
                panic!("no answer");
            };
            assert!(found.clients.len() <= most);
            all.extend(
                found
                    .clients
                    .iter()
                    .map(|one| one.client.as_str().to_owned()),
            );
            after = found.next;
            if after.is_none() {
                break;
            }
        }
    }
    all.sort();
    all
}

#[test]
fn which_clients_there_are() {
    let mut universe = Universe::new(BrokerConfig::open(3, 11));
    let ids: Vec<String> = (0..20).map(|number| format!("c{number:02}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let mut peer = Peer::connect(&mut universe, lasting(id));
        if number < 5 {
            peer.hang_up(&mut universe);
        }
    }
    let all = Wanted::default();
    for most in [1, 3, 1000] {
        assert_eq!(clients(&mut universe, &all, most), ids);
    }
    let some = |change: fn(&mut Wanted)| {
        let mut wanted = Wanted::default();
        change(&mut wanted);
        wanted
    };
    let away = some(|it| it.presence = Some(Presence::Away));
    assert_eq!(clients(&mut universe, &away, 2), ids[..5]);
    let there = some(|it| it.presence = Some(Presence::Connected));
    assert_eq!(clients(&mut universe, &there, 2), ids[5..]);
    let like = some(|it| it.like = Some("1".into()));
    assert_eq!(clients(&mut universe, &like, 2).len(), 11);
    let nobodys = some(|it| it.user = Some("u".into()));
    assert!(clients(&mut universe, &nobodys, 2).is_empty());
}

#[test]
fn who_would_get_a_message() {
    let mut config = BrokerConfig::open(3, 11);
    config.policy = book(&["deny client=c03 subscribe a/b", "allow both #"]);
    let mut universe = Universe::new(config);
    let mut peers: Vec<Peer> = (0..12)
        .map(|number| {
            let mut peer = Peer::connect(&mut universe, lasting(&format!("c{number:02}")));
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce][number % 2];
            peer.subscribe(&mut universe, "a/+", qos);
            if number < 4 {
                peer.subscribe(&mut universe, "$share/g/a/#", QoS::AtLeastOnce);
            }
            peer
        })
        .collect();
    for peer in &mut peers[8..] {
        peer.hang_up(&mut universe);
    }
    for most in [1, 2, 100] {
        let found = subscribers(&mut universe, "a/b", None, most);
        let gets: Vec<Gets> = found.iter().map(|one| one.gets).collect();
        assert_eq!(gets[..3], [Gets::Now; 3]);
        assert_eq!(gets[3], Gets::Denied);
        assert_eq!(gets[4..8], [Gets::Now; 4]);
        assert_eq!(
            gets[8..],
            [Gets::Away, Gets::Later, Gets::Away, Gets::Later]
        );
        assert_eq!(found[5].qos, QoS::AtLeastOnce);
        let members = subscribers(&mut universe, "a/b", Some("$share/g/a/#"), most);
        assert_eq!(members.len(), 4);
        assert_eq!(members[3].gets, Gets::Denied);
    }
    assert_eq!(subscribers(&mut universe, "b", None, 10), []);
    let question = Question::Subscribers {
        topic: "a/b".into(),
        qos: QoS::AtMostOnce,
        publisher: None,
        group: None,
        after: None,
        most: 1,
    };
    let Findings::Subscribers(Some(found)) = universe.ask(WorkerId(0), question.clone()) else {
        panic!("no answer");
    };
    assert_eq!(found.groups.len(), 1);
    assert_eq!(found.groups[0].1, 4);
    // Asking delivers nothing, and is told of nobody.
    assert_eq!(peers[0].messages(&mut universe), []);
}

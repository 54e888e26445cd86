//! Random rulebooks, and what must hold of each.

use proptest::prelude::*;
use topics::matches;

use super::*;
use crate::rules::Network;

fn filter_text() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["", "a", "b", "$S", "+", "+"]);
    let end = prop::sample::select(vec!["", "", "/#"]);
    (prop::collection::vec(level, 0..=3), end).prop_map(|(levels, end)| {
        match levels.join("/") + end {
            text if text.is_empty() || text == "/#" && levels.is_empty() => "#".to_owned(),
            text => text,
        }
    })
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let level = prop::sample::select(vec![
        "",
        "a",
        "b",
        "$S",
        "+",
        "${clientid}",
        "${username}",
        "x${clientid}",
        "${ip}",
    ]);
    let end = prop::sample::select(vec!["", "", "/#"]);
    let letter = prop::bool::weighted(0.1);
    (prop::collection::vec(level, 1..=3), end, letter).prop_map(|(levels, end, letter)| {
        let text = match levels.join("/") + end {
            text if text.is_empty() => "#".to_owned(),
            text => text,
        };
        let pattern = Pattern::parse(&text).unwrap();
        if letter {
            pattern.to_the_letter()
        } else {
            pattern
        }
    })
}

fn who() -> impl Strategy<Value = Who> {
    let local = Network::parse("10.0.0.0/8").unwrap();
    prop::sample::select(vec![
        Who::Anonymous,
        Who::User(names(&["a"])),
        Who::User(names(&["a", "b"])),
        Who::Client(names(&["a", "x*"])),
        Who::Client(names(&["b"])),
        Who::Group(names(&["g"])),
        Who::Group(names(&["h", "g"])),
        Who::Role(names(&["r"])),
        Who::Role(names(&["s"])),
        Who::Address(vec![local]),
        Who::Listener(vec![1]),
        Who::Listener(vec![2]),
    ])
}

fn one_rule() -> impl Strategy<Value = Rule> {
    (
        prop::sample::select(vec![Effect::Allow, Effect::Deny]),
        prop::collection::vec(who(), 0..=2),
        prop::sample::select(vec![
            Action::Publish,
            Action::Subscribe,
            Action::Both,
            Action::Both,
        ]),
        prop::collection::vec(pattern(), 0..=3),
        prop::collection::vec(prop::sample::select(QOS.to_vec()), 0..=2),
        prop::sample::select(vec![None, None, Some(true), Some(false)]),
    )
        .prop_map(|(effect, who, action, topics, qos, retain)| Rule {
            effect,
            who,
            action,
            topics,
            qos,
            retain,
            source: "random".into(),
        })
}

fn rulebook() -> impl Strategy<Value = Contents> {
    (
        prop::collection::vec(one_rule(), 0..12),
        prop::collection::vec(one_rule(), 0..4),
        prop::collection::vec(one_rule(), 0..4),
        prop::sample::select(vec![Effect::Allow, Effect::Deny, Effect::Deny]),
        prop::sample::select(vec![Partial::Deny, Partial::Filter, Partial::Grant]),
    )
        .prop_map(|(list, r, s, no_match, partial)| {
            let role = |name: &str, list| Role {
                name: name.into(),
                rules: Rules { list },
            };
            let mut members = Members::default();
            let membership = Membership {
                groups: names(&["g"]),
                roles: names(&["r"]),
                ..Membership::default()
            };
            members.users.insert("a".into(), membership);
            members.groups.insert("g".into(), names(&["s"]));
            Contents {
                roles: vec![role("r", r), role("s", s)],
                members: Arc::new(members),
                no_match,
                partial,
                open: vec!["$S".into()],
                ..contents(list)
            }
        })
}

fn client() -> impl Strategy<Value = Client> {
    (
        prop::sample::select(vec!["a", "b", "xa", "+", "$S", "a/b", "#"]),
        prop::sample::select(vec![None, Some("a"), Some("b"), Some("#"), Some("")]),
        prop::collection::vec(one_rule(), 0..4),
        prop::sample::select(vec![None, Some("10.0.0.1"), Some("::1")]),
        prop::sample::select(vec![None, Some(1), Some(2)]),
        prop::bool::weighted(0.5),
    )
        .prop_map(|(id, user, list, address, listener, granted)| {
            let mut client = Client::new(id, user);
            client.address = address.map(|address| address.parse().unwrap());
            client.listener = listener;
            if granted {
                client.grant = Some(Grant {
                    groups: names(&["h"]),
                    rules: Some(Arc::new(Rules { list })),
                    ..Grant::default()
                });
            }
            client
        })
}

/// Topics of up to three levels, with one name that is in no rule, and names of clients.
fn all_topics() -> Vec<String> {
    let levels = ["", "a", "b", "$S", "z", "xa", "10.0.0.1"];
    let mut all: Vec<String> = Vec::new();
    for first in levels {
        all.push(first.into());
        for second in levels {
            all.push(format!("{first}/{second}"));
            for third in levels {
                all.push(format!("{first}/{second}/{third}"));
                all.push(format!("{first}/{second}/{third}/z"));
            }
        }
    }
    all.retain(|topic| !topic.is_empty());
    all
}

/// Without conditions on QoS and rules to the letter, which deny filters and not topics.
fn plain(mut list: Vec<Rule>) -> Vec<Rule> {
    for rule in &mut list {
        rule.qos.clear();
        for pattern in &mut rule.topics {
            *pattern = Pattern::parse(pattern.text()).unwrap();
        }
    }
    list
}

/// Whether a client may be given all, and some, of what a filter and a QoS bring.
fn brought(book: &Rulebook, client: &Client, filter: &TopicFilter, qos: QoS) -> (bool, bool) {
    thread_local!(static TOPICS: Vec<String> = all_topics());
    let (mut all, mut some) = (true, false);
    TOPICS.with(|topics| {
        for topic in topics {
            let name = TopicName::parse(topic, 99).unwrap();
            if !matches(filter, name) {
                continue;
            }
            for qos in QOS.into_iter().filter(|it| it.bits() <= qos.bits()) {
                let allowed = client.receive_as(book, topic, qos) == Verdict::Allow;
                some |= allowed;
                all &= allowed;
            }
        }
    });
    (all, some)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s49_a_filter_that_is_allowed_brings_nothing_denied(
        contents in rulebook(),
        client in client(),
        filters in prop::collection::vec(filter_text(), 4),
        qos in prop::sample::select(QOS.to_vec()),
    ) {
        let book = Rulebook::new(contents);
        for text in filters {
            let filter = TopicFilter::parse(&text, 99).unwrap();
            if client.subscribe_as(&book, &text, qos) == Verdict::Allow {
                let (all, _) = brought(&book, &client, &filter, qos);
                prop_assert!(all, "{}", text);
            }
        }
    }

    #[test]
    fn s49_a_filter_that_is_denied_would_bring_something_denied(
        mut contents in rulebook(),
        mut client in client(),
        filters in prop::collection::vec(filter_text(), 4),
        qos in prop::sample::select(QOS.to_vec()),
    ) {
        contents.rules.list = plain(contents.rules.list);
        for role in &mut contents.roles {
            role.rules.list = plain(std::mem::take(&mut role.rules.list));
        }
        if let Some(rules) = client.grant.as_mut().and_then(|grant| grant.rules.as_mut()) {
            *rules = Arc::new(Rules { list: plain(rules.list.clone()) });
        }
        let partial = contents.partial;
        let book = Rulebook::new(contents);
        for text in filters {
            let filter = TopicFilter::parse(&text, 99).unwrap();
            let access = Access::Subscribe { filter: &filter, qos };
            if client.ask(&book, &access).verdict != Verdict::Deny {
                continue;
            }
            let (all, some) = brought(&book, &client, &filter, qos);
            match partial {
                Partial::Grant => prop_assert!(false, "{} is denied", text),
                Partial::Filter => prop_assert!(!some, "{}", text),
                Partial::Deny => {
                    // Several rules may allow all of it together; they are not added up.
                    let steps = book.decide_traced(&client.subject(), &access);
                    let is_part = |step: &&Step| step.why == crate::Why::Part(Effect::Allow);
                    let parts = steps.iter().filter(is_part).count();
                    let topics = |step: &Step| match step.rule {
                        Some(RuleId::Policy(place)) => book.rules()[place as usize].topics.len(),
                        _ => 2,
                    };
                    let single = steps.iter().filter(is_part).all(|step| topics(step) == 1);
                    prop_assert!(!all || parts > 1 || !single, "{}: {:?}", text, steps);
                }
            }
        }
    }

    /// The trees find what a walk along all rules finds; `Client::ask` compares.
    #[test]
    fn trees_and_lists_agree_on_topics(
        contents in rulebook(),
        client in client(),
        retain in prop::bool::ANY,
        qos in prop::sample::select(QOS.to_vec()),
    ) {
        let book = Rulebook::new(contents);
        thread_local!(static TOPICS: Vec<String> = all_topics());
        TOPICS.with(|topics| for topic in topics.iter().step_by(3) {
            client.publish_as(&book, topic, qos, retain);
            client.receive_as(&book, topic, qos);
        });
    }

    #[test]
    fn trees_and_lists_agree_on_filters(
        contents in rulebook(),
        client in client(),
        filters in prop::collection::vec(filter_text(), 20),
        qos in prop::sample::select(QOS.to_vec()),
    ) {
        let book = Rulebook::new(contents);
        for text in filters {
            client.subscribe_as(&book, &text, qos);
        }
    }
}

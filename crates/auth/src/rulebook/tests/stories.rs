//! One story for each promise.

use super::*;
use crate::policy::Why;
use crate::rules::Network;
use Action::{Both, Publish, Subscribe};
use Verdict::{Allow, Deny, Partly};

const C: fn() -> Client = || Client::new("c", Some("u"));

#[test]
fn s59_an_empty_book_denies_all() {
    let book = Rulebook::new(Contents::default());
    assert_eq!(C().publish(&book, "a"), Deny);
    assert_eq!(C().subscribe(&book, "a"), Deny);
    assert_eq!(C().receive(&book, "a"), Deny);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let book = book(vec![
        deny(Publish, &["a/secret/#"]),
        allow(Publish, &["a/#", "b"]),
        deny(Both, &["#"]),
        allow(Both, &["c"]),
    ]);
    for (topic, verdict) in [
        ("a", Allow),
        ("a/b", Allow),
        ("b", Allow),
        ("a/secret", Deny),
        ("a/secret/x", Deny),
        ("b/c", Deny),
        ("c", Deny),
    ] {
        assert_eq!(C().publish(&book, topic), verdict, "{topic}");
        assert_eq!(C().receive(&book, topic), Deny, "{topic}");
    }
}

#[test]
fn s44_a_name_with_wildcards_opens_nothing() {
    let patterns = ["d/${clientid}/#", "u/${username}"].map(|it| Pattern::parse(it).unwrap());
    let mosquitto = ["m/%c/#", "n/%u"].map(|it| Pattern::mosquitto(it).unwrap());
    let mut all = allow(Both, &[]);
    all.topics = patterns.into_iter().chain(mosquitto).collect();
    let book = book(vec![all]);
    for name in ["+", "#", "a/b", "+/#"] {
        let client = Client::new(name, Some(name));
        for filter in [
            "d/+/#", "d/#", "#", "u/+", "u/#", "m/#", "m/+/x", "n/+", "d/a/b",
        ] {
            assert_eq!(client.subscribe(&book, filter), Deny, "{name} {filter}");
        }
        for topic in ["d/a", "d/a/b", "u/a", "u/a/b", "m/x", "n/x"] {
            assert_eq!(client.publish(&book, topic), Deny, "{name} {topic}");
            assert_eq!(client.receive(&book, topic), Deny, "{name} {topic}");
        }
    }
    let client = Client::new("dev1", Some("ann"));
    for filter in ["d/dev1/#", "d/dev1/+", "u/ann", "m/dev1", "n/ann"] {
        assert_eq!(client.subscribe(&book, filter), Allow, "{filter}");
    }
    assert_eq!(client.subscribe(&book, "d/dev2/#"), Deny);
}

#[test]
fn s45_names_in_rules_are_no_regular_expressions() {
    let book = book(vec![
        allow(Both, &["t/${clientid}"]).only(Who::Client(names(&[".*", "[a-z]", "^a", "dev-*"]))),
    ]);
    for id in ["a", "z", "anything"] {
        assert_eq!(
            Client::new(id, None).publish(&book, &format!("t/{id}")),
            Deny,
            "{id}"
        );
    }
    for id in [".*", "[a-z]", "^a", "dev-1", "dev-"] {
        let client = Client::new(id, None);
        assert_eq!(client.publish(&book, &format!("t/{id}")), Allow, "{id}");
        assert_eq!(client.publish(&book, "t/a"), Deny, "{id}");
    }
}

#[test]
fn s49_a_deny_is_about_topics_not_about_the_text_of_filters() {
    let book = book(vec![
        deny(Subscribe, &["a/x", "secret/#"]),
        allow(Subscribe, &["#"]),
    ]);
    for (filter, verdict) in [
        ("a/x", Deny),
        ("secret/#", Deny),
        ("secret", Deny),
        ("secret/+/y", Deny),
        ("+/x", Partly),
        ("a/+", Partly),
        ("+/+", Partly),
        ("#", Partly),
        ("a/#", Partly),
        ("a/y", Allow),
        ("b/#", Allow),
        ("+/y/z/#", Partly),
        ("+", Partly),
    ] {
        assert_eq!(C().subscribe(&book, filter), verdict, "{filter}");
    }
    assert_eq!(C().receive(&book, "a/x"), Deny);
    assert_eq!(C().receive(&book, "secret/y"), Deny);
    assert_eq!(C().receive(&book, "a/y"), Allow);
}

#[test]
fn s50_the_servers_topics_need_a_grant_of_their_own() {
    let open = Contents {
        no_match: Effect::Allow,
        ..Contents::default()
    };
    let books = [
        book(vec![allow(Subscribe, &["#", "+/#", "+/+/+"])]),
        book(vec![allow(Both, &[])]),
        Rulebook::new(open),
    ];
    for book in &books {
        for filter in ["$SYS/#", "$SYS/broker/uptime", "$SYS", "$SYS/+/x"] {
            assert_eq!(C().subscribe(book, filter), Deny, "{filter}");
        }
        for filter in ["#", "+/x", "+/#"] {
            assert_eq!(C().subscribe(book, filter), Allow, "{filter}");
        }
        assert_eq!(C().receive(book, "$SYS/broker/uptime"), Deny);
    }
    let book = book(vec![
        deny(Subscribe, &["$SYS/secret"]),
        allow(Subscribe, &["$SYS/#"]),
    ]);
    assert_eq!(C().subscribe(&book, "$SYS/#"), Partly);
    assert_eq!(C().subscribe(&book, "$SYS/x/#"), Allow);
    assert_eq!(C().subscribe(&book, "#"), Deny);
}

#[test]
fn s51_no_rule_opens_the_servers_topics_to_publishers() {
    let rules = vec![
        allow(Both, &["$SYS/#", "$CONTROL/#", "$CONTROLS", "#"]),
        deny(Publish, &[]),
    ];
    let strict = book(rules.clone());
    let root = Client::new("r", None).granted(Grant {
        superuser: true,
        ..Grant::default()
    });
    for topic in ["$SYS/x", "$share/g/t", "$unknown/t", "$", "$CONTROL/x"] {
        for client in [&C(), &root] {
            assert_eq!(client.publish(&strict, topic), Deny, "{topic}");
        }
    }
    let open = Rulebook::new(Contents {
        open: vec!["$CONTROL".into()],
        no_match: Effect::Allow,
        ..contents(rules)
    });
    let user = Client::new("u", Some("ann"));
    assert_eq!(user.publish(&open, "$CONTROL/dynamic-security/v1"), Allow);
    assert_eq!(user.publish(&open, "$CONTROLS"), Deny);
    assert_eq!(user.publish(&open, "$SYS/x"), Deny);
    // Whoever has no name is not let to them, whatever the rules say.
    let nobody = Client::new("n", None);
    assert_eq!(nobody.publish(&open, "$CONTROL/dynamic-security/v1"), Deny);
    let bare = Rulebook::new(Contents {
        open: vec!["$CONTROL/".into()],
        no_match: Effect::Allow,
        ..contents(vec![allow(Both, &["#"])])
    });
    let root = Client::new("r", Some("root")).granted(Grant {
        superuser: true,
        ..Grant::default()
    });
    for client in [&C(), &user, &root] {
        assert_eq!(client.publish(&bare, "$CONTROL/x"), Deny);
    }
    assert_eq!(root.publish(&open, "$CONTROL/x"), Allow);
}

#[test]
fn a_superuser_may_do_the_rest() {
    let book = book(vec![deny(Both, &[])]);
    let root = C().granted(Grant {
        superuser: true,
        ..Grant::default()
    });
    assert_eq!(root.publish(&book, "a"), Allow);
    assert_eq!(root.subscribe(&book, "$SYS/#"), Allow);
    assert_eq!(root.receive(&book, "$SYS/x"), Allow);
}

#[test]
fn s54_a_topic_that_was_changed_is_asked_about_as_it_is() {
    // A decision knows of no other topic than the one it is asked about.
    let book = book(vec![deny(Publish, &["b"]), allow(Publish, &["a", "b"])]);
    assert_eq!(C().publish(&book, "a"), Allow);
    assert_eq!(C().publish(&book, "b"), Deny);
}

#[test]
fn own_rules_come_first() {
    let book = book(vec![deny(Both, &["a/#"]), allow(Both, &["b/#"])]);
    let list = vec![
        allow(Both, &["a/x"]),
        deny(Both, &["b/x"]),
        allow(Both, &["g"]).only(Who::Group(names(&["elsewhere"]))),
        allow(Both, &["h"]).only(Who::Group(names(&["nowhere"]))),
    ];
    let client = C().granted(Grant {
        rules: Some(Arc::new(Rules { list })),
        groups: names(&["elsewhere"]),
        ..Grant::default()
    });
    assert_eq!(client.publish(&book, "a/x"), Allow);
    assert_eq!(client.publish(&book, "a/y"), Deny);
    assert_eq!(client.publish(&book, "b/x"), Deny);
    assert_eq!(client.publish(&book, "b/y"), Allow);
    assert_eq!(client.subscribe(&book, "b/+"), Partly);
    assert_eq!(client.subscribe(&book, "a/+"), Deny);
    assert_eq!(client.publish(&book, "g"), Allow);
    assert_eq!(client.publish(&book, "h"), Deny);
}

#[test]
fn qos_and_retain_are_conditions() {
    let with = |mut rule: Rule, qos: &[QoS], retain| {
        rule.qos = qos.to_vec();
        rule.retain = retain;
        rule
    };
    let (q0, q1, q2) = (QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce);
    let book = book(vec![
        with(deny(Both, &["a"]), &[q2], None),
        with(deny(Publish, &["a"]), &[], Some(true)),
        with(allow(Both, &["a"]), &[q1, q2], None),
        with(allow(Both, &["r"]), &[], Some(true)),
    ]);
    assert_eq!(C().publish_as(&book, "a", q0, false), Deny);
    assert_eq!(C().publish_as(&book, "a", q1, false), Allow);
    assert_eq!(C().publish_as(&book, "a", q1, true), Deny);
    assert_eq!(C().publish_as(&book, "a", q2, false), Deny);
    assert_eq!(C().subscribe_as(&book, "a", q0), Deny);
    assert_eq!(C().subscribe_as(&book, "a", q1), Allow);
    assert_eq!(C().subscribe_as(&book, "a", q2), Deny);
    // What was subscribed with QoS 1 brings QoS 0 as well.
    assert_eq!(C().receive_as(&book, "a", q0), Allow);
    assert_eq!(C().receive_as(&book, "a", q1), Allow);
    assert_eq!(C().receive_as(&book, "a", q2), Deny);
    assert_eq!(C().publish_as(&book, "r", q0, true), Allow);
    assert_eq!(C().publish_as(&book, "r", q0, false), Deny);
    assert_eq!(C().subscribe_as(&book, "r", q2), Allow);
}

#[test]
fn roles_come_by_user_by_group_and_by_nobody() {
    let role = |name: &str, topic: &str| Role {
        name: name.into(),
        rules: Rules {
            list: vec![allow(Both, &[topic])],
        },
    };
    let mut members = Members::default();
    let ann = Membership {
        groups: names(&["staff"]),
        roles: names(&["own", "unknown"]),
        ..Membership::default()
    };
    members.users.insert("ann".into(), ann);
    members.anonymous.roles = names(&["guest"]);
    members.groups.insert("staff".into(), names(&["staffed"]));
    members
        .groups
        .insert("outside".into(), names(&["outsider"]));
    let mut grouped = contents(vec![
        allow(Both, &["grouped"]).only(Who::Group(names(&["staff"]))),
        allow(Both, &["roled"]).only(Who::Role(names(&["own", "x"]))),
        allow(Both, &["both"])
            .only(Who::User(names(&["ann"])))
            .only(Who::Group(names(&["outside"]))),
    ]);
    grouped.members = Arc::new(members);
    grouped.roles = [
        ("own", "o"),
        ("staffed", "s"),
        ("guest", "g"),
        ("outsider", "x"),
    ]
    .map(|(name, topic)| role(name, topic))
    .into();
    let book = Rulebook::new(grouped);
    let may = |client: &Client| {
        let topics = ["o", "s", "g", "x", "grouped", "roled", "both"];
        let allowed = topics
            .iter()
            .filter(|topic| client.publish(&book, topic) == Allow);
        allowed.copied().collect::<Vec<_>>()
    };
    let outside = Grant {
        groups: names(&["outside"]),
        ..Grant::default()
    };
    let ann = Client::new("c", Some("ann"));
    assert_eq!(may(&ann), ["o", "s", "grouped", "roled"]);
    let ann = ann.granted(outside.clone());
    assert_eq!(may(&ann), ["o", "s", "x", "grouped", "roled", "both"]);
    assert_eq!(may(&Client::new("ann", Some("bob"))), [""; 0]);
    assert_eq!(may(&Client::new("c", Some("bob")).granted(outside)), ["x"]);
    assert_eq!(may(&Client::new("c", None)), ["g"]);
}

#[test]
fn rules_ask_for_address_and_listener() {
    let local = Network::parse("10.0.0.0/8").unwrap();
    let book = book(vec![
        allow(Both, &["net"]).only(Who::Address(vec![local])),
        allow(Both, &["door"]).only(Who::Listener(vec![1, 2])),
        allow(Both, &["${ip}"]),
        allow(Both, &["nobody"]).only(Who::User(Vec::new())),
        allow(Both, &["anon"]).only(Who::Anonymous),
    ]);
    let may = |client: &Client| {
        let topics = ["net", "door", "10.0.0.1", "11.0.0.1", "nobody", "anon"];
        let allowed = topics
            .iter()
            .filter(|topic| client.publish(&book, topic) == Allow);
        allowed.copied().collect::<Vec<_>>()
    };
    let mut client = C();
    assert_eq!(may(&client), ["net", "door", "10.0.0.1"]);
    client.address = Some("11.0.0.1".parse().unwrap());
    client.listener = Some(3);
    assert_eq!(may(&client), ["11.0.0.1"]);
    client.address = None;
    client.listener = None;
    client.identity = Identity::Anonymous;
    assert_eq!(may(&client), ["anon"]);
}

/// The client is away: neither its address nor its listener is known.
fn could(book: &Rulebook, own: Vec<Rule>, topic: &str) -> [bool; 2] {
    let mut client = C().granted(Grant {
        rules: Some(Arc::new(Rules { list: own })),
        ..Grant::default()
    });
    client.address = None;
    client.listener = None;
    let topic = TopicName::parse(topic, u16::MAX).unwrap();
    let (qos, retain) = (QoS::AtLeastOnce, false);
    [
        book.could(&client.subject(), &Access::Receive { topic, qos }),
        book.could(&client.subject(), &Access::Publish { topic, qos, retain }),
    ]
}

#[test]
fn s48_own_rules_hold_for_who_is_away_though_they_ask_for_the_connection() {
    let plain = book(vec![]);
    let list = || vec![allow(Subscribe, &["dev/${ip}/#"])];
    assert_eq!(could(&plain, list(), "dev/10.0.0.1/x"), [true, false]);
    assert_eq!(could(&plain, list(), "other/10.0.0.1/x"), [false, false]);
    let local = Network::parse("10.0.0.0/8").unwrap();
    let list = vec![allow(Publish, &["a"]).only(Who::Address(vec![local]))];
    assert_eq!(could(&plain, list, "a"), [false, true]);
    // The first that is surely about it decides, whatever comes behind.
    let list = vec![deny(Both, &["dev/#"]), allow(Both, &["dev/${ip}"])];
    assert_eq!(could(&plain, list, "dev/10.0.0.1"), [false, false]);
}

#[test]
fn s46_own_denials_hold_for_who_is_away_whatever_other_rules_ask_for() {
    let local = Network::parse("10.0.0.0/8").unwrap();
    let book = book(vec![
        deny(Both, &["zzz"]).only(Who::Address(vec![local])),
        allow(Both, &["plant/#"]),
    ]);
    let list = || vec![deny(Both, &["plant/secret"])];
    assert_eq!(could(&book, list(), "plant/secret"), [false, false]);
    assert_eq!(could(&book, list(), "plant/open"), [true, true]);
    let elsewhere = deny(Both, &["plant/x"]).only(Who::Group(names(&["elsewhere"])));
    assert_eq!(could(&book, vec![elsewhere], "plant/x"), [true, true]);
}

#[test]
fn rules_to_the_letter_are_about_filters() {
    let exactly = |mut rule: Rule| {
        rule.topics = rule
            .topics
            .into_iter()
            .map(Pattern::to_the_letter)
            .collect();
        rule
    };
    let client = C();
    let book = book(vec![
        exactly(deny(Both, &["#", "a/${clientid}"])),
        exactly(allow(Subscribe, &["s/#"])),
        deny(Subscribe, &["s/#"]),
        allow(Both, &["#"]),
    ]);
    assert_eq!(client.subscribe(&book, "#"), Deny);
    assert_eq!(client.subscribe(&book, "a/c"), Deny);
    assert_eq!(client.subscribe(&book, "a/#"), Allow);
    assert_eq!(client.subscribe(&book, "s/#"), Allow);
    assert_eq!(client.subscribe(&book, "s/+"), Deny);
    assert_eq!(client.receive(&book, "s/x"), Allow);
    assert_eq!(client.publish(&book, "x"), Allow);
    assert_eq!(client.publish(&book, "a/c"), Deny);
}

#[test]
fn a_filter_may_be_granted_in_part() {
    let book = Rulebook::new(Contents {
        partial: Partial::Filter,
        ..contents(vec![allow(Subscribe, &["a/+"]), deny(Subscribe, &["b"])])
    });
    assert_eq!(C().subscribe(&book, "#"), Partly);
    assert_eq!(C().subscribe(&book, "a/#"), Partly);
    assert_eq!(C().subscribe(&book, "a/x"), Allow);
    assert_eq!(C().subscribe(&book, "b"), Deny);
    assert_eq!(C().subscribe(&book, "b/#"), Deny);
    assert_eq!(C().receive(&book, "a/x/y"), Deny);
}

#[test]
fn s48_a_filter_that_is_granted_like_mosquitto_does_brings_nothing_that_is_denied() {
    let book = Rulebook::new(Contents {
        partial: Partial::Grant,
        ..contents(vec![allow(Subscribe, &["a/+"]), deny(Subscribe, &["b"])])
    });
    assert_eq!(C().subscribe(&book, "a/x"), Allow);
    for filter in ["#", "a/#", "b", "b/#", "$SYS/#", "+"] {
        assert_eq!(C().subscribe(&book, filter), Partly, "{filter}");
    }
    for topic in ["a/x/y", "b", "b/c", "$SYS/broker/version"] {
        assert_eq!(C().receive(&book, topic), Deny, "{topic}");
    }
    assert_eq!(C().publish(&book, "b"), Deny);
}

#[test]
fn s47_what_its_publisher_may_not_write_any_more_does_not_stand() {
    let stands = |contents: &Contents, user: Option<&str>, granted, topic: &str| {
        let identity = Identity::of(user.map(Arc::from));
        Rulebook::new(contents.clone()).stands(&Source {
            identity: &identity,
            client_id: "c",
            granted,
            topic: TopicName::parse(topic, 9).unwrap(),
        })
    };
    let mut only_qos_1 = allow(Publish, &["q"]);
    only_qos_1.qos = vec![QoS::AtLeastOnce];
    let mut unretained = allow(Publish, &["n"]);
    unretained.retain = Some(false);
    let local = Who::Address(vec![Network::parse("10.0.0.0/8").unwrap()]);
    let mut contents = contents(vec![
        deny(Publish, &["net/x"]).only(Who::Listener(vec![7])),
        deny(Publish, &["net/y"]),
        allow(Publish, &["net/#"]).only(local.clone()),
        allow(Publish, &["cn/${cert.cn}/${clientid}"]),
        allow(Publish, &["a"]).only(Who::User(names(&["u"]))),
        only_qos_1,
        unretained,
        allow(Subscribe, &["#"]),
    ]);
    for (topic, expected) in [
        ("a", true),
        ("b", false),
        ("q", true),
        ("n", false),
        // Nobody knows any more where it came from.
        ("net/x", true),
        ("net/y", false),
        ("cn/any/c", true),
        ("cn/any/d", false),
        ("$SYS/x", false),
    ] {
        assert_eq!(
            stands(&contents, Some("u"), false, topic),
            expected,
            "{topic}"
        );
    }
    assert!(!stands(&contents, None, false, "a"));
    assert!(stands(&contents, Some("u"), true, "b"));
    contents.check_retain_source = false;
    assert!(stands(&contents, Some("u"), false, "b"));
    // S55.
    contents.bans = Arc::new([Banned::User("u".into())].into_iter().collect());
    assert!(!stands(&contents, Some("u"), false, "a"));
    assert!(!stands(&contents, Some("u"), true, "b"));
    assert!(stands(&contents, None, false, "a"));
}

#[test]
fn s47_what_a_superuser_left_stands_while_he_is_one() {
    let stands = |superuser, topic: &str| {
        let mut members = Members::default();
        let membership = Membership {
            superuser,
            ..Membership::default()
        };
        members.users.insert("root".into(), membership);
        let book = Rulebook::new(Contents {
            members: Arc::new(members),
            ..Contents::default()
        });
        let identity = Identity::User("root".into());
        book.stands(&Source {
            identity: &identity,
            client_id: "c",
            granted: false,
            topic: TopicName::parse(topic, 9).unwrap(),
        })
    };
    assert!(stands(true, "a"));
    assert!(!stands(true, "$SYS/a"));
    assert!(!stands(false, "a"));
}

#[test]
fn s55_who_is_banned_is_told_by_what() {
    let book = Rulebook::new(Contents {
        bans: Arc::new([Banned::Client("c*".into())].into_iter().collect()),
        ..Contents::default()
    });
    let ban = book.ban(&C().subject());
    assert_eq!(
        ban,
        Some(Ban {
            on: crate::BanOn::Client
        })
    );
    assert_eq!(book.ban(&Client::new("d", None).subject()), None);
}

#[test]
fn what_is_prepared_is_of_one_policy() {
    let first = book(vec![allow(Both, &["a"])]);
    let second = book(vec![deny(Both, &["a"]), allow(Both, &["b"])]);
    let client = C();
    let prepared = first.prepare(&client.subject()).unwrap();
    let access = Access::Publish {
        topic: TopicName::parse("a", 9).unwrap(),
        qos: QoS::AtMostOnce,
        retain: false,
    };
    let decide = |book: &Rulebook| {
        let decision = book.decide_prepared(&client.subject(), Some(&prepared), &access);
        decision.verdict
    };
    assert_eq!(decide(&first), Allow);
    assert_eq!(decide(&second), Deny);
    let again = first.prepare(&Client::new("d", None).subject()).unwrap();
    assert!(
        Arc::ptr_eq(&prepared, &again),
        "sessions that are alike share it"
    );
}

#[test]
fn many_groups_share_a_tree() {
    let group = |n: usize| Who::Group(vec![format!("g{n}").into()]);
    let list = (0..12).flat_map(|n| {
        let open = format!("open/{n}/+");
        let shut = format!("open/{}/${{clientid}}", n + 1);
        [
            allow(Both, &[&open]).only(group(n)),
            deny(Both, &[&shut]).only(group(n)),
        ]
    });
    let narrow = allow(Both, &["mine/#"]).only(Who::User(names(&["u"])));
    let book = book(list.chain([narrow, allow(Both, &["all/#"])]).collect());
    let member = |numbers: std::ops::Range<usize>| {
        let groups = numbers.map(|n| format!("g{n}").into()).collect();
        C().granted(Grant {
            groups,
            ..Grant::default()
        })
    };
    let (all, some) = (member(0..12), member(3..9));
    for n in 0..14 {
        let verdict = |is: bool| if is { Allow } else { Deny };
        let topic = format!("open/{n}/x");
        assert_eq!(all.publish(&book, &topic), verdict(n < 12), "{topic}");
        assert_eq!(
            some.publish(&book, &topic),
            verdict((3..9).contains(&n)),
            "{topic}"
        );
        // The group before denies it first.
        let topic = format!("open/{n}/c");
        assert_eq!(all.receive(&book, &topic), verdict(n == 0), "{topic}");
        assert_eq!(some.receive(&book, &topic), verdict(n == 3), "{topic}");
        let partly = if (1..12).contains(&n) {
            Partly
        } else {
            verdict(n == 0)
        };
        assert_eq!(all.subscribe(&book, &format!("open/{n}/+")), partly, "{n}");
    }
    for client in [&all, &some, &C()] {
        assert_eq!(client.publish(&book, "mine/x"), Allow);
        assert_eq!(client.publish(&book, "all"), Allow);
        assert_eq!(client.publish(&book, "none"), Deny);
    }
}

#[test]
fn rules_are_told_in_words() {
    let mut first = deny(Both, &["a/#", "b/${clientid}"])
        .only(Who::User(names(&["u", "v"])))
        .only(Who::Address(vec![Network::parse("10.0.0.0/8").unwrap()]));
    first.qos = vec![QoS::AtLeastOnce, QoS::ExactlyOnce];
    first.retain = Some(true);
    first.source = "access.toml:12".into();
    let book = book(vec![first, allow(Subscribe, &[])]);
    let client = C();
    let describe = |rule| book.describe(&client.subject(), rule);
    assert_eq!(
        describe(RuleId::Policy(0)),
        "access.toml:12: deny publish and subscribe \"a/#\", \"b/${clientid}\" qos 1, 2 if \
         retained for user \"u\" or \"v\" and address 10.0.0.0/8"
    );
    assert_eq!(
        describe(RuleId::Policy(1)),
        "test: allow subscribe everything"
    );
    assert_eq!(describe(RuleId::Policy(2)), "a rule that is there no more");
    assert_eq!(describe(RuleId::Own(0)), "a rule that is there no more");
    assert_eq!(describe(RuleId::Superuser), "the client is a superuser");
}

#[test]
fn a_trace_tells_what_was_passed_by() {
    let mut list = vec![
        deny(Subscribe, &["z"]),
        allow(Subscribe, &["a/b"]).only(Who::Anonymous),
        allow(Publish, &["a/#"]),
        deny(Subscribe, &["a/x"]),
        allow(Subscribe, &["a/b"]),
        allow(Subscribe, &["a/#"]),
        deny(Both, &[]),
    ];
    let filter = TopicFilter::parse("a/+", 9).unwrap();
    let access = Access::Subscribe {
        filter: &filter,
        qos: QoS::AtMostOnce,
    };
    let trace = |list: &[Rule]| book(list.to_vec()).decide_traced(&C().subject(), &access);
    let steps = trace(&list);
    let told: Vec<_> = steps.iter().map(|step| (step.rule, step.why)).collect();
    let decision = Decision {
        verdict: Partly,
        rule: Some(RuleId::Policy(5)),
    };
    assert_eq!(
        told,
        [
            (Some(RuleId::Policy(1)), Why::Client),
            (Some(RuleId::Policy(2)), Why::Action),
            (Some(RuleId::Policy(3)), Why::Part(Effect::Deny)),
            (Some(RuleId::Policy(4)), Why::Part(Effect::Allow)),
            (Some(RuleId::Policy(5)), Why::Decides(decision)),
        ]
    );
    assert_eq!(steps[4].says, "test: allow subscribe \"a/#\"");
    list.splice(3..3, vec![deny(Subscribe, &["a/x"]); 1_000]);
    let steps = trace(&list);
    assert_eq!(steps.len(), Step::MOST);
    let why = steps.last().unwrap().why;
    assert!(
        matches!(
            why,
            Why::Decides(Decision {
                verdict: Partly,
                ..
            })
        ),
        "{why:?}"
    );
}

//! What a decision costs: `cargo run --release -p auth --example decide`.
//!
//! One thousand rules of all kinds, many clients, a thousand random topics.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use auth::rulebook::{Contents, Members, Membership, Role};
use auth::rules::{Action, Effect, Network, Pattern, Rule, Who};
use auth::{Access, Grant, Identity, Policy, Prepared, Rulebook, Rules, Subject};
use types::{QoS, TopicFilter, TopicName};

fn main() {
    let counts = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok());
    let counts: Vec<usize> = counts.collect();
    let all = [10, 1_000, 100_000];
    for &count in if counts.is_empty() { &all[..] } else { &counts } {
        let begin = Instant::now();
        let book = Rulebook::new(contents(count));
        let built = begin.elapsed();
        println!("{count} rules, built in {built:.1?}");
        measure(&book, "one role", 1, None);
        measure(&book, "six roles and groups", 6, None);
        let own = (0..10).map(|n| rule(Action::Both, &format!("own/{n}/${{clientid}}/#")));
        let grant = Grant {
            rules: Some(Arc::new(Rules {
                list: own.collect(),
            })),
            ..Grant::default()
        };
        measure(&book, "one role, ten own rules", 1, Some(&grant));
    }
}

/// A part for everybody, a part for roles, groups and users, a part with placeholders and
/// wildcards.
fn contents(count: usize) -> Contents {
    let mut list = vec![
        deny(rule(Action::Both, "plant/+/+/secret/#")),
        deny(rule(Action::Publish, "blocked/${clientid}/#")),
        only(
            rule(Action::Both, "ops/#"),
            Who::Address(vec![network("10.9.0.0/16")]),
        ),
    ];
    let roles = (0..20).map(|role| Role {
        name: format!("role{role}").into(),
        rules: Rules {
            list: (0..count / 50)
                .map(|n| {
                    rule(
                        Action::Both,
                        &format!("plant/{role}/line{n}/${{clientid}}/+"),
                    )
                })
                .collect(),
        },
    });
    for n in 0..count / 5 {
        let user: Arc<str> = format!("user{n}").into();
        list.push(only(
            rule(Action::Both, &format!("users/{n}/#")),
            Who::User(vec![user]),
        ));
        let group: Arc<str> = format!("group{}", n % 50).into();
        list.push(only(
            rule(Action::Both, &format!("groups/{n}/+/x")),
            Who::Group(vec![group]),
        ));
        list.push(rule(Action::Subscribe, &format!("news/{n}/+/#")));
    }
    list.push(rule(Action::Both, "devices/${clientid}/#"));
    list.push(rule(Action::Publish, "+/+/telemetry/${username}"));
    let mut members = Members::default();
    for user in 0..1_000 {
        let membership = Membership {
            groups: (0..2)
                .map(|n| format!("group{}", (user + n) % 50).into())
                .collect(),
            roles: (0..3)
                .map(|n| format!("role{}", (user + n) % 20).into())
                .collect(),
            superuser: false,
        };
        members
            .users
            .insert(format!("user{user}").into(), membership);
        let one = Membership {
            groups: Vec::new(),
            roles: vec![format!("role{}", user % 20).into()],
            superuser: false,
        };
        members.users.insert(format!("single{user}").into(), one);
    }
    Contents {
        rules: Rules { list },
        roles: roles.collect(),
        members: Arc::new(members),
        ..Contents::default()
    }
}

fn measure(book: &Rulebook, name: &str, roles: usize, grant: Option<&Grant>) {
    let kind = if roles == 1 { "single" } else { "user" };
    let clients: Vec<(String, Identity)> = (0..1_000)
        .map(|n| {
            let user = format!("{kind}{n}");
            (format!("client-{n}"), Identity::User(user.into()))
        })
        .collect();
    let subjects: Vec<Subject<'_>> = clients.iter().map(|it| subject(it, grant)).collect();
    let prepared: Vec<_> = subjects.iter().map(|who| book.prepare(who)).collect();
    let mut seed = 7_u64;
    let topics: Vec<(usize, String)> = (0..1_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let n = (seed >> 33) as usize;
            (n % 1_000, topic(n, n % 1_000))
        })
        .collect();
    let accesses: Vec<(usize, Access<'_>)> =
        topics.iter().map(|(n, topic)| (*n, ask(topic))).collect();
    let mut allowed = 0;
    let prepared_cost = time(accesses.len(), || {
        allowed += decide(book, &subjects, &prepared, &accesses);
    });
    let plain = time(accesses.len(), || {
        for (n, access) in &accesses {
            black_box(book.decide(&subjects[*n], access));
        }
    });
    let nothing = time(accesses.len(), || {
        for (n, access) in &accesses {
            black_box((&subjects[*n], access));
        }
    });
    let filters: Vec<TopicFilter> = ["devices/client-1/#", "plant/#", "+/1/#", "news/3/+/x", "#"]
        .map(|text| TopicFilter::parse(text, 99).expect("a filter"))
        .into();
    let rounds = 10;
    let subscribe = time(rounds * filters.len(), || {
        for n in 0..rounds {
            for filter in &filters {
                let access = Access::Subscribe {
                    filter,
                    qos: QoS::AtLeastOnce,
                };
                black_box(book.decide_prepared(&subjects[n], prepared[n].as_deref(), &access));
            }
        }
    });
    let prepare = time(subjects.len(), || {
        for who in &subjects {
            black_box(book.prepare(who));
        }
    });
    println!(
        "  {name}: decide {prepared_cost:.0} ns, unprepared {plain:.0} ns (loop {nothing:.0} ns; {} % allowed), \
         subscribe {subscribe:.0} ns, prepare {prepare:.0} ns",
        allowed * 100 / accesses.len() / ROUNDS,
    );
}

/// The decisions themselves; a function of its own, so that a profiler can count what they take.
#[inline(never)]
fn decide(
    book: &Rulebook,
    subjects: &[Subject<'_>],
    prepared: &[Option<Arc<Prepared>>],
    accesses: &[(usize, Access<'_>)],
) -> usize {
    let mut allowed = 0;
    for (n, access) in accesses {
        let decision = book.decide_prepared(&subjects[*n], prepared[*n].as_deref(), access);
        allowed += usize::from(black_box(decision).is_allowed());
    }
    allowed
}

/// The best of some rounds, in nanoseconds for each.
fn time(count: usize, mut run: impl FnMut()) -> f64 {
    let one = |_| {
        let begin = Instant::now();
        run();
        begin.elapsed().as_nanos() as f64 / count as f64
    };
    (0..ROUNDS).map(one).fold(f64::INFINITY, f64::min)
}

fn topic(n: usize, client: usize) -> String {
    match n / 1_000 % 6 {
        0 => format!("devices/client-{client}/temperature"),
        1 => format!("plant/{}/line{}/client-{client}/state", client % 20, n % 7),
        2 => format!("users/{client}/inbox/{}", n % 100),
        3 => format!("some/where/telemetry/user{client}"),
        4 => format!("devices/other-{n}/temperature"),
        _ => format!("groups/{}/a/x", n % 200),
    }
}

fn ask(topic: &str) -> Access<'_> {
    Access::Publish {
        topic: TopicName::parse(topic, 99).expect("a topic"),
        qos: QoS::AtLeastOnce,
        retain: false,
    }
}

fn subject<'a>((id, identity): &'a (String, Identity), grant: Option<&'a Grant>) -> Subject<'a> {
    Subject {
        identity,
        client_id: id,
        grant,
        address: "10.0.0.1".parse().ok(),
        certificate: None,
        listener: Some(0),
    }
}

fn rule(action: Action, topic: &str) -> Rule {
    Rule {
        effect: Effect::Allow,
        who: Vec::new(),
        action,
        topics: vec![Pattern::parse(topic).expect("a pattern")],
        qos: Vec::new(),
        retain: None,
        source: "example".into(),
    }
}

fn deny(rule: Rule) -> Rule {
    Rule {
        effect: Effect::Deny,
        ..rule
    }
}

fn only(mut rule: Rule, who: Who) -> Rule {
    rule.who.push(who);
    rule
}

fn network(text: &str) -> Network {
    Network::parse(text).expect("a network")
}

const ROUNDS: usize = 200;

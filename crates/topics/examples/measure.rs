//! What the index costs: bytes for each filter, nanoseconds for each route, hit and change.
//!
//! `cargo run --release -p topics --example measure`

use std::collections::{BTreeSet, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use topics::{
    IndexChange, MemberState, RetainedLimits, RetainedStore, RetainedValue, RouteCache, ScanCursor,
    ScanProgress, SharedIndex,
};
use types::{
    QoS, SessionKey, SessionRef, SubscriptionFilter, SubscriptionOptions, Time, TopicFilter,
    TopicName, WorkerId,
};

fn main() {
    println!("resident bytes are of the whole process; 'own' is what the index counts");
    // First, while no freed memory hides what it takes.
    retained(1_000_000);
    index("50k mixed", 50_000, mixed);
    index("1M mixed", 1_000_000, mixed);
    index("1M exact", 1_000_000, exact);
    index("1M distinct +", 1_000_000, plus);
    index("1M distinct #", 1_000_000, hash);
    index("1M deep +", 1_000_000, deep);
    crowd(100_000);
    groups();
}

/// A fleet: commands to one device, a group of devices, all of a kind, broad watchers.
fn mixed(n: u32) -> String {
    let (site, device) = (n % 500, n / 500);
    match n % 10 {
        0..=4 => format!("site/{site}/device/{device}/command"),
        5 | 6 => format!("site/{site}/device/{device}/#"),
        7 => format!("site/{site}/+/{device}/state"),
        8 => format!("site/{site}/device/{device}/+/set"),
        _ => format!("+/{site}/device/{device}/alarm"),
    }
}

fn exact(n: u32) -> String {
    format!("site/{}/device/{}/command", n % 500, n / 500)
}

fn plus(n: u32) -> String {
    format!("fleet/vehicle{n:07}/+/state")
}

fn hash(n: u32) -> String {
    format!("fleet/vehicle{n:07}/#")
}

fn deep(n: u32) -> String {
    format!(
        "eu/{}/plant{}/line{}/+/cell{n}/robot/+/joint",
        n % 10,
        n % 100,
        n % 1000
    )
}

fn subscribe(filter: &str, n: u32) -> IndexChange {
    let filter = SubscriptionFilter::parse(filter, 128).expect("a valid filter");
    let member = filter.share.as_ref().map(|_| {
        let state = MemberState::default();
        state.set_online(true);
        state.set_window(u32::MAX);
        Arc::new(state)
    });
    IndexChange::Subscribe {
        filter,
        subscriber: who(n),
        options: SubscriptionOptions::plain(QoS::AtLeastOnce),
        id: None,
        member,
    }
}

fn who(n: u32) -> SessionRef {
    SessionRef {
        worker: WorkerId((n % 2) as u16),
        key: SessionKey {
            slot: n,
            generation: 0,
        },
    }
}

/// The middle one: a busy machine lifts the mean of anything.
fn median(list: &mut [f64]) -> f64 {
    list.sort_unstable_by(f64::total_cmp);
    list[list.len() / 2]
}

fn nanos(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Resident bytes of this process; zero where that cannot be read.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// Topics as they are published: the filters with their wildcards filled in.
fn topic_of(filter: &str) -> String {
    filter.replace('+', "x1").replace('#', "some/value")
}

fn index(name: &str, count: u32, make: fn(u32) -> String) {
    let index = SharedIndex::new(2, 0x5eed);
    // The sessions keep the text of their filters; here this list does.
    let parse = |n| SubscriptionFilter::parse(&make(n), 128).expect("a valid filter");
    let filters: Vec<SubscriptionFilter> = (0..count).map(parse).collect();
    let before = resident();
    let subscribe = |(n, filter): (u32, &SubscriptionFilter)| IndexChange::Subscribe {
        filter: filter.clone(),
        subscriber: who(n),
        options: SubscriptionOptions::plain(QoS::AtLeastOnce),
        id: None,
        member: None,
    };
    let mut batches = apply(&index, (0..count).zip(&filters).map(subscribe));
    println!("{name}: {} filters", index.stats().filters);
    println!(
        "  {:.0} B a filter own, {:.0} B resident",
        index.allocated() as f64 / f64::from(count),
        resident().saturating_sub(before) as f64 / f64::from(count)
    );
    let usual = median(&mut batches);
    let late = batches[batches.len() * 999 / 1000] / 10.0;
    println!("  apply {usual:.0} ns, 99.9% of batches of 100 below {late:.0} us");
    // In an order that has nothing to do with that of the filters.
    let texts: Vec<String> = (0..count.min(200_000))
        .map(|n| topic_of(&make((u64::from(n) * 7_919 % u64::from(count)) as u32)))
        .collect();
    let parse = |text| TopicName::parse(text, 128).expect("a valid topic");
    look(
        &index,
        &texts.iter().map(|text| parse(text)).collect::<Vec<_>>(),
    );
    let unsubscribe = |(n, filter): (u32, &SubscriptionFilter)| IndexChange::Unsubscribe {
        filter: filter.clone(),
        subscriber: who(n),
    };
    let mut batches = apply(&index, (0..count).zip(&filters).map(unsubscribe));
    println!(
        "  remove {:.0} ns, then {} B own",
        median(&mut batches),
        index.allocated()
    );
}

/// Applies changes in batches of 100 and returns the time of one change in each.
fn apply(index: &SharedIndex, mut changes: impl Iterator<Item = IndexChange>) -> Vec<f64> {
    let mut batches = Vec::new();
    loop {
        let mut batch: VecDeque<IndexChange> = changes.by_ref().take(100).collect();
        if batch.is_empty() {
            return batches;
        }
        let (start, count) = (Instant::now(), batch.len());
        index.apply(&mut batch, 100);
        batches.push(nanos(start, count));
    }
}

fn look(index: &SharedIndex, names: &[TopicName<'_>]) {
    let (mut found, mut misses) = (0, Vec::new());
    for part in names.chunks(500) {
        let start = Instant::now();
        found += part
            .iter()
            .map(|&name| index.route(name).recipient_count())
            .sum::<usize>();
        misses.push(nanos(start, part.len()));
    }
    let each = found as f64 / names.len() as f64;
    println!(
        "  miss {:.0} ns ({each:.1} recipients)",
        median(&mut misses)
    );
    for hot in [100, 10_000] {
        let mut cache = RouteCache::new(20_000, 64 << 20, 1);
        let mut rounds = Vec::new();
        for _ in 0..2_000_000 / hot {
            let start = Instant::now();
            for &name in &names[..hot] {
                black_box(cache.route(index, name));
            }
            rounds.push(nanos(start, hot));
        }
        println!("  hit {:.1} ns ({hot} topics)", median(&mut rounds));
    }
}

/// One filter with a crowd of subscribers.
fn crowd(count: u32) {
    let index = SharedIndex::new(2, 0x5eed);
    let mut changes: VecDeque<_> = (0..count).map(|n| subscribe("news/#", n)).collect();
    let start = Instant::now();
    while index.apply(&mut changes, 100) > 0 {}
    println!(
        "{count} subscribers of one filter: join {:.0} ns",
        nanos(start, count as usize)
    );
    let name = TopicName::parse("news/today", 128).expect("a valid topic");
    let start = Instant::now();
    let route = index.route(name);
    println!(
        "  miss {:.0} us, {} B",
        nanos(start, 1) / 1000.0,
        route.size()
    );
    let mut changes: VecDeque<_> = (0..count)
        .map(
            |n| match subscribe("news/#", n.wrapping_mul(7_919) % count) {
                IndexChange::Subscribe {
                    filter, subscriber, ..
                }
                | IndexChange::Unsubscribe { filter, subscriber } => {
                    IndexChange::Unsubscribe { filter, subscriber }
                }
            },
        )
        .collect();
    let start = Instant::now();
    while index.apply(&mut changes, 100) > 0 {}
    println!("  leave {:.0} ns", nanos(start, count as usize));
}

fn groups() {
    for members in [4_u32, 100] {
        let index = SharedIndex::new(2, 0x5eed);
        let mut changes: VecDeque<_> = (0..members)
            .map(|n| subscribe("$share/g/jobs", n))
            .collect();
        while index.apply(&mut changes, 100) > 0 {}
        let route = index.route(TopicName::parse("jobs", 128).expect("a valid topic"));
        let group = &route.groups()[0];
        for strategy in [
            "round_robin",
            "random",
            "sticky",
            "hash_client",
            "hash_topic",
            "least_inflight",
        ] {
            let strategy = strategy.parse().expect("a strategy");
            let start = Instant::now();
            for n in 0..200_000_u64 {
                let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let pick = topics::Pick {
                    publisher: n,
                    topic: "jobs",
                    random,
                    skip: &BTreeSet::new(),
                };
                black_box(group.choose(strategy, &pick));
            }
            println!(
                "choose {strategy} of {members}: {:.1} ns",
                nanos(start, 200_000)
            );
        }
    }
}

#[derive(Clone)]
struct Value;

impl RetainedValue for Value {
    fn size(&self) -> usize {
        1
    }

    fn expires(&self) -> Option<Time> {
        None
    }
}

fn retained(count: u32) {
    let limits = RetainedLimits {
        messages: usize::MAX,
        bytes: usize::MAX,
    };
    let store = RetainedStore::new(limits, 0x5eed);
    let topics: Vec<Arc<str>> = (0..count).map(|n| Arc::from(exact(n))).collect();
    let before = resident();
    let start = Instant::now();
    for topic in &topics {
        store.set(topic, Value, Time::ZERO).expect("there is room");
    }
    println!(
        "retained: first {:.0} ns, {} B resident each",
        nanos(start, topics.len()),
        resident().saturating_sub(before) / count as usize
    );
    let some = || (0..200_000_usize).map(|n| &topics[n * 7_919 % topics.len()]);
    let start = Instant::now();
    for topic in some() {
        store.set(topic, Value, Time::ZERO).expect("there is room");
    }
    println!("  again {:.0} ns", nanos(start, 200_000));
    let start = Instant::now();
    for topic in some() {
        let name = TopicName::parse(topic, 128).expect("a valid topic");
        black_box(store.exact(name, Time::ZERO));
    }
    println!("  exact {:.0} ns", nanos(start, 200_000));
    for filter in [
        "site/7/#",
        "+/7/device/+/command",
        "site/+/device/7/command",
        "#",
        "+/+/+/+/x",
    ] {
        let filter = TopicFilter::parse(filter, 128).expect("a valid filter");
        let (mut cursor, mut out) = (ScanCursor::default(), Vec::new());
        let (mut calls, mut slowest) = (1, 0.0_f64);
        let start = Instant::now();
        loop {
            let call = Instant::now();
            let progress = store.scan(&filter, &mut cursor, 100, Time::ZERO, &mut out);
            slowest = slowest.max(nanos(call, 1));
            if progress == ScanProgress::Done {
                break;
            }
            calls += 1;
        }
        println!(
            "  scan {filter}: {} in {calls} calls, {:.0} us, slowest call {:.0} us",
            out.len(),
            nanos(start, 1) / 1000.0,
            slowest / 1000.0
        );
    }
}

//! The retained store against a list.

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{filters, session, subscribe, topics};
use proptest::prelude::*;
use topics::{
    RetainedFull, RetainedLimits, RetainedStore, RetainedValue, RouteCache, ScanCursor,
    ScanProgress, SharedIndex, matches,
};
use types::{
    Body, Durability, Message, MessageParts, MessageRef, QoS, SubscriptionFilter,
    SubscriptionOptions, Time, TopicFilter, TopicName, WorkerId,
};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    topic: String,
    size: usize,
    expires: Option<Time>,
}

impl RetainedValue for Value {
    fn size(&self) -> usize {
        self.size
    }

    fn expires(&self) -> Option<Time> {
        self.expires
    }
}

const OPEN: RetainedLimits = RetainedLimits {
    messages: usize::MAX,
    bytes: usize::MAX,
};

fn value(topic: &str, size: usize, expires: Option<u64>) -> Value {
    Value {
        topic: topic.to_owned(),
        size,
        expires: expires.map(Time::from_millis),
    }
}

fn set(store: &RetainedStore<Value>, topic: &str, now: u64) -> u64 {
    let kept = store.set(
        &Arc::from(topic),
        value(topic, 1, None),
        Time::from_millis(now),
    );
    kept.expect("there is room")
}

fn parse(filter: &str) -> TopicFilter {
    TopicFilter::parse(filter, 128).expect("a valid filter")
}

fn is_match(filter: &TopicFilter, topic: &str) -> bool {
    matches(filter, TopicName::parse(topic, 128).expect("a valid topic"))
}

/// What happens between two steps of a scan.
#[derive(Clone, Debug)]
enum Step {
    Set(String, Option<u64>),
    Clear(String),
    Scan(usize),
    Wait(u64),
    Purge(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (topics(), prop::option::of(0u64..50)).prop_map(|(topic, life)| Step::Set(topic, life)),
        1 => topics().prop_map(Step::Clear),
        2 => (1usize..5).prop_map(Step::Scan),
        1 => (0u64..10).prop_map(Step::Wait),
        1 => (0usize..4).prop_map(Step::Purge),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() })]

    /// 4.7.1, 4.7.2-1, MQTT-3.3.1-5, -6: whatever comes and goes meanwhile, a scan returns
    /// each topic that stays exactly once and none that does not match; counts add up.
    #[test]
    fn scan_agrees_with_the_plain_rule_c34_c35(
        first in prop::collection::vec(topics(), 0..60),
        steps in steps(),
        filter in filters(),
        seed: u64,
    ) {
        let filter = parse(&filter);
        let store = RetainedStore::new(OPEN, seed);
        let mut model: BTreeMap<String, (u64, Option<u64>)> = BTreeMap::new();
        for topic in first {
            let sequence = set(&store, &topic, 0);
            model.insert(topic, (sequence, None));
        }
        let mut stay: BTreeSet<String> = model.keys().cloned().collect();
        let (mut cursor, mut out, mut now) = (ScanCursor::default(), Vec::new(), 0);
        let mut done = false;
        for step in steps {
            match step {
                Step::Set(topic, life) => {
                    let expires = life.map(|life| now + life);
                    let kept = value(&topic, 1, expires);
                    let sequence = store.set(&Arc::from(&*topic), kept, Time::from_millis(now));
                    let sequence = sequence.expect("there is room");
                    prop_assert_eq!(store.sequence(), sequence);
                    model.insert(topic, (sequence, expires));
                }
                Step::Clear(topic) => {
                    stay.remove(&topic);
                    let was = model.remove(&topic);
                    let sequence = store.clear(&topic);
                    prop_assert!(was.is_none_or(|(before, _)| before < sequence));
                    prop_assert_eq!(store.sequence(), sequence);
                    let name = TopicName::parse(&topic, 128).expect("a valid topic");
                    prop_assert_eq!(store.exact(name, Time::from_millis(now)), None);
                }
                Step::Scan(max) => {
                    let before = out.len();
                    let now = Time::from_millis(now);
                    if store.scan(&filter, &mut cursor, max, now, &mut out) == ScanProgress::Done {
                        done = true;
                    }
                    prop_assert!(out.len() - before <= max);
                }
                Step::Wait(span) => now += span,
                Step::Purge(max) => {
                    prop_assert!(store.purge_expired(Time::from_millis(now), max) <= max);
                }
            }
            stay.retain(|topic| model[topic].1.is_none_or(|at| at > now));
        }
        let end = Time::from_millis(now);
        while !done && store.scan(&filter, &mut cursor, 3, end, &mut out) == ScanProgress::More {}
        let seen: Vec<&str> = out.iter().map(|(_, value)| value.topic.as_str()).collect();
        let distinct: BTreeSet<&str> = seen.iter().copied().collect();
        prop_assert_eq!(seen.len(), distinct.len(), "each at most once");
        prop_assert!(distinct.iter().all(|topic| is_match(&filter, topic)));
        for topic in stay.iter().filter(|topic| is_match(&filter, topic)) {
            prop_assert!(distinct.contains(topic.as_str()), "{:?} stayed", topic);
        }
        // A fresh scan is exact.
        let (mut cursor, mut out) = (ScanCursor::default(), Vec::new());
        while store.scan(&filter, &mut cursor, 4, end, &mut out) == ScanProgress::More {}
        let found: BTreeMap<&str, u64> =
            out.iter().map(|(sequence, value)| (value.topic.as_str(), *sequence)).collect();
        let live = |at: Option<u64>| at.is_none_or(|at| at > now);
        let want: BTreeMap<&str, u64> = model
            .iter()
            .filter(|(topic, (_, expires))| live(*expires) && is_match(&filter, topic))
            .map(|(topic, (sequence, _))| (topic.as_str(), *sequence))
            .collect();
        prop_assert_eq!(&found, &want);
        for (topic, (_, expires)) in &model {
            let name = TopicName::parse(topic, 128).expect("a valid topic");
            prop_assert_eq!(store.exact(name, end).is_some(), live(*expires));
        }
        while store.purge_expired(end, 5) > 0 {}
        let left = model.values().filter(|(_, expires)| live(*expires)).count();
        prop_assert_eq!((store.count(), store.bytes()), (left, left));
    }
}

/// A filter that matches nothing looks at few topics a call, and wildcards prune.
#[test]
fn a_scan_is_bounded_by_what_it_looks_at() {
    let store = RetainedStore::new(OPEN, 5);
    for a in 0..100 {
        for b in 0..100 {
            set(&store, &format!("site{a}/device{b}/state"), 0);
        }
    }
    let calls = |filter: &str| {
        let (mut cursor, mut out, mut calls) = (ScanCursor::default(), Vec::new(), 1);
        let filter = parse(filter);
        while store.scan(&filter, &mut cursor, 10, Time::ZERO, &mut out) == ScanProgress::More {
            calls += 1;
        }
        (calls, out.len())
    };
    let (count, found) = calls("+/+/nothing");
    assert_eq!(found, 0);
    assert!(count >= 10_000 / 40, "40 looks a call at most: {count}");
    let (count, found) = calls("site7/+/state");
    assert_eq!(found, 100);
    assert!(count <= 16 + 100 / 10 * 2, "only the branch: {count}");
    let (count, found) = calls("+/device7/state");
    assert_eq!(found, 100);
    assert!(
        count <= 16 * 100 * 3 / 40 + 32,
        "one look or three for each site and part: {count}"
    );
    assert_eq!(calls("none/#"), (1, 0));
    assert_eq!(calls("site1/device1/state"), (1, 1));
}

#[test]
fn limits_refuse_and_keep_what_was_there() {
    let limits = RetainedLimits {
        messages: 2,
        bytes: 10,
    };
    let store = RetainedStore::new(limits, 5);
    let put = |topic: &str, size, expires, now| {
        store.set(
            &Arc::from(topic),
            value(topic, size, expires),
            Time::from_millis(now),
        )
    };
    assert_eq!(put("a", 4, None, 0), Ok(1));
    assert_eq!(put("b", 4, Some(5), 0), Ok(2));
    assert_eq!(put("c", 1, None, 0), Err(RetainedFull::Messages));
    assert_eq!(put("a", 7, None, 0), Err(RetainedFull::Bytes));
    assert_eq!((store.count(), store.bytes()), (2, 8));
    let a = TopicName::parse("a", 1).expect("a valid topic");
    assert_eq!(store.exact(a, Time::ZERO), Some(value("a", 4, None)));
    assert_eq!(
        put("a", 6, None, 0),
        Ok(3),
        "a replacement within the bytes"
    );
    assert_eq!(put("a", 2, None, 0), Ok(4));
    assert_eq!(store.purge_expired(Time::from_millis(4), 9), 0);
    assert_eq!(store.purge_expired(Time::from_millis(5), 9), 1);
    assert_eq!(
        put("c", 8, None, 5),
        Ok(5),
        "what was purged does not count"
    );
    assert_eq!(["a", "c", "c"].map(|topic| store.clear(topic)), [6, 7, 8]);
    assert_eq!((store.count(), store.bytes(), store.sequence()), (0, 0, 8));
}

#[test]
fn the_newest_value_is_known_by_its_sequence() {
    let store = RetainedStore::new(OPEN, 5);
    let first = set(&store, "a", 0);
    assert!(store.is_newest("a", first) && !store.is_newest("b", first));
    let second = set(&store, "a", 0);
    assert!(store.is_newest("a", second) && !store.is_newest("a", first));
    store.clear("a");
    assert!(!store.is_newest("a", second));
}

#[test]
fn a_full_store_drops_what_expired_in_its_part() {
    let store = RetainedStore::new(
        RetainedLimits {
            messages: 1,
            bytes: 10,
        },
        5,
    );
    let topic: Arc<str> = Arc::from("t");
    assert_eq!(
        store.set(&topic, value("t", 10, Some(5)), Time::ZERO),
        Ok(1)
    );
    assert_eq!(
        store.set(&topic, value("t", 11, None), Time::ZERO),
        Err(RetainedFull::Bytes)
    );
    assert_eq!((store.count(), store.bytes()), (1, 10));
    // Longer than all, but what stands in its way is gone by now.
    let late = Time::ZERO + Duration::from_millis(5);
    assert_eq!(
        store.set(&topic, value("t", 11, None), late),
        Err(RetainedFull::Bytes)
    );
    assert_eq!((store.count(), store.bytes()), (0, 0));
    assert_eq!(store.set(&topic, value("t", 10, None), late), Ok(2));
}

/// A replaced value takes its place in the order of expiry along.
#[test]
fn replacement_forgets_the_expiry_before_mqtt_3_3_1_5() {
    let store = RetainedStore::new(OPEN, 5);
    let topic: Arc<str> = Arc::from("t");
    for n in 1..100 {
        store
            .set(&topic, value("t", n, Some(5)), Time::ZERO)
            .expect("there is room");
    }
    store
        .set(&topic, value("t", 3, Some(50)), Time::ZERO)
        .expect("there is room");
    assert_eq!(store.purge_expired(Time::from_millis(49), 9), 0);
    assert_eq!((store.count(), store.bytes()), (1, 3));
    assert_eq!(store.purge_expired(Time::from_millis(50), 9), 1);
    assert_eq!((store.count(), store.bytes()), (0, 0));
}

#[test]
fn what_is_cleared_or_expired_is_out_of_every_scan() {
    let store = RetainedStore::new(OPEN, 5);
    for n in 0..1_000_u64 {
        let topic = format!("t/{n}");
        let kept = value(&topic, 1, n.is_multiple_of(2).then_some(9));
        store
            .set(&Arc::from(&*topic), kept, Time::ZERO)
            .expect("there is room");
    }
    for n in (1..1_000).step_by(2) {
        store.clear(&format!("t/{n}"));
    }
    assert_eq!(store.purge_expired(Time::from_millis(9), 1_000), 500);
    let (mut cursor, mut out) = (ScanCursor::default(), Vec::new());
    let progress = store.scan(&parse("#"), &mut cursor, 1, Time::ZERO, &mut out);
    assert_eq!(
        (progress, out.len()),
        (ScanProgress::Done, 0),
        "nothing is left to look at"
    );
}

/// A publisher stores, then routes; a subscriber registers, then replays. Each update that the
/// replay does not return, nor a newer one of its topic, comes live; so does each one that is
/// newer than the sequence that the subscriber asked for.
#[test]
fn no_update_falls_between_replay_and_live() {
    const SUBSCRIBERS: u32 = 300;
    let filter = SubscriptionFilter::parse("a/+", 128).expect("a valid filter");
    let index = SharedIndex::new(1, 7);
    let store: RetainedStore<Value> = RetainedStore::new(OPEN, 7);
    let done = AtomicBool::new(false);
    let topic: Arc<str> = Arc::from("a/b");
    // For each update, its sequence number and who got it live.
    let publish = || {
        let name = TopicName::parse(&topic, 128).expect("a valid topic");
        let mut cache = RouteCache::new(4, 1 << 20, 1);
        let mut updates: Vec<(u64, BTreeSet<u32>)> = Vec::new();
        let mut last = false;
        while !last {
            last = done.load(Ordering::Acquire);
            // Topics come and go in the order too, not only values.
            if updates.len().is_multiple_of(3) {
                store.clear(&topic);
            }
            let sequence = set(&store, &topic, 0);
            let route = cache.route(&index, name);
            let live = route
                .recipients(WorkerId(0))
                .iter()
                .map(|one| one.session.slot);
            updates.push((sequence, live.collect()));
        }
        updates
    };
    let subscribe_all = || {
        let mut replays = Vec::new();
        for slot in 0..SUBSCRIBERS {
            let options = SubscriptionOptions::plain(QoS::AtMostOnce);
            let change = subscribe(&filter, session(0, slot, 0), options, None);
            assert_eq!(index.apply(&mut VecDeque::from([change]), 1), 1);
            let asked = store.sequence();
            let (mut cursor, mut out) = (ScanCursor::default(), Vec::new());
            let all = &filter.filter;
            while store.scan(all, &mut cursor, 1, Time::ZERO, &mut out) == ScanProgress::More {}
            replays.push((asked, out.first().map(|(sequence, _)| *sequence)));
        }
        done.store(true, Ordering::Release);
        replays
    };
    let (updates, replays) = std::thread::scope(|scope| {
        let updates = scope.spawn(publish);
        let replays = scope.spawn(subscribe_all);
        (
            updates.join().expect("published"),
            replays.join().expect("subscribed"),
        )
    });
    for (slot, (asked, replayed)) in (0u32..).zip(replays) {
        // Where nothing was retained, an update was on its way and everything after it too.
        let from = replayed.map_or(asked, |sequence| sequence.min(asked));
        for (sequence, live) in updates.iter().filter(|(sequence, _)| *sequence > from) {
            assert!(
                live.contains(&slot),
                "{sequence} is lost to {slot}: {asked} {replayed:?}"
            );
        }
    }
}

fn message(topic: &str, payload: &[u8], expires: Option<u64>) -> Arc<Message> {
    let parts = MessageParts {
        properties: &[],
        payload,
        qos: QoS::AtLeastOnce,
        retain: true,
        publisher: None,
        expires: expires.map(Time::from_millis),
        durability: Durability::Disk,
        followed: types::Followed::No,
    };
    Arc::new(Message::new(Arc::from(topic), parts))
}

/// A message and the same in the store alone.
fn stored(topic: &str, payload: &[u8], expires: Option<u64>) -> (Body, Body) {
    let message = message(topic, payload, expires);
    message.reference_or(|| MessageRef(7));
    let here = Body::Here(message);
    (here.clone(), here.without_message())
}

fn is_here(store: &RetainedStore<Body>, topic: &str) -> Option<bool> {
    let name = TopicName::parse(topic, 128).expect("a valid topic");
    let body = store.exact(name, Time::ZERO)?;
    Some(body.message().is_some())
}

#[test]
fn what_is_restored_keeps_its_place_among_all_changes() {
    // Today's limits would take one topic of no bytes.
    let limits = RetainedLimits {
        messages: 1,
        bytes: 0,
    };
    let store = RetainedStore::new(limits, 5);
    store.restore(Arc::from("a"), value("a", 3, None), 40);
    store.restore(Arc::from("b"), value("b", 5, Some(9)), 20);
    assert_eq!((store.count(), store.bytes(), store.sequence()), (2, 8, 40));
    assert!(store.is_newest("a", 40) && store.is_newest("b", 20));
    // The higher sequence holds, whichever comes last.
    store.restore(Arc::from("a"), value("a", 4, None), 39);
    assert!(store.is_newest("a", 40));
    store.restore(Arc::from("b"), value("b", 1, Some(7)), 21);
    assert!(store.is_newest("b", 21));
    assert_eq!((store.count(), store.bytes()), (2, 4));
    store.set_sequence_floor(99);
    store.set_sequence_floor(50);
    assert_eq!(store.clear("none"), 100);
    assert_eq!(store.purge_expired(Time::from_millis(6), 9), 0);
    assert_eq!(store.purge_expired(Time::from_millis(7), 9), 1);
    let (mut cursor, mut out) = (ScanCursor::default(), Vec::new());
    store.scan(&parse("#"), &mut cursor, 9, Time::ZERO, &mut out);
    assert_eq!(out, [(40, value("a", 3, None))]);
    assert_eq!((store.count(), store.bytes(), store.memory()), (1, 3, 3));
}

#[test]
fn a_value_goes_into_memory_and_out_of_it_unless_it_was_replaced() {
    let store = RetainedStore::new(OPEN, 5);
    let (here, gone) = stored("t", b"body", Some(9));
    store.restore(Arc::from("t"), gone.clone(), 3);
    assert_eq!((store.bytes(), store.memory()), (5, 0));
    assert!(!store.fill("t", 2, here.clone()) && !store.fill("u", 3, here.clone()));
    assert_eq!(is_here(&store, "t"), Some(false));
    assert!(store.fill("t", 3, here.clone()));
    assert_eq!(is_here(&store, "t"), Some(true));
    assert_eq!((store.bytes(), store.memory()), (5, 5));
    assert_eq!((store.sequence(), store.count()), (3, 1));
    assert!(store.fill("t", 3, gone.clone()));
    assert_eq!((store.bytes(), store.memory()), (5, 0));
    // A newer one is not replaced by what was loaded for the one before.
    let newer = Body::Here(message("t", b"2", None));
    assert_eq!(store.set(&Arc::from("t"), newer, Time::ZERO), Ok(4));
    assert!(!store.fill("t", 3, here));
    assert_eq!((store.bytes(), store.memory()), (2, 2));
    store.clear("t");
    assert_eq!((store.bytes(), store.memory()), (0, 0));
}

#[test]
fn a_value_that_was_filled_expires_as_before_mqtt_3_3_2_5() {
    let store = RetainedStore::new(OPEN, 5);
    let (here, gone) = stored("t", b"body", Some(9));
    store.restore(Arc::from("t"), gone, 3);
    assert!(store.fill("t", 3, here));
    assert_eq!(store.purge_expired(Time::from_millis(8), 9), 0);
    assert_eq!(store.purge_expired(Time::from_millis(9), 9), 1);
    assert_eq!((store.count(), store.bytes(), store.memory()), (0, 0, 0));
    // And if the other form says another time, that one holds.
    let (_, gone) = stored("t", b"body", Some(20));
    store.restore(Arc::from("t"), gone, 4);
    assert!(store.fill("t", 4, stored("t", b"body", Some(30)).0));
    assert_eq!(store.purge_expired(Time::from_millis(20), 9), 0);
    assert_eq!(store.purge_expired(Time::from_millis(30), 9), 1);
    assert_eq!(store.count(), 0);
}

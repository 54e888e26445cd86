//! The index against the plain rule: lists and linear matching.

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use common::{filters, session, subscribe, topics, unsubscribe};
use proptest::prelude::*;
use topics::{IndexStats, Recipient, Route, RouteCache, SharedIndex, matches};
use types::{QoS, SessionRef, SubscriptionFilter, SubscriptionOptions, TopicName, WorkerId};

const WORKERS: u16 = 3;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Subscribe {
        filter: SubscriptionFilter,
        who: SessionRef,
        options: u8,
        id: u32,
    },
    Unsubscribe {
        filter: SubscriptionFilter,
        who: SessionRef,
    },
    /// Unsubscribes the subscription at this place of those that exist.
    Drop(usize),
}

fn shared_or_not() -> impl Strategy<Value = SubscriptionFilter> {
    let share = prop_oneof![
        4 => Just(""),
        1 => Just("$share/g/"),
        1 => Just("$share/h/"),
    ];
    (share, filters()).prop_map(|(share, filter)| {
        SubscriptionFilter::parse(&format!("{share}{filter}"), 128).expect("a valid filter")
    })
}

fn sessions() -> impl Strategy<Value = SessionRef> {
    (0..WORKERS, 0u32..3, 0u32..2).prop_map(|(worker, slot, tenant)| session(worker, slot, tenant))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (shared_or_not(), sessions(), 0u8..16, 0u32..4).prop_map(
            |(filter, who, options, id)| Step::Subscribe {
                filter,
                who,
                options: (options & 0x0c) | (options & 3).min(2),
                id,
            }
        ),
        1 => (shared_or_not(), sessions())
            .prop_map(|(filter, who)| Step::Unsubscribe { filter, who }),
        2 => any::<usize>().prop_map(Step::Drop),
    ];
    prop::collection::vec(step, 1..40)
}

type Subscriptions =
    BTreeMap<(SubscriptionFilter, SessionRef), (SubscriptionOptions, Option<NonZeroU32>)>;

/// What one copy looks like: QoS, retain as published, identifiers.
type Copy = (QoS, bool, BTreeSet<NonZeroU32>);

/// For each session what it gets of others and of itself; for each group its members.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    sessions: BTreeMap<SessionRef, (Option<Copy>, Option<Copy>)>,
    groups: BTreeMap<SubscriptionFilter, BTreeSet<(SessionRef, u8, Option<NonZeroU32>)>>,
}

fn merge(list: &[&(SubscriptionOptions, Option<NonZeroU32>)]) -> Option<Copy> {
    let qos = list.iter().map(|(options, _)| options.qos).max()?;
    let retain = list.iter().any(|(options, _)| options.retain_as_published);
    Some((qos, retain, list.iter().filter_map(|(_, id)| *id).collect()))
}

fn naive(model: &Subscriptions, topic: TopicName<'_>) -> Expected {
    let mut expected = Expected::default();
    let mut plain: BTreeMap<SessionRef, Vec<&(SubscriptionOptions, Option<NonZeroU32>)>> =
        BTreeMap::new();
    for ((filter, who), with) in model {
        if !matches(&filter.filter, topic) {
            continue;
        }
        match filter.share {
            None => plain.entry(*who).or_default().push(with),
            Some(_) => {
                let group = expected.groups.entry(filter.clone()).or_default();
                group.insert((*who, with.0.to_byte(), with.1));
            }
        }
    }
    for (who, list) in plain {
        let own: Vec<_> = list
            .iter()
            .filter(|(options, _)| !options.no_local)
            .copied()
            .collect();
        expected.sessions.insert(who, (merge(&list), merge(&own)));
    }
    expected
}

fn found(route: &Route) -> Expected {
    let copy = |recipient: &Recipient, own| {
        let delivery = recipient.delivery_for(own)?;
        let ids = delivery.ids();
        assert!(
            ids.is_sorted_by(|a, b| a < b),
            "ascending, each once: {ids:?}"
        );
        Some((
            delivery.qos,
            delivery.retain_as_published,
            ids.iter().copied().collect(),
        ))
    };
    let mut expected = Expected::default();
    for worker in route.workers() {
        let recipients = route.recipients(worker);
        assert!(
            !recipients.is_empty(),
            "a worker without recipients is not named"
        );
        for recipient in recipients {
            let who = SessionRef {
                worker,
                key: recipient.session,
            };
            let both = (copy(recipient, false), copy(recipient, true));
            assert!(
                expected.sessions.insert(who, both).is_none(),
                "one entry a session (C13)"
            );
        }
    }
    assert_eq!(expected.sessions.len(), route.recipient_count());
    for group in route.groups() {
        let members = group.members().iter();
        let members = members
            .map(|one| (one.subscriber, one.options.to_byte(), one.id))
            .collect();
        assert!(
            expected
                .groups
                .insert(SubscriptionFilter::clone(group.filter()), members)
                .is_none()
        );
    }
    assert_eq!(route.is_empty(), expected == Expected::default());
    expected
}

fn expected_stats(model: &Subscriptions) -> IndexStats {
    let filters: BTreeSet<_> = model.keys().map(|(filter, _)| &filter.filter).collect();
    let groups: BTreeSet<_> = model
        .keys()
        .map(|(filter, _)| filter)
        .filter(|filter| filter.share.is_some())
        .collect();
    let shared = model
        .keys()
        .filter(|(filter, _)| filter.share.is_some())
        .count();
    IndexStats {
        filters: filters.len(),
        subscriptions: model.len() - shared,
        shared_subscriptions: shared,
        groups: groups.len(),
    }
}

/// Applies a step to the model and returns the change for the index, if there is one.
fn play(step: &Step, model: &mut Subscriptions) -> Option<topics::IndexChange> {
    match step {
        Step::Subscribe {
            filter,
            who,
            options,
            id,
        } => {
            let mut options = SubscriptionOptions::from_byte(*options)?;
            // A protocol error that never comes this far (MQTT-3.8.3-4).
            options.no_local &= filter.share.is_none();
            let id = NonZeroU32::new(*id);
            model.insert((filter.clone(), *who), (options, id));
            Some(subscribe(filter, *who, options, id))
        }
        Step::Unsubscribe { filter, who } => {
            model.remove(&(filter.clone(), *who));
            Some(unsubscribe(filter, *who))
        }
        Step::Drop(at) => {
            let count = model.len().max(1);
            let (filter, who) = model.keys().nth(at % count).cloned()?;
            model.remove(&(filter.clone(), who));
            Some(unsubscribe(&filter, who))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    /// C13, C14, C19, C34, C35, MQTT-3.8.4-3: any history gives what the plain rule gives, a
    /// cache never serves a route that is out of date, and an index without subscriptions
    /// holds what an empty one holds.
    #[test]
    fn index_agrees_with_the_plain_rule_c13_c14_c19_c35(
        steps in steps(),
        topics in prop::collection::vec(topics(), 1..12),
        seed: u64,
    ) {
        let index = SharedIndex::new(usize::from(WORKERS), seed);
        let empty = index.allocated();
        let mut cache = RouteCache::new(8, 1 << 20, seed);
        let mut model = Subscriptions::new();
        let mut known: Vec<(Expected, u64)> = Vec::new();
        for step in &steps {
            let mut changes: VecDeque<_> = play(step, &mut model).into_iter().collect();
            let given = changes.len();
            prop_assert_eq!(index.apply(&mut changes, 10), given);
            prop_assert_eq!(index.stats(), expected_stats(&model));
            let before = std::mem::take(&mut known);
            for (at, text) in topics.iter().enumerate() {
                let topic = TopicName::parse(text, 128).expect("a valid topic");
                let want = naive(&model, topic);
                prop_assert_eq!(&found(&index.route(topic)), &want, "topic {:?}", text);
                let route = cache.route(&index, topic);
                prop_assert_eq!(&**route.topic(), text.as_str());
                prop_assert_eq!(&found(route), &want, "cached, topic {:?}", text);
                prop_assert!(index.is_current(route));
                let version = index.version(topic);
                if let Some((had, at_version)) = before.get(at) {
                    prop_assert!(had == &want || version > *at_version, "same version, {:?}", text);
                }
                known.push((want, version));
            }
        }
        let mut rest: VecDeque<_> =
            model.keys().map(|(filter, who)| unsubscribe(filter, *who)).collect();
        while index.apply(&mut rest, 3) > 0 {}
        prop_assert_eq!(index.stats(), IndexStats::default());
        // The root's chunk may have grown; it stays.
        prop_assert!(index.allocated() <= empty + 1024 * 24 + 256, "memory is given back");
    }
}

fn parse(text: &str) -> SubscriptionFilter {
    SubscriptionFilter::parse(text, u16::MAX).expect("a valid filter")
}

fn apply(index: &SharedIndex, change: topics::IndexChange) {
    assert_eq!(index.apply(&mut VecDeque::from([change]), 1), 1);
}

fn plain(index: &SharedIndex, filter: &str, who: SessionRef) {
    let options = SubscriptionOptions::plain(QoS::AtLeastOnce);
    apply(index, subscribe(&parse(filter), who, options, None));
}

fn version(index: &SharedIndex, topic: &str) -> u64 {
    index.version(TopicName::parse(topic, u16::MAX).expect("a valid topic"))
}

fn count(index: &SharedIndex, topic: &str) -> usize {
    let topic = TopicName::parse(topic, u16::MAX).expect("a valid topic");
    index.route(topic).recipient_count()
}

#[test]
fn version_moves_only_when_something_changed() {
    let index = SharedIndex::new(1, 7);
    let who = session(0, 0, 0);
    plain(&index, "a/+", who);
    let first = version(&index, "a/b");
    plain(&index, "a/+", who);
    apply(&index, unsubscribe(&parse("a/x"), who));
    apply(&index, unsubscribe(&parse("$share/g/a/+"), who));
    assert_eq!(version(&index, "a/b"), first, "nothing changed");
    apply(
        &index,
        subscribe(
            &parse("a/+"),
            who,
            SubscriptionOptions::plain(QoS::AtMostOnce),
            None,
        ),
    );
    assert!(
        version(&index, "a/b") > first,
        "other options (MQTT-3.8.4-3)"
    );
    let elsewhere = (0..100).map(|n| format!("t{n}")).find(|first_level| {
        let before = version(&index, first_level);
        plain(&index, "a/y", session(0, 1, 0));
        apply(&index, unsubscribe(&parse("a/y"), session(0, 1, 0)));
        version(&index, first_level) == before
    });
    assert!(
        elsewhere.is_some(),
        "churn in one first level leaves others alone"
    );
    let before = version(&index, "zz/top");
    plain(&index, "+/top", who);
    assert!(
        version(&index, "zz/top") > before,
        "a wildcard at the start concerns all"
    );
}

#[test]
fn apply_is_bounded_and_keeps_order() {
    let index = SharedIndex::new(1, 7);
    let who = session(0, 0, 0);
    let options = SubscriptionOptions::plain(QoS::AtMostOnce);
    let mut changes: VecDeque<_> = (0..10)
        .map(|n| subscribe(&parse(&format!("t/{n}")), who, options, None))
        .chain([unsubscribe(&parse("t/9"), who)])
        .collect();
    assert_eq!(index.apply(&mut changes, 4), 4);
    assert_eq!((changes.len(), index.stats().filters), (7, 4));
    assert_eq!(index.apply(&mut changes, 100), 7);
    assert_eq!(
        (index.apply(&mut changes, 4), index.stats().filters),
        (0, 9)
    );
    assert_eq!((count(&index, "t/8"), count(&index, "t/9")), (1, 0));
}

#[test]
fn depth_has_no_limit_but_the_length_s18() {
    let index = SharedIndex::new(1, 7);
    let (wide, deep) = ("+/".repeat(32_767), "/".repeat(65_534));
    for (slot, filter) in (0u32..).zip([&wide, &deep, &format!("{wide}#"), &"+".to_owned()]) {
        plain(&index, filter, session(0, slot, 0));
    }
    assert_eq!(
        count(&index, &deep),
        2,
        "itself and everything below 32,767 levels"
    );
    assert_eq!(count(&index, &"/".repeat(32_767)), 2);
    for (slot, filter) in (0u32..).zip([&wide, &deep, &format!("{wide}#")]) {
        apply(&index, unsubscribe(&parse(filter), session(0, slot, 0)));
    }
    assert_eq!((index.stats().filters, count(&index, "x")), (1, 1));
}

#[test]
fn many_subscribers_of_one_filter_come_and_go() {
    let index = SharedIndex::new(2, 7);
    let all: Vec<SessionRef> = (0..5_000)
        .map(|n| session((n % 2) as u16, n / 2, n))
        .collect();
    let start = index.allocated();
    for filter in ["t", "t/#", "$share/g/t"] {
        for &who in &all {
            plain(&index, filter, who);
        }
    }
    let route = index.route(TopicName::parse("t", 128).expect("a valid topic"));
    assert_eq!(route.recipient_count(), all.len());
    assert_eq!(
        route.workers().collect::<Vec<_>>(),
        [WorkerId(0), WorkerId(1)]
    );
    assert!(
        route
            .recipients(WorkerId(1))
            .is_sorted_by_key(|one| one.session)
    );
    assert_eq!(route.groups()[0].members().len(), all.len());
    for (_, &who) in all.iter().enumerate().filter(|(at, _)| at % 3 != 0) {
        apply(&index, unsubscribe(&parse("t"), who));
        apply(&index, unsubscribe(&parse("$share/g/t"), who));
    }
    let left = all.len().div_ceil(3);
    let route = index.route(TopicName::parse("t", 128).expect("a valid topic"));
    assert_eq!(route.groups()[0].members().len(), left);
    assert_eq!(index.stats().subscriptions, all.len() + left);
    for &who in &all {
        for filter in ["t", "t/#", "$share/g/t"] {
            apply(&index, unsubscribe(&parse(filter), who));
        }
    }
    assert_eq!(index.stats(), IndexStats::default());
    assert!(index.allocated() <= start + 64);
}

#[test]
fn dead_branches_give_their_memory_back() {
    let index = SharedIndex::new(1, 7);
    let start = index.allocated();
    let count = 20_000;
    let filters: Vec<String> = (0..count)
        .map(|n| {
            format!(
                "common/{n}/+/own-level-of-more-than-22-bytes-{n}/+/{}/#",
                n % 7
            )
        })
        .collect();
    let mut peak = 0;
    for _ in 0..3 {
        for filter in &filters {
            plain(&index, filter, session(0, 1, 0));
        }
        assert!(
            peak == 0 || index.allocated() <= peak + peak / 8,
            "slots are used again"
        );
        peak = peak.max(index.allocated());
        for filter in &filters {
            apply(&index, unsubscribe(&parse(filter), session(0, 1, 0)));
        }
        assert_eq!(index.stats(), IndexStats::default());
    }
    // What stays is the list of chunks and the root's chunk.
    let left = index.allocated() - start;
    assert!(left < 64 * 1024 && left < peak / 20, "{left} of {peak}");
}

/// A subscription that was applied is in every route that is asked for afterwards, from any
/// thread, cached or not.
#[test]
fn a_route_is_never_older_than_an_apply_that_returned() {
    use std::sync::atomic::{AtomicU32, Ordering};
    const COUNT: u32 = 20_000;
    let index = Arc::new(SharedIndex::new(1, 7));
    let applied = Arc::new(AtomicU32::new(0));
    let writer = {
        let (index, applied) = (Arc::clone(&index), Arc::clone(&applied));
        std::thread::spawn(move || {
            for slot in 0..COUNT {
                let filter = ["a/b", "a/+", "+/b", "#"][slot as usize % 4];
                // Half of the time the oldest goes as a new one comes.
                plain(&index, filter, session(0, slot, 0));
                if slot >= 64 {
                    let old = slot - 64;
                    let filter = ["a/b", "a/+", "+/b", "#"][old as usize % 4];
                    apply(&index, unsubscribe(&parse(filter), session(0, old, 0)));
                }
                applied.store(slot + 1, Ordering::Release);
            }
        })
    };
    let topic = TopicName::parse("a/b", 128).expect("a valid topic");
    let mut cache = RouteCache::new(4, 1 << 20, 1);
    loop {
        let before = applied.load(Ordering::Acquire);
        let slots: BTreeSet<u32> = cache
            .route(&index, topic)
            .recipients(WorkerId(0))
            .iter()
            .map(|one| one.session.slot)
            .collect();
        let after = applied.load(Ordering::Acquire);
        // Whoever was in before we asked and is still in afterwards must be there.
        for slot in after.saturating_sub(63)..before {
            assert!(slots.contains(&slot), "{slot} of {before}..{after}");
        }
        if before == COUNT {
            assert_eq!(slots.len(), 64);
            break;
        }
    }
    writer.join().expect("the writer ends");
}

#[test]
fn the_cache_is_bounded_in_routes_and_bytes() {
    let index = SharedIndex::new(1, 7);
    for slot in 0..100 {
        plain(&index, "big", session(0, slot, 0));
    }
    plain(&index, "small/#", session(0, 0, 0));
    let texts: Vec<String> = (0..1_000).map(|n| format!("small/{n}")).collect();
    let mut cache = RouteCache::new(10, 2_000, 1);
    for text in &texts {
        let topic = TopicName::parse(text, 128).expect("a valid topic");
        assert_eq!(&**cache.route(&index, topic).topic(), text.as_str());
        assert!(cache.len() <= 10 && cache.bytes() <= 2_000);
    }
    let kept = (cache.len(), cache.bytes());
    let big = TopicName::parse("big", 128).expect("a valid topic");
    assert_eq!(cache.route(&index, big).recipient_count(), 100);
    assert_eq!(
        (cache.len(), cache.bytes()),
        kept,
        "too large to keep, and nothing else goes"
    );
    let mut none = RouteCache::new(0, 2_000, 1);
    assert_eq!(none.route(&index, big).recipient_count(), 100);
    assert!(none.is_empty());
}

#[test]
fn a_route_that_is_used_outlives_those_that_are_not() {
    let index = SharedIndex::new(1, 7);
    let hot = TopicName::parse("hot", 128).expect("a valid topic");
    let mut cache = RouteCache::new(16, 1 << 20, 1);
    let first = Arc::clone(cache.route(&index, hot));
    for n in 0..200 {
        let text = format!("cold/{n}");
        cache.route(&index, TopicName::parse(&text, 128).expect("a valid topic"));
        assert!(Arc::ptr_eq(cache.route(&index, hot), &first), "after {n}");
    }
}

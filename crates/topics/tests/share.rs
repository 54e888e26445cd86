//! The choice of a member (MQTT 5.0, 4.8.2; C19).

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use common::session;
use proptest::prelude::*;
use topics::{GroupRoute, IndexChange, Member, MemberState, Pick, SharedIndex, Strategy};
use types::{QoS, SessionRef, SubscriptionFilter, SubscriptionOptions, TopicName};

const ALL: [Strategy; 6] = [
    Strategy::RoundRobin,
    Strategy::Random,
    Strategy::Sticky,
    Strategy::HashClient,
    Strategy::HashTopic,
    Strategy::LeastInflight,
];

/// A group of one filter and the states of its members.
struct Universe {
    index: SharedIndex,
    states: BTreeMap<u32, Arc<MemberState>>,
}

impl Universe {
    fn new(members: u32) -> Self {
        let mut universe = Self {
            index: SharedIndex::new(1, 7),
            states: BTreeMap::new(),
        };
        for slot in 0..members {
            universe.join(slot);
        }
        universe
    }

    fn join(&mut self, slot: u32) {
        let state = Arc::new(MemberState::default());
        state.set_online(true);
        state.set_window(10);
        self.states.insert(slot, Arc::clone(&state));
        self.apply(IndexChange::Subscribe {
            filter: filter(),
            subscriber: session(0, slot, 0),
            options: SubscriptionOptions::plain(QoS::AtLeastOnce),
            id: None,
            member: Some(state),
        });
    }

    fn leave(&mut self, slot: u32) {
        self.states.remove(&slot);
        self.apply(IndexChange::Unsubscribe {
            filter: filter(),
            subscriber: session(0, slot, 0),
        });
    }

    fn apply(&self, change: IndexChange) {
        assert_eq!(self.index.apply(&mut VecDeque::from([change]), 1), 1);
    }

    fn group(&self) -> GroupRoute {
        let route = self
            .index
            .route(TopicName::parse("t", 1).expect("a valid topic"));
        assert_eq!(route.groups().len(), 1);
        route.groups()[0].clone()
    }
}

fn filter() -> SubscriptionFilter {
    SubscriptionFilter::parse("$share/g/t", 128).expect("a valid filter")
}

fn pick(random: u64) -> Pick<'static> {
    static NOBODY: BTreeSet<SessionRef> = BTreeSet::new();
    Pick {
        publisher: 1,
        topic: "t",
        random,
        skip: &NOBODY,
    }
}

fn slot(member: Option<&Member>) -> Option<u32> {
    member.map(|member| member.subscriber.key.slot)
}

#[test]
fn strategies_have_names() {
    for strategy in ALL {
        assert_eq!(strategy.to_string().parse(), Ok(strategy));
    }
    assert_eq!(Strategy::default(), Strategy::RoundRobin);
    assert!("Round_Robin".parse::<Strategy>().is_err());
}

#[test]
fn round_robin_serves_each_in_turn_across_changes() {
    let mut universe = Universe::new(3);
    let group = universe.group();
    let first: Vec<_> = (0..6)
        .map(|_| slot(group.choose(Strategy::RoundRobin, &pick(0))))
        .collect();
    assert_eq!(
        first,
        [Some(0), Some(1), Some(2), Some(0), Some(1), Some(2)]
    );
    universe.join(3);
    let group = universe.group();
    let mut served = [0; 4];
    for _ in 0..400 {
        let one = slot(group.choose(Strategy::RoundRobin, &pick(0))).expect("a member");
        served[one as usize] += 1;
    }
    assert_eq!(served, [100; 4]);
}

#[test]
fn random_is_the_callers_number_and_fair() {
    let universe = Universe::new(4);
    let group = universe.group();
    let mut served = [0_u32; 4];
    for n in 0..4_000_u64 {
        let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let one = slot(group.choose(Strategy::Random, &pick(random)));
        assert_eq!(one, slot(group.choose(Strategy::Random, &pick(random))));
        served[one.expect("a member") as usize] += 1;
    }
    assert!(
        served.iter().all(|&count| (900..1_100).contains(&count)),
        "{served:?}"
    );
}

#[test]
fn sticky_stays_until_it_cannot() {
    let mut universe = Universe::new(3);
    let choose =
        |universe: &Universe| slot(universe.group().choose(Strategy::Sticky, &pick(9))).unwrap();
    let first = choose(&universe);
    universe.join(7);
    assert_eq!(choose(&universe), first, "whoever joins");
    universe.states[&first].set_inflight(10);
    let second = choose(&universe);
    assert_ne!(second, first, "no room");
    universe.states[&first].set_inflight(0);
    assert_eq!(choose(&universe), second, "it sticks to the new one");
    universe.states[&second].set_online(false);
    let third = choose(&universe);
    assert_ne!(third, second, "away");
    universe.leave(third);
    assert_ne!(choose(&universe), third, "gone");
}

#[test]
fn hashing_is_consistent() {
    let mut universe = Universe::new(8);
    let topics: Vec<String> = (0..800).map(|n| format!("t/{n}")).collect();
    let serve = |universe: &Universe, strategy| -> Vec<u32> {
        let group = universe.group();
        let picks = (0_u64..).zip(&topics).map(|(publisher, topic)| Pick {
            publisher,
            topic,
            ..pick(publisher)
        });
        picks
            .map(|pick| slot(group.choose(strategy, &pick)).expect("a member"))
            .collect()
    };
    for strategy in [Strategy::HashClient, Strategy::HashTopic] {
        let before = serve(&universe, strategy);
        for one in 0..8 {
            let share = before.iter().filter(|&&slot| slot == one).count();
            assert!(
                (50..150).contains(&share),
                "{strategy} gives {share} of 800 to {one}"
            );
        }
        universe.states[&3].set_online(false);
        let without = serve(&universe, strategy);
        universe.states[&3].set_online(true);
        for (&had, &has) in before.iter().zip(&without) {
            assert!(
                has == had || had == 3,
                "only the share of the one that went moves"
            );
            assert_ne!(has, 3);
        }
        assert_eq!(serve(&universe, strategy), before);
    }
    universe.leave(0);
    universe.join(0);
    let group = universe.group();
    let same = |topic| {
        let pick = |publisher| Pick {
            publisher,
            topic,
            ..pick(publisher)
        };
        let chosen: Vec<_> = (0..50)
            .map(|n| slot(group.choose(Strategy::HashTopic, &pick(n))))
            .collect();
        chosen.iter().all(|one| *one == chosen[0])
    };
    assert!(
        same("a") && same("b"),
        "a topic's member does not depend on the publisher"
    );
}

#[test]
fn least_inflight_prefers_the_idle_and_shares_ties() {
    let universe = Universe::new(3);
    let group = universe.group();
    universe.states[&0].set_inflight(2);
    universe.states[&1].set_inflight(1);
    universe.states[&2].set_inflight(2);
    assert_eq!(
        slot(group.choose(Strategy::LeastInflight, &pick(0))),
        Some(1)
    );
    universe.states[&1].set_inflight(2);
    let chosen: std::collections::BTreeSet<_> = (0..3)
        .map(|_| slot(group.choose(Strategy::LeastInflight, &pick(0))))
        .collect();
    assert_eq!(chosen.len(), 3);
}

#[test]
fn a_group_without_a_member_beside_skip_has_none() {
    let universe = Universe::new(2);
    let group = universe.group();
    let all = BTreeSet::from([session(0, 0, 0), session(0, 1, 0)]);
    for strategy in ALL {
        let pick = Pick {
            skip: &all,
            ..pick(3)
        };
        assert!(group.choose(strategy, &pick).is_none(), "{strategy}");
    }
}

#[test]
fn another_member_online_is_found() {
    let universe = Universe::new(2);
    let online = |except| {
        universe
            .index
            .has_online_member(&filter(), session(0, except, 0))
    };
    assert!(online(0) && online(1));
    universe.states[&0].set_online(false);
    assert!(!online(1) && online(0));
    let other = SubscriptionFilter::parse("$share/h/t", 128).expect("a valid filter");
    assert!(!universe.index.has_online_member(&other, session(0, 9, 0)));
    let plain = SubscriptionFilter::parse("t", 128).expect("a valid filter");
    assert!(!universe.index.has_online_member(&plain, session(0, 9, 0)));
}

/// How fit a member is: online with room, online, away.
fn rank(member: &Member) -> u8 {
    match (member.state.is_online(), member.state.has_room()) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// C19: whatever the strategy, nobody who was skipped is chosen, and nobody while a
    /// fitter one is left; the same arguments give the same member where nothing is kept
    /// between choices.
    #[test]
    fn the_fittest_that_was_not_tried_is_chosen_c19(
        states in prop::collection::vec((any::<bool>(), 0u32..3), 1..60),
        skipped in prop::collection::vec(0u32..60, 0..6),
        random: u64,
        publisher: u64,
    ) {
        let universe = Universe::new(states.len() as u32);
        for (state, &(online, inflight)) in universe.states.values().zip(&states) {
            state.set_online(online);
            state.set_window(2);
            state.set_inflight(inflight);
        }
        let group = universe.group();
        let skip: BTreeSet<SessionRef> = skipped.iter().map(|&slot| session(0, slot, 0)).collect();
        let pick = Pick { publisher, topic: "t", random, skip: &skip };
        let best = group
            .members()
            .iter()
            .filter(|member| !skip.contains(&member.subscriber))
            .map(rank)
            .min();
        for strategy in ALL {
            let chosen = group.choose(strategy, &pick);
            prop_assert_eq!(chosen.map(rank), best, "{}", strategy);
            prop_assert!(chosen.is_none_or(|one| !skip.contains(&one.subscriber)));
            if !matches!(strategy, Strategy::RoundRobin | Strategy::LeastInflight) {
                let again = group.choose(strategy, &pick);
                prop_assert_eq!(slot(again), slot(chosen), "{}", strategy);
            }
        }
    }
}

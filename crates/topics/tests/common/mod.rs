//! What the tests share: small alphabets, in which everything collides.
#![allow(dead_code, reason = "each test file uses a part")]

use std::num::NonZeroU32;
use std::sync::Arc;

use proptest::prelude::*;
use topics::{IndexChange, MemberState};
use types::{SessionKey, SessionRef, SubscriptionFilter, SubscriptionOptions, WorkerId};

/// Filters of up to five levels.
pub(crate) fn filters() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["", "a", "b", "a!", "$s", "+", "+"]);
    (prop::collection::vec(level, 0..5), any::<bool>())
        .prop_map(|(mut levels, hash)| {
            if hash {
                levels.push("#");
            }
            levels.join("/")
        })
        .prop_filter("not empty", |filter| !filter.is_empty())
}

/// Topics of up to five levels. `!` sorts before `/`, `0` right behind it.
pub(crate) fn topics() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["", "a", "b", "a!", "a0", "c", "$s"]);
    prop::collection::vec(level, 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("not empty", |topic| !topic.is_empty())
}

/// A session.
pub(crate) fn session(worker: u16, slot: u32, generation: u32) -> SessionRef {
    SessionRef {
        worker: WorkerId(worker),
        key: SessionKey { slot, generation },
    }
}

/// A change that subscribes, with a member's state if it shares.
pub(crate) fn subscribe(
    filter: &SubscriptionFilter,
    subscriber: SessionRef,
    options: SubscriptionOptions,
    id: Option<NonZeroU32>,
) -> IndexChange {
    let member = filter
        .share
        .as_ref()
        .map(|_| Arc::new(MemberState::default()));
    IndexChange::Subscribe {
        filter: filter.clone(),
        subscriber,
        options,
        id,
        member,
    }
}

/// A change that unsubscribes.
pub(crate) fn unsubscribe(filter: &SubscriptionFilter, subscriber: SessionRef) -> IndexChange {
    IndexChange::Unsubscribe {
        filter: filter.clone(),
        subscriber,
    }
}

//! The set at one filter: 16 bytes for the one subscriber that most filters have, a list
//! that finds its members by hash when it is long, and the groups that share the filter.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use types::WorkerId;
use types::{QoS, SessionKey, SessionRef, ShareName, SubscriptionFilter, SubscriptionOptions};

use crate::keyed::mix;
use crate::share::{GroupRoute, GroupState, Member};
use crate::slab::{NONE, Slab};

/// Lists longer than this are searched by hash.
const LONG: usize = 32;

/// Marks a handle of a set that is more than one subscriber.
const MANY: u32 = 1 << 31;

/// Who subscribed and what routing needs of the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    slot: u32,
    generation: u32,
    pub(crate) id: Option<NonZeroU32>,
    worker: u16,
    pub(crate) qos: QoS,
    flags: u8,
}

const NO_LOCAL: u8 = 1;
const RETAIN_AS_PUBLISHED: u8 = 2;

const _: () = assert!(size_of::<Entry>() == 16);

impl Entry {
    pub(crate) fn new(
        subscriber: SessionRef,
        options: SubscriptionOptions,
        id: Option<NonZeroU32>,
    ) -> Self {
        let no_local = if options.no_local { NO_LOCAL } else { 0 };
        let as_published = if options.retain_as_published {
            RETAIN_AS_PUBLISHED
        } else {
            0
        };
        Self {
            slot: subscriber.key.slot,
            generation: subscriber.key.generation,
            id,
            worker: subscriber.worker.0,
            qos: options.qos,
            flags: no_local | as_published,
        }
    }

    pub(crate) fn worker(&self) -> WorkerId {
        WorkerId(self.worker)
    }

    pub(crate) fn session(&self) -> SessionKey {
        SessionKey {
            slot: self.slot,
            generation: self.generation,
        }
    }

    /// The order of routes, by worker and session, in one number: a crowd sorts twice as
    /// fast so.
    pub(crate) fn rank(&self) -> u128 {
        u128::from(self.worker) << 64 | u128::from(self.slot) << 32 | u128::from(self.generation)
    }

    pub(crate) fn no_local(&self) -> bool {
        self.flags & NO_LOCAL != 0
    }

    pub(crate) fn retain_as_published(&self) -> bool {
        self.flags & RETAIN_AS_PUBLISHED != 0
    }
}

/// What a [`Roster`] lists.
trait Listed {
    fn subscriber(&self) -> SessionRef;
    fn same(&self, other: &Self) -> bool;
}

impl Listed for Entry {
    fn subscriber(&self) -> SessionRef {
        SessionRef {
            worker: self.worker(),
            key: self.session(),
        }
    }

    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

impl Listed for Member {
    fn subscriber(&self) -> SessionRef {
        self.subscriber
    }

    fn same(&self, other: &Self) -> bool {
        self.options == other.options
            && self.id == other.id
            && Arc::ptr_eq(&self.state, &other.state)
    }
}

/// A list with each subscriber at most once. Its order is the order of its history.
#[derive(Debug)]
struct Roster<T> {
    list: Vec<T>,
    places: Option<Box<HashTable<u32>>>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// One subscription more.
    Added,
    /// The subscription has other options now (MQTT-3.8.4-3).
    Replaced,
    /// One subscription less.
    Removed,
    /// All is as it was.
    Unchanged,
}

impl<T: Listed> Roster<T> {
    fn new() -> Self {
        Self {
            list: Vec::new(),
            places: None,
        }
    }

    fn position(&self, subscriber: SessionRef) -> Option<usize> {
        match &self.places {
            None => self
                .list
                .iter()
                .position(|item| item.subscriber() == subscriber),
            Some(places) => places
                .find(fingerprint(subscriber), |&at| {
                    self.list[at as usize].subscriber() == subscriber
                })
                .map(|&at| at as usize),
        }
    }

    fn put(&mut self, item: T) -> Outcome {
        if let Some(at) = self.position(item.subscriber()) {
            if self.list[at].same(&item) {
                return Outcome::Unchanged;
            }
            self.list[at] = item;
            return Outcome::Replaced;
        }
        let at = self.list.len() as u32;
        let hash = fingerprint(item.subscriber());
        self.list.push(item);
        let list = &self.list;
        let rehash = |&at: &u32| fingerprint(list[at as usize].subscriber());
        match &mut self.places {
            Some(places) => {
                places.insert_unique(hash, at, rehash);
            }
            None if list.len() > LONG => {
                let mut places = HashTable::with_capacity(list.len() * 2);
                for (at, item) in (0u32..).zip(list) {
                    places.insert_unique(fingerprint(item.subscriber()), at, rehash);
                }
                self.places = Some(Box::new(places));
            }
            None => {}
        }
        Outcome::Added
    }

    fn remove(&mut self, subscriber: SessionRef) -> Outcome {
        let Some(at) = self.position(subscriber) else {
            return Outcome::Unchanged;
        };
        if let Some(places) = &mut self.places {
            let last = self.list.len() - 1;
            let moved = fingerprint(self.list[last].subscriber());
            if let Ok(entry) =
                places.find_entry(fingerprint(subscriber), |&other| other as usize == at)
            {
                entry.remove();
            }
            if let Some(place) = places.find_mut(moved, |&other| other as usize == last) {
                *place = at as u32;
            }
        }
        self.list.swap_remove(at);
        if self.list.len() <= LONG / 2 {
            self.places = None;
        }
        if self.list.len() < self.list.capacity() / 4 {
            self.list.shrink_to(self.list.len() * 2);
        }
        Outcome::Removed
    }
}

/// The 80 bits of a session's reference in 64. The server chooses them, not its clients.
pub(crate) fn fingerprint(subscriber: SessionRef) -> u64 {
    let key = u64::from(subscriber.key.generation) << 32 | u64::from(subscriber.key.slot);
    mix(key ^ mix(u64::from(subscriber.worker.0)))
}

/// One group of one filter.
#[derive(Debug)]
struct Group {
    state: Arc<GroupState>,
    members: Roster<Member>,
    /// The members as routes hold them; made by the first route after a change, so that a
    /// storm of joins does not copy the list each time.
    snapshot: OnceLock<Arc<[Member]>>,
}

#[derive(Debug)]
struct Many {
    entries: Roster<Entry>,
    /// By name: the order of a map must not reach a route.
    groups: BTreeMap<ShareName, Group>,
}

/// All sets. A filter holds a handle: [`NONE`], or a number to be used here only.
#[derive(Debug)]
pub(crate) struct Sets {
    singles: Slab<Entry>,
    many: Slab<Box<Many>>,
    pub(crate) subscriptions: usize,
    pub(crate) shared_subscriptions: usize,
    pub(crate) groups: usize,
}

/// What a topic's filters have.
#[derive(Debug, Default)]
pub(crate) struct Matched {
    pub(crate) entries: Vec<Entry>,
    pub(crate) groups: Vec<GroupRoute>,
}

impl Sets {
    pub(crate) fn new() -> Self {
        Self {
            singles: Slab::new(),
            many: Slab::new(),
            subscriptions: 0,
            shared_subscriptions: 0,
            groups: 0,
        }
    }

    /// Bytes allocated, without what each large set has inside.
    pub(crate) fn allocated(&self) -> usize {
        self.singles.allocated() + self.many.allocated() + self.many.len() * size_of::<Many>()
    }

    /// Adds or replaces a subscription of one's own.
    pub(crate) fn put(&mut self, handle: &mut u32, entry: Entry) -> Outcome {
        let outcome = if *handle == NONE {
            *handle = self.singles.insert(entry);
            Outcome::Added
        } else if *handle & MANY != 0 {
            self.many[*handle & !MANY].entries.put(entry)
        } else {
            let single = &mut self.singles[*handle];
            if single.subscriber() != entry.subscriber() {
                self.widen(handle).entries.put(entry)
            } else if single.same(&entry) {
                Outcome::Unchanged
            } else {
                *single = entry;
                Outcome::Replaced
            }
        };
        self.subscriptions += usize::from(outcome == Outcome::Added);
        outcome
    }

    /// Removes a subscription of one's own.
    pub(crate) fn remove(&mut self, handle: &mut u32, subscriber: SessionRef) -> Outcome {
        let outcome = if *handle == NONE {
            Outcome::Unchanged
        } else if *handle & MANY != 0 {
            let outcome = self.many[*handle & !MANY].entries.remove(subscriber);
            self.narrow(handle);
            outcome
        } else if self.singles[*handle].subscriber() == subscriber {
            self.singles.remove(*handle);
            *handle = NONE;
            Outcome::Removed
        } else {
            Outcome::Unchanged
        };
        self.subscriptions -= usize::from(outcome == Outcome::Removed);
        outcome
    }

    /// Adds or replaces a member of a group. `name` is the whole of what was subscribed to.
    pub(crate) fn join(
        &mut self,
        handle: &mut u32,
        name: &ShareName,
        filter: &SubscriptionFilter,
        member: Member,
    ) -> Outcome {
        let groups = &mut self.widen(handle).groups;
        let before = groups.len();
        let group = groups.entry(name.clone()).or_insert_with(|| Group {
            state: Arc::new(GroupState::new(filter.clone())),
            members: Roster::new(),
            snapshot: OnceLock::new(),
        });
        let outcome = group.members.put(member);
        if outcome != Outcome::Unchanged {
            group.snapshot = OnceLock::new();
        }
        let added = groups.len() - before;
        self.groups += added;
        self.shared_subscriptions += usize::from(outcome == Outcome::Added);
        outcome
    }

    /// Removes a member of a group, and the group with its last member.
    pub(crate) fn leave(
        &mut self,
        handle: &mut u32,
        name: &ShareName,
        subscriber: SessionRef,
    ) -> Outcome {
        if *handle == NONE || *handle & MANY == 0 {
            return Outcome::Unchanged;
        }
        let groups = &mut self.many[*handle & !MANY].groups;
        let Some(group) = groups.get_mut(name) else {
            return Outcome::Unchanged;
        };
        if group.members.remove(subscriber) != Outcome::Removed {
            return Outcome::Unchanged;
        }
        group.snapshot = OnceLock::new();
        if group.members.list.is_empty() {
            groups.remove(name);
            self.groups -= 1;
        }
        self.shared_subscriptions -= 1;
        self.narrow(handle);
        Outcome::Removed
    }

    /// The members of a group; none if there is no such group.
    pub(crate) fn members(&self, handle: u32, name: &ShareName) -> &[Member] {
        if handle == NONE || handle & MANY == 0 {
            return &[];
        }
        let group = self.many[handle & !MANY].groups.get(name);
        group.map_or(&[], |group| &group.members.list)
    }

    /// Adds what a filter has to what a topic gets.
    pub(crate) fn collect(&self, handle: u32, matched: &mut Matched) {
        if handle == NONE {
            return;
        }
        if handle & MANY == 0 {
            matched.entries.push(self.singles[handle]);
            return;
        }
        let many = &self.many[handle & !MANY];
        matched.entries.extend_from_slice(&many.entries.list);
        matched.groups.extend(many.groups.values().map(|group| {
            let members = group
                .snapshot
                .get_or_init(|| group.members.list.as_slice().into());
            GroupRoute::new(Arc::clone(&group.state), Arc::clone(members))
        }));
    }

    fn widen(&mut self, handle: &mut u32) -> &mut Many {
        if *handle == NONE || *handle & MANY == 0 {
            let mut entries = Roster::new();
            if *handle != NONE {
                entries.put(self.singles.remove(*handle));
            }
            *handle = self.many.insert(Box::new(Many {
                entries,
                groups: BTreeMap::new(),
            })) | MANY;
        }
        &mut self.many[*handle & !MANY]
    }

    fn narrow(&mut self, handle: &mut u32) {
        let at = *handle & !MANY;
        let many = &self.many[at];
        if !many.groups.is_empty() || many.entries.list.len() > 1 {
            return;
        }
        let last = many.entries.list.first().copied();
        self.many.remove(at);
        *handle = match last {
            Some(entry) => self.singles.insert(entry),
            None => NONE,
        };
    }
}

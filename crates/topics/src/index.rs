//! Every subscription of the server, read by all workers.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::sync::ShardedLock;
use hashbrown::HashTable;
use types::{SessionRef, SubscriptionFilter, SubscriptionOptions, TopicFilter, TopicName};

use crate::keyed::Keyed;
use crate::route::Route;
use crate::share::{Member, MemberState};
use crate::slab::{NONE, Slab};
use crate::subscribers::{Entry, Matched, Outcome, Sets};
use crate::symbols::{part, remove_place};
use crate::trie::Trie;

/// Counters of versions; a filter counts in one of them by its first level.
const VERSIONS: usize = 1024;

/// Tables into which each hash table is split; see `symbols::part`.
const PARTS: usize = 256;

/// A change of the index.
#[derive(Clone, Debug)]
pub enum IndexChange {
    /// Adds a subscription, or gives the one that the subscriber has for this filter other
    /// options (MQTT-3.8.4-3).
    Subscribe {
        /// What is subscribed to.
        filter: SubscriptionFilter,
        /// Who subscribes.
        subscriber: SessionRef,
        /// The options.
        options: SubscriptionOptions,
        /// The subscription identifier; `None` takes away the one before.
        id: Option<NonZeroU32>,
        /// `Some` exactly if the filter is shared. A shared subscription without it counts
        /// as always away.
        member: Option<Arc<MemberState>>,
    },
    /// Removes a subscription, if it is there.
    Unsubscribe {
        /// What was subscribed to, compared as text (MQTT-3.10.4-1).
        filter: SubscriptionFilter,
        /// Who subscribed.
        subscriber: SessionRef,
    },
}

impl IndexChange {
    fn filter(&self) -> &TopicFilter {
        match self {
            Self::Subscribe { filter, .. } | Self::Unsubscribe { filter, .. } => &filter.filter,
        }
    }
}

/// How much an index holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// Different filters, without their share names.
    pub filters: usize,
    /// Subscriptions that are not shared.
    pub subscriptions: usize,
    /// Memberships in groups.
    pub shared_subscriptions: usize,
    /// Groups: different pairs of share name and filter.
    pub groups: usize,
}

/// The subscription index: one for the server, behind an `Arc`.
///
/// Routing takes a reader lock whose readers do not disturb each other; changes are applied
/// in batches under the writer lock. A worker asks [`SharedIndex::version`] first, which
/// takes no lock, and routes anew only if it changed.
///
/// # Panics
///
/// All that takes the lock panics if a writer panicked before: the index is broken then, and
/// to go on would lose messages in silence.
#[derive(Debug)]
pub struct SharedIndex {
    keyed: Keyed,
    state: ShardedLock<State>,
    /// Counts changes of filters by their first level.
    versions: Box<[AtomicU64]>,
    /// Counts changes of filters that start with a wildcard.
    wild: AtomicU64,
    /// What [`IndexStats`] tells, as of the last batch: who looks takes no lock.
    held: [AtomicUsize; 4],
    workers: usize,
}

impl SharedIndex {
    /// An empty index for sessions of so many workers. The seed keys every hash.
    pub fn new(workers: usize, hash_seed: u64) -> Self {
        Self {
            keyed: Keyed::new(hash_seed),
            state: ShardedLock::new(State::new()),
            versions: (0..VERSIONS).map(|_| AtomicU64::new(0)).collect(),
            wild: AtomicU64::new(0),
            held: Default::default(),
            workers,
        }
    }

    /// How many workers have sessions here.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Applies up to `max` changes from the front, in order, and returns how many.
    ///
    /// The batch is the caller's way to hold no publisher up: 100 changes take about 100 us.
    pub fn apply(&self, changes: &mut VecDeque<IndexChange>, max: usize) -> usize {
        let count = changes.len().min(max);
        if count == 0 {
            return 0;
        }
        let mut state = match self.state.write() {
            Ok(state) => state,
            Err(_) => broken(),
        };
        for change in changes.drain(..count) {
            let counter = self.counter(change.filter());
            if state.apply(&self.keyed, change) != Outcome::Unchanged {
                // Under the lock: whoever sees the new version and then routes waits for the
                // batch; whoever saw the old one had the old route, and looks again next time.
                counter.fetch_add(1, Ordering::Release);
            }
        }
        let stats = state.stats();
        let figures = [
            stats.filters,
            stats.subscriptions,
            stats.shared_subscriptions,
            stats.groups,
        ];
        for (held, figure) in self.held.iter().zip(figures) {
            held.store(figure, Ordering::Relaxed);
        }
        count
    }

    /// A number that grows whenever the recipients of a topic may have changed. Takes no
    /// lock.
    pub fn version(&self, topic: TopicName<'_>) -> u64 {
        self.version_at(self.version_slot(topic))
    }

    /// Whether a route still says what the index says. Takes no lock.
    #[inline]
    pub fn is_current(&self, route: &Route) -> bool {
        self.version_at(route.slot()) == route.version()
    }

    /// Whether a group has a member beside `except` that is online.
    pub fn has_online_member(&self, filter: &SubscriptionFilter, except: SessionRef) -> bool {
        let Some(name) = &filter.share else {
            return false;
        };
        let state = match self.state.read() {
            Ok(state) => state,
            Err(_) => broken(),
        };
        let Some(home) = state.find(&self.keyed, &filter.filter) else {
            return false;
        };
        let handle = match home {
            Home::Exact(at) => state.exact.slots[at].set,
            Home::Trie(place) => state.trie.set_at(place),
        };
        state
            .sets
            .members(handle, name)
            .iter()
            .any(|member| member.subscriber != except && member.state.is_online())
    }

    /// The recipients of a topic.
    pub fn route(&self, topic: TopicName<'_>) -> Route {
        let slot = self.version_slot(topic);
        let (version, matched) = {
            let state = match self.state.read() {
                Ok(state) => state,
                Err(_) => broken(),
            };
            // Under the lock, as it is counted: a version read later could belong to a
            // change that the route does not have.
            (self.version_at(slot), state.matched(&self.keyed, topic))
        };
        Route::build(topic, version, slot, matched)
    }

    /// How much the index holds. Takes no lock.
    pub fn stats(&self) -> IndexStats {
        let [filters, subscriptions, shared_subscriptions, groups] = self
            .held
            .each_ref()
            .map(|held| held.load(Ordering::Relaxed));
        IndexStats {
            filters,
            subscriptions,
            shared_subscriptions,
            groups,
        }
    }

    /// Bytes that the index has allocated, about: without the filters' own text, which the
    /// sessions share, and without the lists of filters with many subscribers.
    pub fn allocated(&self) -> usize {
        match self.state.read() {
            Ok(state) => state.allocated(),
            Err(_) => broken(),
        }
    }

    pub(crate) fn version_slot(&self, topic: TopicName<'_>) -> u16 {
        let first = topic.as_str().split('/').next().unwrap_or_default();
        (self.keyed.bytes(first.as_bytes()) % VERSIONS as u64) as u16
    }

    // Both counters only grow, so that one worker, which sees each of them only grow, never
    // mistakes one sum for another.
    pub(crate) fn version_at(&self, slot: u16) -> u64 {
        let own = self.versions[usize::from(slot)].load(Ordering::Acquire);
        own.wrapping_add(self.wild.load(Ordering::Acquire))
    }

    fn counter(&self, filter: &TopicFilter) -> &AtomicU64 {
        let first = filter.as_str().split('/').next().unwrap_or_default();
        if first == "+" || first == "#" {
            return &self.wild;
        }
        let slot = self.keyed.bytes(first.as_bytes()) % VERSIONS as u64;
        &self.versions[slot as usize]
    }
}

#[cold]
fn broken() -> ! {
    panic!("the subscription index is broken: a writer panicked while it changed it")
}

/// What the lock guards.
#[derive(Debug)]
struct State {
    exact: Exact,
    trie: Trie,
    sets: Sets,
    filters: usize,
}

/// Where a filter's set is.
enum Home {
    Exact(u32),
    Trie(crate::trie::Place),
}

impl State {
    fn new() -> Self {
        Self {
            exact: Exact::new(),
            trie: Trie::new(PARTS),
            sets: Sets::new(),
            filters: 0,
        }
    }

    fn stats(&self) -> IndexStats {
        IndexStats {
            filters: self.filters,
            subscriptions: self.sets.subscriptions,
            shared_subscriptions: self.sets.shared_subscriptions,
            groups: self.sets.groups,
        }
    }

    fn allocated(&self) -> usize {
        self.exact.allocated() + self.trie.allocated() + self.sets.allocated()
    }

    fn apply(&mut self, keyed: &Keyed, change: IndexChange) -> Outcome {
        match change {
            IndexChange::Subscribe {
                filter,
                subscriber,
                options,
                id,
                member,
            } => {
                let home = self.make(keyed, &filter.filter);
                let mut handle = *self.handle(&home);
                self.filters += usize::from(handle == NONE);
                let outcome = match &filter.share {
                    None => self
                        .sets
                        .put(&mut handle, Entry::new(subscriber, options, id)),
                    Some(name) => {
                        let state = member.unwrap_or_default();
                        let member = Member {
                            subscriber,
                            options,
                            id,
                            state,
                        };
                        self.sets.join(&mut handle, name, &filter, member)
                    }
                };
                *self.handle(&home) = handle;
                outcome
            }
            IndexChange::Unsubscribe { filter, subscriber } => {
                let Some(home) = self.find(keyed, &filter.filter) else {
                    return Outcome::Unchanged;
                };
                let mut handle = *self.handle(&home);
                let outcome = match &filter.share {
                    None => self.sets.remove(&mut handle, subscriber),
                    Some(name) => self.sets.leave(&mut handle, name, subscriber),
                };
                *self.handle(&home) = handle;
                if outcome == Outcome::Removed && handle == NONE {
                    self.filters -= 1;
                    self.drop_filter(keyed, &home);
                }
                outcome
            }
        }
    }

    fn matched(&self, keyed: &Keyed, topic: TopicName<'_>) -> Matched {
        let mut matched = Matched::default();
        if let Some(at) = self.exact.find(keyed, topic.as_str()) {
            self.sets.collect(self.exact.slots[at].set, &mut matched);
        }
        self.trie
            .walk(keyed, topic, |set| self.sets.collect(set, &mut matched));
        matched
    }

    fn make(&mut self, keyed: &Keyed, filter: &TopicFilter) -> Home {
        if filter.has_wildcard() {
            Home::Trie(self.trie.make(keyed, filter.as_str()))
        } else {
            Home::Exact(self.exact.make(keyed, filter))
        }
    }

    fn find(&self, keyed: &Keyed, filter: &TopicFilter) -> Option<Home> {
        if filter.has_wildcard() {
            self.trie.find(keyed, filter.as_str()).map(Home::Trie)
        } else {
            self.exact.find(keyed, filter.as_str()).map(Home::Exact)
        }
    }

    fn handle(&mut self, home: &Home) -> &mut u32 {
        match home {
            Home::Exact(at) => &mut self.exact.slots[*at].set,
            Home::Trie(place) => self.trie.set(*place),
        }
    }

    fn drop_filter(&mut self, keyed: &Keyed, home: &Home) {
        match home {
            Home::Exact(at) => self.exact.remove(keyed, *at),
            Home::Trie(place) => self.trie.prune(keyed, *place),
        }
    }
}

/// The filters without wildcards: one look for the whole topic. Their text is the
/// subscriber's own, so that such a filter costs about 50 bytes here.
#[derive(Debug)]
struct Exact {
    slots: Slab<ExactFilter>,
    places: Vec<HashTable<u32>>,
}

#[derive(Debug)]
struct ExactFilter {
    filter: TopicFilter,
    set: u32,
}

const _: () = assert!(size_of::<Option<ExactFilter>>() == 24);

impl Exact {
    fn new() -> Self {
        Self {
            slots: Slab::new(),
            places: (0..PARTS).map(|_| HashTable::new()).collect(),
        }
    }

    fn allocated(&self) -> usize {
        let places: usize = self.places.iter().map(HashTable::allocation_size).sum();
        self.slots.allocated() + places
    }

    fn find(&self, keyed: &Keyed, topic: &str) -> Option<u32> {
        let hash = keyed.bytes(topic.as_bytes());
        self.places[part(hash, PARTS)]
            .find(hash, |&at| self.slots[at].filter.as_str() == topic)
            .copied()
    }

    fn make(&mut self, keyed: &Keyed, filter: &TopicFilter) -> u32 {
        if let Some(at) = self.find(keyed, filter.as_str()) {
            return at;
        }
        let hash = keyed.bytes(filter.as_str().as_bytes());
        let at = self.slots.insert(ExactFilter {
            filter: filter.clone(),
            set: NONE,
        });
        let slots = &self.slots;
        self.places[part(hash, PARTS)].insert_unique(hash, at, |&other| {
            keyed.bytes(slots[other].filter.as_str().as_bytes())
        });
        at
    }

    fn remove(&mut self, keyed: &Keyed, at: u32) {
        let hash = keyed.bytes(self.slots[at].filter.as_str().as_bytes());
        remove_place(&mut self.places[part(hash, PARTS)], hash, at, |&other| {
            keyed.bytes(self.slots[other].filter.as_str().as_bytes())
        });
        self.slots.remove(at);
    }
}

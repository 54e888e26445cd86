//! The last message of each topic, for those who subscribe later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockWriteGuard};

use hashbrown::HashTable;
use types::{Body, Message, Time, TopicFilter, TopicName};

use crate::keyed::Keyed;
use crate::slab::Slab;

mod cursor;
mod level;
mod restore;
mod seek;

use cursor::Rest;
pub use cursor::{ScanCursor, ScanProgress};
pub use level::LevelName;
use seek::walk;

/// The store is split so that workers seldom wait for each other.
const SHARDS: usize = 16;

/// Most expired values that one refusal drops.
const PURGE_AT_SET: usize = 64;

/// What a [`RetainedStore`] needs to know of its values.
pub trait RetainedValue {
    /// What it counts against the limit, in bytes.
    fn size(&self) -> usize;

    /// When it expires (MQTT-3.3.2-5).
    fn expires(&self) -> Option<Time>;

    /// How many of these bytes are in memory.
    fn memory(&self) -> usize {
        self.size()
    }
}

impl RetainedValue for Arc<Message> {
    fn size(&self) -> usize {
        Message::size(self)
    }

    fn expires(&self) -> Option<Time> {
        Message::expires(self)
    }
}

impl RetainedValue for Body {
    fn size(&self) -> usize {
        Self::size(self)
    }

    fn expires(&self) -> Option<Time> {
        Self::expires(self)
    }

    fn memory(&self) -> usize {
        self.message().map_or(0, |message| message.size())
    }
}

/// The bounds of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    /// Most topics (`limits.retained_messages`).
    pub messages: usize,
    /// Most bytes of values (`limits.retained_bytes`).
    pub bytes: usize,
}

/// Why a value was not kept. What was retained before still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetainedFull {
    /// `limits.retained_messages` is reached.
    Messages,
    /// `limits.retained_bytes` is reached.
    Bytes,
}

/// A value that a list shows: its topic, its sequence number, and the value.
pub type Listed<M> = (Arc<str>, u64, M);

/// The retained messages of the server, shared by all workers.
///
/// Shared, not split by worker: a publisher stores and then routes, a subscriber registers
/// and then replays. With both the store and the index behind locks, an update is found by
/// the replay or routed live, or both; never neither. To leave out what came live, a
/// subscriber asks [`RetainedStore::sequence`] once its subscription is applied and skips
/// values that are newer.
///
/// Values are in shards, by a keyed hash of the topic, so that workers seldom wait for each
/// other. The order of the topics, which scans walk, is one for all shards and changes only
/// as topics come and go. Whoever holds both locks took the shard's first.
///
/// A topic costs about 80 bytes beside its value and its text (which the message shares),
/// 50 more if it expires.
///
/// # Panics
///
/// Everything panics if another thread panicked inside: the store is broken then.
#[derive(Debug)]
pub struct RetainedStore<M> {
    keyed: Keyed,
    shards: Box<[Mutex<Shard<M>>]>,
    order: RwLock<BTreeSet<Arc<str>>>,
    limits: RetainedLimits,
    sequence: AtomicU64,
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Bytes that are in memory.
    memory: AtomicUsize,
    /// The shard where the next purge starts.
    purged: AtomicUsize,
}

#[derive(Debug)]
struct Shard<M> {
    values: Slab<Retained<M>>,
    places: HashTable<Spot>,
    /// By time, then sequence.
    expiring: BTreeMap<(Time, u64), Arc<str>>,
}

/// Where a topic's value is. With the hash at hand, a table that grows does not look at a
/// single topic.
#[derive(Clone, Copy, Debug)]
struct Spot {
    hash: u32,
    at: u32,
}

#[derive(Debug)]
struct Retained<M> {
    topic: Arc<str>,
    sequence: u64,
    value: M,
}

impl<M: RetainedValue> Retained<M> {
    fn is_expired(&self, now: Time) -> bool {
        self.value.expires().is_some_and(|at| at <= now)
    }

    fn expiry(&self) -> Option<(Time, u64)> {
        Some((self.value.expires()?, self.sequence))
    }
}

impl<M: Clone + RetainedValue> RetainedStore<M> {
    /// An empty store.
    pub fn new(limits: RetainedLimits, hash_seed: u64) -> Self {
        Self {
            keyed: Keyed::new(hash_seed),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect(),
            order: RwLock::new(BTreeSet::new()),
            limits,
            sequence: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            memory: AtomicUsize::new(0),
            purged: AtomicUsize::new(0),
        }
    }

    /// Keeps a value in place of the one before (MQTT-3.3.1-5) and returns its sequence
    /// number, which grows with each change of the store.
    ///
    /// Before it refuses, it drops some of what has expired at `now` in this shard.
    ///
    /// # Errors
    ///
    /// A topic more than `limits.messages`, or more than `limits.bytes` in all. A value in
    /// place of another adds no topic, and is never refused for its bytes unless it is
    /// larger than the one before.
    pub fn set(&self, topic: &Arc<str>, value: M, now: Time) -> Result<u64, RetainedFull> {
        self.set_with(topic, value.size(), || value, now)
            .map(|(sequence, _)| sequence)
    }

    /// The same for a value of `size` bytes that is made only when there is room for it: `make`
    /// must not use this store. Returns the value before as well.
    ///
    /// # Errors
    ///
    /// As [`RetainedStore::set`].
    pub fn set_with(
        &self,
        topic: &Arc<str>,
        size: usize,
        make: impl FnOnce() -> M,
        now: Time,
    ) -> Result<(u64, Option<M>), RetainedFull> {
        let hash = self.hash(topic);
        let mut shard = self.shard(hash);
        if let Err(full) = self.reserve(shard.known_size(hash, topic), size) {
            if self.purge_shard(&mut shard, now, PURGE_AT_SET) == 0 {
                return Err(full);
            }
            self.reserve(shard.known_size(hash, topic), size)?;
        }
        let value = make();
        let known = shard.find(hash, topic);
        if known.is_none() {
            self.order_mut().insert(Arc::clone(topic));
        }
        // After the order, so that whoever knows of this number finds the topic in a scan.
        let sequence = self.next_sequence();
        let kept = Retained {
            topic: Arc::clone(topic),
            sequence,
            value,
        };
        let before = self.put(&mut shard, hash, known, kept);
        Ok((sequence, before.map(|before| before.value)))
    }

    /// Forgets the value of a topic (MQTT-3.3.1-6), if there is one, and returns the sequence
    /// number of this change: above that of the value, below that of the next one.
    pub fn clear(&self, topic: &str) -> u64 {
        self.remove(topic).0
    }

    /// As [`RetainedStore::clear`]; returns the value as well.
    pub fn remove(&self, topic: &str) -> (u64, Option<M>) {
        let hash = self.hash(topic);
        let mut shard = self.shard(hash);
        let kept = shard.find(hash, topic).map(|at| shard.take(hash, at));
        if let Some(kept) = &kept {
            self.forget(kept);
        }
        (self.next_sequence(), kept.map(|kept| kept.value))
    }

    /// The value of one topic.
    pub fn exact(&self, topic: TopicName<'_>, now: Time) -> Option<M> {
        self.value(topic.as_str(), now).map(|(_, value)| value)
    }

    /// Whether the value with this sequence number is still the one that its topic has.
    pub fn is_newest(&self, topic: &str, sequence: u64) -> bool {
        let hash = self.hash(topic);
        let shard = self.shard(hash);
        shard
            .find(hash, topic)
            .is_some_and(|at| shard.values[at].sequence == sequence)
    }

    /// Goes on with a scan: adds up to `max` values whose topics match the filter to `out`,
    /// each with its sequence number, in the order of the topics' bytes.
    ///
    /// A call looks at no more than four times `max` topics (and at least four), so that it
    /// holds no lock for long whatever the filter; the branches that cannot match are
    /// skipped. A topic that is there during the whole scan is returned exactly once, one
    /// that comes or goes meanwhile at most once. Wildcards in the first level do not match
    /// `$` (4.7.2-1).
    pub fn scan(
        &self,
        filter: &TopicFilter,
        cursor: &mut ScanCursor,
        max: usize,
        now: Time,
        out: &mut Vec<(u64, M)>,
    ) -> ScanProgress {
        if !filter.has_wildcard() && cursor.rest != Rest::End {
            cursor.rest = Rest::End;
            out.extend(self.value(filter.as_str(), now));
            return ScanProgress::Done;
        }
        let topics = self.step(filter, cursor, max);
        // A topic that went since then is not there; one that was replaced has a new value.
        out.extend(topics.iter().filter_map(|topic| self.value(topic, now)));
        cursor.progress()
    }

    /// As [`RetainedStore::scan`], with the topic of each value.
    pub fn list(
        &self,
        filter: &TopicFilter,
        cursor: &mut ScanCursor,
        max: usize,
        now: Time,
        out: &mut Vec<Listed<M>>,
    ) -> ScanProgress {
        let topics = self.step(filter, cursor, max).into_iter();
        out.extend(topics.filter_map(|topic| {
            let (sequence, value) = self.value(&topic, now)?;
            Some((topic, sequence, value))
        }));
        cursor.progress()
    }

    /// The next topics of a scan that may have a value.
    fn step(&self, filter: &TopicFilter, cursor: &mut ScanCursor, max: usize) -> Vec<Arc<str>> {
        if cursor.rest == Rest::End {
            return Vec::new();
        }
        if !filter.has_wildcard() {
            cursor.rest = Rest::End;
            return vec![Arc::from(filter.as_str())];
        }
        let Ok(order) = self.order.read() else {
            broken()
        };
        walk(&order, filter, cursor, max.max(1))
    }

    /// Names in one level of the topics, below `under` (`None`: the first level) and behind `after`,
    /// in the order of their bytes: at most `max`. Of the level below each, at most `count` names are
    /// counted. The values may have expired.
    ///
    /// What is further below is passed over, so that it costs `max` times `count` looks whatever
    /// there is. The order of the topics is locked meanwhile: ask for few at once.
    pub fn level(
        &self,
        under: Option<&str>,
        after: Option<&str>,
        max: usize,
        count: usize,
    ) -> Vec<LevelName> {
        let under = under.map_or_else(String::new, |under| format!("{under}/"));
        let Ok(order) = self.order.read() else {
            broken()
        };
        level::names(&order, &under, after, max, count)
    }

    /// The sequence number of the newest change.
    pub fn sequence(&self) -> u64 {
        // A read-modify-write, not a load: a publisher whose number is higher then sees all
        // that this thread did before, the subscription that it applied above all.
        self.sequence.fetch_add(0, Ordering::AcqRel)
    }

    /// Topics with a value, those included that expired and were not purged yet.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the values that are in memory.
    pub fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Drops up to `max` values that have expired and returns how many. Looks only at what
    /// has expired.
    pub fn purge_expired(&self, now: Time, max: usize) -> usize {
        let first = self.purged.fetch_add(1, Ordering::Relaxed);
        let mut count = 0;
        for offset in 0..SHARDS {
            if count == max {
                break;
            }
            let mut shard = self.lock(first.wrapping_add(offset) % SHARDS);
            count += self.purge_shard(&mut shard, now, max - count);
        }
        count
    }

    fn purge_shard(&self, shard: &mut Shard<M>, now: Time, max: usize) -> usize {
        let mut count = 0;
        while count < max
            && let Some((&(at, _), topic)) = shard.expiring.first_key_value()
            && at <= now
        {
            let topic = Arc::clone(topic);
            let hash = self.hash(&topic);
            let Some(at) = shard.find(hash, &topic) else {
                unreachable!("what expires has a value")
            };
            let kept = shard.take(hash, at);
            self.forget(&kept);
            count += 1;
        }
        count
    }

    fn value(&self, topic: &str, now: Time) -> Option<(u64, M)> {
        let hash = self.hash(topic);
        let shard = self.shard(hash);
        let kept = &shard.values[shard.find(hash, topic)?];
        (!kept.is_expired(now)).then(|| (kept.sequence, kept.value.clone()))
    }

    fn reserve(&self, old: Option<usize>, new: usize) -> Result<(), RetainedFull> {
        if old.is_none() {
            let taken = self.count.fetch_add(1, Ordering::Relaxed);
            if taken >= self.limits.messages {
                self.count.fetch_sub(1, Ordering::Relaxed);
                return Err(RetainedFull::Messages);
            }
        }
        let before = old.unwrap_or(0);
        if new <= before {
            self.bytes.fetch_sub(before - new, Ordering::Relaxed);
            return Ok(());
        }
        let more = new - before;
        let taken = self.bytes.fetch_add(more, Ordering::Relaxed);
        if taken.saturating_add(more) > self.limits.bytes {
            self.bytes.fetch_sub(more, Ordering::Relaxed);
            if old.is_none() {
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
            return Err(RetainedFull::Bytes);
        }
        Ok(())
    }

    /// The rest of a removal, with the shard still locked.
    fn forget(&self, kept: &Retained<M>) {
        self.order_mut().remove(&kept.topic);
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(kept.value.size(), Ordering::Relaxed);
        shift(&self.memory, kept.value.memory(), 0);
    }

    fn put(
        &self,
        shard: &mut Shard<M>,
        hash: u64,
        known: Option<u32>,
        kept: Retained<M>,
    ) -> Option<Retained<M>> {
        let memory = kept.value.memory();
        let old = shard.put(hash, known, kept);
        let before = old.as_ref().map_or(0, |old| old.value.memory());
        shift(&self.memory, before, memory);
        old
    }

    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn hash(&self, topic: &str) -> u64 {
        self.keyed.bytes(topic.as_bytes())
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<M>> {
        self.lock((hash >> 32) as usize % SHARDS)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<M>> {
        match self.shards[shard].lock() {
            Ok(guard) => guard,
            Err(_) => broken(),
        }
    }

    fn order_mut(&self) -> RwLockWriteGuard<'_, BTreeSet<Arc<str>>> {
        match self.order.write() {
            Ok(guard) => guard,
            Err(_) => broken(),
        }
    }
}

/// A count goes from one value to another, beside others that change it.
fn shift(count: &AtomicUsize, from: usize, to: usize) {
    if to >= from {
        count.fetch_add(to - from, Ordering::Relaxed);
    } else {
        count.fetch_sub(from - to, Ordering::Relaxed);
    }
}

#[cold]
fn broken() -> ! {
    panic!("the retained store is broken: a thread panicked inside")
}

impl<M: RetainedValue> Shard<M> {
    fn new() -> Self {
        Self {
            values: Slab::new(),
            places: HashTable::new(),
            expiring: BTreeMap::new(),
        }
    }

    fn find(&self, hash: u64, topic: &str) -> Option<u32> {
        let spot = Spot::new(hash, 0);
        self.places
            .find(spot.spread(), |place| {
                place.hash == spot.hash && &*self.values[place.at].topic == topic
            })
            .map(|place| place.at)
    }

    fn known_size(&self, hash: u64, topic: &str) -> Option<usize> {
        Some(self.values[self.find(hash, topic)?].value.size())
    }

    fn put(&mut self, hash: u64, known: Option<u32>, kept: Retained<M>) -> Option<Retained<M>> {
        let expiry = kept.expiry();
        let topic = expiry.map(|_| Arc::clone(&kept.topic));
        let old = match known {
            Some(at) => Some(std::mem::replace(&mut self.values[at], kept)),
            None => {
                let spot = Spot::new(hash, self.values.insert(kept));
                self.places
                    .insert_unique(spot.spread(), spot, |place| place.spread());
                None
            }
        };
        // First the old one: it may be the same.
        if let Some(old) = &old {
            self.forget_expiry(old);
        }
        self.expiring.extend(expiry.zip(topic));
        old
    }

    fn take(&mut self, hash: u64, at: u32) -> Retained<M> {
        let spread = Spot::new(hash, at).spread();
        if let Ok(entry) = self.places.find_entry(spread, |place| place.at == at) {
            entry.remove();
        }
        if self.places.len() < self.places.capacity() / 8 {
            self.places
                .shrink_to(self.places.len() * 2, |place| place.spread());
        }
        let kept = self.values.remove(at);
        self.forget_expiry(&kept);
        kept
    }

    fn forget_expiry(&mut self, kept: &Retained<M>) {
        if let Some(expiry) = kept.expiry() {
            self.expiring.remove(&expiry);
        }
    }
}

impl Spot {
    fn new(hash: u64, at: u32) -> Self {
        Self {
            hash: hash as u32,
            at,
        }
    }

    /// The hash for the table, which wants its upper bits too.
    fn spread(self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

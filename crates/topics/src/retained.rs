//! The last message of each topic, for those who subscribe later.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use types::{Message, Time, TopicFilter, TopicName};

use crate::keyed::Keyed;

mod seek;

use seek::{Verdict, judge};

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
}

impl RetainedValue for Arc<Message> {
    fn size(&self) -> usize {
        Message::size(self)
    }

    fn expires(&self) -> Option<Time> {
        Message::expires(self)
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

/// Where a scan goes on. Starts with `ScanCursor::default()`; belongs to one filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanCursor {
    shard: usize,
    /// The rest of the shard: topics not below this one.
    from: String,
    /// Whether the topic `from` itself was dealt with.
    past: bool,
}

/// Whether a scan came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanProgress {
    /// Call again.
    More,
    /// All that matches was returned.
    Done,
}

/// The retained messages of the server, shared by all workers.
///
/// Shared, not split by worker: a publisher stores and then routes, a subscriber registers
/// and then replays. With both the store and the index behind locks, an update is found by
/// the replay or routed live, or both; never neither. To leave out what came live, a
/// subscriber asks [`RetainedStore::sequence`] once its subscription is applied and skips
/// values that are newer.
///
/// A topic costs about 130 bytes beside the value and its topic (which the message shares),
/// 50 more if it expires.
///
/// # Panics
///
/// Everything panics if another thread panicked inside: the store is broken then.
#[derive(Debug)]
pub struct RetainedStore<M> {
    keyed: Keyed,
    shards: Box<[Mutex<Shard<M>>]>,
    limits: RetainedLimits,
    sequence: AtomicU64,
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// The shard where the next purge starts.
    purged: AtomicUsize,
}

#[derive(Debug)]
struct Shard<M> {
    topics: BTreeMap<Arc<str>, Retained<M>>,
    /// By time, then sequence.
    expiring: BTreeMap<(Time, u64), Arc<str>>,
}

#[derive(Debug)]
struct Retained<M> {
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
            limits,
            sequence: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            purged: AtomicUsize::new(0),
        }
    }

    /// Keeps a value in place of the one before (MQTT-3.3.1-5) and returns its sequence
    /// number, which grows with each value of the store.
    ///
    /// Before it refuses, it drops what has expired at `now` in this part of the store.
    ///
    /// # Errors
    ///
    /// A topic more than `limits.messages`, or more than `limits.bytes` in all. A value in
    /// place of another adds no topic, and is never refused for its bytes unless it is
    /// larger than the one before.
    pub fn set(&self, topic: &Arc<str>, value: M, now: Time) -> Result<u64, RetainedFull> {
        let mut shard = self.lock(self.shard_of(topic));
        let mut old = shard.topics.get(topic).map(|kept| kept.value.size());
        if let Err(full) = self.reserve(old, value.size()) {
            if self.purge_shard(&mut shard, now, PURGE_AT_SET) == 0 {
                return Err(full);
            }
            old = shard.topics.get(topic).map(|kept| kept.value.size());
            self.reserve(old, value.size())?;
        }
        let sequence = self.sequence.fetch_add(1, Ordering::AcqRel) + 1;
        shard.put(topic, Retained { sequence, value });
        Ok(sequence)
    }

    /// Forgets the value of a topic (MQTT-3.3.1-6) and says whether there was one.
    pub fn clear(&self, topic: &str) -> bool {
        let mut shard = self.lock(self.shard_of(topic));
        let Some(kept) = shard.take(topic) else {
            return false;
        };
        self.release(&kept.value);
        true
    }

    /// The value of one topic.
    pub fn exact(&self, topic: TopicName<'_>, now: Time) -> Option<M> {
        let shard = self.lock(self.shard_of(topic.as_str()));
        let kept = shard.topics.get(topic.as_str())?;
        (!kept.is_expired(now)).then(|| kept.value.clone())
    }

    /// Goes on with a scan: adds up to `max` values whose topics match the filter to `out`,
    /// each with its sequence number.
    ///
    /// A call looks at no more than four times `max` topics (and at least one), so that it
    /// holds no lock for long whatever the filter; the branches that cannot match are
    /// skipped. A topic that is there during the whole scan is returned exactly once, one
    /// that comes or goes meanwhile at most once. The order depends on the topics and the
    /// seed only. Wildcards in the first level do not match `$` (4.7.2-1).
    pub fn scan(
        &self,
        filter: &TopicFilter,
        cursor: &mut ScanCursor,
        max: usize,
        now: Time,
        out: &mut Vec<(u64, M)>,
    ) -> ScanProgress {
        if !filter.has_wildcard() {
            if cursor.shard < SHARDS {
                let shard = self.lock(self.shard_of(filter.as_str()));
                if let Some(kept) = shard.topics.get(filter.as_str())
                    && !kept.is_expired(now)
                {
                    out.push((kept.sequence, kept.value.clone()));
                }
                cursor.shard = SHARDS;
            }
            return ScanProgress::Done;
        }
        let mut budget = Budget {
            values: max.max(1),
            looks: max.max(1).saturating_mul(4),
        };
        while cursor.shard < SHARDS {
            let shard = self.lock(cursor.shard);
            if !shard.scan(filter, cursor, &mut budget, now, out) {
                return ScanProgress::More;
            }
            cursor.shard += 1;
            cursor.from.clear();
            cursor.past = false;
        }
        ScanProgress::Done
    }

    /// The sequence number of the newest value.
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
            && let Some(first) = shard.expiring.first_entry()
            && first.key().0 <= now
        {
            let topic = first.remove();
            if let Some(kept) = shard.topics.remove(&topic) {
                self.release(&kept.value);
                count += 1;
            }
        }
        count
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

    fn release(&self, value: &M) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(value.size(), Ordering::Relaxed);
    }

    fn shard_of(&self, topic: &str) -> usize {
        (self.keyed.bytes(topic.as_bytes()) % SHARDS as u64) as usize
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<M>> {
        match self.shards[shard].lock() {
            Ok(guard) => guard,
            Err(_) => panic!("the retained store is broken: a thread panicked inside"),
        }
    }
}

/// What is left of one call's bounds.
struct Budget {
    values: usize,
    looks: usize,
}

impl<M: Clone + RetainedValue> Shard<M> {
    fn new() -> Self {
        Self {
            topics: BTreeMap::new(),
            expiring: BTreeMap::new(),
        }
    }

    fn put(&mut self, topic: &Arc<str>, kept: Retained<M>) {
        if let Some(old) = self.take(topic) {
            drop(old);
        }
        if let Some(expiry) = kept.expiry() {
            self.expiring.insert(expiry, Arc::clone(topic));
        }
        self.topics.insert(Arc::clone(topic), kept);
    }

    fn take(&mut self, topic: &str) -> Option<Retained<M>> {
        let kept = self.topics.remove(topic)?;
        if let Some(expiry) = kept.expiry() {
            self.expiring.remove(&expiry);
        }
        Some(kept)
    }

    /// Scans on within this shard; whether its end was reached.
    fn scan(
        &self,
        filter: &TopicFilter,
        cursor: &mut ScanCursor,
        budget: &mut Budget,
        now: Time,
        out: &mut Vec<(u64, M)>,
    ) -> bool {
        loop {
            let from = match cursor.past {
                true => Bound::Excluded(cursor.from.as_str()),
                false => Bound::Included(cursor.from.as_str()),
            };
            let mut topics = self.topics.range::<str, _>((from, Bound::Unbounded));
            // What was seen last, until the cursor is told; telling it each time would copy
            // each topic.
            let mut last: Option<&Arc<str>> = None;
            let seek = loop {
                let Some((topic, kept)) = topics.next() else {
                    return true;
                };
                if budget.values == 0 || budget.looks == 0 {
                    if let Some(last) = last {
                        cursor.from.clear();
                        cursor.from.push_str(last);
                        cursor.past = true;
                    }
                    return false;
                }
                budget.looks -= 1;
                last = Some(topic);
                match judge(filter.as_str(), topic) {
                    Verdict::Match => {
                        if !kept.is_expired(now) {
                            budget.values -= 1;
                            out.push((kept.sequence, kept.value.clone()));
                        }
                    }
                    Verdict::Next => {}
                    Verdict::Seek(target) => break target,
                    Verdict::Past => return true,
                }
            };
            cursor.from = seek;
            cursor.past = false;
        }
    }
}

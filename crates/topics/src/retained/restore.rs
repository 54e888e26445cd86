//! What an earlier run left, and values that are not always in memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Retained, RetainedStore, RetainedValue, shift};

impl<M: Clone + RetainedValue> RetainedStore<M> {
    /// Takes over a value that an earlier run kept, with its sequence number; later changes
    /// have higher ones. Whatever the limits of today, it is kept, unless the topic has a value
    /// with a higher number. Quickest in the order of the topics.
    pub fn restore(&self, topic: Arc<str>, value: M, sequence: u64) {
        let hash = self.hash(&topic);
        let mut shard = self.shard(hash);
        self.set_sequence_floor(sequence);
        let known = shard.find(hash, &topic);
        let mut before = 0;
        match known {
            Some(at) if shard.values[at].sequence >= sequence => return,
            Some(at) => before = shard.values[at].value.size(),
            None => {
                self.order_mut().insert(Arc::clone(&topic));
                self.count.fetch_add(1, Ordering::Relaxed);
            }
        }
        shift(&self.bytes, before, value.size());
        let kept = Retained {
            topic,
            sequence,
            value,
        };
        self.put(&mut shard, hash, known, kept);
    }

    /// Changes from now on have a sequence number above `floor`.
    pub fn set_sequence_floor(&self, floor: u64) {
        self.sequence.fetch_max(floor, Ordering::AcqRel);
    }

    /// Puts another form of a topic's value in its place, to take it into memory or out of it,
    /// if the value is still the one with this sequence number; says whether it was. This is no
    /// change of the store: the sequence number stays.
    pub fn fill(&self, topic: &str, sequence: u64, value: M) -> bool {
        let hash = self.hash(topic);
        let mut shard = self.shard(hash);
        let known = shard.find(hash, topic);
        let Some(kept) = known
            .map(|at| &shard.values[at])
            .filter(|kept| kept.sequence == sequence)
        else {
            return false;
        };
        shift(&self.bytes, kept.value.size(), value.size());
        let kept = Retained {
            topic: Arc::clone(&kept.topic),
            sequence,
            value,
        };
        self.put(&mut shard, hash, known, kept);
        true
    }
}

//! How much there is of what differs in size: bytes that a checkpoint would take.

use types::SubscriptionFilter;

/// By what it is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// Sessions without their queues.
    pub(super) sessions: Sum,
    /// Topics with a retained message, or lately, and messages on their way in groups.
    pub(super) topics: Sum,
}

/// Bytes of some things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    pub(super) fn bytes(self) -> u64 {
        self.0
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(bytes);
    }

    pub(super) fn take(&mut self, bytes: u64) {
        self.0 = self.0.saturating_sub(bytes);
    }

    pub(super) fn replace(&mut self, before: u64, after: u64) {
        self.take(before);
        self.add(after);
    }
}

/// Bytes of a record with this text.
pub(super) fn bytes(text: &str) -> u64 {
    length(text.len()).saturating_add(RECORD)
}

/// Bytes of a record with this filter.
pub(super) fn group_bytes(filter: &SubscriptionFilter) -> u64 {
    let name = filter.share.as_ref().map_or(0, |name| name.as_str().len());
    bytes(filter.filter.as_str()).saturating_add(length(name))
}

pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What a record has besides a text: lengths, kind, a session or a message, numbers.
pub(super) const RECORD: u64 = 40;

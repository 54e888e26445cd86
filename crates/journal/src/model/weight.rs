//! How much there is of what differs in size: bytes that a checkpoint would take.

use store::RecoveredPublisher;
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

/// Bytes of who published a message, beside it.
pub(super) fn publisher_bytes(publisher: Option<&RecoveredPublisher>) -> u64 {
    let Some(publisher) = publisher else {
        return 0;
    };
    let user = publisher.user.as_ref().map_or(0, |user| user.len());
    length(publisher.client.len())
        .saturating_add(length(user))
        .saturating_add(PUBLISHER)
}

pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Two lengths and a flag.
const PUBLISHER: u64 = 8;

/// What a record has besides a text: lengths, kind, a session or a message, numbers.
pub(super) const RECORD: u64 = 40;

//! What a client subscribed to.

use std::num::NonZeroU32;

use types::{SubscriptionFilter, SubscriptionOptions};

/// One subscription of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// What the client asked for.
    pub options: SubscriptionOptions,
    /// Its Subscription Identifier.
    pub id: Option<NonZeroU32>,
}

/// The subscriptions of one session, by the text of their filters (MQTT-3.8.4-3).
///
/// A sorted list: one allocation for the usual client with one or two.
#[derive(Debug, Default)]
pub struct Subscriptions {
    sorted: Vec<(SubscriptionFilter, Subscription)>,
    shared: u32,
}

impl Subscriptions {
    fn find(&self, filter: &SubscriptionFilter) -> Result<usize, usize> {
        self.sorted.binary_search_by(|(known, _)| known.cmp(filter))
    }

    /// Adds or replaces; the subscription that was there before.
    pub fn insert(
        &mut self,
        filter: SubscriptionFilter,
        subscription: Subscription,
    ) -> Option<Subscription> {
        match self.find(&filter) {
            Ok(at) => self
                .sorted
                .get_mut(at)
                .map(|(_, known)| std::mem::replace(known, subscription)),
            Err(at) => {
                if self.sorted.is_empty() {
                    self.sorted.reserve_exact(1);
                }
                if filter.share.is_some() {
                    self.shared = self.shared.saturating_add(1);
                }
                self.sorted.insert(at, (filter, subscription));
                None
            }
        }
    }

    /// Removes; `None` if it was not there.
    pub fn remove(&mut self, filter: &SubscriptionFilter) -> Option<Subscription> {
        let at = self.find(filter).ok()?;
        if filter.share.is_some() {
            self.shared = self.shared.saturating_sub(1);
        }
        Some(self.sorted.remove(at).1)
    }

    /// The subscription with this filter.
    pub fn subscription(&self, filter: &SubscriptionFilter) -> Option<&Subscription> {
        let at = self.find(filter).ok()?;
        self.sorted.get(at).map(|(_, subscription)| subscription)
    }

    /// All of them, by filter.
    pub fn iter(&self) -> impl Iterator<Item = &(SubscriptionFilter, Subscription)> {
        self.sorted.iter()
    }

    /// Takes all of them out.
    pub fn drain(&mut self) -> impl Iterator<Item = (SubscriptionFilter, Subscription)> + use<> {
        self.shared = 0;
        std::mem::take(&mut self.sorted).into_iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Whether one of them is shared.
    pub fn any_shared(&self) -> bool {
        self.shared > 0
    }
}

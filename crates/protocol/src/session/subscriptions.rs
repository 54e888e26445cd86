//! What a client subscribed to.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Bound::{Excluded, Unbounded};

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
#[derive(Debug, Default)]
pub struct Subscriptions {
    list: List,
    shared: u32,
    bytes: u32,
}

/// Bytes of the text of a filter, with its share name.
pub fn size_of_filter(filter: &SubscriptionFilter) -> u32 {
    let share = filter
        .share
        .as_ref()
        .map_or(0, |share| share.as_str().len());
    let size = filter.filter.as_str().len().saturating_add(share);
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Few stand in a sorted list: one allocation for the usual client with one or two. Many stand
/// in a tree: in a list, each change of a client with many would move half of them.
#[derive(Debug)]
enum List {
    Few(Vec<(SubscriptionFilter, Subscription)>),
    #[allow(
        clippy::box_collection,
        reason = "sessions with few stay 8 bytes smaller"
    )]
    Many(Box<BTreeMap<SubscriptionFilter, Subscription>>),
}

/// The longest sorted list.
const FEW: usize = 64;

impl Default for List {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

fn find(
    few: &[(SubscriptionFilter, Subscription)],
    filter: &SubscriptionFilter,
) -> Result<usize, usize> {
    few.binary_search_by(|(known, _)| known.cmp(filter))
}

impl List {
    fn insert(
        &mut self,
        filter: SubscriptionFilter,
        subscription: Subscription,
    ) -> Option<Subscription> {
        let few = match self {
            Self::Many(many) => return many.insert(filter, subscription),
            Self::Few(few) => few,
        };
        let at = match find(few, &filter) {
            Ok(at) => {
                return few
                    .get_mut(at)
                    .map(|(_, known)| std::mem::replace(known, subscription));
            }
            Err(at) => at,
        };
        if few.is_empty() {
            few.reserve_exact(1);
        }
        few.insert(at, (filter, subscription));
        if few.len() > FEW {
            let many = std::mem::take(few).into_iter().collect();
            *self = Self::Many(Box::new(many));
        }
        None
    }

    fn remove(&mut self, filter: &SubscriptionFilter) -> Option<Subscription> {
        match self {
            Self::Few(few) => {
                let at = find(few, filter).ok()?;
                Some(few.remove(at).1)
            }
            Self::Many(many) => {
                let removed = many.remove(filter);
                // Well below the bound, so that a client at it does not turn over and over.
                if many.len() <= FEW / 2 {
                    let few = std::mem::take(&mut **many).into_iter().collect();
                    *self = Self::Few(few);
                }
                removed
            }
        }
    }
}

impl Subscriptions {
    /// Adds or replaces; the subscription that was there before.
    pub fn insert(
        &mut self,
        filter: SubscriptionFilter,
        subscription: Subscription,
    ) -> Option<Subscription> {
        let (is_shared, size) = (filter.share.is_some(), size_of_filter(&filter));
        let before = self.list.insert(filter, subscription);
        if before.is_none() {
            self.shared = self.shared.saturating_add(u32::from(is_shared));
            self.bytes = self.bytes.saturating_add(size);
        }
        before
    }

    /// Removes; `None` if it was not there.
    pub fn remove(&mut self, filter: &SubscriptionFilter) -> Option<Subscription> {
        let removed = self.list.remove(filter)?;
        self.bytes = self.bytes.saturating_sub(size_of_filter(filter));
        if filter.share.is_some() {
            self.shared = self.shared.saturating_sub(1);
        }
        Some(removed)
    }

    /// The subscription with this filter.
    pub fn subscription(&self, filter: &SubscriptionFilter) -> Option<&Subscription> {
        match &self.list {
            List::Few(few) => {
                let at = find(few, filter).ok()?;
                few.get(at).map(|(_, subscription)| subscription)
            }
            List::Many(many) => many.get(filter),
        }
    }

    /// All of them, by filter.
    pub fn iter(&self) -> impl Iterator<Item = (&SubscriptionFilter, &Subscription)> {
        let (few, many) = match &self.list {
            List::Few(few) => (Some(few), None),
            List::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten();
        few.map(|(filter, subscription)| (filter, subscription))
            .chain(many.into_iter().flat_map(|many| many.iter()))
    }

    /// The first behind this filter, or of all.
    pub fn next_after(
        &self,
        filter: Option<&SubscriptionFilter>,
    ) -> Option<(&SubscriptionFilter, &Subscription)> {
        let Some(filter) = filter else {
            return self.iter().next();
        };
        match &self.list {
            List::Few(few) => {
                let at = match find(few, filter) {
                    Ok(at) => at.checked_add(1)?,
                    Err(at) => at,
                };
                few.get(at).map(|(filter, known)| (filter, known))
            }
            List::Many(many) => many.range((Excluded(filter), Unbounded)).next(),
        }
    }

    /// Takes all of them out.
    pub fn drain(&mut self) -> impl Iterator<Item = (SubscriptionFilter, Subscription)> + use<> {
        (self.shared, self.bytes) = (0, 0);
        let (few, many) = match std::mem::take(&mut self.list) {
            List::Few(few) => (Some(few), None),
            List::Many(many) => (None, Some(many)),
        };
        let many = many.into_iter().flat_map(|many| many.into_iter());
        few.into_iter().flatten().chain(many)
    }

    /// Whether one of them is in a group.
    pub fn has_shared(&self) -> bool {
        self.shared > 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.list {
            List::Few(few) => few.len(),
            List::Many(many) => many.len(),
        }
    }

    /// Bytes of their filters, as [`size_of_filter`] says.
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one of them is shared.
    pub fn any_shared(&self) -> bool {
        self.shared > 0
    }
}

#[cfg(test)]
mod tests {
    use types::QoS;

    use super::*;

    fn filter(number: usize) -> SubscriptionFilter {
        let text = match number % 2 {
            0 => format!("{number}/+"),
            _ => format!("$share/g/{number}"),
        };
        SubscriptionFilter::parse(&text, 128).unwrap()
    }

    fn subscription(id: u32) -> Subscription {
        Subscription {
            options: SubscriptionOptions::plain(QoS::AtMostOnce),
            id: NonZeroU32::new(id),
        }
    }

    #[test]
    fn few_and_many_are_the_same_from_outside() {
        let mut subscriptions = Subscriptions::default();
        for round in 1..=2 {
            for number in 0..3 * FEW {
                let before = subscriptions.insert(filter(number), subscription(round));
                assert_eq!(before, (round == 2).then(|| subscription(1)));
            }
        }
        assert_eq!(subscriptions.len(), 3 * FEW);
        let sizes = (0..3 * FEW).map(|number| size_of_filter(&filter(number)));
        assert_eq!(subscriptions.bytes(), sizes.sum::<u32>());
        let filters: Vec<_> = subscriptions.iter().map(|(filter, _)| filter).collect();
        assert!(filters.is_sorted());
        let mut one_by_one = Vec::new();
        while let Some((next, _)) = subscriptions.next_after(one_by_one.last().copied()) {
            one_by_one.push(next);
        }
        assert_eq!(one_by_one, filters);
        for number in 0..3 * FEW {
            assert!(subscriptions.any_shared());
            assert_eq!(
                subscriptions.subscription(&filter(number)),
                Some(&subscription(2))
            );
            assert_eq!(
                subscriptions.remove(&filter(number)),
                Some(subscription(2)),
                "{number}"
            );
            assert_eq!(subscriptions.remove(&filter(number)), None);
            assert_eq!(subscriptions.len(), 3 * FEW - 1 - number);
            assert_eq!(subscriptions.iter().count(), subscriptions.len());
        }
        assert!(subscriptions.is_empty() && !subscriptions.any_shared());
        assert_eq!(subscriptions.bytes(), 0);
    }

    #[test]
    fn draining_leaves_nothing() {
        for count in [1, FEW, FEW + 1] {
            let mut subscriptions = Subscriptions::default();
            for number in 0..count {
                subscriptions.insert(filter(number), subscription(1));
            }
            assert_eq!(subscriptions.drain().count(), count);
            assert!(subscriptions.is_empty() && !subscriptions.any_shared());
            assert_eq!(subscriptions.bytes(), 0);
        }
    }
}

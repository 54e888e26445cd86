//! How old the messages are that somebody refers to.

use std::collections::BTreeMap;

/// How many messages came in which second, of 1,024 ms.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// The latest second, which nearly all is about.
    latest: (u64, u64),
    earlier: BTreeMap<u64, u64>,
}

impl Ages {
    #[inline]
    pub(super) fn add(&mut self, second: u64) {
        if second > self.latest.0 {
            let (before, count) = std::mem::replace(&mut self.latest, (second, 0));
            if count > 0 {
                self.earlier.insert(before, count);
            }
        }
        if second == self.latest.0 {
            self.latest.1 = self.latest.1.saturating_add(1);
        } else {
            let count = self.earlier.entry(second).or_default();
            *count = count.saturating_add(1);
        }
    }

    #[inline]
    pub(super) fn take(&mut self, second: u64) {
        if second == self.latest.0 {
            self.latest.1 = self.latest.1.saturating_sub(1);
        } else if let Some(count) = self.earlier.get_mut(&second) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.earlier.remove(&second);
            }
        }
    }

    pub(super) fn first(&self) -> Option<u64> {
        let earlier = self.earlier.first_key_value().map(|(&second, _)| second);
        earlier.or_else(|| (self.latest.1 > 0).then_some(self.latest.0))
    }
}

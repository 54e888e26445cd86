//! Who published what is retained, once for each client.

use std::collections::BTreeSet;
use std::sync::Arc;

use store::{Publisher, RecoveredPublisher};

/// All publishers of retained messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Publishers {
    known: BTreeSet<Arc<RecoveredPublisher>>,
    /// With so many it is looked for such as published nothing that is left.
    full: usize,
}

impl Publishers {
    /// The one that all messages of a publisher refer to.
    pub(super) fn one(&mut self, publisher: Publisher<'_>) -> Arc<RecoveredPublisher> {
        let publisher = RecoveredPublisher::from(publisher);
        if let Some(known) = self.known.get(&publisher) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.full {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.full = self.known.len().saturating_mul(2).max(LEAST);
        }
        let publisher = Arc::new(publisher);
        self.known.insert(Arc::clone(&publisher));
        publisher
    }
}

const LEAST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(client: &str) -> Publisher<'_> {
        Publisher {
            client,
            user: None,
            granted: false,
        }
    }

    #[test]
    fn publishers_of_nothing_are_let_go() {
        let mut publishers = Publishers::default();
        let one = |number: usize| format!("c{number}");
        let name = one(0);
        let kept = publishers.one(of(&name));
        assert!(Arc::ptr_eq(&kept, &publishers.one(of(&name))));
        for number in 1..10_000 {
            let name = one(number);
            publishers.one(of(&name));
        }
        assert!(publishers.known.len() <= LEAST);
        assert!(Arc::ptr_eq(&kept, &publishers.one(of(&name))));
    }
}

//! How many places each of many has: one cannot take them all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

type Counts<Who> = Arc<Mutex<HashMap<Who, usize>>>;

/// Those who have a place, and how many.
pub(crate) struct Crowd<Who> {
    most: usize,
    of: Counts<Who>,
}

/// A place. Dropping it makes room for another.
pub(crate) struct Member<Who: Eq + Hash> {
    of: Counts<Who>,
    who: Option<Who>,
}

impl<Who: Eq + Hash + Clone> Crowd<Who> {
    /// Each may have so many.
    pub(crate) fn new(most: usize) -> Self {
        let of = Arc::default();
        Self { most, of }
    }

    /// One more, if there is room for one of his. Who has no name is not counted.
    pub(crate) fn enter(&self, who: Option<Who>) -> Option<Member<Who>> {
        if let Some(who) = &who {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let count = of.entry(who.clone()).or_insert(0);
            if *count >= self.most {
                return None;
            }
            *count = count.saturating_add(1);
        }
        let of = Arc::clone(&self.of);
        Some(Member { of, who })
    }
}

impl<Who: Eq + Hash> Drop for Member<Who> {
    fn drop(&mut self) {
        let Some(who) = &self.who else { return };
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = of.get_mut(who) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                of.remove(who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s95_one_has_a_part_of_the_places() {
        let crowd = Crowd::new(2);
        let both = (crowd.enter(Some("a")), crowd.enter(Some("a")));
        assert!(both.0.is_some() && both.1.is_some());
        assert!(crowd.enter(Some("a")).is_none());
        assert!(crowd.enter(Some("b")).is_some());
        assert!(crowd.enter(None).is_some());
        drop(both);
        assert!(crowd.enter(Some("a")).is_some());
        assert!(
            crowd.of.lock().unwrap().is_empty(),
            "nothing is kept of who is gone"
        );
    }
}

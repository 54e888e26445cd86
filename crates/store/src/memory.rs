//! Stores without a disk.

use std::sync::{Arc, Mutex, PoisonError};

use types::Ticket;

use crate::port::{Store, StoreFailed};
use crate::record::Record;

/// Class `memory`: keeps nothing and promises nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn is_durable(&self) -> bool {
        false
    }

    fn append(&mut self, _: Record<'_>) {}

    fn commit(&mut self) -> Ticket {
        Ticket(0)
    }

    fn safe(&self) -> Result<Option<Ticket>, StoreFailed> {
        Ok(None)
    }
}

/// What a [`MemoryStore`] holds, seen from outside.
#[derive(Debug, Default)]
pub struct Tape {
    /// The records as text, with the ticket of their commit.
    pub records: Vec<(Ticket, String)>,
    last: u64,
    safe: u64,
    failed: bool,
}

/// A store that makes batches safe only when it is told to, and fails when it is told to.
/// Clones share what they hold: a test keeps one, a worker has the other.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tape: Arc<Mutex<Tape>>,
}

impl MemoryStore {
    /// Looks at what is there, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Tape) -> T) -> T {
        look(&mut self.tape.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes every batch so far safe, unless the store has failed.
    pub fn sync(&self) {
        self.with(|tape| {
            if !tape.failed {
                tape.safe = tape.last;
            }
        });
    }

    /// Fails for good.
    pub fn fail(&self) {
        self.with(|tape| tape.failed = true);
    }

    /// Loses what is not safe, as a power cut does.
    pub fn cut_power(&self) {
        self.with(|tape| {
            let safe = tape.safe;
            tape.records.retain(|(ticket, _)| ticket.0 <= safe);
            tape.last = safe;
        });
    }
}

impl Store for MemoryStore {
    fn is_durable(&self) -> bool {
        true
    }

    fn append(&mut self, record: Record<'_>) {
        self.with(|tape| {
            let ticket = Ticket(tape.last.saturating_add(1));
            tape.records.push((ticket, format!("{record:?}")));
        });
    }

    fn commit(&mut self) -> Ticket {
        self.with(|tape| {
            tape.last = tape.last.saturating_add(1);
            Ticket(tape.last)
        })
    }

    fn safe(&self) -> Result<Option<Ticket>, StoreFailed> {
        self.with(|tape| {
            if tape.failed {
                return Err(StoreFailed);
            }
            Ok((tape.safe > 0).then_some(Ticket(tape.safe)))
        })
    }
}

#[cfg(test)]
mod tests {
    use types::SessionKey;

    use super::*;

    const ENDED: Record<'_> = Record::SessionEnded {
        session: SessionKey {
            slot: 0,
            generation: 0,
        },
    };

    #[test]
    fn only_what_was_synced_survives_a_power_cut() {
        let outside = MemoryStore::default();
        let mut store = outside.clone();
        store.append(ENDED);
        let first = store.commit();
        assert_eq!(store.safe(), Ok(None));
        outside.sync();
        assert_eq!(store.safe(), Ok(Some(first)));
        store.append(ENDED);
        assert!(store.commit() > first);
        outside.cut_power();
        assert_eq!(outside.with(|tape| tape.records.len()), 1);
    }

    #[test]
    fn a_failed_store_promises_nothing_more() {
        let outside = MemoryStore::default();
        let mut store = outside.clone();
        store.append(ENDED);
        store.commit();
        outside.fail();
        outside.sync();
        assert_eq!(store.safe(), Err(StoreFailed));
    }
}

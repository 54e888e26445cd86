//! Stores without a disk.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use types::{Message, MessageRef, SessionKey, StoredSession, Ticket, Time};

use crate::port::{Figures, Found, Loaded, Progress, Room, Store, StoreFailed, Wish};
use crate::record::Record;

/// Class `memory`: keeps nothing and promises nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn is_durable(&self) -> bool {
        false
    }

    fn new_session(&mut self) -> StoredSession {
        StoredSession(0)
    }

    fn keep(&mut self, _: &Message, _: Time) -> MessageRef {
        MessageRef(0)
    }

    fn append(&mut self, _: Record<'_>) {}

    fn commit(&mut self, _: Wish) -> Ticket {
        Ticket(0)
    }

    fn progress(&self) -> Result<Progress, StoreFailed> {
        Ok(Progress::default())
    }

    fn room(&self) -> Room {
        Room::Enough
    }

    fn load(&mut self, _: SessionKey, _: &[MessageRef]) {}

    fn loaded(&mut self) -> Option<Loaded> {
        None
    }

    fn clock(&self) -> u64 {
        0
    }

    fn figures(&self) -> Option<Figures> {
        None
    }
}

/// What a [`MemoryStore`] holds, seen from outside.
#[derive(Debug, Default)]
pub struct Tape {
    /// The records as text, with the ticket of their commit.
    pub records: Vec<(Ticket, String)>,
    /// Messages that were kept.
    pub messages: HashMap<MessageRef, Arc<Message>>,
    /// What the next [`Store::room`] says.
    pub room: Option<Room>,
    /// The highest wish since the last [`MemoryStore::sync`].
    pub wish: Wish,
    last: u64,
    written: u64,
    synced: u64,
    sessions: u64,
    failed: bool,
}

/// A store that makes batches safe only when it is told to, and fails when it is told to.
/// Clones share what they hold: a test keeps one, each worker has another.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tape: Arc<Mutex<Tape>>,
    batch: Vec<String>,
    loaded: VecDeque<Loaded>,
}

impl MemoryStore {
    /// Looks at what is there, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Tape) -> T) -> T {
        look(&mut self.tape.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes every batch so far safe, unless the store has failed.
    pub fn sync(&self) {
        self.write();
        self.with(|tape| {
            if !tape.failed {
                tape.synced = tape.last;
                tape.wish = Wish::Lazy;
            }
        });
    }

    /// Hands every batch so far to the operating system, unless the store has failed.
    pub fn write(&self) {
        self.with(|tape| {
            if !tape.failed {
                tape.written = tape.last;
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
            let safe = tape.synced;
            tape.records.retain(|(ticket, _)| ticket.0 <= safe);
            tape.last = safe;
        });
    }
}

impl Store for MemoryStore {
    fn is_durable(&self) -> bool {
        true
    }

    fn new_session(&mut self) -> StoredSession {
        self.with(|tape| {
            tape.sessions = tape.sessions.saturating_add(1);
            StoredSession(tape.sessions)
        })
    }

    fn keep(&mut self, message: &Message, _: Time) -> MessageRef {
        let message = Arc::new(Message::new(Arc::clone(message.topic()), message.parts()));
        self.with(|tape| {
            let number = u64::try_from(tape.messages.len()).unwrap_or(u64::MAX);
            let reference = MessageRef(number.saturating_add(1));
            message.reference_or(|| reference);
            tape.messages.insert(reference, message);
            reference
        })
    }

    fn append(&mut self, record: Record<'_>) {
        self.batch.push(format!("{record:?}"));
    }

    fn commit(&mut self, wish: Wish) -> Ticket {
        let batch = std::mem::take(&mut self.batch);
        self.with(|tape| {
            tape.last = tape.last.saturating_add(1);
            tape.wish = tape.wish.max(wish);
            let ticket = Ticket(tape.last);
            tape.records
                .extend(batch.into_iter().map(|record| (ticket, record)));
            ticket
        })
    }

    fn progress(&self) -> Result<Progress, StoreFailed> {
        self.with(|tape| {
            if tape.failed {
                return Err(StoreFailed);
            }
            Ok(Progress {
                written: Ticket(tape.written),
                synced: Ticket(tape.synced),
            })
        })
    }

    fn room(&self) -> Room {
        self.with(|tape| tape.room.unwrap_or(Room::Enough))
    }

    fn load(&mut self, reader: SessionKey, messages: &[MessageRef]) {
        for &message in messages {
            let found = self.with(|tape| match tape.messages.get(&message) {
                Some(message) => Found::Message(Arc::clone(message)),
                None => Found::Gone,
            });
            self.loaded.push_back(Loaded {
                reader,
                message,
                found,
            });
        }
    }

    fn loaded(&mut self) -> Option<Loaded> {
        self.loaded.pop_front()
    }

    fn clock(&self) -> u64 {
        0
    }

    fn figures(&self) -> Option<Figures> {
        self.with(|tape| {
            Some(Figures {
                messages: u64::try_from(tape.messages.len()).unwrap_or(u64::MAX),
                syncs: tape.synced,
                ..Figures::default()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED: Record<'_> = Record::SessionEnded {
        session: StoredSession(1),
    };

    #[test]
    fn only_what_was_synced_survives_a_power_cut() {
        let outside = MemoryStore::default();
        let mut store = outside.clone();
        store.append(ENDED);
        let first = store.commit(Wish::Synced);
        assert_eq!(store.progress(), Ok(Progress::default()));
        outside.sync();
        assert_eq!(store.progress().map(|progress| progress.synced), Ok(first));
        store.append(ENDED);
        let second = store.commit(Wish::Written);
        assert!(second > first);
        outside.write();
        let progress = Progress {
            written: second,
            synced: first,
        };
        assert_eq!(store.progress(), Ok(progress));
        outside.cut_power();
        assert_eq!(outside.with(|tape| tape.records.len()), 1);
    }

    #[test]
    fn a_failed_store_promises_nothing_more() {
        let outside = MemoryStore::default();
        let mut store = outside.clone();
        store.append(ENDED);
        store.commit(Wish::Synced);
        outside.fail();
        outside.sync();
        assert_eq!(store.progress(), Err(StoreFailed));
    }
}

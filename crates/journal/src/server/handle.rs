//! The port, for one worker.

use std::collections::VecDeque;
use std::sync::Arc;

use store::{Figures, Loaded, Progress, Record, Room, Store, StoreFailed, Wish};
use types::{Message, MessageRef, SessionKey, StoredSession, Ticket, Time, WorkerId};

use super::inbox::{Asked, Shared, Slot};
use crate::record;

/// A worker's own handle of the store. What it appends it encodes at once, into a buffer of its
/// own; a commit copies that to the inbox that all handles share.
pub struct Handle {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    batch: Vec<u8>,
    body: Vec<u8>,
    answers: VecDeque<Loaded>,
    last: Ticket,
}

impl Handle {
    pub(crate) fn new(shared: &Arc<Shared>, worker: WorkerId) -> Self {
        Self {
            shared: Arc::clone(shared),
            slot: shared.slot(worker),
            batch: Vec::new(),
            body: Vec::new(),
            answers: VecDeque::new(),
            last: Ticket(0),
        }
    }
}

impl Store for Handle {
    fn is_durable(&self) -> bool {
        true
    }

    fn new_session(&mut self) -> StoredSession {
        self.shared.new_session()
    }

    fn keep(&mut self, message: &Message, now: Time) -> MessageRef {
        let reference = self.shared.new_reference(now);
        // A failed store only has to look like one: nothing is acknowledged any more.
        if !self.shared.has_failed() {
            record::encode_body(reference, message, self.shared.clock, &mut self.body);
            self.shared.keep(&self.body);
            clear(&mut self.body);
        }
        reference
    }

    fn append(&mut self, record: Record<'_>) {
        record::encode(&record, self.shared.clock, &mut self.batch);
    }

    /// An empty batch that nobody waits for has no ticket of its own.
    fn commit(&mut self, wish: Wish) -> Ticket {
        if self.shared.has_failed() {
            self.batch.clear();
        }
        if !self.batch.is_empty() || wish > Wish::Lazy {
            self.last = Ticket(self.shared.commit(&self.batch, self.slot.worker, wish));
            clear(&mut self.batch);
        }
        self.last
    }

    fn progress(&self) -> Result<Progress, StoreFailed> {
        if self.shared.has_failed() {
            return Err(StoreFailed);
        }
        // What is synced is read first, so that it is never ahead of what is written.
        let synced = Ticket(self.shared.synced());
        let written = Ticket(self.shared.written());
        Ok(Progress { written, synced })
    }

    fn room(&self) -> Room {
        self.shared.room()
    }

    fn load(&mut self, reader: SessionKey, messages: &[MessageRef]) {
        if !messages.is_empty() {
            self.shared.load(messages.iter().map(|&message| Asked {
                slot: Arc::clone(&self.slot),
                reader,
                message,
            }));
        }
    }

    fn loaded(&mut self) -> Option<Loaded> {
        if self.answers.is_empty() {
            self.slot.take(&mut self.answers);
        }
        self.answers.pop_front()
    }

    fn clock(&self) -> u64 {
        self.shared.clock.base
    }

    fn figures(&self) -> Option<Figures> {
        Some(self.shared.figures())
    }
}

/// Empties a buffer, and lets go of what a rare large one took.
fn clear(buffer: &mut Vec<u8>) {
    if buffer.capacity() > LARGE {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}

const LARGE: usize = 1 << 20;

//! The port, for one worker.

use std::collections::VecDeque;
use std::sync::Arc;

use store::{Figures, Loaded, Progress, Record, Room, Store, StoreFailed, Wish};
use types::{Message, MessageRef, SessionKey, StoredSession, Ticket, Time, WorkerId};

use super::inbox::FRAME_BYTES;
use super::inbox::{Asked, Shared, Slot};
use crate::record;
use crate::segment::FrameBuffer;

/// A worker's own handle of the store. What it appends it encodes at once, into buffers of its
/// own; a commit hands them to the inbox that all handles share.
pub struct Handle {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    /// The records of this turn.
    batch: Vec<u8>,
    /// The messages that go with them, before them.
    bodies: FrameBuffer,
    /// A message that does not wait for them.
    body: Vec<u8>,
    names: Names,
    answers: VecDeque<Loaded>,
    last: Ticket,
}

impl Handle {
    pub(crate) fn new(shared: &Arc<Shared>, worker: WorkerId) -> Self {
        Self {
            shared: Arc::clone(shared),
            slot: shared.slot(worker),
            batch: Vec::new(),
            bodies: FrameBuffer::default(),
            body: Vec::new(),
            names: Names::default(),
            answers: VecDeque::new(),
            last: Ticket(0),
        }
    }

    /// Messages need no record that refers to them.
    fn hand_over_bodies(&mut self) {
        if self.shared.has_failed() {
            self.bodies.clear();
        }
        self.shared.keep_frame(&mut self.bodies);
    }

    fn new_reference(&mut self, now: Time) -> MessageRef {
        if self.names.next >= self.names.end || self.names.time != now {
            let given = match self.names.time == now {
                true => self.names.given,
                false => 0,
            };
            let count = given.clamp(1, MOST_NAMES);
            let first = self.shared.new_references(now, count).0;
            self.names = Names {
                time: now,
                next: first,
                end: first.saturating_add(count),
                given: given.saturating_add(count),
            };
        }
        let next = self.names.next;
        self.names.next = next.saturating_add(1);
        MessageRef(next)
    }
}

/// Names that a worker gives to messages of one millisecond. It takes them in blocks, because all
/// workers count together; in the first only one, and then as many as it has needed.
#[derive(Default)]
struct Names {
    time: Time,
    next: u64,
    end: u64,
    given: u64,
}

/// Names that a worker takes at once.
const MOST_NAMES: u64 = 64;

impl Store for Handle {
    fn is_durable(&self) -> bool {
        true
    }

    fn new_session(&mut self) -> StoredSession {
        self.shared.new_session()
    }

    fn keep(&mut self, message: &Message, now: Time) -> MessageRef {
        let reference = self.new_reference(now);
        // A failed store only has to look like one: nothing is acknowledged any more.
        if !self.shared.has_failed() {
            record::encode_body(reference, message, self.shared.clock, &mut self.body);
            self.shared.keep(&self.body);
            clear(&mut self.body);
        }
        reference
    }

    fn keep_here(&mut self, message: &Message, now: Time) -> MessageRef {
        let reference = self.new_reference(now);
        let before = self.bodies.payload().len();
        record::encode_body(reference, message, self.shared.clock, self.bodies.records());
        let length = self.bodies.payload().len();
        self.shared.has_come(length.saturating_sub(before));
        if length >= FRAME_BYTES {
            self.hand_over_bodies();
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
            self.bodies.clear();
        }
        if !self.batch.is_empty() || wish > Wish::Lazy {
            self.bodies.push(&self.batch);
            self.shared.has_come(self.batch.len());
            let ticket = self.shared.commit(&mut self.bodies, self.slot.worker, wish);
            self.last = Ticket(ticket);
            clear(&mut self.batch);
        } else {
            self.hand_over_bodies();
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
            // They may be among them.
            self.hand_over_bodies();
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

#[cfg(test)]
mod tests;

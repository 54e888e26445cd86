//! The model as records, a little at a time, while other records are written in between.
//!
//! A replay that begins at the checkpoint's first segment sees, for each session that was there,
//! first what happened to it before the checkpoint came to it (and ignores it), then its state,
//! then the rest. What is new since the checkpoint began is in the records anyway.

use std::sync::Arc;
use std::vec;

use types::MessageRef;

use crate::model::{Model, SessionView};
use crate::record::{
    encode_begun, encode_begun_in_group, encode_body_place, encode_checkpoint_begins,
    encode_checkpoint_ends, encode_expired, encode_passed_state, encode_queue_state,
    encode_retained_state, encode_session_state, encode_subscribed, lengths,
};

/// Whether a checkpoint is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to be written.
    More,
    /// Its last record is among what this step appended.
    Done,
}

/// A checkpoint that is being written.
#[derive(Debug)]
pub struct Checkpoint {
    first: u64,
    begins: Option<(u64, u64)>,
    messages: vec::IntoIter<MessageRef>,
    sessions: vec::IntoIter<u64>,
    topics: vec::IntoIter<Arc<str>>,
    passing: vec::IntoIter<u64>,
}

impl Checkpoint {
    /// Begins one. `first` is a segment that is still empty: what lives now is noted, and what
    /// begins to live from here on is in the records of that segment and later ones.
    pub fn begin(model: &Model, first: u64) -> Self {
        Self {
            first,
            begins: Some((model.last_session().0, model.sequence())),
            messages: model.messages_before(first).into_iter(),
            sessions: model.session_numbers().into_iter(),
            topics: model.topics().into_iter(),
            passing: model.passing().into_iter(),
        }
    }

    /// The first segment.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Appends some records to `out`, until they have `at_most` bytes or a little more. A session
    /// is one piece, however large. They belong in one frame: a replay that found a session's
    /// state and a part of its queue would take that for all of it.
    ///
    /// `model` must hold exactly what was written so far. It need not be fed with these records.
    pub fn step(&mut self, model: &Model, out: &mut Vec<u8>, at_most: usize) -> Progress {
        let enough = out.len().saturating_add(at_most);
        if let Some((last_session, sequence)) = self.begins.take() {
            encode_checkpoint_begins(self.first, last_session, sequence, out);
        }
        while out.len() < enough {
            if !self.one(model, out) {
                encode_checkpoint_ends(self.first, out);
                return Progress::Done;
            }
        }
        Progress::More
    }

    /// Writes one thing that lives; `false` if there is none left.
    fn one(&mut self, model: &Model, out: &mut Vec<u8>) -> bool {
        if let Some(message) = self.messages.next() {
            if let Some(known) = model.known(message) {
                encode_body_place(message, known.place, known.size, known.expires, out);
            }
            return true;
        }
        if let Some(number) = self.sessions.next() {
            if let Some(session) = model.session(number) {
                write_session(session, out);
            }
            return true;
        }
        if let Some(topic) = self.topics.next() {
            if let Some((message, sequence, publisher)) = model.retained(&topic) {
                encode_retained_state(message, sequence, &topic, publisher, out);
            }
            return true;
        }
        let Some(message) = self.passing.next() else {
            return false;
        };
        for group in model.groups(message) {
            encode_passed_state(MessageRef(message), group, out);
        }
        true
    }
}

/// A session, its subscriptions, what it has begun to publish, and its queue.
fn write_session(session: SessionView<'_>, out: &mut Vec<u8>) {
    let state = session.state();
    let number = state.fields.session;
    encode_session_state(&state, out);
    for subscription in session.subscriptions() {
        let (options, id) = (subscription.options, subscription.id);
        encode_subscribed(number, options, id, &subscription.filter, out);
    }
    for (id, begun) in session.begun() {
        encode_begun(number, *id, &begun.sessions, out);
        for group in &begun.groups {
            encode_begun_in_group(number, *id, group, out);
        }
    }
    if let Some(delivery) = session.last_expired() {
        encode_expired(number, delivery, out);
    }
    let mut queue = session.queue();
    let mut left = session.queued();
    while left > 0 {
        let some = left.min(QUEUE_PIECE);
        encode_queue_state(number, some, queue.by_ref().take(some), out);
        left = left.saturating_sub(some);
    }
}

/// The records of a payload in pieces of at most `at_most` bytes (or one record), in order: for
/// what a step appended, when it is too long for one frame.
pub fn pieces(payload: &[u8], at_most: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut length = 0_usize;
        for record in lengths(rest) {
            let longer = length.saturating_add(record);
            if length > 0 && longer > at_most {
                break;
            }
            length = longer;
        }
        // Bytes that are no records stay in one piece.
        let length = if length == 0 { rest.len() } else { length };
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(piece)
    })
}

/// So many deliveries make one record.
const QUEUE_PIECE: usize = 1_000;

//! Messages that were asked for, read one after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use store::{Found, Loaded};

use super::inbox::{Asked, Shared, Told};
use crate::engine::Lookup;
use crate::record;

/// A question, and where its answer lies.
pub(crate) struct Read {
    pub(crate) asked: Asked,
    pub(crate) lookup: Lookup,
}

/// Reads what was asked for, and wakes those who asked.
pub(crate) fn answer(reads: &mut Vec<Read>, shared: &Shared) {
    let mut buffer = Vec::new();
    for read in reads.drain(..) {
        let found = match &read.lookup {
            Lookup::Gone => Found::Gone,
            Lookup::At(place) => match place.read(&mut buffer) {
                Ok(()) => decode(&read.asked, &buffer, shared),
                Err(_) => Found::Damaged,
            },
        };
        if matches!(found, Found::Damaged) {
            shared.damaged.fetch_add(1, Ordering::Relaxed);
        }
        let Asked {
            slot,
            reader,
            message,
        } = read.asked;
        let answer = Loaded {
            reader,
            message,
            found,
        };
        if slot.answer(answer) == Told::NotYet {
            shared.wake(slot.worker);
        }
    }
}

/// A message is withheld if its own checksum, or its name, is not what it must be.
fn decode(asked: &Asked, bytes: &[u8], shared: &Shared) -> Found {
    match record::decode_body(asked.message, bytes, shared.clock) {
        Ok(message) => Found::Message(Arc::new(message)),
        Err(record::Damaged) => Found::Damaged,
    }
}

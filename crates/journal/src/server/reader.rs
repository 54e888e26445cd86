//! Messages that were asked for, read one after the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use store::{Found, Loaded};

use super::inbox::{Asked, Shared, Told};
use crate::engine::Lookup;
use crate::record;

/// A question, and where its answer lies.
pub(crate) struct Read {
    asked: Asked,
    lookup: Lookup,
    /// How often the disk gave an error instead.
    failed: u32,
}

impl Read {
    pub(crate) fn new(asked: Asked, lookup: Lookup) -> Self {
        Self {
            asked,
            lookup,
            failed: 0,
        }
    }
}

/// Reads what was asked for, and wakes those who asked. What the disk gives an error for is left in
/// `reads`, with all that its worker asked for after it: to be tried again after [`AGAIN`]. It is
/// not damaged as far as anybody knows, and a worker would give up what is. A disk that goes on like
/// that fails the store, as one does that cannot write.
pub(crate) fn answer(reads: &mut Vec<Read>, shared: &Shared) {
    let mut buffer = Vec::new();
    let mut left: Vec<Read> = Vec::new();
    for mut read in reads.drain(..) {
        let slot = &read.asked.slot;
        if left.iter().any(|it| Arc::ptr_eq(&it.asked.slot, slot)) {
            left.push(read);
            continue;
        }
        match find(&read, &mut buffer, shared) {
            Ok(found) => reply(read.asked, found, shared),
            Err(error) => {
                shared.unread.fetch_add(1, Ordering::Relaxed);
                read.failed = read.failed.saturating_add(1);
                if read.failed == TRIES {
                    shared
                        .publish_failed(&format_args!("a stored message cannot be read: {error}"));
                }
                left.push(read);
            }
        }
    }
    *reads = left;
}

fn find(read: &Read, buffer: &mut Vec<u8>, shared: &Shared) -> io::Result<Found> {
    let Lookup::At(place) = &read.lookup else {
        return Ok(Found::Gone);
    };
    // Most errors that pass are gone the second time.
    match place.read(buffer).or_else(|_| place.read(buffer)) {
        Ok(()) => Ok(decode(&read.asked, buffer, shared)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Found::Damaged),
        Err(error) => Err(error),
    }
}

fn reply(asked: Asked, found: Found, shared: &Shared) {
    if matches!(found, Found::Damaged) {
        shared.damaged.fetch_add(1, Ordering::Relaxed);
    }
    let Asked {
        slot,
        reader,
        message,
    } = asked;
    let answer = Loaded {
        reader,
        message,
        found,
    };
    if slot.answer(answer) == Told::NotYet {
        shared.wake(slot.worker);
    }
}

/// A message is withheld if its own checksum, or its name, is not what it must be.
fn decode(asked: &Asked, bytes: &[u8], shared: &Shared) -> Found {
    match record::decode_body(asked.message, bytes, shared.clock) {
        Ok(message) => Found::Message(Arc::new(message)),
        Err(record::Damaged) => Found::Damaged,
    }
}

/// The pause before what could not be read is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
/// So many times, twice each.
const TRIES: u32 = 10;

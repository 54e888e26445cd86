//! What waits to be written to one connection.
//!
//! Small things are copied into one buffer; a large payload that several connections get is
//! shared and only noted with its place between the copied bytes. An idle connection holds no
//! buffer: it comes from the worker's pool and goes back when all is written.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use types::Message;

/// Buffers for reuse, so that a busy worker does not allocate for each turn.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    buffers: Vec<Vec<u8>>,
}

const POOLED_BUFFERS: usize = 1024;
const POOLED_CAPACITY: usize = 16 * 1024;

impl BufferPool {
    fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if self.buffers.len() < POOLED_BUFFERS && (1..=POOLED_CAPACITY).contains(&capacity) {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

/// A shared payload that stands before `copied[at]`.
#[derive(Debug)]
struct SharedPart {
    at: usize,
    message: Arc<Message>,
    written: usize,
}

/// Bytes that wait, in order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    copied: Vec<u8>,
    /// How much of `copied` is written.
    written: usize,
    shared: VecDeque<SharedPart>,
    /// Bytes of shared payloads that wait.
    shared_bytes: usize,
}

/// A written prefix beyond this is cut off rather than kept until the rest is written.
const COMPACT_ABOVE: usize = 64 * 1024;

impl Output {
    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.copied
            .len()
            .saturating_sub(self.written)
            .saturating_add(self.shared_bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer to append copied bytes to.
    #[inline]
    pub(crate) fn buffer(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.copied.capacity() == 0 {
            self.copied = pool.take();
        }
        &mut self.copied
    }

    /// Where the next copied byte goes.
    pub(crate) fn mark(&self) -> usize {
        self.copied.len()
    }

    /// Takes back what was copied since the mark; nothing of it was written yet.
    pub(crate) fn take_back(&mut self, mark: usize) -> std::vec::Drain<'_, u8> {
        self.copied.drain(mark.min(self.copied.len())..)
    }

    /// Appends the payload of a message without copying it.
    pub(crate) fn push_shared(&mut self, message: Arc<Message>) {
        let at = self.copied.len();
        self.shared_bytes = self.shared_bytes.saturating_add(message.payload().len());
        self.shared.push_back(SharedPart {
            at,
            message,
            written: 0,
        });
    }

    /// Fills slices with what waits, first bytes first; returns how many were filled.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled: usize = 0;
        let mut from = self.written;
        let mut places = slices.iter_mut();
        let mut put = |bytes: &'a [u8]| -> bool {
            if bytes.is_empty() {
                return true;
            }
            let Some(place) = places.next() else {
                return false;
            };
            *place = IoSlice::new(bytes);
            filled = filled.saturating_add(1);
            true
        };
        for part in &self.shared {
            let copied = self.copied.get(from..part.at).unwrap_or_default();
            let payload = part
                .message
                .payload()
                .get(part.written..)
                .unwrap_or_default();
            if !put(copied) || !put(payload) {
                return filled;
            }
            from = part.at;
        }
        put(self.copied.get(from..).unwrap_or_default());
        filled
    }

    /// So many bytes were written.
    pub(crate) fn consume(&mut self, mut count: usize, pool: &mut BufferPool) {
        while count > 0 {
            let Some(part) = self.shared.front_mut() else {
                break;
            };
            let before = part.at.saturating_sub(self.written);
            if count < before {
                break;
            }
            count = count.saturating_sub(before);
            self.written = part.at;
            let left = part.message.payload().len().saturating_sub(part.written);
            let taken = count.min(left);
            part.written = part.written.saturating_add(taken);
            self.shared_bytes = self.shared_bytes.saturating_sub(taken);
            count = count.saturating_sub(taken);
            if taken < left {
                return;
            }
            self.shared.pop_front();
        }
        self.written = self.written.saturating_add(count).min(self.copied.len());
        if self.is_empty() {
            self.clear(pool);
        } else if self.written > COMPACT_ABOVE {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let cut = self.written;
        self.copied.drain(..cut.min(self.copied.len()));
        self.written = 0;
        for part in &mut self.shared {
            part.at = part.at.saturating_sub(cut);
        }
    }

    /// Forgets everything and gives the buffer back.
    pub(crate) fn clear(&mut self, pool: &mut BufferPool) {
        pool.give(std::mem::take(&mut self.copied));
        *self = Self::default();
    }

    /// All that waits, in one piece.
    pub(crate) fn flatten(&mut self, pool: &mut BufferPool) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        let mut from = self.written;
        for part in &self.shared {
            all.extend_from_slice(self.copied.get(from..part.at).unwrap_or_default());
            all.extend_from_slice(
                part.message
                    .payload()
                    .get(part.written..)
                    .unwrap_or_default(),
            );
            from = part.at;
        }
        all.extend_from_slice(self.copied.get(from..).unwrap_or_default());
        self.clear(pool);
        all
    }
}

#[cfg(test)]
mod tests {
    use types::{MessageParts, QoS};

    use super::*;

    fn message(payload: &[u8]) -> Arc<Message> {
        Arc::new(Message::new(
            Arc::from("t"),
            MessageParts {
                properties: &[],
                payload,
                qos: QoS::AtMostOnce,
                retain: false,
                publisher: None,
                expires: None,
                durability: types::Durability::Memory,
                followed: types::Followed::No,
            },
        ))
    }

    #[test]
    fn bytes_leave_in_order_however_they_are_cut() {
        let wanted = b"aaXXXbYYYYcc".to_vec();
        for step in 1..=wanted.len() {
            let mut pool = BufferPool::default();
            let mut output = Output::default();
            output.buffer(&mut pool).extend_from_slice(b"aa");
            output.push_shared(message(b"XXX"));
            output.buffer(&mut pool).extend_from_slice(b"b");
            output.push_shared(message(b"YYYY"));
            output.buffer(&mut pool).extend_from_slice(b"cc");
            assert_eq!(output.len(), wanted.len());
            let mut seen = Vec::new();
            while !output.is_empty() {
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = output.slices(&mut slices);
                let all: Vec<u8> = slices[..filled]
                    .iter()
                    .flat_map(|slice| slice.to_vec())
                    .collect();
                let taken = step.min(all.len());
                seen.extend_from_slice(&all[..taken]);
                output.consume(taken, &mut pool);
            }
            assert_eq!(seen, wanted, "step {step}");
        }
    }
}

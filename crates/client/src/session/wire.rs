//! The way out: packets are encoded once and wait here until the link takes them.

use codec::{EncodeError, Packet};
use types::{ProtocolVersion, Time};

use super::Events;
use super::describe::describe;
use crate::event::{Direction, Event};

/// Bytes that wait to be written.
#[derive(Debug)]
pub(super) struct Wire {
    version: ProtocolVersion,
    trace: bool,
    bytes: Vec<u8>,
    /// How many bytes at the front are written.
    written: usize,
    /// When a packet was last put here.
    pub(super) last_sent: Time,
}

impl Wire {
    pub(super) fn new(version: ProtocolVersion, trace: bool) -> Self {
        Self {
            version,
            trace,
            bytes: Vec::new(),
            written: 0,
            last_sent: Time::ZERO,
        }
    }

    pub(super) fn send(
        &mut self,
        packet: &Packet<'_>,
        events: &mut Events,
        now: Time,
    ) -> Result<(), EncodeError> {
        codec::encode(packet, self.version, &mut self.bytes)?;
        self.last_sent = now;
        if self.trace {
            events.push_back(Event::Packet {
                direction: Direction::Sent,
                text: describe(packet),
            });
        }
        Ok(())
    }

    pub(super) fn output(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    pub(super) fn handle_written(&mut self, count: usize) {
        self.written = self.written.saturating_add(count).min(self.bytes.len());
        if self.written == self.bytes.len() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.written = 0;
    }

    /// Whether so much waits that messages should wait elsewhere.
    pub(super) fn is_full(&self) -> bool {
        self.output().len() >= OUTPUT_HIGH_WATER
    }
}

/// Messages are encoded ahead of the link up to so many bytes.
const OUTPUT_HIGH_WATER: usize = 256 * 1024;

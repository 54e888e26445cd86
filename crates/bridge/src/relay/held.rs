//! Packets that wait.

use std::collections::VecDeque;

/// PUBLISH packets that must wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) packets: VecDeque<Vec<u8>>,
    pub(super) bytes: usize,
}

impl Held {
    pub(super) fn push(&mut self, packet: &[u8]) {
        self.bytes = self.bytes.saturating_add(cost(packet));
        self.packets.push_back(packet.to_vec());
    }

    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let packet = self.packets.pop_front()?;
        self.bytes = self.bytes.saturating_sub(cost(&packet));
        Some(packet)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}

/// Memory for a packet that waits: many small ones are more than their bytes.
fn cost(packet: &[u8]) -> usize {
    packet.len().saturating_add(HELD_EACH)
}

/// What a packet that waits needs beside its bytes.
const HELD_EACH: usize = 64;

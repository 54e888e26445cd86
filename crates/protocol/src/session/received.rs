//! QoS 2 messages from the client that were taken and not yet released.

use hashbrown::HashSet;
use types::PacketId;

/// A set of packet identifiers. At most 65,535, and within the Receive Maximum for clients
/// that were told one.
#[derive(Debug, Default)]
pub(super) struct Received {
    ids: HashSet<PacketId, foldhash::fast::FixedState>,
}

impl Received {
    /// `false` if it was there.
    pub(super) fn insert(&mut self, id: PacketId) -> bool {
        self.ids.insert(id)
    }

    /// `false` if it was not there.
    pub(super) fn remove(&mut self, id: PacketId) -> bool {
        let was_there = self.ids.remove(&id);
        if self.ids.is_empty() {
            self.ids.shrink_to_fit();
        }
        was_there
    }

    pub(super) fn contains(&self, id: PacketId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

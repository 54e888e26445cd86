//! Packets that wait until the store has their record safe.

use std::collections::VecDeque;

use types::{DeliveryNumber, PacketId, QoS};

use super::{Gate, Hold, Inflight, Outbound, Resend, Stage, When};

/// Flows of the present connection whose packet was not sent, in the order in which it has to
/// be (MQTT-4.6.0-4 to -6). The records need not get safe in that order: messages may have
/// different classes of durability.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) publishes: VecDeque<PacketId>,
    pub(super) pubrels: VecDeque<PacketId>,
}

impl Held {
    pub(super) fn forget(&mut self, id: PacketId) {
        self.publishes.retain(|held| *held != id);
        self.pubrels.retain(|held| *held != id);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Inflight {
    /// Whether a message that may be written now would overtake one that may not.
    pub(in super::super) fn is_behind_held(&self, qos: QoS, when: When) -> bool {
        when == When::Now && qos == QoS::ExactlyOnce && !self.held.publishes.is_empty()
    }

    /// The record of a flow's packet is safe. The number tells a flow from a later one with the
    /// same identifier.
    pub(in super::super) fn open_gate(
        &mut self,
        id: PacketId,
        number: Option<DeliveryNumber>,
    ) -> Gate {
        let Some(flow) = self
            .flow(id)
            .filter(|flow| flow.hold == Hold::Closed && flow.number == number)
        else {
            return Gate::NotDue;
        };
        flow.hold = Hold::Due;
        if !flow.outstanding {
            // The session was resumed: its turn comes as all is sent again.
            return Gate::NotDue;
        }
        if flow.stage == Stage::Pubcomp {
            if self.held.pubrels.front() != Some(&id) {
                return Gate::NotDue;
            }
            self.due_pubrel().map_or(Gate::NotDue, |_| Gate::Pubrel)
        } else if self.held.publishes.front() == Some(&id) {
            self.due_publish()
                .map_or(Gate::NotDue, |(_, outbound)| Gate::Publish(outbound))
        } else {
            Gate::NotDue
        }
    }

    /// Whether there is a packet whose record is safe and whose turn has come.
    pub(in super::super) fn has_due(&self) -> bool {
        [&self.held.pubrels, &self.held.publishes]
            .into_iter()
            .filter_map(|list| self.peek(*list.front()?))
            .any(|flow| flow.hold == Hold::Due)
    }

    /// The next such packet.
    pub(in super::super) fn next_due(&mut self) -> Resend {
        if let Some(id) = self.due_pubrel() {
            return Resend::Pubrel(id);
        }
        match self.due_publish() {
            Some((id, outbound)) => Resend::First(id, outbound),
            None => Resend::Nothing,
        }
    }

    fn due_pubrel(&mut self) -> Option<PacketId> {
        let id = *self.held.pubrels.front()?;
        let flow = self.flow(id).filter(|flow| flow.hold == Hold::Due)?;
        flow.hold = Hold::Sent;
        self.held.pubrels.pop_front();
        Some(id)
    }

    fn due_publish(&mut self) -> Option<(PacketId, Outbound)> {
        let id = *self.held.publishes.front()?;
        let flow = self.flow(id).filter(|flow| flow.hold == Hold::Due)?;
        let outbound = flow.outbound()?;
        flow.hold = Hold::Sent;
        self.held.publishes.pop_front();
        Some((id, outbound))
    }
}

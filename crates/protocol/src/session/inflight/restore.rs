//! Flows that an earlier run left.

use types::{DeliveryNumber, PacketId};

use super::super::outbound::Outbound;
use super::{Flow, Inflight, RING, Stage, steps};

impl Flow {
    pub(in super::super) fn sent(outbound: Outbound) -> Self {
        Self::new(outbound.qos, Some(outbound))
    }

    pub(in super::super) fn received(number: Option<DeliveryNumber>) -> Self {
        Self {
            number,
            stage: Stage::Pubcomp,
            ..Self::hole()
        }
    }
}

impl Inflight {
    /// Takes over flows, in the order of their first sending. All are due again.
    pub(in super::super) fn restore(&mut self, flows: Vec<(PacketId, Flow)>) {
        let Some((last, _)) = flows.last() else {
            return;
        };
        let last = *last;
        self.live = flows.len();
        self.resend = Some(0);
        // Backwards from the last identifier given, those that make one ascending row are the
        // ring. What is older than that stays behind.
        let mut rest = flows;
        while let Some((id, flow)) = rest.pop() {
            let behind = steps(id, last);
            if behind >= RING || behind < self.ring.len() {
                rest.push((id, flow));
                break;
            }
            while self.ring.len() < behind {
                self.ring.push_front(Flow::hole());
            }
            self.ring.push_front(flow);
            self.first = id;
        }
        self.stragglers = rest;
    }
}

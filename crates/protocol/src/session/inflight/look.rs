//! What is on its way, for who wants to see it.

use types::{Body, PacketId, QoS};

use super::{Flow, Hold, Inflight, Stage, after};

/// A message on its way to a client.
#[derive(Clone, Debug)]
pub struct Underway {
    /// Its packet identifier.
    pub id: PacketId,
    /// The message; `None` if it is not kept, because it would not be sent again.
    pub body: Option<Body>,
    /// The QoS towards this client: 1 or 2.
    pub qos: QoS,
    /// The retain flag towards this client.
    pub retain: bool,
    /// What is awaited.
    pub awaits: Awaits,
}

/// What a message on its way waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Its record is to be safe before it is sent.
    Store,
    /// The client's PUBACK.
    Puback,
    /// The client's PUBREC.
    Pubrec,
    /// The client's PUBCOMP.
    Pubcomp,
}

impl Inflight {
    /// All that is on its way and not fully acknowledged: what stayed behind first, the rest in
    /// order. From this place on.
    pub(in crate::session) fn from(&self, place: usize) -> impl Iterator<Item = Underway> {
        let behind = self.stragglers.iter().map(|(id, flow)| (*id, flow));
        let ring = self.ring.iter().enumerate();
        let ring = ring.map(|(at, flow)| (after(self.first, at), flow));
        let flows = behind
            .chain(ring)
            .filter(|(_, flow)| flow.stage != Stage::Done);
        flows.skip(place).map(|(id, flow)| underway(id, flow))
    }
}

fn underway(id: PacketId, flow: &Flow) -> Underway {
    Underway {
        id,
        body: flow.body.clone(),
        qos: match flow.stage {
            Stage::Puback => QoS::AtLeastOnce,
            Stage::Done | Stage::Pubrec | Stage::Pubcomp => QoS::ExactlyOnce,
        },
        retain: flow.retain,
        awaits: match (flow.hold, flow.stage) {
            (Hold::Closed | Hold::Due, _) => Awaits::Store,
            (Hold::Sent, Stage::Puback) => Awaits::Puback,
            (Hold::Sent, Stage::Pubrec) => Awaits::Pubrec,
            (Hold::Sent, Stage::Pubcomp | Stage::Done) => Awaits::Pubcomp,
        },
    }
}

//! QoS 1 and 2 messages on their way to a client, by packet identifier and in order of sending.

mod held;
mod look;
mod resend;
mod restore;

use std::collections::VecDeque;
use std::sync::Arc;

use types::{Body, DeliveryNumber, Message, MessageRef, PacketId, QoS, SubscriptionFilter};

use self::held::Held;
pub use self::look::{Awaits, Underway};
pub use self::resend::Filled;
use super::outbound::{Matched, Outbound, When};

/// What an acknowledgement that ends a flow did.
#[derive(Debug, PartialEq, Eq)]
pub enum Acked {
    /// The flow is done and its place is free. With what the store calls it.
    Done(Option<DeliveryNumber>),
    /// No flow with this identifier waits for this packet.
    Unknown,
}

/// What PUBREC did.
#[derive(Debug, PartialEq, Eq)]
pub enum Released {
    /// The first PUBREC: answer PUBREL with success; the message is no longer kept.
    Pubrel(Option<DeliveryNumber>),
    /// The first PUBREC, the message is no longer kept, but PUBREL has to wait: until
    /// [`Session::open_gate`](super::Session::open_gate) if the caller said so, or behind
    /// others (MQTT-4.6.0-4).
    Held(Option<DeliveryNumber>),
    /// A repeated PUBREC: answer PUBREL again (MQTT-4.3.3-4).
    Repeated,
    /// A repeated PUBREC, and PUBREL still has to wait: answer nothing.
    StillHeld,
    /// The receiver refused the message: the flow is done, nothing is answered.
    Refused(Option<DeliveryNumber>),
    /// Answer PUBREL with 0x92 (5.0).
    Unknown,
}

/// What became due as a record got safe.
#[derive(Debug)]
pub enum Gate {
    /// Write PUBLISH now, without DUP.
    Publish(Outbound),
    /// Write PUBREL now.
    Pubrel,
    /// Write nothing now: the flow is gone, or its turn has not come, which
    /// [`Session::next_to_send`](super::Session::next_to_send) will say.
    NotDue,
}

/// What is due of the flows that are open.
#[derive(Debug)]
pub(super) enum Resend {
    Publish(PacketId, Outbound),
    /// It was never sent before.
    First(PacketId, Outbound),
    Pubrel(PacketId),
    /// Something is due and there is no room for it, or its record is not safe.
    Blocked,
    /// Something is due and not in memory.
    Missing,
    Nothing,
}

/// Where a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Done: a hole in the ring.
    Done,
    /// QoS 1, PUBLISH sent.
    Puback,
    /// QoS 2, PUBLISH sent.
    Pubrec,
    /// QoS 2, PUBREL sent.
    Pubcomp,
}

/// Whether the last packet of a flow (PUBLISH, PUBREL in stage Pubcomp) was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It was.
    Sent,
    /// Its record is not safe yet.
    Closed,
    /// Its record is safe; its turn has not come.
    Due,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Flow {
    /// Absent if the session never sends again, and after PUBREC.
    body: Option<Body>,
    number: Option<DeliveryNumber>,
    matched: Matched,
    retain: bool,
    stage: Stage,
    hold: Hold,
    /// Counts against the Receive Maximum of the present connection.
    outstanding: bool,
    /// Its message was asked for, for the present connection.
    asked: bool,
}

impl Flow {
    fn hole() -> Self {
        Self {
            body: None,
            number: None,
            matched: Matched::default(),
            retain: false,
            stage: Stage::Done,
            hold: Hold::Sent,
            outstanding: false,
            asked: false,
        }
    }

    fn new(qos: QoS, outbound: Option<Outbound>) -> Self {
        let stage = if qos == QoS::ExactlyOnce {
            Stage::Pubrec
        } else {
            Stage::Puback
        };
        match outbound {
            Some(outbound) => Self {
                body: Some(outbound.body),
                number: outbound.number,
                matched: outbound.matched,
                retain: outbound.retain,
                stage,
                ..Self::hole()
            },
            None => Self {
                stage,
                ..Self::hole()
            },
        }
    }

    fn outbound(&self) -> Option<Outbound> {
        Some(Outbound {
            body: self.body.clone()?,
            number: self.number,
            qos: match self.stage {
                Stage::Puback => QoS::AtLeastOnce,
                Stage::Done | Stage::Pubrec | Stage::Pubcomp => QoS::ExactlyOnce,
            },
            retain: self.retain,
            matched: self.matched.clone(),
        })
    }

    /// Whether the client has not been sent the message, on any connection.
    fn is_unsent(&self) -> bool {
        self.stage != Stage::Pubcomp && self.hold != Hold::Sent
    }
}

/// Flows stand in a ring, in the order of their identifiers, which are given out in sequence:
/// a flow's place follows from its identifier. One that stays behind while 32,768 later ones
/// come moves to a list of stragglers, so that it cannot block the ring.
#[derive(Debug)]
pub(super) struct Inflight {
    ring: VecDeque<Flow>,
    /// The identifier of the ring's front.
    first: PacketId,
    stragglers: Vec<(PacketId, Flow)>,
    /// Flows that are not done.
    live: usize,
    /// Flows that count against the Receive Maximum.
    outstanding: usize,
    /// Where resending goes on: stragglers first, then the ring.
    resend: Option<usize>,
    held: Held,
    /// Messages that were asked for and have not come, in the order of asking.
    asked: VecDeque<(MessageRef, PacketId)>,
}

const RING: usize = 32_768;

impl Default for Inflight {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
            first: PacketId::FIRST,
            stragglers: Vec::new(),
            live: 0,
            outstanding: 0,
            resend: None,
            held: Held::default(),
            asked: VecDeque::new(),
        }
    }
}

/// The identifier `steps` after `id`; 65,535 is followed by 1.
fn after(id: PacketId, steps: usize) -> PacketId {
    let zero_based = usize::from(id.get())
        .saturating_sub(1)
        .saturating_add(steps)
        % 65_535;
    u16::try_from(zero_based)
        .ok()
        .and_then(|number| PacketId::new(number.saturating_add(1)))
        .unwrap_or(PacketId::FIRST)
}

/// How many steps `id` is after `from`.
fn steps(from: PacketId, id: PacketId) -> usize {
    let (from, id) = (usize::from(from.get()), usize::from(id.get()));
    if id >= from {
        id.saturating_sub(from)
    } else {
        id.saturating_add(65_535).saturating_sub(from)
    }
}

impl Inflight {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    pub(super) fn has_room(&self, window: usize) -> bool {
        self.outstanding < window && self.live < RING
    }

    pub(super) fn has_resend(&self) -> bool {
        self.resend.is_some()
    }

    /// Opens a flow and gives it the next free identifier (MQTT-2.2.1-4), and says when its
    /// PUBLISH may be written: one that is not kept could not be written later. `None` if half
    /// of all identifiers are in use: then the next free one could be far.
    pub(super) fn assign(
        &mut self,
        qos: QoS,
        when: When,
        keep: impl FnOnce() -> Option<Outbound>,
    ) -> Option<(PacketId, When)> {
        if self.live >= RING {
            return None;
        }
        self.make_place();
        let mut id = after(self.first, self.ring.len());
        // Stragglers are few; skipping over one leaves a hole that is done from the start.
        while self.stragglers.iter().any(|(taken, _)| *taken == id) {
            self.make_place();
            self.ring.push_back(Flow::hole());
            id = id.next();
        }
        self.make_place();
        let mut flow = Flow::new(qos, keep());
        flow.outstanding = true;
        let when = if flow.body.is_some() { when } else { When::Now };
        if when == When::Safe {
            flow.hold = Hold::Closed;
            self.held.publishes.push_back(id);
        }
        self.ring.push_back(flow);
        self.live = self.live.saturating_add(1);
        self.outstanding = self.outstanding.saturating_add(1);
        Some((id, when))
    }

    /// Moves the ring's front out of the way if the ring is full.
    fn make_place(&mut self) {
        if self.ring.len() < RING {
            return;
        }
        if let Some(flow) = self.ring.pop_front() {
            self.stragglers.push((self.first, flow));
            self.first = self.first.next();
        }
        self.trim();
    }

    /// Drops holes at the front.
    fn trim(&mut self) {
        while self
            .ring
            .front()
            .is_some_and(|flow| flow.stage == Stage::Done)
        {
            self.ring.pop_front();
            self.first = self.first.next();
            if let Some(place) = &mut self.resend {
                *place = place.saturating_sub(1);
            }
        }
        if self.ring.is_empty() && self.ring.capacity() > 64 {
            self.ring = VecDeque::new();
        }
    }

    fn peek(&self, id: PacketId) -> Option<&Flow> {
        let straggler = |id| self.stragglers.iter().find(move |(known, _)| *known == id);
        self.ring
            .get(steps(self.first, id))
            .filter(|flow| flow.stage != Stage::Done)
            .or_else(|| straggler(id).map(|(_, flow)| flow))
    }

    pub(super) fn message(&self, id: PacketId) -> Option<&Arc<Message>> {
        self.peek(id)?.body.as_ref()?.message()
    }

    pub(super) fn oldest(&self) -> Option<PacketId> {
        let straggler = self.stragglers.first().map(|(id, _)| *id);
        straggler.or_else(|| {
            let live = |flow: &Flow| flow.stage != Stage::Done;
            let place = self.ring.iter().position(live)?;
            Some(after(self.first, place))
        })
    }

    fn flow(&mut self, id: PacketId) -> Option<&mut Flow> {
        // Where a straggler's identifier was passed over, the ring has a hole.
        self.ring
            .get_mut(steps(self.first, id))
            .filter(|flow| flow.stage != Stage::Done)
            .or_else(|| {
                self.stragglers
                    .iter_mut()
                    .find(|(known, _)| *known == id)
                    .map(|(_, flow)| flow)
            })
    }

    fn finish(&mut self, id: PacketId) -> Option<DeliveryNumber> {
        let flow = std::mem::replace(self.flow(id)?, Flow::hole());
        if flow.hold != Hold::Sent {
            self.held.forget(id);
        }
        self.live = self.live.saturating_sub(1);
        if flow.outstanding {
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        if !self.stragglers.is_empty() {
            self.stragglers
                .retain(|(_, flow)| flow.stage != Stage::Done);
        }
        self.trim();
        flow.number
    }

    fn finish_at(&mut self, id: PacketId, stage: Stage) -> Acked {
        // Nobody can acknowledge what was not sent.
        if self
            .flow(id)
            .is_none_or(|flow| flow.stage != stage || flow.hold != Hold::Sent)
        {
            return Acked::Unknown;
        }
        Acked::Done(self.finish(id))
    }

    pub(super) fn puback(&mut self, id: PacketId) -> Acked {
        self.finish_at(id, Stage::Puback)
    }

    pub(super) fn pubcomp(&mut self, id: PacketId) -> Acked {
        self.finish_at(id, Stage::Pubcomp)
    }

    pub(super) fn pubrec(&mut self, id: PacketId, failed: bool, when: When) -> Released {
        let behind = !self.held.pubrels.is_empty();
        let Some(flow) = self.flow(id).filter(|flow| !flow.is_unsent()) else {
            // PUBREL answers only a PUBREC without an error (MQTT-4.3.3-4).
            return if failed {
                Released::Refused(None)
            } else {
                Released::Unknown
            };
        };
        match flow.stage {
            Stage::Pubrec if failed => Released::Refused(self.finish(id)),
            Stage::Pubrec => {
                let number = flow.number;
                flow.stage = Stage::Pubcomp;
                flow.body = None;
                flow.matched = Matched::default();
                flow.hold = match when {
                    When::Safe => Hold::Closed,
                    When::Now if behind => Hold::Due,
                    When::Now => Hold::Sent,
                };
                let held = flow.hold != Hold::Sent;
                self.count(id);
                if held {
                    self.held.pubrels.push_back(id);
                    Released::Held(number)
                } else {
                    Released::Pubrel(number)
                }
            }
            Stage::Pubcomp if flow.hold == Hold::Sent => {
                self.count(id);
                Released::Repeated
            }
            Stage::Pubcomp => Released::StillHeld,
            Stage::Puback | Stage::Done => Released::Unknown,
        }
    }

    /// A flow takes part in the present connection, though its turn to be sent again may not
    /// have come: its client spoke of it.
    fn count(&mut self, id: PacketId) {
        if let Some(flow) = self.flow(id)
            && !std::mem::replace(&mut flow.outstanding, true)
        {
            self.outstanding = self.outstanding.saturating_add(1);
        }
    }

    pub(super) fn abandon(&mut self, id: PacketId) -> Option<DeliveryNumber> {
        self.finish(id)
    }

    /// Takes out QoS 1 flows that a shared subscription of these chose, in order; their
    /// identifiers are free.
    pub(super) fn take_unacknowledged_qos1(
        &mut self,
        of: impl Fn(&SubscriptionFilter) -> bool,
    ) -> Vec<Outbound> {
        let is_taken = |flow: &Flow| {
            let share = flow.matched.share();
            flow.stage == Stage::Puback && share.is_some_and(|share| of(share))
        };
        let mut ids = Vec::new();
        ids.extend(
            self.stragglers
                .iter()
                .filter(|(_, f)| is_taken(f))
                .map(|(id, _)| *id),
        );
        for (place, flow) in self.ring.iter().enumerate() {
            if is_taken(flow) {
                ids.push(after(self.first, place));
            }
        }
        let mut taken = Vec::new();
        for id in ids {
            if let Some(outbound) = self.flow(id).and_then(|flow| flow.outbound()) {
                taken.push(outbound);
                self.finish(id);
            }
        }
        taken
    }
}

//! QoS 1 and 2 messages on their way to a client, by packet identifier and in order of sending.

use std::collections::VecDeque;

use types::{PacketId, QoS};

use super::Outbound;

/// What an acknowledgement that ends a flow did.
#[derive(Debug, PartialEq, Eq)]
pub enum Acked {
    /// The flow is done and its place is free.
    Done,
    /// No flow with this identifier waits for this packet.
    Unknown,
}

/// What PUBREC did.
#[derive(Debug, PartialEq, Eq)]
pub enum Released {
    /// Answer PUBREL with success; the message is no longer kept.
    Pubrel,
    /// The receiver refused the message: the flow is done, nothing is answered.
    Refused,
    /// Answer PUBREL with 0x92 (5.0).
    Unknown,
}

/// What is due again after a resume.
#[derive(Debug)]
pub(super) enum Resend {
    Publish(PacketId, Outbound),
    Pubrel(PacketId),
    /// Something is due and there is no room for it.
    NoRoom,
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

#[derive(Debug)]
struct Flow {
    stage: Stage,
    /// Counts against the Receive Maximum of the present connection.
    outstanding: bool,
    /// Absent if the session never sends again, and after PUBREC.
    outbound: Option<Outbound>,
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

    /// Opens a flow and gives it the next free identifier (MQTT-2.2.1-4). `None` if half of
    /// all identifiers are in use: then the next free one could be far.
    pub(super) fn assign(
        &mut self,
        qos: QoS,
        keep: impl FnOnce() -> Option<Outbound>,
    ) -> Option<PacketId> {
        if self.live >= RING {
            return None;
        }
        self.make_place();
        let mut id = after(self.first, self.ring.len());
        // Stragglers are few; skipping over one leaves a hole that is done from the start.
        while self.stragglers.iter().any(|(taken, _)| *taken == id) {
            self.make_place();
            self.ring.push_back(Flow {
                stage: Stage::Done,
                outstanding: false,
                outbound: None,
            });
            id = id.next();
        }
        self.make_place();
        let stage = if qos == QoS::ExactlyOnce {
            Stage::Pubrec
        } else {
            Stage::Puback
        };
        self.ring.push_back(Flow {
            stage,
            outstanding: true,
            outbound: keep(),
        });
        self.live = self.live.saturating_add(1);
        self.outstanding = self.outstanding.saturating_add(1);
        Some(id)
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

    fn finish(&mut self, id: PacketId) {
        let Some(flow) = self.flow(id) else { return };
        flow.stage = Stage::Done;
        flow.outbound = None;
        let was_outstanding = std::mem::replace(&mut flow.outstanding, false);
        self.live = self.live.saturating_sub(1);
        if was_outstanding {
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        if !self.stragglers.is_empty() {
            self.stragglers
                .retain(|(_, flow)| flow.stage != Stage::Done);
        }
        self.trim();
    }

    fn finish_at(&mut self, id: PacketId, stage: Stage) -> Acked {
        if self.flow(id).is_none_or(|flow| flow.stage != stage) {
            return Acked::Unknown;
        }
        self.finish(id);
        Acked::Done
    }

    pub(super) fn puback(&mut self, id: PacketId) -> Acked {
        self.finish_at(id, Stage::Puback)
    }

    pub(super) fn pubcomp(&mut self, id: PacketId) -> Acked {
        self.finish_at(id, Stage::Pubcomp)
    }

    pub(super) fn pubrec(&mut self, id: PacketId, failed: bool) -> Released {
        let Some(flow) = self.flow(id) else {
            // PUBREL answers only a PUBREC without an error (MQTT-4.3.3-4).
            return if failed {
                Released::Refused
            } else {
                Released::Unknown
            };
        };
        match flow.stage {
            Stage::Pubrec if failed => {
                self.finish(id);
                Released::Refused
            }
            Stage::Pubrec => {
                flow.stage = Stage::Pubcomp;
                flow.outbound = None;
                Released::Pubrel
            }
            // A repeated PUBREC is answered again (MQTT-4.3.3-4).
            Stage::Pubcomp => Released::Pubrel,
            Stage::Puback | Stage::Done => Released::Unknown,
        }
    }

    pub(super) fn abandon(&mut self, id: PacketId) {
        self.finish(id);
    }

    /// All flows are due again, in the order of their first sending.
    pub(super) fn resume(&mut self) {
        for flow in self
            .stragglers
            .iter_mut()
            .map(|(_, flow)| flow)
            .chain(&mut self.ring)
        {
            flow.outstanding = false;
        }
        self.outstanding = 0;
        // Stragglers are the oldest: they go back to the front of what is resent.
        self.resend = (self.live > 0).then_some(0);
    }

    pub(super) fn next_resend(&mut self, window: usize) -> Resend {
        let Some(start) = self.resend else {
            return Resend::Nothing;
        };
        if let Some((id, flow)) = self
            .stragglers
            .iter_mut()
            .find(|(_, flow)| !flow.outstanding && flow.stage != Stage::Done)
            .map(|(id, flow)| (*id, flow))
        {
            return send_again(id, flow, window, &mut self.outstanding);
        }
        let mut place = start;
        while let Some(flow) = self.ring.get_mut(place) {
            if flow.stage != Stage::Done && !flow.outstanding {
                let id = after(self.first, place);
                let resend = send_again(id, flow, window, &mut self.outstanding);
                let stays = matches!(resend, Resend::NoRoom);
                self.resend = Some(if stays {
                    place
                } else {
                    place.saturating_add(1)
                });
                return resend;
            }
            place = place.saturating_add(1);
        }
        self.resend = None;
        Resend::Nothing
    }

    /// Takes out QoS 1 flows that `wanted` names, in order; their identifiers are free.
    pub(super) fn take_unacknowledged_qos1(
        &mut self,
        wanted: impl Fn(&Outbound) -> bool,
    ) -> Vec<Outbound> {
        let mut taken = Vec::new();
        let mut freed: usize = 0;
        for flow in self
            .stragglers
            .iter_mut()
            .map(|(_, flow)| flow)
            .chain(&mut self.ring)
        {
            if flow.stage == Stage::Puback && flow.outbound.as_ref().is_some_and(&wanted) {
                taken.extend(flow.outbound.take());
                flow.stage = Stage::Done;
                self.live = self.live.saturating_sub(1);
                freed = freed.saturating_add(usize::from(flow.outstanding));
                flow.outstanding = false;
            }
        }
        self.outstanding = self.outstanding.saturating_sub(freed);
        self.stragglers
            .retain(|(_, flow)| flow.stage != Stage::Done);
        self.trim();
        taken
    }
}

/// PUBREL always has room: it does not count against the Receive Maximum.
fn send_again(id: PacketId, flow: &mut Flow, window: usize, outstanding: &mut usize) -> Resend {
    if flow.stage == Stage::Pubcomp {
        flow.outstanding = true;
        *outstanding = outstanding.saturating_add(1);
        return Resend::Pubrel(id);
    }
    if *outstanding >= window {
        return Resend::NoRoom;
    }
    match &flow.outbound {
        Some(outbound) => {
            flow.outstanding = true;
            *outstanding = outstanding.saturating_add(1);
            Resend::Publish(id, outbound.clone())
        }
        // Only sessions that end with their connection keep no copy; they never resume.
        None => Resend::Nothing,
    }
}

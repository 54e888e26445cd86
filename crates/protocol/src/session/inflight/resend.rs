//! What is sent again on a new connection, and the messages it takes.

use std::sync::Arc;

use types::{Body, Message, MessageRef, PacketId};

use super::super::ahead::Ahead;
use super::super::outbound::Outbound;
use super::{Flow, Hold, Inflight, Resend, Stage, after};

/// What became of a message that was asked for.
#[derive(Debug)]
pub enum Filled {
    /// It is in memory now: more can be sent.
    Ready,
    /// Nothing waits for it any more.
    Unwanted,
    /// It is lost, and with it this delivery, which waits no more: to be counted, and settled.
    Lost(Outbound),
}

impl Inflight {
    /// All flows are due again, in the order of their first sending.
    pub(in super::super) fn resume(&mut self) {
        for flow in self
            .stragglers
            .iter_mut()
            .map(|(_, flow)| flow)
            .chain(&mut self.ring)
        {
            flow.outstanding = false;
            flow.asked = false;
        }
        self.outstanding = 0;
        self.held.clear();
        self.asked.clear();
        // Stragglers are the oldest: they go back to the front of what is resent.
        self.resend = (self.live > 0).then_some(0);
    }

    pub(in super::super) fn next_resend(&mut self, window: usize) -> Resend {
        let Some(start) = self.resend else {
            return Resend::Nothing;
        };
        if let Some((id, flow)) = self
            .stragglers
            .iter_mut()
            .find(|(_, flow)| flow.is_due_again())
        {
            return send_again(*id, flow, window, &mut self.outstanding);
        }
        let mut place = start;
        while let Some(flow) = self.ring.get_mut(place) {
            if flow.is_due_again() {
                let id = after(self.first, place);
                let resend = send_again(id, flow, window, &mut self.outstanding);
                let stays = matches!(resend, Resend::Blocked | Resend::Missing);
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

    /// Which messages are due again and not in memory.
    pub(in super::super) fn missing(&mut self, ahead: &mut Ahead, missing: &mut Vec<MessageRef>) {
        let Some(start) = self.resend else { return };
        let first = self.first;
        let stragglers = self.stragglers.iter_mut().map(|(id, flow)| (*id, flow));
        let ring = self
            .ring
            .range_mut(start.min(self.ring.len())..)
            .zip(start..);
        let ring = ring.map(|(flow, place)| (after(first, place), flow));
        for (id, flow) in stragglers
            .chain(ring)
            .filter(|(_, flow)| flow.is_due_again())
        {
            let Some(body) = &flow.body else { continue };
            let wanted = match body {
                Body::Stored(stored) if !flow.asked => Some(stored.reference),
                Body::Stored(_) | Body::Here(_) => None,
            };
            if wanted.is_some() && missing.is_empty() && ahead.is_half_used() {
                return ahead.close();
            }
            if !ahead.take(body.size()) {
                return;
            }
            if let Some(reference) = wanted {
                flow.asked = true;
                self.asked.push_back((reference, id));
                missing.push(reference);
            }
        }
    }

    /// A message that was asked for; `None` if no flow asked for this one.
    pub(in super::super) fn fill(
        &mut self,
        reference: MessageRef,
        message: Option<&Arc<Message>>,
    ) -> Option<Filled> {
        // Answers come in the order of asking: it is the first, unless others came to nothing.
        let at = self
            .asked
            .iter()
            .position(|(asked, _)| *asked == reference)?;
        let (_, id) = self.asked.remove(at)?;
        let waits = |flow: &Flow| match &flow.body {
            Some(Body::Stored(stored)) => stored.reference == reference,
            Some(Body::Here(_)) | None => false,
        };
        let Some(flow) = self.flow(id).filter(|flow| waits(flow)) else {
            return Some(Filled::Unwanted);
        };
        if let Some(message) = message {
            flow.body = Some(Body::Here(Arc::clone(message)));
            return Some(Filled::Ready);
        }
        let lost = flow.outbound();
        self.finish(id);
        Some(lost.map_or(Filled::Unwanted, Filled::Lost))
    }
}

impl Flow {
    fn is_due_again(&self) -> bool {
        // Only sessions that end with their connection keep no message; they never resume.
        let can_be = self.stage == Stage::Pubcomp || self.body.is_some();
        !self.outstanding && self.stage != Stage::Done && can_be
    }
}

/// PUBREL always has room: it does not count against the Receive Maximum.
fn send_again(id: PacketId, flow: &mut Flow, window: usize, outstanding: &mut usize) -> Resend {
    if flow.hold == Hold::Closed {
        return Resend::Blocked;
    }
    let resend = if flow.stage == Stage::Pubcomp {
        Resend::Pubrel(id)
    } else {
        if *outstanding >= window {
            return Resend::Blocked;
        }
        match flow.outbound() {
            Some(outbound) if outbound.body.message().is_none() => return Resend::Missing,
            Some(outbound) if flow.hold == Hold::Due => Resend::First(id, outbound),
            Some(outbound) => Resend::Publish(id, outbound),
            None => return Resend::Nothing,
        }
    };
    flow.hold = Hold::Sent;
    flow.outstanding = true;
    *outstanding = outstanding.saturating_add(1);
    resend
}

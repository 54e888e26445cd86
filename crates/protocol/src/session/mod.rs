//! The life of a client: what it subscribed to, what is on its way to it, what waits for it,
//! and what it sent at QoS 2 and has not released.
//!
//! A session does not know whether it is connected. Its owner asks [`Session::offer`] what to
//! do with a message, hands acknowledgements in, and pumps [`Session::next_to_send`] while
//! there is room.

mod ahead;
pub mod inflight;
pub mod outbound;
pub mod queue;
pub mod received;
pub mod subscriptions;

use std::sync::Arc;

use types::{Body, DeliveryNumber, Limits, Message, MessageRef, PacketId, QoS, SubscriptionFilter};

use self::ahead::Ahead;
pub use self::inflight::{Acked, Awaits, Filled, Gate, Released, Underway};
use self::inflight::{Flow, Inflight, Resend};
pub use self::outbound::{Matched, Outbound, Restored, When};
use self::queue::Queue;
use self::received::Received;
use self::subscriptions::Subscriptions;

/// What is to be written next to the client.
#[derive(Debug)]
pub enum Next {
    /// A message from the queue, with its new packet identifier unless it is QoS 0.
    Publish(Option<PacketId>, Outbound),
    /// Nothing is to be written: a message from the queue has this packet identifier now, and
    /// waits for [`Session::open_gate`] because the caller said so.
    Held(PacketId, Outbound),
    /// A message that was held, for the first time and without DUP, with the packet identifier
    /// that it has.
    PublishHeld(PacketId, Outbound),
    /// A message again, with its old identifier and DUP (MQTT-4.4.0-1).
    PublishAgain(PacketId, Outbound),
    /// PUBREL, again or after it was held.
    PubrelAgain(PacketId),
    /// Nothing can be written before [`Session::fill`]: the next message is not in memory.
    Missing,
}

/// What becomes of a message offered to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Write it now with this packet identifier.
    Send(PacketId),
    /// It has this packet identifier, and is to be written when [`Session::open_gate`] says so.
    Held(PacketId),
    /// It must wait: hand it to [`Session::enqueue`].
    Wait,
}

/// What is owed to one client.
#[derive(Debug, Default)]
pub struct Session {
    /// What the client subscribed to.
    pub subscriptions: Subscriptions,
    // Absent until the first QoS 1 or 2 message: most idle sessions never have one.
    flows: Option<Box<Flows>>,
}

#[derive(Debug, Default)]
struct Flows {
    inflight: Inflight,
    queue: Queue,
    received: Received,
}

impl Session {
    fn flows(&mut self) -> &mut Flows {
        self.flows.get_or_insert_with(Box::default)
    }

    /// Offers a QoS 1 or 2 message to a connected client that may have `window` messages
    /// outstanding. `keep` is asked for the message, in memory, only if the session may have to
    /// send it again; what is not kept cannot be held, so that [`When::Safe`] has no effect.
    ///
    /// A QoS 2 message waits while one before it is held (MQTT-4.6.0-6).
    pub fn offer(
        &mut self,
        qos: QoS,
        window: usize,
        when: When,
        keep: impl FnOnce() -> Option<Outbound>,
    ) -> Offer {
        let flows = self.flows();
        // What an earlier connection left goes first, even while its turn has not come.
        if !flows.queue.is_empty()
            || flows.inflight.has_resend()
            || !flows.inflight.has_room(window)
            || flows.inflight.is_behind_held(qos, when)
        {
            return Offer::Wait;
        }
        match flows.inflight.assign(qos, when, keep) {
            Some((id, When::Now)) => Offer::Send(id),
            Some((id, When::Safe)) => Offer::Held(id),
            None => Offer::Wait,
        }
    }

    /// Puts a message behind the others. What has to go for it, or the message itself, is
    /// handed to `dropped`.
    pub fn enqueue(&mut self, outbound: Outbound, limits: &Limits, dropped: impl FnMut(Outbound)) {
        self.flows().queue.push(outbound, limits, dropped);
    }

    /// The next thing to write while fewer than `window` messages are outstanding: what was
    /// held and is due, what an earlier connection left unacknowledged, in its order, then the
    /// queue. `when` is asked for each QoS 1 or 2 message that leaves the queue. Messages that
    /// `is_over` calls so, because they expired while they waited (MQTT-3.3.2-5), are handed to
    /// `dropped`, in memory or not.
    pub fn next_to_send(
        &mut self,
        window: usize,
        keep: bool,
        is_over: impl Fn(&Body) -> bool,
        when: impl Fn(&Outbound) -> When,
        mut dropped: impl FnMut(Outbound),
    ) -> Option<Next> {
        let flows = self.flows.as_mut()?;
        let due = match flows.inflight.next_due() {
            Resend::Nothing => flows.inflight.next_resend(window),
            due => due,
        };
        match due {
            Resend::Publish(id, outbound) => return Some(Next::PublishAgain(id, outbound)),
            Resend::First(id, outbound) => return Some(Next::PublishHeld(id, outbound)),
            Resend::Pubrel(id) => return Some(Next::PubrelAgain(id)),
            Resend::Missing => return Some(Next::Missing),
            Resend::Blocked => return None,
            Resend::Nothing => {}
        }
        while let Some(outbound) = flows.queue.pop_if(|head| is_over(&head.body)) {
            dropped(outbound);
        }
        let head = flows.queue.peek()?;
        let is_here = head.body.message().is_some();
        if head.qos == QoS::AtMostOnce {
            if !is_here {
                return Some(Next::Missing);
            }
            let outbound = flows.queue.pop()?;
            return Some(Next::Publish(None, outbound));
        }
        let when = when(head);
        if !flows.inflight.has_room(window) || flows.inflight.is_behind_held(head.qos, when) {
            return None;
        }
        if !is_here {
            return Some(Next::Missing);
        }
        let keep = keep || when == When::Safe || head.matched.share().is_some();
        let kept = keep.then(|| head.clone());
        let (id, when) = flows.inflight.assign(head.qos, when, || kept)?;
        let outbound = flows.queue.pop()?;
        Some(match when {
            When::Now => Next::Publish(Some(id), outbound),
            When::Safe => Next::Held(id, outbound),
        })
    }

    /// Whether [`Session::next_to_send`] may have something.
    pub fn has_waiting(&self) -> bool {
        self.flows.as_ref().is_some_and(|flows| {
            !flows.queue.is_empty() || flows.inflight.has_resend() || flows.inflight.has_due()
        })
    }

    /// The record that the PUBLISH or the PUBREL of a flow waited for is safe; `number` is the
    /// delivery's. What is due now may let more follow: [`Session::next_to_send`] is to be
    /// called afterwards, whatever this says.
    ///
    /// Packets leave in the order in which the flows were opened, or PUBREC came
    /// (MQTT-4.6.0-4, -6), in whatever order their records get safe.
    pub fn open_gate(&mut self, id: PacketId, number: Option<DeliveryNumber>) -> Gate {
        self.flows
            .as_mut()
            .map_or(Gate::NotDue, |flows| flows.inflight.open_gate(id, number))
    }

    /// Which messages are not in memory among what [`Session::next_to_send`] has to give next,
    /// in order: one reference for each delivery that waits for one. Looks no further than
    /// `at_most_messages` of `at_most_bytes` ahead, but at one message at least. What waits in the
    /// queue and `is_over` is passed over: it goes without being looked at.
    ///
    /// Each is named once for a connection, and expects one call of [`Session::fill`]. While
    /// half of what is allowed is asked for or in memory, nothing is named: it is cheap to ask
    /// after each change.
    pub fn missing(
        &mut self,
        at_most_messages: usize,
        at_most_bytes: usize,
        is_over: impl Fn(&Body) -> bool,
    ) -> Vec<MessageRef> {
        let mut missing = Vec::new();
        if let Some(flows) = &mut self.flows {
            let mut ahead = Ahead::new(at_most_messages.max(1), at_most_bytes);
            flows.inflight.missing(&mut ahead, &mut missing);
            flows.queue.missing(is_over, &mut ahead, &mut missing);
        }
        missing
    }

    /// The answer to one of [`Session::missing`], best in the order of asking: the message, or
    /// `None` if it is gone or damaged. An answer may be left out if the session is not
    /// connected any more: a resume asks again.
    pub fn fill(&mut self, reference: MessageRef, message: Option<Arc<Message>>) -> Filled {
        let Some(flows) = &mut self.flows else {
            return Filled::Unwanted;
        };
        match flows.inflight.fill(reference, message.as_ref()) {
            Some(filled) => filled,
            None => flows.queue.fill(reference, message),
        }
    }

    /// Takes over what an earlier run left, in order, into a session that has nothing yet: its
    /// deliveries, whatever the limits of today, and the QoS 2 identifiers that its client has
    /// not released.
    pub fn restore(
        &mut self,
        deliveries: impl IntoIterator<Item = Restored>,
        received: impl IntoIterator<Item = PacketId>,
    ) {
        let mut inflight = Vec::new();
        for delivery in deliveries {
            match delivery {
                Restored::Waiting(outbound) => self.flows().queue.append(outbound),
                Restored::Sent(id, outbound) => inflight.push((id, Flow::sent(outbound))),
                Restored::Received(id, number) => inflight.push((id, Flow::received(number))),
            }
        }
        if !inflight.is_empty() {
            self.flows().inflight.restore(inflight);
        }
        for id in received {
            self.flows().received.insert(id);
        }
    }

    /// PUBACK arrived (QoS 1 is done, whatever its reason: MQTT-4.4.0-2).
    pub fn puback(&mut self, id: PacketId) -> Acked {
        self.flows
            .as_mut()
            .map_or(Acked::Unknown, |flows| flows.inflight.puback(id))
    }

    /// PUBREC arrived; `failed` if its reason is 0x80 or above, which ends the flow
    /// (MQTT-4.3.3-4 and 4.3.3-13); `when` says when PUBREL may follow the first.
    pub fn pubrec(&mut self, id: PacketId, failed: bool, when: When) -> Released {
        let unknown = if failed {
            Released::Refused(None)
        } else {
            Released::Unknown
        };
        self.flows
            .as_mut()
            .map_or(unknown, |flows| flows.inflight.pubrec(id, failed, when))
    }

    /// PUBCOMP arrived (QoS 2 is done).
    pub fn pubcomp(&mut self, id: PacketId) -> Acked {
        self.flows
            .as_mut()
            .map_or(Acked::Unknown, |flows| flows.inflight.pubcomp(id))
    }

    /// A message that was assigned an identifier will not be sent (it is too large for the
    /// client): behave as if it was delivered (MQTT-3.1.2-25). Returns what the store calls it.
    pub fn abandon(&mut self, id: PacketId) -> Option<DeliveryNumber> {
        self.flows.as_mut()?.inflight.abandon(id)
    }

    /// A new connection resumes the session: everything unacknowledged is due again, and what
    /// was asked for and has not come is asked for again.
    pub fn resume(&mut self) {
        if let Some(flows) = &mut self.flows {
            flows.inflight.resume();
            flows.queue.ask_again();
        }
    }

    /// A QoS 2 message with this identifier arrived. `false` if it is known already: the same
    /// message again, not to be delivered (MQTT-4.3.3-10).
    pub fn receive(&mut self, id: PacketId) -> bool {
        self.flows().received.insert(id)
    }

    /// PUBREL arrived. `false` if the identifier is not known (answer 0x92).
    pub fn release(&mut self, id: PacketId) -> bool {
        self.flows
            .as_mut()
            .is_some_and(|flows| flows.received.remove(id))
    }

    /// QoS 2 messages from the client that are not released.
    pub fn unreleased(&self) -> usize {
        self.flows.as_ref().map_or(0, |flows| flows.received.len())
    }

    /// Whether a QoS 2 message with this identifier is known and not released.
    pub fn is_unreleased(&self, id: PacketId) -> bool {
        self.flows
            .as_ref()
            .is_some_and(|flows| flows.received.contains(id))
    }

    /// Messages sent and not fully acknowledged.
    pub fn inflight_len(&self) -> usize {
        self.flows.as_ref().map_or(0, |flows| flows.inflight.len())
    }

    /// What is on its way, from this place on: the longest first.
    pub fn underway(&self, place: usize) -> impl Iterator<Item = Underway> {
        let flows = self.flows.iter();
        flows.flat_map(move |flows| flows.inflight.from(place))
    }

    /// What waits, in order, from this place on.
    pub fn waiting(&self, place: usize) -> impl Iterator<Item = &Outbound> {
        let flows = self.flows.iter();
        flows.flat_map(move |flows| flows.queue.from(place))
    }

    /// QoS 2 messages from the client that it has not released.
    pub fn unreleased_len(&self) -> usize {
        self.flows.as_ref().map_or(0, |flows| flows.received.len())
    }

    /// The message with this identifier that is sent and not acknowledged, if it is kept and in
    /// memory.
    pub fn inflight_message(&self, id: PacketId) -> Option<&Arc<Message>> {
        self.flows.as_ref()?.inflight.message(id)
    }

    /// The identifier of the message that was sent first of those that are not fully acknowledged.
    pub fn oldest_inflight(&self) -> Option<PacketId> {
        self.flows.as_ref()?.inflight.oldest()
    }

    /// Messages that wait.
    pub fn queued_len(&self) -> usize {
        self.flows.as_ref().map_or(0, |flows| flows.queue.len())
    }

    /// Whether QoS 0 messages wait, so that another one must not overtake them
    /// (MQTT-4.6.0-6).
    pub fn has_qos0_waiting(&self) -> bool {
        self.flows
            .as_ref()
            .is_some_and(|flows| flows.queue.has_qos0())
    }

    /// Bytes of the messages that wait, in memory or not.
    pub fn queued_bytes(&self) -> usize {
        self.flows.as_ref().map_or(0, |flows| flows.queue.bytes())
    }

    /// Takes out what a shared subscription gave to this client and another member may get:
    /// everything that waits, and QoS 1 messages that were not acknowledged. QoS 2 messages
    /// stay with the client they were sent to (MQTT-4.8.2-4, -5).
    pub fn take_shared(&mut self, of: impl Fn(&SubscriptionFilter) -> bool) -> Vec<Outbound> {
        let Some(flows) = &mut self.flows else {
            return Vec::new();
        };
        let is_shared = |outbound: &Outbound| {
            let share = outbound.matched.share();
            share.is_some_and(|share| of(share))
        };
        let mut taken = flows.inflight.take_unacknowledged_qos1(&of);
        taken.extend(flows.queue.take(is_shared));
        taken
    }

    /// The same, of what waits alone.
    pub fn take_shared_waiting(
        &mut self,
        of: impl Fn(&SubscriptionFilter) -> bool,
    ) -> Vec<Outbound> {
        let is_shared = |outbound: &Outbound| {
            let share = outbound.matched.share();
            share.is_some_and(|share| of(share))
        };
        self.flows
            .as_mut()
            .map_or_else(Vec::new, |flows| flows.queue.take(is_shared))
    }

    /// The connection ended and the session lives on: gives back the memory of what is empty.
    pub fn compact(&mut self) {
        if let Some(flows) = &mut self.flows
            && flows.inflight.is_empty()
            && flows.queue.is_empty()
            && flows.received.is_empty()
        {
            // Identifiers may start over: none is in use in either direction.
            self.flows = None;
        }
    }
}

#[cfg(test)]
mod tests;

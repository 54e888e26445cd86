//! The life of a client: what it subscribed to, what is on its way to it, what waits for it,
//! and what it sent at QoS 2 and has not released.
//!
//! A session does not know whether it is connected. Its owner asks [`Session::offer`] what to
//! do with a message, hands acknowledgements in, and pumps [`Session::next_to_send`] while
//! there is room.

pub mod inflight;
pub mod queue;
pub mod received;
pub mod subscriptions;

use std::num::NonZeroU32;
use std::sync::Arc;

use types::{Limits, Message, PacketId, QoS, SubscriptionFilter, Time};

use self::inflight::{Acked, Inflight, Released, Resend};
use self::queue::Queue;
use self::received::Received;
use self::subscriptions::Subscriptions;

/// One message on its way to one client.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The message that all recipients share.
    pub message: Arc<Message>,
    /// The QoS towards this client (MQTT-3.8.4-8).
    pub qos: QoS,
    /// The retain flag towards this client (MQTT-3.3.1-12, -13).
    pub retain: bool,
    /// The identifiers of the subscriptions that matched (MQTT-3.3.4-3, -4).
    pub ids: Option<Box<[NonZeroU32]>>,
    /// The shared subscription that chose this client; another member may get the message
    /// if this one leaves it unacknowledged.
    pub share: Option<Arc<SubscriptionFilter>>,
}

/// What is to be written next to the client.
#[derive(Debug)]
pub enum Next {
    /// A message from the queue, with its new packet identifier unless it is QoS 0.
    Publish(Option<PacketId>, Outbound),
    /// A message again, with its old identifier and DUP (MQTT-4.4.0-1).
    PublishAgain(PacketId, Outbound),
    /// PUBREL again.
    PubrelAgain(PacketId),
}

/// What becomes of a message offered to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Write it now with this packet identifier.
    Send(PacketId),
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
    /// outstanding. `keep` is asked for the message only if the session may have to send it
    /// again.
    pub fn offer(
        &mut self,
        qos: QoS,
        window: usize,
        keep: impl FnOnce() -> Option<Outbound>,
    ) -> Offer {
        let flows = self.flows();
        // What an earlier connection left goes first, even while its turn has not come.
        if !flows.queue.is_empty()
            || flows.inflight.has_resend()
            || !flows.inflight.has_room(window)
        {
            return Offer::Wait;
        }
        match flows.inflight.assign(qos, keep) {
            Some(id) => Offer::Send(id),
            None => Offer::Wait,
        }
    }

    /// Puts a message behind the others. What has to go for it, or the message itself, is
    /// handed to `dropped`.
    pub fn enqueue(&mut self, outbound: Outbound, limits: &Limits, dropped: impl FnMut(Outbound)) {
        self.flows().queue.push(outbound, limits, dropped);
    }

    /// The next thing to write while fewer than `window` messages are outstanding: what an
    /// earlier connection left unacknowledged first, in its order, then the queue. Messages
    /// that expired while they waited are handed to `expired` (MQTT-3.3.2-5).
    pub fn next_to_send(
        &mut self,
        window: usize,
        keep: bool,
        now: Time,
        mut expired: impl FnMut(Outbound),
    ) -> Option<Next> {
        let flows = self.flows.as_mut()?;
        match flows.inflight.next_resend(window) {
            Resend::Publish(id, outbound) => return Some(Next::PublishAgain(id, outbound)),
            Resend::Pubrel(id) => return Some(Next::PubrelAgain(id)),
            Resend::NoRoom => return None,
            Resend::Nothing => {}
        }
        loop {
            let head = flows.queue.peek()?;
            if head.message.is_expired(now) {
                if let Some(outbound) = flows.queue.pop() {
                    expired(outbound);
                }
                continue;
            }
            if head.qos == QoS::AtMostOnce {
                return flows
                    .queue
                    .pop()
                    .map(|outbound| Next::Publish(None, outbound));
            }
            if !flows.inflight.has_room(window) {
                return None;
            }
            let keep = keep || head.share.is_some();
            let kept = keep.then(|| head.clone());
            let id = flows.inflight.assign(head.qos, || kept)?;
            return flows
                .queue
                .pop()
                .map(|outbound| Next::Publish(Some(id), outbound));
        }
    }

    /// Whether [`Session::next_to_send`] may have something.
    pub fn has_waiting(&self) -> bool {
        self.flows
            .as_ref()
            .is_some_and(|flows| !flows.queue.is_empty() || flows.inflight.has_resend())
    }

    /// PUBACK arrived (QoS 1 is done, whatever its reason: MQTT-4.4.0-2).
    pub fn puback(&mut self, id: PacketId) -> Acked {
        self.flows
            .as_mut()
            .map_or(Acked::Unknown, |flows| flows.inflight.puback(id))
    }

    /// PUBREC arrived; `failed` if its reason is 0x80 or above, which ends the flow
    /// (MQTT-4.3.3-4 and 4.3.3-13).
    pub fn pubrec(&mut self, id: PacketId, failed: bool) -> Released {
        let unknown = if failed {
            Released::Refused
        } else {
            Released::Unknown
        };
        self.flows
            .as_mut()
            .map_or(unknown, |flows| flows.inflight.pubrec(id, failed))
    }

    /// PUBCOMP arrived (QoS 2 is done).
    pub fn pubcomp(&mut self, id: PacketId) -> Acked {
        self.flows
            .as_mut()
            .map_or(Acked::Unknown, |flows| flows.inflight.pubcomp(id))
    }

    /// A message that was assigned an identifier will not be sent (it is too large for the
    /// client): behave as if it was delivered (MQTT-3.1.2-25).
    pub fn abandon(&mut self, id: PacketId) {
        if let Some(flows) = &mut self.flows {
            flows.inflight.abandon(id);
        }
    }

    /// A new connection resumes the session: everything unacknowledged is due again.
    pub fn resume(&mut self) {
        if let Some(flows) = &mut self.flows {
            flows.inflight.resume();
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

    /// Bytes of the messages that wait.
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
        let is_shared = |outbound: &Outbound| outbound.share.as_deref().is_some_and(&of);
        let mut taken = flows.inflight.take_unacknowledged_qos1(is_shared);
        taken.extend(flows.queue.take(is_shared));
        taken
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

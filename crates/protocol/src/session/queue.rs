//! Messages that wait for a client, bounded by count and bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use types::limits::QueuePolicy;
use types::{Body, Limits, Message, MessageRef, QoS};

use super::ahead::{Ahead, Extent};
use super::inflight::Filled;
use super::outbound::Outbound;

/// First in, first out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: VecDeque<Outbound>,
    bytes: usize,
    /// How many of them are of QoS 0.
    qos0: usize,
    /// The front of the queue in which all that is not in memory was asked for.
    asked: Extent,
    /// Where in it the next answer is expected.
    expected: usize,
}

impl Queue {
    /// Adds a message. While it does not fit, the oldest goes, or the new one if the policy
    /// says so or if it does not fit even alone. A full queue never refuses the publisher.
    pub(super) fn push(
        &mut self,
        outbound: Outbound,
        limits: &Limits,
        mut dropped: impl FnMut(Outbound),
    ) {
        let size = outbound.body.size();
        let capacity = usize::try_from(limits.queued_messages).unwrap_or(usize::MAX);
        if size > limits.queued_bytes || capacity == 0 {
            return dropped(outbound);
        }
        while self.messages.len() >= capacity
            || self.bytes.saturating_add(size) > limits.queued_bytes
        {
            match limits.queue_policy {
                QueuePolicy::DropNewest => return dropped(outbound),
                QueuePolicy::DropOldest => match self.pop() {
                    Some(oldest) => dropped(oldest),
                    None => return dropped(outbound),
                },
            }
        }
        self.append(outbound);
    }

    /// Adds a message, whatever the limits say.
    pub(super) fn append(&mut self, outbound: Outbound) {
        self.bytes = self.bytes.saturating_add(outbound.body.size());
        if outbound.qos == QoS::AtMostOnce {
            self.qos0 = self.qos0.saturating_add(1);
        }
        self.messages.push_back(outbound);
    }

    /// What waits, in order, from this place on.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = &Outbound> {
        self.messages.iter().skip(place)
    }

    pub(super) fn peek(&self) -> Option<&Outbound> {
        self.messages.front()
    }

    /// Takes the front out, if it is such.
    pub(super) fn pop_if(&mut self, is_such: impl FnOnce(&Outbound) -> bool) -> Option<Outbound> {
        if self.peek().is_some_and(is_such) {
            self.pop()
        } else {
            None
        }
    }

    pub(super) fn pop(&mut self) -> Option<Outbound> {
        let outbound = self.messages.pop_front()?;
        self.forget(&outbound);
        if self.asked.messages > 0 {
            self.unask(&outbound);
            self.expected = self.expected.saturating_sub(1);
        }
        if self.messages.is_empty() {
            // A queue that was long once must not hold its memory for good.
            self.messages = VecDeque::new();
        }
        Some(outbound)
    }

    fn forget(&mut self, outbound: &Outbound) {
        self.bytes = self.bytes.saturating_sub(outbound.body.size());
        if outbound.qos == QoS::AtMostOnce {
            self.qos0 = self.qos0.saturating_sub(1);
        }
    }

    fn unask(&mut self, outbound: &Outbound) {
        self.asked.messages = self.asked.messages.saturating_sub(1);
        self.asked.bytes = self.asked.bytes.saturating_sub(outbound.body.size());
    }

    /// Which messages at the front are not in memory and were not asked for.
    pub(super) fn missing(
        &mut self,
        is_over: impl Fn(&Body) -> bool,
        ahead: &mut Ahead,
        missing: &mut Vec<MessageRef>,
    ) {
        ahead.skip(self.asked);
        while let Some(outbound) = self.messages.get(self.asked.messages) {
            let wanted = match &outbound.body {
                // What is late goes without being looked at.
                Body::Stored(stored) if !is_over(&outbound.body) => Some(stored.reference),
                Body::Stored(_) | Body::Here(_) => None,
            };
            if wanted.is_some() && missing.is_empty() && ahead.is_half_used() {
                return;
            }
            let bytes = outbound.body.size();
            if !ahead.take(bytes) {
                return;
            }
            self.asked.messages = self.asked.messages.saturating_add(1);
            self.asked.bytes = self.asked.bytes.saturating_add(bytes);
            missing.extend(wanted);
        }
    }

    /// Nobody answers what was asked before.
    pub(super) fn ask_again(&mut self) {
        self.asked = Extent::default();
        self.expected = 0;
    }

    /// A message that was asked for. Looks no further than what was asked.
    pub(super) fn fill(&mut self, reference: MessageRef, message: Option<Arc<Message>>) -> Filled {
        let asked = self.asked.messages.min(self.messages.len());
        let expected = self.expected.min(asked);
        let waits = |outbound: &Outbound| match &outbound.body {
            Body::Stored(stored) => stored.reference == reference,
            Body::Here(_) => false,
        };
        // Answers come in the order of asking: it is the first, unless others came to nothing.
        let place = (expected..asked)
            .chain(0..expected)
            .find(|place| self.messages.get(*place).is_some_and(waits));
        let Some(place) = place else {
            return Filled::Unwanted;
        };
        self.expected = place;
        let Some(message) = message else {
            let Some(outbound) = self.messages.remove(place) else {
                return Filled::Unwanted;
            };
            self.forget(&outbound);
            self.unask(&outbound);
            return Filled::Lost(outbound);
        };
        self.expected = place.saturating_add(1);
        if let Some(outbound) = self.messages.get_mut(place) {
            let before = outbound.body.size();
            outbound.body = Body::Here(message);
            let after = outbound.body.size();
            for bytes in [&mut self.bytes, &mut self.asked.bytes] {
                *bytes = bytes.saturating_sub(before).saturating_add(after);
            }
        }
        Filled::Ready
    }

    /// Whether any message of QoS 0 waits.
    pub(super) fn has_qos0(&self) -> bool {
        self.qos0 > 0
    }

    /// Takes out what `wanted` names, in order.
    pub(super) fn take(&mut self, wanted: impl Fn(&Outbound) -> bool) -> Vec<Outbound> {
        if !self.messages.iter().any(&wanted) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        let asked = self.asked.messages;
        self.expected = 0;
        for (place, outbound) in std::mem::take(&mut self.messages).into_iter().enumerate() {
            if wanted(&outbound) {
                self.forget(&outbound);
                if place < asked {
                    self.unask(&outbound);
                }
                taken.push(outbound);
            } else {
                self.messages.push_back(outbound);
            }
        }
        taken
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

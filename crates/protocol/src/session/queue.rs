//! Messages that wait for a client, bounded by count and bytes.

use std::collections::VecDeque;

use types::limits::QueuePolicy;
use types::{Limits, QoS};

use super::Outbound;

/// First in, first out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: VecDeque<Outbound>,
    bytes: usize,
    /// How many of them are of QoS 0.
    qos0: usize,
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
        let size = outbound.message.size();
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
        self.bytes = self.bytes.saturating_add(size);
        if outbound.qos == QoS::AtMostOnce {
            self.qos0 = self.qos0.saturating_add(1);
        }
        self.messages.push_back(outbound);
    }

    pub(super) fn peek(&self) -> Option<&Outbound> {
        self.messages.front()
    }

    pub(super) fn pop(&mut self) -> Option<Outbound> {
        let outbound = self.messages.pop_front()?;
        self.forget(&outbound);
        if self.messages.is_empty() {
            // A queue that was long once must not hold its memory for good.
            self.messages = VecDeque::new();
        }
        Some(outbound)
    }

    fn forget(&mut self, outbound: &Outbound) {
        self.bytes = self.bytes.saturating_sub(outbound.message.size());
        if outbound.qos == QoS::AtMostOnce {
            self.qos0 = self.qos0.saturating_sub(1);
        }
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
        for outbound in std::mem::take(&mut self.messages) {
            if wanted(&outbound) {
                self.forget(&outbound);
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

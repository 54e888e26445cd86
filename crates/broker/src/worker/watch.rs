//! What is told of messages: steps to who watches, losses to who keeps them.

use std::sync::Arc;
use std::time::Duration;

use codec::Publish;
use protocol::Outbound;
use types::{ClientId, MessageParts, PacketId, Peer, QoS, ReasonCode, SessionKey, Time, WorkerId};

use super::Worker;
use super::publish::Fanout;
use super::write::Copy;
use crate::event::{DropReason, Dropped};
use crate::probe::{Acknowledgement, Step, Watchers, What};
use crate::shared::Shared;

/// Messages of which each is told as a sample, in each [`WINDOW`].
const SAMPLES: u32 = 256;
/// Beyond that, one of so many is.
const STRIDE: u32 = 64;
/// How long a window of samples is.
const WINDOW: Duration = Duration::from_millis(100);
/// So many losses are told one by one in a turn, then so many again of every second one, then of
/// every fourth: a storm of losses costs a turn little more than counting them.
const LOSSES: u32 = 16;

/// Who watches a worker, and how much he is told.
#[derive(Default)]
pub(super) struct Watch {
    /// Somebody does.
    pub(super) is_on: bool,
    /// Somebody follows each message, and is told of each of its steps.
    pub(super) is_every: bool,
    watchers: Watchers,
    samples: Samples,
    losses: Losses,
}

/// How many samples are taken.
#[derive(Debug, Default)]
struct Samples {
    until: Time,
    left: u32,
    skipped: u32,
}

impl Samples {
    /// How many messages this one stands for; `None`: it is no sample.
    #[inline]
    fn weight(&mut self) -> Option<u32> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return Some(1);
        }
        self.skipped = self.skipped.wrapping_add(1);
        if self.skipped < STRIDE {
            return None;
        }
        self.skipped = 0;
        Some(STRIDE)
    }

    fn end_turn(&mut self, now: Time) {
        if now >= self.until {
            self.until = now + WINDOW;
            self.left = SAMPLES;
        }
    }
}

/// A message that comes in, and is told of.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// How many it stands for, if it is a sample.
    sampled: Option<u32>,
}

/// How many losses of this turn were told.
#[derive(Debug)]
struct Losses {
    left: u32,
    stride: u32,
    skipped: u32,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            left: LOSSES,
            stride: 1,
            skipped: 0,
        }
    }
}

impl Losses {
    /// How many losses this one stands for; `None`: it is not told.
    fn weight(&mut self) -> Option<u32> {
        self.skipped = self.skipped.saturating_add(1);
        if self.skipped < self.stride {
            return None;
        }
        let weight = std::mem::take(&mut self.skipped);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.left = LOSSES;
            self.stride = self.stride.saturating_mul(2);
        }
        Some(weight)
    }
}

/// A message that somebody does not get.
#[derive(Clone, Copy)]
pub(super) struct Lost<'a> {
    pub(super) reason: DropReason,
    /// Who should have had it, or, if that is nobody in particular, who sent it.
    pub(super) client: Option<&'a ClientId>,
    pub(super) peer: Option<Peer>,
    pub(super) topic: Option<&'a Arc<str>>,
    pub(super) qos: Option<QoS>,
    /// How many they are.
    pub(super) messages: u64,
    /// Bytes of their payloads.
    pub(super) size: usize,
}

impl<'a> Lost<'a> {
    /// A message that waited for a client.
    pub(super) fn of(
        outbound: &'a Outbound,
        reason: DropReason,
        client: &'a ClientId,
        peer: Option<Peer>,
    ) -> Self {
        Self {
            reason,
            client: Some(client),
            peer,
            topic: outbound.body.message().map(|message| message.topic()),
            qos: Some(outbound.qos),
            messages: 1,
            size: outbound.body.size(),
        }
    }
}

impl Watch {
    /// Whether it is told that a message comes in, while somebody watches. Asked once for each.
    #[inline]
    pub(super) fn arrival(&mut self) -> Option<Arrival> {
        let sampled = match &self.watchers.some {
            Some(_) => self.samples.weight(),
            None => None,
        };
        (self.is_every || sampled.is_some()).then_some(Arrival { sampled })
    }

    pub(super) fn end_turn(&mut self, now: Time) {
        self.losses = Losses::default();
        if self.is_on {
            self.samples.end_turn(now);
        }
    }

    /// Counts a loss, and tells of it.
    #[cold]
    #[inline(never)]
    pub(super) fn lost(&mut self, shared: &Shared, worker: WorkerId, lost: Lost<'_>) {
        let metrics = shared.metrics_of(worker);
        metrics.dropped(lost.reason, lost.messages, lost.size);
        if let Some(weight) = self.losses.weight() {
            shared.config.events.dropped(&Dropped {
                worker,
                reason: lost.reason,
                client: lost.client,
                topic: lost.topic.map(|topic| &**topic),
                qos: lost.qos,
                size: lost.size,
                count: u64::from(weight).saturating_mul(lost.messages),
            });
        }
        if let Some(probe) = &self.watchers.every {
            probe.step(&Step {
                worker,
                client: lost.client,
                peer: lost.peer,
                topic: lost.topic,
                message: None,
                weight: 1,
                what: What::Dropped(lost.reason),
            });
        }
    }
}

impl Worker {
    /// Somebody watches, or nobody any more.
    pub(super) fn on_watch(&mut self, watchers: Watchers) {
        self.watch.is_every = watchers.every.is_some();
        self.watch.is_on = self.watch.is_every || watchers.some.is_some();
        self.watch.watchers = watchers;
    }

    /// A client's message came in, and nothing has refused it yet.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_received(
        &self,
        session: SessionKey,
        topic: &Arc<str>,
        publish: &Publish<'_>,
        arrival: Arrival,
    ) {
        let parts = MessageParts {
            properties: publish.properties.forward_bytes.unwrap_or_default(),
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            publisher: None,
            expires: None,
            durability: types::Durability::Memory,
        };
        let what = What::Received {
            packet_id: publish.packet_id,
            dup: publish.dup,
        };
        self.tell_of_arrival(Some(session), topic, parts, what, arrival);
    }

    /// A message begins its way.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_of_arrival(
        &self,
        session: Option<SessionKey>,
        topic: &Arc<str>,
        message: MessageParts<'_>,
        what: What,
        arrival: Arrival,
    ) {
        let weight = arrival.sampled;
        let client = session.and_then(|session| self.clients.at(session));
        let mut step = Step {
            worker: self.id,
            client: client.map(|client| &client.id),
            peer: client
                .and_then(|client| self.conns.at(client.conn?))
                .map(|conn| conn.info.peer),
            topic: Some(topic),
            message: Some(message),
            weight: weight.unwrap_or(1),
            what,
        };
        if let (Some(probe), Some(_)) = (&self.watch.watchers.some, weight) {
            probe.step(&step);
        }
        if let Some(probe) = &self.watch.watchers.every {
            step.weight = 1;
            probe.step(&step);
        }
    }

    /// A message went a step that only who watches every one hears of. `session` is that of who
    /// sent it, or is to have it.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_step(
        &self,
        session: Option<SessionKey>,
        topic: Option<&Arc<str>>,
        message: Option<MessageParts<'_>>,
        what: What,
    ) {
        let Some(probe) = &self.watch.watchers.every else {
            return;
        };
        let client = session.and_then(|session| self.clients.at(session));
        let conn = client.and_then(|client| self.conns.at(client.conn?));
        probe.step(&Step {
            worker: self.id,
            client: client.map(|client| &client.id),
            peer: conn.map(|conn| conn.info.peer),
            topic,
            message,
            weight: 1,
            what,
        });
    }

    /// A message was matched, and goes to so many.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_routed(&self, fanout: &Fanout<'_>) {
        let what = What::Routed {
            recipients: fanout.route.recipient_count(),
            groups: fanout.route.groups().len(),
        };
        let publisher = fanout.parts.publisher.map(|publisher| publisher.key);
        self.tell_step(publisher, Some(fanout.route.topic()), None, what);
    }

    /// What became of a client's message.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_answered(&self, session: SessionKey, topic: &Arc<str>, reason: ReasonCode) {
        self.tell_step(Some(session), Some(topic), None, What::Answered(reason));
    }

    /// A client acknowledges a message.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_acknowledged(
        &self,
        key: SessionKey,
        packet_id: PacketId,
        by: Acknowledgement,
    ) {
        let client = self.clients.at(key);
        let message = client.and_then(|client| client.session.inflight_message(packet_id));
        let what = What::Acknowledged { packet_id, by };
        let topic = message.map(|message| message.topic());
        self.tell_step(Some(key), topic, None, what);
    }

    /// A message was written to a client.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_sent(&self, key: SessionKey, copy: Copy<'_>, fanout: &Fanout<'_>) {
        let what = What::Sent {
            packet_id: copy.packet_id,
            qos: copy.qos,
            dup: copy.dup,
        };
        let (topic, message) = (fanout.route.topic(), fanout.parts);
        self.tell_step(Some(key), Some(topic), Some(message), what);
    }

    /// The same for one that waited.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_outbound_sent(
        &self,
        key: SessionKey,
        packet_id: Option<PacketId>,
        outbound: &Outbound,
        dup: bool,
    ) {
        let what = What::Sent {
            packet_id,
            qos: outbound.qos,
            dup,
        };
        if let Some(message) = outbound.body.message() {
            self.tell_step(
                Some(key),
                Some(message.topic()),
                Some(message.parts()),
                what,
            );
        }
    }

    /// A message waits for a client.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_queued(&self, key: SessionKey, outbound: &Outbound) {
        let topic = outbound.body.message().map(|message| message.topic());
        let what = What::Queued { qos: outbound.qos };
        self.tell_step(Some(key), topic, None, what);
    }

    /// Counts the loss of a message for a client.
    #[cold]
    #[inline(never)]
    pub(super) fn lost_outbound(&mut self, why: DropReason, key: SessionKey, outbound: &Outbound) {
        let topic = outbound.body.message().map(|message| message.topic());
        let size = outbound.body.size();
        self.lost(why, Some(key), topic, Some(outbound.qos), size);
    }

    /// Counts that the message at hand is lost for one client, and tells of it.
    #[cold]
    #[inline(never)]
    pub(super) fn lost_copy(
        &mut self,
        reason: DropReason,
        key: SessionKey,
        qos: QoS,
        fanout: &Fanout<'_>,
    ) {
        let (topic, size) = (fanout.route.topic(), fanout.parts.payload.len());
        self.lost(reason, Some(key), Some(topic), Some(qos), size);
    }

    /// Counts a loss of one message, and tells of it. `session` is that of who should have had it
    /// or, if that is nobody in particular, who sent it.
    #[cold]
    #[inline(never)]
    pub(super) fn lost(
        &mut self,
        reason: DropReason,
        session: Option<SessionKey>,
        topic: Option<&Arc<str>>,
        qos: Option<QoS>,
        size: usize,
    ) {
        let client = session.and_then(|session| self.clients.at(session));
        let conn = client.and_then(|client| self.conns.at(client.conn?));
        let lost = Lost {
            reason,
            client: client.map(|client| &client.id),
            peer: conn.map(|conn| conn.info.peer),
            topic,
            qos,
            messages: 1,
            size,
        };
        self.watch.lost(&self.shared, self.id, lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_for_all_messages_and_are_few() {
        let mut samples = Samples::default();
        samples.end_turn(Time::ZERO);
        let weights: Vec<u32> = (0..100_000).filter_map(|_| samples.weight()).collect();
        let most = SAMPLES + 100_000 / STRIDE;
        assert!(weights.len() <= most as usize);
        let sum: u32 = weights.iter().sum();
        assert!((100_000 - STRIDE..=100_000).contains(&sum));
        // Another window begins with the next turn after its time.
        samples.end_turn(Time::ZERO + WINDOW / 2);
        assert_eq!(samples.left, 0);
        samples.end_turn(Time::ZERO + WINDOW);
        assert_eq!(samples.weight(), Some(1));
    }

    #[test]
    fn a_storm_of_losses_is_told_in_few_words_that_stand_for_all() {
        let mut losses = Losses::default();
        let told: Vec<u32> = (0..1_000_000).filter_map(|_| losses.weight()).collect();
        assert!(told.len() < 17 * LOSSES as usize, "{}", told.len());
        assert_eq!(told[..LOSSES as usize], [1; LOSSES as usize]);
        let sum: u32 = told.iter().sum();
        assert!(sum > 900_000 && sum <= 1_000_000, "{sum}");
    }
}

//! What is told of messages: steps to who watches, losses to who keeps them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use codec::Publish;
use protocol::Outbound;
use types::{
    ClientId, Followed, MessageParts, PacketId, Peer, QoS, ReasonCode, SessionKey, Time, WorkerId,
};

use super::Worker;
use super::publish::Fanout;
use super::write::Copy;
use crate::event::{DropReason, Dropped};
use crate::probe::{Acknowledgement, Asked, Mark, Step, Watchers, What};
use crate::shared::Shared;

/// Messages of which each is told as a sample, in each [`WINDOW`].
const SAMPLES: u32 = 128;
/// Beyond that, one of so many is, and after [`STRIDES`] samples one of twice as many: what is copied
/// for who looks grows with the logarithm of the rate.
const STRIDE: u32 = 64;
/// See [`STRIDE`].
const STRIDES: u32 = 32;
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
    /// Somebody is told of steps: of all, or of those of messages that are followed.
    pub(super) is_stepwise: bool,
    /// Of all.
    is_every: bool,
    watchers: Watchers,
    /// What the message at hand goes on with, if it is followed.
    pub(super) marked: Option<Mark>,
    turns: Turns,
    samples: Samples,
    losses: Losses,
}

/// Whose turn it is to be asked whether it is to be followed.
#[derive(Debug)]
struct Turns {
    /// How many messages come until one is chosen; `None`: none is.
    left: Option<NonZeroU32>,
    /// From so many bytes of properties on a message may bring a context that counts.
    brought_from: usize,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            left: None,
            brought_from: usize::MAX,
        }
    }
}

impl Turns {
    /// Why it is asked of this message, if it is.
    #[inline]
    fn next(&mut self, properties: usize, allowed: bool) -> Option<Asked> {
        if let Some(left) = self.left {
            self.left = NonZeroU32::new(left.get().wrapping_sub(1));
            if self.left.is_none() {
                return Some(Asked::Chosen);
            }
        }
        (allowed && properties >= self.brought_from).then_some(Asked::Brought)
    }
}

/// Which of many are told of: the first `FIRST`, then one of a stride that is at least `LEAST` and
/// twice as long after every `THEN` that were told.
#[derive(Debug)]
struct Thinning<const FIRST: u32, const THEN: u32, const LEAST: u32> {
    /// So many are told before the stride is another one.
    left: u32,
    stride: u32,
    skipped: u32,
}

impl<const FIRST: u32, const THEN: u32, const LEAST: u32> Default for Thinning<FIRST, THEN, LEAST> {
    fn default() -> Self {
        Self {
            left: FIRST,
            stride: 1,
            skipped: 0,
        }
    }
}

impl<const FIRST: u32, const THEN: u32, const LEAST: u32> Thinning<FIRST, THEN, LEAST> {
    /// How many this one stands for; `None`: it is not told.
    #[inline]
    fn weight(&mut self) -> Option<u32> {
        self.skipped = self.skipped.saturating_add(1);
        if self.skipped < self.stride {
            return None;
        }
        let weight = std::mem::take(&mut self.skipped);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.left = THEN;
            self.stride = self.stride.saturating_mul(2).max(LEAST);
        }
        Some(weight)
    }
}

/// Which losses of this turn are told.
type Losses = Thinning<LOSSES, LOSSES, 2>;

/// Which messages of this window are samples.
#[derive(Debug, Default)]
struct Samples {
    until: Time,
    thinning: Thinning<SAMPLES, STRIDES, STRIDE>,
}

impl Samples {
    fn end_turn(&mut self, now: Time) {
        if now >= self.until {
            self.until = now + WINDOW;
            self.thinning = Thinning {
                // They are still to be stood for.
                skipped: self.thinning.skipped,
                ..Thinning::default()
            };
        }
    }
}

/// A message that comes in, and is told of.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    /// How many it stands for, if it is a sample.
    sampled: Option<u32>,
    /// Why it is asked whether it is to be followed, if it is.
    asked: Option<Asked>,
}

/// A message that somebody does not get.
#[derive(Clone, Copy)]
pub(super) struct Lost<'a> {
    pub(super) reason: DropReason,
    /// Who should have had it, or, if that is nobody in particular, who sent it.
    pub(super) client: Option<&'a ClientId>,
    pub(super) session: Option<SessionKey>,
    pub(super) peer: Option<Peer>,
    pub(super) about: About<'a>,
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
        (key, client): (SessionKey, &'a ClientId),
        peer: Option<Peer>,
    ) -> Self {
        Self {
            reason,
            client: Some(client),
            session: Some(key),
            peer,
            about: About::outbound(outbound),
            qos: Some(outbound.qos),
            messages: 1,
            size: outbound.body.size(),
        }
    }
}

/// What is at hand of a message that a step is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    topic: Option<&'a Arc<str>>,
    message: Option<MessageParts<'a>>,
    properties: &'a [u8],
    followed: Followed,
}

impl<'a> About<'a> {
    /// Only its topic.
    pub(super) fn topic(topic: Option<&'a Arc<str>>) -> Self {
        Self {
            topic,
            message: None,
            properties: &[],
            followed: Followed::No,
        }
    }

    /// Its topic and its properties.
    pub(super) fn of(topic: &'a Arc<str>, parts: &MessageParts<'a>) -> Self {
        Self {
            topic: Some(topic),
            message: None,
            properties: parts.properties,
            followed: parts.followed,
        }
    }

    /// All of it.
    fn all(topic: &'a Arc<str>, message: MessageParts<'a>) -> Self {
        Self {
            message: Some(message),
            ..Self::of(topic, &message)
        }
    }

    /// A message that is at hand for its publisher.
    fn marked(topic: &'a Arc<str>, mark: Option<&'a Mark>) -> Self {
        let about = Self::topic(Some(topic));
        match mark {
            Some(mark) => Self {
                properties: &mark.properties,
                followed: mark.followed,
                ..about
            },
            None => about,
        }
    }

    /// One that waits, as far as it is in memory.
    pub(super) fn outbound(outbound: &'a Outbound) -> Self {
        match outbound.body.message() {
            Some(message) => Self::of(message.topic(), &message.parts()),
            None => Self::topic(None),
        }
    }
}

impl Watch {
    /// Whether it is told that a message comes in, while somebody watches. Asked once for each.
    #[inline]
    pub(super) fn arrival(&mut self, properties: usize, allowed: bool) -> Option<Arrival> {
        let sampled = match &self.watchers.some {
            Some(_) => self.samples.thinning.weight(),
            None => None,
        };
        let asked = self.turns.next(properties, allowed);
        let is_told = self.is_every || sampled.is_some() || asked.is_some();
        is_told.then_some(Arrival { sampled, asked })
    }

    /// Whether somebody is told of the steps of such a message.
    #[inline]
    pub(super) fn tells(&self, followed: Followed) -> bool {
        self.is_stepwise && (self.is_every || followed.is_on())
    }

    /// The same of the message that is at hand for its publisher.
    #[inline]
    pub(super) fn tells_marked(&self) -> bool {
        self.is_stepwise && (self.is_every || self.marked.is_some())
    }

    /// The same of one that waits.
    #[inline]
    pub(super) fn tells_outbound(&self, outbound: &Outbound) -> bool {
        let is_followed = || {
            let message = outbound.body.message();
            message.is_some_and(|message| message.followed().is_on())
        };
        self.is_stepwise && (self.is_every || is_followed())
    }

    /// Whether somebody is told of acknowledgements.
    #[inline]
    pub(super) fn tells_acknowledged(&self, worker: WorkerId) -> bool {
        let tracer = &self.watchers.traced;
        let is_awaited = || tracer.as_ref().is_some_and(|it| it.awaits_any(worker));
        self.is_stepwise && (self.is_every || is_awaited())
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
                topic: lost.about.topic.map(|topic| &**topic),
                qos: lost.qos,
                size: lost.size,
                count: u64::from(weight).saturating_mul(lost.messages),
            });
        }
        let step = Step {
            worker,
            client: lost.client,
            session: lost.session,
            peer: lost.peer,
            topic: lost.about.topic,
            message: None,
            properties: lost.about.properties,
            weight: 1,
            what: What::Dropped(lost.reason),
        };
        self.watchers.step(&step, lost.about.followed.is_on());
    }
}

impl Watchers {
    fn step(&self, step: &Step<'_>, is_followed: bool) {
        if let Some(probe) = &self.every {
            probe.step(step);
        }
        if let Some(tracer) = self.traced.as_ref().filter(|_| is_followed) {
            tracer.step(step);
        }
    }
}

impl Worker {
    /// Somebody watches, or nobody any more.
    pub(super) fn on_watch(&mut self, watchers: Watchers) {
        let tracer = watchers.traced.as_ref();
        self.watch.turns = Turns {
            left: tracer.and_then(|tracer| tracer.gap(self.id)),
            brought_from: tracer
                .filter(|tracer| tracer.honors_contexts())
                .map_or(usize::MAX, |_| Followed::ADDED),
        };
        self.watch.is_every = watchers.every.is_some();
        self.watch.is_stepwise = self.watch.is_every || tracer.is_some();
        self.watch.is_on = self.watch.is_stepwise || watchers.some.is_some();
        self.watch.watchers = watchers;
    }

    /// A client's message came in, and nothing has refused it yet. What it goes on with, if it is
    /// followed, is at hand until it is answered.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_received(
        &mut self,
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
            followed: types::Followed::No,
        };
        let what = What::Received {
            packet_id: publish.packet_id,
            dup: publish.dup,
        };
        self.watch.marked = self.tell_of_arrival(Some(session), topic, parts, what, arrival);
    }

    /// A message that no packet brought begins its way. What it goes on with, if it is followed.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_own_arrival(
        &mut self,
        session: Option<SessionKey>,
        topic: &Arc<str>,
        message: MessageParts<'_>,
    ) -> Option<Mark> {
        let arrival = self.watch.arrival(message.properties.len(), true)?;
        let what = What::Received {
            packet_id: None,
            dup: false,
        };
        self.tell_of_arrival(session, topic, message, what, arrival)
    }

    /// A message begins its way. What it goes on with, if it is followed.
    #[cold]
    #[inline(never)]
    fn tell_of_arrival(
        &mut self,
        session: Option<SessionKey>,
        topic: &Arc<str>,
        message: MessageParts<'_>,
        what: What,
        arrival: Arrival,
    ) -> Option<Mark> {
        let weight = arrival.sampled;
        let watchers = &self.watch.watchers;
        let client = session.and_then(|session| self.clients.at(session));
        let mut step = Step {
            worker: self.id,
            client: client.map(|client| &client.id),
            session,
            peer: client
                .and_then(|client| self.conns.at(client.conn?))
                .map(|conn| conn.info.peer),
            topic: Some(topic),
            message: Some(message),
            properties: message.properties,
            weight: weight.unwrap_or(1),
            what,
        };
        if let (Some(probe), Some(_)) = (&watchers.some, weight) {
            probe.step(&step);
        }
        step.weight = 1;
        if let Some(probe) = &watchers.every {
            probe.step(&step);
        }
        let (tracer, asked) = (watchers.traced.as_ref()?, arrival.asked?);
        let mark = tracer.mark(&step, asked);
        if asked == Asked::Chosen {
            let gap = tracer.gap(self.id);
            self.watch.turns.left = gap;
        }
        mark
    }

    /// A message went a step that only who watches every one hears of. `session` is that of who
    /// sent it, or is to have it.
    #[cold]
    #[inline(never)]
    fn tell_step(&self, session: Option<SessionKey>, about: About<'_>, what: What) {
        let watchers = &self.watch.watchers;
        let client = session.and_then(|session| self.clients.at(session));
        let conn = client.and_then(|client| self.conns.at(client.conn?));
        let step = Step {
            worker: self.id,
            client: client.map(|client| &client.id),
            session,
            peer: conn.map(|conn| conn.info.peer),
            topic: about.topic,
            message: about.message,
            properties: about.properties,
            weight: 1,
            what,
        };
        watchers.step(&step, about.followed.is_on());
    }

    /// A client's message was found to be allowed. What it goes on with, if it is followed.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_authorized(&self, session: SessionKey, topic: &Arc<str>) -> Option<Mark> {
        let marked = self.watch.marked.clone();
        let about = About::marked(topic, marked.as_ref());
        self.tell_step(Some(session), about, What::Authorized);
        marked
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
        let about = About::of(fanout.route.topic(), &fanout.parts);
        self.tell_step(publisher, about, what);
    }

    /// What became of a client's message.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_answered(
        &mut self,
        session: SessionKey,
        topic: &Arc<str>,
        reason: ReasonCode,
    ) {
        let marked = self.watch.marked.take();
        let about = About::marked(topic, marked.as_ref());
        self.tell_step(Some(session), about, What::Answered(reason));
    }

    /// What became of a message that no client waits for an answer to: who follows it is told.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_done(
        &self,
        session: Option<SessionKey>,
        topic: &Arc<str>,
        marked: Option<Mark>,
        reason: ReasonCode,
    ) {
        let (Some(tracer), Some(marked)) = (&self.watch.watchers.traced, marked) else {
            return;
        };
        let client = session.and_then(|session| self.clients.at(session));
        tracer.step(&Step {
            worker: self.id,
            client: client.map(|client| &client.id),
            session,
            peer: None,
            topic: Some(topic),
            message: None,
            properties: &marked.properties,
            weight: 1,
            what: What::Answered(reason),
        });
    }

    /// A client acknowledges a message. Who follows messages is told unless it is known that nobody
    /// follows this one: not every session keeps what it waits for.
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
        let about = match message {
            Some(message) => About::of(message.topic(), &message.parts()),
            None => About {
                followed: Followed::Renewed,
                ..About::topic(None)
            },
        };
        self.tell_step(Some(key), about, what);
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
        let about = About::all(fanout.route.topic(), fanout.parts);
        self.tell_step(Some(key), about, what);
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
            let about = About::all(message.topic(), message.parts());
            self.tell_step(Some(key), about, what);
        }
    }

    /// A message waits for a client.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_queued(&self, key: SessionKey, outbound: &Outbound) {
        let about = About::outbound(outbound);
        self.tell_step(Some(key), about, What::Queued { qos: outbound.qos });
    }

    /// Counts the loss of a message for a client.
    #[cold]
    #[inline(never)]
    pub(super) fn lost_outbound(&mut self, why: DropReason, key: SessionKey, outbound: &Outbound) {
        let about = About::outbound(outbound);
        let size = outbound.body.size();
        self.lost_of(why, Some(key), about, Some(outbound.qos), size);
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
        let about = About::of(fanout.route.topic(), &fanout.parts);
        let size = fanout.parts.payload.len();
        self.lost_of(reason, Some(key), about, Some(qos), size);
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
        self.lost_of(reason, session, About::topic(topic), qos, size);
    }

    /// The same of a message whose properties are at hand.
    #[cold]
    #[inline(never)]
    pub(super) fn lost_of(
        &mut self,
        reason: DropReason,
        session: Option<SessionKey>,
        about: About<'_>,
        qos: Option<QoS>,
        size: usize,
    ) {
        let client = session.and_then(|session| self.clients.at(session));
        let conn = client.and_then(|client| self.conns.at(client.conn?));
        let lost = Lost {
            reason,
            client: client.map(|client| &client.id),
            session,
            peer: conn.map(|conn| conn.info.peer),
            about,
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
        let weights: Vec<u32> = (0..100_000)
            .filter_map(|_| samples.thinning.weight())
            .collect();
        assert_eq!(weights[..SAMPLES as usize], [1; SAMPLES as usize]);
        assert_eq!(weights[SAMPLES as usize], STRIDE);
        assert!(weights.len() < 400, "{}", weights.len());
        let sum: u32 = weights.iter().sum();
        assert!((90_000..=100_000).contains(&sum), "{sum}");
        // Another window begins with the next turn after its time, and forgets nobody.
        samples.end_turn(Time::ZERO + WINDOW / 2);
        assert!(samples.thinning.stride > STRIDE);
        samples.end_turn(Time::ZERO + WINDOW);
        assert_eq!(samples.thinning.weight(), Some(100_000 - sum + 1));
        assert_eq!(samples.thinning.weight(), Some(1));
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

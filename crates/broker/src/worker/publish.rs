//! PUBLISH from a client: checks, route, acknowledgement. The hot path.
// A closure is general in the packet's lifetime, an enum's constructor is not.
#![allow(clippy::redundant_closure)]

use std::sync::Arc;
use std::time::Duration;

use codec::{Packet, Publish};
use protocol::Violation;
use store::Room;
use topics::Route;
use types::{
    Action, Body, ConnId, Durability, Followed, Message, MessageParts, PacketId, QoS, ReasonCode,
    SessionKey, SessionRef, Time, TopicName, WorkerId,
};

use super::Worker;
use super::receive::Flow;
use super::watch::About;
use super::write::{Content, HeadCache, SHARE_FROM};
use crate::conn::{Conn, LastTopic};
use crate::event::DropReason;
use crate::mail::{Mail, Receipt, Skip};
use crate::memory::DELIVERY_BYTES;
use crate::metrics::Counter;
use crate::probe::Mark;
use crate::retained::{Kept, Publisher};
use crate::shared::Mailbox;

/// What a message to so many sessions counts against `limits.mailbox_bytes`. At QoS 1 and 2 they
/// count too: each session that cannot take it at once keeps a place for it.
pub(super) fn mail_size(message: &Message, sessions: usize) -> usize {
    let places = match message.qos() {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce | QoS::ExactlyOnce => sessions.saturating_mul(DELIVERY_BYTES),
    };
    message.size().saturating_add(places).saturating_add(64)
}

/// Why a message of a client is not taken.
pub(super) struct Refused {
    pub(super) reason: ReasonCode,
    pub(super) drop: DropReason,
    pub(super) why: &'static str,
}

/// Where a message of a client goes.
pub(super) struct Way {
    pub(super) route: Arc<Route>,
    /// What the acknowledgement promises.
    pub(super) durability: Durability,
    pub(super) session: SessionKey,
    /// Whether the client may publish there.
    pub(super) leave: Leave,
}

/// What becomes of a message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It goes to who is subscribed.
    Granted,
    /// It is an order to the control plane, and goes to nobody.
    Order,
    /// The client may not publish there.
    Denied,
}

/// A message on its way to its recipients. It becomes a [`Message`] with a reference count
/// only if somebody needs one.
pub(super) struct Fanout<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) parts: MessageParts<'a>,
    pub(super) message: Option<Arc<Message>>,
    pub(super) heads: HeadCache,
    /// Whom to tell when the message is safe.
    pub(super) receipt: Option<Receipt>,
    /// Those that have it already.
    pub(super) skip: Option<Skip>,
    /// Subscriptions have changed since the route was looked up: one of its recipients may have
    /// lost what it was granted.
    pub(super) is_old: bool,
    pub(super) now: Time,
}

/// Whom to tell of a message, and whom not to give it.
#[derive(Default)]
pub(super) struct Whom {
    pub(super) receipt: Option<Receipt>,
    pub(super) skip: Option<Skip>,
}

impl<'a> Fanout<'a> {
    pub(super) fn content(&self) -> Content<'_> {
        Content {
            topic: self.route.topic(),
            parts: self.parts,
            shared: self.message.as_ref(),
        }
    }

    /// The message behind a reference count.
    pub(super) fn message(&mut self) -> &Arc<Message> {
        let (route, parts) = (self.route, self.parts);
        self.message
            .get_or_insert_with(|| Arc::new(Message::new(Arc::clone(route.topic()), parts)))
    }
}

impl Worker {
    #[inline]
    pub(super) fn on_publish(&mut self, id: ConnId, publish: &Publish<'_>, now: Time) -> Flow {
        let way = match self.way_of(id, publish) {
            Ok(way) => way,
            Err(violation) => return self.violate(id, violation, now),
        };
        let flow = self.publish_on(id, &way, publish, now);
        if flow != Flow::Continue {
            return flow;
        }
        self.count(Counter::publish_received(publish.qos), 1);
        let size = u64::try_from(publish.payload.len()).unwrap_or(0);
        self.count(Counter::PublishBytesReceived, size);
        let Some(conn) = self.conns.at_mut(id) else {
            return flow;
        };
        conn.traffic.messages_in = conn.traffic.messages_in.wrapping_add(1);
        if let Some(rates) = &conn.rates {
            rates.charge_message(now);
        }
        if way.leave == Leave::Granted
            && let Some(open) = conn.open_mut()
        {
            open.last = Some(LastTopic {
                route: way.route,
                durability: way.durability,
                policy: self.policy_version,
                flags: (publish.qos, publish.retain),
            });
        }
        flow
    }

    /// Resolves the topic, its alias included, asks whether the client may publish to it and
    /// looks its route up: first at the connection, whose last topic was allowed, then in the
    /// worker's cache.
    #[inline]
    fn way_of(&mut self, id: ConnId, publish: &Publish<'_>) -> Result<Way, Violation> {
        let levels = self.limits.topic_levels;
        let conn = self.conns.at_mut(id).ok_or(Violation::NoTopic)?;
        let listener = conn.info.listener;
        let open = conn.open_mut().ok_or(Violation::NoTopic)?;
        let session = open.session;
        let aliased: Arc<str>;
        let topic = match publish.properties.topic_alias {
            None => publish.topic,
            Some(alias) if publish.topic.is_empty() => {
                aliased = Arc::clone(open.link.aliases_in.topic(alias)?);
                &aliased
            }
            Some(alias) => {
                TopicName::parse(publish.topic, levels).map_err(Violation::TopicName)?;
                open.link.aliases_in.set(alias, publish.topic)?;
                publish.topic
            }
        };
        if topic.is_empty() {
            return Err(Violation::NoTopic);
        }
        let properties = &publish.properties;
        if !properties.subscription_ids.is_empty() {
            return Err(Violation::SubscriptionIdFromClient);
        }
        if properties.forward.user.len() > usize::from(self.limits.user_properties) {
            return Err(Violation::TooManyProperties);
        }
        if let Some(response) = properties.forward.response_topic
            && TopicName::parse(response, levels).is_err()
        {
            return Err(Violation::ResponseTopic);
        }
        let mount = open.mount.as_deref();
        let is_last = |last: &LastTopic| match mount {
            None => **last.route.topic() == *topic,
            Some(mount) => mount.is(last.route.topic(), topic),
        };
        if let Some(last) = open.last.take_if(|last| {
            last.policy == self.policy_version
                && last.flags == (publish.qos, publish.retain)
                && is_last(last)
                && self.shared.index.is_current(&last.route)
        }) {
            return Ok(Way {
                route: last.route,
                durability: last.durability,
                session,
                leave: Leave::Granted,
            });
        }
        let mounted = mount.map(|mount| mount.mounted(topic));
        let is_out = mounted == Some(None);
        let topic = mounted.as_ref().and_then(Option::as_deref).unwrap_or(topic);
        let topic = TopicName::parse(topic, levels).map_err(Violation::TopicName)?;
        let route = Arc::clone(self.routes.route(&self.shared.index, topic));
        let leave = self.leave(session, (route.topic(), topic), publish, is_out);
        Ok(Way {
            route,
            durability: self
                .shared
                .config
                .durability
                .class(Some(listener), topic.as_str()),
            session,
            leave,
        })
    }

    /// What the policy says to a message of a client, and what it is then. `is_out`: its topic is
    /// none with the mount of its listener.
    fn leave(
        &mut self,
        session: SessionKey,
        (topic, name): (&Arc<str>, TopicName<'_>),
        publish: &Publish<'_>,
        is_out: bool,
    ) -> Leave {
        if is_out {
            return Leave::Denied;
        }
        let (qos, retain) = (publish.qos, publish.retain);
        if name.is_reserved() {
            return self.may_order(session, topic, name, qos, retain);
        }
        match self.may_publish(session, topic, name, qos, retain) {
            true => Leave::Granted,
            false => Leave::Denied,
        }
    }

    fn publish_on(&mut self, id: ConnId, way: &Way, publish: &Publish<'_>, now: Time) -> Flow {
        let session = way.session;
        if let Some(packet_id) = publish
            .packet_id
            .filter(|_| publish.qos == QoS::ExactlyOnce)
        {
            let Some(client) = self.clients.at(session) else {
                return Flow::Gone;
            };
            if client.session.is_unreleased(packet_id) {
                return self.acknowledge_again(id, way, packet_id);
            }
        }
        if !self.has_room(&way.route, publish.payload.len()) {
            if publish.qos == QoS::AtMostOnce {
                let (topic, size) = (way.route.topic(), publish.payload.len());
                self.lost(
                    DropReason::MailboxFull,
                    Some(session),
                    Some(topic),
                    Some(publish.qos),
                    size,
                );
                return Flow::Continue;
            }
            return Flow::Wait;
        }
        if publish.qos != QoS::AtMostOnce && (self.holds_enough(id) || self.store_is_behind(way)) {
            return Flow::Wait;
        }
        if publish.qos != QoS::AtMostOnce
            && let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut)
            && let Err(violation) = open.link.begin_receive(publish.qos)
        {
            return self.violate(id, violation, now);
        }
        let mut receipt = match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.open_hold(id),
        };
        let mut skip = None;
        if let Some(receipt) = &mut receipt
            && publish.qos == QoS::ExactlyOnce
        {
            skip = self.take_begun(session, publish);
            if self.goes_elsewhere(&way.route) || publish.retain {
                receipt.begun = self.begun(session, publish.packet_id, way.durability);
            }
        }
        if self.watch.is_on && way.leave != Leave::Order {
            let properties = publish.properties.forward_bytes.map_or(0, <[u8]>::len);
            if let Some(arrival) = self.watch.arrival(properties, way.leave == Leave::Granted) {
                self.tell_received(session, way.route.topic(), publish, arrival);
            } else if self.watch.marked.is_some() {
                // What a message before left behind, as it broke off, is not this one's.
                self.watch.marked = None;
            }
        }
        let refused = skip.clone();
        let whom = Whom { receipt, skip };
        let taken = self.go_beyond(|worker| worker.take_publish(way, publish, whom, now));
        if taken.is_err() {
            self.put_back_begun(session, publish, refused);
        }
        self.acknowledge(id, way, publish, receipt, taken)
    }

    /// Whether other workers have recipients, or may have.
    fn goes_elsewhere(&self, route: &Route) -> bool {
        !route.groups().is_empty() || route.workers().any(|worker| worker != self.id)
    }

    /// Those that have the message from an earlier run. Nobody has another one with its
    /// identifier: the store must not take it for that, if the server ends again before it has
    /// both.
    fn take_begun(&mut self, key: SessionKey, publish: &Publish<'_>) -> Option<Skip> {
        let id = publish.packet_id?;
        let begun = self.clients.at_mut(key)?.take_begun(id)?;
        if publish.dup {
            return Some(begun);
        }
        self.record_released(key, id);
        None
    }

    /// A message that was not taken may come again.
    fn put_back_begun(&mut self, key: SessionKey, publish: &Publish<'_>, begun: Option<Skip>) {
        if let Some(begun) = publish.packet_id.zip(begun)
            && let Some(client) = self.clients.at_mut(key)
        {
            client.begun.push(begun);
        }
    }

    /// Whether the message has to wait for the store to catch up.
    pub(super) fn store_is_behind(&self, way: &Way) -> bool {
        self.durable && way.durability.is_stored() && self.store.room() == Room::Behind
    }

    /// Whether the store is full and the message might have to be stored. What other workers
    /// would have to store is not known here.
    fn store_is_full(&self, way: &Way, retain: bool) -> bool {
        if !self.durable || !way.durability.is_stored() || !self.store.room().is_full() {
            return false;
        }
        let mut here = way.route.recipients(self.id).iter();
        retain
            || self.goes_elsewhere(&way.route)
            || here.any(|recipient| self.stored(recipient.session).is_some())
    }

    /// The same QoS 2 message again (MQTT-4.3.3-10): answered, not delivered. What the answer
    /// promises must be safe here too.
    fn acknowledge_again(&mut self, id: ConnId, way: &Way, packet_id: PacketId) -> Flow {
        if self.holds_enough(id) {
            return Flow::Wait;
        }
        let receipt = match self.rejoin(id, way.session, packet_id) {
            Some(receipt) => Some(receipt),
            None => {
                let receipt = self.open_hold(id);
                self.record_received(way.session, packet_id, way.durability, receipt);
                receipt
            }
        };
        let mark = self.output_mark(id);
        self.write_ack(id, packet_id, ReasonCode::Success, None, |a| {
            Packet::PubRec(a)
        });
        self.send_or_hold(id, receipt, mark);
        Flow::Continue
    }

    pub(super) fn output_mark(&self, id: ConnId) -> usize {
        self.conns.at(id).map_or(0, |conn| conn.output.mark())
    }

    /// All checks that can still refuse a message.
    #[inline]
    pub(super) fn refusal(
        &self,
        way: &Way,
        (qos, retain): (QoS, bool),
        receipt: Option<Receipt>,
    ) -> Result<(), Refused> {
        if receipt.is_some() && self.store_failed() {
            return Err(Refused {
                reason: ReasonCode::QuotaExceeded,
                drop: DropReason::Quota,
                why: "the server's store has failed",
            });
        }
        if way.leave == Leave::Denied {
            return Err(Refused {
                reason: ReasonCode::NotAuthorized,
                drop: DropReason::NotAuthorized,
                why: "not authorized to publish to this topic",
            });
        }
        let kept = qos != QoS::AtMostOnce || retain;
        if kept && self.store_is_full(way, retain) {
            return Err(Refused {
                reason: ReasonCode::QuotaExceeded,
                drop: DropReason::StoreFull,
                why: "the server's store is full",
            });
        }
        if qos != QoS::AtMostOnce && self.memory_is_short() {
            return Err(Refused {
                reason: ReasonCode::QuotaExceeded,
                drop: DropReason::Memory,
                why: "the server's memory budget is used up",
            });
        }
        Ok(())
    }

    /// The last checks, then its way to everybody (C43).
    fn take_publish(
        &mut self,
        way: &Way,
        publish: &Publish<'_>,
        whom: Whom,
        now: Time,
    ) -> Result<bool, Refused> {
        self.refusal(way, (publish.qos, publish.retain), whom.receipt)?;
        if way.leave == Leave::Order {
            return self.take_order(way, publish);
        }
        let mut properties = Vec::new();
        let forward = match publish.properties.forward_bytes {
            Some(bytes) => bytes,
            None => {
                let forward = &publish.properties.forward;
                codec::publish::forward_properties(forward, &mut properties).map_err(|_| {
                    Refused {
                        reason: ReasonCode::ImplementationSpecificError,
                        drop: DropReason::TooLarge,
                        why: "the properties cannot be passed on",
                    }
                })?;
                &properties
            }
        };
        let marked = match self.watch.tells_marked() {
            true => self.tell_authorized(way.session, way.route.topic()),
            false => None,
        };
        let expiry = publish.properties.message_expiry;
        let parts = MessageParts {
            properties: marked.as_ref().map_or(forward, |mark| &mark.properties),
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            publisher: Some(SessionRef {
                worker: self.id,
                key: way.session,
            }),
            expires: expiry.map(|seconds| now + Duration::from_secs(u64::from(seconds))),
            durability: way.durability,
            followed: marked.as_ref().map_or(Followed::No, |mark| mark.followed),
        };
        self.publish_parts(&way.route, parts, whom, now)
    }

    /// Stores a retained message and sends the message to everybody who wants it. Whether
    /// anybody did.
    pub(super) fn publish_parts(
        &mut self,
        route: &Arc<Route>,
        parts: MessageParts<'_>,
        whom: Whom,
        now: Time,
    ) -> Result<bool, Refused> {
        let mut fanout = Fanout {
            route,
            parts,
            message: None,
            heads: HeadCache::default(),
            receipt: whom.receipt,
            skip: whom.skip,
            is_old: false,
            now,
        };
        // Stored first, routed after: see `RetainedStore`.
        let newer = if parts.retain {
            self.retain(&mut fanout)?;
            self.newer_route(route)
        } else {
            None
        };
        let mut fanout = Fanout {
            route: newer.as_ref().unwrap_or(route),
            ..fanout
        };
        fanout.heads.take_buffer(&mut self.scratch);
        let delivered = self.deliver_route(&mut fanout);
        fanout.heads.give_buffer(&mut self.scratch);
        Ok(delivered)
    }

    /// The route of the same topic as it is now, if it is another one.
    fn newer_route(&mut self, route: &Route) -> Option<Arc<Route>> {
        if self.shared.index.is_current(route) {
            return None;
        }
        let topic = TopicName::parse(route.topic(), u16::MAX).ok()?;
        Some(Arc::clone(self.routes.route(&self.shared.index, topic)))
    }

    /// Who publishes the message at hand, if it is a client.
    pub(super) fn publisher_of(&mut self, fanout: &Fanout<'_>) -> Option<Arc<Publisher>> {
        let key = fanout.parts.publisher?.key;
        self.clients.at_mut(key).map(Publisher::of)
    }

    fn retain(&mut self, fanout: &mut Fanout<'_>) -> Result<(), Refused> {
        let topic = fanout.route.topic();
        if fanout.parts.payload.is_empty() {
            let (sequence, before) = self.shared.retained.remove(topic);
            self.record_retained(fanout, sequence, before);
            return Ok(());
        }
        let now = fanout.now;
        let publisher = self.publisher_of(fanout);
        let message = Arc::clone(fanout.message());
        let body = Body::Here(Arc::clone(&message));
        let size = body.size();
        let stored = self.durable && fanout.parts.durability.is_stored();
        let fits = self.has_memory_for(size);
        let shared = Arc::clone(&self.shared);
        // Known to the store before anybody can find it here, but not if it is refused.
        let keep = || {
            if stored {
                self.keep(&message, now);
            }
            let body = match stored && !fits {
                true => body.without_message(),
                false => body,
            };
            Kept { body, publisher }
        };
        let kept = shared
            .retained
            .set_with(fanout.route.topic(), size, keep, now);
        match kept {
            Ok((sequence, before)) => {
                self.record_retained(fanout, sequence, before);
                Ok(())
            }
            Err(_) => Err(Refused {
                reason: ReasonCode::QuotaExceeded,
                drop: DropReason::Quota,
                why: "the server keeps no more retained messages",
            }),
        }
    }

    /// Delivers here, and by mail to the other workers. Whether there was any recipient.
    fn deliver_route(&mut self, fanout: &mut Fanout<'_>) -> bool {
        let route = fanout.route;
        if self.watch.tells(fanout.parts.followed) {
            self.tell_routed(fanout);
        }
        if route.is_empty() {
            return false;
        }
        if fanout.parts.payload.len() >= SHARE_FROM && route.recipient_count() > 1 {
            fanout.message();
        }
        let here = self.id;
        self.begin_record();
        for recipient in route.recipients(here) {
            self.deliver_to(recipient, fanout);
        }
        if self.owes_record() {
            self.keep_fanout(fanout);
            self.await_receipt(fanout.receipt);
            let (receipt, now) = (fanout.receipt, fanout.now);
            self.record_owed(fanout.message(), receipt, None, now);
        } else {
            self.record_lost();
        }
        for worker in route.workers() {
            if worker != here {
                let message = Arc::clone(fanout.message());
                let (receipt, skip) = (fanout.receipt, fanout.skip.clone());
                self.mail_publish(worker, Arc::clone(route), message, receipt, skip);
            }
        }
        for group in route.groups() {
            let skip = fanout.skip.as_ref();
            if skip.is_some_and(|skip| skip.groups.contains(group.filter())) {
                continue;
            }
            let message = Arc::clone(fanout.message());
            self.share_out(group, message, fanout.receipt, fanout.now);
        }
        true
    }

    /// Delivers a message that another worker took in.
    pub(super) fn deliver_route_here(
        &mut self,
        route: &Arc<Route>,
        message: &Arc<Message>,
        receipt: Option<Receipt>,
        skip: Option<Skip>,
        now: Time,
    ) {
        let mut fanout = Fanout {
            route,
            parts: message.parts(),
            message: Some(Arc::clone(message)),
            heads: HeadCache::default(),
            receipt,
            skip,
            is_old: !self.shared.index.is_current(route),
            now,
        };
        fanout.heads.take_buffer(&mut self.scratch);
        self.begin_record();
        // It may have expired on the way here (MQTT-3.3.2-5).
        if message.is_expired(now) {
            let (qos, size) = (message.qos(), message.payload().len());
            let about = About::of(route.topic(), &message.parts());
            self.lost_of(DropReason::Expired, None, about, Some(qos), size);
        } else {
            for recipient in route.recipients(self.id) {
                self.deliver_to(recipient, &mut fanout);
            }
        }
        if self.owes_record() {
            self.keep_fanout(&mut fanout);
        }
        fanout.heads.give_buffer(&mut self.scratch);
        self.record_owed(message, receipt, None, now);
    }

    fn mail_publish(
        &mut self,
        to: WorkerId,
        route: Arc<Route>,
        message: Arc<Message>,
        receipt: Option<Receipt>,
        skip: Option<Skip>,
    ) {
        self.charge_mail(to, &message, route.recipients(to).len());
        self.await_remote(receipt);
        self.actions.push_back(Action::Mail {
            to,
            mail: Mail::Publish {
                route,
                message,
                receipt,
                skip,
            },
        });
    }

    pub(super) fn charge_mail(&mut self, to: WorkerId, message: &Message, sessions: usize) {
        if let Some(bytes) = self.mail_sent.get_mut(to.index()) {
            *bytes = bytes.saturating_add(mail_size(message, sessions));
        }
    }

    /// Whether every worker that the route leads to has room for the message: all or none.
    #[inline]
    pub(super) fn has_room(&self, route: &Route, payload: usize) -> bool {
        if self.mail_sent.len() <= 1 {
            return true;
        }
        let room = |worker: WorkerId| {
            let waiting = self.shared.mailbox(worker).map_or(0, Mailbox::bytes);
            let sent = self.mail_sent.get(worker.index()).copied().unwrap_or(0);
            // An empty mailbox takes any message, or one above the limit would wait for ever.
            let before = waiting.saturating_add(sent);
            before == 0 || before.saturating_add(payload) <= self.limits.mailbox_bytes
        };
        if route.groups().is_empty() {
            route
                .workers()
                .all(|worker| worker == self.id || room(worker))
        } else {
            (0u16..)
                .take(self.mail_sent.len())
                .map(WorkerId)
                .all(|worker| worker == self.id || room(worker))
        }
    }

    /// Whether the process holds more than `limits.memory`, or may by now.
    pub(super) fn memory_is_short(&self) -> bool {
        let budget = u64::try_from(self.limits.memory).unwrap_or(u64::MAX);
        budget > 0 && self.shared.holds_more_than(budget)
    }

    /// Answers the publisher (MQTT-4.3.2-4, MQTT-4.3.3-8).
    fn acknowledge(
        &mut self,
        id: ConnId,
        way: &Way,
        publish: &Publish<'_>,
        receipt: Option<Receipt>,
        taken: Result<bool, Refused>,
    ) -> Flow {
        if let Err(refused) = &taken {
            let (topic, size) = (way.route.topic(), publish.payload.len());
            let session = Some(way.session);
            self.lost(refused.drop, session, Some(topic), Some(publish.qos), size);
        }
        if self.watch.tells_marked() && way.leave != Leave::Order {
            self.tell_answered(way.session, way.route.topic(), reason_of(&taken));
        }
        let Some(packet_id) = publish.packet_id else {
            return Flow::Continue;
        };
        let five = self
            .conns
            .at(id)
            .and_then(Conn::open)
            .is_some_and(|open| open.link.version().has_properties());
        let reason = reason_of(&taken);
        let why = taken.err().map(|refused| refused.why);
        // MQTT 3 has no way to refuse: what is not authorized is acknowledged like the rest
        // (3.1.1: MQTT-3.3.5-2), what the server has no room for is not acknowledged at all.
        if !five && reason == ReasonCode::QuotaExceeded {
            self.drop_hold(receipt);
            return Flow::Continue;
        }
        let mark = self.output_mark(id);
        if publish.qos == QoS::AtLeastOnce {
            self.write_ack(id, packet_id, reason, why, |a| Packet::PubAck(a));
        } else {
            if reason.is_error() && five {
                self.end_receive(id);
            } else if let Some(client) = self.clients.at_mut(way.session) {
                client.session.receive(packet_id);
                self.record_received(way.session, packet_id, way.durability, receipt);
            }
            self.write_ack(id, packet_id, reason, why, |a| Packet::PubRec(a));
        }
        self.send_or_hold(id, receipt, mark);
        Flow::Continue
    }

    /// A QoS 2 message of a connection is done.
    pub(super) fn end_receive(&mut self, id: ConnId) {
        if let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) {
            open.link.end_receive();
        }
    }

    /// Publishes in the name of a session that has no connection here, or of the server.
    pub(super) fn publish_message(
        &mut self,
        topic: TopicName<'_>,
        parts: MessageParts<'_>,
        now: Time,
    ) {
        let route = Arc::clone(self.routes.route(&self.shared.index, topic));
        let session = parts.publisher.map(|publisher| publisher.key);
        let marked = match self.watch.is_on {
            true => self.tell_own_arrival(session, route.topic(), parts),
            false => None,
        };
        let parts = with_mark(parts, marked.as_ref());
        let taken = self.publish_parts(&route, parts, Whom::default(), now);
        let reason = reason_of(&taken);
        if let Err(refused) = taken {
            let (topic, size) = (route.topic(), parts.payload.len());
            self.lost(refused.drop, session, Some(topic), Some(parts.qos), size);
        }
        if marked.is_some() {
            self.tell_done(session, route.topic(), marked, reason);
        }
    }
}

/// A message with what it goes on with, if it is followed.
pub(super) fn with_mark<'a>(parts: MessageParts<'a>, mark: Option<&'a Mark>) -> MessageParts<'a> {
    match mark {
        Some(mark) => MessageParts {
            properties: &mark.properties,
            followed: mark.followed,
            ..parts
        },
        None => parts,
    }
}

/// What the publisher of a message is answered.
pub(super) fn reason_of(taken: &Result<bool, Refused>) -> ReasonCode {
    match taken {
        Ok(true) => ReasonCode::Success,
        Ok(false) => ReasonCode::NoMatchingSubscribers,
        Err(refused) => refused.reason,
    }
}

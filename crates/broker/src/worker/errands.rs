//! Errands of the control plane: done by the same ways as what clients ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use codec::SubscribeFilter;
use protocol::session::subscriptions::Subscription;
use store::Record;
use topics::{ScanCursor, ScanProgress};
use types::{
    ClientId, ConnId, MessageParts, QoS, ReasonCode, SessionKey, SubscriptionFilter,
    SubscriptionOptions, Time, TopicFilter, TopicName,
};

use super::Worker;
use super::publish::{Leave, Way, Whom, reason_of, with_mark};
use super::subscribe::Place;
use crate::conn::Conn;
use crate::errand::{Done, Errand, NotDone, Publication, Reply, Task};
use crate::mail::Receipt;
use crate::question::Question;

/// Answers that wait for the store, by the hold that they wait for.
pub(super) type Answers = BTreeMap<u64, (Reply, Done)>;

/// No connection has this name: holds for it are for [`Answers`].
pub(super) const NO_CONN: ConnId = ConnId {
    slot: u32::MAX,
    generation: u32::MAX,
};

/// No session has this key: who publishes by an errand is no client.
const NO_SESSION: SessionKey = SessionKey {
    slot: u32::MAX,
    generation: u32::MAX,
};

/// Bytes of a PUBLISH beside topic, properties and payload, at most: the fixed header, the lengths
/// of topic and properties, the packet identifier, the expiry.
const PUBLISH_REST: usize = 5 + 2 + 4 + 2 + 5;

impl Worker {
    pub(super) fn run_errand(&mut self, errand: Errand, now: Time) {
        let Errand { task, reply } = errand;
        match task {
            Task::Publish(publication) => self.publish_errand(&publication, reply, now),
            Task::Subscribe {
                client,
                filter,
                options,
            } => self.subscribe_errand(&client, &filter, options, reply),
            Task::Unsubscribe { client, filter } => {
                self.unsubscribe_errand(&client, &filter, reply);
            }
            Task::Tell {
                session,
                topic,
                payload,
            } => reply(self.tell_answer(session, &topic, &payload, now)),
            Task::ClearRetained {
                filter,
                after,
                most,
            } => self.clear_errand(&filter, after, most, reply, now),
        }
    }

    /// The door of PUBLISH, for who has no connection: all that is asked of a client's message and
    /// is not about the client.
    fn publish_errand(&mut self, publication: &Publication, reply: Reply, now: Time) {
        let way = match self.way_of_errand(publication) {
            Ok(way) => way,
            Err(why) => return reply(Err(why)),
        };
        let (qos, retain) = (publication.qos, publication.retain);
        let receipt = self.open_hold(NO_CONN);
        let expiry = publication.expiry.map(u64::from).map(Duration::from_secs);
        let parts = MessageParts {
            properties: &publication.properties,
            payload: &publication.payload,
            qos,
            retain,
            publisher: None,
            expires: expiry.map(|expiry| now + expiry),
            durability: way.durability,
            followed: types::Followed::No,
        };
        let whom = Whom {
            receipt,
            skip: None,
        };
        let marked = match self.watch.is_on {
            true => self.tell_own_arrival(None, way.route.topic(), parts),
            false => None,
        };
        let parts = with_mark(parts, marked.as_ref());
        let taken = self
            .refusal(&way, (qos, retain), receipt)
            .and_then(|()| self.go_beyond(|it| it.publish_parts(&way.route, parts, whom, now)));
        if marked.is_some() {
            self.tell_done(None, way.route.topic(), marked.clone(), reason_of(&taken));
        }
        match taken {
            Ok(reached) => self.reply_when_safe(receipt, reply, Done::Published { reached }),
            Err(refused) => {
                self.drop_hold(receipt);
                let (topic, size) = (way.route.topic(), publication.payload.len());
                self.lost(refused.drop, None, Some(topic), Some(qos), size);
                reply(Err(NotDone::Refused(refused.reason, refused.why)));
            }
        }
    }

    fn way_of_errand(&mut self, publication: &Publication) -> Result<Way, NotDone> {
        let Publication {
            topic,
            properties,
            payload,
            ..
        } = publication;
        let levels = self.limits.topic_levels;
        let name = TopicName::parse(topic, levels);
        let name =
            name.map_err(|_| NotDone::Invalid("the topic is none, or has too many levels"))?;
        if name.is_reserved() {
            let why = "topics that begin with $ are the server's own";
            return Err(NotDone::Refused(ReasonCode::NotAuthorized, why));
        }
        let known = codec::publish::parse_forward(properties);
        let known = known.map_err(|_| NotDone::Invalid("the properties are none"))?;
        if known.user.len() > usize::from(self.limits.user_properties) {
            let why = "there are more user properties than limits.user_properties";
            return Err(NotDone::Invalid(why));
        }
        let response = known.response_topic;
        if response.is_some_and(|topic| TopicName::parse(topic, levels).is_err()) {
            return Err(NotDone::Invalid("the response topic is no topic"));
        }
        let size = topic.len().saturating_add(properties.len());
        let size = size.saturating_add(payload.len());
        let size = size.saturating_add(PUBLISH_REST);
        if size > usize::try_from(self.limits.packet_size).unwrap_or(usize::MAX) {
            let why = "the message is larger than limits.packet_size";
            return Err(NotDone::Refused(ReasonCode::PacketTooLarge, why));
        }
        let route = Arc::clone(self.routes.route(&self.shared.index, name));
        let way = Way {
            durability: self.shared.config.durability.class(None, topic),
            route,
            session: NO_SESSION,
            leave: Leave::Granted,
        };
        if !self.has_room(&way.route, payload.len()) {
            return Err(NotDone::Busy("a worker is behind"));
        }
        if self.store_is_behind(&way) && (publication.qos != QoS::AtMostOnce || publication.retain)
        {
            return Err(NotDone::Busy("the store is behind"));
        }
        Ok(way)
    }

    /// The door of SUBSCRIBE, in the name of a client that is connected.
    fn subscribe_errand(
        &mut self,
        client: &str,
        filter: &SubscriptionFilter,
        options: SubscriptionOptions,
        reply: Reply,
    ) {
        match self.subscribe_for(client, filter, options) {
            Err(why) => reply(Err(why)),
            Ok((key, replay)) => self.reply_when_applied(key, replay, (reply, Done::Subscribed)),
        }
    }

    fn subscribe_for(
        &mut self,
        client: &str,
        filter: &SubscriptionFilter,
        options: SubscriptionOptions,
    ) -> Result<(SessionKey, Option<(SubscriptionFilter, Subscription)>), NotDone> {
        let key = self.session_called(client)?;
        let known = self.clients.at(key).ok_or(NotDone::NoClient)?;
        let open = known
            .conn
            .and_then(|conn| self.conns.at(conn))
            .and_then(Conn::open);
        let open = open.ok_or(NotDone::Away)?;
        if options.no_local && filter.share.is_some() {
            let why = "a shared subscription has no No Local (MQTT-3.8.3-4)";
            return Err(NotDone::Invalid(why));
        }
        if self.index_is_behind() {
            return Err(NotDone::Busy("the index is behind"));
        }
        // Asked for as the client would, so that it is looked at as the client's.
        let own = match &open.mount {
            None => filter.filter.as_str(),
            Some(mount) => mount.taken_off(filter.filter.as_str()).ok_or({
                let why = "the filter is outside of the mount of the client's listener";
                NotDone::Refused(ReasonCode::NotAuthorized, why)
            })?,
        };
        let own = match &filter.share {
            None => own.to_owned(),
            Some(share) => format!("$share/{}/{own}", share.as_str()),
        };
        let before = known.session.subscriptions.subscription(filter);
        let (id, window) = (before.and_then(|before| before.id), open.link.window());
        let place = SubscribeFilter {
            filter: &own,
            options,
        };
        match self.subscribe_one(key, window, place, id) {
            Place::Refused(reason) => Err(NotDone::Refused(
                reason,
                match reason {
                    ReasonCode::NotAuthorized => "the client may not subscribe to this",
                    ReasonCode::QuotaExceeded => {
                        "the client, the server or its store has no room for it"
                    }
                    _ => "the filter is none",
                },
            )),
            Place::Granted {
                filter,
                subscription,
                replay,
            } => Ok((key, replay.then_some((filter, subscription)))),
        }
    }

    fn unsubscribe_errand(&mut self, client: &str, filter: &SubscriptionFilter, reply: Reply) {
        let key = match self.session_called(client) {
            Ok(key) if !self.index_is_behind() => key,
            Ok(_) => return reply(Err(NotDone::Busy("the index is behind"))),
            Err(why) => return reply(Err(why)),
        };
        match self.take_subscription(key, filter) {
            true => self.reply_when_applied(key, None, (reply, Done::Unsubscribed)),
            false => reply(Err(NotDone::NoSubscription)),
        }
    }

    fn session_called(&self, client: &str) -> Result<SessionKey, NotDone> {
        let id = ClientId::new(client).ok_or(NotDone::NoClient)?;
        let key = self.by_id.get(&id).copied();
        key.ok_or(NotDone::NoClient)
    }

    /// Forgets retained messages, as an empty one does (MQTT-3.3.1-6), except that subscribers hear
    /// nothing.
    fn clear_errand(
        &mut self,
        filter: &TopicFilter,
        mut cursor: ScanCursor,
        most: usize,
        reply: Reply,
        now: Time,
    ) {
        if self.store_failed() {
            return reply(Err(NotDone::Failed));
        }
        let most = most.clamp(1, Question::MOST);
        let mut found = Vec::new();
        let retained = &Arc::clone(&self.shared).retained;
        let progress = retained.list(filter, &mut cursor, most, now, &mut found);
        let mut count: u64 = 0;
        for (topic, ..) in found {
            let (sequence, before) = retained.remove(&topic);
            count = count.saturating_add(u64::from(before.is_some()));
            if before.is_some_and(|before| before.body.reference().is_some()) {
                self.record(Record::Cleared {
                    topic: &topic,
                    sequence,
                });
            }
        }
        let next = (progress == ScanProgress::More).then_some(cursor);
        // What comes later in the store is not safe before this: the last answer is for all.
        match next {
            Some(_) => reply(Ok(Done::Cleared { count, next })),
            None => self.reply_when_recorded((reply, Done::Cleared { count, next })),
        }
    }

    /// Answers when the batch of this turn is safe.
    pub(super) fn reply_when_recorded(&mut self, (reply, done): (Reply, Done)) {
        let receipt = self.open_hold(NO_CONN);
        if let Some(receipt) = receipt {
            let class = self.shared.config.durability.strongest();
            self.await_receipt(Some(receipt));
            self.answer_when_safe(receipt, class);
        }
        self.reply_when_safe(receipt, reply, done);
    }

    /// Answers as soon as nothing keeps the hold any more.
    fn reply_when_safe(&mut self, receipt: Option<Receipt>, reply: Reply, done: Done) {
        match receipt.filter(|receipt| self.settle_hold(receipt.hold)) {
            Some(receipt) => self.keep_answer(receipt.hold, (reply, done)),
            None => reply(Ok(done)),
        }
    }
}

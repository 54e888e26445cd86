//! What clients publish to control topics, and what they are answered.

use std::sync::Arc;

use auth::{Access, RuleId};
use codec::Publish;
use types::{
    Durability, Followed, MessageParts, QoS, ReasonCode, SessionKey, SessionRef, Time, TopicName,
};

use super::Worker;
use super::publish::{Fanout, Leave, Refused, Way};
use super::write::HeadCache;
use crate::conn::Conn;
use crate::errand::{Done, NotDone};
use crate::event::{DropReason, Wanted};
use crate::orders::{NotTaken, Order};

impl Worker {
    /// Whether a client may publish to a topic of the server's own, of which `name` is the checked
    /// form: that is an order, or nothing (S51). Nothing is remembered of it; a denial is told.
    pub(super) fn may_order(
        &mut self,
        key: SessionKey,
        topic: &Arc<str>,
        name: TopicName<'_>,
        qos: QoS,
        retain: bool,
    ) -> Leave {
        let access = Access::Publish {
            topic: name,
            qos,
            retain,
        };
        let decision = self.decide(key, &access);
        let rule = match decision.is_allowed() {
            true if self.shared.config.orders.knows(topic) => return Leave::Order,
            true => Some(RuleId::Reserved),
            false => decision.rule,
        };
        self.denied(key, Wanted::Publish, topic, rule);
        Leave::Denied
    }

    /// Hands an order to the control plane.
    pub(super) fn take_order(&mut self, way: &Way, publish: &Publish<'_>) -> Result<bool, Refused> {
        let denied = || Refused {
            reason: ReasonCode::NotAuthorized,
            drop: DropReason::NotAuthorized,
            why: "not authorized to publish to this topic",
        };
        let client = self.clients.at(way.session).ok_or_else(denied)?;
        // Who has no name could not be held to anything.
        let user = client.identity.user().ok_or_else(denied)?;
        let conn = client.conn.and_then(|conn| self.conns.at(conn));
        let order = Order {
            topic: way.route.topic(),
            payload: publish.payload,
            session: SessionRef {
                worker: self.id,
                key: way.session,
            },
            client: client.id.as_str(),
            user,
            peer: conn.map(|conn| conn.info.peer),
        };
        let taken = self.shared.config.orders.take(&order);
        taken.map(|()| true).map_err(|why| match why {
            NotTaken::Busy => Refused {
                reason: ReasonCode::QuotaExceeded,
                drop: DropReason::Quota,
                why: "too many orders wait",
            },
            NotTaken::TooLarge => Refused {
                reason: ReasonCode::ImplementationSpecificError,
                drop: DropReason::Quota,
                why: "the order is too long",
            },
        })
    }

    /// The answer of an order, for the session that gave it alone.
    pub(super) fn tell_answer(
        &mut self,
        key: SessionKey,
        topic: &str,
        payload: &[u8],
        now: Time,
    ) -> Result<Done, NotDone> {
        let name = TopicName::parse(topic, self.limits.topic_levels);
        let name =
            name.map_err(|_| NotDone::Invalid("the topic is none, or has too many levels"))?;
        let conn = self.clients.at(key).and_then(|client| client.conn);
        if conn
            .and_then(|conn| self.conns.at(conn))
            .and_then(Conn::open)
            .is_none()
        {
            return Err(NotDone::Away);
        }
        let route = Arc::clone(self.routes.route(&self.shared.index, name));
        let mut recipients = route.recipients(self.id).iter();
        let Some(recipient) = recipients.find(|recipient| recipient.session == key) else {
            return Ok(Done::Told { reached: false });
        };
        let mut fanout = Fanout {
            route: &route,
            parts: MessageParts {
                properties: &[],
                payload,
                qos: QoS::AtMostOnce,
                retain: false,
                publisher: None,
                expires: None,
                durability: Durability::Memory,
                followed: Followed::No,
            },
            message: None,
            heads: HeadCache::default(),
            receipt: None,
            skip: None,
            is_old: false,
            now,
        };
        fanout.heads.take_buffer(&mut self.scratch);
        self.begin_record();
        self.deliver_to(recipient, &mut fanout);
        self.record_lost();
        fanout.heads.give_buffer(&mut self.scratch);
        Ok(Done::Told { reached: true })
    }
}

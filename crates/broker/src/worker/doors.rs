//! Who may do what: the one question at each door, and what a change of the answers does.
//!
//! | door | asked in |
//! |---|---|
//! | CONNECT | [`Worker::check_ban`], with the identity |
//! | will, at CONNECT and when it is due | [`Worker::may_publish`] |
//! | PUBLISH, by name or alias | [`Worker::may_publish`] |
//! | SUBSCRIBE, alone or in a group | [`Worker::may_subscribe`] |
//! | each message of a subscription that was granted in part | [`Worker::may_have`] |
//! | retained messages on their way to a subscription | [`Worker::may_have_outbound`] |
//! | messages that waited, and such as are sent again | [`Worker::may_have_outbound`] |

use std::sync::Arc;

use auth::{Access, Ban, BanOn, Decision, Grant, Policy, RuleId, Subject, Verdict};
use codec::Connect;
use protocol::{Outbound, Refusal};
use types::{
    ConnId, QoS, ReasonCode, SessionKey, SubscriptionFilter, Time, TopicFilter, TopicName,
};

use super::Worker;
use crate::client::{Asks, Client};
use crate::conn::Conn;
use crate::event::{CloseReason, Denial, Event, Wanted};
use crate::mail::Selector;
use crate::shared::Revoked;
use crate::slots::Slots;
use crate::timers::Timer;

/// Sessions that are looked at in one turn after a change of the policy.
const WALK_STEP: usize = 512;
/// Denials that a worker tells of in one second; more are only counted.
const DENIALS_A_SECOND: u32 = 500;

/// A change of the policy on its way through the sessions.
#[derive(Debug)]
pub(super) struct Walk {
    /// The slot that is next.
    next: u32,
}

/// How many denials were told of lately.
#[derive(Debug, Default)]
pub(super) struct Told {
    second: u64,
    count: u32,
}

/// A client as the policy sees it.
pub(super) fn subject<'a>(client: &'a Client, conns: &'a Slots<Conn>) -> Subject<'a> {
    let info = client
        .conn
        .and_then(|conn| conns.at(conn))
        .map(|conn| &conn.info);
    Subject {
        identity: &client.identity,
        client_id: client.id.as_str(),
        grant: client.grant.as_deref(),
        address: info.and_then(|info| info.peer.ip()),
        certificate: info.and_then(|info| info.certificate.as_deref()),
        listener: info.map(|info| info.listener),
    }
}

impl Worker {
    /// Whether somebody is banned, whatever he can prove (S55).
    pub(super) fn check_ban(&self, who: &Subject<'_>) -> Result<(), Refusal> {
        match self.policy.ban(who) {
            None => Ok(()),
            Some(Ban { on }) => Err(Refusal {
                reason: ReasonCode::Banned,
                why: match on {
                    BanOn::Client => "the client id is banned",
                    BanOn::User => "the user is banned",
                    BanOn::Address => "the address is banned",
                },
            }),
        }
    }

    /// Whether a client may publish there; a denial is told.
    pub(super) fn may_publish(
        &mut self,
        key: SessionKey,
        topic: TopicName<'_>,
        qos: QoS,
        retain: bool,
    ) -> bool {
        let access = Access::Publish { topic, qos, retain };
        let decision = self.decide(key, &access);
        if !decision.is_allowed() {
            self.denied(key, Wanted::Publish, topic.as_str(), decision.rule);
        }
        decision.is_allowed()
    }

    /// Whether a client may subscribe, and to all that the filter matches; a denial is told.
    pub(super) fn may_subscribe(
        &mut self,
        key: SessionKey,
        filter: &TopicFilter,
        qos: QoS,
    ) -> Verdict {
        let decision = self.decide(key, &Access::Subscribe { filter, qos });
        if !decision.is_allowed() {
            self.denied(key, Wanted::Subscribe, filter.as_str(), decision.rule);
        }
        decision.verdict
    }

    /// Whether a client may be given a message of this topic.
    #[inline]
    pub(super) fn may_have(&self, key: SessionKey, topic: &str, qos: QoS) -> bool {
        match self.clients.at(key) {
            Some(client) if client.asks != Asks::Never => self.may_receive(client, topic, qos),
            _ => true,
        }
    }

    /// The same of a message that waited. One that is not in memory is not sent yet.
    pub(super) fn may_have_outbound(&self, key: SessionKey, outbound: &Outbound) -> bool {
        let message = outbound.body.message();
        message.is_none_or(|message| self.may_have(key, message.topic(), outbound.qos))
    }

    /// Only asked for those whose subscriptions were granted in part, or for whom something waited
    /// while the policy changed.
    fn may_receive(&self, client: &Client, topic: &str, qos: QoS) -> bool {
        let Ok(topic) = TopicName::parse(topic, u16::MAX) else {
            return false;
        };
        let who = subject(client, &self.conns);
        let decision = self.policy.decide(&who, &Access::Receive { topic, qos });
        decision.is_allowed()
    }

    fn decide(&self, key: SessionKey, access: &Access<'_>) -> Decision {
        match self.clients.at(key) {
            Some(client) => self.policy.decide(&subject(client, &self.conns), access),
            None => Decision::DENY,
        }
    }

    /// Tells of a denial, unless there were many in this second.
    fn denied(&mut self, key: SessionKey, wanted: Wanted, topic: &str, rule: Option<RuleId>) {
        if !self.told.has_room(self.last_turn) {
            return;
        }
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let who = subject(client, &self.conns);
        let rule = rule.map(|rule| self.policy.describe(&who, rule));
        let peer = client.conn.and_then(|conn| self.conns.at(conn));
        self.event(Event::Denied(Box::new(Denial {
            client: Some(client.id.clone()),
            user: client.identity.user().map(Arc::from),
            peer: peer.map(|conn| conn.info.peer),
            wanted,
            topic: Arc::from(topic),
            why: rule.map(Arc::from),
        })));
    }

    /// Tells that somebody was not let in.
    pub(super) fn denied_connect(&mut self, id: ConnId, connect: &Connect<'_>, why: &Arc<str>) {
        if !self.told.has_room(self.last_turn) {
            return;
        }
        let peer = self.conns.at(id).map(|conn| conn.info.peer);
        self.event(Event::Denied(Box::new(Denial {
            client: types::ClientId::new(connect.client_id),
            user: connect.username.map(Arc::from),
            peer,
            wanted: Wanted::Connect,
            topic: Arc::from(""),
            why: Some(Arc::clone(why)),
        })));
    }

    /// What a client is granted from now on, and for how long.
    pub(super) fn take_grant(&mut self, key: SessionKey, grant: Option<Arc<Grant>>, now: Time) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let changed = client.grant.as_deref() != grant.as_deref();
        client.grant = grant;
        let conn = client.conn;
        if let Some(conn) = conn {
            self.start_grant(conn, key, now);
        }
        if changed {
            self.go_beyond(|worker| worker.review_and_tell(key, now));
        }
    }

    /// Sets the timers of what a client was granted.
    pub(super) fn start_grant(&mut self, id: ConnId, key: SessionKey, now: Time) {
        let Some(grant) = self
            .clients
            .at(key)
            .and_then(|client| client.grant.as_ref())
        else {
            return;
        };
        let ends = grant.valid_for.map(|span| now + span);
        let refreshes = grant.refresh_after.map(|span| now + span);
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return;
        };
        open.grant_ends = ends;
        open.grant_refreshes = refreshes;
        if let Some(next) = ends.into_iter().chain(refreshes).min() {
            self.set_far_timer(next, Timer::Grant(id), now);
        }
    }

    /// Ends a connection whose grant is over (S67), and asks again for one that is old.
    pub(super) fn check_grant(&mut self, id: ConnId, now: Time) {
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return;
        };
        if open.grant_ends.is_some_and(|ends| ends <= now) {
            return self.close(id, CloseReason::GrantOver, now);
        }
        let key = open.session;
        let old = open.grant_refreshes.take_if(|at| *at <= now).is_some();
        let next = open
            .grant_ends
            .into_iter()
            .chain(open.grant_refreshes)
            .min();
        if let Some(next) = next {
            self.set_far_timer(next, Timer::Grant(id), now);
        }
        if old {
            self.refresh(key, now);
        }
    }

    /// Another policy holds from now on: what was remembered is forgotten at once, and the sessions
    /// are looked at one after the other.
    pub(super) fn on_policy(&mut self, policy: Arc<dyn Policy>) {
        self.policy = policy;
        self.policy_version = self.policy_version.wrapping_add(1);
        self.walk_all();
    }

    /// Begins to hold all sessions against the policy.
    pub(super) fn walk_all(&mut self) {
        self.walk = Some(Walk { next: 0 });
    }

    /// Looks at some more sessions after a change of the policy.
    pub(super) fn step_walk(&mut self, now: Time) {
        let Some(Walk { next }) = self.walk.take() else {
            return;
        };
        let Some((keys, end)) = self.clients.some_keys(next, WALK_STEP) else {
            return;
        };
        self.walk = Some(Walk { next: end });
        self.go_beyond(|worker| {
            for key in keys {
                worker.review_and_tell(key, now);
            }
        });
    }

    /// Holds a session against the policy and does what follows: a banned client is disconnected,
    /// and who loses a subscription is told.
    fn review_and_tell(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let conn = client.conn;
        let who = subject(client, &self.conns);
        if let (Some(_), Some(conn)) = (self.policy.ban(&who), conn) {
            return self.close(conn, CloseReason::Banned, now);
        }
        if let (Some(filter), Some(conn)) = (self.review(key), conn) {
            self.tell_revoked(conn, &filter, now);
        }
    }

    /// Holds each subscription of a session against the policy; returns the first that is gone.
    pub(super) fn review(&mut self, key: SessionKey) -> Option<String> {
        let client = self.clients.at(key)?;
        let who = subject(client, &self.conns);
        let mut lost: Vec<SubscriptionFilter> = Vec::new();
        let mut in_part = false;
        for (filter, subscription) in client.session.subscriptions.iter() {
            let access = Access::Subscribe {
                filter: &filter.filter,
                qos: subscription.options.qos,
            };
            match self.policy.decide(&who, &access).verdict {
                Verdict::Allow => {}
                Verdict::Partly => in_part = true,
                Verdict::Deny => lost.push(filter.clone()),
            }
        }
        let first = lost.first().map(ToString::to_string);
        for filter in lost {
            self.revoke(key, &filter);
        }
        if let Some(client) = self.clients.at_mut(key) {
            client.asks = match in_part {
                true => Asks::Always,
                false => Asks::WhileWaiting,
            };
        }
        self.settle_asks(key);
        first
    }

    /// A subscription that is not allowed any more goes, wherever its client is (S48).
    fn revoke(&mut self, key: SessionKey, filter: &SubscriptionFilter) {
        self.take_subscription(key, filter);
        let text = filter.to_string();
        self.denied(key, Wanted::Subscribe, &text, None);
    }

    /// MQTT has no word for "your subscription is gone": a 5.0 client is disconnected with the
    /// reason, and learns the rest when it subscribes again.
    fn tell_revoked(&mut self, id: ConnId, filter: &str, now: Time) {
        let Some(open) = self.conns.at(id).and_then(Conn::open) else {
            return;
        };
        if open.link.version().has_properties() && self.shared.config.revoked == Revoked::Disconnect
        {
            let why = format!("not allowed any more: {filter}");
            self.close_saying(id, CloseReason::Revoked, &why, now);
        }
    }

    /// Nobody needs to be asked about a client for which nothing waits any more and all of whose
    /// subscriptions are granted as a whole.
    pub(super) fn settle_asks(&mut self, key: SessionKey) {
        if let Some(client) = self.clients.at_mut(key)
            && client.asks == Asks::WhileWaiting
            && !client.session.has_waiting()
            && client.session.inflight_len() == 0
        {
            client.asks = Asks::Never;
        }
    }

    /// Ends the connections that are meant, and if asked for their sessions.
    pub(super) fn end_selected(&mut self, selector: &Selector, reason: CloseReason, now: Time) {
        let chosen: Vec<ConnId> = self
            .clients
            .iter::<SessionKey>()
            .filter(|(_, client)| selector.matches(&subject(client, &self.conns)))
            .filter_map(|(_, client)| client.conn)
            .collect();
        for conn in chosen {
            self.close(conn, reason, now);
        }
    }

    /// Asks again what the clients that are meant are granted.
    pub(super) fn refresh_selected(&mut self, selector: &Selector, now: Time) {
        let chosen: Vec<SessionKey> = self
            .clients
            .iter::<SessionKey>()
            .filter(|(_, client)| selector.matches(&subject(client, &self.conns)))
            .map(|(key, _)| key)
            .collect();
        for key in chosen {
            self.refresh(key, now);
        }
    }
}

impl Told {
    fn has_room(&mut self, now: Time) -> bool {
        let second = now.as_millis() / 1000;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= DENIALS_A_SECOND
    }
}

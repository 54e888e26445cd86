//! Who may do what: the one question at each door.
//!
//! | door | asked in |
//! |---|---|
//! | CONNECT | [`Worker::check_ban`], with the identity |
//! | will, at CONNECT | `admit`, with the identity |
//! | will, when it is due | [`Worker::may_leave_will`] |
//! | PUBLISH, by name or alias | [`Worker::may_publish`] |
//! | PUBLISH to a topic of the server's own | [`Worker::may_order`] |
//! | SUBSCRIBE, alone or in a group, by the client or for it | [`Worker::may_subscribe`] |
//! | PUBLISH of the control plane, which may publish where clients could | `errands` |
//! | each message of a subscription that was granted in part | [`Worker::may_have`] |
//! | retained messages on their way to a subscription | [`Worker::may_have_outbound`] |
//! | and whether their publishers might publish them still | [`Worker::stands`] |
//! | messages that waited, and such as are sent again | [`Worker::may_have_outbound`] |
//!
//! What follows from a change of the answers is in `reviews`.

use std::sync::Arc;

use auth::{Access, Ban, BanOn, Decision, Identity, Policy, Prepared, RuleId, Subject, Verdict};
use codec::Connect;
use protocol::{Outbound, Refusal};
use types::{ConnId, LinkInfo, QoS, ReasonCode, SessionKey, Time, TopicFilter, TopicName};

use super::Worker;
use crate::client::{Asks, Client};
use crate::conn::{Conn, Will};
use crate::decided::What;
use crate::event::{Denial, Event, Wanted};
use crate::retained::Kept;
use crate::slots::Slots;

/// Denials that a worker tells of in one second; more are only counted.
const DENIALS_A_SECOND: u32 = 500;

/// How many denials were told of lately.
#[derive(Debug, Default)]
pub(super) struct Told {
    second: u64,
    count: u32,
}

/// A client as the policy sees it.
pub(super) fn subject<'a>(client: &'a Client, conns: &'a Slots<Conn>) -> Subject<'a> {
    let conn = client.conn.and_then(|conn| conns.at(conn));
    subject_at(client, conn.map(|conn| &conn.info))
}

/// The same by this link, or away.
fn subject_at<'a>(client: &'a Client, info: Option<&'a LinkInfo>) -> Subject<'a> {
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

    /// Whether a client may publish to a topic, of which `name` is the checked form; a denial is
    /// told.
    pub(super) fn may_publish(
        &mut self,
        key: SessionKey,
        topic: &Arc<str>,
        name: TopicName<'_>,
        qos: QoS,
        retain: bool,
    ) -> bool {
        let what = What::Publish(qos, retain);
        if self.knows_allowed(key, topic, what) {
            return true;
        }
        let access = Access::Publish {
            topic: name,
            qos,
            retain,
        };
        let decision = self.decide(key, &access);
        if !decision.is_allowed() {
            self.denied(key, Wanted::Publish, topic, decision.rule);
            return false;
        }
        self.note_allowed(key, topic, what);
        true
    }

    /// Whether a client's will may go out that leaves this link, or left some time ago (S46). What
    /// only a connection shows was asked about at CONNECT.
    pub(super) fn may_leave_will(
        &mut self,
        key: SessionKey,
        will: &Will,
        link: Option<&LinkInfo>,
    ) -> bool {
        let (Some(client), Ok(topic)) = (
            self.clients.at(key),
            TopicName::parse(&will.topic, u16::MAX),
        ) else {
            return false;
        };
        let who = subject_at(client, link);
        let from = Subject {
            address: who.address.or(will.left_from),
            ..who
        };
        if self.policy.ban(&from).is_some() {
            return false;
        }
        if topic.is_reserved() {
            self.denied(key, Wanted::Publish, &will.topic, Some(RuleId::Reserved));
            return false;
        }
        let access = Access::Publish {
            topic,
            qos: will.qos,
            retain: will.retain,
        };
        let decision = self.policy.decide(&who, &access);
        if decision.is_allowed() || link.is_none() && self.policy.could(&who, &access) {
            return true;
        }
        self.denied(key, Wanted::Publish, &will.topic, decision.rule);
        false
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

    /// Whether a client may be given a message of this topic. Most need not be asked about: their
    /// subscriptions are granted as a whole.
    #[inline]
    pub(super) fn may_have(&mut self, key: SessionKey, topic: &Arc<str>, qos: QoS) -> bool {
        match self.clients.at(key) {
            Some(client) if client.asks != Asks::Never || self.reviews.is_ahead(key) => {
                self.may_receive(key, topic, qos)
            }
            _ => true,
        }
    }

    /// The same of a message that waited. One that is not in memory is not sent yet.
    pub(super) fn may_have_outbound(&mut self, key: SessionKey, outbound: &Outbound) -> bool {
        let message = outbound.body.message();
        message.is_none_or(|message| self.may_have(key, message.topic(), outbound.qos))
    }

    /// The same, asked in any case.
    pub(super) fn may_receive(&mut self, key: SessionKey, topic: &Arc<str>, qos: QoS) -> bool {
        let Some(client) = self.clients.at(key) else {
            return false;
        };
        // What it was granted died with an earlier run: it is asked about when it is sent.
        if client.asks == Asks::Returning {
            return true;
        }
        let what = What::Receive(qos);
        if self.knows_allowed(key, topic, what) {
            return true;
        }
        let Ok(name) = TopicName::parse(topic, u16::MAX) else {
            return false;
        };
        let access = Access::Receive { topic: name, qos };
        let is_allowed = match self.clients.at(key) {
            Some(client) if client.conn.is_none() => {
                self.policy.could(&subject(client, &self.conns), &access)
            }
            _ => self.decide(key, &access).is_allowed(),
        };
        if is_allowed {
            self.note_allowed(key, topic, what);
        }
        is_allowed
    }

    /// Whether a retained message may still be given to others (S47).
    pub(super) fn stands(&self, kept: &Kept, topic: &str) -> bool {
        let Some(publisher) = &kept.publisher else {
            return true;
        };
        TopicName::parse(topic, u16::MAX)
            .is_ok_and(|topic| self.policy.stands(&publisher.source(topic)))
    }

    /// Whether this was allowed not long ago, and nothing has changed since.
    fn knows_allowed(&self, key: SessionKey, topic: &Arc<str>, what: What) -> bool {
        let client = self.clients.at(key);
        client.is_some_and(|client| self.decided.knows(key, client.epoch, topic, what))
    }

    /// Policies that need no preparation are as fast as looking here.
    fn note_allowed(&mut self, key: SessionKey, topic: &Arc<str>, what: What) {
        if let Some(client) = self.clients.at(key)
            && client.prepared.is_some()
        {
            self.decided.note(key, client.epoch, topic, what);
        }
    }

    pub(super) fn decide(&mut self, key: SessionKey, access: &Access<'_>) -> Decision {
        let version = self.policy_version;
        let Some(client) = self.clients.at_mut(key) else {
            return Decision::DENY;
        };
        if client.prepared_by != version {
            client.prepared_by = version;
            let prepared = self.policy.prepare(&subject(client, &self.conns));
            if let Some(client) = self.clients.at_mut(key) {
                client.prepared = prepared;
            }
        }
        let Some(client) = self.clients.at(key) else {
            return Decision::DENY;
        };
        let prepared: Option<&Prepared> = client.prepared.as_deref();
        let who = subject(client, &self.conns);
        self.policy.decide_prepared(&who, prepared, access)
    }

    /// Something about a client is another that rules may ask for: what was found out is not so.
    pub(super) fn forget_decisions(&mut self, key: SessionKey) {
        self.epoch = self.epoch.wrapping_add(1);
        if let Some(client) = self.clients.at_mut(key) {
            client.epoch = self.epoch;
            client.prepared = None;
            client.prepared_by = 0;
            client.publisher = None;
            if let Some(open) = client
                .conn
                .and_then(|conn| self.conns.at_mut(conn))
                .and_then(Conn::open_mut)
            {
                open.last = None;
            }
        }
    }

    /// Tells of a denial, unless there were many in this second.
    pub(super) fn denied(
        &mut self,
        key: SessionKey,
        wanted: Wanted,
        topic: &str,
        rule: Option<RuleId>,
    ) {
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

    /// Tells that a client was not let in because of its will.
    pub(super) fn denied_will(
        &mut self,
        id: ConnId,
        client_id: &str,
        identity: &Identity,
        topic: &Arc<str>,
        why: Option<String>,
    ) {
        if !self.told.has_room(self.last_turn) {
            return;
        }
        self.event(Event::Denied(Box::new(Denial {
            client: types::ClientId::new(client_id),
            user: identity.user().map(Arc::from),
            peer: self.conns.at(id).map(|conn| conn.info.peer),
            wanted: Wanted::Publish,
            topic: Arc::clone(topic),
            why: why.map(Arc::from),
        })));
    }

    /// Tells that somebody was not let in.
    pub(super) fn denied_connect(&mut self, id: ConnId, connect: &Connect<'_>, why: &Arc<str>) {
        if !self.told.has_room(self.last_turn) {
            return;
        }
        let conn = self.conns.at(id);
        let hidden = conn.is_none_or(|conn| self.hides_names(conn));
        self.event(Event::Denied(Box::new(Denial {
            client: types::ClientId::new(connect.client_id),
            user: connect.username.filter(|_| !hidden).map(Arc::from),
            peer: conn.map(|conn| conn.info.peer),
            wanted: Wanted::Connect,
            topic: Arc::from(""),
            why: Some(Arc::clone(why)),
        })));
    }

    /// Whether nobody may see which user a client that is not in claims to be (S71).
    pub(super) fn hides_names(&self, conn: &Conn) -> bool {
        let authenticator = self.shared.authenticator();
        authenticator.takes_secret_names(conn.info.listener)
    }

    /// Another policy holds from now on: what was remembered is forgotten at once, each message is
    /// asked about, and the sessions are looked at one after the other.
    pub(super) fn on_policy(&mut self, policy: Arc<dyn Policy>) {
        self.policy = policy;
        // Zero is no version.
        self.policy_version = self.policy_version.wrapping_add(1).max(1);
        self.decided.clear();
        self.reviews.begin_all();
    }
}

impl Told {
    pub(super) fn has_room(&mut self, now: Time) -> bool {
        let second = now.as_millis() / 1000;
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= DENIALS_A_SECOND
    }
}

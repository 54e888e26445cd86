//! One member of a shared subscription gets the message (MQTT 5.0, 4.8.2).
//!
//! The worker that takes the message in chooses among all members, by what they show of
//! themselves: connected, and with room. The chosen one's home delivers; if it is gone by
//! then, its home chooses again.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::Outbound;
use protocol::session::Matched;
use topics::{GroupRoute, Member, Pick, Strategy};
use types::{Action, Body, Message, SessionKey, SessionRef, SubscriptionFilter, Time, TopicName};

use super::Worker;
use super::watch::About;
use crate::event::DropReason;
use crate::mail::{Mail, Receipt, Share};
use crate::shared::stable_hash;

/// Where a message for a group comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Whom to tell when it is safe.
    pub(super) receipt: Option<Receipt>,
    /// It was recorded as on its way, and must be recorded as arrived.
    pub(super) passed: bool,
}

impl Worker {
    /// Gives a message to one member of a group.
    pub(super) fn share_out(
        &mut self,
        group: &GroupRoute,
        message: Arc<Message>,
        receipt: Option<Receipt>,
        now: Time,
    ) {
        self.await_receipt(receipt);
        let origin = Origin {
            receipt,
            passed: false,
        };
        self.share_beside(group, message, BTreeSet::new(), origin, now);
    }

    /// The same, passing over members that could not take it.
    fn share_beside(
        &mut self,
        group: &GroupRoute,
        message: Arc<Message>,
        mut tried: BTreeSet<SessionRef>,
        origin: Origin,
        now: Time,
    ) {
        let Some(member) = self.choose_member(group, &message, &mut tried) else {
            return self.share_with_nobody(group.filter(), &message, origin, DropReason::NoMember);
        };
        let share = Share {
            to: member.subscriber.key,
            message,
            qos: member.options.qos,
            retain_as_published: member.options.retain_as_published,
            id: member.id,
            group: Arc::clone(group.filter()),
            tried,
            receipt: origin.receipt,
            passed: origin.passed,
        };
        let to = member.subscriber.worker;
        if to == self.id {
            self.take_share(share, now);
        } else {
            self.mark_remote(share.receipt);
            self.charge_mail(to, &share.message, 1);
            self.actions.push_back(Action::Mail {
                to,
                mail: Mail::Share(Box::new(share)),
            });
        }
    }

    /// The member that gets a message. Whoever is at home here and has left the group, which the
    /// index does not know yet, joins those that were tried: all at once, because as many may
    /// have left as the index lags behind.
    fn choose_member<'a>(
        &mut self,
        group: &'a GroupRoute,
        message: &Message,
        tried: &mut BTreeSet<SessionRef>,
    ) -> Option<&'a Member> {
        let strategy = self.shared.config.strategy;
        let publisher = match strategy {
            Strategy::HashClient => self.publisher_hash(message),
            _ => 0,
        };
        let random = self.next_random();
        loop {
            let pick = Pick {
                publisher,
                topic: message.topic(),
                random,
                skip: tried,
            };
            let chosen = group.choose(strategy, &pick)?;
            if !self.has_left(chosen.subscriber, group.filter()) {
                return Some(chosen);
            }
            let members = group.members().iter().map(|member| member.subscriber);
            tried.extend(members.filter(|member| self.has_left(*member, group.filter())));
        }
    }

    /// Whether a session that is at home here is in the group no more.
    fn has_left(&self, member: SessionRef, group: &SubscriptionFilter) -> bool {
        member.worker == self.id
            && self
                .clients
                .at(member.key)
                .is_none_or(|client| client.session.subscriptions.subscription(group).is_none())
    }

    fn publisher_hash(&self, message: &Message) -> u64 {
        match message.publisher() {
            Some(publisher) => {
                let number =
                    u64::from(publisher.worker.0) << 48 ^ u64::from(publisher.key.slot) << 16;
                stable_hash(self.shared.config.seed, &number.to_be_bytes())
            }
            None => 0,
        }
    }

    /// The chosen member is at home here.
    pub(super) fn take_share(&mut self, share: Share, now: Time) {
        let Share {
            to,
            message,
            qos,
            retain_as_published,
            id,
            group,
            mut tried,
            receipt,
            passed,
        } = share;
        let member = SessionRef {
            worker: self.id,
            key: to,
        };
        let qos = message.qos().min(qos);
        if self.has_left(member, &group) || !self.may_have(to, message.topic(), qos) {
            tried.insert(member);
            let origin = Origin { receipt, passed };
            self.share_again(&group, message, tried, origin, now);
            return;
        }
        let outbound = Outbound {
            qos,
            retain: message.retain() && retain_as_published,
            matched: Matched::new(id.map(|id| [id].into()), Some(Arc::clone(&group))),
            number: None,
            body: Body::Here(Arc::clone(&message)),
        };
        self.begin_record();
        self.deliver_outbound(to, outbound, now);
        self.record_owed(&message, receipt, Some(&group), now);
        self.pump(to, now);
        if passed {
            self.record_arrived(message.reference(), &group);
        }
    }

    /// Chooses again for a message that a member did not or will not take.
    pub(super) fn share_again(
        &mut self,
        group: &SubscriptionFilter,
        message: Arc<Message>,
        tried: BTreeSet<SessionRef>,
        origin: Origin,
        now: Time,
    ) {
        if message.is_expired(now) {
            return self.share_with_nobody(group, &message, origin, DropReason::Expired);
        }
        let Ok(topic) = TopicName::parse(message.topic(), u16::MAX) else {
            return;
        };
        let route = Arc::clone(self.routes.route(&self.shared.index, topic));
        match route
            .groups()
            .iter()
            .find(|known| **known.filter() == *group)
        {
            Some(group) => self.share_beside(group, message, tried, origin, now),
            None => self.share_with_nobody(group, &message, origin, DropReason::NoMember),
        }
    }

    /// A message for a group goes to no member.
    fn share_with_nobody(
        &mut self,
        group: &SubscriptionFilter,
        message: &Message,
        origin: Origin,
        why: DropReason,
    ) {
        let (topic, size) = (message.topic(), message.payload().len());
        let about = About::of(topic, &message.parts());
        self.lost_of(why, None, about, Some(message.qos()), size);
        if origin.passed {
            self.record_arrived(message.reference(), group);
        }
        self.settle_receipt(origin.receipt);
    }

    /// What a client leaves unacknowledged or waiting goes to other members of its groups. A
    /// client that keeps its session keeps the messages too, unless another member is
    /// connected.
    pub(super) fn hand_on(&mut self, key: SessionKey, session_ends: bool, now: Time) {
        let me = SessionRef {
            worker: self.id,
            key,
        };
        let Some(client) = self.clients.at(key) else {
            return;
        };
        if !client.session.subscriptions.any_shared() {
            return;
        }
        let groups: Vec<SubscriptionFilter> = client
            .session
            .subscriptions
            .iter() // in order
            .filter(|(filter, _)| filter.share.is_some())
            .filter(|(filter, _)| session_ends || self.shared.index.has_online_member(filter, me))
            .map(|(filter, _)| filter.clone())
            .collect();
        let taken = self.clients.at_mut(key).map_or_else(Vec::new, |client| {
            client
                .session
                .take_shared(|filter| groups.binary_search(filter).is_ok())
        });
        // A member that is away gets it back if all others turn out to have left the group.
        let tried: BTreeSet<SessionRef> = session_ends.then_some(me).into_iter().collect();
        self.hand_over(key, taken, &tried, now);
    }

    /// What members of groups may not have goes to others, of which one may (S49). Not at once: a
    /// member that may not either would be asked within the first one's turn to write, and so on.
    pub(super) fn pass_declined(&mut self, now: Time) {
        for (key, outbound) in std::mem::take(&mut self.declined) {
            let me = SessionRef {
                worker: self.id,
                key,
            };
            self.hand_over(key, vec![outbound], &BTreeSet::from([me]), now);
        }
    }

    /// What a session had by its groups goes to other members.
    pub(super) fn hand_over(
        &mut self,
        key: SessionKey,
        taken: Vec<Outbound>,
        tried: &BTreeSet<SessionRef>,
        now: Time,
    ) {
        for outbound in taken {
            if let Some(group) = outbound.matched.share() {
                let passed = self.record_passed(key, group, outbound.number, &outbound.body);
                let body = match outbound.body {
                    // The store was not owed it here, and may have forgotten it since.
                    Body::Here(message) if !passed && message.reference().is_some() => {
                        Body::Here(Arc::new(message.anew()))
                    }
                    body => body,
                };
                self.pass_on(Arc::clone(group), body, tried, passed, now);
            }
        }
        self.recount(key);
    }
}

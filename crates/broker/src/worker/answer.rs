//! Questions of the control plane.

use std::sync::Arc;

use auth::{Access, Verdict};
use types::{ClientId, QoS, SessionKey, SubscriptionFilter, TopicName};

use super::Worker;
use crate::client::{Asks, Client};
use crate::conn::Conn;
use crate::question::{
    Ask, ClientFacts, Clients, Findings, Gets, LinkFacts, Presence, Question, Subscriber,
    Subscribers, SubscriptionFacts, Wanted,
};
use crate::slots::Slots;

/// Questions answered in one turn, each with at most [`Question::MOST`] entries.
const QUESTIONS_PER_TURN: usize = 2;

impl Worker {
    /// Answers some of the questions that wait.
    pub(super) fn answer_questions(&mut self) {
        for _ in 0..QUESTIONS_PER_TURN {
            let Some(ask) = self.questions.pop_front() else {
                return;
            };
            let Ask { question, reply } = *ask;
            reply(self.find_out(&question));
        }
    }

    fn find_out(&mut self, question: &Question) -> Findings {
        match question {
            Question::Client {
                client,
                after,
                most,
            } => Findings::Client(self.facts_of(client, after.as_ref(), *most)),
            Question::Clients {
                wanted,
                after,
                most,
            } => {
                let most = (*most).clamp(1, Question::MOST);
                Findings::Clients(self.clients_of(wanted, *after, most))
            }
            Question::Subscribers {
                topic,
                qos,
                group,
                after,
                most,
            } => {
                let most = (*most).clamp(1, Question::MOST);
                let wanted = (*qos, group.as_ref());
                Findings::Subscribers(self.subscribers_of(topic, wanted, *after, most))
            }
        }
    }

    fn facts_of(
        &mut self,
        client: &str,
        after: Option<&SubscriptionFilter>,
        most: usize,
    ) -> Option<Box<ClientFacts>> {
        let key = *self.by_id.get(&ClientId::new(client)?)?;
        let client = self.clients.at(key)?;
        let mut facts = facts(client, &self.conns);
        let asks = client.asks;
        let known = &client.session.subscriptions;
        let mut next = known.next_after(after);
        while let Some((filter, subscription)) = next
            && facts.subscriptions.len() < most.min(Question::MOST)
        {
            facts.subscriptions.push(SubscriptionFacts {
                filter: filter.clone(),
                options: subscription.options,
                in_part: false,
            });
            next = known.next_after(Some(filter));
        }
        // Of others it is known that none is.
        if matches!(asks, Asks::InPart | Asks::Unreviewed | Asks::Returning) {
            for one in &mut facts.subscriptions {
                let access = Access::Subscribe {
                    filter: &one.filter.filter,
                    qos: one.options.qos,
                };
                one.in_part = self.decide(key, &access).verdict == Verdict::Partly;
            }
        }
        Some(Box::new(facts))
    }

    fn clients_of(&self, wanted: &Wanted, after: Option<SessionKey>, most: usize) -> Clients {
        let mut found = Clients::default();
        let first = after.map_or(0, |after| after.slot.saturating_add(1));
        for (looks, slot) in (first..).enumerate() {
            let Some(key) = self.clients.key_at::<SessionKey>(slot) else {
                found.next = None;
                return found;
            };
            if found.clients.len() >= most || looks >= Question::LOOKS {
                break;
            }
            // Only the slot counts: whoever has it later is behind it, too.
            found.next = Some(key.unwrap_or(SessionKey {
                slot,
                generation: 0,
            }));
            let client = key.and_then(|key| self.clients.at(key));
            let client = client.filter(|client| is_wanted(wanted, client, &self.conns));
            found
                .clients
                .extend(client.map(|client| facts(client, &self.conns)));
        }
        found
    }

    fn subscribers_of(
        &mut self,
        topic: &str,
        (qos, group): (QoS, Option<&SubscriptionFilter>),
        after: Option<SessionKey>,
        most: usize,
    ) -> Option<Subscribers> {
        let name = TopicName::parse(topic, self.limits.topic_levels).ok()?;
        let route = Arc::clone(self.routes.route(&self.shared.index, name));
        let mut found = Subscribers::default();
        let wanted: Vec<(SessionKey, QoS)> = match group {
            None => {
                let groups = route.groups().iter();
                found.groups = groups
                    .map(|group| (Arc::clone(group.filter()), group.members().len()))
                    .take(Question::MOST)
                    .collect();
                let here = route.recipients(self.id).iter();
                here.filter(|one| after.is_none_or(|after| one.session > after))
                    .map(|one| (one.session, one.delivery.qos))
                    .take(most.saturating_add(1))
                    .collect()
            }
            Some(wanted) => {
                let mut groups = route.groups().iter();
                let group = groups.find(|group| **group.filter() == *wanted);
                let members = group.map_or(&[][..], |group| group.members());
                let here = members
                    .iter()
                    .filter(|member| member.subscriber.worker == self.id);
                let here = here.map(|member| (member.subscriber.key, member.options.qos));
                let mut here: Vec<_> = here
                    .filter(|(key, _)| after.is_none_or(|after| *key > after))
                    .collect();
                here.sort_unstable_by_key(|(key, _)| *key);
                here.truncate(most.saturating_add(1));
                here
            }
        };
        found.next = match wanted.len() > most {
            true => wanted.get(most.saturating_sub(1)).map(|(key, _)| *key),
            false => None,
        };
        for (key, granted) in wanted.into_iter().take(most) {
            let subscriber = self.subscriber(key, route.topic(), qos.min(granted));
            found.clients.extend(subscriber);
        }
        Some(found)
    }

    fn subscriber(&mut self, key: SessionKey, topic: &Arc<str>, qos: QoS) -> Option<Subscriber> {
        let is_allowed = self.may_have(key, topic, qos);
        let client = self.clients.at(key)?;
        let open = client
            .conn
            .and_then(|conn| self.conns.at(conn))
            .and_then(Conn::open);
        let mount = open.and_then(|open| open.mount.as_ref());
        let is_within = mount.is_none_or(|mount| mount.taken_off(topic).is_some());
        let gets = match (is_allowed && is_within, open.is_some(), qos) {
            (false, _, _) => Gets::Denied,
            (true, true, _) => Gets::Now,
            (true, false, QoS::AtMostOnce) if !self.limits.queue_qos0 => Gets::Away,
            (true, false, _) => Gets::Later,
        };
        Some(Subscriber {
            client: client.id.clone(),
            qos,
            gets,
        })
    }
}

/// What is known of a client, its subscriptions aside.
fn facts(client: &Client, conns: &Slots<Conn>) -> ClientFacts {
    let conn = client.conn.and_then(|conn| conns.at(conn));
    let link = conn.and_then(|conn| {
        let open = conn.open()?;
        Some(LinkFacts {
            info: conn.info.clone(),
            version: open.link.version(),
            keep_alive: open.link.keep_alive(),
            granted_until: open.term.as_ref().and_then(|term| term.ends),
        })
    });
    ClientFacts {
        client: client.id.clone(),
        identity: client.identity.clone(),
        grant: client.grant.clone(),
        link,
        expiry: client.expiry,
        waiting: client.session.queued_len(),
        inflight: client.session.inflight_len(),
        subscription_count: client.session.subscriptions.len(),
        subscriptions: Vec::new(),
    }
}

fn is_wanted(wanted: &Wanted, client: &Client, conns: &Slots<Conn>) -> bool {
    let conn = client.conn.and_then(|conn| conns.at(conn));
    let presence = match conn {
        Some(_) => Presence::Connected,
        None => Presence::Away,
    };
    let like = wanted.like.as_deref();
    let user = wanted.user.as_deref();
    like.is_none_or(|like| client.id.as_str().contains(like))
        && user.is_none_or(|user| client.identity.user() == Some(user))
        && wanted.presence.is_none_or(|wanted| wanted == presence)
        && wanted
            .address
            .is_none_or(|address| conn.is_some_and(|conn| conn.info.peer.ip() == Some(address)))
        && wanted
            .listener
            .is_none_or(|place| conn.is_some_and(|conn| conn.info.listener == place))
}

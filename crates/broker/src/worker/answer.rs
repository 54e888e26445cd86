//! Questions of the control plane.

use std::sync::Arc;
use std::time::Duration;

use auth::{Access, Verdict};
use types::{ClientId, QoS, SessionKey, SubscriptionFilter, Time, TopicName};

use super::Worker;
use crate::client::{Asks, Client};
use crate::conn::Conn;
use crate::question::{
    Ask, ClientFacts, Clients, Findings, Gets, Late, LateClient, LinkFacts, Presence, Question,
    Subscriber, Subscribers, SubscriptionFacts, Wanted, WillFacts,
};
use crate::slots::Slots;

/// Questions answered in one turn, each with at most [`Question::MOST`] entries.
const QUESTIONS_PER_TURN: usize = 2;

impl Worker {
    /// Answers some of the questions that wait.
    pub(super) fn answer_questions(&mut self, now: Time) {
        for _ in 0..QUESTIONS_PER_TURN {
            let Some(ask) = self.questions.pop_front() else {
                return;
            };
            let Ask { question, reply } = *ask;
            let findings = self.find_out(&question, now);
            match question {
                Question::Messages { .. } | Question::Retained { load: true, .. } => {
                    self.reply_with_bodies(findings, reply);
                }
                _ => reply(findings),
            }
        }
    }

    fn find_out(&mut self, question: &Question, now: Time) -> Findings {
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
                publisher,
                group,
                after,
                most,
            } => {
                let most = (*most).clamp(1, Question::MOST);
                let message = (&**topic, *qos, publisher.as_deref());
                let found = self.subscribers_of(message, group.as_ref(), *after, most);
                Findings::Subscribers(found)
            }
            Question::Subscriptions {
                wanted,
                after,
                most,
            } => {
                let most = (*most).clamp(1, Question::MOST);
                Findings::Subscriptions(self.subscriptions_of(wanted, after.as_ref(), most))
            }
            Question::Messages {
                client,
                part,
                from,
                most,
            } => {
                let most = (*most).min(Question::MOST);
                Findings::Messages(self.messages_of(client, *part, *from, most))
            }
            Question::Retained {
                filter,
                after,
                most,
                load: _,
            } => {
                let most = (*most).clamp(1, Question::MOST);
                Findings::Retained(self.retained_of(filter, after, most, now))
            }
            Question::Names(keys) => {
                let name = |key: &SessionKey| self.clients.at(*key).map(|it| it.id.clone());
                Findings::Names(keys.iter().take(Question::MOST).map(name).collect())
            }
            Question::Late { after } => Findings::Late(self.late_clients(*after)),
        }
    }

    /// Clients that have not acknowledged all, or whose link takes nothing.
    fn late_clients(&self, after: Option<SessionKey>) -> Late {
        let mut found = Late::default();
        let first = after.map_or(0, |after| after.slot.saturating_add(1));
        for (looks, slot) in (first..).enumerate() {
            let Some(key) = self.clients.key_at::<SessionKey>(slot) else {
                found.next = None;
                return found;
            };
            if found.clients.len() >= Question::MOST || looks >= Question::LOOKS {
                break;
            }
            found.next = Some(key.unwrap_or(SessionKey {
                slot,
                generation: 0,
            }));
            let client = key.and_then(|key| self.clients.at(key));
            let conn = client.and_then(|client| self.conns.at(client.conn?));
            let (Some(client), Some(conn)) = (client, conn) else {
                continue;
            };
            let oldest = client.session.oldest_inflight();
            if oldest.is_none() && !conn.blocked {
                continue;
            }
            let message = oldest.and_then(|id| client.session.inflight_message(id));
            found.clients.push(LateClient {
                client: client.id.clone(),
                oldest,
                topic: message.map(|message| Arc::clone(message.topic())),
                stalled: match conn.blocked {
                    true => self.last_turn.since(conn.last_written),
                    false => Duration::ZERO,
                },
            });
        }
        found
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
        (topic, qos, publisher): (&str, QoS, Option<&str>),
        group: Option<&SubscriptionFilter>,
        after: Option<SessionKey>,
        most: usize,
    ) -> Option<Subscribers> {
        let name = TopicName::parse(topic, self.limits.topic_levels).ok()?;
        let route = Arc::clone(self.routes.route(&self.shared.index, name));
        let publisher = publisher.and_then(ClientId::new);
        let publisher = publisher.and_then(|id| self.by_id.get(&id).copied());
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
                    .filter_map(|one| {
                        let delivery = one.delivery_for(publisher == Some(one.session))?;
                        Some((one.session, delivery.qos))
                    })
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
        let mut looks = Question::LOOKS;
        for (key, granted) in wanted.into_iter().take(most) {
            let subscriber = self.subscriber(key, route.topic(), qos.min(granted));
            found
                .clients
                .extend(subscriber.map(|subscriber| Subscriber {
                    filter: match group {
                        Some(group) => Some(group.clone()),
                        None => self.filter_of(key, name, &mut looks),
                    },
                    ..subscriber
                }));
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
            filter: None,
            is_online: open.is_some(),
            gets,
        })
    }

    /// A subscription of a client's own that matches, unless there are too many to look through.
    fn filter_of(
        &self,
        key: SessionKey,
        topic: TopicName<'_>,
        looks: &mut usize,
    ) -> Option<SubscriptionFilter> {
        let known = &self.clients.at(key)?.session.subscriptions;
        let mut own = known.iter().take(*looks);
        let found = own.find(|(filter, _)| {
            *looks = looks.saturating_sub(1);
            filter.share.is_none() && topics::matches(&filter.filter, topic)
        });
        found.map(|(filter, _)| filter.clone())
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
            clean_start: open.clean_start,
            window: open.link.window(),
            aliases: open.link.aliases(),
            packet_size: open.link.packet_size(),
            pending: conn.output.len(),
            traffic: conn.traffic,
        })
    });
    let open = conn.and_then(Conn::open);
    let will = match open {
        Some(open) => open.will.as_deref(),
        None => client.will.as_ref().map(|(_, will)| &**will),
    };
    ClientFacts {
        client: client.id.clone(),
        identity: client.identity.clone(),
        grant: client.grant.clone(),
        link,
        expiry: client.expiry,
        waiting: client.session.queued_len(),
        waiting_bytes: client.session.queued_bytes(),
        overflown: client.overflown,
        inflight: client.session.inflight_len(),
        unreleased: client.session.unreleased_len(),
        left: client.left,
        will: will.map(|will| WillFacts {
            topic: Arc::clone(&will.topic),
            qos: will.qos,
            retain: will.retain,
            delay: will.delay,
        }),
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
    let like_user = wanted.like_user.as_deref();
    let version = conn.and_then(|conn| Some(conn.open()?.link.version()));
    like.is_none_or(|like| client.id.as_str().contains(like))
        && like_user.is_none_or(|like| {
            let user = client.identity.user();
            user.is_some_and(|user| user.contains(like))
        })
        && wanted.version.is_none_or(|wanted| version == Some(wanted))
        && user.is_none_or(|user| client.identity.user() == Some(user))
        && wanted.presence.is_none_or(|wanted| wanted == presence)
        && wanted
            .address
            .is_none_or(|address| conn.is_some_and(|conn| conn.info.peer.ip() == Some(address)))
        && wanted
            .listener
            .is_none_or(|place| conn.is_some_and(|conn| conn.info.listener == place))
}

//! Who must and who may get a message.

use std::time::Duration;

use codec::{Packet, Publish};
use topics::matches;
use types::{QoS, SubscriptionFilter, TopicName};

use super::{Due, Kept, Publication, Reference, Session, Step, Subscription};
use crate::failure::{Failure, ensure};
use crate::messages::{MessageId, Messages};
use crate::universe::LinkId;

/// Whether a subscription's filter matches a topic.
pub(super) fn wants(subscription: &Subscription, topic: &str) -> bool {
    TopicName::parse(topic, u16::MAX).is_ok_and(|topic| matches(&subscription.filter.filter, topic))
}

impl Reference {
    /// A packet of a client that is connected reached the server.
    pub fn heard(
        &mut self,
        link: LinkId,
        packet: &Packet<'_>,
        messages: &Messages,
    ) -> Result<(), Failure> {
        let Some(record) = self.links.get_mut(&link) else {
            return Ok(());
        };
        record.last_heard = self.now;
        let Some(session) = record.session.filter(|_| record.open) else {
            return Ok(());
        };
        match packet {
            Packet::Publish(publish) => self.heard_publish(link, session, publish, messages)?,
            Packet::PubRel(ack) => {
                self.sessions[session].unreleased.remove(&ack.packet_id);
            }
            Packet::Subscribe(subscribe) => self.subscribing(session, subscribe)?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribing(session, unsubscribe)?,
            Packet::Disconnect(disconnect) => {
                self.goodbye(link, disconnect.reason, disconnect.session_expiry);
            }
            _ => {}
        }
        Ok(())
    }

    fn heard_publish(
        &mut self,
        link: LinkId,
        session: usize,
        publish: &Publish<'_>,
        messages: &Messages,
    ) -> Result<(), Failure> {
        let Some(record) = self.links.get_mut(&link) else {
            return Ok(());
        };
        let topic = match publish.properties.topic_alias {
            Some(alias) if publish.topic.is_empty() => record
                .topic_aliases
                .get(&alias)
                .cloned()
                .unwrap_or_default(),
            Some(alias) => {
                record.topic_aliases.insert(alias, publish.topic.to_owned());
                publish.topic.to_owned()
            }
            None => publish.topic.to_owned(),
        };
        if let (QoS::ExactlyOnce, Some(id)) = (publish.qos, publish.packet_id)
            && !self.sessions[session].unreleased.insert(id)
        {
            return Ok(());
        }
        let Some(message) = messages.find(publish.payload) else {
            ensure!(publish.payload.is_empty(), "a client sent what it did not");
            self.drop_retained(&topic);
            self.cleared.insert(topic);
            return Ok(());
        };
        ensure!(
            messages.at(message).topic == topic,
            "a client mixed its aliases up"
        );
        self.publish(session, message, false, messages);
        Ok(())
    }

    pub(super) fn publish_will(&mut self, session: usize, message: MessageId, messages: &Messages) {
        self.publish(session, message, true, messages);
    }

    /// The server takes a message in.
    fn publish(
        &mut self,
        publisher: usize,
        message: MessageId,
        is_will: bool,
        messages: &Messages,
    ) {
        let sent = messages.at(message);
        let step = self.step;
        let publication = Publication {
            message,
            publisher,
            from: step,
            // A publisher that waits for room in a mailbox is heard later.
            to: if self.plan.is_loose() {
                Step::MAX
            } else {
                step
            },
            expires: sent
                .expiry
                .map(|seconds| self.now + Duration::from_secs(u64::from(seconds))),
        };
        let number = self.publications.len();
        let earlier = self.of_message.entry(message).or_default();
        earlier.push(number);
        let first = earlier.len() == 1;
        if sent.retain {
            self.retain(&publication, sent.topic, is_will);
        }
        self.publications.push(publication.clone());
        if self.plan.is_loose() || !first {
            return;
        }
        self.unshared.push(number);
        for session in 0..self.sessions.len() {
            if let Some(due) = self.must_get(session, &publication, messages) {
                self.sessions[session].owed.push(due);
            }
        }
    }

    fn retain(&mut self, publication: &Publication, topic: &str, is_will: bool) {
        let message = publication.message;
        let step = self.step;
        let mut or = Vec::new();
        match self.retained.get(topic) {
            Some(old) if old.since == step && (old.is_will || is_will) => {
                or = [&[old.message], old.or.as_slice()].concat();
            }
            _ => self.drop_retained(topic),
        }
        let kept = Kept {
            message,
            expires: publication.expires,
            since: step,
            is_will,
            or,
        };
        self.retained.insert(topic.to_owned(), kept);
        let spans = self.kept.entry(message).or_default();
        spans.push((self.step, None));
    }

    /// A topic's retained message is replaced, cleared or expired.
    pub(super) fn drop_retained(&mut self, topic: &str) {
        let Some(kept) = self.retained.remove(topic) else {
            return;
        };
        for message in [&[kept.message], kept.or.as_slice()].concat() {
            let spans = self.kept.get_mut(&message);
            if let Some((_, until)) = spans.and_then(|spans| spans.last_mut()) {
                *until = Some(self.step);
            }
        }
        for session in &mut self.sessions {
            session
                .owed
                .retain(|due| !due.replay || due.message != kept.message);
        }
    }

    /// What a session is owed of a message by its own subscriptions.
    fn must_get(
        &self,
        session: usize,
        publication: &Publication,
        messages: &Messages,
    ) -> Option<Due> {
        let record = &self.sessions[session];
        if record.ended {
            return None;
        }
        let sent = messages.at(publication.message);
        let mine = publication.publisher == session;
        let granted = record
            .own(session, publication, sent.topic)
            .filter(|one| one.must_match(publication.from, publication.to))
            .filter_map(|one| record.surely_granted(one, mine, publication.to))
            .max()?;
        let qos = granted.min(sent.qos);
        // QoS 0 reaches who is there; a link that was given up leads nowhere.
        let there = record
            .conn
            .and_then(|link| self.links.get(&link))
            .is_some_and(|link| !link.abandoned);
        if qos == QoS::AtMostOnce && !there {
            return None;
        }
        Some(Due {
            message: publication.message,
            qos,
            expires: publication.expires,
            replay: false,
        })
    }
}

impl Session {
    /// The session's own subscriptions to a topic that take this publisher's messages.
    pub(super) fn own<'a>(
        &'a self,
        me: usize,
        publication: &'a Publication,
        topic: &'a str,
    ) -> impl Iterator<Item = &'a Subscription> {
        let mine = publication.publisher == me;
        self.subscriptions
            .iter()
            .filter(|one| one.filter.share.is_none())
            .filter(move |one| wants(one, topic) && !(mine && one.options.no_local))
    }

    /// The QoS that a subscription grants at least, and what may have taken its place by
    /// `to`; `None` if that takes no messages of the session's own.
    fn surely_granted(&self, one: &Subscription, mine: bool, to: Step) -> Option<QoS> {
        let mut qos = one.options.qos;
        for later in &self.subscriptions {
            if later.filter == one.filter && later.from > one.from && later.from <= to {
                if mine && later.options.no_local {
                    return None;
                }
                qos = qos.min(later.options.qos);
            }
        }
        Some(qos)
    }

    /// The groups that may give the session a message.
    pub(super) fn groups<'a>(
        &'a self,
        publication: &'a Publication,
        topic: &'a str,
    ) -> impl Iterator<Item = &'a Subscription> {
        self.subscriptions
            .iter()
            .filter(|one| one.filter.share.is_some())
            // A member that came later may get what another one left.
            .filter(|one| one.gone.is_none_or(|gone| gone >= publication.from))
            .filter(|one| wants(one, topic))
    }

    /// The present subscription to a filter.
    pub(super) fn present(&self, filter: &SubscriptionFilter) -> Option<usize> {
        self.subscriptions
            .iter()
            .position(|one| one.until.is_none() && one.filter == *filter)
    }
}

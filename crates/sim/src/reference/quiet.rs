//! What must be true when nothing is on its way.

use std::collections::BTreeMap;

use types::{QoS, SubscriptionFilter};

use super::publish::wants;
use super::{Kept, Publication, Reference};
use crate::failure::{Failure, ensure};
use crate::messages::{MessageId, Messages};

/// Counts that the server keeps of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Clients that are connected.
    pub connected: usize,
    /// Sessions.
    pub sessions: usize,
    /// Subscriptions in the index that are not shared.
    pub subscriptions: usize,
    /// Memberships in groups in the index.
    pub memberships: usize,
    /// Messages dropped for full queues, and for their size.
    pub dropped: u64,
}

impl Reference {
    /// Nothing is on its way: every index change is in place, all mail is read, every client
    /// that is connected has got and acknowledged everything.
    pub fn quiet(&mut self, counts: Counts, messages: &Messages) -> Result<(), Failure> {
        self.settle_subscriptions();
        self.expire_retained();
        self.check_owed(messages)?;
        self.check_groups(messages)?;
        ensure!(
            self.excused <= counts.dropped,
            "{} messages are lost and the server says it dropped {}",
            self.excused,
            counts.dropped
        );
        let (connected, sessions, own, shared) = self.counts();
        let mut expected = Counts {
            connected,
            sessions,
            subscriptions: own,
            memberships: shared,
            dropped: counts.dropped,
        };
        if self.plan.is_loose() {
            // What a link sent last may never have been read.
            expected.subscriptions = counts.subscriptions;
            expected.memberships = counts.memberships;
        }
        ensure!(
            counts == expected,
            "the server counts {counts:?}, not {expected:?}"
        );
        Ok(())
    }

    fn settle_subscriptions(&mut self) {
        if self.plan.is_loose() {
            return;
        }
        let step = self.step;
        for session in &mut self.sessions {
            for one in &mut session.subscriptions {
                one.sure = one.sure.or(Some(step));
                if one.until.is_some() {
                    one.gone = one.gone.or(Some(step));
                }
            }
        }
    }

    fn expire_retained(&mut self) {
        let now = self.now;
        let over: Vec<String> = self
            .retained
            .iter()
            .filter(|(_, kept)| kept.expires.is_some_and(|at| at <= now))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in over {
            self.drop_retained(&topic);
        }
    }

    /// Everything that is retained: topic and message, or those of which one is.
    pub fn retained(&self) -> BTreeMap<String, Vec<MessageId>> {
        let all = |kept: &Kept| [&[kept.message], kept.or.as_slice()].concat();
        self.retained
            .iter()
            .map(|(topic, kept)| (topic.clone(), all(kept)))
            .collect()
    }

    /// What was owed to a connected client has arrived, unless it expired or there was no
    /// room for it.
    fn check_owed(&mut self, messages: &Messages) -> Result<(), Failure> {
        let now = self.now;
        for session in 0..self.sessions.len() {
            let record = &mut self.sessions[session];
            let client = record.client;
            record
                .owed
                .retain(|due| due.expires.is_none_or(|at| at > now));
            if record.conn.is_none() {
                continue;
            }
            for due in std::mem::take(&mut record.owed) {
                let fits = self.surely_takes(client, due.message, messages);
                if fits && !self.plan.tight_queue {
                    let message = due.message;
                    return Err(Failure(format!(
                        "client{client} never got {message:?} at {:?}{} (MQTT-4.5.0-1): {:?}",
                        due.qos,
                        if due.replay { " as retained" } else { "" },
                        messages.at(message)
                    )));
                }
                self.excused += 1;
            }
        }
        Ok(())
    }

    /// One member of each group has got each message.
    fn check_groups(&mut self, messages: &Messages) -> Result<(), Failure> {
        for number in std::mem::take(&mut self.unshared) {
            let publication = self.publications[number].clone();
            let sent = messages.at(publication.message);
            let mut groups: Vec<SubscriptionFilter> = self
                .sessions
                .iter()
                .flat_map(|session| session.groups(&publication, sent.topic))
                .map(|one| one.filter.clone())
                .collect();
            groups.sort();
            groups.dedup();
            let once = self.of_message[&publication.message].len() == 1;
            let mut waits = false;
            for group in groups.iter().filter(|_| once) {
                waits |= self.check_group(&publication, group, messages)?;
            }
            if waits {
                self.unshared.push(number);
            }
        }
        Ok(())
    }

    /// Whether it must be looked at again because a member is away.
    fn check_group(
        &self,
        publication: &Publication,
        group: &SubscriptionFilter,
        messages: &Messages,
    ) -> Result<bool, Failure> {
        let message = publication.message;
        let sent = messages.at(message);
        let (mut sure, mut may_lose, mut waits) = (false, self.plan.tight_queue, false);
        let (mut at_least, mut at_most, mut again) = (0, 0, false);
        for (place, record) in self.sessions.iter().enumerate() {
            let memberships: Vec<_> = record
                .groups(publication, sent.topic)
                .filter(|one| one.filter == *group)
                .collect();
            let Some(last) = memberships.last() else {
                continue;
            };
            let qos = memberships.iter().map(|one| one.options.qos);
            let (low, high) = (qos.clone().min(), qos.max());
            let low = low.unwrap_or(QoS::AtMostOnce).min(sent.qos);
            let high = high.unwrap_or(QoS::AtMostOnce).min(sent.qos);
            may_lose |= !self.surely_takes(record.client, message, messages)
                || low == QoS::AtMostOnce && record.was_away
                || record.ended
                    && (high != low || high != QoS::AtLeastOnce || last.until.is_some());
            waits |= !record.ended && record.conn.is_none();
            let stays = !record.ended
                && memberships.iter().any(|one| {
                    one.must_match(publication.from, publication.to) && one.until.is_none()
                });
            sure |= stays;
            again |= record.was_away && self.may_be_handed_on(message, sent);
            let got = record.got.get(&message).copied().unwrap_or_default();
            let got = got.live + got.retained;
            at_most += got;
            at_least += got.saturating_sub(self.beside(place, publication, group, sent.topic));
        }
        ensure!(
            at_least <= 1 || again,
            "{message:?} reaches {at_least} members of {group} (4.8.2)"
        );
        if publication.expires.is_some_and(|at| at <= self.now) || may_lose || !sure {
            return Ok(false);
        }
        ensure!(
            at_most > 0 || waits,
            "{message:?} reaches no member of {group} (4.8.2): {sent:?}"
        );
        Ok(waits)
    }

    /// Copies that a session may have got by other ways than this group.
    fn beside(
        &self,
        session: usize,
        publication: &Publication,
        group: &SubscriptionFilter,
        topic: &str,
    ) -> usize {
        let record = &self.sessions[session];
        let own = record
            .own(session, publication, topic)
            .any(|one| one.may_match(publication.from, publication.to));
        let replays = record
            .subscriptions
            .iter()
            .filter(|one| one.replays && wants(one, topic))
            .count();
        let mut groups: Vec<_> = record
            .groups(publication, topic)
            .map(|one| &one.filter)
            .filter(|filter| *filter != group)
            .collect();
        groups.sort();
        groups.dedup();
        usize::from(own) + replays + groups.len()
    }
}

//! What must be true when everybody is back and nothing is on its way.

use std::collections::{BTreeMap, BTreeSet};

use store::RecoveredSession;
use types::QoS;

use super::{Ledger, MessageId, Posted, Session, Step};
use crate::failure::{Failure, ensure};

impl Ledger {
    /// All that was acknowledged is with those whom it is owed to.
    pub fn check_owed(&self) -> Result<(), Failure> {
        for session in self.sessions.iter().filter(|session| session.is_owed()) {
            self.check_session(session)?;
        }
        if self.plan.mixed_groups {
            return Ok(());
        }
        self.check_groups()
    }

    /// The messages that the server has taken over, and whose time is not up.
    fn taken(&self) -> impl Iterator<Item = (MessageId, &Posted)> {
        let all = self.posted.iter().enumerate();
        all.map(|(id, posted)| (MessageId(id), posted))
            .filter(|(_, posted)| {
                posted.acked.is_some() && !posted.clears && !posted.may_be_over(self.clock)
            })
    }

    fn check_session(&self, session: &Session) -> Result<(), Failure> {
        let filters = filters(session, false);
        for (message, posted) in self.taken() {
            let sure = filters
                .iter()
                .filter_map(|filter| session.sure_qos(filter, posted))
                .any(|qos| qos > QoS::AtMostOnce);
            let got = session.got.get(&message);
            ensure!(
                !sure || got.is_some_and(|got| got.live + got.retained > 0),
                "client{} never gets {message:?} of client{} on {} (QoS {}), which was acknowledged \
                 (MQTT-4.3.2-4, MQTT-4.3.3-8)",
                session.client,
                posted.publisher,
                posted.topic,
                posted.qos.bits()
            );
        }
        Ok(())
    }

    fn check_groups(&self) -> Result<(), Failure> {
        let groups: BTreeSet<&str> = self
            .sessions
            .iter()
            .flat_map(|session| filters(session, true))
            .collect();
        for group in groups {
            let members: Vec<&Session> = self
                .sessions
                .iter()
                .filter(|session| filters(session, true).contains(group))
                .collect();
            for (message, posted) in self.taken() {
                let ended = |one: &&Session| one.over.is_some_and(|over| over >= posted.from);
                let sure = members.iter().any(|one| {
                    let sure = one.sure_qos(group, posted);
                    let stays = one.is_owed() && one.is_in(group);
                    stays && sure.is_some_and(|qos| qos > QoS::AtMostOnce)
                });
                if !sure || members.iter().any(ended) {
                    continue;
                }
                ensure!(
                    members.iter().any(|one| one.got.contains_key(&message)),
                    "nobody of {group} gets {message:?} of client{}, which was acknowledged",
                    posted.publisher
                );
            }
        }
        Ok(())
    }

    /// The store has each session with just the subscriptions that its client made, and owes
    /// nothing to those who are connected.
    pub fn check_recovered(&self, recovered: &[RecoveredSession]) -> Result<(), Failure> {
        for session in self.sessions.iter().filter(|session| session.is_owed()) {
            let client = format!("client{}", session.client);
            let stored = recovered.iter().find(|one| one.client.as_str() == client);
            let Some(stored) = stored else {
                return Err(Failure(format!("{client} is not in the store")));
            };
            session.check_subscriptions(&stored.subscriptions)?;
            let left = stored.deliveries.len();
            ensure!(
                left == 0,
                "the store owes {client} {left} messages that it has got"
            );
        }
        Ok(())
    }

    /// Who subscribes now gets for each topic what was set last, as far as that is known.
    pub fn check_retained(&self, found: &BTreeMap<String, MessageId>) -> Result<(), Failure> {
        let mut topics: BTreeSet<&str> = found.keys().map(String::as_str).collect();
        topics.extend(
            self.posted
                .iter()
                .filter(|one| one.retain)
                .map(|one| one.topic),
        );
        for topic in topics {
            let set: Vec<(MessageId, &Posted)> = self
                .posted
                .iter()
                .enumerate()
                .map(|(id, posted)| (MessageId(id), posted))
                .filter(|(_, posted)| posted.retain && posted.topic == topic)
                .collect();
            let may_be_last = |one: &Posted| {
                let end = one.ended.unwrap_or(Step::MAX);
                !set.iter()
                    .any(|(_, other)| other.acked.is_some() && other.from > end)
            };
            match found.get(topic) {
                Some(message) => {
                    let posted = &self.posted[message.0];
                    ensure!(
                        posted.retain && may_be_last(posted),
                        "{message:?} is retained on {topic}, and a later one was acknowledged"
                    );
                    ensure!(
                        posted.expires().is_none_or(|over| self.clock < over),
                        "{message:?} is retained on {topic} and has expired (MQTT-3.3.2-5)"
                    );
                }
                None => {
                    let never = set.iter().all(|(_, one)| one.acked.is_none());
                    let gone = set.iter().any(|(_, one)| {
                        may_be_last(one) && (one.clears || one.may_be_over(self.clock))
                    });
                    ensure!(
                        never || gone || self.forgotten,
                        "nothing is retained on {topic}, and {:?} was acknowledged",
                        set.iter()
                            .rfind(|(_, one)| one.acked.is_some())
                            .map(|(id, _)| id)
                    );
                }
            }
        }
        Ok(())
    }
}

/// The filters of a session, of groups or its own.
fn filters(session: &Session, shared: bool) -> BTreeSet<&'static str> {
    let all = session.subscriptions.iter();
    all.filter(|one| one.is_shared() == shared)
        .map(|one| one.filter)
        .collect()
}

//! Who wants what, when.

use std::num::NonZeroU32;

use store::RecoveredSubscription;
use types::{QoS, SubscriptionOptions};

use super::{Ledger, Posted, Session, Step};
use crate::failure::{Failure, ensure};
use crate::rng::Rng;

/// One SUBSCRIBE, to what ends or replaces it.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) filter: &'static str,
    pub(super) options: SubscriptionOptions,
    pub(super) id: Option<NonZeroU32>,
    /// SUBSCRIBE was sent.
    sent: Step,
    /// SUBACK came.
    acked: Option<Step>,
    /// UNSUBSCRIBE, or another SUBSCRIBE, was sent.
    until: Option<Step>,
    /// And acknowledged.
    gone: Option<Step>,
    /// It was another SUBSCRIBE.
    replaced: bool,
}

impl Subscription {
    pub(super) fn is_shared(&self) -> bool {
        self.filter.starts_with("$share/")
    }

    pub(super) fn wants(&self, topic: &str) -> bool {
        matches(self.filter, topic)
    }

    /// Whether a message may have been taken over while this held. A group hands on to those who
    /// came later, too.
    pub(super) fn may_match(&self, posted: &Posted) -> bool {
        let end = posted.ended.filter(|_| !self.is_shared());
        self.sent <= end.unwrap_or(Step::MAX)
            && self.gone.is_none_or(|gone| gone >= posted.from)
            && self.wants(posted.topic)
    }
}

/// Whether a filter matches a topic; what is behind `$share/name/` counts.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    let filter = match filter.strip_prefix("$share/") {
        Some(rest) => rest.split_once('/').map_or("", |(_, filter)| filter),
        None => filter,
    };
    let mut topics = topic.split('/');
    for level in filter.split('/') {
        match (level, topics.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(topic)) if level == topic => {}
            _ => return false,
        }
    }
    topics.next().is_none()
}

impl Session {
    /// Whether it had a subscription for sure before the message was sent first.
    pub(super) fn is_sure_of(&self, posted: &Posted) -> bool {
        let own = posted.publisher == self.client;
        self.subscriptions.iter().any(|one| {
            let before = one.acked.is_some_and(|step| step < posted.from);
            let lasts = before && one.until.is_none() && !(own && one.options.no_local);
            lasts && !one.is_shared() && one.wants(posted.topic)
        })
    }

    /// Whether it is in a group for sure, as far as was asked for until now.
    pub(super) fn is_in(&self, group: &str) -> bool {
        let mut all = self.subscriptions.iter();
        let last = all.rfind(|one| one.filter == group);
        last.is_some_and(|one| one.until.is_none())
    }

    /// Holds what the store has against what the client asked for and heard of.
    pub(super) fn check_subscriptions(
        &self,
        stored: &[RecoveredSubscription],
    ) -> Result<(), Failure> {
        let client = self.client;
        for found in stored {
            let filter = found.filter.to_string();
            let known = self.subscriptions.iter().any(|one| {
                let same = (one.options, one.id) == (found.options, found.id);
                one.filter == filter && one.gone.is_none() && same
            });
            ensure!(
                known,
                "the store has client{client} subscribed to {found:?}"
            );
        }
        for (place, one) in self.subscriptions.iter().enumerate() {
            let behind = self.subscriptions.get(place + 1..).unwrap_or_default();
            let last = behind.iter().all(|later| later.filter != one.filter);
            if one.acked.is_none() || one.until.is_some() || !last {
                continue;
            }
            let found = stored.iter().any(|found| {
                let same = (one.options, one.id) == (found.options, found.id);
                found.filter.to_string() == one.filter && same
            });
            ensure!(
                found,
                "client{client} is subscribed to {one:?}, which the store does not have: {stored:?}"
            );
        }
        Ok(())
    }

    /// The lowest QoS at which this filter surely held while the server took the message over.
    pub(super) fn sure_qos(&self, filter: &str, posted: &Posted) -> Option<QoS> {
        let (acked, _) = posted.acked?;
        if !matches(filter, posted.topic) {
            return None;
        }
        let same = || self.subscriptions.iter().filter(|one| one.filter == filter);
        let begins = same().find(|one| {
            one.acked.is_some_and(|step| step < posted.from)
                && one.gone.is_none_or(|gone| gone > acked)
        })?;
        let unbroken = same()
            .filter(|one| one.sent >= begins.sent)
            .all(|one| one.replaced || one.until.is_none_or(|until| until > acked));
        let own = posted.publisher == self.client;
        let possible = || {
            same().filter(|one| one.sent <= acked && one.gone.is_none_or(|gone| gone > posted.from))
        };
        if !unbroken || own && possible().any(|one| one.options.no_local) {
            return None;
        }
        possible().map(|one| one.options.qos.min(posted.qos)).min()
    }
}

impl Ledger {
    fn session_mut(&mut self, client: usize) -> Option<&mut Session> {
        let session = self.current[client]?;
        self.sessions.get_mut(session)
    }

    /// SUBSCRIBE is sent. The subscription's place in the session.
    pub fn subscribing(
        &mut self,
        client: usize,
        filter: &'static str,
        options: SubscriptionOptions,
        id: Option<u32>,
    ) -> usize {
        let sent = self.tick();
        let Some(session) = self.session_mut(client) else {
            return 0;
        };
        for one in &mut session.subscriptions {
            if one.filter == filter && one.until.is_none() {
                one.until = Some(sent);
                one.replaced = true;
            }
        }
        session.subscriptions.push(Subscription {
            filter,
            options,
            id: id.and_then(NonZeroU32::new),
            sent,
            acked: None,
            until: None,
            gone: None,
            replaced: false,
        });
        session.subscriptions.len() - 1
    }

    /// SUBACK came: from now on the session is safe, and what it replaced is gone.
    pub fn subscribed(&mut self, client: usize, place: usize) {
        let step = self.tick();
        let Some(session) = self.session_mut(client) else {
            return;
        };
        session.is_sure();
        let filter = session.subscriptions[place].filter;
        session.subscriptions[place].acked = Some(step);
        for one in &mut session.subscriptions[..place] {
            if one.filter == filter {
                one.gone = one.gone.or(Some(step));
            }
        }
    }

    /// SUBACK said that the store is full: what was there before is as it was, though nothing is
    /// asked of it from here on.
    pub fn subscription_refused(&mut self, client: usize, place: usize) {
        let step = self.tick();
        if let Some(session) = self.session_mut(client) {
            let one = &mut session.subscriptions[place];
            one.until = one.until.or(Some(step));
            one.gone = one.gone.or(Some(step));
        }
    }

    /// Some subscription that a client has, with its place.
    pub fn some_subscription(&self, client: usize, rng: &mut Rng) -> Option<(usize, &'static str)> {
        let session = &self.sessions[self.current[client]?];
        let all: Vec<(usize, &'static str)> = session
            .subscriptions
            .iter()
            .enumerate()
            .filter(|(_, one)| one.acked.is_some() && one.until.is_none())
            .map(|(place, one)| (place, one.filter))
            .collect();
        (!all.is_empty()).then(|| rng.pick(&all))
    }

    /// UNSUBSCRIBE is sent.
    pub fn unsubscribing(&mut self, client: usize, place: usize) {
        let step = self.tick();
        if let Some(session) = self.session_mut(client) {
            let one = &mut session.subscriptions[place];
            one.until = Some(step);
        }
    }

    /// UNSUBACK came, with this reason in 5.0: the subscription must have been there.
    pub fn unsubscribed(
        &mut self,
        client: usize,
        place: usize,
        reason: Option<u8>,
    ) -> Result<(), Failure> {
        let step = self.tick();
        let Some(session) = self.session_mut(client) else {
            return Ok(());
        };
        let filter = session.subscriptions[place].filter;
        ensure!(
            reason.is_none_or(|reason| reason == 0),
            "client{client} was subscribed to {filter} and hears {reason:?} (MQTT-3.11.3-2)"
        );
        for one in &mut session.subscriptions[..=place] {
            if one.filter == filter {
                one.gone = one.gone.or(Some(step));
            }
        }
        Ok(())
    }
}

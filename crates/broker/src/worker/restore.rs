//! Sessions and retained messages of earlier runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use auth::Identity;
use protocol::Outbound;
use protocol::session::subscriptions::Subscription;
use protocol::session::{Matched, Restored};
use store::{
    Recovered, RecoveredDelivery, RecoveredPublisher, RecoveredSession, RecoveredWill, Stage,
};
use topics::{IndexChange, MemberState};
use types::{Body, SessionKey, SessionRef, StoredBody, SubscriptionFilter, Time};

use super::Worker;
use crate::client::{Asks, Client};
use crate::conn::Will;
use crate::retained::{Kept, Publisher};
use crate::shared::Shared;

/// One worker's part of what the store gave back.
#[derive(Debug, Default)]
pub struct Restore {
    sessions: Vec<RecoveredSession>,
    /// Messages that were on their way from one member of a group to another.
    passed: Vec<(StoredBody, Arc<SubscriptionFilter>)>,
}

impl Shared {
    /// Takes the retained messages in and splits the sessions by their homes: one part for each
    /// worker, for [`Worker::restore`]. Before any worker runs.
    pub fn restore(&self, recovered: Recovered) -> Vec<Restore> {
        // One for all messages of a client, here as well.
        let mut publishers: BTreeMap<Arc<RecoveredPublisher>, Option<Arc<Publisher>>> =
            BTreeMap::new();
        for retained in recovered.retained {
            let publisher = retained.publisher.and_then(|publisher| {
                let known = publishers
                    .entry(publisher)
                    .or_insert_with_key(|publisher| Publisher::recovered(publisher).map(Arc::new));
                known.clone()
            });
            let kept = Kept {
                body: Body::Stored(retained.body),
                publisher,
            };
            self.retained
                .restore(retained.topic, kept, retained.sequence);
        }
        self.retained.set_sequence_floor(recovered.sequence);
        let mut parts: Vec<Restore> = (0..self.workers()).map(|_| Restore::default()).collect();
        for session in recovered.sessions {
            let home = self.home(session.client.as_str());
            if let Some(part) = parts.get_mut(home.index()) {
                part.sessions.push(session);
            }
        }
        if let Some(first) = parts.first_mut() {
            first.passed = recovered.passed;
        }
        parts
    }
}

impl Worker {
    /// Brings back the sessions that are at home here. Before the first link opens.
    pub fn restore(&mut self, part: Restore) {
        let now = Time::ZERO;
        for session in part.sessions {
            self.restore_session(session, now);
        }
        while !self.changes.is_empty() {
            let applied = self.shared.index.apply(&mut self.changes, usize::MAX);
            self.changes_applied = self
                .changes_applied
                .saturating_add(u64::try_from(applied).unwrap_or(0));
        }
        for (body, group) in part.passed {
            self.pass_on(group, Body::Stored(body), &BTreeSet::new(), true, now);
        }
    }

    fn restore_session(&mut self, recovered: RecoveredSession, now: Time) {
        let identity = Identity::of(recovered.user);
        let mut client = Client::new(recovered.client.clone(), identity, recovered.expiry);
        client.stored = Some(recovered.session);
        client.next_delivery = recovered.next;
        client.unsure = recovered.unsure;
        let ends = recovered.ends.unwrap_or(Time::MAX);
        client.ends = Some(ends);
        client.will = recovered
            .will
            .map(|(due, will)| (due, Box::new(keep(will))));
        let begun = recovered.begun.into_iter();
        client.begun = begun.map(|(id, owed)| (id, Arc::new(owed))).collect();
        let deliveries = recovered.deliveries.into_iter().map(restored);
        client.session.restore(deliveries, recovered.received);
        client.asks = Asks::Returning;
        let due = client.will.as_ref().map_or(ends, |(due, _)| ends.min(*due));
        let Some(key) = self.clients.insert(client) else {
            return;
        };
        self.by_id.insert(recovered.client, key);
        self.shared.sessions.fetch_add(1, Ordering::Relaxed);
        for subscription in recovered.subscriptions {
            let options = Subscription {
                options: subscription.options,
                id: subscription.id,
            };
            self.restore_subscription(key, subscription.filter, options);
        }
        self.recount(key);
        if due < Time::MAX {
            self.wake_session(key, due, now);
        }
    }

    fn restore_subscription(
        &mut self,
        key: SessionKey,
        filter: SubscriptionFilter,
        subscription: Subscription,
    ) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let session = &mut client.session;
        session.subscriptions.insert(filter.clone(), subscription);
        let member = filter.share.is_some().then(|| {
            let member = client.member.get_or_insert_with(|| {
                let member = MemberState::default();
                member.set_online(false);
                Arc::new(member)
            });
            Arc::clone(member)
        });
        let subscriber = SessionRef {
            worker: self.id,
            key,
        };
        self.change_index(IndexChange::Subscribe {
            filter,
            subscriber,
            options: subscription.options,
            id: subscription.id,
            member,
        });
    }
}

fn restored(delivery: RecoveredDelivery) -> Restored {
    let matched = Matched::new(delivery.ids, delivery.share);
    let outbound = |body| Outbound {
        body: Body::Stored(body),
        number: Some(delivery.number),
        qos: delivery.qos,
        retain: delivery.retain,
        matched,
    };
    match delivery.stage {
        Stage::Waiting(body) => Restored::Waiting(outbound(body)),
        Stage::Sent(id, body) => Restored::Sent(id, outbound(body)),
        Stage::Received(id) => Restored::Received(id, Some(delivery.number)),
    }
}

fn keep(will: RecoveredWill) -> Will {
    Will {
        topic: will.topic,
        properties: will.properties,
        payload: will.payload,
        qos: will.qos,
        retain: will.retain,
        delay: will.delay,
        message_expiry: will.message_expiry,
        durability: will.durability,
        left_from: None,
    }
}

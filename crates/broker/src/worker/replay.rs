//! Retained messages for new subscriptions, in steps, so that a wildcard over a million topics
//! neither fills the subscriber's output nor stalls anybody else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use protocol::Outbound;
use protocol::session::Matched;
use protocol::session::subscriptions::Subscription;
use topics::{ScanCursor, ScanProgress};
use types::{Body, Limits, MessageRef, SessionKey, SubscriptionFilter, Time, TopicFilter};

use super::Worker;
use super::deliver::PUMP_UP_TO;
use super::watch::About;
use crate::client::{Client, Replay};
use crate::conn::Conn;
use crate::event::DropReason;
use crate::retained::Kept;
use crate::slots::Slots;
use crate::timers::Timer;

/// How often expired retained messages are looked for.
pub(super) const PURGE_INTERVAL: Duration = Duration::from_secs(1);
/// How soon the next batch follows a full one.
const PURGE_PAUSE: Duration = Duration::from_millis(100);
/// Retained messages removed in one go.
const PURGE_BATCH: usize = 1024;
/// Retained messages that one subscriber gets in one step.
const STEP: usize = 64;
/// Steps in one turn, over all subscribers.
const STEPS_PER_TURN: usize = 8;
/// A replay rests while more than this waits in the subscriber's queue.
const REST_ABOVE: usize = 256;

impl Worker {
    /// Begins to send the retained messages that match. The index has taken the subscription
    /// over, so what is stored from now on arrives by it.
    pub(super) fn begin_replay(
        &mut self,
        key: SessionKey,
        filter: TopicFilter,
        subscription: Subscription,
    ) {
        if self.shared.retained.count() == 0 {
            return;
        }
        let until = self.shared.retained.sequence();
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let wanted = SubscriptionFilter {
            share: None,
            filter,
        };
        // UNSUBSCRIBE may have come in the same turn (MQTT-3.10.4-2).
        if client.session.subscriptions.subscription(&wanted).is_none() {
            return;
        }
        let (qos, id) = (subscription.options.qos, subscription.id);
        client
            .replays
            .get_or_insert_default()
            .entry(wanted.filter)
            .and_modify(|replay| {
                // Each SUBSCRIBE is owed a replay, and however many come they take no room.
                (replay.qos, replay.id) = (qos, id);
                replay.again = replay.again.saturating_add(1);
                replay.until_again = until;
            })
            .or_insert_with(|| Replay {
                qos,
                id,
                cursor: ScanCursor::default(),
                found: VecDeque::new(),
                walked: false,
                until,
                again: 0,
                until_again: until,
            });
        self.wake_replay(key);
    }

    /// Forgets a replay whose subscription is gone.
    pub(super) fn forget_replay(&mut self, key: SessionKey, filter: &TopicFilter) {
        if let Some(client) = self.clients.at_mut(key)
            && let Some(replays) = &mut client.replays
        {
            replays.remove(filter);
            if replays.is_empty() {
                client.replays = None;
            }
        }
    }

    /// Goes on with a client's replays if there are any and it has room.
    pub(super) fn wake_replay(&mut self, key: SessionKey) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        if client.replays.is_none() || client.replaying || client.awaited.is_some() {
            return;
        }
        if has_room(client, &self.conns, &self.limits, 0) {
            client.replaying = true;
            self.replaying.push_back(key);
        }
    }

    /// A bounded number of steps, one subscriber after the other.
    pub(super) fn step_replays(&mut self, now: Time) {
        for _ in 0..STEPS_PER_TURN {
            let Some(key) = self.replaying.pop_front() else {
                return;
            };
            let Some(client) = self.clients.at_mut(key) else {
                continue;
            };
            client.replaying = false;
            if client.conn.is_none() {
                continue;
            }
            let Some(mut replays) = client.replays.take() else {
                continue;
            };
            self.step(key, &mut replays, now);
            let Some(client) = self.clients.at_mut(key) else {
                continue;
            };
            if !replays.is_empty() {
                client.replays = Some(replays);
            }
            self.wake_replay(key);
        }
    }

    /// Walks on and hands over what the client has room for, so that none of it is ever
    /// dropped for the flood that it is itself.
    fn step(&mut self, key: SessionKey, replays: &mut BTreeMap<TopicFilter, Replay>, now: Time) {
        let Some(mut first) = replays.first_entry() else {
            return;
        };
        let filter = first.key().clone();
        let replay = first.get_mut();
        let waited = !replay.found.is_empty();
        if !waited && !replay.walked {
            self.walk(&filter, replay, now);
        }
        while let Some((_, kept)) = replay.found.front() {
            let size = kept.body.size();
            let room = |client: &Client| has_room(client, &self.conns, &self.limits, size);
            if !self.clients.at(key).is_some_and(room) {
                return;
            }
            if kept.body.message().is_none() {
                return self.load_found(key, replay);
            }
            let Some((sequence, kept)) = replay.found.pop_front() else {
                return;
            };
            let Some(message) = kept.body.message().cloned() else {
                return;
            };
            // What took its place meanwhile came by the subscription: the client must not end
            // up with the older value.
            let replaced = waited && !self.shared.retained.is_newest(message.topic(), sequence);
            if replaced || message.is_expired(now) {
                continue;
            }
            if !self.stands(&kept, message.topic()) {
                let size = message.payload().len();
                let (reason, qos) = (DropReason::NotAuthorized, Some(message.qos()));
                let about = About::of(message.topic(), &message.parts());
                self.lost_of(reason, Some(key), about, qos, size);
                continue;
            }
            let outbound = Outbound {
                qos: message.qos().min(replay.qos),
                retain: true,
                matched: Matched::new(replay.id.map(|id| [id].into()), None),
                number: None,
                body: Body::Here(Arc::clone(&message)),
            };
            self.begin_record();
            self.deliver_outbound(key, outbound, now);
            self.record_owed(&message, None, None, now);
            self.pump(key, now);
        }
        if !replay.walked {
            return;
        }
        match replay.again.checked_sub(1) {
            None => drop(first.remove()),
            Some(again) => {
                replay.again = again;
                replay.until = replay.until_again;
                replay.cursor = ScanCursor::default();
                replay.walked = false;
            }
        }
    }

    fn walk(&self, filter: &TopicFilter, replay: &mut Replay, now: Time) {
        let mut found: Vec<(u64, Kept)> = Vec::new();
        let progress = self
            .shared
            .retained
            .scan(filter, &mut replay.cursor, STEP, now, &mut found);
        replay.walked = progress == ScanProgress::Done;
        let until = replay.until;
        let wanted = found.into_iter().filter(|(sequence, _)| *sequence <= until);
        replay.found.extend(wanted);
    }

    /// Asks the store for what was found and is not in memory.
    fn load_found(&mut self, key: SessionKey, replay: &Replay) {
        let bodies = replay.found.iter().map(|(_, kept)| &kept.body);
        let missing: Vec<MessageRef> = bodies
            .filter(|body| body.message().is_none())
            .filter_map(Body::reference)
            .collect();
        if let Some(client) = self.clients.at_mut(key) {
            client.awaited = missing.last().copied();
            self.store.load(key, &missing);
        }
    }

    pub(super) fn purge_retained(&mut self, now: Time) {
        let purged = self.shared.retained.purge_expired(now, PURGE_BATCH);
        // A full batch means that more wait; others have their turn in between.
        let pause = if purged < PURGE_BATCH {
            PURGE_INTERVAL
        } else {
            PURGE_PAUSE
        };
        self.timers.set(now + pause, Timer::RetainedExpiry);
    }
}

/// Whether a client is connected, takes what it is sent, and has room for a message of this
/// size in its queue, were it to wait there. An empty queue has room for any: what it cannot
/// hold at all is its policy's to drop.
fn has_room(client: &Client, conns: &Slots<Conn>, limits: &Limits, size: usize) -> bool {
    let Some(conn) = client.conn.and_then(|conn| conns.at(conn)) else {
        return false;
    };
    let backlog = conn.output.len();
    if backlog >= PUMP_UP_TO || backlog > limits.output_bytes {
        return false;
    }
    let most = usize::try_from(limits.queued_messages).unwrap_or(usize::MAX);
    let waiting = client.session.queued_len();
    let bytes = client.session.queued_bytes().saturating_add(size);
    waiting == 0 || (waiting < REST_ABOVE.min(most) && bytes <= limits.queued_bytes)
}

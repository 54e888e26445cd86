//! The end of a replay, and what it gives back.

use std::sync::Arc;
use std::time::Duration;

use store::{
    Recovered, RecoveredDelivery, RecoveredRetained, RecoveredSession, RecoveredSubscription, Stage,
};
use types::{ClientId, DeliveryNumber, MessageRef, PacketId, StoredBody, StoredSession, Time};

use super::queue::Entry;
use super::session::Session;
use super::weight::{group_bytes, publisher_bytes};
use super::{Cleared, Model, Phase, RETAIN, qos};
use crate::record::{Link, NEVER, StoreClock};

/// What could not be recovered, because the messages themselves are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Deliveries.
    pub deliveries: u64,
    /// The clients that they were owed to, in order of their names.
    pub clients: Vec<ClientId>,
    /// Topics whose retained message is missing, in order.
    pub retained: Vec<Arc<str>>,
    /// Messages on their way between members of a group.
    pub passed: u64,
    /// Clients of which records are lost, in order of their names, and how many deliveries those
    /// were about at most: some may have been acknowledged.
    pub suspects: Vec<(ClientId, u64)>,
}

impl Losses {
    /// Whether all is there.
    pub fn is_empty(&self) -> bool {
        self.deliveries == 0
            && self.retained.is_empty()
            && self.passed == 0
            && self.suspects.is_empty()
    }
}

impl Model {
    /// The messages in a segment are lost: it was put aside. To be called before
    /// [`Model::end_replay`].
    pub fn lose(&mut self, segment: u64) {
        self.messages.lose(segment);
    }

    /// Ends the replay at `now` on the store's clock. From here on no client is connected: its
    /// session ends, and its will is due, counted from now. Sessions that do not outlive their
    /// connection are gone, and so is what refers to messages that are not there.
    ///
    /// The next replay would count from its own end. So that a store which starts again and again
    /// keeps no session for ever, a checkpoint should follow soon.
    pub fn end_replay(&mut self, now: u64) -> Losses {
        self.phase = Phase::Live;
        self.anomalies = 0;
        let short: Vec<u64> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.details.expiry.is_zero())
            .map(|(&number, _)| number)
            .collect();
        for number in short {
            self.remove_session(number, now);
        }
        for session in self.sessions.values_mut() {
            // The workers of this run never hear of these.
            session.expired = 0;
            session.break_off();
            if session.details.link == Link::Connected {
                let before = session.details.bytes();
                session.details.set_link(left(session, now));
                let after = session.details.bytes();
                self.weight.sessions.replace(before, after);
            }
        }
        let mut losses = if self.messages.misses_some() {
            self.drop_missing(now)
        } else {
            Losses::default()
        };
        let suspects = self.gaps.take().into_iter();
        losses.suspects = suspects
            .filter_map(|(number, lost)| {
                let session = self.sessions.get(&number)?;
                Some((session.details.client.clone(), lost))
            })
            .collect();
        losses.suspects.sort_unstable();
        self.messages.forget_idle();
        for cleared in &mut self.cleared {
            cleared.since = now;
        }
        losses
    }

    fn drop_missing(&mut self, now: u64) -> Losses {
        let mut losses = Losses::default();
        self.drop_deliveries(now, &mut losses);
        let missing: Vec<Arc<str>> = self
            .retained
            .iter()
            .filter(|(_, known)| self.is_missing(known.message))
            .map(|(topic, _)| Arc::clone(topic))
            .collect();
        for topic in missing {
            if let Some(known) = self.retained.get_mut(&topic) {
                let message = std::mem::take(&mut known.message);
                let publisher = known.publisher.take();
                let bytes = publisher_bytes(publisher.as_deref());
                self.weight.topics.take(bytes);
                self.cleared.push_back(Cleared {
                    topic: Arc::clone(&topic),
                    sequence: known.sequence,
                    since: now,
                });
                self.set = self.set.saturating_sub(1);
                self.messages.release(message, now);
                losses.retained.push(topic);
            }
        }
        losses.retained.sort_unstable();
        let mut passing = self.passing();
        passing.retain(|&message| self.is_missing(message));
        for message in passing {
            for group in self.passed.remove(&message).unwrap_or_default() {
                self.weight.topics.take(group_bytes(&group));
                self.messages.release(message, now);
                losses.passed = losses.passed.saturating_add(1);
            }
        }
        losses
    }

    fn drop_deliveries(&mut self, now: u64, losses: &mut Losses) {
        let mut lost: Vec<(u64, u64)> = Vec::new();
        for (&number, session) in &self.sessions {
            let entries = session.queue.iter();
            let missing = entries.filter(|entry| self.is_missing(entry.message));
            let before = lost.len();
            lost.extend(missing.map(|entry| (number, entry.number())));
            if lost.len() > before {
                losses.clients.push(session.details.client.clone());
            }
        }
        losses.clients.sort_unstable();
        losses.deliveries = u64::try_from(lost.len()).unwrap_or(u64::MAX);
        for (number, delivery) in lost {
            let session = self.sessions.get_mut(&number);
            if let Some(entry) = session.and_then(|session| session.queue.remove(delivery)) {
                self.discard(&entry, now);
            }
        }
    }

    fn is_missing(&self, message: u64) -> bool {
        message != 0 && self.messages.known(message).is_none()
    }

    /// What there is, for the workers of this run.
    pub fn recovered(&self, clock: StoreClock) -> Recovered {
        let mut numbers = self.session_numbers();
        numbers.sort_unstable();
        let sessions = numbers
            .into_iter()
            .filter_map(|number| Some((number, self.sessions.get(&number)?)))
            .filter(|(_, session)| !session.details.expiry.is_zero())
            .map(|(number, session)| self.recovered_session(number, session, clock))
            .collect();
        let mut retained: Vec<RecoveredRetained> = self
            .retained
            .iter()
            .filter_map(|(topic, known)| {
                Some(RecoveredRetained {
                    topic: Arc::clone(topic),
                    body: self.body(known.message, clock)?,
                    sequence: known.sequence,
                    publisher: known.publisher.clone(),
                })
            })
            .collect();
        retained.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        let mut passed = Vec::new();
        for (&message, groups) in &self.passed {
            if let Some(body) = self.body(message, clock) {
                passed.extend(groups.iter().map(|group| (body, Arc::new(group.clone()))));
            }
        }
        passed
            .sort_unstable_by(|(a, one), (b, other)| (a.reference, one).cmp(&(b.reference, other)));
        Recovered {
            sessions,
            retained,
            passed,
            sequence: self.sequence,
        }
    }

    fn recovered_session(
        &self,
        number: u64,
        session: &Session,
        clock: StoreClock,
    ) -> RecoveredSession {
        let link = match session.details.link {
            Link::Connected => left(session, clock.base),
            away @ Link::Away { .. } => away,
        };
        let (ends, due) = match link {
            Link::Connected => (None, None),
            Link::Away { ends, will } => (ends, will),
        };
        let subscriptions = session.details.subscriptions().iter();
        RecoveredSession {
            session: StoredSession(number),
            client: session.details.client.clone(),
            user: session.details.user.clone(),
            expiry: session.details.expiry,
            ends: ends.map(|millis| clock.time(millis)),
            will: due
                .zip(session.details.will.as_deref())
                .map(|(millis, will)| (clock.time(millis), will.clone())),
            subscriptions: subscriptions
                .map(|subscription| RecoveredSubscription {
                    filter: subscription.filter.clone(),
                    options: subscription.options,
                    id: subscription.id,
                })
                .collect(),
            deliveries: session
                .queue
                .iter()
                .filter_map(|entry| self.delivery(entry, clock))
                .collect(),
            next: session.next,
            unsure: session.unsure(),
            received: session.details.received().to_vec(),
            begun: session.details.begun().to_vec(),
        }
    }

    fn delivery(&self, entry: &Entry, clock: StoreClock) -> Option<RecoveredDelivery> {
        let stage = match (PacketId::new(entry.packet_id), entry.message) {
            (Some(id), 0) => Stage::Received(id),
            (Some(id), message) => Stage::Sent(id, self.body(message, clock)?),
            (None, message) => Stage::Waiting(self.body(message, clock)?),
        };
        Some(RecoveredDelivery {
            number: DeliveryNumber::new(entry.number())?,
            qos: qos(entry.flags),
            retain: entry.flags & RETAIN != 0,
            ids: self.extras.extra(entry.extra).ids().map(Iterator::collect),
            share: self.extras.group(entry.extra),
            stage,
        })
    }

    fn body(&self, message: u64, clock: StoreClock) -> Option<StoredBody> {
        let known = self.messages.known(message)?;
        Some(StoredBody {
            reference: MessageRef(message),
            size: known.size,
            expires: known.expires.map_or(Time::MAX, |at| clock.time(at)),
        })
    }
}

/// What becomes of a session whose connection is over at `now`. Its will waits no longer than the
/// session lasts (MQTT-3.1.3-9).
fn left(session: &Session, now: u64) -> Link {
    let ends = after(now, session.details.expiry);
    let delay = session.details.will.as_ref().map(|will| will.delay);
    Link::Away {
        ends: Some(ends).filter(|&time| time != NEVER),
        will: delay.map(|delay| after(now, delay).min(ends)),
    }
}

fn after(now: u64, span: Duration) -> u64 {
    let millis = u64::try_from(span.as_millis()).unwrap_or(NEVER);
    now.saturating_add(millis)
}

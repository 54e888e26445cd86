//! The plainest model there is: what records mean, by maps and lists.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use store::{
    Delivery, Publisher, Record, Recovered, RecoveredBegun, RecoveredDelivery, RecoveredPublisher,
    RecoveredRetained, RecoveredSession, RecoveredSubscription, RecoveredWill, Settled, Stage,
    WillParts,
};
use types::{
    ClientId, DeliveryNumber, Message, MessageRef, PacketId, StoredBody, StoredSession,
    SubscriptionFilter, SubscriptionOptions, Time,
};

use crate::model::Losses;

/// The last change of a topic: its message, its sequence, who published it.
type Change = (Option<MessageRef>, u64, Option<Arc<RecoveredPublisher>>);

#[derive(Clone, Debug)]
struct Owed {
    message: Option<MessageRef>,
    delivery: Delivery,
}

#[derive(Clone, Debug)]
struct Session {
    client: ClientId,
    user: Option<String>,
    expiry: Duration,
    will: Option<RecoveredWill>,
    /// `None`: connected.
    away: Option<(Option<Time>, Option<Time>)>,
    subscriptions: BTreeMap<SubscriptionFilter, (SubscriptionOptions, Option<NonZeroU32>)>,
    queue: BTreeMap<DeliveryNumber, Owed>,
    next: DeliveryNumber,
    unsure: DeliveryNumber,
    received: BTreeSet<PacketId>,
    begun: BTreeMap<PacketId, (BTreeSet<StoredSession>, BTreeSet<SubscriptionFilter>)>,
}

/// A model without checkpoints, places and forgetting.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plain {
    sessions: BTreeMap<u64, Session>,
    bodies: BTreeMap<MessageRef, (u32, Option<Time>)>,
    retained: BTreeMap<String, Change>,
    passed: BTreeSet<(MessageRef, SubscriptionFilter)>,
    last_session: u64,
    sequence: u64,
}

impl Plain {
    pub(crate) fn keep(&mut self, reference: MessageRef, message: &Message) {
        let size = u32::try_from(message.size()).unwrap();
        self.bodies.insert(reference, (size, message.expires()));
    }

    pub(crate) fn last_session(&self) -> u64 {
        self.last_session
    }

    /// Deliveries that are not settled.
    pub(crate) fn deliveries(&self) -> Vec<(StoredSession, DeliveryNumber)> {
        let sessions = self.sessions.iter();
        sessions
            .flat_map(|(&number, session)| {
                let queue = session.queue.keys();
                queue.map(move |&delivery| (StoredSession(number), delivery))
            })
            .collect()
    }

    pub(crate) fn next(&self, session: u64) -> DeliveryNumber {
        let session = self.sessions.get(&session);
        session.map_or(DeliveryNumber::FIRST, |session| session.next)
    }

    pub(crate) fn apply(&mut self, record: &Record<'_>) {
        match *record {
            Record::Owed {
                message,
                deliveries,
            } => {
                for delivery in deliveries {
                    if let Some(session) = self.sessions.get_mut(&delivery.session.0) {
                        session.next = session.next.max(delivery.number.next());
                        let owed = Owed {
                            message: Some(message),
                            delivery: delivery.clone(),
                        };
                        session.queue.insert(delivery.number, owed);
                    }
                }
            }
            Record::Retained {
                message,
                topic,
                sequence,
                publisher,
            } => self.change(topic, Some(message), sequence, publisher),
            Record::Cleared { topic, sequence } => self.change(topic, None, sequence, None),
            Record::Passed { message, group } => {
                self.passed.insert((message, group.clone()));
            }
            Record::Arrived { message, group } => {
                self.passed.remove(&(message, group.clone()));
            }
            Record::Session {
                session,
                client,
                user,
                expiry,
                will,
            } => {
                self.last_session = self.last_session.max(session.0);
                let known = self.sessions.entry(session.0).or_insert_with(|| Session {
                    client: client.clone(),
                    user: None,
                    expiry,
                    will: None,
                    away: None,
                    subscriptions: BTreeMap::new(),
                    queue: BTreeMap::new(),
                    next: DeliveryNumber::FIRST,
                    unsure: DeliveryNumber::FIRST,
                    received: BTreeSet::new(),
                    begun: BTreeMap::new(),
                });
                known.user = user.map(String::from);
                known.expiry = expiry;
                known.will = will.map(own);
                if known.away.take().is_none() {
                    known.unsure = known.next;
                }
            }
            Record::SessionEnded { session } => {
                self.sessions.remove(&session.0);
            }
            _ => self.change_session(record),
        }
    }

    fn change(
        &mut self,
        topic: &str,
        message: Option<MessageRef>,
        sequence: u64,
        publisher: Option<Publisher<'_>>,
    ) {
        self.sequence = self.sequence.max(sequence);
        let known = self.retained.entry(topic.to_owned()).or_default();
        if known.1 < sequence {
            let publisher = publisher.map(|publisher| Arc::new(publisher.into()));
            *known = (message, sequence, publisher);
        }
    }

    fn change_session(&mut self, record: &Record<'_>) {
        let (Record::Away { session, .. }
        | Record::Subscribed { session, .. }
        | Record::Unsubscribed { session, .. }
        | Record::Sent { session, .. }
        | Record::Settled { session, .. }
        | Record::Received { session, .. }
        | Record::Begun { session, .. }
        | Record::BegunInGroup { session, .. }
        | Record::Released { session, .. }) = *record
        else {
            panic!("{record:?} is about no session");
        };
        let Some(session) = self.sessions.get_mut(&session.0) else {
            return;
        };
        match *record {
            Record::Away { ends, will, .. } => {
                session.away = Some((ends, will));
                if will.is_none() {
                    session.will = None;
                }
            }
            Record::Subscribed {
                filter,
                options,
                id,
                ..
            } => {
                session.subscriptions.insert(filter.clone(), (options, id));
            }
            Record::Unsubscribed { filter, .. } => {
                session.subscriptions.remove(filter);
            }
            Record::Sent { number, id, .. } => {
                if let Some(owed) = session.queue.get_mut(&number) {
                    owed.delivery.packet_id = Some(id);
                }
            }
            Record::Settled {
                number,
                step: Settled::Done,
                ..
            } => {
                session.queue.remove(&number);
            }
            Record::Settled { number, .. } => {
                let owed = session.queue.get_mut(&number);
                if let Some(owed) = owed.filter(|owed| owed.delivery.packet_id.is_some()) {
                    owed.message = None;
                    owed.delivery.ids = None;
                    owed.delivery.share = None;
                }
            }
            _ => session.change_received(record),
        }
    }

    /// Drops what expired before a point in time and waits for a client that is away, and retained
    /// messages; says which.
    pub(crate) fn expire(&mut self, before: Time) -> (Vec<(u64, u64)>, Vec<String>) {
        let bodies = &self.bodies;
        let is_over = |message: Option<MessageRef>| {
            let body = message.and_then(|message| bodies.get(&message));
            body.is_some_and(|(_, expires)| expires.is_some_and(|at| at < before))
        };
        let mut deliveries = Vec::new();
        for (&number, session) in &mut self.sessions {
            if session.away.is_none() {
                continue;
            }
            session.queue.retain(|delivery, owed| {
                let begun = owed.delivery.packet_id.is_some() || owed.delivery.share.is_some();
                let drop = !begun && is_over(owed.message);
                if drop {
                    deliveries.push((number, delivery.get()));
                }
                !drop
            });
        }
        let mut topics = Vec::new();
        for (topic, (message, _, _)) in &mut self.retained {
            if is_over(*message) {
                *message = None;
                topics.push(topic.clone());
            }
        }
        (deliveries, topics)
    }

    fn body(&self, message: MessageRef) -> Option<StoredBody> {
        let &(size, expires) = self.bodies.get(&message)?;
        Some(StoredBody {
            reference: message,
            size,
            expires: expires.unwrap_or(Time::MAX),
        })
    }

    /// What a start gives back whose clock begins at `start` of this model's clock.
    pub(crate) fn recover(&self, start: Time) -> (Recovered, Losses) {
        let mut losses = Losses::default();
        let rebase = |time: Time| match time {
            Time::MAX => Time::MAX,
            time => Time::from_millis(time.as_millis().saturating_sub(start.as_millis())),
        };
        let body = |message: MessageRef| {
            self.body(message).map(|body| StoredBody {
                expires: rebase(body.expires),
                ..body
            })
        };
        let mut recovered = Recovered::default();
        let sessions = self.sessions.iter();
        let lasting = sessions.filter(|(_, session)| !session.expiry.is_zero());
        for (&number, session) in lasting {
            let mut deliveries = Vec::new();
            for owed in session.queue.values() {
                match stage(owed, &body) {
                    Some(stage) => deliveries.push(delivery(&owed.delivery, stage)),
                    None => {
                        losses.deliveries += 1;
                        losses.clients.push(session.client.clone());
                    }
                }
            }
            let (ends, will) = session.away.map_or_else(
                || left(session),
                |(ends, will)| (ends.map(rebase), will.map(rebase)),
            );
            recovered.sessions.push(RecoveredSession {
                session: StoredSession(number),
                client: session.client.clone(),
                user: session.user.as_deref().map(Arc::from),
                expiry: session.expiry,
                ends,
                will: will.zip(session.will.clone()),
                subscriptions: subscriptions(session),
                deliveries,
                next: session.next,
                unsure: session.away.map_or(session.next, |_| session.unsure),
                received: session.received.iter().copied().collect(),
                begun: begun(session),
            });
        }
        losses.clients.sort_unstable();
        losses.clients.dedup();
        for (topic, (message, sequence, publisher)) in &self.retained {
            let topic: Arc<str> = Arc::from(topic.as_str());
            match message.map(body) {
                Some(Some(body)) => recovered.retained.push(RecoveredRetained {
                    topic,
                    body,
                    sequence: *sequence,
                    publisher: publisher.clone(),
                }),
                Some(None) => losses.retained.push(topic),
                None => {}
            }
        }
        let passed = self.passed.iter();
        let passed = passed.map(|(message, group)| body(*message).map(|body| (body, group)));
        losses.passed = passed.clone().filter(Option::is_none).count() as u64;
        let passed = passed.flatten();
        recovered.passed = passed
            .map(|(body, it)| (body, Arc::new(it.clone())))
            .collect();
        recovered.sequence = self.sequence;
        (recovered, losses)
    }
}

/// The client of a session was connected until the start.
fn left(session: &Session) -> (Option<Time>, Option<Time>) {
    let ends = Time::ZERO + session.expiry;
    let delay = session.will.as_ref().map(|will| Time::ZERO + will.delay);
    (
        Some(ends).filter(|&time| time < Time::MAX),
        delay.map(|due| due.min(ends)),
    )
}

impl Session {
    /// What a record does to the QoS 2 messages of its client.
    fn change_received(&mut self, record: &Record<'_>) {
        match *record {
            Record::Received { id, .. } => {
                self.received.insert(id);
                self.begun.remove(&id);
            }
            Record::BegunInGroup { id, group, .. } => {
                self.begun.entry(id).or_default().1.insert(group.clone());
            }
            Record::Begun { id, owed, .. } => {
                self.begun.entry(id).or_default().0.extend(owed);
            }
            Record::Released { id, .. } => {
                self.received.remove(&id);
                self.begun.remove(&id);
            }
            _ => {}
        }
    }
}

fn subscriptions(session: &Session) -> Vec<RecoveredSubscription> {
    let subscriptions = session.subscriptions.iter();
    subscriptions
        .map(|(filter, &(options, id))| RecoveredSubscription {
            filter: filter.clone(),
            options,
            id,
        })
        .collect()
}

fn begun(session: &Session) -> Vec<(PacketId, RecoveredBegun)> {
    let begun = session.begun.iter();
    begun
        .map(|(&id, (sessions, groups))| {
            let begun = RecoveredBegun {
                sessions: sessions.iter().copied().collect(),
                groups: groups.iter().cloned().collect(),
            };
            (id, begun)
        })
        .collect()
}

fn stage(owed: &Owed, body: &dyn Fn(MessageRef) -> Option<StoredBody>) -> Option<Stage> {
    Some(match (owed.delivery.packet_id, owed.message) {
        (Some(id), None) => Stage::Received(id),
        (Some(id), Some(message)) => Stage::Sent(id, body(message)?),
        (None, message) => Stage::Waiting(body(message?)?),
    })
}

fn delivery(delivery: &Delivery, stage: Stage) -> RecoveredDelivery {
    RecoveredDelivery {
        number: delivery.number,
        qos: delivery.qos,
        retain: delivery.retain,
        ids: delivery.ids.clone(),
        share: delivery.share.clone(),
        stage,
    }
}

fn own(will: WillParts<'_>) -> RecoveredWill {
    RecoveredWill {
        topic: Arc::from(will.topic),
        properties: Box::from(will.properties),
        payload: Box::from(will.payload),
        qos: will.qos,
        retain: will.retain,
        delay: will.delay,
        message_expiry: will.message_expiry,
        durability: will.durability,
    }
}

//! Messages of QoS 2 that Mosquitto has taken in and not passed on.
//!
//! Mosquitto passes such a message on when its publisher releases it; Nightjar when it comes, and
//! remembers the identifier until the release. So what waits for a release is passed on now, to the
//! sessions of the file and to the retained messages, and the release then finds it done (MQTT 5.0,
//! 4.3.3, methods A and B).

use std::collections::HashMap;
use std::io::{self, Read, Seek};

use mosquitto::db::{Chunk, Database, Detail, Found, Subscription};
use types::{SubscriptionFilter, TopicName};

use super::plan::{Plan, walk};

/// What becomes of such messages.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// In the order in which they are delivered.
    pub(super) deliveries: Vec<Routed>,
    /// The retained messages that they replace, by topic; `None`: there is none any more.
    pub(super) retained: HashMap<String, Option<u64>>,
}

/// A delivery that comes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Routed {
    /// The place of the session.
    pub(super) session: usize,
    pub(super) message: u64,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) ids: Vec<u32>,
    /// The shared subscription that chose the session.
    pub(super) group: Option<String>,
}

/// A message to be passed on.
struct Waiting {
    message: u64,
    topic: String,
    qos: u8,
    retain: bool,
    /// The place of its publisher.
    publisher: usize,
    /// By the place of the session.
    own: HashMap<usize, Routed>,
    /// By the shared subscription: the first member is chosen, because all are away.
    shared: HashMap<String, Routed>,
}

/// Passes on what waits, and tells the plan of it.
///
/// # Errors
/// Those of the system.
pub(super) fn route<R: Read + Seek>(
    database: &mut Database<R>,
    plan: &mut Plan,
) -> io::Result<Routes> {
    let mut routes = Routes::default();
    if plan.inbound.is_empty() {
        return Ok(routes);
    }
    let mut waiting = waiting(database, plan, &mut routes)?;
    walk(database, Detail::Heads, &mut |_, found| {
        if let Found::Chunk(_, Chunk::Subscription(one)) = found
            && let Some(session) = plan.known(&one.client)
            && let Ok(filter) = SubscriptionFilter::parse(&one.filter, u16::MAX)
        {
            for message in &mut waiting {
                offer(message, session, &one, &filter);
            }
        }
        Ok(())
    })?;
    for message in waiting {
        let mut chosen: Vec<Routed> = message.own.into_values().collect();
        chosen.extend(message.shared.into_values());
        chosen.sort_by(|a, b| (a.session, &a.group).cmp(&(b.session, &b.group)));
        for one in chosen {
            if plan.needs(one.message) {
                plan.owes(one.session);
                routes.deliveries.push(one);
            }
        }
    }
    let kept: Vec<u64> = routes.retained.values().copied().flatten().collect();
    for message in kept {
        plan.needs(message);
    }
    Ok(routes)
}

/// The messages, in the order in which they came.
fn waiting<R: Read + Seek>(
    database: &mut Database<R>,
    plan: &Plan,
    routes: &mut Routes,
) -> io::Result<Vec<Waiting>> {
    let wanted = plan.inbound.iter().enumerate();
    let places: HashMap<u64, usize> = wanted.map(|(place, one)| (one.message, place)).collect();
    let mut found_at: Vec<(usize, Waiting, bool)> = Vec::new();
    walk(database, Detail::Heads, &mut |_, found| {
        if let Found::Chunk(_, Chunk::Stored(stored)) = found
            && let Some(&place) = places.get(&stored.id)
            && let Some(inbound) = plan.inbound.get(place)
        {
            let waiting = Waiting {
                message: stored.id,
                topic: stored.topic,
                qos: stored.qos,
                retain: stored.retain,
                publisher: inbound.session,
                own: HashMap::new(),
                shared: HashMap::new(),
            };
            found_at.push((place, waiting, stored.payload_length == 0));
        }
        Ok(())
    })?;
    found_at.sort_by_key(|(place, ..)| *place);
    for (_, waiting, is_empty) in &found_at {
        if waiting.retain {
            let message = (!is_empty).then_some(waiting.message);
            routes.retained.insert(waiting.topic.clone(), message);
        }
    }
    Ok(found_at
        .into_iter()
        .map(|(_, waiting, _)| waiting)
        .collect())
}

/// Gives a message to a session, if a subscription of it wants it.
fn offer(
    message: &mut Waiting,
    session: usize,
    subscription: &Subscription,
    filter: &SubscriptionFilter,
) {
    let is_own = session == message.publisher;
    let qos = message.qos.min(subscription.qos);
    // Nobody is owed QoS 0.
    if qos == 0 || (subscription.no_local && is_own) {
        return;
    }
    let Ok(topic) = TopicName::parse(&message.topic, u16::MAX) else {
        return;
    };
    if !topics::matches(&filter.filter, topic) {
        return;
    }
    let ids = (subscription.id > 0).then_some(subscription.id);
    let new = Routed {
        session,
        message: message.message,
        qos,
        retain: subscription.retain_as_published && message.retain,
        ids: ids.into_iter().collect(),
        group: filter.share.as_ref().map(|_| subscription.filter.clone()),
    };
    if filter.share.is_some() {
        message
            .shared
            .entry(subscription.filter.clone())
            .or_insert(new);
        return;
    }
    // Subscriptions that overlap bring it once, with the highest QoS (MQTT 5.0, 3.3.4).
    match message.own.get_mut(&session) {
        None => drop(message.own.insert(session, new)),
        Some(before) => {
            before.qos = before.qos.max(new.qos);
            before.retain |= new.retain;
            before.ids.extend(new.ids);
        }
    }
}

//! A plan as lines of `nightjar store export`: docs/storage.md, "Export", has every field.

use std::collections::HashSet;
use std::io::{self, Read, Seek, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mosquitto::db::{Chunk, ClientMessage, Database, Detail, Found, Stored, Subscription};
use serde_json::{Map, Value, json};
use types::{PacketId, SubscriptionFilter};

use super::plan::{Fate, Owners, Plan, fate, walk};
use super::route::Routes;

/// Writes all of a plan. What turns out to make no sense goes to its losses.
///
/// # Errors
/// Those of the system.
pub(super) fn write<R: Read + Seek>(
    database: &mut Database<R>,
    plan: &mut Plan,
    routes: &Routes,
    owners: &dyn Owners,
    now: u64,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = Lines {
        out,
        counts: Counts::default(),
    };
    let sequences = plan.retained.len().saturating_add(routes.retained.len());
    lines.put(&json!({
        "nightjar_export": 1,
        "time": now,
        "last_session": plan.sessions.len(),
        "sequence": sequences,
    }))?;
    lines.messages(database, plan)?;
    lines.sessions(plan)?;
    lines.subscriptions(database, plan)?;
    lines.deliveries(database, plan, routes)?;
    lines.retained(database, plan, routes, owners)?;
    let counts = lines.counts;
    lines.put(&json!({
        "kind": "end",
        "sessions": counts.sessions,
        "subscriptions": counts.subscriptions,
        "messages": counts.messages,
        "deliveries": counts.deliveries,
        "retained": counts.retained,
        "passed": 0,
    }))?;
    lines.out.flush()
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    sessions: u64,
    subscriptions: u64,
    messages: u64,
    deliveries: u64,
    retained: u64,
}

impl Lines<'_> {
    fn put(&mut self, line: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, line)?;
        self.out.write_all(b"\n")
    }

    fn messages<R: Read + Seek>(
        &mut self,
        database: &mut Database<R>,
        plan: &mut Plan,
    ) -> io::Result<()> {
        let mut written = HashSet::new();
        walk(database, Detail::Whole, &mut |_, found| {
            if let Found::Chunk(_, Chunk::Stored(stored)) = found
                && let Some(named) = plan.messages.get(&stored.id)
                && named.is_needed
                && written.insert(stored.id)
            {
                let name = format!("{:016x}", named.reference.0);
                self.counts.messages = self.counts.messages.saturating_add(1);
                return self.put(&message(&stored, &name));
            }
            Ok(())
        })?;
        // Of some only the end makes no sense, which nobody has looked at before.
        let gone =
            |(id, named): &(&u64, &super::plan::Named)| named.is_needed && !written.contains(*id);
        let gone: Vec<u64> = plan
            .messages
            .iter()
            .filter(gone)
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            plan.messages.remove(&id);
            plan.losses.odd = plan.losses.odd.saturating_add(1);
        }
        Ok(())
    }

    fn sessions(&mut self, plan: &Plan) -> io::Result<()> {
        for (session, number) in plan.sessions.iter().zip(1_u64..) {
            let received: Vec<u16> = session.received.iter().map(|id| id.get()).collect();
            let mut line = json!({
                "kind": "session",
                "session": number,
                "client": session.client.as_str(),
                "next": session.deliveries.saturating_add(1),
                "received": received,
            });
            set(&mut line, "user", session.user.as_deref());
            set(&mut line, "expiry", session.expiry);
            set(&mut line, "ends", session.ends);
            self.put(&line)?;
            self.counts.sessions = self.counts.sessions.saturating_add(1);
        }
        Ok(())
    }

    fn subscriptions<R: Read + Seek>(
        &mut self,
        database: &mut Database<R>,
        plan: &mut Plan,
    ) -> io::Result<()> {
        walk(database, Detail::Heads, &mut |at, found| {
            let Found::Chunk(_, Chunk::Subscription(one)) = found else {
                return Ok(());
            };
            let Some(place) = plan.place(&one.client) else {
                return Ok(());
            };
            if SubscriptionFilter::parse(&one.filter, u16::MAX).is_err() {
                plan.losses
                    .odd(at, "a subscription with a filter that is none");
                return Ok(());
            }
            self.counts.subscriptions = self.counts.subscriptions.saturating_add(1);
            self.put(&subscription(&one, place))
        })?;
        Ok(())
    }

    fn deliveries<R: Read + Seek>(
        &mut self,
        database: &mut Database<R>,
        plan: &Plan,
        routes: &Routes,
    ) -> io::Result<()> {
        let mut queues: Vec<Queue> = Vec::new();
        queues.resize_with(plan.sessions.len(), Queue::default);
        walk(database, Detail::Heads, &mut |_, found| {
            if let Found::Chunk(_, Chunk::ClientMessage(message)) = found
                && let Some(place) = plan.known(&message.client)
                && let Some(queue) = queues.get_mut(place)
                && let Some(mut line) = delivery(&message, plan, queue)
            {
                queue.last = queue.last.saturating_add(1);
                line["session"] = json!(number(place));
                line["number"] = json!(queue.last);
                self.counts.deliveries = self.counts.deliveries.saturating_add(1);
                return self.put(&line);
            }
            Ok(())
        })?;
        for one in &routes.deliveries {
            let named = plan.messages.get(&one.message);
            let queue = queues.get_mut(one.session);
            let (Some(named), Some(queue)) = (named, queue) else {
                continue;
            };
            queue.last = queue.last.saturating_add(1);
            let mut line = json!({
                "kind": "delivery",
                "session": number(one.session),
                "number": queue.last,
                "message": format!("{:016x}", named.reference.0),
                "qos": one.qos,
                "retain": one.retain,
            });
            set(&mut line, "group", one.group.as_deref());
            set(&mut line, "ids", some(&one.ids));
            self.counts.deliveries = self.counts.deliveries.saturating_add(1);
            self.put(&line)?;
        }
        Ok(())
    }

    fn retained<R: Read + Seek>(
        &mut self,
        database: &mut Database<R>,
        plan: &mut Plan,
        routes: &Routes,
        owners: &dyn Owners,
    ) -> io::Result<()> {
        let mut topics = HashSet::new();
        walk(database, Detail::Heads, &mut |_, found| {
            let Found::Chunk(_, Chunk::Stored(stored)) = found else {
                return Ok(());
            };
            let is_wanted = match routes.retained.get(&stored.topic) {
                Some(message) => *message == Some(stored.id),
                None => plan.retained.contains(&stored.id),
            };
            let named = plan.messages.get(&stored.id).filter(|_| is_wanted);
            let Some(named) = named else {
                return Ok(());
            };
            // An empty one means that there is none (MQTT-3.3.1-6).
            if stored.payload_length == 0 || !topics.insert(stored.topic.clone()) {
                return Ok(());
            }
            self.counts.retained = self.counts.retained.saturating_add(1);
            let mut line = json!({
                "kind": "retained",
                "topic": stored.topic,
                "message": format!("{:016x}", named.reference.0),
                "sequence": self.counts.retained,
            });
            if !stored.source.is_empty() {
                line["client"] = json!(stored.source);
                let user = owners.owner(&stored.source, &stored.source_user);
                set(&mut line, "user", user.as_deref());
                line["granted"] = json!(false);
            }
            self.put(&line)
        })?;
        Ok(())
    }
}

/// What is owed to one session, so far.
#[derive(Default)]
struct Queue {
    /// The number of the last delivery.
    last: u64,
    /// Packet identifiers that are taken.
    taken: HashSet<PacketId>,
}

fn message(stored: &Stored, name: &str) -> Value {
    let mut line = json!({
        "kind": "message",
        "message": name,
        "topic": stored.topic,
        "qos": stored.qos,
        "retain": stored.retain,
        "durability": "disk",
    });
    let expires = stored.expires.map(|seconds| seconds.saturating_mul(1000));
    set(&mut line, "expires", expires);
    if let Some(content) = &stored.content {
        for (name, bytes) in [
            ("properties", &content.properties),
            ("payload", &content.payload),
        ] {
            let text = (!bytes.is_empty()).then(|| STANDARD.encode(bytes));
            set(&mut line, name, text);
        }
    }
    line
}

fn subscription(one: &Subscription, place: usize) -> Value {
    let mut line = json!({
        "kind": "subscription",
        "session": number(place),
        "filter": one.filter,
        "qos": one.qos,
        "no_local": one.no_local,
        "retain_as_published": one.retain_as_published,
        "retain_handling": one.retain_handling,
    });
    set(&mut line, "id", (one.id > 0).then_some(one.id));
    line
}

/// The delivery, without session and number; `None`: there is none.
fn delivery(message: &ClientMessage, plan: &Plan, queue: &mut Queue) -> Option<Value> {
    let mut line = json!({
        "kind": "delivery",
        "qos": message.qos,
        "retain": message.retain,
    });
    match fate(message) {
        Fate::Owed(id) => {
            let named = plan.messages.get(&message.message)?;
            line["message"] = json!(format!("{:016x}", named.reference.0));
            // Of two with one identifier the client has heard of the first.
            let id = id.filter(|id| queue.taken.insert(*id));
            set(&mut line, "packet_id", id.map(PacketId::get));
            set(&mut line, "ids", some(&message.ids));
        }
        Fate::Released(id) => {
            if !queue.taken.insert(id) {
                return None;
            }
            set(&mut line, "packet_id", Some(id.get()));
        }
        Fate::Received(_) | Fate::QosZero | Fate::Odd => return None,
    }
    Some(line)
}

fn some(ids: &[u32]) -> Option<Vec<u32>> {
    let ids: Vec<u32> = ids.iter().copied().filter(|id| *id > 0).collect();
    (!ids.is_empty()).then_some(ids)
}

fn number(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1)
}

/// Puts a field into a line, if there is something to say.
fn set(line: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    let fields: Option<&mut Map<String, Value>> = line.as_object_mut();
    if let (Some(fields), Some(value)) = (fields, value) {
        fields.insert(name.to_owned(), value.into());
    }
}

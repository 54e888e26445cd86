//! What waits for a client, or is on its way to it.

use std::collections::{BTreeMap, BTreeSet};

use admin::Failure;
use admin::server::clients::PAYLOAD;
use admin::server::message::{Absent, Bytes};
use admin::server::{MessagePart, QueuedMessage, QueuedMessages};
use broker::question::{Awaits, MessageFacts, Part};
use broker::{Findings, Question};
use types::{Message, SessionKey, SessionRef, WorkerId};

use super::ask::mistaken;
use super::retained::{came, size};
use super::{Steer, count};

/// Publishers by their sessions, as far as they are known.
type Names = BTreeMap<SessionRef, String>;

impl Steer {
    pub(super) async fn messages_of(
        &self,
        clientid: &str,
        part: MessagePart,
        from: usize,
        limit: usize,
    ) -> Result<QueuedMessages, Failure> {
        let question = Question::Messages {
            client: clientid.into(),
            part: match part {
                MessagePart::Waiting => Part::Waiting,
                MessagePart::Inflight => Part::Underway,
            },
            from,
            most: limit,
        };
        let found = self.ask(self.shared.home_of(clientid), question).await?;
        let Findings::Messages(found) = found else {
            return Err(mistaken());
        };
        let found = found.ok_or_else(|| super::clients::nobody(clientid))?;
        let names = self.publishers(&found.rows).await?;
        let rows = found.rows.iter().map(|facts| self.queued(facts, &names));
        Ok(QueuedMessages {
            rows: rows.collect(),
            count: count(found.count),
        })
    }

    /// Who published these, asked of the workers that they are at home with.
    async fn publishers(&self, rows: &[MessageFacts]) -> Result<Names, Failure> {
        let mut sessions: BTreeMap<WorkerId, BTreeSet<SessionKey>> = BTreeMap::new();
        let publishers = rows.iter().filter_map(|one| message(one)?.publisher());
        for SessionRef { worker, key } in publishers {
            sessions.entry(worker).or_default().insert(key);
        }
        let mut names = Names::new();
        for (worker, keys) in sessions {
            // A message of an earlier run may name a worker that there is no more.
            if worker.index() >= self.mailboxes.workers() {
                continue;
            }
            let keys: Vec<SessionKey> = keys.into_iter().collect();
            let Findings::Names(found) = self.ask(worker, Question::Names(keys.clone())).await?
            else {
                return Err(mistaken());
            };
            for (key, name) in keys.into_iter().zip(found) {
                let name = name.map(|name| (SessionRef { worker, key }, name.as_str().into()));
                names.extend(name);
            }
        }
        Ok(names)
    }

    fn queued(&self, facts: &MessageFacts, names: &Names) -> QueuedMessage {
        let body = facts.body.as_ref();
        let message = message(facts);
        let publisher = message.and_then(|message| message.publisher());
        let expires = body.and_then(|body| body.expires());
        QueuedMessage {
            topic: message.map(|message| (**message.topic()).into()),
            qos: facts.qos as u8,
            retain: facts.retain,
            from_clientid: publisher.and_then(|publisher| names.get(&publisher).cloned()),
            publish_at: body.and_then(came),
            expires_at: expires.map(|at| self.stamp(at)),
            size: body.map_or(0, size),
            payload: message.map(|message| {
                let payload = message.payload();
                Bytes(payload.get(..PAYLOAD).unwrap_or(payload).to_vec())
            }),
            packet_id: facts.underway.map(|(id, _)| id.get()),
            state: facts.underway.map(|(_, awaits)| state(awaits).into()),
            absent: match body {
                None => Some(Absent::NotKept),
                Some(_) if message.is_none() => Some(Absent::InStore),
                Some(_) => None,
            },
        }
    }
}

fn message(facts: &MessageFacts) -> Option<&Message> {
    let body = facts.body.as_ref()?;
    body.message().map(|message| &**message)
}

fn state(awaits: Awaits) -> &'static str {
    match awaits {
        Awaits::Store => "store",
        Awaits::Puback => "puback",
        Awaits::Pubrec => "pubrec",
        Awaits::Pubcomp => "pubcomp",
    }
}

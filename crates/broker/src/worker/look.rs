//! What is subscribed to, what waits and what is retained, for who wants to see it.
//!
//! Messages that lie in the store alone are asked for, a bounded portion for each answer; the
//! answer waits for them.

use std::collections::VecDeque;

use store::{Found, Loaded};
use topics::{ScanCursor, ScanProgress};
use types::{
    Body, ClientId, MessageRef, SessionKey, SubscriptionFilter, Time, TopicFilter, TopicName,
};

use super::Worker;
use crate::client::Client;
use crate::question::{
    Findings, MessageFacts, Messages, Part, Question, RetainedFacts, RetainedPiece, Subscribed,
    SubscriptionPlace, Subscriptions, WantedSubscriptions,
};

/// An answer that waits for messages from the store.
pub(super) struct Look {
    findings: Findings,
    reply: Box<dyn FnOnce(Findings) + Send>,
    /// So many have not come.
    missing: usize,
}

/// No session has this key: loads for it are for a [`Look`]. They come in the order of asking.
pub(super) const LOOKER: SessionKey = SessionKey {
    slot: u32::MAX,
    generation: u32::MAX - 1,
};

/// Answers that wait for the store; others go without what is not in memory.
const LOOKS_AT_ONCE: usize = 8;

impl Worker {
    pub(super) fn subscriptions_of(
        &self,
        wanted: &WantedSubscriptions,
        after: Option<&SubscriptionPlace>,
        most: usize,
    ) -> Subscriptions {
        let mut found = Subscriptions::default();
        let mut looks = Question::LOOKS;
        let first = match after {
            None => 0,
            Some((key, Some(_))) => key.slot,
            Some((key, None)) => key.slot.saturating_add(1),
        };
        let mut behind = after.and_then(|(_, filter)| filter.as_ref());
        for slot in first.. {
            let Some(key) = self.clients.key_at::<SessionKey>(slot) else {
                found.next = None;
                return found;
            };
            // Only the slot counts: whoever has it later is behind it, too.
            let key = key.unwrap_or(SessionKey {
                slot,
                generation: 0,
            });
            let behind = behind.take();
            looks = looks.saturating_sub(1);
            if let Some(client) = self.clients.at(key).filter(|it| is_of(wanted, it)) {
                let stopped = subscribed(client, wanted, behind, (most, &mut looks), &mut found);
                if stopped.is_some() {
                    found.next = stopped.map(|filter| (key, Some(filter)));
                    return found;
                }
            }
            found.next = Some((key, None));
            if looks == 0 || found.rows.len() >= most {
                return found;
            }
        }
        found
    }

    pub(super) fn messages_of(
        &self,
        client: &str,
        part: Part,
        from: usize,
        most: usize,
    ) -> Option<Messages> {
        let key = *self.by_id.get(&ClientId::new(client)?)?;
        let session = &self.clients.at(key)?.session;
        Some(match part {
            Part::Waiting => Messages {
                rows: session
                    .waiting(from)
                    .take(most)
                    .map(|one| MessageFacts {
                        body: Some(one.body.clone()),
                        qos: one.qos,
                        retain: one.retain,
                        underway: None,
                    })
                    .collect(),
                count: session.queued_len(),
            },
            Part::Underway => Messages {
                rows: session
                    .underway(from)
                    .take(most)
                    .map(|one| MessageFacts {
                        body: one.body,
                        qos: one.qos,
                        retain: one.retain,
                        underway: Some((one.id, one.awaits)),
                    })
                    .collect(),
                count: session.inflight_len(),
            },
        })
    }

    pub(super) fn retained_of(
        &self,
        filter: &TopicFilter,
        after: &ScanCursor,
        most: usize,
        now: Time,
    ) -> RetainedPiece {
        let (mut cursor, mut found) = (after.clone(), Vec::new());
        let retained = &self.shared.retained;
        let progress = retained.list(filter, &mut cursor, most, now, &mut found);
        let rows = found.into_iter().map(|(topic, _, kept)| RetainedFacts {
            topic,
            body: kept.body,
            publisher: kept
                .publisher
                .map(|one| (one.client.clone(), one.identity.clone())),
        });
        RetainedPiece {
            rows: rows.collect(),
            next: (progress == ScanProgress::More).then_some(cursor),
        }
    }

    /// Answers when what lies in the store alone is there, or a portion of it.
    pub(super) fn reply_with_bodies(
        &mut self,
        mut findings: Findings,
        reply: Box<dyn FnOnce(Findings) + Send>,
    ) {
        let mut missing: Vec<MessageRef> = Vec::new();
        let mut bytes: usize = 0;
        if self.durable && self.looks.len() < LOOKS_AT_ONCE {
            for body in findings.bodies() {
                if body.message().is_some() {
                    continue;
                }
                bytes = bytes.saturating_add(body.size());
                if bytes > Question::LOADED_BYTES && !missing.is_empty() {
                    break;
                }
                missing.extend(body.reference());
            }
        }
        if missing.is_empty() {
            return reply(findings);
        }
        self.store.load(LOOKER, &missing);
        self.looks.push_back(Look {
            findings,
            reply,
            missing: missing.len(),
        });
    }

    /// Takes in a message that an answer waits for.
    pub(super) fn take_look(&mut self, loaded: &Loaded) {
        let Some(look) = self.looks.front_mut() else {
            return;
        };
        if let Found::Message(message) = &loaded.found {
            for body in look.findings.bodies() {
                if body.message().is_none() && body.reference() == Some(loaded.message) {
                    *body = Body::Here(std::sync::Arc::clone(message));
                }
            }
        }
        look.missing = look.missing.saturating_sub(1);
        if look.missing == 0
            && let Some(look) = self.looks.pop_front()
        {
            (look.reply)(look.findings);
        }
    }
}

/// Answers that wait, in the order of asking.
pub(super) type Looks = VecDeque<Look>;

fn is_of(wanted: &WantedSubscriptions, client: &Client) -> bool {
    let is_shared = wanted.is_shared || wanted.share.is_some();
    (!is_shared || client.session.subscriptions.has_shared())
        && wanted
            .client
            .as_deref()
            .is_none_or(|id| client.id.as_str() == id)
}

/// Adds a client's subscriptions; the last one that was looked at if there may be more.
fn subscribed(
    client: &Client,
    wanted: &WantedSubscriptions,
    behind: Option<&SubscriptionFilter>,
    (most, looks): (usize, &mut usize),
    found: &mut Subscriptions,
) -> Option<SubscriptionFilter> {
    let known = &client.session.subscriptions;
    let mut next = known.next_after(behind);
    while let Some((filter, subscription)) = next {
        if is_wanted(wanted, filter) && wanted.qos.is_none_or(|qos| subscription.options.qos == qos)
        {
            found.rows.push(Subscribed {
                client: client.id.clone(),
                is_connected: client.conn.is_some(),
                inflight: client.session.inflight_len(),
                waiting: client.session.queued_len(),
                filter: filter.clone(),
                options: subscription.options,
            });
        }
        *looks = looks.saturating_sub(1);
        if *looks == 0 || found.rows.len() >= most {
            return Some(filter.clone());
        }
        next = known.next_after(Some(filter));
    }
    None
}

fn is_wanted(wanted: &WantedSubscriptions, filter: &SubscriptionFilter) -> bool {
    let share = filter.share.as_ref().map(|share| share.as_str());
    let matching = |topic: &str| {
        let topic = TopicName::parse(topic, u16::MAX);
        topic.is_ok_and(|topic| topics::matches(&filter.filter, topic))
    };
    (!wanted.is_shared || share.is_some())
        && wanted
            .share
            .as_deref()
            .is_none_or(|name| share == Some(name))
        && wanted
            .filter
            .as_deref()
            .is_none_or(|text| filter.filter.as_str() == text || filter.to_string() == text)
        && wanted.matching.as_deref().is_none_or(matching)
}

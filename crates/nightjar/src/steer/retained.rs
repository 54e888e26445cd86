//! Retained messages.

use admin::server::message::{Absent, Bytes, MessageProperties, UserProperty};
use admin::server::retained::PAYLOAD;
use admin::server::{Answer, Retained, RetainedMessage};
use admin::{Failure, Piece};
use broker::question::{RetainedFacts, RetainedPiece};
use broker::{Done, Findings, Question, Task};
use topics::ScanCursor;
use types::{Body, TopicFilter};

use super::ask::{mistaken, unexpected};
use super::{Steer, count};

/// Most topics that a worker is asked for at once: it looks at four times as many, and holds a lock
/// of which publishers of new topics know.
const STEP: usize = 250;

/// Most steps of one request for a list.
const STEPS: usize = 40;

impl Retained for Steer {
    fn messages(
        &self,
        filter: String,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<RetainedMessage>> {
        Box::pin(async move {
            let filter = parsed(&filter)?;
            let mut place = match cursor {
                None => ScanCursor::default(),
                Some(text) => ScanCursor::from_text(&text)
                    .ok_or_else(|| Failure::Invalid("cursor: it is none".into()))?,
            };
            let mut rows = Vec::new();
            for _ in 0..STEPS {
                let most = (limit - rows.len()).min(STEP);
                let piece = self.piece(&filter, place, most).await?;
                rows.extend(piece.rows.iter().map(|facts| self.kept(facts)));
                let Some(next) = piece.next else {
                    return Ok(Piece { rows, cursor: None });
                };
                place = next;
                if rows.len() >= limit {
                    break;
                }
            }
            Ok(Piece {
                rows,
                cursor: place.to_text(),
            })
        })
    }

    fn message(&self, topic: String) -> Answer<'_, RetainedMessage> {
        Box::pin(async move {
            let filter = parsed(&topic)?;
            let piece = self.piece(&filter, ScanCursor::default(), 1).await?;
            let none = || Failure::NotFound(format!("nothing is retained for {topic:?}"));
            let facts = piece.rows.first().ok_or_else(none)?;
            let mut shown = self.kept(facts);
            if let Some(message) = facts.body.message() {
                let payload = message.payload();
                let first = payload.get(..PAYLOAD).unwrap_or(payload);
                shown.payload = Some(Bytes(first.to_vec()));
                shown.properties = properties(message.properties());
            }
            Ok(shown)
        })
    }

    fn clear(&self, filter: String) -> Answer<'_, u64> {
        Box::pin(async move {
            let (filter, mut after) = (parsed(&filter)?, ScanCursor::default());
            let worker = self.shared.home_of(filter.as_str());
            let mut gone: u64 = 0;
            loop {
                let task = Task::ClearRetained {
                    filter: filter.clone(),
                    after,
                    most: STEP,
                };
                match self.send(worker, task)?.done().await? {
                    Done::Cleared { count, next } => {
                        gone = gone.saturating_add(count);
                        match next {
                            Some(next) => after = next,
                            None => return Ok(gone),
                        }
                    }
                    _ => return Err(unexpected()),
                }
            }
        })
    }
}

impl Steer {
    async fn piece(
        &self,
        filter: &TopicFilter,
        after: ScanCursor,
        most: usize,
    ) -> Result<RetainedPiece, Failure> {
        // All see the same messages; the work is spread.
        let worker = self.shared.home_of(filter.as_str());
        let question = Question::Retained {
            filter: filter.clone(),
            after,
            most,
            load: true,
        };
        match self.ask(worker, question).await? {
            Findings::Retained(piece) => Ok(piece),
            _ => Err(mistaken()),
        }
    }

    fn kept(&self, facts: &RetainedFacts) -> RetainedMessage {
        let publisher = facts.publisher.as_ref();
        let message = facts.body.message();
        RetainedMessage {
            topic: (*facts.topic).into(),
            qos: message.map(|message| message.qos() as u8),
            publish_at: came(&facts.body),
            from_clientid: publisher.map(|(client, _)| client.as_str().into()),
            from_username: publisher.and_then(|(_, who)| who.user().map(Into::into)),
            size: size(&facts.body),
            expires_at: facts.body.expires().map(|at| self.stamp(at)),
            absent: message.is_none().then_some(Absent::InStore),
            ..RetainedMessage::default()
        }
    }
}

/// Bytes of the payload, or of the whole message if it is not at hand.
pub(super) fn size(body: &Body) -> u64 {
    count(match body.message() {
        Some(message) => message.payload().len(),
        None => body.size(),
    })
}

/// When a message came to the store, if it did.
pub(super) fn came(body: &Body) -> Option<admin::Stamp> {
    let reference = body.reference()?;
    Some(admin::Stamp::from_millis(reference.millis()))
}

/// What is passed on was decoded once, so that it decodes again.
pub(super) fn properties(encoded: &[u8]) -> Option<MessageProperties> {
    let known = codec::publish::parse_forward(encoded).ok()?;
    let user = known.user.iter().map(|(key, value)| UserProperty {
        key: key.into(),
        value: value.into(),
    });
    Some(MessageProperties {
        payload_format_indicator: known.payload_is_utf8.map(u8::from),
        content_type: known.content_type.map(Into::into),
        response_topic: known.response_topic.map(Into::into),
        correlation_data: known.correlation_data.map(|bytes| Bytes(bytes.to_vec())),
        user_properties: user.collect(),
    })
}

fn parsed(filter: &str) -> Result<TopicFilter, Failure> {
    let parsed = TopicFilter::parse(filter, u16::MAX);
    parsed.map_err(|_| Failure::Invalid(format!("{filter:?} is no filter")))
}

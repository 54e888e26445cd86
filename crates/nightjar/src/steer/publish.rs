//! Messages that are published by the API.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use admin::Failure;
use admin::server::publish::NewProperties;
use admin::server::{Answer, Publication, Publish, Published};
use broker::errand::Publication as Message;
use broker::{Done, Task};
use codec::properties::UserPropertiesBuf;
use codec::{EncodeError, Forward};
use types::WorkerId;

use super::Steer;
use super::ask::{Awaited, unexpected};

impl Publish for Steer {
    fn publish(&self, publication: Publication) -> Answer<'_, Published> {
        Box::pin(async move {
            let (to, task) = self.message(publication)?;
            published(self.send(to, task)?.done().await?)
        })
    }

    fn publish_all(
        &self,
        publications: Vec<Publication>,
    ) -> Answer<'_, Vec<Result<Published, Failure>>> {
        Box::pin(async move {
            // All are with their workers before the first is waited for: one sync makes many safe.
            let send = |publication| -> Result<Awaited, Failure> {
                let (to, task) = self.message(publication)?;
                self.send(to, task)
            };
            let sent: Vec<_> = publications.into_iter().map(send).collect();
            let mut outcomes = Vec::with_capacity(sent.len());
            for awaited in sent {
                outcomes.push(match awaited {
                    Ok(awaited) => awaited.done().await.and_then(published),
                    Err(failure) => Err(failure),
                });
            }
            Ok(outcomes)
        })
    }
}

impl Steer {
    /// A message as a worker takes it, and which worker: the same for all messages of a topic, so that
    /// they keep their order.
    fn message(&self, publication: Publication) -> Result<(WorkerId, Task), Failure> {
        let Publication {
            topic,
            payload,
            qos,
            retain,
            properties,
        } = publication;
        let says_text = properties.payload_format_indicator == Some(1);
        if says_text && std::str::from_utf8(&payload.0).is_err() {
            let words = "payload: it is not UTF-8, and payload_format_indicator says so";
            return Err(Failure::Invalid(words.into()));
        }
        let encoded = encoded(&properties);
        let encoded = encoded.map_err(|error| Failure::Invalid(format!("properties: {error}")))?;
        let to = self.shared.home_of(&topic);
        let message = Message {
            topic: topic.into(),
            properties: encoded.into(),
            payload: payload.0.into(),
            qos: super::explain::qos(qos),
            retain,
            expiry: properties.message_expiry_interval,
        };
        Ok((to, Task::Publish(Box::new(message))))
    }
}

fn encoded(properties: &NewProperties) -> Result<Vec<u8>, EncodeError> {
    let mut user = UserPropertiesBuf::new();
    for (key, value) in &properties.user_properties {
        user.push(key, value)?;
    }
    let correlation = properties.correlation_data.as_deref();
    let forward = Forward {
        payload_is_utf8: properties.payload_format_indicator.map(|bits| bits == 1),
        content_type: properties.content_type.as_deref(),
        response_topic: properties.response_topic.as_deref(),
        correlation_data: correlation.map(str::as_bytes),
        user: user.as_borrowed(),
    };
    let mut encoded = Vec::new();
    codec::publish::forward_properties(&forward, &mut encoded)?;
    Ok(encoded)
}

fn published(done: Done) -> Result<Published, Failure> {
    match done {
        Done::Published { reached } => Ok(Published {
            id: name(),
            reached,
        }),
        _ => Err(unexpected()),
    }
}

/// A name that no other message of the API has: the time, and a number in this run.
fn name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{millis:012X}{number:012X}")
}

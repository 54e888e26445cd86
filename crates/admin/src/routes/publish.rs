//! Messages that are published by the API.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check;
use crate::Failure;
use crate::http::input::{Body, Noted};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::message::Bytes;
use crate::server::publish::NewProperties;
use crate::server::{Publication, Published};

/// Most bytes of a body: a message of 1 MiB, in Base64, with room for its properties.
pub(super) const BODY: usize = 2 * 1024 * 1024;

/// Most messages of one request.
const TOGETHER: usize = 1000;

/// A message to publish, as EMQX has it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMessage {
    /// The topic, as the server knows it: with the mount of a listener, if there is one.
    topic: String,
    /// The payload.
    payload: String,
    /// How the payload is written.
    #[serde(default)]
    #[schema(inline)]
    payload_encoding: Encoding,
    /// The QoS.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2)]
    qos: u8,
    /// Whether it is retained. Without a payload it deletes what is retained.
    #[serde(default)]
    retain: bool,
    /// Properties of MQTT 5.0.
    #[serde(default)]
    properties: NewProperties,
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    /// As it is.
    #[default]
    Plain,
    /// In Base64.
    Base64,
}

/// What the audit log says of a message: all but what is in it.
#[derive(Serialize)]
struct Noticed {
    topic: String,
    qos: u8,
    retain: bool,
    size: usize,
}

/// What became of a message.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Became {
    /// It is published.
    Published {
        /// A name for it, which no other has.
        id: String,
    },
    /// It is not, or nobody is subscribed to it.
    Not {
        /// The reason code of MQTT: 16 for no subscribers.
        reason_code: u8,
        /// Words.
        message: String,
    },
}

/// Publish a message
///
/// Through the same checks as a client's message; operators may publish to all topics that do not
/// begin with `$`. It is answered when the message is as safe as its class of durability says,
/// whatever its QoS; if that cannot be said in time, the answer is 503 and the message may be on its
/// way. No Local and the strategy `hash_client` of shared groups know no publisher.
#[utoipa::path(post, path = "/api/v5/publish", tag = "Publish", operation_id = "publish",
    request_body = NewMessage,
    responses((status = 200, description = "It is published", body = Became),
        (status = 202, description = "It is published, and nobody is subscribed to it", body = Became),
        (status = 400, body = Trouble, description = "A topic, a property or a payload is none"),
        (status = 403, body = Trouble, description = "The topic is the server's own"),
        (status = 503, body = Trouble, description = "The server is behind, or full")))]
pub(super) async fn publish(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(message): Body<NewMessage>,
) -> Result<Response, Refusal> {
    let publication = publication(message)?;
    record.target(&publication.topic);
    let line = noticed(&publication);
    state.wait(move |_| record.done(None, Some(&line))).await?;
    let published = state.server().publish().publish(publication).await?;
    let status = match published.reached {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok((status, Json(became(Ok(published)))).into_response())
}

/// Publish messages
///
/// At most 1000, each as if it came alone; those of one topic keep their order. The answer has what
/// became of each, in the same order: 200 if all have somebody who is subscribed, 202 if one has
/// nobody, 503 if one is not published.
#[utoipa::path(post, path = "/api/v5/publish/bulk", tag = "Publish", operation_id = "publish.bulk",
    request_body = Vec<NewMessage>,
    responses((status = 200, description = "They are published", body = Vec<Became>),
        (status = 202, description = "They are published, one to nobody", body = Vec<Became>),
        (status = 400, body = Trouble, description = "One makes no sense: none is published"),
        (status = 503, description = "One is not published", body = Vec<Became>)))]
pub(super) async fn bulk(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(messages): Body<Vec<NewMessage>>,
) -> Result<Response, Refusal> {
    if messages.is_empty() || messages.len() > TOGETHER {
        return Err(Refusal::bad(format!("publish 1 to {TOGETHER} messages")));
    }
    let mut publications = Vec::with_capacity(messages.len());
    for (number, message) in (1..).zip(messages) {
        let publication = publication(message).map_err(|refusal| {
            let words = format!("message {number}: {}", refusal.message());
            Refusal::bad(words)
        })?;
        publications.push(publication);
    }
    let lines: Vec<Noticed> = publications.iter().map(noticed).collect();
    state.wait(move |_| record.done(None, Some(&lines))).await?;
    let outcomes = state.server().publish().publish_all(publications).await?;
    let status = if outcomes.iter().any(Result::is_err) {
        StatusCode::SERVICE_UNAVAILABLE
    } else if outcomes.iter().flatten().any(|one| !one.reached) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let became: Vec<Became> = outcomes.into_iter().map(became).collect();
    Ok((status, Json(became)).into_response())
}

fn publication(message: NewMessage) -> Result<Publication, Refusal> {
    check::topic(&message.topic)?;
    if message.qos > 2 {
        let words = format!("qos: {} is not 0, 1 or 2", message.qos);
        return Err(Refusal::bad(words));
    }
    let properties = message.properties;
    if properties
        .payload_format_indicator
        .is_some_and(|bits| bits > 1)
    {
        let words = "payload_format_indicator: it is not 0 or 1";
        return Err(Refusal::bad(words));
    }
    let payload = match message.payload_encoding {
        Encoding::Plain => message.payload.into_bytes(),
        Encoding::Base64 => STANDARD
            .decode(&message.payload)
            .map_err(|_| Refusal::bad("payload: it is no Base64"))?,
    };
    Ok(Publication {
        topic: message.topic,
        payload: Bytes(payload),
        qos: message.qos,
        retain: message.retain,
        properties,
    })
}

fn noticed(publication: &Publication) -> Noticed {
    Noticed {
        topic: publication.topic.clone(),
        qos: publication.qos,
        retain: publication.retain,
        size: publication.payload.0.len(),
    }
}

/// The reason codes are those that a client would be answered with.
fn became(outcome: Result<Published, Failure>) -> Became {
    let (reason_code, message) = match outcome {
        Ok(Published { id, reached: true }) => return Became::Published { id },
        Ok(Published { reached: false, .. }) => (0x10, "no_matching_subscribers".into()),
        Err(failure @ Failure::Denied(_)) => (0x87, failure.to_string()),
        Err(failure @ (Failure::Busy(_) | Failure::Unavailable(_))) => (0x97, failure.to_string()),
        Err(failure @ Failure::Invalid(_)) => (0x83, failure.to_string()),
        Err(failure) => (0x80, failure.to_string()),
    };
    Became::Not {
        reason_code,
        message,
    }
}

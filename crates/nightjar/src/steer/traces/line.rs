//! How a line of a trace reads: one object of JSON, in which a client's words are harmless.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use admin::Stamp;
use admin::server::traces::PayloadEncode;
use broker::probe::What;
use broker::{Event, Step};
use serde::Serialize;
use types::{ClientId, Peer, ReasonCode};

use super::one::One;
use crate::events::is_odd;

/// Most bytes of a payload in a line.
const PAYLOAD: usize = 1024;

/// What is to be written.
pub(super) struct Line {
    pub(super) trace: Arc<One>,
    pub(super) at: SystemTime,
    pub(super) said: Said,
}

/// What happened.
pub(super) enum Said {
    Step(Box<Stepped>),
    Event(Box<Event>),
}

/// A step, as it is kept until it is written.
pub(super) struct Stepped {
    client: Option<ClientId>,
    peer: Option<Peer>,
    topic: Option<Arc<str>>,
    what: What,
    /// QoS and retain flag as published, and bytes of the payload.
    message: Option<(u8, bool, usize)>,
    payload: Box<[u8]>,
}

impl Said {
    pub(super) fn step(step: &Step<'_>, with_payload: bool) -> Self {
        let message = step.message.as_ref();
        let payload = message.filter(|_| with_payload).map(|message| {
            let payload = message.payload;
            Box::from(payload.get(..PAYLOAD).unwrap_or(payload))
        });
        Self::Step(Box::new(Stepped {
            client: step.client.cloned(),
            peer: step.peer,
            topic: step.topic.cloned(),
            what: step.what,
            message: message.map(|it| (it.qos.bits(), it.retain, it.payload.len())),
            payload: payload.unwrap_or_default(),
        }))
    }
}

/// A line. What does not apply is left out.
#[derive(Default, Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Stamp>,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clientid: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet_id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qos: Option<u8>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retain: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dup: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipients: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// JSON in which letters that a terminal may trip over are escaped: it means the same.
pub(super) fn inert(json: String) -> String {
    if !json.contains(is_odd) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match is_odd(letter) {
            // All of them are below U+10000.
            true => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => text.push(letter),
        }
    }
    text
}

impl Text<'_> {
    fn line(&self) -> String {
        // Such a thing always goes into JSON.
        inert(serde_json::to_string(self).unwrap_or_default())
    }
}

impl Line {
    /// The line, without its end.
    pub(super) fn text(&self) -> String {
        let mut text = match &self.said {
            Said::Step(step) => step_text(step, self.trace.payload()),
            Said::Event(event) => event_text(event),
        };
        text.at = Some(Stamp::from(self.at));
        text.line()
    }
}

fn step_text(step: &Stepped, encode: PayloadEncode) -> Text<'_> {
    let mut text = Text {
        clientid: step.client.as_ref().map(|client| client.as_str().into()),
        peer: step.peer.map(|peer| peer.to_string()),
        topic: step.topic.as_deref().map(Into::into),
        ..Text::default()
    };
    if let Some((qos, retain, size)) = step.message {
        (text.qos, text.retain, text.size) = (Some(qos), retain, Some(size));
        text.payload = match encode {
            PayloadEncode::Hidden => None,
            PayloadEncode::Text => Some(String::from_utf8_lossy(&step.payload).into_owned()),
            PayloadEncode::Hex => Some(
                step.payload
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
            ),
        };
    }
    match step.what {
        What::Received { packet_id, dup } => {
            text.event = "received";
            (text.packet_id, text.dup) = (packet_id.map(|id| id.get()), dup);
        }
        What::Authorized => text.event = "authorized",
        What::Answered(reason) => {
            text.event = "answered";
            text.reason = Some(reason.as_str().into());
        }
        What::Routed { recipients, groups } => {
            text.event = "routed";
            (text.recipients, text.groups) = (Some(recipients), Some(groups));
        }
        What::Queued { qos } => {
            text.event = "queued";
            text.qos = Some(qos.bits());
        }
        What::Sent {
            packet_id,
            qos,
            dup,
        } => {
            text.event = "sent";
            (text.packet_id, text.dup) = (packet_id.map(|id| id.get()), dup);
            text.qos = Some(qos.bits());
        }
        What::Acknowledged { packet_id, by } => {
            text.event = "acknowledged";
            (text.packet_id, text.packet) = (Some(packet_id.get()), Some(by.as_str()));
        }
        What::Dropped(reason) => {
            text.event = "dropped";
            text.reason = Some(reason.as_str().into());
        }
    }
    text
}

fn event_text(event: &Event) -> Text<'_> {
    let about = about(event);
    let mut text = Text {
        clientid: about.client.map(Into::into),
        peer: about.peer.map(|peer| peer.to_string()),
        topic: about.topic.map(Into::into),
        event: about.word,
        ..Text::default()
    };
    match event {
        Event::Connected { user, .. } => text.username = user.as_deref().map(Into::into),
        Event::Disconnected { reason, .. } => text.reason = Some(reason.as_str().into()),
        Event::Rejected {
            user, reason, why, ..
        } => {
            text.username = user.as_deref().map(Into::into);
            text.reason = Some(match why.is_empty() {
                true => reason.as_str().into(),
                false => (*why).into(),
            });
        }
        Event::TakenOver { old, .. } => text.reason = Some(format!("from {old}").into()),
        Event::Subscribed { granted, .. } => match granted {
            Ok(qos) => text.qos = Some(qos.bits()),
            Err(reason) => text.reason = Some(ReasonCode::as_str(*reason).into()),
        },
        Event::Denied(denial) => {
            text.packet = Some(denial.wanted.as_str());
            let rule = denial.why.as_deref().unwrap_or("no rule allows it");
            text.reason = Some(rule.into());
        }
        Event::SessionEnded { lost, .. } => text.count = u64::try_from(*lost).ok(),
        Event::Unencodable { packet, .. } => text.packet = Some(packet),
        Event::Unsubscribed { .. }
        | Event::StoreFailed { .. }
        | Event::MessageDamaged { .. }
        | Event::Reloaded { .. } => {}
    }
    text
}

/// Whom and what an event is about.
pub(super) struct About<'a> {
    pub(super) word: &'static str,
    pub(super) client: Option<&'a str>,
    pub(super) peer: Option<Peer>,
    pub(super) topic: Option<&'a str>,
}

pub(super) fn about(event: &Event) -> About<'_> {
    match event {
        Event::Connected { client, peer, .. } => of("connected", Some(client), Some(*peer), None),
        Event::Disconnected { client, peer, .. } => {
            of("disconnected", Some(client), Some(*peer), None)
        }
        Event::Rejected { client, peer, .. } => of("refused", client.as_ref(), Some(*peer), None),
        Event::TakenOver { client, new, .. } => of("takeover", Some(client), Some(*new), None),
        Event::Subscribed {
            client,
            peer,
            filter,
            ..
        } => of("subscribed", Some(client), Some(*peer), Some(&**filter)),
        Event::Unsubscribed {
            client,
            peer,
            filter,
        } => of("unsubscribed", Some(client), Some(*peer), Some(&**filter)),
        Event::Denied(denial) => {
            let topic = Some(&*denial.topic).filter(|topic| !topic.is_empty());
            of("denied", denial.client.as_ref(), denial.peer, topic)
        }
        Event::SessionEnded { client, .. } => of("session_ended", Some(client), None, None),
        Event::Unencodable { peer, .. } => of("unencodable", None, Some(*peer), None),
        Event::StoreFailed { .. } => of("store_failed", None, None, None),
        Event::MessageDamaged { .. } => of("message_damaged", None, None, None),
        Event::Reloaded { .. } => of("reloaded", None, None, None),
    }
}

fn of<'a>(
    word: &'static str,
    client: Option<&'a ClientId>,
    peer: Option<Peer>,
    topic: Option<&'a str>,
) -> About<'a> {
    About {
        word,
        client: client.map(ClientId::as_str),
        peer,
        topic,
    }
}

/// A line that says that others are missing.
pub(super) fn lost(count: u64) -> String {
    let text = Text {
        at: Some(Stamp::now()),
        event: "lost",
        reason: Some("too many lines at once".into()),
        count: Some(count),
        ..Text::default()
    };
    text.line()
}

/// The last line.
pub(super) fn ended(why: &str) -> String {
    let text = Text {
        at: Some(Stamp::now()),
        event: "ended",
        reason: Some(why.into()),
        ..Text::default()
    };
    text.line()
}

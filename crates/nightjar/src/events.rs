//! Events of the broker as lines of the log.
//!
//! A client's words are fields given as `&str`, which the subscriber escapes; what it leaves
//! to stand is replaced here first, and what is long is cut: a line has a length that is bounded.

use std::borrow::Cow;

use broker::{CloseReason, Denial, Event};
use tracing::{Level, debug, error, info, trace, warn};
use types::{ClientId, ProtocolVersion};

use crate::brief;
use crate::log::Lines;

/// How grave an event is.
pub(crate) fn level(event: &Event) -> Level {
    match event {
        Event::Connected { .. } | Event::Disconnected { .. } | Event::Rejected { .. } => {
            Level::INFO
        }
        Event::Denied(_) => Level::INFO,
        Event::Subscribed { .. } | Event::Unsubscribed { .. } => Level::TRACE,
        Event::TakenOver { .. } => Level::WARN,
        Event::StoreFailed { .. } | Event::MessageDamaged { .. } | Event::Unencodable { .. } => {
            Level::ERROR
        }
        Event::SessionEnded { lost: 0, .. } | Event::Reloaded { .. } => Level::DEBUG,
        Event::SessionEnded { .. } => Level::INFO,
    }
}

/// Logs an event.
pub(crate) fn log(event: &Event) {
    match event {
        Event::Connected {
            client,
            peer,
            version,
            keep_alive,
            session_present,
            bridge,
            ..
        } => info!(
            client = &*shown(client.as_str()),
            %peer,
            version = spoken(*version),
            keep_alive,
            resumed = session_present,
            bridge,
            "client connected"
        ),
        Event::Disconnected {
            client,
            peer,
            reason,
        } => {
            let (reason, detail) = words(reason);
            let client = &*shown(client.as_str());
            info!(client, %peer, reason, detail, "client disconnected");
        }
        Event::Rejected { .. } => log_rejection(event),
        Event::TakenOver { client, old, new } => warn!(
            client = &*shown(client.as_str()),
            %old,
            %new,
            "client connected twice: the newer connection stays"
        ),
        Event::SessionEnded {
            client,
            expired,
            lost: 0,
        } => {
            debug!(client = &*shown(client.as_str()), expired, "session ended");
        }
        Event::SessionEnded {
            client,
            expired,
            lost,
        } => info!(
            client = &*shown(client.as_str()),
            expired, lost, "session ended with messages waiting"
        ),
        Event::Denied(denial) => log_denial(denial),
        Event::Subscribed { .. } | Event::Unsubscribed { .. } => log_subscription(event),
        Event::StoreFailed { .. } | Event::MessageDamaged { .. } => log_store(event),
        Event::Unencodable { peer, packet } => error!(
            %peer,
            packet,
            "a packet could not be encoded, so its connection ends; please report this"
        ),
        Event::Reloaded { worker } => debug!(worker = worker.0, "limits taken over"),
    }
}

/// Bytes of what clients said in an event.
pub(crate) fn words_of(event: &Event) -> usize {
    let id = |client: &ClientId| client.as_str().len();
    match event {
        Event::Connected { client, user, .. } => {
            let user = user.as_deref().map_or(0, str::len);
            id(client).saturating_add(user)
        }
        Event::Rejected { client, user, .. } => {
            let client = client.as_ref().map_or(0, id);
            client.saturating_add(user.as_deref().map_or(0, str::len))
        }
        Event::Subscribed { client, filter, .. } | Event::Unsubscribed { client, filter, .. } => {
            id(client).saturating_add(filter.len())
        }
        Event::Denied(denial) => {
            let client = denial.client.as_ref().map_or(0, id);
            let texts = [denial.user.as_deref(), denial.why.as_deref()];
            let texts = texts.into_iter().flatten().map(str::len);
            texts.fold(
                client.saturating_add(denial.topic.len()),
                usize::saturating_add,
            )
        }
        Event::Disconnected { client, .. }
        | Event::TakenOver { client, .. }
        | Event::SessionEnded { client, .. } => id(client),
        Event::StoreFailed { .. }
        | Event::MessageDamaged { .. }
        | Event::Unencodable { .. }
        | Event::Reloaded { .. } => 0,
    }
}

/// Logs a link that never became a client's.
fn log_rejection(event: &Event) {
    let Event::Rejected {
        peer,
        client,
        user,
        reason,
        why,
    } = event
    else {
        return;
    };
    if !REFUSED.admits() {
        return;
    }
    let (reason, detail) = words(reason);
    let client = client.as_ref().map(|client| shown(client.as_str()));
    let user = user.as_deref().map(shown);
    info!(client = client.as_deref(), user = user.as_deref(), %peer, reason, detail, why = said(why), "connection refused");
}

/// Logs what a client wants and wants no more, for who wants to know everything.
fn log_subscription(event: &Event) {
    let (client, filter, words) = match event {
        Event::Subscribed { client, filter, .. } => (client, filter, "subscribed"),
        Event::Unsubscribed { client, filter, .. } => (client, filter, "unsubscribed"),
        // The others are about no subscription.
        _ => return,
    };
    let (client, filter) = (&*shown(client.as_str()), &*shown(filter));
    trace!(client, filter, "{words}");
}

/// Logs that somebody was not allowed what he wanted.
fn log_denial(denial: &Denial) {
    if !DENIED.admits() {
        return;
    }
    let client = denial.client.as_ref().map(|client| shown(client.as_str()));
    let peer = denial.peer.map(|peer| peer.to_string());
    info!(
        wanted = denial.wanted.as_str(),
        client = client.as_deref(),
        user = denial.user.as_deref().map(shown).as_deref(),
        peer,
        topic = said(&shown(&denial.topic)),
        rule = denial.why.as_deref().unwrap_or("no rule allows it"),
        "denied"
    );
}

static REFUSED: Lines = Lines::new("connections refused");
static DENIED: Lines = Lines::new("denied");

/// Logs what happened to the store.
fn log_store(event: &Event) {
    match event {
        Event::StoreFailed { worker } => error!(
            worker = worker.0,
            "the store has failed: nothing more is acknowledged at QoS 1 and 2"
        ),
        Event::MessageDamaged { message } => error!(
            message = message.0,
            "a stored message is damaged and is withheld; run `nightjar store verify`"
        ),
        // The others are not about the store.
        _ => {}
    }
}

/// A version as people write it.
pub(crate) fn spoken(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::V31 => "3.1",
        ProtocolVersion::V311 => "3.1.1",
        ProtocolVersion::V5 => "5.0",
    }
}

/// Words, if there are any.
fn said(words: &str) -> Option<&str> {
    Some(words).filter(|words| !words.is_empty())
}

/// Each [`word`].
pub(crate) const REASONS: [&str; 20] = [
    "disconnect",
    "closed_without_disconnect",
    "link_error",
    "violation",
    "refused",
    "not_mqtt",
    "connect_deadline",
    "unauthenticated_bytes",
    "connection_limit",
    "taken_over",
    "write_stall",
    "address_denied",
    "connection_rate",
    "banned",
    "subscription_revoked",
    "credentials_expired",
    "credentials_withdrawn",
    "ended_by_operator",
    "shutting_down",
    "panic",
];

/// The reason in one word.
pub(crate) fn word(reason: &CloseReason) -> &'static str {
    words(reason).0
}

/// The reason in one word, and what more there is to say.
fn words(reason: &CloseReason) -> (&'static str, Option<String>) {
    match reason {
        CloseReason::Client(code) => ("disconnect", Some(code.as_str().to_owned())),
        CloseReason::Eof => ("closed_without_disconnect", None),
        CloseReason::LinkError => ("link_error", None),
        CloseReason::Violation(violation) => ("violation", Some(violation.explain().to_owned())),
        CloseReason::Refused(code) => ("refused", Some(code.as_str().to_owned())),
        CloseReason::NotMqtt => ("not_mqtt", None),
        CloseReason::ConnectDeadline => ("connect_deadline", None),
        CloseReason::UnauthenticatedBytes => ("unauthenticated_bytes", None),
        CloseReason::ConnectionLimit => ("connection_limit", None),
        CloseReason::TakenOver => ("taken_over", None),
        CloseReason::WriteStall => ("write_stall", None),
        CloseReason::AddressDenied => ("address_denied", None),
        CloseReason::ConnectionRate => ("connection_rate", None),
        CloseReason::Banned => ("banned", None),
        CloseReason::Revoked => ("subscription_revoked", None),
        CloseReason::GrantOver => ("credentials_expired", None),
        CloseReason::Unwelcome => ("credentials_withdrawn", None),
        CloseReason::Ended => ("ended_by_operator", None),
        CloseReason::ShuttingDown => ("shutting_down", None),
        CloseReason::Panic => ("panic", None),
    }
}

/// A client's text in brief (S82), without what a JSON string may hold and a reader of lines may trip
/// over: DEL, C1 controls, line and paragraph separators, changes of the direction of writing.
fn shown(text: &str) -> Cow<'_, str> {
    let text = brief::text(text);
    if !text.contains(is_odd) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_odd(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// Whether a letter may stand in JSON and a reader of lines may trip over it.
pub(crate) fn is_odd(letter: char) -> bool {
    matches!(letter, '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

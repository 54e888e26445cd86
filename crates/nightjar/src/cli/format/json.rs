//! `%j` and `%J`: a message as a JSON object.

use client::Received;
use jiff::Zoned;
use serde_json::value::RawValue;

use super::{RenderError, append};

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    /// In one line, without spaces.
    #[default]
    Compact,
    /// A line for each member (`--pretty`).
    Pretty,
}

/// `%j`: the payload is a string; bytes that are not UTF-8 are replaced by U+FFFD.
pub(super) fn quoted(received: &Received, time: &Zoned, layout: Layout, out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    string(
        &mut payload,
        &String::from_utf8_lossy(&received.message.payload),
    );
    object(received, time, &payload, layout, out);
}

/// `%J`: the payload is JSON and stays it, its numbers and strings as they were written.
pub(super) fn nested(
    received: &Received,
    time: &Zoned,
    layout: Layout,
    out: &mut Vec<u8>,
) -> Result<(), RenderError> {
    let payload: &RawValue =
        serde_json::from_slice(&received.message.payload).map_err(|_| RenderError::Json)?;
    object(received, time, payload.get().as_bytes(), layout, out);
    Ok(())
}

fn object(received: &Received, time: &Zoned, payload: &[u8], layout: Layout, out: &mut Vec<u8>) {
    let message = &received.message;
    let mut members = Vec::with_capacity(payload.len().saturating_add(128));
    append(
        &mut members,
        format_args!("{{\"tst\":\"{}\",\"topic\":", time.strftime(TIMESTAMP)),
    );
    string(&mut members, &message.topic);
    append(
        &mut members,
        format_args!(
            ",\"qos\":{},\"retain\":{},\"payloadlen\":{}",
            message.qos.bits(),
            message.retain,
            message.payload.len()
        ),
    );
    if let Some(id) = received.packet_id {
        append(&mut members, format_args!(",\"mid\":{}", id.get()));
    }
    let properties = properties(received);
    if !properties.is_empty() {
        members.extend_from_slice(b",\"properties\":{");
        members.extend_from_slice(&properties);
        members.push(b'}');
    }
    members.extend_from_slice(b",\"payload\":");
    members.extend_from_slice(payload);
    members.push(b'}');
    lay_out(&members, layout, out);
}

/// The members of `properties`, or nothing.
fn properties(received: &Received) -> Vec<u8> {
    let properties = &received.message.properties;
    let mut out = Vec::new();
    let user = properties.user.as_borrowed();
    if !user.is_empty() {
        name(&mut out, "user-properties");
        for (place, (key, value)) in user.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b"[{" } else { b",{" });
            string(&mut out, key);
            out.push(b':');
            string(&mut out, value);
            out.push(b'}');
        }
        out.push(b']');
    }
    if let Some(text) = &properties.content_type {
        name(&mut out, "content-type");
        string(&mut out, text);
    }
    if let Some(text) = &properties.response_topic {
        name(&mut out, "response-topic");
        string(&mut out, text);
    }
    if let Some(data) = &properties.correlation_data {
        name(&mut out, "correlation-data");
        string(&mut out, &String::from_utf8_lossy(data));
    }
    if let Some(is_utf8) = properties.payload_is_utf8 {
        name(&mut out, "payload-format-indicator");
        append(&mut out, format_args!("{}", u8::from(is_utf8)));
    }
    if let Some(seconds) = properties.message_expiry {
        name(&mut out, "message-expiry-interval");
        append(&mut out, format_args!("{seconds}"));
    }
    if let Some(alias) = properties.topic_alias {
        name(&mut out, "topic-alias");
        append(&mut out, format_args!("{alias}"));
    }
    if !received.subscription_ids.is_empty() {
        name(&mut out, "subscription-identifier");
        let ids: Vec<_> = received
            .subscription_ids
            .iter()
            .map(u32::to_string)
            .collect();
        append(&mut out, format_args!("[{}]", ids.join(",")));
    }
    out
}

fn name(out: &mut Vec<u8>, name: &str) {
    let comma = if out.is_empty() { "" } else { "," };
    append(out, format_args!("{comma}\"{name}\":"));
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for letter in text.chars() {
        match letter {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            control if u32::from(control) < 0x20 => {
                append(out, format_args!("\\u{:04x}", u32::from(control)));
            }
            other => append(out, format_args!("{other}")),
        }
    }
    out.push(b'"');
}

/// Copies valid JSON with other white space.
fn lay_out(json: &[u8], layout: Layout, out: &mut Vec<u8>) {
    let mut depth: usize = 0;
    let mut place = Place::Outside;
    // An opening bracket whose first member has not come yet.
    let mut opened = false;
    for &byte in json {
        if place != Place::Outside {
            place = place.after(byte);
            out.push(byte);
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        // Before the first member and behind the last one, but not in `{}`.
        if opened != closes {
            line(layout, depth, out);
        }
        opened = matches!(byte, b'{' | b'[');
        if opened {
            depth = depth.saturating_add(1);
        }
        out.push(byte);
        match byte {
            b'"' => place = Place::String,
            b',' => line(layout, depth, out),
            b':' if layout == Layout::Pretty => out.push(b' '),
            _ => {}
        }
    }
}

fn line(layout: Layout, depth: usize, out: &mut Vec<u8>) {
    if layout == Layout::Pretty {
        out.push(b'\n');
        out.resize(out.len().saturating_add(depth.saturating_mul(2)), b' ');
    }
}

/// Where in JSON a byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    String,
    /// Behind a `\` in a string.
    Escape,
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::String, b'\\') => Self::Escape,
            (Self::String, b'"') | (Self::Outside, _) => Self::Outside,
            (Self::String | Self::Escape, _) => Self::String,
        }
    }
}

const TIMESTAMP: &str = "%Y-%m-%dT%H:%M:%S%.6f%z";

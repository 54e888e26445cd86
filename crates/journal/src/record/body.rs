//! A message to bytes and back. It is read alone, long after the frame around it was checked, so
//! it has a checksum of its own.

use std::fmt;
use std::sync::Arc;

use types::{Followed, Message, MessageParts, MessageRef, QoS};

use super::bytes::{Fault, Reader, bytes_len, put_bytes, put_u64, put_varint};
use super::{BodyItem, StoreClock, durability_bits, durability_from_bits, flag, kind};

/// A message that is not what was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message is damaged")
    }
}

impl std::error::Error for Damaged {}

/// Appends a message. Its publisher is not kept: it means something in this run only.
pub fn encode_body(reference: MessageRef, message: &Message, clock: StoreClock, out: &mut Vec<u8>) {
    let parts = message.parts();
    let expires = parts.expires.map(|time| clock.millis(time));
    let topic = message.topic().as_bytes();
    let fixed = if expires.is_some() { 22 } else { 14 };
    let length = [
        bytes_len(topic),
        bytes_len(parts.properties),
        parts.payload.len(),
    ]
    .into_iter()
    .fold(fixed, usize::saturating_add);
    out.reserve(length.saturating_add(10));
    put_varint(out, u64::try_from(length).unwrap_or(u64::MAX));
    out.extend_from_slice(&[kind::BODY, 0, 0, 0, 0]);
    let start = out.len();
    put_u64(out, reference.0);
    out.push(
        parts.qos.bits()
            | if parts.retain { flag::RETAIN } else { 0 }
            | if expires.is_some() { flag::THIRD } else { 0 }
            | durability_bits(parts.durability) << 4
            | followed_bits(parts.followed),
    );
    if let Some(expires) = expires {
        put_u64(out, expires);
    }
    put_bytes(out, topic);
    put_bytes(out, parts.properties);
    out.extend_from_slice(parts.payload);
    let sum = crc32c::crc32c(out.get(start..).unwrap_or_default());
    let place = start.saturating_sub(4)..start;
    if let Some(place) = out.get_mut(place) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

/// Appends a message that is encoded already, from its checksum on.
pub fn encode_kept(bytes: &[u8], out: &mut Vec<u8>) {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    put_varint(out, length.saturating_add(1));
    out.push(kind::BODY);
    out.extend_from_slice(bytes);
}

/// Reads a message from its checksum on.
///
/// # Errors
///
/// [`Damaged`] if the checksum is wrong, or if it is another message than `reference`.
pub fn decode_body(
    reference: MessageRef,
    bytes: &[u8],
    clock: StoreClock,
) -> Result<Message, Damaged> {
    let mut reader = Reader::new(bytes);
    let sum = reader.u32().map_err(|_| Damaged)?;
    if sum != crc32c::crc32c(reader.rest) {
        return Err(Damaged);
    }
    let body = read_body(bytes).map_err(|_| Damaged)?;
    if body.reference != reference {
        return Err(Damaged);
    }
    let parts = MessageParts {
        properties: body.properties,
        payload: body.payload,
        qos: QoS::from_bits(body.flags & flag::QOS).ok_or(Damaged)?,
        retain: body.flags & flag::RETAIN != 0,
        publisher: None,
        expires: body.expires.map(|millis| clock.time(millis)),
        durability: durability_from_bits((body.flags & flag::DURABILITY) >> 4).ok_or(Damaged)?,
        followed: followed_from_bits(body.flags),
    };
    let topic = std::str::from_utf8(body.topic).map_err(|_| Damaged)?;
    let message = Message::new(Arc::from(topic), parts);
    message.reference_or(|| reference);
    Ok(message)
}

/// Bits 6 and 7; what an older version wrote is not followed.
fn followed_bits(followed: Followed) -> u8 {
    match followed {
        Followed::No => 0,
        Followed::Renewed => flag::FOLLOWED,
        Followed::Added => flag::FOLLOWED | flag::CONTEXT_ADDED,
    }
}

fn followed_from_bits(flags: u8) -> Followed {
    match (
        flags & flag::FOLLOWED != 0,
        flags & flag::CONTEXT_ADDED != 0,
    ) {
        (false, _) => Followed::No,
        (true, false) => Followed::Renewed,
        (true, true) => Followed::Added,
    }
}

/// What a replay must know of a message.
pub(super) fn decode_item(bytes: &[u8]) -> Result<BodyItem<'_>, Fault> {
    let body = read_body(bytes)?;
    let size = [body.topic, body.properties, body.payload]
        .into_iter()
        .map(<[u8]>::len)
        .fold(0, usize::saturating_add);
    Ok(BodyItem {
        message: body.reference,
        expires: body.expires,
        size: u32::try_from(size).unwrap_or(u32::MAX),
        bytes,
    })
}

struct BodyFields<'a> {
    reference: MessageRef,
    flags: u8,
    expires: Option<u64>,
    topic: &'a [u8],
    properties: &'a [u8],
    payload: &'a [u8],
}

fn read_body(bytes: &[u8]) -> Result<BodyFields<'_>, Fault> {
    let mut reader = Reader::new(bytes);
    reader.u32()?;
    let reference = reader.message()?;
    let flags = reader.u8()?;
    let expires = if flags & flag::THIRD != 0 {
        Some(reader.u64()?)
    } else {
        None
    };
    Ok(BodyFields {
        reference,
        flags,
        expires,
        topic: reader.bytes()?,
        properties: reader.bytes()?,
        payload: reader.rest,
    })
}

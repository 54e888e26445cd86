//! Writing the data types of MQTT (1.5), or only counting what they take.

use crate::{EncodeError, Field, PropertyId, VARINT_MAX};

/// What takes the bytes of a packet. The same code counts and writes, so that the size known
/// before is exact.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts.
#[derive(Default)]
pub(crate) struct Count(pub(crate) usize);

impl Sink for Count {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }
}

/// How many bytes the variable byte integer takes.
#[inline]
pub(crate) fn varint_len(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Writes a variable byte integer; `value` is at most [`VARINT_MAX`].
#[inline]
pub(crate) fn put_varint<S: Sink>(value: u32, out: &mut S) {
    if value < 0x80 {
        return out.put(&[value as u8]);
    }
    let [b0, b1, b2, b3] = [value, value >> 7, value >> 14, value >> 21].map(|v| v as u8 & 0x7f);
    match varint_len(value) {
        0..=2 => out.put(&[b0 | 0x80, b1]),
        3 => out.put(&[b0 | 0x80, b1 | 0x80, b2]),
        _ => out.put(&[b0 | 0x80, b1 | 0x80, b2 | 0x80, b3]),
    }
}

/// The length of a section as its prefix says it.
pub(crate) fn section_len(len: usize) -> Result<u32, EncodeError> {
    match u32::try_from(len) {
        Ok(len) if len <= VARINT_MAX => Ok(len),
        _ => Err(EncodeError::PacketTooLarge),
    }
}

/// Writes binary data, or text, with its length before it.
pub(crate) fn put_binary<S: Sink>(
    bytes: &[u8],
    field: Field,
    out: &mut S,
) -> Result<(), EncodeError> {
    let len = u16::try_from(bytes.len()).map_err(|_| EncodeError::TooLong(field))?;
    out.put(&len.to_be_bytes());
    out.put(bytes);
    Ok(())
}

pub(crate) fn put_binary_property<S: Sink>(
    id: PropertyId,
    value: Option<&[u8]>,
    out: &mut S,
) -> Result<(), EncodeError> {
    let Some(value) = value else { return Ok(()) };
    out.put(&[id.byte()]);
    put_binary(value, Field::Property(id), out)
}

pub(crate) fn put_string_property<S: Sink>(
    id: PropertyId,
    value: Option<&str>,
    out: &mut S,
) -> Result<(), EncodeError> {
    put_binary_property(id, value.map(str::as_bytes), out)
}

pub(crate) fn put_u32_property<S: Sink>(id: PropertyId, value: Option<u32>, out: &mut S) {
    if let Some(value) = value {
        out.put(&[id.byte()]);
        out.put(&value.to_be_bytes());
    }
}

pub(crate) fn put_u16_property<S: Sink>(id: PropertyId, value: Option<u16>, out: &mut S) {
    if let Some(value) = value {
        out.put(&[id.byte()]);
        out.put(&value.to_be_bytes());
    }
}

pub(crate) fn put_bool_property<S: Sink>(id: PropertyId, value: Option<bool>, out: &mut S) {
    if let Some(value) = value {
        out.put(&[id.byte(), u8::from(value)]);
    }
}

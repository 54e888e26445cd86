//! Numbers and texts to bytes and back.

use types::{DeliveryNumber, MessageRef, PacketId, StoredSession};

/// What is wrong with some bytes.
pub(super) type Fault = &'static str;

/// Appends `value` as LEB128.
#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

#[inline]
fn low_bits(value: u64) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low & 0x7f
}

/// How many bytes [`put_varint`] appends.
pub(super) fn varint_len(value: u64) -> usize {
    let bits = 64_u32.saturating_sub((value | 1).leading_zeros());
    usize::try_from(bits.div_ceil(7)).unwrap_or(10)
}

#[inline]
pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[inline]
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, length(bytes));
    out.extend_from_slice(bytes);
}

#[inline]
pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// How many bytes [`put_bytes`] appends.
pub(super) fn bytes_len(bytes: &[u8]) -> usize {
    varint_len(length(bytes)).saturating_add(bytes.len())
}

/// Appends one record: its length, its kind, and what `fields` writes.
#[inline]
pub(super) fn put_record(out: &mut Vec<u8>, kind: u8, fields: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    // Nearly every record but a body is shorter than 128 bytes: one byte of length is right.
    out.extend_from_slice(&[0, kind]);
    fields(out);
    let length = out.len().saturating_sub(start).saturating_sub(1);
    match (u8::try_from(length), out.get_mut(start)) {
        (Ok(short), Some(first)) if short < 0x80 => *first = short,
        _ => lengthen(out, start, length),
    }
}

/// Puts a length of several bytes where one was kept free.
#[cold]
fn lengthen(out: &mut Vec<u8>, start: usize, length: usize) {
    let mut varint = Vec::with_capacity(10);
    put_varint(&mut varint, u64::try_from(length).unwrap_or(u64::MAX));
    out.splice(start..=start, varint);
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err("longer than its fields")
        }
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in [7_u32, 14, 21, 28, 35, 42, 49, 56, 63] {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err("a number beyond 64 bits");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number beyond 64 bits")
    }

    #[inline]
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let length = usize::try_from(length).map_err(|_| SHORT)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.varint()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a text that is not UTF-8")
    }

    #[inline]
    pub(super) fn session(&mut self) -> Result<StoredSession, Fault> {
        self.varint().map(StoredSession)
    }

    #[inline]
    pub(super) fn message(&mut self) -> Result<MessageRef, Fault> {
        self.u64().map(MessageRef)
    }

    #[inline]
    pub(super) fn number(&mut self) -> Result<DeliveryNumber, Fault> {
        DeliveryNumber::new(self.varint()?).ok_or("a delivery with number zero")
    }

    #[inline]
    pub(super) fn packet_id(&mut self) -> Result<PacketId, Fault> {
        u16::try_from(self.varint()?)
            .ok()
            .and_then(PacketId::new)
            .ok_or("no packet identifier")
    }
}

const SHORT: Fault = "shorter than its fields";

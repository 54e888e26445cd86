//! Reading the data types of MQTT (1.5) off the front of a slice.

use types::PacketId;

use crate::{DecodeError, Field};

/// What the front of a slice holds, read as a variable byte integer (1.5.5).
pub(crate) enum VarInt {
    /// A value and how many bytes it took.
    Complete { value: u32, len: usize },
    /// More bytes are needed.
    Incomplete,
    /// More than four bytes, or more than the value needs.
    Malformed,
}

#[inline]
pub(crate) fn varint(bytes: &[u8]) -> VarInt {
    match bytes.first() {
        Some(&byte) if byte < 0x80 => VarInt::Complete {
            value: u32::from(byte),
            len: 1,
        },
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> VarInt {
    let mut value = 0_u32;
    for (&byte, (len, shift)) in bytes.iter().zip([(1, 0), (2, 7), (3, 14), (4, 21)]) {
        value |= u32::from(byte & 0x7f).wrapping_shl(shift);
        if byte & 0x80 == 0 {
            if byte == 0 && len > 1 {
                return VarInt::Malformed;
            }
            return VarInt::Complete { value, len };
        }
    }
    if bytes.len() < 4 {
        VarInt::Incomplete
    } else {
        VarInt::Malformed
    }
}

/// Takes fields off the front of a packet's body.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// Checks that nothing is left.
    #[inline]
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self, field: Field) -> Result<u8, DecodeError> {
        let (&byte, rest) = self
            .rest
            .split_first()
            .ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self, field: Field) -> Result<u16, DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: Field) -> Result<u32, DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn varint(&mut self, field: Field) -> Result<u32, DecodeError> {
        match varint(self.rest) {
            VarInt::Complete { value, len } => {
                self.bytes(len, field)?;
                Ok(value)
            }
            VarInt::Incomplete => Err(DecodeError::Truncated(field)),
            VarInt::Malformed => Err(DecodeError::VarInt(field)),
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self, len: usize, field: Field) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated(field))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Binary data with its length before it (1.5.6).
    #[inline]
    pub(crate) fn binary(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        let len = self.u16(field)?;
        self.bytes(usize::from(len), field)
    }

    /// A UTF-8 string without U+0000 (1.5.4). A BOM is kept (MQTT-1.5.4-3).
    #[inline]
    pub(crate) fn string(&mut self, field: Field) -> Result<&'a str, DecodeError> {
        let bytes = self.binary(field)?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8(field))?;
        if has_nul(bytes) {
            return Err(DecodeError::Nul(field));
        }
        Ok(text)
    }

    #[inline]
    pub(crate) fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.u16(Field::PacketId)?).ok_or(DecodeError::ZeroPacketId)
    }
}

/// Whether a byte is zero. Eight at a time, the last eight again, so that no tail is left.
#[inline]
fn has_nul(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.contains(&0);
    };
    let (words, _) = bytes.as_chunks();
    words
        .iter()
        .fold(zero_bytes(*last), |found, word| found | zero_bytes(*word))
        != 0
}

/// Not zero exactly if one of the bytes is: only a zero byte borrows into a high bit that it
/// does not have itself.
#[inline]
fn zero_bytes(word: [u8; 8]) -> u64 {
    let word = u64::from_ne_bytes(word);
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080
}

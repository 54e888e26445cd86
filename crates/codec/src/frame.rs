//! Finding the bounds of a packet.

use crate::read::{VarInt, varint};
use crate::{DecodeError, PacketType};

/// What the front of a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not yet a whole packet.
    Incomplete {
        /// How many bytes the whole packet has, if its header is there; else how many bytes
        /// are needed to know more. Always more than there are, never more than the limit
        /// (or the five bytes of a header).
        need: usize,
    },
    /// A whole packet: its body is `bytes[header_len..total_len]`.
    Complete {
        /// The first byte: type and flags.
        first_byte: u8,
        /// Bytes of the fixed header, 2 to 5.
        header_len: usize,
        /// Bytes of the packet with its header.
        total_len: usize,
    },
}

/// Finds the first packet of `bytes`. `max_size` is the most bytes that a packet may have,
/// its header included.
///
/// # Errors
/// As early as the bytes show it: a reserved type or wrong flags from the first byte, a
/// malformed or too large length from the header alone. The DUP bit of PUBREL, SUBSCRIBE and
/// UNSUBSCRIBE is left to [`decode`](crate::decode()), because MQTT 3.1 allows it.
#[inline]
pub fn frame(bytes: &[u8], max_size: u32) -> Result<Frame, DecodeError> {
    let Some((&first_byte, rest)) = bytes.split_first() else {
        return Ok(Frame::Incomplete { need: 2 });
    };
    check_first_byte(first_byte)?;
    let (body_len, varint_len) = match varint(rest) {
        VarInt::Complete { value, len } => (value, len),
        VarInt::Incomplete => {
            return Ok(Frame::Incomplete {
                need: bytes.len().saturating_add(1),
            });
        }
        VarInt::Malformed => return Err(DecodeError::RemainingLength),
    };
    let header_len = varint_len.saturating_add(1);
    // At most 268,435,460: fits any usize of 32 bits or more.
    let total_len = header_len.saturating_add(body_len as usize);
    if total_len > max_size as usize {
        let size = u32::try_from(total_len).unwrap_or(u32::MAX);
        return Err(DecodeError::PacketTooLarge {
            size,
            limit: max_size,
        });
    }
    if bytes.len() < total_len {
        return Ok(Frame::Incomplete { need: total_len });
    }
    Ok(Frame::Complete {
        first_byte,
        header_len,
        total_len,
    })
}

/// Checks type and flags (MQTT-2.1.3-1) as far as that is possible without the version.
#[inline]
pub(crate) fn check_first_byte(first_byte: u8) -> Result<PacketType, DecodeError> {
    if first_byte & 0xf0 == PacketType::Publish.first_byte() {
        return match first_byte & 0x0e {
            0x06 | 0x0e => Err(DecodeError::PublishQoS),
            0x08 => Err(DecodeError::DupAtQoS0),
            _ => Ok(PacketType::Publish),
        };
    }
    let packet = PacketType::from_first_byte(first_byte).ok_or(DecodeError::ReservedType)?;
    match packet {
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe
            if first_byte & 0x07 == 0x02 =>
        {
            Ok(packet)
        }
        _ if first_byte == packet.first_byte() => Ok(packet),
        _ => Err(DecodeError::HeaderFlags(packet)),
    }
}

//! Tests of the codec as a whole: one table of wire vectors for both ways, one of what must be
//! refused, everything truncated and mutated, and packets made up at random.

mod exhaustive;
mod head;
mod lists;
mod malformed;
mod primitives;
mod random;
mod refused;
mod vectors;

use types::ProtocolVersion;

use crate::{
    DecodeError, Frame, Packet, SubscriptionIds, SubscriptionIdsBuf, UserProperties,
    UserPropertiesBuf, decode, frame,
};

const ALL: &[ProtocolVersion] = &[V31, V311, V5];
const V3: &[ProtocolVersion] = &[V31, V311];
const V31: ProtocolVersion = ProtocolVersion::V31;
const V311: ProtocolVersion = ProtocolVersion::V311;
const V5: ProtocolVersion = ProtocolVersion::V5;

/// Bytes from words of hexadecimal digits and of 'text' (without blanks in it).
fn wire(words: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words.split_whitespace() {
        if let Some(text) = word.strip_prefix('\'') {
            bytes.extend_from_slice(text.strip_suffix('\'').expect(word).as_bytes());
            continue;
        }
        assert!(word.len().is_multiple_of(2), "{word}");
        for at in (0..word.len()).step_by(2) {
            bytes.push(u8::from_str_radix(&word[at..at + 2], 16).expect(word));
        }
    }
    bytes
}

/// Reads one whole packet, which must be all of `bytes`.
fn read(version: ProtocolVersion, bytes: &[u8]) -> Result<Packet<'_>, DecodeError> {
    match frame(bytes, u32::MAX)? {
        Frame::Complete {
            first_byte,
            header_len,
            total_len,
        } => {
            assert_eq!(total_len, bytes.len(), "remaining length of {bytes:02x?}");
            decode(version, first_byte, &bytes[header_len..])
        }
        Frame::Incomplete { need } => panic!("{bytes:02x?} needs {need} bytes"),
    }
}

/// Reads a packet with a header made for its body.
fn read_body(
    version: ProtocolVersion,
    first_byte: u8,
    body: &[u8],
) -> Result<Packet<'_>, DecodeError> {
    crate::frame::check_first_byte(first_byte)?;
    decode(version, first_byte, body)
}

fn user(pairs: &[(&str, &str)]) -> UserProperties<'static> {
    let mut list = UserPropertiesBuf::new();
    for (key, value) in pairs {
        list.push(key, value).unwrap();
    }
    Box::leak(Box::new(list)).as_borrowed()
}

fn ids(values: &[u32]) -> SubscriptionIds<'static> {
    let mut list = SubscriptionIdsBuf::new();
    for value in values {
        list.push((*value).try_into().unwrap()).unwrap();
    }
    Box::leak(Box::new(list)).as_borrowed()
}

//! S05: every vector cut at every byte and changed at every byte.

use super::vectors::{Vector, all};
use super::{ALL, read_body};
use crate::*;

fn readable() -> Vec<Vector> {
    all().into_iter().filter(Vector::is_read).collect()
}

fn header_len(bytes: &[u8]) -> usize {
    match frame(bytes, u32::MAX) {
        Ok(Frame::Complete { header_len, .. }) => header_len,
        other => panic!("{other:?}"),
    }
}

/// A stream that stops anywhere waits for more, and says how much more.
#[test]
fn s05_a_truncated_stream_waits() {
    for vector in readable() {
        let len = vector.bytes.len();
        for cut in 0..len {
            match frame(&vector.bytes[..cut], u32::MAX) {
                Ok(Frame::Incomplete { need }) => {
                    assert!(
                        cut < need && need <= len,
                        "{} at {cut}: {need}",
                        vector.name
                    );
                }
                other => panic!("{} at {cut}: {other:?}", vector.name),
            }
        }
    }
}

/// A body that ends early is refused, unless it is a shorter packet: never is more read than
/// is there, so a packet that is read needs no more bytes than there were.
#[test]
fn s05_a_truncated_body_is_refused_or_a_shorter_packet() {
    for vector in readable() {
        let header = header_len(&vector.bytes);
        let body = &vector.bytes[header..];
        for cut in 0..body.len() {
            for &version in ALL {
                if let Ok(packet) = read_body(version, vector.bytes[0], &body[..cut]) {
                    let len = check_again(&packet, version);
                    assert!(len <= header + cut, "{} at {cut}, {version:?}", vector.name);
                }
            }
        }
    }
}

/// Any byte may be any other: no panic, and what is read is written and read again the same.
#[test]
fn s05_every_mutation_is_refused_or_a_packet() {
    let mut read = 0_u32;
    let mut refused = 0_u32;
    for vector in readable() {
        for at in 0..vector.bytes.len() {
            let mut bytes = vector.bytes.clone();
            for value in 0..=255 {
                bytes[at] = value;
                for &version in ALL {
                    let result = match frame(&bytes, 1_000_000) {
                        Ok(Frame::Complete {
                            first_byte,
                            header_len,
                            total_len,
                        }) => decode(version, first_byte, &bytes[header_len..total_len]),
                        Ok(Frame::Incomplete { need }) => {
                            assert!(need > bytes.len());
                            continue;
                        }
                        Err(error) => Err(error),
                    };
                    match result {
                        Ok(packet) => {
                            check_again(&packet, version);
                            read += 1;
                        }
                        Err(error) => {
                            assert!(error.reason().is_error() && !error.to_string().is_empty());
                            refused += 1;
                        }
                    }
                }
            }
        }
    }
    // The loops above did see both.
    assert!(
        read > 10_000 && refused > 10_000,
        "{read} read, {refused} refused"
    );
}

/// Writes a packet that was read, reads it again, and returns its length.
fn check_again(packet: &Packet<'_>, version: types::ProtocolVersion) -> usize {
    let mut bytes = Vec::new();
    assert_eq!(encode(packet, version, &mut bytes), Ok(()), "{packet:?}");
    assert_eq!(encoded_len(packet, version), bytes.len(), "{packet:?}");
    let header = header_len(&bytes);
    assert_eq!(
        decode(version, bytes[0], &bytes[header..]).as_ref(),
        Ok(packet)
    );
    bytes.len()
}

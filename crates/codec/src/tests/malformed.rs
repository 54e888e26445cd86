//! The table of what must be refused, and what is refused in all its forms: headers, and each
//! property and each reason code against each packet.

use types::ReasonCode;

use super::refused::{
    ACKS, ANSWERS, CONNACK, CONNECT, CONNECT_PROPERTIES, ENDS, FIRST_BYTE, Line, PUBLISH, SUBSCRIBE,
};
use super::{V5, read_body, wire};
use crate::DecodeError as E;
use crate::Field as F;
use crate::PacketType as T;
use crate::PropertyId as P;
use crate::{Frame, frame, publish};

fn refuse(line: &Line, bytes: &[u8]) {
    let (case, versions, words, error, reason) = line;
    for &version in *versions {
        let what = format!("{case}: {words} in {version:?}");
        let refused = read_body(version, bytes[0], &bytes[1..]);
        assert_eq!(refused, Err(*error), "{what}");
        assert_eq!(
            Some(error.reason()),
            ReasonCode::from_byte(*reason),
            "{what}"
        );
    }
}

#[test]
fn every_line_is_refused_with_its_reason() {
    let tables = [
        FIRST_BYTE, CONNECT, CONNACK, PUBLISH, ACKS, SUBSCRIBE, ANSWERS, ENDS,
    ];
    for line in tables.into_iter().flatten() {
        refuse(line, &wire(line.2));
    }
    for line in CONNECT_PROPERTIES {
        let properties = wire(line.2);
        let mut bytes = wire("10 0004 'MQTT' 05 02 0000");
        bytes.extend_from_slice(&properties);
        // A length that reaches beyond the end stays beyond it.
        bytes.extend_from_slice(&wire("0001 'a'"));
        refuse(line, &bytes);
    }
}

/// The same properties are refused where a will carries them.
#[test]
fn will_properties_are_a_messages() {
    let will = |words: &str| {
        let mut bytes = wire("0004 'MQTT' 05 06 0000 00 0001 'a'");
        bytes.extend_from_slice(&wire(words));
        bytes.extend_from_slice(&wire("0001 't' 0000"));
        read_body(V5, 0x10, &bytes).map(|_| ())
    };
    assert_eq!(will("05 18 00000001"), Ok(()));
    assert_eq!(
        will("03 23 0001"),
        Err(E::PropertyNotAllowed(P::TopicAlias))
    );
    assert_eq!(
        will("02 0b 01"),
        Err(E::PropertyNotAllowed(P::SubscriptionIdentifier))
    );
    assert_eq!(
        will("05 11 00000001"),
        Err(E::PropertyNotAllowed(P::SessionExpiryInterval))
    );
    assert_eq!(
        will("02 01 02"),
        Err(E::PropertyValue(P::PayloadFormatIndicator))
    );
    assert_eq!(
        will("0a 18 00000001 18 00000001"),
        Err(E::DuplicateProperty(P::WillDelayInterval))
    );
}

/// S02, C33: the remaining length has at most four bytes and no more than it needs.
#[test]
fn s02_remaining_length_is_minimal() {
    for words in [
        "c0 8000",
        "c0 80808000",
        "30 ffffff8001",
        "30 80808080",
        "30 ffffffff",
    ] {
        assert_eq!(
            frame(&wire(words), u32::MAX),
            Err(E::RemainingLength),
            "{words}"
        );
    }
    assert_eq!(E::RemainingLength.reason(), ReasonCode::MalformedPacket);
    for (words, need) in [
        ("", 2),
        ("30", 2),
        ("30 80", 3),
        ("30 8080", 4),
        ("30 808080", 5),
    ] {
        assert_eq!(
            frame(&wire(words), u32::MAX),
            Ok(Frame::Incomplete { need }),
            "{words}"
        );
    }
    for (words, need) in [
        ("30 7f", 129),
        ("30 8001", 131),
        ("30 ff7f", 16_386),
        ("30 808001", 16_388),
        ("30 ffff7f", 2_097_155),
        ("30 80808001", 2_097_157),
        ("30 ffffff7f", 268_435_460),
    ] {
        assert_eq!(
            frame(&wire(words), u32::MAX),
            Ok(Frame::Incomplete { need }),
            "{words}"
        );
    }
}

/// S01, S22: what is too large is refused from its header; the limit counts the header.
#[test]
fn s22_too_large_is_refused_from_the_header() {
    let header = wire("30 ffffff7f");
    let error = E::PacketTooLarge {
        size: 268_435_460,
        limit: 268_435_459,
    };
    assert_eq!(frame(&header, 268_435_459), Err(error));
    assert_eq!(error.reason(), ReasonCode::PacketTooLarge);
    assert_eq!(
        frame(&header, 268_435_460),
        Ok(Frame::Incomplete { need: 268_435_460 })
    );
    let whole = Frame::Complete {
        first_byte: 0xc0,
        header_len: 2,
        total_len: 2,
    };
    assert_eq!(frame(&wire("c0 00 30"), 2), Ok(whole));
    assert_eq!(
        frame(&wire("c0 00"), 1),
        Err(E::PacketTooLarge { size: 2, limit: 1 })
    );
}

/// S06, S16: the first byte alone is enough to refuse.
#[test]
fn s16_the_first_byte_is_refused_at_once() {
    for first in 0..=255_u8 {
        let dup_of_mqtt_31 = matches!(first, 0x6a | 0x8a | 0xaa);
        let good = matches!(first, 0x30..=0x35 | 0x3a..=0x3d | 0x62 | 0x82 | 0xa2)
            || (first & 0x0f == 0 && !matches!(first, 0x00 | 0x60 | 0x80 | 0xa0));
        match frame(&[first], u32::MAX) {
            Ok(Frame::Incomplete { need: 2 }) => assert!(good || dup_of_mqtt_31, "{first:02x}"),
            Err(_) => assert!(!good, "{first:02x}"),
            other => panic!("{first:02x}: {other:?}"),
        }
    }
}

/// Only what is passed on stands among what is passed on.
#[test]
fn forward_bytes_are_checked() {
    for (words, error) in [
        (
            "02 0000003c",
            E::PropertyNotAllowed(P::MessageExpiryInterval),
        ),
        ("23 0001", E::PropertyNotAllowed(P::TopicAlias)),
        (
            "01 01 01 01",
            E::DuplicateProperty(P::PayloadFormatIndicator),
        ),
        ("09 0002 ff", E::Truncated(F::Property(P::CorrelationData))),
        ("7e", E::UnknownProperty(0x7e)),
    ] {
        assert_eq!(publish::parse_forward(&wire(words)), Err(error), "{words}");
    }
}

/// Whatever one packet may carry, another may not: each property against each packet.
#[test]
fn s11_every_property_has_its_packets() {
    // One value of each property, and the first bytes of the packets that may carry it:
    // the table of 2.2.2.2.
    let table: &[(P, &str, &[u8])] = &[
        (P::PayloadFormatIndicator, "01", &[0x30]),
        (P::MessageExpiryInterval, "00000001", &[0x30]),
        (P::ContentType, "0001 'x'", &[0x30]),
        (P::ResponseTopic, "0001 'x'", &[0x30]),
        (P::CorrelationData, "0001 'x'", &[0x30]),
        (P::SubscriptionIdentifier, "01", &[0x30, 0x82]),
        (P::SessionExpiryInterval, "00000001", &[0x10, 0x20, 0xe0]),
        (P::AssignedClientIdentifier, "0001 'x'", &[0x20]),
        (P::ServerKeepAlive, "0001", &[0x20]),
        (P::AuthenticationMethod, "0001 'x'", &[0x10, 0x20, 0xf0]),
        (P::AuthenticationData, "0001 'x'", &[0x10, 0x20, 0xf0]),
        (P::RequestProblemInformation, "01", &[0x10]),
        (P::WillDelayInterval, "00000001", &[]),
        (P::RequestResponseInformation, "01", &[0x10]),
        (P::ResponseInformation, "0001 'x'", &[0x20]),
        (P::ServerReference, "0001 'x'", &[0x20, 0xe0]),
        (
            P::ReasonString,
            "0001 'x'",
            &[0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xe0, 0xf0],
        ),
        (P::ReceiveMaximum, "0001", &[0x10, 0x20]),
        (P::TopicAliasMaximum, "0001", &[0x10, 0x20]),
        (P::TopicAlias, "0001", &[0x30]),
        (P::MaximumQoS, "01", &[0x20]),
        (P::RetainAvailable, "01", &[0x20]),
        (
            P::UserProperty,
            "0001 'x' 0000",
            &[
                0x10, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70, 0x82, 0x90, 0xa2, 0xb0, 0xe0, 0xf0,
            ],
        ),
        (P::MaximumPacketSize, "00000001", &[0x10, 0x20]),
        (P::WildcardSubscriptionAvailable, "01", &[0x20]),
        (P::SubscriptionIdentifierAvailable, "01", &[0x20]),
        (P::SharedSubscriptionAvailable, "01", &[0x20]),
    ];
    assert_eq!(table.iter().map(|line| line.0).collect::<Vec<_>>(), P::ALL);
    // What stands before and behind the properties of each packet.
    let packets: &[(u8, &str, &str)] = &[
        (0x10, "0004 'MQTT' 05 02 0000", "0001 'a'"),
        (0x20, "00 00", ""),
        (0x30, "0001 't'", ""),
        (0x40, "0001 00", ""),
        (0x50, "0001 00", ""),
        (0x62, "0001 00", ""),
        (0x70, "0001 00", ""),
        (0x82, "0001", "0001 'a' 00"),
        (0x90, "0001", "00"),
        (0xa2, "0001", "0001 'a'"),
        (0xb0, "0001", "00"),
        (0xe0, "00", ""),
        (0xf0, "00", ""),
    ];
    for (id, value, carriers) in table {
        for (first, before, behind) in packets {
            let mut property = vec![id.byte()];
            property.extend_from_slice(&wire(value));
            // Data needs a method, wherever it may stand at all.
            if *id == P::AuthenticationData && carriers.contains(first) {
                property.extend_from_slice(&wire("15 0001 'm'"));
            }
            let mut body = wire(before);
            body.push(property.len().try_into().unwrap());
            body.extend_from_slice(&property);
            body.extend_from_slice(&wire(behind));
            let result = read_body(V5, *first, &body).map(|_| ());
            if carriers.contains(first) {
                assert_eq!(result, Ok(()), "{id} in {first:02x}");
            } else {
                assert_eq!(
                    result,
                    Err(E::PropertyNotAllowed(*id)),
                    "{id} in {first:02x}"
                );
            }
        }
    }
}

/// 2.4: each reason code against each packet that carries one.
#[test]
fn every_reason_has_its_packets() {
    let table: &[(u8, &str, &str, &[u8])] = &[
        (
            0x20,
            "00",
            "00",
            &[
                0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90,
                0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
            ],
        ),
        (
            0x40,
            "0001",
            "",
            &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
        ),
        (
            0x50,
            "0001",
            "",
            &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
        ),
        (0x62, "0001", "", &[0x00, 0x92]),
        (0x70, "0001", "", &[0x00, 0x92]),
        (
            0x90,
            "0001 00",
            "",
            &[
                0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
            ],
        ),
        (
            0xb0,
            "0001 00",
            "",
            &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91],
        ),
        (
            0xe0,
            "",
            "",
            &[
                0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90,
                0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0,
                0xa1, 0xa2,
            ],
        ),
        (0xf0, "", "04 15 0001 'm'", &[0x00, 0x18, 0x19]),
    ];
    for (first, before, behind, allowed) in table {
        let packet = T::from_first_byte(*first).unwrap();
        for code in 0..=255_u8 {
            let mut body = wire(before);
            body.push(code);
            body.extend_from_slice(&wire(behind));
            let result = read_body(V5, *first, &body).map(|_| ());
            if allowed.contains(&code) {
                assert_eq!(result, Ok(()), "0x{code:02x} in {packet}");
            } else {
                let error = E::Reason { packet, code };
                assert_eq!(result, Err(error), "0x{code:02x} in {packet}");
            }
        }
    }
}

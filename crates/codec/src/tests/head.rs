//! The fast way out of a PUBLISH, and what cannot be written.

use std::num::NonZeroU32;

use types::{PacketId, ProtocolVersion, QoS, ReasonCode};

use super::{ALL, V3, V5, V31, V311, read, user, wire};
use crate::publish::{forward_properties, parse_forward};
use crate::*;

fn head() -> PublishHead<'static> {
    PublishHead {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "a/b",
        packet_id: PacketId::new(0x0102),
        message_expiry: None,
        topic_alias: None,
        subscription_ids: &[],
        forward_bytes: &[],
        payload_len: 0,
    }
}

fn forward() -> Forward<'static> {
    Forward {
        payload_is_utf8: Some(true),
        content_type: Some("text"),
        response_topic: Some("r/t"),
        correlation_data: Some(b"\x00\x01"),
        user: user(&[("k", "v"), ("k", "w")]),
    }
}

/// A head and a payload are the packet that `encode` writes.
fn check(head: &PublishHead<'_>, payload: &[u8], version: ProtocolVersion) {
    let mut ids = SubscriptionIdsBuf::new();
    for id in head.subscription_ids {
        ids.push(*id).unwrap();
    }
    let packet = Packet::Publish(Publish {
        dup: head.dup,
        qos: head.qos,
        retain: head.retain,
        topic: head.topic,
        packet_id: head.packet_id,
        properties: PublishProperties {
            message_expiry: head.message_expiry,
            topic_alias: head.topic_alias,
            subscription_ids: ids.as_borrowed(),
            forward: parse_forward(head.forward_bytes).unwrap(),
            forward_bytes: None,
        },
        payload,
    });
    let mut expected = vec![0xee];
    encode(&packet, version, &mut expected).unwrap();
    let mut out = vec![0xee];
    let at = head.encode(version, &mut out).unwrap();
    out.extend_from_slice(payload);
    assert_eq!(out, expected);
    assert_eq!(head.encoded_len(version), Ok(out.len() - 1));
    match head.packet_id {
        Some(id) => assert_eq!(out[at..at + 2], id.get().to_be_bytes()),
        None => assert_eq!(at, 0),
    }
}

#[test]
fn a_head_is_what_encode_writes() {
    let mut forward_bytes = Vec::new();
    forward_properties(&forward(), &mut forward_bytes).unwrap();
    let ids = [1, 127, 128, 16_384, VARINT_MAX].map(|id| NonZeroU32::new(id).unwrap());
    // Sizes around each step of the remaining length.
    for payload_len in [0, 1, 100, 127, 128, 16_370, 16_383, 16_384, 2_097_152] {
        let payload = vec![7; payload_len];
        for &version in ALL {
            let plain = PublishHead {
                payload_len,
                ..head()
            };
            check(&plain, &payload, version);
            let qos0 = PublishHead {
                qos: QoS::AtMostOnce,
                packet_id: None,
                retain: true,
                topic: "",
                topic_alias: Some(9),
                ..plain
            };
            check(&qos0, &payload, version);
            let full = PublishHead {
                dup: true,
                qos: QoS::ExactlyOnce,
                message_expiry: Some(60),
                topic_alias: Some(1),
                subscription_ids: &ids,
                forward_bytes: &forward_bytes,
                ..plain
            };
            check(&full, &payload, version);
        }
    }
}

/// C29: what is passed on is what was received, in its order.
#[test]
fn forward_properties_are_read_back() {
    let mut bytes = Vec::new();
    forward_properties(&forward(), &mut bytes).unwrap();
    assert_eq!(parse_forward(&bytes), Ok(forward()));
    assert_eq!(parse_forward(&[]), Ok(Forward::default()));
    let mut none = Vec::new();
    forward_properties(&Forward::default(), &mut none).unwrap();
    assert_eq!(none, [0; 0]);
    let text = "x".repeat(65_536);
    let mut out = vec![1, 2];
    let long = Forward {
        response_topic: Some(&text),
        ..forward()
    };
    let error = EncodeError::TooLong(Field::Property(PropertyId::ResponseTopic));
    assert_eq!(forward_properties(&long, &mut out), Err(error));
    assert_eq!(out, [1, 2]);
}

/// The bytes of a PUBLISH are lent whenever they stand in one piece.
#[test]
fn forward_bytes_are_lent_in_one_piece() {
    for (version, words, lent) in [
        (V311, "30 03 0001 't'", Some("")),
        (V5, "30 04 0001 't' 00", Some("")),
        (V5, "30 07 0001 't' 03 23 0001", Some("")),
        (
            V5,
            "30 0a 0001 't' 06 01 01 03 0001 'c'",
            Some("01 01 03 0001 'c'"),
        ),
        (
            V5,
            "30 0d 0001 't' 09 23 0001 01 01 03 0001 'c'",
            Some("01 01 03 0001 'c'"),
        ),
        (
            V5,
            "30 0d 0001 't' 09 01 01 03 0001 'c' 23 0001",
            Some("01 01 03 0001 'c'"),
        ),
        (V5, "30 0d 0001 't' 09 01 01 23 0001 03 0001 'c'", None),
    ] {
        let bytes = wire(words);
        let Ok(Packet::Publish(publish)) = read(version, &bytes) else {
            panic!("{words}")
        };
        let lent = lent.map(wire);
        assert_eq!(publish.properties.forward_bytes, lent.as_deref(), "{words}");
        if let Some(bytes) = lent {
            assert_eq!(
                parse_forward(&bytes),
                Ok(publish.properties.forward),
                "{words}"
            );
        }
    }
}

#[test]
fn a_head_that_is_no_packet_is_refused() {
    let text = "x".repeat(65_536);
    let too_high = [NonZeroU32::new(VARINT_MAX + 1).unwrap()];
    // Topic 2 + 3, packet identifier 2, and in 5.0 one byte that says no properties.
    let largest = VARINT_MAX as usize - 7;
    let id_error = EncodeError::PropertyValue(PropertyId::SubscriptionIdentifier);
    for (version, head, error) in [
        (
            V5,
            PublishHead {
                topic: &text,
                ..head()
            },
            EncodeError::TooLong(Field::Topic),
        ),
        (
            V5,
            PublishHead {
                payload_len: largest,
                ..head()
            },
            EncodeError::PacketTooLarge,
        ),
        (
            V311,
            PublishHead {
                payload_len: largest + 1,
                ..head()
            },
            EncodeError::PacketTooLarge,
        ),
        (
            V311,
            PublishHead {
                payload_len: usize::MAX,
                ..head()
            },
            EncodeError::PacketTooLarge,
        ),
        (
            V5,
            PublishHead {
                subscription_ids: &too_high,
                ..head()
            },
            id_error,
        ),
    ] {
        assert_eq!(head.encoded_len(version), Err(error));
        let mut out = Vec::new();
        assert_eq!(head.encode(version, &mut out), Err(error));
        assert_eq!(out, [0; 0]);
    }
    for (head, error) in [
        (
            PublishHead {
                packet_id: None,
                ..head()
            },
            EncodeError::PacketId,
        ),
        (
            PublishHead {
                qos: QoS::AtMostOnce,
                ..head()
            },
            EncodeError::PacketId,
        ),
        (
            PublishHead {
                dup: true,
                qos: QoS::AtMostOnce,
                packet_id: None,
                ..head()
            },
            EncodeError::DupAtQoS0,
        ),
    ] {
        assert_eq!(head.encode(V5, &mut Vec::new()), Err(error));
    }
    let fits = PublishHead {
        payload_len: largest,
        ..head()
    };
    assert_eq!(fits.encoded_len(V311), Ok(VARINT_MAX as usize + 5));
    let fits = PublishHead {
        payload_len: largest - 1,
        ..head()
    };
    assert_eq!(fits.encoded_len(V5), Ok(VARINT_MAX as usize + 5));
}

/// What is no packet of the standard is not written, and has no length that fits a limit.
#[test]
fn packets_that_do_not_exist_are_not_written() {
    let id = PacketId::FIRST;
    let text: &'static str = "x".repeat(65_536).leak();
    let connect = |version| Connect {
        version,
        bridge: false,
        clean_start: true,
        keep_alive: 0,
        client_id: "a",
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    };
    let packet = |connect| Packet::Connect(Box::new(connect));
    let properties = |properties| {
        packet(Connect {
            properties,
            ..connect(V5)
        })
    };
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "t",
        packet_id: None,
        properties: PublishProperties::default(),
        payload: b"",
    };
    let none = ConnectProperties::default();
    let subscribe = Subscribe {
        packet_id: id,
        subscription_id: None,
        user: UserProperties::default(),
        filters: SubscribeFilters(&[0, 1, b'a', 0]),
    };
    let unsubscribe = Unsubscribe {
        packet_id: id,
        user: UserProperties::default(),
        filters: UnsubscribeFilters(&[]),
    };
    let connack = |properties| {
        Packet::ConnAck(Box::new(ConnAck {
            properties,
            ..ConnAck::new(ReasonCode::Success)
        }))
    };
    let session = ConnAck {
        session_present: true,
        ..ConnAck::new(ReasonCode::NotAuthorized)
    };
    let cases: Vec<(&[ProtocolVersion], Packet<'_>, EncodeError)> = vec![
        (
            ALL,
            packet(Connect {
                client_id: text,
                ..connect(V5)
            }),
            EncodeError::TooLong(Field::ClientId),
        ),
        (
            ALL,
            packet(Connect {
                password: Some(b"p"),
                ..connect(V311)
            }),
            EncodeError::PasswordWithoutUsername,
        ),
        (
            ALL,
            packet(Connect {
                password: Some(b"p"),
                ..connect(V31)
            }),
            EncodeError::PasswordWithoutUsername,
        ),
        (
            ALL,
            properties(ConnectProperties {
                receive_maximum: Some(0),
                ..none.clone()
            }),
            EncodeError::PropertyValue(PropertyId::ReceiveMaximum),
        ),
        (
            ALL,
            properties(ConnectProperties {
                maximum_packet_size: Some(0),
                ..none.clone()
            }),
            EncodeError::PropertyValue(PropertyId::MaximumPacketSize),
        ),
        (
            ALL,
            properties(ConnectProperties {
                authentication_data: Some(b""),
                ..none
            }),
            EncodeError::AuthDataWithoutMethod,
        ),
        (
            &[V5],
            connack(ConnAckProperties {
                maximum_qos: Some(QoS::ExactlyOnce),
                ..Default::default()
            }),
            EncodeError::PropertyValue(PropertyId::MaximumQoS),
        ),
        (
            &[V5],
            connack(ConnAckProperties {
                reason_string: Some(text),
                ..Default::default()
            }),
            EncodeError::TooLong(Field::Property(PropertyId::ReasonString)),
        ),
        (
            ALL,
            Packet::ConnAck(Box::new(session)),
            EncodeError::SessionPresentWithError,
        ),
        (
            ALL,
            Packet::Publish(Publish {
                dup: true,
                ..publish
            }),
            EncodeError::DupAtQoS0,
        ),
        (
            ALL,
            Packet::Publish(Publish {
                packet_id: Some(id),
                ..publish
            }),
            EncodeError::PacketId,
        ),
        (
            ALL,
            Packet::Publish(Publish {
                qos: QoS::AtLeastOnce,
                ..publish
            }),
            EncodeError::PacketId,
        ),
        (
            ALL,
            Packet::Publish(Publish {
                topic: text,
                ..publish
            }),
            EncodeError::TooLong(Field::Topic),
        ),
        (
            ALL,
            Packet::PubRel(Ack::new(id, ReasonCode::QuotaExceeded)),
            EncodeError::Reason {
                packet: PacketType::PubRel,
                code: 0x97,
            },
        ),
        (
            &[V5],
            Packet::Subscribe(Subscribe {
                subscription_id: Some(0),
                ..subscribe
            }),
            EncodeError::PropertyValue(PropertyId::SubscriptionIdentifier),
        ),
        (
            &[V5],
            Packet::Subscribe(Subscribe {
                subscription_id: Some(VARINT_MAX + 1),
                ..subscribe
            }),
            EncodeError::PropertyValue(PropertyId::SubscriptionIdentifier),
        ),
        (
            ALL,
            Packet::Subscribe(Subscribe {
                filters: SubscribeFilters(&[]),
                ..subscribe
            }),
            EncodeError::EmptyList(PacketType::Subscribe),
        ),
        (
            ALL,
            Packet::Unsubscribe(unsubscribe),
            EncodeError::EmptyList(PacketType::Unsubscribe),
        ),
        (
            ALL,
            Packet::SubAck(ReasonList::new(id, &[])),
            EncodeError::EmptyList(PacketType::SubAck),
        ),
        (
            ALL,
            Packet::SubAck(ReasonList::new(id, &[0, 3])),
            EncodeError::Reason {
                packet: PacketType::SubAck,
                code: 3,
            },
        ),
        (
            &[V5],
            Packet::UnsubAck(ReasonList::new(id, &[0x97])),
            EncodeError::Reason {
                packet: PacketType::UnsubAck,
                code: 0x97,
            },
        ),
        (
            ALL,
            Packet::Disconnect(Disconnect::new(ReasonCode::Banned)),
            EncodeError::Reason {
                packet: PacketType::Disconnect,
                code: 0x8a,
            },
        ),
        (
            V3,
            Packet::Auth(Auth::new(ReasonCode::Success)),
            EncodeError::NotInVersion(PacketType::Auth),
        ),
        (
            &[V5],
            Packet::Auth(Auth::new(ReasonCode::ReAuthenticate)),
            EncodeError::AuthWithoutMethod,
        ),
        (
            &[V5],
            Packet::Auth(Auth {
                data: Some(b""),
                ..Auth::new(ReasonCode::Success)
            }),
            EncodeError::AuthDataWithoutMethod,
        ),
    ];
    for (versions, packet, error) in cases {
        for &version in versions {
            let mut out = Vec::new();
            assert_eq!(
                encode(&packet, version, &mut out),
                Err(error),
                "{packet:?} {version:?}"
            );
            assert_eq!(out, [0; 0], "{packet:?}");
            assert_eq!(encoded_len(&packet, version), usize::MAX, "{packet:?}");
        }
    }
}

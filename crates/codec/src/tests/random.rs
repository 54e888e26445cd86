//! Packets made up at random: written, measured, read back.

use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use types::{PacketId, ProtocolVersion, QoS, ReasonCode, RetainHandling, SubscriptionOptions};

use super::{ALL, V5, V31, ids, user};
use crate::*;

/// Text without U+0000. Leaked, so that packets may borrow it: a few bytes a case.
fn text() -> impl Strategy<Value = &'static str> {
    "[^\\x00]{0,12}".prop_map(|text| &*text.leak())
}

fn blob() -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..12).prop_map(|bytes| &*bytes.leak())
}

fn pairs() -> impl Strategy<Value = UserProperties<'static>> {
    vec((text(), text()), 0..4).prop_map(|pairs| user(&pairs))
}

fn subscription_ids() -> impl Strategy<Value = SubscriptionIds<'static>> {
    vec(1..=VARINT_MAX, 0..4).prop_map(|list| ids(&list))
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn reason(packet: PacketType) -> impl Strategy<Value = ReasonCode> {
    let allowed = ReasonCode::ALL
        .iter()
        .copied()
        .filter(|reason| packet.allows(*reason));
    select(allowed.collect::<Vec<_>>())
}

fn options() -> impl Strategy<Value = SubscriptionOptions> {
    let handling = select(vec![
        RetainHandling::Send,
        RetainHandling::SendIfNew,
        RetainHandling::DoNotSend,
    ]);
    (qos(), any::<bool>(), any::<bool>(), handling).prop_map(
        |(qos, no_local, retain_as_published, retain_handling)| SubscriptionOptions {
            qos,
            no_local,
            retain_as_published,
            retain_handling,
        },
    )
}

prop_compose! {
    fn forward()(
        payload_is_utf8 in any::<Option<bool>>(),
        content_type in of(text()),
        response_topic in of(text()),
        correlation_data in of(blob()),
        user in pairs(),
    ) -> Forward<'static> {
        Forward { payload_is_utf8, content_type, response_topic, correlation_data, user }
    }
}

prop_compose! {
    fn will()(
        (topic, payload) in (text(), blob()),
        (qos, retain) in (qos(), any::<bool>()),
        (delay, message_expiry) in any::<(Option<u32>, Option<u32>)>(),
        forward in forward(),
    ) -> Will<'static> {
        Will { topic, payload, qos, retain, delay, message_expiry, forward }
    }
}

prop_compose! {
    fn connect_properties()(
        session_expiry in any::<Option<u32>>(),
        receive_maximum in of(1..=u16::MAX),
        maximum_packet_size in of(1..=u32::MAX),
        topic_alias_maximum in any::<Option<u16>>(),
        (request_response_information, request_problem_information)
            in any::<(Option<bool>, Option<bool>)>(),
        user in pairs(),
        method in of((text(), of(blob()))),
    ) -> ConnectProperties<'static> {
        ConnectProperties {
            session_expiry,
            receive_maximum,
            maximum_packet_size,
            topic_alias_maximum,
            request_response_information,
            request_problem_information,
            user,
            authentication_method: method.map(|(method, _)| method),
            authentication_data: method.and_then(|(_, data)| data),
        }
    }
}

prop_compose! {
    fn connect()(
        version in select(ALL),
        (bridge, clean_start, keep_alive) in any::<(bool, bool, u16)>(),
        client_id in text(),
        will in of(will()),
        username in of(text()),
        password in of(blob()),
        properties in connect_properties(),
    ) -> Packet<'static> {
        let v5 = version == V5;
        let mut connect = Connect {
            version,
            bridge,
            clean_start,
            keep_alive,
            client_id,
            will,
            username,
            password: password.filter(|_| v5 || username.is_some()),
            properties,
        };
        if !v5 {
            connect.properties = ConnectProperties::default();
            if let Some(will) = &mut connect.will {
                (will.delay, will.message_expiry) = (None, None);
                will.forward = Forward::default();
            }
        }
        Packet::Connect(Box::new(connect))
    }
}

prop_compose! {
    fn connack()(
        reason in reason(PacketType::ConnAck),
        session_present in any::<bool>(),
        (session_expiry, receive_maximum, maximum_packet_size, topic_alias_maximum)
            in (any::<Option<u32>>(), of(1..=u16::MAX), of(1..=u32::MAX), any::<Option<u16>>()),
        maximum_qos in of(select(vec![QoS::AtMostOnce, QoS::AtLeastOnce])),
        (retain_available, wildcard_subscription_available, subscription_ids_available,
            shared_subscription_available)
            in any::<(Option<bool>, Option<bool>, Option<bool>, Option<bool>)>(),
        server_keep_alive in any::<Option<u16>>(),
        (assigned_client_id, reason_string, response_information, server_reference)
            in (of(text()), of(text()), of(text()), of(text())),
        user in pairs(),
        method in of((text(), of(blob()))),
    ) -> Packet<'static> {
        let properties = ConnAckProperties {
            session_expiry,
            receive_maximum,
            maximum_qos,
            retain_available,
            maximum_packet_size,
            assigned_client_id,
            topic_alias_maximum,
            reason_string,
            user,
            wildcard_subscription_available,
            subscription_ids_available,
            shared_subscription_available,
            server_keep_alive,
            response_information,
            server_reference,
            authentication_method: method.map(|(method, _)| method),
            authentication_data: method.and_then(|(_, data)| data),
        };
        let session_present = session_present && !reason.is_error();
        Packet::ConnAck(Box::new(ConnAck { session_present, reason, properties }))
    }
}

prop_compose! {
    fn publish()(
        (dup, retain) in any::<(bool, bool)>(),
        qos in qos(),
        topic in text(),
        id in packet_id(),
        (message_expiry, topic_alias) in any::<(Option<u32>, Option<u16>)>(),
        subscription_ids in subscription_ids(),
        forward in forward(),
        payload in vec(any::<u8>(), 0..300),
    ) -> Packet<'static> {
        Packet::Publish(Publish {
            dup: dup && qos != QoS::AtMostOnce,
            qos,
            retain,
            topic,
            packet_id: (qos != QoS::AtMostOnce).then_some(id),
            properties: PublishProperties {
                message_expiry,
                topic_alias,
                subscription_ids,
                forward,
                forward_bytes: None,
            },
            payload: payload.leak(),
        })
    }
}

fn ack(packet: PacketType) -> impl Strategy<Value = Ack<'static>> {
    (packet_id(), reason(packet), of(text()), pairs()).prop_map(
        |(packet_id, reason, reason_string, user)| Ack {
            packet_id,
            reason,
            reason_string,
            user,
        },
    )
}

fn reason_list(packet: PacketType) -> impl Strategy<Value = ReasonList<'static>> {
    let reasons = vec(reason(packet).prop_map(ReasonCode::byte), 1..5);
    (packet_id(), of(text()), pairs(), reasons).prop_map(
        |(packet_id, reason_string, user, reasons)| ReasonList {
            packet_id,
            reason_string,
            user,
            reasons: reasons.leak(),
        },
    )
}

prop_compose! {
    fn subscribe()(
        packet_id in packet_id(),
        subscription_id in of(1..=VARINT_MAX),
        user in pairs(),
        list in vec((text(), options()), 1..5),
    ) -> Packet<'static> {
        let mut filters = SubscribeFiltersBuf::new();
        for (filter, options) in list {
            filters.push(filter, options).unwrap();
        }
        let filters = Box::leak(Box::new(filters)).as_borrowed();
        Packet::Subscribe(Subscribe { packet_id, subscription_id, user, filters })
    }
}

prop_compose! {
    fn unsubscribe()(
        packet_id in packet_id(),
        user in pairs(),
        list in vec(text(), 1..5),
    ) -> Packet<'static> {
        let mut filters = UnsubscribeFiltersBuf::new();
        for filter in list {
            filters.push(filter).unwrap();
        }
        let filters = Box::leak(Box::new(filters)).as_borrowed();
        Packet::Unsubscribe(Unsubscribe { packet_id, user, filters })
    }
}

prop_compose! {
    fn disconnect()(
        reason in reason(PacketType::Disconnect),
        session_expiry in any::<Option<u32>>(),
        reason_string in of(text()),
        user in pairs(),
        server_reference in of(text()),
    ) -> Packet<'static> {
        Packet::Disconnect(Disconnect {
            reason,
            session_expiry,
            reason_string,
            user,
            server_reference,
        })
    }
}

prop_compose! {
    fn auth()(
        reason in reason(PacketType::Auth),
        method in of(text()),
        data in of(blob()),
        reason_string in of(text()),
        user in pairs(),
    ) -> Packet<'static> {
        let method = method.or((reason != ReasonCode::Success).then_some("m"));
        let data = data.filter(|_| method.is_some());
        Packet::Auth(Auth { reason, method, data, reason_string, user })
    }
}

fn packet() -> impl Strategy<Value = Packet<'static>> {
    prop_oneof![
        connect(),
        connack(),
        publish(),
        ack(PacketType::PubAck).prop_map(Packet::PubAck),
        ack(PacketType::PubRec).prop_map(Packet::PubRec),
        ack(PacketType::PubRel).prop_map(Packet::PubRel),
        ack(PacketType::PubComp).prop_map(Packet::PubComp),
        subscribe(),
        reason_list(PacketType::SubAck).prop_map(Packet::SubAck),
        unsubscribe(),
        reason_list(PacketType::UnsubAck).prop_map(Packet::UnsubAck),
        select(vec![Packet::PingReq, Packet::PingResp]),
        disconnect(),
        auth(),
    ]
}

/// What is left of a packet on the way to a MQTT 3 receiver (C40); `None` if nothing is.
fn for_mqtt_3(packet: &Packet<'static>, version: ProtocolVersion) -> Option<Packet<'static>> {
    let bare = |ack: &Ack<'_>| Ack::new(ack.packet_id, ReasonCode::Success);
    Some(match packet {
        Packet::Connect(_) | Packet::PingReq | Packet::PingResp => packet.clone(),
        Packet::ConnAck(connack) => {
            let reason = match connack.reason.connect_return_code() {
                0 => ReasonCode::Success,
                1 => ReasonCode::UnsupportedProtocolVersion,
                2 => ReasonCode::ClientIdentifierNotValid,
                3 => ReasonCode::ServerUnavailable,
                4 => ReasonCode::BadUserNameOrPassword,
                _ => ReasonCode::NotAuthorized,
            };
            let session_present = connack.session_present && version != V31;
            Packet::ConnAck(Box::new(ConnAck {
                session_present,
                ..ConnAck::new(reason)
            }))
        }
        Packet::Publish(publish) => Packet::Publish(Publish {
            properties: PublishProperties::default(),
            ..*publish
        }),
        Packet::PubAck(ack) => Packet::PubAck(bare(ack)),
        Packet::PubRec(ack) => Packet::PubRec(bare(ack)),
        Packet::PubRel(ack) => Packet::PubRel(bare(ack)),
        Packet::PubComp(ack) => Packet::PubComp(bare(ack)),
        Packet::Subscribe(subscribe) => {
            let mut filters = SubscribeFiltersBuf::new();
            for each in subscribe.filters.iter() {
                filters
                    .push(each.filter, SubscriptionOptions::plain(each.options.qos))
                    .unwrap();
            }
            Packet::Subscribe(Subscribe {
                subscription_id: None,
                user: UserProperties::default(),
                filters: Box::leak(Box::new(filters)).as_borrowed(),
                ..*subscribe
            })
        }
        Packet::SubAck(list) => {
            let reasons: Vec<u8> = list.reasons.iter().map(|&code| code.min(0x80)).collect();
            Packet::SubAck(ReasonList::new(list.packet_id, reasons.leak()))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let user = UserProperties::default();
            Packet::Unsubscribe(Unsubscribe {
                user,
                ..*unsubscribe
            })
        }
        Packet::UnsubAck(list) => Packet::UnsubAck(ReasonList::new(list.packet_id, &[])),
        Packet::Disconnect(_) => Packet::Disconnect(Disconnect::new(ReasonCode::Success)),
        Packet::Auth(_) => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// What is written is as long as was said before, and reads as what was meant.
    #[test]
    fn what_is_written_is_read(packet in packet(), version in select(ALL)) {
        let expected = match version {
            V5 => Some(packet.clone()),
            _ => for_mqtt_3(&packet, version),
        };
        let mut bytes = Vec::new();
        let Some(expected) = expected else {
            prop_assert!(encode(&packet, version, &mut bytes).is_err());
            return Ok(());
        };
        prop_assert_eq!(encode(&packet, version, &mut bytes), Ok(()));
        prop_assert_eq!(encoded_len(&packet, version), bytes.len());
        let max = u32::try_from(bytes.len()).unwrap();
        let Ok(Frame::Complete { first_byte, header_len, total_len }) = frame(&bytes, max) else {
            panic!("{:?}", frame(&bytes, max));
        };
        prop_assert_eq!(total_len, bytes.len());
        let read = decode(version, first_byte, &bytes[header_len..]);
        prop_assert_eq!(read.as_ref(), Ok(&expected));
        // Writing what was read gives the same bytes: there is one way to write a packet.
        let mut again = Vec::new();
        prop_assert_eq!(encode(&read.unwrap(), version, &mut again), Ok(()));
        prop_assert_eq!(&again, &bytes);
    }

    /// A PUBLISH of the fast way out is the one that `encode` writes.
    #[test]
    fn a_head_is_what_encode_writes(packet in publish(), version in select(ALL)) {
        let Packet::Publish(publish) = packet else { unreachable!() };
        let mut expected = Vec::new();
        prop_assert_eq!(encode(&packet, version, &mut expected), Ok(()));
        let mut forward_bytes = Vec::new();
        let forward = publish.properties.forward;
        prop_assert_eq!(publish::forward_properties(&forward, &mut forward_bytes), Ok(()));
        prop_assert_eq!(publish::parse_forward(&forward_bytes), Ok(forward));
        let subscription_ids: Vec<_> =
            publish.properties.subscription_ids.iter().filter_map(NonZeroU32::new).collect();
        let head = PublishHead {
            dup: publish.dup,
            qos: publish.qos,
            retain: publish.retain,
            topic: publish.topic,
            packet_id: publish.packet_id,
            message_expiry: publish.properties.message_expiry,
            topic_alias: publish.properties.topic_alias,
            subscription_ids: &subscription_ids,
            forward_bytes: &forward_bytes,
            payload_len: publish.payload.len(),
        };
        let mut out = Vec::new();
        prop_assert!(head.encode(version, &mut out).is_ok());
        out.extend_from_slice(publish.payload);
        prop_assert_eq!(head.encoded_len(version), Ok(out.len()));
        prop_assert_eq!(&out, &expected);
        // Our own writing keeps what is passed on in one piece.
        if version == V5 {
            let Ok(Frame::Complete { first_byte, header_len, .. }) = frame(&expected, u32::MAX)
            else {
                panic!("a whole packet");
            };
            let read = decode_publish(version, first_byte, &expected[header_len..]);
            prop_assert_eq!(read.unwrap().properties.forward_bytes, Some(&forward_bytes[..]));
        }
    }

    /// Bytes without any sense: no panic, and nothing is read that is not there.
    #[test]
    fn noise_is_refused_or_a_packet(
        first_byte in any::<u8>(),
        body in vec(prop_oneof![0..6_u8, any::<u8>()], 0..80),
        version in select(ALL),
    ) {
        if let Ok(packet) = decode(version, first_byte, &body) {
            let mut bytes = Vec::new();
            prop_assert_eq!(encode(&packet, version, &mut bytes), Ok(()));
            prop_assert!(bytes.len() <= body.len() + 5);
        }
        if let Ok(Frame::Complete { total_len, .. }) = frame(&body, u32::MAX) {
            prop_assert!(total_len <= body.len());
        }
    }
}

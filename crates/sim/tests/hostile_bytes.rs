//! S01 to S07, S11 to S13: bytes that are no packets, and packets that are not for servers.

mod hostile;

use std::time::Duration;

use codec::{
    Ack, Auth, ConnAck, Disconnect, Forward, Packet, PublishProperties, ReasonList, Subscribe,
    SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf, UserPropertiesBuf, Will,
};
use hostile::*;
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions};

#[test]
fn s01_a_length_without_a_body_costs_nothing() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    // Above the limit: refused from the header alone, before and after CONNECT.
    let mut peer = Peer::open(&mut universe, V5);
    peer.send_bytes(&mut universe, b"\x10\xff\xff\xff\x7f");
    sent_away(&mut peer, &mut universe, None);
    let mut peer = Peer::join(&mut universe, V5, "m");
    peer.send_bytes(&mut universe, b"\x30\xff\xff\xff\x7f");
    sent_away(&mut peer, &mut universe, Some(ReasonCode::PacketTooLarge));
    others.are_alone(&mut universe);
    // Below it: what is held is what has arrived, until the connect deadline.
    let mut peer = Peer::open(&mut universe, V5);
    peer.send_bytes(&mut universe, b"\x10\xf0\xff\x03");
    assert!(!universe.is_closed(peer.link));
    assert_eq!(universe.shared.unauthenticated_bytes(), 4);
    universe.advance(Duration::from_secs(9));
    assert!(!universe.is_closed(peer.link));
    universe.advance(Duration::from_secs(1));
    sent_away(&mut peer, &mut universe, None);
    others.are_alone(&mut universe);
}

#[test]
fn s02_a_length_that_is_too_long_or_not_minimal_is_malformed() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for length in [
        &b"\x80\x00"[..],
        b"\x80\x80\x00",
        b"\x80\x80\x80\x80\x01",
        b"\xff\xff\xff\xff\x7f",
    ] {
        for first in [0x10, 0x30, 0xc0, 0x82] {
            let bytes = [&[first], length].concat();
            let mut peer = Peer::open(&mut universe, V5);
            peer.send_bytes(&mut universe, &bytes);
            sent_away(&mut peer, &mut universe, None);
            let mut peer = Peer::join(&mut universe, V5, "m");
            peer.send_bytes(&mut universe, &bytes);
            sent_away(&mut peer, &mut universe, Some(ReasonCode::MalformedPacket));
        }
    }
    others.are_alone(&mut universe);
}

#[test]
fn s03_and_s04_lengths_that_contradict_each_other_are_malformed() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for bytes in [
        &b"\x30\x02\x00\x05"[..],        // the topic is longer than the packet
        b"\x30\x01\x00",                 // half a length
        b"\x30\x05\x00\x01t\x09\x01",    // properties longer than the packet
        b"\x32\x04\x00\x01t\x00",        // half an identifier
        b"\x40\x05\x00\x01\x00\x00\x00", // PUBACK with something behind
        b"\x62\x05\x00\x01\x00\x00\x00", // PUBREL with something behind
        b"\xc0\x01\x00",                 // PINGREQ with a body
        b"\x82\x07\x00\x01\x00\x00\x05\x61\x00", // a filter longer than the packet
        b"\xa2\x06\x00\x01\x00\x00\x05\x61",
        b"\xe0\x04\x00\x00\x00\x00", // DISCONNECT with something behind
    ] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.send_bytes(&mut universe, bytes);
        sent_away(&mut peer, &mut universe, Some(ReasonCode::MalformedPacket));
    }
    others.are_alone(&mut universe);
}

/// Packets of every type, with all that may stand in them.
fn samples(version: ProtocolVersion) -> Vec<Vec<u8>> {
    let mut user = UserPropertiesBuf::new();
    user.push("key", "value").expect("short");
    let forward = Forward {
        content_type: Some("text"),
        response_topic: Some("answer"),
        correlation_data: Some(b"12"),
        payload_is_utf8: Some(true),
        user: user.as_borrowed(),
    };
    let mut connect = connect(version, "sample");
    connect.username = Some("user");
    connect.password = Some(b"password");
    connect.will = Some(Will {
        topic: "will",
        payload: b"gone",
        qos: QoS::AtLeastOnce,
        retain: false,
        delay: Some(1),
        message_expiry: Some(2),
        forward,
    });
    let mut message = publish("topic", b"payload", QoS::ExactlyOnce, 7);
    message.properties = PublishProperties {
        message_expiry: Some(9),
        topic_alias: Some(1),
        forward,
        ..Default::default()
    };
    let ack = Ack {
        packet_id: PacketId::FIRST,
        reason: ReasonCode::Success,
        reason_string: Some("fine"),
        user: user.as_borrowed(),
    };
    let mut filters = SubscribeFiltersBuf::new();
    let mut texts = UnsubscribeFiltersBuf::new();
    for filter in ["a/+", "$share/g/b/#"] {
        let options = SubscriptionOptions::plain(QoS::AtLeastOnce);
        filters.push(filter, options).expect("short");
        texts.push(filter).expect("short");
    }
    let list = ReasonList {
        packet_id: PacketId::FIRST,
        reason_string: None,
        user: Default::default(),
        reasons: &[0],
    };
    let mut packets = vec![
        Packet::Connect(Box::new(connect)),
        Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::Success))),
        Packet::Publish(message),
        Packet::PubAck(ack),
        Packet::PubRec(ack),
        Packet::PubRel(ack),
        Packet::PubComp(ack),
        Packet::Subscribe(Subscribe {
            packet_id: PacketId::FIRST,
            subscription_id: version.has_properties().then_some(5),
            user: Default::default(),
            filters: filters.as_borrowed(),
        }),
        Packet::SubAck(list),
        Packet::Unsubscribe(Unsubscribe {
            packet_id: PacketId::FIRST,
            user: Default::default(),
            filters: texts.as_borrowed(),
        }),
        Packet::UnsubAck(list),
        Packet::PingReq,
        Packet::PingResp,
        Packet::Disconnect(Disconnect {
            reason: ReasonCode::Success,
            session_expiry: None,
            reason_string: Some("bye"),
            user: user.as_borrowed(),
            server_reference: None,
        }),
    ];
    if version.has_properties() {
        packets.push(Packet::Auth(Auth {
            reason: ReasonCode::ContinueAuthentication,
            method: Some("method"),
            data: Some(b"data"),
            reason_string: None,
            user: Default::default(),
        }));
    }
    packets
        .iter()
        .map(|packet| encode(packet, version))
        .collect()
}

#[test]
fn s05_every_packet_cut_at_every_byte_waits_or_closes() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for version in VERSIONS {
        for sample in samples(version) {
            for cut in 0..sample.len() {
                // As it is: the rest may come. With a length that fits: it is all.
                for bytes in [
                    sample[..cut].to_vec(),
                    frame(sample[0], &sample[2..cut.max(2)]),
                ] {
                    let mut early = Peer::open(&mut universe, version);
                    early.send_bytes(&mut universe, &bytes);
                    early.hang_up(&mut universe);
                    let mut late = Peer::join(&mut universe, version, "late");
                    late.send_bytes(&mut universe, &bytes);
                    late.hang_up(&mut universe);
                }
            }
        }
    }
    // Wills of those that were let in are gone with them.
    others.are_alone(&mut universe);
}

#[test]
fn s05_packets_in_single_bytes_mean_the_same() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for version in VERSIONS {
        let mut peer = Peer::open(&mut universe, version);
        for sample in samples(version) {
            if !matches!(sample[0] >> 4, 1 | 3 | 8 | 10 | 12) {
                continue;
            }
            for byte in sample {
                peer.send_bytes(&mut universe, &[byte]);
            }
        }
        let received = peer.received(&mut universe);
        let answers = packets(&received);
        assert!(
            matches!(
                answers[..],
                [
                    Packet::ConnAck(_),
                    Packet::PubRec(_),
                    Packet::SubAck(_),
                    Packet::UnsubAck(_),
                    Packet::PingResp
                ]
            ),
            "{answers:?}"
        );
        peer.hang_up(&mut universe);
    }
    others.are_alone(&mut universe);
}

#[test]
fn s06_what_is_no_connect_first_is_closed_at_once() {
    for workers in [1, 2] {
        let mut universe = limited(workers, Default::default());
        let mut others = Others::new(&mut universe);
        for version in VERSIONS {
            for sample in samples(version).iter().skip(1) {
                let mut peer = Peer::open(&mut universe, version);
                // The first byte is enough.
                peer.send_bytes(&mut universe, &sample[..1]);
                sent_away(&mut peer, &mut universe, None);
                let mut peer = Peer::open(&mut universe, version);
                peer.send_bytes(&mut universe, sample);
                sent_away(&mut peer, &mut universe, None);
            }
        }
        for bytes in [
            &b"\x00\x00"[..],
            b"\xff\x00",
            b"\x11\x00",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        ] {
            let mut peer = Peer::open(&mut universe, V5);
            peer.send_bytes(&mut universe, bytes);
            sent_away(&mut peer, &mut universe, None);
        }
        others.are_alone(&mut universe);
    }
}

#[test]
fn s07_packets_that_only_servers_send_are_a_protocol_error() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for version in VERSIONS {
        for sample in samples(version) {
            if !matches!(sample[0] >> 4, 2 | 9 | 11 | 13) {
                continue;
            }
            let mut peer = Peer::join(&mut universe, version, "m");
            peer.send_bytes(&mut universe, &sample);
            let reason = version
                .has_properties()
                .then_some(ReasonCode::ProtocolError);
            sent_away(&mut peer, &mut universe, reason);
        }
    }
    others.are_alone(&mut universe);
}

#[test]
fn s07_a_second_connect_is_a_protocol_error_whatever_it_says_mqtt_3_1_0_2() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let good = encode(&Packet::Connect(Box::new(connect(V5, "m"))), V5);
    // DISCONNECT has no 0x84, so that a version that nobody knows must not be told so here.
    let unknown = replaced(&good, b"MQTT\x05", b"MQTT\x09");
    for bytes in [&good[..], &unknown, b"\x10\x00"] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.send_bytes(&mut universe, bytes);
        sent_away(&mut peer, &mut universe, Some(ReasonCode::ProtocolError));
    }
    others.are_alone(&mut universe);
}

#[test]
fn s11_properties_that_stand_twice_or_in_the_wrong_place_leave_nothing_behind() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let connect = |properties: &[u8]| {
        let length = [u8::try_from(properties.len()).expect("short")];
        let head = b"\x00\x04MQTT\x05\x02\x00\x00";
        frame(0x10, &[head, &length[..], properties, &text(b"m")].concat())
    };
    let publish = |properties: &[u8]| {
        let length = [u8::try_from(properties.len()).expect("short")];
        frame(0x30, &[&text(b"t"), &length[..], properties].concat())
    };
    let (twice, unknown) = (ReasonCode::ProtocolError, ReasonCode::MalformedPacket);
    for (properties, reason) in [
        (&b"\x11\0\0\0\x01\x11\0\0\0\x01"[..], twice),
        (b"\x21\x00\x01\x21\x00\x01", twice),
        (b"\x21\x00\x00", twice), // Receive Maximum 0
        (b"\x7f\x00", unknown),
        (b"\x23\x00\x01", unknown), // Topic Alias in CONNECT
        (b"\x11\0\0", unknown),     // cut
    ] {
        for _ in 0..300 {
            let mut peer = Peer::open(&mut universe, V5);
            peer.send_bytes(&mut universe, &connect(properties));
            sent_away(&mut peer, &mut universe, Some(reason));
        }
    }
    for (properties, reason) in [
        (&b"\x02\0\0\0\x01\x02\0\0\0\x01"[..], twice),
        (b"\x23\x00\x01\x23\x00\x01", twice),
        (b"\x0b\x01", twice), // a Subscription Identifier from a client
        (b"\x01\x02", twice), // Payload Format Indicator 2
        (b"\x00", unknown),
        (b"\x11\0\0\0\x01", unknown), // Session Expiry in PUBLISH
    ] {
        for _ in 0..300 {
            let mut peer = Peer::join(&mut universe, V5, "m");
            peer.send_bytes(&mut universe, &publish(properties));
            sent_away(&mut peer, &mut universe, Some(reason));
        }
    }
    others.are_alone(&mut universe);
}

/// Three bytes that are no text: two halves of a surrogate pair, overlong forms, NUL, bytes
/// that begin nothing, and a letter that is cut.
const NO_TEXTS: [&[u8; 3]; 7] = [
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xc0\x80a",
    b"\xe0\x80\xaf",
    b"a\x00b",
    b"\xffab",
    b"a\xe2\x82",
];

#[test]
fn s12_what_is_no_utf8_closes_its_sender_and_reaches_nobody() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut listener = Peer::join(&mut universe, V5, "all");
    listener.subscribe(&mut universe, "#", QoS::AtMostOnce);
    listener.received(&mut universe);
    for version in VERSIONS {
        let reason = version
            .has_properties()
            .then_some(ReasonCode::MalformedPacket);
        for no_text in NO_TEXTS {
            for mark in ["sam", "use", "wil", "key", "ans", "tex"] {
                let sample = samples(version).swap_remove(0);
                if !sample.windows(3).any(|window| window == mark.as_bytes()) {
                    continue; // MQTT 3 has no properties
                }
                let mut peer = Peer::open(&mut universe, version);
                let bytes = replaced(&sample, mark.as_bytes(), no_text);
                peer.send_bytes(&mut universe, &bytes);
                sent_away(&mut peer, &mut universe, reason);
            }
            let all = samples(version);
            for (sample, mark) in [
                (&all[2], "top"),
                (&all[2], "val"),
                (&all[2], "ans"),
                (&all[7], "a/+"),
                (&all[7], "b/#"),
                (&all[9], "a/+"),
            ] {
                if !sample.windows(3).any(|window| window == mark.as_bytes()) {
                    continue;
                }
                let mut peer = Peer::join(&mut universe, version, "m");
                peer.send_bytes(&mut universe, &replaced(sample, mark.as_bytes(), no_text));
                sent_away(&mut peer, &mut universe, reason);
            }
        }
    }
    assert_eq!(listener.messages(&mut universe), []);
    listener.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

#[test]
fn s13_control_characters_are_refused_and_other_odd_ones_kept_as_they_are() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut listener = Peer::join(&mut universe, V5, "all");
    listener.subscribe(&mut universe, "#", QoS::AtMostOnce);
    listener.received(&mut universe);
    for control in ["\u{1}", "\r", "\n", "\u{1f}", "\u{7f}", "\u{85}", "\u{9f}"] {
        let odd = format!("a{control}b");
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.publish(&mut universe, &odd, b"", QoS::AtMostOnce, 0);
        sent_away(&mut peer, &mut universe, Some(ReasonCode::TopicNameInvalid));
        let mut peer = Peer::connect(&mut universe, connect(V5, &odd));
        let reason = ReasonCode::ClientIdentifierNotValid;
        sent_away(&mut peer, &mut universe, Some(reason));
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.subscribe(&mut universe, &odd, QoS::AtMostOnce);
        let received = peer.received(&mut universe);
        let [Packet::SubAck(suback)] = packets(&received)[..] else {
            panic!("{:?}", packets(&received));
        };
        assert_eq!(suback.reasons, [ReasonCode::TopicFilterInvalid.byte()]);
        peer.hang_up(&mut universe);
    }
    // The mark of byte order is text (MQTT-1.5.4-3), and so are what Unicode calls
    // non-characters.
    let mut peer = Peer::join(&mut universe, V5, "\u{feff}m\u{ffff}");
    for topic in [
        "\u{feff}a",
        "a\u{fffe}",
        "a\u{ffff}b",
        "\u{1f600}",
        "\u{a0}",
    ] {
        peer.publish(&mut universe, topic, b"", QoS::AtMostOnce, 0);
        assert_eq!(
            listener.messages(&mut universe),
            [(topic.to_owned(), Vec::new())]
        );
    }
    peer.hang_up(&mut universe);
    listener.hang_up(&mut universe);
    others.are_alone(&mut universe);
}

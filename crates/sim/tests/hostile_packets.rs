//! S09, S10, S14 to S19, S22, S34: packets that ask for what no packet may have.

mod hostile;

use std::time::Duration;

use codec::{
    Forward, Packet, Subscribe, SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf,
    UserPropertiesBuf, Will,
};
use hostile::*;
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{Limits, PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions};

/// The codes of the one SUBACK or UNSUBACK that came.
#[track_caller]
fn codes(peer: &mut Peer, universe: &mut Universe) -> Vec<u8> {
    let received = peer.received(universe);
    match packets(&received)[..] {
        [Packet::SubAck(list) | Packet::UnsubAck(list)] => list.reasons.to_vec(),
        _ => panic!("{:?}", packets(&received)),
    }
}

fn properties(count: usize) -> UserPropertiesBuf {
    let mut user = UserPropertiesBuf::new();
    for _ in 0..count {
        user.push("", "").expect("short");
    }
    user
}

#[test]
fn s09_half_sent_connects_hold_no_more_than_the_limit_and_the_oldest_go() {
    for workers in [1, 2] {
        let limits = Limits {
            unauthenticated_bytes: 64 * 1024,
            ..Default::default()
        };
        let mut universe = limited(workers, limits);
        let mut others = Others::new(&mut universe);
        let half = frame(0x10, &[0; 60_000]);
        let peers: Vec<Peer> = (0..200)
            .map(|_| {
                let mut peer = Peer::open(&mut universe, V5);
                for piece in half[..4_096].chunks(1_024) {
                    peer.send_bytes(&mut universe, piece);
                    assert!(universe.shared.unauthenticated_bytes() <= 64 * 1024);
                }
                peer
            })
            .collect();
        let open: Vec<bool> = peers
            .iter()
            .map(|peer| !universe.is_closed(peer.link))
            .collect();
        assert_eq!(open.iter().filter(|open| **open).count(), 16);
        assert!(open[200 - 16..].iter().all(|open| *open), "the oldest go");
        // Who connects meanwhile gets in, and pushes nobody out.
        others.are_served(&mut universe);
        let mut late = Peer::join(&mut universe, V5, "late");
        late.disconnect(&mut universe, ReasonCode::Success);
        universe.advance(Duration::from_secs(10));
        others.are_alone(&mut universe);
    }
}

#[test]
fn s10_a_connect_is_bounded_in_bytes_and_in_properties() {
    let user = properties(65_535);
    let mut huge = connect(V5, "m");
    huge.properties.user = user.as_borrowed();
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::connect(&mut universe, huge.clone());
    sent_away(&mut peer, &mut universe, Some(ReasonCode::PacketTooLarge));
    // MQTT 3.1.1 has no code for it.
    let mut peer = Peer::open(&mut universe, V311);
    let bytes = [&b"\x10\xff\xff\x7f\x00\x04MQTT\x04"[..], &[0; 60]].concat();
    peer.send_bytes(&mut universe, &bytes);
    sent_away(&mut peer, &mut universe, None);
    others.are_alone(&mut universe);

    let mut universe = limited(
        1,
        Limits {
            connect_packet_size: 1 << 20,
            ..Default::default()
        },
    );
    let mut others = Others::new(&mut universe);
    let mut peer = Peer::connect(&mut universe, huge);
    sent_away(&mut peer, &mut universe, Some(ReasonCode::QuotaExceeded));
    let mut with_will = connect(V5, "m");
    with_will.will = Some(Will {
        topic: "t",
        payload: b"",
        qos: QoS::AtMostOnce,
        retain: false,
        delay: None,
        message_expiry: None,
        forward: Forward {
            user: user.as_borrowed(),
            ..Default::default()
        },
    });
    let mut peer = Peer::connect(&mut universe, with_will);
    sent_away(&mut peer, &mut universe, Some(ReasonCode::QuotaExceeded));
    others.are_alone(&mut universe);
}

#[test]
fn s10_user_properties_are_counted_in_each_packet() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let (most, more) = (properties(64), properties(65));
    for (user, kept) in [(&most, true), (&more, false)] {
        let user = user.as_borrowed();
        let mut message = publish("t", b"", QoS::AtMostOnce, 0);
        message.properties.forward.user = user;
        let mut filters = SubscribeFiltersBuf::new();
        let mut texts = UnsubscribeFiltersBuf::new();
        filters
            .push("t", SubscriptionOptions::plain(QoS::AtMostOnce))
            .expect("short");
        texts.push("t").expect("short");
        for packet in [
            Packet::Publish(message),
            Packet::Subscribe(Subscribe {
                packet_id: PacketId::FIRST,
                subscription_id: None,
                user,
                filters: filters.as_borrowed(),
            }),
            Packet::Unsubscribe(Unsubscribe {
                packet_id: PacketId::FIRST,
                user,
                filters: texts.as_borrowed(),
            }),
        ] {
            let mut peer = Peer::join(&mut universe, V5, "m");
            peer.send(&mut universe, &packet);
            if kept {
                assert!(!universe.is_closed(peer.link));
                peer.hang_up(&mut universe);
            } else {
                sent_away(&mut peer, &mut universe, Some(ReasonCode::QuotaExceeded));
            }
        }
    }
    others.are_alone(&mut universe);
}

#[test]
fn s14_a_publish_without_topic_and_alias_is_a_protocol_error() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for version in VERSIONS {
        let mut peer = Peer::join(&mut universe, version, "m");
        peer.send(
            &mut universe,
            &Packet::Publish(publish("", b"x", QoS::AtMostOnce, 0)),
        );
        let reason = version
            .has_properties()
            .then_some(ReasonCode::ProtocolError);
        sent_away(&mut peer, &mut universe, reason);
    }
    for (alias, reason) in [
        (1, ReasonCode::ProtocolError),      // stands for nothing
        (65, ReasonCode::TopicAliasInvalid), // above the maximum
    ] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        let mut message = publish("", b"x", QoS::AtMostOnce, 0);
        message.properties.topic_alias = Some(alias);
        peer.send(&mut universe, &Packet::Publish(message));
        sent_away(&mut peer, &mut universe, Some(reason));
    }
    others.are_alone(&mut universe);
}

#[test]
fn s15_wildcards_are_no_topics() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let invalid = Some(ReasonCode::TopicNameInvalid);
    for topic in ["+", "#", "a/+", "a/#", "a+b", "others/#"] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.publish(&mut universe, topic, b"", QoS::AtLeastOnce, 1);
        sent_away(&mut peer, &mut universe, invalid);
        let mut peer = Peer::join(&mut universe, V5, "m");
        let mut message = publish("t", b"", QoS::AtMostOnce, 0);
        message.properties.forward.response_topic = Some(topic);
        peer.send(&mut universe, &Packet::Publish(message));
        sent_away(&mut peer, &mut universe, invalid);
        // By alias as well: the name is checked when it is set.
        let mut peer = Peer::join(&mut universe, V5, "m");
        let mut message = publish(topic, b"", QoS::AtMostOnce, 0);
        message.properties.topic_alias = Some(1);
        peer.send(&mut universe, &Packet::Publish(message));
        sent_away(&mut peer, &mut universe, invalid);
        for (topic, response_topic) in [(topic, None), ("t", Some(topic))] {
            let mut with_will = connect(V5, "m");
            with_will.will = Some(Will {
                topic,
                payload: b"",
                qos: QoS::AtMostOnce,
                retain: true,
                delay: None,
                message_expiry: None,
                forward: Forward {
                    response_topic,
                    ..Default::default()
                },
            });
            let mut peer = Peer::connect(&mut universe, with_will);
            sent_away(&mut peer, &mut universe, invalid);
        }
    }
    assert_eq!(universe.shared.retained.count(), 0);
    others.are_alone(&mut universe);
}

#[test]
fn s16_flags_of_the_first_byte_are_those_of_the_packet() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    for (bytes, reason) in [
        (&b"\x36\x06\x00\x01t\x00\x01\x00"[..], malformed), // QoS 3
        (b"\x3e\x06\x00\x01t\x00\x01\x00", malformed),
        (b"\x38\x04\x00\x01t\x00", protocol), // DUP at QoS 0
        (b"\x60\x02\x00\x01", malformed),     // PUBREL
        (b"\x63\x02\x00\x01", malformed),
        (b"\x41\x02\x00\x01", malformed),                  // PUBACK
        (b"\x80\x07\x00\x01\x00\x00\x01a\x00", malformed), // SUBSCRIBE
        (b"\xa0\x06\x00\x01\x00\x00\x01a", malformed),     // UNSUBSCRIBE
        (b"\xc1\x00", malformed),
        (b"\xe1\x00", malformed),
        (b"\xf1\x00", malformed),
        (b"\x00\x00", malformed), // reserved type
    ] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.send_bytes(&mut universe, bytes);
        sent_away(&mut peer, &mut universe, Some(reason));
    }
    others.are_alone(&mut universe);
}

#[test]
fn s17_the_accepted_names_and_levels_are_these() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let hello = |name: &str, level: u8| {
        let properties: &[u8] = if level & 0x7f == 5 { b"\x00" } else { b"" };
        let head = [level, 0x02, 0, 0];
        let body = [&text(name.as_bytes()), &head[..], properties, &text(b"m")].concat();
        frame(0x10, &body)
    };
    for (name, level) in [
        ("MQIsdp", 3),
        ("MQIsdp", 0x83),
        ("MQTT", 4),
        ("MQTT", 0x84),
        ("MQTT", 5),
        ("MQTT", 0x85),
    ] {
        let mut peer = Peer::open(&mut universe, V311);
        peer.send_bytes(&mut universe, &hello(name, level));
        assert!(!universe.is_closed(peer.link), "{name} {level}");
        peer.hang_up(&mut universe);
    }
    for (name, level) in [
        ("MQTT", 0),
        ("MQTT", 3),
        ("MQTT", 6),
        ("MQTT", 0x80),
        ("MQTT", 0xff),
        ("MQIsdp", 4),
        ("mqtt", 4),
        ("MQTTX", 4),
        ("", 4),
    ] {
        let mut peer = Peer::open(&mut universe, V311);
        peer.send_bytes(&mut universe, &hello(name, level));
        assert!(universe.is_closed(peer.link), "{name} {level}");
        // "Unacceptable protocol version", in the form that every version understands.
        assert_eq!(universe.take_inbox(peer.link), [0x20, 2, 0, 1]);
    }
    others.are_alone(&mut universe);
}

#[test]
fn s18_depth_is_bounded_and_matching_does_not_recurse() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let slashes = "/".repeat(65_535);
    let levels = format!("{}a", "a/".repeat(32_000));
    for deep in [&slashes, &levels] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.subscribe(&mut universe, deep, QoS::AtMostOnce);
        assert_eq!(codes(&mut peer, &mut universe), [0x8f]);
        peer.subscribe(
            &mut universe,
            &format!("$share/g/{}", &deep[..60_000]),
            QoS::AtMostOnce,
        );
        assert_eq!(codes(&mut peer, &mut universe), [0x8f]);
        peer.publish(&mut universe, deep, b"", QoS::AtMostOnce, 0);
        sent_away(&mut peer, &mut universe, Some(ReasonCode::TopicNameInvalid));
    }
    // The deepest that is taken is matched.
    let mut peer = Peer::join(&mut universe, V5, "m");
    let filters = [
        "+/".repeat(127) + "+",
        "+/".repeat(127) + "#",
        "/".repeat(127),
    ];
    for filter in &filters {
        peer.subscribe(&mut universe, filter, QoS::AtMostOnce);
        assert_eq!(codes(&mut peer, &mut universe), [0]);
    }
    peer.publish(&mut universe, &"/".repeat(127), b"", QoS::AtMostOnce, 0);
    assert_eq!(peer.messages(&mut universe).len(), 1);
    peer.subscribe(&mut universe, &("+/".repeat(128) + "#"), QoS::AtMostOnce);
    assert_eq!(codes(&mut peer, &mut universe), [0x8f]);
    peer.hang_up(&mut universe);
    others.are_alone(&mut universe);
    // Nor does it where the limit is as high as it goes.
    let mut universe = limited(
        1,
        Limits {
            topic_levels: u16::MAX,
            ..Default::default()
        },
    );
    let mut peer = Peer::join(&mut universe, V5, "m");
    let deep = "+/".repeat(32_000) + "+";
    peer.subscribe(&mut universe, &deep, QoS::AtMostOnce);
    peer.retain(&mut universe, &levels, b"x");
    peer.subscribe(&mut universe, "#", QoS::AtMostOnce);
    assert_eq!(peer.messages(&mut universe).len(), 2);
    peer.unsubscribe(&mut universe, &deep);
    peer.hang_up(&mut universe);
    assert_eq!(universe.shared.index.stats().subscriptions, 0);
}

#[test]
fn s19_names_are_data() {
    let long = "x".repeat(65_535);
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    for name in [
        "__proto__",
        "constructor",
        "..",
        "../x",
        "CON",
        "%00",
        "%2f",
        "a b",
        "'",
        &long,
    ] {
        let mut packet = lasting(name);
        packet.properties.session_expiry = Some(60);
        let kept = universe.shared.retained.count();
        if name.len() < 60_000 {
            let mut peer = Peer::connect(&mut universe, packet);
            peer.subscribe(
                &mut universe,
                &format!("$share/{}/t", name.replace('/', "")),
                QoS::AtMostOnce,
            );
            peer.hang_up(&mut universe);
            let mut other = Peer::connect(&mut universe, connect(V5, &format!("{name}x")));
            assert_eq!(told(&mut other, &mut universe), Some(ReasonCode::Success));
            other.hang_up(&mut universe);
        }
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.subscribe(&mut universe, name, QoS::AtMostOnce);
        peer.retain(&mut universe, name, b"1");
        let heard = peer.messages(&mut universe);
        assert_eq!(heard, [(name.to_owned(), b"1".to_vec())]);
        assert_eq!(universe.shared.retained.count(), kept + 1);
        peer.hang_up(&mut universe);
    }
    universe.advance(Duration::from_secs(61));
    others.are_alone(&mut universe);
}

#[test]
fn s22_a_packet_above_the_limit_is_refused_from_its_header() {
    let mut universe = limited(
        1,
        Limits {
            packet_size: 2_000_000,
            ..Default::default()
        },
    );
    let mut others = Others::new(&mut universe);
    for header in [&b"\x30\xff\xff\xff\x7f"[..], b"\x32\x80\x89\x7a"] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.send_bytes(&mut universe, header);
        sent_away(&mut peer, &mut universe, Some(ReasonCode::PacketTooLarge));
    }
    // To the byte: header and body together.
    for (payload, taken) in [(2_000_000 - 8, true), (2_000_000 - 7, false)] {
        let mut peer = Peer::join(&mut universe, V5, "m");
        peer.subscribe(&mut universe, "t", QoS::AtMostOnce);
        peer.received(&mut universe);
        let payload = vec![7; payload];
        let bytes = encode(
            &Packet::Publish(publish("t", &payload, QoS::AtMostOnce, 0)),
            V5,
        );
        assert_eq!(bytes.len() <= 2_000_000, taken);
        for piece in bytes.chunks(64 * 1024) {
            peer.send_bytes(&mut universe, piece);
        }
        if taken {
            let heard = peer.messages(&mut universe);
            assert!(heard.len() == 1 && heard[0].1 == payload);
            peer.hang_up(&mut universe);
        } else {
            sent_away(&mut peer, &mut universe, Some(ReasonCode::PacketTooLarge));
        }
    }
    others.are_alone(&mut universe);
}

#[test]
fn s34_packet_identifier_zero_is_a_protocol_error() {
    let mut universe = Universe::small();
    let mut others = Others::new(&mut universe);
    let five: [&[u8]; 7] = [
        b"\x32\x06\x00\x01t\x00\x00\x00",
        b"\x34\x06\x00\x01t\x00\x00\x00",
        b"\x82\x07\x00\x00\x00\x00\x01a\x00",
        b"\xa2\x06\x00\x00\x00\x00\x01a",
        b"\x62\x02\x00\x00",
        b"\x40\x02\x00\x00",
        b"\x50\x02\x00\x00",
    ];
    let three: [&[u8]; 5] = [
        b"\x32\x05\x00\x01t\x00\x00",
        b"\x34\x05\x00\x01t\x00\x00",
        b"\x82\x06\x00\x00\x00\x01a\x00",
        b"\xa2\x05\x00\x00\x00\x01a",
        b"\x62\x02\x00\x00",
    ];
    let zero = |universe: &mut Universe, version: ProtocolVersion, bytes: &[u8]| {
        let mut peer = Peer::join(universe, version, "m");
        peer.send_bytes(universe, bytes);
        let reason = version
            .has_properties()
            .then_some(ReasonCode::ProtocolError);
        sent_away(&mut peer, universe, reason);
    };
    for bytes in five {
        zero(&mut universe, V5, bytes);
    }
    for bytes in three {
        zero(&mut universe, V311, bytes);
    }
    others.are_alone(&mut universe);
}

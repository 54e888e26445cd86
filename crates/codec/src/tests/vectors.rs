//! The table of wire vectors, used by encoding, decoding, truncation and mutation.

use types::{PacketId, ProtocolVersion, QoS, ReasonCode as R, RetainHandling, SubscriptionOptions};

use super::{ALL, V3, V5, V31, V311, ids, read, user, wire};
use crate::*;

/// Which ways a vector holds.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// The packet is written as these bytes, and they are read as the packet.
    Both,
    /// Bytes that we read, but write shorter or in another order.
    Read,
    /// What a packet becomes for a version that cannot say all of it.
    Write,
}
use Way::{Both, Read, Write};

pub(super) struct Vector {
    pub(super) name: &'static str,
    pub(super) version: ProtocolVersion,
    way: Way,
    pub(super) bytes: Vec<u8>,
    packet: Packet<'static>,
}

impl Vector {
    pub(super) fn is_read(&self) -> bool {
        self.way != Write
    }
}

#[test]
fn decoding_reads_every_vector() {
    for vector in all().iter().filter(|vector| vector.is_read()) {
        let packet = read(vector.version, &vector.bytes);
        assert_eq!(
            packet.as_ref(),
            Ok(&vector.packet),
            "{} {:?}",
            vector.name,
            vector.version
        );
    }
}

#[test]
fn encoding_writes_every_vector() {
    for vector in all().iter().filter(|vector| vector.way != Read) {
        let what = format!("{} {:?}", vector.name, vector.version);
        let mut out = vec![0xee];
        assert_eq!(
            encode(&vector.packet, vector.version, &mut out),
            Ok(()),
            "{what}"
        );
        assert_eq!(out[0], 0xee, "{what}: appends");
        assert_eq!(out[1..], vector.bytes, "{what}: {:02x?}", &out[1..]);
        assert_eq!(
            encoded_len(&vector.packet, vector.version),
            vector.bytes.len(),
            "{what}"
        );
    }
}

#[test]
fn the_table_has_every_packet_in_every_version() {
    let table = all();
    for version in ALL {
        for first in 1..=15 {
            let kind = PacketType::from_first_byte(first << 4).unwrap();
            if kind == PacketType::Auth && *version != V5 {
                continue;
            }
            assert!(
                table
                    .iter()
                    .any(|v| v.version == *version && v.packet.packet_type() == kind),
                "{kind} {version:?}"
            );
        }
    }
}

#[derive(Default)]
struct Table(Vec<Vector>);

impl Table {
    fn add(
        &mut self,
        name: &'static str,
        versions: &[ProtocolVersion],
        way: Way,
        words: &str,
        packet: Packet<'static>,
    ) {
        for &version in versions {
            let (bytes, packet) = (wire(words), packet.clone());
            self.0.push(Vector {
                name,
                version,
                way,
                bytes,
                packet,
            });
        }
    }
}

pub(super) fn all() -> Vec<Vector> {
    let mut table = Table::default();
    connects(&mut table);
    connects_v5(&mut table);
    connacks(&mut table);
    publishes(&mut table);
    acks(&mut table);
    subscribes(&mut table);
    answers(&mut table);
    ends(&mut table);
    table.0
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).unwrap()
}

fn connect(version: ProtocolVersion, client_id: &'static str) -> Connect<'static> {
    Connect {
        version,
        bridge: false,
        clean_start: true,
        keep_alive: 60,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

fn will() -> Will<'static> {
    Will {
        topic: "w/t",
        payload: b"gone",
        qos: QoS::AtLeastOnce,
        retain: true,
        delay: None,
        message_expiry: None,
        forward: Forward::default(),
    }
}

fn connects(t: &mut Table) {
    let packet = |connect| Packet::Connect(Box::new(connect));
    let plain = "10 0f 0006 'MQIsdp' 03 02 003c 0001 'a'";
    t.add(
        "connect 3.1",
        &[V31],
        Both,
        "10 0f 0006 'MQIsdp' 03 02 003c 0001 'a'",
        {
            assert_eq!(wire(plain).len(), 17);
            packet(connect(V31, "a"))
        },
    );
    t.add(
        "connect 3.1.1",
        &[V311],
        Both,
        "10 0d 0004 'MQTT' 04 02 003c 0001 'a'",
        packet(connect(V311, "a")),
    );
    t.add(
        "connect 3.1.1, bridge bit (S17)",
        &[V311],
        Both,
        "10 0d 0004 'MQTT' 84 02 003c 0001 'a'",
        packet(Connect {
            bridge: true,
            ..connect(V311, "a")
        }),
    );
    t.add(
        "connect 3.1, bridge bit (S17)",
        &[V31],
        Both,
        "10 0f 0006 'MQIsdp' 83 02 003c 0001 'a'",
        packet(Connect {
            bridge: true,
            ..connect(V31, "a")
        }),
    );
    t.add(
        "connect 3.1.1, all fields",
        &[V311],
        Both,
        "10 24 0004 'MQTT' 04 ec 0000 0002 'id' 0003 'w/t' 0004 'gone' 0004 'user' 0003 00ff80",
        packet(Connect {
            clean_start: false,
            keep_alive: 0,
            will: Some(will()),
            username: Some("user"),
            password: Some(b"\x00\xff\x80"),
            ..connect(V311, "id")
        }),
    );
    t.add(
        "connect 3.1, all fields",
        &[V31],
        Both,
        "10 21 0006 'MQIsdp' 03 d6 ffff 0002 'id' 0003 'w/t' 0000 0004 'user' 0002 'pw'",
        packet(Connect {
            keep_alive: 65_535,
            will: Some(Will {
                payload: b"",
                qos: QoS::ExactlyOnce,
                retain: false,
                ..will()
            }),
            username: Some("user"),
            password: Some(b"pw"),
            ..connect(V31, "id")
        }),
    );
    t.add(
        "connect 3.1, user name and password flags without the fields",
        &[V31],
        Read,
        "10 0f 0006 'MQIsdp' 03 c2 003c 0001 'a'",
        packet(connect(V31, "a")),
    );
}

fn connects_v5(t: &mut Table) {
    let packet = |connect| Packet::Connect(Box::new(connect));
    t.add(
        "connect 5.0, empty client id",
        &[V5],
        Both,
        "10 0d 0004 'MQTT' 05 02 003c 00 0000",
        packet(connect(V5, "")),
    );
    t.add(
        "connect 5.0, client id with BOM (C32)",
        &[V5],
        Both,
        "10 11 0004 'MQTT' 05 02 003c 00 0004 efbbbf 'a'",
        packet(connect(V5, "\u{feff}a")),
    );
    t.add(
        "connect 5.0, password without user name (C07)",
        &[V5],
        Both,
        "10 12 0004 'MQTT' 05 42 003c 00 0001 'a' 0002 'pw'",
        packet(Connect {
            password: Some(b"pw"),
            ..connect(V5, "a")
        }),
    );
    t.add(
        "connect 5.0, all fields",
        &[V5],
        Both,
        "10 6f 0004 'MQTT' 05 ce 000a
         2c 11 0000000a 21 0014 27 00000100 22 0005 19 01 17 00 15 0003 'jwt' 16 0002 00ff
            26 0001 'k' 0001 'v' 26 0001 'k' 0000
         0002 'id'
         22 18 0000001e 02 0000003c 01 01 03 0001 'c' 08 0003 'r/t' 09 0002 00ff
            26 0001 'x' 0001 'y'
         0003 'w/t' 0004 'gone' 0001 'u' 0001 'p'",
        packet(Connect {
            keep_alive: 10,
            will: Some(Will {
                retain: false,
                delay: Some(30),
                message_expiry: Some(60),
                forward: Forward {
                    payload_is_utf8: Some(true),
                    content_type: Some("c"),
                    response_topic: Some("r/t"),
                    correlation_data: Some(b"\x00\xff"),
                    user: user(&[("x", "y")]),
                },
                ..will()
            }),
            username: Some("u"),
            password: Some(b"p"),
            properties: ConnectProperties {
                session_expiry: Some(10),
                receive_maximum: Some(20),
                maximum_packet_size: Some(256),
                topic_alias_maximum: Some(5),
                request_response_information: Some(true),
                request_problem_information: Some(false),
                user: user(&[("k", "v"), ("k", "")]),
                authentication_method: Some("jwt"),
                authentication_data: Some(b"\x00\xff"),
            },
            ..connect(V5, "id")
        }),
    );
    t.add(
        "connect 5.0, another property between user properties",
        &[V5],
        Read,
        "10 21 0004 'MQTT' 05 02 003c 13 26 0001 'k' 0001 'v' 11 00000001 26 0001 'l' 0001 'w'
         0001 'a'",
        packet(Connect {
            properties: ConnectProperties {
                session_expiry: Some(1),
                user: user(&[("k", "v"), ("l", "w")]),
                ..ConnectProperties::default()
            },
            ..connect(V5, "a")
        }),
    );
}

fn connacks(t: &mut Table) {
    let packet = |connack| Packet::ConnAck(Box::new(connack));
    t.add(
        "connack",
        V3,
        Both,
        "20 02 00 00",
        packet(ConnAck::new(R::Success)),
    );
    t.add(
        "connack, session present",
        &[V311],
        Both,
        "20 02 01 00",
        packet(ConnAck {
            session_present: true,
            ..ConnAck::new(R::Success)
        }),
    );
    t.add(
        "connack 3.1 has no session present",
        &[V31],
        Write,
        "20 02 00 00",
        packet(ConnAck {
            session_present: true,
            ..ConnAck::new(R::Success)
        }),
    );
    for (reason, words) in [
        (R::UnsupportedProtocolVersion, "20 02 00 01"),
        (R::ClientIdentifierNotValid, "20 02 00 02"),
        (R::ServerUnavailable, "20 02 00 03"),
        (R::BadUserNameOrPassword, "20 02 00 04"),
        (R::NotAuthorized, "20 02 00 05"),
    ] {
        t.add(
            "connack return code (C40)",
            V3,
            Both,
            words,
            packet(ConnAck::new(reason)),
        );
    }
    t.add(
        "connack 5.0 reason for 3 (C40)",
        V3,
        Write,
        "20 02 00 05",
        packet(ConnAck::new(R::Banned)),
    );
    t.add(
        "connack 5.0",
        &[V5],
        Both,
        "20 03 00 00 00",
        packet(ConnAck::new(R::Success)),
    );
    t.add("connack 5.0, error", &[V5], Both, "20 03 00 97 00", {
        packet(ConnAck::new(R::QuotaExceeded))
    });
    t.add(
        "connack 5.0, all properties",
        &[V5],
        Both,
        "20 41 01 00
         3e 11 00000e10 21 000a 24 01 25 00 27 00010000 12 0002 'id' 22 0007 28 00 29 01 2a 00
            13 001e 1a 0001 'i' 1c 0001 's' 15 0001 'm' 16 0001 ff 1f 0002 'ok'
            26 0001 'k' 0001 'v'",
        packet(ConnAck {
            session_present: true,
            reason: R::Success,
            properties: ConnAckProperties {
                session_expiry: Some(3_600),
                receive_maximum: Some(10),
                maximum_qos: Some(QoS::AtLeastOnce),
                retain_available: Some(false),
                maximum_packet_size: Some(65_536),
                assigned_client_id: Some("id"),
                topic_alias_maximum: Some(7),
                reason_string: Some("ok"),
                user: user(&[("k", "v")]),
                wildcard_subscription_available: Some(false),
                subscription_ids_available: Some(true),
                shared_subscription_available: Some(false),
                server_keep_alive: Some(30),
                response_information: Some("i"),
                server_reference: Some("s"),
                authentication_method: Some("m"),
                authentication_data: Some(b"\xff"),
            },
        }),
    );
}

fn publish(topic: &'static str) -> Publish<'static> {
    Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic,
        packet_id: None,
        properties: PublishProperties::default(),
        payload: b"",
    }
}

fn publishes(t: &mut Table) {
    let hello = Publish {
        payload: b"hello",
        ..publish("a/b")
    };
    t.add(
        "publish",
        V3,
        Both,
        "30 0a 0003 'a/b' 'hello'",
        Packet::Publish(hello),
    );
    t.add(
        "publish 5.0",
        &[V5],
        Both,
        "30 0b 0003 'a/b' 00 'hello'",
        Packet::Publish(hello),
    );
    let second = Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: true,
        packet_id: Some(id(65_535)),
        ..publish("é")
    };
    t.add(
        "publish, all flags",
        V3,
        Both,
        "3d 06 0002 'é' ffff",
        Packet::Publish(second),
    );
    t.add(
        "publish 5.0, all flags",
        &[V5],
        Both,
        "3d 07 0002 'é' ffff 00",
        Packet::Publish(second),
    );
    let first = Publish {
        qos: QoS::AtLeastOnce,
        packet_id: Some(id(1)),
        ..publish("t")
    };
    t.add(
        "publish, QoS 1",
        V3,
        Both,
        "32 05 0001 't' 0001",
        Packet::Publish(first),
    );
    t.add(
        "publish 5.0, alias for an empty topic",
        &[V5],
        Both,
        "30 06 0000 03 23 0005",
        Packet::Publish(Publish {
            properties: PublishProperties {
                topic_alias: Some(5),
                ..PublishProperties::default()
            },
            ..publish("")
        }),
    );
    let rich = Publish {
        properties: PublishProperties {
            message_expiry: Some(60),
            topic_alias: Some(2),
            subscription_ids: ids(&[1, 268_435_455]),
            forward: Forward {
                payload_is_utf8: Some(false),
                content_type: Some("c"),
                response_topic: Some("r"),
                correlation_data: Some(b"\xff"),
                user: user(&[("k", "v"), ("a", "")]),
            },
            forward_bytes: None,
        },
        payload: b"x",
        ..first
    };
    t.add(
        "publish 5.0, all properties",
        &[V5],
        Both,
        "32 31 0001 't' 0001
         2a 02 0000003c 23 0002 0b 01 0b ffffff7f 01 00 03 0001 'c' 08 0001 'r' 09 0001 ff
            26 0001 'k' 0001 'v' 26 0001 'a' 0000
         'x'",
        Packet::Publish(rich),
    );
    t.add(
        "publish 5.0, all properties in another order",
        &[V5],
        Read,
        "32 31 0001 't' 0001
         2a 26 0001 'k' 0001 'v' 0b 01 09 0001 ff 03 0001 'c' 02 0000003c 0b ffffff7f
            26 0001 'a' 0000 08 0001 'r' 01 00 23 0002
         'x'",
        Packet::Publish(rich),
    );
    t.add(
        "publish 5.0 for 3 (C40)",
        V3,
        Write,
        "32 06 0001 't' 0001 'x'",
        Packet::Publish(rich),
    );
}

fn acks(t: &mut Table) {
    type Make = fn(Ack<'static>) -> Packet<'static>;
    let kinds: [(&str, Make, R); 4] = [
        ("40", Packet::PubAck, R::NoMatchingSubscribers),
        ("50", Packet::PubRec, R::NotAuthorized),
        ("62", Packet::PubRel, R::PacketIdentifierNotFound),
        ("70", Packet::PubComp, R::PacketIdentifierNotFound),
    ];
    for (first, make, reason) in kinds {
        let success = make(Ack::new(id(0x1234), R::Success));
        let code = format!("{:02x}", reason.byte());
        t.add(
            "ack",
            ALL,
            Both,
            &format!("{first} 02 1234"),
            success.clone(),
        );
        // C38: the forms that leave less out mean the same.
        t.add(
            "ack of 3",
            &[V5],
            Read,
            &format!("{first} 03 1234 00"),
            success.clone(),
        );
        t.add(
            "ack of 4",
            &[V5],
            Read,
            &format!("{first} 04 1234 00 00"),
            success,
        );
        let other = make(Ack::new(id(0x1234), reason));
        t.add(
            "ack, reason",
            &[V5],
            Both,
            &format!("{first} 03 1234 {code}"),
            other.clone(),
        );
        t.add(
            "ack, reason",
            &[V5],
            Read,
            &format!("{first} 04 1234 {code} 00"),
            other,
        );
        let full = make(Ack {
            reason_string: Some("no"),
            user: user(&[("k", "v")]),
            ..Ack::new(id(1), reason)
        });
        let words = format!("{first} 10 0001 {code} 0c 1f 0002 'no' 26 0001 'k' 0001 'v'");
        t.add("ack, all properties", &[V5], Both, &words, full.clone());
        t.add(
            "ack 5.0 for 3",
            V3,
            Write,
            &format!("{first} 02 0001"),
            full,
        );
    }
    let released = Packet::PubRel(Ack::new(id(9), R::Success));
    t.add(
        "pubrel 3.1, sent again",
        &[V31],
        Read,
        "6a 02 0009",
        released,
    );
}

fn filters(list: &[(&str, SubscriptionOptions)]) -> SubscribeFilters<'static> {
    let mut buf = SubscribeFiltersBuf::new();
    for (filter, options) in list {
        buf.push(filter, *options).unwrap();
    }
    Box::leak(Box::new(buf)).as_borrowed()
}

fn unsubscribe_filters(list: &[&str]) -> UnsubscribeFilters<'static> {
    let mut buf = UnsubscribeFiltersBuf::new();
    for filter in list {
        buf.push(filter).unwrap();
    }
    Box::leak(Box::new(buf)).as_borrowed()
}

fn subscribes(t: &mut Table) {
    let one = SubscriptionOptions::plain(QoS::AtLeastOnce);
    let two = SubscriptionOptions::plain(QoS::ExactlyOnce);
    let all = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let packet = |filters| {
        Packet::Subscribe(Subscribe {
            packet_id: id(10),
            subscription_id: None,
            user: UserProperties::default(),
            filters,
        })
    };
    let plain = packet(filters(&[("a/#", one), ("+", two)]));
    let words = "82 0c 000a 0003 'a/#' 01 0001 '+' 02";
    t.add("subscribe", V3, Both, words, plain.clone());
    let again = "8a 0c 000a 0003 'a/#' 01 0001 '+' 02";
    t.add(
        "subscribe 3.1, sent again",
        &[V31],
        Read,
        again,
        plain.clone(),
    );
    t.add(
        "subscribe 5.0",
        &[V5],
        Both,
        "82 0d 000a 00 0003 'a/#' 01 0001 '+' 02",
        plain,
    );
    let full = Packet::Subscribe(Subscribe {
        packet_id: id(10),
        subscription_id: Some(128),
        user: user(&[("k", "v")]),
        filters: filters(&[("a", all)]),
    });
    t.add(
        "subscribe 5.0, all options",
        &[V5],
        Both,
        "82 11 000a 0a 0b 8001 26 0001 'k' 0001 'v' 0001 'a' 2d",
        full.clone(),
    );
    t.add(
        "subscribe 5.0 for 3",
        V3,
        Write,
        "82 06 000a 0001 'a' 01",
        full,
    );

    let plain = Packet::Unsubscribe(Unsubscribe {
        packet_id: id(11),
        user: UserProperties::default(),
        filters: unsubscribe_filters(&["a/#", "+"]),
    });
    t.add(
        "unsubscribe",
        V3,
        Both,
        "a2 0a 000b 0003 'a/#' 0001 '+'",
        plain.clone(),
    );
    let again = "aa 0a 000b 0003 'a/#' 0001 '+'";
    t.add(
        "unsubscribe 3.1, sent again",
        &[V31],
        Read,
        again,
        plain.clone(),
    );
    t.add(
        "unsubscribe 5.0",
        &[V5],
        Both,
        "a2 0b 000b 00 0003 'a/#' 0001 '+'",
        plain,
    );
    let full = Packet::Unsubscribe(Unsubscribe {
        packet_id: id(11),
        user: user(&[("k", "v")]),
        filters: unsubscribe_filters(&["a"]),
    });
    t.add(
        "unsubscribe 5.0, user property",
        &[V5],
        Both,
        "a2 0d 000b 07 26 0001 'k' 0001 'v' 0001 'a'",
        full.clone(),
    );
    t.add(
        "unsubscribe 5.0 for 3",
        V3,
        Write,
        "a2 05 000b 0001 'a'",
        full,
    );
}

fn answers(t: &mut Table) {
    let granted = Packet::SubAck(ReasonList::new(id(10), &[0, 1, 2, 0x80]));
    t.add(
        "suback",
        V3,
        Both,
        "90 06 000a 00 01 02 80",
        granted.clone(),
    );
    t.add(
        "suback 5.0",
        &[V5],
        Both,
        "90 07 000a 00 00 01 02 80",
        granted,
    );
    let refused = Packet::SubAck(ReasonList {
        reason_string: Some("no"),
        user: user(&[("k", "v")]),
        ..ReasonList::new(id(10), &[2, 0x87, 0xa2])
    });
    t.add(
        "suback 5.0, all properties",
        &[V5],
        Both,
        "90 12 000a 0c 1f 0002 'no' 26 0001 'k' 0001 'v' 02 87 a2",
        refused.clone(),
    );
    t.add(
        "suback 5.0 for 3: every failure is 0x80",
        V3,
        Write,
        "90 05 000a 02 80 80",
        refused,
    );

    let bare = Packet::UnsubAck(ReasonList::new(id(11), &[]));
    t.add("unsuback", V3, Both, "b0 02 000b", bare);
    let list = Packet::UnsubAck(ReasonList::new(id(11), &[0, 0x11, 0x8f]));
    t.add(
        "unsuback 5.0",
        &[V5],
        Both,
        "b0 06 000b 00 00 11 8f",
        list.clone(),
    );
    t.add("unsuback 5.0 for 3", V3, Write, "b0 02 000b", list);
    let full = Packet::UnsubAck(ReasonList {
        reason_string: Some("no"),
        user: user(&[("k", "v")]),
        ..ReasonList::new(id(11), &[0x87])
    });
    let words = "b0 10 000b 0c 1f 0002 'no' 26 0001 'k' 0001 'v' 87";
    t.add("unsuback 5.0, all properties", &[V5], Both, words, full);
}

fn ends(t: &mut Table) {
    t.add("pingreq", ALL, Both, "c0 00", Packet::PingReq);
    t.add("pingresp", ALL, Both, "d0 00", Packet::PingResp);

    let normal = Packet::Disconnect(Disconnect::new(R::Success));
    t.add("disconnect", ALL, Both, "e0 00", normal.clone());
    t.add(
        "disconnect of 1 (C38)",
        &[V5],
        Read,
        "e0 01 00",
        normal.clone(),
    );
    t.add("disconnect of 2", &[V5], Read, "e0 02 00 00", normal);
    let with_will = Packet::Disconnect(Disconnect::new(R::DisconnectWithWill));
    t.add(
        "disconnect, reason",
        &[V5],
        Both,
        "e0 01 04",
        with_will.clone(),
    );
    t.add("disconnect 5.0 for 3", V3, Write, "e0 00", with_will);
    let full = Packet::Disconnect(Disconnect {
        reason: R::ServerMoved,
        session_expiry: Some(1),
        reason_string: Some("no"),
        user: user(&[("k", "v")]),
        server_reference: Some("s"),
    });
    t.add(
        "disconnect, all properties",
        &[V5],
        Both,
        "e0 17 9d 15 11 00000001 1c 0001 's' 1f 0002 'no' 26 0001 'k' 0001 'v'",
        full,
    );

    let success = Packet::Auth(Auth::new(R::Success));
    t.add("auth", &[V5], Both, "f0 00", success.clone());
    t.add("auth of 2", &[V5], Read, "f0 02 00 00", success);
    let full = Packet::Auth(Auth {
        reason: R::ContinueAuthentication,
        method: Some("m"),
        data: Some(b"\xff\x00"),
        reason_string: Some("no"),
        user: user(&[("k", "v")]),
    });
    t.add(
        "auth, all properties",
        &[V5],
        Both,
        "f0 17 18 15 15 0001 'm' 16 0002 ff00 1f 0002 'no' 26 0001 'k' 0001 'v'",
        full,
    );
    let again = Packet::Auth(Auth {
        method: Some("m"),
        ..Auth::new(R::ReAuthenticate)
    });
    t.add("auth again", &[V5], Both, "f0 06 19 04 15 0001 'm'", again);
}

//! The first packets, client identifiers, credentials, keep alive.

use codec::Packet;
use types::ReasonCode;

use crate::story::*;

/// MQTT-3.1.0-1 [MQTT-3.1.0-1]: whatever comes before CONNECT ends the link without a word.
#[test]
fn c01_what_is_not_connect_ends_the_link_mqtt_3_1_0_1() {
    for version in VERSIONS {
        let strange: [Vec<u8>; 6] = [
            bytes(version, &[Packet::PingReq]),
            bytes(version, &[Packet::Publish(publish("t", b"x", Q0, 0))]),
            subscribe_bytes(version, &[("t", options(Q0))]),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            vec![0x00],
            vec![0x16, 0x03, 0x01],
        ];
        for bytes in strange {
            let mut story = Story::small();
            let alice = story.open(version);
            story.send_bytes(alice, &bytes);
            story.hears(alice, &["closed"]);
        }
    }
}

/// MQTT-3.1.0-2 [MQTT-3.1.0-2]: a second CONNECT is a protocol error.
#[test]
fn c01_a_second_connect_is_a_protocol_error_mqtt_3_1_0_2() {
    for version in VERSIONS {
        for again in VERSIONS {
            let mut story = Story::small();
            let alice = story.join(version, "alice");
            let connect = Packet::Connect(Box::new(connect(again, "alice")));
            story.send_bytes(alice, &bytes(again, &[connect]));
            match version {
                V5 => story.hears(alice, &["disconnect 82", "closed"]),
                V31 | V311 => story.hears(alice, &["closed"]),
            }
        }
    }
}

/// §3.1.4 [§3.1.4]: a client may send on before it has seen CONNACK, wherever it lives and
/// however its bytes are cut.
#[test]
fn c01_packets_behind_connect_are_served_mqtt_3_1_4_5() {
    for version in VERSIONS {
        for piece in [1, 7, usize::MAX] {
            on_each_size(|mut story| {
                let connect = Packet::Connect(Box::new(connect(version, "alice")));
                let mut all = bytes(version, &[connect]);
                all.extend(subscribe_bytes(version, &[("t", options(Q1))]));
                let message = Packet::Publish(publish("t", b"x", Q1, 2));
                all.extend(bytes(version, &[message, Packet::PingReq]));
                let alice = story.open(version);
                for bytes in all.chunks(piece.min(all.len())) {
                    story.send_bytes(alice, bytes);
                }
                let mut heard = story.heard(alice);
                assert_eq!(heard.remove(0), "connack 00");
                for wanted in ["suback 1 [01]", "puback 2", "pingresp"] {
                    assert!(heard.iter().any(|h| h.starts_with(wanted)), "{heard:?}");
                }
                assert!(!story.is_closed(alice));
            });
        }
    }
}

/// MQTT-3.1.4-6 [MQTT-3.1.4-5]: nothing that comes behind a refused CONNECT is acted upon.
#[test]
fn c01_nothing_is_processed_behind_a_refused_connect_mqtt_3_1_4_6() {
    for version in VERSIONS {
        let mut story = Story::with_rules();
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "#", Q2);
        let mut refused = connect(version, "alice");
        refused.username = Some("refuse-87");
        let mut message = publish("t", b"x", Q0, 0);
        message.retain = true;
        let connect = Packet::Connect(Box::new(refused));
        let all = bytes(
            version,
            &[connect, Packet::Publish(message), Packet::PingReq],
        );
        let alice = story.open(version);
        story.send_bytes(alice, &all);
        let code = if version == V5 {
            "connack 87"
        } else {
            "connack 05"
        };
        story.hears(alice, &[code, "closed"]);
        story.hears(bob, &[]);
        let carol = story.join(V5, "carol");
        story.subscribe_with(carol, "#", options(Q0), None);
        story.hears(carol, &["suback 1 [00]"]);
    }
}

/// MQTT-3.1.3-6, -7, MQTT-3.2.2-16: 5.0 gets an identifier, tells it and can come back with it.
#[test]
fn c06_an_empty_client_id_is_given_one_mqtt_3_1_3_6_3_2_2_16() {
    on_each_size(|mut story| {
        let mut ids = Vec::new();
        for _ in 0..20 {
            let alice = story.connect(lasting(V5, ""));
            let received = story.received(alice);
            let Packet::ConnAck(connack) = received[0].packet() else {
                panic!("{received:?}")
            };
            assert!(!connack.session_present);
            let id = connack
                .properties
                .assigned_client_id
                .expect("an identifier");
            ids.push(id.to_owned());
            story.subscribe(alice, "t", Q1);
            story.hang_up(alice);
        }
        for id in &ids {
            let alice = story.connect(lasting(V5, id));
            let received = story.received(alice);
            let Packet::ConnAck(connack) = received[0].packet() else {
                panic!("{received:?}")
            };
            assert!(connack.session_present);
            assert_eq!(connack.properties.assigned_client_id, None);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20);
    });
}

/// [MQTT-3.1.3-6, -7, -8]: 3.1.1 goes without an identifier only with a clean session; 3.1
/// never does.
#[test]
fn c06_mqtt_3_goes_without_a_client_id_only_if_clean_3_1_1_mqtt_3_1_3_8() {
    let mut story = Story::small();
    let clean = story.connect(connect(V311, ""));
    story.hears(clean, &["connack 00"]);
    let other = story.connect(connect(V311, ""));
    story.hears(other, &["connack 00"]);
    assert!(!story.is_closed(clean), "two without an id are two clients");
    let lasting_one = story.connect(lasting(V311, ""));
    story.hears(lasting_one, &["connack 02", "closed"]);
    for connect in [connect(V31, ""), lasting(V31, "")] {
        let old = story.connect(connect);
        story.hears(old, &["connack 02", "closed"]);
    }
}

/// §3.1.2.9 [MQTT-3.1.2-22]: a password without user name is for 5.0 only.
#[test]
fn c07_a_password_without_user_name_is_for_5_0_only_3_1_1_mqtt_3_1_2_22() {
    let mut story = Story::small();
    let mut five = connect(V5, "alice");
    five.password = Some(b"\xff\x00");
    let alice = story.connect(five);
    story.hears(alice, &["connack 00"]);
    // CONNECT of 3.1.1: clean session, password flag, no user name flag.
    let three = b"\x10\x10\x00\x04MQTT\x04\x42\x00\x00\x00\x01b\x00\x01p";
    let bob = story.open(V311);
    story.send_bytes(bob, three);
    story.hears(bob, &["closed"]);
}

/// MQTT-3.1.2-3 [MQTT-3.1.2-3, MQTT-3.1.4-1]: the reserved flag ends it; 3.1.1 without CONNACK.
#[test]
fn c07_the_reserved_connect_flag_is_refused_mqtt_3_1_2_3() {
    let mut story = Story::small();
    let bob = story.open(V311);
    story.send_bytes(bob, b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01b");
    story.hears(bob, &["closed"]);
    let alice = story.open(V5);
    story.send_bytes(alice, b"\x10\x0e\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01b");
    story.hears(alice, &["connack 81", "closed"]);
}

/// MQTT-3.1.2-11, -12, -13 [MQTT-3.1.2-11, -13, -14, -15]: will QoS and retain need the will
/// flag, and there is no will QoS 3.
#[test]
fn c05_will_flags_need_a_will_mqtt_3_1_2_11_12_13() {
    for (flags, code) in [(0x0a, 0x82), (0x12, 0x82), (0x22, 0x82), (0x1e, 0x81)] {
        let mut story = Story::small();
        let five = story.open(V5);
        let mut bytes = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01b".to_vec();
        bytes[9] = flags;
        story.send_bytes(five, &bytes);
        story.hears(five, &[&format!("connack {code:02x}"), "closed"]);
        let three = story.open(V311);
        let mut bytes = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01b".to_vec();
        bytes[9] = flags;
        story.send_bytes(three, &bytes);
        story.hears(three, &["closed"]);
    }
}

/// MQTT-3.1.2-22 [MQTT-3.1.2-24]: silence for one and a half keep alives ends the connection,
/// and the will speaks.
#[test]
fn c08_one_and_a_half_keep_alives_of_silence_end_it_mqtt_3_1_2_22() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "will", Q0);
        let mut connect = connect(version, "alice");
        connect.keep_alive = 10;
        connect.will = Some(will("will", b"gone"));
        let alice = story.enter(connect);
        story.pass(millis(14_900));
        story.hears(alice, &[]);
        story.send(alice, &Packet::PingReq);
        story.hears(alice, &["pingresp"]);
        story.pass(millis(14_900));
        story.hears(alice, &[]);
        story.hears(bob, &[]);
        story.pass(millis(200));
        match version {
            V5 => story.hears(alice, &["disconnect 8d", "closed"]),
            V31 | V311 => story.hears(alice, &["closed"]),
        }
        story.hears(bob, &["publish will gone q0"]);
    }
}

/// MQTT-3.1.2-22 [MQTT-3.1.2-24]: what the server sends does not count.
#[test]
fn c08_only_what_is_received_keeps_alive_mqtt_3_1_2_22() {
    let mut story = Story::small();
    let bob = story.join(V5, "bob");
    let mut connect = connect(V5, "alice");
    connect.keep_alive = 10;
    let alice = story.enter(connect);
    story.subscribe(alice, "t", Q0);
    for _ in 0..2 {
        story.pass(seconds(7));
        story.publish(bob, "t", b"x", Q0, 0);
    }
    story.pass(seconds(2));
    let heard = story.heard(alice);
    assert_eq!(heard[2..], ["disconnect 8d", "closed"]);
}

/// §3.1.2.10 [§3.1.2.10]: zero turns the keep alive off.
#[test]
fn c08_zero_is_no_keep_alive_mqtt_3_1_2_10() {
    for version in VERSIONS {
        let mut story = Story::small();
        let alice = story.join(version, "alice");
        story.leap(seconds(1_000_000));
        story.hears(alice, &[]);
    }
}

/// MQTT-3.1.2-21, MQTT-3.2.2-21, -22: the server's keep alive is told and holds; MQTT 3 cannot
/// be told and keeps its own.
#[test]
fn c08_server_keep_alive_overrides_the_clients_mqtt_3_1_2_21_3_2_2_21() {
    for (asked, told) in [(60, " keepalive=4"), (0, " keepalive=4"), (4, ""), (2, "")] {
        let mut story = Story::with_limits(|limits| limits.keep_alive = 4);
        let mut five = connect(V5, "alice");
        five.keep_alive = asked;
        let alice = story.connect(five);
        story.hears(alice, &[&format!("connack 00{told}")]);
        let holds = if told.is_empty() { u64::from(asked) } else { 4 };
        story.pass(millis(holds * 1_500 - 100));
        story.hears(alice, &[]);
        story.pass(millis(200));
        story.hears(alice, &["disconnect 8d", "closed"]);
    }
    let mut story = Story::with_limits(|limits| limits.keep_alive = 4);
    let mut three = connect(V311, "bob");
    three.keep_alive = 60;
    let bob = story.enter(three);
    story.pass(seconds(89));
    story.hears(bob, &[]);
    story.pass(seconds(2));
    story.hears(bob, &["closed"]);
}

/// MQTT-3.2.2-7 [MQTT-3.2.2-5]: whatever the reason, an error in CONNACK is followed by the end.
#[test]
fn c03_a_refusal_is_followed_by_the_end_mqtt_3_2_2_7() {
    for reason in [
        ReasonCode::ServerUnavailable,
        ReasonCode::BadUserNameOrPassword,
        ReasonCode::NotAuthorized,
        ReasonCode::Banned,
        ReasonCode::UseAnotherServer,
    ] {
        for version in VERSIONS {
            let mut story = Story::with_rules();
            let name = format!("refuse-{:02x}", reason.byte());
            let mut connect = lasting(version, "alice");
            connect.username = Some(&name);
            let alice = story.connect(connect);
            let code = match version {
                V5 => reason.byte(),
                V31 | V311 => reason.connect_return_code(),
            };
            story.hears(alice, &[&format!("connack {code:02x}"), "closed"]);
        }
    }
}

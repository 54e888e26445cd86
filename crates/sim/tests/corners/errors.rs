//! What is no packet, and how a connection ends for it.

use codec::Packet;
use types::ReasonCode;

use crate::story::*;

/// Sends bytes to a client of 5.0 and to one of 3.1.1 that are in; both are closed, 5.0 hears why.
#[track_caller]
fn is_refused(five: &[u8], three: Option<&[u8]>, code: &str) {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    story.send_bytes(alice, five);
    story.hears(alice, &[&format!("disconnect {code}"), "closed"]);
    if let Some(three) = three {
        let bob = story.join(V311, "bob");
        story.send_bytes(bob, three);
        story.hears(bob, &["closed"]);
    }
}

/// MQTT-1.5.4-1, -2 [MQTT-1.5.3-1, -2]: surrogates, overlong forms, other octets and U+0000.
#[test]
fn c32_what_is_no_utf_8_is_malformed_mqtt_1_5_4_1_2() {
    for text in [
        &b"\xed\xa0\x80"[..],
        b"\xc0\x80",
        b"\xff",
        b"a\xc3",
        b"\xf4\x90\x80\x80",
        b"a\x00b",
    ] {
        let len = u8::try_from(text.len()).expect("short");
        let five = [&[0x30, len + 3, 0, len], text, &[0]].concat();
        let three = [&[0x30, len + 2, 0, len], text].concat();
        is_refused(&five, Some(&three), "81");
        // A key of a User Property (MQTT-1.5.7-1).
        let user = [
            &[0x30, len + 9, 0, 1, b't', len + 5, 0x26, 0, len],
            text,
            &[0, 0],
        ]
        .concat();
        is_refused(&user, None, "81");
    }
}

/// MQTT-1.5.4-3 [MQTT-1.5.3-3]: U+FEFF is a character like any other, and stays.
#[test]
fn c32_a_byte_order_mark_stays_mqtt_1_5_4_3() {
    for version in VERSIONS {
        let mut story = Story::small();
        let alice = story.join(version, "\u{feff}alice");
        let plain = story.join(version, "alice");
        assert!(!story.is_closed(alice));
        story.subscribe(alice, "\u{feff}t", Q0);
        story.subscribe(plain, "t", Q0);
        story.publish(plain, "\u{feff}t", b"x", Q0, 0);
        story.hears(alice, &["publish \u{feff}t x q0"]);
        story.hears(plain, &[]);
    }
}

/// §1.5.6: binary data is no text: passwords and payloads hold any octets.
#[test]
fn c32_binary_data_is_no_text_mqtt_1_5_6() {
    for version in VERSIONS {
        let mut story = Story::small();
        let mut connect = connect(version, "alice");
        connect.username = Some("alice");
        connect.password = Some(b"\xff\x00\xed\xa0\x80");
        let alice = story.connect(connect);
        story.hears(alice, &["connack 00"]);
    }
}

/// MQTT-1.5.5-1, §2.1.4: a length of more than four octets or of more than it needs.
#[test]
fn c33_the_remaining_length_is_minimal_and_short_mqtt_1_5_5_1() {
    is_refused(
        b"\xc0\x80\x80\x80\x80\x00",
        Some(b"\xc0\x80\x80\x80\x80\x00"),
        "81",
    );
    is_refused(b"\xc0\x80\x00", Some(b"\xc0\x80\x00"), "81");
    is_refused(b"\x30\x06\x00\x01t\x80\x00x", None, "81");
}

/// MQTT-2.1.3-1, MQTT-3.6.1-1, MQTT-3.8.1-1, MQTT-3.10.1-1, MQTT-3.14.1-1 [MQTT-2.2.2-2 and the
/// same]: flags of the first octet.
#[test]
fn c33_reserved_header_flags_are_malformed_mqtt_2_1_3_1() {
    for first in [
        0x41, 0x52, 0x60, 0x63, 0x71, 0x80, 0x83, 0xa0, 0xc1, 0xe1, 0x00,
    ] {
        let bytes = [first, 2, 0, 1];
        is_refused(&bytes, Some(&bytes), "81");
    }
    is_refused(&[0xf1, 0], Some(&[0xf0, 0]), "81");
}

/// MQTT-3.3.1-2, -4 [MQTT-3.3.1-2, -4]: QoS 3, and DUP at QoS 0.
#[test]
fn c33_qos_3_and_dup_at_qos_0_are_malformed_mqtt_3_3_1_2_4() {
    is_refused(
        b"\x36\x06\x00\x01t\x00\x01\x00",
        Some(b"\x36\x05\x00\x01t\x00\x01"),
        "81",
    );
    is_refused(b"\x38\x04\x00\x01t\x00", Some(b"\x38\x03\x00\x01t"), "82");
}

/// MQTT-4.13.1-1, MQTT-4.13.2-1 [MQTT-4.8.0-1]: an error ends the connection, and nothing behind
/// it in the same bytes is looked at.
#[test]
fn c37_nothing_behind_an_error_is_looked_at_mqtt_4_13_1_1() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "#", Q0);
        let alice = story.join(version, "alice");
        let message = |payload| bytes(version, &[Packet::Publish(publish("t", payload, Q0, 0))]);
        let all = [message(b"1"), vec![0x36, 0x00], message(b"2")].concat();
        story.send_bytes(alice, &all);
        assert!(story.is_closed(alice));
        story.hears_payloads(bob, &["1"]);
    }
}

/// §4.13: packets that only servers send are protocol errors.
#[test]
fn c37_packets_of_servers_are_protocol_errors_mqtt_4_13_1_1() {
    is_refused(b"\x20\x03\x00\x00\x00", Some(b"\x20\x02\x00\x00"), "82");
    is_refused(
        b"\x90\x04\x00\x01\x00\x00",
        Some(b"\x90\x03\x00\x01\x00"),
        "82",
    );
    is_refused(b"\xb0\x04\x00\x01\x00\x00", Some(b"\xb0\x02\x00\x01"), "82");
    is_refused(b"\xd0\x00", Some(b"\xd0\x00"), "82");
}

/// MQTT-3.14.0-1: before CONNACK there is no DISCONNECT from the server.
#[test]
fn c37_no_disconnect_before_connack_mqtt_3_14_0_1() {
    let mut story = Story::small();
    let late = story.open(V5);
    story.send_bytes(late, b"\x10\x20\x00\x04MQTT\x05");
    story.pass(seconds(11));
    story.hears(late, &["closed"]);
    for bad in [
        &b"\x10\xff\xff\xff\xff\x01"[..],
        b"\x10\xff\xff\xff\x7f",
        b"\x10\x02\x00\x04",
    ] {
        let alice = story.open(V5);
        story.send_bytes(alice, bad);
        story.hears(alice, &["closed"]);
    }
}

/// MQTT-3.14.4-1, -2 [MQTT-3.14.4-1]: behind a DISCONNECT nothing is taken.
#[test]
fn c37_nothing_behind_disconnect_is_taken_mqtt_3_14_4_1() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "#", Q0);
        let alice = story.join(version, "alice");
        let end = Packet::Disconnect(codec::Disconnect::new(ReasonCode::Success));
        let message = Packet::Publish(publish("t", b"x", Q0, 0));
        story.send_bytes(alice, &bytes(version, &[end, message]));
        story.hears(alice, &["closed"]);
        story.hears(bob, &[]);
    }
}

/// §3.4.2.1, §3.4.2.2.1, §3.14.2.1: short forms are taken, and the shortest are sent.
#[test]
fn c38_short_forms_both_ways_mqtt_3_4_2_1() {
    for ack in [
        &b"\x40\x02\x00\x01"[..],
        b"\x40\x03\x00\x01\x00",
        b"\x40\x04\x00\x01\x00\x00",
        b"\x40\x03\x00\x01\x10",
    ] {
        let mut story = Story::small();
        let mut connect = lasting(V5, "alice");
        connect.properties.receive_maximum = Some(1);
        let alice = story.enter(connect);
        story.subscribe(alice, "t", Q1);
        let bob = story.join(V5, "bob");
        story.publish(bob, "t", b"1", Q1, 1);
        story.publish(bob, "t", b"2", Q1, 2);
        story.heard(alice);
        story.send_bytes(alice, ack);
        story.hears(alice, &["publish t 2 q1 #2"]);
        let received = story.received(bob);
        let sizes: Vec<usize> = received.iter().map(|packet| packet.bytes().len()).collect();
        assert_eq!(sizes, [4, 4]);
    }
    for end in [&b"\xe0\x00"[..], b"\xe0\x01\x00", b"\xe0\x02\x00\x00"] {
        let mut story = Story::small();
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "#", Q0);
        let mut connect = connect(V5, "alice");
        connect.will = Some(will("will", b"gone"));
        let alice = story.enter(connect);
        story.send_bytes(alice, end);
        story.hears(alice, &["closed"]);
        story.hears(bob, &[]);
    }
}

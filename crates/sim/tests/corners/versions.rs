//! Capabilities, and clients of different versions with each other.

use codec::{Packet, UserPropertiesBuf};
use types::ReasonCode;

use crate::story::*;

/// §3.2.2.3: nothing is restricted, so nothing is said; and all of it works.
#[test]
fn c39_capabilities_are_named_only_when_restricted_mqtt_3_2_2_9_13() {
    let mut story = Story::small();
    let alice = story.connect(connect(V5, "alice"));
    let received = story.received(alice);
    let Packet::ConnAck(connack) = received[0].packet() else {
        panic!("{received:?}")
    };
    let properties = &connack.properties;
    assert_eq!(properties.maximum_qos, None);
    assert_eq!(properties.retain_available, None);
    assert_eq!(properties.wildcard_subscription_available, None);
    assert_eq!(properties.subscription_ids_available, None);
    assert_eq!(properties.shared_subscription_available, None);
    assert_eq!(properties.server_keep_alive, None);
    assert_eq!(properties.session_expiry, None);
    assert_eq!(properties.receive_maximum, Some(1_024));
    assert_eq!(properties.topic_alias_maximum, Some(64));
    assert_eq!(properties.maximum_packet_size, Some(1_024 * 1_024));
    story.subscribe_with(alice, "+/#", options(Q2), Some(1));
    story.subscribe_with(alice, "$share/g/t", options(Q2), Some(2));
    story.hears(alice, &["suback 1 [02]", "suback 1 [02]"]);
    let mut connect = connect(V5, "bob");
    let mut last_words = will("t", b"x");
    last_words.qos = Q2;
    last_words.retain = true;
    connect.will = Some(last_words);
    let bob = story.connect(connect);
    story.hears(bob, &["connack 00"]);
}

/// §3.2.2.2 [§3.2.2.3]: each reason has its return code in MQTT 3.
#[test]
fn c40_reasons_become_return_codes_3_1_1_mqtt_3_2_2_4() {
    for (reason, code) in [
        (ReasonCode::NotAuthorized, 5),
        (ReasonCode::BadUserNameOrPassword, 4),
        (ReasonCode::ServerUnavailable, 3),
        (ReasonCode::ServerBusy, 3),
        (ReasonCode::QuotaExceeded, 3),
        (ReasonCode::ClientIdentifierNotValid, 2),
        (ReasonCode::Banned, 5),
    ] {
        for version in [V31, V311] {
            let mut story = Story::with_rules();
            let name = format!("refuse-{:02x}", reason.byte());
            let mut connect = connect(version, "alice");
            connect.username = Some(&name);
            let alice = story.open(version);
            let packet = Packet::Connect(Box::new(connect));
            story
                .universe
                .send(story.link(alice), &bytes(version, &[packet]));
            story.universe.settle();
            assert_eq!(
                story.universe.take_inbox(story.link(alice)),
                [0x20, 2, 0, code]
            );
        }
    }
}

/// MQTT-3.1.2-2 [MQTT-3.1.2-2]: a version that nobody speaks gets return code 1 in the form of
/// MQTT 3, and the end.
#[test]
fn c40_an_unknown_version_is_told_so_mqtt_3_1_2_2() {
    for connect in [
        &b"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x01a"[..],
        b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x00\x00\x01a",
        b"\x10\x0f\x00\x06MQIsdp\x04\x02\x00\x00\x00\x01a",
        b"\x10\x0d\x00\x04mqtt\x04\x02\x00\x00\x00\x01a",
    ] {
        let mut story = Story::small();
        let alice = story.open(V311);
        story.send_bytes(alice, connect);
        assert_eq!(
            story.universe.take_inbox(story.link(alice)),
            b"\x20\x02\x00\x01"
        );
        assert!(story.is_closed(alice));
    }
}

/// §3.1 of 3.1: `MQIsdp` is served, with identifiers of more than 23 characters by choice; its
/// CONNACK has no Session Present, and it may repeat with DUP.
#[test]
fn c40_mqtt_3_1_is_served_3_1() {
    let mut story = Story::small();
    let id = "a-client-identifier-of-more-than-23-characters";
    let alice = story.connect(lasting(V31, id));
    story.hears(alice, &["connack 00"]);
    story.subscribe(alice, "t", Q2);
    story.hang_up(alice);
    let bob = story.join(V5, "bob");
    story.publish(bob, "t", b"x", Q2, 1);
    let back = story.connect(lasting(V31, id));
    assert_eq!(story.received(back)[0].bytes(), b"\x20\x02\x00\x00");
    story.send_bytes(back, b"\x8a\x06\x00\x05\x00\x01u\x01");
    story.hears(back, &["suback 5 [01]"]);
    let three = story.join(V311, "three");
    story.send_bytes(three, b"\x8a\x06\x00\x05\x00\x01u\x01");
    story.hears(three, &["closed"]);
}

/// §3.3.2.3: what 5.0 adds does not reach MQTT 3, and a message of MQTT 3 brings none to 5.0.
#[test]
fn c40_properties_do_not_reach_mqtt_3_mqtt_3_3_2_3() {
    on_each_size(|mut story| {
        let mut user = UserPropertiesBuf::new();
        user.push("k", "v").expect("short");
        let bob = story.join(V5, "bob");
        for version in [V31, V311] {
            let alice = story.join(version, "alice");
            story.subscribe(alice, "t", Q0);
            let mut packet = publish("t", b"x", Q0, 0);
            packet.properties.forward.user = user.as_borrowed();
            packet.properties.topic_alias = Some(1);
            packet.properties.message_expiry = Some(9);
            story.send(bob, &Packet::Publish(packet));
            assert_eq!(story.received(alice)[0].bytes(), b"\x30\x04\x00\x01tx");
        }
        let five = story.join(V5, "five");
        story.subscribe(five, "u", Q0);
        let three = story.join(V311, "three");
        story.publish(three, "u", b"y", Q0, 0);
        assert_eq!(story.received(five)[0].bytes(), b"\x30\x05\x00\x01u\x00y");
    });
}

/// MQTT-4.5.0-1: what matches enters every session, away or not; QoS 0 waits for nobody who is
/// away, unless the server is told to.
#[test]
fn c41_what_matches_enters_every_session_mqtt_4_5_0_1() {
    for queue_qos0 in [false, true] {
        let mut story = Story::with_limits(|limits| limits.queue_qos0 = queue_qos0);
        let mut away = Vec::new();
        for (number, version) in [V31, V311, V5].into_iter().enumerate() {
            let name = format!("away-{number}");
            let who = story.enter(lasting(version, &name));
            story.subscribe(who, "t/#", Q1);
            story.hang_up(who);
            away.push((version, name));
        }
        let bob = story.join(V5, "bob");
        story.publish(bob, "t/a", b"0", Q0, 0);
        story.publish(bob, "t/b", b"1", Q1, 1);
        story.publish(bob, "t/c", b"2", Q2, 2);
        story.publish(bob, "u", b"3", Q1, 3);
        for (version, name) in away {
            let back = story.connect(lasting(version, &name));
            let wanted: &[&str] = if queue_qos0 {
                &["0", "1", "2"]
            } else {
                &["1", "2"]
            };
            story.hears_payloads(back, wanted);
        }
    }
}

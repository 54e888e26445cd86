//! The will: when it speaks, when it does not, and what it says.

use codec::{Packet, UserPropertiesBuf};
use types::ReasonCode;

use crate::story::*;

/// A client with a delayed will (5.0), and bob who listens.
fn with_delayed_will(story: &mut Story, delay: u32, expiry: u32) -> (Who, Who) {
    let bob = story.join(V5, "bob");
    story.subscribe(bob, "will", Q2);
    let mut connect = lasting(V5, "alice");
    connect.properties.session_expiry = Some(expiry);
    let mut last_words = will("will", b"gone");
    last_words.delay = Some(delay);
    connect.will = Some(last_words);
    (story.enter(connect), bob)
}

/// MQTT-3.1.2-8, MQTT-3.1.2-10, MQTT-3.14.4-3 [MQTT-3.1.2-8, -10, MQTT-3.14.4-3]: it speaks once
/// when the link breaks, and never after a normal DISCONNECT.
#[test]
fn c05_the_will_speaks_unless_disconnected_mqtt_3_1_2_8_3_14_4_3() {
    for version in VERSIONS {
        on_each_size(|mut story| {
            let bob = story.join(version, "bob");
            story.subscribe(bob, "will", Q2);
            let mut connect = connect(version, "alice");
            connect.will = Some(will("will", b"gone"));
            let alice = story.enter(connect.clone());
            story.hang_up(alice);
            story.hears(bob, &["publish will gone q0"]);
            let alice = story.enter(connect);
            story.disconnect(alice, ReasonCode::Success);
            story.hears(alice, &["closed"]);
            story.pass(seconds(100));
            story.hears(bob, &[]);
        });
    }
}

/// §3.14.2.1: 0x04 keeps the will, and so does every other reason but 0x00.
#[test]
fn c05_disconnect_with_will_message_keeps_it_mqtt_3_1_2_10() {
    for reason in [
        ReasonCode::DisconnectWithWill,
        ReasonCode::UnspecifiedError,
        ReasonCode::ImplementationSpecificError,
        ReasonCode::QuotaExceeded,
    ] {
        let mut story = Story::small();
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "will", Q0);
        let mut connect = connect(V5, "alice");
        connect.will = Some(will("will", b"gone"));
        let alice = story.enter(connect);
        story.disconnect(alice, reason);
        story.hears(alice, &["closed"]);
        story.hears(bob, &["publish will gone q0"]);
    }
}

/// MQTT-3.1.2-8: an error of the client, too, makes it speak.
#[test]
fn c05_the_will_speaks_after_a_protocol_error_mqtt_3_1_2_8() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(version, "bob");
        story.subscribe(bob, "will", Q0);
        let mut connect = connect(version, "alice");
        connect.will = Some(will("will", b"gone"));
        let alice = story.enter(connect);
        story.send_bytes(alice, &[0xf7, 0x00]);
        assert!(story.is_closed(alice));
        story.hears(bob, &["publish will gone q0"]);
    }
}

/// MQTT-3.1.3-9: it waits for its delay.
#[test]
fn c05_a_delayed_will_waits_mqtt_3_1_3_9() {
    on_each_size(|mut story| {
        let (alice, bob) = with_delayed_will(&mut story, 5, 60);
        story.hang_up(alice);
        story.pass(millis(4_900));
        story.hears(bob, &[]);
        story.pass(millis(200));
        story.hears(bob, &["publish will gone q0"]);
        story.pass(seconds(200));
        story.hears(bob, &[]);
    });
}

/// MQTT-3.1.3-9: the session's end is the end of the delay, and with no session there is none.
#[test]
fn c05_the_delay_ends_with_the_session_mqtt_3_1_3_9() {
    for (delay, expiry, at) in [(100, 5, 5), (5, 5, 5), (100, 0, 0), (0, 100, 0)] {
        let mut story = Story::small();
        let (alice, bob) = with_delayed_will(&mut story, delay, expiry);
        story.hang_up(alice);
        if at > 0 {
            story.pass(millis(at * 1_000 - 100));
            story.hears(bob, &[]);
            story.pass(millis(200));
        }
        story.hears(bob, &["publish will gone q0"]);
    }
}

/// MQTT-3.1.3-9: who comes back in time takes it back; the new will is another one.
#[test]
fn c05_coming_back_in_time_takes_the_will_back_mqtt_3_1_3_9() {
    on_each_size(|mut story| {
        let (alice, bob) = with_delayed_will(&mut story, 5, 60);
        story.hang_up(alice);
        story.pass(seconds(4));
        let back = story.enter(lasting(V5, "alice"));
        story.pass(seconds(100));
        story.hears(bob, &[]);
        story.hang_up(back);
        story.pass(seconds(100));
        story.hears(bob, &[]);
    });
}

/// MQTT-3.1.2-4, MQTT-3.1.3-9: a clean start ends the session, and so the delay.
#[test]
fn c05_a_clean_start_lets_the_delayed_will_speak_mqtt_3_1_3_9() {
    let mut story = Story::small();
    let (alice, bob) = with_delayed_will(&mut story, 50, 60);
    story.hang_up(alice);
    story.pass(seconds(4));
    story.join(V5, "alice");
    story.hears(bob, &["publish will gone q0"]);
}

/// §3.14.2.2.2: a DISCONNECT with 0x04 and expiry zero lets a delayed will speak at once.
#[test]
fn c05_a_session_ended_by_disconnect_ends_the_delay_mqtt_3_1_3_9() {
    let mut story = Story::small();
    let (alice, bob) = with_delayed_will(&mut story, 50, 60);
    let mut disconnect = codec::Disconnect::new(ReasonCode::DisconnectWithWill);
    disconnect.session_expiry = Some(0);
    story.send(alice, &Packet::Disconnect(disconnect));
    story.hears(bob, &["publish will gone q0"]);
}

/// §3.1.3.2: the will is a message like any other: QoS, retain, expiry and properties.
#[test]
fn c05_the_will_keeps_its_qos_retain_and_properties_mqtt_3_1_2_14_15() {
    let mut user = UserPropertiesBuf::new();
    user.push("k", "2").expect("short");
    user.push("k", "1").expect("short");
    let mut story = Story::small();
    let bob = story.join(V5, "bob");
    story.subscribe(bob, "will", Q2);
    let mut connect = connect(V5, "alice");
    let mut last_words = will("will", b"gone");
    last_words.qos = Q2;
    last_words.retain = true;
    last_words.message_expiry = Some(30);
    last_words.forward.content_type = Some("text");
    last_words.forward.response_topic = Some("answer");
    last_words.forward.correlation_data = Some(b"\x00\xff");
    last_words.forward.payload_is_utf8 = Some(true);
    last_words.forward.user = user.as_borrowed();
    let forward = last_words.forward;
    connect.will = Some(last_words);
    let alice = story.enter(connect);
    story.hang_up(alice);
    let received = story.received(bob);
    let Packet::Publish(publish) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(publish.properties.forward, forward);
    assert_eq!(publish.properties.message_expiry, Some(30));
    assert_eq!(publish.qos, Q2);
    story.pass(seconds(10));
    let carol = story.join(V5, "carol");
    story.subscribe_with(carol, "will", options(Q1), None);
    story.hears(
        carol,
        &["suback 1 [01]", "publish will gone q1 #1 retain expiry=20"],
    );
}

/// §3.1.3.3 [MQTT-3.1.3-10]: a will that could never be published is refused at the door.
#[test]
fn c05_a_will_that_cannot_be_published_is_refused_mqtt_3_1_3_11() {
    for (topic, code) in [
        ("a/+", "90"),
        ("#", "90"),
        ("", "90"),
        ("secret/x", "87"),
        ("a\u{1}", "90"),
    ] {
        let mut story = Story::with_rules();
        let mut connect = connect(V5, "alice");
        connect.will = Some(will(topic, b"gone"));
        let alice = story.connect(connect);
        story.hears(alice, &[&format!("connack {code}"), "closed"]);
    }
}

/// MQTT-3.1.2-14: a will of its own owner reaches the owner's lasting session.
#[test]
fn c05_a_will_reaches_sessions_that_are_away_mqtt_4_5_0_1() {
    let mut story = Story::small();
    let mut connect = lasting(V5, "alice");
    let mut last_words = will("will", b"gone");
    last_words.qos = Q1;
    connect.will = Some(last_words);
    let alice = story.enter(connect);
    story.subscribe(alice, "will", Q1);
    story.hang_up(alice);
    let back = story.connect(lasting(V5, "alice"));
    story.hears(back, &["connack 00 present", "publish will gone q1 #1"]);
}

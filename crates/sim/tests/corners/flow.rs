//! Receive Maximum and Maximum Packet Size, both ways.

use broker::{BrokerConfig, DropReason};
use codec::{Connect, Packet};
use types::{ProtocolVersion, ReasonCode};

use crate::story::*;

fn with_window(version: ProtocolVersion, client_id: &str, window: u16) -> Connect<'_> {
    let mut connect = lasting(version, client_id);
    connect.properties.receive_maximum = Some(window);
    connect
}

fn with_size(client_id: &str, size: u32) -> Connect<'_> {
    let mut connect = lasting(V5, client_id);
    connect.properties.maximum_packet_size = Some(size);
    connect
}

/// MQTT-3.3.4-7, MQTT-4.9.0-1: who goes beyond the server's Receive Maximum hears 0x93; what is
/// released makes room.
#[test]
fn c09_beyond_the_servers_receive_maximum_is_0x93_mqtt_3_3_4_7() {
    for last in [Q1, Q2] {
        let mut story = Story::with_limits(|limits| limits.receive_maximum = 3);
        let alice = story.join(V5, "alice");
        for id in 1..=3 {
            story.publish(alice, "t", b"x", Q2, id);
        }
        story.pubrel(alice, 2);
        story.publish(alice, "t", b"x", Q2, 4);
        assert!(!story.is_closed(alice));
        story.heard(alice);
        story.publish(alice, "t", b"x", Q0, 0);
        story.hears(alice, &[]);
        story.publish(alice, "t", b"x", last, 5);
        story.hears(alice, &["disconnect 93", "closed"]);
    }
}

/// §4.9: PUBREC with an error gives its place back.
#[test]
fn c09_a_refused_message_takes_no_place_mqtt_4_9_0_2() {
    let mut config = BrokerConfig::open(1, 1);
    guard(&mut config);
    config.limits.receive_maximum = 2;
    let mut story = Story::of(config);
    let alice = story.join(V5, "alice");
    for id in 1..=20 {
        story.publish(alice, "secret/x", b"x", Q2, id);
        story.hears(alice, &[&format!("pubrec {id} 87 why")]);
    }
}

/// §4.9: the count begins anew with each connection, though what is not released stays known.
#[test]
fn c09_the_count_begins_anew_with_each_connection_mqtt_4_9_0_1() {
    let mut story = Story::with_limits(|limits| limits.receive_maximum = 2);
    let alice = story.enter(lasting(V5, "alice"));
    story.publish(alice, "t", b"x", Q2, 1);
    story.publish(alice, "t", b"x", Q2, 2);
    story.hang_up(alice);
    let back = story.enter(lasting(V5, "alice"));
    story.publish(back, "t", b"x", Q2, 3);
    story.publish(back, "t", b"x", Q2, 4);
    story.hears(back, &["pubrec 3 10", "pubrec 4 10"]);
    for id in 1..=4 {
        story.pubrel(back, id);
    }
    story.hears(
        back,
        &[
            "pubcomp 1 00",
            "pubcomp 2 00",
            "pubcomp 3 00",
            "pubcomp 4 00",
        ],
    );
}

/// MQTT-4.3.3-10, §4.9: a message again that was not released takes no second place.
#[test]
fn c09_a_repeated_message_takes_no_second_place_mqtt_4_3_3_10() {
    let mut story = Story::with_limits(|limits| limits.receive_maximum = 1);
    let alice = story.join(V5, "alice");
    for _ in 0..5 {
        story.publish(alice, "t", b"x", Q2, 1);
    }
    assert_eq!(story.heard(alice).len(), 5);
    assert!(!story.is_closed(alice));
}

/// §3.1.2.11.3: MQTT 3 knows no Receive Maximum and is not held to one.
#[test]
fn c09_mqtt_3_is_not_held_to_a_receive_maximum_mqtt_3_3_4_7() {
    let mut story = Story::with_limits(|limits| limits.receive_maximum = 2);
    let alice = story.join(V311, "alice");
    for id in 1..=50 {
        story.publish(alice, "t", b"x", Q2, id);
        story.hears(alice, &[&format!("pubrec {id} 00")]);
    }
}

/// MQTT-3.3.4-9, -10, MQTT-4.9.0-3: no more than the client's Receive Maximum is on its way;
/// QoS 0 and other packets go on; each kind of last answer makes room.
#[test]
fn c09_the_clients_receive_maximum_holds_mqtt_3_3_4_9_10() {
    on_each_size(|mut story| {
        let alice = story.enter(with_window(V5, "alice", 2));
        let bob = story.join(V5, "bob");
        story.subscribe(alice, "t", Q2);
        for id in 1..=8 {
            let qos = if id % 2 == 0 { Q2 } else { Q1 };
            story.publish(bob, "t", id.to_string().as_bytes(), qos, id);
        }
        story.hears(alice, &["publish t 1 q1 #1", "publish t 2 q2 #2"]);
        story.publish(bob, "t", b"zero", Q0, 0);
        story.send(alice, &Packet::PingReq);
        story.hears(alice, &["publish t zero q0", "pingresp"]);
        story.puback(alice, 1, ReasonCode::Success);
        story.hears(alice, &["publish t 3 q1 #3"]);
        story.pubrec(alice, 2, ReasonCode::Success);
        story.hears(alice, &["pubrel 2 00"]);
        story.pubcomp(alice, 2);
        story.hears(alice, &["publish t 4 q2 #4"]);
        story.pubrec(alice, 4, ReasonCode::UnspecifiedError);
        story.hears(alice, &["publish t 5 q1 #5"]);
        story.puback(alice, 5, ReasonCode::QuotaExceeded);
        story.hears(alice, &["publish t 6 q2 #6"]);
    });
}

/// MQTT-3.3.4-9, §4.9: the window of the new connection holds for what is sent again.
#[test]
fn c09_a_smaller_window_holds_when_a_session_is_resumed_mqtt_3_3_4_9() {
    let mut story = Story::small();
    let alice = story.enter(with_window(V5, "alice", 10));
    let bob = story.join(V5, "bob");
    story.subscribe(alice, "t", Q2);
    for id in 1..=4 {
        story.publish(bob, "t", id.to_string().as_bytes(), Q1, id);
    }
    story.hang_up(alice);
    story.publish(bob, "t", b"5", Q1, 5);
    let back = story.connect(with_window(V5, "alice", 1));
    story.hears(back, &["connack 00 present", "publish t 1 q1 #1 dup"]);
    for (id, wanted) in [
        (1, "publish t 2 q1 #2 dup"),
        (2, "publish t 3 q1 #3 dup"),
        (3, "publish t 4 q1 #4 dup"),
        (4, "publish t 5 q1 #5"),
    ] {
        story.puback(back, id, ReasonCode::Success);
        story.hears(back, &[wanted]);
    }
}

/// §3.1.2.11.3: zero is a protocol error.
#[test]
fn c09_a_receive_maximum_of_zero_is_a_protocol_error_mqtt_3_1_2_11_3() {
    // Receive Maximum, Maximum Packet Size.
    for property in [&b"\x03\x21\x00\x00"[..], b"\x05\x27\x00\x00\x00\x00"] {
        let mut story = Story::small();
        let mut connect = b"\x10\x00\x00\x04MQTT\x05\x02\x00\x00".to_vec();
        connect.extend_from_slice(property);
        connect.extend_from_slice(b"\x00\x01a");
        connect[1] = u8::try_from(connect.len() - 2).expect("short");
        let alice = story.open(V5);
        story.send_bytes(alice, &connect);
        story.hears(alice, &["connack 82", "closed"]);
    }
}

/// MQTT-3.1.2-24, -25: what is too large is dropped, counted, and holds up nothing.
#[test]
fn c10_what_is_too_large_counts_as_delivered_mqtt_3_1_2_24_25() {
    for qos in [Q0, Q1, Q2] {
        on_each_size(|mut story| {
            let mut connect = with_size("alice", 60);
            connect.properties.receive_maximum = Some(1);
            let alice = story.enter(connect.clone());
            let bob = story.join(V5, "bob");
            story.subscribe(alice, "t", Q2);
            for id in 1..=10 {
                story.publish(
                    bob,
                    "t",
                    &[b'x'; 100],
                    qos,
                    id.min(u16::from(qos.bits()) * 9),
                );
            }
            story.publish(bob, "t", b"small", Q1, 11);
            story.hears_payloads(alice, &["small"]);
            assert_eq!(story.dropped(DropReason::TooLarge), 10);
            // The same from the queue, and when it is sent again to a smaller client.
            story.hang_up(alice);
            story.publish(bob, "t", &[b'x'; 50], Q1, 12);
            story.publish(bob, "t", b"next", Q1, 13);
            connect.properties.maximum_packet_size = Some(40);
            let back = story.connect(connect);
            story.hears_payloads(back, &["small"]);
        });
    }
}

/// MQTT-3.1.2-25: a message that was sent and is too large for the next connection is done.
#[test]
fn c10_what_is_sent_again_keeps_to_the_new_size_mqtt_3_1_2_25() {
    let mut story = Story::small();
    let alice = story.enter(lasting(V5, "alice"));
    let bob = story.join(V5, "bob");
    story.subscribe(alice, "t", Q2);
    story.publish(bob, "t", &[b'x'; 100], Q1, 1);
    story.publish(bob, "t", b"small", Q2, 2);
    story.hang_up(alice);
    let back = story.connect(with_size("alice", 60));
    story.hears(back, &["connack 00 present", "publish t small q2 #2 dup"]);
}

/// MQTT-3.1.2-24: to the octet, for PUBLISH with and without alias.
#[test]
fn c10_the_limit_holds_to_the_octet_mqtt_3_1_2_24() {
    for alias in [None, Some(10)] {
        for payload in 80..110_usize {
            let mut story = Story::small();
            let mut connect = with_size("alice", 100);
            connect.properties.topic_alias_maximum = alias;
            let alice = story.enter(connect);
            let bob = story.join(V5, "bob");
            story.subscribe(alice, "t", Q0);
            for _ in 0..3 {
                story.publish(bob, "t", &vec![b'x'; payload], Q0, 0);
            }
            let received = story.received(alice);
            assert!(received.iter().all(|packet| packet.bytes().len() <= 100));
            // Header 2, topic 3, property length 1: an alias is left out before a message is.
            assert_eq!(
                received.len(),
                if payload <= 94 { 3 } else { 0 },
                "{payload}"
            );
        }
    }
}

/// MQTT-3.1.2-24, MQTT-3.2.2-19, MQTT-3.4.2-2, MQTT-3.14.2-3: no packet whatever is larger than
/// the client takes; whom the server cannot answer it lets go.
#[test]
fn c10_no_answer_is_larger_than_the_client_takes_mqtt_3_1_2_24_3_2_2_19() {
    for size in 1..60 {
        let mut config = BrokerConfig::open(1, 1);
        guard(&mut config);
        config.response_information = Some("answers/here".to_owned());
        let mut story = Story::of(config);
        let limit = usize::try_from(size).expect("small");
        let mut heard = Vec::new();
        let mut keep = |story: &mut Story, who| {
            let received = story.received(who);
            assert!(
                received.iter().all(|packet| packet.bytes().len() <= limit),
                "{size}"
            );
            heard.extend(received.iter().map(|packet| packet.bytes().len()));
        };
        let mut asking = with_size("alice", size);
        asking.properties.request_response_information = Some(true);
        let alice = story.connect(asking.clone());
        keep(&mut story, alice);
        let many: Vec<_> = (0..30).map(|_| ("secret/x", options(Q0))).collect();
        story.send_bytes(alice, &subscribe_bytes(V5, &many));
        keep(&mut story, alice);
        assert!(size >= 35 || story.is_closed(alice), "{size}");
        let bob = story.connect(with_size("bob", size));
        keep(&mut story, bob);
        story.publish(bob, "secret/x", b"x", Q1, 1);
        story.publish(bob, "secret/x", b"x", Q2, 2);
        keep(&mut story, bob);
        story.send(
            bob,
            &Packet::PubAck(codec::Ack::new(packet_id(9), ReasonCode::Success)),
        );
        story.send_bytes(bob, &[0xd0, 0x01, 0x00]);
        assert!(story.is_closed(bob));
        keep(&mut story, bob);
        asking.username = Some("refuse-87");
        let carol = story.connect(asking);
        assert!(story.is_closed(carol));
        keep(&mut story, carol);
        assert!(size < 5 || !heard.is_empty());
    }
}

/// §3.2.2.3.15: Response Information is left out where it does not fit, and CONNACK still comes.
#[test]
fn c10_connack_leaves_out_what_it_may_mqtt_3_1_2_24() {
    let mut config = BrokerConfig::open(1, 1);
    config.response_information = Some("x".repeat(200));
    let mut story = Story::of(config);
    let mut connect = with_size("alice", 100);
    connect.properties.request_response_information = Some(true);
    let alice = story.connect(connect);
    story.hears(alice, &["connack 00"]);
}

/// MQTT-3.2.2-15: a packet above the server's limit is answered with 0x95.
#[test]
fn c10_above_the_servers_limit_is_0x95_mqtt_3_2_2_15() {
    for version in VERSIONS {
        let mut story = Story::with_limits(|limits| limits.packet_size = 1_024);
        let alice = story.join(version, "alice");
        let bob = story.join(V5, "bob");
        // All properties there are, so that the copy is larger than what was taken.
        story.subscribe_with(bob, "t", options(Q0), Some(268_435_455));
        story.heard(bob);
        let fixed = if version == V5 { 7 } else { 6 };
        story.publish(alice, "t", &vec![b'x'; 1_024 - fixed], Q0, 0);
        assert_eq!(story.heard(bob).len(), 1, "what is taken is delivered");
        story.publish(alice, "t", &vec![b'x'; 1_025 - fixed], Q0, 0);
        match version {
            V5 => story.hears(alice, &["disconnect 95", "closed"]),
            V31 | V311 => story.hears(alice, &["closed"]),
        }
        story.hears(bob, &[]);
    }
}

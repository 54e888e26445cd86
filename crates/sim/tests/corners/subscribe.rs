//! SUBSCRIBE and UNSUBSCRIBE: identifiers, overlap, No Local, answers.

use codec::Packet;
use types::{ReasonCode, SubscriptionOptions};

use crate::story::*;

fn no_local(qos: types::QoS) -> SubscriptionOptions {
    SubscriptionOptions {
        no_local: true,
        ..options(qos)
    }
}

/// §3.8.2.1.2: 0 is a protocol error.
#[test]
fn c12_identifier_0_is_a_protocol_error_mqtt_3_8_2_1_2() {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    story.send_bytes(alice, b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01t\x00");
    story.hears(alice, &["disconnect 82", "closed"]);
}

/// MQTT-3.3.4-3, -4: one copy carries the identifiers of all that match and have one.
#[test]
fn c12_one_copy_carries_all_identifiers_mqtt_3_3_4_3_4() {
    on_each_size(|mut story| {
        let alice = story.join(V5, "alice");
        let bob = story.join(V311, "bob");
        story.subscribe_with(alice, "a/#", options(Q0), Some(7));
        story.subscribe_with(alice, "a/+", options(Q1), Some(268_435_455));
        story.subscribe_with(alice, "+/b", options(Q2), None);
        story.subscribe_with(alice, "c", options(Q0), Some(9));
        story.heard(alice);
        story.publish(bob, "a/b", b"x", Q2, 1);
        story.hears(alice, &["publish a/b x q2 #1 ids=[7, 268435455]"]);
    });
}

/// MQTT-3.3.4-6: a client sends none in PUBLISH.
#[test]
fn c12_clients_send_no_identifier_mqtt_3_3_4_6() {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    let mut ids = codec::SubscriptionIdsBuf::new();
    ids.push(std::num::NonZeroU32::MIN).expect("small");
    let mut packet = publish("t", b"x", Q0, 0);
    packet.properties.subscription_ids = ids.as_borrowed();
    story.send(alice, &Packet::Publish(packet));
    story.hears(alice, &["disconnect 82", "closed"]);
}

/// MQTT-3.8.4-3: subscribing again replaces the identifier, takes it away too; the session and
/// what waits in it keep it; retained messages get that of the subscription they answer.
#[test]
fn c12_the_identifier_is_replaced_and_kept_in_the_session_mqtt_3_8_4_3() {
    let mut story = Story::small();
    let alice = story.enter(lasting(V5, "alice"));
    let bob = story.join(V5, "bob");
    story.retain(bob, "t", b"kept");
    story.subscribe_with(alice, "t", options(Q1), Some(1));
    story.hears(
        alice,
        &["suback 1 [01]", "publish t kept q0 retain ids=[1]"],
    );
    story.subscribe_with(alice, "t", options(Q1), Some(2));
    story.hears(
        alice,
        &["suback 1 [01]", "publish t kept q0 retain ids=[2]"],
    );
    story.hang_up(alice);
    story.publish(bob, "t", b"x", Q1, 1);
    let back = story.connect(lasting(V5, "alice"));
    story.hears(back, &["connack 00 present", "publish t x q1 #1 ids=[2]"]);
    story.subscribe_with(back, "t", options(Q0), None);
    story.hears(back, &["suback 1 [00]", "publish t kept q0 retain"]);
    story.publish(bob, "t", b"y", Q1, 1);
    story.hears(back, &["publish t y q0"]);
}

/// MQTT-3.3.4-2 [MQTT-3.3.5-1]: one copy, with the highest QoS of all that match.
#[test]
fn c13_overlapping_subscriptions_give_one_copy_at_the_highest_qos_mqtt_3_3_4_2() {
    for version in VERSIONS {
        for (published, wanted) in [
            (Q0, "publish a/b x q0"),
            (Q1, "publish a/b x q1 #1"),
            (Q2, "publish a/b x q1 #1"),
        ] {
            on_each_size(|mut story| {
                let alice = story.join(version, "alice");
                let bob = story.join(V5, "bob");
                for (filter, qos) in [("a/b", Q0), ("a/+", Q1), ("#", Q0)] {
                    story.subscribe(alice, filter, qos);
                }
                story.publish(bob, "a/b", b"x", published, u16::from(published != Q0));
                story.hears(alice, &[wanted]);
            });
        }
    }
}

/// §3.8.3.1: Retain As Published and No Local of each are looked at; removing one of them takes
/// only its part away.
#[test]
fn c13_each_subscription_brings_its_options_mqtt_3_8_3_3() {
    on_each_size(|mut story| {
        let alice = story.join(V5, "alice");
        let keep = SubscriptionOptions {
            retain_as_published: true,
            ..no_local(Q0)
        };
        story.subscribe_with(alice, "a/#", options(Q1), Some(1));
        story.subscribe_with(alice, "a/b", keep, Some(2));
        story.heard(alice);
        // Of others: both match. Of its own: only the one without No Local.
        let bob = story.join(V5, "bob");
        story.retain(bob, "a/b", b"x");
        story.hears(alice, &["publish a/b x q0 retain ids=[1, 2]"]);
        story.retain(alice, "a/b", b"y");
        story.hears(alice, &["publish a/b y q0 ids=[1]"]);
        story.unsubscribe(alice, "a/#");
        story.retain(alice, "a/b", b"z");
        story.hears(alice, &["unsuback 1 [00]"]);
        story.retain(bob, "a/b", b"w");
        story.hears(alice, &["publish a/b w q0 retain ids=[2]"]);
    });
}

/// MQTT-3.8.3-3: No Local goes by the client identifier: it survives a new connection.
#[test]
fn c14_no_local_keeps_ones_own_messages_away_mqtt_3_8_3_3() {
    on_each_size(|mut story| {
        let alice = story.enter(lasting(V5, "alice"));
        let bob = story.join(V5, "bob");
        story.subscribe_with(alice, "t", no_local(Q1), None);
        story.heard(alice);
        for qos in [Q0, Q1, Q2] {
            story.publish(alice, "t", b"own", qos, u16::from(qos.bits()));
        }
        assert!(
            story
                .heard(alice)
                .iter()
                .all(|heard| !heard.contains("own"))
        );
        story.publish(bob, "t", b"other", Q0, 0);
        story.hears(alice, &["publish t other q0"]);
        story.hang_up(alice);
        let back = story.enter(lasting(V5, "alice"));
        story.publish(back, "t", b"own", Q0, 0);
        story.hears(back, &[]);
        // Its own retained message at SUBSCRIBE is no forwarding: it is sent.
        story.retain(back, "t", b"kept");
        story.hears(back, &[]);
        story.subscribe_with(back, "t", no_local(Q1), None);
        story.hears(back, &["suback 1 [01]", "publish t kept q0 retain"]);
    });
}

/// MQTT-3.8.3-4: on a shared subscription it is a protocol error, whatever place it has.
#[test]
fn c14_no_local_on_a_shared_subscription_is_a_protocol_error_mqtt_3_8_3_4() {
    let mut story = Story::small();
    let alice = story.enter(lasting(V5, "alice"));
    let filters = [("t", options(Q0)), ("$share/g/t", no_local(Q0))];
    story.send_bytes(alice, &subscribe_bytes(V5, &filters));
    story.hears(alice, &["disconnect 82", "closed"]);
    let bob = story.join(V5, "bob");
    story.publish(bob, "t", b"x", Q1, 1);
    story.hears(bob, &["puback 1 10"]);
}

/// MQTT-3.8.4-5, -6, -7, MQTT-3.9.3-1 [MQTT-3.8.4-4, -5, MQTT-3.9.3-1]: one code for each filter,
/// in order, as if each had come alone.
#[test]
fn c26_suback_has_one_code_for_each_filter_in_order_mqtt_3_8_4_6_3_9_3_1() {
    for version in VERSIONS {
        let mut story = Story::with_rules();
        let alice = story.join(version, "alice");
        let filters = [
            ("a", options(Q2)),
            ("a/#/b", options(Q0)),
            ("b", options(Q0)),
            ("secret/x", options(Q1)),
            ("", options(Q1)),
            ("a", options(Q1)),
            ("$share/g", options(Q1)),
        ];
        story.send_bytes(alice, &subscribe_bytes(version, &filters));
        match version {
            V5 => story.hears(alice, &["suback 1 [02, 8f, 00, 87, 8f, 01, 8f]"]),
            V31 | V311 => story.hears(alice, &["suback 1 [02, 80, 00, 80, 80, 01, 80]"]),
        }
        let bob = story.join(V5, "bob");
        story.publish(bob, "a", b"x", Q2, 1);
        story.hears(alice, &["publish a x q1 #1"]);
    }
}

/// MQTT-3.8.4-8 [MQTT-3.8.4-6]: a message comes at the lower of both QoS.
#[test]
fn c26_a_message_comes_at_the_lower_qos_mqtt_3_8_4_8() {
    for version in VERSIONS {
        for published in [Q0, Q1, Q2] {
            for granted in [Q0, Q1, Q2] {
                let mut story = Story::small();
                let alice = story.join(version, "alice");
                let bob = story.join(version, "bob");
                story.subscribe(alice, "t", granted);
                story.publish(bob, "t", b"x", published, u16::from(published.bits()));
                let heard = story.heard(alice);
                let wanted = format!("publish t x q{}", published.min(granted).bits());
                assert!(
                    heard.len() == 1 && heard[0].starts_with(&wanted),
                    "{heard:?}"
                );
            }
        }
    }
}

/// MQTT-3.8.3-2, -5, MQTT-3.10.3-2, §3.8.3.1 [MQTT-3.8.3-3, -4, MQTT-3.10.3-2]: an empty list and
/// reserved options end the connection.
#[test]
fn c26_an_empty_list_or_reserved_options_end_it_mqtt_3_8_3_2_5() {
    for (packet, code) in [
        (&b"\x82\x03\x00\x01\x00"[..], "82"),
        (b"\xa2\x03\x00\x01\x00", "82"),
        (b"\x82\x07\x00\x01\x00\x00\x01t\x40", "81"),
        (b"\x82\x07\x00\x01\x00\x00\x01t\x80", "81"),
        (b"\x82\x07\x00\x01\x00\x00\x01t\x03", "82"),
        (b"\x82\x07\x00\x00\x00\x00\x01t\x00", "82"),
    ] {
        let mut story = Story::small();
        let alice = story.join(V5, "alice");
        story.send_bytes(alice, packet);
        let heard = story.heard(alice);
        assert!(
            heard[0].starts_with("disconnect 8") && heard[1] == "closed",
            "{heard:?}"
        );
        if packet[3] != 0 {
            assert_eq!(heard[0], format!("disconnect {code}"), "{packet:x?}");
        }
    }
    for packet in [
        &b"\x82\x02\x00\x01"[..],
        b"\x82\x06\x00\x01\x00\x01t\x04",
        b"\xa2\x02\x00\x01",
    ] {
        let mut story = Story::small();
        let alice = story.join(V311, "alice");
        story.send_bytes(alice, packet);
        story.hears(alice, &["closed"]);
    }
}

/// MQTT-3.8.4-1 [MQTT-3.8.4-1]: SUBACK comes before anything that the subscription brings, and
/// nothing that is published behind it is missed.
#[test]
fn c26_suback_comes_before_any_message_mqtt_3_8_4_1() {
    on_each_size(|mut story| {
        let bob = story.join(V5, "bob");
        story.retain(bob, "t", b"kept");
        let alice = story.join(V5, "alice");
        let mut all = subscribe_bytes(V5, &[("t", options(Q0))]);
        all.extend(bytes(V5, &[Packet::PingReq]));
        story.universe.send(story.link(alice), &all);
        story.publish(bob, "other", b"x", Q0, 0);
        let heard = story.heard(alice);
        let suback = heard.iter().position(|text| text.starts_with("suback"));
        let message = heard.iter().position(|text| text.starts_with("publish"));
        assert!(
            suback.expect("SUBACK") < message.expect("message"),
            "{heard:?}"
        );
        story.publish(bob, "t", b"new", Q0, 0);
        story.hears(alice, &["publish t new q0"]);
    });
}

/// MQTT-3.10.4-1, -5, MQTT-3.11.3-1 [MQTT-3.10.4-1, -5]: the text must be the same; UNSUBACK
/// always comes, with 0x11 in 5.0 where there was none.
#[test]
fn c27_unsubscribe_compares_text_and_is_always_answered_mqtt_3_10_4_1_5() {
    for version in VERSIONS {
        let mut story = Story::small();
        let alice = story.join(version, "alice");
        let bob = story.join(V5, "bob");
        story.subscribe(alice, "a/+", Q0);
        let filters = ["a/#", "a/b", "A/+", "a/+/", "a/+", "a/+", "a#"];
        story.send_bytes(alice, &unsubscribe_bytes(version, &filters));
        match version {
            V5 => story.hears(alice, &["unsuback 1 [11, 11, 11, 11, 00, 11, 8f]"]),
            V31 | V311 => story.hears(alice, &["unsuback 1 []"]),
        }
        story.publish(bob, "a/b", b"x", Q0, 0);
        story.hears(alice, &[]);
    }
}

/// MQTT-3.10.4-2, -3 [MQTT-3.10.4-2, -3]: nothing new is added; what is on its way is finished.
#[test]
fn c27_what_is_on_its_way_is_finished_mqtt_3_10_4_3() {
    for version in [V311, V5] {
        let mut story = Story::small();
        let alice = story.enter(lasting(version, "alice"));
        let bob = story.join(V5, "bob");
        story.subscribe(alice, "t", Q2);
        story.publish(bob, "t", b"1", Q1, 1);
        story.publish(bob, "t", b"2", Q2, 2);
        story.heard(alice);
        story.unsubscribe(alice, "t");
        story.publish(bob, "t", b"3", Q1, 3);
        assert_eq!(story.heard(alice).len(), 1);
        story.pubrec(alice, 2, ReasonCode::Success);
        story.hears(alice, &["pubrel 2 00"]);
        story.hang_up(alice);
        let back = story.connect(lasting(version, "alice"));
        story.hears(
            back,
            &["connack 00 present", "publish t 1 q1 #1 dup", "pubrel 2 00"],
        );
    }
}

/// MQTT-3.10.4-2: retained messages do not follow an UNSUBSCRIBE that came in the same turn.
#[test]
fn c27_no_retained_message_follows_unsubscribe_mqtt_3_10_4_2() {
    on_each_size(|mut story| {
        let bob = story.join(V5, "bob");
        story.retain(bob, "t", b"kept");
        let alice = story.join(V5, "alice");
        let mut all = subscribe_bytes(V5, &[("t", options(Q0))]);
        all.extend(unsubscribe_bytes(V5, &["t"]));
        story.send_bytes(alice, &all);
        story.hears(alice, &["suback 1 [00]", "unsuback 1 [00]"]);
    });
}

//! Properties that are passed on, and those about answers.

use broker::BrokerConfig;
use codec::{Forward, Packet, UserPropertiesBuf};

use crate::story::*;

/// MQTT-3.1.2-28: Response Information is sent only to who asks for it.
#[test]
fn c29_response_information_only_if_asked_for_mqtt_3_1_2_28() {
    for (asked, wanted) in [
        (None, "connack 00"),
        (Some(false), "connack 00"),
        (Some(true), "connack 00 info=answers"),
    ] {
        let mut config = BrokerConfig::open(1, 1);
        config.response_information = Some("answers".to_owned());
        let mut story = Story::of(config);
        let mut connect = connect(V5, "alice");
        connect.properties.request_response_information = asked;
        let alice = story.connect(connect);
        story.hears(alice, &[wanted]);
    }
}

/// MQTT-3.3.2-14: a Response Topic has no wildcard, in PUBLISH and in the will.
#[test]
fn c29_a_response_topic_has_no_wildcard_mqtt_3_3_2_14() {
    for bad in ["a/+", "#", "a/#"] {
        let mut story = Story::small();
        let alice = story.join(V5, "alice");
        let mut packet = publish("t", b"x", Q0, 0);
        packet.properties.forward.response_topic = Some(bad);
        story.send(alice, &Packet::Publish(packet));
        story.hears(alice, &["disconnect 90", "closed"]);
        let mut connect = connect(V5, "bob");
        let mut last_words = will("t", b"x");
        last_words.forward.response_topic = Some(bad);
        connect.will = Some(last_words);
        let bob = story.connect(connect);
        story.hears(bob, &["connack 90", "closed"]);
    }
}

/// MQTT-3.3.2-15 to -20: what is passed on is unaltered and in order: live, retained, queued,
/// shared, sent again, whatever stands between it on the wire.
#[test]
fn c29_properties_are_passed_on_unaltered_mqtt_3_3_2_16_17_18() {
    on_each_size(|mut story| {
        let mut user = UserPropertiesBuf::new();
        for (key, value) in [("b", "1"), ("a", "2"), ("b", "1"), ("", "\u{feff}é")] {
            user.push(key, value).expect("short");
        }
        let forward = Forward {
            payload_is_utf8: Some(true),
            content_type: Some("text/plain"),
            response_topic: Some("answer/ é"),
            correlation_data: Some(b"\x00\xff\xed\xa0\x80"),
            user: user.as_borrowed(),
        };
        let live = story.join(V5, "live");
        let shared = story.join(V5, "shared");
        let away = story.enter(lasting(V5, "away"));
        let three = story.join(V311, "three");
        for (who, filter) in [
            (live, "t"),
            (shared, "$share/g/t"),
            (away, "t"),
            (three, "t"),
        ] {
            story.subscribe(who, filter, Q1);
        }
        story.hang_up(away);
        let bob = story.join(V5, "bob");
        let mut packet = publish("t", b"x", Q1, 1);
        packet.retain = true;
        packet.properties.forward = forward;
        packet.properties.topic_alias = Some(1);
        packet.properties.message_expiry = Some(100);
        story.send(bob, &Packet::Publish(packet));
        let back = story.connect(lasting(V5, "away"));
        let late = story.join(V5, "late");
        story.subscribe_with(late, "t", options(Q1), None);
        for who in [live, shared, back, late] {
            let received = story.received(who);
            let packet =
                received
                    .iter()
                    .map(sim::Received::packet)
                    .find_map(|packet| match packet {
                        Packet::Publish(publish) => Some(publish),
                        _ => None,
                    });
            assert_eq!(packet.expect("a message").properties.forward, forward);
        }
        story.hears(three, &["publish t x q1 #1"]);
        story.hang_up(back);
        let again = story.connect(lasting(V5, "away"));
        let received = story.received(again);
        let Packet::Publish(publish) = received[1].packet() else {
            panic!("{received:?}")
        };
        assert!(publish.dup);
        assert_eq!(publish.properties.forward, forward);
    });
}

/// MQTT-3.1.2-29: without Request Problem Information no reason string but on CONNACK,
/// DISCONNECT; PUBLISH keeps its User Properties.
#[test]
fn c30_no_problem_information_where_it_is_not_asked_for_mqtt_3_1_2_29() {
    for (asked, why) in [(None, " why"), (Some(true), " why"), (Some(false), "")] {
        let mut story = Story::with_rules();
        let mut connect = connect(V5, "alice");
        connect.properties.request_problem_information = asked;
        let alice = story.enter(connect);
        story.publish(alice, "secret/x", b"x", Q1, 1);
        story.publish(alice, "secret/x", b"x", Q2, 2);
        story.hears(
            alice,
            &[&format!("puback 1 87{why}"), &format!("pubrec 2 87{why}")],
        );
        story.subscribe_with(alice, "secret/x", options(Q0), None);
        story.unsubscribe(alice, "none");
        story.pubrel(alice, 9);
        let heard = story.heard(alice);
        assert!(asked != Some(false) || heard.iter().all(|text| !text.contains("why")));
        story.subscribe(alice, "t", Q0);
        let mut user = UserPropertiesBuf::new();
        user.push("k", "v").expect("short");
        let mut packet = publish("t", b"x", Q0, 0);
        packet.properties.forward.user = user.as_borrowed();
        story.send(alice, &Packet::Publish(packet));
        let received = story.received(alice);
        let Packet::Publish(publish) = received[0].packet() else {
            panic!("{received:?}")
        };
        assert_eq!(publish.properties.forward.user.len(), 1);
    }
}

/// MQTT-3.3.2-4: the indicator is passed on as it is; the payload is not looked at.
#[test]
fn c31_the_payload_format_is_passed_on_not_checked_mqtt_3_3_2_4() {
    for indicator in [None, Some(false), Some(true)] {
        let mut story = Story::small();
        let alice = story.join(V5, "alice");
        story.subscribe(alice, "#", Q0);
        let bob = story.join(V5, "bob");
        let mut packet = publish("t", b"\xff\xfe", Q1, 1);
        packet.properties.forward.payload_is_utf8 = indicator;
        story.send(bob, &Packet::Publish(packet));
        story.hears(bob, &["puback 1 00"]);
        let received = story.received(alice);
        let Packet::Publish(publish) = received[0].packet() else {
            panic!("{received:?}")
        };
        assert_eq!(publish.properties.forward.payload_is_utf8, indicator);
        assert_eq!(publish.payload, b"\xff\xfe");
    }
}

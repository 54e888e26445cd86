//! Retained messages and the options about them.

use codec::Packet;
use types::{RetainHandling, SubscriptionOptions};

use crate::story::*;

fn handling(retain_handling: RetainHandling) -> SubscriptionOptions {
    SubscriptionOptions {
        retain_handling,
        ..options(Q1)
    }
}

/// MQTT-3.3.1-12, -13 [MQTT-3.3.1-9]: live, the retain flag is kept only where asked for.
#[test]
fn c15_retain_as_published_mqtt_3_3_1_12_13() {
    on_each_size(|mut story| {
        let bob = story.join(V5, "bob");
        let keeps = story.join(V5, "keeps");
        let plain = story.join(V5, "plain");
        let three = story.join(V311, "three");
        let keep = SubscriptionOptions {
            retain_as_published: true,
            ..options(Q0)
        };
        story.subscribe_with(keeps, "t", keep, None);
        story.heard(keeps);
        story.subscribe(plain, "t", Q0);
        story.subscribe(three, "t", Q0);
        story.retain(bob, "t", b"1");
        story.publish(bob, "t", b"2", Q0, 0);
        story.hears(keeps, &["publish t 1 q0 retain", "publish t 2 q0"]);
        for who in [plain, three] {
            story.hears(who, &["publish t 1 q0", "publish t 2 q0"]);
        }
    });
}

/// §3.3.1.3 [MQTT-3.3.1-8]: at SUBSCRIBE the flag is always set, whatever Retain As Published.
#[test]
fn c15_at_subscribe_the_flag_is_always_set_3_1_1_mqtt_3_3_1_8() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(version, "bob");
        story.retain(bob, "t", b"1");
        let alice = story.join(version, "alice");
        story.subscribe_with(alice, "t", options(Q0), None);
        story.hears(alice, &["suback 1 [00]", "publish t 1 q0 retain"]);
    }
}

/// MQTT-3.3.1-9, -10, -11: at each SUBSCRIBE, at the first, never.
#[test]
fn c16_retain_handling_mqtt_3_3_1_9_10_11() {
    for (way, first, again) in [
        (RetainHandling::Send, 2, 2),
        (RetainHandling::SendIfNew, 2, 1),
        (RetainHandling::DoNotSend, 1, 1),
    ] {
        on_each_size(|mut story| {
            let bob = story.join(V5, "bob");
            story.retain(bob, "t", b"1");
            let alice = story.enter(lasting(V5, "alice"));
            for wanted in [first, again] {
                story.subscribe_with(alice, "t", handling(way), None);
                assert_eq!(story.heard(alice).len(), wanted, "{way:?}");
            }
            // A resumed session knows its subscriptions; the filter's text counts.
            story.hang_up(alice);
            let back = story.enter(lasting(V5, "alice"));
            story.subscribe_with(back, "t", handling(way), None);
            assert_eq!(story.heard(back).len(), again, "{way:?} resumed");
            story.subscribe_with(back, "+", handling(way), None);
            assert_eq!(story.heard(back).len(), first, "{way:?} other text");
            story.unsubscribe(back, "t");
            story.heard(back);
            story.subscribe_with(back, "t", handling(way), None);
            assert_eq!(story.heard(back).len(), first, "{way:?} new again");
        });
    }
}

/// §3.8.3.1: 3 is a protocol error.
#[test]
fn c16_retain_handling_3_is_a_protocol_error_mqtt_3_8_3_1() {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    story.send_bytes(alice, b"\x82\x07\x00\x01\x00\x00\x01t\x30");
    story.hears(alice, &["disconnect 82", "closed"]);
}

/// MQTT-3.8.4-3, -4 [MQTT-3.8.4-3]: subscribing again replaces, loses nothing, and brings the
/// retained messages again.
#[test]
fn c17_subscribing_again_replaces_and_loses_nothing_mqtt_3_8_4_3_4() {
    for version in VERSIONS {
        on_each_size(|mut story| {
            let bob = story.join(version, "bob");
            story.retain(bob, "t", b"kept");
            let alice = story.join(version, "alice");
            for qos in [Q2, Q0, Q1] {
                story.subscribe_with(alice, "t", options(qos), None);
                let granted = format!("suback 1 [0{}]", qos.bits());
                story.hears(alice, &[&granted, "publish t kept q0 retain"]);
            }
            story.publish(bob, "t", b"x", Q2, 1);
            story.hears(alice, &["publish t x q1 #1"]);
            // Together with a message, in one piece: it comes once.
            let mut all = subscribe_bytes(version, &[("t", options(Q2))]);
            all.extend(bytes(
                version,
                &[Packet::Publish(publish("t", b"y", Q0, 0))],
            ));
            story.send_bytes(alice, &all);
            let heard = story.heard(alice);
            let live: Vec<_> = heard
                .iter()
                .filter(|text| *text == "publish t y q0")
                .collect();
            assert_eq!(live.len(), 1, "{heard:?}");
        });
    }
}

/// MQTT-3.3.1-5, -6, -7, -8 [MQTT-3.3.1-5, -7, -10, -11, -12]: the newest stays, an empty one
/// removes and is no retained message itself, one without the flag changes nothing.
#[test]
fn c18_the_newest_stays_and_an_empty_one_removes_mqtt_3_3_1_5_6_7_8() {
    for version in VERSIONS {
        on_each_size(|mut story| {
            let bob = story.join(version, "bob");
            let alice = story.join(version, "alice");
            let look = |story: &mut Story, wanted: &[&str]| {
                story.subscribe_with(alice, "t", options(Q2), None);
                let heard = story.heard(alice);
                assert_eq!(heard[1..], *wanted);
                story.unsubscribe(alice, "t");
                story.heard(alice);
            };
            story.retain(bob, "t", b"1");
            story.retain(bob, "t", b"2");
            look(&mut story, &["publish t 2 q0 retain"]);
            story.publish(bob, "t", b"3", Q0, 0);
            story.publish(bob, "t", b"", Q0, 0);
            look(&mut story, &["publish t 2 q0 retain"]);
            let listener = story.join(version, "listener");
            story.subscribe(listener, "t", Q0);
            story.retain(bob, "t", b"");
            story.hears(listener, &["publish t  q0"]);
            look(&mut story, &[]);
        });
    }
}

/// MQTT-3.3.1-5, §3.3.1.3: kept at its QoS without any subscriber, after its publisher is gone.
#[test]
fn c18_kept_without_subscribers_and_at_its_qos_mqtt_3_3_1_5() {
    for version in [V311, V5] {
        for (qos, wanted) in [
            (Q0, "publish t x q0 retain"),
            (Q1, "publish t x q1 #1 retain"),
            (Q2, "publish t x q2 #1 retain"),
        ] {
            on_each_size(|mut story| {
                let bob = story.join(version, "bob");
                let mut packet = publish("t", b"x", qos, u16::from(qos.bits()));
                packet.retain = true;
                story.send(bob, &Packet::Publish(packet));
                story.hang_up(bob);
                let alice = story.join(version, "alice");
                story.subscribe_with(alice, "#", options(Q2), None);
                story.hears(alice, &["suback 1 [02]", wanted]);
            });
        }
    }
}

/// §3.3.1.3: more than one session can be served what many topics hold, each topic once.
#[test]
fn c18_many_retained_messages_come_once_each_mqtt_3_3_1_9() {
    on_each_size(|mut story| {
        let bob = story.join(V5, "bob");
        for number in 0..700 {
            let mut packet = publish("", b"x", Q1, 1);
            let topic = format!("t/{number}");
            packet.topic = &topic;
            packet.retain = true;
            story.send(bob, &Packet::Publish(packet));
        }
        let mut slow = lasting(V5, "alice");
        slow.properties.receive_maximum = Some(3);
        let alice = story.enter(slow);
        story.subscribe_with(alice, "t/+", options(Q1), None);
        let mut seen = Vec::new();
        loop {
            let heard = story.heard(alice);
            let messages: Vec<&String> =
                heard.iter().filter(|h| h.starts_with("publish")).collect();
            if messages.is_empty() {
                break;
            }
            assert!(messages.len() <= 3);
            for text in messages {
                seen.push(text.split(' ').nth(1).expect("a topic").to_owned());
                let id = text
                    .split('#')
                    .nth(1)
                    .and_then(|rest| rest.split(' ').next());
                let id = id.and_then(|id| id.parse().ok()).expect("an id");
                story.puback(alice, id, types::ReasonCode::Success);
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 700);
    });
}

/// MQTT-3.3.1-9: a queue that is smaller than what is retained loses none of it.
#[test]
fn c18_a_small_queue_loses_no_retained_message_mqtt_3_3_1_9() {
    let mut story = Story::with_limits(|limits| limits.queued_messages = 10);
    let bob = story.join(V5, "bob");
    for number in 0..200 {
        let topic = format!("t/{number}");
        let mut packet = publish(&topic, b"x", Q1, 1);
        packet.retain = true;
        story.send(bob, &Packet::Publish(packet));
    }
    let mut slow = lasting(V5, "alice");
    slow.properties.receive_maximum = Some(1);
    let alice = story.enter(slow);
    story.subscribe_with(alice, "t/+", options(Q1), None);
    story.heard(alice);
    for id in 1..200 {
        story.puback(alice, id, types::ReasonCode::Success);
        assert_eq!(story.heard(alice).len(), 1, "{id}");
    }
    assert_eq!(story.dropped(broker::DropReason::QueueFull), 0);
}

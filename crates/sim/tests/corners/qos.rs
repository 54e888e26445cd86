//! The three promises, identifiers, order.

use codec::{Ack, Packet};
use types::{QoS, ReasonCode};

use crate::story::*;

fn publish_dup(story: &mut Story, who: Who, payload: &[u8], qos: QoS, id: u16) {
    let mut packet = publish("t", payload, qos, id);
    packet.dup = true;
    story.send(who, &Packet::Publish(packet));
}

/// MQTT-3.3.1-3, MQTT-4.3.2-4, -5 [MQTT-3.3.1-3, MQTT-4.3.2-2]: DUP is not passed on; behind the
/// acknowledgement the identifier is a new message, DUP or not.
#[test]
fn c21_dup_is_not_passed_on_and_an_id_is_new_behind_puback_mqtt_3_3_1_3_4_3_2_5() {
    for version in VERSIONS {
        let mut story = Story::small();
        let alice = story.join(version, "alice");
        story.subscribe(alice, "t", Q1);
        let bob = story.join(version, "bob");
        for number in 1..=3 {
            publish_dup(&mut story, bob, b"x", Q1, 5);
            story.hears(alice, &[&format!("publish t x q1 #{number}")]);
            story.hears(bob, &["puback 5 00"]);
        }
    }
}

/// MQTT-4.3.3-8, -10, -11, -12 [MQTT-4.3.3-2]: the same identifier is the same message until
/// PUBREL, on the next connection too; behind PUBCOMP it is a new one.
#[test]
fn c22_qos_2_comes_once_until_it_is_released_mqtt_4_3_3_10_12() {
    for version in VERSIONS {
        on_each_size(|mut story| {
            let alice = story.join(version, "alice");
            story.subscribe(alice, "t", Q0);
            let bob = story.enter(lasting(version, "bob"));
            story.publish(bob, "t", b"1", Q2, 7);
            publish_dup(&mut story, bob, b"1", Q2, 7);
            story.publish(bob, "t", b"1", Q2, 7);
            story.hears(bob, &["pubrec 7 00", "pubrec 7 00", "pubrec 7 00"]);
            story.hang_up(bob);
            let back = story.enter(lasting(version, "bob"));
            publish_dup(&mut story, back, b"1", Q2, 7);
            story.hears_payloads(alice, &["1"]);
            story.pubrel(back, 7);
            story.hears(back, &["pubrec 7 00", "pubcomp 7 00"]);
            story.publish(back, "t", b"2", Q2, 7);
            story.hears_payloads(alice, &["2"]);
        });
    }
}

/// MQTT-3.1.2-4: a clean start forgets what was not released.
#[test]
fn c22_a_clean_start_forgets_what_was_not_released_mqtt_3_1_2_4() {
    for version in VERSIONS {
        let mut story = Story::small();
        let alice = story.join(V5, "alice");
        story.subscribe(alice, "t", Q0);
        let bob = story.enter(lasting(version, "bob"));
        story.publish(bob, "t", b"1", Q2, 7);
        let again = story.join(version, "bob");
        story.publish(again, "t", b"2", Q2, 7);
        story.hears_payloads(alice, &["1", "2"]);
    }
}

/// §3.6.2.1, §3.7.2.1 [§3.6.4]: PUBREL for an unknown identifier is answered, with 0x92 in 5.0.
#[test]
fn c22_pubrel_for_an_unknown_id_is_0x92_mqtt_3_7_2_1() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(version, "bob");
        story.pubrel(bob, 9);
        let wanted = if version == V5 {
            "pubcomp 9 92"
        } else {
            "pubcomp 9 00"
        };
        story.hears(bob, &[wanted]);
    }
}

/// MQTT-4.3.3-4, §3.5.2.1: PUBREC for an unknown identifier is answered with 0x92, unless it is
/// an error itself; one with an error ends the flow and frees the identifier.
#[test]
fn c22_pubrec_with_an_error_ends_the_flow_mqtt_4_3_3_4() {
    let mut story = Story::small();
    let alice = story.enter(lasting(V5, "alice"));
    story.pubrec(alice, 9, ReasonCode::Success);
    story.hears(alice, &["pubrel 9 92"]);
    story.pubrec(alice, 9, ReasonCode::UnspecifiedError);
    story.hears(alice, &[]);
    story.subscribe(alice, "t", Q2);
    let bob = story.join(V5, "bob");
    story.publish(bob, "t", b"1", Q2, 1);
    story.hears(alice, &["publish t 1 q2 #1"]);
    story.pubrec(alice, 1, ReasonCode::UnspecifiedError);
    story.hears(alice, &[]);
    story.hang_up(alice);
    let back = story.connect(lasting(V5, "alice"));
    story.hears(back, &["connack 00 present"]);
    let three = story.join(V311, "three");
    story.pubrec(three, 9, ReasonCode::Success);
    story.hears(three, &["pubrel 9 00"]);
}

/// MQTT-4.3.3-5, -6 [MQTT-4.3.3-1]: from PUBREC on PUBREL is sent, never PUBLISH, until PUBCOMP;
/// all in the order of the first sending.
#[test]
fn c22_a_resumed_session_goes_on_where_it_stood_mqtt_4_3_3_6_4_6_0_4() {
    for version in [V311, V5] {
        on_each_size(|mut story| {
            let alice = story.enter(lasting(version, "alice"));
            story.subscribe(alice, "t", Q2);
            let bob = story.join(version, "bob");
            for id in 1..=4 {
                story.publish(bob, "t", id.to_string().as_bytes(), Q2, id);
            }
            story.pubrec(alice, 3, ReasonCode::Success);
            story.pubrec(alice, 1, ReasonCode::Success);
            story.pubrec(alice, 2, ReasonCode::Success);
            story.pubcomp(alice, 2);
            for _ in 0..2 {
                story.hang_up(alice);
                let back = story.connect(lasting(version, "alice"));
                story.hears(
                    back,
                    &[
                        "connack 00 present",
                        "pubrel 1 00",
                        "pubrel 3 00",
                        "publish t 4 q2 #4 dup",
                    ],
                );
            }
        });
    }
}

/// MQTT-4.4.0-1, -2 [MQTT-4.4.0-1]: sent again only on a new connection, with DUP and the old
/// identifier; an acknowledgement with an error is one.
#[test]
fn c23_sent_again_only_when_the_client_comes_back_mqtt_4_4_0_1_2() {
    for version in [V311, V5] {
        on_each_size(|mut story| {
            let alice = story.enter(lasting(version, "alice"));
            story.subscribe(alice, "t", Q2);
            let bob = story.join(version, "bob");
            for id in 1..=3 {
                story.publish(bob, "t", id.to_string().as_bytes(), Q1, id);
            }
            assert_eq!(story.heard(alice).len(), 3);
            story.pass(seconds(3_600));
            story.hears(alice, &[]);
            story.puback(alice, 2, ReasonCode::UnspecifiedError);
            story.hang_up(alice);
            let back = story.connect(lasting(version, "alice"));
            story.hears(
                back,
                &[
                    "connack 00 present",
                    "publish t 1 q1 #1 dup",
                    "publish t 3 q1 #3 dup",
                ],
            );
        });
    }
}

/// MQTT-2.2.1-2, -3, -4 [MQTT-2.3.1-1 to -4]: none at QoS 0, never zero, never one in use, 65,535
/// followed by 1; each direction counts for itself.
#[test]
fn c24_identifiers_are_unused_and_never_zero_mqtt_2_2_1_2_3_4() {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    story.subscribe(alice, "t", Q1);
    story.publish(alice, "t", b"slow", Q1, 1);
    let heard = story.heard(alice);
    assert!(
        heard.contains(&"publish t slow q1 #1".to_owned()),
        "{heard:?}"
    );
    assert!(heard.contains(&"puback 1 00".to_owned()), "{heard:?}");
    let mut wanted = 2_u16;
    for _ in 0..70_000 {
        story.publish(alice, "t", b"x", Q1, 1);
        let heard = story.heard(alice);
        assert!(
            heard.contains(&format!("publish t x q1 #{wanted}")),
            "{heard:?} {wanted}"
        );
        story.puback(alice, wanted, ReasonCode::Success);
        wanted = if wanted == u16::MAX { 2 } else { wanted + 1 };
    }
}

/// MQTT-2.2.1-3 [MQTT-2.3.1-1]: zero is malformed wherever an identifier stands.
#[test]
fn c24_identifier_zero_is_refused_mqtt_2_2_1_3() {
    for packet in [
        &b"\x32\x06\x00\x01t\x00\x00\x00"[..],
        b"\x40\x02\x00\x00",
        b"\x50\x02\x00\x00",
        b"\x62\x02\x00\x00",
        b"\x70\x02\x00\x00",
    ] {
        let mut story = Story::small();
        let alice = story.join(V5, "alice");
        story.send_bytes(alice, packet);
        let heard = story.heard(alice);
        assert!(
            heard[0].starts_with("disconnect 8") && heard[1] == "closed",
            "{heard:?}"
        );
    }
}

/// §4.3.2: acknowledgements that nobody waits for change nothing.
#[test]
fn c24_an_acknowledgement_of_nothing_changes_nothing_mqtt_4_3_2() {
    for version in VERSIONS {
        let mut story = Story::small();
        let alice = story.join(version, "alice");
        story.subscribe(alice, "t", Q2);
        let bob = story.join(version, "bob");
        story.publish(bob, "t", b"1", Q2, 1);
        story.heard(alice);
        for id in [1, 2, 65_535] {
            story.puback(alice, id, ReasonCode::Success);
            story.send(
                alice,
                &Packet::PubComp(Ack::new(packet_id(id), ReasonCode::Success)),
            );
        }
        story.hears(alice, &[]);
        story.pubrec(alice, 1, ReasonCode::Success);
        story.hears(alice, &["pubrel 1 00"]);
    }
}

/// MQTT-4.6.0-5, -6 [MQTT-4.6.0-5, -6]: in order for each topic, QoS and publisher, through full
/// windows, absence and coming back; repeated at most, never out of order.
#[test]
fn c25_order_is_kept_through_windows_and_absence_mqtt_4_6_0_5_6() {
    for qos in [Q1, Q2] {
        for version in [V311, V5] {
            on_each_size(|mut story| {
                let mut connect = lasting(version, "alice");
                connect.properties.receive_maximum = (version == V5).then_some(3);
                let alice = story.enter(connect.clone());
                story.subscribe(alice, "t", qos);
                let bob = story.join(version, "bob");
                let mut seen: Vec<u32> = Vec::new();
                let mut who = alice;
                for round in 0..40_u16 {
                    let id = round + 1;
                    story.publish(bob, "t", round.to_string().as_bytes(), qos, id);
                    story.pubrel(bob, id);
                    if round % 7 == 3 {
                        story.hang_up(who);
                    } else if round % 7 == 5 {
                        who = story.connect(connect.clone());
                    }
                    take(&mut story, who, qos, &mut seen, round % 2 == 0);
                }
                who = story.connect(connect.clone());
                while take(&mut story, who, qos, &mut seen, true) {}
                let mut fresh = Vec::new();
                for number in &seen {
                    if fresh.last().is_none_or(|last| number > last) {
                        fresh.push(*number);
                    }
                }
                assert_eq!(fresh, (0..40).collect::<Vec<u32>>(), "{seen:?}");
            });
        }
    }
}

/// Takes note of what came, and answers it if told so. Whether anything came.
fn take(story: &mut Story, who: Who, qos: QoS, seen: &mut Vec<u32>, answer: bool) -> bool {
    let heard = story.heard(who);
    let mut came = false;
    for text in &heard {
        let words: Vec<&str> = text.split(' ').collect();
        let id = |word: &str| word.trim_start_matches('#').parse().expect("an id");
        match words[0] {
            "publish" => {
                came = true;
                seen.push(words[2].parse().expect("a number"));
                match (answer, qos) {
                    (false, _) => {}
                    (true, QoS::ExactlyOnce) => {
                        story.pubrec(who, id(words[4]), ReasonCode::Success)
                    }
                    (true, _) => story.puback(who, id(words[4]), ReasonCode::Success),
                }
            }
            "pubrel" => {
                came = true;
                story.pubcomp(who, id(words[1]));
            }
            _ => {}
        }
    }
    came
}

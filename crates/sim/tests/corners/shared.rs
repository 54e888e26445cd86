//! Shared subscriptions.

use types::ReasonCode;

use crate::story::*;

/// §3.8.4: no retained messages at SUBSCRIBE.
#[test]
fn c19_no_retained_messages_for_a_share_mqtt_3_8_4() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(version, "bob");
        story.retain(bob, "t", b"kept");
        let alice = story.join(version, "alice");
        story.subscribe_with(alice, "$share/g/t", options(Q1), None);
        story.hears(alice, &["suback 1 [01]"]);
    }
}

/// MQTT-4.8.2-1, -2: the name has a character, none of `/`, `+`, `#`, and a filter follows.
#[test]
fn c19_the_share_name_is_checked_mqtt_4_8_2_1_2() {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    for bad in [
        "$share",
        "$share/",
        "$share/g",
        "$share//t",
        "$share/+/t",
        "$share/a#/t",
        "$share/g/",
    ] {
        story.subscribe_with(alice, bad, options(Q0), None);
        story.hears(alice, &["suback 1 [8f]"]);
    }
    for good in [
        "$share/g//",
        "$share/g/#",
        "$shared",
        "$share/$g/t",
        "$share/g/$SYS/#",
    ] {
        story.subscribe_with(alice, good, options(Q0), None);
        story.hears(alice, &["suback 1 [00]"]);
    }
}

/// §4.8.2: one member gets each message; an own subscription gets its copy beside; another group
/// has another copy; 3.1.1 takes part.
#[test]
fn c19_one_member_gets_each_message_mqtt_4_8_2() {
    on_each_size(|mut story| {
        let members: Vec<Who> = [("a", V5), ("b", V311), ("c", V31)]
            .iter()
            .map(|(name, version)| story.join(*version, name))
            .collect();
        for who in &members {
            story.subscribe(*who, "$share/g/t/+", Q1);
        }
        let both = story.join(V5, "both");
        story.subscribe(both, "$share/other/t/#", Q0);
        story.subscribe(both, "t/1", Q0);
        let bob = story.join(V5, "bob");
        for id in 1..=30 {
            story.publish(bob, "t/1", id.to_string().as_bytes(), Q1, id);
        }
        let counts: Vec<usize> = members.iter().map(|who| story.heard(*who).len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 30, "{counts:?}");
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        assert_eq!(story.heard(both).len(), 60);
    });
}

/// MQTT-4.8.2-3: each member's granted QoS holds for it.
#[test]
fn c19_the_members_qos_holds_mqtt_4_8_2_3() {
    on_each_size(|mut story| {
        let bob = story.join(V5, "bob");
        for (name, qos) in [("a", Q0), ("b", Q1), ("c", Q2)] {
            let who = story.join(V5, name);
            story.subscribe(who, "$share/g/t", qos);
            for published in [Q0, Q1, Q2] {
                story.publish(bob, "t", b"x", published, u16::from(published.bits()));
                story.pubrel(bob, 2);
                let heard = story.heard(who);
                let wanted = format!("publish t x q{}", published.min(qos).bits());
                assert!(
                    heard.len() == 1 && heard[0].starts_with(&wanted),
                    "{heard:?}"
                );
            }
            story.disconnect(who, ReasonCode::Success);
        }
    });
}

/// MQTT-4.8.2-4, -5: QoS 2 that was sent is finished with the same client, or with nobody.
#[test]
fn c19_qos_2_stays_with_its_member_mqtt_4_8_2_4_5() {
    for comes_back in [true, false] {
        on_each_size(|mut story| {
            let first = story.enter(lasting(V5, "first"));
            story.subscribe(first, "$share/g/t", Q2);
            let bob = story.join(V5, "bob");
            story.publish(bob, "t", b"x", Q2, 1);
            story.hears(first, &["publish t x q2 #1"]);
            let second = story.join(V5, "second");
            story.subscribe(second, "$share/g/t", Q2);
            story.hang_up(first);
            story.hears(second, &[]);
            if comes_back {
                let back = story.connect(lasting(V5, "first"));
                story.hears(back, &["connack 00 present", "publish t x q2 #1 dup"]);
            } else {
                story.pass(seconds(2_000));
            }
            story.hears(second, &[]);
        });
    }
}

/// §4.8.2: QoS 1 that is not acknowledged, and all that waits, goes to another member when its
/// own is gone; it is not lost and not delivered by both queues.
#[test]
fn c19_what_a_member_leaves_goes_to_another_mqtt_4_8_2() {
    for lasts in [true, false] {
        on_each_size(|mut story| {
            let mut connect = lasting(V5, "first");
            connect.properties.receive_maximum = Some(2);
            connect.properties.session_expiry = Some(if lasts { 1_000 } else { 0 });
            let first = story.enter(connect.clone());
            story.subscribe(first, "$share/g/t", Q1);
            let bob = story.join(V5, "bob");
            for id in 1..=5 {
                story.publish(bob, "t", id.to_string().as_bytes(), Q1, id);
            }
            story.hears_payloads(first, &["1", "2"]);
            story.puback(first, 1, ReasonCode::Success);
            story.hears_payloads(first, &["3"]);
            let second = story.join(V5, "second");
            story.subscribe(second, "$share/g/t", Q1);
            story.hang_up(first);
            story.hears_payloads(second, &["2", "3", "4", "5"]);
            let back = story.enter(connect);
            story.hears(back, &[]);
        });
    }
}

/// MQTT-4.8.2-6: an error in PUBACK or PUBREC discards the message for the whole group.
#[test]
fn c19_a_negative_answer_discards_mqtt_4_8_2_6() {
    on_each_size(|mut story| {
        let first = story.join(V5, "first");
        story.subscribe(first, "$share/g/t", Q2);
        let bob = story.join(V5, "bob");
        story.publish(bob, "t", b"1", Q1, 1);
        story.publish(bob, "t", b"2", Q2, 2);
        let second = story.join(V5, "second");
        story.subscribe(second, "$share/g/t", Q2);
        story.puback(first, 1, ReasonCode::UnspecifiedError);
        story.pubrec(first, 2, ReasonCode::QuotaExceeded);
        assert_eq!(story.heard(first).len(), 2);
        story.hang_up(first);
        story.hears(second, &[]);
    });
}

/// §4.8.2, MQTT-3.10.4-1: one leaves a group by its whole text only.
#[test]
fn c19_leaving_takes_the_whole_text_mqtt_3_10_4_1() {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    story.subscribe(alice, "$share/g/t", Q0);
    for (text, code) in [("t", "11"), ("$share/h/t", "11"), ("$share/g/t", "00")] {
        story.unsubscribe(alice, text);
        story.hears(alice, &[&format!("unsuback 1 [{code}]")]);
    }
    let bob = story.join(V5, "bob");
    story.publish(bob, "t", b"x", Q1, 1);
    story.hears(alice, &[]);
    story.hears(bob, &["puback 1 10"]);
}

/// §4.8.2: a member that is away gets nothing while another is there, and is served while nobody
/// is.
#[test]
fn c19_who_is_there_comes_before_who_is_away_mqtt_4_8_2() {
    on_each_size(|mut story| {
        let away = story.enter(lasting(V5, "away"));
        story.subscribe(away, "$share/g/t", Q1);
        let there = story.join(V5, "there");
        story.subscribe(there, "$share/g/t", Q1);
        story.hang_up(away);
        let bob = story.join(V5, "bob");
        for id in 1..=6 {
            story.publish(bob, "t", b"x", Q1, id);
        }
        assert_eq!(story.heard(there).len(), 6);
        for id in 1..=6 {
            story.puback(there, id, ReasonCode::Success);
        }
        story.disconnect(there, ReasonCode::Success);
        story.publish(bob, "t", b"late", Q1, 7);
        let back = story.connect(lasting(V5, "away"));
        story.hears(back, &["connack 00 present", "publish t late q1 #1"]);
    });
}

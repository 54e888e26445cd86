//! Message Expiry Interval.

use broker::DropReason;
use codec::Packet;
use types::{QoS, ReasonCode};

use crate::story::*;

fn expiring(story: &mut Story, who: Who, qos: QoS, retain: bool, expiry: u32) {
    let mut packet = publish("t", b"x", qos, u16::from(qos.bits()));
    packet.retain = retain;
    packet.properties.message_expiry = Some(expiry);
    story.send(who, &Packet::Publish(packet));
}

/// MQTT-3.3.2-5, -6: in a queue it counts down, and what is over is dropped and counted.
#[test]
fn c20_a_waiting_message_expires_mqtt_3_3_2_5_6() {
    for (qos, away, wanted) in [
        (Q1, 0, Some("publish t x q1 #1 expiry=10")),
        (Q1, 4_000, Some("publish t x q1 #1 expiry=6")),
        (Q2, 9_999, Some("publish t x q2 #1 expiry=1")),
        (Q1, 10_000, None),
        (Q2, 60_000, None),
    ] {
        on_each_size(|mut story| {
            let alice = story.enter(lasting(V5, "alice"));
            story.subscribe(alice, "t", Q2);
            story.hang_up(alice);
            let bob = story.join(V5, "bob");
            expiring(&mut story, bob, qos, false, 10);
            story.pass(millis(away));
            let back = story.connect(lasting(V5, "alice"));
            let heard = story.heard(back);
            assert_eq!(
                heard[1..],
                wanted.map_or(vec![], |text| vec![text.to_owned()])
            );
            assert_eq!(
                story.dropped(DropReason::Expired),
                u64::from(wanted.is_none())
            );
        });
    }
}

/// MQTT-3.3.2-6: live it comes with what it had.
#[test]
fn c20_a_live_message_keeps_its_interval_mqtt_3_3_2_6() {
    on_each_size(|mut story| {
        let alice = story.join(V5, "alice");
        let three = story.join(V311, "three");
        story.subscribe(alice, "t", Q0);
        story.subscribe(three, "t", Q0);
        let bob = story.join(V5, "bob");
        for (expiry, wanted) in [(1, "expiry=1"), (u32::MAX, "expiry=4294967295")] {
            expiring(&mut story, bob, Q0, false, expiry);
            story.hears(alice, &[&format!("publish t x q0 {wanted}")]);
            story.hears(three, &["publish t x q0"]);
        }
    });
}

/// MQTT-3.3.2-5: behind a full window, too.
#[test]
fn c20_it_expires_behind_a_full_window_mqtt_3_3_2_5() {
    let mut story = Story::small();
    let mut connect = lasting(V5, "alice");
    connect.properties.receive_maximum = Some(1);
    let alice = story.enter(connect);
    story.subscribe(alice, "t", Q1);
    let bob = story.join(V5, "bob");
    story.publish(bob, "t", b"first", Q1, 1);
    expiring(&mut story, bob, Q1, false, 10);
    story.publish(bob, "t", b"last", Q1, 2);
    story.hears(alice, &["publish t first q1 #1"]);
    story.pass(seconds(11));
    story.puback(alice, 1, ReasonCode::Success);
    story.hears(alice, &["publish t last q1 #2"]);
}

/// MQTT-3.3.2-5, §3.3.1.3: a retained message is gone when its time is up, for MQTT 3 as well.
#[test]
fn c20_a_retained_message_expires_mqtt_3_3_2_5() {
    for (away, there) in [(9_900, true), (10_000, false), (30_000, false)] {
        for version in [V311, V5] {
            let mut story = Story::small();
            let bob = story.join(V5, "bob");
            expiring(&mut story, bob, Q0, true, 10);
            story.pass(millis(away));
            let alice = story.join(version, "alice");
            story.subscribe_with(alice, "#", options(Q0), None);
            let wanted = match (there, version) {
                (false, _) => vec!["suback 1 [00]"],
                (true, V5) => vec!["suback 1 [00]", "publish t x q0 retain expiry=1"],
                (true, _) => vec!["suback 1 [00]", "publish t x q0 retain"],
            };
            story.hears(alice, &wanted);
        }
    }
}

/// MQTT-4.3.3-7, -13, MQTT-4.3.2-3: what was sent does not expire: it is sent again, and its
/// handshake goes to its end.
#[test]
fn c20_what_was_sent_does_not_expire_mqtt_4_3_3_7_13() {
    let mut story = Story::small();
    let alice = story.enter(lasting(V5, "alice"));
    story.subscribe(alice, "t", Q2);
    let bob = story.join(V5, "bob");
    expiring(&mut story, bob, Q1, false, 5);
    expiring(&mut story, bob, Q2, false, 5);
    story.pubrel(bob, 2);
    expiring(&mut story, bob, Q2, false, 5);
    assert_eq!(story.heard(alice).len(), 3);
    story.pubrec(alice, 2, ReasonCode::Success);
    story.hears(alice, &["pubrel 2 00"]);
    story.hang_up(alice);
    story.pass(seconds(100));
    let back = story.connect(lasting(V5, "alice"));
    let heard = story.heard(back);
    assert!(heard[1].starts_with("publish t x q1 #1 dup"), "{heard:?}");
    assert_eq!(heard[2], "pubrel 2 00");
    assert!(heard[3].starts_with("publish t x q2 #3 dup"), "{heard:?}");
    story.pubcomp(back, 2);
    story.pubrec(back, 3, ReasonCode::Success);
    story.hears(back, &["pubrel 3 00"]);
}

/// §3.1.3.2.4: a will's time begins when it is published.
#[test]
fn c20_a_wills_time_begins_when_it_is_published_mqtt_3_1_3_2_4() {
    let mut story = Story::small();
    let bob = story.join(V5, "bob");
    story.subscribe(bob, "will", Q0);
    let mut connect = connect(V5, "alice");
    let mut last_words = will("will", b"gone");
    last_words.message_expiry = Some(10);
    connect.will = Some(last_words);
    let alice = story.enter(connect);
    story.pass(seconds(100));
    story.hang_up(alice);
    story.hears(bob, &["publish will gone q0 expiry=10"]);
}

//! Takeover, resuming, expiry.

use codec::Packet;
use types::ReasonCode;

use crate::story::*;

/// MQTT-3.1.4-3 [MQTT-3.1.4-2]: the old connection hears 0x8E in 5.0 and is closed in all.
#[test]
fn c02_takeover_tells_the_old_connection_mqtt_3_1_4_3() {
    for old in VERSIONS {
        for new in VERSIONS {
            for clean in [true, false] {
                on_each_size(|mut story| {
                    let first = story.enter(lasting(old, "alice"));
                    let mut again = lasting(new, "alice");
                    again.clean_start = clean;
                    let second = story.connect(again);
                    match old {
                        V5 => story.hears(first, &["disconnect 8e", "closed"]),
                        V31 | V311 => story.hears(first, &["closed"]),
                    }
                    // 3.1 has no way to say that a session is present.
                    match (clean, new) {
                        (true, _) | (_, V31) => story.hears(second, &["connack 00"]),
                        (false, _) => story.hears(second, &["connack 00 present"]),
                    }
                    story.send(second, &Packet::PingReq);
                    story.hears(second, &["pingresp"]);
                });
            }
        }
    }
}

/// §3.1.4 [§3.1.4]: the old connection's will speaks if it has no delay, or if the new one ends
/// the session; a delayed one of a session that goes on does not.
#[test]
fn c02_the_will_of_the_old_connection_mqtt_3_1_4_3_3_1_3_9() {
    for (delay, expiry, clean, speaks) in [
        (None, 1_000, false, true),
        (None, 1_000, true, true),
        (Some(5), 1_000, false, false),
        (Some(5), 1_000, true, true),
        // The session ends with the old connection.
        (Some(5), 0, false, true),
        (Some(5), 0, true, true),
    ] {
        on_each_size(|mut story| {
            let bob = story.join(V5, "bob");
            story.subscribe(bob, "will", Q0);
            let mut first = lasting(V5, "alice");
            first.properties.session_expiry = Some(expiry);
            let mut last_words = will("will", b"gone");
            last_words.delay = delay;
            first.will = Some(last_words);
            let first = story.enter(first);
            let mut second = lasting(V5, "alice");
            second.clean_start = clean;
            story.enter(second);
            let said = story.heard(bob);
            assert_eq!(
                said.len(),
                usize::from(speaks),
                "{delay:?} {expiry} {clean}"
            );
            assert!(story.is_closed(first));
            story.pass(seconds(100));
            story.hears(bob, &[]);
        });
    }
}

/// [MQTT-3.1.2-8, MQTT-3.1.4-2]: for MQTT 3 a takeover is no DISCONNECT: the will speaks.
#[test]
fn c02_the_will_of_a_mqtt_3_client_speaks_at_takeover_3_1_1_mqtt_3_1_2_8() {
    for version in [V31, V311] {
        let mut story = Story::small();
        let bob = story.join(version, "bob");
        story.subscribe(bob, "will", Q0);
        let mut first = connect(version, "alice");
        first.will = Some(will("will", b"gone"));
        story.enter(first);
        story.join(version, "alice");
        story.hears(bob, &["publish will gone q0"]);
    }
}

/// MQTT-3.1.4-3: ten connections in one turn leave one, the last.
#[test]
fn c02_the_last_of_many_takeovers_stays_mqtt_3_1_4_3() {
    on_each_size(|mut story| {
        let all: Vec<Who> = (0..10)
            .map(|_| story.connect(lasting(V5, "alice")))
            .collect();
        let (last, others) = all.split_last().expect("ten");
        assert!(others.iter().all(|who| story.is_closed(*who)));
        assert!(!story.is_closed(*last));
    });
}

/// MQTT-3.1.2-4, -5, -6, MQTT-3.2.2-2, -3 [MQTT-3.1.2-4 to -6, MQTT-3.2.2-1 to -3]: what Clean
/// Start discards, what stays, and what Session Present says.
#[test]
fn c03_clean_start_discards_and_its_absence_resumes_mqtt_3_1_2_4_5_6() {
    for version in [V311, V5] {
        on_each_size(|mut story| {
            let bob = story.join(version, "bob");
            let new = story.connect(lasting(version, "alice"));
            story.hears(new, &["connack 00"]);
            story.subscribe(new, "t", Q1);
            story.hang_up(new);
            story.publish(bob, "t", b"1", Q1, 1);
            let back = story.connect(lasting(version, "alice"));
            story.hears(back, &["connack 00 present", "publish t 1 q1 #1"]);
            story.hang_up(back);
            let mut clean = lasting(version, "alice");
            clean.clean_start = true;
            let fresh = story.connect(clean);
            story.hears(fresh, &["connack 00"]);
            story.publish(bob, "t", b"2", Q1, 1);
            story.hears(fresh, &[]);
        });
    }
}

/// MQTT-3.1.2-6 [MQTT-3.1.2-6]: a clean session of MQTT 3 is never resumed.
#[test]
fn c03_a_clean_session_of_mqtt_3_ends_with_its_connection_3_1_1_mqtt_3_1_2_6() {
    for version in [V31, V311] {
        let mut story = Story::small();
        let alice = story.join(version, "alice");
        story.subscribe(alice, "t", Q1);
        story.hang_up(alice);
        assert_eq!(story.universe.worker(0).sessions(), 0);
        let bob = story.join(version, "bob");
        story.publish(bob, "t", b"x", Q1, 1);
        let back = story.connect(lasting(V311, "alice"));
        story.hears(back, &["connack 00"]);
    }
}

/// MQTT-3.2.2-6 [MQTT-3.2.2-4]: an error never says Session Present, though there is one; and
/// it leaves the session as it was.
#[test]
fn c03_session_present_is_0_with_any_error_mqtt_3_2_2_6() {
    for version in [V311, V5] {
        let mut story = Story::with_rules();
        let alice = story.enter(lasting(version, "alice"));
        let mut refused = lasting(version, "alice");
        refused.username = Some("refuse-88");
        let other = story.connect(refused);
        let code = if version == V5 {
            "connack 88"
        } else {
            "connack 03"
        };
        story.hears(other, &[code, "closed"]);
        story.hears(alice, &[]);
        story.hang_up(alice);
        let back = story.connect(lasting(version, "alice"));
        story.hears(back, &["connack 00 present"]);
    }
}

/// MQTT-3.1.2-23, MQTT-4.1.0-1, -2: a session lasts as long as it asked, no longer, and never
/// ends while connected.
#[test]
fn c04_a_session_lasts_as_long_as_it_asked_mqtt_3_1_2_23_4_1_0_1() {
    for (away, present) in [(9_900, true), (10_100, false)] {
        on_each_size(|mut story| {
            let mut connect = lasting(V5, "alice");
            connect.properties.session_expiry = Some(10);
            let alice = story.enter(connect.clone());
            story.pass(seconds(1_000));
            story.send(alice, &Packet::PingReq);
            story.hears(alice, &["pingresp"]);
            story.hang_up(alice);
            story.pass(millis(away));
            let back = story.connect(connect);
            let wanted = if present {
                "connack 00 present"
            } else {
                "connack 00"
            };
            story.hears(back, &[wanted]);
        });
    }
}

/// MQTT-4.1.0-2: a session that is over is not resumed, though its timer is yet to come up.
#[test]
fn c04_a_session_is_over_to_the_millisecond_mqtt_4_1_0_2() {
    let mut story = Story::small();
    story.pass(millis(1_037));
    let bob = story.join(V5, "bob");
    story.subscribe(bob, "will", Q0);
    let mut connect = lasting(V5, "alice");
    connect.properties.session_expiry = Some(10);
    let mut last_words = will("will", b"gone");
    last_words.delay = Some(20);
    connect.will = Some(last_words);
    let alice = story.enter(connect.clone());
    story.hang_up(alice);
    story.universe.pass(seconds(10));
    let back = story.connect(connect);
    story.hears(back, &["connack 00"]);
    story.hears(bob, &["publish will gone q0"]);
}

/// §3.1.2.11.2: no Session Expiry Interval is zero.
#[test]
fn c04_no_expiry_is_zero_mqtt_3_1_2_11_2() {
    let mut story = Story::small();
    let mut connect = lasting(V5, "alice");
    connect.properties.session_expiry = None;
    let alice = story.enter(connect.clone());
    story.hang_up(alice);
    assert_eq!(story.universe.worker(0).sessions(), 0);
    let back = story.connect(connect);
    story.hears(back, &["connack 00"]);
}

/// §3.1.2.11.2, §3.2.2.3.2: 0xFFFFFFFF never ends where the server has no limit; a limit is told
/// in CONNACK and holds.
#[test]
fn c04_forever_is_granted_or_capped_and_told_mqtt_3_2_2_3_2() {
    let mut story = Story::with_limits(|limits| limits.session_expiry = std::time::Duration::MAX);
    let mut connect = lasting(V5, "alice");
    connect.properties.session_expiry = Some(u32::MAX);
    let alice = story.connect(connect.clone());
    story.hears(alice, &["connack 00"]);
    story.hang_up(alice);
    story.leap(seconds(u64::from(u32::MAX) + 10));
    let back = story.connect(connect.clone());
    story.hears(back, &["connack 00 present"]);

    let mut story = Story::with_limits(|limits| limits.session_expiry = seconds(60));
    let alice = story.connect(connect.clone());
    story.hears(alice, &["connack 00 expiry=60"]);
    story.hang_up(alice);
    story.pass(seconds(61));
    let back = story.connect(connect);
    story.hears(back, &["connack 00 expiry=60"]);
}

/// §3.14.2.2.2: DISCONNECT may make the session longer, shorter, or end it at once; the limit
/// holds there too.
#[test]
fn c04_disconnect_may_change_the_expiry_mqtt_3_14_2_2_2() {
    for (changed, away, present) in [
        (0, 0, false),
        (5, 4, true),
        (5, 6, false),
        (90, 80, true),
        (10_000, 99, true),
        (10_000, 101, false),
    ] {
        let mut story = Story::with_limits(|limits| limits.session_expiry = seconds(100));
        let mut connect = lasting(V5, "alice");
        connect.properties.session_expiry = Some(50);
        let alice = story.enter(connect.clone());
        story.disconnect_with_expiry(alice, changed);
        story.hears(alice, &["closed"]);
        story.pass(seconds(away));
        let back = story.connect(connect);
        let wanted = if present {
            "connack 00 present"
        } else {
            "connack 00"
        };
        story.hears(back, &[wanted]);
    }
}

/// §3.14.2.2.2: from zero it cannot become more; the will then speaks, as after any error.
#[test]
fn c04_from_zero_the_expiry_cannot_grow_mqtt_3_14_2_2_2() {
    let mut story = Story::small();
    let bob = story.join(V5, "bob");
    story.subscribe(bob, "will", Q0);
    let mut connect = connect(V5, "alice");
    connect.will = Some(will("will", b"gone"));
    let alice = story.enter(connect.clone());
    story.disconnect_with_expiry(alice, 1);
    story.hears(alice, &["disconnect 82", "closed"]);
    story.hears(bob, &["publish will gone q0"]);
    let alice = story.enter(connect);
    story.disconnect_with_expiry(alice, 0);
    story.hears(alice, &["closed"]);
    story.hears(bob, &[]);
}

/// MQTT-3.14.2-2: no DISCONNECT of the server carries a Session Expiry Interval.
#[test]
fn c04_the_server_never_sends_an_expiry_in_disconnect_mqtt_3_14_2_2() {
    let mut story = Story::small();
    let first = story.enter(lasting(V5, "alice"));
    story.connect(lasting(V5, "alice"));
    let received = story.received(first);
    let Packet::Disconnect(disconnect) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(disconnect.reason, ReasonCode::SessionTakenOver);
    assert_eq!(disconnect.session_expiry, None);
}

/// [MQTT-3.1.2-5]: a session of MQTT 3 that is not clean lasts for `limits.v3_session_expiry`.
#[test]
fn c04_a_session_of_mqtt_3_lasts_by_the_servers_limit_3_1_1_mqtt_3_1_2_5() {
    for (away, present) in [(99, true), (101, false)] {
        let mut story = Story::with_limits(|limits| limits.v3_session_expiry = seconds(100));
        let alice = story.enter(lasting(V311, "alice"));
        story.disconnect(alice, ReasonCode::Success);
        story.pass(seconds(away));
        let back = story.connect(lasting(V311, "alice"));
        let wanted = if present {
            "connack 00 present"
        } else {
            "connack 00"
        };
        story.hears(back, &[wanted]);
    }
}

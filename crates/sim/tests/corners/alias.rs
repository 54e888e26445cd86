//! Topic aliases, both ways.

use codec::{Connect, Packet};
use types::ReasonCode;

use crate::story::*;

fn aliased(story: &mut Story, who: Who, topic: &str, alias: u16, payload: &[u8]) {
    let mut packet = publish(topic, payload, Q0, 0);
    packet.properties.topic_alias = Some(alias);
    story.send(who, &Packet::Publish(packet));
}

fn with_aliases(client_id: &str, maximum: u16) -> Connect<'_> {
    let mut connect = lasting(V5, client_id);
    connect.properties.topic_alias_maximum = Some(maximum);
    connect
}

/// MQTT-3.3.2-8, -9, §3.3.2.3.4: 0, above the maximum, and unknown ones.
#[test]
fn c11_an_alias_out_of_range_is_0x94_mqtt_3_3_2_8_9() {
    for (topic, alias, code) in [
        ("t", 0, "94"),
        ("", 0, "94"),
        ("t", 5, "94"),
        ("", 65_535, "94"),
        ("", 3, "82"),
    ] {
        let mut story = Story::with_limits(|limits| limits.topic_alias_maximum = 4);
        let alice = story.join(V5, "alice");
        // An encoder of ours would send these too: the connection is to refuse them.
        aliased(&mut story, alice, topic, alias, b"x");
        story.hears(alice, &[&format!("disconnect {code}"), "closed"]);
    }
}

/// MQTT-3.3.2-12: all from 1 to the maximum are taken, set again, and used.
#[test]
fn c11_all_aliases_up_to_the_maximum_are_taken_mqtt_3_3_2_12() {
    on_each_size(|mut story| {
        let alice = story.join(V5, "alice");
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "#", Q0);
        for alias in 1..=64 {
            aliased(&mut story, alice, &format!("t/{alias}"), alias, b"1");
        }
        assert_eq!(story.heard(bob).len(), 64);
        aliased(&mut story, alice, "", 64, b"2");
        story.hears(bob, &["publish t/64 2 q0"]);
        aliased(&mut story, alice, "other", 64, b"3");
        aliased(&mut story, alice, "", 64, b"4");
        aliased(&mut story, alice, "", 1, b"5");
        let wanted = [
            "publish other 3 q0",
            "publish other 4 q0",
            "publish t/1 5 q0",
        ];
        story.hears(bob, &wanted);
    });
}

/// MQTT-3.2.2-18, §3.2.2.3.8: with a maximum of zero there is none, and CONNACK says nothing.
#[test]
fn c11_without_a_maximum_there_is_no_alias_mqtt_3_2_2_18() {
    let mut story = Story::with_limits(|limits| limits.topic_alias_maximum = 0);
    let alice = story.connect(connect(V5, "alice"));
    let received = story.received(alice);
    let Packet::ConnAck(connack) = received[0].packet() else {
        panic!("{received:?}")
    };
    assert_eq!(connack.properties.topic_alias_maximum, None);
    aliased(&mut story, alice, "t", 1, b"x");
    story.hears(alice, &["disconnect 94", "closed"]);
}

/// MQTT-3.3.2-7: an alias dies with its connection, and each client has its own.
#[test]
fn c11_aliases_are_of_one_connection_mqtt_3_3_2_7() {
    let mut story = Story::small();
    let alice = story.enter(lasting(V5, "alice"));
    let bob = story.join(V5, "bob");
    aliased(&mut story, alice, "t", 1, b"x");
    aliased(&mut story, bob, "", 1, b"x");
    story.hears(bob, &["disconnect 82", "closed"]);
    story.hang_up(alice);
    let back = story.enter(lasting(V5, "alice"));
    aliased(&mut story, back, "", 1, b"x");
    story.hears(back, &["disconnect 82", "closed"]);
}

/// MQTT-3.3.2-1: the topic behind an alias is looked at as any other; without both it is an error.
#[test]
fn c11_the_topic_of_an_alias_is_checked_mqtt_3_3_2_2() {
    let mut story = Story::small();
    let alice = story.join(V5, "alice");
    aliased(&mut story, alice, "a/#", 1, b"x");
    story.hears(alice, &["disconnect 90", "closed"]);
    let bob = story.join(V5, "bob");
    story.publish(bob, "", b"x", Q0, 0);
    story.hears(bob, &["disconnect 82", "closed"]);
    let carol = story.join(V311, "carol");
    story.publish(carol, "", b"x", Q0, 0);
    story.hears(carol, &["closed"]);
}

/// MQTT-3.1.2-26, -27: towards the client: no more than it takes, none if it takes none.
#[test]
fn c11_the_server_keeps_to_the_clients_maximum_mqtt_3_1_2_26_27() {
    on_each_size(|mut story| {
        let two = story.enter(with_aliases("two", 2));
        let none = story.join(V5, "none");
        let three = story.join(V311, "three");
        for who in [two, none, three] {
            story.subscribe(who, "#", Q0);
        }
        let bob = story.join(V5, "bob");
        for topic in ["a", "b", "c", "a", "b", "c"] {
            story.publish(bob, topic, b"x", Q0, 0);
        }
        story.hears(
            two,
            &[
                "publish a x q0 alias=1",
                "publish b x q0 alias=2",
                "publish c x q0",
                "publish  x q0 alias=1",
                "publish  x q0 alias=2",
                "publish c x q0",
            ],
        );
        for who in [none, three] {
            assert!(
                story
                    .heard(who)
                    .iter()
                    .all(|heard| !heard.contains("alias"))
            );
        }
    });
}

/// MQTT-3.3.2-7, MQTT-4.4.0-1: what is sent again on a new connection carries its topic.
#[test]
fn c11_what_is_sent_again_carries_its_topic_mqtt_3_3_2_7_4_4_0_1() {
    let mut story = Story::small();
    let alice = story.enter(with_aliases("alice", 5));
    story.subscribe(alice, "#", Q1);
    let bob = story.join(V5, "bob");
    for id in 1..=2 {
        story.publish(bob, "a", b"x", Q1, id);
    }
    story.hears(
        alice,
        &["publish a x q1 #1 alias=1", "publish  x q1 #2 alias=1"],
    );
    story.hang_up(alice);
    let back = story.connect(with_aliases("alice", 0));
    story.hears(
        back,
        &[
            "connack 00 present",
            "publish a x q1 #1 dup",
            "publish a x q1 #2 dup",
        ],
    );
    story.hang_up(back);
    let back = story.connect(with_aliases("alice", 5));
    story.hears(
        back,
        &[
            "connack 00 present",
            "publish a x q1 #1 dup alias=1",
            "publish  x q1 #2 dup alias=1",
        ],
    );
    story.puback(back, 1, ReasonCode::Success);
    assert!(!story.is_closed(back));
}

/// MQTT-3.1.2-24, MQTT-3.3.2-12: a message that was dropped introduces no alias.
#[test]
fn c11_a_dropped_message_introduces_no_alias_mqtt_3_1_2_25() {
    let mut story = Story::small();
    let mut connect = with_aliases("alice", 1);
    connect.properties.maximum_packet_size = Some(50);
    let alice = story.enter(connect);
    story.subscribe(alice, "#", Q0);
    let bob = story.join(V5, "bob");
    story.publish(bob, "t", &[b'x'; 60], Q0, 0);
    story.publish(bob, "t", b"1", Q0, 0);
    story.publish(bob, "t", b"2", Q0, 0);
    story.hears(alice, &["publish t 1 q0 alias=1", "publish  2 q0 alias=1"]);
}

//! Who may do what, and the conversation of AUTH packets.

use std::sync::Arc;

use ::auth::{Admitted, Exchange, Identity, Outcome, Request};
use broker::BrokerConfig;
use codec::{Auth, Connect, Packet};
use sim::guard::{Clerk, refused};
use types::ReasonCode;

use crate::story::*;

/// A method of three steps: "hello" is asked for "more", "more" is let in, all else is not.
fn with_steps(workers: usize) -> Story {
    let mut config = BrokerConfig::open(workers, 7);
    config.authenticator = Arc::new(Clerk(|request: &Request| {
        let user = |name: &str, data: Option<&[u8]>| {
            Outcome::Admitted(Admitted {
                data: data.map(<[u8]>::to_vec),
                ..Admitted::plain(Identity::User(name.into()))
            })
        };
        let Some(enhanced) = &request.enhanced else {
            return Outcome::Admitted(Admitted::plain(Identity::Anonymous));
        };
        match (&*enhanced.method, enhanced.data.reveal()) {
            ("STEPS", b"hello") => Outcome::Continue {
                data: b"go on".to_vec(),
                exchange: Exchange(Box::new(())),
            },
            ("STEPS", b"more") => user("alice", Some(b"welcome")),
            ("STEPS", b"other") => user("other", None),
            ("STEPS", _) => refused(ReasonCode::NotAuthorized),
            _ => refused(ReasonCode::BadAuthenticationMethod),
        }
    }));
    Story::of(config)
}

fn asking<'a>(method: &'a str, data: &'a [u8]) -> Connect<'a> {
    let mut connect = connect(V5, "alice");
    connect.properties.authentication_method = Some(method);
    connect.properties.authentication_data = Some(data);
    connect
}

fn auth(story: &mut Story, who: Who, reason: ReasonCode, method: &str, data: &[u8]) {
    let mut packet = Auth::new(reason);
    packet.method = Some(method);
    packet.data = Some(data);
    story.send(who, &Packet::Auth(packet));
}

const GO_ON: ReasonCode = ReasonCode::ContinueAuthentication;
const AGAIN: ReasonCode = ReasonCode::ReAuthenticate;

/// MQTT-3.3.5-2 in 3.1.1, §3.4.2.1: 5.0 hears 0x87, MQTT 3 is acknowledged; nobody gets it.
#[test]
fn c28_an_unauthorized_message_goes_nowhere_3_1_1_mqtt_3_3_5_2() {
    for version in VERSIONS {
        let mut story = Story::with_rules();
        let alice = story.join(V5, "alice");
        story.subscribe(alice, "#", Q2);
        let bob = story.join(version, "bob");
        let mut packet = publish("secret/x", b"x", Q1, 1);
        packet.retain = true;
        story.send(bob, &Packet::Publish(packet));
        story.publish(bob, "secret/x", b"x", Q2, 2);
        story.publish(bob, "secret/x", b"x", Q0, 0);
        match version {
            V5 => story.hears(bob, &["puback 1 87 why", "pubrec 2 87 why"]),
            V31 | V311 => story.hears(bob, &["puback 1 00", "pubrec 2 00"]),
        }
        story.hears(alice, &[]);
        story.subscribe_with(alice, "+/x", options(Q0), None);
        story.hears(alice, &["suback 1 [00]"]);
    }
}

/// §3.4.2.1, §3.5.2.1: 0x10 says that nobody is there; MQTT 3 never hears it.
#[test]
fn c28_no_matching_subscribers_is_told_to_5_0_only_mqtt_3_4_2_1() {
    for version in VERSIONS {
        let mut story = Story::small();
        let bob = story.join(version, "bob");
        story.publish(bob, "t", b"x", Q1, 1);
        story.publish(bob, "t", b"x", Q2, 2);
        match version {
            V5 => story.hears(bob, &["puback 1 10", "pubrec 2 10"]),
            V31 | V311 => story.hears(bob, &["puback 1 00", "pubrec 2 00"]),
        }
    }
}

/// MQTT-4.12.0-1: an unknown method is 0x8C, the end, and no AUTH.
#[test]
fn c36_an_unknown_method_is_0x8c_mqtt_4_12_0_1() {
    let mut story = with_steps(1);
    let alice = story.connect(asking("steps", b"hello"));
    story.hears(alice, &["connack 8c", "closed"]);
}

/// MQTT-4.12.0-2, -3, -5: 0x18 until it is done; CONNACK echoes the method.
#[test]
fn c36_the_exchange_ends_in_connack_mqtt_4_12_0_2_3_5() {
    for workers in [1, 4] {
        let mut story = with_steps(workers);
        let alice = story.connect(asking("STEPS", b"hello"));
        story.hears(alice, &["auth 18 STEPS go on"]);
        auth(&mut story, alice, GO_ON, "STEPS", b"hello");
        story.hears(alice, &["auth 18 STEPS go on"]);
        auth(&mut story, alice, GO_ON, "STEPS", b"more");
        story.hears(alice, &["connack 00 method=STEPS data=welcome"]);
        story.send(alice, &Packet::PingReq);
        story.hears(alice, &["pingresp"]);
        let bob = story.connect(asking("STEPS", b"more"));
        assert_eq!(story.heard(bob), ["connack 00 method=STEPS data=welcome"]);
    }
}

/// MQTT-3.1.2-30, MQTT-3.2.0-1, MQTT-4.12.0-3, -4: until CONNACK only AUTH that goes on counts;
/// failure ends it with an error in CONNACK, never in DISCONNECT (MQTT-3.14.0-1).
#[test]
fn c01_only_auth_may_precede_connack_mqtt_3_1_2_30_3_14_0_1() {
    type Say = fn(&mut Story, Who);
    let cases: [(Say, &str); 6] = [
        (|s, w| s.send(w, &Packet::PingReq), "connack 82"),
        (|s, w| s.publish(w, "t", b"x", Q0, 0), "connack 82"),
        (|s, w| auth(s, w, GO_ON, "OTHER", b"more"), "connack 82"),
        (|s, w| auth(s, w, AGAIN, "STEPS", b"more"), "connack 82"),
        (|s, w| auth(s, w, GO_ON, "STEPS", b"bad"), "connack 87"),
        (|s, w| s.send_bytes(w, &[0xf1, 0x00]), "connack 81"),
    ];
    for (say, wanted) in cases {
        let mut story = with_steps(1);
        let bob = story.join(V5, "bob");
        story.subscribe(bob, "#", Q0);
        let alice = story.connect(asking("STEPS", b"hello"));
        story.heard(alice);
        say(&mut story, alice);
        story.hears(alice, &[wanted, "closed"]);
        story.hears(bob, &[]);
    }
}

/// §3.1.4: who does not finish the exchange in time, or sends more than a CONNECT may have, goes.
#[test]
fn c36_an_exchange_is_bounded_in_time_and_size_mqtt_3_1_4() {
    let mut story = with_steps(1);
    let alice = story.connect(asking("STEPS", b"hello"));
    story.heard(alice);
    story.pass(seconds(11));
    story.hears(alice, &["closed"]);
    let bob = story.connect(asking("STEPS", b"hello"));
    story.heard(bob);
    // The header of an AUTH that announces 70,000 octets.
    story.send_bytes(bob, b"\xf0\xf0\xa2\x04");
    story.hears(bob, &["connack 95", "closed"]);
}

/// MQTT-4.12.0-6, -7: without a method there is no AUTH from either side; MQTT 3 has none at all.
#[test]
fn c36_without_a_method_there_is_no_auth_mqtt_4_12_0_6_7() {
    let mut story = with_steps(1);
    let alice = story.join(V5, "alice");
    auth(&mut story, alice, AGAIN, "STEPS", b"hello");
    story.hears(alice, &["disconnect 82", "closed"]);
    let three = story.join(V311, "three");
    story.send_bytes(three, &[0xf0, 0x00]);
    story.hears(three, &["closed"]);
}

/// MQTT-4.12.1-1, -2: again with the same method; other packets keep flowing; failure closes.
#[test]
fn c36_authenticating_again_mqtt_4_12_1_1_2() {
    let begin = |story: &mut Story| {
        let alice = story.enter(asking("STEPS", b"more"));
        auth(story, alice, AGAIN, "STEPS", b"hello");
        story.hears(alice, &["auth 18 STEPS go on"]);
        alice
    };
    let mut story = with_steps(1);
    let alice = begin(&mut story);
    story.subscribe(alice, "t", Q0);
    story.publish(alice, "t", b"x", Q0, 0);
    story.hears(alice, &["publish t x q0"]);
    auth(&mut story, alice, GO_ON, "STEPS", b"more");
    story.hears(alice, &["auth 00 STEPS welcome"]);
    for (reason, method, data, code) in [
        (GO_ON, "OTHER", &b"more"[..], "82"),
        (GO_ON, "STEPS", b"bad", "87"),
        (GO_ON, "STEPS", b"other", "87"),
        (AGAIN, "STEPS", b"hello", "82"),
    ] {
        let mut story = with_steps(1);
        let alice = begin(&mut story);
        auth(&mut story, alice, reason, method, data);
        story.hears(alice, &[&format!("disconnect {code}"), "closed"]);
    }
    let alice = story.enter(asking("STEPS", b"more"));
    auth(&mut story, alice, GO_ON, "STEPS", b"more");
    story.hears(alice, &["disconnect 82", "closed"]);
}

/// MQTT-3.15.1-1: the flags of AUTH are reserved.
#[test]
fn c36_the_flags_of_auth_are_reserved_mqtt_3_15_1_1() {
    let mut story = with_steps(1);
    let alice = story.enter(asking("STEPS", b"more"));
    story.send_bytes(alice, &[0xf2, 0x00]);
    story.hears(alice, &["disconnect 81", "closed"]);
}

/// §4.3.3: what may be refused is refused at PUBREC; at PUBREL it is too late, and nothing is.
#[test]
fn c43_all_checks_come_before_pubrec_mqtt_4_3_3_8() {
    let mut config = BrokerConfig::open(1, 1);
    guard(&mut config);
    config.limits.retained_messages = 1;
    let mut story = Story::of(config);
    let alice = story.join(V5, "alice");
    story.subscribe(alice, "#", Q0);
    let bob = story.join(V5, "bob");
    story.publish(bob, "secret/x", b"no", Q2, 1);
    let mut packet = publish("a", b"first", Q2, 2);
    packet.retain = true;
    story.send(bob, &Packet::Publish(packet));
    let mut packet = publish("b", b"second", Q2, 3);
    packet.retain = true;
    story.send(bob, &Packet::Publish(packet));
    story.hears(bob, &["pubrec 1 87 why", "pubrec 2 00", "pubrec 3 97 why"]);
    story.hears_payloads(alice, &["first"]);
    // What was refused is not owned: its identifier is unknown, and it may be sent again.
    for id in [1, 3] {
        story.pubrel(bob, id);
        story.hears(bob, &[&format!("pubcomp {id} 92")]);
    }
    story.publish(bob, "t", b"third", Q2, 1);
    story.hears(bob, &["pubrec 1 00"]);
    story.pubrel(bob, 1);
    story.hears(bob, &["pubcomp 1 00"]);
    story.hears_payloads(alice, &["third"]);
}

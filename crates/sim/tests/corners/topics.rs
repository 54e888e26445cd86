//! Topic names, filters, and what begins with `$`.

use broker::BrokerConfig;

use crate::story::*;

/// Whether a message to the topic comes by the filter.
fn comes(version: types::ProtocolVersion, filter: &str, topic: &str) -> bool {
    let mut story = Story::small();
    let alice = story.join(version, "alice");
    story.subscribe(alice, filter, Q0);
    let bob = story.join(version, "bob");
    story.publish(bob, topic, b"x", Q0, 0);
    assert!(!story.is_closed(bob), "{topic}");
    !story.heard(alice).is_empty()
}

/// MQTT-4.7.1-1, -2, MQTT-4.7.3-1, -4, §4.7.1 [MQTT-4.7.1-2, -3, MQTT-4.7.3-1, -4]: what matches.
#[test]
fn c34_what_filters_match_mqtt_4_7_1_1_4_7_3_4() {
    for version in VERSIONS {
        for (filter, topic, wanted) in [
            ("sport/#", "sport", true),
            ("sport/#", "sport/", true),
            ("sport/#", "sports", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("sport/+", "sport/a/b", false),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
            ("a/b", "a//b", false),
            ("/", "/", true),
            ("+/+", "/", true),
            ("a", "A", false),
            ("a b/ ", "a b/ ", true),
            ("\u{e9}", "e\u{301}", false),
            ("#", "a/b/c", true),
            ("+/#", "a", true),
        ] {
            assert_eq!(comes(version, filter, topic), wanted, "{filter} {topic}");
        }
    }
}

/// MQTT-4.7.1-1, -2 [MQTT-4.7.1-2, -3]: wildcards in the wrong place.
#[test]
fn c34_wildcards_stand_alone_mqtt_4_7_1_1_2() {
    for version in VERSIONS {
        let mut story = Story::small();
        let alice = story.join(version, "alice");
        for bad in [
            "sport/tennis#",
            "sport/#/ranking",
            "sport+",
            "#/a",
            "+a/b",
            "",
        ] {
            story.subscribe_with(alice, bad, options(Q0), None);
            let wanted = if version == V5 {
                "suback 1 [8f]"
            } else {
                "suback 1 [80]"
            };
            story.hears(alice, &[wanted]);
        }
    }
}

/// MQTT-3.3.2-2, MQTT-4.7.3-1, -2, -3 [MQTT-3.3.2-2, MQTT-4.7.3-1 to -3]: what is no topic name;
/// control characters and more levels than the limit are refused by choice.
#[test]
fn c34_what_is_no_topic_name_mqtt_3_3_2_2_4_7_3_1() {
    let deep = "a/".repeat(128);
    for version in VERSIONS {
        for bad in ["a/+", "#", "a\u{1}b", "a\u{7f}", "a\u{85}", &deep] {
            let mut story = Story::small();
            let alice = story.join(version, "alice");
            story.publish(alice, bad, b"x", Q0, 0);
            match version {
                V5 => story.hears(alice, &["disconnect 90", "closed"]),
                V31 | V311 => story.hears(alice, &["closed"]),
            }
        }
        let mut story = Story::with_limits(|limits| limits.topic_levels = u16::MAX);
        let alice = story.join(version, "alice");
        story.subscribe(alice, "#", Q0);
        story.publish(alice, &"x".repeat(65_535), b"", Q0, 0);
        assert_eq!(story.heard(alice).len(), 1);
    }
}

/// MQTT-4.7.2-1 [MQTT-4.7.2-1]: wildcards at the start never match `$`, shared or not; what names
/// it does; clients do not publish there.
#[test]
fn c35_wildcards_at_the_start_do_not_match_dollar_mqtt_4_7_2_1() {
    let mut config = BrokerConfig::open(1, 1);
    config.sys_interval = seconds(10);
    let mut story = Story::of(config);
    let mut blind = Vec::new();
    let filters = [
        "#",
        "+/#",
        "+/broker/uptime",
        "$share/g/#",
        "$share/g/+/broker/#",
    ];
    for (number, filter) in filters.iter().enumerate() {
        let who = story.join(V5, &format!("blind-{number}"));
        story.subscribe(who, filter, Q0);
        blind.push(who);
    }
    let mut seeing = Vec::new();
    for (number, filter) in ["$SYS/#", "$SYS/broker/+", "$share/g/$SYS/#"]
        .iter()
        .enumerate()
    {
        let who = story.join(V5, &format!("seeing-{number}"));
        story.subscribe(who, filter, Q0);
        seeing.push(who);
    }
    story.pass(seconds(30));
    for who in blind {
        story.hears(who, &[]);
    }
    for who in &seeing {
        let heard = story.heard(*who);
        assert!(
            heard
                .iter()
                .any(|text| text.starts_with("publish $SYS/broker/")),
            "{heard:?}"
        );
    }
    let bob = story.join(V5, "bob");
    for topic in ["$SYS/broker/uptime", "$SYS", "$share/g/t", "$other"] {
        story.publish(bob, topic, b"forged", Q1, 1);
        story.hears(bob, &["puback 1 87 why"]);
    }
    for who in seeing {
        assert!(story.heard(who).iter().all(|text| !text.contains("forged")));
    }
}

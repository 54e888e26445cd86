//! S47, S48: rules that change while nothing runs.

mod hostile;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auth::{Admitted, Grant, Identity, Outcome, Request};
use codec::{Packet, Will};
use hostile::*;
use sim::Peer;
use sim::durable::{End, Story};
use sim::guard::{Clerk, book};
use sim::peer::publish;
use types::{QoS, ReasonCode};

const ALL: &str = "allow both #";

/// A server whose rules are others once that is said; clients `g*` are in a group of a back end.
fn story(
    before: &'static [&'static str],
    after: &'static [&'static str],
) -> (Story, Arc<AtomicBool>) {
    let changed = Arc::new(AtomicBool::new(false));
    let is_changed = Arc::clone(&changed);
    let story = Story::with(2, move |config| {
        config.policy = match is_changed.load(Ordering::Relaxed) {
            true => book(after),
            false => book(before),
        };
        config.authenticator = Arc::new(Clerk(|request: &Request| {
            let group = request.client_id.starts_with('g').then(|| "in".into());
            Outcome::Admitted(Admitted {
                grant: Some(Arc::new(Grant {
                    groups: group.into_iter().collect(),
                    ..Grant::default()
                })),
                ..Admitted::plain(Identity::Anonymous)
            })
        }));
    });
    (story, changed)
}

fn retain(story: &mut Story, peer: &mut Peer, topic: &str, id: u16) {
    let mut message = publish(topic, b"kept", QoS::AtLeastOnce, id);
    message.retain = true;
    peer.send(story.universe(), &Packet::Publish(message));
    story.server.settle();
}

/// What is retained for a new subscriber.
fn retained(story: &mut Story) -> Vec<String> {
    let mut probe = story.clean(V5, "probe");
    probe.subscribe(story.universe(), "#", QoS::AtMostOnce);
    story.server.settle();
    let heard = probe.messages(story.universe());
    probe.disconnect(story.universe(), ReasonCode::Success);
    heard.into_iter().map(|(topic, _)| topic).collect()
}

#[test]
fn s47_the_publisher_of_a_retained_message_is_known_after_a_restart() {
    let before = &[ALL];
    let after = &["deny client=m publish a", "deny client=g publish c", ALL];
    for end in [End::Kill, End::Stop] {
        let (mut story, changed) = story(before, after);
        let mut peer = story.clean(V5, "m");
        retain(&mut story, &mut peer, "a", 1);
        retain(&mut story, &mut peer, "b", 2);
        let mut granted = story.clean(V5, "g");
        retain(&mut story, &mut granted, "c", 1);
        story.restart(end);
        assert_eq!(retained(&mut story), ["a", "b", "c"]);
        changed.store(true, Ordering::Relaxed);
        for _ in 0..2 {
            story.restart(end);
            // Of who had something from a back end only bans are known.
            assert_eq!(retained(&mut story), ["b", "c"], "{end:?}");
        }
    }
}

#[test]
fn s48_what_waited_over_a_restart_is_asked_about() {
    let before = &[ALL];
    let after = &["deny client=m subscribe closed", ALL];
    let (mut story, changed) = story(before, after);
    let (mut peer, _) = story.durable("m");
    for filter in ["closed", "open"] {
        peer.subscribe(story.universe(), filter, QoS::AtLeastOnce);
        story.server.settle();
    }
    peer.hang_up(story.universe());
    let mut speaker = story.clean(V5, "speaker");
    for (id, topic) in (1..).zip(["closed", "open", "closed", "open"]) {
        speaker.publish(story.universe(), topic, b"", QoS::AtLeastOnce, id);
        story.server.settle();
    }
    changed.store(true, Ordering::Relaxed);
    story.restart(End::Kill);
    let mut peer = story.connect(lasting("m"));
    story.server.settle();
    let received = peer.received(story.universe());
    let mut topics = Vec::new();
    for packet in packets(&received) {
        match packet {
            Packet::Publish(publish) => topics.push(publish.topic.to_owned()),
            Packet::ConnAck(_) => {}
            Packet::Disconnect(disconnect) => {
                assert_eq!(disconnect.reason, ReasonCode::NotAuthorized);
                topics.push("disconnected".into());
            }
            other => panic!("{other:?}"),
        }
    }
    // What it may have it gets, then it hears what it lost.
    assert_eq!(topics.last().map(String::as_str), Some("disconnected"));
    assert!(!topics.iter().any(|topic| topic == "closed"), "{topics:?}");
}

#[test]
fn what_a_back_end_granted_is_not_lost_by_a_restart() {
    let rules = &["allow group=in both #", "allow client=speaker both #"];
    for end in [End::Kill, End::Stop] {
        let (mut story, _) = story(rules, rules);
        let (mut peer, _) = story.durable("g");
        peer.subscribe(story.universe(), "a", QoS::AtLeastOnce);
        story.server.settle();
        peer.hang_up(story.universe());
        story.restart(end);
        let mut speaker = story.clean(V5, "speaker");
        speaker.publish(story.universe(), "a", b"", QoS::AtLeastOnce, 1);
        story.server.settle();
        let mut peer = story.connect(lasting("g"));
        story.server.settle();
        assert_eq!(peer.messages(story.universe()).len(), 1, "{end:?}");
        assert!(!story.universe().is_closed(peer.link));
    }
}

#[test]
fn s46_a_will_that_waited_over_a_restart_is_asked_about() {
    let before = &[ALL];
    let after = &["deny client=m publish will", ALL];
    for change in [false, true] {
        let (mut story, changed) = story(before, after);
        let mut hello = lasting("m");
        hello.will = Some(Will {
            topic: "will",
            payload: b"gone",
            qos: QoS::AtLeastOnce,
            retain: true,
            delay: Some(60),
            message_expiry: None,
            forward: Default::default(),
        });
        let mut peer = story.connect(hello);
        story.server.settle();
        peer.hang_up(story.universe());
        story.server.settle();
        changed.store(change, Ordering::Relaxed);
        story.restart(End::Kill);
        story.server.advance(std::time::Duration::from_secs(120));
        assert_eq!(retained(&mut story).len(), usize::from(!change));
    }
}

//! What was sent before a crash and comes again says so, also where no record of the sending
//! survived (MQTT-3.3.1-1).

use codec::{Connect, Packet};
use sim::Peer;
use sim::durable::{End, Story, Turn};
use sim::peer::connect;
use types::{PacketId, ProtocolVersion, QoS, ReasonCode};

/// A subscriber that takes one message at a time.
fn narrow() -> Connect<'static> {
    let mut packet = connect(ProtocolVersion::V5, "alice");
    packet.clean_start = false;
    packet.properties.session_expiry = Some(3_600);
    packet.properties.receive_maximum = Some(1);
    packet
}

/// Publishes these numbers at QoS 1; they are acknowledged.
fn send(story: &mut Story, numbers: std::ops::Range<u16>) {
    let mut bob = story.clean(ProtocolVersion::V5, "bob");
    for number in numbers {
        let payload = number.to_string();
        bob.publish(
            story.universe(),
            "t",
            payload.as_bytes(),
            QoS::AtLeastOnce,
            number + 1,
        );
    }
    story.server.settle();
}

/// The messages that came, each with its identifier and DUP.
fn heard(story: &mut Story, peer: &mut Peer) -> Vec<(String, PacketId, bool)> {
    let received = peer.received(story.universe());
    let packets = received
        .iter()
        .filter_map(|received| match received.packet() {
            Packet::Publish(publish) => {
                let payload = String::from_utf8_lossy(publish.payload).into_owned();
                Some((payload, publish.packet_id?, publish.dup))
            }
            _ => None,
        });
    packets.collect()
}

fn acknowledge(story: &mut Story, peer: &mut Peer, id: PacketId) {
    let ack = Peer::ack(id, ReasonCode::Success);
    peer.send(story.universe(), &Packet::PubAck(ack));
}

/// All that waits for the subscriber, with DUP, in order.
fn drain(story: &mut Story) -> Vec<(String, bool)> {
    let mut alice = story.connect(narrow());
    let mut all = Vec::new();
    loop {
        story.server.settle();
        let some = heard(story, &mut alice);
        if some.is_empty() {
            alice.hang_up(story.universe());
            story.server.settle();
            return all;
        }
        for (payload, id, dup) in some {
            all.push((payload, dup));
            acknowledge(story, &mut alice, id);
        }
    }
}

fn words(messages: &[(&str, bool)]) -> Vec<(String, bool)> {
    let messages = messages.iter();
    messages
        .map(|&(payload, dup)| (payload.to_owned(), dup))
        .collect()
}

/// A subscriber that is away, with messages 0 to 3 in its queue.
fn story() -> Story {
    let mut story = Story::new(2);
    let mut alice = story.connect(narrow());
    alice.subscribe(story.universe(), "t", QoS::AtLeastOnce);
    story.server.settle();
    alice.hang_up(story.universe());
    send(&mut story, 0..4);
    story
}

/// The subscriber comes, takes the first, and is sent the second; of that the store knows nothing
/// when the process is killed.
fn killed_while_it_sends(story: &mut Story) {
    let mut alice = story.connect(narrow());
    let first = heard(story, &mut alice);
    let [(payload, id, false)] = &first[..] else {
        panic!("not the first message: {first:?}");
    };
    assert_eq!(payload, "0");
    acknowledge(story, &mut alice, *id);
    let second = heard(story, &mut alice);
    assert!(
        matches!(&second[..], [(payload, _, false)] if payload == "1"),
        "{second:?}"
    );
    story.restart(End::Kill);
}

#[test]
fn what_may_have_been_sent_comes_again_with_dup() {
    let mut story = story();
    killed_while_it_sends(&mut story);
    send(&mut story, 4..6);
    let expected = [
        ("0", true),
        ("1", true),
        ("2", true),
        ("3", true),
        ("4", false),
        ("5", false),
    ];
    assert_eq!(drain(&mut story), words(&expected));
}

#[test]
fn what_may_have_been_sent_is_not_forgotten_by_further_restarts() {
    for housekeeping in [false, true] {
        let mut story = story();
        killed_while_it_sends(&mut story);
        for end in [End::Kill, End::Stop, End::Cut(3)] {
            // The client comes and takes nothing.
            let alice = story.connect(narrow());
            story.universe().hang_up(alice.link);
            story.server.settle();
            if housekeeping {
                story.server.keep_house();
            }
            story.restart(end);
        }
        let expected = [("0", true), ("1", true), ("2", true), ("3", true)];
        assert_eq!(drain(&mut story), words(&expected), "{housekeeping}");
    }
}

#[test]
fn what_was_never_sent_comes_without_dup() {
    for end in [End::Kill, End::Stop, End::Cut(1)] {
        let mut story = story();
        story.restart(end);
        let expected = [("0", false), ("1", false), ("2", false), ("3", false)];
        assert_eq!(drain(&mut story), words(&expected), "{end:?}");
    }
}

#[test]
fn after_a_stop_it_is_known_what_was_sent() {
    let mut story = story();
    let mut alice = story.connect(narrow());
    assert_eq!(heard(&mut story, &mut alice).len(), 1);
    story.store(Turn::All);
    story.restart(End::Stop);
    let expected = [("0", true), ("1", false), ("2", false), ("3", false)];
    assert_eq!(drain(&mut story), words(&expected));
}

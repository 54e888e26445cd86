//! Retained messages of class `memory` over stored ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker::DurabilityRules;
use codec::Packet;
use sim::durable::{End, Story};
use sim::peer::publish;
use types::{Durability, ProtocolVersion, QoS};

/// A story whose messages are of class `memory` from when on that is said.
fn story(workers: usize) -> (Story, Arc<AtomicBool>) {
    let in_memory = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&in_memory);
    let story = Story::with(workers, move |config| {
        let rules = match said.load(Ordering::Relaxed) {
            true => vec![("t".into(), Durability::Memory)],
            false => Vec::new(),
        };
        config.durability = DurabilityRules::new(Durability::Disk, Vec::new(), rules);
    });
    (story, in_memory)
}

fn retain(story: &mut Story, payload: &[u8]) {
    let mut bob = story.clean(ProtocolVersion::V5, "bob");
    let mut packet = publish("t", payload, QoS::AtLeastOnce, 1);
    packet.retain = true;
    bob.send(story.universe(), &Packet::Publish(packet));
    story.server.settle();
    let answers = bob.received(story.universe());
    assert_eq!(answers.len(), 1, "{answers:?}");
}

fn retained(story: &mut Story) -> Vec<Vec<u8>> {
    let mut carol = story.clean(ProtocolVersion::V5, "carol");
    carol.subscribe(story.universe(), "t", QoS::AtMostOnce);
    story.server.settle();
    let messages = carol.messages(story.universe());
    messages.into_iter().map(|(_, payload)| payload).collect()
}

#[test]
fn what_is_not_stored_takes_the_stored_one_away() {
    for end in [End::Kill, End::Stop, End::Cut(5)] {
        for payload in [&b"in memory"[..], b""] {
            let (mut story, in_memory) = story(2);
            retain(&mut story, b"stored");
            in_memory.store(true, Ordering::Relaxed);
            story.restart(End::Kill);
            assert_eq!(retained(&mut story), [b"stored"]);
            retain(&mut story, payload);
            let now: Vec<&[u8]> = match payload.is_empty() {
                true => Vec::new(),
                false => vec![payload],
            };
            assert_eq!(retained(&mut story), now);
            story.restart(end);
            assert!(retained(&mut story).is_empty(), "{end:?}");
        }
    }
}

#[test]
fn what_is_stored_over_one_in_memory_stays() {
    let (mut story, in_memory) = story(2);
    retain(&mut story, b"first");
    in_memory.store(true, Ordering::Relaxed);
    story.restart(End::Kill);
    retain(&mut story, b"in memory");
    in_memory.store(false, Ordering::Relaxed);
    story.restart(End::Kill);
    retain(&mut story, b"stored");
    story.restart(End::Kill);
    assert_eq!(retained(&mut story), [b"stored"]);
}

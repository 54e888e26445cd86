//! Large things that are stored: topics of 65,535 bytes, very many filters, very many retained
//! messages.

use codec::{Packet, PublishProperties};
use sim::durable::{End, Story};
use sim::peer::publish;
use sim::{Peer, Received};
use types::{ProtocolVersion, QoS, ReasonCode};

const V5: ProtocolVersion = ProtocolVersion::V5;

/// A store with segments that hold much.
fn large() -> journal::engine::Options {
    let mut options = journal::engine::Options::default();
    options.log.segment_bytes = 4 << 20;
    options
}

#[test]
fn a_topic_of_65_535_levels_is_stored_and_comes_back_to_the_byte_f20_f21() {
    let mut story = Story::with(2, |config| {
        config.limits.topic_levels = u16::MAX;
        config.limits.stored_memory = 1;
    });
    // 65,534 separators make as many levels as a length of two bytes leaves room for.
    let topic = "/".repeat(65_534);
    let (mut alice, _) = story.durable("alice");
    alice.subscribe(story.universe(), &topic, QoS::AtLeastOnce);
    alice.subscribe(story.universe(), &"+/".repeat(32_767), QoS::AtLeastOnce);
    story.server.settle();
    let granted = alice.received(story.universe());
    let reasons: Vec<u8> = granted
        .iter()
        .filter_map(|one| match one.packet() {
            Packet::SubAck(list) => list.reasons.first().copied(),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [1, 1]);
    alice.hang_up(story.universe());
    let mut bob = story.clean(V5, "bob");
    let mut packet = publish(&topic, b"deep", QoS::AtLeastOnce, 1);
    packet.retain = true;
    bob.send(story.universe(), &Packet::Publish(packet));
    story.server.settle();
    for end in [End::Kill, End::Cut(5)] {
        story.restart(end);
    }
    let (mut alice, mut peers) = (story.back("alice"), Vec::new());
    story.server.settle();
    let mut carol = story.clean(V5, "carol");
    carol.subscribe(story.universe(), "#", QoS::AtMostOnce);
    story.server.settle();
    peers.push(alice.messages(story.universe()));
    peers.push(carol.messages(story.universe()));
    for messages in peers {
        assert_eq!(messages, [(topic.clone(), b"deep".to_vec())]);
    }
    // The subscription is there too, not only what it brought.
    let mut bob = story.clean(V5, "bob");
    bob.publish(story.universe(), &topic, b"again", QoS::AtLeastOnce, 1);
    story.server.settle();
    assert_eq!(alice.messages(story.universe()).len(), 1);
}

#[test]
fn by_default_a_filter_is_not_so_deep_f21() {
    let mut story = Story::new(1);
    let (mut alice, _) = story.durable("alice");
    alice.subscribe(story.universe(), &"/".repeat(65_534), QoS::AtLeastOnce);
    story.server.settle();
    let received = alice.received(story.universe());
    assert!(
        matches!(
            received[0].packet(),
            Packet::SubAck(list) if list.reasons == [ReasonCode::TopicFilterInvalid.byte()]
        ),
        "{received:?}"
    );
}

#[test]
fn very_many_wildcard_filters_survive_and_match_f21() {
    const CLIENTS: usize = 10;
    const FILTERS: usize = 4_000;
    let mut story = Story::of(large(), 3, |config| {
        config.limits.filters_per_packet = u16::MAX;
    });
    for client in 0..CLIENTS {
        let (mut peer, _) = story.durable(&format!("c{client}"));
        let mut filters = codec::SubscribeFiltersBuf::new();
        for number in 0..FILTERS {
            let options = types::SubscriptionOptions::plain(QoS::AtLeastOnce);
            let pushed = filters.push(&format!("f/{client}/+/{number}/#"), options);
            assert!(pushed.is_ok());
        }
        let subscribe = codec::Subscribe {
            packet_id: types::PacketId::FIRST,
            subscription_id: None,
            user: Default::default(),
            filters: filters.as_borrowed(),
        };
        peer.send(story.universe(), &Packet::Subscribe(subscribe));
        story.server.settle();
        peer.hang_up(story.universe());
    }
    story.server.keep_house();
    story.restart(End::Cut(2));
    let index = story.universe().shared.index.stats();
    assert_eq!(index.subscriptions, CLIENTS * FILTERS);
    let mut bob = story.clean(V5, "bob");
    for client in 0..CLIENTS {
        let topic = format!("f/{client}/x/{}/y", client * 7);
        bob.publish(story.universe(), &topic, b"1", QoS::AtLeastOnce, 1);
    }
    story.server.settle();
    for client in 0..CLIENTS {
        let mut peer = story.back(&format!("c{client}"));
        story.server.settle();
        assert_eq!(peer.messages(story.universe()).len(), 1, "c{client}");
    }
}

#[test]
fn very_many_retained_messages_come_from_the_disk_paced_and_complete_f22() {
    const TOPICS: usize = 100_000;
    let mut story = Story::of(large(), 2, |config| config.limits.stored_memory = 1);
    let mut bob = story.clean(V5, "bob");
    for number in 0..TOPICS {
        let (topic, payload) = (format!("r/{}/{number}", number % 100), number.to_string());
        let mut packet = publish(&topic, payload.as_bytes(), QoS::AtMostOnce, 0);
        packet.retain = true;
        packet.properties = PublishProperties::default();
        bob.send(story.universe(), &Packet::Publish(packet));
        if number % 1_000 == 0 {
            story.server.settle();
        }
    }
    story.server.settle();
    story.restart(End::Kill);
    let (retained, memory) = {
        let shared = &story.universe().shared;
        (shared.retained.count(), shared.retained.memory())
    };
    assert_eq!(retained, TOPICS);
    assert_eq!(memory, 0, "they are on the disk alone");

    let mut alice = story.clean(V5, "alice");
    let link = alice.link;
    // Who does not read is not written to without bounds.
    story.universe().set_takes(link, 0);
    alice.subscribe(story.universe(), "#", QoS::AtMostOnce);
    story.server.settle();
    let mut seen = vec![false; TOPICS];
    let (mut count, mut rounds) = (0, 0);
    while count < TOPICS {
        // All that waits in the server for her goes out; what follows waits again.
        story.universe().set_takes(link, usize::MAX);
        story.universe().set_takes(link, 0);
        let burst = look(&mut story, &mut alice, &mut seen);
        assert!(
            burst < 20_000,
            "{burst} messages waited for a client that does not read"
        );
        if rounds % 16 == 0 {
            bob_is_heard(&mut story);
        }
        count += burst;
        rounds += 1;
        assert!(rounds < TOPICS, "{count} came in {rounds} rounds");
        story.server.settle();
    }
    assert_eq!(count, TOPICS);
}

/// How many retained messages came, each for the first time.
fn look(story: &mut Story, alice: &mut Peer, seen: &mut [bool]) -> usize {
    let received: Vec<Received> = alice.received(story.universe());
    let mut count = 0;
    for one in &received {
        let Packet::Publish(publish) = one.packet() else {
            continue;
        };
        if !publish.retain {
            continue;
        }
        let text = String::from_utf8_lossy(publish.payload).into_owned();
        let number: usize = text.parse().expect("a number");
        assert!(publish.topic.ends_with(&format!("/{number}")));
        assert!(
            !std::mem::replace(&mut seen[number], true),
            "{number} again"
        );
        count += 1;
    }
    count
}

fn bob_is_heard(story: &mut Story) {
    let mut carol = Peer::join(story.universe(), V5, "carol");
    carol.subscribe(story.universe(), "live", QoS::AtMostOnce);
    let mut bob = Peer::join(story.universe(), V5, "dave");
    bob.publish(story.universe(), "live", b"1", QoS::AtMostOnce, 0);
    assert_eq!(carol.messages(story.universe()).len(), 1);
}

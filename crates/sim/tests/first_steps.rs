//! The shortest stories: somebody subscribes, somebody publishes.

use broker::BrokerConfig;
use sim::{Peer, Universe};
use types::{ProtocolVersion, QoS};

#[test]
fn a_message_reaches_its_subscriber_whatever_they_speak_and_wherever_they_live() {
    let versions = [
        ProtocolVersion::V31,
        ProtocolVersion::V311,
        ProtocolVersion::V5,
    ];
    for workers in [1, 2, 4] {
        for publisher in versions {
            for subscriber in versions {
                for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                    let mut universe = Universe::new(BrokerConfig::open(workers, 7));
                    let mut alice = Peer::join(&mut universe, subscriber, "alice");
                    alice.subscribe(&mut universe, "a/+", QoS::ExactlyOnce);
                    let mut bob = Peer::join(&mut universe, publisher, "bob");
                    let id = if qos == QoS::AtMostOnce { 0 } else { 9 };
                    bob.publish(&mut universe, "a/b", b"hello", qos, id);
                    let messages = alice.messages(&mut universe);
                    assert_eq!(messages, [("a/b".to_owned(), b"hello".to_vec())]);
                }
            }
        }
    }
}

#[test]
fn retained_messages_reach_who_comes_later() {
    let mut universe = Universe::new(BrokerConfig::open(2, 7));
    let mut bob = Peer::join(&mut universe, ProtocolVersion::V311, "bob");
    for number in 0..1_000 {
        bob.retain(&mut universe, &format!("home/{number}/config"), b"{}");
    }
    let mut alice = Peer::join(&mut universe, ProtocolVersion::V5, "alice");
    alice.subscribe(&mut universe, "home/#", QoS::AtLeastOnce);
    let mut topics: Vec<String> = alice
        .messages(&mut universe)
        .into_iter()
        .map(|(topic, _)| topic)
        .collect();
    assert_eq!(topics.len(), 1_000);
    topics.sort();
    topics.dedup();
    assert_eq!(topics.len(), 1_000);
}

#[test]
fn what_follows_subscribe_in_one_write_is_answered_after_it_and_reaches_it() {
    use codec::{Packet, Subscribe, SubscribeFiltersBuf};
    use types::{PacketId, SubscriptionOptions};
    let mut universe = Universe::new(BrokerConfig::open(2, 7));
    let mut alice = Peer::join(&mut universe, ProtocolVersion::V311, "alice");
    let mut filters = SubscribeFiltersBuf::new();
    let options = SubscriptionOptions::plain(QoS::AtMostOnce);
    filters.push("a", options).unwrap();
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: PacketId::FIRST,
        subscription_id: None,
        user: Default::default(),
        filters: filters.as_borrowed(),
    });
    let publish = Packet::Publish(sim::peer::publish("a", b"x", QoS::AtLeastOnce, 2));
    let mut bytes = Vec::new();
    for packet in [subscribe, publish, Packet::PingReq] {
        codec::encode(&packet, ProtocolVersion::V311, &mut bytes).unwrap();
    }
    alice.send_bytes(&mut universe, &bytes);
    let received = alice.received(&mut universe);
    let kinds: Vec<_> = received
        .iter()
        .map(|received| received.packet().packet_type())
        .collect();
    use codec::PacketType::{PingResp, PubAck, Publish, SubAck};
    assert_eq!(kinds, [SubAck, Publish, PubAck, PingResp]);
}

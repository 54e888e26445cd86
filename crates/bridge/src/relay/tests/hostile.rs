//! What another server can do to this one.

use codec::{Ack, Packet, Publish, PublishProperties, encode};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode};

use super::{End, Pair, Side, settings};
use crate::figures::Dropped;

fn publish(topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let packet = Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic,
        packet_id: PacketId::new(id),
        properties: PublishProperties::default(),
        payload,
    });
    encode(&packet, ProtocolVersion::V311, &mut bytes).unwrap();
    bytes
}

fn ack(make: fn(Ack<'static>) -> Packet<'static>, id: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ack = Ack::new(PacketId::new(id).unwrap(), ReasonCode::Success);
    encode(&make(ack), ProtocolVersion::V311, &mut bytes).unwrap();
    bytes
}

/// The other server sends these again and again and reads nothing, nor does this one. What is kept
/// at most, and how it ended.
fn flood(packets: impl Fn(u16) -> Vec<u8>) -> (usize, Option<End>) {
    let mut pair = Pair::new(settings(ProtocolVersion::V311));
    pair.run();
    pair.here.send("l/a", "on its way", QoS::ExactlyOnce);
    while pair.step([usize::MAX, usize::MAX, 0, 0]) {}
    let mut most = 0;
    for round in 0..400_u32 {
        let bytes: Vec<u8> = (0..4_000)
            .flat_map(|number| packets(((round * 4_000 + number) % 65_535 + 1) as u16))
            .collect();
        // Chunks, as a socket gives them.
        for chunk in bytes.chunks(64 * 1024) {
            if pair.relay.end().is_some() || !pair.relay.wants(Side::Remote) {
                return (most, pair.relay.end().cloned());
            }
            pair.relay.handle_bytes(Side::Remote, chunk, pair.now);
            let held = pair.relay.output(Side::Remote).len()
                + pair.relay.output(Side::Local).len()
                + pair.relay.held_in.bytes;
            most = most.max(held);
        }
    }
    panic!("nothing stops it: {most} bytes");
}

#[test]
fn s101_answers_that_nobody_reads_fill_no_memory() {
    let (most, end) = flood(|id| publish("no/rule", id, b""));
    assert!(most < 1_500_000, "{most}");
    assert_eq!(end, Some(End::TooMuch));
}

#[test]
fn s101_messages_beyond_the_window_fill_no_memory() {
    // Each by an identifier of its own, all by the same, and small ones.
    for same in [false, true] {
        let (most, _) = flood(|id| publish("r/a", if same { 7 } else { id }, b"payload"));
        assert!(most < 20_000_000, "{most}");
    }
}

#[test]
fn s101_releases_and_receipts_without_end_fill_no_memory() {
    for packet in [Packet::PubRel, Packet::PubRec, Packet::PubComp] {
        let (most, end) =
            flood(
                |id| match packet(Ack::new(PacketId::FIRST, ReasonCode::Success)) {
                    // The one that is on its way.
                    Packet::PubRec(_) => ack(packet, 1),
                    Packet::PubComp(_) => [ack(Packet::PubRel, id), ack(packet, id)].concat(),
                    _ => ack(packet, id),
                },
            );
        assert!(most < 8_000_000, "{most}");
        assert_eq!(end, Some(End::TooMuch));
    }
}

#[test]
fn s101_many_messages_that_wait_take_no_longer_each() {
    // MQTT 3 has no window: all come at once, and this server takes ten at a time. With a look at
    // all that wait for each answer, this would take hours.
    let mut pair = Pair::new(settings(ProtocolVersion::V311));
    pair.run();
    let count = 60_000_u16;
    for id in 1..=count {
        let bytes = publish("r/a", id, b"x");
        pair.relay.handle_bytes(Side::Remote, &bytes, pair.now);
    }
    assert!(pair.relay.wants(Side::Remote));
    let mut answered = 0;
    while pair.step([usize::MAX, usize::MAX, 0, 0]) {
        answered += pair.relay.output(Side::Remote).len() / 4;
        let length = pair.relay.output(Side::Remote).len();
        pair.relay.handle_written(Side::Remote, length, pair.now);
    }
    assert_eq!(answered, usize::from(count));
    assert_eq!(pair.here.published("l/a").len(), usize::from(count));
    assert!(pair.relay.is_idle() && pair.here.is_settled());
}

#[test]
fn a_server_without_a_window_is_not_read_while_this_one_has_enough() {
    let mut pair = Pair::new(settings(ProtocolVersion::V311));
    pair.run();
    let payload = [b'x'; 5_000];
    let mut sent = 0;
    while pair.relay.wants(Side::Remote) {
        sent += 1;
        let bytes = publish("r/a", sent, &payload);
        pair.relay.handle_bytes(Side::Remote, &bytes, pair.now);
        assert_eq!(pair.relay.end(), None);
    }
    assert!(sent > 1_000, "{sent}");
    // It is not heard meanwhile, and that is not its fault.
    let due = pair.relay.poll_timeout(pair.now).unwrap();
    assert_eq!(due.since(pair.now).as_secs(), 60);
    while pair.step([usize::MAX, usize::MAX, 0, 0]) {}
    assert!(pair.relay.wants(Side::Remote));
    assert_eq!(pair.here.published("l/a").len(), usize::from(sent));
    assert_eq!(pair.figures.dropped(Dropped::Slow), 0);
    // If this server does not go on, the bridge does not wait for ever.
    while pair.relay.wants(Side::Remote) {
        sent += 1;
        let bytes = publish("r/a", sent, &payload);
        pair.relay.handle_bytes(Side::Remote, &bytes, pair.now);
    }
    pair.now = pair.relay.poll_timeout(pair.now).unwrap();
    pair.relay.handle_timeout(pair.now);
    assert_eq!(pair.relay.end(), Some(&End::TooMuch));
}

#[test]
fn s101_a_server_does_not_switch_off_that_its_end_is_noticed() {
    for (said, heard) in [(0, 48), (65_535, 48), (10, 8)] {
        let mut pair = Pair::new(settings(ProtocolVersion::V5));
        pair.there.keep_alive = Some(said);
        pair.run();
        let due = pair.relay.poll_timeout(pair.now).unwrap();
        assert_eq!(due.since(pair.now).as_secs(), heard, "{said}");
    }
}

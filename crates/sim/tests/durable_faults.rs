//! The fault matrix on a whole server: what clients see of power cuts, failing and full disks,
//! damaged files and jumping clocks.

use std::time::Duration;

use broker::{DropReason, DurabilityRules};
use codec::Packet;
use journal::faulty::Fault;
use sim::durable::{End, Story, Turn};
use sim::peer::{connect, publish};
use sim::{Peer, Received};
use types::{Durability, ProtocolVersion, QoS, ReasonCode};

const V5: ProtocolVersion = ProtocolVersion::V5;
const V311: ProtocolVersion = ProtocolVersion::V311;

/// A client with a session that is away, subscribed to `t/#` at this QoS.
fn away(story: &mut Story, client_id: &str, qos: QoS) {
    let (mut peer, present) = story.durable(client_id);
    assert!(!present);
    peer.subscribe(story.universe(), "t/#", qos);
    story.server.settle();
    peer.hang_up(story.universe());
    story.server.settle();
}

/// PUBACK and PUBREC: identifiers and reasons.
fn acks(story: &mut Story, peer: &mut Peer) -> Vec<(u16, ReasonCode)> {
    let received = peer.received(story.universe());
    let acks = received.iter().filter_map(|one| match one.packet() {
        Packet::PubAck(ack) | Packet::PubRec(ack) => Some((ack.packet_id.get(), ack.reason)),
        _ => None,
    });
    acks.collect()
}

/// Everything that a client that comes back gets, acknowledged as it comes; whether its session
/// was there.
fn collect(story: &mut Story, client_id: &str) -> (Vec<Vec<u8>>, bool) {
    let mut peer = story.back(client_id);
    let mut payloads = Vec::new();
    let mut present = None;
    for _ in 0..10_000 {
        story.server.settle();
        let received = peer.received(story.universe());
        if received.is_empty() {
            let present = present.unwrap_or_else(|| panic!("no CONNACK for {client_id}"));
            return (payloads, present);
        }
        for one in &received {
            match one.packet() {
                Packet::ConnAck(connack) => present = Some(connack.session_present),
                Packet::Publish(publish) => {
                    payloads.push(publish.payload.to_vec());
                    answer(story, &mut peer, &publish);
                }
                Packet::PubRel(ack) => {
                    let ack = Peer::ack(ack.packet_id, ReasonCode::Success);
                    peer.send(story.universe(), &Packet::PubComp(ack));
                }
                other => panic!("{client_id} gets {other:?}"),
            }
        }
    }
    panic!("there is no end of what {client_id} gets");
}

fn answer(story: &mut Story, peer: &mut Peer, publish: &codec::Publish<'_>) {
    let Some(id) = publish.packet_id else { return };
    let ack = Peer::ack(id, ReasonCode::Success);
    let packet = match publish.qos {
        QoS::ExactlyOnce => Packet::PubRec(ack),
        _ => Packet::PubAck(ack),
    };
    peer.send(story.universe(), &packet);
}

fn payloads(numbers: std::ops::Range<u16>) -> Vec<Vec<u8>> {
    numbers
        .map(|number| number.to_string().into_bytes())
        .collect()
}

/// Publishes these numbers at QoS 1, each with its number as identifier, one above.
fn send(story: &mut Story, peer: &mut Peer, numbers: std::ops::Range<u16>) {
    for number in numbers {
        let payload = number.to_string();
        let packet = publish("t/a", payload.as_bytes(), QoS::AtLeastOnce, number + 1);
        peer.send(story.universe(), &Packet::Publish(packet));
    }
}

#[test]
fn what_was_acknowledged_survives_any_power_cut_and_comes_in_order_f02() {
    for seed in 0..60 {
        let mut story = Story::new(1 + usize::try_from(seed % 3).expect("small"));
        away(&mut story, "alice", QoS::AtLeastOnce);
        let mut bob = story.clean(V5, "bob");
        send(&mut story, &mut bob, 0..20);
        story.server.settle();
        assert_eq!(acks(&mut story, &mut bob).len(), 20);
        // Written, and perhaps not; in no case acknowledged.
        send(&mut story, &mut bob, 20..30);
        story.store(Turn::Write);
        send(&mut story, &mut bob, 30..40);
        assert_eq!(acks(&mut story, &mut bob), []);
        story.restart(End::Cut(seed));
        let (got, present) = collect(&mut story, "alice");
        assert!(present, "seed {seed}");
        let count = u16::try_from(got.len()).expect("few");
        assert!(count >= 20, "seed {seed}: {count} of 20");
        assert_eq!(got, payloads(0..count), "seed {seed}");
    }
}

#[test]
fn in_class_os_a_kill_loses_nothing_and_a_power_cut_a_tail_at_most_f02() {
    for end in (0..40).map(End::Cut).chain([End::Kill]) {
        let mut story = Story::with(2, |config| {
            config.durability = DurabilityRules::always(Durability::Os);
        });
        let (mut alice, _) = story.durable("alice");
        alice.subscribe(story.universe(), "t/#", QoS::AtLeastOnce);
        story.server.settle();
        alice.hang_up(story.universe());
        let mut bob = story.clean(V5, "bob");
        send(&mut story, &mut bob, 0..10);
        story.server.settle();
        send(&mut story, &mut bob, 10..20);
        story.store(Turn::Write);
        assert_eq!(acks(&mut story, &mut bob).len(), 20, "written is enough");
        story.restart(end);
        let (got, present) = collect(&mut story, "alice");
        assert!(present);
        let count = u16::try_from(got.len()).expect("few");
        assert_eq!(got, payloads(0..count), "{end:?}");
        // What was synced for another reason is safe in any case.
        assert!(count >= 10, "{end:?}");
        assert!(
            count == 20 || end != End::Kill,
            "{count} of 20 after a kill"
        );
    }
}

#[test]
fn after_a_failed_sync_nothing_is_acknowledged_whatever_later_syncs_say_f04() {
    for fault in [
        Fault::Once(std::io::ErrorKind::Other),
        Fault::Always(std::io::ErrorKind::Other),
    ] {
        let mut story = Story::new(2);
        away(&mut story, "alice", QoS::AtLeastOnce);
        let mut bob = story.clean(V5, "bob");
        send(&mut story, &mut bob, 0..5);
        story.server.settle();
        assert_eq!(acks(&mut story, &mut bob).len(), 5);
        story.server.disk.fail_syncs(fault);
        send(&mut story, &mut bob, 5..10);
        for _ in 0..5 {
            story.server.settle();
            story.universe().pass(Duration::from_secs(2));
        }
        assert_eq!(acks(&mut story, &mut bob), [], "{fault:?}");
        refused(&mut story);
        story.restart(End::Cut(7));
        let (got, present) = collect(&mut story, "alice");
        assert!(present);
        assert!(got.len() >= 5, "{fault:?}: {got:?}");
        assert_eq!(got[..5], payloads(0..5), "{fault:?}");
    }
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged_f04() {
    let mut story = Story::new(1);
    away(&mut story, "alice", QoS::AtLeastOnce);
    let mut bob = story.clean(V5, "bob");
    send(&mut story, &mut bob, 0..5);
    story.server.settle();
    assert_eq!(acks(&mut story, &mut bob).len(), 5);
    let fault = Fault::Once(std::io::ErrorKind::Other);
    story.server.disk.fail_writes(fault);
    send(&mut story, &mut bob, 5..10);
    for _ in 0..5 {
        story.server.settle();
        story.universe().pass(Duration::from_secs(2));
    }
    assert_eq!(acks(&mut story, &mut bob), []);
    refused(&mut story);
    story.restart(End::Kill);
    let (got, _) = collect(&mut story, "alice");
    assert_eq!(got, payloads(0..5));
}

/// Whoever publishes now hears that the store has failed; MQTT 3.1.1 hears nothing; QoS 0 goes on.
fn refused(story: &mut Story) {
    let mut carol = Peer::join(story.universe(), V5, "carol");
    carol.publish(story.universe(), "t/a", b"no", QoS::AtLeastOnce, 1);
    story.server.settle();
    let heard = acks(story, &mut carol);
    assert_eq!(heard, [(1, ReasonCode::QuotaExceeded)]);
    let mut dave = Peer::join(story.universe(), V311, "dave");
    dave.publish(story.universe(), "t/a", b"no", QoS::AtLeastOnce, 1);
    story.server.settle();
    assert!(dave.received(story.universe()).is_empty());
    carol.subscribe(story.universe(), "live", QoS::AtMostOnce);
    dave.publish(story.universe(), "live", b"on", QoS::AtMostOnce, 0);
    assert_eq!(carol.messages(story.universe()).len(), 1);
}

#[test]
fn a_full_disk_refuses_what_it_would_have_to_store_and_recovers_by_itself_f05() {
    let mut story = Story::with(2, |config| {
        let memory = vec![("live".into(), Durability::Memory)];
        config.durability = DurabilityRules::new(Durability::Disk, Vec::new(), memory);
    });
    away(&mut story, "alice", QoS::AtLeastOnce);
    let mut live = story.clean(V5, "live");
    live.subscribe(story.universe(), "live", QoS::AtLeastOnce);
    let mut bob = story.clean(V5, "bob");
    let mut dave = story.clean(V311, "dave");
    story.server.settle();
    live.received(story.universe());
    story.server.disk.full_after(0);
    let mut accepted = Vec::new();
    let mut refused = 0;
    for number in 0..60_u16 {
        let payload = [number.to_string().into_bytes(), vec![b' '; 6_000]].concat();
        let packet = publish("t/a", &payload, QoS::AtLeastOnce, number + 1);
        bob.send(story.universe(), &Packet::Publish(packet));
        story.universe().pass(Duration::from_millis(200));
        story.server.settle();
        for (id, reason) in acks(&mut story, &mut bob) {
            match reason {
                ReasonCode::Success => accepted.push(id - 1),
                ReasonCode::QuotaExceeded => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(refused > 0, "the disk is full and nothing is refused");
    // MQTT 3.1.1 has no way to refuse, and gets no false acknowledgement.
    dave.publish(story.universe(), "t/a", b"no", QoS::AtLeastOnce, 1);
    story.server.settle();
    assert!(dave.received(story.universe()).is_empty());
    // QoS 0 goes on, and class `memory`.
    dave.publish(story.universe(), "live", b"0", QoS::AtMostOnce, 0);
    dave.publish(story.universe(), "live", b"1", QoS::AtLeastOnce, 2);
    story.server.settle();
    assert_eq!(live.messages(story.universe()).len(), 2);
    story.server.disk.full_after(u64::MAX);
    story.server.advance(Duration::from_secs(1));
    // What waited for room is acknowledged now, and so is what comes.
    let waited = acks(&mut story, &mut bob);
    accepted.extend(waited.iter().map(|(id, _)| id - 1));
    bob.publish(story.universe(), "t/a", b"200", QoS::AtLeastOnce, 201);
    story.server.settle();
    assert_eq!(acks(&mut story, &mut bob), [(201, ReasonCode::Success)]);
    accepted.push(200);
    for end in [End::Kill, End::Cut(3), End::Stop] {
        story.restart(end);
    }
    let (got, _) = collect(&mut story, "alice");
    let got: Vec<String> = got
        .iter()
        .map(|payload| String::from_utf8_lossy(payload).trim_end().to_owned())
        .collect();
    accepted.sort_unstable();
    let wanted: Vec<String> = accepted.iter().map(u16::to_string).collect();
    assert_eq!(got, wanted);
}

/// The newest segment's name, and where its last frame begins and ends.
fn newest(story: &Story) -> String {
    use journal::disk::Disk;
    let mut names = story.server.disk.list().expect("a list");
    names.retain(|name| name.ends_with(".segment") && !name.starts_with("spare"));
    names.sort();
    names.pop().expect("a segment")
}

/// Where these bytes stand in a file.
fn find(story: &Story, name: &str, bytes: &[u8]) -> Option<u64> {
    let content = story.server.disk.content(name)?;
    let mut windows = content.windows(bytes.len());
    let at = windows.position(|window| window == bytes)?;
    u64::try_from(at).ok()
}

#[test]
fn a_damaged_tail_is_cut_off_and_counted_and_nothing_in_it_was_acknowledged_f07() {
    let mut story = Story::new(1);
    away(&mut story, "alice", QoS::AtLeastOnce);
    let mut bob = story.clean(V5, "bob");
    send(&mut story, &mut bob, 0..5);
    story.server.settle();
    assert_eq!(acks(&mut story, &mut bob).len(), 5);
    bob.publish(story.universe(), "t/a", b"the tail", QoS::AtLeastOnce, 6);
    story.store(Turn::Write);
    assert_eq!(acks(&mut story, &mut bob), []);
    let name = newest(&story);
    let at = find(&story, &name, b"the tail").expect("it is written");
    story.server.kill();
    story.server.disk.flip(&name, at, 3);
    let report = story.server.restart(0).expect("a torn tail is no damage");
    assert!(report.dropped_bytes > 0, "{report:?}");
    let (got, _) = collect(&mut story, "alice");
    assert_eq!(got, payloads(0..5));
}

#[test]
fn damage_before_the_tail_is_refused_with_a_word_and_nothing_is_changed_f08() {
    let mut story = Story::new(1);
    away(&mut story, "alice", QoS::AtLeastOnce);
    let mut bob = story.clean(V5, "bob");
    send(&mut story, &mut bob, 0..5);
    bob.publish(story.universe(), "t/a", b"the middle", QoS::AtLeastOnce, 6);
    story.server.settle();
    send(&mut story, &mut bob, 6..9);
    story.server.settle();
    let name = newest(&story);
    let at = find(&story, &name, b"the middle").expect("it is written");
    story.server.kill();
    story.server.disk.flip(&name, at, 0);
    for _ in 0..2 {
        let before = story.server.disk.content(&name);
        let refused = story.server.restart(0).expect_err("it is damaged");
        let text = refused.to_string();
        assert!(text.contains(&name), "{text}");
        assert!(text.contains("nightjar store"), "{text}");
        assert_eq!(story.server.disk.content(&name), before);
    }
    // Nothing was done to the rest: without the damage all is there.
    story.server.disk.flip(&name, at, 0);
    story.server.restart(0).expect("it is whole again");
    let (got, present) = collect(&mut story, "alice");
    assert!(present);
    assert_eq!(got.len(), 9);
}

/// Who shares a turn with class `disk` does not wait for the disk.
#[test]
fn class_os_is_answered_when_it_is_written_beside_class_disk() {
    let mut story = Story::with(1, |config| {
        let os = vec![("t/os".into(), Durability::Os)];
        config.durability = DurabilityRules::new(Durability::Disk, Vec::new(), os);
    });
    away(&mut story, "alice", QoS::AtLeastOnce);
    let mut peers = ["t/os", "t/disk"].map(|topic| (story.clean(V5, topic), topic));
    for (peer, topic) in &peers {
        let packet = Packet::Publish(publish(topic, b"", QoS::AtLeastOnce, 1));
        let mut bytes = Vec::new();
        codec::encode(&packet, V5, &mut bytes).expect("a packet");
        story.universe().arrive(peer.link, &bytes);
    }
    story.universe().settle();
    assert!(story.server.store_turn(Turn::Write), "nobody is woken");
    story.universe().settle();
    let answers = peers
        .each_mut()
        .map(|(peer, _)| acks(&mut story, peer).len());
    assert_eq!(answers, [1, 0]);
    story.server.settle();
    let answers = peers
        .each_mut()
        .map(|(peer, _)| acks(&mut story, peer).len());
    assert_eq!(answers, [0, 1]);
}

#[test]
fn a_damaged_message_is_withheld_and_counted_and_the_others_come_f09() {
    let mut story = Story::with(2, |config| config.limits.stored_memory = 1);
    away(&mut story, "alice", QoS::AtLeastOnce);
    let mut bob = story.clean(V5, "bob");
    send(&mut story, &mut bob, 0..3);
    let mut packet = publish("t/a", b"to be damaged", QoS::AtLeastOnce, 4);
    packet.retain = true;
    bob.send(story.universe(), &Packet::Publish(packet));
    send(&mut story, &mut bob, 4..7);
    story.server.settle();
    assert_eq!(acks(&mut story, &mut bob).len(), 7);
    let name = newest(&story);
    let at = find(&story, &name, b"to be damaged").expect("it is written");
    story.server.disk.flip(&name, at + 2, 6);
    let (got, present) = collect(&mut story, "alice");
    assert!(present);
    let wanted = [payloads(0..3), payloads(4..7)].concat();
    assert_eq!(got, wanted);
    let dropped = story.universe().shared.totals().drops(DropReason::Damaged);
    assert_eq!(dropped, 1);
    // Nor does who subscribes now get it.
    let mut carol = story.clean(V5, "carol");
    carol.subscribe(story.universe(), "t/#", QoS::AtMostOnce);
    story.server.settle();
    assert!(carol.messages(story.universe()).is_empty());
}

const HOUR: i64 = 3_600_000;

#[test]
fn a_wall_clock_that_jumps_between_two_runs_ends_sessions_by_elapsed_time_f10() {
    for (step, there) in [(-24 * HOUR, true), (HOUR / 2, true), (24 * HOUR, false)] {
        let mut story = Story::new(1);
        away(&mut story, "alice", QoS::AtLeastOnce);
        let mut bob = story.clean(V5, "bob");
        let mut packet = publish("t/a", b"lasts two hours", QoS::AtLeastOnce, 1);
        packet.properties.message_expiry = Some(7_200);
        bob.send(story.universe(), &Packet::Publish(packet));
        story.server.settle();
        story
            .try_restart(End::Cut(1), step)
            .expect("the clock is no damage");
        let mut alice = story.back("alice");
        story.server.settle();
        let received = alice.received(story.universe());
        let Packet::ConnAck(connack) = received[0].packet() else {
            panic!("{received:?}")
        };
        assert_eq!(connack.session_present, there, "{step} ms");
        let left = received.iter().filter_map(|one| match one.packet() {
            Packet::Publish(publish) => publish.properties.message_expiry,
            _ => None,
        });
        let left: Vec<u32> = left.collect();
        match (there, &left[..]) {
            (true, [left]) => assert!((5_000..=7_200).contains(left), "{step} ms: {left}"),
            (false, []) => {}
            other => panic!("{step} ms: {other:?}"),
        }
    }
}

#[test]
fn whoever_keeps_alive_stays_connected_whatever_the_wall_clock_said_before_f10() {
    let mut story = Story::new(1);
    story
        .try_restart(End::Stop, -24 * HOUR)
        .expect("the clock is no damage");
    let mut packet = connect(V5, "alice");
    packet.keep_alive = 10;
    let mut alice = story.connect(packet);
    for _ in 0..20 {
        story.server.advance(Duration::from_secs(9));
        alice.send(story.universe(), &Packet::PingReq);
    }
    let link = alice.link;
    assert!(!story.universe().is_closed(link));
    story.server.advance(Duration::from_secs(16));
    assert!(story.universe().is_closed(link));
}

#[test]
fn while_the_disk_stands_still_pings_and_qos_0_go_on_and_nothing_is_acknowledged_f30() {
    let mut story = Story::new(2);
    away(&mut story, "alice", QoS::AtLeastOnce);
    let mut live = story.clean(V5, "live");
    live.subscribe(story.universe(), "#", QoS::AtMostOnce);
    let mut bob = story.clean(V5, "bob");
    story.server.settle();
    live.received(story.universe());
    send(&mut story, &mut bob, 0..5);
    for _ in 0..20 {
        story.universe().advance(Duration::from_millis(100));
        bob.publish(story.universe(), "t/a", b"now", QoS::AtMostOnce, 0);
        bob.send(story.universe(), &Packet::PingReq);
    }
    let heard = bob.received(story.universe());
    let pings = |one: &&Received| matches!(one.packet(), Packet::PingResp);
    assert_eq!(heard.iter().filter(pings).count(), 20);
    assert_eq!(heard.len(), 20, "no PUBACK: {heard:?}");
    assert_eq!(live.messages(story.universe()).len(), 25);
    // The disk goes on: all at once, in order.
    story.server.settle();
    let ids: Vec<u16> = acks(&mut story, &mut bob)
        .iter()
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
}

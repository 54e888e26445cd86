//! QoS 2 across crashes: what is acknowledged in each of its steps is safe before, wherever the
//! server ends (P3).

use codec::Packet;
use sim::Peer;
use sim::durable::{End, Story, Turn};
use sim::peer::publish;
use types::{PacketId, QoS, ReasonCode};

/// A publisher that keeps what it must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    NotYet,
    Published,
    Released,
    Done,
}

/// Both sides of one QoS 2 message, and what they remember.
struct Both {
    story: Story,
    publisher: Peer,
    subscriber: Peer,
    sending: Sending,
    /// Identifiers that the subscriber has taken and that were not released.
    taken: Vec<PacketId>,
    delivered: usize,
}

/// The step after which the server ends.
const STEPS: usize = 9;

impl Both {
    fn new(workers: usize) -> Self {
        let mut story = Story::new(workers);
        let (mut subscriber, _) = story.durable("subscriber");
        subscriber.subscribe(story.universe(), "t", QoS::ExactlyOnce);
        let (publisher, _) = story.durable("publisher");
        story.server.settle();
        subscriber.received(story.universe());
        Self {
            story,
            publisher,
            subscriber,
            sending: Sending::NotYet,
            taken: Vec::new(),
            delivered: 0,
        }
    }

    fn publish(&mut self, again: bool) {
        let mut packet = publish("t", b"once", QoS::ExactlyOnce, 7);
        packet.dup = again;
        self.sending = Sending::Published;
        self.publisher
            .send(self.story.universe(), &Packet::Publish(packet));
    }

    fn release(&mut self) {
        let ack = Peer::ack(id(7), ReasonCode::Success);
        self.sending = Sending::Released;
        self.publisher
            .send(self.story.universe(), &Packet::PubRel(ack));
    }

    /// What the publisher hears: how many packets, and it goes on with what they ask for.
    fn publisher_hears(&mut self) -> usize {
        let received = self.publisher.received(self.story.universe());
        let mut count = 0;
        for packet in &received {
            match packet.packet() {
                Packet::PubRec(ack) => {
                    assert_eq!(ack.packet_id, id(7));
                    assert_eq!(self.sending, Sending::Published);
                    self.sending = Sending::Released;
                }
                Packet::PubComp(_) => {
                    assert_eq!(self.sending, Sending::Released);
                    self.sending = Sending::Done;
                }
                Packet::ConnAck(connack) => {
                    assert!(connack.session_present);
                    continue;
                }
                other => panic!("the publisher gets {other:?}"),
            }
            count += 1;
        }
        count
    }

    /// What the subscriber hears; its answers.
    fn subscriber_hears(&mut self) -> Vec<Packet<'static>> {
        let received = self.subscriber.received(self.story.universe());
        let mut answers = Vec::new();
        for packet in &received {
            match packet.packet() {
                Packet::Publish(publish) => {
                    let id = publish.packet_id.expect("QoS 2 has an identifier");
                    if !self.taken.contains(&id) {
                        assert_eq!(publish.payload, b"once");
                        self.taken.push(id);
                        self.delivered += 1;
                    } else {
                        assert!(publish.dup, "an identifier in use comes without DUP");
                    }
                    answers.push(Packet::PubRec(Peer::ack(id, ReasonCode::Success)));
                }
                Packet::PubRel(ack) => {
                    self.taken.retain(|taken| *taken != ack.packet_id);
                    let ack = Peer::ack(ack.packet_id, ReasonCode::Success);
                    answers.push(Packet::PubComp(ack));
                }
                Packet::ConnAck(connack) => assert!(connack.session_present),
                other => panic!("the subscriber gets {other:?}"),
            }
        }
        answers
    }

    fn subscriber_says(&mut self, packets: &[Packet<'static>]) {
        for packet in packets {
            self.subscriber.send(self.story.universe(), packet);
        }
    }

    /// Goes as far as this step; whatever may not come before the store has synced is looked for
    /// before it has.
    fn go(&mut self, last: usize) {
        let mut answers = Vec::new();
        for step in 1..=last {
            match step {
                1 => self.publish(false),
                2 | 6 => self.story.store(Turn::Write),
                // PUBREC after the record, and PUBLISH after its identifier is safe.
                3 => {
                    assert_eq!(self.publisher_hears(), 0, "PUBREC before its record");
                    assert!(self.subscriber_hears().is_empty(), "PUBLISH before its id");
                    self.story.server.settle();
                    assert_eq!(self.publisher_hears(), 1);
                    answers = self.subscriber_hears();
                    assert_eq!(self.delivered, 1);
                }
                4 => self.release(),
                5 => {
                    assert_eq!(self.publisher_hears(), 0, "PUBCOMP before its record");
                    let answers = std::mem::take(&mut answers);
                    self.subscriber_says(&answers);
                }
                // PUBREL after the record of PUBREC, PUBCOMP after that of PUBREL.
                7 => {
                    assert_eq!(self.publisher_hears(), 0, "PUBCOMP before its record");
                    assert!(
                        self.subscriber_hears().is_empty(),
                        "PUBREL before its record"
                    );
                    self.story.server.settle();
                    assert_eq!(self.publisher_hears(), 1);
                    answers = self.subscriber_hears();
                    assert!(matches!(answers[..], [Packet::PubComp(_)]), "{answers:?}");
                }
                8 => self.subscriber_says(&std::mem::take(&mut answers)),
                _ => self.story.store(Turn::Write),
            }
        }
    }

    /// Both come back and go on from what they remember, until nothing is left.
    fn finish(&mut self) {
        self.publisher = self.story.back("publisher");
        self.publisher_hears();
        match self.sending {
            Sending::NotYet => self.publish(false),
            Sending::Published => self.publish(true),
            Sending::Released => self.release(),
            Sending::Done => {}
        }
        self.subscriber = self.story.back("subscriber");
        for _ in 0..10 {
            self.story.server.settle();
            if self.publisher_hears() > 0 && self.sending == Sending::Released {
                self.release();
            }
            let answers = self.subscriber_hears();
            self.subscriber_says(&answers);
        }
        assert_eq!(self.sending, Sending::Done);
        assert!(self.taken.is_empty());
    }
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not zero")
}

#[test]
fn qos2_arrives_once_wherever_the_server_is_killed_or_loses_its_power_p3() {
    let ends = (0..12).map(End::Cut).chain([End::Kill]);
    for end in ends {
        for workers in 1..=3 {
            for last in 0..=STEPS {
                let mut both = Both::new(workers);
                both.go(last);
                both.story.restart(end);
                both.finish();
                assert_eq!(
                    both.delivered, 1,
                    "{workers} workers, {end:?} after step {last}"
                );
            }
        }
    }
}

#[test]
fn an_identifier_that_is_free_is_free_for_the_next_message_after_any_crash_p3() {
    for end in (0..12).map(End::Cut).chain([End::Kill]) {
        let mut both = Both::new(2);
        both.go(STEPS);
        both.story.restart(end);
        both.finish();
        // The same identifier, another message.
        both.publish(false);
        both.finish();
        assert_eq!(both.delivered, 2, "{end:?}");
    }
}

/// A client id that is at home at this worker, which must have a link of it.
fn at_home(story: &mut Story, worker: usize, name: &str) -> String {
    for number in 0.. {
        let id = format!("{name}{number}");
        let peer = story.clean(types::ProtocolVersion::V5, &id);
        let home = story.universe().worker_of(peer.link);
        story.universe().hang_up(peer.link);
        story.server.settle();
        if home == worker {
            return id;
        }
    }
    unreachable!("one of many is at home anywhere")
}

/// Bytes arrive, and only this worker has a turn.
fn arrive(story: &mut Story, peer: &Peer, packet: &Packet<'_>, worker: usize) {
    let mut bytes = Vec::new();
    codec::encode(packet, types::ProtocolVersion::V5, &mut bytes).expect("a packet");
    story.universe().arrive(peer.link, &bytes);
    story.universe().turn_with(worker, &[]);
}

#[test]
fn a_message_that_comes_again_waits_for_the_workers_that_have_it_on_their_way_p3() {
    let mut story = Story::new(2);
    let (near, far) = (
        at_home(&mut story, 0, "near"),
        at_home(&mut story, 1, "far"),
    );
    let (mut subscriber, _) = story.durable(&far);
    subscriber.subscribe(story.universe(), "t", QoS::ExactlyOnce);
    let (publisher, _) = story.durable(&near);
    story.server.settle();
    let mut packet = publish("t", b"once", QoS::ExactlyOnce, 7);
    arrive(&mut story, &publisher, &Packet::Publish(packet), 0);
    // The other worker does not get around to it; the publisher's link breaks, and it comes back.
    let link = publisher.link;
    story.universe().hang_up(link);
    let mut again = Peer::open_at(story.universe(), types::ProtocolVersion::V5, 0);
    let mut connect = sim::peer::connect(types::ProtocolVersion::V5, &near);
    connect.clean_start = false;
    connect.properties.session_expiry = Some(3_600);
    arrive(&mut story, &again, &Packet::Connect(Box::new(connect)), 0);
    packet.dup = true;
    arrive(&mut story, &again, &Packet::Publish(packet), 0);
    for _ in 0..3 {
        story.server.store_turn(Turn::All);
        let lanes = story.universe().waiting_mail(0);
        let plane = lanes.len() - 1;
        story.universe().turn_with(0, &vec![plane; lanes[plane]]);
    }
    let received = again.received(story.universe());
    assert!(
        matches!(received[..], [ref one] if matches!(one.packet(), Packet::ConnAck(_))),
        "PUBREC before all have recorded it: {received:?}"
    );
    story.restart(End::Cut(1));
    let (mut publisher, present) = story.durable(&near);
    assert!(present);
    let mut packet = publish("t", b"once", QoS::ExactlyOnce, 7);
    packet.dup = true;
    publisher.send(story.universe(), &Packet::Publish(packet));
    story.server.settle();
    let mut subscriber = story.back(&far);
    assert_eq!(subscriber.messages(story.universe()).len(), 1);
}

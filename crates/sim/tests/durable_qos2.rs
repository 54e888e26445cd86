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

/// A QoS 2 message of a publisher at worker 0, for sessions at both workers, of which the first has
/// recorded it. The publisher and both subscribers.
fn half_taken(story: &mut Story) -> (Peer, String, [String; 2]) {
    let name = at_home(story, 0, "publisher");
    let subscribers = [at_home(story, 0, "near"), at_home(story, 1, "far")];
    for client in &subscribers {
        let (mut peer, _) = story.durable(client);
        peer.subscribe(story.universe(), "t", QoS::ExactlyOnce);
        story.server.settle();
        peer.hang_up(story.universe());
    }
    let (publisher, _) = story.durable(&name);
    story.server.settle();
    let packet = publish("t", b"once", QoS::ExactlyOnce, 7);
    arrive(story, &publisher, &Packet::Publish(packet), 0);
    story.server.store_turn(Turn::All);
    (publisher, name, subscribers)
}

fn again() -> Packet<'static> {
    let mut packet = publish("t", b"once", QoS::ExactlyOnce, 7);
    packet.dup = true;
    Packet::Publish(packet)
}

/// All that a subscriber gets, with the QoS of each message; it answers nothing.
fn qos_of_all(story: &mut Story, peer: &mut Peer) -> Vec<QoS> {
    story.server.settle();
    let received = peer.received(story.universe());
    let packets = received
        .iter()
        .filter_map(|received| match received.packet() {
            Packet::Publish(publish) => Some(publish.qos),
            _ => None,
        });
    packets.collect()
}

#[test]
fn who_has_a_message_of_an_earlier_run_does_not_get_it_again_at_qos_0_p3() {
    let mut story = Story::new(2);
    let (_, name, [near, far]) = half_taken(&mut story);
    story.restart(End::Kill);
    let mut subscriber = story.back(&near);
    assert_eq!(qos_of_all(&mut story, &mut subscriber), [QoS::ExactlyOnce]);
    subscriber.subscribe(story.universe(), "t", QoS::AtMostOnce);
    story.server.settle();
    let mut publisher = story.back(&name);
    publisher.send(story.universe(), &again());
    assert_eq!(qos_of_all(&mut story, &mut subscriber), []);
    let mut other = story.back(&far);
    assert_eq!(qos_of_all(&mut story, &mut other), [QoS::ExactlyOnce]);
}

/// Who has the message of an earlier run does not count as having another one with its identifier,
/// even if the server ends again before that is taken in as a whole.
#[test]
fn another_message_with_the_identifier_of_an_earlier_run_is_not_taken_for_it_p3() {
    let mut story = Story::new(2);
    let (_, name, [near, _]) = half_taken(&mut story);
    story.restart(End::Kill);
    let publisher = story.back(&name);
    let here = story.universe().worker_of(publisher.link);
    let other = at_home(&mut story, 1 - here, "other");
    let (mut peer, _) = story.durable(&other);
    peer.subscribe(story.universe(), "u", QoS::ExactlyOnce);
    story.server.settle();
    peer.hang_up(story.universe());
    let mut packet = publish("u", b"other", QoS::ExactlyOnce, 7);
    arrive(&mut story, &publisher, &Packet::Publish(packet), here);
    // The other worker records it, and its answer comes too late.
    let lanes = story.universe().waiting_mail(1 - here);
    assert_eq!(lanes[here], 1);
    story.universe().turn_with(1 - here, &[here]);
    story.server.store_turn(Turn::All);
    story.restart(End::Kill);
    let mut subscriber = story.back(&near);
    subscriber.subscribe(story.universe(), "u", QoS::ExactlyOnce);
    assert_eq!(qos_of_all(&mut story, &mut subscriber), [QoS::ExactlyOnce]);
    let mut publisher = story.back(&name);
    packet.dup = true;
    publisher.send(story.universe(), &Packet::Publish(packet));
    assert_eq!(qos_of_all(&mut story, &mut subscriber), [QoS::ExactlyOnce]);
    let mut other = story.back(&other);
    assert_eq!(qos_of_all(&mut story, &mut other), [QoS::ExactlyOnce]);
}

#[test]
fn each_time_a_message_comes_it_is_answered_and_nothing_is_stuck_behind_it() {
    let mut story = Story::new(2);
    let (publisher, name, [_, far]) = half_taken(&mut story);
    // Twice more on the old link, then three times on a new one that takes over.
    for _ in 0..2 {
        arrive(&mut story, &publisher, &again(), 0);
    }
    let mut new = Peer::open_at(story.universe(), types::ProtocolVersion::V5, 0);
    let mut connect = sim::peer::connect(types::ProtocolVersion::V5, &name);
    connect.clean_start = false;
    connect.properties.session_expiry = Some(3_600);
    arrive(&mut story, &new, &Packet::Connect(Box::new(connect)), 0);
    for _ in 0..3 {
        arrive(&mut story, &new, &again(), 0);
    }
    let next = publish("t", b"next", QoS::ExactlyOnce, 8);
    arrive(&mut story, &new, &Packet::Publish(next), 0);
    story.server.store_turn(Turn::All);
    story.universe().turn_with(0, &[]);
    let received = new.received(story.universe());
    assert_eq!(received.len(), 1, "only CONNACK: {received:?}");
    story.server.settle();
    let received = new.received(story.universe());
    let answered: Vec<u16> = received
        .iter()
        .map(|received| match received.packet() {
            Packet::PubRec(ack) => ack.packet_id.get(),
            other => panic!("the publisher gets {other:?}"),
        })
        .collect();
    assert_eq!(answered, [7, 7, 7, 8]);
    let mut subscriber = story.back(&far);
    assert_eq!(qos_of_all(&mut story, &mut subscriber).len(), 2);
}

/// However often it sends, a client has no more answers waiting for a slow disk than it may have
/// messages unacknowledged; nothing is lost by that.
#[test]
fn answers_that_wait_for_the_store_are_bounded() {
    let floods: [fn(&mut Peer, &mut Story); 3] = [
        |peer, story| peer.send(story.universe(), &again()),
        |peer, story| {
            let ack = Peer::ack(id(99), ReasonCode::Success);
            peer.send(story.universe(), &Packet::PubRel(ack));
        },
        |peer, story| peer.subscribe(story.universe(), "other", QoS::AtMostOnce),
    ];
    for flood in floods {
        let mut story = Story::with(1, |config| config.limits.receive_maximum = 5);
        let (mut subscriber, _) = story.durable("subscriber");
        subscriber.subscribe(story.universe(), "t", QoS::ExactlyOnce);
        let (mut publisher, _) = story.durable("publisher");
        story.server.settle();
        for _ in 0..20 {
            flood(&mut publisher, &mut story);
        }
        assert!(publisher.received(story.universe()).is_empty());
        assert!(story.universe().is_paused(publisher.link));
        story.server.settle();
        assert_eq!(publisher.received(story.universe()).len(), 20);
        assert!(!story.universe().is_paused(publisher.link));
    }
}

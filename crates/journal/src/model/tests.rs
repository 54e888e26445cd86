use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use store::{Delivery, Record, Settled, Stage};
use types::{DeliveryNumber, Durability, Message, MessageParts, PacketId, Time};

use super::script::{CLOCK, History, steps};
use super::*;
use crate::checkpoint::{Checkpoint, Progress};
use crate::log::FrameAt;
use crate::record::{StoreClock, encode, encode_body, encode_retained_state};

mod expiry;

impl Model {
    /// A message alone is lost.
    pub(crate) fn forget_for_test(&mut self, message: MessageRef) {
        let segment = u64::from(u32::MAX);
        let mut known = self.messages.known(message.0).unwrap();
        known.place.segment = segment;
        self.messages.place(message.0, known, 0).unwrap();
        self.lose(segment);
    }

    /// What is counted is what is there.
    pub(crate) fn check(&self) {
        let mut references: BTreeMap<u64, u32> = BTreeMap::new();
        let mut deliveries = 0;
        for session in self.sessions.values() {
            for entry in session.queue.iter() {
                deliveries += 1;
                if entry.message != 0 {
                    *references.entry(entry.message).or_default() += 1;
                }
            }
        }
        for known in self.retained.values().filter(|known| known.message != 0) {
            *references.entry(known.message).or_default() += 1;
        }
        for (&message, groups) in &self.passed {
            assert!(!groups.is_empty());
            *references.entry(message).or_default() += u32::try_from(groups.len()).unwrap();
        }
        let needed = references.len();
        for (message, count) in self.messages.references() {
            assert_eq!(references.remove(&message).unwrap_or(0), count, "{message}");
        }
        assert_eq!(references, BTreeMap::new());
        assert_eq!(self.counts().deliveries, deliveries);
        assert_eq!(self.counts().messages, u64::try_from(needed).unwrap());
        let bytes: u64 = self.segments().map(|(_, used)| used.bytes).sum();
        assert_eq!(self.live_bytes(), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_replay_gives_what_happened(steps in steps()) {
        let history = History::new(&steps);
        let (recovered, losses) = history.plain.recover(history.now());
        let expected = format!("{recovered:#?}");
        let replays = [
            history.replay_without_checkpoints(),
            history.replay_all(),
            history.replay_from_checkpoint(),
        ];
        let (first, _) = &replays[0];
        for (model, lost) in &replays {
            prop_assert_eq!(&expected, &format!("{:#?}", history.recovered(model)));
            prop_assert_eq!(&losses, lost);
            prop_assert_eq!(model.counts(), first.counts());
            prop_assert_eq!(model.last_session().0, history.plain.last_session());
            for &message in &history.messages {
                prop_assert_eq!(model.locate(message), first.locate(message));
                if let Some(place) = model.locate(message) {
                    let (_, found) = history.find(place.segment, place.offset);
                    prop_assert_eq!(found, message);
                }
            }
        }
        let live = history.live.counts();
        prop_assert!(live.deliveries >= first.counts().deliveries);
    }

    #[test]
    fn any_payload_is_applied_or_refused(
        steps in steps(), place in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let history = History::new(&steps);
        let mut model = Model::new(3);
        for frame in &history.frames {
            let mut payload = frame.payload.clone();
            let place = place.index(payload.len());
            payload[place] = to;
            if model.apply(frame.at, &payload).is_ok() {
                model.check();
            }
        }
    }
}

/// A model that is fed by hand.
struct Fed {
    model: Model,
    now: u64,
    offset: u64,
}

const MINUTE: u64 = 60_000;

impl Fed {
    fn new() -> Self {
        let mut model = Model::new(1);
        model.end_replay(CLOCK.base);
        Self {
            model,
            now: CLOCK.base,
            offset: 4096,
        }
    }

    fn apply(&mut self, payload: &[u8]) {
        let at = FrameAt {
            segment: 1,
            offset: self.offset,
            sequence: self.offset / 1_000,
            time: self.now,
        };
        self.model.apply(at, payload).unwrap();
        self.offset += 1_000;
        self.model.check();
    }

    fn record(&mut self, record: &Record<'_>) {
        let mut out = Vec::new();
        encode(record, CLOCK, &mut out);
        self.apply(&out);
    }

    fn keep(&mut self, message: MessageRef) {
        let parts = MessageParts {
            properties: &[],
            payload: b"payload",
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            expires: None,
            durability: Durability::Disk,
            followed: types::Followed::No,
        };
        let body = Message::new(Arc::from("t"), parts);
        let mut out = Vec::new();
        encode_body(message, &body, CLOCK, &mut out);
        self.apply(&out);
    }

    fn session(&mut self, session: u64, expiry: Duration, will: Option<Duration>) {
        let client = ClientId::new(&format!("c{session}")).unwrap();
        self.record(&Record::Session {
            session: StoredSession(session),
            client: &client,
            user: None,
            expiry,
            will: will.map(|delay| store::WillParts {
                topic: "w",
                properties: &[],
                payload: b"gone",
                qos: QoS::AtLeastOnce,
                retain: false,
                delay,
                message_expiry: None,
                durability: Durability::Disk,
            }),
        });
    }

    fn owe(&mut self, message: MessageRef, session: u64, number: u64, id: Option<u16>) {
        let delivery = Delivery {
            session: StoredSession(session),
            number: DeliveryNumber::new(number).unwrap(),
            qos: QoS::ExactlyOnce,
            retain: false,
            packet_id: id.and_then(PacketId::new),
            ids: None,
            share: None,
        };
        self.record(&Record::Owed {
            message,
            deliveries: &[delivery],
        });
    }

    fn settle(&mut self, session: u64, number: u64, step: Settled) {
        self.record(&Record::Settled {
            session: StoredSession(session),
            number: DeliveryNumber::new(number).unwrap(),
            step,
        });
    }

    fn begin(&mut self, session: u64, id: u16, owed: &[u64]) {
        let owed: Vec<StoredSession> = owed.iter().copied().map(StoredSession).collect();
        self.record(&Record::Begun {
            session: StoredSession(session),
            id: PacketId::new(id).unwrap(),
            owed: &owed,
        });
    }

    /// What the first session has begun to publish.
    fn begun(&self) -> Vec<(u16, Vec<u64>)> {
        let recovered = self.model.recovered(StoreClock { base: self.now });
        let begun = recovered.sessions[0].begun.iter();
        begun
            .map(|(id, begun)| (id.get(), begun.sessions.iter().map(|it| it.0).collect()))
            .collect()
    }

    fn pass_time(&mut self, millis: u64) {
        self.now += millis;
        self.model.tidy(self.now);
        self.model.check();
    }

    fn recovered(&mut self) -> store::Recovered {
        self.model.end_replay(self.now);
        self.model.check();
        self.model.recovered(StoreClock { base: self.now })
    }
}

fn message(count: u64) -> MessageRef {
    MessageRef((CLOCK.base << MessageRef::COUNT_BITS) + count)
}

const EVER: Duration = Duration::MAX;

#[test]
fn a_message_stays_a_while_when_nobody_refers_to_it() {
    let mut fed = Fed::new();
    fed.keep(message(1));
    fed.pass_time(GRACE - 1);
    assert!(fed.model.locate(message(1)).is_some());
    assert_eq!(fed.model.counts().messages, 0);
    fed.pass_time(1);
    assert_eq!(fed.model.locate(message(1)), None);
    assert_eq!(fed.model.live(1), SegmentUse::default());
}

#[test]
fn a_reference_brings_a_message_back_from_limbo() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    fed.session(2, EVER, None);
    fed.keep(message(1));
    fed.owe(message(1), 1, 1, None);
    fed.pass_time(MINUTE / 2);
    fed.settle(1, 1, Settled::Done);
    // Another worker's reference comes late.
    fed.pass_time(MINUTE - 1);
    fed.owe(message(1), 2, 1, None);
    fed.pass_time(10 * MINUTE);
    assert!(fed.model.locate(message(1)).is_some());
    // Its time begins anew with the last reference.
    fed.settle(2, 1, Settled::Done);
    fed.pass_time(MINUTE - 1);
    assert!(fed.model.locate(message(1)).is_some());
    fed.pass_time(1);
    assert_eq!(fed.model.locate(message(1)), None);
    assert_eq!(fed.model.anomalies(), 0);
}

#[test]
fn one_session_may_be_owed_a_message_twice() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    fed.keep(message(1));
    fed.owe(message(1), 1, 1, None);
    fed.owe(message(1), 1, 2, None);
    assert_eq!(fed.model.counts().messages, 1);
    assert_eq!(fed.model.counts().deliveries, 2);
    fed.settle(1, 1, Settled::Done);
    fed.pass_time(2 * MINUTE);
    let deliveries = &fed.recovered().sessions[0].deliveries;
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].number.get(), 2);
    let Stage::Waiting(body) = deliveries[0].stage else {
        panic!("{deliveries:?}");
    };
    assert_eq!((body.reference, body.size), (message(1), 8));
}

#[test]
fn a_received_message_is_needed_no_longer_but_its_identifier_is() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    fed.keep(message(1));
    fed.owe(message(1), 1, 1, Some(9));
    fed.settle(1, 1, Settled::Received);
    fed.pass_time(2 * MINUTE);
    assert_eq!(fed.model.locate(message(1)), None);
    let recovered = fed.recovered();
    let deliveries = &recovered.sessions[0].deliveries;
    assert_eq!(
        deliveries[0].stage,
        Stage::Received(PacketId::new(9).unwrap())
    );
    assert_eq!(recovered.sessions[0].next.get(), 2);
}

#[test]
fn what_was_begun_stays_until_it_is_received_as_a_whole() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    let (session, id) = (StoredSession(1), PacketId::new(7).unwrap());
    fed.begin(1, 8, &[6]);
    fed.begin(1, 7, &[5, 2]);
    fed.begin(1, 7, &[3, 5]);
    assert_eq!(fed.begun(), [(7, vec![2, 3, 5]), (8, vec![6])]);
    fed.record(&Record::Received { session, id });
    assert_eq!(fed.begun(), [(8, vec![6])]);
    fed.begin(1, 7, &[4]);
    fed.record(&Record::Released { session, id });
    assert_eq!(fed.begun(), [(8, vec![6])]);
    // It was never received as a whole, and is released all the same.
    fed.begin(1, 7, &[4]);
    fed.record(&Record::Released { session, id });
    assert_eq!(fed.begun(), [(8, vec![6])]);
    assert_eq!(fed.model.anomalies(), 0);
    fed.record(&Record::SessionEnded { session });
    fed.begin(1, 9, &[4]);
    assert_eq!(fed.model.anomalies(), 1);
    fed.session(1, EVER, None);
    assert_eq!(fed.begun(), []);
}

#[test]
fn a_checkpoint_holds_what_was_begun_and_replaces_it() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    fed.begin(1, 7, &[2, 3]);
    fed.begin(1, 9, &[2]);
    let mut out = Vec::new();
    let mut checkpoint = Checkpoint::begin(&fed.model, 2);
    assert_eq!(
        checkpoint.step(&fed.model, &mut out, 10_000),
        Progress::Done
    );
    let expected = [(7, vec![2, 3]), (9, vec![2])];
    // A replay that knows more, and one that knows nothing.
    fed.begin(1, 7, &[4]);
    fed.begin(1, 8, &[4]);
    fed.apply(&out);
    assert_eq!(fed.begun(), expected);
    let mut fed = Fed::new();
    fed.apply(&out);
    assert_eq!(fed.begun(), expected);
}

#[test]
fn a_clearing_is_remembered_for_changes_that_come_late() {
    let mut fed = Fed::new();
    fed.keep(message(1));
    let topic = "t";
    fed.record(&Record::Cleared { topic, sequence: 5 });
    fed.record(&Record::Retained {
        message: message(1),
        topic,
        sequence: 4,
        publisher: None,
    });
    assert_eq!(fed.model.counts().retained, 0);
    // So it is in a checkpoint.
    let mut out = Vec::new();
    encode_retained_state(None, 7, topic, None, &mut out);
    fed.apply(&out);
    fed.record(&Record::Retained {
        message: message(1),
        topic,
        sequence: 6,
        publisher: None,
    });
    assert_eq!(fed.model.counts().retained, 0);
    fed.record(&Record::Retained {
        message: message(1),
        topic,
        sequence: 8,
        publisher: None,
    });
    // What is known of the clearings goes, what came after them stays.
    fed.pass_time(2 * MINUTE);
    let recovered = fed.recovered();
    assert_eq!(recovered.retained.len(), 1);
    assert_eq!((recovered.retained[0].sequence, recovered.sequence), (8, 8));
    fed.record(&Record::Cleared { topic, sequence: 9 });
    fed.pass_time(MINUTE);
    assert_eq!(fed.model.topics().len(), 0);
}

#[test]
fn the_clients_of_a_start_are_away() {
    let mut fed = Fed::new();
    let hour = Duration::from_secs(3600);
    fed.session(1, EVER, Some(Duration::from_secs(5)));
    fed.session(2, hour, None);
    // A will waits no longer than its session lasts.
    fed.session(3, Duration::from_secs(60), Some(hour));
    fed.session(4, Duration::ZERO, Some(Duration::ZERO));
    fed.keep(message(1));
    fed.owe(message(1), 4, 1, None);
    fed.now += 1_000;
    let recovered = fed.recovered();
    let sessions: Vec<_> = recovered
        .sessions
        .iter()
        .map(|session| {
            (
                session.session.0,
                session.ends,
                session.will.as_ref().map(|will| will.0),
            )
        })
        .collect();
    let at = Time::from_millis;
    let expected = [
        (1, None, Some(at(5_000))),
        (2, Some(at(3_600_000)), None),
        (3, Some(at(60_000)), Some(at(60_000))),
    ];
    assert_eq!(sessions, expected);
    // What the session was owed that is not brought back is needed no longer.
    assert_eq!(fed.model.locate(message(1)), None);
}

#[test]
fn what_was_due_before_the_start_is_due_at_once() {
    let mut fed = Fed::new();
    fed.session(1, EVER, Some(Duration::from_secs(5)));
    let at = Time::from_millis;
    fed.record(&Record::Away {
        session: StoredSession(1),
        ends: Some(at(90_000)),
        will: Some(at(5_000)),
    });
    fed.now += 70_000;
    let session = &fed.recovered().sessions[0];
    assert_eq!(session.ends, Some(at(20_000)));
    assert_eq!(session.will.as_ref().unwrap().0, Time::ZERO);
}

#[test]
fn a_will_is_that_of_the_last_connection() {
    let mut fed = Fed::new();
    let seconds = Duration::from_secs;
    let away = |will| Record::Away {
        session: StoredSession(1),
        ends: None,
        will,
    };
    fed.session(1, EVER, Some(seconds(5)));
    fed.record(&away(Some(Time::from_millis(5_000))));
    // It came back in time, with another will.
    fed.session(1, EVER, Some(seconds(7)));
    let wills = |fed: &Fed| {
        let recovered = fed.model.recovered(StoreClock { base: fed.now });
        recovered.sessions[0]
            .will
            .clone()
            .map(|(due, will)| (due, will.delay))
    };
    assert_eq!(wills(&fed), Some((Time::from_millis(7_000), seconds(7))));
    // It left in good order, or its will was published.
    fed.record(&away(None));
    assert_eq!(wills(&fed), None);
    fed.record(&away(Some(Time::from_millis(1))));
    assert_eq!(wills(&fed), None);
    // It came back without one.
    fed.session(1, EVER, Some(seconds(7)));
    fed.session(1, EVER, None);
    assert_eq!(wills(&fed), None);
}

#[test]
fn what_refers_to_lost_messages_is_dropped_and_reported() {
    let mut fed = Fed::new();
    let group = SubscriptionFilter::parse("$share/g/a", 9).unwrap();
    for session in 1..4 {
        fed.session(session, EVER, None);
    }
    fed.keep(message(1));
    fed.keep(message(2));
    fed.owe(message(1), 1, 1, None);
    fed.owe(message(2), 1, 2, Some(4));
    fed.owe(message(2), 3, 1, None);
    fed.owe(message(2), 2, 1, Some(4));
    fed.settle(2, 1, Settled::Received);
    fed.record(&Record::Retained {
        message: message(2),
        topic: "t",
        sequence: 1,
        publisher: None,
    });
    fed.record(&Record::Passed {
        message: message(1),
        group: &group,
    });
    assert_eq!(fed.model.sessions_owed(message(2)).len(), 2);
    fed.model.lose(1);
    let losses = fed.model.end_replay(fed.now);
    fed.model.check();
    let clients = ["c1", "c3"].map(|id| ClientId::new(id).unwrap());
    let expected = Losses {
        deliveries: 3,
        clients: clients.to_vec(),
        retained: vec![Arc::from("t")],
        passed: 1,
        suspects: Vec::new(),
    };
    assert_eq!(losses, expected);
    assert_eq!(fed.model.counts().deliveries, 1);
    assert_eq!(fed.model.messages(), 0);
    assert_eq!(fed.model.segments().count(), 0);
    let sessions = fed.recovered().sessions;
    let queues: Vec<usize> = sessions
        .iter()
        .map(|session| session.deliveries.len())
        .collect();
    assert_eq!(queues, [0, 1, 0]);
}

#[test]
fn numbers_tell_what_was_in_lost_frames() {
    let mut fed = Fed::new();
    fed.model = Model::new(1);
    for session in 1..=4 {
        fed.session(session, EVER, None);
    }
    for number in 1..=3 {
        fed.keep(message(number));
        fed.owe(message(number), 1, number, None);
        fed.owe(message(number), 2, number, None);
    }
    // A frame is lost, and a second one.
    fed.offset += 1_000;
    fed.keep(message(9));
    fed.owe(message(9), 2, 4, None);
    fed.offset += 1_000;
    fed.owe(message(9), 1, 6, None);
    fed.owe(message(9), 1, 7, None);
    fed.owe(message(9), 3, 2, None);
    let losses = fed.model.end_replay(fed.now);
    let suspects = [("c1", 2), ("c3", 1)].map(|(id, lost)| (ClientId::new(id).unwrap(), lost));
    assert_eq!(losses.suspects, suspects);
    assert!(!losses.is_empty());
    // From here on there are no frames that are not applied by others.
    fed.offset += 1_000;
    fed.owe(message(9), 1, 9, None);
    assert!(fed.model.end_replay(fed.now).is_empty());
}

#[test]
fn records_of_the_unknown_are_counted_when_all_is_known() {
    let mut fed = Fed::new();
    fed.settle(1, 1, Settled::Done);
    fed.owe(message(9), 1, 1, None);
    assert_eq!(fed.model.anomalies(), 2);
    // The reference is there, the message is not.
    fed.session(1, EVER, None);
    fed.owe(message(9), 1, 1, None);
    assert_eq!(fed.model.anomalies(), 3);
    assert_eq!(fed.model.locate(message(9)), None);
    // Before the end of a replay's checkpoint it is what must be expected.
    fed.model = Model::new(1);
    fed.settle(1, 1, Settled::Done);
    assert_eq!(fed.model.anomalies(), 0);
}

#[test]
fn the_oldest_message_is_known_to_a_second() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    assert_eq!(fed.model.oldest(), None);
    for number in 1..4 {
        let message = MessageRef((CLOCK.base + number * 5_000) << MessageRef::COUNT_BITS);
        fed.keep(message);
        fed.owe(message, 1, number, None);
        assert_eq!(fed.model.last_reference(), message);
    }
    fed.settle(1, 1, Settled::Done);
    let oldest = fed.model.oldest().unwrap().millis();
    let came = CLOCK.base + 10_000;
    assert!((came - 1_024..=came).contains(&oldest));
}

#[test]
fn many_messages_of_nobody_are_forgotten_sooner() {
    let mut fed = Fed::new();
    let count = u64::try_from(LIMBO).unwrap() + 10;
    let mut messages = Messages::new(&|| FixedState::with_seed(1));
    for number in 1..=count {
        messages.refer(number);
        messages.release(number, fed.now);
    }
    messages.tidy(fed.now + HURRIED_GRACE - 1, Hurry::Yes);
    assert_eq!(messages.references().len(), LIMBO + 10);
    messages.tidy(fed.now + HURRIED_GRACE, Hurry::No);
    assert_eq!(messages.references().len(), LIMBO + 10);
    messages.tidy(fed.now + HURRIED_GRACE, Hurry::IfMany);
    assert_eq!(messages.references().len(), LIMBO);
    messages.tidy(fed.now + HURRIED_GRACE, Hurry::Yes);
    assert_eq!(messages.references().len(), 0);
    fed.pass_time(1);
}

use super::*;
use crate::checkpoint::Checkpoint;

impl Fed {
    fn keep_until(&mut self, message: MessageRef, expires: Option<Time>) {
        let parts = MessageParts {
            properties: &[],
            payload: b"payload",
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            expires,
            durability: Durability::Disk,
            followed: types::Followed::No,
        };
        let body = Message::new(Arc::from("t"), parts);
        let mut out = Vec::new();
        encode_body(message, &body, CLOCK, &mut out);
        self.apply(&out);
    }

    fn away(&mut self, session: u64) {
        self.record(&Record::Away {
            session: StoredSession(session),
            ends: None,
            will: None,
        });
    }

    /// Drops what expired before a point in time.
    fn expire(&mut self, before: Time) {
        let mut walk = ExpiryWalk::begin(&mut self.model, CLOCK.millis(before));
        let mut out = Vec::new();
        assert_eq!(walk.step(&mut self.model, &mut out, 1_000), Progress::Done);
        self.apply(&out);
    }

    /// The numbers that sessions are owed.
    fn owed(&self, session: u64) -> Vec<u64> {
        let recovered = self.model.recovered(StoreClock { base: self.now });
        let mut sessions = recovered.sessions.iter();
        let session = sessions.find(|it| it.session.0 == session).unwrap();
        session
            .deliveries
            .iter()
            .map(|it| it.number.get())
            .collect()
    }
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

#[test]
fn what_expired_is_dropped_if_it_waits_for_a_client_that_is_away() {
    let mut fed = Fed::new();
    for session in 1..4 {
        fed.session(session, EVER, None);
        fed.away(session);
    }
    fed.session(3, EVER, None);
    fed.keep_until(message(1), Some(at(100)));
    fed.keep_until(message(2), None);
    fed.owe(message(1), 1, 1, None);
    fed.owe(message(2), 1, 2, None);
    // What was sent once is completed.
    fed.owe(message(1), 2, 1, Some(9));
    // Whoever is there looks at its queue itself.
    fed.owe(message(1), 3, 1, None);
    fed.expire(at(100));
    assert_eq!(fed.owed(1), [1, 2]);
    fed.expire(at(101));
    assert_eq!(
        [fed.owed(1), fed.owed(2), fed.owed(3)],
        [vec![2], vec![1], vec![1]]
    );
    // When it leaves, it is found.
    assert_eq!(fed.model.soonest(), Some(CLOCK.base + 100));
    fed.away(3);
    fed.expire(at(101));
    assert!(fed.owed(3).is_empty());
    assert_eq!(fed.model.soonest(), None);
    fed.settle(2, 1, Settled::Done);
    fed.pass_time(2 * MINUTE);
    assert_eq!(fed.model.locate(message(1)), None);
}

#[test]
fn what_belongs_to_a_group_stays_for_another_member() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    fed.away(1);
    fed.keep_until(message(1), Some(at(100)));
    fed.record(&Record::Owed {
        message: message(1),
        deliveries: &[Delivery {
            session: StoredSession(1),
            number: DeliveryNumber::FIRST,
            qos: QoS::AtLeastOnce,
            retain: false,
            packet_id: None,
            ids: None,
            share: Some(Arc::new(
                SubscriptionFilter::parse("$share/g/t", 9).unwrap(),
            )),
        }],
    });
    fed.expire(at(1_000));
    assert_eq!(fed.owed(1), [1]);
}

#[test]
fn what_a_worker_still_says_of_a_dropped_delivery_is_no_anomaly() {
    let mut fed = Fed::new();
    fed.session(1, EVER, None);
    fed.away(1);
    fed.keep_until(message(1), Some(at(100)));
    for number in 1..4 {
        fed.owe(message(1), 1, number, None);
    }
    fed.expire(at(101));
    fed.settle(1, 2, Settled::Done);
    assert_eq!(fed.model.anomalies(), 0);
    // So it is after a checkpoint.
    let mut out = Vec::new();
    let mut checkpoint = Checkpoint::begin(&fed.model, 2);
    let progress = checkpoint.step(&fed.model, &mut out, 10_000);
    assert_eq!(progress, Progress::Done);
    let mut replayed = Fed::new();
    for fed in [&mut fed, &mut replayed] {
        fed.apply(&out);
        fed.settle(1, 3, Settled::Done);
        assert_eq!(fed.model.anomalies(), 0);
        fed.settle(1, 4, Settled::Done);
        assert_eq!(fed.model.anomalies(), 1);
    }
}

#[test]
fn a_retained_message_that_expired_is_cleared() {
    let mut fed = Fed::new();
    fed.keep_until(message(1), Some(at(100)));
    fed.keep_until(message(2), Some(at(900)));
    for (count, topic) in [(1, "a"), (2, "b")] {
        fed.record(&Record::Retained {
            message: message(count),
            topic,
            sequence: count,
            publisher: None,
        });
    }
    fed.expire(at(101));
    assert_eq!(fed.model.retained("a"), Some((None, 1, None)));
    assert_eq!(fed.model.retained("b"), Some((Some(message(2)), 2, None)));
    assert_eq!(fed.model.counts().retained, 1);
    assert_eq!(fed.model.soonest(), Some(CLOCK.base + 900));
    fed.pass_time(2 * MINUTE);
    assert_eq!(fed.model.locate(message(1)), None);
}

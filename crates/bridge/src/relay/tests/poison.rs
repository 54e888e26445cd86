//! A message that the other server ends the connection for.

use std::time::Duration;

use codec::{Publish, PublishProperties};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode, Time};

use super::super::suspicion::{Gate, Suspicion};
use super::{End, Pair, Side, VERSIONS, settings};
use crate::figures::Dropped;

impl Pair {
    /// Time passes until nothing is due, or the relay is over; so long at most.
    fn pass(&mut self, most: Duration) {
        let until = self.now + most;
        while self.step([usize::MAX; 4]) {}
        while self.relay.end().is_none() {
            match self.relay.poll_timeout(self.now) {
                Some(due) if due <= until => self.now = self.now.max(due),
                _ => break,
            }
            self.relay.handle_timeout(self.now);
            while self.step([usize::MAX; 4]) {}
        }
        if self.relay.end().is_none() {
            self.now = until;
        }
    }

    /// Connects again after each end by the other server; how often that was.
    fn live(&mut self, most: usize) -> usize {
        for times in 0..most {
            self.pass(Duration::from_secs(40));
            match self.relay.end() {
                None => return times,
                Some(End::Closed(Side::Remote)) => self.again(),
                Some(other) => panic!("{other}"),
            }
        }
        most
    }

    fn again(&mut self) {
        self.now = self.now + Duration::from_secs(1);
        self.reconnect(true);
    }

    /// The other server is killed.
    fn kill(&mut self) {
        self.relay.handle_closed(Side::Remote, self.now);
        self.again();
    }

    fn given_up(&self) -> u64 {
        self.figures.dropped(Dropped::EndsConnection)
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn s101_one_message_does_not_hold_up_the_others_for_ever() {
    for version in VERSIONS {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut pair = Pair::new(settings(version));
            pair.there.poison = Some("poison".into());
            pair.run();
            for number in numbers(0..10) {
                pair.here.send("l/a", &number, qos);
            }
            pair.here.send("l/bad", "poison", qos);
            for number in numbers(10..60) {
                pair.here.send("l/a", &number, qos);
            }
            // Twice or three times until it is suspected, and three strikes.
            let ends = pair.live(20);
            assert!((5..=6).contains(&ends), "{version:?} {qos:?}: {ends}");
            let mut came = pair.there.published("r/a");
            came.dedup();
            assert_eq!(came, numbers(0..60), "{version:?} {qos:?}");
            assert_eq!(pair.given_up(), 1);
            assert!(pair.here.is_settled() && pair.relay.is_idle());
            let told = pair.relay.take_given_up().expect("it is told");
            assert_eq!((&*told.topic, told.bytes), ("l/bad", 6));
            assert_eq!(pair.relay.take_given_up(), None);
            // Its identifier is free for others, and all is as fast as ever.
            for number in numbers(60..200) {
                pair.here.send("l/b", &number, qos);
            }
            pair.run();
            assert_eq!(pair.there.published("r/b"), numbers(60..200));
        }
    }
}

#[test]
fn a_server_that_says_why_is_understood() {
    for (reason, ends) in [
        (ReasonCode::PacketTooLarge, true),
        (ReasonCode::ServerShuttingDown, false),
        (ReasonCode::ServerBusy, false),
        (ReasonCode::Success, false),
    ] {
        let mut pair = Pair::new(settings(ProtocolVersion::V5));
        pair.there.poison = Some("poison".into());
        pair.run();
        pair.here.send("l/bad", "poison", QoS::AtLeastOnce);
        pair.there.parting_word = Some(reason);
        for _ in 0..12 {
            pair.pass(Duration::from_secs(40));
            if let Some(end) = pair.relay.end() {
                assert!(matches!(end, End::Disconnected(Side::Remote, said, _) if *said == reason));
                pair.again();
            }
        }
        assert_eq!(pair.given_up() == 1, ends, "{reason:?}");
    }
}

#[test]
fn a_server_that_wants_nothing_at_all_loses_few() {
    let mut pair = Pair::new(settings(ProtocolVersion::V311));
    pair.there.poison = Some("any".into());
    pair.run();
    for _ in 0..40 {
        pair.here.send("l/a", "any", QoS::AtLeastOnce);
    }
    let began = pair.now;
    let mut at = Vec::new();
    while at.len() < 4 {
        pair.live(1);
        if pair.given_up() > at.len() as u64 {
            at.push(pair.now.since(began).as_secs());
        }
    }
    // Seconds until each; with the pauses of a real bridge it takes longer.
    assert!(at[0] >= 10 && at[1] - at[0] >= 50, "{at:?}");
    assert!(at[2] - at[1] >= 140 && at[3] - at[2] >= 300, "{at:?}");
    // When it takes messages again, all that is left goes.
    pair.there.poison = None;
    pair.live(3);
    assert_eq!(pair.there.published("r/a").len(), 36);
    assert!(pair.here.is_settled());
}

#[test]
fn who_is_slow_loses_nothing() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut pair = Pair::new(settings(ProtocolVersion::V311));
        pair.run();
        pair.there.mute = true;
        for number in numbers(0..30) {
            pair.here.send("l/a", &number, qos);
        }
        // It is restarted again and again, some seconds after it was given messages.
        for seconds in (0..60).map(|round| 2 + round % 7) {
            pair.pass(Duration::from_secs(seconds * 3));
            pair.kill();
        }
        pair.there.mute = false;
        pair.live(2);
        let mut came = pair.there.published("r/a");
        came.sort_by_key(|one| one.parse::<u32>().unwrap());
        came.dedup();
        assert_eq!(came, numbers(0..30));
        assert_eq!(pair.given_up(), 0);
        assert!(pair.here.is_settled());
    }
}

#[test]
fn who_lasts_equally_long_each_time_loses_nothing() {
    // It answers nothing and crashes so long after it was started.
    for millis in (100..20_000).step_by(50) {
        let mut pair = Pair::new(settings(ProtocolVersion::V311));
        pair.run();
        pair.there.mute = true;
        pair.here.send("l/a", "1", QoS::AtLeastOnce);
        pair.here.send("l/a", "2", QoS::AtLeastOnce);
        for _ in 0..20 {
            pair.pass(Duration::from_millis(millis));
            pair.kill();
        }
        assert_eq!(pair.given_up(), 0, "{millis}");
    }
}

#[test]
fn who_is_killed_by_chance_loses_nothing() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |most: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) % most
    };
    for round in 0..200 {
        let mut pair = Pair::new(settings(ProtocolVersion::V5));
        pair.run();
        let mut number = 0;
        for _ in 0..60 {
            for _ in 0..below(30) {
                number += 1;
                pair.here.send("l/a", &number.to_string(), QoS::ExactlyOnce);
            }
            for _ in 0..below(8) {
                let most = [(); 4].map(|()| below(200) as usize);
                pair.step(most);
            }
            if below(3) == 0 {
                pair.pass(Duration::from_millis(below(4_000)));
            }
            pair.kill();
        }
        pair.live(2);
        assert_eq!(
            pair.there.published("r/a"),
            numbers(1..number + 1),
            "{round}"
        );
        assert_eq!(pair.given_up(), 0);
    }
}

/// What the suspicion comes to if a message is sent at each connection as `send` says, and the
/// other server ends it at once.
fn strikes(send: impl Fn(&mut Suspicion, &Publish<'_>)) -> bool {
    let publish = Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "l/a",
        packet_id: PacketId::new(7),
        properties: PublishProperties::default(),
        payload: b"x",
    };
    let mut suspicion = Suspicion::none();
    let mut now = Time::ZERO;
    for _ in 0..12 {
        suspicion.begin();
        suspicion.open(now);
        now = now + Duration::from_secs(20);
        if suspicion.asks(now) {
            suspicion.alive();
        }
        assert_eq!(suspicion.gate(0), Gate::Open);
        if suspicion.gives_up(&publish).is_some() {
            return true;
        }
        send(&mut suspicion, &publish);
        suspicion.written(true, now);
        suspicion.ended(&End::Closed(Side::Remote), now);
    }
    false
}

#[test]
fn a_message_of_qos_0_is_not_taken_for_another() {
    let alone = |suspicion: &mut Suspicion, publish: &Publish<'_>| {
        suspicion.sent(publish, QoS::AtLeastOnce);
    };
    assert!(strikes(alone));
    let behind = |suspicion: &mut Suspicion, publish: &Publish<'_>| {
        suspicion.sent(publish, QoS::AtMostOnce);
        suspicion.sent(publish, QoS::AtLeastOnce);
    };
    assert!(!strikes(behind));
}

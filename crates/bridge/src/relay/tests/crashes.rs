//! Links, servers and the process end at any point, and a ledger says what became of each message.

use std::collections::BTreeMap;

use types::{ProtocolVersion, QoS};

use super::{Pair, QOS, settings};

/// Chance from a seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % most
    }

    fn bytes(&mut self) -> usize {
        match self.below(3) {
            0 => 0,
            1 => self.below(40) as usize,
            _ => self.below(4_000) as usize,
        }
    }
}

/// Runs to the end with connections that break; each message was then there as often as its QoS
/// says.
fn story(seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let version = match chance.below(2) {
        0 => ProtocolVersion::V311,
        _ => ProtocolVersion::V5,
    };
    let mut pair = Pair::new(settings(version));
    pair.run();
    let mut sent: [BTreeMap<String, QoS>; 2] = Default::default();
    for number in 0..300 {
        let payload = format!("{number}");
        let qos = QOS[chance.below(3) as usize];
        match chance.below(10) {
            0..3 => {
                pair.here.send("l/t", &payload, qos);
                sent[0].insert(payload, qos);
            }
            3..6 => {
                pair.there.send("r/t", &payload, qos);
                sent[1].insert(payload, qos);
            }
            // One link, both, or the process with all that it knew.
            6 => {
                let knows = chance.below(3) > 0;
                pair.reconnect(knows);
            }
            _ => {
                let most = [(); 4].map(|()| chance.bytes());
                pair.step(most);
                assert_eq!(pair.relay.end(), None, "seed {seed}");
            }
        }
    }
    pair.run();
    for (sent, came) in [
        (&sent[0], pair.there.published("r/t")),
        (&sent[1], pair.here.published("l/t")),
    ] {
        for (payload, qos) in sent {
            let times = came.iter().filter(|one| *one == payload).count();
            let right = match qos {
                QoS::AtMostOnce => times <= 1,
                QoS::AtLeastOnce => times >= 1,
                QoS::ExactlyOnce => times == 1,
            };
            assert!(
                right,
                "seed {seed}: {payload} of {qos:?} came {times} times"
            );
        }
    }
    assert!(
        pair.here.is_settled() && pair.there.is_settled(),
        "seed {seed}"
    );
    assert!(pair.relay.is_idle(), "seed {seed}");
}

#[test]
fn whatever_breaks_nothing_is_lost_and_qos_2_comes_once() {
    (0..400).for_each(story);
}

/// One of the servers forgets the session at some point. What it had not passed on is its own loss;
/// all else arrives, and what comes afterwards is not taken for what was before.
fn forgetful(seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut pair = Pair::new(settings(ProtocolVersion::V5));
    pair.run();
    let mut number = 0;
    let mut sent: [Vec<String>; 2] = Default::default();
    for _ in 0..6 {
        for _ in 0..chance.below(60) {
            number += 1;
            let payload = number.to_string();
            match chance.below(4) {
                0 => {
                    pair.here.send("l/t", &payload, QoS::ExactlyOnce);
                    sent[0].push(payload);
                }
                1 => {
                    pair.there.send("r/t", &payload, QoS::ExactlyOnce);
                    sent[1].push(payload);
                }
                _ => {
                    let most = [(); 4].map(|()| chance.bytes());
                    pair.step(most);
                }
            }
        }
        let lost = match chance.below(2) {
            0 => (0, pair.here.lose_session()),
            _ => (1, pair.there.lose_session()),
        };
        sent[lost.0].retain(|one| !lost.1.iter().any(|gone| gone.payload == *one));
        // The process may have been killed with it, or not.
        let knows = chance.below(2) == 0;
        pair.reconnect(knows);
        pair.run();
    }
    for (sent, came) in [
        (&sent[0], pair.there.published("r/t")),
        (&sent[1], pair.here.published("l/t")),
    ] {
        for payload in sent {
            assert!(came.contains(&&**payload), "seed {seed}: {payload} is lost");
        }
    }
}

#[test]
fn a_session_that_is_gone_swallows_nothing_that_comes_later() {
    (0..150).for_each(forgetful);
}

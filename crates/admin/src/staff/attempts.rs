//! How often one may be wrong (S96). Counted are failures, by address and name, and by address alone:
//! a stranger can slow down himself, but lock nobody out who comes from elsewhere.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// For so long failures are remembered.
const WINDOW: Duration = Duration::from_secs(300);
/// Most failures of an address with one name.
const WITH_NAME: u32 = 5;
/// Most failures of an address.
const OF_ADDRESS: u32 = 20;
/// Most that is remembered; beyond it, what is oldest is forgotten.
const MOST: usize = 4096;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Who {
    WithName(Network, Box<str>),
    Address(Network),
}

/// An address of IPv4, or the half of one of IPv6 that a provider gives to one customer; or the
/// control socket.
type Network = Option<[u8; 8]>;

struct Failures {
    since: Instant,
    count: u32,
}

#[derive(Default)]
pub(super) struct Attempts(HashMap<Who, Failures>);

impl Attempts {
    /// How long somebody has to wait, if he has to.
    pub(super) fn wait(&self, from: Option<IpAddr>, name: &str, now: Instant) -> Option<Duration> {
        let waits = both(from, name).into_iter().filter_map(|(who, most)| {
            let failures = self.0.get(&who)?;
            let rest = WINDOW.checked_sub(now.saturating_duration_since(failures.since))?;
            (failures.count >= most && !rest.is_zero()).then_some(rest)
        });
        waits.max()
    }

    /// Somebody was wrong.
    pub(super) fn failed(&mut self, from: Option<IpAddr>, name: &str, now: Instant) {
        for (who, _) in both(from, name) {
            if self.0.len() >= MOST && !self.0.contains_key(&who) {
                self.make_room(now);
            }
            let failures = self.0.entry(who).or_insert(Failures {
                since: now,
                count: 0,
            });
            if now.saturating_duration_since(failures.since) >= WINDOW {
                *failures = Failures {
                    since: now,
                    count: 0,
                };
            }
            failures.count = failures.count.saturating_add(1);
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.0
            .retain(|_, failures| now.saturating_duration_since(failures.since) < WINDOW);
        if self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, failures)| failures.since);
            if let Some(who) = oldest.map(|(who, _)| who.clone()) {
                self.0.remove(&who);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn both(from: Option<IpAddr>, name: &str) -> [(Who, u32); 2] {
    let network = from.map(|address| match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 4]
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            [a, b, c, d, e, f, g, h]
        }
    });
    let name: String = name.chars().take(64).collect();
    [
        (Who::WithName(network, name.into()), WITH_NAME),
        (Who::Address(network), OF_ADDRESS),
    ]
}

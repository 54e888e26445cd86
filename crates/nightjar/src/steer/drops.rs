//! Messages that somebody did not get: which clients, which topics, and samples.
//!
//! Workers put in what they tell of (in a storm a few for many), each at a place of its own; who
//! asks adds them up.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use admin::Stamp;
use admin::server::{self, DropSample, DropsByClient, DropsByReason, DropsByTopic};
use broker::{DropReason, Dropped, Shared};

/// Samples that are kept at each worker, and answered in all.
const SAMPLES: usize = 200;
/// Names that are counted at each worker, and answered in all.
const COUNTED: usize = 256;
const LISTED: usize = 100;
/// Most bytes of a name.
const NAME: usize = 512;
/// Between those who ask, a rate is of at least and at most so long.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);

/// What is known of messages that were dropped.
#[derive(Debug)]
pub(crate) struct Drops {
    places: Box<[Mutex<Place>]>,
    asked: Mutex<VecDeque<(Instant, Counts)>>,
}

type Counts = [u64; DropReason::ALL.len()];

#[derive(Debug, Default)]
struct Place {
    clients: Most,
    topics: Most,
    samples: VecDeque<DropSample>,
}

/// The names with the highest counts, by estimates: who comes in place of the lowest inherits its
/// count, so that none with more than a 256th of all is missing.
#[derive(Debug, Default)]
struct Most(HashMap<Box<str>, (u64, DropReason)>);

impl Most {
    fn add(&mut self, name: &str, count: u64, reason: DropReason) {
        let name = name.get(..name.floor_char_boundary(NAME)).unwrap_or(name);
        if let Some(known) = self.0.get_mut(name) {
            *known = (known.0.saturating_add(count), reason);
            return;
        }
        let mut before = 0;
        if self.0.len() >= COUNTED {
            let lowest = self.0.iter().min_by_key(|(_, (count, _))| *count);
            if let Some((lowest, (count, _))) = lowest.map(|(name, it)| (name.clone(), *it)) {
                before = count;
                self.0.remove(&lowest);
            }
        }
        self.0
            .insert(name.into(), (before.saturating_add(count), reason));
    }

    fn highest(sums: HashMap<Box<str>, (u64, DropReason)>) -> Vec<(String, u64, String)> {
        let mut all: Vec<_> = sums.into_iter().collect();
        all.sort_by(|(a, (more, _)), (b, (less, _))| less.cmp(more).then_with(|| a.cmp(b)));
        let rows = all.into_iter().take(LISTED);
        rows.map(|(name, (count, reason))| (name.into(), count, reason.as_str().into()))
            .collect()
    }

    fn add_to(&self, sums: &mut HashMap<Box<str>, (u64, DropReason)>) {
        for (name, (count, reason)) in &self.0 {
            let sum = sums.entry(name.clone()).or_insert((0, *reason));
            sum.0 = sum.0.saturating_add(*count);
        }
    }
}

impl Drops {
    /// A place for each of so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            places: (0..workers).map(|_| Mutex::default()).collect(),
            asked: Mutex::default(),
        }
    }

    /// A message was dropped. Called on a worker: if somebody asks at this very moment, it is not
    /// among the samples and names.
    pub(crate) fn note(&self, dropped: &Dropped<'_>) {
        let Some(place) = self.places.get(dropped.worker.index()) else {
            return;
        };
        let mut place = match place.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let (reason, count) = (dropped.reason, dropped.count);
        let client = dropped.client.map(|client| client.as_str());
        if let Some(client) = client {
            place.clients.add(client, count, reason);
        }
        if let Some(topic) = dropped.topic {
            place.topics.add(topic, count, reason);
        }
        while place.samples.len() >= SAMPLES {
            place.samples.pop_front();
        }
        let cut = |text: &str| text.get(..text.floor_char_boundary(NAME)).map(String::from);
        place.samples.push_back(DropSample {
            at: Stamp::now(),
            reason: reason.as_str().into(),
            clientid: client.and_then(cut),
            topic: dropped.topic.and_then(cut),
            qos: dropped.qos.map(|qos| qos.bits()),
            size: u64::try_from(dropped.size).unwrap_or(u64::MAX),
            detail: (count > 1).then(|| format!("one of {count}")),
        });
    }

    /// All that is known.
    pub(crate) fn shown(&self, shared: &Shared) -> server::Drops {
        let counts = DropReason::ALL.map(|reason| shared.totals().drops(reason));
        let rates = self.rates(counts, Instant::now());
        let mut by_reason: Vec<DropsByReason> = DropReason::ALL
            .iter()
            .zip(counts.into_iter().zip(rates))
            .filter(|(_, (count, _))| *count > 0)
            .map(|(reason, (count, rate))| DropsByReason {
                reason: reason.as_str().into(),
                count,
                rate,
            })
            .collect();
        by_reason.sort_by_key(|row| std::cmp::Reverse(row.count));
        let (mut clients, mut topics) = (HashMap::new(), HashMap::new());
        let mut samples = Vec::new();
        for place in &self.places {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner);
            place.clients.add_to(&mut clients);
            place.topics.add_to(&mut topics);
            samples.extend(place.samples.iter().cloned());
        }
        samples.sort_by_key(|sample| std::cmp::Reverse(sample.at));
        samples.truncate(SAMPLES);
        let clients = Most::highest(clients).into_iter();
        let topics = Most::highest(topics).into_iter();
        server::Drops {
            total: counts
                .iter()
                .fold(0, |sum, count| sum.saturating_add(*count)),
            by_reason,
            by_client: clients
                .map(|(clientid, count, reason)| DropsByClient {
                    clientid,
                    count,
                    reason,
                })
                .collect(),
            by_topic: topics
                .map(|(topic, count, reason)| DropsByTopic {
                    topic,
                    count,
                    reason,
                })
                .collect(),
            samples,
        }
    }

    /// How many in a second since somebody asked before.
    fn rates(&self, counts: Counts, now: Instant) -> [f64; DropReason::ALL.len()] {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |at: &Instant| now.saturating_duration_since(*at);
        while asked.pop_front_if(|(at, _)| age(at) > LONGEST).is_some() {}
        let before = asked.front().filter(|(at, _)| age(at) >= SHORTEST).copied();
        if asked.back().is_none_or(|(at, _)| age(at) >= SHORTEST) {
            asked.push_back((now, counts));
        }
        let Some((at, before)) = before else {
            return [0.0; DropReason::ALL.len()];
        };
        let seconds = age(&at).as_secs_f64();
        let mut rates = [0.0; DropReason::ALL.len()];
        for ((rate, count), before) in rates.iter_mut().zip(counts).zip(before) {
            *rate = (count.wrapping_sub(before) as f64) / seconds;
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_with_the_most_stay_however_many_there_are() {
        let mut most = Most::default();
        for number in 0..100_000u32 {
            most.add(&format!("t{number}"), 1, DropReason::Expired);
            if number % 100 == 0 {
                most.add("often", 10, DropReason::QueueFull);
            }
        }
        assert_eq!(most.0.len(), COUNTED);
        let mut sums = HashMap::new();
        most.add_to(&mut sums);
        let rows = Most::highest(sums);
        assert_eq!((rows.len(), rows[0].0.as_str()), (LISTED, "often"));
        assert_eq!(rows[0].2, "queue_full");
    }

    #[test]
    fn a_rate_is_of_the_time_since_somebody_asked_before() {
        let drops = Drops::new(1);
        let (now, mut counts) = (Instant::now(), [0; DropReason::ALL.len()]);
        assert!(drops.rates(counts, now)[0].abs() < f64::EPSILON);
        counts[0] = 30;
        let later = now + Duration::from_secs(3);
        assert!((drops.rates(counts, later)[0] - 10.0).abs() < 1e-9);
        // What was asked long ago does not count.
        let later = now + Duration::from_secs(30);
        assert!(drops.rates(counts, later)[0].abs() < f64::EPSILON);
    }
}

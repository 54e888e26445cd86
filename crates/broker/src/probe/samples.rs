//! Samples of messages on their way from workers to who looks at them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use types::{ClientId, QoS, WorkerId};

use super::{Probe, Step};

/// Most samples that wait at one worker. More are counted as missed.
const WAITING: usize = 8192;
/// Most bytes of payloads and properties that wait at one worker. More: samples come without them.
const WAITING_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of topics and client identifiers. More samples are counted as missed.
const WAITING_NAMES: usize = 4 * 1024 * 1024;

/// Takes copies of messages, bounded for each worker, until somebody fetches them.
///
/// A worker has a place of its own, which it shares with nobody but who fetches from it; if that is
/// at this very moment, the sample is missed.
#[derive(Debug)]
pub struct Samples {
    places: Box<[Mutex<Place>]>,
    missed: AtomicU64,
}

#[derive(Debug, Default)]
struct Place {
    samples: Vec<Sample>,
    bytes: usize,
    names: usize,
}

/// A message, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The topic, with the mount of a listener.
    pub topic: Arc<str>,
    /// Who published it; `None`: the server.
    pub client: Option<ClientId>,
    /// At which QoS.
    pub qos: QoS,
    /// Whether to be retained.
    pub retain: bool,
    /// It stands for so many.
    pub weight: u32,
    /// Bytes of the whole payload.
    pub size: usize,
    /// The beginning of the payload.
    pub payload: Box<[u8]>,
    /// The properties that are passed on, in the encoding of MQTT 5.0, unless they are too long.
    pub properties: Box<[u8]>,
}

impl Samples {
    /// Most bytes that are kept of a payload.
    pub const PAYLOAD: usize = 4096;
    /// Most bytes of properties that are kept; longer ones are not.
    pub const PROPERTIES: usize = 2048;

    /// A place for each of so many workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            places: (0..workers).map(|_| Mutex::default()).collect(),
            missed: AtomicU64::new(0),
        })
    }

    /// Fetches what waits, worker by worker; the oldest of each first.
    pub fn fetch(&self, mut take: impl FnMut(Vec<Sample>)) {
        for place in &self.places {
            let place = std::mem::take(&mut *place.lock().unwrap_or_else(PoisonError::into_inner));
            take(place.samples);
        }
    }

    /// Messages that were missed, in all.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    fn place_of(&self, worker: WorkerId) -> Option<std::sync::MutexGuard<'_, Place>> {
        match self.places.get(worker.index())?.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Probe for Samples {
    fn step(&self, step: &Step<'_>) {
        let (Some(topic), Some(message)) = (step.topic, &step.message) else {
            return;
        };
        let place = self.place_of(step.worker);
        let has_room = |place: &Place| place.samples.len() < WAITING && place.names < WAITING_NAMES;
        let Some(mut place) = place.filter(|place| has_room(place)) else {
            let weight = u64::from(step.weight);
            self.missed.fetch_add(weight, Ordering::Relaxed);
            return;
        };
        let is_full = place.bytes >= WAITING_BYTES;
        let kept = |bytes: &[u8], most: usize| -> Box<[u8]> {
            match is_full {
                true => Box::default(),
                false => bytes
                    .get(..most.min(bytes.len()))
                    .unwrap_or_default()
                    .into(),
            }
        };
        let (whole, properties) = (message.payload, message.properties);
        let payload = kept(whole, Self::PAYLOAD);
        let fits = properties.len() <= Self::PROPERTIES;
        let properties = kept(if fits { properties } else { &[] }, Self::PROPERTIES);
        let bytes = payload.len().saturating_add(properties.len());
        place.bytes = place.bytes.saturating_add(bytes);
        let client = step.client.map_or(0, |id| id.as_str().len());
        place.names = place
            .names
            .saturating_add(topic.len().saturating_add(client));
        place.samples.push(Sample {
            topic: Arc::clone(topic),
            client: step.client.cloned(),
            qos: message.qos,
            retain: message.retain,
            weight: step.weight,
            size: whole.len(),
            payload,
            properties,
        });
    }
}

#[cfg(test)]
mod tests {
    use types::{Durability, MessageParts};

    use super::*;
    use crate::probe::What;

    fn step<'a>(topic: &'a Arc<str>, payload: &'a [u8]) -> Step<'a> {
        Step {
            worker: WorkerId(0),
            client: None,
            session: None,
            peer: None,
            topic: Some(topic),
            message: Some(MessageParts {
                properties: &[],
                payload,
                qos: QoS::AtMostOnce,
                retain: false,
                publisher: None,
                expires: None,
                durability: Durability::Memory,
                followed: types::Followed::No,
            }),
            properties: &[],
            weight: 2,
            what: What::Received {
                packet_id: None,
                dup: false,
            },
        }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (samples, topic) = (Samples::new(1), Arc::from("a"));
        for _ in 0..=WAITING {
            samples.step(&step(&topic, b"x"));
        }
        assert_eq!(samples.missed(), 2);
        let mut fetched = Vec::new();
        samples.fetch(|some| fetched.extend(some));
        assert_eq!(fetched.len(), WAITING);
        samples.step(&step(&topic, b"x"));
        samples.fetch(|some| fetched.extend(some));
        assert_eq!(fetched.len(), WAITING + 1);
    }

    #[test]
    fn s95_long_topics_that_wait_are_bounded() {
        let samples = Samples::new(1);
        let mut topics = Vec::new();
        for number in 0..1000 {
            let topic: Arc<str> = format!("{number}{}", "t".repeat(60_000)).into();
            samples.step(&step(&topic, b"x"));
            topics.push(topic);
        }
        let kept = topics.iter().filter(|it| Arc::strong_count(it) > 1).count();
        assert!(kept * 60_000 <= WAITING_NAMES + 60_000, "{kept}");
        assert_eq!(samples.missed(), 2 * (1000 - kept as u64));
    }

    #[test]
    fn of_long_payloads_the_beginning_is_kept_and_of_too_many_nothing() {
        let (samples, topic) = (Samples::new(1), Arc::from("a"));
        let long = vec![7; Samples::PAYLOAD + 1];
        let fit = WAITING_BYTES / Samples::PAYLOAD;
        for _ in 0..=fit {
            samples.step(&step(&topic, &long));
        }
        let mut fetched = Vec::new();
        samples.fetch(|some| fetched.extend(some));
        assert_eq!(fetched[0].payload.len(), Samples::PAYLOAD);
        assert_eq!(
            (fetched[fit].payload.len(), fetched[fit].size),
            (0, long.len())
        );
    }
}

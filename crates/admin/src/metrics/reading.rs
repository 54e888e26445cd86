//! All that metrics are read from, taken at one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Server;
use crate::alarms::Severity;
use crate::server::authentication::Chain;
use crate::server::figures::{Counts, Overview};
use crate::server::{Bridge, Listener, Store};

/// All that metrics are read from, taken at one moment.
pub(crate) struct Reading {
    pub(crate) overview: Arc<Overview>,
    pub(crate) counts: Counts,
    pub(crate) chain: Chain,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) bridges: Vec<Bridge>,
    pub(crate) store: Store,
    pub(crate) alarms: [(Severity, u64); 3],
    pub(crate) requests: [(&'static str, u64); CLASSES.len()],
    pub(crate) streams: u64,
}

impl Reading {
    /// Reads everything. Answers at once.
    pub(crate) fn take(server: &dyn Server, traffic: &Traffic) -> Self {
        let figures = server.figures();
        Self {
            overview: figures.overview(),
            counts: figures.counts(),
            chain: server.authentication().chain(),
            listeners: server.listeners().listeners(),
            bridges: server.bridges().bridges(),
            store: server.store(),
            alarms: server.alarms().active(),
            requests: traffic.counts(),
            streams: traffic.streams(),
        }
    }
}

/// What the API does: requests by the class of their answer, and streams of events.
#[derive(Debug)]
pub struct Traffic {
    answered: [AtomicU64; CLASSES.len()],
    /// Places for streams of events that are free.
    places: Arc<Semaphore>,
}

/// Most streams of events at once: each holds a connection, and there must be some left.
const STREAMS: usize = 64;

/// The classes of answers that are counted; the rest is with the last.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl Default for Traffic {
    fn default() -> Self {
        Self {
            answered: Default::default(),
            places: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}

impl Traffic {
    /// A place for a stream of events, if there is one.
    pub(crate) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    fn streams(&self) -> u64 {
        let open = STREAMS.saturating_sub(self.places.available_permits());
        u64::try_from(open).unwrap_or(u64::MAX)
    }

    /// A request was answered with this status.
    pub(crate) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(2);
        let place = class.min(CLASSES.len().saturating_sub(1));
        if let Some(count) = self.answered.get(place) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn counts(&self) -> [(&'static str, u64); CLASSES.len()] {
        let mut counts = CLASSES.map(|class| (class, 0));
        for ((_, to), from) in counts.iter_mut().zip(&self.answered) {
            *to = from.load(Relaxed);
        }
        counts
    }
}

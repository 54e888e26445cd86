//! All that metrics are read from, taken at one moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Server;
use crate::alarms::Severity;
use crate::server::authentication::Chain;
use crate::server::figures::{Counts, Overview};
use crate::server::{Listener, Store};

/// All that metrics are read from, taken at one moment.
pub(crate) struct Reading {
    pub(crate) overview: Arc<Overview>,
    pub(crate) counts: Counts,
    pub(crate) chain: Chain,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) store: Store,
    pub(crate) alarms: [(Severity, u64); 3],
    pub(crate) requests: [(&'static str, u64); CLASSES.len()],
    pub(crate) streams: u64,
}

impl Reading {
    /// Reads everything. Answers at once.
    pub(crate) fn take(server: &dyn Server, requests: &Requests, streams: u64) -> Self {
        let figures = server.figures();
        Self {
            overview: figures.overview(),
            counts: figures.counts(),
            chain: server.authentication().chain(),
            listeners: server.listeners().listeners(),
            store: server.store(),
            alarms: server.alarms().active(),
            requests: requests.counts(),
            streams,
        }
    }
}

/// Requests of the API, by the class of their answer.
#[derive(Debug, Default)]
pub(crate) struct Requests([AtomicU64; CLASSES.len()]);

/// The classes of answers that are counted; the rest is with the last.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

impl Requests {
    /// A request was answered with this status.
    pub(crate) fn answered(&self, status: u16) {
        let class = usize::from(status / 100).saturating_sub(2);
        let place = class.min(CLASSES.len().saturating_sub(1));
        if let Some(count) = self.0.get(place) {
            count.fetch_add(1, Relaxed);
        }
    }

    fn counts(&self) -> [(&'static str, u64); CLASSES.len()] {
        let mut counts = CLASSES.map(|class| (class, 0));
        for ((_, to), from) in counts.iter_mut().zip(&self.0) {
            *to = from.load(Relaxed);
        }
        counts
    }
}

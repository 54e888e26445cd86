//! What the server does, in numbers: counters as they are, and once a second an overview.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use admin::Stamp;
use admin::history::History;
use admin::server::figures::{
    Counts, Figures, Machine, Names, Overview, Sample, WorkerCounts, WorkerLoad,
};
use broker::metrics::Gauge;
use broker::{Counter, DropReason};
use config::MetricNames;
use store::Condition;
use tokio::sync::watch;
use tracing::warn;

use super::{Steer, count};
use crate::process::{self, Threads};

/// What was seen lately, for who asks.
#[derive(Debug)]
pub(super) struct Lately {
    pub(super) overview: watch::Sender<Arc<Overview>>,
    history: Mutex<History>,
    /// Where the history outlives a restart.
    file: PathBuf,
    /// The workers' threads, once they have been found.
    pub(super) threads: Mutex<Arc<Threads>>,
}

/// The file of the history, in the data folder.
const FILE: &str = "history";

impl Lately {
    /// What an earlier run left in the data folder. What is torn is not used.
    pub(super) fn open(data_dir: &Path) -> Self {
        let file = data_dir.join(FILE);
        let history = History::read(&file).unwrap_or_else(|error| {
            let file = &*file.to_string_lossy();
            warn!(file, %error, "the figures of earlier cannot be read: they begin anew");
            History::default()
        });
        let (overview, _) = watch::channel(Arc::default());
        Self {
            overview,
            history: Mutex::new(history),
            file,
            threads: Mutex::default(),
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the history to the disk.
    pub(super) fn write(&self) {
        let bytes = self.history().bytes();
        let written = History::write(&bytes, &self.file);
        if let Err(error) = written {
            let file = &*self.file.to_string_lossy();
            warn!(file, %error, "the figures of lately cannot be written: a restart forgets them");
        }
    }
}

impl Steer {
    /// The threads of the workers; looked for until they all have their names.
    pub(super) fn threads(&self) -> Arc<Threads> {
        let threads = self.lately.threads.lock();
        let mut threads = threads.unwrap_or_else(PoisonError::into_inner);
        if threads.len() < self.mailboxes.workers() {
            *threads = Arc::new(Threads::named(WORKER));
        }
        Arc::clone(&threads)
    }

    /// An overview with what is known at once; the sampler adds what needs two looks, or the system.
    pub(super) fn at_once(&self) -> Overview {
        let totals = self.shared.totals();
        let index = self.shared.index.stats();
        let connections = totals.gauge(Gauge::Connected);
        let workers = self.workers().map(|id| WorkerLoad {
            id: id.0.into(),
            connections: self
                .shared
                .metrics(id)
                .map_or(0, |metrics| metrics.gauge(Gauge::Connected)),
            busy_percent: 0.0,
        });
        let alarms = self.seen.bell().alarms().active();
        Overview {
            version: env!("CARGO_PKG_VERSION").into(),
            node: self.node.clone(),
            uptime_ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
            started_at: Stamp::from(self.started),
            connections,
            sessions: totals.gauge(Gauge::Sessions).max(connections),
            subscriptions: count(index.subscriptions + index.shared_subscriptions),
            shared_subscriptions: count(index.shared_subscriptions),
            topics: count(index.filters),
            retained: count(self.shared.retained.count()),
            messages_in_per_s: 0.0,
            messages_out_per_s: 0.0,
            dropped_per_s: 0.0,
            bytes_in_per_s: 0.0,
            bytes_out_per_s: 0.0,
            cpu_percent: None,
            memory_bytes: Some(self.shared.resident().0).filter(|bytes| *bytes > 0),
            disk_bytes: None,
            disk_free_bytes: None,
            open_files: None,
            open_files_limit: self.descriptors,
            workers: workers.collect(),
            store: None,
            alarms: alarms.iter().map(|(_, count)| count).sum(),
        }
    }
}

/// What the names of the workers' threads begin with.
const WORKER: &str = "worker-";

/// The name of a worker's thread.
pub(super) fn thread(worker: usize) -> String {
    format!("{WORKER}{worker}")
}

impl Figures for Steer {
    fn overview(&self) -> Arc<Overview> {
        self.lately.overview.borrow().clone()
    }

    fn overviews(&self) -> watch::Receiver<Arc<Overview>> {
        self.lately.overview.subscribe()
    }

    fn monitor(&self, latest: Duration) -> Vec<Sample> {
        self.lately.history().latest(wall_millis(), latest)
    }

    fn counts(&self) -> Counts {
        let totals = self.shared.totals();
        let of = |counter| totals.counter(counter);
        let tally = self.seen.tally();
        let (_, most_memory) = self.shared.resident();
        let threads = self.threads();
        let workers = self.workers().map(|id| WorkerCounts {
            connections: self
                .shared
                .metrics(id)
                .map_or(0, |metrics| metrics.gauge(Gauge::Connected)),
            cpu_seconds: threads
                .cpu_time(&thread(id.index()))
                .map(|time| time.as_secs_f64()),
            mailbox_bytes: count(self.shared.mailbox_bytes(id)),
        });
        let drops = DropReason::ALL.map(|reason| (reason.as_str(), totals.drops(reason)));
        Counts {
            packets_received: of(Counter::PacketsReceived),
            packets_sent: of(Counter::PacketsSent),
            bytes_received: of(Counter::BytesReceived),
            bytes_sent: of(Counter::BytesSent),
            messages_received: totals.publish_received(),
            messages_sent: totals.publish_sent(),
            payload_received: of(Counter::PublishBytesReceived),
            payload_sent: of(Counter::PublishBytesSent),
            payload_dropped: of(Counter::PublishBytesDropped),
            drops: drops.into(),
            connects: of(Counter::ConnectsReceived),
            links_opened: of(Counter::LinksOpened),
            links_refused: of(Counter::LinksRefused),
            connected: tally.connected(),
            disconnected: tally.disconnected(),
            rejected: tally.rejected(),
            denied: tally.denied(),
            takeovers: of(Counter::Takeovers),
            sessions_expired: of(Counter::SessionsExpired),
            most_connections: count(self.shared.most_connections()),
            queued: totals.gauge(Gauge::Waiting),
            queued_bytes: totals.gauge(Gauge::WaitingBytes),
            retained_bytes: count(self.shared.retained.bytes()),
            unauthenticated_bytes: count(self.shared.unauthenticated_bytes()),
            shared_groups: count(self.shared.index.stats().groups),
            panics: self.counters.panics(),
            accept_pauses: self.counters.accept_pauses(),
            workers: workers.collect(),
            cpu_seconds: Some(process::cpu_time().as_secs_f64()),
            most_memory: Some(most_memory).filter(|bytes| *bytes > 0),
            disk_size: process::disk(&self.data_dir).map(|(_, all)| all),
            memory_budget: self.memory_budget(),
            telemetry: self.telemetry.counts(),
            unfollowed: self.telemetry.unfollowed(),
        }
    }

    fn machine(&self) -> Machine {
        Machine {
            load: process::load(),
            memory: process::machine_memory(),
        }
    }

    fn names(&self) -> Names {
        match self.config().metrics.names {
            MetricNames::Nightjar => Names::Own,
            MetricNames::Emqx => Names::Emqx,
        }
    }

    fn readiness(&self) -> Result<(), &'static str> {
        if self.is_ending() {
            return Err("stopping");
        }
        match &self.stored {
            Some(view) if view.figures().health.condition == Condition::Failed => Err("store"),
            _ => Ok(()),
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

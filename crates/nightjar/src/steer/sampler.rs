//! One thread beside the workers that looks at the figures each second: it makes the overview, keeps
//! the history, and raises alarms. It reads counters and asks the system; a worker is asked only how
//! many messages wait for a bridge.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use admin::history::Moment;
use admin::server::figures::{Overview, OverviewStore, Sample};
use broker::Counter;
use config::CertificateOrigin;
use store::{COMMIT_BOUNDS, Condition, Figures};

use super::lookout::{self, Change, Lookout, Scene, Validity};
use super::{Steer, figures};
use crate::process;

/// How often is looked.
const TICK: Duration = Duration::from_secs(1);
/// How often the history is written: it is small, and cards wear out.
const WRITE: Duration = Duration::from_secs(3600);
/// Looks between two looks at what changes slowly and costs more: disk, open files.
const SLOWLY: u32 = 5;
/// Looks between two looks at certificates.
const RARELY: u32 = 60;
/// Looks over which drops are averaged.
const AVERAGED: usize = 10;
/// Looks over which the times of commits are told.
const COMMITS: u32 = 60;

/// The thread. Dropping this ends it, and brings the history to the disk.
#[derive(Debug)]
pub(crate) struct Sampler(Option<(Sender<()>, JoinHandle<()>)>);

impl Sampler {
    /// Begins to look.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(steer: Arc<Steer>) -> io::Result<Self> {
        let (end, ended) = channel::<()>();
        let mut looking = Looking::new(steer);
        // Who asks first finds something.
        looking.look(Instant::now());
        let thread = thread::Builder::new().name("figures".into());
        let thread = thread.spawn(move || {
            let mut next = Instant::now();
            let mut written = next;
            loop {
                next += TICK;
                let wait = next.saturating_duration_since(Instant::now());
                match ended.recv_timeout(wait) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                }
                // A machine that slept does not catch up.
                let now = Instant::now();
                next = next.max(now - TICK);
                looking.look(now);
                if written.elapsed() >= WRITE {
                    written = Instant::now();
                    looking.steer.lately.write();
                }
            }
            looking.steer.lately.write();
        })?;
        Ok(Self(Some((end, thread))))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            // A panic on it has been told by the hook.
            drop(thread.join());
        }
    }
}

/// Counters as they were.
#[derive(Clone, Debug, Default)]
struct Before {
    at: Option<Instant>,
    flow: Sample,
    cpu: Duration,
    workers: Vec<Option<Duration>>,
}

/// The thread's own.
struct Looking {
    steer: Arc<Steer>,
    before: Before,
    looks: u32,
    disk: Option<(u64, u64)>,
    open_files: Option<u64>,
    certificates: Vec<Validity>,
    drops: VecDeque<u64>,
    commits: Commits,
    lookout: Lookout,
    processors: f64,
}

impl Looking {
    fn new(steer: Arc<Steer>) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            steer,
            before: Before::default(),
            looks: 0,
            disk: None,
            open_files: None,
            certificates: Vec::new(),
            drops: VecDeque::new(),
            commits: Commits::default(),
            lookout: Lookout::default(),
            // A machine has not so many.
            processors: f64::from(u32::try_from(processors).unwrap_or(u32::MAX)),
        }
    }

    /// One look.
    fn look(&mut self, now: Instant) {
        let steer = Arc::clone(&self.steer);
        if self.looks.is_multiple_of(SLOWLY) {
            self.disk = process::disk(&steer.data_dir);
            self.open_files = process::open_files();
        }
        if self.looks.is_multiple_of(RARELY) {
            self.certificates = validities(&steer);
        }
        steer.bridges.ask_waiting();
        let stored = steer.stored.as_ref().map(|view| view.figures());
        self.commits.look(self.looks, stored.as_ref());
        self.looks = self.looks.wrapping_add(1);

        let mut overview = steer.at_once();
        overview.disk_bytes = stored.as_ref().map(|figures| figures.disk_bytes);
        let flow = flow(&steer, &overview);
        let sample = self.rates(&mut overview, flow, now);
        overview.disk_free_bytes = self.disk.map(|(free, _)| free);
        overview.open_files = self.open_files;
        overview.store = stored.as_ref().map(|figures| self.store(&steer, figures));
        let at = figures::wall_millis();
        let moment = Moment {
            at,
            figures: sample,
        };
        steer.lately.history().note(moment);

        let scene = Scene {
            disk: self.disk,
            memory: overview
                .memory_bytes
                .map(|bytes| (bytes, steer.memory_budget())),
            certificates: self.certificates.clone(),
            drops: self.averaged(flow.dropped),
            down: down(&steer),
            bridges: steer.bridges_away(),
            collector: steer.telemetry.failing(),
            store: stored.map_or(Condition::Ok, |figures| figures.health.condition),
            now: at / 1000,
        };
        for change in self.lookout.look(&scene, &steer.config().alarms) {
            let bell = steer.seen.bell();
            match change {
                Change::Raise {
                    severity,
                    name,
                    about,
                    words,
                } => {
                    bell.raise(severity, name, &about, &words);
                }
                Change::Clear { name, about } => bell.clear(name, &about),
            }
        }
        overview.alarms = steer
            .seen
            .bell()
            .alarms()
            .active()
            .iter()
            .map(|(_, n)| n)
            .sum();
        steer.lately.overview.send_replace(Arc::new(overview));
    }

    /// Adds what came in this second, and says what the history is told.
    fn rates(&mut self, overview: &mut Overview, flow: Sample, now: Instant) -> Sample {
        let cpu = process::cpu_time();
        let threads = self.steer.threads();
        let numbers = 0..overview.workers.len();
        let workers: Vec<_> = numbers
            .map(|number| threads.cpu_time(&figures::thread(number)))
            .collect();
        let mut sample = flow;
        if let Some(at) = self.before.at {
            let passed = now.saturating_duration_since(at).as_secs_f64().max(0.001);
            let before = self.before.flow;
            let per_second = |now: u64, then: u64| rate(now.saturating_sub(then), passed);
            overview.messages_in_per_s = per_second(flow.received, before.received);
            overview.messages_out_per_s = per_second(flow.sent, before.sent);
            overview.dropped_per_s = per_second(flow.dropped, before.dropped);
            overview.bytes_in_per_s = per_second(flow.bytes_in, before.bytes_in);
            overview.bytes_out_per_s = per_second(flow.bytes_out, before.bytes_out);
            let percent = |now: Duration, then: Duration| {
                rounded(now.saturating_sub(then).as_secs_f64() / passed * 100.0)
            };
            let busy = percent(cpu, self.before.cpu) / self.processors;
            overview.cpu_percent = Some(rounded(busy));
            sample.cpu_percent = busy;
            let times = workers.iter().zip(&self.before.workers);
            for (worker, (now, then)) in overview.workers.iter_mut().zip(times) {
                if let (Some(now), Some(then)) = (now, then) {
                    worker.busy_percent = percent(*now, *then);
                }
            }
        }
        self.before = Before {
            at: Some(now),
            flow,
            cpu,
            workers,
        };
        sample
    }

    fn store(&self, steer: &Steer, figures: &Figures) -> OverviewStore {
        OverviewStore {
            class: steer.config().store.durability.as_str().into(),
            messages: figures.messages,
            bytes: figures.live_bytes,
            oldest_ms: match figures.oldest {
                0 => 0,
                oldest => figures.now.saturating_sub(oldest),
            },
            commit_p50_us: self.commits.within(50, figures),
            commit_p99_us: self.commits.within(99, figures),
            syncs: figures.syncs,
            sync_failures: figures.failures,
            state: figures.health.condition.as_str().into(),
        }
    }

    /// Messages that were dropped in a second, on average over the last ten.
    fn averaged(&mut self, dropped: u64) -> f64 {
        self.drops.push_back(dropped);
        if self.drops.len() > AVERAGED + 1 {
            self.drops.pop_front();
        }
        let first = self.drops.front().copied().unwrap_or(dropped);
        let seconds = u32::try_from(AVERAGED).unwrap_or(1);
        rate(dropped.saturating_sub(first), seconds.into())
    }
}

/// What has come and gone since the start, and what is.
fn flow(steer: &Steer, overview: &Overview) -> Sample {
    let totals = steer.shared.totals();
    Sample {
        time_stamp: 0,
        connections: overview.connections,
        received: totals.publish_received().iter().sum(),
        sent: totals.publish_sent().iter().sum(),
        dropped: totals.all_drops(),
        bytes_in: totals.counter(Counter::BytesReceived),
        bytes_out: totals.counter(Counter::BytesSent),
        cpu_percent: 0.0,
        memory_bytes: overview.memory_bytes.unwrap_or(0),
        disk_bytes: overview.disk_bytes.unwrap_or(0),
    }
}

#[allow(clippy::cast_precision_loss)] // a rate has no 53 significant bits
fn rate(count: u64, seconds: f64) -> f64 {
    rounded(count as f64 / seconds)
}

/// To hundredths: more is noise.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn down(steer: &Steer) -> Vec<String> {
    let figures = steer.doors.figures();
    let providers = figures.into_iter().flat_map(|figures| figures.providers);
    let down = providers.filter(|provider| provider.down);
    down.map(|provider| provider.name.as_ref().into()).collect()
}

fn validities(steer: &Steer) -> Vec<Validity> {
    let config = steer.config();
    let is_renewed = |name: &str| {
        let mut all = config.certificates.iter();
        all.any(|one| one.name == name && matches!(one.origin, CertificateOrigin::Acme(_)))
    };
    let mut all: Vec<Validity> = Vec::new();
    for listener in admin::server::Listeners::listeners(steer) {
        for certificate in listener.certificates {
            if all.iter().any(|one| one.name == certificate.name) {
                continue;
            }
            all.push(Validity {
                is_renewed: is_renewed(&certificate.name),
                begins: certificate.not_before.as_millis() / 1000,
                ends: certificate.not_after.as_millis() / 1000,
                name: certificate.name,
            });
        }
    }
    all
}

/// The times of the commits of the last minutes.
#[derive(Debug, Default)]
struct Commits {
    /// The counts of a minute ago, and of up to a minute before.
    older: [Vec<u64>; 2],
}

impl Commits {
    fn look(&mut self, looks: u32, figures: Option<&Figures>) {
        if let Some(figures) = figures
            && looks.is_multiple_of(COMMITS)
        {
            let [_, newer] = std::mem::take(&mut self.older);
            self.older = [newer, figures.commits.to_vec()];
        }
    }

    /// Microseconds within which so many of a hundred commits were done; zero if there were none.
    fn within(&self, hundredths: u64, figures: &Figures) -> u64 {
        let [older, _] = &self.older;
        let before = older.iter().copied().chain(std::iter::repeat(0));
        let counts: Vec<u64> = figures
            .commits
            .iter()
            .zip(before)
            .map(|(now, then)| now.saturating_sub(then))
            .collect();
        let all: u64 = counts.iter().sum();
        let wanted = (all * hundredths).div_ceil(100);
        let mut reached = 0;
        let mut lower = Duration::ZERO;
        for (bound, count) in COMMIT_BOUNDS.iter().zip(counts) {
            if count > 0 && reached + count >= wanted {
                // As if they were spread evenly between the bounds.
                let width = u64::try_from((*bound - lower).as_micros()).unwrap_or(0);
                let lower = u64::try_from(lower.as_micros()).unwrap_or(0);
                return lower + width * (wanted - reached) / count;
            }
            reached += count;
            lower = *bound;
        }
        match all {
            0 => 0,
            _ => u64::try_from(lower.as_micros()).unwrap_or(0),
        }
    }
}

impl Steer {
    /// The store has failed, and the server is about to end.
    pub(crate) fn store_failed(&self) {
        let bell = self.seen.bell();
        let severity = admin::alarms::Severity::Critical;
        bell.raise(severity, lookout::FAILED, "store", lookout::STORE_FAILED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_commits_are_those_of_the_last_minutes() {
        let mut figures = Figures::default();
        let mut commits = Commits::default();
        assert_eq!(commits.within(99, &figures), 0);
        // A hundred between 1 and 2 ms.
        figures.commits[3] = 100;
        assert_eq!(commits.within(50, &figures), 1500);
        assert_eq!(commits.within(99, &figures), 1990);
        for minute in 0..2 {
            commits.look(minute * COMMITS, Some(&figures));
        }
        assert_eq!(commits.within(50, &figures), 0);
        // Longer than all bounds.
        figures.commits[12] = 1;
        assert_eq!(commits.within(50, &figures), 5_000_000);
    }
}

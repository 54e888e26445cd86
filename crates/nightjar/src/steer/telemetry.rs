//! Metrics and traces for a collector: what the server knows, as the exporter wants it.
//!
//! | module | owns |
//! |---|---|
//! | [`follower`] | [`Follower`]: the messages that are followed, from step to step |
//! | [`carried`] | the context that a message carries in its user properties |
//! | [`place`] | spans that a worker has begun and ended |
//! | [`values`] | the one table of metrics, as values for the collector |

mod carried;
mod follower;
mod place;
mod values;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use admin::alarms::Severity;
use admin::metrics::Traffic;
use admin::server::figures::TelemetryCounts;
use broker::Tracer;
use telemetry::{Exporter, Figures, Metric, Notice, Problem, Settings, Signal, Source, Span};
use tracing::{error, info, warn};

use super::lookout::COLLECTOR;
use super::{Steer, Watching};
use follower::{Follower, Wanted};

/// What goes to a collector, and what went.
pub(crate) struct Telemetry {
    figures: Arc<Figures>,
    unfollowed: Arc<AtomicU64>,
    watching: Arc<Watching>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the API does, once there is an API.
    traffic: Arc<Traffic>,
    wanted: Wish,
    sending: Sent,
    /// What was sending before, while it sends what it has left.
    ending: Vec<JoinHandle<()>>,
}

/// What is wanted.
#[derive(Default, PartialEq)]
struct Wish {
    config: config::Telemetry,
    /// The file of authorities as it was: another one may have the same name.
    authorities: Option<Vec<u8>>,
}

impl Wish {
    fn of(config: &config::Telemetry) -> Self {
        let file = config.ca.as_ref();
        Self {
            config: config.clone(),
            // What cannot be read is told by who needs it.
            authorities: file.and_then(|file| std::fs::read(file).ok()),
        }
    }
}

/// What sends, and what it sends of messages.
#[derive(Default)]
struct Sent(Option<Exporter>, Option<Arc<Follower>>);

impl Telemetry {
    pub(super) fn new(watching: Arc<Watching>) -> Self {
        Self {
            figures: Arc::default(),
            unfollowed: Arc::default(),
            watching,
            state: Mutex::default(),
        }
    }

    /// What the API does is told from now on.
    pub(super) fn tells(&self, traffic: Arc<Traffic>) {
        self.lock().traffic = traffic;
    }

    /// Sends what is wanted, and nothing else. If that cannot be, all stays as it is, an alarm is
    /// raised, and the log says why. What was sending before is not waited for.
    pub(super) fn configure(&self, steer: &Arc<Steer>, wanted: &config::Telemetry) {
        let mut state = self.lock();
        let bell = steer.seen.bell();
        let wish = Wish::of(wanted);
        if state.wanted == wish {
            // What could not be taken over meanwhile is not wanted any more.
            drop(state);
            return bell.clear(COLLECTOR, SETTINGS);
        }
        match self.begin(steer, wanted, &state.traffic) {
            Ok((exporter, follower)) => {
                let tracer = follower.clone().map(|it| it as Arc<dyn Tracer>);
                self.watching.traced(tracer);
                let before = std::mem::replace(&mut state.sending, Sent(exporter, follower));
                state.wanted = wish;
                drop(state);
                let ending = before.end_aside();
                let mut state = self.lock();
                state.ending.retain(|thread| !thread.is_finished());
                state.ending.extend(ending);
                drop(state);
                bell.clear(COLLECTOR, SETTINGS);
            }
            Err(problem) => {
                error!(%problem, "telemetry: not taken over");
                let words = format!("telemetry cannot be sent: {problem}");
                bell.raise(Severity::Warning, COLLECTOR, SETTINGS, &words);
            }
        }
    }

    /// The server ends: what is left is sent.
    pub(super) fn end(&self) {
        self.watching.traced(None);
        let mut state = self.lock();
        let (last, before) = (
            std::mem::take(&mut state.sending),
            std::mem::take(&mut state.ending),
        );
        // What is left are figures too, and these ask here.
        drop(state);
        last.end();
        for thread in before {
            // A panic on it has been told by the hook.
            drop(thread.join());
        }
    }

    /// For how long nothing gets through.
    pub(super) fn failing(&self) -> Option<Duration> {
        let state = self.lock();
        let exporter = state.sending.0.as_ref()?;
        let times = Signal::ALL.map(|signal| exporter.failing(signal));
        times.into_iter().flatten().max()
    }

    /// What was sent and what was not; none if nothing is sent.
    pub(super) fn counts(&self) -> Vec<TelemetryCounts> {
        let state = self.lock();
        let Some(exporter) = &state.sending.0 else {
            return Vec::new();
        };
        let count = |signal: Signal| {
            let figure = self.figures.of(signal);
            TelemetryCounts {
                signal: signal.as_str(),
                sent: figure.sent(),
                dropped: figure.dropped(),
                failures: figure.failures(),
                is_failing: exporter.failing(signal).is_some(),
            }
        };
        Signal::ALL.map(count).into()
    }

    /// Messages that were to be followed and are not; `None` if none are.
    pub(super) fn unfollowed(&self) -> Option<u64> {
        let is_on = self.lock().wanted.config.traces;
        is_on.then(|| self.unfollowed.load(Relaxed))
    }

    fn begin(
        &self,
        steer: &Arc<Steer>,
        wanted: &config::Telemetry,
        traffic: &Arc<Traffic>,
    ) -> Result<(Option<Exporter>, Option<Arc<Follower>>), Problem> {
        let Some(settings) = settings(steer, wanted) else {
            return Ok((None, None));
        };
        let follower = wanted.traces.then(|| {
            let wanted = Wanted {
                one_in: wanted.sample_one_in,
                honors_contexts: wanted.honor_traceparent,
                of_client: wanted.client_messages_per_second,
                most: wanted.messages_per_second,
                spans: wanted.spans_per_second,
            };
            let figures = Arc::clone(&self.figures);
            let unfollowed = Arc::clone(&self.unfollowed);
            let workers = steer.mailboxes.workers();
            Arc::new(Follower::new(workers, wanted, figures, unfollowed))
        });
        let feed = Feed {
            steer: Arc::downgrade(steer),
            traffic: Arc::clone(traffic),
            follower: follower.clone(),
        };
        let figures = Arc::clone(&self.figures);
        let exporter = Exporter::start(&settings, Arc::new(feed), figures, Arc::new(notice))?;
        Ok((Some(exporter), follower))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sent {
    /// Sends what is left on a thread of its own: who reads a configuration does not wait for a
    /// collector, and what is left are figures too, which ask for locks that he may have.
    fn end_aside(self) -> Option<JoinHandle<()>> {
        self.0.as_ref()?;
        let thread = std::thread::Builder::new().name("telemetry-end".into());
        let spawned = thread.spawn(move || self.end());
        // What it had is dropped with it, and that ends it: on a system without room for a thread.
        let told = spawned.inspect_err(|error| warn!(%error, "telemetry: what is left is lost"));
        told.ok()
    }

    /// Sends what is left, for at most [`telemetry::exporter::LAST`].
    fn end(self) {
        let Self(exporter, follower) = self;
        if let Some(follower) = follower {
            follower.finish();
        }
        drop(exporter);
    }
}

/// What the alarm about what is configured is about.
const SETTINGS: &str = "settings";

/// What the exporter is told; `None` if there is nobody to send to.
fn settings(steer: &Steer, wanted: &config::Telemetry) -> Option<Settings> {
    let endpoint = wanted.endpoint.as_ref()?;
    let version = env!("CARGO_PKG_VERSION");
    let mut resource = vec![
        ("service.name".to_owned(), wanted.service_name.clone()),
        ("service.version".to_owned(), version.to_owned()),
        ("service.instance.id".to_owned(), steer.node.clone()),
    ];
    for attribute in &wanted.attributes {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        // The last word is the operator's.
        resource.retain(|(known, _)| known != key);
        resource.push((key.to_owned(), value.to_owned()));
    }
    let headers = wanted.headers.iter();
    Some(Settings {
        endpoint: endpoint.reveal().to_owned(),
        headers: headers
            .map(|header| (header.name.clone(), header.value.reveal().to_owned()))
            .collect(),
        ca: wanted.ca.clone(),
        timeout: wanted.timeout,
        resource,
        version,
        metrics: Some(wanted.metrics_interval).filter(|interval| !interval.is_zero()),
        traces: wanted.traces,
        started: steer.started,
    })
}

fn notice(notice: Notice) {
    match notice {
        Notice::Failed { signal, why } => {
            let signal = signal.as_str();
            warn!(signal, why, "telemetry does not reach the collector");
        }
        Notice::Recovered { signal } => {
            let signal = signal.as_str();
            info!(signal, "telemetry reaches the collector again");
        }
    }
}

/// Where the exporter gets things from.
struct Feed {
    steer: Weak<Steer>,
    traffic: Arc<Traffic>,
    follower: Option<Arc<Follower>>,
}

impl Source for Feed {
    fn metrics(&self) -> Vec<Metric> {
        let Some(steer) = self.steer.upgrade() else {
            return Vec::new();
        };
        values::metrics(admin::metrics::families(&*steer, &self.traffic))
    }

    fn spans(&self, most: usize) -> Vec<Span> {
        let follower = self.follower.as_ref();
        follower.map_or_else(Vec::new, |follower| follower.fetch(most))
    }
}

/// Ends what is sent when it is dropped.
pub(super) struct Sending(pub(super) Arc<Steer>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.telemetry.end();
    }
}

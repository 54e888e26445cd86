//! The thread that sends.
//!
//! Traces and metrics go their ways side by side, each one request at a time. What is refused for a
//! while (429, 502, 503, 504, no answer) is sent again, at first after a second, then after twice as
//! long each time, and not before the collector wants it; what is refused for good is dropped and counted. Spans
//! that wait meanwhile wait in the [`Source`], which has a bound.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio::time::Instant as Due;

use crate::encode::Sender;
use crate::figures::{Figures, Health, Signal};
use crate::metric::Metric;
use crate::settings::{Problem, Settings};
use crate::span::Span;
use crate::web::Web;

/// Where metrics and spans come from. Asked on the exporter's thread.
pub trait Source: Send + Sync {
    /// All metrics, as they are now.
    fn metrics(&self) -> Vec<Metric>;

    /// Spans that have ended and were not fetched before, at most so many.
    fn spans(&self, most: usize) -> Vec<Span>;
}

/// What an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A request failed after others had not.
    Failed {
        /// Of what.
        signal: Signal,
        /// Why; what the collector said is not in it.
        why: String,
    },
    /// Requests are taken again.
    Recovered {
        /// Of what.
        signal: Signal,
    },
}

/// Sends, as long as it lives. Dropping it sends what there is, for at most [`LAST`] in all.
#[derive(Debug)]
pub struct Exporter {
    stop: watch::Sender<Option<Due>>,
    health: [Arc<Health>; 2],
    thread: Option<JoinHandle<()>>,
}

/// How long the end takes at most, however many requests are left.
pub const LAST: Duration = Duration::from_secs(2);
/// Most spans in a request.
pub const BATCH: usize = 512;
/// How often it is looked for spans.
const TICK: Duration = Duration::from_secs(1);
/// The first pause before a request is made again.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause, whoever wants it. A collector can only have one lengthened.
const LONGEST: Duration = Duration::from_secs(60);
/// After how long a request is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// For so long a failure says something if nothing is sent after it.
const MEMORY: Duration = Duration::from_secs(300);

impl Exporter {
    /// Begins to send.
    ///
    /// # Errors
    /// The address or a header is none, the file of authorities cannot be read, or the system gives no
    /// thread.
    pub fn start(
        settings: &Settings,
        source: Arc<dyn Source>,
        figures: Arc<Figures>,
        notices: Arc<dyn Fn(Notice) + Send + Sync>,
    ) -> Result<Self, Problem> {
        Self::start_with(settings, source, (figures, notices), FIRST)
    }

    /// The same, with another first pause.
    fn start_with(
        settings: &Settings,
        source: Arc<dyn Source>,
        (figures, notices): (Arc<Figures>, Notices),
        first: Duration,
    ) -> Result<Self, Problem> {
        let (stop, stopped) = watch::channel(None);
        let started = nanos(settings.started);
        let sender = Sender::new(&settings.resource, settings.version, started);
        let sender = Arc::new(sender);
        // Metrics that are sent seldom fail seldom.
        let rare = settings.metrics.unwrap_or_default().saturating_mul(2);
        let health = [MEMORY, rare.max(MEMORY)].map(|memory| Arc::new(Health::new(memory)));
        let [of_traces, of_metrics] = &health;
        let way = |signal: Signal, health: &Arc<Health>, path: &str| {
            Ok(Way {
                signal,
                health: Arc::clone(health),
                web: Web::new(settings, path)?,
                sender: Arc::clone(&sender),
                source: Arc::clone(&source),
                figures: Arc::clone(&figures),
                notices: Arc::clone(&notices),
                stop: stopped.clone(),
                first,
            })
        };
        let traces = way(Signal::Traces, of_traces, "/v1/traces")?;
        let metrics = way(Signal::Metrics, of_metrics, "/v1/metrics")?;
        let system = |error: io::Error| Problem::new(format!("no thread: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(system)?;
        let (interval, has_traces) = (settings.metrics, settings.traces);
        let work = move || {
            runtime.block_on(async move {
                let traces = has_traces.then(|| tokio::spawn(traces.send_spans()));
                let metrics = interval.map(|it| tokio::spawn(metrics.send_metrics(it)));
                for task in [traces, metrics].into_iter().flatten() {
                    // A panic on it has been told by the hook.
                    let _ended = task.await;
                }
            });
            // A host name that is still looked up is not waited for.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("telemetry".into());
        let thread = thread.spawn(work).map_err(system)?;
        Ok(Self {
            stop,
            health,
            thread: Some(thread),
        })
    }

    /// For how long nothing of a signal gets through. A failure that nothing was sent after is
    /// forgotten after a while.
    pub fn failing(&self, signal: Signal) -> Option<Duration> {
        let [traces, metrics] = &self.health;
        let health = match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
        };
        health.failing(Instant::now())
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let now = Due::now();
        // Who does not listen any more has ended.
        let _ended = self.stop.send(Some(now.checked_add(LAST).unwrap_or(now)));
        if let Some(thread) = self.thread.take() {
            // A panic on it has been told by the hook.
            drop(thread.join());
        }
    }
}

/// Who is told.
type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// One signal on its way.
struct Way {
    signal: Signal,
    health: Arc<Health>,
    web: Web,
    sender: Arc<Sender>,
    source: Arc<dyn Source>,
    figures: Arc<Figures>,
    notices: Notices,
    /// When all ends, once that is known.
    stop: watch::Receiver<Option<Due>>,
    /// The first pause before a request is made again.
    first: Duration,
}

/// What became of a request.
enum Outcome {
    /// It was taken, but for so many.
    Taken(u64),
    /// It is to be made again, after so long if the collector says so.
    Later(Option<Duration>, String),
    /// It was refused for good.
    Refused(String),
}

impl Way {
    async fn send_spans(mut self) {
        while self.rest(TICK).await {
            self.send_all_spans().await;
        }
        self.send_all_spans().await;
        // If the collector does not take it, nobody does.
        let left = self.source.spans(usize::MAX).len();
        self.figures.of(self.signal).drop(count(left));
    }

    /// Sends what waits now.
    async fn send_all_spans(&mut self) {
        while !self.is_over() {
            let spans = self.source.spans(BATCH);
            if spans.is_empty() {
                return;
            }
            let body = self.sender.traces(&spans);
            let is_taken = self.deliver(body, spans.len()).await;
            if !is_taken && self.stop.borrow().is_some() {
                return;
            }
        }
    }

    async fn send_metrics(mut self, interval: Duration) {
        while self.rest(interval).await {
            self.send_all_metrics().await;
        }
        self.send_all_metrics().await;
    }

    async fn send_all_metrics(&mut self) {
        let metrics = self.source.metrics();
        let values = metrics.iter().map(|metric| metric.points.len()).sum();
        let body = self.sender.metrics(&metrics, nanos(SystemTime::now()));
        // What was not taken is counted; the next ones have all that these had.
        let _taken = self.deliver(body, values).await;
    }

    /// Whether the time that the end has is over.
    fn is_over(&self) -> bool {
        self.stop.borrow().is_some_and(|due| due <= Due::now())
    }

    /// Waits; whether to go on then.
    async fn rest(&mut self, time: Duration) -> bool {
        let stopped = self.stop.wait_for(|due| due.is_some());
        tokio::time::timeout(time, stopped).await.is_err()
    }

    /// Sends a request until it is taken, refused for good, or too old. Whether it was taken.
    async fn deliver(&mut self, body: Vec<u8>, items: usize) -> bool {
        let (body, items) = (Bytes::from(body), count(items));
        let begun = Instant::now();
        let mut pause = self.first;
        loop {
            let (wait, why) = match self.attempt_in_time(body.clone()).await {
                Outcome::Taken(rejected) => {
                    self.taken(items, rejected);
                    return true;
                }
                Outcome::Refused(why) => {
                    self.failed(why);
                    break;
                }
                Outcome::Later(wait, why) => (wait, why),
            };
            self.failed(why);
            let wait = wait.unwrap_or_default().max(spread(pause)).min(LONGEST);
            pause = pause.saturating_mul(2).min(LONGEST);
            if begun.elapsed().saturating_add(wait) > PATIENCE || !self.rest(wait).await {
                break;
            }
        }
        self.figures.of(self.signal).drop(items);
        false
    }

    /// All requests of the end together have [`LAST`].
    async fn attempt_in_time(&self, body: Bytes) -> Outcome {
        let mut stop = self.stop.clone();
        let late = async {
            // Who stops it may be gone: the same, at once.
            let due = stop.wait_for(|due| due.is_some()).await.map(|due| *due);
            tokio::time::sleep_until(due.ok().flatten().unwrap_or_else(Due::now)).await;
        };
        tokio::select! {
            outcome = self.attempt(body) => outcome,
            () = late => Outcome::Later(None, "the server ended".into()),
        }
    }

    async fn attempt(&self, body: Bytes) -> Outcome {
        let reply = match self.web.post(body).await {
            Ok(reply) => reply,
            Err(why) => return Outcome::Later(None, why),
        };
        let why = || format!("status {}", reply.status.as_u16());
        match reply.status {
            status if status.is_success() => Outcome::Taken(rejected(&reply.body)),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Outcome::Later(reply.retry_after, why()),
            _ => Outcome::Refused(why()),
        }
    }

    fn taken(&self, items: u64, rejected: u64) {
        let figure = self.figures.of(self.signal);
        let rejected = rejected.min(items);
        figure.send(items.saturating_sub(rejected));
        figure.drop(rejected);
        if items > 0 && rejected == items {
            return self.failed("all of it was rejected".into());
        }
        if self.health.recover() {
            let signal = self.signal;
            (self.notices)(Notice::Recovered { signal });
        }
    }

    fn failed(&self, why: String) {
        self.figures.of(self.signal).fail();
        if self.health.fail(Instant::now()) {
            let signal = self.signal;
            (self.notices)(Notice::Failed { signal, why });
        }
    }
}

/// How many the collector did not take of a request that it took (`partialSuccess`).
fn rejected(body: &[u8]) -> u64 {
    let Ok(answer) = serde_json::from_slice::<Json>(body) else {
        return 0;
    };
    let Some(partial) = answer.get("partialSuccess") else {
        return 0;
    };
    let fields = ["rejectedSpans", "rejectedDataPoints"];
    let found = fields.iter().find_map(|field| partial.get(field));
    let number = found.and_then(|it| it.as_u64().or_else(|| it.as_str()?.parse().ok()));
    number.unwrap_or(0)
}

/// A pause between half of it and all: not all servers come back at once.
fn spread(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH);
    let part = nanos.map_or(0, |it| it.subsec_nanos() % 1024);
    let half = pause.div_f64(2.0);
    half.saturating_add(half.mul_f64(f64::from(part) / 1024.0))
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

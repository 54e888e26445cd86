//! What the administration API sees and changes of the running server.
//!
//! **Never** on a worker's thread: what only workers know is asked of them by mail, a bounded piece
//! at a time, and what is asked of a disk is asked on the API's own threads.
//!
//! | module | owns |
//! |---|---|
//! | [`figures`] | what the server does, in numbers |
//! | [`sampler`] | the thread that looks at them each second |
//! | [`lookout`] | what figures say of trouble |
//! | [`bell`] | [`bell::Bell`]: alarms as they are told |
//! | [`tally`] | how often what happened |
//! | [`seen`] | [`Seen`]: what is kept of the broker's events |
//! | [`watch`] | clients that connect too often, and two with one client identifier |
//! | [`ask`] | questions to workers, and their answers |
//! | [`board`] | the dashboard's port |
//! | [`people`] | users |
//! | [`roles`] | groups and roles |
//! | [`bans`] | bans |
//! | [`orders`] | orders that clients give at control topics |
//! | [`dynsec`] | users, groups and roles, by the words of Mosquitto's plugin |
//! | [`bridges`] | bridges to other servers |
//! | [`clients`] | who is connected or away |
//! | [`messages`] | what waits for a client |
//! | [`subscriptions`] | who wants what |
//! | [`retained`] | retained messages |
//! | [`publish`] | messages that the API publishes |
//! | [`explain`] | why |
//! | [`telemetry`] | metrics and traces for a collector |
//! | [`watching`] | who watches messages, as workers are told |
//! | [`topics`] | what is published while somebody looks, and what is retained |
//! | [`drops`] | messages that somebody did not get |
//! | [`timeline`] | what happened to each client |
//! | [`slow`] | who takes longest |
//! | [`traces`] | what happens to one client, topic or address, line by line |
//! | [`chain`] | the chain of providers |
//! | [`configuration`] | the configuration: shown, checked, replaced, put back |
//! | [`tools`] | the log's level, copies of all that is kept |
//! | [`listeners`] | listeners and their figures |
//! | [`store`] | what is kept, and how safely |

mod ask;
mod bans;
pub(crate) mod bell;
pub(crate) mod board;
mod bridges;
mod chain;
mod clients;
pub(crate) mod configuration;
mod drops;
mod dynsec;
mod explain;
mod figures;
mod listeners;
mod lookout;
mod messages;
pub(crate) mod orders;
mod people;
mod publish;
mod retained;
mod roles;
mod sampler;
pub(crate) mod seen;
mod slow;
mod store;
mod subscriptions;
mod tally;
mod telemetry;
mod timeline;
pub(crate) mod tools;
mod topics;
mod traces;
mod watch;
mod watching;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use admin::server::authentication::Bucket;
use admin::server::status::State;
use admin::server::{
    Authentication, Backup, Bans, Bridges, Clients, Configuration, Drops, Explain, Listeners,
    Logging, Publish, Retained, Roles, Server, Slow, Status, Store, Subscriptions, Timeline,
    TimelineMeta, Topics, Traces, Users,
};
use admin::{Alarms, Audit, Failure, Record, Stamp, audit};
pub(crate) use admin::{Api, Problem};
use broker::{CloseReason, Control, Mail, Selector, Shared};
use config::{Config, ControlSocket, Places};
use journal::server::View;
use net::{Counters, Mailboxes};
use providers::Purge;
use providers::access::{AccessError, Change};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;
use types::{Time, WorkerId};

use crate::doors::Doors;
use crate::log::Level;
use crate::process;
use crate::serve::Parts;
use configuration::Kept;
use figures::Lately;
use orders::Answering;
use sampler::Sampler;
use seen::Seen;
use slow::Looks;
use telemetry::{Sending, Telemetry};
use topics::Explorer;
use watching::Watching;

/// Of so many users it is looked up one by one what is remembered.
const FEW: usize = 16;

/// The running server, as the API sees it.
pub(crate) struct Steer {
    shared: Arc<Shared>,
    mailboxes: Mailboxes<Mail>,
    counters: Arc<Counters>,
    doors: Arc<Doors>,
    seen: Arc<Seen>,
    config: RwLock<Arc<Config>>,
    kept: Kept,
    level: Level,
    data_dir: PathBuf,
    stored: Option<View>,
    explorer: Arc<Explorer>,
    slow: Looks,
    bridges: Arc<bridge::Bridges>,
    telemetry: Telemetry,
    start: Instant,
    started: SystemTime,
    is_ending: AtomicBool,
    node: String,
    /// Files that the process may have open.
    descriptors: Option<u64>,
    /// The memory budget that holds; zero: there is none.
    memory: AtomicU64,
    lately: Lately,
}

/// What steers the server, as long as it lives. Its parts end in this order.
pub(crate) struct Steering {
    /// The API, if it can be reached.
    pub(crate) api: Option<Api>,
    /// What sends metrics and traces.
    _sending: Sending,
    /// What looks at the figures.
    _sampler: Sampler,
    /// What carries orders of clients out.
    _answering: Answering,
    /// What both work with.
    pub(crate) steer: Arc<Steer>,
}

/// The control socket of a server with this configuration, if it has one.
pub(crate) fn socket(config: &Config, data_dir: &Path) -> Option<PathBuf> {
    match &config.control_socket {
        ControlSocket::At(path) => Some(data_dir.join(path)),
        ControlSocket::Off => None,
    }
}

/// Begins to serve the API by the control socket and the dashboard's port, if there are to be any.
///
/// # Errors
/// The audit log, the file of administrators, the socket or the port cannot be opened.
pub(crate) fn serve(parts: Parts, seen: &Arc<Seen>, data_dir: &Path) -> Result<Steering, Problem> {
    let audit = Audit::open(audit::Settings {
        file: data_dir.join(&parts.config.audit.file),
        size: parts.config.audit.size,
        keep: parts.config.audit.keep,
    })?;
    let mut settings = admin::Settings::new(data_dir.join("administrators.json"));
    settings.socket = socket(&parts.config, data_dir);
    settings.setup_code = Some(board::code_file(data_dir));
    settings.web = board::settings(&parts.config)?;
    settings.metrics = parts.config.metrics.listen;
    settings
        .metrics_hosts
        .clone_from(&parts.config.dashboard.hosts);
    let config = Arc::new(parts.config);
    let node = parts.shared.node().to_owned();
    let watching = Watching::new(parts.mailboxes.clone());
    seen.traces()
        .open(data_dir.join("traces"), Arc::clone(&watching));
    let workers = parts.mailboxes.workers();
    let steer = Arc::new(Steer {
        telemetry: Telemetry::new(Arc::clone(&watching)),
        explorer: Explorer::new(watching, workers, config.limits.watched_topics),
        slow: Looks::default(),
        bridges: parts.bridges,
        shared: parts.shared,
        mailboxes: parts.mailboxes,
        counters: parts.counters,
        doors: parts.doors,
        seen: Arc::clone(seen),
        config: RwLock::new(Arc::clone(&config)),
        kept: parts.kept,
        level: parts.level,
        stored: parts.stored,
        start: parts.start,
        started: SystemTime::now() - parts.start.elapsed(),
        is_ending: AtomicBool::new(false),
        node,
        data_dir: data_dir.into(),
        descriptors: parts.descriptors,
        memory: AtomicU64::new(budget(&config)),
        lately: Lately::open(data_dir),
    });
    let (doors, bell) = (Arc::clone(&steer.doors), Arc::clone(seen.bell()));
    if !config.sys_interval.is_zero() {
        bell.publish(steer.mailboxes.clone(), &steer.node);
    }
    let watches = seen.watch().follow(doors, Arc::clone(&audit), bell);
    watches.map_err(Problem::Thread)?;
    let sampler = Sampler::start(Arc::clone(&steer)).map_err(Problem::Thread)?;
    let answering = Answering::start(parts.orders, Arc::clone(&steer), Arc::clone(&audit));
    let answering = answering.map_err(Problem::Thread)?;
    let api = start(settings, &config, &steer, &audit, seen.denials())?;
    if let Some(api) = &api {
        steer.telemetry.tells(api.traffic());
    }
    let sending = Sending(Arc::clone(&steer));
    steer.telemetry.configure(&steer, &config.telemetry);
    Ok(Steering {
        api,
        _sending: sending,
        _sampler: sampler,
        _answering: answering,
        steer,
    })
}

/// Starts the API, without what cannot be had and nobody asked for.
fn start(
    mut settings: admin::Settings,
    config: &Config,
    steer: &Arc<Steer>,
    audit: &Arc<Audit>,
    denials: &Arc<admin::Denials>,
) -> Result<Option<Api>, Problem> {
    loop {
        let ways = (settings.socket.is_none(), settings.web.is_none());
        if ways == (true, true) && settings.metrics.is_none() {
            return Ok(None);
        }
        let server = Arc::clone(steer);
        let started = Api::start(
            settings.clone(),
            server,
            Arc::clone(audit),
            Arc::clone(denials),
        );
        match started {
            Ok(api) => return Ok(Some(api)),
            // Data folders may be deeper than sockets: that is no reason not to serve clients.
            Err(problem @ Problem::TooLong(_)) => {
                warn!(%problem, "there is no control socket");
                settings.socket = None;
            }
            // Some systems have no sockets, and then no API.
            Err(problem @ Problem::NoSockets) => {
                warn!(%problem, "there is no control socket");
                return Ok(None);
            }
            Err(problem) if board::is_dispensable(config, &problem) => {
                warn!(%problem, "there is no dashboard");
                settings.web = None;
            }
            Err(problem) => return Err(problem),
        }
    }
}

impl Steer {
    /// The configuration was read again. `config` has its listeners by their places, `said` as they
    /// are in the file.
    pub(crate) fn configured(self: &Arc<Self>, config: &Config, said: &Config, places: Places) {
        self.kept.taken_over(said, places);
        // Nobody who is called below may be kept from reading it.
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config.clone());
        self.memory.store(budget(config), Ordering::Relaxed);
        self.seen.watch().configured(&config.limits);
        self.explorer.resize(config.limits.watched_topics);
        self.telemetry.configure(self, &config.telemetry);
    }

    /// The server says goodbye to its clients.
    pub(crate) fn ending(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.seen.traces().end();
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Bytes of memory that the server may use; zero: there is no bound.
    fn memory_budget(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    fn config(&self) -> Arc<Config> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&config)
    }

    fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        (0..=u16::MAX).map(WorkerId).take(self.mailboxes.workers())
    }

    /// Tells all workers.
    ///
    /// # Errors
    /// One has ended; so will the server.
    fn tell(&self, control: &Control) -> Result<(), Failure> {
        for worker in self.workers() {
            self.tell_one(worker, control.clone())?;
        }
        Ok(())
    }

    fn tell_one(&self, worker: WorkerId, control: Control) -> Result<(), Failure> {
        let sent = self.mailboxes.send(worker, Mail::Control(control));
        sent.map_err(|_| Failure::Unavailable("the server is ending".into()))
    }

    /// Clients of a user are asked about again. Groups, roles and bans need no word: they are in the
    /// policy, of which all workers hear.
    fn refresh_user(&self, name: &str) -> Result<(), Failure> {
        self.doors.forget(Purge::User(name));
        self.tell(&Control::Refresh(Selector::User(name.into())))
    }

    /// Clients of these users have to prove again who they are.
    fn end_users(&self, names: BTreeSet<Arc<str>>) -> Result<(), Failure> {
        match names.len() {
            0..=FEW => names
                .iter()
                .for_each(|name| self.doors.forget(Purge::User(name))),
            _ => self.doors.forget(Purge::All),
        }
        let selector = Selector::Users(Arc::new(names));
        self.tell(&Control::End(selector, CloseReason::Unwelcome))
    }

    /// A point in the time of the workers, by the wall clock.
    fn stamp(&self, at: Time) -> Stamp {
        Stamp::from(self.started + Duration::from_millis(at.as_millis()))
    }
}

impl fmt::Debug for Steer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steer")
    }
}

impl Server for Steer {
    fn status(&self) -> Status {
        let (connections, sessions) = self.shared.connections_and_sessions();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            state: match self.is_ending() {
                true => State::Stopping,
                false => State::Running,
            },
            started_at: Stamp::from(self.started),
            uptime: self.start.elapsed().as_secs(),
            workers: count(self.mailboxes.workers()),
            connections: count(connections),
            sessions: count(sessions),
            alarms: self.seen.bell().alarms().words(),
        }
    }

    fn store(&self) -> Store {
        store::store(self)
    }

    fn users(&self) -> &dyn Users {
        self
    }

    fn roles(&self) -> &dyn Roles {
        self
    }

    fn bans(&self) -> &dyn Bans {
        self
    }

    fn clients(&self) -> &dyn Clients {
        self
    }

    fn subscriptions(&self) -> &dyn Subscriptions {
        self
    }

    fn retained(&self) -> &dyn Retained {
        self
    }

    fn publish(&self) -> &dyn Publish {
        self
    }

    fn explain(&self) -> &dyn Explain {
        self
    }

    fn authentication(&self) -> &dyn Authentication {
        self
    }

    fn listeners(&self) -> &dyn Listeners {
        self
    }

    fn bridges(&self) -> &dyn Bridges {
        self
    }

    fn configuration(&self) -> &dyn Configuration {
        &self.kept
    }

    fn logging(&self) -> &dyn Logging {
        self
    }

    fn backup(&self) -> &dyn Backup {
        self
    }

    fn topics(&self) -> &dyn Topics {
        self
    }

    fn drops(&self) -> Drops {
        self.seen.drops().shown(&self.shared)
    }

    fn timeline(&self, clientid: &str, most: usize) -> Timeline {
        let timelines = self.seen.timelines();
        Timeline {
            data: timelines.of(clientid, most),
            meta: TimelineMeta {
                lost: timelines.lost(),
            },
        }
    }

    fn slow(&self) -> &dyn Slow {
        self
    }

    fn traces(&self) -> &dyn Traces {
        self.seen.traces()
    }

    fn alarms(&self) -> &Alarms {
        self.seen.bell().alarms()
    }

    fn figures(&self) -> &dyn admin::server::Figures {
        self
    }
}

fn budget(config: &Config) -> u64 {
    count(process::memory_budget(config.limits.memory))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A histogram whose counts are one more than its bounds.
fn buckets(bounds: &[Duration], counts: &[u64]) -> Vec<Bucket> {
    let bounds = bounds.iter().map(|bound| Some(bound.as_secs_f64() * 1e3));
    let rows = bounds.chain([None]).zip(counts);
    rows.map(|(at_most_ms, &count)| Bucket { at_most_ms, count })
        .collect()
}

fn seconds(at: u64) -> Stamp {
    Stamp::from_millis(at.saturating_mul(1000))
}

/// Puts a change into the audit log before it is made, as the API shows such a thing.
fn noted<K: DeserializeOwned + 'static, S: Serialize + 'static>(
    record: &Record,
    shown: fn(K) -> S,
) -> impl Fn(&Change) -> Result<(), String> + '_ {
    move |change| {
        let read = |value: &Option<Value>| -> Result<Option<S>, String> {
            let kept = value.as_ref().map(K::deserialize).transpose();
            let kept = kept.map_err(|error| format!("a line for the audit log: {error}"))?;
            Ok(kept.map(shown))
        };
        let (before, after) = (read(&change.before)?, read(&change.after)?);
        let done = record.done(before.as_ref(), after.as_ref());
        done.map_err(|failure| failure.to_string())
    }
}

/// For what the API shows as the database keeps it.
fn as_it_is(value: Value) -> Value {
    value
}

/// What the caller hears of a change that was not made. `what` is the thing in words.
fn failure(error: AccessError, what: &str) -> Failure {
    match error {
        AccessError::Invalid(why) => Failure::Invalid(why),
        AccessError::Missing => Failure::NotFound(format!("there is no {what}")),
        AccessError::Exists => Failure::Exists(format!("{what} is there already")),
        AccessError::NotAgreed(why) => Failure::Audit(why),
        AccessError::Storage(why) => Failure::Unavailable(format!("the database of users: {why}")),
    }
}

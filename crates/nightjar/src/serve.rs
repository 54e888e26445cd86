//! `nightjar serve`: from a plan to a running server and to its end.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use broker::mail::Selector;
use broker::{
    BrokerConfig, Control, Dropped, Event, EventSink, Mail, Restore, Revoked, Shared, Worker,
};
use config::{Config, Method, Protocol, SharedStrategy, Sources};
use journal::server::View;
use net::{Address, Clock, Counters, Mailboxes, Notice, Runtime, WorkerPanic, WorkerSetup};
use store::{Recovered, Store};
use topics::Strategy;
use tracing::{error, info, warn};
use types::{Limits, WorkerId};

use crate::banner::Board;
use crate::bridges::guests::Guests;
use crate::bridges::{self, Names};
use crate::cli::{self, ServeArgs};
use crate::doors::{self, DoorError, Doors};
use crate::log::{Form, Level, Lines, Log};
use crate::pid::PidFile;
use crate::plan::{Intent, Plan, PlanError};
use crate::signals::{self, Signal};
use crate::steer::board;
use crate::steer::configuration::{Kept, Reread};
use crate::steer::orders::Inbox;
use crate::steer::{self, Steer, seen::Seen};
use crate::storage::{self, Storage, StorageError};
use crate::{banner, foresight, origin, process, supervisor};

/// Serves until a signal ends it. A start that fails says why in one line for each reason.
pub(crate) fn run(args: ServeArgs) -> ExitCode {
    match serve(args) {
        Ok(code) => code,
        Err(StartError::Plan(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("nightjar: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why there was no start.
#[derive(Debug)]
enum StartError {
    /// There is no plan.
    Plan(PlanError),
    /// The store could not be opened.
    Store(StorageError),
    /// Nobody could come in, or the wrong ones could.
    Doors(DoorError),
    /// Nobody could steer it.
    Api(steer::Problem),
    /// The system gave no thread, descriptor or signal handler.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Doors(error) => error.fmt(f),
            Self::Api(error) => error.fmt(f),
            Self::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// What the server's main thread waits for.
#[derive(Debug)]
enum Request {
    /// A signal of the system.
    Signal(Signal),
    /// All workers have ended, or one has failed.
    Ended(Result<(), WorkerPanic>),
    /// The store has failed: nothing more can be promised.
    StoreFailed,
    /// The store is open, or cannot be opened.
    StoreOpened,
    /// An operator has changed the configuration.
    Reread(Reread),
}

impl From<Signal> for Request {
    fn from(signal: Signal) -> Self {
        Self::Signal(signal)
    }
}

fn serve(args: ServeArgs) -> Result<ExitCode, StartError> {
    let plan = Plan::new(args, Intent::Start).map_err(StartError::Plan)?;
    // Before a door opens: whoever sees the server listen may ask it to end.
    let (requests, inbox) = mpsc::channel();
    signals::forward(requests.clone())?;
    let (doors, mut open) = Doors::open(&plan.config, &plan.data_dir).map_err(StartError::Doors)?;
    let form = Form::of(plan.config.log.format);
    let log = Log::start(form, plan.config.log.level)?;
    log_panics();
    let descriptors = descriptors();

    let start = Instant::now();
    let Some((storage, recovered)) = open_store(&plan, start, &requests, &inbox)? else {
        log.finish();
        return Ok(ExitCode::SUCCESS);
    };
    let seen = Arc::new(Seen::new(&plan.config.limits, usize::from(plan.workers)));
    let events = alarmed(&log, &seen, &requests);
    let guests = Arc::new(Guests::new(doors.authenticator()));
    let orders = Inbox::new();
    let told = (events as Arc<dyn EventSink>, Arc::clone(&orders));
    let shared = Shared::new(broker_config(&plan, &doors, &guests, told, descriptors));
    // Before the workers publish their first figures.
    let memory = watch_memory(Arc::clone(&shared))?;
    let setups = setups(&plan, &shared, &storage, recovered);
    let runtime = Runtime::start(open.sockets(), setups, Clock::new(start))?;
    let mailboxes = runtime.mailboxes();
    storage.join(&mailboxes);
    let (listening, bell) = (runtime.listening(), seen.bell());
    doors.join((&plan.config, open), &shared, &mailboxes, listening, bell)?;
    let doors = Arc::new(doors);
    let bridges = bridges(&plan, guests, &shared, &runtime)?;
    let parts = Parts {
        kept: kept(&plan, requests.clone()),
        level: log.level().clone(),
        shared,
        mailboxes: mailboxes.clone(),
        counters: runtime.counters(),
        doors: Arc::clone(&doors),
        config: plan.config.clone(),
        stored: storage.view(),
        bridges: bridges.handle(),
        orders,
        start,
        descriptors,
    };
    let steering = steer::serve(parts, &seen, &plan.data_dir).map_err(StartError::Api)?;
    watch_workers(runtime, requests)?;
    announce(&plan, &doors, steering.api.as_ref(), form)?;
    let known = make_known(&plan, &mailboxes)?;

    let mut server = Server {
        config: plan.config,
        sources: plan.sources,
        is_local_only: plan.is_local_only,
        mailboxes,
        doors,
        steer: Arc::clone(&steering.steer),
        log,
        descriptors,
        bridges,
    };
    let code = server.attend(&inbox);
    // Nobody changes anything any more.
    drop((steering, memory, known));
    let stored = storage.close();
    server.log.finish();
    Ok(if stored { code } else { ExitCode::FAILURE })
}

/// What the API is made with.
pub(crate) struct Parts {
    /// What all workers share.
    pub(crate) shared: Arc<Shared>,
    /// The way to the workers.
    pub(crate) mailboxes: Mailboxes<Mail>,
    /// What the event loops count.
    pub(crate) counters: Arc<Counters>,
    /// Who comes in and what he may do.
    pub(crate) doors: Arc<Doors>,
    /// What is configured.
    pub(crate) config: Config,
    /// The configuration as its file and others say it.
    pub(crate) kept: Kept,
    /// How much is logged.
    pub(crate) level: Level,
    /// The store, if something is stored.
    pub(crate) stored: Option<View>,
    /// Bridges to other servers.
    pub(crate) bridges: Arc<bridge::Bridges>,
    /// Where orders of clients wait.
    pub(crate) orders: Arc<Inbox>,
    /// When the clock of the workers was at zero.
    pub(crate) start: Instant,
    /// Files that the process may have open; `None`: as many as it likes.
    pub(crate) descriptors: Option<u64>,
}

/// Tells the system that the server serves, and that it goes on to, until what comes back is dropped.
fn make_known(
    plan: &Plan,
    mailboxes: &Mailboxes<Mail>,
) -> io::Result<(Option<PidFile>, Option<Sender<()>>)> {
    let pid_file = PidFile::write(plan.config.pid_file.as_deref());
    let watchdog = supervisor::watchdog(mailboxes.clone())?;
    supervisor::ready();
    Ok((pid_file, watchdog))
}

/// The thread of the bridges; there are none yet.
fn bridges(
    plan: &Plan,
    guests: Arc<Guests>,
    shared: &Arc<Shared>,
    runtime: &Runtime<Mail>,
) -> io::Result<bridges::Running> {
    bridges::Running::start(
        Names::new(&plan.node, &plan.data_dir),
        guests,
        Arc::clone(shared),
        runtime.mailboxes(),
        runtime.listening(),
    )
}

/// What happens is logged, and looked at for alarms.
fn alarmed(log: &Log, seen: &Arc<Seen>, requests: &Sender<Request>) -> Arc<Alarmed> {
    Arc::new(Alarmed {
        log: log.events(),
        seen: Arc::clone(seen),
        requests: requests.clone(),
    })
}

/// The configuration, with the way to have it read again.
fn kept(plan: &Plan, requests: Sender<Request>) -> Kept {
    Kept::new(
        (plan.config.clone(), plan.places.clone()),
        plan.sources.clone(),
        &plan.data_dir,
        // If nobody listens any more, who waits for an answer hears that.
        Box::new(move |reread| drop(requests.send(Request::Reread(reread)))),
    )
}

/// Files that the process may have open from now on; `None`: as many as it likes.
fn descriptors() -> Option<u64> {
    net::raise_descriptor_limit().unwrap_or_else(|error| {
        warn!(%error, "the limit of open files stays as it is");
        None
    })
}

/// Sends a request when it is dropped, by a panic too.
struct Tell(Sender<Request>);

impl Drop for Tell {
    fn drop(&mut self) {
        // If nobody listens any more, the process is ending already.
        let _already_ending = self.0.send(Request::StoreOpened);
    }
}

/// Opens the store beside this thread, which hears signals meanwhile; `None` if one of them asks
/// for the end. What was begun is left as a crash would leave it: the next start goes on from there.
fn open_store(
    plan: &Plan,
    start: Instant,
    requests: &Sender<Request>,
    inbox: &Receiver<Request>,
) -> Result<Option<(Storage, Recovered)>, StartError> {
    let (config, data_dir) = (plan.config.clone(), plan.data_dir.clone());
    let words = cli::store::words(plan.sources.file.as_deref(), Some(&data_dir));
    let tell = Tell(requests.clone());
    let open = move || {
        let _told_at_the_end = tell;
        Storage::open(&config, &data_dir, &words, start)
    };
    let opening = thread::Builder::new().name("recovery".into()).spawn(open)?;
    if !is_opened(requests, inbox) {
        info!("ended before the store was recovered");
        return Ok(None);
    }
    let opened = opening
        .join()
        .map_err(|_| io::Error::other("the recovery of the store panicked"))?;
    opened.map(Some).map_err(StartError::Store)
}

/// Waits until the store is open; `false` if the end is asked for before. What asks for a reload
/// meanwhile is asked again afterwards: the file may have changed since it was read.
fn is_opened(requests: &Sender<Request>, inbox: &Receiver<Request>) -> bool {
    let mut reload = false;
    loop {
        match inbox.recv_timeout(RECOVERING) {
            Ok(Request::Signal(Signal::End)) => return false,
            Ok(Request::Signal(Signal::Reload)) => reload = true,
            Ok(
                Request::StoreOpened
                | Request::StoreFailed
                | Request::Ended(_)
                | Request::Reread(_),
            )
            | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => supervisor::recovering(3 * RECOVERING),
        }
    }
    if reload {
        // The other end is the caller's.
        let _heard_later = requests.send(Request::Signal(Signal::Reload));
    }
    true
}

/// The limits as the machine bears them: sockets must not take the last descriptors, and a
/// memory budget that was not set follows the machine's memory.
fn effective(config: &Config, descriptors: Option<u64>) -> Limits {
    let mut limits = config.limits.clone();
    // A connection of QUIC takes two, for the pipe to its worker.
    let protocols = config.listeners.iter().map(|one| one.protocol);
    let each = match protocols.into_iter().any(|one| one == Protocol::Quic) {
        true => 2,
        false => 1,
    };
    if let Some(most) = descriptors.and_then(|most| usize::try_from(most).ok()) {
        let most = most.saturating_sub(SPARE_DESCRIPTORS) / each;
        limits.connections = limits.connections.min(most);
    }
    limits.memory = process::memory_budget(limits.memory);
    limits
}

/// Descriptors that are kept for everything that is not a client's socket.
pub(crate) const SPARE_DESCRIPTORS: usize = 128;

fn broker_config(
    plan: &Plan,
    doors: &Doors,
    guests: &Arc<Guests>,
    (events, orders): (Arc<dyn EventSink>, Arc<Inbox>),
    descriptors: Option<u64>,
) -> BrokerConfig {
    let config = &plan.config;
    BrokerConfig {
        workers: usize::from(plan.workers),
        node: plan.node.clone(),
        version: format!("nightjar version {}", env!("CARGO_PKG_VERSION")),
        limits: effective(config, descriptors),
        strategy: strategy(config.strategy),
        sys_interval: config.sys_interval,
        server_reference: config.server_reference.clone(),
        response_information: config.response_information.clone(),
        authenticator: Arc::clone(guests) as Arc<dyn auth::Authenticator>,
        policy: doors.policy(),
        orders,
        listeners: doors::listeners::rules(config),
        revoked: match config.access.revoked {
            config::Revoked::Disconnect => Revoked::Disconnect,
            config::Revoked::Remove => Revoked::Remove,
        },
        durability: storage::rules(config),
        events,
        // Std keys its hasher from the system's randomness; nobody outside can know the value.
        seed: RandomState::new().build_hasher().finish(),
    }
}

fn strategy(configured: SharedStrategy) -> Strategy {
    match configured {
        SharedStrategy::RoundRobin => Strategy::RoundRobin,
        SharedStrategy::Random => Strategy::Random,
        SharedStrategy::Sticky => Strategy::Sticky,
        SharedStrategy::HashClient => Strategy::HashClient,
        SharedStrategy::HashTopic => Strategy::HashTopic,
        SharedStrategy::LeastInflight => Strategy::LeastInflight,
    }
}

/// All workers, each with its part of what was recovered.
fn setups(
    plan: &Plan,
    shared: &Arc<Shared>,
    storage: &Storage,
    recovered: Recovered,
) -> Vec<WorkerSetup<Worker>> {
    // Wills that are due go out in the first turn: to subscriptions of all workers.
    let restored = Arc::new(Barrier::new(usize::from(plan.workers)));
    (0..plan.workers)
        .map(WorkerId)
        .zip(shared.restore(recovered))
        .map(|(id, part)| {
            let restored = Arc::clone(&restored);
            worker(id, Arc::clone(shared), storage.handle(id), part, restored)
        })
        .collect()
}

fn worker(
    id: WorkerId,
    shared: Arc<Shared>,
    store: Box<dyn Store>,
    part: Restore,
    restored: Arc<Barrier>,
) -> WorkerSetup<Worker> {
    let make = move || {
        let mut worker = Worker::with_store(id, shared, store);
        worker.restore(part);
        restored.wait();
        worker
    };
    WorkerSetup::new(make).notices(notice)
}

/// Logs every event, keeps what is asked for later, and asks for the server's end when the store
/// has failed (F04).
struct Alarmed {
    log: Arc<dyn EventSink>,
    seen: Arc<Seen>,
    requests: Sender<Request>,
}

impl EventSink for Alarmed {
    fn event(&self, event: Event) {
        let failed = matches!(event, Event::StoreFailed { .. });
        self.seen.event(&event);
        self.log.event(event);
        if failed {
            // If nobody listens any more, the process is ending already.
            let _already_ending = self.requests.send(Request::StoreFailed);
        }
    }

    fn dropped(&self, dropped: &Dropped<'_>) {
        self.seen.dropped(dropped);
    }
}

/// What an event loop has to tell. Called on a worker; the log never waits.
fn notice(notice: Notice) {
    match notice {
        Notice::Panicked { worker, peer } => {
            error!(worker = worker.0, %peer, "connection closed after an internal error");
        }
        Notice::AcceptPaused { worker, error } => {
            warn!(worker = worker.0, %error, "no new connections for now");
        }
        Notice::AcceptResumed { worker } => info!(worker = worker.0, "new connections again"),
        Notice::Refused {
            listener,
            peer,
            why,
            ..
        } => {
            if REFUSALS.admits() {
                info!(listener, %peer, %why, "connection refused");
            }
        }
        // The list is open: a notice that is not known here is still told.
        other => warn!(notice = ?other, "notice"),
    }
}

/// Lines about connections that never became a client's (S82).
static REFUSALS: Lines = Lines::new("connections refused");

/// Reports the end of the workers as a request.
fn watch_workers(runtime: Runtime<Mail>, requests: Sender<Request>) -> io::Result<()> {
    thread::Builder::new().name("watch".into()).spawn(move || {
        // If nobody listens any more, the process ends for another reason.
        let _already_ending = requests.send(Request::Ended(runtime.join()));
    })?;
    Ok(())
}

/// Tells the broker how much memory the process holds, for `$SYS` and the memory budget,
/// until the sender is dropped.
fn watch_memory(shared: Arc<Shared>) -> io::Result<Sender<()>> {
    let (end, ended) = mpsc::channel::<()>();
    // A system that does not tell at the start will not tell later.
    if let Some(bytes) = process::resident_bytes() {
        shared.set_resident(bytes);
        thread::Builder::new()
            .name("memory".into())
            .spawn(move || {
                while ended.recv_timeout(MEMORY_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    match process::resident_bytes() {
                        Some(bytes) => shared.set_resident(bytes),
                        None => {
                            return warn!("the system no longer tells how much memory is in use");
                        }
                    }
                }
            })?;
    }
    Ok(end)
}

/// A panic becomes a line of the log like any other: its text may hold a client's words.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no text");
        let thread = thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let trace = std::backtrace::Backtrace::capture().to_string();
        error!(thread, text, trace, "panicked at {place}");
    }));
}

/// What there is to say of the dashboard, if there is one.
fn board(api: Option<&steer::Api>, plan: &Plan) -> io::Result<Option<Board>> {
    let board = api.map(|api| board::board(api, &plan.config, &plan.data_dir));
    Ok(board.transpose()?.flatten())
}

fn announce(plan: &Plan, doors: &Doors, api: Option<&steer::Api>, form: Form) -> io::Result<()> {
    let board = board(api, plan)?;
    let board = board.as_ref();
    let addresses: Vec<Address> = doors.addresses().into_iter().map(|(_, it)| it).collect();
    if form == Form::Text {
        let text = banner::text(plan, &addresses, board, &banner::program());
        if let Err(error) = io::stdout().write_all(text.as_bytes()) {
            warn!(%error, "standard output does not take the greeting");
        }
    }
    origin::tell(&plan.notes);
    for (address, listener) in addresses.iter().zip(&plan.config.listeners) {
        let protocol = listener.protocol.as_str();
        info!(%address, protocol, listener = listener.name, "listening");
    }
    if let Some(board) = board {
        let address = board.address;
        info!(url = board.url, %address, "dashboard");
        if board.code.is_some() && form != Form::Text {
            let file = &*board.file.to_string_lossy();
            // Also where only warnings are logged: without it nobody gets in.
            warn!(
                file,
                "the code for the dashboard's first administrator is in this file"
            );
        }
    }
    for one in foresight::warnings(&plan.config) {
        warn!("{one}");
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        node = plan.node,
        anonymous = banner::who(&plan.config),
        data_dir = &*plan.data_dir.to_string_lossy(),
        durability = plan.config.store.durability.as_str(),
        workers = plan.workers,
        "serving"
    );
    Ok(())
}

/// The running server, as its main thread sees it.
struct Server {
    config: Config,
    sources: Sources,
    /// It was started by a file of Mosquitto that defines no listener.
    is_local_only: bool,
    mailboxes: Mailboxes<Mail>,
    doors: Arc<Doors>,
    steer: Arc<Steer>,
    log: Log,
    /// Files that the process may have open.
    descriptors: Option<u64>,
    bridges: bridges::Running,
}

impl Server {
    /// Does what signals ask for, until the workers have ended.
    fn attend(&mut self, inbox: &Receiver<Request>) -> ExitCode {
        let limits = effective(&self.config, self.descriptors);
        self.bridges.replace(&self.config, &limits);
        loop {
            match inbox.recv() {
                Ok(Request::Signal(Signal::Reload)) => {
                    supervisor::reloading();
                    // The log says how it went.
                    drop(self.reload());
                    supervisor::ready();
                }
                // Who asked may have given up: then the log says how it went.
                Ok(Request::Reread(reread)) => reread.answer(|| self.reload()),
                Ok(Request::Signal(Signal::End)) => break self.drain(inbox),
                Ok(Request::StoreFailed) => {
                    self.steer.store_failed();
                    self.drain(inbox);
                    break ExitCode::FAILURE;
                }
                Ok(Request::StoreOpened) => {}
                Ok(Request::Ended(result)) => break self.unexpected_end(result),
                Err(mpsc::RecvError) => break ExitCode::FAILURE,
            }
        }
    }

    /// Reads the configuration again. If it is wrong, all stays as it is, and the error says why.
    fn reload(&mut self) -> Result<(), String> {
        if self.sources.file.is_none() {
            let words = "the server was started without a configuration file";
            info!("no reload: {words}");
            return Err(words.into());
        }
        self.take_over().inspect_err(|problem| {
            for problem in problem.lines() {
                error!(problem, "configuration not taken over");
            }
        })
    }

    fn take_over(&mut self) -> Result<(), String> {
        let origin = origin::load(&self.sources).map_err(|errors| errors.to_string())?;
        if origin.is_local_only && !self.is_local_only {
            let words = "the file defines no listener any more, which would let in every client \
                         of this machine without a name; is it whole? A restart takes it over";
            return Err(words.into());
        }
        let loaded = origin.loaded;
        let mut next = self.config.clone();
        let changes = next.adopt(&loaded.config)?;
        let replaced = self.doors.replace(&next);
        replaced.map_err(|problem| problem.to_string())?;
        self.config = next;
        origin::tell(&origin.notes);
        let placed = self.doors.placed(&self.config);
        self.steer.configured(&placed, &self.config, loaded.places);
        if let Err(error) = self.log.level().set(self.config.log.level) {
            error!(%error, "the log keeps its level");
        }
        let limits = Arc::new(effective(&self.config, self.descriptors));
        let reference: Option<Arc<str>> = self.config.server_reference.as_deref().map(Arc::from);
        self.tell_all(|| Control::Reload {
            limits: Arc::clone(&limits),
            reference: reference.clone(),
        });
        self.bridges.replace(&self.config, &limits);
        if asks_again(&self.config, &changes) {
            self.tell_all(|| Control::Refresh(Selector::All));
        }
        if changes.is_empty() {
            info!("configuration read again: nothing has changed");
            return Ok(());
        }
        let applied = changes.applied.join(" ");
        info!(applied, "configuration taken over");
        if !changes.after_restart.is_empty() {
            let keys = changes.after_restart.join(" ");
            warn!(keys, "changes that wait for a restart");
        }
        Ok(())
    }

    /// Says goodbye to all clients and waits for the workers' end, but not for ever.
    fn drain(&self, inbox: &Receiver<Request>) -> ExitCode {
        info!("ending: a second signal ends at once");
        supervisor::stopping();
        self.bridges.end();
        self.tell_all(|| Control::Drain);
        self.steer.ending();
        let deadline = Instant::now() + DRAIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(left) {
                Ok(Request::Signal(Signal::Reload)) => info!("no reload while ending"),
                Ok(Request::StoreFailed | Request::StoreOpened) => {}
                Ok(Request::Reread(reread)) => {
                    reread.answer(|| Err("the server is ending".into()));
                }
                Ok(Request::Signal(Signal::End)) => {
                    warn!("ended at once by a second signal");
                    return ExitCode::FAILURE;
                }
                Ok(Request::Ended(Ok(()))) => {
                    info!("ended");
                    return ExitCode::SUCCESS;
                }
                Ok(Request::Ended(Err(failure))) => return failed(&failure),
                Err(RecvTimeoutError::Timeout) => {
                    warn!("ended before all clients had taken their goodbye");
                    return ExitCode::SUCCESS;
                }
                Err(RecvTimeoutError::Disconnected) => return ExitCode::FAILURE,
            }
        }
    }

    fn unexpected_end(&self, result: Result<(), WorkerPanic>) -> ExitCode {
        match result {
            Ok(()) => {
                error!("all workers ended without being asked to");
                ExitCode::FAILURE
            }
            Err(failure) => failed(&failure),
        }
    }

    fn tell_all(&self, control: impl Fn() -> Control) {
        for id in (0..=u16::MAX).map(WorkerId).take(self.mailboxes.workers()) {
            if self.mailboxes.send(id, Mail::Control(control())).is_err() {
                // Its end is a request of its own, which says why.
                warn!(worker = id.0, "worker has ended already");
            }
        }
    }
}

/// Whether another answer could be given about who is in: by other providers, by a listener that
/// asks for a name now, or by a file of passwords, which may have changed behind its name.
fn asks_again(config: &Config, changes: &config::Changes) -> bool {
    let mut asked = config.authentication.iter();
    let mut applied = changes.applied.iter();
    asked.any(|one| matches!(one.method, Method::Passwords(_)))
        || applied.any(|key| key.starts_with("authentication") || key.ends_with("allow_anonymous"))
}

/// A worker's state is lost: the process ends, to be started again.
fn failed(failure: &WorkerPanic) -> ExitCode {
    let text = failure.to_string();
    error!(
        worker = failure.worker.0,
        text, "worker failed: the server ends"
    );
    ExitCode::FAILURE
}

/// Time for goodbyes; supervisors commonly kill after 30 s or more.
const DRAIN: Duration = Duration::from_secs(25);
/// How often the supervisor hears that the store is still recovered.
const RECOVERING: Duration = Duration::from_secs(10);
/// How often memory in use is looked at. It takes some microseconds.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_that_is_asked_for_while_starting_is_done_afterwards() {
        let (requests, inbox) = mpsc::channel();
        for request in [Request::Signal(Signal::Reload), Request::StoreOpened] {
            requests.send(request).unwrap();
        }
        assert!(is_opened(&requests, &inbox));
        let next = inbox.try_recv();
        assert!(matches!(next, Ok(Request::Signal(Signal::Reload))));
        assert!(inbox.try_recv().is_err());
        requests.send(Request::Signal(Signal::End)).unwrap();
        assert!(!is_opened(&requests, &inbox));
    }
}

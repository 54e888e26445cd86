//! `nightjar bench`: loads a server, any that speaks MQTT.
//!
//! | module | owns |
//! |---|---|
//! | [`plan`] | what a load consists of |
//! | [`worker`] | a thread with its clients |
//! | [`figures`] | counts, errors, how long things took |
//! | [`report`] | what is told while it runs, and at the end |

mod figures;
mod plan;
mod report;
mod worker;

use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::{ArgAction, Args, Subcommand};
use types::{ProtocolVersion, QoS};

use super::client_args::{qos, version};
use super::failure::Failure;
use figures::{Figures, Phase, Shared};
use plan::{Kind, Plan};
use report::{Ended, Progress};
use worker::Worker;

/// Load a server, any that speaks MQTT
///
/// Nothing runs for longer than its duration, ten seconds unless told otherwise. Latencies are measured
/// from a publisher's hand to a subscriber's, by a mark in payloads of 16 bytes and more. Over plain TCP
/// only. Exit code 0 if nothing went wrong and, at QoS 1 and 2, nothing was lost; else 1.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    kind: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Connect clients, as fast as --connect-rate says
    Conn(LoadArgs),
    /// Publish, to topics of each client's own
    Pub(LoadArgs),
    /// Subscribe, and count what arrives
    Sub(LoadArgs),
    /// Pairs: each publisher has a subscriber
    P2p(LoadArgs),
    /// One publishes (or --few), all clients receive
    Fanout(LoadArgs),
    /// All clients publish, one receives (or --few)
    Fanin(LoadArgs),
}

const EXAMPLES: &str = "\
Examples:
  nightjar bench conn -c 10000 --connect-rate 2000    how long does connecting take?
  nightjar bench p2p -c 100 -q 1                      100 pairs, as fast as they can
  nightjar bench fanout -c 1000 -r 20 --json          20 messages a second to 1,000 clients
  nightjar bench pub -c 50 -r 10000 -d 60             10,000 messages a second for a minute";

/// What a load consists of.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
struct LoadArgs {
    /// Server to connect to
    #[arg(short = 'h', long, value_name = "HOST", default_value = "localhost")]
    host: String,
    /// Port to connect to
    #[arg(short, long, value_name = "PORT", default_value_t = 1883)]
    port: u16,
    /// User name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// File whose first line is the password: others see the command line
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// Password; other users of this machine can see it
    #[arg(
        short = 'P',
        long = "pw",
        value_name = "PASSWORD",
        conflicts_with = "password_file"
    )]
    password: Option<String>,
    /// Version of MQTT: 5, 311, 31
    #[arg(short = 'V', long, value_name = "VERSION", value_parser = version, default_value = "311")]
    protocol_version: ProtocolVersion,
    /// Clients; pairs for p2p
    #[arg(short, long, value_name = "COUNT", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: u32,
    /// How many publish in fanout, or receive in fanin
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    few: u32,
    /// QoS of messages and subscriptions
    #[arg(short, long, value_name = "0|1|2", value_parser = qos, default_value = "0")]
    qos: QoS,
    /// Bytes of a payload
    #[arg(short, long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=16_777_216))]
    size: u32,
    /// Messages a second, all publishers together; without it as many as possible
    #[arg(short, long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    /// Seconds for messages, or to stay connected; up to a day
    #[arg(short, long, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    duration: Option<u32>,
    /// Messages of each publisher; the duration ends it too
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<u64>,
    /// Topic; %i is the number of the client or pair
    #[arg(short, long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Have the server retain messages
    #[arg(long)]
    retain: bool,
    /// QoS 1 and 2 messages of a client that wait for their acknowledgement
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    inflight: u16,
    /// Connections a second
    #[arg(long, value_name = "RATE", value_parser = rate, default_value = "1000")]
    connect_rate: f64,
    /// What client identifiers begin with
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Seconds between signs of life; 0 for none
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    keepalive: u16,
    /// Local address to connect from; several take turns, for more clients than there are ports
    #[arg(short = 'A', long, value_name = "ADDRESS")]
    bind: Vec<IpAddr>,
    /// Threads; without it half of the cores
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// What is waited for, beyond what the rates say, until all are ready.
const OPENING: Duration = Duration::from_secs(30);
/// What messages on their way have to arrive.
const DRAINING: Duration = Duration::from_secs(5);
/// Seconds that messages flow unless told otherwise.
const USUAL: u32 = 10;

/// Does what `nightjar bench` is asked for.
pub(crate) fn run(args: BenchArgs) -> ExitCode {
    let (kind, args) = match args.kind {
        What::Conn(args) => (Kind::Conn, args),
        What::Pub(args) => (Kind::Pub, args),
        What::Sub(args) => (Kind::Sub, args),
        What::P2p(args) => (Kind::P2p, args),
        What::Fanout(args) => (Kind::Fanout, args),
        What::Fanin(args) => (Kind::Fanin, args),
    };
    match load(kind, &args) {
        Ok(code) => code,
        Err(failure) => failure.report(false),
    }
}

fn load(kind: Kind, args: &LoadArgs) -> Result<ExitCode, Failure> {
    let plan = Arc::new(plan(kind, args)?);
    enough_files(&plan)?;
    let shared = Arc::new(Shared::default());
    let threads = start(&plan, &shared)?;
    let is_asked = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&is_asked));
        registered.map_err(|error| Failure::new(format!("Error: no signals: {error}")))?;
    }
    let seconds = match (kind, args.duration) {
        (_, Some(seconds)) => seconds,
        (Kind::Conn, None) => 0,
        (_, None) => USUAL,
    };
    let watch = Watch {
        plan: &plan,
        shared: &shared,
        threads: &threads,
        is_asked: &is_asked,
        progress: Progress::new(args.json),
    };
    let ended = watch.phases(Duration::from_secs(seconds.into()));
    shared.enter(Phase::Ending);
    let mut figures = Figures::default();
    for thread in threads {
        let broken = |words: String| Failure::new(format!("Error: a thread failed: {words}"));
        let joined = thread.join().map_err(|_| broken("it panicked".into()))?;
        figures.merge(joined.map_err(|error| broken(error.to_string()))?);
    }
    report::print(&plan, &shared, &figures, &ended, args.json)
}

fn plan(kind: Kind, args: &LoadArgs) -> Result<Plan, Failure> {
    let wrong = |words: String| Failure::new(format!("Error: {words}"));
    let mut addresses = (&*args.host, args.port)
        .to_socket_addrs()
        .map_err(|error| wrong(format!("cannot resolve '{}': {error}", args.host)))?;
    let fits = |address: &std::net::SocketAddr| {
        args.bind
            .iter()
            .all(|local| local.is_ipv4() == address.is_ipv4())
    };
    let address = addresses.find(fits);
    let address = address.ok_or_else(|| wrong(format!("'{}' has no address to use", args.host)))?;
    let password = match &args.password_file {
        None => args.password.clone(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| wrong(format!("cannot read {}: {error}", path.display())))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
    };
    let run = std::process::id();
    let topic = args.topic.clone().unwrap_or_else(|| match kind {
        Kind::Sub => "bench/#".to_owned(),
        Kind::Conn | Kind::Pub => "bench/%i".to_owned(),
        Kind::P2p | Kind::Fanout | Kind::Fanin => format!("bench/{run}/%i"),
    });
    if kind != Kind::Sub {
        super::client_args::check_topic(&topic, "topic")?;
    }
    let cores = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let mut plan = Plan {
        kind,
        address,
        locals: args.bind.clone(),
        version: args.protocol_version,
        qos: args.qos,
        retain: args.retain,
        size: usize::try_from(args.size).unwrap_or(0),
        inflight: args.inflight,
        clients: usize::try_from(args.clients).unwrap_or(1),
        few: usize::try_from(args.few).unwrap_or(1),
        topic,
        count: args.count,
        rate: args.rate,
        connect_rate: args.connect_rate,
        threads: args.threads.map_or((cores / 2).max(1), usize::from),
        prefix: args
            .prefix
            .clone()
            .unwrap_or_else(|| format!("bench-{run}-")),
        username: args.username.clone(),
        password: password.map(String::into_bytes),
        keep_alive: args.keepalive,
        began: Instant::now(),
        wall: plan::wall(),
    };
    plan.threads = plan.threads.min(plan.total());
    Ok(plan)
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number such as 1000 or 0.5")?;
    match rate.is_finite() && rate > 0.0 {
        true => Ok(rate),
        false => Err("more than 0".into()),
    }
}

/// Files that are no clients'.
const SPARE: usize = 64;

fn enough_files(plan: &Plan) -> Result<(), Failure> {
    let limit = net::raise_descriptor_limit()
        .map_err(|error| Failure::new(format!("Error: the limit of open files: {error}")))?;
    let wanted = plan.total().saturating_add(SPARE);
    match limit.and_then(|limit| usize::try_from(limit).ok()) {
        Some(limit) if limit < wanted => Err(Failure::new(format!(
            "Error: {} clients need {wanted} open files, and this user may have {limit}; raise it \
             (`ulimit -Hn`), or start bench on several machines",
            plan.total()
        ))),
        _ => Ok(()),
    }
}

type Threads = Vec<JoinHandle<std::io::Result<Figures>>>;

/// Clients take turns between threads, so that each has some of every role.
fn start(plan: &Arc<Plan>, shared: &Arc<Shared>) -> Result<Threads, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("Error: cannot begin: {error}"));
    let mut threads = Vec::new();
    for first in 0..plan.threads {
        let numbers = (first..plan.total()).step_by(plan.threads);
        let worker = Worker::new(Arc::clone(plan), Arc::clone(shared), numbers);
        let worker = worker.map_err(failed)?;
        let thread = thread::Builder::new().name(format!("bench-{first}"));
        threads.push(thread.spawn(move || worker.run()).map_err(failed)?);
    }
    Ok(threads)
}

/// Who leads all threads through the phases.
struct Watch<'a> {
    plan: &'a Plan,
    shared: &'a Shared,
    threads: &'a Threads,
    is_asked: &'a AtomicBool,
    progress: Progress,
}

impl Watch<'_> {
    fn phases(mut self, duration: Duration) -> Ended {
        let total = u64::try_from(self.plan.total()).unwrap_or(u64::MAX);
        let rate = Duration::from_secs_f64(self.plan.total() as f64 / self.plan.connect_rate);
        let opened = self.until(OPENING.saturating_add(rate), |shared| {
            shared.ready.load(Relaxed) + shared.failed.load(Relaxed) >= total
        });
        let opening = self.plan.began.elapsed();
        let late = total - self.shared.ready.load(Relaxed).min(total);
        let late = late - self.shared.failed.load(Relaxed).min(late);
        let received_before = self.shared.received.load(Relaxed);
        self.shared.enter(Phase::Running);
        let begun = Instant::now();
        let publishers = u64::try_from(self.plan.publishers()).unwrap_or(0);
        let is_idle = self.shared.ready.load(Relaxed) == 0;
        if !is_idle {
            self.until(duration, |shared| {
                publishers > 0 && shared.done.load(Relaxed) >= publishers
            });
        }
        let running = begun.elapsed();
        let received = self.shared.received.load(Relaxed) - received_before;
        let sent = self.shared.sent.load(Relaxed);
        self.shared.enter(Phase::Draining);
        if publishers > 0 && !is_idle {
            let (plan, acknowledged) = (self.plan, self.plan.qos != QoS::AtMostOnce);
            self.until(DRAINING, |shared| {
                let sent = shared.sent.load(Relaxed);
                let all = plan.receivers().map_or(0, |each| each.saturating_mul(sent));
                let is_acknowledged = !acknowledged || shared.acknowledged.load(Relaxed) >= sent;
                is_acknowledged && shared.received.load(Relaxed) >= all
            });
        }
        self.progress.end();
        Ended {
            opening,
            running,
            sent,
            received,
            late: if opened { 0 } else { late },
            was_asked: self.is_asked.load(Relaxed),
        }
    }

    /// Waits until it is so, the time is over, or somebody wants it to end. Whether it is so.
    fn until(&mut self, longest: Duration, is_so: impl Fn(&Shared) -> bool) -> bool {
        let begun = Instant::now();
        loop {
            if is_so(self.shared) {
                return true;
            }
            let left = longest.saturating_sub(begun.elapsed());
            let is_broken = self.threads.iter().any(JoinHandle::is_finished);
            if left.is_zero() || is_broken || self.is_asked.load(Relaxed) {
                return false;
            }
            thread::park_timeout(left.min(Duration::from_millis(20)));
            self.progress.tell(self.plan, self.shared);
        }
    }
}

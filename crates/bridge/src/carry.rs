//! The task of one bridge: connect, carry, wait, again.

use std::io;
use std::os::unix::net::UnixStream as Pair;
use std::sync::Arc;
use std::time::{Duration, Instant};

use codec::{ConnectProperties, Frame, Packet, Subscribe, SubscribeFiltersBuf, UserProperties};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use types::{PacketId, ProtocolVersion, ReasonCode, RetainHandling, SubscriptionOptions, Time};

use crate::backoff::Backoff;
use crate::bridges::{Home, Occurrence};
use crate::dial::{self, Link};
use crate::figures::{Figures, Phase};
use crate::relay::{Beginning, End, Memory, Relay, Side};
use crate::rule::Rule;
use crate::settings::{Settings, Start};

/// What a task is to do.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) want: Want,
    pub(crate) settings: Arc<Settings>,
    /// Counts the times that somebody asked to begin anew.
    pub(crate) round: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Run,
    Rest,
    End,
}

/// The task of one bridge.
pub(crate) struct Task {
    pub(crate) home: Arc<dyn Home>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) wishes: watch::Receiver<Wish>,
    pub(crate) started: Instant,
    pub(crate) seed: u64,
}

/// What is carried from one connection to the next.
struct Course {
    settings: Arc<Settings>,
    backoff: Backoff,
    memory: Memory,
    /// Which address is next, and how many have failed since the last pause.
    place: usize,
    failed: usize,
    says_bridge: bool,
    stale: (Vec<String>, Vec<String>),
    /// This server has the session, and messages wait in it.
    primed: bool,
    last_words: String,
    done: bool,
}

/// How a connection was over.
enum Outcome {
    /// Something else is wished.
    Wished,
    /// Nothing has gone over for long.
    Idle,
    /// The first address answers again.
    Prefers,
    /// It has failed.
    Failed {
        why: String,
        lasted: bool,
        refused: bool,
    },
}

impl Task {
    /// Runs until the end is wished.
    pub(crate) async fn run(mut self) {
        let first = self.wishes.borrow_and_update().clone();
        let mut course = Course::new(first.settings, self.seed);
        let mut round = first.round;
        loop {
            let wish = self.wishes.borrow_and_update().clone();
            if wish.round != round || *wish.settings != *course.settings {
                round = wish.round;
                course.renew(wish.settings, self.seed);
            }
            match wish.want {
                Want::End => return self.figures.enter(Phase::Off),
                Want::Run if !course.done => {}
                Want::Run | Want::Rest => {
                    self.figures.enter(Phase::Off);
                    if self.wishes.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
            }
            if let Start::Lazy { threshold, .. } = course.settings.start
                && course.primed
            {
                self.figures.enter(Phase::Idle);
                tokio::select! {
                    () = enough(&*self.home, &course.settings, threshold) => {}
                    changed = self.wishes.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                }
            }
            self.attempt(&mut course).await;
        }
    }

    /// One connection, and the pause after it.
    async fn attempt(&mut self, course: &mut Course) {
        if let Start::Lazy { .. } = course.settings.start
            && !course.primed
        {
            return self.prime(course).await;
        }
        self.figures.enter(Phase::Connecting);
        let outcome = self.connection(course).await;
        let (why, lasted, refused) = match outcome {
            Outcome::Wished | Outcome::Idle => return,
            Outcome::Prefers => {
                course.place = 0;
                return;
            }
            Outcome::Failed {
                why,
                lasted,
                refused,
            } => (why, lasted, refused),
        };
        if refused && course.says_bridge {
            // A server that does not know of bridges.
            course.says_bridge = false;
            return;
        }
        self.figures.failed(why.clone());
        let again = why == course.last_words;
        course.last_words.clone_from(&why);
        self.tell(course, Occurrence::Failed { why, again });
        if course.settings.start == Start::Once && lasted {
            course.done = true;
            return;
        }
        if lasted {
            course.backoff.reset();
            course.failed = 0;
        }
        self.prime(course).await;
        course.place = course.place.saturating_add(1);
        course.failed = course.failed.saturating_add(1);
        if course.failed < course.settings.addresses.len() && !lasted {
            return;
        }
        course.failed = 0;
        self.figures.enter(Phase::Waiting);
        let pause = course.backoff.pause();
        tokio::select! {
            () = sleep(pause) => {}
            _changed = self.wishes.changed() => {}
        }
    }

    /// This server keeps what goes out from now on, though the other one is away.
    async fn prime(&self, course: &mut Course) {
        let settings = &course.settings;
        if course.primed || settings.local_clean_start {
            course.primed = true;
            return;
        }
        let primed = match self.home.link() {
            Ok(pair) => timeout(FAREWELL, prime(pair, settings)).await,
            Err(error) => Ok(Err(error)),
        };
        match primed {
            Ok(Ok(())) => course.primed = true,
            Ok(Err(error)) => self.tell(
                course,
                Occurrence::Failed {
                    why: format!("this server does not keep messages for the bridge: {error}"),
                    again: false,
                },
            ),
            Err(_) => {}
        }
    }

    async fn connection(&mut self, course: &mut Course) -> Outcome {
        let settings = Arc::clone(&course.settings);
        let failed = |why: String| Outcome::Failed {
            why,
            lasted: false,
            refused: false,
        };
        let count = settings.addresses.len().max(1);
        course.place = course.place.checked_rem(count).unwrap_or(0);
        let Some(address) = settings.addresses.get(course.place) else {
            return failed("it has no address".into());
        };
        self.figures.trying(address.to_string());
        let password = match dial::password(&settings) {
            Ok(password) => password,
            Err(error) => return failed(error.to_string()),
        };
        let dialed = tokio::select! {
            dialed = dial::dial(&settings, address) => dialed,
            _changed = self.wishes.changed() => return Outcome::Wished,
        };
        let link = match dialed {
            Ok(link) => link,
            Err(error) => return failed(format!("{address}: {error}")),
        };
        let beginning = Beginning {
            password,
            says_bridge: course.says_bridge,
            memory: course.memory.clone(),
            stale: course.stale.clone(),
        };
        let now = self.now();
        let relay = Relay::new(
            Arc::clone(&settings),
            Arc::clone(&self.figures),
            beginning,
            now,
        );
        let mut carrier = Carrier {
            relay,
            remote: Some(split(link)),
            local: None,
            flush: false,
            opened: None,
        };
        let outcome = self.carry(course, &mut carrier).await;
        carrier.relay.leave();
        // Who does not take a goodbye in time has none.
        let _in_time = timeout(FAREWELL, carrier.finish(self.started)).await;
        if carrier.opened.is_some() {
            course.primed = true;
            course.stale = (Vec::new(), Vec::new());
            self.tell(course, Occurrence::Disconnected);
        }
        course.memory = carrier.relay.into_memory();
        self.figures.set_inflight(0, 0);
        outcome
    }

    /// Carries until the end.
    async fn carry(&mut self, course: &mut Course, carrier: &mut Carrier) -> Outcome {
        let settings = Arc::clone(&course.settings);
        let prefers = settings.prefers_first && course.place > 0;
        let probe = probe(&settings);
        tokio::pin!(probe);
        loop {
            if let Some(end) = carrier.relay.end() {
                return carrier.failed(end, &settings);
            }
            if carrier.relay.needs_local()
                && let Err(error) = carrier.open_local(&*self.home)
            {
                return Outcome::Failed {
                    why: format!("this server gives no link: {error}"),
                    lasted: false,
                    refused: false,
                };
            }
            if carrier.relay.is_open() && carrier.opened.is_none() {
                carrier.opened = Some(Instant::now());
                self.figures.enter(Phase::Connected);
                course.last_words.clear();
                let address = settings.addresses.get(course.place);
                let address = address.map(ToString::to_string).unwrap_or_default();
                self.tell(course, Occurrence::Connected { address });
            }
            if let Some(given_up) = carrier.relay.take_given_up() {
                self.tell(course, Occurrence::GivenUp(given_up));
            }
            let now = self.now();
            if let Some(due) = idle_at(&settings, carrier)
                && now >= due
            {
                return Outcome::Idle;
            }
            let due = carrier.relay.poll_timeout(now);
            let due = due.into_iter().chain(idle_at(&settings, carrier)).min();
            let pause = due.map_or(LONGEST_SLEEP, |due| due.since(now));
            tokio::select! {
                // A rate that is kept, an idle end: nothing else may hold them up.
                biased;
                changed = self.wishes.changed() => {
                    // Who wished is gone: the server ends.
                    let _gone = changed.is_err();
                    return Outcome::Wished;
                }
                () = sleep(pause) => {
                    let now = self.now();
                    carrier.relay.handle_timeout(now);
                }
                () = &mut probe, if prefers => return Outcome::Prefers,
                moved = carrier.step() => carrier.moved(moved, self.now()),
            }
        }
    }

    fn tell(&self, course: &Course, occurrence: Occurrence) {
        self.home.tell(&course.settings, occurrence);
    }

    fn now(&self) -> Time {
        since(self.started)
    }
}

fn since(started: Instant) -> Time {
    Time::from_millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
}

impl Course {
    fn new(settings: Arc<Settings>, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(settings.restart, seed),
            memory: Memory::unknown(),
            place: 0,
            failed: 0,
            says_bridge: settings.says_bridge,
            stale: (Vec::new(), Vec::new()),
            primed: false,
            last_words: String::new(),
            done: false,
            settings,
        }
    }

    /// Begins anew, perhaps with other settings.
    fn renew(&mut self, settings: Arc<Settings>, seed: u64) {
        let filters = |filter: fn(&Rule) -> Option<&str>| {
            let rules = self.settings.rules.iter();
            rules
                .filter_map(filter)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (here, there) = (filters(Rule::local_filter), filters(Rule::remote_filter));
        let same = |a: &str, b: &str| a == b;
        let is_session = same(&settings.local_client_id, &self.settings.local_client_id)
            && same(&settings.client_id, &self.settings.client_id);
        let (mut stale, mut memory) = match is_session {
            true => (self.stale.clone(), self.memory.clone()),
            false => (Default::default(), Memory::unknown()),
        };
        if is_session {
            stale.0.extend(here);
            stale.1.extend(there);
        }
        memory.forget_suspicion();
        *self = Self {
            stale,
            memory,
            ..Self::new(settings, seed)
        };
    }
}

/// A relay with its links.
struct Carrier {
    relay: Relay,
    remote: Option<Halves<Box<dyn Link>>>,
    local: Option<Halves<UnixStream>>,
    /// TLS may keep what was written until it is asked.
    flush: bool,
    opened: Option<Instant>,
}

/// Both directions of a link.
type Halves<L> = (ReadHalf<L>, WriteHalf<L>);

/// What happened on a link.
enum Moved {
    Came(Side, io::Result<Vec<u8>>),
    Went(Side, io::Result<usize>),
    Flushed(io::Result<()>),
}

impl Carrier {
    fn open_local(&mut self, home: &dyn Home) -> io::Result<()> {
        self.local = Some(split(stream(home.link()?)?));
        self.relay.handle_local_open();
        Ok(())
    }

    fn failed(&self, end: &End, settings: &Settings) -> Outcome {
        let lasted = self
            .opened
            .is_some_and(|opened| opened.elapsed() >= settings.restart.0.min(LASTED));
        let refused = match end {
            End::Refused(Side::Remote, reason, _) => {
                *reason == ReasonCode::UnsupportedProtocolVersion
            }
            End::Closed(Side::Remote) => !self.relay.was_admitted(),
            _ => false,
        };
        Outcome::Failed {
            why: end.to_string(),
            lasted,
            refused,
        }
    }

    /// Waits for one of the links. May be given up at any point without a loss.
    async fn step(&mut self) -> Moved {
        let Self {
            relay,
            remote,
            local,
            flush,
            ..
        } = self;
        let (remote_read, remote_write) = match remote {
            Some((read, write)) => (Some(read), Some(write)),
            None => (None, None),
        };
        let (local_read, local_write) = match local {
            Some((read, write)) => (Some(read), Some(write)),
            None => (None, None),
        };
        let to_remote = relay.output(Side::Remote);
        let to_local = relay.output(Side::Local);
        tokio::select! {
            came = read(remote_read), if relay.wants(Side::Remote) => {
                Moved::Came(Side::Remote, came)
            }
            came = read(local_read), if relay.wants(Side::Local) => Moved::Came(Side::Local, came),
            went = write(local_write, to_local), if !to_local.is_empty() => {
                Moved::Went(Side::Local, went)
            }
            moved = write_or_flush(remote_write, to_remote), if !to_remote.is_empty() || *flush => {
                moved
            }
        }
    }

    fn moved(&mut self, moved: Moved, now: Time) {
        match moved {
            Moved::Came(side, Ok(bytes)) if !bytes.is_empty() => {
                self.relay.handle_bytes(side, &bytes, now);
            }
            Moved::Went(side, Ok(count)) if count > 0 => {
                self.relay.handle_written(side, count, now);
                self.flush |= side == Side::Remote;
            }
            Moved::Flushed(Ok(())) => self.flush = false,
            Moved::Came(side, _) | Moved::Went(side, _) => self.hang_up(side, now),
            Moved::Flushed(Err(_)) => self.hang_up(Side::Remote, now),
        }
    }

    fn hang_up(&mut self, side: Side, now: Time) {
        self.relay.handle_closed(side, now);
        match side {
            Side::Local => self.local = None,
            Side::Remote => self.remote = None,
        }
    }

    /// Writes what is left to links that are still there.
    async fn finish(&mut self, started: Instant) {
        for side in [Side::Remote, Side::Local] {
            loop {
                let output = self.relay.output(side);
                if output.is_empty() {
                    break;
                }
                let went = match (side, &mut self.remote, &mut self.local) {
                    (Side::Remote, Some((_, write)), _) => write.write(output).await,
                    (Side::Local, _, Some((_, write))) => write.write(output).await,
                    _ => break,
                };
                match went {
                    Ok(count) if count > 0 => {
                        self.relay.handle_written(side, count, since(started));
                    }
                    _ => break,
                }
            }
        }
        // A link that is broken by now has nobody to hear it.
        if let Some((_, write)) = &mut self.remote {
            let _heard = write.shutdown().await;
        }
        if let Some((_, write)) = &mut self.local {
            let _heard = write.shutdown().await;
        }
    }
}

async fn read<R: AsyncReadExt + Unpin>(from: Option<&mut R>) -> io::Result<Vec<u8>> {
    let Some(from) = from else {
        return std::future::pending().await;
    };
    let mut bytes = Vec::with_capacity(MOST_AT_ONCE);
    from.read_buf(&mut bytes).await?;
    Ok(bytes)
}

async fn write<W: AsyncWriteExt + Unpin>(to: Option<&mut W>, bytes: &[u8]) -> io::Result<usize> {
    match to {
        Some(to) => to.write(bytes).await,
        None => std::future::pending().await,
    }
}

/// Writes; what is left inside of TLS goes when there is nothing more to write.
async fn write_or_flush<W: AsyncWriteExt + Unpin>(to: Option<&mut W>, bytes: &[u8]) -> Moved {
    let Some(to) = to else {
        return std::future::pending().await;
    };
    match bytes.is_empty() {
        false => Moved::Went(Side::Remote, to.write(bytes).await),
        true => Moved::Flushed(to.flush().await),
    }
}

fn stream(pair: Pair) -> io::Result<UnixStream> {
    pair.set_nonblocking(true)?;
    UnixStream::from_std(pair)
}

/// When a bridge that connects for messages alone has had none for long enough.
fn idle_at(settings: &Settings, carrier: &Carrier) -> Option<Time> {
    match settings.start {
        // What is held back will go, if not now.
        Start::Lazy { idle, .. } if carrier.relay.is_open() && !carrier.relay.holds_back() => {
            let last = carrier.relay.last_message();
            Some(last + idle)
        }
        _ => None,
    }
}

/// Ends when so many messages wait.
async fn enough(home: &dyn Home, settings: &Settings, threshold: u64) {
    loop {
        let (tell, told) = oneshot::channel();
        home.waiting(
            settings,
            Box::new(move |count| {
                // Nobody waits any more.
                let _late = tell.send(count);
            }),
        );
        if let Ok(Ok(count)) = timeout(LOOK_EACH, told).await
            && count >= threshold
        {
            return;
        }
        sleep(LOOK_EACH).await;
    }
}

/// Ends when the first address answers.
async fn probe(settings: &Settings) {
    let Some(first) = settings.addresses.first() else {
        return std::future::pending().await;
    };
    loop {
        sleep(settings.restart.1.max(PROBE_EACH)).await;
        if dial::answers(first).await {
            return;
        }
    }
}

/// Makes the session at this server, with its subscriptions, and leaves again. What the server sends
/// meanwhile is not acknowledged, and so comes again.
async fn prime(pair: Pair, settings: &Settings) -> io::Result<()> {
    let mut link = stream(pair)?;
    let version = ProtocolVersion::V5;
    let mut output = Vec::new();
    let invalid = |error: codec::EncodeError| io::Error::other(error.to_string());
    let connect = codec::Connect {
        version,
        bridge: false,
        clean_start: false,
        keep_alive: 0,
        client_id: &settings.local_client_id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties {
            session_expiry: Some(u32::MAX),
            receive_maximum: Some(1),
            ..ConnectProperties::default()
        },
    };
    let mut subscriptions = 0_usize;
    let connect = Packet::Connect(Box::new(connect));
    codec::encode(&connect, version, &mut output).map_err(invalid)?;
    let filters = settings.rules.iter().filter_map(|rule| {
        let filter = rule.local_filter()?;
        Some((filter, rule.qos()))
    });
    let mut id = PacketId::FIRST;
    for (filter, qos) in filters {
        let mut list = SubscribeFiltersBuf::new();
        let options = SubscriptionOptions {
            no_local: !filter.starts_with("$share/"),
            retain_as_published: settings.retains,
            // They are sent when the other server is there.
            retain_handling: RetainHandling::DoNotSend,
            ..SubscriptionOptions::plain(qos)
        };
        list.push(filter, options).map_err(invalid)?;
        let subscribe = Packet::Subscribe(Subscribe {
            packet_id: id,
            subscription_id: None,
            user: UserProperties::default(),
            filters: list.as_borrowed(),
        });
        codec::encode(&subscribe, version, &mut output).map_err(invalid)?;
        id = id.next();
        subscriptions = subscriptions.saturating_add(1);
    }
    link.write_all(&output).await?;
    await_answers(&mut link, subscriptions).await?;
    let mut bye = Vec::new();
    let disconnect = Packet::Disconnect(codec::Disconnect::new(ReasonCode::Success));
    codec::encode(&disconnect, version, &mut bye).map_err(invalid)?;
    link.write_all(&bye).await?;
    link.shutdown().await
}

/// Reads until CONNACK and all SUBACK have come.
async fn await_answers(link: &mut UnixStream, mut subscriptions: usize) -> io::Result<()> {
    let mut input = Vec::new();
    let mut admitted = false;
    while !admitted || subscriptions > 0 {
        if link.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Ok(Frame::Complete {
            first_byte,
            header_len,
            total_len,
        }) = codec::frame(&input, u32::MAX)
        {
            let body = input.get(header_len..total_len).unwrap_or_default();
            match codec::decode(ProtocolVersion::V5, first_byte, body) {
                Ok(Packet::ConnAck(connack)) if connack.reason.is_error() => {
                    return Err(io::Error::other(connack.reason.as_str()));
                }
                Ok(Packet::ConnAck(_)) => admitted = true,
                Ok(Packet::SubAck(_)) => subscriptions = subscriptions.saturating_sub(1),
                Ok(Packet::Disconnect(bye)) => {
                    return Err(io::Error::other(bye.reason.as_str()));
                }
                Ok(_) => {}
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
            input.drain(..total_len);
        }
    }
    Ok(())
}

/// Most bytes read at once.
const MOST_AT_ONCE: usize = 64 * 1024;
/// How long the sides have to take the last packets.
const FAREWELL: Duration = Duration::from_secs(2);
/// A connection that was open for so long has gone well.
const LASTED: Duration = Duration::from_secs(5);
/// How often the first address is tried, at most.
const PROBE_EACH: Duration = Duration::from_secs(5);
/// How often a bridge that connects for messages looks for some.
const LOOK_EACH: Duration = Duration::from_secs(1);
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

//! A core with a small line protocol, and clients for it.
//!
//! A client sends lines; each is a command: see [`LineCore::command`].

#![allow(dead_code, reason = "each test binary uses its part")]

#[cfg(unix)]
pub(crate) mod pki;
#[cfg(all(unix, feature = "quic"))]
pub(crate) mod quic;
pub(crate) mod web;

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use net::{Address, Clock, Listener, ListenerConfig, Notice, Runtime, WorkerSetup};
use types::{Action, ConnId, Core, LinkEnd, LinkInfo, Time, WorkerId};

/// What the workers send each other.
pub(crate) enum Mail {
    /// A line for every connection of the worker.
    All(String),
    /// Resume every connection.
    Resume,
    /// Close every connection and be done.
    Drain,
    /// Panic outside of any connection.
    Panic,
}

struct Conn {
    generation: u32,
    info: LinkInfo,
    input: Vec<u8>,
    output: VecDeque<Vec<u8>>,
    /// Bytes of the first piece of output that are written.
    head: usize,
    stalls: u32,
}

/// The core of one worker.
pub(crate) struct LineCore {
    worker: WorkerId,
    workers: u16,
    most: usize,
    conns: Vec<Option<Conn>>,
    generations: u32,
    actions: VecDeque<Action<Mail>>,
    timers: BTreeMap<Time, Vec<(ConnId, String)>>,
    turns: u64,
    draining: bool,
    /// Those who get a second line when the first is written, and those whose first is.
    twice: Vec<ConnId>,
    written_once: Vec<ConnId>,
}

impl LineCore {
    pub(crate) fn new(worker: u16, workers: u16) -> Self {
        Self {
            worker: WorkerId(worker),
            workers,
            most: usize::MAX,
            conns: Vec::new(),
            generations: 0,
            actions: VecDeque::new(),
            timers: BTreeMap::new(),
            turns: 0,
            draining: false,
            twice: Vec::new(),
            written_once: Vec::new(),
        }
    }

    pub(crate) fn with_most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    fn conn(&mut self, conn: ConnId) -> Option<&mut Conn> {
        let found = self.conns.get_mut(conn.slot as usize)?.as_mut()?;
        (found.generation == conn.generation).then_some(found)
    }

    fn ids(&self) -> Vec<ConnId> {
        let taken = (0u32..).zip(&self.conns).filter_map(|(slot, conn)| {
            let generation = conn.as_ref()?.generation;
            Some(ConnId { slot, generation })
        });
        taken.collect()
    }

    fn say(&mut self, conn: ConnId, text: impl Into<Vec<u8>>) {
        if let Some(found) = self.conn(conn) {
            found.output.push_back(text.into());
            self.actions.push_back(Action::Flush(conn));
        }
    }

    fn forget(&mut self, conn: ConnId) -> Option<Conn> {
        self.conn(conn)?;
        self.conns[conn.slot as usize].take()
    }

    fn close(&mut self, conn: ConnId, text: &str) {
        if let Some(found) = self.forget(conn) {
            let mut output: Vec<u8> = found
                .output
                .into_iter()
                .flatten()
                .skip(found.head)
                .collect();
            output.extend(text.as_bytes());
            self.actions.push_back(Action::Close { conn, output });
        }
    }

    fn command(&mut self, conn: ConnId, line: &str, now: Time) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse::<usize>().unwrap();
        match word {
            "echo" => self.say(conn, format!("{rest}\n")),
            "where" => self.say(conn, format!("worker {}\n", self.worker.0)),
            "peer" => {
                let peer = self.conn(conn).unwrap().info.peer;
                self.say(conn, format!("{peer}\n"));
            }
            // The names in the client's certificate.
            "names" => {
                let certificate = self.conn(conn).unwrap().info.certificate.clone();
                let names = certificate.map(|found| found.common_names.join(","));
                self.say(
                    conn,
                    format!("{}\n", names.unwrap_or("no certificate".into())),
                );
            }
            "count" => self.say(conn, format!("{}\n", self.ids().len())),
            "turns" => self.say(conn, format!("{}\n", self.turns)),
            "stalls" => {
                let stalls: u32 = self.conns.iter().flatten().map(|conn| conn.stalls).sum();
                self.say(conn, format!("{stalls}\n"));
            }
            // So many bytes in pieces of 1,000, each byte telling its place.
            "burst" => {
                let bytes: Vec<u8> = (0..number()).map(pattern).collect();
                bytes.chunks(1000).for_each(|piece| self.say(conn, piece));
            }
            "burstclose" => {
                let bytes: Vec<u8> = (0..number()).map(pattern).collect();
                self.conn(conn).unwrap().output.push_back(bytes);
                self.close(conn, "");
            }
            "move" => {
                let to = WorkerId(u16::try_from(number()).unwrap());
                let received = self.forget(conn).unwrap().input;
                self.actions.push_back(Action::Move { conn, to, received });
            }
            "all" => {
                for to in (0..self.workers).map(WorkerId) {
                    let mail = Mail::All(rest.to_owned());
                    self.actions.push_back(Action::Mail { to, mail });
                }
            }
            "twice" => {
                self.say(conn, "first\n");
                self.twice.push(conn);
            }
            "pause" => {
                self.say(conn, "paused\n");
                self.actions.push_back(Action::Pause(conn));
            }
            "close" => self.close(conn, &format!("{rest}\n")),
            "after" => {
                let due = now + Duration::from_millis(number() as u64);
                self.timers
                    .entry(due)
                    .or_default()
                    .push((conn, "due\n".into()));
            }
            "panic" => panic!("as asked"),
            other => panic!("no such command: {other}"),
        }
    }
}

/// The byte at a place of a burst.
pub(crate) fn pattern(place: usize) -> u8 {
    (place % 251) as u8
}

impl Core for LineCore {
    type Mail = Mail;

    fn handle_open(&mut self, info: LinkInfo, _: Time) -> Option<ConnId> {
        if self.draining || self.ids().len() >= self.most {
            return None;
        }
        let free = self.conns.iter().position(Option::is_none);
        let place = free.unwrap_or(self.conns.len());
        if free.is_none() {
            self.conns.push(None);
        }
        self.generations += 1;
        let generation = self.generations;
        let (input, output) = (Vec::new(), VecDeque::new());
        self.conns[place] = Some(Conn {
            generation,
            info,
            input,
            output,
            head: 0,
            stalls: 0,
        });
        Some(ConnId {
            slot: place as u32,
            generation,
        })
    }

    fn handle_info(&mut self, conn: ConnId, info: LinkInfo, _: Time) {
        let found = self.conn(conn).expect("of a link that is open");
        assert!(found.input.is_empty(), "before the first bytes");
        found.info = info;
    }

    fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8], now: Time) {
        let Some(found) = self.conn(conn) else { return };
        found.input.extend_from_slice(bytes);
        while let Some(found) = self.conn(conn) {
            let Some(end) = found.input.iter().position(|byte| *byte == b'\n') else {
                return;
            };
            let line: Vec<u8> = found.input.drain(..=end).collect();
            let line = String::from_utf8(line).unwrap();
            self.command(conn, line.trim_end(), now);
        }
    }

    fn handle_written(&mut self, conn: ConnId, written: usize, _: Time) {
        let Some(found) = self.conn(conn) else { return };
        if written == 0 {
            found.stalls += 1;
        } else {
            self.written_once
                .extend(self.twice.extract_if(.., |twice| *twice == conn));
        }
        let Some(found) = self.conn(conn) else {
            return;
        };
        found.head += written;
        while found
            .output
            .front()
            .is_some_and(|piece| piece.len() <= found.head)
        {
            found.head -= found.output.pop_front().unwrap().len();
        }
    }

    fn handle_closed(&mut self, conn: ConnId, _: LinkEnd, _: Time) {
        self.forget(conn);
    }

    fn handle_mail(&mut self, mail: Mail, _: Time) {
        match mail {
            Mail::All(text) => {
                for conn in self.ids() {
                    self.say(conn, format!("{text}\n"));
                }
            }
            Mail::Resume => {
                let all = self.ids();
                self.actions.extend(all.into_iter().map(Action::Resume));
            }
            Mail::Drain => {
                self.draining = true;
                for conn in self.ids() {
                    self.close(conn, "drained\n");
                }
            }
            Mail::Panic => panic!("beyond any connection"),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        while let Some(first) = self.timers.first_entry()
            && *first.key() <= now
        {
            for (conn, text) in first.remove() {
                self.say(conn, text);
            }
        }
    }

    fn end_turn(&mut self, _: Time) {
        self.turns += 1;
        for conn in std::mem::take(&mut self.written_once) {
            self.say(conn, "second\n");
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.timers.keys().next().copied()
    }

    fn poll_action(&mut self) -> Option<Action<Mail>> {
        self.actions.pop_front()
    }

    fn output<'a>(&'a self, conn: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        let found = self.conns.get(conn.slot as usize).and_then(Option::as_ref);
        let Some(found) = found.filter(|found| found.generation == conn.generation) else {
            return 0;
        };
        let mut skip = found.head;
        let mut filled = 0;
        for (slice, piece) in slices.iter_mut().zip(&found.output) {
            *slice = IoSlice::new(&piece[std::mem::take(&mut skip)..]);
            filled += 1;
        }
        filled
    }

    fn is_drained(&self) -> bool {
        self.draining && self.conns.iter().all(Option::is_none) && self.actions.is_empty()
    }
}

/// A port of this machine that the system chooses.
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A server of so many workers.
pub(crate) struct Server {
    pub(crate) runtime: Runtime<Mail>,
    /// The first that is TCP.
    pub(crate) address: SocketAddr,
    /// All, in the order of their configurations.
    pub(crate) addresses: Vec<Address>,
    pub(crate) notices: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(workers: u16) -> Self {
        Self::start_with(workers, |core| core)
    }

    pub(crate) fn start_with(workers: u16, adapt: fn(LineCore) -> LineCore) -> Self {
        Self::build(workers, &[ListenerConfig::new(LOOPBACK)], adapt)
    }

    /// With these listeners.
    pub(crate) fn listening(workers: u16, configs: &[ListenerConfig]) -> Self {
        Self::build(workers, configs, |core| core)
    }

    pub(crate) fn build(
        workers: u16,
        configs: &[ListenerConfig],
        adapt: fn(LineCore) -> LineCore,
    ) -> Self {
        let listeners = configs.iter().map(Listener::bind);
        let listeners: Vec<Listener> = listeners.collect::<Result<_, _>>().unwrap();
        let addresses: Vec<_> = listeners
            .iter()
            .map(|listener| listener.address().clone())
            .collect();
        let notices = Arc::new(Mutex::new(Vec::new()));
        let setups = (0..workers).map(|id| {
            let notices = Arc::clone(&notices);
            WorkerSetup::new(move || adapt(LineCore::new(id, workers))).notices(move |notice| {
                let text = match notice {
                    Notice::Panicked { .. } => "panicked".to_owned(),
                    Notice::AcceptPaused { .. } => "paused".to_owned(),
                    Notice::AcceptResumed { .. } => "resumed".to_owned(),
                    other => format!("{other:?}"),
                };
                notices.lock().unwrap().push(text);
            })
        });
        let clock = Clock::new(Instant::now());
        let runtime = Runtime::start(listeners, setups.collect(), clock).unwrap();
        let address = addresses.iter().find_map(Address::tcp);
        Self {
            runtime,
            address: address.unwrap_or(LOOPBACK),
            addresses,
            notices,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::over(TcpStream::connect(self.address).unwrap())
    }

    /// A stream to the listener in such a place.
    pub(crate) fn connect(&self, listener: usize) -> TcpStream {
        let address = self.addresses[listener].tcp().unwrap();
        patient(TcpStream::connect(address).unwrap())
    }

    /// Waits until a notice with this in it has come.
    pub(crate) fn await_notice(&self, part: &str) {
        let start = Instant::now();
        while !self
            .notices
            .lock()
            .unwrap()
            .iter()
            .any(|notice| notice.contains(part))
        {
            let found = self.notices.lock().unwrap().clone();
            assert!(start.elapsed() < PATIENCE, "{part} is not in {found:?}");
            std::thread::yield_now();
        }
    }

    /// A client whose connection is at home on a worker.
    pub(crate) fn client_on(&self, worker: u16) -> Client {
        let mut client = self.client();
        client.send(&format!("move {worker}\nwhere\n"));
        assert_eq!(client.line(), format!("worker {worker}"));
        client
    }

    pub(crate) fn mail(&self, worker: u16, mail: Mail) {
        let sent = self.runtime.mailboxes().send(WorkerId(worker), mail);
        assert!(sent.is_ok(), "worker {worker} runs");
    }

    /// Drains all workers and waits for their end.
    pub(crate) fn drain(self) {
        let mailboxes = self.runtime.mailboxes();
        for id in 0..mailboxes.workers() {
            let sent = mailboxes.send(WorkerId(u16::try_from(id).unwrap()), Mail::Drain);
            assert!(sent.is_ok(), "worker {id} runs");
        }
        self.runtime.join().unwrap();
    }
}

/// A blocking client with a time limit on everything.
pub(crate) struct Client<S: Read = TcpStream> {
    pub(crate) reader: BufReader<S>,
}

impl Client {
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self::with(patient(stream))
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }
}

/// A stream that waits for nothing longer than [`PATIENCE`].
pub(crate) fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn with(stream: S) -> Self {
        Self {
            reader: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
        self.reader.get_mut().flush().unwrap();
    }

    /// The next line without its end; empty at the end of input.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.send(&format!("{text}\n"));
        self.line()
    }

    pub(crate) fn number(&mut self, text: &str) -> u64 {
        self.ask(text).parse().unwrap()
    }

    /// Turns of the worker during some milliseconds in which it has nothing to do but to wait
    /// for a timer: a handful, or many thousands if it does not sleep.
    pub(crate) fn turns_while_idle(&mut self) -> u64 {
        let before = self.number("turns");
        assert_eq!(self.ask("after 50"), "due");
        self.number("turns") - before
    }

    /// Asks until the answer is as wanted.
    pub(crate) fn ask_until(&mut self, text: &str, wanted: &str) {
        let start = Instant::now();
        loop {
            let answer = self.ask(text);
            if answer == wanted {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{text}: {answer}, not {wanted}");
        }
    }
}

/// Most turns of an idle worker in [`Client::turns_while_idle`].
pub(crate) const FEW: u64 = 20;

/// How long a client waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

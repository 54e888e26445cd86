//! Workers, links and mail, turned by hand.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use auth::{Asker, Outcome};
use broker::{
    Ask, BrokerConfig, Control, Done, Errand, Findings, Mail, NotDone, Question, Shared, Task,
    Worker,
};
use store::{NoStore, Recovered, Store};
use types::{Action, Arrival, ConnId, Core, LinkEnd, LinkInfo, Peer, Time, WorkerId};

/// One link between a client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub usize);

#[derive(Debug)]
struct Link {
    worker: usize,
    conn: Option<ConnId>,
    info: LinkInfo,
    /// What the server sent and the client has not looked at.
    inbox: Vec<u8>,
    /// How many more bytes the link takes from the server; a slow client takes few.
    takes: usize,
    /// The server does not read.
    paused: bool,
    /// What the client sent while the server did not read.
    unread: Vec<u8>,
    /// The server closed it.
    closed: bool,
}

/// What is on its way to a worker.
enum Letter {
    Mail(Mail),
    /// A link that goes home, with what was received from it.
    Link {
        at: usize,
        received: Vec<u8>,
    },
}

/// A server without sockets, and the links to it.
pub struct Universe {
    /// What the workers share.
    pub shared: Arc<Shared>,
    workers: Vec<Worker>,
    /// For each worker, one lane from each worker and one from the control plane: first in,
    /// first out within a lane, in any order between lanes.
    mail: Vec<Vec<VecDeque<Letter>>>,
    links: Vec<Link>,
    /// Links that the server reads from again, at the end of the turn.
    resumed: Vec<usize>,
    now: Time,
    next_worker: usize,
}

impl Universe {
    /// A server as configured; its clock starts at zero.
    pub fn new(config: BrokerConfig) -> Self {
        Self::with_stores(config, |_| Box::new(NoStore))
    }

    /// The same with a store behind each worker, which `store` makes for its number.
    pub fn with_stores(config: BrokerConfig, store: impl Fn(usize) -> Box<dyn Store>) -> Self {
        let shared = Shared::new(config);
        let count = shared.workers();
        let workers = (0u16..)
            .take(count)
            .map(|number| {
                let store = store(usize::from(number));
                Worker::with_store(WorkerId(number), Arc::clone(&shared), store)
            })
            .collect();
        Self {
            shared,
            workers,
            mail: (0..count)
                .map(|_| (0..=count).map(|_| VecDeque::new()).collect())
                .collect(),
            links: Vec::new(),
            resumed: Vec::new(),
            now: Time::ZERO,
            next_worker: 0,
        }
    }

    /// A server that goes on with what its stores have recovered.
    pub fn recovered(
        config: BrokerConfig,
        store: impl Fn(usize) -> Box<dyn Store>,
        recovered: Recovered,
    ) -> Self {
        let mut universe = Self::with_stores(config, store);
        let parts = universe.shared.restore(recovered);
        for (worker, part) in universe.workers.iter_mut().zip(parts) {
            worker.restore(part);
        }
        universe
    }

    /// An open server with one worker and defaults.
    pub fn small() -> Self {
        Self::new(BrokerConfig::open(1, 1))
    }

    /// The universe's time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// A worker, to be looked at or to be disturbed.
    pub fn worker(&mut self, number: usize) -> &mut Worker {
        &mut self.workers[number]
    }

    /// Opens a link; the workers take turns in accepting. A refused link is closed at once.
    pub fn open(&mut self) -> LinkId {
        let worker = self.next_worker;
        self.next_worker = (worker + 1) % self.workers.len();
        self.open_at(worker)
    }

    /// Opens a link that this worker accepts. A refused link is closed at once.
    pub fn open_at(&mut self, worker: usize) -> LinkId {
        let port = u16::try_from(10_000 + self.links.len() % 50_000).unwrap_or(u16::MAX);
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        self.open_as(worker, Peer::Net(address), 0)
    }

    /// A proxy says for whom it speaks on this link.
    pub fn introduce(&mut self, id: LinkId, peer: Peer) {
        let link = &mut self.links[id.0];
        link.info.peer = peer;
        if let Some(conn) = link.conn {
            let (worker, info) = (link.worker, link.info.clone());
            self.workers[worker].handle_info(conn, info, self.now);
            self.carry_out(worker);
        }
    }

    fn open_as(&mut self, worker: usize, peer: Peer, listener: u16) -> LinkId {
        let id = LinkId(self.links.len());
        let info = LinkInfo {
            peer,
            certificate: None,
            listener,
            accepted: self.now,
            arrival: Arrival::Accepted,
        };
        let conn = self.workers[worker].handle_open(info.clone(), self.now);
        self.links.push(Link {
            worker,
            conn,
            info,
            inbox: Vec::new(),
            takes: usize::MAX,
            paused: false,
            unread: Vec::new(),
            closed: conn.is_none(),
        });
        self.carry_out(worker);
        id
    }

    /// The link whose other side has this address.
    pub fn link_of(&self, peer: Peer) -> Option<LinkId> {
        self.links
            .iter()
            .rposition(|link| link.info.peer == peer)
            .map(LinkId)
    }

    /// The worker that has the link, or had it last.
    pub fn worker_of(&self, id: LinkId) -> usize {
        self.links[id.0].worker
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Bytes arrive at the worker that has the link, which does nothing about them before its
    /// turn ends: see [`Universe::turn_with`].
    pub fn arrive(&mut self, id: LinkId, bytes: &[u8]) {
        let link = &mut self.links[id.0];
        if link.closed {
            return;
        }
        match link.conn {
            Some(conn) if !link.paused => {
                self.workers[link.worker].handle_bytes(conn, bytes, self.now);
            }
            _ => link.unread.extend_from_slice(bytes),
        }
    }

    /// How many letters wait for a worker, by lane.
    pub fn waiting_mail(&self, number: usize) -> Vec<usize> {
        self.mail[number].iter().map(VecDeque::len).collect()
    }

    /// Lets time pass without anybody noticing yet.
    pub fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// The client sends bytes; they arrive in one piece. Nothing is answered before
    /// [`Universe::settle`] or [`Universe::turn`].
    pub fn send(&mut self, id: LinkId, bytes: &[u8]) {
        let link = &mut self.links[id.0];
        if link.closed {
            return;
        }
        if link.paused {
            link.unread.extend_from_slice(bytes);
            return;
        }
        if let Some(conn) = link.conn {
            self.workers[link.worker].handle_bytes(conn, bytes, self.now);
            self.carry_out(self.links[id.0].worker);
        }
    }

    /// The client goes without a word.
    pub fn hang_up(&mut self, id: LinkId) {
        let link = &mut self.links[id.0];
        link.closed = true;
        if let Some(conn) = link.conn.take() {
            let worker = link.worker;
            self.workers[worker].handle_closed(conn, LinkEnd::Eof, self.now);
        }
    }

    /// How many more bytes the link takes from the server.
    pub fn set_takes(&mut self, id: LinkId, takes: usize) {
        self.links[id.0].takes = takes;
        if takes > 0
            && let Some(conn) = self.links[id.0].conn
        {
            let worker = self.links[id.0].worker;
            self.flush(worker, conn);
        }
    }

    /// Whether the server has closed the link, or refused it.
    pub fn is_closed(&self, id: LinkId) -> bool {
        self.links[id.0].closed
    }

    /// Whether the server has stopped reading from the link.
    pub fn is_paused(&self, id: LinkId) -> bool {
        self.links[id.0].paused
    }

    /// What the server sent since the last look.
    pub fn take_inbox(&mut self, id: LinkId) -> Vec<u8> {
        std::mem::take(&mut self.links[id.0].inbox)
    }

    /// Sends all workers a word from the control plane.
    pub fn control(&mut self, control: &Control) {
        let plane = self.workers.len();
        for lanes in &mut self.mail {
            lanes[plane].push_back(Letter::Mail(Mail::Control(control.clone())));
        }
    }

    /// Sends one worker a word from the control plane.
    pub fn tell(&mut self, worker: WorkerId, control: Control) {
        let plane = self.workers.len();
        if let Some(lanes) = self.mail.get_mut(worker.index()) {
            lanes[plane].push_back(Letter::Mail(Mail::Control(control)));
        }
    }

    /// Brings an answer to who asked. It arrives behind what the control plane said before.
    pub fn answer(&mut self, asker: Asker, outcome: Outcome) {
        let plane = self.workers.len();
        if let Some(lanes) = self.mail.get_mut(asker.worker.index()) {
            let mail = Mail::Answer(Box::new((asker.of, outcome)));
            lanes[plane].push_back(Letter::Mail(mail));
        }
    }

    /// Asks a worker something.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub fn ask(&mut self, worker: WorkerId, question: Question) -> Findings {
        let (told, hears) = std::sync::mpsc::channel();
        self.ask_later(worker, question, told);
        match hears.try_recv() {
            Ok(findings) => findings,
            Err(error) => panic!("a question has no answer: {error}"),
        }
    }

    /// Asks a worker something that may wait for the store.
    pub fn ask_later(&mut self, worker: WorkerId, question: Question, told: Sender<Findings>) {
        let reply = move |findings| drop(told.send(findings));
        let ask = Ask {
            question,
            reply: Box::new(reply),
        };
        let plane = self.workers.len();
        self.mail[worker.index()][plane].push_back(Letter::Mail(Mail::Ask(Box::new(ask))));
        self.settle();
    }

    /// Has a worker do something. The answer comes when it is safe.
    pub fn errand(
        &mut self,
        worker: WorkerId,
        task: Task,
    ) -> std::sync::mpsc::Receiver<Result<Done, NotDone>> {
        let (told, hears) = std::sync::mpsc::channel();
        let errand = Errand {
            task,
            reply: Box::new(move |done| drop(told.send(done))),
        };
        let plane = self.workers.len();
        let mail = Mail::Errand(Box::new(errand));
        self.mail[worker.index()][plane].push_back(Letter::Mail(mail));
        self.settle();
        hears
    }

    /// Opens a link from another address, by another listener.
    pub fn open_from(&mut self, peer: Peer, listener: u16) -> LinkId {
        let worker = self.next_worker;
        self.next_worker = (worker + 1) % self.workers.len();
        self.open_as(worker, peer, listener)
    }

    /// One turn of one worker: its mail, its timers, its actions. Whether anything happened.
    pub fn turn(&mut self, number: usize) -> bool {
        let lanes: Vec<usize> = self
            .waiting_mail(number)
            .iter()
            .enumerate()
            .flat_map(|(lane, &count)| std::iter::repeat_n(lane, count))
            .collect();
        self.turn_with(number, &lanes)
    }

    /// One turn of one worker that gets the next letters of these lanes, in this order.
    /// Whether anything happened.
    pub fn turn_with(&mut self, number: usize, lanes: &[usize]) -> bool {
        let mut busy = false;
        for &lane in lanes {
            let Some(letter) = self.mail[number][lane].pop_front() else {
                continue;
            };
            busy = true;
            match letter {
                Letter::Mail(mail) => self.workers[number].handle_mail(mail, self.now),
                Letter::Link { at, received } => self.take_in(number, at, &received),
            }
        }
        let now = self.now;
        let worker = &mut self.workers[number];
        if worker.poll_timeout().is_some_and(|due| due <= now) {
            worker.handle_timeout(now);
            busy = true;
        }
        loop {
            // What a worker does in a turn is committed before any of it leaves.
            self.workers[number].end_turn(now);
            busy |= self.carry_out(number);
            let resumed = std::mem::take(&mut self.resumed);
            if resumed.is_empty() {
                return busy;
            }
            for at in resumed {
                self.read_on(at);
            }
        }
    }

    /// Turns all workers, in order, until nothing happens any more.
    ///
    /// # Panics
    ///
    /// If that takes a million rounds: something is going in circles.
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let mut busy = false;
            for number in 0..self.workers.len() {
                busy |= self.turn(number);
            }
            if !busy {
                return;
            }
        }
        panic!("the universe does not settle");
    }

    /// Lets time pass, stopping wherever a worker wants to be woken.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        while let Some(due) = self.next_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// When a worker wants to be woken next.
    pub fn next_timeout(&self) -> Option<Time> {
        self.workers.iter().filter_map(Core::poll_timeout).min()
    }

    fn carry_out(&mut self, number: usize) -> bool {
        let mut busy = false;
        while let Some(action) = self.workers[number].poll_action() {
            busy = true;
            match action {
                Action::Flush(conn) => self.flush(number, conn),
                Action::Pause(conn) => self.with_link(number, conn, |link| link.paused = true),
                Action::Resume(conn) => self.resume(number, conn),
                Action::Close { conn, output } => self.with_link(number, conn, |link| {
                    let taken = output.len().min(link.takes);
                    link.inbox.extend_from_slice(&output[..taken]);
                    link.conn = None;
                    link.closed = true;
                }),
                Action::Move { conn, to, received } => self.send_home(number, conn, to, received),
                Action::Mail { to, mail } => {
                    self.mail[to.index()][number].push_back(Letter::Mail(mail));
                }
            }
        }
        busy
    }

    fn find(&self, worker: usize, conn: ConnId) -> Option<usize> {
        // From the newest: tests open few links and look at the last ones.
        self.links
            .iter()
            .rposition(|link| link.worker == worker && link.conn == Some(conn))
    }

    fn with_link(&mut self, worker: usize, conn: ConnId, act: impl FnOnce(&mut Link)) {
        if let Some(at) = self.find(worker, conn) {
            act(&mut self.links[at]);
        }
    }

    fn flush(&mut self, worker: usize, conn: ConnId) {
        let Some(at) = self.find(worker, conn) else {
            return;
        };
        loop {
            let mut slices = [IoSlice::new(&[]); 8];
            let filled = self.workers[worker].output(conn, &mut slices);
            let all: Vec<u8> = slices[..filled]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            if all.is_empty() {
                return;
            }
            let link = &mut self.links[at];
            let taken = all.len().min(link.takes);
            link.inbox.extend_from_slice(&all[..taken]);
            link.takes =
                link.takes
                    .saturating_sub(if link.takes == usize::MAX { 0 } else { taken });
            self.workers[worker].handle_written(conn, taken, self.now);
            if taken < all.len() {
                return;
            }
        }
    }

    fn resume(&mut self, worker: usize, conn: ConnId) {
        if let Some(at) = self.find(worker, conn) {
            self.links[at].paused = false;
            self.resumed.push(at);
        }
    }

    /// The server reads from a link again.
    fn read_on(&mut self, at: usize) {
        let link = &mut self.links[at];
        let unread = std::mem::take(&mut link.unread);
        if let Some(conn) = link.conn.filter(|_| !unread.is_empty()) {
            self.workers[link.worker].handle_bytes(conn, &unread, self.now);
        }
    }

    fn send_home(&mut self, from: usize, conn: ConnId, to: WorkerId, received: Vec<u8>) {
        let Some(at) = self.find(from, conn) else {
            return;
        };
        self.links[at].conn = None;
        self.mail[to.index()][from].push_back(Letter::Link { at, received });
    }

    /// A link arrives at its home, with what was received from it before and on the way.
    fn take_in(&mut self, number: usize, at: usize, received: &[u8]) {
        let info = LinkInfo {
            arrival: Arrival::Moved,
            ..self.links[at].info.clone()
        };
        let conn = self.workers[number].handle_open(info, self.now);
        let link = &mut self.links[at];
        link.worker = number;
        let Some(conn) = conn else {
            link.closed = true;
            return;
        };
        let hung_up = std::mem::replace(&mut link.closed, false);
        link.conn = Some(conn);
        let unread = std::mem::take(&mut link.unread);
        let worker = &mut self.workers[number];
        worker.handle_bytes(conn, received, self.now);
        if !unread.is_empty() {
            worker.handle_bytes(conn, &unread, self.now);
        }
        if hung_up {
            let link = &mut self.links[at];
            link.closed = true;
            link.conn = None;
            self.workers[number].handle_closed(conn, LinkEnd::Eof, self.now);
        }
    }
}

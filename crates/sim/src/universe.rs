//! Workers, links and mail, turned by hand.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerConfig, Control, Mail, Shared, Worker};
use types::{Action, ConnId, Core, LinkEnd, LinkInfo, Time, WorkerId};

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

/// A server without sockets, and the links to it.
pub struct Universe {
    /// What the workers share.
    pub shared: Arc<Shared>,
    workers: Vec<Worker>,
    mail: Vec<VecDeque<Mail>>,
    links: Vec<Link>,
    now: Time,
    next_worker: usize,
}

impl Universe {
    /// A server as configured; its clock starts at zero.
    pub fn new(config: BrokerConfig) -> Self {
        let shared = Shared::new(config);
        let count = shared.workers();
        let workers = (0u16..)
            .take(count)
            .map(|number| Worker::new(WorkerId(number), Arc::clone(&shared)))
            .collect();
        Self {
            shared,
            workers,
            mail: (0..count).map(|_| VecDeque::new()).collect(),
            links: Vec::new(),
            now: Time::ZERO,
            next_worker: 0,
        }
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
        let id = LinkId(self.links.len());
        let port = u16::try_from(10_000 + id.0 % 50_000).unwrap_or(u16::MAX);
        let info = LinkInfo {
            peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            listener: 0,
            accepted: self.now,
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
        id
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
        for mail in &mut self.mail {
            mail.push_back(Mail::Control(control.clone()));
        }
    }

    /// One turn of one worker: its mail, its timers, its actions. Whether anything happened.
    pub fn turn(&mut self, number: usize) -> bool {
        let mail = std::mem::take(&mut self.mail[number]);
        let mut busy = !mail.is_empty();
        let now = self.now;
        let worker = &mut self.workers[number];
        for mail in mail {
            worker.handle_mail(mail, now);
        }
        if worker.poll_timeout().is_some_and(|due| due <= now) {
            worker.handle_timeout(now);
            busy = true;
        }
        worker.end_turn(now);
        self.carry_out(number) || busy
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

    fn next_timeout(&self) -> Option<Time> {
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
                Action::Move { conn, to, received } => self.move_link(number, conn, to, &received),
                Action::Mail { to, mail } => self.mail[to.index()].push_back(mail),
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
        let Some(at) = self.find(worker, conn) else {
            return;
        };
        self.links[at].paused = false;
        let unread = std::mem::take(&mut self.links[at].unread);
        if !unread.is_empty() {
            self.workers[worker].handle_bytes(conn, &unread, self.now);
        }
    }

    fn move_link(&mut self, from: usize, conn: ConnId, to: WorkerId, received: &[u8]) {
        let Some(at) = self.find(from, conn) else {
            return;
        };
        let info = self.links[at].info.clone();
        let home = &mut self.workers[to.index()];
        let conn = home.handle_open(info, self.now);
        let link = &mut self.links[at];
        link.worker = to.index();
        link.conn = conn;
        link.closed = conn.is_none();
        if let Some(conn) = conn {
            self.workers[to.index()].handle_bytes(conn, received, self.now);
            self.carry_out(to.index());
        }
    }
}

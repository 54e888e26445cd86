//! The blocking shell: a session over one TCP link at a time.
//!
//! A thread reads the link and puts what it reads into the client's inbox, where other
//! threads of the caller (standard input, signals) put theirs; the caller's thread does all
//! the rest. So nothing is polled, and reading never waits for writing.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use types::{LinkEnd, Time};

use crate::event::{CloseReason, Event};
use crate::options::ConnectOptions;
use crate::session::Session;

/// Where a server is, and how to get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The local name or address to connect from.
    pub bind: Option<String>,
    /// Send small packets at once (TCP_NODELAY).
    pub nodelay: bool,
    /// Longest time for each address of the host.
    pub connect_timeout: Duration,
}

impl Endpoint {
    /// A server reached from any local address, with 30 seconds to connect.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            bind: None,
            nodelay: false,
            connect_timeout: Duration::from_secs(30),
        }
    }

    /// Tries every address of the host in turn; the error is that of the last one.
    fn connect(&self) -> Result<TcpStream, ConnectError> {
        let addresses = resolve(&self.host, self.port)?;
        let locals = match &self.bind {
            Some(bind) => resolve(bind, 0)?,
            None => Vec::new(),
        };
        let mut last = None;
        for address in addresses {
            let local = locals
                .iter()
                .find(|local| local.is_ipv4() == address.is_ipv4());
            if self.bind.is_some() && local.is_none() {
                continue;
            }
            match self.connect_to(address, local.copied()) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(ConnectError::Connect { address, error }),
            }
        }
        Err(last.unwrap_or_else(|| ConnectError::NoAddress {
            host: self.host.clone(),
        }))
    }

    fn connect_to(&self, address: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(local) = local {
            socket.bind(&local.into())?;
        }
        socket.connect_timeout(&address.into(), self.connect_timeout)?;
        socket.set_tcp_nodelay(self.nodelay)?;
        socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(socket.into())
    }
}

fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let failed = |error| ConnectError::Resolve {
        host: host.to_owned(),
        error,
    };
    // An address of IPv6 may stand in brackets, as in a URL.
    let name = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let addresses: Vec<_> = (name, port).to_socket_addrs().map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(ConnectError::NoAddress {
            host: host.to_owned(),
        });
    }
    Ok(addresses)
}

/// Why there is no link.
#[derive(Debug)]
pub enum ConnectError {
    /// The name means nothing.
    Resolve {
        /// The name.
        host: String,
        /// What the system says.
        error: io::Error,
    },
    /// The name has no address that can be used from the local one.
    NoAddress {
        /// The name.
        host: String,
    },
    /// Connecting failed.
    Connect {
        /// The last address that was tried.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The thread that reads the link could not be started.
    Thread(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { host, error } => write!(f, "cannot resolve '{host}': {error}"),
            Self::NoAddress { host } => write!(f, "'{host}' has no address to connect to"),
            Self::Connect { address, error } => write!(f, "cannot connect to {address}: {error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve { error, .. } | Self::Connect { error, .. } | Self::Thread(error) => {
                Some(error)
            }
            Self::NoAddress { .. } => None,
        }
    }
}

/// A session, its link, and an inbox for inputs `T` of other threads.
#[derive(Debug)]
pub struct Client<T> {
    endpoint: Endpoint,
    session: Session,
    started: Instant,
    link: Option<Link>,
    /// Counts links, to tell what a former one still had to say.
    links: u64,
    sender: SyncSender<Arrival<T>>,
    inbox: Receiver<Arrival<T>>,
    /// Inputs that came while a link was closed.
    held: VecDeque<T>,
}

#[derive(Debug)]
struct Link {
    stream: TcpStream,
    number: u64,
}

#[derive(Debug)]
enum Arrival<T> {
    Bytes { link: u64, bytes: Vec<u8> },
    End { link: u64, end: LinkEnd },
    Input(T),
}

/// Puts inputs into a client's inbox.
#[derive(Debug)]
pub struct Inbox<T>(SyncSender<Arrival<T>>);

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Inbox<T> {
    /// Waits while the inbox is full.
    ///
    /// # Errors
    /// The input again, if the client is gone.
    pub fn send(&self, input: T) -> Result<(), T> {
        self.0
            .send(Arrival::Input(input))
            .map_err(|error| match error.0 {
                Arrival::Input(input) => input,
                Arrival::Bytes { .. } | Arrival::End { .. } => unreachable!("an input was sent"),
            })
    }
}

/// Why [`Client::next`] came back.
#[derive(Debug, PartialEq)]
pub enum Turn<T> {
    /// The session has something to tell.
    Event(Event),
    /// Another thread has.
    Input(T),
    /// The deadline has come.
    Deadline,
}

impl<T: Send + 'static> Client<T> {
    /// A client without a link.
    pub fn new(endpoint: Endpoint, options: ConnectOptions) -> Self {
        let (sender, inbox) = mpsc::sync_channel(INBOX_PLACES);
        Self {
            endpoint,
            session: Session::new(options),
            started: Instant::now(),
            link: None,
            links: 0,
            sender,
            inbox,
            held: VecDeque::new(),
        }
    }

    /// A handle for other threads. At most 64 arrivals wait, those of the link included.
    pub fn inbox(&self) -> Inbox<T> {
        Inbox(self.sender.clone())
    }

    /// The session.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The session's time.
    pub fn now(&self) -> Time {
        self.time(Instant::now())
    }

    /// Opens a link, the first one or, after [`Event::Closed`], another one. CONNECT goes
    /// out; [`Client::next`] brings what follows.
    ///
    /// # Errors
    /// There is no link then; another try may follow.
    pub fn open(&mut self) -> Result<(), ConnectError> {
        self.drop_link();
        let stream = self.endpoint.connect()?;
        let reader = stream.try_clone().map_err(ConnectError::Thread)?;
        self.links = self.links.wrapping_add(1);
        let number = self.links;
        let sender = self.sender.clone();
        thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || read_link(reader, number, &sender))
            .map_err(ConnectError::Thread)?;
        self.link = Some(Link { stream, number });
        self.session.handle_open(self.now());
        Ok(())
    }

    /// Whether there is a link, connected or about to be.
    pub fn has_link(&self) -> bool {
        self.link.is_some()
    }

    /// Gives the link up as it is, without a word to the server; no event follows.
    pub fn abandon(&mut self) {
        self.drop_link();
        self.session.handle_closed(LinkEnd::Eof);
        while self.session.poll_event().is_some() {}
    }

    /// Goes on until there is something to tell, or until the deadline. Without link and
    /// without deadline, only an input of another thread ends it.
    pub fn next(&mut self, deadline: Option<Instant>) -> Turn<T> {
        loop {
            if let Some(event) = self.next_event() {
                return Turn::Event(event);
            }
            if let Some(input) = self.held.pop_front() {
                return Turn::Input(input);
            }
            let now = Instant::now();
            if deadline.is_some_and(|at| at <= now) && !self.must_write() {
                return Turn::Deadline;
            }
            // What is there already goes out in the same write.
            let arrival = if !self.must_write() {
                self.receive(self.patience(deadline, now))
            } else if self.session.output().len() < WRITE_BYTES {
                self.inbox.try_recv().ok()
            } else {
                None
            };
            match arrival {
                Some(Arrival::Input(input)) => return Turn::Input(input),
                Some(Arrival::Bytes { link, bytes }) => {
                    if self.is_current(link) {
                        let now = self.now();
                        self.session.handle_bytes(&bytes, now);
                        // A server that never pauses must hear from us too.
                        self.session.handle_timeout(now);
                    }
                }
                Some(Arrival::End { link, end }) => {
                    if self.is_current(link) {
                        self.session.handle_closed(end);
                    }
                }
                None if self.must_write() => self.write_some(),
                None => self.session.handle_timeout(self.now()),
            }
        }
    }

    /// Whether something waits to be written, and there is a link to write it to.
    fn must_write(&self) -> bool {
        self.link.is_some() && !self.session.output().is_empty()
    }

    /// The session's next event.
    fn next_event(&mut self) -> Option<Event> {
        let event = self.session.poll_event()?;
        if let Event::Closed(reason) = &event {
            self.finish_link(reason);
        }
        Some(event)
    }

    fn write_some(&mut self) {
        let Some(link) = &mut self.link else {
            return;
        };
        match link.stream.write(self.session.output()) {
            Ok(count) if count > 0 => {
                let now = self.now();
                self.session.handle_written(count, now);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => self.session.handle_closed(LinkEnd::Error),
        }
    }

    /// Closes the link so that the server gets the last bytes: what it still sends is read,
    /// for otherwise the system would tell it that the link broke.
    fn finish_link(&mut self, reason: &CloseReason) {
        let Some(link) = &mut self.link else {
            return;
        };
        if !matches!(reason, CloseReason::Link(_)) {
            let number = link.number;
            // The link is over: if this fails, there is nobody left to tell.
            let _ = link.stream.write_all(self.session.output());
            let _ = link.stream.shutdown(Shutdown::Write);
            let until = Instant::now().checked_add(LINGER);
            while self.held.len() < INBOX_PLACES
                && let Some(left) = until.and_then(|at| at.checked_duration_since(Instant::now()))
            {
                match self.receive(Some(left)) {
                    Some(Arrival::End { link, .. }) if link == number => break,
                    Some(Arrival::Input(input)) => self.held.push_back(input),
                    Some(Arrival::Bytes { .. } | Arrival::End { .. }) => {}
                    None => break,
                }
            }
        }
        self.drop_link();
    }

    fn drop_link(&mut self) {
        if let Some(link) = self.link.take() {
            // Ends the thread that reads it. An error says that the link is gone already.
            let _ = link.stream.shutdown(Shutdown::Both);
        }
    }

    fn is_current(&self, number: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.number == number)
    }

    /// `None` after `patience`.
    fn receive(&self, patience: Option<Duration>) -> Option<Arrival<T>> {
        let Some(patience) = patience else {
            return self.inbox.recv().ok();
        };
        // The client holds a sender itself: the only error is the end of patience.
        self.inbox.recv_timeout(patience).ok()
    }

    /// How long to wait; `None` for ever.
    fn patience(&self, deadline: Option<Instant>, now: Instant) -> Option<Duration> {
        let own = deadline.map(|at| at.saturating_duration_since(now));
        // One more, for the session's clock counts whole milliseconds.
        let time = self.time(now);
        let due = self
            .session
            .poll_timeout()
            .map(|at| at.since(time).saturating_add(Duration::from_millis(1)));
        match (own, due) {
            (Some(own), Some(due)) => Some(own.min(due)),
            (own, due) => own.or(due),
        }
    }

    fn time(&self, now: Instant) -> Time {
        Time::ZERO + now.saturating_duration_since(self.started)
    }
}

impl<T> Drop for Client<T> {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            // Ends the thread that reads it. An error says that the link is gone already.
            let _ = link.stream.shutdown(Shutdown::Both);
        }
    }
}

fn read_link<T>(mut stream: TcpStream, link: u64, inbox: &SyncSender<Arrival<T>>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let end = match stream.read(&mut buffer) {
            Ok(0) => LinkEnd::Eof,
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                if inbox.send(Arrival::Bytes { link, bytes }).is_err() {
                    return;
                }
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => LinkEnd::Error,
        };
        // If the client is gone, nobody wants to know.
        let _ = inbox.send(Arrival::End { link, end });
        return;
    }
}

/// A server that takes nothing for so long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the server may take to close after DISCONNECT.
const LINGER: Duration = Duration::from_millis(500);
const INBOX_PLACES: usize = 64;
const READ_BYTES: usize = 64 * 1024;
/// So much is written at once, though more might come.
const WRITE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests;

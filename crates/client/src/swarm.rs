//! Many sessions on one thread, for `nightjar bench`: readiness instead of a thread for each link.
//!
//! Sockets are watched by edges: what is ready is read and written until the system says that it is
//! not, but no link keeps the others waiting for more than a few reads.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};
use types::{LinkEnd, Time};

use crate::event::Event;
use crate::options::ConnectOptions;
use crate::session::Session;

/// Sessions with a link each.
pub struct Swarm {
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    /// Those that have more to read than they were given time for.
    unread: Vec<usize>,
    buffer: Vec<u8>,
    started: Instant,
    looked: Time,
}

struct Member {
    session: Session,
    link: Option<Link>,
}

struct Link {
    stream: TcpStream,
    is_open: bool,
    may_write: bool,
}

/// Links whose readiness is told at once.
const READY: usize = 1024;
/// Bytes of one read.
const READ: usize = 64 * 1024;
/// Reads of one link before others have their turn.
const READS: usize = 8;
/// How often keep alives and deadlines are looked at.
const LOOK: Duration = Duration::from_millis(200);

impl Swarm {
    /// Without members.
    ///
    /// # Errors
    /// The system gives no event queue.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(READY),
            members: Vec::new(),
            unread: Vec::new(),
            buffer: vec![0; READ],
            started: Instant::now(),
            looked: Time::ZERO,
        })
    }

    /// The sessions' time.
    pub fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    /// Begins to connect another member, from this local address if there is one; its number, counted
    /// from 0. [`Event::Connected`] or [`Event::Closed`] follows.
    ///
    /// # Errors
    /// The system refuses at once; there is no new member.
    pub fn open(
        &mut self,
        address: SocketAddr,
        local: Option<IpAddr>,
        options: ConnectOptions,
    ) -> io::Result<usize> {
        let number = self.members.len();
        let mut stream = connecting(address, local)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut stream, Token(number), both)?;
        let link = Link {
            stream,
            is_open: false,
            may_write: false,
        };
        self.members.push(Member {
            session: Session::new(options),
            link: Some(link),
        });
        Ok(number)
    }

    /// Does something with a member's session, then what follows from it; `None` if there is no such
    /// member.
    pub fn act<R>(
        &mut self,
        number: usize,
        act: impl FnOnce(&mut Session, Time) -> R,
        tell: &mut impl FnMut(usize, &mut Session, Event, Time),
    ) -> Option<R> {
        let now = self.now();
        let member = self.members.get_mut(number)?;
        let result = act(&mut member.session, now);
        member.settle(number, now, tell);
        Some(result)
    }

    /// How many bytes of a member wait to be written.
    pub fn unwritten(&self, number: usize) -> usize {
        let member = self.members.get(number);
        member.map_or(0, |member| member.session.output().len())
    }

    /// Gives up all links as they are.
    pub fn abandon(&mut self) {
        for member in &mut self.members {
            member.drop_link();
        }
    }

    /// Waits until a link is ready, but no longer than this, and does what there is to do. `tell` hears
    /// of what happened, with the member's number, and may use its session.
    ///
    /// # Errors
    /// The event queue fails.
    pub fn turn(
        &mut self,
        patience: Duration,
        tell: &mut impl FnMut(usize, &mut Session, Event, Time),
    ) -> io::Result<()> {
        let unread = std::mem::take(&mut self.unread);
        let patience = match unread.is_empty() {
            true => patience,
            false => Duration::ZERO,
        };
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => self.events.clear(),
            other => other?,
        }
        let now = self.now();
        for number in unread {
            if let Some(member) = self.members.get_mut(number)
                && member.read(number, now, &mut self.buffer, tell)
            {
                self.unread.push(number);
            }
        }
        for event in &self.events {
            let Token(number) = event.token();
            let Some(member) = self.members.get_mut(number) else {
                continue;
            };
            if event.is_writable() {
                member.writable(number, now, tell);
            }
            // The end of a link is readable too, and an error shows itself when it is read.
            let may_read = event.is_readable() || event.is_read_closed() || event.is_error();
            if may_read && member.read(number, now, &mut self.buffer, tell) {
                self.unread.push(number);
            }
        }
        if now.since(self.looked) >= LOOK {
            self.looked = now;
            for (number, member) in self.members.iter_mut().enumerate() {
                if member.link.is_some() {
                    member.session.handle_timeout(now);
                    member.settle(number, now, tell);
                }
            }
        }
        Ok(())
    }
}

impl Member {
    /// The link takes bytes, for the first time or again.
    fn writable(
        &mut self,
        number: usize,
        now: Time,
        tell: &mut impl FnMut(usize, &mut Session, Event, Time),
    ) {
        let Some(link) = &mut self.link else {
            return;
        };
        link.may_write = true;
        if !link.is_open {
            // Readiness says that connecting is over; this says how.
            match link.stream.take_error() {
                Ok(None) if link.stream.peer_addr().is_ok() => {
                    link.is_open = true;
                    self.session.handle_open(now);
                }
                Ok(None) => return,
                Ok(Some(_)) | Err(_) => {
                    self.session.handle_open(now);
                    self.session.handle_closed(LinkEnd::Error);
                }
            }
        }
        self.settle(number, now, tell);
    }

    /// Reads what is there; whether there may be more.
    fn read(
        &mut self,
        number: usize,
        now: Time,
        buffer: &mut [u8],
        tell: &mut impl FnMut(usize, &mut Session, Event, Time),
    ) -> bool {
        for _ in 0..READS {
            let Some(link) = self.link.as_mut().filter(|link| link.is_open) else {
                return false;
            };
            match link.stream.read(buffer) {
                Ok(0) => self.session.handle_closed(LinkEnd::Eof),
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.session.handle_bytes(bytes, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => self.session.handle_closed(LinkEnd::Error),
            }
            self.settle(number, now, tell);
        }
        true
    }

    /// Tells what happened, and writes what is to be written.
    fn settle(
        &mut self,
        number: usize,
        now: Time,
        tell: &mut impl FnMut(usize, &mut Session, Event, Time),
    ) {
        loop {
            while let Some(event) = self.session.poll_event() {
                let is_over = matches!(event, Event::Closed(_));
                tell(number, &mut self.session, event, now);
                if is_over {
                    self.write(now);
                    self.drop_link();
                    return;
                }
            }
            if !self.write(now) {
                return;
            }
        }
    }

    /// Writes as much as the link takes; whether the session may have more to tell.
    fn write(&mut self, now: Time) -> bool {
        let Some(link) = self.link.as_mut().filter(|link| link.is_open) else {
            return false;
        };
        let mut has_written = false;
        while link.may_write && !self.session.output().is_empty() {
            match link.stream.write(self.session.output()) {
                Ok(count) if count > 0 => {
                    self.session.handle_written(count, now);
                    has_written = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => link.may_write = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => {
                    self.session.handle_closed(LinkEnd::Error);
                    return true;
                }
            }
        }
        has_written
    }

    fn drop_link(&mut self) {
        if let Some(link) = self.link.take() {
            // An error says that the link is gone already.
            let _ = link.stream.shutdown(Shutdown::Both);
        }
    }
}

/// A socket on its way to a server.
fn connecting(address: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(local) = local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if is_begun(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether connecting goes on by itself.
fn is_begun(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) {
        return true;
    }
    error.kind() == ErrorKind::WouldBlock
}

impl fmt::Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swarm")
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::event::CloseReason;
    use crate::message::Message;

    /// Accepts one link, reads CONNECT, says yes, and gives back all else until the end.
    fn server() -> (SocketAddr, thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 2];
            stream.read_exact(&mut head).unwrap();
            let mut rest = vec![0; usize::from(head[1])];
            stream.read_exact(&mut rest).unwrap();
            stream.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        });
        (address, served)
    }

    #[test]
    fn a_member_connects_publishes_and_leaves() {
        let (address, served) = server();
        let mut swarm = Swarm::new().unwrap();
        let number = swarm
            .open(address, None, ConnectOptions::default())
            .unwrap();
        let mut ended = None;
        while ended.is_none() {
            let mut tell = |_: usize, session: &mut Session, event: Event, now: Time| match event {
                Event::Connected(_) => {
                    session
                        .publish(Message::new("t", vec![7; 300_000]), now)
                        .unwrap();
                    session
                        .disconnect(&crate::DisconnectOptions::default(), now)
                        .unwrap();
                }
                Event::Closed(reason) => ended = Some(reason),
                _ => {}
            };
            swarm.turn(Duration::from_millis(50), &mut tell).unwrap();
        }
        assert_eq!((number, ended), (0, Some(CloseReason::Done)));
        let all = served.join().unwrap();
        assert_eq!((all[0], &all[all.len() - 2..]), (0x30, &[0xe0, 0][..]));
        assert!(all.len() > 300_000);
    }

    #[test]
    fn who_cannot_connect_hears_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut swarm = Swarm::new().unwrap();
        let opened = swarm.open(address, None, ConnectOptions::default());
        let mut ended = opened.is_err();
        while !ended {
            let mut tell = |_: usize, _: &mut Session, event: Event, _: Time| {
                ended |= event == Event::Closed(CloseReason::Link(LinkEnd::Error));
            };
            swarm.turn(Duration::from_millis(50), &mut tell).unwrap();
        }
    }
}

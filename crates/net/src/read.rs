//! The way in of a link.

use std::io::{ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use types::{Arrival, ConnId, Core, LinkEnd, Peer};

use crate::counters::{ListenerCounters, Notice, Refusal};
use crate::handshakes::Progress;
use crate::poller::Interest;
use crate::transport::foreign::Protocol;
use crate::transport::tls::HandshakeFailure;
use crate::transport::{Bytes, Ending, Received, Transport};
use crate::worker::{Shell, Worker, contained};

impl<C: Core> Worker<C> {
    /// One read, however much there is: a flood of one link waits for the others.
    pub(crate) fn read(&mut self, conn: ConnId) {
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return;
        };
        if !link.is_reading() {
            // Only a dead socket has events then. What it still holds is not read, as the
            // core would have to take it while it asked not to.
            return self.cut_off(conn, LinkEnd::Error);
        }
        if link.transport.is_some() {
            return self.read_through(conn);
        }
        let mut socket = &link.socket;
        match socket.read(&mut shell.scratch) {
            Ok(0) => self.end(conn, LinkEnd::Eof),
            Ok(count) => {
                let core = &mut self.core;
                let bytes = &shell.scratch[..count];
                if link.is_first_read()
                    && let Some(looks_like) = foreign_to_mqtt(bytes)
                {
                    return self.end_foreign(conn, looks_like);
                }
                let now = shell.now;
                if !contained(core, |core| core.handle_bytes(conn, bytes, now)) {
                    self.end_after_panic(conn);
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                _ => self.end(conn, LinkEnd::Error),
            },
        }
    }

    /// Goes on with the handshakes that had no time in the last turn.
    pub(crate) fn read_waiting(&mut self) {
        self.shell.handshakes.begin_turn();
        while let Some(conn) = self.shell.handshakes.next() {
            let shell = &mut self.shell;
            let Some(link) = shell.links.of(conn) else {
                continue;
            };
            let interest = link.interest().with(Interest::READ);
            match link.set_interest(&shell.poller, conn.slot, interest) {
                Ok(()) => self.read_through(conn),
                Err(_) => self.cut_off(conn, LinkEnd::Error),
            }
        }
    }

    /// One read of a link with a transport.
    #[inline(never)]
    fn read_through(&mut self, conn: ConnId) {
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return;
        };
        let Some(transport) = &mut link.transport else {
            return;
        };
        if transport.is_shaking_hands() {
            let progress = match transport.has_begun_handshake() {
                true => Progress::Begun,
                false => Progress::Fresh,
            };
            if !shell.handshakes.take_step() {
                let interest = link.interest().without(Interest::READ);
                match link.set_interest(&shell.poller, conn.slot, interest) {
                    Ok(()) => shell.handshakes.wait(conn, progress),
                    Err(_) => self.cut_off(conn, LinkEnd::Error),
                }
                return;
            }
        }
        let held = transport.held().len();
        shell.scratch[..held].copy_from_slice(transport.held());
        let mut socket = &link.socket;
        let count = match socket.read(&mut shell.scratch[held..]) {
            Ok(0) => return self.cut_off(conn, LinkEnd::Eof),
            Ok(count) => held + count,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => return,
                _ => return self.cut_off(conn, LinkEnd::Error),
            },
        };
        let raw = &mut shell.scratch[..count];
        let received = if transport.is_clear() {
            Received {
                bytes: Bytes::Raw(0..count),
                ..Received::default()
            }
        } else {
            let Some(door) = shell.doors.of(link.listener()) else {
                return;
            };
            let door = &**door;
            let Some(transport) = &mut link.transport else {
                return;
            };
            let plain = &mut shell.plain;
            let before = transport.unproven();
            // Unwind safe: the transport goes with its link, and what is shared (certificates,
            // sessions) is whole at every point.
            let received = catch_unwind(AssertUnwindSafe(|| transport.receive(raw, plain, door)));
            let Ok(mut received) = received else {
                return self.end_after_panic(conn);
            };
            let after = transport.unproven();
            if !shell.links.account(before, after) {
                received.end.get_or_insert(Ending::TooMuch);
            }
            received
        };
        self.take_received(conn, received);
    }

    fn take_received(&mut self, conn: ConnId, received: Received) {
        let shell = &mut self.shell;
        let now = shell.now;
        let Some(link) = shell.links.of(conn) else {
            return;
        };
        if let Some(peer) = received.peer {
            link.set_peer(peer);
        }
        let counters = shell.counters.listener(link.listener());
        if let (Some(kind), Some(counters)) = (received.handshake, counters) {
            match kind {
                rustls::HandshakeKind::Resumed => counters.resumed.add_one(),
                _ => counters.full.add_one(),
            }
        }
        let transport = link.transport.as_ref();
        if transport.is_some_and(|transport| transport.is_superfluous()) {
            link.transport = None;
        }
        let bytes = match received.bytes {
            Bytes::None => &[],
            Bytes::Raw(range) => &shell.scratch[range],
            Bytes::Plain(range) => &shell.plain[range],
        };
        if received.complete {
            self.core
                .handle_info(conn, link.info(Arrival::Accepted), now);
        }
        if !bytes.is_empty() {
            if link.transport.is_none()
                && link.is_first_read()
                && let Some(looks_like) = foreign_to_mqtt(bytes)
            {
                return self.end_foreign(conn, looks_like);
            }
            let core = &mut self.core;
            if !contained(core, |core| core.handle_bytes(conn, bytes, now)) {
                return self.end_after_panic(conn);
            }
        }
        if let Some(ending) = received.end {
            return self.end_by_transport(conn, ending);
        }
        self.send_own(conn);
    }

    /// What a new connection of a listener goes through first; `None` refuses it.
    pub(crate) fn admit(&mut self, listener: u16, peer: Peer) -> Option<Option<Box<Transport>>> {
        let shell = &mut self.shell;
        let door = shell.doors.of(listener)?;
        match door.transport(peer) {
            Ok(transport) => Some(transport),
            Err(_untrusted) => {
                shell.counters.count_refused(listener);
                let why =
                    Refusal::Proxy("it may not speak for others: it is in no trusted network");
                shell.notify_refused(listener, peer, why);
                None
            }
        }
    }

    /// A link ended by itself, perhaps in the middle of a handshake.
    fn cut_off(&mut self, conn: ConnId, end: LinkEnd) {
        if let Some(link) = self.shell.links.of(conn)
            && let Some(transport) = &link.transport
            && transport.has_begun_handshake()
        {
            let listener = link.listener();
            self.shell.count_cut_off(listener);
        }
        self.end(conn, end);
    }

    fn end_foreign(&mut self, conn: ConnId, looks_like: Protocol) {
        self.end_by_transport(conn, Ending::Foreign(looks_like));
    }

    /// Ends a link for what its transport says, after what the transport still has to say to the
    /// other side.
    pub(crate) fn end_by_transport(&mut self, conn: ConnId, ending: Ending) {
        let shell = &mut self.shell;
        let Some(link) = shell.links.remove(conn) else {
            return;
        };
        let (socket, transport, info) = link.into_parts();
        let end = match ending {
            Ending::Closed => LinkEnd::Eof,
            _ => LinkEnd::Error,
        };
        if let Some(why) = refusal(ending, shell.counters.listener(info.listener).as_deref()) {
            shell.notify_refused(info.listener, info.peer, why);
        }
        self.core.handle_closed(conn, end, shell.now);
        shell.core_was_told = true;
        let last = transport.map(|transport| transport.into_pending());
        shell.linger.begin(
            socket,
            last.unwrap_or_default(),
            shell.now,
            &mut shell.scratch,
            (&shell.poller, &shell.counters),
        );
    }
}

impl<M> Shell<M> {
    pub(crate) fn notify_refused(&self, listener: u16, peer: Peer, why: Refusal) {
        let counters = self.counters.listener(listener);
        if let (Refusal::Proxy(_), Some(counters)) = (&why, counters) {
            counters.proxy_refused.add_one();
        }
        (self.notices)(Notice::Refused {
            worker: self.id,
            listener,
            peer,
            why,
        });
    }

    /// Counts a handshake that will never be over.
    pub(crate) fn count_cut_off(&self, listener: u16) {
        if let Some(counters) = self.counters.listener(listener) {
            counters.count_failure(HandshakeFailure::CutOff);
        }
    }
}

/// Counts an ending that an operator may want to know, and says it.
fn refusal(ending: Ending, counters: Option<&ListenerCounters>) -> Option<Refusal> {
    let count = |count: fn(&ListenerCounters)| {
        if let Some(counters) = counters {
            count(counters);
        }
    };
    Some(match ending {
        Ending::Closed => return None,
        Ending::Proxy(why) => Refusal::Proxy(why),
        Ending::Foreign(looks_like) => {
            count(|counters| counters.foreign.add_one());
            Refusal::Foreign { looks_like }
        }
        Ending::Handshake(failure) => {
            if let Some(counters) = counters {
                counters.count_failure(failure.class);
            }
            Refusal::Handshake {
                class: failure.class,
                text: failure.text,
            }
        }
        Ending::Tls(failure) => Refusal::Tls(failure.text),
        Ending::WebSocket(why) => {
            count(|counters| counters.websocket_refused.add_one());
            Refusal::WebSocket(why)
        }
        Ending::Withdrawn => {
            count(|counters| counters.withdrawn.add_one());
            Refusal::Withdrawn
        }
        Ending::TooMuch => Refusal::TooMuch,
    })
}

/// What the first bytes of a plain connection look like, if it is surely not MQTT.
fn foreign_to_mqtt(bytes: &[u8]) -> Option<Protocol> {
    Protocol::of(bytes).filter(|protocol| *protocol != Protocol::Mqtt)
}

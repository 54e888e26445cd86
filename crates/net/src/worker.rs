//! The turn of the loop.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use types::{Action, Arrival, ConnId, Core, LinkEnd, LinkInfo, Peer, Time, WorkerId};

use crate::accept::{Accepted, Acceptor};
use crate::clock::Clock;
use crate::counters::{Counters, Notice};
use crate::handshakes::Handshakes;
use crate::linger::Linger;
use crate::links::{Link, Links, refuse};
use crate::listener::Listener;
use crate::mailbox::{Adopted, Envelope, Mailboxes};
use crate::poller::{Event, Events, Interest, Poller, Token};
use crate::runtime::Notices;
use crate::transport::{Doors, Transport};

/// One event loop: a core, and the shell around it.
pub(crate) struct Worker<C: Core> {
    pub(crate) core: C,
    pub(crate) shell: Shell<C::Mail>,
    accept: Acceptor,
}

/// What a worker has besides its core.
pub(crate) struct Shell<M> {
    pub(crate) id: WorkerId,
    pub(crate) poller: Arc<Poller>,
    mailboxes: Mailboxes<M>,
    clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) notices: Notices,
    pub(crate) links: Links,
    pub(crate) linger: Linger,
    /// Mail of this turn for each worker.
    outgoing: Vec<Vec<Envelope<M>>>,
    /// Connections that may have more to write than one turn allows.
    pub(crate) deferred: VecDeque<ConnId>,
    /// What the connections of each listener go through.
    pub(crate) doors: Doors,
    /// Where bytes are read to; the core keeps what it needs of them.
    pub(crate) scratch: Box<[u8]>,
    /// Where transports put what is plain, and what is encrypted.
    pub(crate) plain: Vec<u8>,
    pub(crate) cipher: Vec<u8>,
    pub(crate) handshakes: Handshakes,
    /// The next slot to look at, if certificates are to be looked at again.
    pub(crate) recheck: Option<u32>,
    /// The time of this turn.
    pub(crate) now: Time,
    /// Counts turns, and wraps.
    pub(crate) turn: u16,
    /// Whether the core was told of something since its last `end_turn`.
    pub(crate) core_was_told: bool,
    abandoned: bool,
}

impl<M> Shell<M> {
    pub(crate) fn new(
        id: WorkerId,
        poller: Arc<Poller>,
        mailboxes: Mailboxes<M>,
        clock: Clock,
        doors: Doors,
        (counters, notices): (Arc<Counters>, Notices),
    ) -> Self {
        let outgoing = (0..mailboxes.workers()).map(|_| Vec::new()).collect();
        Self {
            id,
            poller,
            mailboxes,
            clock,
            counters,
            notices,
            links: Links::default(),
            linger: Linger::default(),
            outgoing,
            deferred: VecDeque::new(),
            doors,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            plain: Vec::new(),
            cipher: Vec::new(),
            handshakes: Handshakes::default(),
            recheck: None,
            now: clock.now(),
            turn: 0,
            core_was_told: false,
            abandoned: false,
        }
    }
}

impl<M> Shell<M> {
    /// Whether the connections of a listener begin with a handshake.
    fn shakes_hands(&mut self, listener: u32) -> bool {
        let place = u16::try_from(listener).ok();
        let door = place.and_then(|place| self.doors.of(place));
        door.is_some_and(|door| door.tls.is_some())
    }
}

impl<C: Core> Worker<C> {
    pub(crate) fn new(
        core: C,
        shell: Shell<C::Mail>,
        listeners: Vec<(u16, Arc<Listener>)>,
    ) -> io::Result<Self> {
        let accept = Acceptor::new(listeners);
        accept.watch(&shell.poller)?;
        Ok(Self {
            core,
            shell,
            accept,
        })
    }

    /// Turns until the core is drained.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::new();
        let mut mail = Vec::new();
        loop {
            self.sleep(&mut events)?;
            self.turn(&events, &mut mail);
            if self.is_over() {
                break;
            }
        }
        let unread = self.shell.mailboxes.of(self.shell.id).close();
        (0..unread).for_each(|_| self.shell.counters.undelivered.add_one());
        Ok(())
    }

    fn is_over(&mut self) -> bool {
        if self.shell.abandoned {
            return true;
        }
        if !self.core.is_drained() {
            return false;
        }
        self.accept.stop(&self.shell.poller);
        self.shell.linger.is_empty()
    }

    /// Waits for something to do. Everything that was to be done is done.
    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        let shell = &mut self.shell;
        let due = [
            self.core.poll_timeout(),
            shell.linger.poll_timeout(),
            self.accept.poll_timeout(),
        ];
        let due = due.into_iter().flatten().min();
        let span = due.map(|due| due.since(shell.clock.now()));
        let idle = shell.deferred.is_empty()
            && shell.handshakes.is_empty()
            && shell.recheck.is_none()
            && !shell.core_was_told
            && shell.mailboxes.of(shell.id).try_sleep();
        shell
            .poller
            .wait(events, if idle { span } else { Some(Duration::ZERO) })?;
        shell.now = shell.clock.now();
        shell.turn = shell.turn.wrapping_add(1);
        Ok(())
    }

    /// Reads come before mail and time, so that no read can follow the decision, in the same
    /// turn, to move a link or to close it. (What happens to one link makes no core move
    /// another.)
    fn turn(&mut self, events: &Events, mail: &mut Vec<Envelope<C::Mail>>) {
        self.read_waiting();
        for event in (0..events.len()).filter_map(|place| events.at(place)) {
            self.handle_event(event);
        }
        self.write_deferred();
        self.shell.mailboxes.of(self.shell.id).take(mail);
        for envelope in mail.drain(..) {
            self.open_envelope(envelope);
        }
        let now = self.shell.now;
        self.recheck_some();
        self.accept.handle_timeout(now, &self.shell.poller);
        self.shell
            .linger
            .handle_timeout(now, &self.shell.poller, &self.shell.counters);
        if self.core.poll_timeout().is_some_and(|due| due <= now) {
            self.core.handle_timeout(now);
        }
        self.carry_out();
    }

    fn handle_event(&mut self, event: Event) {
        let shell = &mut self.shell;
        match event.token {
            Token::Listener(number) => self.accept_batch(number),
            Token::Lingering(number) => {
                let with = (&*shell.poller, &*shell.counters);
                shell
                    .linger
                    .handle_event(number, event, &mut shell.scratch, with);
            }
            Token::Link(slot) => {
                let Some(conn) = shell.links.tenant(slot) else {
                    return;
                };
                if event.is_readable() || event.is_dead() {
                    self.read(conn);
                }
                if event.is_writable() {
                    self.write_out(conn);
                }
            }
        }
    }

    /// Drops a link that ended by itself, and tells the core.
    pub(crate) fn end(&mut self, conn: ConnId, end: LinkEnd) {
        if let Some(link) = self.shell.links.remove(conn) {
            self.shell.poller.forget(&link.socket);
            self.core.handle_closed(conn, end, self.shell.now);
            self.shell.core_was_told = true;
        }
    }

    pub(crate) fn end_after_panic(&mut self, conn: ConnId) {
        let shell = &mut self.shell;
        shell.counters.panics.add_one();
        if let Some(link) = shell.links.of(conn) {
            (shell.notices)(Notice::Panicked {
                worker: shell.id,
                peer: link.peer(),
            });
        }
        self.end(conn, LinkEnd::Error);
    }

    fn accept_batch(&mut self, number: u32) {
        for _ in 0..ACCEPTED_AT_ONCE {
            let shell = &mut self.shell;
            if shell.handshakes.is_behind() && shell.shakes_hands(number) {
                return;
            }
            match self.accept.accept(number, shell.now) {
                Accepted::Link {
                    socket,
                    peer,
                    resumed,
                } => {
                    let listener = u16::try_from(number).unwrap_or(u16::MAX);
                    shell.counters.count_accepted(listener);
                    if resumed {
                        (shell.notices)(Notice::AcceptResumed { worker: shell.id });
                    }
                    let Some(transport) = self.admit(listener, peer) else {
                        refuse(socket);
                        continue;
                    };
                    let shell = &mut self.shell;
                    let info = LinkInfo {
                        peer,
                        certificate: None,
                        listener,
                        accepted: shell.now,
                        arrival: Arrival::Accepted,
                    };
                    let _or_closed = self.open(socket, transport, info, &[]);
                }
                Accepted::Nothing => return,
                Accepted::Failed(error) => return self.pause_accepting(error),
            }
        }
    }

    fn pause_accepting(&mut self, error: io::Error) {
        let shell = &mut self.shell;
        let with = (&*shell.poller, &*shell.counters);
        // The descriptors of links that are closing are the cheapest to have back; then the
        // next turn tries again.
        if shell.linger.clear(with.0, with.1) > 0 {
            return;
        }
        if self.accept.pause(shell.now, with.0, with.1) {
            shell.counters.accept_pauses.add_one();
            (shell.notices)(Notice::AcceptPaused {
                worker: shell.id,
                error,
            });
        }
    }

    /// A connection of QUIC asks for its place.
    #[cfg(all(feature = "quic", unix))]
    fn arrive(&mut self, arrived: crate::quic::Arrived) {
        let shell = &mut self.shell;
        shell.counters.count_accepted(arrived.listener);
        let info = LinkInfo {
            peer: arrived.peer,
            certificate: None,
            listener: arrived.listener,
            accepted: shell.now,
            arrival: Arrival::Accepted,
        };
        let transport = Box::new(Transport::behind_quic(arrived.told));
        let opened = self.open(arrived.socket, Some(transport), info, &[]);
        if let Opened::Yes = opened {
            // If it has gone meanwhile, the end of its pipe says so.
            let _gone = arrived.place.send(self.shell.id);
        }
    }

    /// A link comes to this worker, from outside or from another worker.
    fn open(
        &mut self,
        socket: Socket,
        transport: Option<Box<Transport>>,
        info: LinkInfo,
        received: &[u8],
    ) -> Opened {
        let shell = &mut self.shell;
        let now = shell.now;
        let Some(conn) = self.core.handle_open(info.clone(), now) else {
            shell.counters.count_refused(info.listener);
            refuse(socket);
            return Opened::No;
        };
        assert!(conn.slot < Token::INDEXES, "a core names dense slots");
        let watched = shell
            .poller
            .add(&socket, Token::Link(conn.slot), Interest::READ);
        shell
            .links
            .insert(conn, Link::new(socket, transport, &info, conn.generation));
        if watched.is_err() {
            // The system's memory is out.
            self.end(conn, LinkEnd::Error);
            return Opened::No;
        }
        let core = &mut self.core;
        if !received.is_empty() && !contained(core, |core| core.handle_bytes(conn, received, now)) {
            self.end_after_panic(conn);
            return Opened::No;
        }
        if info.arrival == Arrival::Moved {
            self.welcome_transport(conn);
        }
        Opened::Yes
    }

    fn open_envelope(&mut self, envelope: Envelope<C::Mail>) {
        match envelope {
            Envelope::Mail(mail) => self.core.handle_mail(mail, self.shell.now),
            Envelope::Adopt(adopted) => {
                let Adopted {
                    socket,
                    transport,
                    info,
                    received,
                } = *adopted;
                let _or_closed = self.open(socket, transport, info, &received);
            }
            #[cfg(all(feature = "quic", unix))]
            Envelope::Arrive(arrived) => self.arrive(*arrived),
            #[cfg(unix)]
            Envelope::Within(socket) => {
                let info = LinkInfo {
                    peer: Peer::Local(None),
                    certificate: None,
                    listener: LinkInfo::WITHIN,
                    accepted: self.shell.now,
                    arrival: Arrival::Accepted,
                };
                self.shell.counters.count_accepted(info.listener);
                let _or_closed = self.open(socket, None, info, &[]);
            }
            Envelope::Listen(place, listener) => {
                let opened = self.accept.open(place, listener, &self.shell.poller);
                if let Err(error) = opened {
                    self.pause_accepting(error);
                }
            }
            Envelope::Unlisten(place) => self.accept.close(place, &self.shell.poller),
            Envelope::RecheckCertificates => self.shell.recheck = Some(0),
            Envelope::StopAccepting => self.accept.stop(&self.shell.poller),
            Envelope::Abandon => self.shell.abandoned = true,
        }
    }

    /// Ends the core's turn and does what it wants done.
    fn carry_out(&mut self) {
        // What was written may let the core go on (a queue has room again), and a link that
        // failed may have a will: then the core gets another end of turn. What is still to do
        // after some rounds is left to the next turn, which then does not sleep.
        for _ in 0..ROUNDS_PER_TURN {
            self.shell.core_was_told = false;
            self.core.end_turn(self.shell.now);
            while let Some(action) = self.core.poll_action() {
                self.act(action);
            }
            if !self.shell.core_was_told {
                break;
            }
        }
        assert!(
            !self.shell.links.has_displaced(),
            "a core gives a slot away only if it is free"
        );
        let shell = &mut self.shell;
        for (to, batch) in (0..).map(WorkerId).zip(&mut shell.outgoing) {
            if !batch.is_empty() {
                shell.mailboxes.post(to, batch);
            }
        }
    }

    fn act(&mut self, action: Action<C::Mail>) {
        match action {
            Action::Flush(conn) => self.flush(conn),
            Action::Pause(conn) => self.set_reading(conn, false),
            Action::Resume(conn) => self.set_reading(conn, true),
            Action::Close { conn, output } => self.close(conn, output),
            Action::Move { conn, to, received } => self.hand_over(conn, to, received),
            Action::Mail { to, mail } => self.outgoing(to).push(Envelope::Mail(mail)),
        }
    }

    fn set_reading(&mut self, conn: ConnId, reading: bool) {
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return;
        };
        let interest = link.interest();
        let interest = match reading {
            true => interest.with(Interest::READ),
            false => interest.without(Interest::READ),
        };
        if link
            .set_interest(&shell.poller, conn.slot, interest)
            .is_err()
        {
            self.end(conn, LinkEnd::Error);
        }
    }

    fn close(&mut self, conn: ConnId, output: Vec<u8>) {
        let shell = &mut self.shell;
        let Some(link) = shell.links.remove(conn) else {
            return;
        };
        let (socket, transport, info) = link.into_parts();
        let output = match transport {
            None => output,
            Some(transport) => {
                if transport.has_begun_handshake() {
                    shell.count_cut_off(info.listener);
                }
                transport.finish(&output)
            }
        };
        let with = (&*shell.poller, &*shell.counters);
        shell
            .linger
            .begin(socket, output, shell.now, &mut shell.scratch, with);
    }

    fn hand_over(&mut self, conn: ConnId, to: WorkerId, received: Vec<u8>) {
        let Some(link) = self.shell.links.remove(conn) else {
            return;
        };
        let (socket, mut transport, info) = link.into_parts();
        if let Some(transport) = &mut transport {
            transport.forget_owed();
        }
        // A socket stays watched while it is open, so this must not fail; and it cannot, as
        // the socket is open and watched.
        let unwatched = self.shell.poller.delete(&socket);
        unwatched.expect("an open link is watched");
        let adopted = Adopted {
            socket,
            transport,
            info,
            received,
        };
        self.outgoing(to).push(Envelope::Adopt(Box::new(adopted)));
    }

    fn outgoing(&mut self, to: WorkerId) -> &mut Vec<Envelope<C::Mail>> {
        let workers = self.shell.outgoing.len();
        let batch = self.shell.outgoing.get_mut(to.index());
        batch.unwrap_or_else(|| panic!("a core names worker {} of {workers}", to.0))
    }
}

/// Whether a link has come to a worker.
#[must_use]
enum Opened {
    Yes,
    /// It is closed already.
    No,
}

/// Runs what a peer's bytes may make panic; `false` if they did. A panic that left more than
/// the one connection broken goes on.
pub(crate) fn contained<C: Core>(core: &mut C, decode: impl FnOnce(&mut C)) -> bool {
    // Unwind safe: after a panic the core says itself whether it is whole.
    match catch_unwind(AssertUnwindSafe(|| decode(core))) {
        Ok(()) => true,
        Err(_) if core.is_sound() => false,
        Err(panic) => resume_unwind(panic),
    }
}

/// The size of the buffer for reads; most bytes taken from one link in a turn.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Most connections taken from one listener in a turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// Most times that a core's actions are asked for in one turn.
const ROUNDS_PER_TURN: usize = 4;

//! The `polling` crate in level mode: kqueue, IOCP and the rest.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use polling::{AsSource, PollMode};

use super::{DEAD, EVENTS_PER_TURN, Event, Interest, READABLE, Token, WRITABLE};

/// A poller of the system's own kind.
#[derive(Debug)]
pub(crate) struct Poller {
    poller: polling::Poller,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let poller = polling::Poller::new()?;
        if !poller.supports_level() {
            let text = "this system has no level-triggered readiness";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        Ok(Self { poller })
    }

    /// Watches a socket of this worker's.
    pub(crate) fn add(&self, s: impl AsSource, token: Token, interest: Interest) -> io::Result<()> {
        let source = s.source();
        // SAFETY: the socket must be deleted from the poller before it is closed. Every owner
        // of a watched socket in this crate (links, linger, accept) does that, or calls
        // `forget`, where it lets go of one, and a worker's poller outlives its sockets.
        #[expect(
            unsafe_code,
            reason = "`polling` leaves the socket's life to the caller"
        )]
        unsafe {
            self.poller
                .add_with_mode(&source, event(token, interest), PollMode::Level)
        }
    }

    /// Watches a socket that other workers watch too, for reading. All of them are woken.
    pub(crate) fn add_shared(&self, socket: impl AsSource, token: Token) -> io::Result<()> {
        self.add(socket, token, Interest::READ)
    }

    pub(crate) fn modify(&self, s: impl AsSource, token: Token, i: Interest) -> io::Result<()> {
        self.poller
            .modify_with_mode(s, event(token, i), PollMode::Level)
    }

    pub(crate) fn delete(&self, socket: impl AsSource) -> io::Result<()> {
        self.poller.delete(socket)
    }

    /// To be called before a watched socket is closed.
    pub(crate) fn forget(&self, socket: impl AsSource) {
        // It fails only for a socket that is not watched, and then there is nothing to do.
        let _ = self.poller.delete(socket);
    }

    /// Waits for events, for [`Poller::wake`] or for the time to pass, whichever is first.
    /// Without a `timeout`, for ever.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.raw.clear();
        events.list.clear();
        self.poller.wait(&mut events.raw, timeout)?;
        events.list.extend(events.raw.iter().filter_map(translated));
        Ok(())
    }

    /// Ends the wait of another thread, or the next one. Callable from any thread.
    pub(crate) fn wake(&self) -> io::Result<()> {
        self.poller.notify()
    }
}

fn event(token: Token, interest: Interest) -> polling::Event {
    // A key has at least 32 bits wherever std has sockets.
    let key = token.to_key() as usize;
    let (read, write) = (
        interest.contains(Interest::READ),
        interest.contains(Interest::WRITE),
    );
    polling::Event::new(key, read, write)
}

fn translated(event: polling::Event) -> Option<Event> {
    let token = Token::from_key(u32::try_from(event.key).ok()?)?;
    let mut readiness = 0;
    if event.readable {
        readiness |= READABLE;
    }
    if event.writable {
        readiness |= WRITABLE;
    }
    if event.is_interrupt() || event.is_err() == Some(true) {
        readiness |= DEAD;
    }
    Some(Event { token, readiness })
}

/// The events of one wait; the memory is used again for the next.
pub(crate) struct Events {
    raw: polling::Events,
    list: Vec<Event>,
}

impl Events {
    pub(crate) fn new() -> Self {
        let most = NonZeroUsize::new(EVENTS_PER_TURN).unwrap_or(NonZeroUsize::MIN);
        Self {
            raw: polling::Events::with_capacity(most),
            list: Vec::with_capacity(EVENTS_PER_TURN),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The event at a place; `None` past the end.
    pub(crate) fn at(&self, place: usize) -> Option<Event> {
        self.list.get(place).copied()
    }
}

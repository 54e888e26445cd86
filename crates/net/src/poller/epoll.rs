//! epoll, with an eventfd for wake-ups.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use super::{DEAD, EVENTS_PER_TURN, Event, Interest, READABLE, Token, WRITABLE};

const WAKE_KEY: u64 = u64::MAX;

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Edge-triggered, every write to it is a new event, so it need never be read.
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE_KEY), flags)?;
        Ok(Self { epoll, wake })
    }

    /// Watches a socket of this worker's.
    pub(crate) fn add(&self, s: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, s, data(token), flags(interest))?)
    }

    /// Watches a socket that other workers watch too, for reading: as a rule one of them is
    /// woken. Such a socket cannot be modified, only deleted.
    pub(crate) fn add_shared(&self, socket: impl AsFd, token: Token) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
        Ok(epoll::add(&self.epoll, socket, data(token), flags)?)
    }

    pub(crate) fn modify(&self, s: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, s, data(token), flags(interest))?)
    }

    pub(crate) fn delete(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// To be called before a watched socket is closed. Closing is enough for epoll.
    pub(crate) fn forget(&self, _socket: impl AsFd) {}

    /// Waits for events, for [`Poller::wake`] or for the time to pass, whichever is first.
    /// Without a `timeout`, for ever.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        let timeout = timeout.map(|span| {
            // Only a span that fits the older call is sure to be let through by seccomp
            // rules; to wake once too often in weeks does no harm.
            let secs = span.as_secs().min(LONGEST_WAIT_SECS);
            let tv_nsec = span.subsec_nanos().into();
            Timespec {
                tv_sec: i64::try_from(secs).unwrap_or(i64::MAX),
                tv_nsec,
            }
        });
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut events.list),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the wait of another thread, or the next one. Callable from any thread.
    pub(crate) fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.wake, &1u64.to_ne_bytes()) {
            // Full means that 2^64 - 2 wake-ups are pending.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

const LONGEST_WAIT_SECS: u64 = 14 * 24 * 3600;

fn data(token: Token) -> EventData {
    EventData::new_u64(token.to_key().into())
}

fn flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    if interest.contains(Interest::READ) {
        flags |= EventFlags::IN;
    }
    if interest.contains(Interest::WRITE) {
        flags |= EventFlags::OUT;
    }
    flags
}

/// The events of one wait; the memory is used again for the next.
pub(crate) struct Events {
    list: Vec<epoll::Event>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            list: Vec::with_capacity(EVENTS_PER_TURN),
        }
    }

    /// How many there are, wake-ups included.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The event at a place; `None` past the end and for a wake-up.
    pub(crate) fn at(&self, place: usize) -> Option<Event> {
        let event = self.list.get(place)?;
        let token = Token::from_key(u32::try_from(event.data.u64()).ok()?)?;
        let flags = event.flags;
        let mut readiness = 0;
        if flags.contains(EventFlags::IN) {
            readiness |= READABLE;
        }
        if flags.contains(EventFlags::OUT) {
            readiness |= WRITABLE;
        }
        if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
            readiness |= DEAD;
        }
        Some(Event { token, readiness })
    }
}

//! Taking connections, and not taking them while descriptors are out.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use types::{Peer, Time};

use crate::counters::Counters;
use crate::listener::Listener;
use crate::poller::{Poller, Token};

/// One worker's way to the listeners, which all workers share: whoever is awake takes the
/// next connection. To which worker it comes matters little, as it goes home after CONNECT.
#[derive(Debug)]
pub(crate) struct Acceptor {
    /// By their places, which are the numbers in `LinkInfo` and in tokens. No entry is left of those
    /// that have closed.
    listeners: BTreeMap<u16, Arc<Listener>>,
    /// A descriptor to give up when there are no more, so that a connection that waits can be
    /// taken and closed instead of being left to its timeout. Missing if it could not be had
    /// back.
    reserve: Option<Socket>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Accepting,
    /// The listeners are not watched until `pause` after `failed`; then a failure
    /// doubles the pause.
    Paused {
        failed: Time,
        pause: Duration,
    },
    /// The listeners are watched again after a pause of such a length, begun at `failed`.
    /// Ends with a connection accepted some time after, so that descriptors that come and go
    /// one by one make one burst, not many.
    Retrying {
        failed: Time,
        pause: Duration,
    },
}

/// What came of trying to accept.
pub(crate) enum Accepted {
    /// A connection. `resumed`: it ends a burst of failures.
    Link {
        socket: Socket,
        peer: Peer,
        resumed: bool,
    },
    /// None waits, or it went away while it did.
    Nothing,
    /// The system cannot take one now; [`Acceptor::pause`] is to be called.
    Failed(io::Error),
}

impl Acceptor {
    pub(crate) fn new(listeners: impl IntoIterator<Item = (u16, Arc<Listener>)>) -> Self {
        let listeners = listeners.into_iter();
        Self {
            listeners: listeners.collect(),
            reserve: reserve(),
            state: State::Accepting,
        }
    }

    /// Begins to watch the listeners.
    pub(crate) fn watch(&self, poller: &Poller) -> io::Result<()> {
        for (number, listener) in &self.listeners {
            poller.add_shared(listener.socket(), Token::Listener((*number).into()))?;
        }
        Ok(())
    }

    /// Takes connections by another listener too. In a pause it is watched when that is over.
    pub(crate) fn open(
        &mut self,
        place: u16,
        listener: Arc<Listener>,
        poller: &Poller,
    ) -> io::Result<()> {
        let watched = match self.state {
            State::Paused { .. } => Ok(()),
            State::Accepting | State::Retrying { .. } => {
                poller.add_shared(listener.socket(), Token::Listener(place.into()))
            }
        };
        self.listeners.insert(place, listener);
        watched
    }

    /// Closes a listener as far as this worker is concerned.
    pub(crate) fn close(&mut self, place: u16, poller: &Poller) {
        if let Some(listener) = self.listeners.remove(&place) {
            // It fails only for one that is not watched, and then there is nothing to do.
            let _ = poller.delete(listener.socket());
        }
    }

    /// Closes the listeners as far as this worker is concerned.
    pub(crate) fn stop(&mut self, poller: &Poller) {
        self.unwatch(poller);
        self.listeners.clear();
        self.state = State::Accepting;
    }

    /// Tries to take one connection.
    pub(crate) fn accept(&mut self, listener: u32, now: Time) -> Accepted {
        if matches!(self.state, State::Paused { .. }) {
            return Accepted::Nothing;
        }
        let listener = u16::try_from(listener).ok();
        let Some(listener) = listener.and_then(|place| self.listeners.get(&place)) else {
            return Accepted::Nothing;
        };
        match listener.accept() {
            Ok((socket, peer)) => {
                let resumed = match self.state {
                    State::Retrying { failed, .. } => now.since(failed) >= CALM,
                    State::Accepting | State::Paused { .. } => false,
                };
                if resumed {
                    self.state = State::Accepting;
                }
                Accepted::Link {
                    socket,
                    peer,
                    resumed,
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock
                | ErrorKind::Interrupted
                | ErrorKind::ConnectionAborted
                | ErrorKind::ConnectionReset => Accepted::Nothing,
                _ => Accepted::Failed(error),
            },
        }
    }

    /// Stops watching for a while that doubles with each failure of a burst, and closes what
    /// waits if giving up the reserve allows to. Returns whether this failure begins a burst.
    pub(crate) fn pause(&mut self, now: Time, poller: &Poller, counters: &Counters) -> bool {
        self.turn_away(counters);
        self.unwatch(poller);
        let pause = match self.state {
            State::Accepting => FIRST_PAUSE,
            State::Paused { pause, .. } | State::Retrying { pause, .. } => {
                (pause * 2).min(LONGEST_PAUSE)
            }
        };
        let first = self.state == State::Accepting;
        self.state = State::Paused { failed: now, pause };
        first
    }

    /// When [`Acceptor::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Paused { failed, pause } => Some(failed + pause),
            State::Accepting | State::Retrying { .. } => None,
        }
    }

    /// Watches the listeners again if the pause is over.
    pub(crate) fn handle_timeout(&mut self, now: Time, poller: &Poller) {
        let State::Paused { failed, pause } = self.state else {
            return;
        };
        if failed + pause > now {
            return;
        }
        self.state = match self.watch(poller) {
            Ok(()) => State::Retrying { failed, pause },
            Err(_) => {
                self.unwatch(poller);
                let pause = (pause * 2).min(LONGEST_PAUSE);
                State::Paused { failed: now, pause }
            }
        };
    }

    fn turn_away(&mut self, counters: &Counters) {
        if self.reserve.take().is_some() {
            for (place, listener) in &self.listeners {
                for _ in 0..TURNED_AWAY_AT_ONCE {
                    // Another thread may have been faster to take the descriptor.
                    let Ok(_closed_at_once) = listener.accept() else {
                        break;
                    };
                    counters.count_accepted(*place);
                    counters.count_refused(*place);
                }
            }
        }
        self.reserve = reserve();
    }

    fn unwatch(&self, poller: &Poller) {
        for listener in self.listeners.values() {
            // It fails only for one that is not watched, and then there is nothing to do.
            let _ = poller.delete(listener.socket());
        }
    }
}

fn reserve() -> Option<Socket> {
    Socket::new(Domain::IPV4, Type::DGRAM, None).ok()
}

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// So long after a failure, a connection accepted ends the burst.
const CALM: Duration = Duration::from_secs(5);
/// Most connections of a listener closed in one failure.
const TURNED_AWAY_AT_ONCE: usize = 64;

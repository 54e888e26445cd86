//! Closing links so that the other side can still read our last packet.
//!
//! To close a socket while bytes of the other side lie unread in it, or arrive later, makes
//! the system send a reset, which destroys what the other side has not yet read: the CONNACK
//! or DISCONNECT that tells it why. So the way out is shut first, and what still comes in is
//! read and thrown away, for a short time and within bounds.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use socket2::Socket;
use types::Time;

use crate::counters::Counters;
use crate::poller::{Event, Interest, Poller, Token};

/// The closing links of a worker, the oldest first.
///
/// All linger equally long, so the order of arrival is the order of their ends.
#[derive(Debug, Default)]
pub(crate) struct Linger {
    /// Those that are done early leave a gap, which goes when it is the oldest.
    ring: VecDeque<Option<Closing>>,
    /// The number of the oldest; numbers wrap at [`Token::INDEXES`].
    first: u32,
}

#[derive(Debug)]
struct Closing {
    socket: Socket,
    output: Vec<u8>,
    written: usize,
    discarded: usize,
    until: Time,
}

/// What became of a closing link.
enum Progress {
    /// It waits for the other side.
    Waiting,
    /// The other side has seen the end, or is gone.
    Done,
    /// It sent more than we are ready to throw away.
    TooMuch,
}

impl Linger {
    /// Takes a watched link over: writes what it can, and drops it when the other side has
    /// closed too, or after [`LINGER_TIME`].
    pub(crate) fn begin(
        &mut self,
        socket: Socket,
        output: Vec<u8>,
        now: Time,
        scratch: &mut [u8],
        (poller, counters): (&Poller, &Counters),
    ) {
        let until = now + LINGER_TIME;
        let mut closing = Closing {
            socket,
            output,
            written: 0,
            discarded: 0,
            until,
        };
        match closing.advance(scratch) {
            Progress::Waiting => {}
            Progress::Done => return poller.forget(&closing.socket),
            Progress::TooMuch => {
                counters.cut_short.add_one();
                return poller.forget(&closing.socket);
            }
        }
        if self.ring.len() >= MOST_LINGERING {
            self.drop_oldest(poller, counters);
        }
        let number = self.first.wrapping_add(self.ring.len() as u32) % Token::INDEXES;
        let watched = poller.modify(
            &closing.socket,
            Token::Lingering(number),
            closing.interest(),
        );
        if watched.is_err() {
            // Without events it could only wait for its time; the system is out of memory.
            counters.cut_short.add_one();
            return poller.forget(&closing.socket);
        }
        self.ring.push_back(Some(closing));
    }

    pub(crate) fn handle_event(
        &mut self,
        number: u32,
        event: Event,
        scratch: &mut [u8],
        (poller, counters): (&Poller, &Counters),
    ) {
        let place = number.wrapping_sub(self.first) % Token::INDEXES;
        // An event of this turn for a link that an earlier one of this turn pushed out.
        let Some(entry) = self.ring.get_mut(place as usize) else {
            return;
        };
        let Some(closing) = entry else { return };
        let before = closing.interest();
        let progress = match closing.advance(scratch) {
            // Both directions are shut: nothing will come, and nothing can go.
            Progress::Waiting if event.is_dead() => Progress::Done,
            progress => progress,
        };
        let watched = match progress {
            Progress::Waiting if closing.interest() == before => return,
            Progress::Waiting => {
                let token = Token::Lingering(number);
                poller
                    .modify(&closing.socket, token, closing.interest())
                    .is_ok()
            }
            Progress::Done => false,
            Progress::TooMuch => {
                counters.cut_short.add_one();
                false
            }
        };
        if !watched {
            poller.forget(&closing.socket);
            *entry = None;
            self.drop_gaps();
        }
    }

    /// When [`Linger::handle_timeout`] is due.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.ring.front()?.as_ref().map(|closing| closing.until)
    }

    /// Drops all whose time is over.
    pub(crate) fn handle_timeout(&mut self, now: Time, poller: &Poller, counters: &Counters) {
        while self.poll_timeout().is_some_and(|until| until <= now) {
            self.drop_oldest(poller, counters);
        }
    }

    /// Drops all at once, to have their descriptors back. Returns how many there were.
    pub(crate) fn clear(&mut self, poller: &Poller, counters: &Counters) -> usize {
        let mut dropped = 0;
        while !self.ring.is_empty() {
            self.drop_oldest(poller, counters);
            dropped += 1;
        }
        dropped
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    fn drop_oldest(&mut self, poller: &Poller, counters: &Counters) {
        if let Some(Some(closing)) = self.ring.front_mut().map(Option::take) {
            counters.cut_short.add_one();
            poller.forget(&closing.socket);
        }
        self.drop_gaps();
    }

    /// Afterwards the oldest place is no gap.
    fn drop_gaps(&mut self) {
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.first = self.first.wrapping_add(1) % Token::INDEXES;
        }
    }
}

impl Closing {
    fn advance(&mut self, scratch: &mut [u8]) -> Progress {
        match self.write() {
            Ok(()) => self.discard(scratch),
            Err(_) => Progress::Done,
        }
    }

    /// Writes what is left and shuts the way out after the last byte.
    fn write(&mut self) -> io::Result<()> {
        if self.is_shut() {
            return Ok(());
        }
        while self.written < self.output.len() {
            match self.socket.write(&self.output[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.socket.shutdown(Shutdown::Write)?;
        self.output = Vec::new();
        self.written = SHUT;
        Ok(())
    }

    fn discard(&mut self, scratch: &mut [u8]) -> Progress {
        loop {
            match self.socket.read(scratch) {
                // It will send no more. If it has yet to take our output, that goes on.
                Ok(0) if self.is_shut() => return Progress::Done,
                Ok(0) => return Progress::Waiting,
                Ok(count) => self.discarded += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(_) => return Progress::Done,
            }
            if self.discarded > MOST_DISCARDED {
                return Progress::TooMuch;
            }
        }
    }

    fn is_shut(&self) -> bool {
        self.written == SHUT
    }

    /// Reading while there is something to write would report an end of input for ever.
    fn interest(&self) -> Interest {
        if self.is_shut() {
            Interest::READ
        } else {
            Interest::WRITE
        }
    }
}

/// Stands in [`Closing::written`] for a way out that is shut; no output is that long.
const SHUT: usize = usize::MAX;

/// How long the other side has to read our last packet and close; some round trips of a slow
/// radio link.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Most closing links of a worker, with the gaps between them. More: the oldest is dropped.
const MOST_LINGERING: usize = 1024;

/// Most bytes thrown away for one closing link. More: it is dropped.
const MOST_DISCARDED: usize = 64 * 1024;

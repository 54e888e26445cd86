//! The way out of a link.

use std::io::{ErrorKind, IoSlice, Write};

use types::{ConnId, Core, LinkEnd};

use crate::poller::Interest;
use crate::worker::Worker;

/// What one write came to.
pub(crate) enum Wrote {
    /// There was nothing to write.
    Nothing,
    /// All that was offered.
    All,
    /// The socket takes no more for now.
    Part,
    /// The same, but the core has nothing that waits, and is not to be told: it would wait for
    /// room for what does not come.
    Busy,
    /// The link is broken.
    Failed,
}

impl<C: Core> Worker<C> {
    /// Writes what the core has for a connection, unless it has to wait: for room in the
    /// socket, or for the next turn.
    pub(crate) fn flush(&mut self, conn: ConnId) {
        let turn = self.shell.turn;
        let Some(link) = self.shell.links.of(conn) else {
            return;
        };
        // A transport may wait for room of which the core does not know yet.
        let may = !link.awaits_room() || link.transport.is_some();
        if may && link.spent(turn) < WRITTEN_PER_TURN {
            self.write_out(conn);
        }
    }

    /// Goes on with the connections that had written enough in the last turn.
    pub(crate) fn write_deferred(&mut self) {
        // What is deferred again is for the next turn.
        for _ in 0..self.shell.deferred.len() {
            let turn = self.shell.turn;
            let Some(conn) = self.shell.deferred.pop_front() else {
                return;
            };
            // An event may have been faster.
            let link = self.shell.links.of(conn);
            if link.is_some_and(|link| link.spent(turn) < WRITTEN_PER_TURN) {
                self.write_out(conn);
            }
        }
    }

    /// Writes until there is no more to write or no room, or enough for one turn.
    pub(crate) fn write_out(&mut self, conn: ConnId) {
        let turn = self.shell.turn;
        loop {
            match self.write_once(conn) {
                Wrote::All => {
                    let link = self.shell.links.of(conn);
                    if link.is_some_and(|link| link.spent(turn) >= WRITTEN_PER_TURN) {
                        return self.shell.deferred.push_back(conn);
                    }
                }
                Wrote::Nothing => return self.stop_awaiting_room(conn),
                Wrote::Part => {
                    self.core.handle_written(conn, 0, self.shell.now);
                    return self.await_room(conn);
                }
                Wrote::Busy => return self.await_room(conn),
                Wrote::Failed => return self.end(conn, LinkEnd::Error),
            }
        }
    }

    fn write_once(&mut self, conn: ConnId) -> Wrote {
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return Wrote::Nothing;
        };
        if link.transport.is_some() {
            return self.write_through(conn);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let filled = self.core.output(conn, &mut slices);
        let slices = &slices[..filled];
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        if offered == 0 {
            return Wrote::Nothing;
        }
        let written = loop {
            let mut socket = &link.socket;
            // One piece is the common case, and cheaper to send than a list of one.
            let wrote = match slices {
                [one] => socket.write(one),
                many => socket.write_vectored(many),
            };
            match wrote {
                Ok(written) => break written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Wrote::Part,
                Err(_) => return Wrote::Failed,
            }
        };
        if written == 0 {
            return Wrote::Failed;
        }
        link.spend(shell.turn, written);
        shell.core_was_told = true;
        self.core.handle_written(conn, written, shell.now);
        if written == offered {
            Wrote::All
        } else {
            Wrote::Part
        }
    }

    pub(crate) fn await_room(&mut self, conn: ConnId) {
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return;
        };
        let interest = link.interest().with(Interest::WRITE);
        if link
            .set_interest(&shell.poller, conn.slot, interest)
            .is_err()
        {
            self.end(conn, LinkEnd::Error);
        }
    }

    fn stop_awaiting_room(&mut self, conn: ConnId) {
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return;
        };
        let interest = link.interest().without(Interest::WRITE);
        if link
            .set_interest(&shell.poller, conn.slot, interest)
            .is_err()
        {
            self.end(conn, LinkEnd::Error);
        }
    }
}

/// Most slices gathered into one write.
pub(crate) const SLICES_PER_WRITE: usize = 64;

/// Most bytes written to one link in a turn; what is more comes in the next turns.
const WRITTEN_PER_TURN: u32 = 1024 * 1024;

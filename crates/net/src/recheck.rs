//! Clients whose certificates no longer hold (S75, S81).

use types::{ConnId, Core};

use crate::transport::Ending;
use crate::worker::Worker;

impl<C: Core> Worker<C> {
    /// Goes on looking for clients that must go, if that was asked for.
    pub(crate) fn recheck_some(&mut self) {
        let Some(mut slot) = self.shell.recheck else {
            return;
        };
        let (mut looked, mut verified) = (0, 0);
        while looked < LOOKED_AT_PER_TURN && verified < VERIFIED_PER_TURN {
            if slot >= self.shell.links.slots() {
                self.shell.recheck = None;
                return;
            }
            if let Some(conn) = self.shell.links.tenant(slot)
                && self.recheck(conn)
            {
                verified += 1;
            }
            slot += 1;
            looked += 1;
        }
        self.shell.recheck = Some(slot);
    }

    /// A link came from another worker. What its transport has to send goes on, and while it was on
    /// its way its client's certificate may have been withdrawn.
    pub(crate) fn welcome_transport(&mut self, conn: ConnId) {
        let link = self.shell.links.of(conn);
        if link.is_none_or(|link| link.transport.is_none()) {
            return;
        }
        self.recheck(conn);
        self.send_own(conn);
    }

    /// Cuts a client that must go. Returns whether there was something to verify.
    fn recheck(&mut self, conn: ConnId) -> bool {
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return false;
        };
        let door = shell.doors.of(link.listener());
        let (Some(transport), Some(door)) = (&mut link.transport, door) else {
            return false;
        };
        if !transport.is_outdated(door) {
            return false;
        }
        if transport.is_withdrawn(door) {
            self.end_by_transport(conn, Ending::Withdrawn);
        }
        true
    }
}

/// Most links looked at in a turn, and most certificates verified.
const LOOKED_AT_PER_TURN: u32 = 4096;
const VERIFIED_PER_TURN: u32 = 16;

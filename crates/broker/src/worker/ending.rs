//! Sessions that have ended, and whose end is not safe.
//!
//! A client that hears that it has no session begins anew, and forgets what it had. Were the end
//! of the old session lost, a crash would give that one back: with its subscriptions, and with
//! identifiers that the client has used for something else since. So CONNACK, and all that
//! follows it, stays in the connection's output until the end is safe (MQTT-3.1.2-4).

use std::collections::VecDeque;

use hashbrown::HashMap;
use types::{ClientId, ConnId, Ticket};

use super::Worker;

/// Ends that are not safe.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// Those in the batch of this turn.
    in_batch: Vec<ClientId>,
    /// Those that are handed over, in order.
    handed_over: VecDeque<(Ticket, ClientId)>,
    /// How many there are of each client.
    clients: HashMap<ClientId, u32, foldhash::fast::FixedState>,
}

impl Worker {
    /// The end of a session is in the batch of this turn.
    pub(super) fn note_end(&mut self, client: &ClientId) {
        let count = self.endings.clients.entry(client.clone()).or_default();
        *count = count.saturating_add(1);
        self.endings.in_batch.push(client.clone());
    }

    /// The batch has this ticket.
    pub(super) fn hand_over_ends(&mut self, ticket: Ticket) {
        let Endings {
            in_batch,
            handed_over,
            ..
        } = &mut self.endings;
        handed_over.extend(in_batch.drain(..).map(|client| (ticket, client)));
    }

    /// All batches up to this ticket are safe.
    pub(super) fn forget_ends(&mut self, safe: Ticket) {
        let Endings {
            handed_over,
            clients,
            ..
        } = &mut self.endings;
        while let Some((_, client)) = handed_over.pop_front_if(|(at, _)| *at <= safe) {
            let count = clients.get_mut(&client);
            if let Some(count) = count.filter(|count| **count > 1) {
                *count = count.saturating_sub(1);
            } else {
                clients.remove(&client);
            }
        }
    }

    /// Holds the output of a connection back, CONNACK and all, if its client has just lost a
    /// session and the store may not know.
    pub(super) fn cork_if_unsafe(&mut self, id: ConnId, client: &ClientId) {
        if !self.endings.clients.contains_key(client) {
            return;
        }
        if let Some(conn) = self.conns.at_mut(id) {
            conn.corked = true;
            // The batch of this turn is safe only with all that came before it.
            self.uncork_when_safe(id);
        }
    }

    pub(super) fn uncork(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.at_mut(id) {
            conn.corked = false;
            self.touch(id);
        }
    }
}

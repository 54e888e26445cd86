//! What sessions that outlive their connections leave in the store, and when it has no room for
//! it: what they are owed is bounded where it is published, what they are is bounded here.

use codec::Connect;
use protocol::negotiate;
use types::{ClientId, ConnId, SessionKey};

use super::Worker;
use crate::conn::Conn;

impl Worker {
    /// Whether SUBSCRIBE and UNSUBSCRIBE of a connection have to wait for the store to catch up.
    pub(super) fn subscribes_too_fast(&self, id: ConnId) -> bool {
        let stored = || {
            let open = self.conns.at(id).and_then(Conn::open);
            open.is_some_and(|open| self.stored(open.session).is_some())
        };
        self.is_behind() && stored()
    }

    /// Whether a CONNECT has to wait for the store to catch up. Who would begin a session that
    /// the store has no room for is refused, and need not wait for that.
    pub(super) fn connects_too_fast(&self, connect: &Connect<'_>) -> bool {
        let begins = || !self.takes_nothing_lasting() && self.would_last(connect);
        self.is_behind() && (self.is_known(connect.client_id) || begins())
    }

    /// Whether nothing more may last: no session, and no subscription of one.
    pub(super) fn takes_nothing_lasting(&self) -> bool {
        self.durable && self.store.room().is_full()
    }

    /// Whether what a session subscribes to is to last.
    pub(super) fn lasts(&self, key: SessionKey) -> bool {
        self.durable && self.clients.at(key).is_some_and(|client| client.keeps())
    }

    fn is_behind(&self) -> bool {
        self.durable && self.store.room().is_behind()
    }

    fn would_last(&self, connect: &Connect<'_>) -> bool {
        negotiate(connect, self.limits_of(connect.client_id))
            .is_ok_and(|agreed| !agreed.session_expiry.is_zero())
    }

    /// Whether there is a session that the store knows.
    fn is_known(&self, client_id: &str) -> bool {
        let key = ClientId::new(client_id).and_then(|id| self.by_id.get(&id));
        key.is_some_and(|&key| self.stored(key).is_some())
    }
}

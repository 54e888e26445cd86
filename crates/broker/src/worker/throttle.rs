//! Listeners and rates: who is let in at all, and when a link is read from.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use types::{Action, Arrival, ConnId, LinkInfo, Peer, Time};

use super::Worker;
use crate::conn::{Conn, Pause};
use crate::event::{CloseReason, Event};
use crate::listeners::{Knows, Listener};
use crate::metrics::Counter;
use crate::rates::{Pair, Rates};
use crate::timers::Timer;

impl Worker {
    pub(super) fn open_link(&mut self, info: LinkInfo, now: Time) -> Option<ConnId> {
        // A link that moves home is counted already, and has its place.
        let reads_from = match info.arrival {
            Arrival::Moved => now,
            Arrival::Accepted => match self.take_place(&info, now) {
                Ok(time) => time,
                Err(reason) => {
                    self.refuse_link(info.peer, reason);
                    return None;
                }
            },
        };
        let accepted = info.arrival == Arrival::Accepted;
        let deadline = info.accepted + self.limits.connect_deadline;
        let listener = self.shared.listener(info.listener);
        let mut conn = Conn::new(info, now);
        conn.rates = Rates::new(None, &self.limits, listener.clone(), None);
        let Some(id) = self.conns.insert(conn) else {
            self.give_place_back(listener.as_deref());
            return None;
        };
        if accepted {
            self.count(Counter::LinksOpened, 1);
        }
        self.timers.set(deadline, Timer::ConnectDeadline(id));
        if reads_from > now {
            self.rest(id, reads_from);
        }
        Some(id)
    }

    /// A new link gets its place among the connections of server and listener, and the time from
    /// which on it is read from.
    fn take_place(&mut self, info: &LinkInfo, now: Time) -> Result<Time, CloseReason> {
        if self.draining {
            return Err(CloseReason::ShuttingDown);
        }
        let listener = self.shared.listener(info.listener);
        let listener = listener.as_deref();
        if let Some(listener) = listener
            && listener.rules.knows == Knows::AtAccept
            && !listener.lets_in(info.peer)
        {
            return Err(CloseReason::AddressDenied);
        }
        let open = self.shared.connections.fetch_add(1, Ordering::Relaxed);
        if open >= self.limits.connections {
            self.shared.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(CloseReason::ConnectionLimit);
        }
        if let Some(listener) = listener
            && let Err(reason) = listener.enter()
        {
            self.shared.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(reason);
        }
        let shared = Arc::clone(&self.shared);
        let of_listener = listener.and_then(|listener| listener.connection_rate.as_ref());
        let buckets = || shared.connection_rate.iter().chain(of_listener);
        let turn = buckets().filter_map(|bucket| bucket.until(now)).max();
        let turn = turn.unwrap_or(now);
        // It would be closed before its turn.
        if turn >= info.accepted + self.limits.connect_deadline {
            self.give_place_back(listener);
            return Err(CloseReason::ConnectionRate);
        }
        for bucket in buckets() {
            bucket.charge(1, now);
        }
        Ok(turn)
    }

    fn give_place_back(&self, listener: Option<&Listener>) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(listener) = listener {
            listener.leave();
        }
    }

    /// A link that is not let in hears nothing and the log not of each.
    fn refuse_link(&mut self, peer: Peer, reason: CloseReason) {
        if reason == CloseReason::ShuttingDown {
            return;
        }
        self.count(Counter::LinksRefused, 1);
        if self.told.has_room(self.last_turn) {
            self.event(Event::Rejected {
                peer,
                client: None,
                user: None,
                reason,
                why: "",
            });
        }
    }

    /// More is known of a link. If it may not be here, it ends without a byte.
    pub(super) fn learn(&mut self, id: ConnId, info: LinkInfo) {
        let listener = self.shared.listener(info.listener);
        let lets_in = listener.is_none_or(|listener| listener.lets_in(info.peer));
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let peer = info.peer;
        conn.info = info;
        if !lets_in && self.forget(id).is_some() {
            let output = Vec::new();
            self.actions.push_back(Action::Close { conn: id, output });
            self.refuse_link(peer, CloseReason::AddressDenied);
        }
    }

    /// Whether a connection sent more than its rates allow; then it is not read from until they do.
    #[inline]
    pub(super) fn rests(&mut self, id: ConnId, now: Time) -> bool {
        let rates = self.conns.at(id).and_then(|conn| conn.rates.as_ref());
        let Some(until) = rates.and_then(|rates| rates.until(now)) else {
            return false;
        };
        self.rest(id, until);
        true
    }

    fn rest(&mut self, id: ConnId, until: Time) {
        self.pause(id, Pause::Rate);
        self.timers.set(until, Timer::Rate(id));
    }

    /// The time has come to read on, unless others of the user or the listener were faster: then
    /// it rests again.
    pub(super) fn end_rest(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.at_mut(id)
            && conn.pause == Some(Pause::Rate)
        {
            conn.pause = Some(Pause::Room);
            self.waiting_for_room.push(id);
        }
    }

    /// From now on each connection is held to the rates that are configured now.
    pub(super) fn take_rates(&mut self) {
        let open = |(id, conn): (ConnId, &Conn)| (id, conn.open().map(|open| open.session));
        let all: Vec<_> = self.conns.iter().map(open).collect();
        for (id, session) in all {
            let client = session.and_then(|key| self.clients.at(key));
            let user = client.and_then(|client| client.identity.user());
            let user = user.and_then(|user| self.shared.users.rates(user, &self.limits));
            self.hold_to_rates(id, user);
        }
    }

    /// The client of a connection is known: what its user may send holds too.
    pub(super) fn take_user_rates(&mut self, id: ConnId, user: Option<&str>) {
        let user = user.and_then(|user| self.shared.users.rates(user, &self.limits));
        if user.is_some() {
            self.hold_to_rates(id, user);
        }
    }

    fn hold_to_rates(&mut self, id: ConnId, user: Option<Arc<Pair>>) {
        if let Some(conn) = self.conns.at_mut(id) {
            let listener = self.shared.listener(conn.info.listener);
            conn.rates = Rates::new(conn.rates.take(), &self.limits, listener, user);
        }
        // What it rested for may not hold any more.
        self.end_rest(id);
    }
}

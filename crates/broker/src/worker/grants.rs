//! What a client is granted: for how long, and what becomes of another answer.

use std::sync::Arc;

use auth::Grant;
use types::{ConnId, SessionKey, Time};

use super::Worker;
use crate::client::Asks;
use crate::conn::{Conn, Term};
use crate::event::CloseReason;
use crate::timers::Timer;

/// Where a grant comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The client has proved who it is.
    Authenticated,
    /// Somebody was asked again: that makes nothing last longer (S67).
    Refreshed,
}

impl Worker {
    /// What a client is granted from now on, and for how long.
    pub(super) fn take_grant(
        &mut self,
        key: SessionKey,
        grant: Option<Arc<Grant>>,
        occasion: Occasion,
        now: Time,
    ) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let changed = client.grant.as_deref() != grant.as_deref();
        let ends = grant.as_ref().and_then(|grant| grant.valid_for);
        let ends = ends.map_or(Time::MAX, |span| now + span);
        client.grant_ends = client.grant_ends.min(ends);
        client.grant = grant;
        client.question = client.question.wrapping_add(1);
        let conn = client.conn;
        if let Some(conn) = conn {
            self.start_grant(conn, key, occasion, now);
        }
        if changed {
            self.forget_decisions(key);
            self.review_soon(key);
        }
    }

    /// What a client that is away was granted does not hold any more, or nobody knows whether it
    /// does. It is as after a restart: what waits is asked about when the client is back.
    pub(super) fn withdraw_grant(&mut self, key: SessionKey) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        client.question = client.question.wrapping_add(1);
        if client.grant.take().is_some() {
            client.asks = Asks::Returning;
            self.forget_decisions(key);
        }
    }

    /// The same if its time is over (S67).
    pub(super) fn withdraw_old_grant(&mut self, key: SessionKey, now: Time) {
        let client = self.clients.at(key).filter(|client| client.conn.is_none());
        if client.is_some_and(|client| client.grant_ends <= now) {
            self.withdraw_grant(key);
        }
    }

    /// A client is not to be here any more: neither its connection, nor its will, nor what it was
    /// granted (S46, S48).
    pub(super) fn end_unwelcome(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        if let Some(conn) = client.conn {
            return self.close(conn, CloseReason::Unwelcome, now);
        }
        if client.will.take().is_some() {
            self.record_away(key);
        }
        self.withdraw_grant(key);
    }

    /// Notes how long the grant of a client holds, and when it is asked for again.
    pub(super) fn start_grant(
        &mut self,
        id: ConnId,
        key: SessionKey,
        occasion: Occasion,
        now: Time,
    ) {
        let grant = self.clients.at(key).and_then(|client| client.grant.clone());
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return;
        };
        let before = open.term.as_ref().map(|term| (term.ends, term.wakes));
        let (ended, wakes) = before.unwrap_or_default();
        let ends = grant
            .as_ref()
            .and_then(|grant| grant.valid_for)
            .map(|span| now + span);
        let ends = match occasion {
            Occasion::Authenticated => ends,
            Occasion::Refreshed => ends.into_iter().chain(ended).min(),
        };
        let refreshes = grant
            .and_then(|grant| grant.refresh_after)
            .map(|span| now + span);
        let term = Term {
            ends,
            refreshes,
            wakes,
        };
        // A timer that was set looks here when it comes up.
        let needed = ends.is_some() || refreshes.is_some() || wakes.is_some();
        open.term = needed.then(|| Box::new(term));
        self.wake_grant(id, now);
    }

    /// Sets the timer of a grant, unless one comes up in time.
    fn wake_grant(&mut self, id: ConnId, now: Time) {
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return;
        };
        let Some(term) = &mut open.term else { return };
        let Some(next) = term.ends.into_iter().chain(term.refreshes).min() else {
            return;
        };
        let at = next.min(now + super::FARTHEST_TIMER);
        if term.wakes.is_none_or(|wakes| at < wakes) {
            term.wakes = Some(at);
            self.timers.set(at, Timer::Grant(id));
        }
    }

    /// Ends a connection whose grant is over (S67), and asks again for one that is old.
    pub(super) fn check_grant(&mut self, id: ConnId, now: Time) {
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return;
        };
        let key = open.session;
        let Some(term) = &mut open.term else { return };
        // Otherwise an earlier timer has taken this one's place.
        if term.wakes.take_if(|wakes| *wakes <= now).is_none() {
            return;
        }
        if term.ends.is_some_and(|ends| ends <= now) {
            return self.close(id, CloseReason::GrantOver, now);
        }
        let old = term.refreshes.take_if(|at| *at <= now).is_some();
        self.wake_grant(id, now);
        if old {
            self.refresh(key, now);
        }
    }
}

//! Connections, sessions, wills.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use broker::CloseReason;
use protocol::Violation;
use types::{QoS, ReasonCode};

use super::{Link, Reference, Session};
use crate::client::Asked;
use crate::failure::{Failure, ensure};
use crate::messages::Messages;
use crate::universe::LinkId;

impl Reference {
    /// A client opened a link and will send this CONNECT.
    pub fn opened(&mut self, link: LinkId, client: usize, asked: Asked) {
        let record = Link {
            client,
            asked,
            session: None,
            worker: 0,
            open: false,
            abandoned: false,
            taken_over: false,
            lagging: false,
            last_heard: self.now,
            goodbye: None,
            topic_aliases: BTreeMap::new(),
        };
        self.links.insert(link, record);
    }

    /// A client gives a link up, or closes it: what arrives on it from now on is lost.
    pub fn abandoned(&mut self, link: LinkId) {
        if let Some(record) = self.links.get_mut(&link) {
            record.abandoned = true;
            if let Some(session) = record.session {
                self.lose_connection(session);
            }
        }
    }

    /// The link does not take what the server sends as it comes, or does so again.
    pub fn set_lagging(&mut self, link: LinkId, lagging: bool) {
        if let Some(record) = self.links.get_mut(&link) {
            record.lagging = lagging;
        }
    }

    /// What only a connection that lasts can get is not owed any more.
    fn lose_connection(&mut self, session: usize) {
        self.sessions[session]
            .owed
            .retain(|due| due.qos != QoS::AtMostOnce && !due.replay);
    }

    /// The server let a client in.
    pub fn connected(
        &mut self,
        link: LinkId,
        worker: usize,
        session_present: bool,
        messages: &Messages,
    ) -> Result<(), Failure> {
        let Some(record) = self.links.get_mut(&link) else {
            return Err(Failure(format!("{link:?} is let in and nobody opened it")));
        };
        record.open = true;
        record.worker = worker;
        record.last_heard = self.now;
        let (client, asked) = (record.client, record.asked.clone());
        // What is due is done first.
        if let Some(session) = self.session_of(client) {
            self.do_what_is_due(session, messages);
        }
        let known = self.session_of(client);
        let expected = known.is_some() && !asked.clean;
        ensure!(
            session_present == expected,
            "client{client}: session present is {session_present}, not {expected} \
             (MQTT-3.2.2-2, -3)"
        );
        if let Some(old) = known.filter(|_| asked.clean) {
            self.end_session(old, messages);
        }
        let session = match self.session_of(client) {
            Some(session) => session,
            None => self.new_session(client, worker),
        };
        let record = &mut self.sessions[session];
        ensure!(
            record.conn.is_none(),
            "client{client} has two connections (MQTT-3.1.4-3)"
        );
        record.conn = Some(link);
        record.expiry = asked.expiry;
        record.ends = None;
        record.will = None;
        if let Some(link) = self.links.get_mut(&link) {
            link.session = Some(session);
        }
        Ok(())
    }

    fn new_session(&mut self, client: usize, worker: usize) -> usize {
        let session = self.sessions.len();
        self.sessions.push(Session {
            client,
            conn: None,
            worker,
            expiry: Duration::ZERO,
            ends: None,
            ended: false,
            will: None,
            subscriptions: Vec::new(),
            unreleased: BTreeSet::new(),
            got: BTreeMap::new(),
            owed: Vec::new(),
            last: BTreeMap::new(),
            asked: BTreeMap::new(),
            unasked: BTreeMap::new(),
            was_away: false,
        });
        self.current[client] = Some(session);
        session
    }

    /// The server says that a connection was taken over.
    pub fn taken_over(&mut self, link: LinkId) {
        if let Some(record) = self.links.get_mut(&link) {
            record.taken_over = true;
        }
    }

    /// DISCONNECT reached the server.
    pub(super) fn goodbye(&mut self, link: LinkId, reason: ReasonCode, expiry: Option<u32>) {
        let most = self.plan.limits.session_expiry;
        if let Some(record) = self.links.get_mut(&link) {
            let expiry = expiry.map(|seconds| Duration::from_secs(u64::from(seconds)).min(most));
            record.goodbye = Some((reason, expiry));
        }
    }

    /// The server ended a connection.
    pub fn disconnected(
        &mut self,
        link: LinkId,
        reason: CloseReason,
        messages: &Messages,
    ) -> Result<(), Failure> {
        self.check_reason(link, reason)?;
        let Some(record) = self.links.get_mut(&link) else {
            return Ok(());
        };
        record.open = false;
        let (will, goodbye) = (record.asked.will, record.goodbye);
        let Some(session) = record.session else {
            return Err(Failure(format!("{link:?} ended before it was let in")));
        };
        self.lose_connection(session);
        let now = self.now;
        let record = &mut self.sessions[session];
        record.conn = None;
        record.was_away = true;
        if let (CloseReason::Client(_), Some((_, Some(expiry)))) = (reason, goodbye) {
            record.expiry = expiry;
        }
        let expiry = record.expiry;
        let ends = now + expiry;
        record.ends = Some(ends);
        // The rest of a question is answered to nobody.
        record.asked.clear();
        record.unasked.clear();
        // MQTT-3.14.4-3: only the normal end takes the will along.
        let will = will.filter(|_| reason != CloseReason::Client(ReasonCode::Success));
        if let Some((message, delay)) = will {
            if delay.is_zero() || expiry.is_zero() {
                self.publish_will(session, message, messages);
            } else {
                self.sessions[session].will = Some(((now + delay).min(ends), message));
            }
        }
        if expiry.is_zero() {
            self.end_session(session, messages);
        }
        Ok(())
    }

    /// Whether the server had this reason to end the connection.
    fn check_reason(&self, link: LinkId, reason: CloseReason) -> Result<(), Failure> {
        let Some(record) = self.links.get(&link) else {
            return Err(Failure(format!("{link:?} ended and nobody opened it")));
        };
        let keep_alive = u64::from(record.asked.keep_alive) * 1500;
        let silent = self.now.since(record.last_heard);
        let fine = match reason {
            CloseReason::Client(reason) => record.goodbye.is_some_and(|(known, _)| known == reason),
            CloseReason::Eof => record.abandoned,
            CloseReason::TakenOver => record.taken_over,
            CloseReason::Violation(Violation::KeepAliveTimeout) => {
                keep_alive > 0 && silent >= Duration::from_millis(keep_alive)
            }
            CloseReason::WriteStall => record.lagging,
            CloseReason::Violation(_)
            | CloseReason::LinkError
            | CloseReason::Refused(_)
            | CloseReason::NotMqtt
            | CloseReason::ConnectDeadline
            | CloseReason::UnauthenticatedBytes
            | CloseReason::ConnectionLimit
            | CloseReason::AddressDenied
            | CloseReason::ConnectionRate
            | CloseReason::Banned
            | CloseReason::Revoked
            | CloseReason::GrantOver
            | CloseReason::Unwelcome
            | CloseReason::Ended
            | CloseReason::ShuttingDown
            | CloseReason::Panic => false,
        };
        ensure!(
            fine,
            "client{} did nothing to be closed with {reason:?}",
            record.client
        );
        Ok(())
    }

    /// The server says that a session's time was up.
    pub fn expired(&mut self, client: usize, messages: &Messages) -> Result<(), Failure> {
        let Some(session) = self.session_of(client) else {
            return Err(Failure(format!("client{client} has no session to expire")));
        };
        let record = &self.sessions[session];
        ensure!(
            record.conn.is_none() && record.ends.is_some_and(|ends| ends <= self.now),
            "client{client}: the session expires too early (MQTT-4.1.0-1)"
        );
        self.end_session(session, messages);
        Ok(())
    }

    /// A worker looked at its timers: wills are out and sessions over whose time has come.
    pub fn timers_ran(&mut self, worker: usize, messages: &Messages) {
        for session in 0..self.sessions.len() {
            if self.sessions[session].worker == worker {
                self.do_what_is_due(session, messages);
            }
        }
    }

    /// A session's will, and its end, if their time has come.
    fn do_what_is_due(&mut self, session: usize, messages: &Messages) {
        let record = &mut self.sessions[session];
        if record.ended || record.conn.is_some() {
            return;
        }
        let now = self.now;
        let will = record.will.take_if(|(due, _)| *due <= now);
        let over = record.ends.is_some_and(|ends| ends <= now);
        if let Some((_, message)) = will {
            self.publish_will(session, message, messages);
        }
        if over {
            self.end_session(session, messages);
        }
    }

    /// A session is over, with its will if that still waited.
    fn end_session(&mut self, session: usize, messages: &Messages) {
        if let Some((_, message)) = self.sessions[session].will.take() {
            self.publish_will(session, message, messages);
        }
        let record = &mut self.sessions[session];
        record.ended = true;
        record.owed.clear();
        self.current[record.client] = None;
    }

    /// How many clients are connected, sessions alive, and subscriptions: own and shared.
    pub(super) fn counts(&self) -> (usize, usize, usize, usize) {
        let alive = || self.current.iter().flatten().map(|&at| &self.sessions[at]);
        let connected = alive().filter(|session| session.conn.is_some()).count();
        let own = alive().map(|session| session.count(false)).sum();
        let shared = alive().map(|session| session.count(true)).sum();
        (connected, alive().count(), own, shared)
    }
}

impl Session {
    fn count(&self, shared: bool) -> usize {
        self.subscriptions
            .iter()
            .filter(|one| one.until.is_none() && one.filter.share.is_some() == shared)
            .count()
    }
}

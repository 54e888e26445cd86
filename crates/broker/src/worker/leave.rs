//! The end of a connection, of a session, and the will.

use std::sync::atomic::Ordering;
use std::time::Duration;

use codec::{Disconnect, Packet};
use protocol::Connection;
use protocol::connection::disconnect_discards_will;
use protocol::connection::negotiate::cap_session_expiry;
use topics::IndexChange;
use types::{
    Action, ConnId, LinkInfo, MessageParts, ProtocolVersion, ReasonCode, SessionKey, SessionRef,
    Time, TopicName,
};

use super::Worker;
use super::receive::Flow;
use super::watch::{About, Lost};
use crate::conn::{Claims, Conn, Open, Phase, Will};
use crate::event::{CloseReason, DropReason, Event};
use crate::metrics::{Counter, Gauge};
use crate::timers::Timer;

/// More than this is not sent to a client that is being closed.
const LAST_BYTES: usize = 256 * 1024;

impl Worker {
    /// DISCONNECT from the client (3.14).
    pub(super) fn on_disconnect(
        &mut self,
        id: ConnId,
        disconnect: &Disconnect<'_>,
        now: Time,
    ) -> Flow {
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return Flow::Gone;
        };
        let Some(client) = self.clients.at_mut(open.session) else {
            return Flow::Gone;
        };
        let asked = disconnect.session_expiry;
        if let Err(violation) = Connection::check_disconnect_expiry(client.expiry, asked) {
            return self.violate(id, violation, now);
        }
        if disconnect_discards_will(disconnect.reason) {
            open.will = None;
        }
        if let Some(seconds) = asked {
            client.expiry = cap_session_expiry(seconds, &self.limits).0;
            let (session, will) = (open.session, open.will.clone());
            self.record_session(session, will.as_deref());
        }
        self.close(id, CloseReason::Client(disconnect.reason), now);
        Flow::Gone
    }

    /// Ends a connection from this side: says why if there is a packet for it, then closes.
    pub(super) fn close(&mut self, id: ConnId, reason: CloseReason, now: Time) {
        self.close_saying(id, reason, "", now);
    }

    /// The same with other words than the reason's own, unless there are none.
    pub(super) fn close_saying(&mut self, id: ConnId, reason: CloseReason, why: &str, now: Time) {
        let Some(conn) = self.conns.at(id) else {
            return;
        };
        let Some(open) = conn.open() else {
            return self.reject(id, reason, "", now);
        };
        let (version, room) = (open.link.version(), open.link.packet_size());
        self.write_farewell(id, version, room, reason, why);
        let Some(mut conn) = self.forget(id) else {
            return;
        };
        let too_much = conn.output.len() > LAST_BYTES;
        let output = if too_much || conn.corked || reason == CloseReason::WriteStall {
            conn.output.clear(&mut self.pool);
            Vec::new()
        } else {
            conn.output.flatten(&mut self.pool)
        };
        self.actions.push_back(Action::Close { conn: id, output });
        self.go_beyond(|worker| worker.depart(conn, reason, now));
    }

    /// DISCONNECT with the reason; only 5.0 has it from a server, and a packet that is too
    /// large for the client is shortened or left out.
    fn write_farewell(
        &mut self,
        id: ConnId,
        version: ProtocolVersion,
        room: usize,
        reason: CloseReason,
        words: &str,
    ) {
        let reference = self.reference.clone();
        let (code, why) = match reason {
            CloseReason::Violation(violation) => (violation.reason(), Some(violation.explain())),
            CloseReason::TakenOver => (
                ReasonCode::SessionTakenOver,
                Some("the client connected again"),
            ),
            CloseReason::ShuttingDown if reference.is_some() => {
                (ReasonCode::UseAnotherServer, None)
            }
            CloseReason::ShuttingDown => (ReasonCode::ServerShuttingDown, None),
            CloseReason::Panic => (ReasonCode::ImplementationSpecificError, None),
            CloseReason::Banned => (ReasonCode::NotAuthorized, Some(reason.as_str())),
            CloseReason::Revoked | CloseReason::GrantOver | CloseReason::Unwelcome => {
                (ReasonCode::NotAuthorized, Some(reason.as_str()))
            }
            CloseReason::Ended => (ReasonCode::AdministrativeAction, None),
            CloseReason::Client(_)
            | CloseReason::Eof
            | CloseReason::LinkError
            | CloseReason::Refused(_)
            | CloseReason::NotMqtt
            | CloseReason::ConnectDeadline
            | CloseReason::UnauthenticatedBytes
            | CloseReason::ConnectionLimit
            | CloseReason::AddressDenied
            | CloseReason::ConnectionRate
            | CloseReason::WriteStall => return,
        };
        if !version.has_properties() {
            return;
        }
        let mut disconnect = Disconnect {
            reason: code,
            session_expiry: None,
            reason_string: why.map(|why| if words.is_empty() { why } else { words }),
            user: Default::default(),
            server_reference: reference.as_deref(),
        };
        if codec::encoded_len(&Packet::Disconnect(disconnect), version) > room {
            disconnect.reason_string = None;
            disconnect.server_reference = None;
        }
        let packet = Packet::Disconnect(disconnect);
        if codec::encoded_len(&packet, version) <= room {
            self.write(id, version, &packet);
        }
    }

    /// Ends a link that never became a client's.
    pub(super) fn reject(&mut self, id: ConnId, reason: CloseReason, why: &'static str, _: Time) {
        let Some(mut conn) = self.forget(id) else {
            return;
        };
        let output = conn.output.flatten(&mut self.pool);
        self.actions.push_back(Action::Close { conn: id, output });
        self.tell_rejected(&conn, reason, why);
    }

    /// The link is gone without this side's doing.
    pub(super) fn link_gone(&mut self, id: ConnId, reason: CloseReason, now: Time) {
        let Some(mut conn) = self.forget(id) else {
            return;
        };
        conn.output.clear(&mut self.pool);
        match conn.phase {
            Phase::Open(_) => self.depart(conn, reason, now),
            Phase::Greeting | Phase::Authenticating(_) | Phase::Refused(_) => {
                self.tell_rejected(&conn, reason, "");
            }
        }
    }

    fn tell_rejected(&self, conn: &Conn, reason: CloseReason, why: &'static str) {
        let Claims { client, user } = conn.claims();
        let user = user.filter(|_| !self.hides_names(conn));
        self.event(Event::Rejected {
            peer: conn.info.peer,
            client,
            user,
            reason,
            why,
        });
    }

    /// Another connection takes the session over (MQTT-3.1.4-3). With Clean Start the session
    /// ends, and its will with it (3.1.4).
    pub(super) fn leave_for_takeover(&mut self, old: ConnId, clean_start: bool, now: Time) {
        let key = self
            .conns
            .at(old)
            .and_then(Conn::open)
            .map(|open| open.session);
        self.close(old, CloseReason::TakenOver, now);
        if let Some(key) = key.filter(|_| clean_start) {
            self.end_session(key, false, now);
        }
    }

    /// A client's connection is over: its will, and what becomes of its session.
    fn depart(&mut self, conn: Conn, reason: CloseReason, now: Time) {
        let info = conn.info;
        let peer = info.peer;
        let Phase::Open(Open {
            session: key,
            will,
            term,
            ..
        }) = conn.phase
        else {
            return;
        };
        // A ban keeps everything out that comes from the client, its will too (S55). So does the
        // end of a user: the policy may hear of that later than this (S48).
        let unwelcome = reason == CloseReason::Unwelcome;
        let will = will.filter(|_| reason != CloseReason::Banned && !unwelcome);
        let metrics = self.metrics();
        metrics.set(
            Gauge::Connected,
            metrics.gauge(Gauge::Connected).saturating_sub(1),
        );
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        client.conn = None;
        client.grant_ends = term.and_then(|term| term.ends).unwrap_or(Time::MAX);
        client.session.compact();
        if let Some(member) = &client.member {
            member.set_online(false);
        }
        let (id, expiry) = (client.id.clone(), client.expiry);
        let ends = now + expiry;
        client.ends = Some(ends);
        client.left = Some(now);
        self.forget_decisions(key);
        if unwelcome {
            self.withdraw_grant(key);
        }
        self.event(Event::Disconnected {
            client: id.clone(),
            peer,
            reason,
        });
        self.publish_disconnected(&id, reason, now);
        match will {
            Some(will) if will.delay.is_zero() || expiry.is_zero() => {
                self.publish_will(key, &will, Some(&info), now);
            }
            Some(mut will) => {
                will.left_from = info.peer.ip();
                // At its delay or at the session's end, whichever is first (MQTT-3.1.3-9).
                let due = (now + will.delay).min(ends);
                if let Some(client) = self.clients.at_mut(key) {
                    client.will = Some((due, will));
                }
                self.wake_session(key, due, now);
            }
            None => {}
        }
        if expiry.is_zero() {
            self.end_session(key, false, now);
            return;
        }
        self.record_away(key);
        self.hand_on(key, false, now);
        if expiry < Duration::MAX {
            self.wake_session(key, ends, now);
        }
    }

    /// Looks at a session at this time, or earlier.
    pub(super) fn wake_session(&mut self, key: SessionKey, at: Time, now: Time) {
        let at = at.min(now + super::FARTHEST_TIMER);
        if let Some(client) = self.clients.at_mut(key)
            && client.wakes.is_none_or(|wakes| at < wakes)
        {
            client.wakes = Some(at);
            self.timers.set(at, Timer::Session(key));
        }
    }

    /// Does what is due for a session that is away.
    pub(super) fn check_session(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        // Otherwise an earlier look has taken this one's place.
        if client.wakes.take_if(|wakes| *wakes <= now).is_none() {
            return;
        }
        self.check_will(key, now);
        self.check_session_expiry(key, now);
        let Some(client) = self.clients.at(key).filter(|client| client.conn.is_none()) else {
            return;
        };
        let ends = client.ends.filter(|_| client.expiry < Duration::MAX);
        let will = client.will.as_ref().map(|(due, _)| *due);
        if let Some(next) = ends.into_iter().chain(will).min() {
            self.wake_session(key, next, now);
        }
    }

    pub(super) fn check_session_expiry(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        if client.conn.is_none() && client.ends.is_some_and(|ends| ends <= now) {
            self.end_session(key, true, now);
        }
    }

    pub(super) fn check_will(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        if let Some((_, will)) = client.will.take_if(|(due, _)| *due <= now) {
            self.publish_will(key, &will, None, now);
            self.record_away(key);
        }
    }

    /// Publishes a will; whether its owner may is asked again (S46).
    fn publish_will(&mut self, key: SessionKey, will: &Will, link: Option<&LinkInfo>, now: Time) {
        let Ok(topic) = TopicName::parse(&will.topic, u16::MAX) else {
            return;
        };
        self.withdraw_old_grant(key, now);
        if !self.may_leave_will(key, will, link) {
            let size = will.payload.len();
            let reason = DropReason::NotAuthorized;
            return self.lost(reason, Some(key), Some(&will.topic), Some(will.qos), size);
        }
        let expiry = will
            .message_expiry
            .map(|seconds| Duration::from_secs(u64::from(seconds)));
        let parts = MessageParts {
            properties: &will.properties,
            payload: &will.payload,
            qos: will.qos,
            retain: will.retain,
            publisher: Some(SessionRef {
                worker: self.id,
                key,
            }),
            expires: expiry.map(|expiry| now + expiry),
            durability: will.durability,
            followed: types::Followed::No,
        };
        self.publish_message(topic, parts, now);
    }

    /// Ends a session: its will if it still waits, its subscriptions, its messages.
    pub(super) fn end_session(&mut self, key: SessionKey, expired: bool, now: Time) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        if let Some((_, will)) = client.will.take() {
            self.publish_will(key, &will, None, now);
        }
        self.hand_on(key, true, now);
        let Some(mut client) = self.clients.remove(key) else {
            return;
        };
        self.by_id.remove(&client.id);
        self.record_session_ended(&client);
        self.shared.sessions.fetch_sub(1, Ordering::Relaxed);
        let subscriber = SessionRef {
            worker: self.id,
            key,
        };
        for (filter, _) in client.session.subscriptions.drain() {
            self.change_index(IndexChange::Unsubscribe { filter, subscriber });
        }
        let lost = client.session.queued_len();
        if lost > 0 {
            let count = u64::try_from(lost).unwrap_or(0);
            let lost = Lost {
                reason: DropReason::SessionEnded,
                client: Some(&client.id),
                session: Some(key),
                peer: None,
                about: About::topic(None),
                qos: None,
                messages: count,
                size: client.session.queued_bytes(),
            };
            self.watch.lost(&self.shared, self.id, lost);
            self.uncount(&client);
        }
        if expired {
            self.count(Counter::SessionsExpired, 1);
        }
        if expired || lost > 0 {
            self.event(Event::SessionEnded {
                client: client.id,
                expired,
                lost,
            });
        }
    }

    /// Ends every connection and takes no new one.
    pub(super) fn drain(&mut self, now: Time) {
        self.draining = true;
        let all: Vec<ConnId> = self.conns.iter().map(|(id, _)| id).collect();
        for id in all {
            self.close(id, CloseReason::ShuttingDown, now);
        }
    }
}

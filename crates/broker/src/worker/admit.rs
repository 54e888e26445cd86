//! CONNECT: home, rules, identity, session, CONNACK.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use auth::{Access, Admitted, Decision, Grant, Identity, RuleId, Subject, Verdict};
use codec::{ConnAck, ConnAckProperties, Connect, Packet, UserProperties};
use protocol::connection::negotiate::session_expiry_seconds;
use protocol::{Connection, Negotiated, Refusal, Violation, negotiate};
use types::{
    Action, ClientId, ConnId, Durability, Limits, ProtocolVersion, ReasonCode, SessionKey, Time,
    TopicName, WorkerId,
};

use super::Worker;
use super::grants::Occasion;
use super::receive::Flow;
use crate::client::Client;
use crate::conn::{Authenticated, Claims, Open, Phase, Will};
use crate::event::{CloseReason, Event};
use crate::listeners::Mount;
use crate::metrics::{Counter, Gauge};
use crate::shared::Shared;
use crate::timers::Timer;

/// The largest will, in bytes, of a client that comes back while memory is short.
const SMALL_WILL: usize = 1024;
/// What is said to a will on a topic of the server's own.
const RESERVED: Decision = Decision {
    verdict: Verdict::Deny,
    rule: Some(RuleId::Reserved),
};

/// A client that may come in.
struct Admission<'a> {
    connect: &'a Connect<'a>,
    agreed: Negotiated,
    client_id: ClientId,
    assigned: bool,
    identity: Identity,
    grant: Option<Arc<Grant>>,
    will: Option<Box<Will>>,
    /// Method, and data for CONNACK, of an enhanced authentication that succeeded.
    enhanced: Option<(Arc<str>, Option<Vec<u8>>)>,
}

impl Worker {
    /// The first packet of a link: CONNECT or the end (MQTT-3.1.0-1). `bytes` is all that the
    /// link has sent, of which the packet is the first part.
    pub(super) fn on_greeting(
        &mut self,
        id: ConnId,
        first_byte: u8,
        bytes: &[u8],
        header_len: usize,
        total_len: usize,
        now: Time,
    ) -> Flow {
        let body = bytes.get(header_len..total_len).unwrap_or_default();
        let connect = match codec::decode(ProtocolVersion::V5, first_byte, body) {
            Ok(Packet::Connect(connect)) => connect,
            Ok(_) => {
                self.close(id, CloseReason::NotMqtt, now);
                return Flow::Gone;
            }
            Err(error) => {
                return self.refuse_undecodable(id, body, error.reason(), now);
            }
        };
        if let Some(conn) = self.conns.at_mut(id) {
            conn.room = connect.properties.maximum_packet_size.unwrap_or(u32::MAX);
        }
        if !connect.client_id.is_empty() {
            let home = self.shared.home(connect.client_id);
            if home != self.id {
                return self.send_home(id, home, bytes);
            }
        }
        if self.connects_too_fast(&connect) {
            return Flow::Wait;
        }
        self.count(Counter::ConnectsReceived, 1);
        let packet = bytes.get(..total_len).unwrap_or_default();
        self.admit(id, &connect, packet, now)
    }

    /// A CONNECT that is none. MQTT 3.1.1 wants it closed without CONNACK (MQTT-3.1.4-1
    /// there), except for a version that nobody here speaks, which is told so in the form of
    /// 3.1.1 (MQTT-3.1.2-2 in both); 5.0 may hear what is wrong.
    pub(super) fn refuse_undecodable(
        &mut self,
        id: ConnId,
        body: &[u8],
        reason: ReasonCode,
        now: Time,
    ) -> Flow {
        let version = match body.get(2..) {
            Some([b'M', b'Q', b'T', b'T', level, ..]) if level & 0x7f == 5 => ProtocolVersion::V5,
            _ => ProtocolVersion::V311,
        };
        if version == ProtocolVersion::V5 || reason == ReasonCode::UnsupportedProtocolVersion {
            return self.refuse(id, version, reason, "CONNECT could not be decoded", now);
        }
        self.close(id, CloseReason::Refused(reason), now);
        Flow::Gone
    }

    /// Hands the link to the worker that is home to its client.
    fn send_home(&mut self, id: ConnId, to: WorkerId, bytes: &[u8]) -> Flow {
        if self.forget_moved(id).is_some() {
            self.actions.push_back(Action::Move {
                conn: id,
                to,
                received: bytes.to_vec(),
            });
        }
        Flow::Gone
    }

    fn admit(&mut self, id: ConnId, connect: &Connect<'_>, packet: &[u8], now: Time) -> Flow {
        if let Err(refusal) = negotiate(connect, self.limits_of(connect.client_id)) {
            return self.refuse_client(id, connect, refusal.reason, refusal.why, now);
        }
        // Client and address are looked at before anybody is asked about the user.
        let who = self.newcomer(id, connect.client_id, &Identity::Anonymous, None);
        if let Err(refusal) = self.check_ban(&who) {
            self.denied_connect(id, connect, &Arc::from(refusal.why));
            return self.refuse_client(id, connect, refusal.reason, refusal.why, now);
        }
        self.authenticate(id, connect, packet, now)
    }

    /// What a client is held to: a session that the server itself keeps full has bounds of its own.
    pub(super) fn limits_of(&self, client_id: &str) -> &Limits {
        self.spools.of(client_id).unwrap_or(&self.limits)
    }

    /// A client that is not in yet, as the policy sees it.
    fn newcomer<'a>(
        &'a self,
        id: ConnId,
        client_id: &'a str,
        identity: &'a Identity,
        grant: Option<&'a Grant>,
    ) -> Subject<'a> {
        let info = self.conns.at(id).map(|conn| &conn.info);
        Subject {
            identity,
            client_id,
            grant,
            address: info.and_then(|info| info.peer.ip()),
            certificate: info.and_then(|info| info.certificate.as_deref()),
            listener: info.map(|info| info.listener),
        }
    }

    /// The client is who it says: the last checks, then its session.
    pub(super) fn let_in(
        &mut self,
        id: ConnId,
        connect: &Connect<'_>,
        admitted: Admitted,
        method: Option<Arc<str>>,
        now: Time,
    ) -> Flow {
        let admitted = self
            .admission(id, connect, admitted, method)
            .and_then(|admission| self.carry_out(id, &admission, now));
        match admitted {
            Ok(()) => Flow::Continue,
            Err(Refusal { reason, why }) => self.refuse_client(id, connect, reason, why, now),
        }
    }

    /// All that can be known and checked before anything is changed.
    fn admission<'a>(
        &mut self,
        id: ConnId,
        connect: &'a Connect<'a>,
        admitted: Admitted,
        method: Option<Arc<str>>,
    ) -> Result<Admission<'a>, Refusal> {
        let agreed = negotiate(connect, self.limits_of(connect.client_id))?;
        let (client_id, assigned) = match ClientId::new(connect.client_id) {
            Some(client_id) => (client_id, false),
            None => (self.new_client_id(), true),
        };
        let listener = self.listener_of(id);
        let mount = self.mount_of(id);
        // A bridge of Mosquitto says by its will that it is gone, on a topic that is the server's own
        // here: it is let in without that.
        let will = connect.will.as_ref();
        let will = will.filter(|will| !(connect.bridge && is_bridge_state(will.topic)));
        let will = will.map(|will| {
            let rules = &self.shared.config.durability;
            let topic = match &mount {
                None => Cow::Borrowed(will.topic),
                // What is not to be mounted is refused as such.
                Some(mount) => mount
                    .mounted(will.topic)
                    .map_or_else(Cow::default, Cow::Owned),
            };
            keep_will(will, &topic, rules.class(listener, &topic))
        });
        let will = will.transpose();
        let will = will.map_err(|_| {
            let reason = ReasonCode::ImplementationSpecificError;
            refusal(reason, "the will cannot be kept")
        })?;
        let admission = Admission {
            connect,
            agreed,
            client_id,
            assigned,
            identity: admitted.identity,
            grant: admitted.grant,
            will: will.map(Box::new),
            enhanced: method.map(|method| (method, admitted.data)),
        };
        self.check_admission(id, &admission)?;
        Ok(admission)
    }

    /// What stands before the topics of a connection's client.
    fn mount_of(&self, id: ConnId) -> Option<Box<Mount>> {
        let listener = self.shared.listener(self.listener_of(id)?)?;
        listener.rules.mount.clone().map(Box::new)
    }

    /// The listener that a connection came by.
    fn listener_of(&self, id: ConnId) -> Option<u16> {
        self.conns.at(id).map(|conn| conn.info.listener)
    }

    /// The client gets its session, CONNACK, and what waits for it.
    fn carry_out(
        &mut self,
        id: ConnId,
        admission: &Admission<'_>,
        now: Time,
    ) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let no_room = Violation::NoRoomToAnswer;
        let properties = self
            .connack_properties(id, admission, &shared)
            .ok_or(refusal(no_room.reason(), no_room.explain()))?;
        let (key, session_present) =
            self.go_beyond(|worker| worker.take_session(id, admission, now))?;
        self.open_connection(id, key, admission, now);
        if let Some(client) = self.clients.at_mut(key) {
            client.grant = admission.grant.clone();
            client.question = client.question.wrapping_add(1);
        }
        self.take_user_rates(id, admission.identity.user());
        self.start_grant(id, key, Occasion::Authenticated, now);
        self.forget_decisions(key);
        if session_present {
            // It may be granted other things than the last time.
            self.review_soon(key);
        }
        if !session_present {
            self.cork_if_unsafe(id, &admission.client_id);
        }
        let connack = ConnAck {
            session_present,
            reason: ReasonCode::Success,
            properties,
        };
        let connect = admission.connect;
        self.write(id, connect.version, &Packet::ConnAck(Box::new(connack)));
        self.go_beyond(|worker| {
            worker.announce_connected(id, key, connect, session_present, now);
        });
        if session_present {
            if let Some(client) = self.clients.at_mut(key) {
                client.session.resume();
            }
            self.pump(key, now);
            self.wake_replay(key);
        }
        Ok(())
    }

    /// A client id that nobody has, at home here (MQTT-3.1.3-6).
    fn new_client_id(&mut self) -> ClientId {
        loop {
            let number = self.next_random();
            let text = format!("auto-{number:016x}");
            if self.shared.home(&text) == self.id
                && let Some(id) = ClientId::new(&text)
                && !self.by_id.contains_key(&id)
            {
                return id;
            }
        }
    }

    fn check_admission(&mut self, id: ConnId, admission: &Admission<'_>) -> Result<(), Refusal> {
        let Admission {
            client_id,
            identity,
            grant,
            ..
        } = admission;
        let who = self.newcomer(id, client_id.as_str(), identity, grant.as_deref());
        if let Err(refusal) = self.check_ban(&who) {
            self.denied_connect(id, admission.connect, &Arc::from(refusal.why));
            return Err(refusal);
        }
        if let Some(will) = &admission.will {
            let (client, grant) = (client_id.as_str(), grant.as_deref());
            self.check_will_rights(id, client, identity, grant, will)?;
        }
        match self
            .by_id
            .get(client_id)
            .and_then(|&key| self.clients.at(key))
        {
            // A session belongs to the identity that made it (S25).
            Some(client) if client.identity != *identity => Err(refusal(
                ReasonCode::NotAuthorized,
                "the session belongs to another user",
            )),
            Some(_) => self.check_will_size(admission),
            None if self.sessions_are_full() => {
                Err(self.elsewhere("the server has no room for another session"))
            }
            None if self.memory_is_short() => {
                Err(self.elsewhere("the server's memory budget is used up"))
            }
            None if !admission.agreed.session_expiry.is_zero() && self.takes_nothing_lasting() => {
                Err(refusal(
                    ReasonCode::QuotaExceeded,
                    "the store has no room for another session",
                ))
            }
            None => Ok(()),
        }
    }

    /// Whether a client may publish its will, as it is now (S46); a denial is told.
    fn check_will_rights(
        &mut self,
        id: ConnId,
        client_id: &str,
        identity: &Identity,
        grant: Option<&Grant>,
        will: &Will,
    ) -> Result<(), Refusal> {
        let who = self.newcomer(id, client_id, identity, grant);
        let decision = if will.topic.is_empty() {
            Decision::DENY
        } else {
            let topic = TopicName::parse(&will.topic, self.limits.topic_levels)
                .map_err(|_| refusal(ReasonCode::TopicNameInvalid, "not a topic name"))?;
            let access = Access::Publish {
                topic,
                qos: will.qos,
                retain: will.retain,
            };
            match topic.is_reserved() {
                // What the server's own topics are open for is orders, and a will is none.
                true => RESERVED,
                false => self.policy.decide(&who, &access),
            }
        };
        if decision.is_allowed() {
            return Ok(());
        }
        let why = decision.rule.map(|rule| self.policy.describe(&who, rule));
        self.denied_will(id, client_id, identity, &will.topic, why);
        Err(refusal(
            ReasonCode::NotAuthorized,
            "not authorized to publish the will",
        ))
    }

    /// Who comes back takes no more than it had, unless it leaves a large will.
    fn check_will_size(&self, admission: &Admission<'_>) -> Result<(), Refusal> {
        let size = admission.will.as_ref().map_or(0, |will| will.size());
        if size > SMALL_WILL && self.memory_is_short() {
            return Err(
                self.elsewhere("the server's memory budget is used up: the will is too large")
            );
        }
        Ok(())
    }

    /// No room here; perhaps at another server.
    fn elsewhere(&self, why: &'static str) -> Refusal {
        match self.reference {
            Some(_) => refusal(ReasonCode::UseAnotherServer, why),
            None => refusal(ReasonCode::QuotaExceeded, why),
        }
    }

    fn sessions_are_full(&self) -> bool {
        self.shared.sessions.load(Ordering::Relaxed) >= self.limits.sessions
    }

    /// Resumes the session of the client id or makes a new one (MQTT-3.1.2-4 to -6). A
    /// connection that has it is closed (MQTT-3.1.4-3).
    fn take_session(
        &mut self,
        id: ConnId,
        admission: &Admission<'_>,
        now: Time,
    ) -> Result<(SessionKey, bool), Refusal> {
        let Admission {
            connect,
            agreed,
            client_id,
            identity,
            ..
        } = admission;
        if let Some(&key) = self.by_id.get(client_id) {
            // What is due is done first, though its timer comes only now.
            self.check_will(key, now);
            self.check_session_expiry(key, now);
        }
        let known = self
            .by_id
            .get(client_id)
            .and_then(|&key| self.clients.at(key));
        if let Some(old) = known.and_then(|client| client.conn) {
            self.take_over(id, old, connect.clean_start, now);
        }
        // The old connection may have taken its session along.
        if let Some(&key) = self.by_id.get(client_id) {
            if connect.clean_start {
                self.end_session(key, false, now);
            } else if let Some(client) = self.clients.at_mut(key) {
                client.expiry = agreed.session_expiry;
                client.ends = None;
                client.left = None;
                // Reconnecting in time takes the delayed will back (MQTT-3.1.3-9).
                client.will = None;
                self.record_session(key, admission.will.as_deref());
                return Ok((key, true));
            }
        }
        let client = Client::new(client_id.clone(), identity.clone(), agreed.session_expiry);
        let Some(key) = self.clients.insert(client) else {
            return Err(refusal(
                ReasonCode::QuotaExceeded,
                "the server has no room for another session",
            ));
        };
        self.by_id.insert(client_id.clone(), key);
        self.shared.sessions.fetch_add(1, Ordering::Relaxed);
        self.record_session(key, admission.will.as_deref());
        Ok((key, false))
    }

    fn take_over(&mut self, new: ConnId, old: ConnId, clean_start: bool, now: Time) {
        let (Some(old_conn), Some(new_conn)) = (self.conns.at(old), self.conns.at(new)) else {
            return;
        };
        if let Some(client) = old_conn
            .open()
            .and_then(|open| self.clients.at(open.session))
        {
            self.event(Event::TakenOver {
                client: client.id.clone(),
                old: old_conn.info.peer,
                new: new_conn.info.peer,
            });
        }
        self.count(Counter::Takeovers, 1);
        self.leave_for_takeover(old, clean_start, now);
    }

    fn open_connection(
        &mut self,
        id: ConnId,
        key: SessionKey,
        admission: &Admission<'_>,
        now: Time,
    ) {
        let Admission {
            agreed,
            identity,
            enhanced,
            ..
        } = admission;
        let link = Connection::new(agreed);
        if let Some(deadline) = link.keep_alive_deadline(now) {
            self.set_far_timer(deadline, Timer::KeepAlive(id), now);
        }
        if let Some(client) = self.clients.at_mut(key) {
            client.conn = Some(id);
            if let Some(member) = &client.member {
                member.set_window(u32::from(agreed.window));
                member.set_online(true);
            }
        }
        let auth = enhanced.as_ref().map(|(method, _)| {
            Box::new(Authenticated {
                method: Arc::clone(method),
                exchange: None,
                asked: false,
                identity: identity.clone(),
            })
        });
        let will = admission.will.clone();
        let mount = self.mount_of(id);
        self.enter(
            id,
            Phase::Open(Open {
                link,
                session: key,
                clean_start: admission.connect.clean_start,
                last: None,
                will,
                auth,
                term: None,
                mount,
                held: None,
            }),
            now,
        );
        let metrics = self.metrics();
        metrics.set(
            Gauge::Connected,
            metrics.gauge(Gauge::Connected).saturating_add(1),
        );
        let connected = self.shared.totals().gauge(Gauge::Connected);
        let connected = usize::try_from(connected).unwrap_or(usize::MAX);
        self.shared
            .most_connections
            .fetch_max(connected, Ordering::Relaxed);
    }

    /// What CONNACK says; `None` if it does not fit into the client's Maximum Packet Size
    /// even without what may be left out (MQTT-3.1.2-24).
    fn connack_properties<'a>(
        &self,
        id: ConnId,
        admission: &'a Admission<'_>,
        shared: &'a Shared,
    ) -> Option<ConnAckProperties<'a>> {
        let config = &shared.config;
        let Admission {
            agreed,
            client_id,
            assigned,
            enhanced,
            ..
        } = admission;
        let limits = &self.limits;
        let mut connack = ConnAck::new(ReasonCode::Success);
        connack.properties = ConnAckProperties {
            session_expiry: agreed
                .session_expiry_imposed
                .then(|| session_expiry_seconds(agreed.session_expiry)),
            receive_maximum: (agreed.receive_maximum < u16::MAX).then_some(agreed.receive_maximum),
            maximum_packet_size: announced(limits.packet_size),
            assigned_client_id: assigned.then(|| client_id.as_str()),
            topic_alias_maximum: (limits.topic_alias_maximum > 0)
                .then_some(limits.topic_alias_maximum),
            server_keep_alive: agreed.keep_alive_imposed.then_some(agreed.keep_alive),
            user: shared.class_property(match self.durable {
                true => config.durability.class(self.listener_of(id), ""),
                false => Durability::Memory,
            }),
            response_information: config
                .response_information
                .as_deref()
                .filter(|_| agreed.response_information),
            authentication_method: enhanced.as_ref().map(|(method, _)| &**method),
            authentication_data: enhanced.as_ref().and_then(|(_, data)| data.as_deref()),
            ..ConnAckProperties::default()
        };
        let room = usize::try_from(agreed.packet_size).unwrap_or(usize::MAX);
        let fits = |connack: &ConnAck<'a>| {
            let packet = Packet::ConnAck(Box::new(connack.clone()));
            codec::encoded_len(&packet, agreed.version) <= room
        };
        if !fits(&connack) {
            connack.properties.response_information = None;
            connack.properties.user = UserProperties::default();
            if !fits(&connack) {
                return None;
            }
        }
        Some(connack.properties)
    }

    fn announce_connected(
        &mut self,
        id: ConnId,
        key: SessionKey,
        connect: &Connect<'_>,
        session_present: bool,
        now: Time,
    ) {
        let (Some(conn), Some(client)) = (self.conns.at(id), self.clients.at(key)) else {
            return;
        };
        let peer = conn.info.peer;
        let keep_alive = conn.open().map_or(0, |open| open.link.keep_alive());
        let user = client.identity.user().map(Arc::from);
        let grant = client.grant.as_deref();
        let provider = grant.and_then(|grant| grant.provider.clone());
        let client = client.id.clone();
        self.event(Event::Connected {
            client,
            peer,
            version: connect.version,
            keep_alive,
            session_present,
            bridge: connect.bridge,
            user,
            provider,
        });
        self.publish_connected(key, peer, connect, keep_alive, session_present, now);
    }

    /// The same for a client that has said who it is.
    pub(super) fn refuse_client(
        &mut self,
        id: ConnId,
        connect: &Connect<'_>,
        reason: ReasonCode,
        why: &'static str,
        now: Time,
    ) -> Flow {
        self.enter(id, Phase::Refused(Box::new(Claims::of(connect))), now);
        self.refuse(id, connect.version, reason, why, now)
    }

    /// CONNACK with an error, then the close (MQTT-3.2.2-7).
    pub(super) fn refuse(
        &mut self,
        id: ConnId,
        version: ProtocolVersion,
        reason: ReasonCode,
        why: &'static str,
        now: Time,
    ) -> Flow {
        // A policy or a mechanism may say anything.
        let reason = match codec::PacketType::ConnAck.allows(reason) && reason.is_error() {
            true => reason,
            false => ReasonCode::UnspecifiedError,
        };
        let room = self.conns.at(id).map_or(u32::MAX, |conn| conn.room);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let mut connack = ConnAck::new(reason);
        connack.properties.reason_string = Some(why).filter(|why| !why.is_empty());
        let reference = self.reference.clone();
        connack.properties.server_reference = reference
            .as_deref()
            .filter(|_| reason == ReasonCode::UseAnotherServer);
        let mut packet = Packet::ConnAck(Box::new(connack));
        if codec::encoded_len(&packet, version) > room {
            // MQTT-3.2.2-19.
            packet = Packet::ConnAck(Box::new(ConnAck::new(reason)));
        }
        self.write(id, version, &packet);
        self.reject(id, CloseReason::Refused(reason), why, now);
        Flow::Gone
    }

    pub(super) fn check_connect_deadline(&mut self, id: ConnId, now: Time) {
        if self.conns.at(id).is_some_and(|conn| conn.open().is_none()) {
            self.reject(
                id,
                CloseReason::ConnectDeadline,
                "CONNECT was not finished in time",
                now,
            );
        }
    }
}

fn refusal(reason: ReasonCode, why: &'static str) -> Refusal {
    Refusal { reason, why }
}

/// Where a Mosquitto tells whether a bridge is connected.
fn is_bridge_state(topic: &str) -> bool {
    topic.starts_with("$SYS/broker/connection/")
}

/// The will as it is kept; an error if its properties cannot be passed on.
fn keep_will(
    will: &codec::Will<'_>,
    topic: &str,
    durability: Durability,
) -> Result<Will, codec::EncodeError> {
    let mut properties = Vec::new();
    codec::publish::forward_properties(&will.forward, &mut properties)?;
    Ok(Will {
        topic: Arc::from(topic),
        properties: properties.into_boxed_slice(),
        payload: will.payload.into(),
        qos: will.qos,
        retain: will.retain,
        delay: Duration::from_secs(u64::from(will.delay.unwrap_or(0))),
        message_expiry: will.message_expiry,
        durability,
        left_from: None,
    })
}

/// What a client is told of the largest packet. As large as packets can be is no limit, and some
/// clients (paho's for Python) take a number above the largest Remaining Length for a mistake.
fn announced(packet_size: u32) -> Option<u32> {
    // Before the rest come the type and four bytes of its length.
    let largest = codec::VARINT_MAX + 5;
    (packet_size < largest).then_some(packet_size.min(codec::VARINT_MAX))
}

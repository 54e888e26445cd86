//! The life of a client as a state machine without input or output of its own.
//!
//! It outlives links: messages that are on their way when a link ends go on with the next.
//! One turn of a shell is: hand over what happened (`handle_*`), take all events
//! ([`Session::poll_event`]), write [`Session::output`] and report it with
//! [`Session::handle_written`], sleep until something happens or [`Session::poll_timeout`].

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::mem;
use std::time::Duration;

use codec::{
    Ack, Auth, ConnAck, Disconnect, EncodeError, Frame, Packet, ReasonList, Subscribe,
    SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf, UserPropertiesBuf,
};
use types::{
    FilterError, LinkEnd, PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionFilter,
    SubscriptionOptions, Ticket, Time, TopicError,
};

use crate::event::{CloseReason, Connected, Direction, Event, NotSent, Violation};
use crate::message::Message;
use crate::options::{ConnectOptions, DisconnectOptions};
use describe::describe;
use incoming::{Incoming, check_topic};
use outgoing::{FlightEnd, Outgoing, PacketIds};
use wire::Wire;

mod describe;
mod incoming;
mod outgoing;
mod wire;

#[cfg(test)]
mod tests;

type Events = VecDeque<Event>;

/// A client and its session.
#[derive(Debug)]
pub struct Session {
    options: ConnectOptions,
    phase: Phase,
    granted: Granted,
    input: Vec<u8>,
    wire: Wire,
    events: Events,
    ids: PacketIds,
    outgoing: Outgoing,
    incoming: Incoming,
    requests: BTreeMap<PacketId, Request>,
    last_received: Time,
    ping_sent: Option<Time>,
    tickets: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no link.
    Away,
    /// CONNECT is sent; CONNACK is to come.
    Connecting {
        deadline: Time,
    },
    Connected,
    /// DISCONNECT is in the output.
    Closing,
}

/// A SUBSCRIBE or UNSUBSCRIBE that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Request {
    ticket: Ticket,
    kind: RequestKind,
    /// How many filters.
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestKind {
    Subscribe,
    Unsubscribe,
}

/// What the server allows on this link.
#[derive(Debug)]
struct Granted {
    /// Receive Maximum, but no more than our own limit.
    inflight: u16,
    packet_size: u32,
    qos: QoS,
    retain: bool,
    topic_alias_maximum: u16,
    /// Zero is none.
    keep_alive: Duration,
}

impl Granted {
    fn new(options: &ConnectOptions) -> Self {
        Self {
            inflight: options.limits.inflight.max(1),
            packet_size: u32::MAX,
            qos: QoS::ExactlyOnce,
            retain: true,
            topic_alias_maximum: 0,
            keep_alive: Duration::from_secs(options.keep_alive.into()),
        }
    }

    fn check(&self, message: &Message, packet: &Packet<'_>) -> Result<(), NotSent> {
        if message.qos > self.qos {
            return Err(NotSent::QoS);
        }
        if message.retain && !self.retain {
            return Err(NotSent::Retain);
        }
        if let Some(alias) = message.properties.topic_alias
            && !(1..=self.topic_alias_maximum).contains(&alias)
        {
            return Err(NotSent::TopicAlias);
        }
        if self.packet_size < u32::MAX {
            let size = codec::encoded_len(packet, ProtocolVersion::V5);
            if size > usize::try_from(self.packet_size).unwrap_or(usize::MAX) {
                return Err(NotSent::TooLarge {
                    size,
                    limit: self.packet_size,
                });
            }
        }
        Ok(())
    }
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// `filter` or `$share/name/filter`.
    pub filter: String,
    /// Its options; MQTT 3 takes the QoS only.
    pub options: SubscriptionOptions,
}

/// What `subscribe` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscribeRequest {
    /// At least one filter (MQTT-3.8.3-2).
    pub filters: Vec<Filter>,
    /// Subscription Identifier (5.0), 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// User Properties (5.0).
    pub user: UserPropertiesBuf,
}

/// What `unsubscribe` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnsubscribeRequest {
    /// At least one filter (MQTT-3.10.3-2).
    pub filters: Vec<String>,
    /// User Properties (5.0).
    pub user: UserPropertiesBuf,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// There is no connection; messages wait for one, subscriptions do not.
    NotConnected,
    /// `ClientLimits::waiting` messages wait already.
    QueueFull,
    /// All 65,535 packet identifiers are in use.
    NoPacketId,
    /// What was given as a topic is none.
    Topic(TopicError),
    /// What was given as a topic filter is none.
    Filter(FilterError),
    /// It cannot be put into a packet.
    Encode(EncodeError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("not connected"),
            Self::QueueFull => f.write_str("too many messages wait to be sent"),
            Self::NoPacketId => f.write_str("all packet identifiers are in use"),
            Self::Topic(error) => write!(f, "not a topic: {error:?}"),
            Self::Filter(error) => write!(f, "not a topic filter: {error:?}"),
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RequestError {}

impl Session {
    /// A session that has no link yet.
    pub fn new(options: ConnectOptions) -> Self {
        Self {
            phase: Phase::Away,
            granted: Granted::new(&options),
            input: Vec::new(),
            wire: Wire::new(options.version, options.trace),
            events: Events::new(),
            ids: PacketIds::new(),
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            requests: BTreeMap::new(),
            last_received: Time::ZERO,
            ping_sent: None,
            tickets: 0,
            options,
        }
    }

    /// What the session says of itself; changes count from the next link on.
    pub fn options_mut(&mut self) -> &mut ConnectOptions {
        &mut self.options
    }

    /// What the session says of itself.
    pub fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Whether the server has accepted the connection, and it is not over.
    pub fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// Whether no message waits to be sent or acknowledged.
    pub fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// A link is open: CONNECT goes out first (MQTT-3.1.0-1).
    pub fn handle_open(&mut self, now: Time) {
        self.input.clear();
        self.wire.clear();
        self.ping_sent = None;
        self.last_received = now;
        self.granted = Granted::new(&self.options);
        self.incoming
            .handle_open(self.options.topic_alias_maximum.unwrap_or(0));
        for id in mem::take(&mut self.requests).into_keys() {
            self.ids.release(id);
        }
        let deadline = now + self.options.limits.connect_deadline;
        self.phase = Phase::Connecting { deadline };
        let packet = Packet::Connect(Box::new(self.options.packet()));
        if let Err(error) = self.wire.send(&packet, &mut self.events, now) {
            self.close(CloseReason::Encode(error));
        }
    }

    /// Bytes arrived. All are taken; what is not a whole packet waits here.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Time) {
        self.last_received = now;
        let mut input = mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut done = 0;
        while matches!(self.phase, Phase::Connecting { .. } | Phase::Connected) {
            let rest = input.get(done..).unwrap_or_default();
            match self.handle_front(rest, now) {
                Ok(0) => break,
                Ok(taken) => done = done.saturating_add(taken),
                Err(reason) => self.fail(reason, now),
            }
        }
        input.drain(..done.min(input.len()));
        self.input = input;
        self.fill(now);
    }

    /// The link is gone.
    pub fn handle_closed(&mut self, end: LinkEnd) {
        self.close(CloseReason::Link(end));
    }

    /// So many bytes of [`Session::output`] are written.
    pub fn handle_written(&mut self, count: usize, now: Time) {
        self.wire.handle_written(count);
        if self.phase == Phase::Closing && self.wire.output().is_empty() {
            self.close(CloseReason::Done);
        }
        self.fill(now);
    }

    /// The time of [`Session::poll_timeout`] has come; earlier calls do no harm.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.close(CloseReason::ConnectDeadline);
        } else if self.ping_sent.is_some() {
            self.close(CloseReason::KeepAlive);
        } else {
            self.ping_sent = Some(now);
            self.send(&Packet::PingReq, now);
        }
    }

    /// When [`Session::handle_timeout`] is due: the end of waiting for CONNACK; a PINGREQ,
    /// one keep alive after the last packet either way (MQTT-3.1.2-20); or the end of waiting
    /// for its answer, one keep alive later.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.phase {
            Phase::Connecting { deadline } => Some(deadline),
            Phase::Connected if !self.granted.keep_alive.is_zero() => {
                let from = match self.ping_sent {
                    Some(sent) => sent,
                    None => self.wire.last_sent.min(self.last_received),
                };
                Some(from + self.granted.keep_alive)
            }
            Phase::Connected | Phase::Away | Phase::Closing => None,
        }
    }

    /// What is to be written to the link, first bytes first.
    pub fn output(&self) -> &[u8] {
        self.wire.output()
    }

    /// The next thing that happened. A shell takes all of them before it hands over more.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Hands over a message. It is sent as soon as there is a connection and the server's
    /// Receive Maximum allows it; [`Event::Published`] says how it ended.
    ///
    /// # Errors
    /// `Topic` and `QueueFull`.
    pub fn publish(&mut self, message: Message, now: Time) -> Result<Ticket, RequestError> {
        check_topic(&message.topic).map_err(RequestError::Topic)?;
        if self.outgoing.waiting() >= self.options.limits.waiting {
            return Err(RequestError::QueueFull);
        }
        let ticket = self.ticket();
        self.outgoing.push(ticket, message);
        self.fill(now);
        Ok(ticket)
    }

    /// Sends a SUBSCRIBE; [`Event::Subscribed`] brings the answer. If the connection ends
    /// before it, none comes.
    ///
    /// # Errors
    /// `NotConnected`, `NoPacketId`, `Filter` and `Encode`.
    pub fn subscribe(
        &mut self,
        request: &SubscribeRequest,
        now: Time,
    ) -> Result<Ticket, RequestError> {
        let mut filters = SubscribeFiltersBuf::new();
        for place in &request.filters {
            check_filter(&place.filter)?;
            let options = match self.options.version {
                ProtocolVersion::V5 => place.options,
                // The other bits are reserved (3.1.1: MQTT-3.8.3-4).
                ProtocolVersion::V31 | ProtocolVersion::V311 => {
                    SubscriptionOptions::plain(place.options.qos)
                }
            };
            filters
                .push(&place.filter, options)
                .map_err(RequestError::Encode)?;
        }
        self.request(
            RequestKind::Subscribe,
            request.filters.len(),
            now,
            |packet_id| {
                Packet::Subscribe(Subscribe {
                    packet_id,
                    subscription_id: request.subscription_id,
                    user: request.user.as_borrowed(),
                    filters: filters.as_borrowed(),
                })
            },
        )
    }

    /// Sends an UNSUBSCRIBE; [`Event::Unsubscribed`] brings the answer. If the connection
    /// ends before it, none comes.
    ///
    /// # Errors
    /// `NotConnected`, `NoPacketId`, `Filter` and `Encode`.
    pub fn unsubscribe(
        &mut self,
        request: &UnsubscribeRequest,
        now: Time,
    ) -> Result<Ticket, RequestError> {
        let mut filters = UnsubscribeFiltersBuf::new();
        for filter in &request.filters {
            check_filter(filter)?;
            filters.push(filter).map_err(RequestError::Encode)?;
        }
        self.request(
            RequestKind::Unsubscribe,
            request.filters.len(),
            now,
            |packet_id| {
                Packet::Unsubscribe(Unsubscribe {
                    packet_id,
                    user: request.user.as_borrowed(),
                    filters: filters.as_borrowed(),
                })
            },
        )
    }

    /// Ends the connection: DISCONNECT is the last packet (MQTT-3.14.4-1). Messages that are
    /// on their way stay in the session. [`Event::Closed`] follows when all is written.
    ///
    /// # Errors
    /// `NotConnected` and `Encode`.
    pub fn disconnect(
        &mut self,
        options: &DisconnectOptions,
        now: Time,
    ) -> Result<(), RequestError> {
        if self.phase != Phase::Connected {
            return Err(RequestError::NotConnected);
        }
        let packet = Packet::Disconnect(Disconnect {
            session_expiry: options.session_expiry,
            user: options.user.as_borrowed(),
            ..Disconnect::new(options.reason)
        });
        self.wire
            .send(&packet, &mut self.events, now)
            .map_err(RequestError::Encode)?;
        self.phase = Phase::Closing;
        Ok(())
    }

    fn request<'a>(
        &mut self,
        kind: RequestKind,
        count: usize,
        now: Time,
        packet: impl FnOnce(PacketId) -> Packet<'a>,
    ) -> Result<Ticket, RequestError> {
        if self.phase != Phase::Connected {
            return Err(RequestError::NotConnected);
        }
        let id = self.ids.take().ok_or(RequestError::NoPacketId)?;
        if let Err(error) = self.wire.send(&packet(id), &mut self.events, now) {
            self.ids.release(id);
            return Err(RequestError::Encode(error));
        }
        let ticket = self.ticket();
        self.requests.insert(
            id,
            Request {
                ticket,
                kind,
                count,
            },
        );
        Ok(ticket)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets = self.tickets.wrapping_add(1);
        Ticket(self.tickets)
    }

    /// Takes the first packet of `bytes` and says how long it was; 0 if it is not there yet.
    fn handle_front(&mut self, bytes: &[u8], now: Time) -> Result<usize, CloseReason> {
        let limit = self.options.limits.packet_size;
        match codec::frame(bytes, limit).map_err(CloseReason::Malformed)? {
            Frame::Incomplete { .. } => Ok(0),
            Frame::Complete {
                first_byte,
                header_len,
                total_len,
            } => {
                let body = bytes.get(header_len..total_len).unwrap_or_default();
                let packet = codec::decode(self.options.version, first_byte, body)
                    .map_err(CloseReason::Malformed)?;
                if self.options.trace {
                    self.events.push_back(Event::Packet {
                        direction: Direction::Received,
                        text: describe(&packet),
                    });
                }
                if matches!(self.phase, Phase::Connecting { .. }) {
                    self.handle_first(&packet, now)?;
                } else {
                    self.handle_packet(&packet, now)?;
                }
                Ok(total_len)
            }
        }
    }

    /// A packet before CONNACK.
    fn handle_first(&mut self, packet: &Packet<'_>, now: Time) -> Result<(), CloseReason> {
        match packet {
            Packet::ConnAck(ack) => self.handle_connack(ack),
            Packet::Auth(auth) => self.handle_auth(auth, now),
            _ => Err(CloseReason::Violation(Violation::BeforeConnAck)),
        }
    }

    fn handle_connack(&mut self, ack: &ConnAck<'_>) -> Result<(), CloseReason> {
        let properties = &ack.properties;
        if ack.reason.is_error() {
            return Err(CloseReason::Refused {
                reason: ack.reason,
                text: properties.reason_string.map(str::to_owned),
                server_reference: properties.server_reference.map(str::to_owned),
            });
        }
        if ack.session_present && self.options.clean_start {
            return Err(CloseReason::Violation(Violation::SessionPresent));
        }
        let granted = &mut self.granted;
        granted.inflight = granted
            .inflight
            .min(properties.receive_maximum.unwrap_or(u16::MAX));
        granted.packet_size = properties.maximum_packet_size.unwrap_or(u32::MAX);
        granted.qos = properties.maximum_qos.unwrap_or(QoS::ExactlyOnce);
        granted.retain = properties.retain_available.unwrap_or(true);
        granted.topic_alias_maximum = match self.options.version {
            ProtocolVersion::V5 => properties.topic_alias_maximum.unwrap_or(0),
            // There are no aliases on the wire: none can be wrong.
            ProtocolVersion::V31 | ProtocolVersion::V311 => u16::MAX,
        };
        if let Some(seconds) = properties.server_keep_alive {
            granted.keep_alive = Duration::from_secs(seconds.into());
        }
        // MQTT 3.1 does not say whether there was a session; then it is taken to be there,
        // which can repeat a message but lose none.
        let unsaid = self.options.version == ProtocolVersion::V31 && !self.options.clean_start;
        if ack.session_present || unsaid {
            self.outgoing.resume();
        } else {
            self.incoming.restart();
            self.outgoing.restart(&mut self.ids, &mut self.events);
        }
        self.phase = Phase::Connected;
        self.events.push_back(Event::Connected(Box::new(Connected {
            session_present: ack.session_present,
            assigned_client_id: properties.assigned_client_id.map(str::to_owned),
            session_expiry: properties.session_expiry,
            server_keep_alive: properties.server_keep_alive,
            response_information: properties.response_information.map(str::to_owned),
        })));
        Ok(())
    }

    fn handle_packet(&mut self, packet: &Packet<'_>, now: Time) -> Result<(), CloseReason> {
        match packet {
            Packet::Publish(publish) => {
                let maximum = self.options.receive_maximum.unwrap_or(u16::MAX);
                let received = self
                    .incoming
                    .handle_publish(publish, maximum)
                    .map_err(CloseReason::Violation)?;
                if let Some(received) = received {
                    self.events.push_back(Event::Message(Box::new(received)));
                }
                match (publish.qos, publish.packet_id) {
                    (QoS::AtLeastOnce, Some(id)) => {
                        self.send(&Packet::PubAck(Ack::new(id, ReasonCode::Success)), now);
                    }
                    (QoS::ExactlyOnce, Some(id)) => {
                        self.send(&Packet::PubRec(Ack::new(id, ReasonCode::Success)), now);
                    }
                    (_, None) | (QoS::AtMostOnce, Some(_)) => {}
                }
            }
            Packet::PubRel(ack) => {
                let reason = match self.incoming.handle_release(ack.packet_id) {
                    true => ReasonCode::Success,
                    false => ReasonCode::PacketIdentifierNotFound,
                };
                self.send(&Packet::PubComp(Ack::new(ack.packet_id, reason)), now);
            }
            Packet::PubAck(ack) => self.handle_flight_end(FlightEnd::Acknowledged, ack),
            Packet::PubRec(ack) if ack.reason.is_error() => {
                self.handle_flight_end(FlightEnd::Refused, ack);
            }
            Packet::PubRec(ack) => {
                let reason = self.outgoing.handle_taken(ack.packet_id);
                self.send(&Packet::PubRel(Ack::new(ack.packet_id, reason)), now);
            }
            Packet::PubComp(ack) => self.handle_flight_end(FlightEnd::Completed, ack),
            Packet::SubAck(list) => self.handle_answer(RequestKind::Subscribe, list)?,
            Packet::UnsubAck(list) => self.handle_answer(RequestKind::Unsubscribe, list)?,
            Packet::PingResp => self.ping_sent = None,
            Packet::Disconnect(disconnect) => {
                return Err(CloseReason::Disconnected {
                    reason: disconnect.reason,
                    text: disconnect.reason_string.map(str::to_owned),
                    server_reference: disconnect.server_reference.map(str::to_owned),
                });
            }
            Packet::Auth(auth) => self.handle_auth(auth, now)?,
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq => {
                return Err(CloseReason::Violation(Violation::UnexpectedPacket));
            }
        }
        Ok(())
    }

    fn handle_flight_end(&mut self, kind: FlightEnd, ack: &Ack<'_>) {
        self.outgoing
            .handle_end(kind, ack, &mut self.ids, &mut self.events);
    }

    fn handle_answer(
        &mut self,
        kind: RequestKind,
        list: &ReasonList<'_>,
    ) -> Result<(), CloseReason> {
        let wrong = CloseReason::Violation(Violation::Acknowledgement);
        let request = self
            .requests
            .get(&list.packet_id)
            .copied()
            .filter(|request| request.kind == kind)
            .ok_or_else(|| wrong.clone())?;
        self.requests.remove(&list.packet_id);
        self.ids.release(list.packet_id);
        let silent = kind == RequestKind::Unsubscribe && !self.options.version.has_properties();
        let reasons = if silent {
            vec![ReasonCode::Success; request.count]
        } else {
            list.reasons
                .iter()
                .filter_map(|byte| ReasonCode::from_byte(*byte))
                .collect()
        };
        if reasons.len() != request.count {
            return Err(wrong);
        }
        let ticket = request.ticket;
        self.events.push_back(match kind {
            RequestKind::Subscribe => Event::Subscribed { ticket, reasons },
            RequestKind::Unsubscribe => Event::Unsubscribed { ticket, reasons },
        });
        Ok(())
    }

    /// The server goes on with the authentication that CONNECT asked for.
    fn handle_auth(&mut self, auth: &Auth<'_>, now: Time) -> Result<(), CloseReason> {
        let Some(method) = &self.options.authentication_method else {
            return Err(CloseReason::Violation(Violation::UnexpectedAuth));
        };
        if auth.reason != ReasonCode::ContinueAuthentication {
            return Ok(());
        }
        let answer = Packet::Auth(Auth {
            method: Some(method),
            data: self.options.auth.data.as_deref(),
            user: self.options.auth.user.as_borrowed(),
            ..Auth::new(ReasonCode::ContinueAuthentication)
        });
        self.wire
            .send(&answer, &mut self.events, now)
            .map_err(CloseReason::Encode)
    }

    /// Sends a packet of a few fixed bytes.
    fn send(&mut self, packet: &Packet<'_>, now: Time) {
        if let Err(error) = self.wire.send(packet, &mut self.events, now) {
            self.close(CloseReason::Encode(error));
        }
    }

    fn fill(&mut self, now: Time) {
        if self.phase == Phase::Connected {
            self.outgoing.fill(
                &self.granted,
                &mut self.ids,
                &mut self.wire,
                &mut self.events,
                now,
            );
        }
    }

    /// Ends the connection because of something that the server sent; tells it why if it can
    /// be told (MQTT-4.13.1-1).
    fn fail(&mut self, reason: CloseReason, now: Time) {
        let code = match &reason {
            CloseReason::Malformed(error) => Some(error.reason()),
            CloseReason::Violation(violation) => Some(violation.reason()),
            _ => None,
        };
        if let Some(code) = code
            && self.phase == Phase::Connected
            && self.options.version.has_properties()
        {
            self.send(&Packet::Disconnect(Disconnect::new(code)), now);
        }
        self.close(reason);
    }

    /// The connection is over; told once.
    fn close(&mut self, reason: CloseReason) {
        if self.phase != Phase::Away {
            self.phase = Phase::Away;
            self.events.push_back(Event::Closed(reason));
        }
    }
}

fn check_filter(filter: &str) -> Result<(), RequestError> {
    SubscriptionFilter::parse(filter, u16::MAX)
        .map(|_| ())
        .map_err(RequestError::Filter)
}

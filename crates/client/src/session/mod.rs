//! The life of a client as a state machine without input or output of its own.
//!
//! It outlives links: messages that are on their way when a link ends go on with the next.
//! One turn of a shell is: hand over what happened (`handle_*`), take all events
//! ([`Session::poll_event`]), write [`Session::output`] and report it with
//! [`Session::handle_written`], sleep until something happens or [`Session::poll_timeout`].

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use codec::{Ack, Auth, ConnAck, Disconnect, Frame, Packet};
use types::{LinkEnd, PacketId, ProtocolVersion, QoS, ReasonCode, Ticket, Time};

use crate::event::{CloseReason, Connected, Direction, Event, Violation};
use crate::message::Message;
use crate::options::{ConnectOptions, DisconnectOptions};
use describe::describe;
use granted::Granted;
use incoming::{Incoming, check_topic};
use outgoing::{FlightEnd, Outgoing, PacketIds};
use requests::{Request, RequestKind};
use wire::Wire;

pub use requests::{Filter, RequestError, SubscribeRequest, UnsubscribeRequest};

mod describe;
mod granted;
mod incoming;
mod outgoing;
mod requests;
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
    /// How many bytes at the front of `input` are done with.
    consumed: usize,
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

impl Session {
    /// A session that has no link yet.
    pub fn new(options: ConnectOptions) -> Self {
        Self {
            phase: Phase::Away,
            granted: Granted::new(&options),
            input: Vec::new(),
            consumed: 0,
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
        self.consumed = 0;
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

    /// Bytes arrived. They are looked at packet by packet as [`Session::poll_event`] is called,
    /// so that nothing is acknowledged before its turn has come.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Time) {
        self.last_received = now;
        // Whatever comes is a sign of life; with PINGRESP it has done its work.
        self.ping_sent = None;
        // What is left of the last bytes is less than one packet.
        self.input.drain(..self.consumed.min(self.input.len()));
        self.consumed = 0;
        self.input.extend_from_slice(bytes);
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

    /// The next thing that happened. A shell takes all of them before it hands over more
    /// bytes, and before it lets time go on.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.advance() {
                return None;
            }
        }
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

    fn ticket(&mut self) -> Ticket {
        self.tickets = self.tickets.wrapping_add(1);
        Ticket(self.tickets)
    }

    /// Takes the next packet of the input; `false` if there is none that is to be taken.
    fn advance(&mut self) -> bool {
        if !matches!(self.phase, Phase::Connecting { .. } | Phase::Connected) {
            return false;
        }
        let now = self.last_received;
        let input = mem::take(&mut self.input);
        let taken = self.handle_front(input.get(self.consumed..).unwrap_or_default(), now);
        self.input = input;
        match taken {
            Ok(0) => return false,
            Ok(taken) => self.consumed = self.consumed.saturating_add(taken),
            Err(reason) => self.fail(reason, now),
        }
        self.fill(now);
        true
    }

    /// Takes the first packet of `bytes` and says how long it was; 0 if it is not there yet.
    fn handle_front(&mut self, bytes: &[u8], now: Time) -> Result<usize, CloseReason> {
        let limit = self.options.limits.packet_size;
        let Frame::Complete {
            first_byte,
            header_len,
            total_len,
        } = codec::frame(bytes, limit).map_err(CloseReason::Malformed)?
        else {
            return Ok(0);
        };
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
        self.granted.apply(properties, self.options.version);
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
            Packet::PingResp => {}
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

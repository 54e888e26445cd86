//! Bytes to packets, packets to their concern.

use std::sync::atomic::Ordering;

use codec::{Frame, Packet};
use protocol::Violation;
use types::{Action, Arrival, ConnId, ReasonCode, Time};

use super::Worker;
use crate::conn::{Conn, Pause, Phase};
use crate::event::CloseReason;
use crate::metrics::Counter;

/// What to do after a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Go on with the next one.
    Continue,
    /// The connection is gone from here, and its bytes with it.
    Gone,
    /// The packet cannot be admitted yet: keep it and stop reading.
    Wait,
}

impl Worker {
    pub(super) fn receive(&mut self, id: ConnId, bytes: &[u8], now: Time) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let arrival = std::mem::replace(&mut conn.info.arrival, Arrival::Accepted);
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        conn.traffic.bytes_in = conn.traffic.bytes_in.wrapping_add(count);
        if arrival == Arrival::Accepted {
            let metrics = self.shared.metrics_of(self.id);
            metrics.add(Counter::BytesReceived, count);
            if let Some(rates) = &conn.rates {
                rates.charge_bytes(bytes.len(), now);
            }
        }
        conn.last_received = now;
        if conn.pause.is_some() {
            conn.input.extend_from_slice(bytes);
            return;
        }
        if conn.input.is_empty() {
            let used = self.consume(id, bytes, now);
            if let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
                self.keep_input(id, rest, now);
            }
            return;
        }
        conn.input.extend_from_slice(bytes);
        self.consume_input(id, now);
    }

    /// Works on what a connection has kept.
    pub(super) fn consume_input(&mut self, id: ConnId, now: Time) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let mut input = std::mem::take(&mut conn.input);
        let used = self.consume(id, &input, now).min(input.len());
        input.drain(..used);
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        // An empty buffer goes back to the allocator: idle connections hold none.
        if !input.is_empty() {
            conn.input = input;
        }
        self.count_unauthenticated(id, now);
    }

    fn keep_input(&mut self, id: ConnId, rest: &[u8], now: Time) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        conn.input.extend_from_slice(rest);
        self.count_unauthenticated(id, now);
    }

    /// Brings the count of bytes without a client up to date. While there are too many, the
    /// oldest link goes (S09).
    pub(super) fn count_unauthenticated(&mut self, id: ConnId, now: Time) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let kept = conn.unauthenticated_bytes();
        let before = std::mem::replace(&mut conn.unauthenticated, kept);
        if before == kept {
            return;
        }
        let gauge = &self.shared.unauthenticated_bytes;
        gauge.fetch_sub(before, Ordering::Relaxed);
        gauge.fetch_add(kept, Ordering::Relaxed);
        if before == 0 {
            while let Some(&oldest) = self.greeting.front()
                && self
                    .conns
                    .at(oldest)
                    .is_none_or(|conn| conn.unauthenticated == 0)
            {
                self.greeting.pop_front();
            }
            self.greeting.push_back(id);
        }
        while self.shared.unauthenticated_bytes.load(Ordering::Relaxed)
            > self.limits.unauthenticated_bytes
        {
            let Some(oldest) = self.greeting.pop_front() else {
                return;
            };
            if self
                .conns
                .at(oldest)
                .is_some_and(|conn| conn.unauthenticated > 0)
            {
                self.close(oldest, CloseReason::UnauthenticatedBytes, now);
            }
        }
    }

    /// The connection leaves its greeting.
    pub(super) fn enter(&mut self, id: ConnId, phase: Phase, now: Time) {
        if let Some(conn) = self.conns.at_mut(id) {
            conn.phase = phase;
            self.count_unauthenticated(id, now);
        }
    }

    /// Forgets a connection whose link ends.
    pub(super) fn forget(&mut self, id: ConnId) -> Option<Conn> {
        let conn = self.forget_moved(id)?;
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(listener) = self.shared.listener(conn.info.listener) {
            listener.leave();
        }
        Some(conn)
    }

    /// Forgets a connection whose link goes on elsewhere.
    pub(super) fn forget_moved(&mut self, id: ConnId) -> Option<Conn> {
        let conn = self.conns.remove(id)?;
        self.shared
            .unauthenticated_bytes
            .fetch_sub(conn.unauthenticated, Ordering::Relaxed);
        Some(conn)
    }

    /// Stops reading.
    pub(super) fn pause(&mut self, id: ConnId, pause: Pause) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        conn.pause = Some(pause);
        if !std::mem::replace(&mut conn.stopped, true) {
            self.actions.push_back(Action::Pause(id));
        }
        if pause == Pause::Room {
            self.waiting_for_room.push(id);
        }
    }

    /// The client has taken some of its output: if that is what reading waits for, it goes on
    /// at the end of the turn.
    pub(super) fn output_has_room(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.at_mut(id)
            && conn.pause == Some(Pause::Output)
            && conn.output.len() <= self.limits.output_bytes
        {
            conn.pause = Some(Pause::Room);
            self.waiting_for_room.push(id);
        }
    }

    /// Tries the packets that waited for room.
    pub(super) fn retry_waiting(&mut self, now: Time) {
        self.last_turn = now;
        for id in std::mem::take(&mut self.waiting_for_room) {
            let Some(conn) = self.conns.at_mut(id) else {
                continue;
            };
            conn.pause = None;
            // The pause is ours, so the keep alive does not run meanwhile.
            conn.last_received = now;
            self.consume_input(id, now);
            if let Some(conn) = self.conns.at_mut(id)
                && conn.pause.is_none()
            {
                conn.stopped = false;
                self.actions.push_back(Action::Resume(id));
            }
        }
    }

    /// Takes packets off the front of `bytes`; returns how many bytes they were.
    fn consume(&mut self, id: ConnId, bytes: &[u8], now: Time) -> usize {
        let mut used: usize = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return used;
            }
            let Some(conn) = self.conns.at(id) else {
                return bytes.len();
            };
            if self.answers_too_little_taken(conn) {
                self.pause(id, Pause::Output);
                return used;
            }
            if conn.awaits_answer() {
                self.let_wait(id, rest.len());
                return used;
            }
            let greeting = conn.is_greeting();
            let max = self.most_taken(conn);
            if conn.rates.is_some() && self.rests(id, now) {
                return used;
            }
            let flow = match codec::frame(rest, max) {
                Ok(Frame::Incomplete { .. }) if greeting && not_connect(rest) => {
                    self.close(id, CloseReason::NotMqtt, now);
                    Flow::Gone
                }
                Ok(Frame::Incomplete { .. }) => return used,
                Ok(Frame::Complete {
                    first_byte,
                    header_len,
                    total_len,
                }) => {
                    let body = rest.get(header_len..total_len).unwrap_or_default();
                    let flow = if greeting {
                        self.on_greeting(id, first_byte, rest, header_len, total_len, now)
                    } else {
                        self.on_packet(id, first_byte, body, now)
                    };
                    if flow == Flow::Continue {
                        self.count(Counter::PacketsReceived, 1);
                        used = used.saturating_add(total_len);
                    }
                    flow
                }
                Err(_) if greeting && not_connect(rest) => {
                    self.close(id, CloseReason::NotMqtt, now);
                    Flow::Gone
                }
                Err(error) if greeting => {
                    let body = body_behind_header(rest);
                    self.refuse_undecodable(id, body, error.reason(), now)
                }
                Err(error) => {
                    self.undecodable(id, error.reason(), now);
                    Flow::Gone
                }
            };
            match flow {
                Flow::Continue => {}
                Flow::Gone => return bytes.len(),
                Flow::Wait => {
                    self.pause(id, Pause::Room);
                    return used;
                }
            }
        }
    }

    /// What a client sends while its authentication is awaited is kept, up to a bound (S43).
    fn let_wait(&mut self, id: ConnId, bytes: usize) {
        if bytes > usize::try_from(self.limits.connect_packet_size).unwrap_or(0) {
            self.pause(id, Pause::Answer);
        }
    }

    /// The largest packet that is taken from a connection.
    fn most_taken(&self, conn: &Conn) -> u32 {
        match conn.open() {
            Some(_) => self.limits.packet_size,
            None => self.limits.connect_packet_size.min(self.limits.packet_size),
        }
    }

    /// Whether a client that sends goes on without reading what it is answered. What is
    /// published to it stops at `limits.output_bytes`; its own answers have as much again.
    fn answers_too_little_taken(&self, conn: &Conn) -> bool {
        conn.output.len() > self.limits.output_bytes.saturating_mul(2)
    }

    /// Bytes that are no packet: CONNACK with the reason before the client is in, DISCONNECT
    /// after (MQTT-4.13.1-1).
    pub(super) fn undecodable(&mut self, id: ConnId, reason: ReasonCode, now: Time) {
        match self.conns.at(id).map(|conn| &conn.phase) {
            Some(Phase::Greeting) => self.close(id, CloseReason::Refused(reason), now),
            Some(Phase::Authenticating(_)) => {
                self.refuse(
                    id,
                    types::ProtocolVersion::V5,
                    reason,
                    "malformed packet",
                    now,
                );
            }
            Some(Phase::Refused(_)) => {}
            Some(Phase::Open(_)) => {
                let violation = Violation::Undecodable(reason);
                self.close(id, CloseReason::Violation(violation), now);
            }
            None => {}
        }
    }

    #[inline]
    fn on_packet(&mut self, id: ConnId, first_byte: u8, body: &[u8], now: Time) -> Flow {
        let Some(conn) = self.conns.at(id) else {
            return Flow::Gone;
        };
        let subscribing = conn.subscribing > 0;
        let Some(open) = conn.open() else {
            return self.on_packet_before_connack(id, first_byte, body, now);
        };
        let version = open.link.version();
        let kind = first_byte >> 4;
        if subscribing && !matches!(kind, SUBSCRIBE | UNSUBSCRIBE | CONNECT) {
            return Flow::Wait;
        }
        if kind == PUBLISH {
            return match codec::decode_publish(version, first_byte, body) {
                Ok(publish) => self.on_publish(id, &publish, now),
                Err(error) => {
                    self.undecodable(id, error.reason(), now);
                    Flow::Gone
                }
            };
        }
        match kind {
            // Whatever it says (MQTT-3.1.0-2).
            CONNECT => return self.violate(id, Violation::SecondConnect, now),
            SUBSCRIBE | UNSUBSCRIBE if self.index_is_behind() || self.subscribes_too_fast(id) => {
                return Flow::Wait;
            }
            // Their answers wait for the store, each in memory.
            PUBREL | SUBSCRIBE | UNSUBSCRIBE if self.holds_enough(id) => return Flow::Wait,
            _ => {}
        }
        match codec::decode(version, first_byte, body) {
            Ok(packet) => self.on_other_packet(id, packet, now),
            Err(error) => {
                self.undecodable(id, error.reason(), now);
                Flow::Gone
            }
        }
    }

    fn on_other_packet(&mut self, id: ConnId, packet: Packet<'_>, now: Time) -> Flow {
        match packet {
            Packet::Connect(_) => self.violate(id, Violation::SecondConnect, now),
            Packet::Publish(publish) => self.on_publish(id, &publish, now),
            Packet::PubAck(ack) => self.on_puback(id, &ack, now),
            Packet::PubRec(ack) => self.on_pubrec(id, &ack, now),
            Packet::PubRel(ack) => self.on_pubrel(id, &ack),
            Packet::PubComp(ack) => self.on_pubcomp(id, &ack, now),
            Packet::Subscribe(subscribe) => self.on_subscribe(id, &subscribe, now),
            Packet::Unsubscribe(unsubscribe) => self.on_unsubscribe(id, &unsubscribe, now),
            Packet::PingReq => self.on_pingreq(id),
            Packet::Disconnect(disconnect) => self.on_disconnect(id, &disconnect, now),
            Packet::Auth(auth) => self.on_auth(id, &auth, now),
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {
                self.violate(id, Violation::ServerOnlyPacket, now)
            }
        }
    }

    /// Ends a connection for what its client did.
    pub(super) fn violate(&mut self, id: ConnId, violation: Violation, now: Time) -> Flow {
        self.close(id, CloseReason::Violation(violation), now);
        Flow::Gone
    }
}

/// What stands behind the fixed header, of a packet whose length is refused.
fn body_behind_header(bytes: &[u8]) -> &[u8] {
    let lengths = bytes.iter().skip(1).take(4);
    let more = lengths.take_while(|&&byte| byte & 0x80 != 0).count();
    bytes.get(more.saturating_add(2)..).unwrap_or_default()
}

/// Packet types, as the upper half of the first byte has them (2.1.2).
const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;

/// Whether the first byte already shows that this is no CONNECT (MQTT-3.1.0-1).
fn not_connect(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|&first| first != 0x10)
}

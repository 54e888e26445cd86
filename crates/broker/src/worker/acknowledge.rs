//! PUBACK, PUBREC, PUBREL, PUBCOMP, PINGREQ.
// A closure is general in the packet's lifetime, an enum's constructor is not.
#![allow(clippy::redundant_closure)]

use codec::{Ack, Packet};
use protocol::session::inflight::{Acked, Released};
use store::Settled;
use types::{ConnId, PacketId, ReasonCode, SessionKey, Time};

use super::Worker;
use super::receive::Flow;
use crate::conn::Conn;

impl Worker {
    fn session_of(&self, id: ConnId) -> Option<SessionKey> {
        self.conns
            .at(id)
            .and_then(Conn::open)
            .map(|open| open.session)
    }

    /// QoS 1 is done, whatever the reason (MQTT-4.4.0-2). An identifier that nobody waits for
    /// is ignored: there is no packet to say so.
    pub(super) fn on_puback(&mut self, id: ConnId, ack: &Ack<'_>, now: Time) -> Flow {
        let Some(key) = self.session_of(id) else {
            return Flow::Gone;
        };
        if let Some(client) = self.clients.at_mut(key)
            && client.session.puback(ack.packet_id) == Acked::Done
        {
            self.record_settled(key, ack.packet_id, Settled::Done);
            self.after_ack(key, now);
        }
        Flow::Continue
    }

    /// The client has taken a QoS 2 message: release it (MQTT-4.3.3-3 to -5).
    pub(super) fn on_pubrec(&mut self, id: ConnId, ack: &Ack<'_>, now: Time) -> Flow {
        let Some(key) = self.session_of(id) else {
            return Flow::Gone;
        };
        let Some(client) = self.clients.at_mut(key) else {
            return Flow::Gone;
        };
        match client.session.pubrec(ack.packet_id, ack.reason.is_error()) {
            Released::Pubrel => {
                self.record_settled(key, ack.packet_id, Settled::Received);
                self.write_pubrel(id, ack.packet_id);
            }
            Released::Refused => {
                self.record_settled(key, ack.packet_id, Settled::Done);
                self.after_ack(key, now);
            }
            Released::Unknown => {
                let reason = ReasonCode::PacketIdentifierNotFound;
                self.write_ack(id, ack.packet_id, reason, None, |a| Packet::PubRel(a));
            }
        }
        Flow::Continue
    }

    /// The client releases its QoS 2 message: the identifier is free (MQTT-4.3.3-11, -12).
    pub(super) fn on_pubrel(&mut self, id: ConnId, ack: &Ack<'_>) -> Flow {
        let Some(key) = self.session_of(id) else {
            return Flow::Gone;
        };
        let known = self
            .clients
            .at_mut(key)
            .is_some_and(|client| client.session.release(ack.packet_id));
        let reason = if known {
            self.end_receive(id);
            self.record_released(key, ack.packet_id);
            ReasonCode::Success
        } else {
            ReasonCode::PacketIdentifierNotFound
        };
        self.write_ack(id, ack.packet_id, reason, None, |a| Packet::PubComp(a));
        Flow::Continue
    }

    /// QoS 2 is done.
    pub(super) fn on_pubcomp(&mut self, id: ConnId, ack: &Ack<'_>, now: Time) -> Flow {
        let Some(key) = self.session_of(id) else {
            return Flow::Gone;
        };
        if let Some(client) = self.clients.at_mut(key)
            && client.session.pubcomp(ack.packet_id) == Acked::Done
        {
            self.record_settled(key, ack.packet_id, Settled::Done);
            self.after_ack(key, now);
        }
        Flow::Continue
    }

    pub(super) fn on_pingreq(&mut self, id: ConnId) -> Flow {
        if let Some(open) = self.conns.at(id).and_then(Conn::open) {
            let version = open.link.version();
            self.write(id, version, &Packet::PingResp);
        }
        Flow::Continue
    }

    /// A place is free: the queue moves up.
    fn after_ack(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        if client.session.has_waiting() {
            self.pump(key, now);
        } else if client.member.is_some() {
            self.recount(key);
        }
        self.wake_replay(key);
    }

    pub(super) fn write_pubrel(&mut self, id: ConnId, packet_id: PacketId) {
        self.write_ack(id, packet_id, ReasonCode::Success, None, |a| {
            Packet::PubRel(a)
        });
    }
}

//! PUBACK, PUBREC, PUBREL, PUBCOMP, PINGREQ.
// A closure is general in the packet's lifetime, an enum's constructor is not.
#![allow(clippy::redundant_closure)]

use codec::{Ack, Packet};
use protocol::session::{Acked, Released, When};
use store::Settled;
use types::{ConnId, PacketId, ReasonCode, SessionKey, Time};

use super::Worker;
use super::receive::Flow;
use crate::conn::Conn;
use crate::probe::Acknowledgement;

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
        if self.watch.tells_acknowledged(self.id) {
            self.tell_acknowledged(key, ack.packet_id, Acknowledgement::PubAck);
        }
        if let Some(client) = self.clients.at_mut(key)
            && let Acked::Done(number) = client.session.puback(ack.packet_id)
        {
            self.record_done(key, number);
            self.after_ack(key, now);
        }
        Flow::Continue
    }

    /// The client has taken a QoS 2 message: release it (MQTT-4.3.3-3 to -5).
    pub(super) fn on_pubrec(&mut self, id: ConnId, ack: &Ack<'_>, now: Time) -> Flow {
        let Some(key) = self.session_of(id) else {
            return Flow::Gone;
        };
        if self.watch.tells_acknowledged(self.id) {
            self.tell_acknowledged(key, ack.packet_id, Acknowledgement::PubRec);
        }
        self.take_pubrec(key, id, ack.packet_id, ack.reason.is_error(), now);
        Flow::Continue
    }

    /// The same of a message that is not to be sent again, as if the client had said so.
    pub(super) fn take_pubrec(
        &mut self,
        key: SessionKey,
        id: ConnId,
        packet_id: PacketId,
        failed: bool,
        now: Time,
    ) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        // A session that forgot that PUBREC came would send PUBLISH again.
        let when = match client.stored {
            Some(_) => When::Safe,
            None => When::Now,
        };
        match client.session.pubrec(packet_id, failed, when) {
            Released::Pubrel(number) => {
                self.record_settled(key, number, Settled::Received);
                self.write_pubrel(id, packet_id);
            }
            Released::Held(number) => {
                self.record_settled(key, number, Settled::Received);
                let class = self.shared.config.durability.strongest();
                self.open_gate_when_safe(key, packet_id, number, class);
            }
            Released::Repeated => self.write_pubrel(id, packet_id),
            Released::StillHeld => {}
            Released::Refused(number) => {
                self.record_done(key, number);
                self.after_ack(key, now);
            }
            Released::Unknown => {
                let reason = ReasonCode::PacketIdentifierNotFound;
                self.write_ack(id, packet_id, reason, None, |a| Packet::PubRel(a));
            }
        }
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
        let mark = self.output_mark(id);
        self.write_ack(id, ack.packet_id, reason, None, |a| Packet::PubComp(a));
        // A session that forgot the release would take the next message for this one again.
        if self.stored(key).is_some() {
            self.hold_until_safe(id, mark);
        }
        Flow::Continue
    }

    /// QoS 2 is done.
    pub(super) fn on_pubcomp(&mut self, id: ConnId, ack: &Ack<'_>, now: Time) -> Flow {
        let Some(key) = self.session_of(id) else {
            return Flow::Gone;
        };
        if self.watch.tells_acknowledged(self.id) {
            self.tell_acknowledged(key, ack.packet_id, Acknowledgement::PubComp);
        }
        if let Some(client) = self.clients.at_mut(key)
            && let Acked::Done(number) = client.session.pubcomp(ack.packet_id)
        {
            self.record_done(key, number);
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
        } else {
            if client.member.is_some() {
                self.recount(key);
            }
            self.settle_asks(key);
        }
        self.wake_replay(key);
    }

    pub(super) fn write_pubrel(&mut self, id: ConnId, packet_id: PacketId) {
        self.write_ack(id, packet_id, ReasonCode::Success, None, |a| {
            Packet::PubRel(a)
        });
    }
}

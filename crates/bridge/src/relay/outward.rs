//! Packets of this server.

use codec::{Forward, Packet, Publish, PublishProperties, encode, encoded_len};
use types::{QoS, ReasonCode, Time};

use super::{End, Gate, GivenUp, Relay, Side, Stage};
use crate::figures::Dropped;
use crate::via;

impl Relay {
    pub(super) fn handle_local(&mut self, packet: Packet<'_>, bytes: &[u8], now: Time) {
        match (packet, self.stage) {
            (Packet::ConnAck(connack), Stage::ConnectLocal) => self.admitted_here(&connack),
            (Packet::Disconnect(bye), _) => {
                let words = bye.reason_string.unwrap_or_default().to_owned();
                self.finish(End::Disconnected(Side::Local, bye.reason, words));
            }
            (Packet::SubAck(list) | Packet::UnsubAck(list), Stage::SubscribeLocal) => {
                self.answered(Side::Local, &list);
                if self.stage == Stage::Open {
                    self.release_in(now);
                }
            }
            (Packet::Publish(publish), Stage::SubscribeLocal | Stage::Open) => {
                if !self.held_out.is_empty() || self.gate(now) != Gate::Open {
                    self.held_out.push(bytes);
                } else {
                    self.send_out(&publish, now);
                }
            }
            (Packet::PubRel(ack), Stage::SubscribeLocal | Stage::Open) => {
                let id = ack.packet_id.get();
                // A server without QoS 2 would not know what is asked.
                if self.finishing_local.remove(id) || self.takes.qos < QoS::ExactlyOnce {
                    self.outbound.remove(id);
                    self.acknowledge(Side::Local, Packet::PubComp, ack.packet_id);
                } else {
                    self.outbound.insert(id);
                    self.pass(Side::Remote, Packet::PubRel, &ack);
                }
            }
            (Packet::PubAck(ack), Stage::Open) => {
                if self.judge(ack.reason) {
                    self.inbound.remove(ack.packet_id.get());
                    self.pass(Side::Remote, Packet::PubAck, &ack);
                    self.release_in(now);
                }
            }
            (Packet::PubRec(ack), Stage::Open) => {
                if self.judge(ack.reason) {
                    self.received_here(&ack, now);
                }
            }
            (Packet::PubComp(ack), Stage::SubscribeLocal | Stage::Open) => {
                let id = ack.packet_id.get();
                if self.swept_local.remove(id) {
                    return;
                }
                self.inbound.remove(id);
                self.memory.local.remove(id);
                self.pass(Side::Remote, Packet::PubComp, &ack);
                self.release_in(now);
            }
            (packet, _) => {
                let what = format!("{:?}", packet.packet_type());
                self.finish(End::Protocol(Side::Local, what));
            }
        }
    }

    fn received_here(&mut self, ack: &codec::Ack<'_>, now: Time) {
        let id = ack.packet_id.get();
        if !ack.reason.is_error() {
            return self.pass(Side::Remote, Packet::PubRec, ack);
        }
        self.inbound.remove(id);
        self.memory.local.remove(id);
        if self.settings.version.has_properties() {
            self.pass(Side::Remote, Packet::PubRec, ack);
        } else {
            // MQTT 3 has no word for a refusal: PUBREL will come.
            self.finishing_remote.insert(id);
            self.acknowledge(Side::Remote, Packet::PubRec, ack.packet_id);
        }
        self.release_in(now);
    }

    /// What this server says to a message. A server that is full will take it later; `false`: the
    /// relay is over for that.
    fn judge(&mut self, reason: ReasonCode) -> bool {
        if reason == ReasonCode::QuotaExceeded {
            self.finish(End::Full(Side::Local));
            return false;
        }
        if reason.is_error() {
            self.drop_message(Dropped::RefusedHere);
        }
        true
    }

    /// Sends what waited, as far as it may go.
    pub(super) fn release_out(&mut self, now: Time) {
        if !self.held_out.is_empty() && self.memory.suspicion.asks(now) {
            self.pinged.get_or_insert(now);
            self.write(Side::Remote, &Packet::PingReq);
        }
        while self.end.is_none() && self.gate(now) == Gate::Open {
            let Some(bytes) = self.held_out.pop() else {
                return;
            };
            let header = codec::frame(&bytes, u32::MAX);
            let Ok(codec::Frame::Complete {
                first_byte,
                header_len,
                ..
            }) = header
            else {
                continue;
            };
            let body = bytes.get(header_len..).unwrap_or_default();
            let version = self.version(Side::Local);
            if let Ok(publish) = codec::decode_publish(version, first_byte, body) {
                self.send_out(&publish, now);
            }
        }
    }

    /// Whether a message may go: one at a time if one is suspected, and not more than is agreed on.
    pub(super) fn gate(&mut self, now: Time) -> Gate {
        match self.memory.suspicion.gate(self.outbound.len()) {
            Gate::Open => self.may_send_at(now).map_or(Gate::Open, Gate::Until),
            other => other,
        }
    }

    /// When the rates let the next message go; `None`: now.
    fn may_send_at(&mut self, now: Time) -> Option<Time> {
        let messages = self.messages.as_mut().and_then(|it| it.until(now));
        let bytes = self.bytes.as_mut().and_then(|it| it.until(now));
        messages.max(bytes)
    }

    /// A message on its way out, or dropped and acknowledged.
    fn send_out(&mut self, publish: &Publish<'_>, now: Time) {
        if let Some(given_up) = self.memory.suspicion.gives_up(publish) {
            return self.give_up(publish, given_up);
        }
        let written = self.write_out(publish, now);
        if let Ok(qos) = written {
            self.memory.suspicion.sent(publish, qos);
        }
        match written {
            Ok(QoS::AtMostOnce) => self.settle_here(publish),
            Ok(qos) => {
                let Some(id) = publish.packet_id else { return };
                self.outbound.insert(id.get());
                if qos == QoS::ExactlyOnce {
                    self.memory.remote.insert(id.get());
                }
                if qos < publish.qos {
                    self.lowered.insert(id.get());
                } else {
                    // The identifier may have been one's that was, if an answer to that was odd.
                    self.lowered.remove(id.get());
                }
            }
            Err(why) => {
                self.drop_message(why);
                self.settle_here(publish);
            }
        }
    }

    /// The other server ends the connection whenever this message comes.
    fn give_up(&mut self, publish: &Publish<'_>, given_up: GivenUp) {
        self.figures.complain(format!(
            "a message of {} bytes to {} was dropped: the other server ends the connection whenever \
             it comes",
            given_up.bytes, given_up.topic
        ));
        self.given_up = Some(given_up);
        self.drop_message(Dropped::EndsConnection);
        if let Some(id) = publish.packet_id
            && self.memory.remote.remove(id.get())
        {
            // If it kept the identifier all the same, the next message by it would be none to it.
            self.swept_remote.insert(id.get());
            self.acknowledge(Side::Remote, Packet::PubRel, id);
        }
        self.settle_here(publish);
    }

    /// Nothing will be heard of it from the other server.
    fn settle_here(&mut self, publish: &Publish<'_>) {
        let Some(id) = publish.packet_id else { return };
        if publish.qos == QoS::ExactlyOnce {
            self.finishing_local.insert(id.get());
            self.acknowledge(Side::Local, Packet::PubRec, id);
        } else {
            self.acknowledge(Side::Local, Packet::PubAck, id);
        }
    }

    /// Writes a message to the other server, and says at which QoS.
    fn write_out(&mut self, publish: &Publish<'_>, now: Time) -> Result<QoS, Dropped> {
        let settings = std::sync::Arc::clone(&self.settings);
        let mut rules = settings.rules.iter();
        let found = rules.find_map(|rule| Some((rule, rule.outward(publish.topic)?)));
        let (rule, topic) = found.ok_or(Dropped::NoRule)?;
        let level = u16::MAX;
        if topic.len() > usize::from(level) || types::TopicName::parse(&topic, level).is_err() {
            return Err(Dropped::Topic);
        }
        let five = settings.version.has_properties();
        let via = settings.via.as_deref().filter(|_| five);
        let user = &publish.properties.forward.user;
        if via.is_some_and(|own| via::went_round(user, own)) {
            return Err(Dropped::Loop);
        }
        let longer = via.and_then(|own| via::extended(user, own));
        let forward = Forward {
            user: match &longer {
                Some(longer) => longer.as_borrowed(),
                None => publish.properties.forward.user,
            },
            ..publish.properties.forward
        };
        let qos = publish.qos.min(rule.qos()).min(self.takes.qos);
        let packet = Packet::Publish(Publish {
            dup: publish.dup && qos > QoS::AtMostOnce,
            qos,
            retain: publish.retain && settings.retains && self.takes.retain,
            topic: &topic,
            packet_id: publish.packet_id.filter(|_| qos > QoS::AtMostOnce),
            properties: PublishProperties {
                message_expiry: publish.properties.message_expiry,
                forward,
                ..PublishProperties::default()
            },
            payload: publish.payload,
        });
        let size = encoded_len(&packet, settings.version);
        if size > usize::try_from(self.takes.packet_size).unwrap_or(usize::MAX) {
            return Err(Dropped::TooLarge);
        }
        let output = &mut self.remote.output;
        encode(&packet, settings.version, output).map_err(|_| Dropped::TooLarge)?;
        self.figures.count_out(size);
        self.last_message = now;
        if let Some(bucket) = &mut self.messages {
            bucket.charge(1, now);
        }
        if let Some(bucket) = &mut self.bytes {
            bucket.charge(size as u64, now);
        }
        Ok(qos)
    }
}

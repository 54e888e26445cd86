//! Packets of the other server.

use codec::{Ack, Packet, Publish, PublishProperties, encode, encoded_len};
use types::{QoS, ReasonCode, Time, TopicName};

use super::{End, MOST_HELD_IN, MOST_TO_LOCAL, Relay, Side, Stage};
use crate::figures::Dropped;
use crate::via::{self, Passed};

impl Relay {
    pub(super) fn handle_remote(&mut self, packet: Packet<'_>, bytes: &[u8], now: Time) {
        match (packet, self.stage) {
            (Packet::ConnAck(connack), Stage::Connect) => self.admitted(&connack),
            (packet, Stage::Connect) => {
                let what = format!("{:?} before CONNACK", packet.packet_type());
                self.finish(End::Protocol(Side::Remote, what));
            }
            (Packet::PingResp, _) => self.memory.suspicion.alive(),
            (Packet::Disconnect(bye), _) if self.settings.version.has_properties() => {
                let words = bye.reason_string.unwrap_or_default().to_owned();
                self.finish(End::Disconnected(Side::Remote, bye.reason, words));
            }
            (Packet::SubAck(list) | Packet::UnsubAck(list), Stage::Subscribe) => {
                self.answered(Side::Remote, &list);
            }
            // Before this server is there, all waits for it.
            (
                Packet::Publish(_) | Packet::PubRel(_),
                Stage::Subscribe | Stage::NeedsLocal | Stage::ConnectLocal | Stage::SubscribeLocal,
            ) => self.hold(bytes),
            (Packet::Publish(publish), Stage::Open) => self.take_in(&publish, bytes, now),
            (Packet::PubRel(ack), Stage::Open) => {
                let id = ack.packet_id.get();
                if self.finishing_remote.remove(id) {
                    self.acknowledge(Side::Remote, Packet::PubComp, ack.packet_id);
                } else {
                    self.inbound.insert(id);
                    self.pass(Side::Local, Packet::PubRel, &ack);
                }
            }
            (Packet::PubAck(ack), Stage::SubscribeLocal | Stage::Open) => {
                self.acknowledged(&ack);
            }
            (Packet::PubRec(ack), Stage::SubscribeLocal | Stage::Open) => self.received(&ack),
            (Packet::PubComp(ack), _) => self.completed(&ack),
            (packet, _) => {
                let what = format!("{:?}", packet.packet_type());
                self.finish(End::Protocol(Side::Remote, what));
            }
        }
    }

    /// What the other server says to a message. One that is full will take it later; `false`: the
    /// relay is over for that.
    fn judge_there(&mut self, reason: ReasonCode) -> bool {
        if reason == ReasonCode::QuotaExceeded {
            self.finish(End::Full(Side::Remote));
            return false;
        }
        if reason.is_error() {
            self.drop_message(Dropped::RefusedThere);
        }
        true
    }

    fn acknowledged(&mut self, ack: &Ack<'_>) {
        let id = ack.packet_id.get();
        // An answer to nothing would settle what this server has yet to send.
        if !self.outbound.contains(id) {
            return;
        }
        self.memory.suspicion.answered(id);
        if !self.judge_there(ack.reason) {
            return;
        }
        self.outbound.remove(id);
        if self.lowered.remove(id) {
            self.finishing_local.insert(id);
            self.acknowledge(Side::Local, Packet::PubRec, ack.packet_id);
        } else {
            self.pass(Side::Local, Packet::PubAck, ack);
        }
    }

    fn received(&mut self, ack: &Ack<'_>) {
        let id = ack.packet_id.get();
        if !self.outbound.contains(id) {
            return;
        }
        self.memory.suspicion.answered(id);
        if !self.judge_there(ack.reason) {
            return;
        }
        if ack.reason.is_error() {
            self.outbound.remove(id);
            self.memory.remote.remove(id);
        }
        self.pass(Side::Local, Packet::PubRec, ack);
    }

    fn completed(&mut self, ack: &Ack<'_>) {
        let id = ack.packet_id.get();
        if self.swept_remote.remove(id) || !self.outbound.remove(id) {
            return;
        }
        self.memory.remote.remove(id);
        self.pass(Side::Local, Packet::PubComp, ack);
    }

    /// Keeps a packet for later; it must not be more than was agreed on.
    fn hold(&mut self, bytes: &[u8]) {
        if self.held_in.bytes.saturating_add(bytes.len()) > MOST_HELD_IN {
            return self.finish(End::TooMuch);
        }
        self.held_in.push(bytes);
    }

    /// Takes up what waited, as far as there is room here.
    pub(super) fn release_in(&mut self, now: Time) {
        if self.stage != Stage::Open || self.releases {
            return;
        }
        self.releases = true;
        while self.end.is_none()
            && self.next_has_room()
            && let Some(packet) = self.held_in.pop()
        {
            self.handle_packet(Side::Remote, &packet, now);
        }
        self.releases = false;
    }

    /// Whether the packet that waits longest may go to this server.
    fn next_has_room(&self) -> bool {
        let is_message = |packet: &Vec<u8>| packet.first().is_some_and(|first| first >> 4 == 3);
        let next = self.held_in.packets.front();
        next.is_some_and(|packet| !is_message(packet) || !self.is_full())
    }

    /// Whether this server is to get no more messages now.
    fn is_full(&self) -> bool {
        let most = usize::from(self.settings.bounds.receive_maximum.max(1));
        self.inbound.len() >= most || self.local.pending() > MOST_TO_LOCAL
    }

    fn take_in(&mut self, publish: &Publish<'_>, bytes: &[u8], now: Time) {
        if publish.properties.topic_alias.is_some() || publish.topic.is_empty() {
            let what = "a topic alias, which it was not allowed".to_owned();
            return self.finish(End::Protocol(Side::Remote, what));
        }
        // QoS 0 needs no room among those that are on their way.
        let waits = match publish.qos {
            QoS::AtMostOnce => !self.held_in.is_empty(),
            _ => self.is_full() || !self.held_in.is_empty(),
        };
        if waits && !self.releases {
            if publish.qos == QoS::AtMostOnce && self.held_in.bytes > MOST_TO_LOCAL {
                return self.drop_message(Dropped::Slow);
            }
            return self.hold(bytes);
        }
        match self.write_in(publish, now) {
            Ok(()) => {
                let Some(id) = publish.packet_id else { return };
                self.inbound.insert(id.get());
                if publish.qos == QoS::ExactlyOnce {
                    self.memory.local.insert(id.get());
                }
            }
            Err(why) => {
                self.drop_message(why);
                self.settle_there(publish);
            }
        }
    }

    /// The other server need not send it again.
    fn settle_there(&mut self, publish: &Publish<'_>) {
        let Some(id) = publish.packet_id else { return };
        if publish.qos == QoS::ExactlyOnce {
            self.finishing_remote.insert(id.get());
            self.acknowledge(Side::Remote, Packet::PubRec, id);
        } else {
            self.acknowledge(Side::Remote, Packet::PubAck, id);
        }
    }

    /// Writes a message to this server, unless that would end the connection for it.
    fn write_in(&mut self, publish: &Publish<'_>, now: Time) -> Result<(), Dropped> {
        let settings = std::sync::Arc::clone(&self.settings);
        if publish.qos == QoS::AtMostOnce && self.local.pending() > MOST_TO_LOCAL {
            return Err(Dropped::Slow);
        }
        let user = &publish.properties.forward.user;
        if let Some(own) = settings.via.as_deref()
            && via::passed(user, own) != Passed::New
        {
            return Err(Dropped::Loop);
        }
        let mut rules = settings.rules.iter();
        let topic = rules.find_map(|rule| rule.inward(publish.topic));
        let topic = topic.ok_or(Dropped::NoRule)?;
        let levels = settings.bounds.topic_levels;
        TopicName::parse(&topic, levels).map_err(|_| Dropped::Topic)?;
        if let Some(response) = publish.properties.forward.response_topic {
            TopicName::parse(response, levels).map_err(|_| Dropped::Topic)?;
        }
        // One more is for the list.
        if user.len() >= usize::from(settings.bounds.user_properties) {
            return Err(Dropped::Properties);
        }
        let via = settings.via.as_deref();
        let longer = via.and_then(|own| via::extended(user, own));
        let mut forward = publish.properties.forward;
        if let Some(longer) = &longer {
            forward.user = longer.as_borrowed();
        }
        let packet = Packet::Publish(Publish {
            topic: &topic,
            properties: PublishProperties {
                message_expiry: publish.properties.message_expiry,
                forward,
                ..PublishProperties::default()
            },
            ..*publish
        });
        let version = self.version(Side::Local);
        let size = encoded_len(&packet, version);
        if size > usize::try_from(self.local_packet_size).unwrap_or(usize::MAX) {
            return Err(Dropped::TooLarge);
        }
        encode(&packet, version, &mut self.local.output).map_err(|_| Dropped::TooLarge)?;
        self.figures.count_in(size);
        self.last_message = now;
        Ok(())
    }
}

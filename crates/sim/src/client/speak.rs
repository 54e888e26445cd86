//! What a client sends.

use std::time::Duration;

use codec::{
    Ack, Connect, ConnectProperties, Disconnect, Packet, Publish, PublishProperties, Subscribe,
    SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf, Will,
};
use types::{PacketId, QoS, ReasonCode, RetainHandling, SubscriptionOptions};

use super::{Asked, Client, Outgoing, Owed, Question, State};
use crate::messages::{MessageId, Messages, Sent};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::universe::LinkId;

/// QoS 1 and 2 messages that a MQTT 3 client has outstanding at most.
const WINDOW: usize = 20;

impl Client {
    fn say(&mut self, packet: &Packet<'_>) {
        let encoded = codec::encode(packet, self.habits.version, &mut self.outbox);
        assert!(encoded.is_ok(), "a client says nonsense: {packet:?}");
    }

    /// Opens a connection on a new link.
    pub fn connect(
        &mut self,
        link: LinkId,
        clean: bool,
        plan: &Plan,
        rng: &mut Rng,
        messages: &mut Messages,
    ) -> Asked {
        self.lose_link();
        self.link = Some(link);
        self.state = State::Greeting;
        self.connection += 1;
        let five = self.is_five();
        let seconds = Duration::from_secs(u64::from(self.habits.session_expiry));
        let expiry = match (five, clean) {
            (true, _) => seconds.min(plan.limits.session_expiry),
            (false, true) => Duration::ZERO,
            (false, false) => plan.limits.v3_session_expiry,
        };
        self.expires_with_connection = expiry.is_zero();
        let will = rng
            .percent(self.habits.will)
            .then(|| self.new_message(plan, rng, messages));
        let delay = if five {
            rng.below(self.habits.will_delay + 1)
        } else {
            0
        };
        self.greet(clean, will, delay, messages);
        let delay = Duration::from_secs(u64::try_from(delay).unwrap_or(0));
        Asked {
            clean,
            expiry,
            keep_alive: self.habits.keep_alive,
            will: will.map(|message| (message, delay)),
        }
    }

    fn greet(&mut self, clean: bool, will: Option<MessageId>, delay: usize, messages: &Messages) {
        let habits = self.habits.clone();
        let five = self.is_five();
        let properties = if five {
            ConnectProperties {
                session_expiry: Some(habits.session_expiry),
                receive_maximum: habits.receive_maximum,
                maximum_packet_size: habits.packet_size,
                topic_alias_maximum: (habits.aliases > 0).then_some(habits.aliases),
                ..ConnectProperties::default()
            }
        } else {
            ConnectProperties::default()
        };
        let will = will.map(|message| {
            let sent = messages.at(message);
            Will {
                topic: sent.topic,
                payload: &sent.payload,
                qos: sent.qos,
                retain: sent.retain,
                delay: five.then_some(u32::try_from(delay).unwrap_or(0)),
                message_expiry: sent.expiry,
                forward: Default::default(),
            }
        });
        let client_id = self.id.clone();
        self.say(&Packet::Connect(Box::new(Connect {
            version: habits.version,
            bridge: false,
            clean_start: clean,
            keep_alive: habits.keep_alive,
            client_id: &client_id,
            will,
            username: None,
            password: None,
            properties,
        })));
        self.window = habits.receive_maximum.map_or(usize::MAX, usize::from);
    }

    fn new_message(&self, plan: &Plan, rng: &mut Rng, messages: &mut Messages) -> MessageId {
        let size = if rng.percent(self.habits.large) {
            rng.between(100, 700)
        } else {
            0
        };
        let sent = Sent {
            client: self.number,
            topic: rng.pick(&plan.topics),
            qos: rng.pick(&self.habits.qos),
            retain: rng.percent(self.habits.retain),
            expiry: rng
                .percent(self.habits.expires)
                .then(|| rng.pick(&[1, 5, 100])),
            payload: Vec::new(),
        };
        messages.add(sent, size)
    }

    fn new_packet_id(&mut self) -> PacketId {
        loop {
            let id = self.next_id;
            self.next_id = id.next();
            let taken = self.outgoing.iter().any(|outgoing| outgoing.id == id);
            if !taken && !self.questions.contains_key(&id) && !self.retried.contains(&id) {
                return id;
            }
        }
    }

    /// PUBLISH, if the server's Receive Maximum has room for it; the message.
    pub fn publish(
        &mut self,
        plan: &Plan,
        rng: &mut Rng,
        messages: &mut Messages,
    ) -> Option<MessageId> {
        if self.outgoing.len() >= self.server_window.min(WINDOW) {
            return None;
        }
        if self.habits.retain > 0 && rng.percent(5) {
            self.clear_retained(rng.pick(&plan.topics));
            return None;
        }
        let message = self.new_message(plan, rng, messages);
        let qos = messages.at(message).qos;
        let id = (qos != QoS::AtMostOnce).then(|| self.new_packet_id());
        if let Some(id) = id {
            self.outgoing.push(Outgoing {
                id,
                qos,
                message,
                released: false,
            });
        }
        let alias = (self.habits.aliases > 0 && self.server_aliases > 0 && rng.percent(50))
            .then(|| u16::try_from(rng.between(1, usize::from(self.server_aliases))).unwrap_or(1));
        self.say_publish(message, id, false, alias, messages);
        Some(message)
    }

    fn say_publish(
        &mut self,
        message: MessageId,
        packet_id: Option<PacketId>,
        dup: bool,
        topic_alias: Option<u16>,
        messages: &Messages,
    ) {
        let sent = messages.at(message);
        let known = topic_alias
            .is_some_and(|alias| self.aliases_out.insert(alias, sent.topic) == Some(sent.topic));
        self.say(&Packet::Publish(Publish {
            dup,
            qos: sent.qos,
            retain: sent.retain,
            topic: if known { "" } else { sent.topic },
            packet_id,
            properties: PublishProperties {
                message_expiry: sent.expiry,
                topic_alias,
                ..PublishProperties::default()
            },
            payload: &sent.payload,
        }));
    }

    /// An empty retained message (MQTT-3.3.1-6).
    fn clear_retained(&mut self, topic: &str) {
        self.say(&Packet::Publish(Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: true,
            topic,
            packet_id: None,
            properties: PublishProperties::default(),
            payload: b"",
        }));
    }

    /// Everything that was not acknowledged, again and in order (MQTT-4.4.0-1).
    pub(super) fn resend(&mut self, messages: &Messages) {
        for outgoing in self.outgoing.clone() {
            if outgoing.released {
                self.say_pubrel(outgoing.id);
            } else {
                self.say_publish(outgoing.message, Some(outgoing.id), true, None, messages);
            }
        }
    }

    /// A QoS 2 message again on the same connection, as MQTT 3.1 allows.
    pub fn retry(&mut self, rng: &mut Rng, messages: &Messages) {
        let waiting: Vec<Outgoing> = self
            .outgoing
            .iter()
            .filter(|outgoing| outgoing.qos == QoS::ExactlyOnce && !outgoing.released)
            .cloned()
            .collect();
        if !waiting.is_empty() {
            let outgoing = rng.pick(&waiting);
            self.retried.insert(outgoing.id);
            self.say_publish(outgoing.message, Some(outgoing.id), true, None, messages);
        }
    }

    pub(super) fn say_pubrel(&mut self, id: PacketId) {
        if self.state == State::Leaving {
            return;
        }
        self.say(&Packet::PubRel(Ack::new(id, ReasonCode::Success)));
    }

    /// Sends so many of the acknowledgements that are held back, in order (MQTT-4.6.0-2).
    pub fn acknowledge(&mut self, count: usize) {
        // Nothing follows DISCONNECT (MQTT-3.14.4-2).
        if self.state == State::Leaving {
            return;
        }
        for _ in 0..count {
            let Some(owed) = self.owed.pop_front() else {
                return;
            };
            let (packet, id, done) = match owed {
                Owed::Puback(id) => (Packet::PubAck(Ack::new(id, ReasonCode::Success)), id, true),
                Owed::Pubrec(id, true) => {
                    let ack = Ack::new(id, ReasonCode::QuotaExceeded);
                    (Packet::PubRec(ack), id, true)
                }
                Owed::Pubrec(id, false) => {
                    (Packet::PubRec(Ack::new(id, ReasonCode::Success)), id, false)
                }
                Owed::Pubcomp(id) => (Packet::PubComp(Ack::new(id, ReasonCode::Success)), id, true),
            };
            if let (Owed::Pubrec(_, refused), Some(incoming)) = (owed, self.incoming.get_mut(&id)) {
                incoming.refused = refused;
            }
            if done {
                self.counted.remove(&id);
                if let Some(incoming) = self.incoming.get_mut(&id) {
                    incoming.done = true;
                }
            }
            self.say(&packet);
        }
    }

    /// SUBSCRIBE with one to three filters.
    pub fn subscribe(&mut self, plan: &Plan, rng: &mut Rng) {
        let mut filters = SubscribeFiltersBuf::new();
        let mut asked = Vec::new();
        for _ in 0..rng.pick(&[1, 1, 1, 3]) {
            let filter = rng.pick(&plan.filters);
            let mut options = SubscriptionOptions::plain(rng.pick(&self.habits.qos));
            if self.habits.options {
                options.no_local = rng.percent(30) && !filter.starts_with("$share/");
                options.retain_as_published = rng.percent(30);
                options.retain_handling = rng.pick(&[
                    RetainHandling::Send,
                    RetainHandling::SendIfNew,
                    RetainHandling::DoNotSend,
                ]);
            }
            assert!(filters.push(filter, options).is_ok(), "filter too long");
            asked.push(options.qos);
        }
        let packet_id = self.new_packet_id();
        self.questions.insert(packet_id, Question::Subscribe(asked));
        let subscription_id = (self.habits.ids && rng.percent(70))
            .then(|| u32::try_from(rng.between(1, 300)).unwrap_or(1));
        self.say(&Packet::Subscribe(Subscribe {
            packet_id,
            subscription_id,
            user: Default::default(),
            filters: filters.as_borrowed(),
        }));
    }

    /// UNSUBSCRIBE from one or two filters, subscribed to or not.
    pub fn unsubscribe(&mut self, plan: &Plan, rng: &mut Rng) {
        let mut filters = UnsubscribeFiltersBuf::new();
        let count = rng.pick(&[1, 1, 2]);
        for _ in 0..count {
            let pushed = filters.push(rng.pick(&plan.filters));
            assert!(pushed.is_ok(), "filter too long");
        }
        let packet_id = self.new_packet_id();
        self.questions
            .insert(packet_id, Question::Unsubscribe(count));
        self.say(&Packet::Unsubscribe(Unsubscribe {
            packet_id,
            user: Default::default(),
            filters: filters.as_borrowed(),
        }));
    }

    /// DISCONNECT: normal, or in a way that keeps the will, or with another expiry.
    pub fn disconnect(&mut self, rng: &mut Rng) {
        let mut disconnect = Disconnect::new(ReasonCode::Success);
        if self.is_five() {
            if rng.percent(30) {
                disconnect.reason = ReasonCode::DisconnectWithWill;
            }
            if rng.percent(30) && !self.expires_with_connection {
                disconnect.session_expiry = Some(rng.pick(&[0, 3, 600]));
            }
        }
        self.say(&Packet::Disconnect(disconnect));
        self.state = State::Leaving;
    }

    /// PINGREQ.
    pub fn ping(&mut self) {
        self.say(&Packet::PingReq);
    }
}

//! What a client sends.

use codec::{
    Ack, Connect, ConnectProperties, Disconnect, Packet, Publish, PublishProperties, Subscribe,
    SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf, Will,
};
use types::{PacketId, QoS, ReasonCode, RetainHandling, SubscriptionOptions};

use super::client::{Asked, Client, Outgoing, Owed, Question, State};
use super::ledger::{Ledger, MessageId, Posted};
use super::plan::{Plan, SHARED, TOPICS, WILLS};
use crate::rng::Rng;
use crate::universe::LinkId;

/// QoS 1 and 2 messages that a client has outstanding at most.
const WINDOW: usize = 20;

impl Client {
    fn say(&mut self, packet: &Packet<'_>) {
        let encoded = codec::encode(packet, self.habits.version, &mut self.outbox);
        assert!(encoded.is_ok(), "a client says nonsense: {packet:?}");
        let said = match packet {
            Packet::Publish(publish) => {
                let payload = publish.payload.get(..8).unwrap_or(publish.payload);
                let payload = String::from_utf8_lossy(payload);
                let Publish {
                    dup,
                    qos,
                    retain,
                    topic,
                    packet_id,
                    ..
                } = publish;
                format!("{payload}.. {packet_id:?} {qos:?} on {topic} (DUP {dup}, retain {retain})")
            }
            Packet::Subscribe(subscribe) => format!("{subscribe:?}"),
            other => format!("{:?}", other.packet_type()),
        };
        self.said.push(said);
    }

    /// Opens a connection on a new link.
    pub fn connect(&mut self, link: LinkId, clean: bool, rng: &mut Rng, ledger: &mut Ledger) {
        self.link = Some(link);
        self.state = State::Greeting;
        self.connection += 1;
        let will = rng.percent(self.habits.will).then(|| {
            let topic = rng.pick(&WILLS);
            let mut posted = self.new_message(topic, rng);
            posted.expiry = None;
            posted.is_will = true;
            let delay = u32::try_from(rng.below(self.habits.will_delay + 1)).unwrap_or(0);
            (ledger.post(posted), delay)
        });
        self.asked = Asked { clean, will };
        self.greet(clean, will, ledger);
    }

    fn greet(&mut self, clean: bool, will: Option<(MessageId, u32)>, ledger: &Ledger) {
        let habits = self.habits.clone();
        let five = self.is_five();
        let mut properties = ConnectProperties::default();
        if five {
            properties.session_expiry = Some(habits.expiry);
            properties.receive_maximum = habits.receive_maximum;
        }
        let will = will.map(|(message, delay)| {
            let posted = ledger.posted(message);
            Will {
                topic: posted.topic,
                payload: &posted.payload,
                qos: posted.qos,
                retain: posted.retain,
                delay: five.then_some(delay),
                message_expiry: None,
                forward: Default::default(),
            }
        });
        let client_id = self.id.clone();
        self.say(&Packet::Connect(Box::new(Connect {
            version: habits.version,
            bridge: false,
            clean_start: clean,
            keep_alive: 0,
            client_id: &client_id,
            will,
            username: None,
            password: None,
            properties,
        })));
        self.window = habits.receive_maximum.map_or(usize::MAX, usize::from);
    }

    fn new_message(&self, topic: &'static str, rng: &mut Rng) -> Posted {
        let size = if rng.percent(self.habits.large) {
            rng.between(200, 4_000)
        } else {
            0
        };
        Posted::new(self.number, topic, rng.pick(&self.habits.publishes), size)
    }

    fn new_packet_id(&mut self) -> PacketId {
        loop {
            let id = self.next_id;
            self.next_id = id.next();
            let taken = self.outgoing.iter().any(|outgoing| outgoing.id == id);
            if !taken && !self.questions.contains_key(&id) {
                return id;
            }
        }
    }

    /// PUBLISH, if the server's Receive Maximum has room for it.
    pub fn publish(&mut self, groups: bool, rng: &mut Rng, ledger: &mut Ledger) {
        if self.outgoing.len() >= self.server_window.min(WINDOW) {
            return;
        }
        let topic = match groups && rng.percent(50) {
            true => rng.pick(&SHARED),
            false => rng.pick(&TOPICS),
        };
        let mut posted = self.new_message(topic, rng);
        posted.retain = !groups && rng.percent(self.habits.retain)
            || topic.starts_with('t') && rng.percent(self.habits.retain);
        posted.clears = posted.retain && rng.percent(20);
        posted.expiry = rng
            .percent(self.habits.expires)
            .then(|| rng.pick(&[2, 60, 3_600]));
        let qos = posted.qos;
        let id = (qos != QoS::AtMostOnce).then(|| self.new_packet_id());
        let message = ledger.post(posted);
        if let Some(id) = id {
            self.outgoing.push(Outgoing {
                id,
                qos,
                message,
                released: false,
            });
        }
        self.say_publish(message, id, false, ledger);
    }

    fn say_publish(
        &mut self,
        message: MessageId,
        packet_id: Option<PacketId>,
        dup: bool,
        ledger: &Ledger,
    ) {
        let posted = ledger.posted(message);
        self.say(&Packet::Publish(Publish {
            dup,
            qos: posted.qos,
            retain: posted.retain,
            topic: posted.topic,
            packet_id,
            properties: PublishProperties {
                message_expiry: posted.expiry,
                ..PublishProperties::default()
            },
            payload: &posted.payload,
        }));
    }

    /// Everything that was not acknowledged, again and in order (MQTT-4.4.0-1).
    pub(super) fn resend(&mut self, ledger: &mut Ledger) {
        for outgoing in self.outgoing.clone() {
            if outgoing.released {
                self.say_pubrel(outgoing.id);
            } else {
                ledger.resent(outgoing.message);
                self.say_publish(outgoing.message, Some(outgoing.id), true, ledger);
            }
        }
    }

    pub(super) fn say_pubrel(&mut self, id: PacketId) {
        if self.state != State::Leaving {
            self.say(&Packet::PubRel(Ack::new(id, ReasonCode::Success)));
        }
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
            let packet = match owed {
                Owed::Puback(id) => {
                    self.counted.remove(&id);
                    if let Some(incoming) = self.incoming.get_mut(&id) {
                        incoming.answered = true;
                    }
                    Packet::PubAck(Ack::new(id, ReasonCode::Success))
                }
                Owed::Pubrec(id) => {
                    if let Some(incoming) = self.incoming.get_mut(&id) {
                        incoming.answered = true;
                    }
                    Packet::PubRec(Ack::new(id, ReasonCode::Success))
                }
                Owed::Pubcomp(id) => {
                    self.counted.remove(&id);
                    Packet::PubComp(Ack::new(id, ReasonCode::Success))
                }
            };
            self.say(&packet);
        }
    }

    /// SUBSCRIBE with one filter.
    pub fn subscribe(&mut self, plan: &Plan, rng: &mut Rng, ledger: &mut Ledger) {
        let mut filters = self.habits.filters.clone();
        if !self.lasts() && !plan.mixed_groups {
            filters.retain(|filter| !filter.starts_with('$'));
        }
        if filters.is_empty() {
            return;
        }
        let filter = rng.pick(&filters);
        let mut options = SubscriptionOptions::plain(rng.pick(&self.habits.subscribes));
        let mut subscription_id = None;
        if self.habits.options {
            options.no_local = rng.percent(20) && !filter.starts_with("$share/");
            options.retain_as_published = rng.percent(30);
            options.retain_handling = rng.pick(&[
                RetainHandling::Send,
                RetainHandling::SendIfNew,
                RetainHandling::DoNotSend,
            ]);
            subscription_id = rng
                .percent(60)
                .then(|| u32::try_from(rng.between(1, 300)).unwrap_or(1));
        }
        let mut filters = SubscribeFiltersBuf::new();
        assert!(filters.push(filter, options).is_ok(), "filter too long");
        let packet_id = self.new_packet_id();
        let place = ledger.subscribing(self.number, filter, options, subscription_id);
        self.questions
            .insert(packet_id, Question::Subscribe(place, options.qos));
        self.say(&Packet::Subscribe(Subscribe {
            packet_id,
            subscription_id,
            user: Default::default(),
            filters: filters.as_borrowed(),
        }));
    }

    /// UNSUBSCRIBE from something that it is subscribed to.
    pub fn unsubscribe(&mut self, rng: &mut Rng, ledger: &mut Ledger) {
        let Some((place, filter)) = ledger.some_subscription(self.number, rng) else {
            return;
        };
        let mut filters = UnsubscribeFiltersBuf::new();
        assert!(filters.push(filter).is_ok(), "filter too long");
        let packet_id = self.new_packet_id();
        ledger.unsubscribing(self.number, place);
        self.questions
            .insert(packet_id, Question::Unsubscribe(place));
        self.say(&Packet::Unsubscribe(Unsubscribe {
            packet_id,
            user: Default::default(),
            filters: filters.as_borrowed(),
        }));
    }

    /// DISCONNECT, at times with the end of the session (5.0).
    pub fn disconnect(&mut self, ends_session: bool) {
        self.ends_session = ends_session && self.lasts();
        let mut disconnect = Disconnect::new(ReasonCode::Success);
        if ends_session {
            disconnect.session_expiry = Some(0);
        }
        self.say(&Packet::Disconnect(disconnect));
        self.state = State::Leaving;
    }
}

//! A server with one client and its session, as the standard says.

use std::collections::{BTreeSet, VecDeque};

use codec::{
    Ack, ConnAck, Connect, Frame, Packet, Publish, PublishProperties, ReasonList,
    UserPropertiesBuf, decode, encode, frame,
};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode};

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) user: Vec<(String, String)>,
}

/// What is said to messages.
#[derive(Clone, Copy)]
pub(super) enum Said {
    Takes,
    Refuses(ReasonCode),
}

#[derive(Clone, Debug, Default)]
struct Session {
    queue: VecDeque<Sent>,
    /// In order: the identifier, the message, and whether PUBREC came.
    inflight: Vec<(u16, Sent, bool)>,
    received: BTreeSet<u16>,
    last: u16,
}

pub(super) struct Server {
    version: ProtocolVersion,
    session: Option<Session>,
    /// What waits before there is a session.
    before: VecDeque<Sent>,
    connected: bool,
    input: Vec<u8>,
    pub(super) output: Vec<u8>,
    published: Vec<Sent>,
    acknowledged: usize,
    pub(super) window: u16,
    pub(super) most_unreleased: usize,
    pub(super) answers: Said,
    pub(super) refuses: Option<ReasonCode>,
    pub(super) refuses_subscriptions: bool,
    pub(super) maximum_packet_size: Option<u32>,
    pub(super) maximum_qos: Option<QoS>,
    pub(super) retain_available: Option<bool>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) keep_alive: Option<u16>,
    /// Ends the connection at a message with this payload, as MQTT 3 has it.
    pub(super) poison: Option<String>,
    /// And says why, in 5.0.
    pub(super) parting_word: Option<ReasonCode>,
    /// Takes messages and does not answer.
    pub(super) mute: bool,
    /// The link is ended from this side.
    pub(super) closed: bool,
    pub(super) will: Option<String>,
    pub(super) pings: usize,
    pub(super) subscribed: Vec<String>,
    pub(super) unsubscribed: Vec<String>,
    pub(super) most_filters: usize,
}

impl Server {
    pub(super) fn new(version: ProtocolVersion) -> Self {
        Self {
            version,
            session: None,
            before: VecDeque::new(),
            connected: false,
            input: Vec::new(),
            output: Vec::new(),
            published: Vec::new(),
            acknowledged: 0,
            window: 0,
            most_unreleased: 0,
            answers: Said::Takes,
            refuses: None,
            refuses_subscriptions: false,
            maximum_packet_size: None,
            maximum_qos: None,
            retain_available: None,
            receive_maximum: None,
            keep_alive: None,
            poison: None,
            parting_word: None,
            mute: false,
            closed: false,
            will: None,
            pings: 0,
            subscribed: Vec::new(),
            unsubscribed: Vec::new(),
            most_filters: 0,
        }
    }

    /// Somebody publishes what the bridge subscribed to.
    pub(super) fn send(&mut self, topic: &str, payload: &str, qos: QoS) {
        self.send_again(Sent {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: false,
            user: Vec::new(),
        });
    }

    pub(super) fn send_retained(&mut self, topic: &str, payload: &str, qos: QoS) {
        self.send_again(Sent {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain: true,
            user: Vec::new(),
        });
    }

    pub(super) fn send_again(&mut self, message: Sent) {
        match &mut self.session {
            // QoS 0 does not wait for who is away.
            _ if message.qos == QoS::AtMostOnce && !self.connected => {}
            Some(session) => session.queue.push_back(message),
            None => self.before.push_back(message),
        }
        self.pump();
    }

    /// Payloads that the bridge published to a topic.
    pub(super) fn published(&self, topic: &str) -> Vec<&str> {
        let of = self.published.iter().filter(|one| one.topic == topic);
        of.map(|one| &*one.payload).collect()
    }

    pub(super) fn qos_of(&self, topic: &str) -> Vec<QoS> {
        let of = self.published.iter().filter(|one| one.topic == topic);
        of.map(|one| one.qos).collect()
    }

    pub(super) fn take_published(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.published)
    }

    /// Messages that the bridge took to the end.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// Whether nothing waits and nothing is on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.session.as_ref().is_some_and(|session| {
            session.queue.is_empty() && session.inflight.is_empty() && session.received.is_empty()
        })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The link is gone, with what was on it.
    pub(super) fn hang_up(&mut self) {
        self.connected = false;
        self.closed = false;
        self.input.clear();
        self.output.clear();
    }

    /// The session is forgotten; what waited in it is published once more by whoever did.
    pub(super) fn lose_session(&mut self) -> Vec<Sent> {
        self.hang_up();
        let session = self.session.take().unwrap_or_default();
        let underway = session.inflight.into_iter().filter(|(.., came)| !came);
        let underway = underway.map(|(_, message, _)| message);
        underway.chain(session.queue).collect()
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Frame::Complete {
            first_byte,
            header_len,
            total_len,
        } = frame(rest, u32::MAX).unwrap()
        {
            let packet = decode(self.version, first_byte, &rest[header_len..total_len]).unwrap();
            self.handle(packet);
            rest = &rest[total_len..];
            if self.closed {
                self.connected = false;
                return;
            }
        }
        self.input = rest.to_vec();
        self.pump();
    }

    fn handle(&mut self, packet: Packet<'_>) {
        match packet {
            Packet::Connect(connect) => self.connect(&connect),
            Packet::Subscribe(subscribe) => {
                let filters: Vec<_> = subscribe.filters.iter().collect();
                self.most_filters = self.most_filters.max(filters.len());
                let reasons: Vec<u8> = filters
                    .iter()
                    .map(|one| match self.refuses_subscriptions {
                        true => 0x87,
                        false => one.options.qos.bits(),
                    })
                    .collect();
                let names = filters.iter().map(|one| one.filter.to_owned());
                self.subscribed.extend(names);
                let list = ReasonList::new(subscribe.packet_id, &reasons);
                self.write(&Packet::SubAck(list));
            }
            Packet::Unsubscribe(unsubscribe) => {
                let names = unsubscribe.filters.iter().map(str::to_owned);
                self.unsubscribed.extend(names);
                let reasons = vec![0; unsubscribe.filters.len()];
                let list = ReasonList::new(unsubscribe.packet_id, &reasons);
                self.write(&Packet::UnsubAck(list));
            }
            Packet::PingReq => {
                self.pings += 1;
                self.write(&Packet::PingResp);
            }
            Packet::Disconnect(_) => self.connected = false,
            Packet::Publish(publish) => self.publish(&publish),
            Packet::PubAck(ack) => self.settle(&ack, false),
            Packet::PubRec(ack) if ack.reason.is_error() => self.settle(&ack, false),
            Packet::PubRec(ack) => {
                let session = self.session.as_mut().unwrap();
                let id = ack.packet_id.get();
                let known = session.inflight.iter_mut().find(|(known, ..)| *known == id);
                let (_, message, came) = known.expect("PUBREC for what was sent");
                assert_eq!(message.qos, QoS::ExactlyOnce);
                *came = true;
                self.write(&Packet::PubRel(Ack::new(
                    ack.packet_id,
                    ReasonCode::Success,
                )));
            }
            Packet::PubRel(ack) => {
                let session = self.session.as_mut().unwrap();
                let reason = match session.received.remove(&ack.packet_id.get()) {
                    true => ReasonCode::Success,
                    false => ReasonCode::PacketIdentifierNotFound,
                };
                self.write(&Packet::PubComp(Ack::new(ack.packet_id, reason)));
            }
            Packet::PubComp(ack) => self.settle(&ack, true),
            other => panic!("a client does not send {:?}", other.packet_type()),
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        if let Some(reason) = self.refuses {
            return self.write(&Packet::ConnAck(Box::new(ConnAck::new(reason))));
        }
        assert!(!self.connected);
        self.connected = true;
        self.will = connect.will.as_ref().map(|will| will.topic.to_owned());
        self.window = connect.properties.receive_maximum.unwrap_or(u16::MAX);
        if connect.clean_start {
            self.session = None;
        }
        let mut connack = ConnAck::new(ReasonCode::Success);
        connack.session_present = self.session.is_some() && self.version != ProtocolVersion::V31;
        connack.properties.maximum_packet_size = self.maximum_packet_size;
        connack.properties.maximum_qos = self.maximum_qos;
        connack.properties.retain_available = self.retain_available;
        connack.properties.server_keep_alive = self.keep_alive;
        connack.properties.receive_maximum = self.receive_maximum;
        self.write(&Packet::ConnAck(Box::new(connack)));
        let before = std::mem::take(&mut self.before);
        let session = self.session.get_or_insert_default();
        session.queue.extend(before);
        let again = session.inflight.clone();
        for (id, message, came) in again {
            let id = PacketId::new(id).unwrap();
            match came {
                true => self.write(&Packet::PubRel(Ack::new(id, ReasonCode::Success))),
                false => self.write_message(Some(id), &message, true),
            }
        }
    }

    fn publish(&mut self, publish: &Publish<'_>) {
        let limits = [self.maximum_qos.is_none_or(|most| publish.qos <= most)];
        if self.poison.as_deref().map(str::as_bytes) == Some(publish.payload) {
            if let Some(reason) = self.parting_word {
                self.write(&Packet::Disconnect(codec::Disconnect::new(reason)));
            }
            self.closed = true;
            return;
        }
        assert!(limits[0] && (self.retain_available != Some(false) || !publish.retain));
        let refused = match self.answers {
            Said::Takes => None,
            Said::Refuses(reason) => Some(reason),
        };
        let session = self.session.as_mut().unwrap();
        let id = publish.packet_id.map(PacketId::get);
        let is_new =
            publish.qos < QoS::ExactlyOnce || id.is_some_and(|id| !session.received.contains(&id));
        if publish.qos == QoS::ExactlyOnce && refused.is_none() {
            session.received.extend(id);
        }
        self.most_unreleased = self.most_unreleased.max(session.received.len());
        if is_new && refused.is_none() {
            let pairs = publish.properties.forward.user.iter();
            self.published.push(Sent {
                topic: publish.topic.into(),
                payload: String::from_utf8(publish.payload.into()).unwrap(),
                qos: publish.qos,
                retain: publish.retain,
                user: pairs
                    .map(|(key, value)| (key.into(), value.into()))
                    .collect(),
            });
        }
        let Some(id) = publish.packet_id.filter(|_| !self.mute) else {
            return;
        };
        let ack = Ack::new(id, refused.unwrap_or(ReasonCode::Success));
        self.write(&match publish.qos {
            QoS::ExactlyOnce => Packet::PubRec(ack),
            _ => Packet::PubAck(ack),
        });
    }

    fn settle(&mut self, ack: &Ack<'_>, completes: bool) {
        let session = self.session.as_mut().unwrap();
        let id = ack.packet_id.get();
        let place = session.inflight.iter().position(|(known, ..)| *known == id);
        let place = place.expect("an answer to what was sent");
        let (_, message, came) = session.inflight.remove(place);
        assert_eq!(completes, came);
        assert!(completes || ack.reason.is_error() || message.qos == QoS::AtLeastOnce);
        self.acknowledged += 1;
    }

    fn pump(&mut self) {
        while self.connected {
            let window = usize::from(self.window);
            let session = self.session.as_mut().unwrap();
            let Some(message) = session.queue.front().cloned() else {
                return;
            };
            let mut id = None;
            if message.qos > QoS::AtMostOnce {
                if session.inflight.len() >= window.min(60) {
                    return;
                }
                session.last = session.last % 64 + 1;
                while session
                    .inflight
                    .iter()
                    .any(|(known, ..)| *known == session.last)
                {
                    session.last = session.last % 64 + 1;
                }
                id = PacketId::new(session.last);
                session
                    .inflight
                    .push((session.last, message.clone(), false));
            }
            session.queue.pop_front();
            self.write_message(id, &message, false);
        }
    }

    fn write_message(&mut self, packet_id: Option<PacketId>, message: &Sent, dup: bool) {
        let mut user = UserPropertiesBuf::new();
        for (key, value) in &message.user {
            user.push(key, value).unwrap();
        }
        let mut properties = PublishProperties::default();
        properties.forward.user = user.as_borrowed();
        self.write(&Packet::Publish(Publish {
            dup,
            qos: message.qos,
            retain: message.retain,
            topic: &message.topic,
            packet_id,
            properties,
            payload: message.payload.as_bytes(),
        }));
    }

    fn write(&mut self, packet: &Packet<'_>) {
        encode(packet, self.version, &mut self.output).unwrap();
    }
}

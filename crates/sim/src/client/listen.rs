//! What a client hears, and the rules that it can check alone.

use codec::{Ack, ConnAck, Frame, Packet, Publish, ReasonList};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode};

use super::{Client, Incoming, Owed, Question, State};
use crate::failure::{Failure, ensure};
use crate::messages::{MessageId, Messages};
use crate::plan::Plan;
use crate::rng::Rng;

/// What is of interest beyond the client.
#[derive(Clone, Debug)]
pub enum Heard {
    /// CONNACK.
    Connected {
        /// Session Present.
        session_present: bool,
    },
    /// PUBLISH.
    Message(Told),
    /// SUBACK.
    Subscribed(PacketId),
    /// UNSUBACK, with its reasons as bytes (none for MQTT 3).
    Unsubscribed(PacketId, Vec<u8>),
}

/// A PUBLISH of the server.
#[derive(Clone, Debug)]
pub struct Told {
    /// The message; `None` if the payload is empty.
    pub message: Option<MessageId>,
    /// The topic, aliases resolved.
    pub topic: String,
    /// The QoS.
    pub qos: QoS,
    /// The retain flag.
    pub retain: bool,
    /// Not a repetition of what was heard before.
    pub fresh: bool,
    /// DUP.
    pub dup: bool,
    /// Subscription Identifiers.
    pub ids: Vec<u32>,
    /// Message Expiry Interval.
    pub expiry: Option<u32>,
}

impl Client {
    /// Takes bytes from the server; what came of them.
    pub fn listen(
        &mut self,
        bytes: &[u8],
        plan: &Plan,
        rng: &mut Rng,
        messages: &Messages,
    ) -> Result<Vec<Heard>, Failure> {
        self.inbox.extend_from_slice(bytes);
        let mut heard = Vec::new();
        loop {
            let framed = codec::frame(&self.inbox, u32::MAX)
                .map_err(|error| Failure(format!("{} gets no packet: {error}", self.id)))?;
            let Frame::Complete {
                first_byte,
                header_len,
                total_len,
            } = framed
            else {
                return Ok(heard);
            };
            let most = self.habits.packet_size.unwrap_or(u32::MAX);
            ensure!(
                u32::try_from(total_len).is_ok_and(|size| size <= most),
                "{} takes {most} bytes and gets {total_len} (MQTT-3.1.2-24)",
                self.id
            );
            let packet: Vec<u8> = self.inbox.drain(..total_len).collect();
            let packet = codec::decode(self.version(), first_byte, &packet[header_len..])
                .map_err(|error| Failure(format!("{} cannot decode: {error}", self.id)))?;
            heard.extend(self.hear(packet, plan, rng, messages)?);
        }
    }

    fn hear(
        &mut self,
        packet: Packet<'_>,
        plan: &Plan,
        rng: &mut Rng,
        messages: &Messages,
    ) -> Result<Option<Heard>, Failure> {
        ensure!(
            (self.state == State::Greeting) == matches!(packet, Packet::ConnAck(_)),
            "{} is {:?} and gets {packet:?} (MQTT-3.2.0-1, -2)",
            self.id,
            self.state
        );
        match packet {
            Packet::ConnAck(connack) => self.hear_connack(&connack, plan, messages).map(Some),
            Packet::Publish(publish) => {
                let told = self.hear_publish(&publish, rng, messages)?;
                if !rng.percent(self.habits.late) {
                    self.acknowledge(usize::MAX);
                }
                Ok(Some(Heard::Message(told)))
            }
            Packet::PubAck(ack) => self.hear_end(&ack, QoS::AtLeastOnce).map(|()| None),
            Packet::PubComp(ack) => self.hear_end(&ack, QoS::ExactlyOnce).map(|()| None),
            Packet::PubRec(ack) => self.hear_pubrec(&ack).map(|()| None),
            Packet::PubRel(ack) => {
                let known = self.incoming.get(&ack.packet_id);
                ensure!(
                    known.is_none_or(|known| !known.refused),
                    "{}: PUBREL for {} that was refused (MQTT-4.3.3-4)",
                    self.id,
                    ack.packet_id.get()
                );
                self.owed.push_back(Owed::Pubcomp(ack.packet_id));
                if !rng.percent(self.habits.late) {
                    self.acknowledge(usize::MAX);
                }
                Ok(None)
            }
            Packet::SubAck(list) => self.hear_suback(&list).map(Some),
            Packet::UnsubAck(list) => self.hear_unsuback(&list).map(Some),
            Packet::PingResp => Ok(None),
            Packet::Disconnect(_) if self.is_five() => Ok(None),
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::Disconnect(_)
            | Packet::Auth(_) => Err(Failure(format!("{} gets {packet:?}", self.id))),
        }
    }

    fn hear_connack(
        &mut self,
        connack: &ConnAck<'_>,
        plan: &Plan,
        messages: &Messages,
    ) -> Result<Heard, Failure> {
        let reason = connack.reason;
        ensure!(
            reason == ReasonCode::Success,
            "{} is refused: {reason:?}",
            self.id
        );
        let properties = &connack.properties;
        let all = usize::from(u16::MAX);
        self.server_window = properties.receive_maximum.map_or(all, usize::from);
        self.server_aliases = properties.topic_alias_maximum.unwrap_or(0);
        self.window = self.window.min(usize::from(plan.limits.inflight));
        self.state = State::Open;
        let found = self.session_found && self.version() != ProtocolVersion::V31;
        ensure!(
            connack.session_present == found,
            "{}: session present is {} (MQTT-3.2.2-2)",
            self.id,
            connack.session_present
        );
        self.resumed = self.session_found;
        // An earlier connection may have ended the session without the client's knowing: what
        // it remembers of the server's identifiers means nothing then.
        let epoch = self.link.and_then(|link| self.epochs.get(&link).copied());
        if epoch != Some(self.known_epoch) {
            self.incoming.clear();
            self.known_epoch = epoch.unwrap_or(0);
        }
        if self.resumed {
            self.resend(messages);
        } else {
            self.forget_session();
        }
        Ok(Heard::Connected {
            session_present: connack.session_present,
        })
    }

    fn hear_publish(
        &mut self,
        publish: &Publish<'_>,
        rng: &mut Rng,
        messages: &Messages,
    ) -> Result<Told, Failure> {
        let properties = &publish.properties;
        let topic = self.resolve(publish.topic, properties.topic_alias)?;
        let message = messages.find(publish.payload);
        ensure!(
            message.is_some() || publish.payload.is_empty(),
            "{} gets a payload that nobody sent: {:?}",
            self.id,
            publish.payload
        );
        if let Some(message) = message {
            let sent = messages.at(message);
            ensure!(
                sent.topic == topic,
                "{} gets {message:?} on {topic}, not on {}",
                self.id,
                sent.topic
            );
        }
        let fresh = match publish.packet_id {
            Some(id) => self.take_in(id, publish, message)?,
            None => true,
        };
        if let Some(id) = publish.packet_id {
            let refused = publish.qos == QoS::ExactlyOnce && rng.percent(self.habits.refuses);
            self.owed.push_back(match publish.qos {
                QoS::ExactlyOnce => Owed::Pubrec(id, refused),
                _ => Owed::Puback(id),
            });
        }
        Ok(Told {
            message,
            topic,
            qos: publish.qos,
            retain: publish.retain,
            fresh,
            dup: publish.dup,
            ids: properties.subscription_ids.iter().collect(),
            expiry: properties.message_expiry,
        })
    }

    fn resolve(&mut self, topic: &str, alias: Option<u16>) -> Result<String, Failure> {
        let Some(alias) = alias else {
            return Ok(topic.to_owned());
        };
        ensure!(
            (1..=self.habits.aliases).contains(&alias),
            "{} takes {} aliases and gets {alias} (MQTT-3.1.2-26)",
            self.id,
            self.habits.aliases
        );
        if !topic.is_empty() {
            self.aliases_in.insert(alias, topic.to_owned());
        }
        match self.aliases_in.get(&alias) {
            Some(topic) => Ok(topic.clone()),
            None => Err(Failure(format!("{}: unknown alias {alias}", self.id))),
        }
    }

    /// Books a QoS 1 or 2 message; whether it is new.
    fn take_in(
        &mut self,
        id: PacketId,
        publish: &Publish<'_>,
        message: Option<MessageId>,
    ) -> Result<bool, Failure> {
        let connection = self.connection;
        let name = self.id.clone();
        let fresh = match self.incoming.get_mut(&id) {
            // What was acknowledged and comes again counts as one more copy.
            Some(known)
                if publish.dup
                    && !known.acknowledged
                    && known.message == message
                    && known.qos == publish.qos =>
            {
                ensure!(
                    known.connection != connection,
                    "{name} gets {message:?} twice on one connection (MQTT-4.4.0-1)"
                );
                known.connection = connection;
                false
            }
            // A group gives QoS 1 to another member when one leaves; the identifier is free then.
            Some(known)
                if !publish.dup
                    && !known.done
                    && (known.connection == connection
                        || known.qos == QoS::ExactlyOnce
                        || !self.shares) =>
            {
                return Err(Failure(format!(
                    "{name}: packet id {} is in use for {:?} (MQTT-2.2.1-4)",
                    id.get(),
                    known.message
                )));
            }
            _ => true,
        };
        ensure!(
            !publish.dup || self.resumed,
            "{name} gets DUP in a new session (MQTT-3.3.1-3)"
        );
        if fresh {
            self.incoming.insert(
                id,
                Incoming {
                    message,
                    qos: publish.qos,
                    connection,
                    done: false,
                    refused: false,
                    acknowledged: false,
                },
            );
        }
        self.counted.insert(id);
        ensure!(
            self.counted.len() <= self.window,
            "{name} takes {} at a time and gets {} (MQTT-3.3.4-9)",
            self.window,
            self.counted.len()
        );
        Ok(fresh)
    }

    /// PUBACK or PUBCOMP.
    fn hear_end(&mut self, ack: &Ack<'_>, qos: QoS) -> Result<(), Failure> {
        let ended = self.outgoing.iter().position(|outgoing| {
            outgoing.id == ack.packet_id
                && outgoing.qos == qos
                && (outgoing.released || qos == QoS::AtLeastOnce)
        });
        let id = ack.packet_id.get();
        match ended {
            Some(place) => {
                self.outgoing.remove(place);
            }
            None => ensure!(
                self.retried.contains(&ack.packet_id),
                "{}: {id} is acknowledged and was not sent",
                self.id
            ),
        }
        ensure!(
            !ack.reason.is_error() || qos == QoS::ExactlyOnce,
            "{}: {id} is refused: {:?}",
            self.id,
            ack.reason
        );
        Ok(())
    }

    fn hear_pubrec(&mut self, ack: &Ack<'_>) -> Result<(), Failure> {
        let id = ack.packet_id;
        ensure!(
            !ack.reason.is_error(),
            "{}: {} is refused: {:?}",
            self.id,
            id.get(),
            ack.reason
        );
        let waiting = self
            .outgoing
            .iter_mut()
            .find(|outgoing| outgoing.id == id && outgoing.qos == QoS::ExactlyOnce);
        match waiting {
            Some(outgoing) => {
                outgoing.released = true;
                self.say_pubrel(id);
            }
            None => ensure!(
                self.retried.contains(&id),
                "{}: PUBREC for {} that was not sent",
                self.id,
                id.get()
            ),
        }
        Ok(())
    }

    fn hear_suback(&mut self, list: &ReasonList<'_>) -> Result<Heard, Failure> {
        let Some(Question::Subscribe(asked)) = self.questions.remove(&list.packet_id) else {
            return Err(Failure(format!(
                "{}: SUBACK that nobody asked for",
                self.id
            )));
        };
        let granted: Vec<u8> = asked.iter().map(|qos| qos.bits()).collect();
        ensure!(
            list.reasons == granted,
            "{} asked for {granted:?} and got {:?} (MQTT-3.8.4-6)",
            self.id,
            list.reasons
        );
        Ok(Heard::Subscribed(list.packet_id))
    }

    fn hear_unsuback(&mut self, list: &ReasonList<'_>) -> Result<Heard, Failure> {
        let Some(Question::Unsubscribe(count)) = self.questions.remove(&list.packet_id) else {
            return Err(Failure(format!(
                "{}: UNSUBACK that nobody asked for",
                self.id
            )));
        };
        ensure!(
            list.reasons.len() == count || !self.is_five(),
            "{}: {} reasons for {count} filters",
            self.id,
            list.reasons.len()
        );
        Ok(Heard::Unsubscribed(list.packet_id, list.reasons.to_vec()))
    }
}

//! What a client hears, and the rules that it can check alone.

use codec::{Ack, Frame, Packet, Publish, ReasonList};
use types::{PacketId, QoS, ReasonCode};

use super::client::{Client, Incoming, Owed, Question, State};
use super::ledger::{Ledger, MessageId};
use super::plan::Plan;
use crate::failure::{Failure, ensure};
use crate::rng::Rng;

/// A PUBLISH of the server.
#[derive(Clone, Debug)]
pub struct Told {
    /// The message; `None` if the payload is empty.
    pub message: Option<MessageId>,
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

/// What the run has to know.
#[derive(Clone, Debug)]
pub enum Heard {
    /// CONNACK with Session Present.
    Connected(bool),
    /// PUBLISH.
    Message(Told),
    /// Any other packet, in words.
    Other(String),
}

impl Client {
    /// Takes the next packet from what the server sent; what came of it.
    pub fn listen(
        &mut self,
        plan: &Plan,
        rng: &mut Rng,
        ledger: &mut Ledger,
    ) -> Result<Option<Heard>, Failure> {
        let framed = codec::frame(&self.inbox, u32::MAX)
            .map_err(|error| Failure(format!("{} gets no packet: {error}", self.id)))?;
        let Frame::Complete {
            first_byte,
            header_len,
            total_len,
        } = framed
        else {
            return Ok(None);
        };
        let packet: Vec<u8> = self.inbox.drain(..total_len).collect();
        let packet = codec::decode(self.version(), first_byte, &packet[header_len..])
            .map_err(|error| Failure(format!("{} cannot decode: {error}", self.id)))?;
        self.hear(packet, plan, rng, ledger).map(Some)
    }

    fn hear(
        &mut self,
        packet: Packet<'_>,
        plan: &Plan,
        rng: &mut Rng,
        ledger: &mut Ledger,
    ) -> Result<Heard, Failure> {
        ensure!(
            (self.state == State::Greeting) == matches!(packet, Packet::ConnAck(_)),
            "{} is {:?} and gets {packet:?} (MQTT-3.2.0-1, -2)",
            self.id,
            self.state
        );
        let words = match &packet {
            Packet::Publish(_) => String::new(),
            other => format!("{other:?}"),
        };
        match packet {
            // A full store takes no new session that lasts; the link is closed behind this.
            Packet::ConnAck(connack)
                if plan.refuses() && self.lasts() && says_full(connack.reason) => {}
            Packet::ConnAck(connack) => {
                ensure!(
                    connack.reason == ReasonCode::Success,
                    "{} is refused: {:?}",
                    self.id,
                    connack.reason
                );
                let all = usize::from(u16::MAX);
                let properties = &connack.properties;
                self.server_window = properties.receive_maximum.map_or(all, usize::from);
                self.window = self.window.min(usize::from(plan.limits.inflight));
                self.state = State::Open;
                return Ok(Heard::Connected(connack.session_present));
            }
            Packet::Publish(publish) => {
                let told = self.hear_publish(&publish, ledger)?;
                self.answer_at_times(rng);
                return Ok(Heard::Message(told));
            }
            Packet::PubAck(ack) => self.hear_end(&ack, QoS::AtLeastOnce, ledger)?,
            Packet::PubComp(ack) => self.hear_end(&ack, QoS::ExactlyOnce, ledger)?,
            Packet::PubRec(ack) => self.hear_pubrec(&ack, ledger)?,
            Packet::PubRel(ack) => self.hear_pubrel(&ack, rng)?,
            Packet::SubAck(list) => self.hear_suback(&list, plan, ledger)?,
            Packet::UnsubAck(list) => self.hear_unsuback(&list, ledger)?,
            Packet::Disconnect(_) if self.is_five() => {}
            other => return Err(Failure(format!("{} gets {other:?}", self.id))),
        }
        Ok(Heard::Other(words))
    }

    fn answer_at_times(&mut self, rng: &mut Rng) {
        if !rng.percent(self.habits.late) {
            self.acknowledge(usize::MAX);
        }
    }

    fn hear_publish(&mut self, publish: &Publish<'_>, ledger: &Ledger) -> Result<Told, Failure> {
        let properties = &publish.properties;
        let message = ledger.find(publish.payload);
        ensure!(
            message.is_some() || publish.payload.is_empty(),
            "{} gets a payload that nobody sent: {:?}",
            self.id,
            String::from_utf8_lossy(publish.payload)
        );
        if let Some(message) = message {
            let posted = ledger.posted(message);
            ensure!(
                posted.topic == publish.topic,
                "{} gets {message:?} on {}, not on {}",
                self.id,
                publish.topic,
                posted.topic
            );
        }
        let fresh = match publish.packet_id {
            Some(id) => self.take_in(id, publish, message, ledger)?,
            None => true,
        };
        Ok(Told {
            message,
            qos: publish.qos,
            retain: publish.retain,
            fresh,
            dup: publish.dup,
            ids: properties.subscription_ids.iter().collect(),
            expiry: properties.message_expiry,
        })
    }

    /// Books a QoS 1 or 2 message; whether it is new to the client.
    fn take_in(
        &mut self,
        id: PacketId,
        publish: &Publish<'_>,
        message: Option<MessageId>,
        ledger: &Ledger,
    ) -> Result<bool, Failure> {
        let (connection, qos) = (self.connection, publish.qos);
        let name = self.id.clone();
        let known = self.incoming.get_mut(&id);
        let fresh = match known {
            Some(known) if known.message == message && known.qos == qos && publish.dup => {
                ensure!(
                    known.connection != connection,
                    "{name} gets {message:?} twice on one connection (MQTT-4.4.0-1)"
                );
                known.connection = connection;
                known.stale = false;
                false
            }
            Some(known) if known.qos == QoS::ExactlyOnce => {
                return Err(Failure(format!(
                    "{name}: packet id {} comes with {message:?} at {qos:?} (DUP {}) and belongs \
                     to {:?} (MQTT-4.3.3-2)",
                    id.get(),
                    publish.dup,
                    known.message
                )));
            }
            Some(known)
                if !known.answered
                    && !known.shared
                    && (known.safe || known.connection == connection) =>
            {
                return Err(Failure(format!(
                    "{name}: packet id {} is in use for {:?} and comes with {message:?} \
                     (MQTT-2.2.1-4)",
                    id.get(),
                    known.message
                )));
            }
            _ => true,
        };
        if fresh {
            let shared = message.is_some_and(|one| ledger.posted(one).topic.starts_with('s'));
            let incoming = Incoming {
                message,
                qos,
                connection,
                answered: false,
                safe: false,
                stale: false,
                shared,
            };
            self.incoming.insert(id, incoming);
        }
        self.count(id, qos)?;
        Ok(fresh)
    }

    /// One more message to acknowledge, within the window.
    fn count(&mut self, id: PacketId, qos: QoS) -> Result<(), Failure> {
        self.owed.push_back(match qos {
            QoS::ExactlyOnce => Owed::Pubrec(id),
            _ => Owed::Puback(id),
        });
        if qos == QoS::ExactlyOnce {
            self.used2.insert(id);
        }
        self.counted.insert(id);
        ensure!(
            self.counted.len() <= self.window,
            "{} takes {} at a time and gets {} (MQTT-3.3.4-9)",
            self.id,
            self.window,
            self.counted.len()
        );
        Ok(())
    }

    fn hear_pubrel(&mut self, ack: &Ack<'_>, rng: &mut Rng) -> Result<(), Failure> {
        let id = ack.packet_id;
        let known = self.incoming.get(&id);
        if let Some(known) = known.filter(|known| known.qos == QoS::ExactlyOnce) {
            ensure!(
                known.answered,
                "{}: PUBREL for {} before PUBREC",
                self.id,
                id.get()
            );
            self.incoming.remove(&id);
        }
        ensure!(
            self.used2.contains(&id),
            "{}: PUBREL for {} that was never sent",
            self.id,
            id.get()
        );
        self.owed.push_back(Owed::Pubcomp(id));
        self.answer_at_times(rng);
        Ok(())
    }

    /// PUBACK or PUBCOMP.
    fn hear_end(&mut self, ack: &Ack<'_>, qos: QoS, ledger: &mut Ledger) -> Result<(), Failure> {
        let ended = self.outgoing.iter().position(|outgoing| {
            outgoing.id == ack.packet_id
                && outgoing.qos == qos
                && (outgoing.released || qos == QoS::AtLeastOnce)
        });
        let Some(place) = ended else {
            return Err(Failure(format!(
                "{}: {} is acknowledged and was not sent",
                self.id,
                ack.packet_id.get()
            )));
        };
        let outgoing = self.outgoing.remove(place);
        if qos == QoS::AtLeastOnce {
            self.answered(outgoing.message, ack.reason, ledger)?;
        }
        Ok(())
    }

    fn hear_pubrec(&mut self, ack: &Ack<'_>, ledger: &mut Ledger) -> Result<(), Failure> {
        let id = ack.packet_id;
        let place = self
            .outgoing
            .iter()
            .position(|outgoing| outgoing.id == id && outgoing.qos == QoS::ExactlyOnce);
        let Some(place) = place else {
            return Err(Failure(format!(
                "{}: PUBREC for {} that was not sent",
                self.id,
                id.get()
            )));
        };
        let message = self.outgoing[place].message;
        if ack.reason.is_error() {
            self.outgoing.remove(place);
        } else {
            self.outgoing[place].released = true;
            self.say_pubrel(id);
        }
        self.answered(message, ack.reason, ledger)
    }

    fn answered(
        &self,
        message: MessageId,
        reason: ReasonCode,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        ensure!(
            !reason.is_error() || reason == ReasonCode::QuotaExceeded,
            "{}: {message:?} is refused: {reason:?}",
            self.id
        );
        if reason.is_error() {
            ledger.gave_up(message);
        } else {
            ledger.acknowledged(message);
        }
        Ok(())
    }

    fn hear_suback(
        &mut self,
        list: &ReasonList<'_>,
        plan: &Plan,
        ledger: &mut Ledger,
    ) -> Result<(), Failure> {
        let Some(Question::Subscribe(place, qos)) = self.questions.remove(&list.packet_id) else {
            return Err(Failure(format!(
                "{}: SUBACK that nobody asked for",
                self.id
            )));
        };
        let full = match self.is_five() {
            true => ReasonCode::QuotaExceeded,
            false => ReasonCode::UnspecifiedError,
        };
        if plan.refuses() && self.lasts() && list.reasons == [full.byte()] {
            ledger.subscription_refused(self.number, place);
            return Ok(());
        }
        ensure!(
            list.reasons == [qos.bits()],
            "{} asked for {qos:?} and got {:?} (MQTT-3.8.4-6)",
            self.id,
            list.reasons
        );
        ledger.subscribed(self.number, place);
        Ok(())
    }

    fn hear_unsuback(&mut self, list: &ReasonList<'_>, ledger: &mut Ledger) -> Result<(), Failure> {
        let Some(Question::Unsubscribe(place)) = self.questions.remove(&list.packet_id) else {
            return Err(Failure(format!(
                "{}: UNSUBACK that nobody asked for",
                self.id
            )));
        };
        ledger.unsubscribed(self.number, place, list.reasons.first().copied())
    }
}

/// Whether CONNACK says that the server has no room.
fn says_full(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::QuotaExceeded | ReasonCode::ServerUnavailable
    )
}

//! Lines as the records of a new store.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use store::{Delivery, Publisher, RecoveredBegun};
use types::{
    ClientId, DeliveryNumber, Message, MessageParts, MessageRef, PacketId, QoS, RetainHandling,
    StoredSession, SubscriptionFilter, SubscriptionOptions, Time, TopicName,
};

use super::json::Fields;
use super::{LineCounts, LineError, VERSION};
use crate::record::{
    Link, SessionFields, SessionStateParts, StoreClock, WillFields, encode_begun,
    encode_begun_in_group, encode_body, encode_checkpoint_begins, encode_checkpoint_ends,
    encode_passed_state, encode_queued, encode_retained_state, encode_session_state,
    encode_subscribed,
};

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store's clock at the export. The new store's clock must not begin before it.
    pub time: u64,
}

/// An import. Its records are those of one checkpoint, with the messages in its midst: they
/// belong at the very beginning of an empty store, in order. The store is whole when
/// [`Import::end`] has said so and its records are synced.
#[derive(Debug, Default)]
pub struct Import {
    line: u64,
    header: Option<Header>,
    counts: LineCounts,
    /// With the number of the last delivery to each.
    sessions: HashMap<u64, u64>,
    clients: HashSet<ClientId>,
    messages: HashSet<u64>,
    has_ended: bool,
}

impl Import {
    /// One that expects the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the first line said.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// How much there was so far.
    pub fn counts(&self) -> LineCounts {
        self.counts
    }

    /// Takes the next line and appends its records to `out`. Lines may have their line ends.
    ///
    /// # Errors
    ///
    /// [`LineError`] if the line is none, if it names what no line before it had, or if it is the
    /// last one and counts what was not there. Nothing is left out silently.
    pub fn line(&mut self, line: &str, out: &mut Vec<u8>) -> Result<(), LineError> {
        self.line = self.line.saturating_add(1);
        self.one(line, out).map_err(|what| self.error(what))
    }

    /// There are no more lines.
    ///
    /// # Errors
    ///
    /// [`LineError`] if the last line did not come: the export was cut.
    pub fn end(self) -> Result<LineCounts, LineError> {
        if self.has_ended {
            Ok(self.counts)
        } else {
            Err(self.error(String::from("the last line is missing: the export was cut")))
        }
    }

    fn error(&self, what: String) -> LineError {
        LineError {
            line: self.line,
            what,
        }
    }

    fn one(&mut self, line: &str, out: &mut Vec<u8>) -> Result<(), String> {
        if self.has_ended {
            return Err(String::from("there is something behind the last line"));
        }
        let mut fields = Fields::parse(line)?;
        if self.header.is_none() {
            self.first(&mut fields, out)?;
            return fields.end();
        }
        match fields.text("kind")?.as_str() {
            "session" => self.session(&mut fields, out)?,
            "subscription" => self.subscription(&mut fields, out)?,
            "message" => self.message(&mut fields, out)?,
            "delivery" => self.delivery(&mut fields, out)?,
            "retained" => self.retained(&mut fields, out)?,
            "passed" => self.passed(&mut fields, out)?,
            "end" => self.last(&mut fields, out)?,
            kind => return Err(format!("unknown kind {kind:?}")),
        }
        fields.end()
    }

    fn first(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        let version: u64 = fields
            .number("nightjar_export")
            .map_err(|_| String::from("this is no export of Nightjar"))?;
        if version != VERSION {
            return Err(format!(
                "the export has version {version}, and this program reads version {VERSION}"
            ));
        }
        let header = Header {
            time: fields.number("time")?,
        };
        let last_session = fields.number("last_session")?;
        let sequence = fields.number("sequence")?;
        encode_checkpoint_begins(FIRST_SEGMENT, last_session, sequence, out);
        self.header = Some(header);
        Ok(())
    }

    fn last(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        for (name, count) in self.counts.named() {
            let expected: u64 = fields.number(name)?;
            if expected != count {
                return Err(format!("{expected} {name} were exported, {count} came"));
            }
        }
        encode_checkpoint_ends(FIRST_SEGMENT, out);
        self.has_ended = true;
        Ok(())
    }

    fn session(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        let session: u64 = fields.number("session")?;
        let client = fields.parsed("client", ClientId::new)?;
        let user = fields.optional_text("user")?;
        let expiry = span(fields.optional("expiry")?);
        let link = if fields.flag("connected")? {
            Link::Connected
        } else {
            Link::Away {
                ends: fields.optional("ends")?,
                will: fields.optional("will_due")?,
            }
        };
        let will = fields.object("will")?.map(Will::read).transpose()?;
        let next = DeliveryNumber::new(fields.number("next")?).ok_or("next is zero")?;
        let unsure = fields.optional("unsure")?.unwrap_or(1);
        let unsure = DeliveryNumber::new(unsure).ok_or("unsure is zero")?;
        let received = fields.numbers("received")?.unwrap_or_default();
        let received = received.into_iter().map(packet_id);
        let received = received.collect::<Result<Vec<PacketId>, _>>()?;
        let begun = fields.objects("begun")?.into_iter().map(begun);
        let begun = begun.collect::<Result<Vec<_>, _>>()?;
        if self.sessions.insert(session, 0).is_some() {
            return Err(format!("session {session} a second time"));
        }
        let state = SessionStateParts {
            fields: SessionFields {
                session: StoredSession(session),
                expiry,
                client: client.as_str(),
                user: user.as_deref(),
                will: will.as_ref().map(Will::fields),
            },
            link,
            next,
            unsure,
            received: &received,
        };
        encode_session_state(&state, out);
        for (id, begun) in begun {
            encode_begun(StoredSession(session), id, &begun.sessions, out);
            for group in &begun.groups {
                encode_begun_in_group(StoredSession(session), id, group, out);
            }
        }
        if !self.clients.insert(client) {
            return Err(String::from("a second session of the same client"));
        }
        count(&mut self.counts.sessions);
        Ok(())
    }

    fn subscription(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        let session = self.known_session(fields)?;
        let filter = fields.parsed("filter", filter)?;
        let options = SubscriptionOptions {
            qos: fields.qos()?,
            no_local: fields.flag("no_local")?,
            retain_as_published: fields.flag("retain_as_published")?,
            retain_handling: RetainHandling::from_bits(fields.number("retain_handling")?)
                .ok_or("an unknown retain_handling")?,
        };
        let id = fields.optional("id")?.map(identifier).transpose()?;
        encode_subscribed(session, options, id, &filter, out);
        count(&mut self.counts.subscriptions);
        Ok(())
    }

    fn message(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        let reference = fields.message("message")?;
        let topic = fields.parsed("topic", topic)?;
        let (properties, payload) = (fields.bytes("properties")?, fields.bytes("payload")?);
        let parts = MessageParts {
            properties: &properties,
            payload: &payload,
            qos: fields.qos()?,
            retain: fields.flag("retain")?,
            publisher: None,
            expires: fields.optional("expires")?.map(Time::from_millis),
            durability: fields.durability()?,
            followed: types::Followed::No,
        };
        if !self.messages.insert(reference.0) {
            return Err(format!("message {:016x} a second time", reference.0));
        }
        let message = Message::new(topic, parts);
        encode_body(reference, &message, StoreClock { base: 0 }, out);
        count(&mut self.counts.messages);
        Ok(())
    }

    fn delivery(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        let session = self.known_session(fields)?;
        let number = DeliveryNumber::new(fields.number("number")?).ok_or("number is zero")?;
        self.check_number(session, number)?;
        let message = fields.optional_message("message")?;
        self.check_message(message)?;
        let qos = fields.qos()?;
        if qos == QoS::AtMostOnce {
            return Err(String::from("nobody is owed a message at QoS 0"));
        }
        let id: Option<u16> = fields.optional("packet_id")?;
        let packet_id = id.map(packet_id).transpose()?;
        if message.is_none() && packet_id.is_none() {
            return Err(String::from("neither a message nor a packet_id"));
        }
        let ids = match fields.numbers("ids")? {
            Some(ids) => {
                let ids = ids.into_iter().map(identifier);
                Some(ids.collect::<Result<Box<[NonZeroU32]>, _>>()?)
            }
            None => None,
        };
        let group = fields.optional_text("group")?;
        let share = match group {
            Some(text) => Some(Arc::new(filter(&text).ok_or("group is not valid")?)),
            None => None,
        };
        let delivery = Delivery {
            session,
            number,
            qos,
            retain: fields.flag("retain")?,
            packet_id,
            ids,
            share,
        };
        encode_queued(message, &delivery, out);
        count(&mut self.counts.deliveries);
        Ok(())
    }

    fn retained(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        let topic = fields.parsed("topic", topic)?;
        let message = fields.optional_message("message")?;
        self.check_message(message)?;
        // Exports of the first version do not have it.
        let client = fields.optional_text("client")?;
        let user = fields.optional_text("user")?;
        let granted = client.is_some() && fields.flag("granted")?;
        if client.as_deref() == Some("") {
            return Err("client is empty".into());
        }
        let publisher = client.as_deref().map(|client| Publisher {
            client,
            user: user.as_deref(),
            granted,
        });
        encode_retained_state(message, fields.number("sequence")?, &topic, publisher, out);
        count(&mut self.counts.retained);
        Ok(())
    }

    fn passed(&mut self, fields: &mut Fields, out: &mut Vec<u8>) -> Result<(), String> {
        let message = fields.message("message")?;
        self.check_message(Some(message))?;
        let group = fields.parsed("group", filter)?;
        encode_passed_state(message, &group, out);
        count(&mut self.counts.passed);
        Ok(())
    }

    fn known_session(&self, fields: &mut Fields) -> Result<StoredSession, String> {
        let session: u64 = fields.number("session")?;
        if self.sessions.contains_key(&session) {
            Ok(StoredSession(session))
        } else {
            Err(format!("session {session} did not come before"))
        }
    }

    /// Of two deliveries with one number the store would have the second alone.
    fn check_number(
        &mut self,
        session: StoredSession,
        number: DeliveryNumber,
    ) -> Result<(), String> {
        let last = self.sessions.entry(session.0).or_default();
        if number.get() <= *last {
            return Err(format!(
                "delivery {} to session {} came after delivery {last}",
                number.get(),
                session.0
            ));
        }
        *last = number.get();
        Ok(())
    }

    fn check_message(&self, message: Option<MessageRef>) -> Result<(), String> {
        match message {
            Some(message) if !self.messages.contains(&message.0) => {
                Err(format!("message {:016x} did not come before", message.0))
            }
            _ => Ok(()),
        }
    }
}

/// A will that was read.
struct Will {
    topic: Arc<str>,
    properties: Vec<u8>,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    delay: Duration,
    message_expiry: Option<u32>,
    durability: types::Durability,
}

impl Will {
    fn read(mut fields: Fields) -> Result<Self, String> {
        let will = Self {
            topic: fields.parsed("topic", topic)?,
            properties: fields.bytes("properties")?,
            payload: fields.bytes("payload")?,
            qos: fields.qos()?,
            retain: fields.flag("retain")?,
            delay: span(fields.optional("delay")?),
            message_expiry: fields.optional("message_expiry")?,
            durability: fields.durability()?,
        };
        fields.end()?;
        Ok(will)
    }

    fn fields(&self) -> WillFields<'_> {
        WillFields {
            topic: &self.topic,
            properties: &self.properties,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            delay: self.delay,
            message_expiry: self.message_expiry,
            durability: self.durability,
        }
    }
}

/// What was begun with one packet identifier. Its sessions may come later, or have ended.
fn begun(mut fields: Fields) -> Result<(PacketId, RecoveredBegun), String> {
    let id = packet_id(fields.number("packet_id")?)?;
    let sessions = fields.numbers("sessions")?.ok_or("no sessions")?;
    let groups = fields.objects("groups")?.into_iter().map(group);
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    fields.end()?;
    let sessions = sessions.into_iter().map(StoredSession).collect();
    Ok((id, RecoveredBegun { sessions, groups }))
}

fn group(mut fields: Fields) -> Result<SubscriptionFilter, String> {
    let text = fields.text("group")?;
    fields.end()?;
    filter(&text).ok_or_else(|| format!("no group: {text:?}"))
}

/// None is for ever.
fn span(millis: Option<u64>) -> Duration {
    millis.map_or(Duration::MAX, Duration::from_millis)
}

fn topic(text: &str) -> Option<Arc<str>> {
    let topic = TopicName::parse(text, u16::MAX).ok()?;
    Some(Arc::from(topic.as_str()))
}

fn filter(text: &str) -> Option<SubscriptionFilter> {
    SubscriptionFilter::parse(text, u16::MAX).ok()
}

fn packet_id(id: u16) -> Result<PacketId, String> {
    PacketId::new(id).ok_or_else(|| String::from("a packet identifier is zero"))
}

fn identifier(id: u32) -> Result<NonZeroU32, String> {
    NonZeroU32::new(id).ok_or_else(|| String::from("a subscription identifier is zero"))
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// The segment that an import begins in.
const FIRST_SEGMENT: u64 = 1;

//! Bytes to records.

use std::time::Duration;

use store::{Publisher, Settled};
use types::SubscriptionOptions;

use super::body::decode_item;
use super::bytes::{Fault, Reader};
use super::lists::{Deliveries, PacketIds, QueueEntries, StoredSessions, identifier, qos};
use super::{
    BodyPlace, Item, Link, Malformed, NEVER, SessionFields, SessionState, WillFields,
    durability_from_bits, flag, kind,
};

/// The records of a payload, in order, each with its place in the payload: of a body the place
/// of its checksum, of any other record that of its fields.
///
/// After an error there is nothing more.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    reader: Reader<'a>,
    length: usize,
}

impl<'a> Records<'a> {
    /// The records of a payload.
    pub fn new(payload: &'a [u8]) -> Self {
        Self {
            reader: Reader::new(payload),
            length: payload.len(),
        }
    }

    fn offset(&self) -> usize {
        self.length.saturating_sub(self.reader.rest.len())
    }

    fn one(&mut self) -> Result<(usize, Item<'a>), Fault> {
        let length = self.reader.varint()?;
        let mut record = Reader::new(self.reader.take(length)?);
        let kind = record.u8()?;
        let fields = self.offset().saturating_sub(record.rest.len());
        Ok((fields, item(kind, record)?))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(usize, Item<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let offset = self.offset();
        Some(self.one().map_err(|what| {
            self.reader.rest = &[];
            Malformed { offset, what }
        }))
    }
}

/// The lengths of the records of a payload, each with its length field, without looking into them.
pub fn lengths(payload: &[u8]) -> impl Iterator<Item = usize> {
    let mut reader = Reader::new(payload);
    std::iter::from_fn(move || {
        let before = reader.rest.len();
        reader.bytes().ok()?;
        Some(before.saturating_sub(reader.rest.len()))
    })
}

fn item(kind: u8, mut fields: Reader<'_>) -> Result<Item<'_>, Fault> {
    let item = match kind {
        kind::BODY => return decode_item(fields.rest).map(Item::Body),
        kind::OWED => {
            return Ok(Item::Owed {
                message: fields.message()?,
                deliveries: Deliveries::new(fields)?,
            });
        }
        kind::SETTLED => Item::Settled {
            session: fields.session()?,
            number: fields.number()?,
            step: match fields.u8()? {
                0 => Settled::Received,
                1 => Settled::Done,
                _ => return Err("an unknown step"),
            },
        },
        kind::SENT => Item::Sent {
            session: fields.session()?,
            number: fields.number()?,
            id: fields.packet_id()?,
        },
        kind::EXPIRED => Item::Expired {
            session: fields.session()?,
            number: fields.number()?,
        },
        kind::RECEIVED => Item::Received {
            session: fields.session()?,
            id: fields.packet_id()?,
        },
        kind::BEGUN => Item::Begun {
            session: fields.session()?,
            id: fields.packet_id()?,
            owed: StoredSessions::read(&mut fields)?,
        },
        kind::BEGUN_IN_GROUP => Item::BegunInGroup {
            session: fields.session()?,
            id: fields.packet_id()?,
            group: fields.text()?,
        },
        kind::RELEASED => Item::Released {
            session: fields.session()?,
            id: fields.packet_id()?,
        },
        kind::RETAINED | kind::RETAINED_OF => Item::Retained {
            message: fields.message()?,
            sequence: fields.varint()?,
            topic: fields.text()?,
            publisher: match kind {
                kind::RETAINED => None,
                _ => Some(publisher(&mut fields)?),
            },
        },
        kind::CLEARED => Item::Cleared {
            sequence: fields.varint()?,
            topic: fields.text()?,
        },
        kind::PASSED | kind::ARRIVED => passing_item(kind, &mut fields)?,
        kind::SESSION..=kind::UNSUBSCRIBED => session_item(kind, &mut fields)?,
        _ => return checkpoint_item(kind, fields),
    };
    fields.end()?;
    Ok(item)
}

/// A message on its way in a group, from one member to another.
fn passing_item<'a>(kind: u8, fields: &mut Reader<'a>) -> Result<Item<'a>, Fault> {
    let (message, group) = (fields.message()?, fields.text()?);
    Ok(match kind {
        kind::PASSED => Item::Passed { message, group },
        _ => Item::Arrived { message, group },
    })
}

fn session_item<'a>(kind: u8, fields: &mut Reader<'a>) -> Result<Item<'a>, Fault> {
    Ok(match kind {
        kind::SESSION => Item::Session(session(fields)?),
        kind::AWAY => {
            let session = fields.session()?;
            let (ends, will) = away(fields)?;
            Item::Away {
                session,
                ends,
                will,
            }
        }
        kind::SESSION_ENDED => Item::SessionEnded {
            session: fields.session()?,
        },
        kind::SUBSCRIBED => Item::Subscribed {
            session: fields.session()?,
            options: SubscriptionOptions::from_byte(fields.u8()?)
                .ok_or("unknown subscription options")?,
            id: match fields.varint()? {
                0 => None,
                id => Some(identifier(id)?),
            },
            filter: fields.text()?,
        },
        _ => Item::Unsubscribed {
            session: fields.session()?,
            filter: fields.text()?,
        },
    })
}

fn checkpoint_item(kind: u8, mut fields: Reader<'_>) -> Result<Item<'_>, Fault> {
    let item = match kind {
        kind::QUEUE_STATE => {
            let session = fields.session()?;
            let entries = QueueEntries::new(session, fields)?;
            return Ok(Item::QueueState { session, entries });
        }
        kind::CHECKPOINT_BEGINS => Item::CheckpointBegins {
            first: fields.varint()?,
            last_session: fields.varint()?,
            sequence: fields.varint()?,
        },
        kind::SESSION_STATE => Item::SessionState(session_state(&mut fields)?),
        kind::BODY_PLACE => Item::BodyPlace {
            message: fields.message()?,
            place: BodyPlace {
                segment: fields.varint()?,
                offset: fields.varint()?,
                length: u32::try_from(fields.varint()?).map_err(|_| "a message beyond 4 GiB")?,
            },
            size: u32::try_from(fields.varint()?).map_err(|_| "a message beyond 4 GiB")?,
            expires: Some(fields.u64()?).filter(|&time| time != NEVER),
        },
        kind::RETAINED_STATE => Item::RetainedState {
            message: Some(fields.message()?).filter(|message| message.0 != 0),
            sequence: fields.varint()?,
            topic: fields.text()?,
            publisher: None,
        },
        kind::RETAINED_STATE_OF => Item::RetainedState {
            message: Some(fields.message()?).filter(|message| message.0 != 0),
            sequence: fields.varint()?,
            topic: fields.text()?,
            publisher: Some(publisher(&mut fields)?),
        },
        kind::PASSED_STATE => Item::PassedState {
            message: fields.message()?,
            group: fields.text()?,
        },
        kind::CHECKPOINT_ENDS => Item::CheckpointEnds {
            first: fields.varint()?,
        },
        _ => return Err("an unknown kind: a later version wrote it"),
    };
    fields.end()?;
    Ok(item)
}

fn publisher<'a>(fields: &mut Reader<'a>) -> Result<Publisher<'a>, Fault> {
    let flags = fields.u8()?;
    let client = fields.text()?;
    if client.is_empty() {
        return Err("an empty client identifier");
    }
    let user = match flags & flag::USER != 0 {
        true => Some(fields.text()?),
        false => None,
    };
    Ok(Publisher {
        client,
        user,
        granted: flags & flag::GRANTED != 0,
    })
}

fn session<'a>(fields: &mut Reader<'a>) -> Result<SessionFields<'a>, Fault> {
    let session = fields.session()?;
    let expiry = span(fields.varint()?);
    let flags = fields.u8()?;
    let client = fields.text()?;
    if client.is_empty() {
        return Err("an empty client identifier");
    }
    let user = if flags & flag::USER != 0 {
        Some(fields.text()?)
    } else {
        None
    };
    let will = if flags & flag::WILL != 0 {
        Some(will(fields)?)
    } else {
        None
    };
    Ok(SessionFields {
        session,
        expiry,
        client,
        user,
        will,
    })
}

fn span(millis: u64) -> Duration {
    if millis == NEVER {
        Duration::MAX
    } else {
        Duration::from_millis(millis)
    }
}

fn will<'a>(fields: &mut Reader<'a>) -> Result<WillFields<'a>, Fault> {
    let flags = fields.u8()?;
    let delay = span(fields.varint()?);
    let message_expiry = if flags & flag::THIRD != 0 {
        let seconds = u32::try_from(fields.varint()?).map_err(|_| "an expiry beyond 32 bits")?;
        Some(seconds)
    } else {
        None
    };
    Ok(WillFields {
        topic: fields.text()?,
        properties: fields.bytes()?,
        payload: fields.bytes()?,
        qos: qos(flags)?,
        retain: flags & flag::RETAIN != 0,
        delay,
        message_expiry,
        durability: durability_from_bits((flags & flag::DURABILITY) >> 4)
            .ok_or("an unknown durability")?,
    })
}

fn away(fields: &mut Reader<'_>) -> Result<(Option<u64>, Option<u64>), Fault> {
    let flags = fields.u8()?;
    let ends = if flags & flag::ENDS != 0 {
        Some(fields.u64()?)
    } else {
        None
    };
    let will = if flags & flag::WILL_DUE != 0 {
        Some(fields.u64()?)
    } else {
        None
    };
    Ok((ends, will))
}

fn session_state<'a>(reader: &mut Reader<'a>) -> Result<SessionState<'a>, Fault> {
    let fields = session(reader)?;
    let link = match reader.u8()? {
        0 => {
            let (ends, will) = away(reader)?;
            Link::Away { ends, will }
        }
        1 => Link::Connected,
        _ => return Err("neither connected nor away"),
    };
    let next = reader.number()?;
    let unsure = reader.number()?;
    Ok(SessionState {
        fields,
        link,
        next,
        unsure,
        received: PacketIds::read(reader)?,
    })
}

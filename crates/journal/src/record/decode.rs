//! Bytes to records.

use std::num::NonZeroU32;
use std::time::Duration;

use store::Settled;
use types::{DeliveryNumber, PacketId, QoS, StoredSession, SubscriptionOptions};

use super::body::decode_item;
use super::bytes::{Fault, Reader};
use super::{
    BodyPlace, DeliveryItem, Item, Link, Malformed, NEVER, QueueEntry, SessionFields, SessionState,
    WillFields, durability_from_bits, flag, kind,
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
                deliveries: Deliveries {
                    left: fields.varint()?,
                    reader: fields,
                },
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
        kind::RECEIVED => Item::Received {
            session: fields.session()?,
            id: fields.packet_id()?,
        },
        kind::RELEASED => Item::Released {
            session: fields.session()?,
            id: fields.packet_id()?,
        },
        kind::RETAINED => Item::Retained {
            message: fields.message()?,
            sequence: fields.varint()?,
            topic: fields.text()?,
        },
        kind::CLEARED => Item::Cleared {
            sequence: fields.varint()?,
            topic: fields.text()?,
        },
        kind::PASSED => Item::Passed {
            message: fields.message()?,
            group: fields.text()?,
        },
        kind::ARRIVED => Item::Arrived {
            message: fields.message()?,
            group: fields.text()?,
        },
        kind::SESSION..=kind::UNSUBSCRIBED => session_item(kind, &mut fields)?,
        _ => return checkpoint_item(kind, fields),
    };
    fields.end()?;
    Ok(item)
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
            let entries = QueueEntries {
                session,
                left: fields.varint()?,
                reader: fields,
            };
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

fn identifier(id: u64) -> Result<NonZeroU32, Fault> {
    u32::try_from(id)
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or("no subscription identifier")
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

fn qos(flags: u8) -> Result<QoS, Fault> {
    QoS::from_bits(flags & flag::QOS).ok_or("an unknown QoS")
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
    let count = reader.varint()?;
    let received = PacketIds { reader: *reader };
    for _ in 0..count {
        reader.packet_id()?;
    }
    Ok(SessionState {
        fields,
        link,
        next,
        received,
    })
}

/// Packet identifiers. They were checked when their record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketIds<'a> {
    reader: Reader<'a>,
}

impl Iterator for PacketIds<'_> {
    type Item = PacketId;

    fn next(&mut self) -> Option<PacketId> {
        self.reader.packet_id().ok()
    }
}

/// What few deliveries have: identifiers of subscriptions, and a group. Checked, and kept as it
/// is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extra<'a> {
    flags: u8,
    bytes: &'a [u8],
}

impl<'a> Extra<'a> {
    /// Whether there is nothing.
    pub fn is_empty(self) -> bool {
        self.flags == 0
    }

    /// The identifiers of the subscriptions that matched.
    pub fn ids(self) -> Option<Ids<'a>> {
        if self.flags & flag::IDS == 0 {
            return None;
        }
        let mut reader = Reader::new(self.bytes);
        let left = reader.varint().ok()?;
        Some(Ids { left, reader })
    }

    /// The shared subscription that chose the client, as `$share/name/filter`.
    pub fn group(self) -> Option<&'a str> {
        if self.flags & flag::GROUP == 0 {
            return None;
        }
        let mut reader = Reader::new(self.bytes);
        if self.flags & flag::IDS != 0 {
            for _ in 0..reader.varint().ok()? {
                reader.varint().ok()?;
            }
        }
        reader.text().ok()
    }

    pub(crate) fn flags(self) -> u8 {
        self.flags
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What [`Extra::flags`] and [`Extra::bytes`] gave.
    pub(crate) fn from_parts(flags: u8, bytes: &'a [u8]) -> Self {
        Self { flags, bytes }
    }

    #[inline]
    fn read(flags: u8, reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let flags = flags & (flag::IDS | flag::GROUP);
        if flags == 0 {
            return Ok(Self::default());
        }
        let start = reader.rest;
        if flags & flag::IDS != 0 {
            for _ in 0..reader.varint()? {
                identifier(reader.varint()?)?;
            }
        }
        if flags & flag::GROUP != 0 {
            reader.text()?;
        }
        let length = start.len().saturating_sub(reader.rest.len());
        let bytes = start.get(..length).unwrap_or_default();
        Ok(Self { flags, bytes })
    }
}

/// Identifiers of subscriptions.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    left: u64,
    reader: Reader<'a>,
}

impl Iterator for Ids<'_> {
    type Item = NonZeroU32;

    fn next(&mut self) -> Option<NonZeroU32> {
        self.left = self.left.checked_sub(1)?;
        identifier(self.reader.varint().ok()?).ok()
    }
}

/// The deliveries of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deliveries<'a> {
    left: u64,
    reader: Reader<'a>,
}

impl<'a> Deliveries<'a> {
    /// The next delivery.
    ///
    /// # Errors
    ///
    /// What is wrong with it; then there is nothing more to be had.
    #[inline]
    pub fn read(&mut self) -> Result<Option<DeliveryItem<'a>>, &'static str> {
        let Some(left) = self.left.checked_sub(1) else {
            return self.reader.end().map(|()| None);
        };
        self.left = left;
        let reader = &mut self.reader;
        let session = reader.session()?;
        let number = reader.number()?;
        let flags = reader.u8()?;
        delivery(session, number, flags, reader).map(Some)
    }
}

/// The deliveries of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntries<'a> {
    session: StoredSession,
    left: u64,
    reader: Reader<'a>,
}

impl<'a> QueueEntries<'a> {
    /// The next delivery.
    ///
    /// # Errors
    ///
    /// What is wrong with it; then there is nothing more to be had.
    pub fn read(&mut self) -> Result<Option<QueueEntry<'a>>, &'static str> {
        let Some(left) = self.left.checked_sub(1) else {
            return self.reader.end().map(|()| None);
        };
        self.left = left;
        let reader = &mut self.reader;
        let number = reader.number()?;
        let flags = reader.u8()?;
        let message = if flags & flag::RECEIVED == 0 {
            Some(reader.message()?)
        } else {
            None
        };
        let delivery = delivery(self.session, number, flags, reader)?;
        Ok(Some(QueueEntry { message, delivery }))
    }
}

#[inline]
fn delivery<'a>(
    session: StoredSession,
    number: DeliveryNumber,
    flags: u8,
    reader: &mut Reader<'a>,
) -> Result<DeliveryItem<'a>, Fault> {
    let packet_id = if flags & flag::THIRD != 0 {
        Some(reader.packet_id()?)
    } else {
        None
    };
    Ok(DeliveryItem {
        session,
        number,
        qos: qos(flags)?,
        retain: flags & flag::RETAIN != 0,
        packet_id,
        extra: Extra::read(flags, reader)?,
    })
}

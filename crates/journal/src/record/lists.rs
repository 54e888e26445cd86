//! Lists within records: checked, or read one by one, and never copied.

use std::num::NonZeroU32;

use types::{DeliveryNumber, PacketId, QoS, StoredSession};

use super::bytes::{Fault, Reader};
use super::{DeliveryItem, QueueEntry, flag};

/// Packet identifiers. They were checked when their record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketIds<'a> {
    left: u64,
    reader: Reader<'a>,
}

impl<'a> PacketIds<'a> {
    pub(super) fn read(fields: &mut Reader<'a>) -> Result<Self, Fault> {
        let left = fields.varint()?;
        let reader = *fields;
        for _ in 0..left {
            fields.packet_id()?;
        }
        Ok(Self { left, reader })
    }
}

impl Iterator for PacketIds<'_> {
    type Item = PacketId;

    fn next(&mut self) -> Option<PacketId> {
        self.left = self.left.checked_sub(1)?;
        self.reader.packet_id().ok()
    }
}

/// Sessions. They were checked when their record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSessions<'a> {
    left: u64,
    reader: Reader<'a>,
}

impl<'a> StoredSessions<'a> {
    pub(super) fn read(fields: &mut Reader<'a>) -> Result<Self, Fault> {
        let left = fields.varint()?;
        let reader = *fields;
        for _ in 0..left {
            fields.session()?;
        }
        Ok(Self { left, reader })
    }
}

impl Iterator for StoredSessions<'_> {
    type Item = StoredSession;

    fn next(&mut self) -> Option<StoredSession> {
        self.left = self.left.checked_sub(1)?;
        self.reader.session().ok()
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
    #[inline]
    pub(super) fn new(mut reader: Reader<'a>) -> Result<Self, Fault> {
        let left = reader.varint()?;
        Ok(Self { left, reader })
    }

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
    pub(super) fn new(session: StoredSession, mut reader: Reader<'a>) -> Result<Self, Fault> {
        let left = reader.varint()?;
        Ok(Self {
            session,
            left,
            reader,
        })
    }

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

pub(super) fn identifier(id: u64) -> Result<NonZeroU32, Fault> {
    u32::try_from(id)
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or("no subscription identifier")
}

pub(super) fn qos(flags: u8) -> Result<QoS, Fault> {
    QoS::from_bits(flags & flag::QOS).ok_or("an unknown QoS")
}

//! Lists of properties that stay encoded and are walked in place.

use std::fmt;
use std::num::NonZeroU32;

use crate::read::Reader;
use crate::write::{put_binary, put_varint};
use crate::{DecodeError, EncodeError, Field, PropertyId, VARINT_MAX};

/// User Properties, in order: encoded pairs (identifier 0x26 before each), checked once.
/// Equal if their pairs are.
#[derive(Clone, Copy, Default)]
pub struct UserProperties<'a> {
    /// All bytes from the first pair to the last; other properties may stand between.
    pub(crate) bytes: &'a [u8],
    /// How many pairs there are.
    pub(crate) count: u32,
}

impl<'a> UserProperties<'a> {
    /// The pairs of key and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut walk = Walk::new(self.bytes);
        std::iter::from_fn(move || {
            walk.find(PropertyId::UserProperty)?;
            walk.pair().ok()
        })
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for UserProperties<'_> {}

impl fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Subscription Identifiers, in order: encoded (identifier 0x0B before each), checked once.
/// Equal if their identifiers are.
#[derive(Clone, Copy, Default)]
pub struct SubscriptionIds<'a> {
    /// All bytes from the first identifier to the last; other properties may stand between.
    pub(crate) bytes: &'a [u8],
    /// How many identifiers there are.
    pub(crate) count: u32,
}

impl<'a> SubscriptionIds<'a> {
    /// The identifiers, each 1 to 268,435,455, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let mut walk = Walk::new(self.bytes);
        std::iter::from_fn(move || {
            let id = walk.find(PropertyId::SubscriptionIdentifier)?;
            walk.reader.varint(Field::Property(id)).ok()
        })
    }

    /// How many identifiers there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no identifier.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl PartialEq for SubscriptionIds<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for SubscriptionIds<'_> {}

impl fmt::Debug for SubscriptionIds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// User Properties to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPropertiesBuf {
    bytes: Vec<u8>,
    count: u32,
}

impl UserPropertiesBuf {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a pair. The text is taken as it is: the caller keeps U+0000 out.
    ///
    /// # Errors
    /// `TooLong` for a key or value of more than 65,535 bytes; nothing is appended then.
    pub fn push(&mut self, key: &str, value: &str) -> Result<(), EncodeError> {
        let field = Field::Property(PropertyId::UserProperty);
        if key.len().max(value.len()) > usize::from(u16::MAX) {
            return Err(EncodeError::TooLong(field));
        }
        self.bytes.push(PropertyId::UserProperty.byte());
        put_binary(key.as_bytes(), field, &mut self.bytes)?;
        put_binary(value.as_bytes(), field, &mut self.bytes)?;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The list as a packet borrows it.
    pub fn as_borrowed(&self) -> UserProperties<'_> {
        UserProperties {
            bytes: &self.bytes,
            count: self.count,
        }
    }
}

/// Subscription Identifiers to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionIdsBuf {
    bytes: Vec<u8>,
    count: u32,
}

impl SubscriptionIdsBuf {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an identifier.
    ///
    /// # Errors
    /// `PropertyValue` above 268,435,455; nothing is appended then.
    pub fn push(&mut self, id: NonZeroU32) -> Result<(), EncodeError> {
        let property = PropertyId::SubscriptionIdentifier;
        if id.get() > VARINT_MAX {
            return Err(EncodeError::PropertyValue(property));
        }
        self.bytes.push(property.byte());
        put_varint(id.get(), &mut self.bytes);
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The list as a packet borrows it.
    pub fn as_borrowed(&self) -> SubscriptionIds<'_> {
        SubscriptionIds {
            bytes: &self.bytes,
            count: self.count,
        }
    }
}

/// A walk over encoded properties: [`Walk::next`] gives the identifier, then the caller reads
/// the value or refuses the property.
pub(crate) struct Walk<'a> {
    section: &'a [u8],
    pub(crate) reader: Reader<'a>,
}

impl<'a> Walk<'a> {
    /// `section` is all properties without their length.
    pub(crate) fn new(section: &'a [u8]) -> Self {
        Self {
            section,
            reader: Reader::new(section),
        }
    }

    /// Takes the length of the properties and the properties off the front of `reader`
    /// (2.2.2).
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let len = reader.varint(Field::PropertyLength)?;
        Ok(Self::new(
            reader.bytes(len as usize, Field::PropertyLength)?,
        ))
    }

    /// How many bytes of the section were read.
    pub(crate) fn offset(&self) -> usize {
        self.section.len().saturating_sub(self.reader.rest().len())
    }

    pub(crate) fn next(&mut self) -> Result<Option<PropertyId>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let byte = self.reader.byte(Field::PropertyLength)?;
        PropertyId::from_byte(byte)
            .map(Some)
            .ok_or(DecodeError::UnknownProperty(byte))
    }

    /// The bytes that a span covers.
    pub(crate) fn bytes(&self, span: Span) -> &'a [u8] {
        self.section.get(span.start..span.end).unwrap_or_default()
    }

    pub(crate) fn string(
        &mut self,
        id: PropertyId,
        slot: &mut Option<&'a str>,
    ) -> Result<(), DecodeError> {
        let value = self.reader.string(Field::Property(id))?;
        set_once(slot, value, id)
    }

    pub(crate) fn binary(
        &mut self,
        id: PropertyId,
        slot: &mut Option<&'a [u8]>,
    ) -> Result<(), DecodeError> {
        let value = self.reader.binary(Field::Property(id))?;
        set_once(slot, value, id)
    }

    pub(crate) fn u32(
        &mut self,
        id: PropertyId,
        slot: &mut Option<u32>,
    ) -> Result<(), DecodeError> {
        let value = self.reader.u32(Field::Property(id))?;
        set_once(slot, value, id)
    }

    pub(crate) fn u16(
        &mut self,
        id: PropertyId,
        slot: &mut Option<u16>,
    ) -> Result<(), DecodeError> {
        let value = self.reader.u16(Field::Property(id))?;
        set_once(slot, value, id)
    }

    /// 0 or 1.
    pub(crate) fn flag(
        &mut self,
        id: PropertyId,
        slot: &mut Option<bool>,
    ) -> Result<(), DecodeError> {
        let value = match self.reader.byte(Field::Property(id))? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError::PropertyValue(id)),
        };
        set_once(slot, value, id)
    }

    /// A Subscription Identifier: 1 to 268,435,455 (3.8.2.1.2).
    pub(crate) fn subscription_id(&mut self) -> Result<u32, DecodeError> {
        let id = PropertyId::SubscriptionIdentifier;
        match self.reader.varint(Field::Property(id))? {
            0 => Err(DecodeError::PropertyValue(id)),
            value => Ok(value),
        }
    }

    /// The value of a User Property.
    pub(crate) fn pair(&mut self) -> Result<(&'a str, &'a str), DecodeError> {
        let field = Field::Property(PropertyId::UserProperty);
        Ok((self.reader.string(field)?, self.reader.string(field)?))
    }

    /// The value of a User Property whose identifier stands at `start`.
    pub(crate) fn user(&mut self, start: usize, span: &mut Span) -> Result<(), DecodeError> {
        self.pair()?;
        span.extend(start, self.offset());
        Ok(())
    }

    /// The pairs that a span covers.
    pub(crate) fn user_properties(&self, span: Span) -> UserProperties<'a> {
        UserProperties {
            bytes: self.bytes(span),
            count: span.count,
        }
    }

    /// Walks to the value of the next property of a kind; `None` if there is no more. For lists
    /// that were checked when they were made: no error can come up.
    fn find(&mut self, wanted: PropertyId) -> Option<PropertyId> {
        while let Some(id) = self.next().ok()? {
            if id == wanted {
                return Some(id);
            }
            self.skip(id).ok()?;
        }
        None
    }

    /// Passes over a value without looking at it.
    fn skip(&mut self, id: PropertyId) -> Result<(), DecodeError> {
        use PropertyId as P;
        let field = Field::Property(id);
        match id {
            P::PayloadFormatIndicator
            | P::RequestProblemInformation
            | P::RequestResponseInformation
            | P::MaximumQoS
            | P::RetainAvailable
            | P::WildcardSubscriptionAvailable
            | P::SubscriptionIdentifierAvailable
            | P::SharedSubscriptionAvailable => {
                self.reader.byte(field)?;
            }
            P::ServerKeepAlive | P::ReceiveMaximum | P::TopicAliasMaximum | P::TopicAlias => {
                self.reader.u16(field)?;
            }
            P::MessageExpiryInterval
            | P::SessionExpiryInterval
            | P::WillDelayInterval
            | P::MaximumPacketSize => {
                self.reader.u32(field)?;
            }
            P::SubscriptionIdentifier => {
                self.reader.varint(field)?;
            }
            P::ContentType
            | P::ResponseTopic
            | P::CorrelationData
            | P::AssignedClientIdentifier
            | P::AuthenticationMethod
            | P::AuthenticationData
            | P::ResponseInformation
            | P::ServerReference
            | P::ReasonString => {
                self.reader.binary(field)?;
            }
            P::UserProperty => {
                self.reader.binary(field)?;
                self.reader.binary(field)?;
            }
        }
        Ok(())
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, id: PropertyId) -> Result<(), DecodeError> {
    if slot.replace(value).is_some() {
        return Err(DecodeError::DuplicateProperty(id));
    }
    Ok(())
}

/// Refuses zero, for properties that count from 1.
pub(crate) fn refuse_zero<T: Default + PartialEq>(
    value: &Option<T>,
    id: PropertyId,
) -> Result<(), DecodeError> {
    if *value == Some(T::default()) {
        return Err(DecodeError::PropertyValue(id));
    }
    Ok(())
}

/// Where the properties of one kind stand in a section: from the first one to the last one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) count: u32,
}

impl Span {
    pub(crate) fn extend(&mut self, start: usize, end: usize) {
        if self.count == 0 {
            self.start = start;
        }
        self.end = end;
        self.count = self.count.saturating_add(1);
    }
}

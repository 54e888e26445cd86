//! The fast way out of a PUBLISH that many recipients share.
//!
//! What recipients share is encoded once: the properties that are passed on
//! ([`forward_properties`]) and the payload. What is theirs is the head ([`PublishHead`]).

use std::num::NonZeroU32;

use types::{PacketId, ProtocolVersion, QoS};

use crate::decode::ForwardReader;
use crate::encode::{PropertySet, check_subscription_id, publish_flags};
use crate::properties::Walk;
use crate::write::{put_varint, section_len, varint_len};
use crate::{DecodeError, EncodeError, Field, Forward, PacketType, PropertyId, VARINT_MAX};

/// Appends the properties that are passed on, in the encoding of MQTT 5.0 and without their
/// length; User Properties keep their order (MQTT-3.3.2-18).
///
/// # Errors
/// `TooLong` for a value of more than 65,535 bytes (never for what was decoded); `out` is as
/// before then.
pub fn forward_properties(forward: &Forward<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let before = out.len();
    let result = forward.put(out);
    if result.is_err() {
        out.truncate(before);
    }
    result
}

/// Reads what [`forward_properties`] wrote, or
/// [`forward_bytes`](crate::PublishProperties::forward_bytes).
///
/// # Errors
/// As for the properties of a PUBLISH; `PropertyNotAllowed` for one that is not passed on.
pub fn parse_forward(bytes: &[u8]) -> Result<Forward<'_>, DecodeError> {
    let mut walk = Walk::new(bytes);
    let mut forward = Forward::default();
    let mut reader = ForwardReader::default();
    loop {
        let start = walk.offset();
        let Some(id) = walk.next()? else { break };
        reader.read(id, start, &mut walk, &mut forward)?;
    }
    reader.finish(&walk, &mut forward);
    Ok(forward)
}

/// A PUBLISH up to its payload, for one recipient.
#[derive(Clone, Copy, Debug)]
pub struct PublishHead<'a> {
    /// Sent before; only above QoS 0.
    pub dup: bool,
    /// The QoS of this delivery.
    pub qos: QoS,
    /// The retain flag of this delivery.
    pub retain: bool,
    /// The topic; empty if an alias stands for it.
    pub topic: &'a str,
    /// Present exactly if the QoS is above 0.
    pub packet_id: Option<PacketId>,
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
    /// Topic Alias.
    pub topic_alias: Option<u16>,
    /// Subscription Identifiers of the matching subscriptions (MQTT-3.3.4-3).
    pub subscription_ids: &'a [NonZeroU32],
    /// The encoded properties that are passed on ([`forward_properties`]).
    pub forward_bytes: &'a [u8],
    /// The bytes of the payload, which follows the head.
    pub payload_len: usize,
}

/// What the lengths of a packet say.
struct Lengths {
    /// Properties, without their own length.
    properties: u32,
    /// The remaining length.
    body: u32,
}

impl PublishHead<'_> {
    /// The bytes of the whole packet with its payload. MQTT 3 has no properties.
    ///
    /// # Errors
    /// As [`PublishHead::encode`].
    #[inline]
    pub fn encoded_len(&self, version: ProtocolVersion) -> Result<usize, EncodeError> {
        let Lengths { body, .. } = self.lengths(version)?;
        Ok(varint_len(body)
            .saturating_add(1)
            .saturating_add(body as usize))
    }

    /// Appends the packet up to its payload, which the caller appends or sends from where it
    /// is. Returns the place of the packet identifier in `out`, so that the head can be copied
    /// for another recipient; 0 at QoS 0.
    ///
    /// # Errors
    /// `TooLong` for a topic above 65,535 bytes, `PacketTooLarge` for a body above
    /// 268,435,455, `PropertyValue` for an identifier above that, `PacketId` and `DupAtQoS0`
    /// for flags that do not go together; nothing is appended then.
    #[inline]
    pub fn encode(
        &self,
        version: ProtocolVersion,
        out: &mut Vec<u8>,
    ) -> Result<usize, EncodeError> {
        if self.packet_id.is_some() != (self.qos != QoS::AtMostOnce) {
            return Err(EncodeError::PacketId);
        }
        if self.dup && self.qos == QoS::AtMostOnce {
            return Err(EncodeError::DupAtQoS0);
        }
        let lengths = self.lengths(version)?;
        let head = (lengths.body as usize)
            .saturating_sub(self.payload_len)
            .saturating_add(5);
        out.reserve(head);
        let flags = publish_flags(self.dup, self.qos, self.retain);
        out.push(PacketType::Publish.first_byte() | flags);
        put_varint(lengths.body, out);
        let topic_len = u16::try_from(self.topic.len());
        let topic_len = topic_len.map_err(|_| EncodeError::TooLong(Field::Topic))?;
        out.extend_from_slice(&topic_len.to_be_bytes());
        out.extend_from_slice(self.topic.as_bytes());
        let mut packet_id_at = 0;
        if let Some(id) = self.packet_id {
            packet_id_at = out.len();
            out.extend_from_slice(&id.get().to_be_bytes());
        }
        if version.has_properties() {
            put_varint(lengths.properties, out);
            if lengths.properties != 0 {
                self.put_properties(out);
            }
        }
        Ok(packet_id_at)
    }

    fn put_properties(&self, out: &mut Vec<u8>) {
        if let Some(expiry) = self.message_expiry {
            out.push(PropertyId::MessageExpiryInterval.byte());
            out.extend_from_slice(&expiry.to_be_bytes());
        }
        if let Some(alias) = self.topic_alias {
            out.push(PropertyId::TopicAlias.byte());
            out.extend_from_slice(&alias.to_be_bytes());
        }
        for id in self.subscription_ids {
            out.push(PropertyId::SubscriptionIdentifier.byte());
            put_varint(id.get(), out);
        }
        out.extend_from_slice(self.forward_bytes);
    }

    #[inline]
    fn lengths(&self, version: ProtocolVersion) -> Result<Lengths, EncodeError> {
        if self.topic.len() > usize::from(u16::MAX) {
            return Err(EncodeError::TooLong(Field::Topic));
        }
        let mut properties = 0;
        let mut body = self
            .topic
            .len()
            .saturating_add(2)
            .saturating_add(if self.packet_id.is_some() { 2 } else { 0 })
            .saturating_add(self.payload_len);
        if version.has_properties() {
            let mut len = self
                .forward_bytes
                .len()
                .saturating_add(if self.message_expiry.is_some() { 5 } else { 0 })
                .saturating_add(if self.topic_alias.is_some() { 3 } else { 0 });
            for id in self.subscription_ids {
                let id = check_subscription_id(id.get())?;
                len = len.saturating_add(varint_len(id)).saturating_add(1);
            }
            properties = section_len(len)?;
            body = body
                .saturating_add(varint_len(properties))
                .saturating_add(len);
        }
        match u32::try_from(body) {
            Ok(body) if body <= VARINT_MAX => Ok(Lengths { properties, body }),
            _ => Err(EncodeError::PacketTooLarge),
        }
    }
}

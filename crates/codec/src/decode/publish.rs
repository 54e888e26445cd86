//! Reading PUBLISH (3.3): the way that nearly every packet takes.

use types::{ProtocolVersion, QoS};

use crate::properties::{Span, SubscriptionIds, Walk};
use crate::read::Reader;
use crate::{DecodeError, Field, Forward, PropertyId, Publish, PublishProperties};

/// Reads a PUBLISH from its first byte and its body, as [`frame`](crate::frame()) found them.
/// The type in the first byte is not looked at.
///
/// # Errors
/// As [`decode`](crate::decode()).
#[inline]
pub fn decode_publish(
    version: ProtocolVersion,
    first_byte: u8,
    body: &[u8],
) -> Result<Publish<'_>, DecodeError> {
    let dup = first_byte & 0x08 != 0;
    let qos = QoS::from_bits(first_byte >> 1 & 0x03).ok_or(DecodeError::PublishQoS)?;
    let mut reader = Reader::new(body);
    let topic = reader.string(Field::Topic)?;
    let packet_id = if qos == QoS::AtMostOnce {
        if dup {
            return Err(DecodeError::DupAtQoS0);
        }
        None
    } else {
        Some(reader.packet_id()?)
    };
    // Filled in place: moving the properties costs more than reading them.
    let mut publish = Publish {
        dup,
        qos,
        retain: first_byte & 0x01 != 0,
        topic,
        packet_id,
        properties: NO_PROPERTIES,
        payload: &[],
    };
    if version.has_properties() {
        let walk = Walk::take(&mut reader)?;
        if !walk.reader.is_empty() {
            properties(walk, &mut publish.properties)?;
        }
    }
    publish.payload = reader.rest();
    Ok(publish)
}

fn properties<'a>(
    mut walk: Walk<'a>,
    found: &mut PublishProperties<'a>,
) -> Result<(), DecodeError> {
    let mut forward = ForwardReader::default();
    let mut ids = Span::default();
    loop {
        let start = walk.offset();
        let Some(id) = walk.next()? else { break };
        match id {
            PropertyId::MessageExpiryInterval => walk.u32(id, &mut found.message_expiry)?,
            PropertyId::TopicAlias => walk.u16(id, &mut found.topic_alias)?,
            PropertyId::SubscriptionIdentifier => {
                walk.subscription_id()?;
                ids.extend(start, walk.offset());
            }
            other => forward.read(other, start, &mut walk, &mut found.forward)?,
        }
    }
    found.subscription_ids = SubscriptionIds {
        bytes: walk.bytes(ids),
        count: ids.count,
    };
    found.forward_bytes = forward.finish(&walk, &mut found.forward);
    Ok(())
}

/// Reads the properties that are passed on, wherever they stand.
#[derive(Default)]
pub(crate) struct ForwardReader {
    user: Span,
    /// From the first to the last of all of them.
    all: Span,
    /// The bytes that they take themselves.
    len: usize,
}

impl ForwardReader {
    /// Reads the value of the property whose identifier `id` stands at `start`; refuses one
    /// that is not passed on.
    pub(crate) fn read<'a>(
        &mut self,
        id: PropertyId,
        start: usize,
        walk: &mut Walk<'a>,
        forward: &mut Forward<'a>,
    ) -> Result<(), DecodeError> {
        match id {
            PropertyId::PayloadFormatIndicator => walk.flag(id, &mut forward.payload_is_utf8)?,
            PropertyId::ContentType => walk.string(id, &mut forward.content_type)?,
            PropertyId::ResponseTopic => walk.string(id, &mut forward.response_topic)?,
            PropertyId::CorrelationData => walk.binary(id, &mut forward.correlation_data)?,
            PropertyId::UserProperty => walk.user(start, &mut self.user)?,
            other => return Err(DecodeError::PropertyNotAllowed(other)),
        }
        let end = walk.offset();
        self.len = self.len.saturating_add(end.saturating_sub(start));
        self.all.extend(start, end);
        Ok(())
    }

    /// Fills in the User Properties, and returns the bytes of all that was read if nothing
    /// else stands between.
    pub(crate) fn finish<'a>(self, walk: &Walk<'a>, forward: &mut Forward<'a>) -> Option<&'a [u8]> {
        forward.user = walk.user_properties(self.user);
        let bytes = walk.bytes(self.all);
        (bytes.len() == self.len).then_some(bytes)
    }
}

const NO_PROPERTIES: PublishProperties<'static> = PublishProperties {
    message_expiry: None,
    topic_alias: None,
    subscription_ids: SubscriptionIds {
        bytes: &[],
        count: 0,
    },
    forward: Forward {
        payload_is_utf8: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user: crate::UserProperties {
            bytes: &[],
            count: 0,
        },
    },
    forward_bytes: Some(&[]),
};

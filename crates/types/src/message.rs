//! The application message, in the form in which recipients share it.

use std::sync::{Arc, OnceLock};

use crate::{Durability, MessageRef, QoS, SessionRef, Time};

/// An application message behind one reference count.
///
/// What all recipients share is here and is never changed: the topic, the payload, and the
/// properties of MQTT 5.0 that a server must pass on unaltered, already encoded
/// (payload format indicator, response topic, correlation data, content type and user
/// properties: MQTT-3.3.2-4, -15 to -20). What is theirs is written for each recipient.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    topic: Arc<str>,
    /// Properties, then payload, in one allocation.
    body: Box<[u8]>,
    properties_len: u32,
    qos: QoS,
    retain: bool,
    publisher: Option<SessionRef>,
    expires: Option<Time>,
    durability: Durability,
    followed: Followed,
    reference: OnceLock<MessageRef>,
}

/// Whether a message is followed on its way (distributed tracing), and what that did to its properties.
///
/// It is decided once, where the message comes in, and goes wherever the message goes: nobody has to
/// look for it in the properties, and no client can say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Followed {
    /// Nobody follows it.
    #[default]
    No,
    /// It is followed, and its publisher's context gave way to ours.
    Renewed,
    /// It is followed, and our context was put behind its properties: the last [`Followed::ADDED`]
    /// bytes of them. Who has no room for these gets the message without.
    Added,
}

impl Followed {
    /// Bytes of a context that was added: the user property `traceparent`.
    pub const ADDED: usize = 71;

    /// Whether anybody follows it.
    #[inline]
    pub fn is_on(self) -> bool {
        self != Self::No
    }
}

/// What a [`Message`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct MessageParts<'a> {
    /// Forwardable properties in the encoding of MQTT 5.0, without their length.
    pub properties: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// The QoS at which it was published.
    pub qos: QoS,
    /// The retain flag with which it was published.
    pub retain: bool,
    /// The session that published it, for No Local; `None` for the server's own messages.
    pub publisher: Option<SessionRef>,
    /// When it expires (MQTT-3.3.2-5).
    pub expires: Option<Time>,
    /// What its acknowledgement promises.
    pub durability: Durability,
    /// Whether somebody follows it.
    pub followed: Followed,
}

impl MessageParts<'_> {
    /// The same without what the server added to follow it; `None` if it added nothing.
    pub fn bare(self) -> Option<Self> {
        if self.followed != Followed::Added {
            return None;
        }
        let length = self.properties.len().checked_sub(Followed::ADDED)?;
        Some(Self {
            properties: self.properties.get(..length)?,
            followed: Followed::No,
            ..self
        })
    }
}

impl Message {
    /// Copies the parts of a message.
    pub fn new(topic: Arc<str>, parts: MessageParts<'_>) -> Self {
        Self {
            topic,
            properties_len: u32::try_from(parts.properties.len()).unwrap_or(u32::MAX),
            body: [parts.properties, parts.payload]
                .concat()
                .into_boxed_slice(),
            qos: parts.qos,
            retain: parts.retain,
            publisher: parts.publisher,
            expires: parts.expires,
            durability: parts.durability,
            followed: parts.followed,
            reference: OnceLock::new(),
        }
    }

    /// The parts again, borrowed.
    pub fn parts(&self) -> MessageParts<'_> {
        let (properties, payload) = self.body_split();
        MessageParts {
            properties,
            payload,
            qos: self.qos,
            retain: self.retain,
            publisher: self.publisher,
            expires: self.expires,
            durability: self.durability,
            followed: self.followed,
        }
    }

    fn body_split(&self) -> (&[u8], &[u8]) {
        let at = usize::try_from(self.properties_len).unwrap_or(usize::MAX);
        self.body.split_at_checked(at).unwrap_or((&[], &self.body))
    }

    /// The topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The properties that are passed on, encoded as in MQTT 5.0.
    pub fn properties(&self) -> &[u8] {
        self.body_split().0
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.body_split().1
    }

    /// The QoS at which the message was published.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// The retain flag with which the message was published.
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// The session that published the message.
    pub fn publisher(&self) -> Option<SessionRef> {
        self.publisher
    }

    /// When the message expires.
    pub fn expires(&self) -> Option<Time> {
        self.expires
    }

    /// What the acknowledgement of the message promises.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Whether somebody follows the message.
    pub fn followed(&self) -> Followed {
        self.followed
    }

    /// What the store calls the message, once it has it.
    pub fn reference(&self) -> Option<MessageRef> {
        self.reference.get().copied()
    }

    /// The same; `keep` hands the message to the store if nobody has yet. Others who ask at the
    /// same time wait for it, so that a message is stored once however many workers owe it.
    pub fn reference_or(&self, keep: impl FnOnce() -> MessageRef) -> MessageRef {
        *self.reference.get_or_init(keep)
    }

    /// The same message, which the store does not know of. The store forgets a message that
    /// nobody is owed; who goes on with it all the same begins anew.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(Arc::clone(&self.topic), self.parts())
    }

    /// Whether the message has expired at `now`.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// The Message Expiry Interval to send at `now`, in seconds: what was received less the
    /// time waited (MQTT-3.3.2-6), rounded up so that a message in its last second says 1.
    pub fn remaining_expiry(&self, now: Time) -> Option<u32> {
        self.expires.map(|at| remaining_seconds(at, now))
    }

    /// What the message counts against limits in bytes: topic, properties and payload.
    pub fn size(&self) -> usize {
        self.topic.len().saturating_add(self.body.len())
    }
}

/// The whole seconds from `now` until `at`, rounded up.
pub fn remaining_seconds(at: Time, now: Time) -> u32 {
    u32::try_from(at.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_added_to_a_message_can_be_left_out() {
        let added = [&[1_u8, 1][..], &[0x26; Followed::ADDED]].concat();
        let parts = MessageParts {
            properties: &added,
            payload: b"xy",
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            expires: None,
            durability: Durability::Memory,
            followed: Followed::Added,
        };
        let message = Message::new(Arc::from("t"), parts);
        let anew = message.anew();
        let bare = anew.parts().bare().unwrap();
        assert_eq!((bare.properties, bare.payload), (&[1, 1][..], &b"xy"[..]));
        assert!(bare.bare().is_none() && message.followed().is_on());
        let renewed = MessageParts {
            followed: Followed::Renewed,
            ..parts
        };
        assert!(renewed.bare().is_none());
    }

    #[test]
    fn expiry_counts_down_and_rounds_up() {
        let start = Time::from_millis(5);
        let message = Message::new(
            Arc::from("t"),
            MessageParts {
                properties: &[1, 1],
                payload: b"xy",
                qos: QoS::AtLeastOnce,
                retain: false,
                publisher: None,
                expires: Some(start + Duration::from_secs(10)),
                durability: Durability::Memory,
                followed: crate::Followed::No,
            },
        );
        assert_eq!(message.remaining_expiry(start), Some(10));
        assert_eq!(
            message.remaining_expiry(start + Duration::from_millis(9_001)),
            Some(1)
        );
        assert!(!message.is_expired(start + Duration::from_millis(9_999)));
        assert!(message.is_expired(start + Duration::from_secs(10)));
        assert_eq!(
            (message.properties(), message.payload()),
            (&[1u8, 1][..], &b"xy"[..])
        );
        assert_eq!(message.size(), 5);
    }
}

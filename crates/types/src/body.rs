//! A message that waits: in memory, or in the store alone.

use std::sync::Arc;

use crate::{Message, MessageRef, Time};

/// A message that waits. In memory it can be sent at once; in the store it must be loaded first.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory (and perhaps in the store too).
    Here(Arc<Message>),
    /// In the store alone.
    Stored(StoredBody),
}

/// What is known of a message without looking into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBody {
    /// The message.
    pub reference: MessageRef,
    /// [`Message::size`] of it, in bytes.
    pub size: u32,
    /// When it expires; the end of time if it does not (MQTT-3.3.2-5).
    pub expires: Time,
}

impl Body {
    /// [`Message::size`] of the message.
    pub fn size(&self) -> usize {
        match self {
            Self::Here(message) => message.size(),
            Self::Stored(stored) => usize::try_from(stored.size).unwrap_or(usize::MAX),
        }
    }

    /// When the message expires.
    pub fn expires(&self) -> Option<Time> {
        match self {
            Self::Here(message) => message.expires(),
            Self::Stored(stored) => Some(stored.expires).filter(|&at| at < Time::MAX),
        }
    }

    /// Whether the message has expired at `now`.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires().is_some_and(|at| at <= now)
    }

    /// What the store calls the message, if it has it.
    pub fn reference(&self) -> Option<MessageRef> {
        match self {
            Self::Here(message) => message.reference(),
            Self::Stored(stored) => Some(stored.reference),
        }
    }

    /// The message, if it is in memory.
    pub fn message(&self) -> Option<&Arc<Message>> {
        match self {
            Self::Here(message) => Some(message),
            Self::Stored(_) => None,
        }
    }

    /// The same without the message in memory, if the store has it.
    #[must_use]
    pub fn without_message(self) -> Self {
        match &self {
            Self::Here(message) => match message.reference() {
                Some(reference) => Self::Stored(StoredBody {
                    reference,
                    size: u32::try_from(message.size()).unwrap_or(u32::MAX),
                    expires: message.expires().unwrap_or(Time::MAX),
                }),
                None => self,
            },
            Self::Stored(_) => self,
        }
    }
}

impl From<Arc<Message>> for Body {
    fn from(message: Arc<Message>) -> Self {
        Self::Here(message)
    }
}

//! The filters of SUBSCRIBE and UNSUBSCRIBE, which stay encoded and are walked in place.

use std::fmt;

use types::SubscriptionOptions;

use crate::read::Reader;
use crate::write::put_binary;
use crate::{EncodeError, Field, SubscribeFilter, SubscribeFilters, UnsubscribeFilters};

impl<'a> SubscribeFilters<'a> {
    /// The filters with their options, in order.
    pub fn iter(&self) -> impl Iterator<Item = SubscribeFilter<'a>> + use<'a> {
        let mut reader = Reader::new(self.0);
        // The bytes were checked when the list was made: no error but the end can come up.
        std::iter::from_fn(move || {
            let filter = reader.string(Field::TopicFilter).ok()?;
            let byte = reader.byte(Field::SubscriptionOptions).ok()?;
            Some(SubscribeFilter {
                filter,
                options: SubscriptionOptions::from_byte(byte)?,
            })
        })
    }

    /// How many filters there are; walks the list.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no filter. Decoded lists have at least one (MQTT-3.8.3-2).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SubscribeFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> UnsubscribeFilters<'a> {
    /// The filters, in order: UTF-8 without NUL, not yet checked as filters.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || reader.string(Field::TopicFilter).ok())
    }

    /// How many filters there are; walks the list.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no filter. Decoded lists have at least one (MQTT-3.10.3-2).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for UnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The filters of a SUBSCRIBE to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeFiltersBuf(Vec<u8>);

impl SubscribeFiltersBuf {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a filter. The text is taken as it is: the caller keeps U+0000 out.
    ///
    /// # Errors
    /// `TooLong` for a filter of more than 65,535 bytes; nothing is appended then.
    pub fn push(&mut self, filter: &str, options: SubscriptionOptions) -> Result<(), EncodeError> {
        put_binary(filter.as_bytes(), Field::TopicFilter, &mut self.0)?;
        self.0.push(options.to_byte());
        Ok(())
    }

    /// The list as a packet borrows it.
    pub fn as_borrowed(&self) -> SubscribeFilters<'_> {
        SubscribeFilters(&self.0)
    }
}

/// The filters of an UNSUBSCRIBE to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsubscribeFiltersBuf(Vec<u8>);

impl UnsubscribeFiltersBuf {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a filter. The text is taken as it is: the caller keeps U+0000 out.
    ///
    /// # Errors
    /// `TooLong` for a filter of more than 65,535 bytes; nothing is appended then.
    pub fn push(&mut self, filter: &str) -> Result<(), EncodeError> {
        put_binary(filter.as_bytes(), Field::TopicFilter, &mut self.0)
    }

    /// The list as a packet borrows it.
    pub fn as_borrowed(&self) -> UnsubscribeFilters<'_> {
        UnsubscribeFilters(&self.0)
    }
}

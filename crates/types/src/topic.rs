//! Topic names and filters, checked once and valid from then on.

use std::fmt;
use std::sync::Arc;

/// Why a topic name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    /// A topic has at least one character (MQTT-4.7.3-1).
    Empty,
    /// `+` and `#` belong to filters (MQTT-3.3.2-2).
    Wildcard,
    /// U+0000 is never allowed (MQTT-4.7.3-2).
    Nul,
    /// A control character, U+0001 to U+001F or U+007F to U+009F. The standard lets a
    /// server refuse them (1.5.4); they have no place in a log or a file name.
    ControlCharacter,
    /// More levels than `limits.topic_levels`.
    TooManyLevels,
    /// Longer than 65,535 bytes (MQTT-4.7.3-3).
    TooLong,
}

/// Why a topic filter was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// The filter as text is not valid as a topic is not.
    Topic(TopicError),
    /// `#` stands alone in the last level (MQTT-4.7.1-1).
    MisplacedHash,
    /// `+` fills a whole level (MQTT-4.7.1-2).
    MisplacedPlus,
    /// `$share/` needs a name without `/`, `+`, `#` and then a filter (MQTT-4.8.2-1, -2).
    ShareName,
}

fn check_characters(text: &str, max_levels: u16) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > usize::from(u16::MAX) {
        return Err(TopicError::TooLong);
    }
    let mut levels: usize = 1;
    for &byte in text.as_bytes() {
        match byte {
            b'/' => levels = levels.saturating_add(1),
            0 => return Err(TopicError::Nul),
            1..=0x1f | 0x7f => return Err(TopicError::ControlCharacter),
            // U+0080 to U+009F are C2 80 to C2 9F; the slow look happens only after a C2.
            0xc2 if text.chars().any(|c| ('\u{80}'..='\u{9f}').contains(&c)) => {
                return Err(TopicError::ControlCharacter);
            }
            _ => {}
        }
    }
    if levels > usize::from(max_levels) {
        return Err(TopicError::TooManyLevels);
    }
    Ok(())
}

/// A topic name: what a message is published to. Borrowed; copy it freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// Checks a topic name (MQTT 5.0, 4.7.3) with at most `max_levels` levels.
    pub fn parse(text: &'a str, max_levels: u16) -> Result<Self, TopicError> {
        check_characters(text, max_levels)?;
        if text.bytes().any(|byte| byte == b'+' || byte == b'#') {
            return Err(TopicError::Wildcard);
        }
        Ok(Self(text))
    }

    /// The name as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether the name starts with `$`, which wildcards at the start of a filter never
    /// match (MQTT-4.7.2-1).
    pub fn is_reserved(self) -> bool {
        self.0.starts_with('$')
    }
}

/// A topic filter without `$share/name/`: what a subscription asks for. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Arc<str>);

impl TopicFilter {
    /// Checks a topic filter (MQTT 5.0, 4.7.1) with at most `max_levels` levels.
    pub fn parse(text: &str, max_levels: u16) -> Result<Self, FilterError> {
        check_characters(text, max_levels).map_err(FilterError::Topic)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(FilterError::MisplacedHash);
            }
            if level.contains('+') && level != "+" {
                return Err(FilterError::MisplacedPlus);
            }
        }
        Ok(Self(Arc::from(text)))
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the filter holds `+` or `#`.
    pub fn has_wildcard(&self) -> bool {
        self.0.bytes().any(|byte| byte == b'+' || byte == b'#')
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a shared subscription's group. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShareName(Arc<str>);

impl ShareName {
    /// At least one character, none of `/`, `+`, `#` (MQTT-4.8.2-1).
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() || text.contains(['/', '+', '#']) {
            return Err(FilterError::ShareName);
        }
        Ok(Self(Arc::from(text)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a SUBSCRIBE or UNSUBSCRIBE names: a filter, perhaps shared by a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionFilter {
    /// The group of `$share/name/filter`; `None` for a subscription of one's own.
    pub share: Option<ShareName>,
    /// The filter behind it.
    pub filter: TopicFilter,
}

impl SubscriptionFilter {
    /// Takes `filter` or `$share/name/filter` apart and checks both (MQTT 5.0, 4.8.2).
    pub fn parse(text: &str, max_levels: u16) -> Result<Self, FilterError> {
        let Some(shared) = text.strip_prefix("$share/") else {
            if text == "$share" {
                return Err(FilterError::ShareName);
            }
            return Ok(Self {
                share: None,
                filter: TopicFilter::parse(text, max_levels)?,
            });
        };
        let Some((name, filter)) = shared.split_once('/') else {
            return Err(FilterError::ShareName);
        };
        Ok(Self {
            share: Some(ShareName::parse(name)?),
            filter: TopicFilter::parse(filter, max_levels)?,
        })
    }
}

impl fmt::Display for SubscriptionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.share {
            Some(name) => write!(f, "$share/{}/{}", name.as_str(), self.filter),
            None => f.write_str(self.filter.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_4_7_3() {
        assert!(TopicName::parse("/", 128).is_ok());
        assert!(TopicName::parse("a b/ç", 128).is_ok());
        assert_eq!(TopicName::parse("", 128), Err(TopicError::Empty));
        assert_eq!(TopicName::parse("a/+", 128), Err(TopicError::Wildcard));
        assert_eq!(TopicName::parse("a#", 128), Err(TopicError::Wildcard));
        assert_eq!(TopicName::parse("a\0", 128), Err(TopicError::Nul));
        assert_eq!(
            TopicName::parse("a\r", 128),
            Err(TopicError::ControlCharacter)
        );
        assert_eq!(
            TopicName::parse("a\u{85}", 128),
            Err(TopicError::ControlCharacter)
        );
        assert_eq!(TopicName::parse("a/b/c", 2), Err(TopicError::TooManyLevels));
        let long = "x".repeat(65_536);
        assert_eq!(TopicName::parse(&long, 128), Err(TopicError::TooLong));
    }

    #[test]
    fn filters_follow_4_7_1() {
        for good in ["#", "+", "a/#", "+/a/+", "/", "/#", "$SYS/#", "a//b"] {
            assert!(TopicFilter::parse(good, 128).is_ok(), "{good}");
        }
        for bad in ["a#", "a/#/b", "#/a", "##"] {
            assert_eq!(
                TopicFilter::parse(bad, 128),
                Err(FilterError::MisplacedHash),
                "{bad}"
            );
        }
        for bad in ["a+", "+a/b", "a/b+/c", "++"] {
            assert_eq!(
                TopicFilter::parse(bad, 128),
                Err(FilterError::MisplacedPlus),
                "{bad}"
            );
        }
    }

    #[test]
    fn shared_filters_follow_4_8_2() {
        let shared = SubscriptionFilter::parse("$share/g/a/#", 128).unwrap();
        assert_eq!(shared.to_string(), "$share/g/a/#");
        assert_eq!(shared.filter.as_str(), "a/#");
        for bad in [
            "$share",
            "$share/",
            "$share/ab",
            "$share//t",
            "$share/+/t",
            "$share/#/t",
        ] {
            assert_eq!(
                SubscriptionFilter::parse(bad, 128),
                Err(FilterError::ShareName),
                "{bad}"
            );
        }
        assert_eq!(
            SubscriptionFilter::parse("$share/g/", 128),
            Err(FilterError::Topic(TopicError::Empty))
        );
        assert!(
            SubscriptionFilter::parse("$shared/x", 128)
                .unwrap()
                .share
                .is_none()
        );
    }
}

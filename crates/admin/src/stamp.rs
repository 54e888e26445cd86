//! A point in time.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A point in time, to the millisecond. As text it is RFC 3339 in UTC: `2026-11-21T10:00:00.000Z`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
pub struct Stamp(#[schema(inline)] Timestamp);

impl Stamp {
    /// Now, by the system's clock.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// So many milliseconds after the beginning of 1970; the end of year 9999 if it is later.
    pub fn from_millis(millis: u64) -> Self {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let stamp = Timestamp::from_millisecond(millis);
        Self(stamp.unwrap_or(Timestamp::MAX))
    }

    /// Milliseconds since the beginning of 1970; zero if it is earlier.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millisecond()).unwrap_or(0)
    }

    /// Reads RFC 3339, with any offset. Parts of a millisecond are left out.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: Timestamp = text.parse().ok()?;
        let whole = Timestamp::from_millisecond(stamp.as_millisecond()).ok()?;
        Some(Self(whole))
    }
}

impl Default for Stamp {
    /// The beginning of 1970.
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl From<SystemTime> for Stamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let wanted = "expected a time such as 2026-11-21T10:00:00Z (RFC 3339)";
            serde::de::Error::custom(format!("{text:?}: {wanted}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_written_to_the_millisecond_and_read_with_any_offset() {
        let stamp = Stamp::parse("2026-11-21T12:00:00.1239+02:00").unwrap();
        assert_eq!(stamp.to_string(), "2026-11-21T10:00:00.123Z");
        assert_eq!(Stamp::from_millis(stamp.as_millis()), stamp);
        assert_eq!(
            Stamp::from_millis(0).to_string(),
            "1970-01-01T00:00:00.000Z"
        );
        assert_eq!(Stamp::from_millis(u64::MAX).0, Timestamp::MAX);
        for wrong in ["", "2026-11-21", "tomorrow", "2026-13-01T00:00:00Z"] {
            assert_eq!(Stamp::parse(wrong), None, "{wrong}");
        }
    }
}

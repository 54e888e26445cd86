//! What of a trace travels with a message: `traceparent` of W3C Trace Context, level 1.

use std::fmt;

/// Which trace something belongs to. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// Which span of a trace something is. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// This number, unless it is zero.
    pub fn new(number: u128) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }
}

impl SpanId {
    /// This number, unless it is zero.
    pub fn new(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// 32 digits, as everywhere.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// 16 digits, as everywhere.
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The span that it came from.
    pub span: SpanId,
    /// Whether those before have it recorded, and so shall we.
    pub sampled: bool,
}

impl Context {
    /// Length of what [`Display`](fmt::Display) writes, in bytes.
    pub const LEN: usize = 55;

    /// Reads a `traceparent`; `None` for what is none (3.2.2: only small letters, no zeros, and of a
    /// version beyond ours only the beginning).
    pub fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.as_bytes().split_at_checked(Self::LEN)?;
        let &[v0, v1, b'-', ref rest @ ..] = head else {
            return None;
        };
        let version = hex(&[v0, v1])?;
        let fits = match version {
            0 => tail.is_empty(),
            0xff => false,
            _ => tail.is_empty() || tail.first() == Some(&b'-'),
        };
        let (trace, rest) = rest.split_at_checked(32)?;
        let (dash, rest) = rest.split_at_checked(1)?;
        let (span, flags) = rest.split_at_checked(16)?;
        let flags = flags.strip_prefix(b"-").filter(|_| dash == b"-" && fits)?;
        Some(Self {
            trace: TraceId::new(hex(trace)?)?,
            span: SpanId::new(u64::try_from(hex(span)?).ok()?)?,
            sampled: hex(flags)? & 1 == 1,
        })
    }
}

/// A `traceparent` of version 0.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

/// At most 32 small digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
            _ => return None,
        };
        Some((number << 4) | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_and_written() {
        let context = Context::parse(ONE).unwrap();
        assert_eq!(
            context.trace.to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(context.span.to_string(), "00f067aa0ba902b7");
        assert!(context.sampled);
        assert_eq!(context.to_string(), ONE);
        assert_eq!(ONE.len(), Context::LEN);
        let not = ONE.replace("-01", "-00");
        assert!(!Context::parse(&not).unwrap().sampled);
        // Flags that nobody has thought of yet.
        let more = ONE.replace("-01", "-ff");
        assert_eq!(Context::parse(&more).unwrap().to_string(), ONE);
    }

    #[test]
    fn a_version_beyond_ours_is_read_as_far_as_it_is_ours() {
        let newer = ONE.replacen("00", "cc", 1);
        assert_eq!(Context::parse(&newer), Context::parse(ONE));
        assert_eq!(
            Context::parse(&format!("{newer}-what")),
            Context::parse(ONE)
        );
        assert_eq!(Context::parse(&format!("{newer}.what")), None);
        assert_eq!(Context::parse(&format!("{ONE}-what")), None);
        assert_eq!(Context::parse(&ONE.replacen("00", "ff", 1)), None);
    }

    #[test]
    fn what_is_no_context_is_none() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736+00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473\u{e9}-0f067aa0ba902b7-01",
            " 0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Context::parse(text), None, "{text}");
        }
    }
}

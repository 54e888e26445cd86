//! Values: what a key may hold, from text and to text.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use types::Durability;
use types::limits::QueuePolicy;

use crate::config::{Anonymous, LogFormat, LogLevel, SharedStrategy};

/// What a key may hold. Ranges are inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Bytes: an integer, or text with a unit.
    Size { min: u64, max: u64 },
    /// How many: an integer.
    Count { min: u64, max: u64 },
    /// A span of time in seconds: an integer, or text with a unit down to `ms`.
    Span { min: Duration, max: Duration },
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text that the function accepts.
    Text(fn(&str) -> Result<(), &'static str>),
}

/// A value as it was written, before its key says what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    /// An integer of TOML.
    Integer(i128),
    /// A string of TOML, a variable or an option.
    Text(String),
    /// A boolean of TOML.
    Flag(bool),
    /// Something that no key of ours holds: its name in TOML.
    Other(&'static str),
}

/// A value that fits its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Span(Duration),
    Flag(bool),
    Text(String),
    Unset,
}

/// The span that MQTT 5.0 writes as 0xFFFFFFFF: a session that never expires.
pub(crate) const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

impl Kind {
    /// Takes a value, or says in a few words what it should be.
    pub(crate) fn parse(&self, raw: &Raw) -> Result<Value, String> {
        match (self, raw) {
            (_, Raw::Other(name)) => Err(format!("{name} cannot stand here; {self}")),
            (Self::Size { min, max }, _) => {
                let bytes = whole(raw)
                    .or_else(|| scaled(raw, SIZES))
                    .ok_or_else(|| self.refuse(raw))?;
                self.within(bytes, *min, *max)
            }
            (Self::Count { min, max }, _) => {
                let count = whole(raw).ok_or_else(|| self.refuse(raw))?;
                self.within(count, *min, *max)
            }
            (Self::Span { min, max }, _) => {
                let span = self.span(raw).ok_or_else(|| self.refuse(raw))?;
                if span < *min || span > *max {
                    return Err(format!("{} is out of range; {self}", show_span(span)));
                }
                Ok(Value::Span(span))
            }
            (Self::Flag, Raw::Flag(flag)) => Ok(Value::Flag(*flag)),
            (Self::Flag, Raw::Text(text)) => match text.as_str() {
                "true" => Ok(Value::Flag(true)),
                "false" => Ok(Value::Flag(false)),
                _ => Err(self.refuse(raw)),
            },
            (Self::Choice(words), Raw::Text(text)) if words.contains(&text.as_str()) => {
                Ok(Value::Text(text.clone()))
            }
            (Self::Text(check), Raw::Text(text)) => match check(text) {
                Ok(()) => Ok(Value::Text(text.clone())),
                Err(reason) => Err(format!("{} {reason}", quote(text))),
            },
            (Self::Flag | Self::Choice(_) | Self::Text(_), _) => Err(self.refuse(raw)),
        }
    }

    fn span(&self, raw: &Raw) -> Option<Duration> {
        if let Some(seconds) = whole(raw) {
            return Some(Duration::from_secs(seconds));
        }
        if self.may_be_never() && *raw == Raw::Text("never".into()) {
            return Some(NEVER);
        }
        scaled(raw, SPANS).map(Duration::from_millis)
    }

    fn may_be_never(&self) -> bool {
        matches!(self, Self::Span { max, .. } if *max == NEVER)
    }

    fn within(&self, number: u64, min: u64, max: u64) -> Result<Value, String> {
        if number < min || number > max {
            return Err(format!("{number} is out of range; {self}"));
        }
        Ok(Value::Number(number))
    }

    fn refuse(&self, raw: &Raw) -> String {
        let written = match raw {
            Raw::Integer(number) => number.to_string(),
            Raw::Flag(flag) => flag.to_string(),
            Raw::Text(text) => quote(text),
            Raw::Other(name) => (*name).to_owned(),
        };
        format!("{written} does not fit; {self}")
    }

    /// The value as its owner would write it in the file; `None` if it is not set.
    pub(crate) fn show(&self, value: &Value) -> Option<String> {
        Some(match (self, value) {
            (_, Value::Unset) => return None,
            (Self::Size { .. }, Value::Number(bytes)) => show_size(*bytes),
            (Self::Span { .. }, Value::Number(seconds)) => show_span(Duration::from_secs(*seconds)),
            (Self::Span { .. }, Value::Span(span)) if self.may_be_never() && *span == NEVER => {
                "\"never\"".to_owned()
            }
            (_, Value::Span(span)) => show_span(*span),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Flag(flag)) => flag.to_string(),
            (_, Value::Text(text)) => toml_string(text),
        })
    }
}

/// What to write, as the end of an error's line.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { min, max } => write!(
                f,
                "write a size from {} to {}, in bytes or with B, KiB, MiB, GiB, TiB, kB, MB, GB",
                show_size(*min),
                show_size(*max)
            ),
            Self::Count { min, max } => write!(f, "write a number from {min} to {max}"),
            Self::Span { min, max } => {
                write!(
                    f,
                    "write a time from {} to {}",
                    show_span(*min),
                    show_span(*max)
                )?;
                f.write_str(", in seconds or with ms, s, m, h, d")?;
                if self.may_be_never() {
                    f.write_str(", or \"never\"")
                } else {
                    Ok(())
                }
            }
            Self::Flag => f.write_str("write true or false"),
            Self::Choice(words) => write!(f, "write one of \"{}\"", words.join("\", \"")),
            Self::Text(_) => f.write_str("write text in quotes"),
        }
    }
}

/// A field of the configuration, as keys read and write it.
pub(crate) trait Field {
    /// The value as it is.
    fn read(&self) -> Value;
    /// Takes a value that its key's kind let through; the error says what does not fit.
    fn write(&mut self, value: Value) -> Result<(), String>;
}

macro_rules! number_field {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn read(&self) -> Value {
                // No number of ours is wider than 64 bits.
                Value::Number(u64::try_from(*self).unwrap_or(u64::MAX))
            }

            fn write(&mut self, value: Value) -> Result<(), String> {
                let number = match value {
                    Value::Number(number) => number,
                    Value::Span(span) if span.subsec_nanos() == 0 => span.as_secs(),
                    Value::Span(_) => return Err("write whole seconds".into()),
                    Value::Flag(_) | Value::Text(_) | Value::Unset => return Err(MISFIT.into()),
                };
                *self = Self::try_from(number)
                    .map_err(|_| format!("{number} is more than {}", Self::MAX))?;
                Ok(())
            }
        }
    )*};
}

number_field!(u16, u32, u64, usize);

impl Field for Duration {
    fn read(&self) -> Value {
        Value::Span(*self)
    }

    fn write(&mut self, value: Value) -> Result<(), String> {
        let Value::Span(span) = value else {
            return Err(MISFIT.into());
        };
        *self = span;
        Ok(())
    }
}

impl Field for bool {
    fn read(&self) -> Value {
        Value::Flag(*self)
    }

    fn write(&mut self, value: Value) -> Result<(), String> {
        let Value::Flag(flag) = value else {
            return Err(MISFIT.into());
        };
        *self = flag;
        Ok(())
    }
}

impl Field for Anonymous {
    fn read(&self) -> Value {
        match self {
            Self::FromLoopback => Value::Unset,
            Self::FromAnywhere => Value::Flag(true),
            Self::Refused => Value::Flag(false),
        }
    }

    fn write(&mut self, value: Value) -> Result<(), String> {
        let Value::Flag(flag) = value else {
            return Err(MISFIT.into());
        };
        *self = if flag {
            Self::FromAnywhere
        } else {
            Self::Refused
        };
        Ok(())
    }
}

impl Field for Option<String> {
    fn read(&self) -> Value {
        self.clone().map_or(Value::Unset, Value::Text)
    }

    fn write(&mut self, value: Value) -> Result<(), String> {
        *self = match value {
            Value::Text(text) => Some(text),
            Value::Unset => None,
            Value::Number(_) | Value::Span(_) | Value::Flag(_) => return Err(MISFIT.into()),
        };
        Ok(())
    }
}

impl Field for Option<PathBuf> {
    fn read(&self) -> Value {
        let text = |path: &PathBuf| Value::Text(path.to_string_lossy().into_owned());
        self.as_ref().map_or(Value::Unset, text)
    }

    fn write(&mut self, value: Value) -> Result<(), String> {
        *self = match value {
            Value::Text(text) => Some(PathBuf::from(text)),
            Value::Unset => None,
            Value::Number(_) | Value::Span(_) | Value::Flag(_) => return Err(MISFIT.into()),
        };
        Ok(())
    }
}

/// Words of the file and the variants that they stand for: once for reading, writing and help.
macro_rules! choice_field {
    ($choice:ty, $words:ident, $($word:literal => $variant:ident),* $(,)?) => {
        /// The words of the file, in the order in which help lists them.
        pub(crate) const $words: &[&str] = &[$($word),*];

        impl Field for $choice {
            fn read(&self) -> Value {
                Value::Text(match self { $(Self::$variant => $word),* }.to_owned())
            }

            fn write(&mut self, value: Value) -> Result<(), String> {
                let Value::Text(text) = value else { return Err(MISFIT.into()) };
                *self = match text.as_str() {
                    $($word => Self::$variant,)*
                    _ => return Err(MISFIT.into()),
                };
                Ok(())
            }
        }
    };
}

choice_field!(Durability, DURABILITIES, "disk" => Disk, "os" => Os, "memory" => Memory);
choice_field!(QueuePolicy, QUEUE_POLICIES,
    "drop_oldest" => DropOldest, "drop_newest" => DropNewest);
choice_field!(LogFormat, LOG_FORMATS, "auto" => Auto, "text" => Text, "json" => Json);
choice_field!(LogLevel, LOG_LEVELS,
    "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug, "trace" => Trace);
choice_field!(SharedStrategy, STRATEGIES,
    "round_robin" => RoundRobin, "random" => Random, "sticky" => Sticky,
    "hash_client" => HashClient, "hash_topic" => HashTopic, "least_inflight" => LeastInflight);

/// A whole number without a unit.
fn whole(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        Raw::Text(text) => text.trim().replace('_', "").parse().ok(),
        Raw::Flag(_) | Raw::Other(_) => None,
    }
}

/// A whole number with a unit, perhaps with a space between.
fn scaled(raw: &Raw, units: &[(&str, u64)]) -> Option<u64> {
    let Raw::Text(text) = raw else { return None };
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '_')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number
        .replace('_', "")
        .parse::<u64>()
        .ok()?
        .checked_mul(*scale)
}

fn show_size(bytes: u64) -> String {
    for (unit, scale) in [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ] {
        if bytes != 0 && bytes.is_multiple_of(scale) {
            return format!("\"{}{unit}\"", bytes.checked_div(scale).unwrap_or_default());
        }
    }
    bytes.to_string()
}

fn show_span(span: Duration) -> String {
    if span.subsec_nanos() != 0 {
        return format!("\"{}ms\"", span.as_millis());
    }
    let seconds = span.as_secs();
    for (unit, scale) in [("d", 86_400), ("h", 3600), ("m", 60)] {
        if seconds != 0 && seconds.is_multiple_of(scale) {
            return format!(
                "\"{}{unit}\"",
                seconds.checked_div(scale).unwrap_or_default()
            );
        }
    }
    if seconds == 0 {
        "0".to_owned()
    } else {
        format!("\"{seconds}s\"")
    }
}

/// A basic string of TOML. `${` is doubled, so that reading it gives the same text.
pub(crate) fn toml_string(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().saturating_add(2));
    shown.push('"');
    for letter in text.replace("${", "$${").chars() {
        match letter {
            '"' => shown.push_str("\\\""),
            '\\' => shown.push_str("\\\\"),
            letter if letter.is_control() => {
                shown.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => shown.push(letter),
        }
    }
    shown.push('"');
    shown
}

/// What was written, in quotes, without a line break in it and not too long for a line.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("\"{}\"", shown.escape_debug())
}

pub(crate) const MISFIT: &str = "a value of another kind is needed";

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// In milliseconds.
const SPANS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

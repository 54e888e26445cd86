//! Values: what a key may hold, from text and to text.
//!
//! | module | owns |
//! |---|---|
//! | `field` | [`Field`]: from a value to a field of the configuration and back |
//! | `words` | the words of choices and what they stand for |
//! | `units` | sizes, spans, rates: numbers with units |
//! | `text` | text in quotes |

mod field;
mod text;
mod units;
mod words;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use types::limits::Rate;

pub(crate) use field::{Field, MISFIT};
pub(crate) use text::{quote, toml_string, toml_template};
use units::{SIZES, SPANS, scaled, show_rate, show_size, show_span, whole};
pub(crate) use words::*;

use crate::config::{Secret, Url};
use crate::formats::{header_parts, path};

/// What a key may hold. Ranges are inclusive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Bytes: an integer, or text with a unit.
    Size { min: u64, max: u64 },
    /// How many: an integer.
    Count { min: u64, max: u64 },
    /// A span of time in seconds: an integer, or text with a unit down to `ms`.
    Span { min: Duration, max: Duration },
    /// So many, or so many bytes, in a second, a minute or an hour.
    Rate(Per),
    /// `true` or `false`.
    Flag,
    /// `true`, or nothing.
    Mark,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text that the function accepts.
    Text(Check),
    /// Text in which `${…}` is not a variable of the environment but something of the client's.
    Template(Check),
    /// A file; a relative path is beside the configuration file.
    File,
    /// What the server makes itself; a relative path is beside the configuration file, too.
    Made,
    /// Text that nobody may see.
    Secret(Check),
    /// A line `Name: value`, of which nobody may see the value.
    Header,
    /// An address with one of these schemes, perhaps with a password in it.
    Url(&'static [&'static str]),
    /// An address with one of these schemes, or a file.
    Location(&'static [&'static str]),
    /// Permissions of a file, in octal digits.
    Mode,
    /// Any number of these, but not none.
    List(&'static Kind),
}

/// Says what is wrong with a text, as the end of a sentence that begins with it.
pub(crate) type Check = fn(&str) -> Result<(), &'static str>;

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    /// Messages, connections.
    Piece,
    /// Bytes.
    Byte,
}

/// A value as it was written, before its key says what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Raw {
    /// An integer of TOML.
    Integer(i128),
    /// A string of TOML, a variable or an option.
    Text(String),
    /// A boolean of TOML.
    Flag(bool),
    /// An array of TOML.
    List(Vec<Raw>),
    /// Something that no key of ours holds: its name in TOML.
    Other(&'static str),
}

/// A value that fits its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Span(Duration),
    Rate(Rate),
    Flag(bool),
    Text(String),
    Secret(Secret),
    Url(Url),
    List(Vec<Value>),
    Unset,
}

/// The span that MQTT 5.0 writes as 0xFFFFFFFF: a session that never expires.
pub(crate) const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Stands for what is not shown. It cannot be read back.
pub(crate) const HIDDEN: &str = "…";

impl Kind {
    /// Takes a value, or says in a few words what it should be.
    pub(crate) fn parse(&self, raw: &Raw) -> Result<Value, String> {
        match (self, raw) {
            (_, Raw::Other(name)) => Err(format!("{name} cannot stand here; {self}")),
            (Self::List(kind), Raw::List(items)) => self.parse_list(kind, items),
            (_, Raw::List(_)) => Err(format!("a list cannot stand here; {self}")),
            (Self::List(kind), Raw::Text(text))
                if !kind.may_be_secret() && kind.parse(raw).is_ok() =>
            {
                Err(format!("{}; here [{}]", self.refuse(raw), quote(text)))
            }
            (Self::List(_), _) => Err(self.refuse(raw)),
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
            (Self::Rate(_), Raw::Text(text)) if text.trim() == "off" => Ok(Value::Unset),
            (Self::Rate(per), _) => {
                let rate = units::rate(raw, *per).ok_or_else(|| self.refuse(raw))?;
                Ok(Value::Rate(rate))
            }
            (Self::Mark, Raw::Flag(true)) | (Self::Flag, Raw::Flag(_)) => flag(raw),
            (Self::Flag, Raw::Text(_)) => flag(raw).map_err(|_| self.refuse(raw)),
            (Self::Mode, Raw::Text(text)) => {
                let digits = text.trim();
                let short = digits.len() <= 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
                let mode = u64::from_str_radix(digits, 8).ok();
                mode.filter(|mode| short && *mode <= 0o777)
                    .map(Value::Number)
                    .ok_or_else(|| self.refuse(raw))
            }
            (_, Raw::Text(text)) => self.parse_text(text),
            (Self::Flag | Self::Mark | Self::Mode, _) => Err(self.refuse(raw)),
            (Self::Choice(_) | Self::Text(_) | Self::Template(_) | Self::File | Self::Made, _) => {
                Err(self.refuse(raw))
            }
            (Self::Secret(_) | Self::Header | Self::Url(_) | Self::Location(_), _) => {
                Err(self.refuse(raw))
            }
        }
    }

    fn parse_text(&self, text: &str) -> Result<Value, String> {
        let checked = |check: &Check| {
            check(text).map_err(|reason| format!("{} {reason}", quote(text)))?;
            Ok(Value::Text(text.to_owned()))
        };
        match self {
            Self::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Self::Text(check) | Self::Template(check) => checked(check),
            Self::File | Self::Made => checked(&(path as Check)),
            Self::Secret(_) | Self::Header | Self::Url(_) if text.contains(HIDDEN) => Err(format!(
                "{HIDDEN} stands for a secret that was not shown; write the secret itself"
            )),
            // The text is in none of these errors.
            Self::Secret(check) => {
                check(text)?;
                Ok(Value::Secret(Secret::new(text)))
            }
            Self::Header if header_parts(text).is_some() => Ok(Value::Secret(Secret::new(text))),
            Self::Url(schemes) => Url::parse(text, schemes)
                .map(Value::Url)
                .map_err(|reason| format!("{reason}; {self}")),
            Self::Location(schemes) if text.contains("://") => Self::Url(schemes).parse_text(text),
            Self::Location(_) => Self::File.parse_text(text),
            _ => Err(self.refuse(&Raw::Text(text.to_owned()))),
        }
    }

    fn parse_list(&self, kind: &Kind, items: &[Raw]) -> Result<Value, String> {
        if items.is_empty() {
            return Err(format!(
                "an empty list says nothing; leave the key out, or {self}"
            ));
        }
        let mut values = Vec::with_capacity(items.len());
        let mut seen = HashSet::new();
        for item in items {
            let value = kind.parse(item)?;
            if !seen.insert(item) {
                let shown = kind.show(&value).unwrap_or_default();
                return Err(format!("{shown} is there twice"));
            }
            values.push(value);
        }
        Ok(Value::List(values))
    }

    /// Whether `${…}` is left as it is.
    pub(crate) fn has_placeholders(&self) -> bool {
        match self {
            Self::Template(_) => true,
            Self::List(kind) => kind.has_placeholders(),
            _ => false,
        }
    }

    /// The value with relative paths beside the configuration file.
    pub(crate) fn anchor(&self, value: Value, folder: &Path) -> Value {
        match (self, value) {
            (Self::File | Self::Made | Self::Location(_), Value::Text(path)) => {
                Value::Text(path_text(&folder.join(path)))
            }
            (Self::List(kind), Value::List(values)) => {
                let anchored = values.into_iter().map(|value| kind.anchor(value, folder));
                Value::List(anchored.collect())
            }
            (_, value) => value,
        }
    }

    /// Whether a part of it, or all, is for nobody to see.
    pub(crate) fn may_be_secret(&self) -> bool {
        match self {
            Self::Secret(_) | Self::Header | Self::Url(_) | Self::Location(_) => true,
            Self::List(kind) => kind.may_be_secret(),
            _ => false,
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
        let written = match (self, raw) {
            (Self::Secret(_) | Self::Header | Self::List(Self::Header), _) => UNSEEN.to_owned(),
            (Self::Url(_) | Self::Location(_), _) => UNSEEN.to_owned(),
            (_, Raw::Integer(number)) => number.to_string(),
            (_, Raw::Flag(flag)) => flag.to_string(),
            (_, Raw::Text(text)) => quote(text),
            (_, Raw::List(_)) => "a list".to_owned(),
            (_, Raw::Other(name)) => (*name).to_owned(),
        };
        format!("{written} does not fit; {self}")
    }

    /// The value as its owner would write it in the file, secrets hidden; `None` if it is not set.
    pub(crate) fn show(&self, value: &Value) -> Option<String> {
        Some(match (self, value) {
            (_, Value::Unset) => return None,
            (Self::Size { .. }, Value::Number(bytes)) => show_size(*bytes),
            (Self::Span { .. }, Value::Number(seconds)) => show_span(Duration::from_secs(*seconds)),
            (Self::Span { .. }, Value::Span(span)) if self.may_be_never() && *span == NEVER => {
                "\"never\"".to_owned()
            }
            (Self::Mode, Value::Number(mode)) => format!("\"{mode:04o}\""),
            (Self::Template(_), Value::Text(text)) => toml_template(text),
            (Self::List(kind), Value::List(values)) => {
                let shown: Vec<String> = values.iter().filter_map(|it| kind.show(it)).collect();
                format!("[{}]", shown.join(", "))
            }
            (Self::Rate(per), Value::Rate(rate)) => show_rate(*rate, *per),
            (_, Value::Rate(rate)) => show_rate(*rate, Per::Piece),
            (_, Value::Span(span)) => show_span(*span),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Flag(flag)) => flag.to_string(),
            (_, Value::Text(text)) => toml_string(text),
            (Self::Header, Value::Secret(line)) => {
                let (name, _) = header_parts(line.reveal()).unwrap_or_default();
                toml_string(&format!("{name}: {HIDDEN}"))
            }
            (_, Value::Secret(_)) => toml_string(HIDDEN),
            (_, Value::Url(url)) => toml_string(&url.to_string()),
            (_, Value::List(_)) => return None,
        })
    }
}

/// A path as text; what is no UTF-8 in it cannot have come from the file.
pub(crate) fn path_text(path: &Path) -> String {
    PathBuf::from(path).to_string_lossy().into_owned()
}

fn flag(raw: &Raw) -> Result<Value, String> {
    match raw {
        Raw::Flag(flag) => Ok(Value::Flag(*flag)),
        Raw::Text(text) if text == "true" => Ok(Value::Flag(true)),
        Raw::Text(text) if text == "false" => Ok(Value::Flag(false)),
        _ => Err(MISFIT.to_owned()),
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
                let (min, max) = (show_span(*min), show_span(*max));
                write!(
                    f,
                    "write a time from {min} to {max}, in seconds or with ms, s, m, h, d"
                )?;
                let never = if self.may_be_never() {
                    ", or \"never\""
                } else {
                    ""
                };
                f.write_str(never)
            }
            Self::Rate(Per::Piece) => {
                f.write_str("write a rate such as \"100/s\", \"30/m\" or \"5/h\", or \"off\"")
            }
            Self::Rate(Per::Byte) => {
                f.write_str("write a rate such as \"64KiB/s\" or \"1GiB/h\", or \"off\"")
            }
            Self::Flag => f.write_str("write true or false"),
            Self::Mark => f.write_str("write true, or leave the key out"),
            Self::Choice(words) => write!(f, "write one of \"{}\"", words.join("\", \"")),
            Self::Text(_) | Self::Template(_) | Self::Secret(_) => {
                f.write_str("write text in quotes")
            }
            Self::Header => f.write_str("write \"Name: value\""),
            Self::File => f.write_str("write the path of a file in quotes"),
            Self::Made => f.write_str("write a path in quotes"),
            Self::Url(schemes) => write!(f, "write an address with {}://", schemes.join(":// or ")),
            Self::Location(schemes) => {
                let schemes = schemes.join(":// or ");
                write!(
                    f,
                    "write an address with {schemes}://, or the path of a file"
                )
            }
            Self::Mode => f.write_str("write octal digits in quotes, such as \"0660\""),
            Self::List(kind) => write!(f, "write a list, [a, b], for each: {kind}"),
        }
    }
}

const UNSEEN: &str = "what is written";

//! Topics with placeholders.

use std::fmt;
use std::sync::Arc;

use types::{FilterError, TopicFilter};

use super::algebra;
use super::values::{Value, Values};

/// Topics that a rule is about: a filter, perhaps with placeholders that fill one level or a part
/// of it. What takes the place of a placeholder is literal: `+`, `#`, `/` and NUL in a client's
/// name never widen a rule; the pattern then matches nothing (S44, S45), as it does if the client
/// has no such value, or an empty one. A value that would make the topic begin with `$` is none.
///
/// It is at most 65,535 bytes long (MQTT-4.7.3-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Arc<str>,
    levels: Box<[Level]>,
    literal: bool,
}

/// One level of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Text(Box<str>),
    Plus,
    Hash,
    Form(Form),
}

/// A level with at least one placeholder in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Form(Box<[Part]>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// Never empty.
    Text(Box<str>),
    Value(Placeholder),
}

/// What stands for something of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `${clientid}`: the client identifier.
    ClientId,
    /// `${username}`: the user.
    Username,
    /// `${ip}`: the address that the client is connected from.
    Ip,
    /// `${cert.cn}`: the Common Name of its certificate, if it has just one (S77).
    CertificateName,
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// With its placeholders filled it would not be a topic filter.
    Filter(FilterError),
    /// There is no such placeholder.
    Unknown(String),
    /// `${` without `}`.
    Unclosed,
    /// `+` or `#` in a level with a placeholder.
    Wildcard,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(FilterError::MisplacedHash) => f.write_str("# must be the last level"),
            Self::Filter(FilterError::MisplacedPlus) => f.write_str("+ must fill its level"),
            Self::Filter(error) => write!(f, "not a topic filter: {error:?}"),
            Self::Unknown(name) => write!(
                f,
                "unknown placeholder {name:?}; there are ${{clientid}}, ${{username}}, ${{ip}} and \
                 ${{cert.cn}}, and $${{ stands for ${{"
            ),
            Self::Unclosed => f.write_str("${ without }"),
            Self::Wildcard => f.write_str("+ or # beside a placeholder in one level"),
        }
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Reads a filter with `${clientid}`, `${username}`, `${ip}`, `${cert.cn}`. `$${` stands for
    /// `${` itself.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Self::read(text, braces)
    }

    /// Reads a filter with Mosquitto's `%c` (client identifier) and `%u` (user).
    pub fn mosquitto(text: &str) -> Result<Self, PatternError> {
        Self::read(text, percent)
    }

    /// A filter as it is.
    pub fn plain(filter: &TopicFilter) -> Self {
        Self {
            text: filter.as_str().into(),
            levels: filter.as_str().split('/').map(Level::plain).collect(),
            literal: false,
        }
    }

    /// Makes it be about the filter itself: of a subscription it matches this filter to the
    /// letter, not those that it covers; of a publish just the topic with this name. A delivery is
    /// denied by none of these, and allowed where the filter matches.
    pub fn to_the_letter(mut self) -> Self {
        self.literal = true;
        self
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is about the filter itself.
    pub fn is_literal(&self) -> bool {
        self.literal
    }

    /// Whether it has a placeholder.
    pub fn has_placeholder(&self) -> bool {
        self.levels
            .iter()
            .any(|level| matches!(level, Level::Form(_)))
    }

    /// Whether it holds `+` or `#`.
    pub fn has_wildcard(&self) -> bool {
        let wild = |level: &Level| matches!(level, Level::Plus | Level::Hash);
        self.levels.iter().any(wild)
    }

    /// Whether it matches a topic.
    pub fn matches(&self, values: &Values<'_>, topic: &str) -> bool {
        algebra::matches(&self.levels, values, topic)
    }

    /// Whether each topic that the filter matches is matched by it.
    pub fn covers(&self, values: &Values<'_>, filter: &TopicFilter) -> bool {
        algebra::covers(&self.levels, values, filter.as_str())
    }

    /// Whether some topic is matched by it and by the filter.
    pub fn overlaps(&self, values: &Values<'_>, filter: &TopicFilter) -> bool {
        algebra::overlaps(&self.levels, values, filter.as_str())
    }

    /// Whether it is this filter to the letter.
    pub(crate) fn is(&self, values: &Values<'_>, filter: &TopicFilter) -> bool {
        algebra::same(&self.levels, values, filter.as_str())
    }

    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Whether something of the connection, not only of the session, is in it.
    pub(crate) fn needs_connection(&self) -> bool {
        self.levels.iter().any(|level| match level {
            Level::Form(form) => form.placeholders().any(Placeholder::is_of_connection),
            Level::Text(_) | Level::Plus | Level::Hash => false,
        })
    }

    fn read(
        text: &str,
        next: fn(&str) -> Result<Option<Found<'_>>, PatternError>,
    ) -> Result<Self, PatternError> {
        let mut reader = Reader::default();
        let mut rest = text;
        while let Some(found) = next(rest)? {
            reader.text(found.before);
            match found.what {
                What::Value(placeholder) => reader.value(placeholder),
                What::Text(text) => reader.text(text),
            }
            rest = found.after;
        }
        reader.text(rest);
        let levels = reader.finish()?;
        Ok(Self {
            text: text.into(),
            levels,
            literal: false,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Placeholder {
    pub(super) fn is_of_connection(self) -> bool {
        match self {
            Self::ClientId | Self::Username => false,
            Self::Ip | Self::CertificateName => true,
        }
    }
}

impl Level {
    fn plain(text: &str) -> Self {
        match text {
            "+" => Self::Plus,
            "#" => Self::Hash,
            _ => Self::Text(text.into()),
        }
    }
}

impl Form {
    fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value(placeholder) => Some(*placeholder),
        })
    }

    /// Whether the client has all its values, and they are fit for a topic.
    pub(crate) fn is_filled(&self, values: &Values<'_>, first: bool) -> bool {
        let filled = self
            .placeholders()
            .all(|placeholder| match values.find(placeholder) {
                Value::Is(text) => is_clean(text),
                Value::Missing => false,
                Value::Unknown(guess) => guess,
            });
        filled && !(first && self.begins_with_dollar(values))
    }

    /// Whether it begins with a `$` that is the rule's own.
    pub(crate) fn is_reserved(&self) -> bool {
        matches!(self.0.first(), Some(Part::Text(text)) if text.starts_with('$'))
    }

    fn begins_with_dollar(&self, values: &Values<'_>) -> bool {
        match self.0.first() {
            Some(Part::Value(placeholder)) => match values.find(*placeholder) {
                Value::Is(text) => text.starts_with('$'),
                Value::Missing | Value::Unknown(_) => false,
            },
            Some(Part::Text(_)) | None => false,
        }
    }

    /// Whether this is the level with its values filled in. The level is of a topic, or of a
    /// filter and no wildcard: so a value with `/`, `+`, `#` or NUL cannot be in it (S44).
    pub(crate) fn matches(&self, values: &Values<'_>, level: &[u8], first: bool) -> bool {
        if first && level.first() == Some(&b'$') && matches!(self.0.first(), Some(Part::Value(_))) {
            return false;
        }
        let mut rest = level;
        for part in &self.0 {
            let text: &str = match part {
                Part::Text(text) => text,
                Part::Value(placeholder) => match values.find(*placeholder) {
                    Value::Is("") | Value::Missing => return false,
                    Value::Is(text) => text,
                    Value::Unknown(guess) => return guess,
                },
            };
            match rest.strip_prefix(text.as_bytes()) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

fn is_clean(value: &str) -> bool {
    !value
        .bytes()
        .any(|byte| matches!(byte, b'/' | b'+' | b'#' | 0))
}

/// The next thing in a pattern that is not text.
struct Found<'a> {
    before: &'a str,
    what: What,
    after: &'a str,
}

enum What {
    Value(Placeholder),
    Text(&'static str),
}

fn braces(text: &str) -> Result<Option<Found<'_>>, PatternError> {
    let Some((before, rest)) = text.split_once("${") else {
        return Ok(None);
    };
    if let Some(before) = before.strip_suffix('$') {
        return Ok(Some(Found {
            before,
            what: What::Text("${"),
            after: rest,
        }));
    }
    let (name, after) = rest.split_once('}').ok_or(PatternError::Unclosed)?;
    let placeholder = match name {
        "clientid" => Placeholder::ClientId,
        "username" => Placeholder::Username,
        "ip" => Placeholder::Ip,
        "cert.cn" => Placeholder::CertificateName,
        _ => return Err(PatternError::Unknown(name.to_owned())),
    };
    Ok(Some(Found {
        before,
        what: What::Value(placeholder),
        after,
    }))
}

fn percent(text: &str) -> Result<Option<Found<'_>>, PatternError> {
    let found = text.match_indices('%').find_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let (placeholder, after) = match rest.strip_prefix("%c") {
            Some(after) => (Placeholder::ClientId, after),
            None => (Placeholder::Username, rest.strip_prefix("%u")?),
        };
        Some(Found {
            before,
            what: What::Value(placeholder),
            after,
        })
    });
    Ok(found)
}

/// Puts levels together.
#[derive(Default)]
struct Reader {
    levels: Vec<Level>,
    /// Of the level that is being read.
    parts: Vec<Part>,
    /// The whole, with something harmless in the place of each value.
    sample: String,
}

impl Reader {
    fn text(&mut self, text: &str) {
        self.sample.push_str(text);
        let mut levels = text.split('/');
        if let Some(piece) = levels.next() {
            self.piece(piece);
        }
        for piece in levels {
            self.end_level();
            self.piece(piece);
        }
    }

    fn piece(&mut self, piece: &str) {
        match self.parts.last_mut() {
            _ if piece.is_empty() => {}
            Some(Part::Text(text)) => *text = [&**text, piece].concat().into(),
            Some(Part::Value(_)) | None => self.parts.push(Part::Text(piece.into())),
        }
    }

    fn value(&mut self, placeholder: Placeholder) {
        self.sample.push('x');
        self.parts.push(Part::Value(placeholder));
    }

    fn end_level(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        self.levels.push(match parts.as_slice() {
            [] => Level::plain(""),
            [Part::Text(text)] => Level::plain(text),
            _ => Level::Form(Form(parts.into())),
        });
    }

    fn finish(mut self) -> Result<Box<[Level]>, PatternError> {
        self.end_level();
        for level in &self.levels {
            if let Level::Form(form) = level {
                let wild =
                    |part: &Part| matches!(part, Part::Text(text) if text.contains(['+', '#']));
                if form.0.iter().any(wild) {
                    return Err(PatternError::Wildcard);
                }
            }
        }
        TopicFilter::parse(&self.sample, u16::MAX).map_err(PatternError::Filter)?;
        Ok(self.levels.into())
    }
}

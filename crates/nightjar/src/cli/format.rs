//! `-F`: how `nightjar sub` prints a message, in the format language of mosquitto_sub.
//!
//! A format is read once; what is wrong in it is told before anything is connected.

use std::fmt;
use std::io::Write;

use client::Received;
use jiff::Zoned;

mod json;

#[cfg(test)]
mod tests;

pub(crate) use json::Layout;

/// A format, ready to print messages.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pieces: Vec<Piece>,
    layout: Layout,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Field(Field, Shape),
    /// `@X`: X as strftime knows it.
    Time(String),
    /// `@N`: nanoseconds of the second.
    Nanoseconds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    TopicAlias,
    ContentType,
    CorrelationData,
    Double,
    Expiry,
    FormatIndicator,
    Float,
    IsoTime,
    JsonQuoted,
    JsonNested,
    Length,
    PacketId,
    Payload,
    UserProperties,
    QoS,
    ResponseTopic,
    Retain,
    SubscriptionIds,
    Topic,
    UnixTime,
    HexLower,
    HexUpper,
}

/// What may stand between `%` and the letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shape {
    align: Align,
    /// Least characters.
    width: usize,
    /// Most characters of text, digits behind the point of a number, or hexadecimal digits
    /// of each group.
    precision: Option<usize>,
    /// What stands between groups of hexadecimal digits.
    separator: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Align {
    #[default]
    Right,
    /// `0`: to the right, behind zeros if the field is a number or hexadecimal.
    Zeros,
    /// `-`.
    Left,
}

/// What is wrong with a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatError {
    /// It ends within a sequence.
    Incomplete,
    /// `%` with a letter that means nothing.
    Field(char),
    /// `\` with a letter that means nothing.
    Escape(char),
    /// `@` with a letter that means nothing.
    Time(char),
    /// A width or precision above 10,000.
    Number,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the format after -F ends within a sequence"),
            Self::Field(letter) => write!(f, "the format after -F has an unknown %{letter}"),
            Self::Escape(letter) => write!(f, "the format after -F has an unknown \\{letter}"),
            Self::Time(letter) => write!(f, "the format after -F has an unknown @{letter}"),
            Self::Number => write!(f, "the format after -F has a number above {NUMBER_MAX}"),
        }
    }
}

/// Why a message could not be printed in full; the rest of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RenderError {
    /// `%J` and a payload that is not JSON.
    Json,
    /// `%d` and a payload that has not 8 bytes.
    Double,
    /// `%f` and a payload that has not 4 bytes.
    Float,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "payload is not valid JSON",
            Self::Double => "payload is not a double of 8 bytes",
            Self::Float => "payload is not a float of 4 bytes",
        })
    }
}

impl Format {
    /// Reads a format; `layout` is that of JSON.
    pub(crate) fn parse(text: &str, layout: Layout) -> Result<Self, FormatError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars();
        while let Some(letter) = rest.next() {
            let piece = match letter {
                '%' => field(&mut rest)?,
                '@' => time(&mut rest)?,
                '\\' => Piece::Text(vec![escape(&mut rest)?]),
                _ => {
                    plain.push(letter);
                    continue;
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain).into_bytes()));
            }
            pieces.push(piece);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into_bytes()));
        }
        Ok(Self { pieces, layout })
    }

    /// Appends a message that arrived at `time`.
    pub(crate) fn render(
        &self,
        received: &Received,
        time: &Zoned,
        out: &mut Vec<u8>,
    ) -> Result<(), RenderError> {
        let mut result = Ok(());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Nanoseconds => {
                    append(out, format_args!("{:09}", time.subsec_nanosecond()));
                }
                // It was tried when the format was read.
                Piece::Time(directive) => append(out, format_args!("{}", time.strftime(directive))),
                Piece::Field(field, shape) => {
                    let rendered = render_field(*field, shape, received, time, self.layout, out);
                    result = result.and(rendered);
                }
            }
        }
        result
    }
}

fn field(rest: &mut std::str::Chars<'_>) -> Result<Piece, FormatError> {
    let mut shape = Shape::default();
    let mut letter = rest.next().ok_or(FormatError::Incomplete)?;
    while matches!(letter, '0' | '-') {
        shape.align = match (letter, shape.align) {
            ('0', Align::Right) => Align::Zeros,
            ('0', align) => align,
            _ => Align::Left,
        };
        letter = rest.next().ok_or(FormatError::Incomplete)?;
    }
    shape.width = number(&mut letter, rest)?;
    if letter == '.' {
        letter = rest.next().ok_or(FormatError::Incomplete)?;
        shape.precision = Some(number(&mut letter, rest)?);
        if letter.is_ascii_punctuation() && letter != '%' {
            shape.separator = u8::try_from(letter).ok();
            letter = rest.next().ok_or(FormatError::Incomplete)?;
        }
    }
    let field = match letter {
        '%' => return Ok(Piece::Text(b"%".to_vec())),
        'A' => Field::TopicAlias,
        'C' => Field::ContentType,
        'D' => Field::CorrelationData,
        'd' => Field::Double,
        'E' => Field::Expiry,
        'F' => Field::FormatIndicator,
        'f' => Field::Float,
        'I' => Field::IsoTime,
        'j' => Field::JsonQuoted,
        'J' => Field::JsonNested,
        'l' => Field::Length,
        'm' => Field::PacketId,
        'P' => Field::UserProperties,
        'p' => Field::Payload,
        'q' => Field::QoS,
        'R' => Field::ResponseTopic,
        'r' => Field::Retain,
        'S' => Field::SubscriptionIds,
        't' => Field::Topic,
        'U' => Field::UnixTime,
        'x' => Field::HexLower,
        'X' => Field::HexUpper,
        other => return Err(FormatError::Field(other)),
    };
    if shape.separator.is_some() && !matches!(field, Field::HexLower | Field::HexUpper) {
        return Err(FormatError::Field(letter));
    }
    Ok(Piece::Field(field, shape))
}

/// The number that begins with `letter`; leaves the first letter behind it there.
fn number(letter: &mut char, rest: &mut std::str::Chars<'_>) -> Result<usize, FormatError> {
    let mut number: usize = 0;
    while let Some(digit) = letter.to_digit(10) {
        number = number.saturating_mul(10).saturating_add(digit as usize);
        if number > NUMBER_MAX {
            return Err(FormatError::Number);
        }
        *letter = rest.next().ok_or(FormatError::Incomplete)?;
    }
    Ok(number)
}

fn time(rest: &mut std::str::Chars<'_>) -> Result<Piece, FormatError> {
    let letter = rest.next().ok_or(FormatError::Incomplete)?;
    if matches!(letter, '@') {
        return Ok(Piece::Text(b"@".to_vec()));
    }
    if letter == 'N' {
        return Ok(Piece::Nanoseconds);
    }
    let directive = format!("%{letter}");
    let known = letter.is_ascii_alphabetic()
        && jiff::fmt::strtime::format(&directive, &Zoned::default()).is_ok();
    match known {
        true => Ok(Piece::Time(directive)),
        false => Err(FormatError::Time(letter)),
    }
}

fn escape(rest: &mut std::str::Chars<'_>) -> Result<u8, FormatError> {
    match rest.next().ok_or(FormatError::Incomplete)? {
        '\\' => Ok(b'\\'),
        '0' => Ok(0),
        'a' => Ok(0x07),
        'e' => Ok(0x1b),
        'n' => Ok(b'\n'),
        'r' => Ok(b'\r'),
        't' => Ok(b'\t'),
        'v' => Ok(0x0b),
        other => Err(FormatError::Escape(other)),
    }
}

fn render_field(
    field: Field,
    shape: &Shape,
    received: &Received,
    time: &Zoned,
    layout: Layout,
    out: &mut Vec<u8>,
) -> Result<(), RenderError> {
    let message = &received.message;
    let properties = &message.properties;
    let bare = Shape::default();
    match field {
        Field::TopicAlias => shape.number(out, properties.topic_alias),
        Field::ContentType => shape.text(out, properties.content_type.as_deref()),
        Field::CorrelationData => {
            out.extend_from_slice(properties.correlation_data.as_deref().unwrap_or_default());
        }
        Field::Double => {
            let bytes = message.payload.as_slice().try_into();
            let value = f64::from_le_bytes(bytes.map_err(|_| RenderError::Double)?);
            shape.float(out, value);
        }
        Field::Float => {
            let bytes = message.payload.as_slice().try_into();
            let value = f32::from_le_bytes(bytes.map_err(|_| RenderError::Float)?);
            shape.float(out, value.into());
        }
        Field::Expiry => shape.number(out, properties.message_expiry),
        Field::FormatIndicator => shape.number(out, properties.payload_is_utf8.map(u8::from)),
        Field::IsoTime => shape.text(out, Some(&time.strftime(ISO_TIME).to_string())),
        Field::JsonQuoted => json::quoted(received, time, layout, out),
        Field::JsonNested => json::nested(received, time, layout, out)?,
        Field::Length => shape.number(out, Some(message.payload.len())),
        Field::PacketId => shape.number(out, Some(received.packet_id.map_or(0, |id| id.get()))),
        Field::Payload => shape.pad(out, &message.payload, message.payload.len(), b' '),
        Field::UserProperties => {
            for (place, (key, value)) in properties.user.as_borrowed().iter().enumerate() {
                let space = if place == 0 { "" } else { " " };
                append(out, format_args!("{space}{key}:{value}"));
            }
        }
        Field::QoS => bare.number(out, Some(message.qos.bits())),
        Field::ResponseTopic => shape.text(out, properties.response_topic.as_deref()),
        Field::Retain => bare.number(out, Some(u8::from(message.retain))),
        Field::SubscriptionIds => {
            let ids: Vec<_> = received
                .subscription_ids
                .iter()
                .map(u32::to_string)
                .collect();
            shape.digits(out, &ids.join(" "));
        }
        Field::Topic => shape.text(out, Some(&message.topic)),
        Field::UnixTime => {
            let seconds = time.timestamp().as_second();
            append(
                out,
                format_args!("{seconds}.{:09}", time.subsec_nanosecond()),
            );
        }
        Field::HexLower => shape.hex(out, &message.payload, HEX_LOWER),
        Field::HexUpper => shape.hex(out, &message.payload, HEX_UPPER),
    }
    Ok(())
}

impl Shape {
    /// Text, no longer than the precision says.
    fn text(&self, out: &mut Vec<u8>, text: Option<&str>) {
        let text = text.unwrap_or_default();
        let cut = self
            .precision
            .and_then(|most| text.char_indices().nth(most));
        let text = cut.and_then(|(at, _)| text.get(..at)).unwrap_or(text);
        self.pad(out, text.as_bytes(), text.chars().count(), b' ');
    }

    fn number<T: ToString>(&self, out: &mut Vec<u8>, number: Option<T>) {
        self.digits(
            out,
            &number.map(|number| number.to_string()).unwrap_or_default(),
        );
    }

    fn digits(&self, out: &mut Vec<u8>, digits: &str) {
        self.pad(out, digits.as_bytes(), digits.len(), self.filler());
    }

    fn float(&self, out: &mut Vec<u8>, value: f64) {
        let text = format!("{value:.*}", self.precision.unwrap_or(6));
        match text.strip_prefix('-') {
            // Zeros stand behind the sign.
            Some(digits) if self.align == Align::Zeros => {
                out.push(b'-');
                Self {
                    width: self.width.saturating_sub(1),
                    ..*self
                }
                .digits(out, digits);
            }
            _ => self.digits(out, &text),
        }
    }

    /// Hexadecimal digits, in groups of as many as the precision says.
    fn hex(&self, out: &mut Vec<u8>, bytes: &[u8], alphabet: &[u8; 16]) {
        let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        let digits: Vec<u8> = nibbles
            .filter_map(|nibble| alphabet.get(usize::from(nibble)).copied())
            .collect();
        let text = match self.precision {
            None | Some(0) => digits,
            Some(group) => {
                let groups: Vec<_> = digits.chunks(group).collect();
                groups.join(&self.separator.unwrap_or(b' '))
            }
        };
        self.pad(out, &text, text.len(), self.filler());
    }

    fn filler(&self) -> u8 {
        match self.align {
            Align::Zeros => b'0',
            Align::Right | Align::Left => b' ',
        }
    }

    fn pad(&self, out: &mut Vec<u8>, text: &[u8], characters: usize, filler: u8) {
        let missing = self.width.saturating_sub(characters);
        match self.align {
            Align::Left => {
                out.extend_from_slice(text);
                out.resize(out.len().saturating_add(missing), b' ');
            }
            Align::Right | Align::Zeros => {
                out.resize(out.len().saturating_add(missing), filler);
                out.extend_from_slice(text);
            }
        }
    }
}

fn append(out: &mut Vec<u8>, what: fmt::Arguments<'_>) {
    // Writing to a Vec has no error.
    let _ = out.write_fmt(what);
}

const ISO_TIME: &str = "%Y-%m-%dT%H:%M:%S%z";
const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";
/// Widths and precisions end here: a message has no use for more.
const NUMBER_MAX: usize = 10_000;

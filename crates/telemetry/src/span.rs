//! Something that took a while.

use std::borrow::Cow;
use std::sync::Arc;

use crate::context::{SpanId, TraceId};

/// Something that took a while, with what happened meanwhile. Times are in nanoseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Which one it is.
    pub id: SpanId,
    /// The one that it belongs to.
    pub parent: Option<SpanId>,
    /// Whether that one is another program's.
    pub is_remote: bool,
    /// `tracestate`, as it came; empty without.
    pub state: Box<str>,
    /// What was done, in few words that many spans share.
    pub name: &'static str,
    /// What it is to others.
    pub kind: Kind,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened meanwhile, in order.
    pub events: Vec<Event>,
    /// How many more happened than are told.
    pub dropped_events: u32,
    /// Why it failed, if it did.
    pub error: Option<&'static str>,
}

/// What a span is to others (`Span.SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It sends to somebody.
    Producer,
    /// It takes from somebody.
    Consumer,
}

impl Kind {
    /// The number of the protocol.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }
}

/// Something that happened in a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// What.
    pub name: &'static str,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
}

/// Something known.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(Text),
    /// A number; what is more than fits is the most that does.
    Number(u64),
    /// Yes or no.
    Flag(bool),
}

/// A text, shared where it is there anyway.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// Somebody else has it too.
    Shared(Arc<str>),
    /// Nobody else has it.
    Own(Cow<'static, str>),
}

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Shared(text) => text,
            Self::Own(text) => text,
        }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Text::Own(text.into()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Text::Own(text.into()))
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(Text::Shared(text))
    }
}

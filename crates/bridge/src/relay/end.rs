//! Why a relay is over.

use std::fmt;

use types::ReasonCode;

use super::Side;

/// Why a relay is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The link to a side ended without a word.
    Closed(Side),
    /// A side took its leave.
    Disconnected(Side, ReasonCode, String),
    /// A side does not let the bridge in.
    Refused(Side, ReasonCode, String),
    /// A side sent what makes no sense.
    Protocol(Side, String),
    /// A side takes no more messages for now. What it refused is sent again later.
    Full(Side),
    /// Nothing was heard of the other server.
    Silent,
    /// The other server sends more at once than it may and than can be kept.
    TooMuch,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |text: &str| match text {
            "" => String::new(),
            text => format!(" ({})", text.chars().take(MOST_WORDS).collect::<String>()),
        };
        match self {
            Self::Closed(side) => write!(f, "{side} closed the connection"),
            Self::Disconnected(side, reason, text) => {
                let reason = reason.as_str();
                write!(f, "{side} disconnected the bridge: {reason}{}", said(text))
            }
            Self::Refused(side, reason, text) => {
                let reason = reason.as_str();
                write!(f, "{side} refuses the bridge: {reason}{}", said(text))
            }
            Self::Protocol(side, what) => write!(f, "{side} sent what it must not: {what}"),
            Self::Full(side) => write!(f, "{side} takes no more messages for now: quota exceeded"),
            Self::Silent => f.write_str("the other server does not answer"),
            Self::TooMuch => f.write_str("the other server sends more than can be taken"),
        }
    }
}

/// Longest words of a server that are repeated.
pub(super) const MOST_WORDS: usize = 200;

//! Why the server did not do what it was asked.

use std::fmt;

/// Why the server did not do what it was asked. The words are for the caller: they name what is
/// wrong and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such thing.
    NotFound(String),
    /// There is such a thing already.
    Exists(String),
    /// It is not any more what who asks has seen.
    Changed(String),
    /// What was asked makes no sense.
    Invalid(String),
    /// It is not allowed, whoever asks: a rule of MQTT denies it.
    Denied(String),
    /// Too much is asked at once; later it may do.
    Busy(String),
    /// A part of the server that is needed is not there, or its disk fails.
    Unavailable(String),
    /// The audit log cannot be written, so that nothing is changed.
    Audit(String),
    /// A mistake of the server's own.
    Internal(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(words)
            | Self::Exists(words)
            | Self::Changed(words)
            | Self::Invalid(words)
            | Self::Denied(words)
            | Self::Busy(words)
            | Self::Unavailable(words)
            | Self::Audit(words)
            | Self::Internal(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for Failure {}

//! Why a chain cannot start.

use std::fmt;
use std::sync::Arc;

/// Why settings were refused: the server does not start, and a reload changes nothing (S69). It
/// never holds a password, a token or a hash (S71).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The provider that it is about; `None`: the chain as a whole.
    pub provider: Option<Arc<str>>,
    /// What is wrong, with the file and the line where there is one.
    pub what: String,
}

impl Problem {
    /// One that is about the chain.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            provider: None,
            what: what.into(),
        }
    }

    /// The same, about a provider.
    pub(crate) fn of(self, provider: &Arc<str>) -> Self {
        Self {
            provider: Some(Arc::clone(provider)),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "authentication by {provider}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Problem {}

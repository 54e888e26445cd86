//! Who a session belongs to.

use std::sync::Arc;

/// The identity that an authentication established. A session belongs to it: another one
/// cannot take it over, whatever client id it gives (S25).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Nobody in particular.
    Anonymous,
    /// A user whose credentials were verified.
    User(Arc<str>),
}

impl Identity {
    /// The identity of a user, or of nobody in particular.
    pub fn of(user: Option<Arc<str>>) -> Self {
        user.map_or(Self::Anonymous, Self::User)
    }

    /// The user's name.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(name) => Some(name),
        }
    }
}

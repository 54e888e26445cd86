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

//! Sessions that have limits of their own.

use std::collections::HashMap;
use std::sync::Arc;

use types::Limits;

/// The sessions of the server's own clients, its bridges, by client id: what waits for another server
/// is bounded in another way than what waits for a client. Only the queue and the expiry of a session
/// go by these limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spools(HashMap<Box<str>, Arc<Limits>>);

impl Spools {
    /// Those with these client ids. Nobody outside must be able to connect with one of them.
    pub fn new(spools: impl IntoIterator<Item = (Box<str>, Arc<Limits>)>) -> Self {
        Self(spools.into_iter().collect())
    }

    /// The limits of a session, if it has its own.
    #[inline]
    pub(crate) fn of(&self, client_id: &str) -> Option<&Limits> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(client_id).map(|limits| &**limits)
    }
}

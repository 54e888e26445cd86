//! Control topics: topics of the server's own that clients give orders at.
//!
//! What a client publishes there goes to nobody's subscription, is not retained, and is told to
//! nobody who watches messages: there may be a password in it. It is handed to the control plane,
//! whose answer comes back as [`crate::Task::Tell`], for the session that gave the order alone. Who
//! may give orders is the policy's answer, as for every PUBLISH.

use types::{Peer, SessionRef};

/// The way to the control plane. Called on workers.
pub trait Orders: Send + Sync {
    /// Whether orders are taken at this topic.
    fn knows(&self, topic: &str) -> bool;

    /// Takes an order, to be carried out later. It must not block.
    ///
    /// # Errors
    /// It is not taken; nothing will come of it.
    fn take(&self, order: &Order<'_>) -> Result<(), NotTaken>;
}

/// What a client published to a control topic.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Where.
    pub topic: &'a str,
    /// What. It may hold secrets.
    pub payload: &'a [u8],
    /// The session that an answer goes to.
    pub session: SessionRef,
    /// Its client identifier.
    pub client: &'a str,
    /// The user.
    pub user: &'a str,
    /// From where.
    pub peer: Option<Peer>,
}

/// Why an order is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Too many wait.
    Busy,
    /// It is longer than orders are.
    TooLarge,
}

/// A server that takes no orders.
impl Orders for () {
    fn knows(&self, _: &str) -> bool {
        false
    }

    fn take(&self, _: &Order<'_>) -> Result<(), NotTaken> {
        Err(NotTaken::Busy)
    }
}

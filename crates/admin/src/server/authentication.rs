//! The chain of providers, with figures.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;

/// The chain of providers.
pub trait Authentication: Send + Sync {
    /// What was asked, and what came of it. Answers at once, from memory.
    fn chain(&self) -> Chain;

    /// Forgets what is remembered of back ends' answers, and asks them again for what these
    /// clients are granted.
    ///
    /// # Errors
    /// The workers take no mail.
    fn purge(&self, selector: Selector) -> Answer<'_, ()>;
}

/// Which clients are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The one with this client identifier.
    Client(String),
    /// All of this user.
    User(String),
    /// All.
    All,
}

/// The chain, with figures since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Chain {
    /// The providers in their order.
    pub data: Vec<Provider>,
    /// Attempts that were refused unread because of failed logins from their address.
    pub throttled: u64,
    /// Addresses with failed logins that are remembered.
    pub addresses: u64,
}

/// A provider, with figures since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Its kind: `passwords`, `jwt`, ...
    pub kind: String,
    /// Questions that it was asked.
    pub asked: u64,
    /// Clients that it let in.
    pub admitted: u64,
    /// Clients whose credentials were wrong.
    pub denied: u64,
    /// Clients that it did not know.
    pub unknown: u64,
    /// Questions that it could not answer, those out of time aside.
    pub failed: u64,
    /// Questions that were not answered in time.
    pub timed_out: u64,
    /// Questions that it was not asked because it was down.
    pub refused_by_breaker: u64,
    /// Clients that were refused because too many questions waited.
    pub busy: u64,
    /// Clients that were let in from memory.
    pub cached: u64,
    /// Whether it is down: asked again only now and then.
    pub down: bool,
    /// Questions that run or wait.
    pub inside: u64,
    /// How long answers took, waiting included.
    pub latency: Latency,
}

/// How long answers took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    /// How many took how long, the quick ones first; not cumulative.
    pub buckets: Vec<Bucket>,
    /// All times added up, in milliseconds.
    pub sum_ms: f64,
}

/// How many answers took how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bucket {
    /// At most so many milliseconds; absent: longer than all others.
    pub at_most_ms: Option<f64>,
    /// So many answers.
    pub count: u64,
}

//! Allow and deny, first match.
//!
//! | module | owns |
//! |---|---|
//! | [`pattern`] | [`Pattern`]: topics with placeholders |
//! | [`values`] | [`Values`]: what takes their place |
//! | [`network`] | [`Network`]: an address and how much of it counts |
//! | `algebra` | whether a pattern matches, covers, overlaps |
//! | `fit` | whether a rule is about what is asked |
//! | `words` | a rule as people read it |

mod algebra;
pub(crate) mod fit;
pub mod network;
pub mod pattern;
pub mod values;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use types::QoS;

pub use network::{Network, NetworkError};
pub use pattern::{Pattern, PatternError, Placeholder};
pub use values::Values;

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it says to whom it matches.
    pub effect: Effect,
    /// Whom it is about: all conditions hold at once; none is everybody.
    pub who: Vec<Who>,
    /// What it is about.
    pub action: Action,
    /// Which topics; one of them is enough. None: a deny is about all topics, an allow about
    /// those that `#` matches, because topics below `$` need a grant of their own (S50).
    pub topics: Vec<Pattern>,
    /// Which QoS; none is each. A publish must have one of them. A subscription is an upper bound
    /// on the QoS of its deliveries, so there an allow holds for deliveries up to the highest of
    /// them, and a deny for subscriptions and deliveries from the lowest of them on.
    pub qos: Vec<QoS>,
    /// Only messages with this retain flag; `None` is either. Says nothing about subscriptions.
    pub retain: Option<bool>,
    /// Where it stands, for people: `access.toml:12`, `role operators`.
    pub source: Arc<str>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Yes.
    Allow,
    /// No.
    #[default]
    Deny,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// PUBLISH and wills.
    Publish,
    /// SUBSCRIBE and what it brings.
    Subscribe,
    /// Both.
    Both,
}

/// Whom a rule is about. A list without an entry is nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Clients without a user.
    Anonymous,
    /// One of these users.
    User(Vec<Arc<str>>),
    /// One of these client identifiers; `*` at the end stands for the rest.
    Client(Vec<Arc<str>>),
    /// A member of one of these groups.
    Group(Vec<Arc<str>>),
    /// Who has one of these roles.
    Role(Vec<Arc<str>>),
    /// Who is connected from one of these networks.
    Address(Vec<Network>),
    /// Who came by one of these listeners.
    Listener(Vec<u16>),
}

/// Rules in their order; the first that matches decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The rules.
    pub list: Vec<Rule>,
}

//! Allow and deny, first match.

use std::net::IpAddr;
use std::sync::Arc;

use types::{QoS, TopicFilter};

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it says to whom it matches.
    pub effect: Effect,
    /// Whom it is about: all conditions hold at once; none is everybody.
    pub who: Vec<Who>,
    /// What it is about.
    pub action: Action,
    /// Which topics; none is all of them. One of them is enough.
    pub topics: Vec<Pattern>,
    /// Which QoS; none is each.
    pub qos: Vec<QoS>,
    /// Only messages with this retain flag; `None` is either. Says nothing about subscriptions.
    pub retain: Option<bool>,
    /// Where it stands, for people: `access.toml:12`, `role operators`.
    pub source: Arc<str>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Yes.
    Allow,
    /// No.
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

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A network: an address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address.
    pub address: IpAddr,
    /// Bits that count: at most 32, or 128.
    pub prefix: u8,
}

/// Topics that a rule is about: a filter, perhaps with placeholders that stand for one level or a
/// part of it. What takes the place of a placeholder is literal: `+`, `#` and `/` in a client's
/// name never widen a rule; the rule then matches nothing (S44, S45).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As it was written, with `${clientid}` and the like.
    pub text: Arc<str>,
    /// The filter itself, if there is no placeholder in it.
    pub filter: Option<TopicFilter>,
    /// Of a subscription: matches this filter to the letter, not the topics that it matches.
    pub literal: bool,
}

/// Rules in their order; the first that matches decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The rules.
    pub list: Vec<Rule>,
}

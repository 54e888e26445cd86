//! Who may do what.

use types::QoS;

use super::Network;

/// A rule. The first that fits decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether what it is about may be done.
    pub permission: Permission,
    /// What may be done (`allow`) or may not (`deny`): `publish`: messages and wills; `subscribe`:
    /// subscriptions and what they bring; `all`: both.
    pub action: RuleAction,
    /// Topics that it is about: filters, in which `${username}`, `${clientid}`, `${ip}` and
    /// `${cert.cn}` stand for the client's own, literally; one that the client has not, or that
    /// holds `/`, `+` or `#`, fits nothing. Without it and `exact` all topics, for `allow` without
    /// those that begin with `$`.
    pub topics: Vec<String>,
    /// Topics that it is about to the letter: a subscription to `a/#` fits `a/#` only, not `a/b`.
    pub exact: Vec<String>,
    /// Only these users.
    pub users: Vec<String>,
    /// Only these client identifiers; `*` at the end stands for the rest.
    pub clients: Vec<String>,
    /// Only members of these groups.
    pub groups: Vec<String>,
    /// Only who has one of these roles.
    pub roles: Vec<String>,
    /// Only who comes from these networks.
    pub addresses: Vec<Network>,
    /// Only who comes by these listeners.
    pub listeners: Vec<String>,
    /// Only clients without a user.
    pub anonymous: Mark,
    /// Only these QoS: 0, 1, 2. A subscription is about its QoS and those below: `allow` holds for
    /// what it brings up to the highest of these, `deny` from the lowest of these on.
    pub qos: Vec<QoS>,
    /// Only messages with this retain flag. Says nothing about subscriptions.
    pub retain: Option<bool>,
    /// Where it stands, such as `access.toml:12`.
    pub source: String,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            permission: Permission::Deny,
            action: RuleAction::All,
            topics: Vec::new(),
            exact: Vec::new(),
            users: Vec::new(),
            clients: Vec::new(),
            groups: Vec::new(),
            roles: Vec::new(),
            addresses: Vec::new(),
            listeners: Vec::new(),
            anonymous: Mark(false),
            qos: Vec::new(),
            retain: None,
            source: String::new(),
        }
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may be done.
    Allow,
    /// It may not.
    Deny,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// Messages and wills.
    Publish,
    /// Subscriptions and what they bring.
    Subscribe,
    /// Both.
    All,
}

/// Whether a mark is there. The file says `true`, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(pub bool);

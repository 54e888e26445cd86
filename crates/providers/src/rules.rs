//! Rules as JSON: what tokens and back ends bring, and what the database keeps.
//!
//! ```json
//! { "permission": "allow", "action": "subscribe", "topics": ["site/${username}/#"], "qos": [0, 1] }
//! ```
//!
//! | key | what |
//! |---|---|
//! | `permission` | `allow` or `deny` |
//! | `action` | `publish`, `subscribe` or `all`; without it `all` |
//! | `topics`, `topic` | filters with placeholders, one or a list; `eq a/#` is about the filter to the letter |
//! | `exact` | filters to the letter |
//! | `qos` | one or a list; without it each |
//! | `retain` | `true`, `false` or `all`; without it either |
//! | `users`, `clients`, `groups`, `roles`, `addresses`, `anonymous` | whom it is about; without them everybody |
//!
//! Any other key refuses the rule, and one refused rule refuses all that came with it: a rule that
//! is passed over might have been a deny. Older claims `{"pub": [..], "sub": [..], "all": [..]}`
//! are read too, as rules that allow.

mod forms;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use auth::Rules;
use auth::rules::{Action, Effect, Network, Pattern, Rule, Who};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::QoS;

/// A rule as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// What it says.
    pub permission: Permission,
    /// What it is about.
    #[serde(default)]
    pub action: RuleAction,
    /// Filters with placeholders.
    #[serde(
        default,
        alias = "topic",
        deserialize_with = "forms::one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub topics: Vec<String>,
    /// Filters to the letter.
    #[serde(
        default,
        deserialize_with = "forms::one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub exact: Vec<String>,
    /// 0, 1, 2; none is each.
    #[serde(
        default,
        deserialize_with = "forms::one_or_many",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub qos: Vec<u8>,
    /// Only messages with this retain flag.
    #[serde(
        default,
        deserialize_with = "forms::flag_or_all",
        skip_serializing_if = "Option::is_none"
    )]
    pub retain: Option<bool>,
    /// Only these users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Only these client identifiers; `*` at the end stands for the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
    /// Only members of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Only who has one of these roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Only who comes from these networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Only clients without a user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// It may be done.
    Allow,
    /// It may not.
    #[default]
    Deny,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Messages and wills.
    Publish,
    /// Subscriptions and what they bring.
    Subscribe,
    /// Both.
    #[default]
    All,
}

/// Why rules were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError(pub(crate) String);

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RuleError {}

impl RuleText {
    /// The rule, which says that it stands in `source`.
    ///
    /// # Errors
    /// A topic is no filter, an address no network, a QoS none of the three.
    pub fn rule(&self, source: &Arc<str>) -> Result<Rule, RuleError> {
        let mut topics = Vec::new();
        for text in &self.topics {
            topics.push(match text.strip_prefix("eq ") {
                Some(exact) => pattern(exact)?.to_the_letter(),
                None => pattern(text)?,
            });
        }
        for text in &self.exact {
            topics.push(pattern(text)?.to_the_letter());
        }
        let qos = |&bits: &u8| match bits {
            0 => Ok(QoS::AtMostOnce),
            1 => Ok(QoS::AtLeastOnce),
            2 => Ok(QoS::ExactlyOnce),
            _ => Err(RuleError(format!("{bits} is no QoS"))),
        };
        Ok(Rule {
            effect: match self.permission {
                Permission::Allow => Effect::Allow,
                Permission::Deny => Effect::Deny,
            },
            who: self.who()?,
            action: match self.action {
                RuleAction::Publish => Action::Publish,
                RuleAction::Subscribe => Action::Subscribe,
                RuleAction::All => Action::Both,
            },
            topics,
            qos: self.qos.iter().map(qos).collect::<Result<_, _>>()?,
            retain: self.retain,
            source: Arc::clone(source),
        })
    }

    fn who(&self) -> Result<Vec<Who>, RuleError> {
        let names = |names: &[String]| names.iter().map(|name| Arc::from(&**name)).collect();
        let mut who = Vec::new();
        for (list, of) in [
            (&self.users, Who::User as fn(Vec<Arc<str>>) -> Who),
            (&self.clients, Who::Client),
            (&self.groups, Who::Group),
            (&self.roles, Who::Role),
        ] {
            if !list.is_empty() {
                who.push(of(names(list)));
            }
        }
        if !self.addresses.is_empty() {
            let network = |text: &String| {
                Network::parse(text).map_err(|error| RuleError(format!("{text:?}: {error}")))
            };
            let networks = self.addresses.iter().map(network);
            who.push(Who::Address(networks.collect::<Result<_, _>>()?));
        }
        if self.anonymous {
            who.push(Who::Anonymous);
        }
        Ok(who)
    }
}

/// The rules that a token or a web service brings; `None`: there are none, and those of this server
/// decide alone.
pub(crate) fn of_json(value: &Value, source: &Arc<str>) -> Result<Option<Arc<Rules>>, RuleError> {
    let texts = match value {
        Value::Null => return Ok(None),
        Value::Array(_) => {
            Vec::deserialize(value).map_err(|error| RuleError(format!("a rule: {error}")))?
        }
        Value::Object(_) => forms::by_action(value)?,
        _ => return Err(RuleError("rules are a list".into())),
    };
    of_texts(&texts, source).map(Some)
}

/// The rules that somebody else brings, each about topics that it names.
pub(crate) fn of_texts(texts: &[RuleText], source: &Arc<str>) -> Result<Arc<Rules>, RuleError> {
    if texts.len() > MOST {
        return Err(RuleError(format!("more than {MOST} rules for one client")));
    }
    let mut list = Vec::new();
    for text in texts {
        if text.topics.is_empty() && text.exact.is_empty() {
            return Err(RuleError("a rule without topics".into()));
        }
        list.push(text.rule(source)?);
    }
    Ok(Arc::new(Rules { list }))
}

fn pattern(text: &str) -> Result<Pattern, RuleError> {
    Pattern::parse(text).map_err(|error| RuleError(format!("topic {text:?}: {error}")))
}

/// Rules that one client may bring.
const MOST: usize = 1000;

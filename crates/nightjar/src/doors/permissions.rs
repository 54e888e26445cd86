//! From `[[rule]]`, `[access]` and the database to a policy.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use auth::rulebook::Partial;
use auth::rules::{Action, Effect, Network, Pattern, Rule, Rules, Who};
use auth::{Open, Policy, rulebook};
use config::{Config, Method, Permission, RuleAction};
use providers::access::Snapshot;

/// A rule that the configuration took and that cannot be made: its topics or networks.
#[derive(Debug)]
pub(crate) struct RuleError {
    source: String,
    what: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: rule: {}", self.source, self.what)
    }
}

/// What a configuration says of permissions.
pub(crate) struct Configured {
    rules: Rules,
    no_match: Effect,
    partial: Partial,
    check_retain_source: bool,
    /// As [`rulebook::Contents::open`].
    open: Vec<Arc<str>>,
    /// Nobody spoke of permissions or identities at all.
    silent: bool,
}

impl Configured {
    /// Reads the rules.
    ///
    /// # Errors
    /// A rule is about no topics or no network that there can be.
    pub(crate) fn new(config: &Config) -> Result<Self, RuleError> {
        let list = config.all_rules().map(|one| rule(config, one));
        let mut rules = Rules {
            list: list.collect::<Result<_, _>>()?,
        };
        let silent = rules.list.is_empty()
            && config.authentication.is_empty()
            && config.no_match() == Permission::Allow;
        if silent {
            rules.list.push(own_topics());
        }
        Ok(Self {
            rules,
            no_match: effect(config.no_match()),
            partial: match config.access.granted {
                config::Granted::Covered => Partial::Deny,
                config::Granted::Overlapping => Partial::Filter,
                config::Granted::Any => Partial::Grant,
            },
            check_retain_source: config.access.check_retain_source,
            open: match config.dynamic_security.enabled {
                true => vec![DYNAMIC_SECURITY.into()],
                false => Vec::new(),
            },
            silent,
        })
    }

    /// Together with what the database holds.
    pub(crate) fn policy(&self, live: &Snapshot) -> Arc<dyn Policy> {
        if self.silent && live.rules.list.is_empty() && live.bans.is_empty() {
            return Arc::new(Open);
        }
        let mut rules = self.rules.clone();
        rules.list.extend(live.rules.list.iter().cloned());
        Arc::new(rulebook::Rulebook::new(rulebook::Contents {
            rules,
            roles: live.roles.clone(),
            members: Arc::clone(&live.members),
            bans: Arc::clone(&live.bans),
            no_match: self.no_match,
            partial: self.partial,
            check_retain_source: self.check_retain_source,
            open: self.open.clone(),
        }))
    }
}

/// Where everything is allowed, the server's own topics may be read.
fn own_topics() -> Rule {
    Rule {
        effect: Effect::Allow,
        who: Vec::new(),
        action: Action::Subscribe,
        topics: Pattern::parse("$SYS/#").into_iter().collect(),
        qos: Vec::new(),
        retain: None,
        source: "a server without rules".into(),
    }
}

/// Where users are changed by the words of Mosquitto's plugin.
const DYNAMIC_SECURITY: &str = "$CONTROL/dynamic-security/v1";

/// With how many iterations SCRAM verifies, if it is asked.
pub(crate) fn scram_iterations(config: &Config) -> Option<NonZeroU32> {
    let mut asked = config.authentication.iter();
    let scram = asked.any(|one| matches!(one.method, Method::Scram));
    NonZeroU32::new(SCRAM_ITERATIONS).filter(|_| scram)
}

/// As RFC 7677 asks for at least, times four.
const SCRAM_ITERATIONS: u32 = 16_384;

fn effect(permission: Permission) -> Effect {
    match permission {
        Permission::Allow => Effect::Allow,
        Permission::Deny => Effect::Deny,
    }
}

fn rule(config: &Config, one: &config::Rule) -> Result<Rule, RuleError> {
    let wrong = |what: String| RuleError {
        source: one.source.clone(),
        what,
    };
    let pattern = |text: &String| {
        Pattern::parse(text).map_err(|error| wrong(format!("topics: {text:?} {error}")))
    };
    let topics = one.topics.iter().map(pattern);
    let exact = one.exact.iter().map(pattern);
    let exact = exact.map(|one| one.map(Pattern::to_the_letter));
    let topics = topics.chain(exact).collect::<Result<Vec<_>, _>>()?;
    Ok(Rule {
        effect: effect(one.permission),
        who: who(config, one).map_err(wrong)?,
        action: match one.action {
            RuleAction::Publish => Action::Publish,
            RuleAction::Subscribe => Action::Subscribe,
            RuleAction::All => Action::Both,
        },
        topics,
        qos: one.qos.clone(),
        retain: one.retain,
        source: one.source.as_str().into(),
    })
}

/// All conditions of a rule on who it is.
fn who(config: &Config, one: &config::Rule) -> Result<Vec<Who>, String> {
    let mut who = Vec::new();
    let mut add = |names: &[String], make: fn(Vec<Arc<str>>) -> Who| {
        if !names.is_empty() {
            who.push(make(
                names.iter().map(|name| name.as_str().into()).collect(),
            ));
        }
    };
    add(&one.users, Who::User);
    add(&one.clients, Who::Client);
    add(&one.groups, Who::Group);
    add(&one.roles, Who::Role);
    if one.anonymous.0 {
        who.push(Who::Anonymous);
    }
    if !one.addresses.is_empty() {
        let networks = one.addresses.iter().map(|one| {
            Network::new(one.address(), one.prefix()).map_err(|error| format!("{one}: {error}"))
        });
        who.push(Who::Address(networks.collect::<Result<_, _>>()?));
    }
    if !one.listeners.is_empty() {
        who.push(Who::Listener(places(config, &one.listeners)));
    }
    Ok(who)
}

/// The places of listeners with these names. After a reload a name may be that of a listener that
/// is not there before the next start: nobody comes by it.
pub(super) fn places(config: &Config, names: &[String]) -> Vec<u16> {
    (0u16..)
        .zip(&config.listeners)
        .filter(|(_, listener)| names.contains(&listener.name))
        .map(|(place, _)| place)
        .collect()
}

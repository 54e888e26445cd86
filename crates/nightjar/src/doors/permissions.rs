//! From `[[rule]]` and `[access]` to a policy.

use std::fmt;
use std::sync::Arc;

use auth::rules::{Action, Effect, Network, Pattern, Rule, Rules, Who};
use auth::{Open, Policy, rulebook};
use config::{Config, Permission, RuleAction};

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

/// The policy that a configuration makes.
///
/// # Errors
/// A rule is about no topics or no network that there can be.
pub(crate) fn policy(config: &Config) -> Result<Arc<dyn Policy>, RuleError> {
    if config.all_rules().next().is_none()
        && config.authentication.is_empty()
        && config.no_match() == Permission::Allow
    {
        return Ok(Arc::new(Open));
    }
    let list = config.all_rules().map(|one| rule(config, one));
    let rules = Rules {
        list: list.collect::<Result<_, _>>()?,
    };
    Ok(Arc::new(rulebook::Rulebook::new(rulebook::Contents {
        rules,
        no_match: effect(config.no_match()),
        check_retain_source: config.access.check_retain_source,
        ..rulebook::Contents::default()
    })))
}

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

//! What can be said of a request's words without asking anybody.

use types::{SubscriptionFilter, TopicFilter, TopicName};

use crate::http::refusal::Refusal;
use crate::server::roles::Rule;

/// Most bytes of a name.
const NAME: usize = 1024;
/// Most names of a list.
const NAMES: usize = 1000;
/// Most rules of a role.
const RULES: usize = 1000;
/// Most topics of a rule, of each kind.
const TOPICS: usize = 100;

/// A name: 1 to 1024 bytes without control characters.
pub(crate) fn name(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err(format!("{what} is empty"))
    } else if text.len() > NAME {
        Err(format!("{what} is longer than {NAME} bytes"))
    } else if text.chars().any(char::is_control) {
        Err(format!("{what} has a control character"))
    } else {
        Ok(())
    }
}

/// Names of something, each once.
pub(super) fn names(what: &str, list: &[String]) -> Result<(), Refusal> {
    if list.len() > NAMES {
        return Err(Refusal::bad(format!("{what}: more than {NAMES}")));
    }
    let mut seen = std::collections::BTreeSet::new();
    for text in list {
        name(&format!("{what}: one"), text).map_err(Refusal::bad)?;
        if !seen.insert(text) {
            return Err(Refusal::bad(format!("{what}: {text:?} is there twice")));
        }
    }
    Ok(())
}

/// Rules of a role, as far as their shape goes; what a topic may be is for who makes rules of them.
pub(super) fn rules(rules: &[Rule]) -> Result<(), Refusal> {
    if rules.len() > RULES {
        return Err(Refusal::bad(format!("rules: more than {RULES}")));
    }
    for (number, rule) in (1..).zip(rules) {
        self::rule(rule).map_err(|why| Refusal::bad(format!("rule {number}: {why}")))?;
    }
    Ok(())
}

fn rule(rule: &Rule) -> Result<(), String> {
    for (what, list) in [("topics", &rule.topics), ("exact", &rule.exact)] {
        if list.len() > TOPICS {
            return Err(format!("{what}: more than {TOPICS}"));
        }
        for topic in list {
            let fits = !topic.is_empty() && topic.len() <= usize::from(u16::MAX);
            if !fits || topic.contains('\0') {
                return Err(format!("{what}: {topic:?} is no topic"));
            }
        }
    }
    match rule.qos.iter().find(|&&qos| qos > 2) {
        Some(qos) => Err(format!("qos: {qos} is not 0, 1 or 2")),
        None => Ok(()),
    }
}

/// A topic to publish to.
pub(super) fn topic(text: &str) -> Result<(), Refusal> {
    match TopicName::parse(text, u16::MAX) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::bad(format!("topic: {text:?} is no topic"))),
    }
}

/// A filter without a group.
pub(super) fn plain_filter(what: &str, text: &str) -> Result<(), Refusal> {
    match TopicFilter::parse(text, u16::MAX) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::bad(format!("{what}: {text:?} is no filter"))),
    }
}

/// A filter to subscribe to, with `$share/name/` or without.
pub(super) fn filter(text: &str) -> Result<(), Refusal> {
    match SubscriptionFilter::parse(text, u16::MAX) {
        Ok(_) => Ok(()),
        Err(_) => Err(Refusal::bad(format!("topic: {text:?} is no filter"))),
    }
}

//! What Mosquitto's dynamic security plugin says of topics, and the rules that it comes to here.
//!
//! | ACL | rule |
//! |---|---|
//! | `publishClientSend` | about publishing |
//! | `subscribeLiteral` | about subscribing, to the letter |
//! | `subscribePattern` | about subscribing |
//! | `publishClientReceive`, deny | denies to subscribe, before all others of the role |
//! | `publishClientReceive`, allow; `unsubscribe...`, allow | none: it is always so |
//! | `unsubscribe...`, deny | there is none: [`Acl::check`] refuses it |
//!
//! The plugin asks the ACLs of a role by priority, those to the letter before patterns, and those
//! of one priority in their order; rules are in the order that this gives.

use serde::{Deserialize, Serialize};
use types::TopicFilter;

use super::Role;
use crate::rules::{Permission, RuleAction, RuleText};

/// What a role says of topics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    /// What it is about.
    pub acltype: AclKind,
    /// A filter, without placeholders.
    pub topic: String,
    /// The higher, the earlier it is asked.
    #[serde(default)]
    pub priority: i64,
    /// Whether it allows; otherwise it denies.
    #[serde(default)]
    pub allow: bool,
}

/// What an ACL is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AclKind {
    /// What a client publishes.
    PublishClientSend,
    /// What a client is sent.
    PublishClientReceive,
    /// A filter that a client subscribes to, to the letter.
    SubscribeLiteral,
    /// Filters that a client subscribes to.
    SubscribePattern,
    /// A filter that a client unsubscribes from, to the letter.
    UnsubscribeLiteral,
    /// Filters that a client unsubscribes from.
    UnsubscribePattern,
}

impl Acl {
    /// Whether it can be kept here, and means what it says.
    ///
    /// # Errors
    /// The topic is no filter, or what it asks for does not exist here; says why.
    pub fn check(&self) -> Result<(), String> {
        let topic = &self.topic;
        if TopicFilter::parse(topic, u16::MAX).is_err() {
            return Err(format!("{topic:?} is no topic filter"));
        }
        if topic.contains("%c") || topic.contains("%u") {
            return Err(format!(
                "in {topic:?}, %c and %u would be text; `nightjar role set` takes ${{clientid}} and \
                 ${{username}} for what the client has"
            ));
        }
        use AclKind::{UnsubscribeLiteral, UnsubscribePattern};
        match (self.acltype, self.allow) {
            (UnsubscribeLiteral | UnsubscribePattern, false) => {
                Err("clients may always unsubscribe here: it cannot be denied".into())
            }
            _ => Ok(()),
        }
    }

    /// Whether it denies what wider subscriptions bring.
    pub fn is_deny_of_receiving(&self) -> bool {
        self.acltype == AclKind::PublishClientReceive && !self.allow
    }

    /// The rule that it comes to, if one is needed.
    pub fn rule(&self) -> Option<RuleText> {
        let text = self.topic.replace("${", "$${");
        let (action, is_exact) = match (self.acltype, self.allow) {
            (AclKind::PublishClientSend, _) => (RuleAction::Publish, false),
            (AclKind::PublishClientReceive, false) => (RuleAction::Subscribe, false),
            (AclKind::SubscribePattern, _) => (RuleAction::Subscribe, false),
            (AclKind::SubscribeLiteral, _) => (RuleAction::Subscribe, true),
            (
                AclKind::PublishClientReceive
                | AclKind::UnsubscribeLiteral
                | AclKind::UnsubscribePattern,
                _,
            ) => return None,
        };
        let (exact, topics) = match is_exact {
            true => (vec![text], Vec::new()),
            false => (Vec::new(), vec![text]),
        };
        Some(RuleText {
            permission: match self.allow {
                true => Permission::Allow,
                false => Permission::Deny,
            },
            action,
            topics,
            exact,
            ..RuleText::default()
        })
    }
}

/// What holds for users where no ACL does, as far as it can be another here: receiving and
/// unsubscribing are always allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultAccess {
    /// Publishing is allowed, but for topics that begin with `$`.
    pub publish: bool,
    /// Subscribing is allowed.
    pub subscribe: bool,
}

/// The role that holds what is allowed without an ACL: `~` comes behind letters and digits.
pub const DEFAULT_ROLE: &str = "~default";

impl DefaultAccess {
    /// The rules that it comes to.
    pub fn rules(self) -> Vec<RuleText> {
        let allow = |action, topics: &[&str]| RuleText {
            permission: Permission::Allow,
            action,
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            ..RuleText::default()
        };
        let publish = self.publish.then(|| allow(RuleAction::Publish, &["#"]));
        let subscribe = || allow(RuleAction::Subscribe, &["#", "$SYS/#"]);
        let subscribe = self.subscribe.then(subscribe);
        publish.into_iter().chain(subscribe).collect()
    }

    /// The role that holds it.
    pub fn role(self) -> Role {
        Role {
            name: DEFAULT_ROLE.into(),
            rules: self.rules(),
            acls: Vec::new(),
        }
    }

    /// What the role holds; `None`: something else.
    pub fn of_role(role: &Role) -> Option<Self> {
        let has = |action| role.rules.iter().any(|rule| rule.action == action);
        let held = Self {
            publish: has(RuleAction::Publish),
            subscribe: has(RuleAction::Subscribe),
        };
        (held.rules() == role.rules).then_some(held)
    }
}

/// Puts ACLs into the order in which the plugin asks them.
pub fn sort(acls: &mut [Acl]) {
    acls.sort_by_key(|acl| std::cmp::Reverse(acl.priority));
    // In a role, a filter to the letter is looked for before patterns are.
    acls.sort_by_key(|acl| acl.acltype == AclKind::SubscribePattern);
}

/// The rules of ACLs that are in order.
pub fn rules<'a>(sorted: impl Iterator<Item = &'a Acl> + Clone) -> Vec<RuleText> {
    let first = sorted.clone().filter(|acl| acl.is_deny_of_receiving());
    let others = sorted.filter(|acl| !acl.is_deny_of_receiving());
    first.chain(others).filter_map(Acl::rule).collect()
}

impl Role {
    /// A role that is made of ACLs.
    pub fn of_acls(name: String, mut acls: Vec<Acl>) -> Self {
        sort(&mut acls);
        Self {
            name,
            rules: rules(acls.iter()),
            acls,
        }
    }

    /// The ACLs that it is made of, or that say the same as its rules; `None`: no ACLs do.
    pub fn to_acls(&self) -> Option<Vec<Acl>> {
        if rules(self.acls.iter()) == self.rules {
            return Some(self.acls.clone());
        }
        let said = said_by_rules(&self.rules)?;
        // ACLs have an order of their own, which may not be that of the rules.
        let again = said_by_rules(&Self::of_acls(String::new(), said.clone()).rules)?;
        let about = |acls: &[Acl], is_publish: bool| -> Vec<Acl> {
            let acls = acls.iter().cloned();
            acls.filter(|acl| (acl.acltype == AclKind::PublishClientSend) == is_publish)
                .collect()
        };
        let is_same = [true, false]
            .into_iter()
            .all(|publish| about(&said, publish) == about(&again, publish));
        is_same.then_some(said)
    }
}

/// An ACL for each topic of each rule, if they can say all of it.
fn said_by_rules(rules: &[RuleText]) -> Option<Vec<Acl>> {
    let mut acls = Vec::new();
    for rule in rules {
        let bare = RuleText {
            permission: rule.permission,
            action: rule.action,
            topics: rule.topics.clone(),
            exact: rule.exact.clone(),
            ..RuleText::default()
        };
        if *rule != bare || rule.topics.is_empty() && rule.exact.is_empty() {
            return None;
        }
        let is_about = |action| rule.action == action || rule.action == RuleAction::All;
        let texts = rule.topics.iter().map(|topic| (topic, false));
        for (text, is_exact) in texts.chain(rule.exact.iter().map(|topic| (topic, true))) {
            let mut say = |acltype| -> Option<()> {
                let acl = Acl {
                    acltype,
                    topic: plain(text)?,
                    priority: 0,
                    allow: rule.permission == Permission::Allow,
                };
                acl.check().ok()?;
                acls.push(acl);
                Some(())
            };
            match (is_about(RuleAction::Publish), is_exact) {
                (true, false) => say(AclKind::PublishClientSend)?,
                // There is no ACL about publishing to the letter.
                (true, true) => return None,
                (false, _) => {}
            }
            match (is_about(RuleAction::Subscribe), is_exact) {
                (true, false) => say(AclKind::SubscribePattern)?,
                (true, true) => say(AclKind::SubscribeLiteral)?,
                (false, _) => {}
            }
        }
    }
    Some(acls)
}

/// A pattern without placeholders, as a filter.
fn plain(pattern: &str) -> Option<String> {
    let bare = pattern.replace("$${", "");
    let is_plain = !bare.contains("${") && !pattern.starts_with("eq ");
    is_plain.then(|| pattern.replace("$${", "${"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(acltype: AclKind, topic: &str, allow: bool, priority: i64) -> Acl {
        Acl {
            acltype,
            topic: topic.into(),
            priority,
            allow,
        }
    }

    fn rule(text: &str) -> RuleText {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn rules_come_in_the_order_in_which_acls_are_asked() {
        use AclKind::*;
        let role = Role::of_acls(
            "r".into(),
            vec![
                acl(PublishClientSend, "a/#", true, 0),
                acl(SubscribePattern, "b/#", true, 9),
                acl(PublishClientSend, "a/x", false, 3),
                acl(SubscribeLiteral, "b/+", false, -4),
                acl(PublishClientReceive, "b/q", false, -9),
                acl(PublishClientReceive, "#", true, 1),
                acl(UnsubscribePattern, "#", true, 1),
            ],
        );
        let said: Vec<String> = role
            .rules
            .iter()
            .map(|rule| format!("{:?} {:?}{:?}", rule.permission, rule.topics, rule.exact))
            .collect();
        let wanted = [
            r#"Deny ["b/q"][]"#,
            r#"Deny ["a/x"][]"#,
            r#"Allow ["a/#"][]"#,
            r#"Deny []["b/+"]"#,
            r#"Allow ["b/#"][]"#,
        ];
        assert_eq!(said, wanted);
        assert_eq!(role.to_acls().unwrap().len(), 7);
    }

    #[test]
    fn rules_of_others_are_shown_as_acls_if_acls_can_say_them() {
        let shown = |rules: Vec<RuleText>| {
            let role = Role {
                name: "r".into(),
                rules,
                acls: Vec::new(),
            };
            role.to_acls()
        };
        let acls = shown(vec![rule(
            r#"{"permission":"allow","action":"all","topics":["a/#","$${x}"]}"#,
        )]);
        let topics: Vec<_> = acls.unwrap().into_iter().map(|acl| acl.topic).collect();
        assert_eq!(topics, ["a/#", "a/#", "${x}", "${x}"]);
        for other in [
            r#"{"permission":"allow","action":"all","topics":["${username}/#"]}"#,
            r#"{"permission":"allow","action":"publish","topics":["a"],"qos":[0]}"#,
            r#"{"permission":"allow","action":"publish","exact":["a"]}"#,
            r#"{"permission":"deny","action":"publish"}"#,
            r#"{"permission":"allow","action":"subscribe","topics":["eq a/#"]}"#,
        ] {
            assert_eq!(shown(vec![rule(other)]), None, "{other}");
        }
        // A pattern before a filter to the letter: ACLs would be asked the other way round.
        let turned = vec![
            rule(r#"{"permission":"deny","action":"subscribe","topics":["a/#"]}"#),
            rule(r#"{"permission":"allow","action":"subscribe","exact":["a/b"]}"#),
        ];
        assert_eq!(shown(turned), None);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        use AclKind::*;
        assert!(acl(UnsubscribePattern, "#", false, 0).check().is_err());
        assert!(acl(UnsubscribePattern, "#", true, 0).check().is_ok());
        assert!(acl(PublishClientSend, "a/#/b", true, 0).check().is_err());
        assert!(acl(PublishClientSend, "%c/b", true, 0).check().is_err());
    }
}

//! `[[rule]]`.

use super::{Column, List, Need, RULE, Sort, Sorts, Wrong, column};
use crate::config::{Config, Permission, Rule};
use crate::formats::{client_pattern, mqtt_text, name, network, pattern};
use crate::keys::{Effect, count};
use crate::value::{Field, Kind, MISFIT, RULE_ACTIONS, Value};

pub(super) const LIST: List = List {
    name: RULE,
    one: "a rule",
    columns: COLUMNS,
    sorts: Sorts::Key(&[
        Sort {
            word: "allow",
            columns: ALLOW,
            begin: |config, at| begin(config, at, Permission::Allow),
            has: |config, at| has(config, at, Permission::Allow),
        },
        Sort {
            word: "deny",
            columns: DENY,
            begin: |config, at| begin(config, at, Permission::Deny),
            has: |config, at| has(config, at, Permission::Deny),
        },
    ]),
    known_by: None,
    short: None,
    effect: Effect::Reload,
    len: |config| config.rules.len(),
    push: |config| config.rules.push(Rule::default()),
    copy: |config, other| config.rules.clone_from(&other.rules),
    check,
};

/// What a rule says: its action, under the name of its permission.
macro_rules! says {
    ($name:literal, $permission:expr) => {
        Column {
            name: $name,
            kind: Kind::Choice(RULE_ACTIONS),
            need: Need::Required("\"publish\""),
            effect: Effect::Reload,
            read: |config, at| match config.rules.get(at) {
                Some(rule) if rule.permission == $permission => rule.action.read(),
                _ => Value::Unset,
            },
            write: |config, at, value| {
                config.rules.get_mut(at).ok_or(MISFIT)?.action = Field::of(value)?;
                Ok(())
            },
        }
    };
}

const ALLOW: &[Column] = &[says!("allow", Permission::Allow)];
const DENY: &[Column] = &[says!("deny", Permission::Deny)];

macro_rules! key {
    ($name:ident, $kind:expr) => {
        column!(
            rules,
            stringify!($name),
            $kind,
            Need::Optional,
            Reload,
            $name
        )
    };
}

const COLUMNS: &[Column] = &[
    key!(topics, Kind::List(&Kind::Template(pattern))),
    key!(exact, Kind::List(&Kind::Template(pattern))),
    key!(users, Kind::List(&Kind::Text(mqtt_text))),
    key!(clients, Kind::List(&Kind::Text(client_pattern))),
    key!(groups, Kind::List(&Kind::Text(mqtt_text))),
    key!(roles, Kind::List(&Kind::Text(mqtt_text))),
    key!(addresses, Kind::List(&Kind::Text(network))),
    key!(listeners, Kind::List(&Kind::Text(name))),
    key!(anonymous, Kind::Mark),
    key!(qos, Kind::List(&count(0, 2))),
    key!(retain, Kind::Flag),
];

fn begin(config: &mut Config, at: usize, permission: Permission) {
    if let Some(rule) = config.rules.get_mut(at) {
        rule.permission = permission;
    }
}

fn has(config: &Config, at: usize, permission: Permission) -> bool {
    config
        .rules
        .get(at)
        .is_some_and(|rule| rule.permission == permission)
}

fn check(config: &Config, at: usize) -> Vec<Wrong> {
    let Some(rule) = config.rules.get(at) else {
        return Vec::new();
    };
    let named = [
        ("users", &rule.users),
        ("groups", &rule.groups),
        ("roles", &rule.roles),
    ];
    let mut wrong = Vec::new();
    for (key, names) in named {
        if rule.anonymous.0 && !names.is_empty() {
            let message = format!(
                "rule.{key}: clients without a user have no {key}; write two rules, or leave \
                 anonymous out"
            );
            wrong.push((key, message));
        }
    }
    wrong
}

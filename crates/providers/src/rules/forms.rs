//! The several ways to write one thing.

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::Value;

use super::{Permission, RuleAction, RuleError, RuleText};

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

/// `"a"` or `["a", "b"]`.
pub(super) fn one_or_many<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    OneOrMany::deserialize(from).map(|it| match it {
        OneOrMany::Many(list) => list,
        OneOrMany::One(one) => vec![one],
    })
}

/// `true`, `false`, `"all"`, or nothing.
pub(super) fn flag_or_all<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(from)? {
        Value::Bool(flag) => Ok(Some(flag)),
        Value::Null => Ok(None),
        Value::String(text) if text == "all" => Ok(None),
        _ => Err(D::Error::custom("retain is true, false or \"all\"")),
    }
}

/// `{"pub": [..], "sub": [..], "all": [..]}`.
pub(super) fn by_action(value: &Value) -> Result<Vec<RuleText>, RuleError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Lists {
        #[serde(default, rename = "pub", deserialize_with = "one_or_many")]
        publish: Vec<String>,
        #[serde(default, rename = "sub", deserialize_with = "one_or_many")]
        subscribe: Vec<String>,
        #[serde(default, deserialize_with = "one_or_many")]
        all: Vec<String>,
    }
    let lists = Lists::deserialize(value).map_err(|error| RuleError(format!("rules: {error}")))?;
    let rules = [
        (RuleAction::Publish, lists.publish),
        (RuleAction::Subscribe, lists.subscribe),
        (RuleAction::All, lists.all),
    ];
    let named = rules.into_iter().filter(|(_, topics)| !topics.is_empty());
    let rule = |(action, topics)| RuleText {
        permission: Permission::Allow,
        action,
        topics,
        ..RuleText::default()
    };
    Ok(named.map(rule).collect())
}

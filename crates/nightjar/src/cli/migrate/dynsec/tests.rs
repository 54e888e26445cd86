use serde_json::{Value, json};

use super::file::File;
use super::translate::{Translation, translate};
use super::*;

fn acl(kind: &str, topic: &str, allow: bool, priority: i64) -> Value {
    json!({"acltype": kind, "topic": topic, "allow": allow, "priority": priority})
}

fn role(name: &str, acls: &[Value]) -> Value {
    json!({"rolename": name, "acls": acls})
}

/// One client with these roles, the first with the highest priority.
fn with_roles(roles: &[(&str, Vec<Value>)], default: Value) -> Result<Translation, Vec<String>> {
    let named = roles.iter().zip((0..10).rev());
    let named: Vec<Value> = named
        .map(|((name, _), priority)| json!({"rolename": name, "priority": priority}))
        .collect();
    let roles: Vec<Value> = roles.iter().map(|(name, acls)| role(name, acls)).collect();
    of(json!({
        "clients": [{"username": "u", "roles": named}],
        "roles": roles,
        "defaultACLAccess": default,
    }))
}

fn of(value: Value) -> Result<Translation, Vec<String>> {
    let file: File = serde_json::from_value(value).map_err(|error| vec![error.to_string()])?;
    translate(&file)
}

fn usual() -> Value {
    json!({"publishClientReceive": true, "unsubscribe": true})
}

fn shown(role: &providers::access::Role) -> Vec<String> {
    let source = std::sync::Arc::from("r");
    let text = |rule: &providers::RuleText| rule.rule(&source).unwrap().to_string();
    role.rules.iter().map(text).collect()
}

#[test]
fn acls_become_rules_in_the_order_of_their_priorities() {
    let done = with_roles(
        &[(
            "r",
            vec![
                acl("publishClientSend", "a/#", true, 0),
                acl("publishClientSend", "a/secret", false, 5),
                acl("subscribePattern", "b/${x}/#", true, 0),
                acl("subscribeLiteral", "#", false, -3),
                acl("publishClientReceive", "b/quiet", false, -9),
                acl("publishClientReceive", "#", true, -10),
                acl("unsubscribePattern", "#", true, 0),
            ],
        )],
        usual(),
    )
    .unwrap();
    assert_eq!(
        shown(&done.roles[0]),
        [
            "r: deny subscribe \"b/quiet\"",
            "r: deny publish \"a/secret\"",
            "r: allow publish \"a/#\"",
            "r: deny subscribe exactly \"#\"",
            "r: allow subscribe \"b/$${x}/#\"",
        ]
    );
    assert_eq!(done.users[0].1.roles, ["r"]);
    assert!(done.notes.is_empty(), "{:?}", done.notes);
}

#[test]
fn what_defaults_allow_comes_last() {
    let default = json!({
        "publishClientSend": true,
        "publishClientReceive": true,
        "subscribe": true,
        "unsubscribe": true,
    });
    let done = with_roles(
        &[("r", vec![acl("publishClientSend", "a", false, 0)])],
        default,
    )
    .unwrap();
    assert_eq!(done.roles[1].name, "~default");
    assert_eq!(done.users[0].1.roles, ["r", "~default"]);
    assert!(done.rules.iter().all(|rule| rule.anonymous) && done.rules.len() == 2);
}

#[test]
fn s59_an_order_that_names_turn_round_is_refused() {
    let roles = |first, second| {
        with_roles(
            &[
                (first, vec![acl("publishClientSend", "a/b", false, 0)]),
                (second, vec![acl("publishClientSend", "a/#", true, 0)]),
            ],
            usual(),
        )
    };
    assert!(roles("a", "b").is_ok());
    let reasons = roles("b", "a").unwrap_err();
    assert!(reasons[0].contains("contradict each other"), "{reasons:?}");
    // Where they are not about the same topics, any order will do.
    let apart = with_roles(
        &[
            ("b", vec![acl("publishClientSend", "c", false, 0)]),
            ("a", vec![acl("publishClientSend", "a/#", true, 0)]),
        ],
        usual(),
    );
    assert!(apart.is_ok());
    // A deny of receiving is behind an allow of another role.
    let late = with_roles(
        &[
            ("a", vec![acl("subscribePattern", "#", true, 0)]),
            ("b", vec![acl("publishClientReceive", "x", false, 0)]),
        ],
        usual(),
    );
    assert!(late.unwrap_err()[0].contains("contradict each other"));
}

#[test]
fn s59_what_would_allow_more_is_refused() {
    let refused = |acls: Vec<Value>, default: Value, words: &str| {
        let reasons = with_roles(&[("r", acls)], default).unwrap_err();
        assert!(
            reasons.iter().any(|reason| reason.contains(words)),
            "{reasons:?}"
        );
    };
    let closed = json!({"unsubscribe": true});
    refused(
        vec![acl("subscribePattern", "a/#", true, 0)],
        closed.clone(),
        "may not receive all",
    );
    refused(vec![], json!({}), "denies to unsubscribe");
    refused(
        vec![],
        json!({"subscribe": true, "unsubscribe": true}),
        "and not to receive",
    );
    refused(
        vec![acl("unsubscribeLiteral", "a", false, 0)],
        usual(),
        "denies to unsubscribe",
    );
    refused(
        vec![acl("publishClientSend", "a/%u", false, 0)],
        usual(),
        "are text",
    );
    refused(
        vec![acl("publishClientSend", "a/#/b", true, 0)],
        usual(),
        "no topic filter",
    );
    let received = vec![
        acl("subscribePattern", "a/#", true, 0),
        acl("publishClientReceive", "a/#", true, 0),
    ];
    assert!(with_roles(&[("r", received)], closed).is_ok());
    let bound = of(json!({
        "clients": [{"username": "u", "clientid": "c"}],
        "defaultACLAccess": usual(),
    }));
    assert_eq!(bound.unwrap().users[0].1.client_id.as_deref(), Some("c"));
    for unknown in [
        json!({"roles": [{"rolename": "r", "mayFly": true}]}),
        json!({"clients": [{"username": "u", "roles": [{"rolename": "none"}]}],
               "defaultACLAccess": usual()}),
        json!({"clients": [{"username": "u", "groups": [{"groupname": "none"}]}],
               "defaultACLAccess": usual()}),
        json!({"groups": [{"groupname": "g", "clients": [{"username": "none"}]}],
               "defaultACLAccess": usual()}),
        json!({"clients": [{"username": "u", "password": "eA==", "salt": "eA==", "iterations": 1}],
               "defaultACLAccess": usual()}),
    ] {
        assert!(of(unknown).is_err());
    }
}

#[test]
fn what_allows_less_is_told() {
    let told = |acls: Vec<Value>| {
        let done = with_roles(&[("r", acls)], usual()).unwrap();
        done.notes.into_iter().next().unwrap()
    };
    let narrow = told(vec![
        acl("subscribePattern", "a/b", false, 1),
        acl("subscribePattern", "a/#", true, 0),
    ]);
    assert!(narrow.contains("wider subscriptions"));
    assert!(told(vec![acl("publishClientSend", "$CONTROL/#", true, 0)]).contains("stay closed"));
    assert!(told(vec![acl("subscribePattern", "a/%c", true, 0)]).contains("are text"));
}

#[test]
fn groups_come_behind_a_client_s_own_roles() {
    let file = |group_role: &str, own: &str| {
        of(json!({
            "clients": [{"username": "u", "roles": [{"rolename": own}], "disabled": true}],
            "groups": [{"groupname": "g", "roles": [{"rolename": group_role}],
                        "clients": [{"username": "u"}]}],
            "roles": [
                role("a", &[acl("publishClientSend", "x", false, 0)]),
                role("b", &[acl("publishClientSend", "x", true, 0)]),
            ],
            "anonymousGroup": "g",
            "defaultACLAccess": usual(),
        }))
    };
    let done = file("b", "a").unwrap();
    assert!(done.users[0].1.disabled);
    assert_eq!(done.users[0].1.groups, ["g"]);
    assert_eq!(done.rules.len(), 1);
    assert!(done.rules[0].anonymous);
    assert!(file("a", "b").is_err());
}

#[test]
fn a_file_becomes_a_database_of_users() {
    let folder = tempfile::tempdir().unwrap();
    let done = with_roles(
        &[("r", vec![acl("publishClientSend", "a", true, 0)])],
        usual(),
    )
    .unwrap();
    let path = folder.path().join("access.redb");
    fill(&path, &done).unwrap();
    let access = Access::open(&path, None).unwrap();
    assert_eq!(access.roles().len(), 1);
    assert_eq!(access.user("u").unwrap().unwrap().roles, ["r"]);
}

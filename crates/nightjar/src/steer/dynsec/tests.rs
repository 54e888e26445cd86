//! Orders as clients send them, against a database of users and an audit log.

use std::sync::Arc;

use admin::{Audit, audit};
use providers::RuleText;
use providers::access::{Access, PasswordEdit, Role, UserEdit};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::desk::Desk;
use super::{COMMANDS, answer};
use crate::steer::orders::Then;

struct World {
    folder: TempDir,
    access: Access,
    audit: Arc<Audit>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::open(&folder.path().join("access.redb"), None).unwrap();
        let audit = Audit::open(audit::Settings {
            file: folder.path().join("audit.jsonl"),
            size: 1 << 20,
            keep: 1,
        });
        Self {
            access,
            audit: audit.unwrap(),
            folder,
        }
    }

    fn order(&self, payload: &[u8]) -> (Value, Vec<Then>) {
        let desk = Desk::new(&self.access, &self.audit, ("MQTT user admin", "client c"));
        let answer = answer(&desk, payload, &|| false);
        (answer, desk.then())
    }

    /// One command; its data, or what is wrong.
    fn does(&self, command: Value) -> Result<Value, String> {
        let order = json!({ "commands": [command] }).to_string();
        let (answer, _) = self.order(order.as_bytes());
        let [response] = &answer["responses"].as_array().unwrap()[..] else {
            panic!("{answer}");
        };
        assert_eq!(response["command"], command["command"]);
        match response.get("error") {
            Some(error) => Err(error.as_str().unwrap().into()),
            None => Ok(response.get("data").cloned().unwrap_or_default()),
        }
    }

    /// All of them, without an error.
    fn do_all(&self, commands: Value) {
        for command in commands.as_array().unwrap() {
            self.does(command.clone()).unwrap();
        }
    }

    fn audited(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap_or_default()
    }
}

/// A role, a group and a client that has both.
fn peopled() -> World {
    let world = World::new();
    world.do_all(json!([
        {"command": "createRole", "rolename": "r", "acls": [
            {"acltype": "publishClientSend", "topic": "a/#", "allow": true},
            {"acltype": "subscribeLiteral", "topic": "a/+", "allow": true, "priority": 3},
        ]},
        {"command": "createRole", "rolename": "own"},
        {"command": "createGroup", "groupname": "g", "roles": [{"rolename": "r"}]},
        {"command": "createClient", "username": "u", "password": "p", "clientid": "c",
         "textname": "", "roles": [{"rolename": "own", "priority": -1}],
         "groups": [{"groupname": "g"}]},
    ]));
    world
}

#[test]
fn what_is_made_is_shown() {
    let world = peopled();
    let shows = |command: Value| world.does(command).unwrap();
    let user = json!({"username": "u", "clientid": "c", "roles": [{"rolename": "own"}],
        "groups": [{"groupname": "g"}]});
    let group =
        json!({"groupname": "g", "roles": [{"rolename": "r"}], "clients": [{"username": "u"}]});
    let role = json!({"rolename": "r", "acls": [
        {"acltype": "publishClientSend", "topic": "a/#", "allow": true, "priority": 0},
        {"acltype": "subscribeLiteral", "topic": "a/+", "allow": true, "priority": 3},
    ]});
    assert_eq!(
        shows(json!({"command": "getClient", "username": "u"}))["client"],
        user
    );
    assert_eq!(
        shows(json!({"command": "getGroup", "groupname": "g"}))["group"],
        group
    );
    assert_eq!(
        shows(json!({"command": "getRole", "rolename": "r"}))["role"],
        role
    );
    let all = |command: &str| json!({"command": command, "verbose": true, "count": -1});
    assert_eq!(
        shows(all("listClients")),
        json!({"totalCount": 1, "clients": [user]})
    );
    assert_eq!(
        shows(all("listGroups")),
        json!({"totalCount": 1, "groups": [group]})
    );
    let second = json!({"command": "listRoles", "count": 1, "offset": 1});
    assert_eq!(shows(second), json!({"totalCount": 2, "roles": ["r"]}));
    let nobody = json!({"group": {"groupname": ""}});
    assert_eq!(shows(json!({"command": "getAnonymousGroup"})), nobody);
}

#[test]
fn what_is_taken_away_is_gone_from_all() {
    let world = peopled();
    world.do_all(json!([
        {"command": "deleteRole", "rolename": "own"},
        {"command": "deleteRole", "rolename": "r"},
        {"command": "deleteGroup", "groupname": "g"},
        {"command": "createGroup", "groupname": "g"},
        {"command": "createRole", "rolename": "r"},
    ]));
    let user = world.access.user("u").unwrap().unwrap();
    assert!(user.groups.is_empty() && user.roles.is_empty());
    world.do_all(json!([
        {"command": "addGroupClient", "groupname": "g", "username": "u", "priority": -1},
        {"command": "addGroupRole", "groupname": "g", "rolename": "r"},
        {"command": "addClientRole", "username": "u", "rolename": "r"},
        {"command": "removeClientRole", "username": "u", "rolename": "r"},
        {"command": "removeGroupRole", "groupname": "g", "rolename": "r"},
        {"command": "modifyGroup", "groupname": "g", "clients": [], "roles": [{"rolename": "r"}]},
        {"command": "modifyClient", "username": "u", "clientid": "", "roles": [{"rolename": "r"}]},
        {"command": "disableClient", "username": "u"},
    ]));
    let user = world.access.user("u").unwrap().unwrap();
    assert!(user.groups.is_empty() && user.client_id.is_none() && user.disabled);
    assert_eq!(user.roles, ["r"]);
    assert_eq!(world.access.group("g").unwrap().roles, ["r"]);
    world
        .does(json!({"command": "deleteClient", "username": "u"}))
        .unwrap();
    assert_eq!(world.access.user("u").unwrap(), None);
}

#[test]
fn acls_are_put_where_their_priority_says() {
    let world = peopled();
    let add = |kind: &str, topic: &str, allow: bool, priority: i64| {
        world.does(
            json!({"command": "addRoleACL", "rolename": "r", "acltype": kind,
            "topic": topic, "allow": allow, "priority": priority}),
        )
    };
    add("publishClientSend", "a/x", false, 5).unwrap();
    add("publishClientReceive", "#", true, 0).unwrap();
    let again = add("publishClientSend", "a/x", true, 1);
    assert_eq!(again.unwrap_err(), "ACL with this topic already exists");
    let topics = || -> Vec<String> {
        let rules = world.access.role("r").unwrap().rules.into_iter();
        rules
            .flat_map(|rule| [rule.topics, rule.exact].concat())
            .collect()
    };
    assert_eq!(topics(), ["a/x", "a/+", "a/#"]);
    world.do_all(json!([
        {"command": "removeRoleACL", "rolename": "r", "acltype": "publishClientSend", "topic": "a/x"},
        {"command": "modifyRole", "rolename": "r"},
    ]));
    assert_eq!(topics(), ["a/+", "a/#"]);
    let gone = json!({"command": "removeRoleACL", "rolename": "r", "acltype": "publishClientSend",
        "topic": "a/x"});
    assert_eq!(world.does(gone).unwrap_err(), "ACL not found");
}

#[test]
fn rules_that_no_acl_says_are_left_alone() {
    let world = World::new();
    let rule: RuleText = serde_json::from_value(json!({"permission": "allow",
        "action": "publish", "topics": ["own/${username}"]}))
    .unwrap();
    let role = Role {
        name: "r".into(),
        rules: vec![rule],
        acls: Vec::new(),
    };
    world.access.changes(&|_| Ok(())).put_role(&role).unwrap();
    let add = json!({"command": "addRoleACL", "rolename": "r", "acltype": "subscribePattern",
        "topic": "a", "allow": true});
    assert!(world.does(add).unwrap_err().contains("no ACLs say"));
    let shown = world
        .does(json!({"command": "getRole", "rolename": "r"}))
        .unwrap();
    assert_eq!(shown["role"]["acls"], json!([]));
    assert!(
        shown["role"]["textdescription"]
            .as_str()
            .unwrap()
            .contains("no ACLs say")
    );
    assert_eq!(world.access.role("r"), Some(role));
}

#[test]
fn default_access_is_for_all_users_and_comes_last() {
    let world = peopled();
    let set = |kind: &str, allow: bool| {
        world.does(json!({"command": "setDefaultACLAccess",
            "acls": [{"acltype": kind, "allow": allow}]}))
    };
    set("subscribe", true).unwrap();
    let word = json!({"acltype": "subscribe", "access": "allow"});
    let again = json!({"command": "setDefaultACLAccess", "acls": [word]});
    world.does(again).unwrap();
    world
        .does(json!({"command": "createClient", "username": "late"}))
        .unwrap();
    for name in ["u", "late"] {
        let roles = world.access.user(name).unwrap().unwrap().roles;
        assert!(roles.contains(&"~default".into()), "{name}: {roles:?}");
    }
    let shown = world
        .does(json!({"command": "getDefaultACLAccess"}))
        .unwrap();
    assert_eq!(shown["acls"][0]["allow"], json!(false));
    assert_eq!(
        shown["acls"][2],
        json!({"acltype": "subscribe", "allow": true})
    );
    // It is no role that anybody sees, or may change.
    let roles = world.does(json!({"command": "listRoles"})).unwrap();
    assert_eq!(roles, json!({"totalCount": 2, "roles": ["own", "r"]}));
    for command in ["createRole", "deleteRole", "modifyRole", "getRole"] {
        assert!(
            world
                .does(json!({"command": command, "rolename": "~default"}))
                .is_err()
        );
    }
    assert!(
        world
            .does(json!({"command": "createRole", "rolename": "~late"}))
            .is_err()
    );
    set("subscribe", false).unwrap();
    assert_eq!(world.access.role("~default").unwrap().rules, []);
    world
        .does(json!({"command": "createRole", "rolename": "~late"}))
        .unwrap();
    assert!(
        set("publishClientSend", true)
            .unwrap_err()
            .contains("~late")
    );
}

#[test]
fn what_the_database_has_no_place_for_is_refused_and_changes_nothing() {
    let world = peopled();
    let before = (world.access.revision(), world.audited().len());
    for command in [
        json!({"command": "createClient", "username": "x", "textname": "X"}),
        json!({"command": "createClient", "username": "x", "colour": "red"}),
        json!({"command": "createClient", "username": "x", "roles": [{"rolename": "r", "priority": 4}]}),
        json!({"command": "addClientRole", "username": "u", "rolename": "r", "priority": 1}),
        json!({"command": "addGroupClient", "username": "u", "groupname": "g", "priority": 1}),
        json!({"command": "setAnonymousGroup", "groupname": "g"}),
        json!({"command": "setDefaultACLAccess", "acls": [{"acltype": "unsubscribe", "allow": false}]}),
        json!({"command": "setDefaultACLAccess",
            "acls": [{"acltype": "publishClientReceive", "allow": false}]}),
        json!({"command": "addRoleACL", "rolename": "r", "acltype": "unsubscribePattern",
            "topic": "a", "allow": false}),
        json!({"command": "addRoleACL", "rolename": "r", "acltype": "subscribePattern",
            "topic": "%u/a", "allow": true}),
        json!({"command": "addRoleACL", "rolename": "r", "acltype": "other", "topic": "a"}),
        json!({"command": "addRoleACL", "rolename": "r", "acltype": "subscribePattern", "topic": "a/#/b"}),
        json!({"command": "setClientPassword", "username": "u", "password": ""}),
        json!({"command": "setClientPassword", "username": "nobody", "password": "x"}),
        json!({"command": "getClient"}),
        json!({"command": "listClients", "offset": -1}),
        json!({"command": "nonsense"}),
    ] {
        assert!(world.does(command.clone()).is_err(), "{command}");
    }
    let missing =
        json!({"command": "createClient", "username": "x", "roles": [{"rolename": "no"}]});
    assert_eq!(world.does(missing).unwrap_err(), "Role not found");
    assert_eq!(world.access.revision(), before.0);
    // Two attempts got as far as a change, and have their lines.
    let audited = world.audited().split_off(before.1);
    assert_eq!(
        audited.matches(r#""outcome":"refused""#).count(),
        2,
        "{audited}"
    );
}

#[test]
fn s71_a_password_given_in_an_order_is_in_no_audit_log() {
    let world = peopled();
    world.do_all(json!([
        {"command": "createClient", "username": "v", "password": "swordfish"},
        {"command": "setClientPassword", "username": "v", "password": "swordfish2"},
        {"command": "modifyClient", "username": "v", "password": "swordfish3"},
    ]));
    let wrong =
        world.does(json!({"command": "createClient", "username": "v", "password": "swordfish4"}));
    assert_eq!(wrong.unwrap_err(), "Client already exists");
    let audited = world.audited();
    assert!(
        !audited.contains("swordfish") && !audited.contains("argon2"),
        "{audited}"
    );
    assert_eq!(
        audited.matches(r#""password":"(changed)""#).count(),
        4,
        "{audited}"
    );
    for words in [
        r#""who":"MQTT user admin""#,
        r#""from":"client c""#,
        r#""operation":"user.create""#,
        r#""outcome":"refused""#,
    ] {
        assert!(audited.contains(words), "{words}: {audited}");
    }
}

#[test]
fn live_connections_see_a_change_once_its_answer_is_on_its_way() {
    let world = peopled();
    let follows = |command: Value| {
        let order = json!({ "commands": [command] }).to_string();
        world.order(order.as_bytes()).1
    };
    let (end, again) = (
        || vec![Then::End("u".into())],
        || vec![Then::Refresh("u".into())],
    );
    let about = |command: &str| json!({"command": command, "username": "u"});
    assert_eq!(follows(about("disableClient")), end());
    assert_eq!(follows(about("enableClient")), again());
    let mut bound = about("setClientId");
    bound["clientid"] = "c".into();
    assert_eq!(follows(bound), end());
    assert_eq!(follows(about("setClientId")), again());
    let mut password = about("setClientPassword");
    password["password"] = "x".into();
    assert_eq!(follows(password), end());
    assert_eq!(follows(about("getClient")), []);
    assert_eq!(follows(about("deleteClient")), end());
}

#[test]
fn s71_hostile_orders_are_answered_and_change_nothing() {
    let world = peopled();
    let before = world.access.revision();
    let deep = format!("{{\"commands\":{}", "[".repeat(100_000));
    let many =
        json!({"commands": vec![json!({"command": "createRole", "rolename": "x"}); COMMANDS + 1]});
    for (payload, wanted) in [
        (b"".as_slice(), "Payload not valid JSON"),
        (b"\xff\xfe", "Payload not valid JSON"),
        (deep.as_bytes(), "Payload not valid JSON"),
        (b"[]", "Invalid/missing commands"),
        (b"null", "Invalid/missing commands"),
        (br#"{"commands":{}}"#, "Invalid/missing commands"),
        (br#"{"commands":[7]}"#, "Command not an object"),
        (br#"{"commands":[{"command":[]}]}"#, "Missing command"),
        (
            many.to_string().as_bytes(),
            "At most 100 commands at once; nothing is done",
        ),
    ] {
        let (answer, then) = world.order(payload);
        let response = &answer["responses"][0];
        assert_eq!(response["command"], "Unknown command");
        assert_eq!(response["error"], wanted);
        assert_eq!(then, []);
    }
    // Each argument of each command, as what it is not.
    for command in [
        "createClient",
        "modifyClient",
        "createGroup",
        "modifyGroup",
        "createRole",
        "addRoleACL",
        "setDefaultACLAccess",
        "listClients",
    ] {
        for key in [
            "username",
            "password",
            "clientid",
            "groups",
            "roles",
            "groupname",
            "rolename",
            "acls",
            "clients",
            "topic",
            "allow",
            "acltype",
            "priority",
            "count",
            "offset",
            "verbose",
        ] {
            for value in [
                json!(null),
                json!({}),
                json!([[]]),
                json!([{"rolename": {}}]),
                json!(1e300),
            ] {
                let mut order = json!({"command": command, "username": "u", "groupname": "g",
                    "rolename": "r", "acltype": "subscribePattern", "topic": "t"});
                order[key] = value;
                assert!(world.does(order.clone()).is_err(), "{order}");
            }
        }
    }
    assert_eq!(world.access.revision(), before);
}

#[test]
fn lists_are_bounded_and_correlation_data_comes_back() {
    let world = World::new();
    let long = "x".repeat(60_000);
    for number in 0..20 {
        let edit = UserEdit {
            password: PasswordEdit::Keep,
            ..UserEdit::default()
        };
        let name = format!("{number}{long}");
        world
            .access
            .changes(&|_| Ok(()))
            .put_user(&name, edit)
            .unwrap();
    }
    let all = json!({"command": "listClients", "correlationData": "k"});
    let some = json!({"command": "listClients", "count": 2, "correlationData": 7});
    let order = json!({"commands": [all, some]}).to_string();
    let (answer, _) = world.order(order.as_bytes());
    let responses = &answer["responses"];
    assert!(responses[0]["error"].as_str().unwrap().contains("too long"));
    assert_eq!(responses[0]["correlationData"], "k");
    assert_eq!(responses[1]["data"]["clients"].as_array().unwrap().len(), 2);
    assert_eq!(responses[1].get("correlationData"), None);
}

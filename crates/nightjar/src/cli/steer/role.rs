//! `nightjar role`, and how a rule is written.

use std::process::ExitCode;

use admin::client::escaped;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::{Way, end, shown, word};

pub(super) const ROLES: &str = "/authorization/roles";

/// Roles: a name for rules, which users and groups have
#[derive(Args, Debug)]
#[command(after_help = RULES)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    task: RoleTask,
}

#[derive(Debug, Subcommand)]
enum RoleTask {
    /// List roles
    List {
        #[command(flatten)]
        way: Way,
    },
    /// Show the rules of a role
    Show {
        /// Name
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Make a role, or give one other rules: they hold for connected clients within a second
    #[command(after_help = RULES)]
    Set {
        /// Name
        name: String,
        /// Rules in their order: the first that matches decides
        #[arg(required = true, value_name = "RULE")]
        rules: Vec<String>,
        #[command(flatten)]
        way: Way,
    },
    /// Remove a role
    Remove {
        /// Name
        name: String,
        /// Also if groups have it: their members lose what it gave them
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        way: Way,
    },
}

/// Does what `nightjar role` is asked for.
pub(crate) fn role(args: RoleArgs) -> ExitCode {
    end(match args.task {
        RoleTask::List { way } => way.rows(ROLES, &[], None).and_then(|rows| {
            way.list(rows, ["NAME", "RULES"], |row| {
                let rules = row.get("rules").and_then(Value::as_array);
                let count = rules.map_or(0, Vec::len);
                [word(row, "name"), count.to_string()]
            })
        }),
        RoleTask::Show { name, way } => {
            let found = way.ask("GET", &one(&name), None);
            found.and_then(|role| way.show(&role, text))
        }
        RoleTask::Set { name, rules, way } => set(&way, &name, &rules),
        RoleTask::Remove { name, force, way } => remove(&way, &name, force),
    })
}

fn remove(way: &Way, name: &str, force: bool) -> Result<(), Failure> {
    if !force {
        let groups = way.rows(super::people::GROUPS, &[], None)?;
        let having = groups.iter().filter(|group| has(group, name));
        let having: Vec<String> = having.map(|group| word(group, "name")).collect();
        if !having.is_empty() {
            return Err(Failure::new(format!(
                "groups have this role: {}; --force removes it all the same",
                having.join(", ")
            )));
        }
    }
    let gone = way.ask("DELETE", &one(name), None)?;
    way.done(&gone, "The role is gone.")
}

fn has(group: &Value, role: &str) -> bool {
    let roles = group.get("roles").and_then(Value::as_array);
    roles.is_some_and(|roles| roles.iter().any(|one| one == role))
}

fn one(name: &str) -> String {
    format!("{ROLES}/{}", escaped(name))
}

fn set(way: &Way, name: &str, rules: &[String]) -> Result<(), Failure> {
    let rules = rules.iter().map(|text| rule(text));
    let rules = rules.collect::<Result<Vec<_>, _>>().map_err(Failure::new)?;
    let role = way.ask("PUT", &one(name), Some(&json!({ "rules": rules })))?;
    way.done(&role, "The role is there.")
}

/// A rule as it is written: `deny publish a/# b/+ qos=1,2 retain=true`.
fn rule(text: &str) -> Result<Value, String> {
    let wrong = |why: String| format!("rule {text:?}: {why}");
    let mut words = text.split_whitespace();
    let mut first = |expected: &[&str]| {
        let word = words.next().unwrap_or_default();
        let known = expected.contains(&word).then_some(word);
        known.ok_or_else(|| wrong(format!("expected {} instead of {word:?}", either(expected))))
    };
    let permission = first(&["allow", "deny"])?;
    let action = first(&["publish", "subscribe", "all"])?;
    let (mut topics, mut qos, mut retain) = (Vec::new(), Vec::new(), Value::Null);
    for word in words {
        match word.split_once('=') {
            Some(("qos", list)) => {
                for digit in list.split(',') {
                    let number: Result<u8, _> = digit.parse();
                    qos.push(number.map_err(|_| wrong(format!("{digit:?} is no QoS")))?);
                }
            }
            Some(("retain", flag)) => {
                let flag: Result<bool, _> = flag.parse();
                retain = flag
                    .map_err(|_| wrong("retain is true or false".into()))?
                    .into();
            }
            _ => topics.push(word),
        }
    }
    // What is forgotten must not allow everything; to deny everything opens nothing.
    if topics.is_empty() && permission == "allow" {
        let words = "say which topics; # is for all but those that begin with $";
        return Err(wrong(words.into()));
    }
    Ok(json!({
        "permission": permission,
        "action": action,
        "topics": topics,
        "qos": qos,
        "retain": retain,
    }))
}

fn either(words: &[&str]) -> String {
    words.join(" or ")
}

/// The rules of a role as they are written.
fn text(role: &Value) -> String {
    let rules = role.get("rules").and_then(Value::as_array);
    let rules = rules.into_iter().flatten().map(|rule| {
        let mut words = vec![word(rule, "permission"), word(rule, "action")];
        let list = |name: &str| rule.get(name).and_then(Value::as_array).cloned();
        words.extend(list("topics").unwrap_or_default().iter().map(shown));
        let exact = list("exact").unwrap_or_default();
        words.extend(
            exact
                .iter()
                .map(|topic| format!("{} (to the letter)", shown(topic))),
        );
        if let Some(qos) = list("qos").filter(|qos| !qos.is_empty()) {
            let digits: Vec<String> = qos.iter().map(shown).collect();
            words.push(format!("qos={}", digits.join(",")));
        }
        if let Some(Value::Bool(retain)) = rule.get("retain") {
            words.push(format!("retain={retain}"));
        }
        words.join(" ") + "\n"
    });
    rules.collect()
}

const RULES: &str = "\
A rule is one word of the shell:
  'allow subscribe site/${username}/#'       placeholders: see docs/access.md
  'deny publish site/+/state retain=true'    only messages with this retain flag
  'allow all a/# b/# qos=0,1'                both actions, several topics, some QoS
  'allow all #'                              every topic but those that begin with $
  'deny all'                                 without a topic: every one; for deny only
The first that matches decides. Topics with a space in them are for the API.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_in_words() {
        let written = "deny publish a/# ${username}/b qos=1,2 retain=true";
        let read = rule(written).unwrap();
        assert_eq!(read["topics"], json!(["a/#", "${username}/b"]));
        assert_eq!(read["qos"], json!([1, 2]));
        assert_eq!(text(&json!({ "rules": [read] })), format!("{written}\n"));
        assert_eq!(rule("deny all").unwrap()["topics"], json!([]));
    }

    #[test]
    fn what_is_no_rule_is_said() {
        for (text, why) in [
            ("", "expected allow or deny"),
            (
                "permit all #",
                "expected allow or deny instead of \"permit\"",
            ),
            ("allow read #", "expected publish or subscribe or all"),
            ("allow publish", "say which topics"),
            ("allow all qos=1", "say which topics"),
            ("allow all # qos=x", "is no QoS"),
            ("allow all # retain=maybe", "true or false"),
        ] {
            let error = rule(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}

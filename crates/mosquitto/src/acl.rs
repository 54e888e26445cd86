//! `acl_file` as rules.
//!
//! In Mosquitto a client is held against the lines `topic` of its user (those before the first
//! `user` are for clients without a name), then against all lines `pattern`; of each, lines with
//! `deny` come first, then the others in their order, and the first that is about the topic and the
//! action decides. If none is: no. Rules here are looked at in their order too, so that this order
//! is all that has to be made.

use std::path::Path;

use config::{ConfigError, Mark, Permission, Place, Rule, RuleAction};
use types::TopicFilter;

use crate::read;

/// The rules of a file, in the order in which they are to be looked at.
///
/// # Errors
/// All lines that Mosquitto would not take.
pub(crate) fn read_acl(path: &Path) -> Result<Vec<Rule>, Vec<ConfigError>> {
    parse(
        path,
        &read::text(path, MAX_FILE).map_err(|error| vec![error])?,
    )
}

pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Rule>, Vec<ConfigError>> {
    let mut file = File::default();
    let mut errors = Vec::new();
    for (number, line) in (1_usize..).zip(text.split('\n')) {
        let line = line.trim_end();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        let source = format!("{}:{number}", name.to_string_lossy());
        if let Err(message) = file.line(line.trim_start_matches(' '), &source, number) {
            errors.push(ConfigError {
                place: Place::File {
                    path: path.to_owned(),
                    line: number,
                    column: 1,
                },
                message,
            });
        }
    }
    for (number, rule) in &file.denies {
        if let Some(allow) = bypass(rule, &file.patterns) {
            errors.push(ConfigError {
                place: Place::File {
                    path: path.to_owned(),
                    line: *number,
                    column: 1,
                },
                message: format!(
                    "a client with /, + or # in its name would get past this: it fits no %c and no \
                     %u, and {} allows the topic; put %c or %u there, too, or deny with + in \
                     its place",
                    allow.source
                ),
            });
        }
    }
    match errors.is_empty() {
        true => Ok(file.rules()),
        false => Err(errors),
    }
}

#[derive(Default)]
struct File {
    /// The user whose lines follow.
    user: Option<String>,
    topics: Vec<Rule>,
    patterns: Vec<Rule>,
    /// Those patterns that deny, with their lines.
    denies: Vec<(usize, Rule)>,
}

impl File {
    fn line(&mut self, line: &str, source: &str, number: usize) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "user" if rest.is_empty() => Err("user: the name is missing".into()),
            "user" => {
                self.user = Some(rest.to_owned());
                Ok(())
            }
            "topic" => {
                let mut rule = rule(rest, source, |text| text.replace("${", "$${"))?;
                match &self.user {
                    Some(user) => rule.users.push(user.clone()),
                    None => rule.anonymous = Mark(true),
                }
                self.topics.push(rule);
                Ok(())
            }
            "pattern" => {
                let rule = rule(rest, source, pattern)?;
                if rule.permission == Permission::Deny {
                    self.denies.push((number, rule.clone()));
                }
                self.patterns.push(rule);
                Ok(())
            }
            other => {
                let shown: String = other.escape_debug().take(80).collect();
                Err(format!("{shown} is none of user, topic and pattern"))
            }
        }
    }

    /// What denies comes first. Lines of different users do not meet.
    fn rules(self) -> Vec<Rule> {
        let is_deny = |rule: &Rule| rule.permission == Permission::Deny;
        let mut rules = Vec::new();
        for list in [self.topics, self.patterns] {
            let (denies, allows): (Vec<_>, Vec<_>) = list.into_iter().partition(is_deny);
            rules.extend(denies);
            rules.extend(allows);
        }
        rules
    }
}

/// A line behind its first word: perhaps what may be done, then the topic, which may have spaces.
fn rule(rest: &str, source: &str, topic: fn(&str) -> String) -> Result<Rule, String> {
    let (access, filter) = match rest.split_once(' ') {
        Some((access, filter)) => (access, filter.trim()),
        None => ("readwrite", rest),
    };
    if filter.is_empty() {
        return Err("the topic is missing".into());
    }
    let (permission, action) = match access {
        "read" => (Permission::Allow, RuleAction::Subscribe),
        "write" => (Permission::Allow, RuleAction::Publish),
        "readwrite" => (Permission::Allow, RuleAction::All),
        "deny" => (Permission::Deny, RuleAction::All),
        other => {
            let shown: String = other.escape_debug().take(80).collect();
            return Err(format!(
                "{shown} is none of read, write, readwrite and deny"
            ));
        }
    };
    if TopicFilter::parse(filter, u16::MAX).is_err() {
        let shown: String = filter.escape_debug().take(80).collect();
        return Err(format!("{shown} is no filter of topics"));
    }
    let text = topic(filter);
    is_possible(&text)?;
    Ok(Rule {
        permission,
        action,
        topics: vec![text],
        source: source.to_owned(),
        ..Rule::default()
    })
}

/// `%c` and `%u` as placeholders.
fn pattern(text: &str) -> String {
    text.replace("${", "$${")
        .replace("%c", "${clientid}")
        .replace("%u", "${username}")
}

/// The line that lets a client past one that denies with `%c` or `%u`, if there is one: for
/// Mosquitto a name with `/` fills several levels, here it fits nothing, and one with `+` or `#`
/// has nothing from any pattern there. So no other line may allow what such a name makes of it.
fn bypass<'a>(deny: &Rule, patterns: &'a [Rule]) -> Option<&'a Rule> {
    let text = deny.topics.first()?;
    let names: Vec<&str> = NAMES.into_iter().filter(|name| has(text, name)).collect();
    let head: Vec<&str> = text
        .split('/')
        .take_while(|level| !NAMES.iter().any(|name| has(level, name)))
        .collect();
    let reaches = |allow: &&Rule| {
        let topic = allow.topics.first().map_or("", String::as_str);
        !names.iter().all(|name| has(topic, name)) && reaches(topic, &head)
    };
    let mut allows = patterns.iter();
    allows.find(|rule| rule.permission == Permission::Allow && !names.is_empty() && reaches(rule))
}

/// Whether a filter is about topics that begin with these levels and have more.
fn reaches(filter: &str, head: &[&str]) -> bool {
    let mut levels = filter.split('/');
    for wanted in head {
        match levels.next() {
            None => return false,
            Some("#") => return true,
            Some(level) => {
                let is_open = level == "+" || NAMES.iter().any(|name| has(level, name));
                if !is_open && *wanted != "+" && level != *wanted {
                    return false;
                }
            }
        }
    }
    levels.next().is_some()
}

/// Whether a placeholder stands in a text of a rule.
fn has(text: &str, name: &str) -> bool {
    text.replace("$${", "").contains(name)
}

const NAMES: [&str; 2] = ["${clientid}", "${username}"];

/// A level of a rule is a wildcard or a name with placeholders, not both.
fn is_possible(text: &str) -> Result<(), String> {
    let mixed = |level: &str| level.contains("${") && level.contains(['+', '#']);
    match text.split('/').any(mixed) {
        true => Err("+ and # cannot stand beside %c or %u in one level".into()),
        false => Ok(()),
    }
}

/// In bytes.
const MAX_FILE: u64 = 16 << 20;

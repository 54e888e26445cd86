//! Commands that ask a running server, by its control socket, or change something there.
//!
//! | module | owns |
//! |---|---|
//! | [`way`] | [`Way`]: which server, and in which form its answers are wanted |
//! | [`table`] | rows for people |
//! | [`people`] | `user`, `group` |
//! | [`role`] | `role`, and how a rule is written |
//! | [`ban`] | `ban` |
//! | [`bridges`] | `bridges` |
//! | [`clients`] | `clients` |
//! | [`subscriptions`] | `subscriptions` |
//! | [`retained`] | `retained` |
//! | [`look`] | `listeners`, `denials`, `audit`, `alarms`, `kick`, `purge` |
//! | [`figures`] | `overview`, `stats`, `metrics` |
//! | [`configuration`] | `config` |
//! | [`tools`] | `log-level`, `certificates`, `backup` |
//! | [`explain`] | `explain` |
//! | [`message_way`] | `topics`, `drops`, `timeline`, `slow` |
//! | [`trace`] | `trace` |

mod ban;
mod bridges;
mod clients;
mod configuration;
mod explain;
mod figures;
mod look;
mod message_way;
mod people;
mod retained;
mod role;
mod subscriptions;
mod table;
mod tools;
mod trace;
mod way;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::failure::Failure;
use way::Way;

/// What is asked of a running server, by its control socket.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Overview(figures::OverviewArgs),
    Stats(figures::StatsArgs),
    Metrics(figures::MetricsArgs),
    Explain(explain::ExplainArgs),
    User(people::UserArgs),
    Group(people::GroupArgs),
    Role(role::RoleArgs),
    Ban(ban::BanArgs),
    Clients(clients::ClientsArgs),
    Subscriptions(subscriptions::SubscriptionsArgs),
    Retained(retained::RetainedArgs),
    Kick(look::KickArgs),
    Listeners(look::ListenersArgs),
    Bridges(bridges::BridgesArgs),
    Denials(look::DenialsArgs),
    Audit(look::AuditArgs),
    Alarms(look::AlarmsArgs),
    Purge(look::PurgeArgs),
    Config(configuration::ConfigArgs),
    LogLevel(tools::LogLevelArgs),
    Certificates(tools::CertificatesArgs),
    Backup(tools::BackupArgs),
    Topics(message_way::TopicsArgs),
    Drops(message_way::DropsArgs),
    Timeline(message_way::TimelineArgs),
    Slow(message_way::SlowArgs),
    Trace(trace::TraceArgs),
}

impl Command {
    /// Asks, prints, and says how it went.
    pub(crate) fn run(self) -> ExitCode {
        match self {
            Self::Overview(args) => figures::overview(args),
            Self::Stats(args) => figures::stats(args),
            Self::Metrics(args) => figures::metrics(args),
            Self::Explain(args) => explain::explain(args),
            Self::User(args) => people::user(args),
            Self::Group(args) => people::group(args),
            Self::Role(args) => role::role(args),
            Self::Ban(args) => ban::ban(args),
            Self::Clients(args) => clients::clients(args),
            Self::Subscriptions(args) => subscriptions::subscriptions(args),
            Self::Retained(args) => retained::retained(args),
            Self::Kick(args) => look::kick(args),
            Self::Listeners(args) => look::listeners(args),
            Self::Bridges(args) => bridges::bridges(args),
            Self::Denials(args) => look::denials(args),
            Self::Audit(args) => look::audit(args),
            Self::Alarms(args) => look::alarms(args),
            Self::Purge(args) => look::purge(args),
            Self::Config(args) => configuration::config(args),
            Self::LogLevel(args) => tools::log_level(args),
            Self::Certificates(args) => tools::certificates(args),
            Self::Backup(args) => tools::backup(args),
            Self::Topics(args) => message_way::topics(args),
            Self::Drops(args) => message_way::drops(args),
            Self::Timeline(args) => message_way::timeline(args),
            Self::Slow(args) => message_way::slow(args),
            Self::Trace(args) => trace::trace(args),
        }
    }
}

/// Ends a command: nothing more to say, or why it was not done.
pub(crate) fn end(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(false),
    }
}

/// The rows of an answer.
fn data(mut answer: Value) -> Vec<Value> {
    match answer.get_mut("data").map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    }
}

/// A field of an answer as people read it; nothing for what is not there.
fn word(row: &Value, name: &str) -> String {
    shown(row.get(name).unwrap_or(&Value::Null))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => printable(text),
        Value::Array(list) => list.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// A client's words without what a terminal may trip over.
fn printable(text: &str) -> String {
    let odd = |letter: char| {
        letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match odd(letter) {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    shown
}

/// The time of a row, to the second and without the date's decoration.
fn time(row: &Value, name: &str) -> String {
    let text = word(row, name);
    match text.get(..19).filter(|_| text.ends_with('Z')) {
        Some(start) => format!("{}Z", start.replace('T', " ")),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_clients_say_does_not_move_the_cursor() {
        let row =
            json!({ "clientid": "a\u{1b}[2Jb\u{202e}c\n", "groups": ["x", "y"], "none": null });
        assert_eq!(word(&row, "clientid"), "a\\u{1b}[2Jb\\u{202e}c\\n");
        assert_eq!(word(&row, "groups"), "x, y");
        assert_eq!(word(&row, "none"), "");
    }

    #[test]
    fn times_are_short() {
        let row = json!({ "at": "2026-11-21T10:00:00.123Z", "until": "infinity" });
        assert_eq!(time(&row, "at"), "2026-11-21 10:00:00Z");
        assert_eq!(time(&row, "until"), "infinity");
    }
}

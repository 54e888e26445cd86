//! What there is to see: listeners, denials, the audit log, alarms; and what needs one
//! word only.

use std::process::ExitCode;

use admin::client::escaped;
use clap::Args;
use serde_json::Value;

use super::super::failure::Failure;
use super::way::given;
use super::{Way, data, end, time, word};

/// Listeners, their certificates and figures
#[derive(Args, Debug)]
pub(crate) struct ListenersArgs {
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar listeners` is asked for.
pub(crate) fn listeners(args: ListenersArgs) -> ExitCode {
    let way = args.way;
    let head = [
        "LISTENER",
        "PROTOCOL",
        "ADDRESS",
        "CONNECTIONS",
        "ACCEPTED",
        "REFUSED",
        "FAILED",
        "CERTIFICATE ENDS",
    ];
    let rows = way.ask("GET", "/listeners", None).map(data);
    end(rows.and_then(|rows| {
        way.list(rows, head, |row| {
            let certificates = row.get("certificates").and_then(Value::as_array);
            let ends = certificates.into_iter().flatten();
            let ends = ends.map(|one| time(one, "not_after")).min();
            [
                word(row, "name"),
                word(row, "protocol"),
                word(row, "address"),
                word(row, "connections"),
                word(row, "accepted"),
                word(row, "refused"),
                word(row, "failed_handshakes"),
                ends.unwrap_or_default(),
            ]
        })
    }))
}

/// Who was not allowed what lately, and why; the newest first
#[derive(Args, Debug)]
pub(crate) struct DenialsArgs {
    /// Only of this client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only of this user
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// Only of this topic or filter, to the letter
    #[arg(short, long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only of this wish
    #[arg(long, value_name = "WISH", value_parser = ["connect", "publish", "subscribe"])]
    action: Option<String>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    most: usize,
    /// Forget all that were noted so far
    #[arg(long, conflicts_with_all = ["client", "user", "topic", "action"])]
    clear: bool,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar denials` is asked for.
pub(crate) fn denials(args: DenialsArgs) -> ExitCode {
    end(list_denials(&args))
}

fn list_denials(args: &DenialsArgs) -> Result<(), Failure> {
    let (way, path) = (&args.way, "/authorization/denials");
    if args.clear {
        let gone = way.ask("DELETE", path, None)?;
        return way.done(&gone, "They are forgotten.");
    }
    let query = given([
        ("clientid", &args.client),
        ("username", &args.user),
        ("topic", &args.topic),
        ("wanted", &args.action),
    ]);
    let head = ["TIME", "WANTED", "CLIENT", "USER", "FROM", "TOPIC", "WHY"];
    way.list(way.rows(path, &query, Some(args.most))?, head, |row| {
        let why = match word(row, "why") {
            none if none.is_empty() => "no rule allows it".into(),
            why => why,
        };
        [
            time(row, "at"),
            word(row, "wanted"),
            word(row, "clientid"),
            word(row, "username"),
            word(row, "peer"),
            word(row, "topic"),
            why,
        ]
    })
}

/// Who changed what; the newest first
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// At most so many lines
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar audit` is asked for.
pub(crate) fn audit(args: AuditArgs) -> ExitCode {
    let way = args.way;
    let head = ["TIME", "WHO", "DID", "TO", "OUTCOME", "WHAT CHANGED"];
    let rows = way.rows("/audit", &[], Some(args.most));
    end(rows.and_then(|rows| {
        way.list(rows, head, |row| {
            [
                time(row, "at"),
                word(row, "who"),
                word(row, "operation"),
                word(row, "target"),
                word(row, "outcome"),
                difference(row),
            ]
        })
    }))
}

/// What a change changed, or why it was none.
fn difference(line: &Value) -> String {
    let none = Value::Null;
    let side = |name: &str| line.get(name).unwrap_or(&none);
    let (before, after) = (side("before"), side("after"));
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
    match (before, after) {
        (Value::Null, Value::Null) => word(line, "why"),
        (Value::Object(_), Value::Object(_)) => {
            let (before, after) = (fields(before), fields(after));
            let changed = after
                .iter()
                .filter(|(name, value)| !name.ends_with("_at") && before.get(*name) != Some(value));
            let words = changed.map(|(name, value)| {
                let was = before.get(name).map_or_else(String::new, plain);
                format!("{name}: {was} -> {}", plain(value))
            });
            words.collect::<Vec<_>>().join("; ")
        }
        (_, Value::Null) => "removed".into(),
        (_, _) => {
            let said = fields(after);
            let said = said.iter().filter(|(name, value)| {
                let empty = value.as_array().is_some_and(Vec::is_empty);
                !empty
                    && !value.is_null()
                    && **value != Value::Bool(false)
                    && !name.ends_with("_at")
            });
            let words = said.map(|(name, value)| format!("{name}: {}", plain(value)));
            words.collect::<Vec<_>>().join("; ")
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => super::printable(&value.to_string()),
        other => super::shown(other),
    }
}

/// What is wrong or was lately
#[derive(Args, Debug)]
pub(crate) struct AlarmsArgs {
    /// Those that are over, too
    #[arg(long)]
    all: bool,
    /// Forget those that are over
    #[arg(long, conflicts_with = "all")]
    forget: bool,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar alarms` is asked for.
pub(crate) fn alarms(args: AlarmsArgs) -> ExitCode {
    let way = args.way;
    if args.forget {
        let gone = way.ask("DELETE", "/alarms", None);
        return end(gone.and_then(|gone| way.done(&gone, "They are forgotten.")));
    }
    let mut query = Vec::new();
    if !args.all {
        query.push(("activated", "true".to_owned()));
    }
    let head = [
        "ALARM", "SEVERITY", "ABOUT", "SINCE", "OVER", "TIMES", "WHAT",
    ];
    end(way.rows("/alarms", &query, None).and_then(|rows| {
        way.list(rows, head, |row| {
            [
                word(row, "name"),
                word(row, "severity"),
                word(row, "about"),
                time(row, "activate_at"),
                time(row, "deactivate_at"),
                word(row, "count"),
                word(row, "message"),
            ]
        })
    }))
}

/// Disconnect a client; its session stays as long as it would
#[derive(Args, Debug)]
pub(crate) struct KickArgs {
    /// Client identifier
    client: String,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar kick` is asked for.
pub(crate) fn kick(args: KickArgs) -> ExitCode {
    let path = format!("/clients/{}", escaped(&args.client));
    let gone = args.way.ask("DELETE", &path, None);
    end(gone.and_then(|answer| args.way.done(&answer, "Disconnected.")))
}

/// Forget what back ends said of users, and ask them again
///
/// Without a client or user: all of them.
#[derive(Args, Debug)]
pub(crate) struct PurgeArgs {
    /// Only of this client
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    client: Option<String>,
    /// Only of this user
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar purge` is asked for.
pub(crate) fn purge(args: PurgeArgs) -> ExitCode {
    let whose = given([("clientid", &args.client), ("username", &args.user)]);
    let whose = whose.first();
    let query = whose.map(|(name, value)| format!("?{name}={}", escaped(value)));
    let path = format!("/authorization/cache{}", query.unwrap_or_default());
    let gone = args.way.ask("DELETE", &path, None);
    end(gone.and_then(|answer| args.way.done(&answer, "It is forgotten.")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_the_audit_log_says_what_changed() {
        let changed = json!({
            "before": { "disabled": false, "groups": [], "changed_at": "1" },
            "after": { "disabled": true, "groups": [], "password": "(changed)", "changed_at": "2" },
        });
        assert_eq!(
            difference(&changed),
            "disabled: no -> yes; password:  -> (changed)"
        );
        let made = json!({ "after": { "user_id": "ann", "groups": [], "disabled": false } });
        assert_eq!(difference(&made), "user_id: ann");
        assert_eq!(difference(&json!({ "before": {} })), "removed");
        assert_eq!(difference(&json!({ "why": "no" })), "no");
    }
}

//! `nightjar bridges`.

use std::process::ExitCode;

use admin::client::escaped;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::super::failure::Failure;
use super::{Way, data, end, time, word};

/// Bridges to other servers: state, figures, on and off
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct BridgesArgs {
    #[command(subcommand)]
    task: Option<BridgesTask>,
    #[command(flatten)]
    way: Way,
}

const EXAMPLES: &str = "Examples:
  nightjar bridges
  nightjar bridges show cloud
  nightjar bridges disable cloud";

#[derive(Debug, Subcommand)]
enum BridgesTask {
    /// List bridges
    List {
        #[command(flatten)]
        way: Way,
    },
    /// Show all that is known of a bridge
    Show {
        /// The bridge
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Connect a bridge anew
    Restart {
        /// The bridge
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Switch a bridge on
    Enable {
        /// The bridge
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Switch a bridge off until it is switched on, or the server starts again
    Disable {
        /// The bridge
        name: String,
        #[command(flatten)]
        way: Way,
    },
}

/// Does what `nightjar bridges` is asked for.
pub(crate) fn bridges(args: BridgesArgs) -> ExitCode {
    end(match args.task {
        None => list(&args.way),
        Some(BridgesTask::List { way }) => list(&way),
        Some(BridgesTask::Show { name, way }) => {
            let found = way.ask("GET", &path(&name, ""), None);
            found.and_then(|found| way.show(&found, text))
        }
        Some(BridgesTask::Restart { name, way }) => {
            order(&way, &name, "/restart", "It connects anew.")
        }
        Some(BridgesTask::Enable { name, way }) => {
            order(&way, &name, "/enable", "It is switched on.")
        }
        Some(BridgesTask::Disable { name, way }) => {
            let words = "It is switched off; what is to go out waits.";
            order(&way, &name, "/disable", words)
        }
    })
}

fn path(name: &str, order: &str) -> String {
    format!("/bridges/{}{order}", escaped(name))
}

fn order(way: &Way, name: &str, order: &str, words: &str) -> Result<(), Failure> {
    let done = way.ask("PUT", &path(name, order), None)?;
    way.done(&done, words)
}

fn list(way: &Way) -> Result<(), Failure> {
    let rows = data(way.ask("GET", "/bridges", None)?);
    let head = [
        "BRIDGE",
        "STATE",
        "SINCE",
        "ADDRESS",
        "OUT",
        "IN",
        "LAG",
        "DROPPED",
        "LAST ERROR",
    ];
    way.list(rows, head, |row| {
        [
            word(row, "name"),
            word(row, "state"),
            time(row, "since"),
            word(row, "address"),
            word(row, "messages_out"),
            word(row, "messages_in"),
            word(row, "lag"),
            dropped(row).to_string(),
            row.get("last_error").map_or_else(String::new, problem),
        ]
    })
}

/// Why the last connection ended, and when; nothing if none has.
fn problem(error: &Value) -> String {
    match word(error, "message") {
        none if none.is_empty() => none,
        words => format!("{}: {words}", time(error, "at")),
    }
}

fn drops(row: &Value) -> impl Iterator<Item = (String, u64)> {
    let drops = row.get("dropped").and_then(Value::as_array);
    let drops = drops.into_iter().flatten().map(|one| {
        let count = one.get("count").and_then(Value::as_u64).unwrap_or(0);
        (word(one, "reason"), count)
    });
    drops.filter(|(_, count)| *count > 0)
}

fn dropped(row: &Value) -> u64 {
    drops(row).map(|(_, count)| count).sum()
}

fn text(row: &Value) -> String {
    let mut text = String::new();
    let mut line = |label: &str, words: String| {
        if !words.is_empty() {
            text.push_str(&format!("{label:15}{words}\n"));
        }
    };
    let two = |one: &str, other: &str| {
        let (one, other) = (word(row, one), word(row, other));
        format!("{one} out, {other} in")
    };
    line("bridge", word(row, "name"));
    let state = format!("{} since {}", word(row, "state"), time(row, "since"));
    line("state", state);
    line("switched on", word(row, "enabled"));
    line("not connected", time(row, "down_since"));
    line("address", word(row, "address"));
    line("addresses", word(row, "addresses"));
    line("there", word(row, "remote_clientid"));
    line("here", word(row, "local_clientid"));
    let user = match word(row, "user") {
        none if none.is_empty() => "none: it may do everything at this server".into(),
        user => user,
    };
    line("user", user);
    line("messages", two("messages_out", "messages_in"));
    line("bytes", two("bytes_out", "bytes_in"));
    line("inflight", two("inflight_out", "inflight_in"));
    line("lag", word(row, "lag"));
    line("reconnects", word(row, "reconnects"));
    line("failures", word(row, "failures"));
    for (reason, count) in drops(row) {
        line("dropped", format!("{count} ({reason})"));
    }
    let last = row.get("last_error").map_or_else(String::new, problem);
    line("last error", last);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bridge_is_told_line_by_line() {
        let row = json!({
            "name": "cloud", "state": "waiting", "since": "2026-11-21T10:00:00.000Z",
            "enabled": true, "address": "h:1", "addresses": ["h:1", "i:1"], "user": null,
            "messages_out": 1, "messages_in": 2, "lag": 3,
            "last_error": { "message": "refused\u{1b}[2J", "at": "2026-11-21T10:00:01.000Z" },
            "dropped": [{ "reason": "loop", "count": 4 }, { "reason": "slow", "count": 0 }],
        });
        let text = text(&row);
        for line in [
            "state          waiting since 2026-11-21 10:00:00Z\n",
            "user           none: it may do everything at this server\n",
            "messages       1 out, 2 in\n",
            "lag            3\n",
            "dropped        4 (loop)\n",
            "last error     2026-11-21 10:00:01Z: refused\\u{1b}[2J\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains("slow"));
        assert_eq!(dropped(&row), 4);
        assert_eq!(problem(&Value::Null), "");
    }
}

//! Who wants what.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::way::given;
use super::{Way, end, word};

/// Subscriptions of all clients
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SubscriptionsArgs {
    #[command(subcommand)]
    task: Option<SubscriptionsTask>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum SubscriptionsTask {
    /// List the groups that share a filter, with their members
    Groups {
        #[command(flatten)]
        way: Way,
    },
    /// Say who would get a message; nothing is published
    Match {
        /// Its topic
        topic: String,
        /// Who would publish it
        #[arg(long, value_name = "CLIENT")]
        from: Option<String>,
        #[command(flatten)]
        way: Way,
    },
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only for this filter, to the letter
    #[arg(short, long, value_name = "FILTER")]
    topic: Option<String>,
    /// Only for filters that match this topic
    #[arg(long, value_name = "TOPIC")]
    matching: Option<String>,
    /// Only of this client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Only in the group of this name
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Only with this QoS
    #[arg(short, long, value_parser = ["0", "1", "2"])]
    qos: Option<String>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    most: usize,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar subscriptions` is asked for.
pub(crate) fn subscriptions(args: SubscriptionsArgs) -> ExitCode {
    end(match args.task {
        None => list(&args.list),
        Some(SubscriptionsTask::Groups { way }) => groups(&way),
        Some(SubscriptionsTask::Match { topic, from, way }) => receivers(&topic, from, &way),
    })
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let query = given([
        ("topic", &args.topic),
        ("match_topic", &args.matching),
        ("clientid", &args.client),
        ("share_group", &args.group),
        ("qos", &args.qos),
    ]);
    let rows = args.way.pieces("/subscriptions", &query, Some(args.most))?;
    let head = [
        "FILTER",
        "CLIENT",
        "GROUP",
        "QOS",
        "NO LOCAL",
        "AS PUBLISHED",
        "HANDLING",
    ];
    args.way.list(rows, head, |row| {
        ["topic", "clientid", "share", "qos", "nl", "rap", "rh"].map(|name| word(row, name))
    })
}

fn groups(way: &Way) -> Result<(), Failure> {
    let rows = way.rows("/shared_groups", &[], None)?;
    let head = [
        "GROUP",
        "FILTER",
        "MEMBERS",
        "CONNECTED",
        "INFLIGHT",
        "QUEUED",
    ];
    way.list(rows, head, |row| {
        let members = row.get("members").and_then(Value::as_array);
        let members = || members.into_iter().flatten();
        let sum = |name: &str| -> u64 {
            let numbers = members().filter_map(|one| one.get(name)?.as_u64());
            numbers.sum()
        };
        let online = |one: &&Value| one.get("connected") == Some(&Value::Bool(true));
        [
            word(row, "group"),
            word(row, "topic"),
            members().count().to_string(),
            members().filter(online).count().to_string(),
            sum("inflight").to_string(),
            sum("queued").to_string(),
        ]
    })
}

fn receivers(topic: &str, from: Option<String>, way: &Way) -> Result<(), Failure> {
    let thought = json!({ "topic": topic, "from": from });
    let mut answer = way.ask("POST", "/subscriptions/match", Some(&thought))?;
    let rows = match answer.get_mut("receivers").map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    };
    let head = ["CLIENT", "BY", "GROUP", "QOS", "STATE"];
    way.list(rows, head, |row| {
        let is = |name: &str| row.get(name) == Some(&Value::Bool(true));
        let state = match (is("denied"), is("online")) {
            (true, _) => "denied",
            (false, true) => "connected",
            (false, false) => "away",
        };
        [
            word(row, "clientid"),
            word(row, "filter"),
            word(row, "group"),
            word(row, "qos"),
            state.into(),
        ]
    })
}

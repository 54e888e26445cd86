//! What is on its way: `topics`, `drops`, `timeline`, `slow`.

use std::process::ExitCode;

use admin::client::escaped;
use clap::Args;
use serde_json::Value;

use super::super::failure::Failure;
use super::table::Table;
use super::{Way, data, end, time, word};

/// Topics, one level at a time: what is published from now on, and what is retained
#[derive(Args, Debug)]
#[command(after_help = TOPICS)]
pub(crate) struct TopicsArgs {
    /// Those below this topic [default: the first level]
    #[arg(value_name = "TOPIC")]
    under: Option<String>,
    /// Show the last value of the topic, and those before it
    #[arg(long, requires = "under")]
    last: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    most: u32,
    /// Begin behind this name
    #[arg(long, value_name = "NAME", conflicts_with = "last")]
    after: Option<String>,
    #[command(flatten)]
    way: Way,
}

const TOPICS: &str = "To ask is to watch: the server counts what is published for half a minute \
behind each question.\n\n\
Examples:
  nightjar topics
  nightjar topics plant/7
  nightjar topics plant/7/temperature --last";

/// Does what `nightjar topics` is asked for.
pub(crate) fn topics(args: TopicsArgs) -> ExitCode {
    end(match args.last {
        true => show_last(&args),
        false => list_topics(&args),
    })
}

fn list_topics(args: &TopicsArgs) -> Result<(), Failure> {
    let mut path = format!("/topics?limit={}", args.most);
    if let Some(under) = &args.under {
        path.push_str(&format!("&under={}", escaped(under)));
    }
    if let Some(after) = &args.after {
        path.push_str(&format!("&after={}", escaped(after)));
    }
    let answer = args.way.ask("GET", &path, None)?;
    args.way.show(&answer, |answer| {
        let mut table = Table::new([
            "TOPIC", "BELOW", "MESSAGES", "A SECOND", "BYTES/S", "RETAINED", "LAST",
        ]);
        for row in rows(answer, "data") {
            table.row([
                word(row, "topic"),
                word(row, "children"),
                word(row, "messages"),
                rate(row, "rate"),
                rate(row, "bytes_rate"),
                word(row, "retained"),
                time(row, "last_at"),
            ]);
        }
        let mut text = table.to_text();
        let meta = answer.get("meta").unwrap_or(&Value::Null);
        let since = time(meta, "since");
        text.push_str(&format!("Messages are counted since {since}.\n"));
        if rows(answer, "data").next().is_none() {
            text.push_str(
                "None has come since. Counting begins with a question: ask again within 30 s.\n",
            );
        }
        if meta.get("sampled") == Some(&Value::Bool(true)) {
            text.push_str("There are too many to look at all: figures are estimates.\n");
        }
        let after = word(meta, "after");
        if !after.is_empty() {
            text.push_str(&format!("There are more: go on with --after {after}\n"));
        }
        text
    })
}

fn show_last(args: &TopicsArgs) -> Result<(), Failure> {
    let topic = args.under.as_deref().unwrap_or_default();
    let path = format!("/topics/last?topic={}", escaped(topic));
    let answer = args.way.ask("GET", &path, None)?;
    args.way.show(&answer, |answer| {
        let mut table = Table::new(["TIME", "QOS", "RETAIN", "FROM", "BYTES", "PAYLOAD"]);
        for row in rows(answer, "history") {
            table.row([
                time(row, "at"),
                word(row, "qos"),
                word(row, "retain"),
                word(row, "from_clientid"),
                word(row, "size"),
                payload(row),
            ]);
        }
        table.to_text()
    })
}

/// The beginning of a payload as text.
fn payload(row: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let text = row
        .get("payload")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let bytes = STANDARD.decode(text).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let end = text.floor_char_boundary(200);
    let more = if end < text.len() { "…" } else { "" };
    format!(
        "{}{more}",
        super::printable(text.get(..end).unwrap_or(&text))
    )
}

/// Messages that somebody did not get: by reason, client and topic, with the newest
#[derive(Args, Debug)]
pub(crate) struct DropsArgs {
    /// Most of the newest that are shown
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    samples: usize,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar drops` is asked for.
pub(crate) fn drops(args: DropsArgs) -> ExitCode {
    let answer = args.way.ask("GET", "/drops", None);
    end(answer.and_then(|answer| {
        args.way
            .show(&answer, |answer| drops_text(answer, args.samples))
    }))
}

fn drops_text(answer: &Value, samples: usize) -> String {
    let mut text = format!("{} since the server started\n", word(answer, "total"));
    let mut reasons = Table::new(["REASON", "DROPPED", "A SECOND"]);
    for row in rows(answer, "by_reason") {
        reasons.row([word(row, "reason"), word(row, "count"), rate(row, "rate")]);
    }
    text.push_str(&format!("\n{}", reasons.to_text()));
    for (head, list, name) in [
        ("CLIENT", "by_client", "clientid"),
        ("TOPIC", "by_topic", "topic"),
    ] {
        let mut table = Table::new([head, "ABOUT", "LAST FOR"]);
        for row in rows(answer, list) {
            table.row([word(row, name), word(row, "count"), word(row, "reason")]);
        }
        text.push_str(&format!("\n{}", table.to_text()));
    }
    let mut table = Table::new(["TIME", "REASON", "CLIENT", "TOPIC", "QOS", "BYTES", "MORE"]);
    for row in rows(answer, "samples").take(samples) {
        table.row([
            time(row, "at"),
            word(row, "reason"),
            word(row, "clientid"),
            word(row, "topic"),
            word(row, "qos"),
            word(row, "size"),
            word(row, "detail"),
        ]);
    }
    text.push_str(&format!("\n{}", table.to_text()));
    text
}

/// What happened to a client, the newest first
#[derive(Args, Debug)]
pub(crate) struct TimelineArgs {
    /// Client identifier
    client: String,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar timeline` is asked for.
pub(crate) fn timeline(args: TimelineArgs) -> ExitCode {
    let way = args.way;
    let path = format!(
        "/clients/{}/timeline?limit={}",
        escaped(&args.client),
        args.most
    );
    let answer = way.ask("GET", &path, None);
    end(answer.and_then(|answer| {
        let rows = data(answer);
        if rows.is_empty() {
            known(&way, &args.client)?;
        }
        way.list(rows, ["TIME", "EVENT", "WHY", "FROM", "MORE"], |row| {
            [
                time(row, "at"),
                word(row, "event"),
                word(row, "reason"),
                word(row, "peer"),
                detail(row),
            ]
        })
    }))
}

/// Whether there is such a client: of one that there never was nothing is kept.
fn known(way: &Way, client: &str) -> Result<(), Failure> {
    match way.ask_found("GET", &format!("/clients/{}", escaped(client)))? {
        Some(_) => Ok(()),
        None => Err(Failure::new(format!(
            "there is no client {client:?}, and nothing is known of one before"
        ))),
    }
}

fn detail(row: &Value) -> String {
    let detail = row.get("detail").and_then(Value::as_object);
    let words = detail.into_iter().flatten();
    let words = words.map(|(name, value)| format!("{name}: {}", super::shown(value)));
    words.collect::<Vec<_>>().join("; ")
}

/// Who takes longest from a message until its acknowledgement, the slowest first
#[derive(Args, Debug)]
pub(crate) struct SlowArgs {
    /// Forget who was slow
    #[arg(long)]
    clear: bool,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar slow` is asked for.
pub(crate) fn slow(args: SlowArgs) -> ExitCode {
    let way = args.way;
    if args.clear {
        let gone = way.ask("DELETE", "/slow_subscriptions", None);
        return end(gone.and_then(|gone| way.done(&gone, "They are forgotten.")));
    }
    let head = ["CLIENT", "MILLISECONDS", "WAITS FOR", "TOPIC", "LAST"];
    end(way.rows("/slow_subscriptions", &[], None).and_then(|rows| {
        way.list(rows, head, |row| {
            [
                word(row, "clientid"),
                word(row, "timespan_ms"),
                word(row, "waits_for"),
                word(row, "topic"),
                time(row, "last_update"),
            ]
        })
    }))
}

fn rows<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let rows = answer.get(name).and_then(Value::as_array);
    rows.into_iter().flatten()
}

fn rate(row: &Value, name: &str) -> String {
    let rate = row.get(name).and_then(Value::as_f64);
    rate.map_or_else(String::new, |rate| format!("{rate:.1}"))
}

//! `nightjar trace`.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime};

use admin::Stamp;
use admin::client::escaped;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::ban::span;
use super::table::print;
use super::{Way, data, end, printable, time, word};

/// What happens to one client, topic or address, line by line
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArgs {
    #[command(subcommand)]
    task: TraceTask,
}

const EXAMPLES: &str = "Examples:
  nightjar trace start slow-pump --client pump-7 --for 10m
  nightjar trace start line-3 --topic 'plant/3/#' --payload text
  nightjar trace tail slow-pump";

#[derive(Debug, Subcommand)]
enum TraceTask {
    /// List traces
    List {
        #[command(flatten)]
        way: Way,
    },
    /// Start a trace: it ends by itself
    Start {
        /// Its name: letters, digits, - and _
        name: String,
        #[command(flatten)]
        of: Of,
        /// How long, such as 90s or 10m, at most 1h
        #[arg(long = "for", value_name = "TIME", value_parser = trace_span, default_value = "10m")]
        span: Duration,
        /// What is written of payloads
        #[arg(long, value_name = "HOW", value_enum, default_value_t = Payload::Hidden)]
        payload: Payload,
        #[command(flatten)]
        way: Way,
    },
    /// Stop a trace; its lines stay
    Stop {
        /// The trace
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Stop a trace and remove its lines
    Remove {
        /// The trace
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Print the lines of a trace
    Show {
        /// The trace
        name: String,
        #[command(flatten)]
        way: Way,
    },
    /// Print the lines of a trace as they come, until it is over
    Tail {
        /// The trace
        name: String,
        #[command(flatten)]
        way: Way,
    },
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Of {
    /// Of this client
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Of the topics that this filter matches
    #[arg(short, long, value_name = "FILTER", value_parser = filter)]
    topic: Option<String>,
    /// Of clients from this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<std::net::IpAddr>,
}

impl Of {
    /// What the API calls it, and which one.
    fn words(self) -> (&'static str, String) {
        match (self.client, self.topic, self.address) {
            (Some(client), ..) => ("clientid", client),
            (None, Some(topic), _) => ("topic", topic),
            // One of them is required.
            (None, None, address) => (
                "ip_address",
                address.map(|it| it.to_string()).unwrap_or_default(),
            ),
        }
    }
}

/// A time that a trace may last.
fn trace_span(text: &str) -> Result<Duration, String> {
    match span(text)? {
        long if long > LONGEST => Err("a trace goes on for an hour at most: 1h".to_owned()),
        fits => Ok(fits),
    }
}

const LONGEST: Duration = Duration::from_secs(3600);

fn filter(text: &str) -> Result<String, String> {
    match types::TopicFilter::parse(text, u16::MAX) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("this is no topic filter; # and + stand for whole levels".to_owned()),
    }
}

/// What is written of payloads.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Payload {
    /// Nothing
    Hidden,
    /// The first 1024 bytes as text
    Text,
    /// The first 1024 bytes as hexadecimal digits
    Hex,
}

impl Payload {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Text => "text",
            Self::Hex => "hex",
        }
    }
}

/// Does what `nightjar trace` is asked for.
pub(crate) fn trace(args: TraceArgs) -> ExitCode {
    end(match args.task {
        TraceTask::List { way } => list(&way),
        TraceTask::Start {
            name,
            of,
            span,
            payload,
            way,
        } => {
            let (kind, value) = of.words();
            let body = json!({
                "name": name,
                "type": kind,
                "value": value,
                "end_at": Stamp::from(SystemTime::now() + span),
                "payload_encode": payload.as_str(),
            });
            let started = way.ask("POST", "/trace", Some(&body));
            started.and_then(|started| {
                let words = format!("Started. Watch it: nightjar trace tail {name}");
                way.done(&started, &words)
            })
        }
        TraceTask::Stop { name, way } => {
            let stopped = way.ask("PUT", &format!("/trace/{}/stop", escaped(&name)), None);
            stopped.and_then(|stopped| way.done(&stopped, "It is stopped."))
        }
        TraceTask::Remove { name, way } => {
            let gone = way.ask("DELETE", &format!("/trace/{}", escaped(&name)), None);
            gone.and_then(|gone| way.done(&gone, "It is gone."))
        }
        TraceTask::Show { name, way } => lines(&way, &name, Until::Now),
        TraceTask::Tail { name, way } => lines(&way, &name, Until::Over),
    })
}

fn list(way: &Way) -> Result<(), Failure> {
    let rows = data(way.ask("GET", "/trace", None)?);
    let head = [
        "TRACE", "OF", "VALUE", "STATE", "PAYLOADS", "BEGAN", "ENDS", "BYTES", "LOST",
    ];
    way.list(rows, head, |row| {
        [
            word(row, "name"),
            word(row, "type"),
            word(row, "value"),
            word(row, "status"),
            word(row, "payload_encode"),
            time(row, "start_at"),
            time(row, "end_at"),
            word(row, "size"),
            word(row, "lost"),
        ]
    })
}

/// Until when lines are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// What there is now.
    Now,
    /// The trace is over.
    Over,
}

/// How often it is asked for more.
const PAUSE: Duration = Duration::from_millis(500);

fn lines(way: &Way, name: &str, until: Until) -> Result<(), Failure> {
    let mut position = 0;
    loop {
        // Asked before what there is, so that nothing is missed at the end.
        let is_over = until == Until::Now || is_over(way, name)?;
        loop {
            let path = format!(
                "/trace/{}/log?position={position}&bytes=262144",
                escaped(name)
            );
            let answer = way.ask("GET", &path, None)?;
            let items = answer
                .get("items")
                .and_then(Value::as_str)
                .unwrap_or_default();
            for line in items.lines() {
                print(&match way.is_json() {
                    true => format!("{line}\n"),
                    false => format!("{}\n", text(line)),
                })?;
            }
            let meta = answer.get("meta").unwrap_or(&Value::Null);
            position = meta
                .get("position")
                .and_then(Value::as_u64)
                .unwrap_or(position);
            if items.is_empty() {
                break;
            }
        }
        if is_over {
            return Ok(());
        }
        thread::park_timeout(PAUSE);
    }
}

fn is_over(way: &Way, name: &str) -> Result<bool, Failure> {
    let rows = data(way.ask("GET", "/trace", None)?);
    let row = rows.iter().find(|row| word(row, "name") == name);
    let row = row.ok_or_else(|| Failure::new(format!("there is no trace {name:?}")))?;
    Ok(word(row, "status") == "stopped")
}

/// A line for people.
fn text(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
        return printable(line);
    };
    let row = Value::Object(fields.clone());
    let mut text = format!("{} {:12}", word(&row, "at"), word(&row, "event"));
    for (name, value) in &fields {
        if !matches!(name.as_str(), "at" | "event") {
            text.push_str(&format!(" {name}={}", super::shown(value)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people_does_not_move_the_cursor() {
        let line = json!({"at": "t", "event": "received", "topic": "a\u{1b}[2J", "qos": 1});
        let shown = text(&line.to_string());
        assert_eq!(shown, "t received     qos=1 topic=a\\u{1b}[2J");
    }
}

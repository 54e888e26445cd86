//! Retained messages.

use std::process::ExitCode;

use admin::client::escaped;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::{Way, end, time, word};

/// Retained messages: the last one of each topic
#[derive(Args, Debug)]
pub(crate) struct RetainedArgs {
    #[command(subcommand)]
    task: RetainedTask,
}

#[derive(Debug, Subcommand)]
enum RetainedTask {
    /// List retained messages, without their payloads
    List {
        /// Only of topics that match this filter
        #[arg(default_value = "#")]
        filter: String,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 1000)]
        most: usize,
        #[command(flatten)]
        way: Way,
    },
    /// Show the message of a topic: as text, or as hexadecimal digits if it is none; with --json, its
    /// payload in Base64
    Show {
        /// Its topic
        topic: String,
        #[command(flatten)]
        way: Way,
    },
    /// Delete the message of a topic, or all that a filter matches
    ///
    /// Nobody hears of it: subscribers keep what they were sent.
    Delete {
        /// Topic; a filter with wildcards only with --all
        topic: String,
        /// Delete all messages whose topics match
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        way: Way,
    },
}

/// Does what `nightjar retained` is asked for.
pub(crate) fn retained(args: RetainedArgs) -> ExitCode {
    end(match args.task {
        RetainedTask::List { filter, most, way } => list(filter, most, &way),
        RetainedTask::Show { topic, way } => {
            let path = format!("/mqtt/retainer/message/{}", escaped(&topic));
            let found = way.ask("GET", &path, None);
            found.and_then(|message| way.show(&message, text))
        }
        RetainedTask::Delete { topic, all, way } => delete(&topic, all, &way),
    })
}

fn list(filter: String, most: usize, way: &Way) -> Result<(), Failure> {
    let query = [("topic", filter)];
    let rows = way.pieces("/mqtt/retainer/messages", &query, Some(most))?;
    let head = ["TOPIC", "QOS", "FROM", "USER", "CAME", "EXPIRES", "BYTES"];
    way.list(rows, head, |row| {
        [
            word(row, "topic"),
            word(row, "qos"),
            word(row, "from_clientid"),
            word(row, "from_username"),
            time(row, "publish_at"),
            time(row, "expires_at"),
            word(row, "size"),
        ]
    })
}

fn text(message: &Value) -> String {
    let mut text = String::new();
    for (label, name) in [
        ("topic", "topic"),
        ("QoS", "qos"),
        ("from", "from_clientid"),
        ("user", "from_username"),
        ("came", "publish_at"),
        ("expires", "expires_at"),
        ("bytes", "size"),
    ] {
        let shown = match name.ends_with("_at") {
            true => time(message, name),
            false => word(message, name),
        };
        if !shown.is_empty() {
            text.push_str(&format!("{label:12}{shown}\n"));
        }
    }
    let properties = message.get("properties").and_then(Value::as_object);
    for (name, value) in properties.into_iter().flatten() {
        let value = super::shown(value);
        text.push_str(&format!(
            "{:12}{}\n",
            "property",
            format_args!("{name}: {value}")
        ));
    }
    text.push_str(&payload(message));
    text
}

/// The message itself: as text if it is, else its bytes in hexadecimal digits. The server gives the
/// first MiB.
fn payload(message: &Value) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let encoded = message.get("payload").and_then(Value::as_str);
    let Some(bytes) = encoded.and_then(|text| STANDARD.decode(text).ok()) else {
        return String::new();
    };
    let size = message.get("size").and_then(Value::as_u64);
    let is_whole = size.is_none_or(|size| u64::try_from(bytes.len()) == Ok(size));
    let more = if is_whole { "" } else { "…" };
    let (label, shown) = match std::str::from_utf8(&bytes) {
        Ok(text) => ("payload", super::printable(text)),
        Err(_) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            ("hex", digits.collect::<String>())
        }
    };
    format!("{label:12}{shown}{more}\n")
}

fn delete(topic: &str, all: bool, way: &Way) -> Result<(), Failure> {
    if !all {
        if topic.contains(['+', '#']) {
            let words = "this is a filter; --all deletes every message that it matches";
            return Err(Failure::new(words));
        }
        let path = format!("/mqtt/retainer/message/{}", escaped(topic));
        let gone = way.ask("DELETE", &path, None)?;
        return way.done(&gone, "Deleted.");
    }
    let going = json!({ "filter": topic });
    let gone = way.ask("POST", "/mqtt/retainer/delete", Some(&going))?;
    let count = word(&gone, "deleted");
    way.done(&gone, &format!("Deleted {count}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_as_text_if_it_is() {
        let shown =
            |encoded: &str, size: u64| payload(&json!({ "payload": encoded, "size": size }));
        assert_eq!(shown("MjEuNcKw", 6), "payload     21.5°\n");
        assert_eq!(shown("Gw==", 1), "payload     \\u{1b}\n");
        assert_eq!(shown("/wA=", 2), "hex         ff00\n");
        assert_eq!(shown("YQ==", 9), "payload     a…\n");
        assert_eq!(payload(&json!({ "size": 0 })), "");
    }
}

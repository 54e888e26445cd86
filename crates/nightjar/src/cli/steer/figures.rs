//! What the server does, in numbers: at a glance, or all of them.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{Way, end, time, word};

/// The server at a glance: clients, traffic, machine, store, alarms
#[derive(Args, Debug)]
pub(crate) struct OverviewArgs {
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar overview` is asked for.
pub(crate) fn overview(args: OverviewArgs) -> ExitCode {
    let answer = args.way.ask("GET", "/overview", None);
    end(answer.and_then(|now| args.way.show(&now, overview_text)))
}

fn overview_text(now: &Value) -> String {
    let mut text = String::new();
    let mut line = |label: &str, words: String| {
        if !words.is_empty() {
            text.push_str(&format!("{label:15}{words}\n"));
        }
    };
    let number = |name: &str| word(now, name);
    let rate = |name: &str| format!("{} a second", word(now, name));
    let megabytes = |row: &Value, name: &str| match row.get(name).and_then(Value::as_u64) {
        Some(bytes) => format!("{} MiB", bytes / (1 << 20)),
        None => String::new(),
    };
    line(
        "server",
        format!("{}, version {}", number("node"), number("version")),
    );
    line("since", time(now, "started_at"));
    line("connected", number("connections"));
    line("sessions", number("sessions"));
    let shared = number("shared_subscriptions");
    line(
        "subscriptions",
        format!("{}, {shared} of them shared", number("subscriptions")),
    );
    line("retained", number("retained"));
    line("messages in", rate("messages_in_per_s"));
    line("messages out", rate("messages_out_per_s"));
    line("dropped", rate("dropped_per_s"));
    if now.get("cpu_percent").is_some() {
        line("processor", format!("{} %", number("cpu_percent")));
    }
    line("memory", megabytes(now, "memory_bytes"));
    line("disk free", megabytes(now, "disk_free_bytes"));
    line("open files", number("open_files"));
    let workers = now.get("workers").and_then(Value::as_array);
    for worker in workers.into_iter().flatten() {
        let (busy, connections) = (word(worker, "busy_percent"), word(worker, "connections"));
        let label = format!("worker {}", word(worker, "id"));
        line(&label, format!("{busy} % busy, {connections} connected"));
    }
    if let Some(store) = now.get("store") {
        let (state, class) = (word(store, "state"), word(store, "class"));
        line("store", format!("{state}, class {class}"));
        line(
            "stored",
            format!(
                "{} messages, {}",
                word(store, "messages"),
                megabytes(store, "bytes")
            ),
        );
        let (half, most) = (word(store, "commit_p50_us"), word(store, "commit_p99_us"));
        line(
            "commits",
            format!("half within {half} us, 99 of 100 within {most} us"),
        );
    }
    line("alarms", number("alarms"));
    text
}

/// What is, and what has been counted, in EMQX's names
#[derive(Args, Debug)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar stats` is asked for.
pub(crate) fn stats(args: StatsArgs) -> ExitCode {
    let way = args.way;
    let stats = way.ask("GET", "/stats?aggregate=true", None);
    let both =
        stats.and_then(|stats| Ok([stats, way.ask("GET", "/metrics?aggregate=true", None)?]));
    end(both.and_then(|both| {
        let mut all = serde_json::Map::new();
        for one in both {
            all.extend(one.as_object().cloned().unwrap_or_default());
        }
        way.show(&Value::Object(all), |all| {
            let rows = all.as_object().into_iter().flatten();
            let lines = rows.map(|(name, number)| format!("{name:32}{number}\n"));
            lines.collect()
        })
    }))
}

/// All metrics as Prometheus reads them; with --json the counters in EMQX's names
#[derive(Args, Debug)]
pub(crate) struct MetricsArgs {
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar metrics` is asked for.
pub(crate) fn metrics(args: MetricsArgs) -> ExitCode {
    let path = match args.way.is_json() {
        true => "/metrics?aggregate=true",
        false => "/prometheus/stats",
    };
    let answer = args.way.ask("GET", path, None);
    end(answer.and_then(|answer| {
        let text = |answer: &Value| answer.as_str().unwrap_or_default().to_owned();
        args.way.show(&answer, text)
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_overview_says_what_is_known_and_no_more() {
        let now = json!({
            "node": "n", "version": "1", "started_at": "2026-11-21T10:00:00.123Z",
            "connections": 3, "memory_bytes": 5 << 20, "messages_in_per_s": 1.5,
            "workers": [{ "id": 0, "connections": 3, "busy_percent": 12.5 }], "alarms": 0,
        });
        let text = overview_text(&now);
        assert!(text.contains("memory         5 MiB\n"), "{text}");
        assert!(
            text.contains("worker 0       12.5 % busy, 3 connected\n"),
            "{text}"
        );
        assert!(text.contains("messages in    1.5 a second\n"), "{text}");
        assert!(
            !text.contains("processor") && !text.contains("commits"),
            "{text}"
        );
    }
}

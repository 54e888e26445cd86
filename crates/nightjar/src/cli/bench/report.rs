//! What is told while a load runs, and at the end.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::json;
use types::{ProtocolVersion, QoS};

use super::figures::{Figures, Shared};
use super::plan::{Kind, Plan};
use super::worker::STAMP;
use crate::cli::failure::Failure;

/// How a load went, beside its figures.
#[derive(Debug)]
pub(super) struct Ended {
    /// Until all were ready.
    pub(super) opening: Duration,
    /// While messages flowed.
    pub(super) running: Duration,
    /// Messages that were sent meanwhile.
    pub(super) sent: u64,
    /// Messages that arrived meanwhile.
    pub(super) received: u64,
    /// Clients of which nothing was heard.
    pub(super) late: u64,
    /// Somebody wanted it to end.
    pub(super) was_asked: bool,
}

/// A line on a terminal, written over each second.
pub(super) struct Progress {
    is_shown: bool,
    last: Instant,
    sent: u64,
    received: u64,
}

impl Progress {
    pub(super) fn new(as_json: bool) -> Self {
        Self {
            is_shown: !as_json && std::io::stderr().is_terminal(),
            last: Instant::now(),
            sent: 0,
            received: 0,
        }
    }

    pub(super) fn tell(&mut self, plan: &Plan, shared: &Shared) {
        let passed = self.last.elapsed();
        if !self.is_shown || passed < Duration::from_secs(1) {
            return;
        }
        let (sent, received) = (shared.sent.load(Relaxed), shared.received.load(Relaxed));
        let per_second = |now: u64, before: u64| (now - before) as f64 / passed.as_secs_f64();
        let line = format!(
            "\r\x1b[K{:4} s  clients {}/{}  out {:.0}/s  in {:.0}/s  errors {}",
            plan.began.elapsed().as_secs(),
            shared.ready.load(Relaxed),
            plan.total(),
            per_second(sent, self.sent),
            per_second(received, self.received),
            shared.errors.load(Relaxed),
        );
        (self.sent, self.received, self.last) = (sent, received, Instant::now());
        // A terminal that is gone is no reason to stop.
        drop(std::io::stderr().write_all(line.as_bytes()));
    }

    pub(super) fn end(&self) {
        if self.is_shown {
            // As above.
            drop(std::io::stderr().write_all(b"\r\x1b[K"));
        }
    }
}

/// Prints the result. The code is 0 if nothing went wrong.
pub(super) fn print(
    plan: &Plan,
    shared: &Shared,
    figures: &Figures,
    ended: &Ended,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let result = Outcome::new(plan, shared, figures, ended);
    let text = match as_json {
        true => format!("{:#}\n", result.to_json(plan, figures)),
        false => result.text(plan, figures),
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::new(format!("Error: cannot print: {error}")))?;
    Ok(match result.is_good(plan) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

struct Outcome {
    ready: u64,
    late: u64,
    opening: f64,
    seconds: f64,
    sent: u64,
    sent_per_second: f64,
    acknowledged: u64,
    received: u64,
    received_per_second: f64,
    lost: Option<u64>,
    unacknowledged: u64,
    errors: u64,
    was_asked: bool,
}

impl Outcome {
    fn new(plan: &Plan, shared: &Shared, figures: &Figures, ended: &Ended) -> Self {
        let seconds = ended.running.as_secs_f64().max(1e-6);
        let sent = shared.sent.load(Relaxed);
        let received = shared.received.load(Relaxed);
        let acknowledged = shared.acknowledged.load(Relaxed);
        let expected = plan.receivers().map(|each| each.saturating_mul(sent));
        Self {
            ready: shared.ready.load(Relaxed),
            late: ended.late,
            opening: ended.opening.as_secs_f64(),
            seconds,
            sent,
            sent_per_second: ended.sent as f64 / seconds,
            acknowledged,
            received,
            received_per_second: ended.received as f64 / seconds,
            lost: expected.map(|all| all.saturating_sub(received)),
            unacknowledged: match plan.qos {
                QoS::AtMostOnce => 0,
                _ => sent.saturating_sub(acknowledged),
            },
            errors: figures.errors.values().sum(),
            was_asked: ended.was_asked,
        }
    }

    fn is_good(&self, plan: &Plan) -> bool {
        let is_kept = plan.qos == QoS::AtMostOnce || self.lost.unwrap_or(0) == 0;
        let nothing = plan.publishers() > 0 && self.sent == 0;
        self.errors == 0 && self.late == 0 && self.unacknowledged == 0 && is_kept && !nothing
    }

    fn to_json(&self, plan: &Plan, figures: &Figures) -> serde_json::Value {
        let rounded = |number: f64| (number * 10.0).round() / 10.0;
        json!({
            "kind": plan.kind.as_str(),
            "server": plan.address.to_string(),
            "version": version(plan.version),
            "qos": plan.qos as u8,
            "size": plan.size,
            "clients": plan.total(),
            "publishers": plan.publishers(),
            "threads": plan.threads,
            "ready": self.ready,
            "late": self.late,
            "opening_seconds": (self.opening * 1e3).round() / 1e3,
            "connect_ms": figures.connects.to_json(),
            "seconds": (self.seconds * 1e3).round() / 1e3,
            "sent": self.sent,
            "sent_per_second": rounded(self.sent_per_second),
            "acknowledged": self.acknowledged,
            "unacknowledged": self.unacknowledged,
            "acknowledge_ms": figures.acknowledgements.to_json(),
            "received": self.received,
            "received_per_second": rounded(self.received_per_second),
            "lost": self.lost,
            "latency_ms": figures.latencies.to_json(),
            "errors": figures.errors,
            "interrupted": self.was_asked,
            "ok": self.is_good(plan),
        })
    }

    fn text(&self, plan: &Plan, figures: &Figures) -> String {
        let mut text = format!(
            "{} to {}: {} clients, MQTT {}, QoS {}, {} bytes, {} threads\n",
            plan.kind.as_str(),
            plan.address,
            plan.total(),
            version(plan.version),
            plan.qos as u8,
            plan.size,
            plan.threads,
        );
        let mut line = |name: &str, words: String| {
            text.push_str(&format!("  {name:14}{words}\n"));
        };
        let rate = self.ready as f64 / self.opening.max(1e-6);
        line(
            "ready",
            format!("{} in {:.2} s, {rate:.0}/s", self.ready, self.opening),
        );
        let timed = |histogram: &super::figures::Histogram| histogram.text();
        timed(&figures.connects)
            .into_iter()
            .for_each(|it| line("connecting", it));
        if plan.publishers() > 0 {
            let (sent, rate) = (self.sent, self.sent_per_second);
            line(
                "sent",
                format!("{sent} in {:.2} s, {rate:.0}/s", self.seconds),
            );
        }
        if plan.qos != QoS::AtMostOnce && plan.publishers() > 0 {
            line(
                "acknowledged",
                format!("{}, {} not", self.acknowledged, self.unacknowledged),
            );
            timed(&figures.acknowledgements)
                .into_iter()
                .for_each(|it| line("", it));
        }
        if !matches!(plan.kind, Kind::Conn | Kind::Pub) {
            let (received, rate) = (self.received, self.received_per_second);
            let lost = self
                .lost
                .map(|lost| format!(", {lost} lost"))
                .unwrap_or_default();
            line("received", format!("{received}, {rate:.0}/s{lost}"));
            match timed(&figures.latencies) {
                Some(words) => line("latency", words),
                None if plan.size < STAMP => {
                    line("latency", format!("not measured: it takes {STAMP} bytes"));
                }
                None => {}
            }
        }
        if self.late > 0 {
            line("NOT READY", format!("{} clients in time", self.late));
        }
        for (words, count) in &figures.errors {
            line("ERROR", format!("{count} x {words}"));
        }
        if self.was_asked {
            line("", "ended by a signal".to_owned());
        }
        text
    }
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::V31 => "3.1",
        ProtocolVersion::V311 => "3.1.1",
        ProtocolVersion::V5 => "5.0",
    }
}

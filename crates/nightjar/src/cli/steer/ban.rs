//! `nightjar ban`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use admin::Stamp;
use admin::client::escaped;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::{Way, end, time, word};

/// Clients, users and addresses that are not let in
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BanArgs {
    #[command(subcommand)]
    task: BanTask,
}

#[derive(Debug, Subcommand)]
enum BanTask {
    /// List bans
    List {
        #[command(flatten)]
        way: Way,
    },
    /// Ban somebody: who is connected is disconnected within a second
    Add {
        #[command(flatten)]
        whom: Whom,
        /// How long, such as 90s, 30m, 12h or 7d [default: until it is lifted]
        #[arg(long = "for", value_name = "TIME", value_parser = span)]
        span: Option<Duration>,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        way: Way,
    },
    /// Lift a ban
    Remove {
        #[command(flatten)]
        whom: Whom,
        #[command(flatten)]
        way: Way,
    },
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Whom {
    /// A client identifier; * at its end stands for the rest
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// A user
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// An address, or a network such as 10.0.0.0/8
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
}

impl Whom {
    /// What the API calls it, and who it is.
    fn words(self) -> (&'static str, String) {
        match (self.client, self.user, self.address) {
            (Some(client), ..) => ("clientid", client),
            (None, Some(user), _) => ("username", user),
            // One of them is required.
            (None, None, address) => ("peerhost", address.unwrap_or_default()),
        }
    }
}

/// Does what `nightjar ban` is asked for.
pub(crate) fn ban(args: BanArgs) -> ExitCode {
    end(match args.task {
        BanTask::List { way } => list(&way),
        BanTask::Add {
            whom,
            span,
            reason,
            way,
        } => add(&way, whom, span, &reason),
        BanTask::Remove { whom, way } => {
            let (on, who) = whom.words();
            let gone = way.ask("DELETE", &format!("/banned/{on}/{}", escaped(&who)), None);
            gone.and_then(|answer| way.done(&answer, "The ban is lifted."))
        }
    })
}

fn list(way: &Way) -> Result<(), Failure> {
    let head = ["BANNED", "WHO", "UNTIL", "BY", "REASON"];
    way.list(way.rows("/banned", &[], None)?, head, |row| {
        let on = match row.get("as").and_then(Value::as_str) {
            Some("clientid") => "client",
            Some("username") => "user",
            _ => "address",
        };
        [
            on.into(),
            word(row, "who"),
            until(row),
            word(row, "by"),
            word(row, "reason"),
        ]
    })
}

/// Until when a ban holds.
pub(super) fn until(ban: &Value) -> String {
    match time(ban, "until") {
        text if text == "infinity" => "no end".into(),
        text => text,
    }
}

fn add(way: &Way, whom: Whom, span: Option<Duration>, reason: &str) -> Result<(), Failure> {
    let (on, who) = whom.words();
    let until = match span {
        None => "infinity".into(),
        Some(span) => Stamp::from(SystemTime::now() + span).to_string(),
    };
    let body = json!({ "as": on, "who": who, "reason": reason, "until": until });
    let ban = way.ask("POST", "/banned", Some(&body))?;
    way.done(&ban, "Banned.")
}

/// A time such as `90s` or `7d`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time such as 90s, 30m, 12h or 7d".to_owned();
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let most = 100 * 365 * 86_400;
    let whole = number.checked_mul(seconds).filter(|&it| it <= most);
    Ok(Duration::from_secs(whole.ok_or(
        "this is more than a hundred years; leave --for out",
    )?))
}

const EXAMPLES: &str = "\
Examples:
  nightjar ban add --client 'scan-*' --for 12h --reason 'port scan'
  nightjar ban add --user mallory
  nightjar ban add --address 203.0.113.0/24
  nightjar ban remove --user mallory";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("7d"), Ok(Duration::from_secs(604_800)));
        for text in ["", "s", "90", "1.5h", "-1s", "5ä", "99999999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}

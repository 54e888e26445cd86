//! `nightjar explain`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::{Way, end, word};

/// Say what would become of something that a client wants, and why
///
/// Asks the rules, bans and limits that hold now. If the client is connected, what is known of it
/// takes the place of what is not given here. Nothing is changed.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Client identifier
    #[arg(long, value_name = "ID")]
    client: String,
    /// User, taken for proven
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// Where it would connect from
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// The listener that it would come by
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// What it wants
    #[arg(short, long)]
    action: Wish,
    /// The topic, or the filter of a subscription
    #[arg(short, long, value_name = "TOPIC")]
    topic: Option<String>,
    /// QoS
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// With the retain flag
    #[arg(short, long)]
    retain: bool,
    #[command(flatten)]
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wish {
    /// To come in
    Connect,
    /// To publish
    Publish,
    /// To subscribe
    Subscribe,
}

/// Does what `nightjar explain` is asked for. The exit code is 0 whatever is said.
pub(crate) fn explain(args: ExplainArgs) -> ExitCode {
    end(ask(&args))
}

fn ask(args: &ExplainArgs) -> Result<(), Failure> {
    let action = match args.action {
        Wish::Connect => "connect",
        Wish::Publish => "publish",
        Wish::Subscribe => "subscribe",
    };
    if args.topic.is_none() && args.action != Wish::Connect {
        return Err(Failure::new(
            "--topic is missing: what is to be published or subscribed to",
        ));
    }
    let mut body = json!({
        "clientid": args.client,
        "action": action,
        "qos": args.qos,
        "retain": args.retain,
    });
    for (name, value) in [
        ("username", &args.user),
        ("peerhost", &args.address),
        ("listener", &args.listener),
        ("topic", &args.topic),
    ] {
        if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
            fields.insert(name.into(), value.as_str().into());
        }
    }
    let answer = args
        .way
        .ask("POST", "/authorization/explain", Some(&body))?;
    args.way.show(&answer, text)
}

fn text(answer: &Value) -> String {
    let none = Value::Null;
    let who = answer.get("authentication").unwrap_or(&none);
    let mut text = format!("{}: {}\n", said(answer), word(answer, "why"));
    text.push_str(&identity(who));
    if let Some(ban) = answer.get("ban").filter(|ban| ban.is_object()) {
        let (who, by) = (word(ban, "who"), word(ban, "by"));
        let reason = match word(ban, "reason") {
            none if none.is_empty() => none,
            reason => format!(": {reason}"),
        };
        let until = super::ban::until(ban);
        text.push_str(&format!(
            "ban         {who}, until {until}, by {by}{reason}\n"
        ));
    }
    let list = |name: &str| {
        let list = answer.get(name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    for step in list("steps") {
        let outcome = match &*word(&step, "outcome") {
            "other_client" => "is about other clients",
            "other_action" => "is about another action, QoS or retain flag",
            "allows_part" => "allows a part of the filter",
            "denies_part" => "denies a part of the filter",
            _ => "decides",
        };
        text.push_str(&format!(
            "rule        {} ({outcome})\n",
            word(&step, "rule")
        ));
    }
    for limit in list("limits") {
        let exceeded = match limit.get("exceeded") {
            Some(Value::Bool(true)) => " (exceeded)",
            _ => "",
        };
        let (name, value) = (word(&limit, "name"), word(&limit, "value"));
        text.push_str(&format!("limit       {name} = {value}{exceeded}\n"));
    }
    for one in list("routing") {
        text.push_str(&receiver(&one));
    }
    if answer.get("routing_more") == Some(&Value::Bool(true)) {
        text.push_str("goes to     others, too\n");
    }
    text
}

fn said(answer: &Value) -> &'static str {
    match &*word(answer, "decision") {
        "allow" => "allowed",
        "partly" => "allowed in part",
        _ => "denied",
    }
}

fn identity(who: &Value) -> String {
    let user = match word(who, "username") {
        none if none.is_empty() => "nobody in particular".into(),
        user => format!("user {user}"),
    };
    let connected = match who.get("connected") {
        Some(Value::Bool(true)) => "connected",
        _ => "not connected",
    };
    let mut text = format!("client      {user}, {connected}\n");
    for (label, name) in [
        ("let in by", "provider"),
        ("asked", "asked"),
        ("groups", "groups"),
        ("roles", "roles"),
    ] {
        let words = word(who, name);
        if !words.is_empty() {
            text.push_str(&format!("{label:12}{words}\n"));
        }
    }
    if who.get("is_superuser") == Some(&Value::Bool(true)) {
        text.push_str("superuser   yes\n");
    }
    text
}

fn receiver(one: &Value) -> String {
    let gets = match &*word(one, "gets") {
        "now" => "now",
        "later" => "when it is back",
        "away" => "lost: it is away, and QoS 0 is not kept",
        _ => "denied: it may not have this topic",
    };
    let share = match word(one, "share") {
        none if none.is_empty() => none,
        share => format!(", if {share} chooses it"),
    };
    let (client, qos) = (word(one, "clientid"), word(one, "qos"));
    format!("goes to     {client} (QoS {qos}, {gets}{share})\n")
}

const EXAMPLES: &str = "\
Examples:
  nightjar explain --client c1 --user u --action publish --topic a/b
  nightjar explain --client c1 --user u --action connect --address 192.0.2.7
  nightjar explain --client c1 --action subscribe --topic 'a/#'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_is_named_with_its_reason_and_end() {
        let answer = json!({
            "decision": "deny", "why": "the client id is banned", "authentication": {},
            "ban": { "as": "clientid", "who": "c*", "by": "ann", "reason": "noisy",
                     "until": "2026-11-21T10:00:00.000Z" },
        });
        let text = text(&answer);
        let line = "ban         c*, until 2026-11-21 10:00:00Z, by ann: noisy\n";
        assert!(text.contains(line), "{text}");
    }
}

//! Who is connected or away, what waits for them, what they subscribed to.

use std::process::ExitCode;

use admin::client::escaped;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::way::given;
use super::{Way, end, time, word};

/// Clients, connected and away
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ClientsArgs {
    #[command(subcommand)]
    task: Option<ClientsTask>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ClientsTask {
    /// Show a client with its subscriptions
    Show {
        /// Client identifier
        client: String,
        #[command(flatten)]
        way: Way,
    },
    /// List all subscriptions of a client
    Subscriptions {
        /// Client identifier
        client: String,
        #[command(flatten)]
        way: Way,
    },
    /// List the messages that wait for a client
    Queue(MessagesArgs),
    /// List the messages on their way to a client
    Inflight(MessagesArgs),
    /// Subscribe for a client that is connected; it is told nothing
    Subscribe(SubscribeArgs),
    /// Take a subscription from a client; it is told nothing
    Unsubscribe {
        /// Client identifier
        client: String,
        /// Filter, as the list of subscriptions shows it
        filter: String,
        #[command(flatten)]
        way: Way,
    },
    /// Disconnect clients; their sessions stay as long as they would
    Kick {
        /// Client identifiers
        #[arg(required = true)]
        clients: Vec<String>,
        #[command(flatten)]
        way: Way,
    },
}

#[derive(Args, Debug)]
struct MessagesArgs {
    /// Client identifier
    client: String,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    most: usize,
    #[command(flatten)]
    way: Way,
}

#[derive(Args, Debug)]
struct SubscribeArgs {
    /// Client identifier
    client: String,
    /// Filter, as the server knows it; `$share/name/` before it makes it shared
    filter: String,
    /// Highest QoS
    #[arg(short, long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    qos: u8,
    /// Not what it publishes itself
    #[arg(long)]
    no_local: bool,
    /// The retain flag as it was published
    #[arg(long)]
    retain_as_published: bool,
    /// Retained messages: 0 sends them, 1 if the subscription is new, 2 never
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    retain_handling: u8,
    #[command(flatten)]
    way: Way,
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Only client identifiers that contain this
    #[arg(long, value_name = "TEXT")]
    like: Option<String>,
    /// In this order; `-` before it puts the greatest first. At most 10000 are listed then
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true, value_parser = orders())]
    sort: Option<String>,
    /// Only clients that speak this version
    #[arg(long, value_name = "VERSION", value_parser = ["3.1", "3.1.1", "5.0"])]
    version: Option<String>,
    /// Only users whose names contain this
    #[arg(long, value_name = "TEXT")]
    like_user: Option<String>,
    /// Only clients of this user
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// Only clients that are connected from this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// Only clients that came by this listener
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Only clients that are connected
    #[arg(long, conflicts_with = "away")]
    connected: bool,
    /// Only clients that are away
    #[arg(long)]
    away: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    most: usize,
    #[command(flatten)]
    way: Way,
}

/// Does what `nightjar clients` is asked for.
pub(crate) fn clients(args: ClientsArgs) -> ExitCode {
    end(match args.task {
        None => list_clients(args.list),
        Some(ClientsTask::Show { client, way }) => {
            let found = way.ask("GET", &format!("/clients/{}", escaped(&client)), None);
            found.and_then(|client| way.show(&client, client_text))
        }
        Some(ClientsTask::Subscriptions { client, way }) => list_subscriptions(&client, &way),
        Some(ClientsTask::Queue(args)) => list_messages(&args, "mqueue_messages"),
        Some(ClientsTask::Inflight(args)) => list_messages(&args, "inflight_messages"),
        Some(ClientsTask::Subscribe(args)) => subscribe(&args),
        Some(ClientsTask::Unsubscribe {
            client,
            filter,
            way,
        }) => {
            let path = format!("/clients/{}/unsubscribe", escaped(&client));
            let gone = way.ask("POST", &path, Some(&json!({ "topic": filter })));
            gone.and_then(|answer| way.done(&answer, "Unsubscribed."))
        }
        Some(ClientsTask::Kick { clients, way }) => kick(&way, &clients),
    })
}

/// One by one: who is not there is named.
fn kick(way: &Way, clients: &[String]) -> Result<(), Failure> {
    let (mut count, mut missing) = (0_usize, Vec::new());
    for client in clients {
        match way.ask_found("DELETE", &format!("/clients/{}", escaped(client)))? {
            Some(_) => count += 1,
            None => missing.push(format!("{client:?}")),
        }
    }
    let words = match (clients.len(), count) {
        (1, 1) => "Disconnected.".to_owned(),
        _ => format!("{count} disconnected."),
    };
    way.done(&Value::Null, &words)?;
    match missing.len() {
        0 => Ok(()),
        _ => Err(Failure::new(format!(
            "there is no client {}",
            missing.join(", ")
        ))),
    }
}

/// The orders of the list, each also from its end.
fn orders() -> Vec<&'static str> {
    [
        ["clientid", "-clientid"],
        ["connected_at", "-connected_at"],
        ["recv_msg", "-recv_msg"],
        ["send_msg", "-send_msg"],
        ["mqueue_len", "-mqueue_len"],
        ["mqueue_dropped", "-mqueue_dropped"],
    ]
    .concat()
}

fn list_subscriptions(client: &str, way: &Way) -> Result<(), Failure> {
    let path = format!("/clients/{}/subscriptions", escaped(client));
    let rows = way.pieces(&path, &[], None)?;
    let head = [
        "FILTER",
        "QOS",
        "NO LOCAL",
        "AS PUBLISHED",
        "HANDLING",
        "PARTLY",
    ];
    way.list(rows, head, |row| {
        ["topic", "qos", "nl", "rap", "rh", "partly"].map(|name| word(row, name))
    })
}

fn list_messages(args: &MessagesArgs, part: &str) -> Result<(), Failure> {
    let path = format!("/clients/{}/{part}", escaped(&args.client));
    let mut rows: Vec<Value> = Vec::new();
    let mut after = Some(0);
    while let Some(from) = after
        && rows.len() < args.most
    {
        let limit = (args.most - rows.len()).min(MESSAGES);
        let path = format!("{path}?after={from}&limit={limit}");
        let mut answer = args.way.ask("GET", &path, None)?;
        if let Some(Value::Array(found)) = answer.get_mut("data").map(Value::take) {
            rows.extend(found);
        }
        after = answer.pointer("/meta/last").and_then(Value::as_u64);
    }
    let head = [
        "TOPIC",
        "QOS",
        "RETAIN",
        "FROM",
        "CAME",
        "EXPIRES",
        "BYTES",
        "ID",
        "WAITS FOR",
    ];
    args.way.list(rows, head, |row| {
        let topic = match word(row, "absent") {
            none if none.is_empty() => word(row, "topic"),
            why => format!("({})", why.replace('_', " ")),
        };
        [
            topic,
            word(row, "qos"),
            word(row, "retain"),
            word(row, "from_clientid"),
            time(row, "publish_at"),
            time(row, "expires_at"),
            word(row, "size"),
            word(row, "packet_id"),
            word(row, "state"),
        ]
    })
}

/// Messages that are asked for at once: each has a part of its payload.
const MESSAGES: usize = 100;

fn subscribe(args: &SubscribeArgs) -> Result<(), Failure> {
    let path = format!("/clients/{}/subscribe", escaped(&args.client));
    let wish = json!({
        "topic": args.filter,
        "qos": args.qos,
        "nl": args.no_local,
        "rap": args.retain_as_published,
        "rh": args.retain_handling,
    });
    let made = args.way.ask("POST", &path, Some(&wish))?;
    args.way.done(&made, "Subscribed.")
}

fn list_clients(args: ListArgs) -> Result<(), Failure> {
    let state = match (args.connected, args.away) {
        (true, _) => Some("connected".to_owned()),
        (false, true) => Some("disconnected".to_owned()),
        (false, false) => None,
    };
    let level = args.version.as_deref().map(|version| match version {
        "3.1" => "3".to_owned(),
        "3.1.1" => "4".into(),
        _ => "5".into(),
    });
    let query = given([
        ("sort", &args.sort),
        ("proto_ver", &level),
        ("like_username", &args.like_user),
        ("like_clientid", &args.like),
        ("username", &args.user),
        ("ip_address", &args.address),
        ("listener", &args.listener),
        ("conn_state", &state),
    ]);
    let rows = match args.sort {
        // In order it has pages, which end.
        Some(_) => args
            .way
            .rows("/clients", &query, Some(args.most.min(ORDERED)))?,
        None => args.way.pieces("/clients", &query, Some(args.most))?,
    };
    let head = [
        "CLIENT",
        "USER",
        "FROM",
        "LISTENER",
        "MQTT",
        "SUBSCRIPTIONS",
        "QUEUED",
        "INFLIGHT",
        "IN",
        "OUT",
        "DROPPED",
    ];
    args.way.list(rows, head, |row| {
        let from = match row.get("connected") {
            Some(Value::Bool(true)) => word(row, "peer"),
            _ => "away".into(),
        };
        [
            word(row, "clientid"),
            word(row, "username"),
            from,
            word(row, "listener"),
            word(row, "proto_ver"),
            word(row, "subscriptions_count"),
            word(row, "queued"),
            word(row, "inflight"),
            word(row, "recv_msg"),
            word(row, "send_msg"),
            word(row, "mqueue_dropped"),
        ]
    })
}

/// The last row of an ordered list.
const ORDERED: usize = 10_000;

fn client_text(client: &Value) -> String {
    let mut text = String::new();
    let times = ["connected_at", "granted_until", "disconnected_at"];
    for (label, name) in [
        ("client", "clientid"),
        ("user", "username"),
        ("connected", "connected"),
        ("from", "peer"),
        ("listener", "listener"),
        ("MQTT", "proto_ver"),
        ("since", "connected_at"),
        ("keep alive", "keepalive"),
        ("let in by", "provider"),
        ("until", "granted_until"),
        ("certificate", "certificate"),
        ("superuser", "is_superuser"),
        ("groups", "groups"),
        ("roles", "roles"),
        ("expiry", "expiry_interval"),
        ("queued", "queued"),
        ("inflight", "inflight"),
        ("dropped", "mqueue_dropped"),
        ("transport", "transport"),
        ("left", "disconnected_at"),
        ("clean start", "clean_start"),
        ("received", "recv_msg"),
        ("sent", "send_msg"),
        ("bytes in", "recv_oct"),
        ("bytes out", "send_oct"),
        ("unsent", "send_pending_bytes"),
        ("worker", "worker"),
    ] {
        let shown = match times.contains(&name) {
            true => time(client, name),
            false => word(client, name),
        };
        if !shown.is_empty() {
            text.push_str(&format!("{label:12}{shown}\n"));
        }
    }
    if let Some(will) = client.get("will").filter(|will| will.is_object()) {
        let (topic, qos) = (word(will, "topic"), word(will, "qos"));
        text.push_str(&format!("will        {topic} (QoS {qos})\n"));
    }
    let count = word(client, "subscriptions_count");
    text.push_str(&format!("subscribed  {count}\n"));
    let subscriptions = client.get("subscriptions").and_then(Value::as_array);
    for one in subscriptions.into_iter().flatten() {
        let part = match one.get("partly") {
            Some(Value::Bool(true)) => ", each message is asked about",
            _ => "",
        };
        let (topic, qos) = (word(one, "topic"), word(one, "qos"));
        text.push_str(&format!("  {topic} (QoS {qos}{part})\n"));
    }
    text
}

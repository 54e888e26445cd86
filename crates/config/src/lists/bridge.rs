//! `[[bridge]]`.

use super::{BRIDGE, Column, List, Need, Sorts, Wrong, column};
use crate::config::{Bridge, Notifications};
use crate::formats::{
    bridge_host, bridge_line, client_id, mqtt_text, name, password, topic_prefix,
};
use crate::keys::{Effect, MAX_COUNT, count};
use crate::value::{BRIDGE_STARTS, BRIDGE_VERSIONS, Kind, NEVER, NOTIFICATIONS, Per, TLS_VERSIONS};
use std::time::Duration;

pub(super) const LIST: List = List {
    name: BRIDGE,
    one: "a bridge",
    columns: COLUMNS,
    sorts: Sorts::One,
    known_by: Some("name"),
    short: None,
    effect: Effect::Reload,
    len: |config| config.bridges.len(),
    push: |config| config.bridges.push(Bridge::default()),
    copy: |config, other| config.bridges.clone_from(&other.bridges),
    check: |config, at| config.bridges.get(at).map_or_else(Vec::new, check),
};

macro_rules! key {
    ($name:ident, $kind:expr) => {
        key!($name, $kind, Need::Optional)
    };
    ($name:ident, $kind:expr, $need:expr) => {
        column!(bridges, stringify!($name), $kind, $need, Reload, $name)
    };
}

const SPAN: Kind = Kind::Span {
    min: Duration::from_secs(1),
    max: NEVER,
};

const COLUMNS: &[Column] = &[
    key!(name, Kind::Text(name), Need::Required("\"cloud\"")),
    key!(
        addresses,
        Kind::List(&Kind::Text(bridge_host)),
        Need::Required("[\"mqtt.example.com:1883\"]")
    ),
    key!(prefer_first, Kind::Flag),
    key!(
        topics,
        Kind::List(&Kind::Text(bridge_line)),
        Need::Required("[\"sensors/# out 1\"]")
    ),
    key!(version, Kind::Choice(BRIDGE_VERSIONS)),
    key!(client_id, Kind::Text(client_id)),
    key!(username, Kind::Text(mqtt_text)),
    key!(password, Kind::Secret(password)),
    key!(password_file, Kind::File),
    key!(tls, Kind::Flag),
    key!(ca, Kind::List(&Kind::File)),
    key!(certificate, Kind::File),
    key!(key, Kind::File),
    key!(server_name, Kind::Text(mqtt_text)),
    key!(any_server_name, Kind::Flag),
    key!(alpn, Kind::Text(mqtt_text)),
    key!(tls_minimum, Kind::Choice(TLS_VERSIONS)),
    key!(local_client_id, Kind::Text(client_id)),
    key!(user, Kind::Text(mqtt_text)),
    key!(clean_start, Kind::Flag),
    key!(local_clean_start, Kind::Flag),
    key!(session_expiry, SPAN),
    key!(
        keep_alive,
        Kind::Span {
            min: Duration::ZERO,
            max: Duration::from_secs(65_535),
        }
    ),
    key!(queued_messages, count(1, MAX_COUNT)),
    key!(
        queued_bytes,
        Kind::Size {
            min: 1024,
            max: 1 << 50,
        }
    ),
    key!(inflight, count(1, 65_535)),
    key!(
        packet_size,
        Kind::Size {
            min: 128,
            max: 256 * 1024 * 1024,
        }
    ),
    key!(message_rate, Kind::Rate(Per::Piece)),
    key!(byte_rate, Kind::Rate(Per::Byte)),
    key!(retain, Kind::Flag),
    key!(loop_detection, Kind::Flag),
    key!(bridge_bit, Kind::Flag),
    key!(notifications, Kind::Choice(NOTIFICATIONS)),
    key!(notification_topic, Kind::Text(topic_prefix)),
    key!(start, Kind::Choice(BRIDGE_STARTS)),
    key!(idle_timeout, SPAN),
    key!(threshold, count(1, MAX_COUNT)),
    key!(restart_first, SPAN),
    key!(restart_longest, SPAN),
    key!(alarm_after, SPAN),
];

fn check(bridge: &Bridge) -> Vec<Wrong> {
    let usual = Bridge::default();
    let mut wrong: Vec<Wrong> = Vec::new();
    let mut add = |key: &'static str, what: &str| wrong.push((key, format!("bridge.{key} {what}")));
    let tls = [
        ("ca", !bridge.ca.is_empty()),
        ("certificate", bridge.certificate.is_some()),
        ("key", bridge.key.is_some()),
        ("server_name", bridge.server_name.is_some()),
        ("any_server_name", bridge.any_server_name),
        ("alpn", bridge.alpn.is_some()),
        ("tls_minimum", bridge.tls_minimum != usual.tls_minimum),
    ];
    // Who writes one of these wants TLS, and would have none.
    for (key, is_said) in tls {
        if is_said && !bridge.tls {
            add(key, "is for TLS only; write tls = true, or leave it out");
        }
    }
    if bridge.certificate.is_some() != bridge.key.is_some() {
        add(
            "certificate",
            "goes with key; write both, or leave both out",
        );
    }
    if bridge.password.is_some() && bridge.password_file.is_some() {
        add(
            "password_file",
            "and password are both there; leave one out",
        );
    }
    let has_password = bridge.password.is_some() || bridge.password_file.is_some();
    if has_password && bridge.username.is_none() {
        add("username", "is missing beside the password");
    }
    if bridge.restart_longest < bridge.restart_first {
        add("restart_longest", "is shorter than restart_first");
    }
    if bridge.notification_topic.is_some() && bridge.notifications == Notifications::Off {
        add(
            "notification_topic",
            "is for notifications, which are off; leave it out",
        );
    }
    wrong
}

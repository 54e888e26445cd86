//! The one table of keys. Reading, the overrides, the reload and the tables in docs/ all
//! follow it; a key that is not here does not exist.

use std::time::Duration;

use crate::config::Config;
use crate::formats::{
    attribute, host, mqtt_text, name, path, path_in_front, path_or_off, service, socket_address,
};
use crate::value::{
    DURABILITIES, Field, GRANTEDS, Kind, LOG_FORMATS, LOG_LEVELS, METRIC_NAMES, NEVER, PERMISSIONS,
    Per, QUEUE_POLICIES, REVOKEDS, STRATEGIES, Value,
};

/// A key of the file.
pub(crate) struct Key {
    /// The table that it stands in; empty at the top.
    pub(crate) section: &'static str,
    /// Its name there.
    pub(crate) name: &'static str,
    /// What it may hold.
    pub(crate) kind: Kind,
    /// When a change acts.
    pub(crate) effect: Effect,
    /// The value of a configuration.
    pub(crate) read: fn(&Config) -> Value,
    /// Sets it in a configuration.
    pub(crate) write: fn(&mut Config, Value) -> Result<(), String>,
}

/// When a changed key acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// At a reload.
    Reload,
    /// At the next start.
    Restart,
}

impl Key {
    /// The key as in `limits.packet_size`.
    pub(crate) fn path(&self) -> String {
        if self.section.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }
}

/// The key of a section.
pub(crate) fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.section == section && key.name == name)
}

/// The tables of the file, in the order of the documentation. The lists of tables are in
/// [`crate::lists`].
pub(crate) const SECTIONS: &[&str] = &[
    "access",
    "store",
    "log",
    "dashboard",
    "metrics",
    "telemetry",
    "alarms",
    "audit",
    "dynamic_security",
    "shared_subscriptions",
    "limits",
];

macro_rules! key {
    ($section:literal, $name:ident, $kind:expr, $effect:ident, $($field:ident).+) => {
        Key {
            section: $section,
            name: stringify!($name),
            kind: $kind,
            effect: Effect::$effect,
            read: |config| config.$($field).+.read(),
            write: |config, value| {
                config.$($field).+ = Field::of(value)?;
                Ok(())
            },
        }
    };
}

macro_rules! limit {
    ($name:ident, $kind:expr, $effect:ident) => {
        key!("limits", $name, $kind, $effect, limits.$name)
    };
}

/// All of them, in the order of the documentation.
pub(crate) const KEYS: &[Key] = &[
    key!("", node, Kind::Text(name), Restart, node),
    key!("", data_dir, Kind::Made, Restart, data_dir),
    key!("", workers, count(0, 1024), Restart, workers),
    key!("", allow_anonymous, Kind::Flag, Reload, allow_anonymous),
    key!(
        "",
        control_socket,
        Kind::Text(path_or_off),
        Restart,
        control_socket
    ),
    key!("", user, Kind::Text(name), Restart, user),
    key!("", pid_file, Kind::Made, Restart, pid_file),
    key!("", sys_interval, span(0, DAY), Restart, sys_interval),
    key!(
        "",
        server_reference,
        Kind::Text(mqtt_text),
        Reload,
        server_reference
    ),
    key!(
        "",
        response_information,
        Kind::Text(mqtt_text),
        Restart,
        response_information
    ),
    key!("access", file, Kind::File, Reload, access.file),
    key!(
        "access",
        no_match,
        Kind::Choice(PERMISSIONS),
        Reload,
        access.no_match
    ),
    key!(
        "access",
        check_retain_source,
        Kind::Flag,
        Reload,
        access.check_retain_source
    ),
    key!(
        "access",
        granted,
        Kind::Choice(GRANTEDS),
        Reload,
        access.granted
    ),
    key!(
        "access",
        revoked,
        Kind::Choice(REVOKEDS),
        Reload,
        access.revoked
    ),
    key!(
        "store",
        durability,
        Kind::Choice(DURABILITIES),
        Restart,
        store.durability
    ),
    key!(
        "store",
        sync_interval,
        Kind::Span {
            min: Duration::from_millis(10),
            max: Duration::from_secs(3600),
        },
        Restart,
        store.sync_interval
    ),
    key!(
        "store",
        segment_size,
        size(1 << 20, 1 << 30),
        Restart,
        store.segment_bytes
    ),
    key!(
        "log",
        format,
        Kind::Choice(LOG_FORMATS),
        Restart,
        log.format
    ),
    key!("log", level, Kind::Choice(LOG_LEVELS), Reload, log.level),
    key!("dashboard", enabled, Kind::Flag, Restart, dashboard.enabled),
    key!(
        "dashboard",
        address,
        Kind::Text(socket_address),
        Restart,
        dashboard.address
    ),
    key!(
        "dashboard",
        hosts,
        Kind::List(&Kind::Text(host)),
        Restart,
        dashboard.hosts
    ),
    key!(
        "dashboard",
        path,
        Kind::Text(path_in_front),
        Restart,
        dashboard.path
    ),
    key!(
        "dashboard",
        certificate,
        Kind::File,
        Restart,
        dashboard.certificate
    ),
    key!("dashboard", key, Kind::File, Restart, dashboard.key),
    key!(
        "metrics",
        names,
        Kind::Choice(METRIC_NAMES),
        Reload,
        metrics.names
    ),
    key!(
        "metrics",
        listen,
        Kind::Text(socket_address),
        Restart,
        metrics.listen
    ),
    key!(
        "metrics",
        allow_remote,
        Kind::Flag,
        Restart,
        metrics.allow_remote
    ),
    key!(
        "telemetry",
        endpoint,
        Kind::Url(&["http", "https"]),
        Reload,
        telemetry.endpoint
    ),
    key!(
        "telemetry",
        headers,
        Kind::List(&Kind::Header),
        Reload,
        telemetry.headers
    ),
    key!("telemetry", ca, Kind::File, Reload, telemetry.ca),
    key!(
        "telemetry",
        timeout,
        short_span(),
        Reload,
        telemetry.timeout
    ),
    key!(
        "telemetry",
        metrics_interval,
        span(0, DAY),
        Reload,
        telemetry.metrics_interval
    ),
    key!("telemetry", traces, Kind::Flag, Reload, telemetry.traces),
    key!(
        "telemetry",
        sample_one_in,
        count(0, MAX_COUNT),
        Reload,
        telemetry.sample_one_in
    ),
    key!(
        "telemetry",
        honor_traceparent,
        Kind::Flag,
        Reload,
        telemetry.honor_traceparent
    ),
    key!(
        "telemetry",
        client_messages_per_second,
        count(1, 1_000_000),
        Reload,
        telemetry.client_messages_per_second
    ),
    key!(
        "telemetry",
        messages_per_second,
        count(1, 1_000_000),
        Reload,
        telemetry.messages_per_second
    ),
    key!(
        "telemetry",
        spans_per_second,
        count(1, 1_000_000),
        Reload,
        telemetry.spans_per_second
    ),
    key!(
        "telemetry",
        standard_variables,
        Kind::Flag,
        Reload,
        telemetry.standard_variables
    ),
    key!(
        "telemetry",
        service_name,
        Kind::Text(service),
        Reload,
        telemetry.service_name
    ),
    key!(
        "telemetry",
        attributes,
        Kind::List(&Kind::Text(attribute)),
        Reload,
        telemetry.attributes
    ),
    key!(
        "alarms",
        disk_percent,
        count(0, 100),
        Reload,
        alarms.disk_percent
    ),
    key!(
        "alarms",
        memory_percent,
        count(0, 100),
        Reload,
        alarms.memory_percent
    ),
    key!(
        "alarms",
        certificate_days,
        count(0, 3650),
        Reload,
        alarms.certificate_days
    ),
    key!(
        "alarms",
        drops_per_second,
        count(0, MAX_COUNT),
        Reload,
        alarms.drops_per_second
    ),
    key!("audit", file, Kind::Text(path), Restart, audit.file),
    key!(
        "audit",
        size,
        size(64 << 10, MAX_BYTES),
        Restart,
        audit.size
    ),
    key!("audit", keep, count(0, 10_000), Restart, audit.keep),
    key!(
        "dynamic_security",
        enabled,
        Kind::Flag,
        Reload,
        dynamic_security.enabled
    ),
    key!(
        "shared_subscriptions",
        strategy,
        Kind::Choice(STRATEGIES),
        Restart,
        strategy
    ),
    limit!(packet_size, size(1024, MAX_PACKET), Reload),
    limit!(connect_packet_size, size(256, MAX_PACKET), Reload),
    limit!(unauthenticated_bytes, size(64 << 10, MAX_BYTES), Reload),
    limit!(connect_deadline, short_span(), Reload),
    limit!(connections, count(1, MAX_COUNT), Reload),
    limit!(sessions, count(1, MAX_COUNT), Reload),
    limit!(session_expiry, expiry(), Reload),
    limit!(v3_session_expiry, expiry(), Reload),
    limit!(keep_alive, span(0, u16::MAX as u64), Reload),
    limit!(topic_levels, count(1, u16::MAX as u64), Reload),
    limit!(user_properties, count(0, u16::MAX as u64), Reload),
    limit!(filters_per_packet, count(1, u16::MAX as u64), Reload),
    limit!(subscriptions_per_client, count(1, MAX_COUNT), Reload),
    limit!(
        subscription_bytes_per_client,
        size(64 << 10, MAX_COUNT),
        Reload
    ),
    limit!(inflight, count(1, u16::MAX as u64), Reload),
    limit!(receive_maximum, count(1, u16::MAX as u64), Reload),
    limit!(topic_alias_maximum, count(0, u16::MAX as u64), Reload),
    limit!(topic_alias_out, count(0, u16::MAX as u64), Reload),
    limit!(queued_messages, count(0, MAX_COUNT), Reload),
    limit!(queued_bytes, size(0, MAX_BYTES), Reload),
    limit!(queue_policy, Kind::Choice(QUEUE_POLICIES), Reload),
    limit!(queue_qos0, Kind::Flag, Reload),
    limit!(retained_messages, count(0, MAX_COUNT), Restart),
    limit!(retained_bytes, size(0, MAX_BYTES), Restart),
    limit!(output_bytes, size(16 << 10, MAX_BYTES), Reload),
    limit!(write_stall, short_span(), Reload),
    limit!(mailbox_bytes, size(1 << 20, MAX_BYTES), Reload),
    limit!(memory, size(0, MAX_BYTES), Reload),
    limit!(stored_memory, size(0, MAX_BYTES), Restart),
    limit!(queued_age, span(0, 3650 * DAY), Reload),
    limit!(store_bytes, size(0, MAX_BYTES), Restart),
    limit!(store_backlog, size(1 << 20, MAX_BYTES), Restart),
    limit!(connection_rate, Kind::Rate(Per::Piece), Reload),
    limit!(client_message_rate, Kind::Rate(Per::Piece), Reload),
    limit!(client_byte_rate, Kind::Rate(Per::Byte), Reload),
    limit!(user_message_rate, Kind::Rate(Per::Piece), Reload),
    limit!(user_byte_rate, Kind::Rate(Per::Byte), Reload),
    limit!(failed_logins, count(0, MAX_COUNT), Reload),
    limit!(flapping_connects, count(0, MAX_COUNT), Reload),
    limit!(flapping_window, short_span(), Reload),
    limit!(flapping_ban, span(0, 3650 * DAY), Reload),
    limit!(duplicate_takeovers, count(0, MAX_COUNT), Reload),
    limit!(denials, count(0, 10_000_000), Restart),
    limit!(watched_topics, count(1, 10_000_000), Reload),
    limit!(timeline_events, count(0, 10_000_000), Restart),
];

pub(crate) const fn size(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

pub(crate) const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

pub(crate) const fn span(min_seconds: u64, max_seconds: u64) -> Kind {
    Kind::Span {
        min: Duration::from_secs(min_seconds),
        max: Duration::from_secs(max_seconds),
    }
}

/// A deadline: never off, because nothing may wait for ever.
pub(crate) const fn short_span() -> Kind {
    Kind::Span {
        min: Duration::from_millis(10),
        max: Duration::from_secs(DAY),
    }
}

const fn expiry() -> Kind {
    Kind::Span {
        min: Duration::ZERO,
        max: NEVER,
    }
}

/// The largest packet that MQTT can frame: five bytes of header and 268,435,455 more.
const MAX_PACKET: u64 = 268_435_460;
/// As much as a 64-bit machine addresses in practice.
const MAX_BYTES: u64 = 1 << 46;
/// Counts are kept in 32 bits.
pub(crate) const MAX_COUNT: u64 = u32::MAX as u64;
/// In seconds.
pub(crate) const DAY: u64 = 86_400;

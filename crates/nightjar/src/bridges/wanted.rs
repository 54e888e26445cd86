//! From `[[bridge]]` to settings.

use bridge::{
    Address, Bounds, Direction, Notify, Outflow, Password, Rule, RuleError, Settings, Start, Tls,
};
use config::{Bridge, BridgeStart, BridgeTopic, BridgeVersion, Config, Notifications};
use tracing::error;
use types::{ProtocolVersion, QoS};

use super::Names;

/// What the bridges of a configuration are to do.
pub(crate) fn settings(config: &Config, names: &Names) -> Vec<Settings> {
    let bridges = config.bridges.iter();
    bridges.map(|one| setting(config, one, names)).collect()
}

fn setting(config: &Config, one: &Bridge, names: &Names) -> Settings {
    let client_id = match &one.client_id {
        Some(id) => id.clone(),
        None => format!("{}.{}", names.node, one.name),
    };
    let topic = match &one.notification_topic {
        Some(topic) => topic.clone(),
        None => format!("$SYS/broker/connection/{client_id}/state"),
    };
    let limits = &config.limits;
    Settings {
        name: one.name.clone(),
        addresses: addresses(one),
        prefers_first: one.prefer_first,
        version: match one.version {
            BridgeVersion::V5 => ProtocolVersion::V5,
            BridgeVersion::V311 => ProtocolVersion::V311,
            BridgeVersion::V31 => ProtocolVersion::V31,
        },
        says_bridge: one.bridge_bit,
        client_id,
        username: one.username.clone(),
        password: match (&one.password, &one.password_file) {
            (Some(secret), _) => Some(Password::Plain(secret.reveal().to_owned().into())),
            (None, Some(path)) => Some(Password::File(path.clone())),
            (None, None) => None,
        },
        clean_start: one.clean_start,
        session_expiry: u32::try_from(one.session_expiry.as_secs()).unwrap_or(u32::MAX),
        keep_alive: one.keep_alive,
        tls: one.tls.then(|| tls(one)),
        local_client_id: one.local_id(),
        local_clean_start: one.local_clean_start,
        rules: rules(one),
        inflight: one.inflight,
        packet_size: one.packet_size,
        outflow: Outflow {
            messages: one.message_rate,
            bytes: one.byte_rate,
        },
        retains: one.retain,
        via: one.loop_detection.then(|| names.own.clone()),
        notify: match one.notifications {
            Notifications::Off => Notify::Nobody,
            Notifications::Local => Notify::Local { topic },
            Notifications::Both => Notify::Both { topic },
        },
        start: match one.start {
            BridgeStart::Automatic => Start::Automatic,
            BridgeStart::Once => Start::Once,
            BridgeStart::Lazy => Start::Lazy {
                threshold: one.threshold.into(),
                idle: one.idle_timeout,
            },
        },
        restart: (one.restart_first, one.restart_longest),
        bounds: Bounds {
            receive_maximum: limits.receive_maximum,
            topic_levels: limits.topic_levels,
            user_properties: limits.user_properties,
            packet_size: limits.packet_size,
        },
    }
}

fn addresses(one: &Bridge) -> Vec<Address> {
    let usual = if one.tls { 8883 } else { 1883 };
    let texts = one.addresses.iter();
    let found = texts.filter_map(|text| config::bridge_address(text, usual));
    found.map(|(host, port)| Address { host, port }).collect()
}

fn tls(one: &Bridge) -> Tls {
    Tls {
        authorities: one.ca.clone(),
        certificate: one.certificate.clone().zip(one.key.clone()),
        server_name: one.server_name.clone(),
        alpn: one.alpn.clone(),
        only_1_3: one.tls_minimum == config::TlsVersion::V1_3,
        any_name: one.any_server_name,
    }
}

fn rules(one: &Bridge) -> Vec<Rule> {
    let mut rules = Vec::new();
    for line in &one.topics {
        // The configuration took it, so this does too.
        match rule(line) {
            Ok(rule) => rules.push(rule),
            Err(problem) => error!(
                bridge = one.name,
                line, problem, "nothing goes over by this line"
            ),
        }
    }
    rules
}

fn rule(line: &str) -> Result<Rule, String> {
    let topic = BridgeTopic::parse(line)?;
    let direction = match (topic.out, topic.inward) {
        (true, true) => Direction::Both,
        (true, false) => Direction::Out,
        (false, _) => Direction::In,
    };
    let qos = QoS::from_bits(topic.qos).unwrap_or(QoS::AtMostOnce);
    let prefixes = (topic.local, topic.remote);
    Rule::new(direction, qos, topic.filter, prefixes).map_err(|error: RuleError| error.to_string())
}

//! Packets in one line, for people who debug.

use std::fmt::Write;

use codec::{Ack, ConnAckProperties, Packet, ReasonList};

pub(super) fn describe(packet: &Packet<'_>) -> String {
    let name = packet.packet_type();
    match packet {
        Packet::Connect(connect) => {
            let clean = u8::from(connect.clean_start);
            format!(
                "{name} (c{clean}, k{}, id '{}')",
                connect.keep_alive, connect.client_id
            )
        }
        Packet::ConnAck(ack) => {
            let present = u8::from(ack.session_present);
            let mut text = format!("{name} (sp{present}, {}", ack.reason.as_str());
            granted(&mut text, &ack.properties);
            text.push(')');
            text
        }
        Packet::Publish(publish) => {
            let id = publish.packet_id.map_or(0, types::PacketId::get);
            format!(
                "{name} (d{}, q{}, r{}, m{id}, '{}', {} bytes)",
                u8::from(publish.dup),
                publish.qos.bits(),
                u8::from(publish.retain),
                publish.topic,
                publish.payload.len()
            )
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            acknowledgement(&name, ack)
        }
        Packet::Subscribe(subscribe) => {
            let mut text = format!("{name} (m{}", subscribe.packet_id.get());
            for place in subscribe.filters.iter() {
                let options = place.options.to_byte();
                append(
                    &mut text,
                    format_args!(", '{}' options 0x{options:02x}", place.filter),
                );
            }
            text.push(')');
            text
        }
        Packet::Unsubscribe(unsubscribe) => {
            let mut text = format!("{name} (m{}", unsubscribe.packet_id.get());
            for filter in unsubscribe.filters.iter() {
                append(&mut text, format_args!(", '{filter}'"));
            }
            text.push(')');
            text
        }
        Packet::SubAck(list) | Packet::UnsubAck(list) => reasons(&name, list),
        Packet::Disconnect(disconnect) => format!("{name} ({})", disconnect.reason.as_str()),
        Packet::Auth(auth) => format!("{name} ({})", auth.reason.as_str()),
        Packet::PingReq | Packet::PingResp => name.to_string(),
    }
}

/// What CONNACK says beyond its reason, in the words of MQTT 5.0 (3.2.2.3).
fn granted(text: &mut String, properties: &ConnAckProperties<'_>) {
    let numbers = [
        ("session expiry", properties.session_expiry),
        ("receive maximum", properties.receive_maximum.map(u32::from)),
        (
            "maximum QoS",
            properties.maximum_qos.map(|qos| u32::from(qos.bits())),
        ),
        ("maximum packet size", properties.maximum_packet_size),
        (
            "topic alias maximum",
            properties.topic_alias_maximum.map(u32::from),
        ),
        (
            "server keep alive",
            properties.server_keep_alive.map(u32::from),
        ),
        ("retain", properties.retain_available.map(u32::from)),
        (
            "wildcards",
            properties.wildcard_subscription_available.map(u32::from),
        ),
        (
            "subscription identifiers",
            properties.subscription_ids_available.map(u32::from),
        ),
        (
            "shared subscriptions",
            properties.shared_subscription_available.map(u32::from),
        ),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            append(text, format_args!(", {name} {number}"));
        }
    }
    let texts = [
        ("assigned id", properties.assigned_client_id),
        ("reason string", properties.reason_string),
        ("response information", properties.response_information),
        ("server reference", properties.server_reference),
        ("authentication method", properties.authentication_method),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            append(text, format_args!(", {name} '{value}'"));
        }
    }
    for (name, value) in properties.user.iter() {
        append(text, format_args!(", '{name}' '{value}'"));
    }
}

fn acknowledgement(name: &dyn std::fmt::Display, ack: &Ack<'_>) -> String {
    format!("{name} (m{}, {})", ack.packet_id.get(), ack.reason.as_str())
}

fn reasons(name: &dyn std::fmt::Display, list: &ReasonList<'_>) -> String {
    let mut text = format!("{name} (m{}", list.packet_id.get());
    for reason in list.reasons {
        append(&mut text, format_args!(", 0x{reason:02x}"));
    }
    text.push(')');
    text
}

fn append(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String has no error.
    let _ = text.write_fmt(what);
}

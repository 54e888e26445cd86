//! Packets in one line, for people who debug.

use std::fmt::Write;

use codec::{Ack, Packet, ReasonList};

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
            format!("{name} (sp{present}, {})", ack.reason.as_str())
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

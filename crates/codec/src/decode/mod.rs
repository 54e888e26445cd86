//! Reading a packet whose bounds are known.

mod connack;
mod connect;
mod publish;

use types::{ProtocolVersion, ReasonCode, SubscriptionOptions};

pub(crate) use publish::ForwardReader;
pub use publish::decode_publish;

use crate::frame::check_first_byte;
use crate::properties::{Span, Walk};
use crate::read::Reader;
use crate::{
    Ack, Auth, DecodeError, Disconnect, Field, Packet, PacketType, PropertyId, ReasonList,
    Subscribe, SubscribeFilters, Unsubscribe, UnsubscribeFilters, UserProperties,
};

/// Reads a packet from its first byte and its body, as [`frame`](crate::frame()) found them.
/// `version` is the connection's; CONNECT finds its own and ignores it.
///
/// # Errors
/// Everything that the standard lets no packet be, whatever the state of the connection. What
/// depends on the state, on the direction or on limits is the connection's to refuse: packets
/// and properties that only the other side may send, topic aliases, the syntax of topics and
/// filters, an empty client identifier.
pub fn decode(
    version: ProtocolVersion,
    first_byte: u8,
    body: &[u8],
) -> Result<Packet<'_>, DecodeError> {
    let packet = check_first_byte(first_byte)?;
    // MQTT 3.1 lets these three be sent again with DUP; frame() could not know the version.
    if packet != PacketType::Publish && first_byte & 0x08 != 0 && version != ProtocolVersion::V31 {
        return Err(DecodeError::HeaderFlags(packet));
    }
    Ok(match packet {
        PacketType::Connect => Packet::Connect(Box::new(connect::decode(body)?)),
        PacketType::ConnAck => Packet::ConnAck(Box::new(connack::decode(version, body)?)),
        PacketType::Publish => Packet::Publish(decode_publish(version, first_byte, body)?),
        PacketType::PubAck => Packet::PubAck(ack(version, packet, body)?),
        PacketType::PubRec => Packet::PubRec(ack(version, packet, body)?),
        PacketType::PubRel => Packet::PubRel(ack(version, packet, body)?),
        PacketType::PubComp => Packet::PubComp(ack(version, packet, body)?),
        PacketType::Subscribe => Packet::Subscribe(subscribe(version, body)?),
        PacketType::SubAck => Packet::SubAck(reason_list(version, packet, body)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(unsubscribe(version, body)?),
        PacketType::UnsubAck => Packet::UnsubAck(reason_list(version, packet, body)?),
        PacketType::PingReq => {
            Reader::new(body).finish()?;
            Packet::PingReq
        }
        PacketType::PingResp => {
            Reader::new(body).finish()?;
            Packet::PingResp
        }
        PacketType::Disconnect => Packet::Disconnect(disconnect(version, body)?),
        PacketType::Auth => Packet::Auth(auth(version, body)?),
    })
}

/// Reads a reason code that the packet may carry.
fn reason(reader: &mut Reader<'_>, packet: PacketType) -> Result<ReasonCode, DecodeError> {
    let code = reader.byte(Field::ReasonCode)?;
    match ReasonCode::from_byte(code) {
        Some(reason) if packet.allows(reason) => Ok(reason),
        _ => Err(DecodeError::Reason { packet, code }),
    }
}

/// What most answers carry: Reason String and User Properties.
#[derive(Default)]
struct Diagnostics<'a> {
    reason_string: Option<&'a str>,
    user: UserProperties<'a>,
}

fn diagnostics<'a>(reader: &mut Reader<'a>) -> Result<Diagnostics<'a>, DecodeError> {
    let mut walk = Walk::take(reader)?;
    let mut found = Diagnostics::default();
    let mut user = Span::default();
    loop {
        let start = walk.offset();
        let Some(id) = walk.next()? else { break };
        match id {
            PropertyId::ReasonString => walk.string(id, &mut found.reason_string)?,
            PropertyId::UserProperty => walk.user(start, &mut user)?,
            other => return Err(DecodeError::PropertyNotAllowed(other)),
        }
    }
    found.user = walk.user_properties(user);
    Ok(found)
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP. In MQTT 5.0 the reason may be left out if it is success,
/// and the properties if there are none (3.4.2.1, 3.4.2.2.1; C38).
fn ack<'a>(
    version: ProtocolVersion,
    packet: PacketType,
    body: &'a [u8],
) -> Result<Ack<'a>, DecodeError> {
    let mut reader = Reader::new(body);
    let mut ack = Ack::new(reader.packet_id()?, ReasonCode::Success);
    if version.has_properties() && !reader.is_empty() {
        ack.reason = reason(&mut reader, packet)?;
        if !reader.is_empty() {
            let found = diagnostics(&mut reader)?;
            ack.reason_string = found.reason_string;
            ack.user = found.user;
        }
    }
    reader.finish()?;
    Ok(ack)
}

fn subscribe(version: ProtocolVersion, body: &[u8]) -> Result<Subscribe<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut subscription_id = None;
    let mut user_properties = UserProperties::default();
    if version.has_properties() {
        let mut walk = Walk::take(&mut reader)?;
        let mut user = Span::default();
        loop {
            let start = walk.offset();
            let Some(id) = walk.next()? else { break };
            match id {
                PropertyId::SubscriptionIdentifier => {
                    let value = walk.subscription_id()?;
                    if subscription_id.replace(value).is_some() {
                        return Err(DecodeError::DuplicateProperty(id));
                    }
                }
                PropertyId::UserProperty => walk.user(start, &mut user)?,
                other => return Err(DecodeError::PropertyNotAllowed(other)),
            }
        }
        user_properties = walk.user_properties(user);
    }
    let filters = SubscribeFilters(reader.rest());
    if reader.is_empty() {
        return Err(DecodeError::EmptyList(PacketType::Subscribe));
    }
    while !reader.is_empty() {
        reader.string(Field::TopicFilter)?;
        check_options(version, reader.byte(Field::SubscriptionOptions)?)?;
    }
    Ok(Subscribe {
        packet_id,
        subscription_id,
        user: user_properties,
        filters,
    })
}

/// MQTT 3 has the QoS and six reserved bits (3.1.1: MQTT-3.8.3-4), 5.0 two of them (3.8.3.1).
fn check_options(version: ProtocolVersion, byte: u8) -> Result<(), DecodeError> {
    let reserved = if version.has_properties() { 0xc0 } else { 0xfc };
    if byte & reserved != 0 {
        return Err(DecodeError::ReservedOptions);
    }
    SubscriptionOptions::from_byte(byte)
        .map(|_| ())
        .ok_or(DecodeError::OptionValue)
}

fn unsubscribe(version: ProtocolVersion, body: &[u8]) -> Result<Unsubscribe<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut user_properties = UserProperties::default();
    if version.has_properties() {
        let mut walk = Walk::take(&mut reader)?;
        let mut user = Span::default();
        loop {
            let start = walk.offset();
            let Some(id) = walk.next()? else { break };
            match id {
                PropertyId::UserProperty => walk.user(start, &mut user)?,
                other => return Err(DecodeError::PropertyNotAllowed(other)),
            }
        }
        user_properties = walk.user_properties(user);
    }
    let filters = UnsubscribeFilters(reader.rest());
    if reader.is_empty() {
        return Err(DecodeError::EmptyList(PacketType::Unsubscribe));
    }
    while !reader.is_empty() {
        reader.string(Field::TopicFilter)?;
    }
    Ok(Unsubscribe {
        packet_id,
        user: user_properties,
        filters,
    })
}

/// SUBACK and UNSUBACK. The UNSUBACK of MQTT 3 has no list.
fn reason_list<'a>(
    version: ProtocolVersion,
    packet: PacketType,
    body: &'a [u8],
) -> Result<ReasonList<'a>, DecodeError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut found = Diagnostics::default();
    if version.has_properties() {
        found = diagnostics(&mut reader)?;
    } else if packet == PacketType::UnsubAck {
        reader.finish()?;
        return Ok(ReasonList::new(packet_id, &[]));
    }
    let reasons = reader.rest();
    if reader.is_empty() {
        return Err(DecodeError::EmptyList(packet));
    }
    while !reader.is_empty() {
        let code = reason(&mut reader, packet)?;
        // MQTT 3 has one failure only (3.1.1: MQTT-3.9.3-2).
        if !version.has_properties() && code.byte() > 0x80 {
            return Err(DecodeError::Reason {
                packet,
                code: code.byte(),
            });
        }
    }
    let Diagnostics {
        reason_string,
        user,
    } = found;
    Ok(ReasonList {
        packet_id,
        reason_string,
        user,
        reasons,
    })
}

/// Without a body it is a normal disconnection; the properties may be left out if there are
/// none (3.14.2.1, 3.14.2.2.1; C38).
fn disconnect(version: ProtocolVersion, body: &[u8]) -> Result<Disconnect<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let mut packet = Disconnect::new(ReasonCode::Success);
    if version.has_properties() && !reader.is_empty() {
        packet.reason = reason(&mut reader, PacketType::Disconnect)?;
        if !reader.is_empty() {
            let mut walk = Walk::take(&mut reader)?;
            let mut user = Span::default();
            loop {
                let start = walk.offset();
                let Some(id) = walk.next()? else { break };
                match id {
                    PropertyId::SessionExpiryInterval => {
                        walk.u32(id, &mut packet.session_expiry)?;
                    }
                    PropertyId::ReasonString => walk.string(id, &mut packet.reason_string)?,
                    PropertyId::ServerReference => walk.string(id, &mut packet.server_reference)?,
                    PropertyId::UserProperty => walk.user(start, &mut user)?,
                    other => return Err(DecodeError::PropertyNotAllowed(other)),
                }
            }
            packet.user = walk.user_properties(user);
        }
    }
    reader.finish()?;
    Ok(packet)
}

/// Without a body it is success (3.15.2.1). Any other reason needs a method (3.15.2.2.2).
fn auth(version: ProtocolVersion, body: &[u8]) -> Result<Auth<'_>, DecodeError> {
    if !version.has_properties() {
        return Err(DecodeError::NotInVersion(PacketType::Auth));
    }
    let mut reader = Reader::new(body);
    let mut packet = Auth::new(ReasonCode::Success);
    if reader.is_empty() {
        return Ok(packet);
    }
    packet.reason = reason(&mut reader, PacketType::Auth)?;
    let mut walk = Walk::take(&mut reader)?;
    let mut user = Span::default();
    loop {
        let start = walk.offset();
        let Some(id) = walk.next()? else { break };
        match id {
            PropertyId::AuthenticationMethod => walk.string(id, &mut packet.method)?,
            PropertyId::AuthenticationData => walk.binary(id, &mut packet.data)?,
            PropertyId::ReasonString => walk.string(id, &mut packet.reason_string)?,
            PropertyId::UserProperty => walk.user(start, &mut user)?,
            other => return Err(DecodeError::PropertyNotAllowed(other)),
        }
    }
    packet.user = walk.user_properties(user);
    reader.finish()?;
    if packet.method.is_none() {
        if packet.data.is_some() {
            return Err(DecodeError::AuthDataWithoutMethod);
        }
        if packet.reason != ReasonCode::Success {
            return Err(DecodeError::AuthWithoutMethod);
        }
    }
    Ok(packet)
}

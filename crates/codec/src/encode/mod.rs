//! Writing a packet, its exact size known before.

mod connect;
mod properties;

use types::{ProtocolVersion, QoS, ReasonCode};

use crate::write::{Count, Sink, put_binary, put_varint, section_len, varint_len};
use crate::{
    Ack, Auth, ConnAck, Disconnect, EncodeError, Field, Packet, PacketType, PropertyId, Publish,
    ReasonList, Subscribe, UnsubscribeFilters, UserProperties, VARINT_MAX,
};
pub(crate) use properties::PropertySet;
use properties::{Diagnostics, put_section};

/// The bytes that [`encode`] writes for the packet, header included. A packet that `encode`
/// refuses has `usize::MAX`, which is above any limit.
pub fn encoded_len(packet: &Packet<'_>, version: ProtocolVersion) -> usize {
    match body_len(packet, version) {
        Ok(len) => varint_len(len)
            .saturating_add(1)
            .saturating_add(len as usize),
        Err(_) => usize::MAX,
    }
}

/// Appends the packet to `out` as a receiver of `version` reads it; CONNECT brings its own
/// version.
///
/// For MQTT 3, properties are left out, the CONNACK reason becomes a return code, every
/// failure in SUBACK becomes 0x80, UNSUBACK has no list, and DISCONNECT is empty. For MQTT 5.0
/// the shortest form is used (C38). Text is taken as it is: the caller keeps U+0000 out.
///
/// # Errors
/// What would not be a packet of the standard; nothing is appended then.
pub fn encode(
    packet: &Packet<'_>,
    version: ProtocolVersion,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let len = body_len(packet, version)?;
    out.reserve(
        varint_len(len)
            .saturating_add(1)
            .saturating_add(len as usize),
    );
    out.push(first_byte(packet));
    put_varint(len, out);
    put_body(packet, version, out)
}

fn first_byte(packet: &Packet<'_>) -> u8 {
    let byte = packet.packet_type().first_byte();
    match packet {
        Packet::Publish(publish) => byte | publish_flags(publish.dup, publish.qos, publish.retain),
        _ => byte,
    }
}

/// The flags of a PUBLISH (3.3.1).
#[inline]
pub(crate) fn publish_flags(dup: bool, qos: QoS, retain: bool) -> u8 {
    u8::from(dup) << 3 | qos.bits() << 1 | u8::from(retain)
}

fn body_len(packet: &Packet<'_>, version: ProtocolVersion) -> Result<u32, EncodeError> {
    let mut count = Count::default();
    put_body(packet, version, &mut count)?;
    section_len(count.0)
}

fn put_body<S: Sink>(
    packet: &Packet<'_>,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(connect) => connect::put(connect, out),
        Packet::ConnAck(connack) => put_connack(connack, version, out),
        Packet::Publish(publish) => put_publish(publish, version, out),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            put_ack(ack, packet.packet_type(), version, out)
        }
        Packet::Subscribe(subscribe) => put_subscribe(subscribe, version, out),
        Packet::SubAck(list) | Packet::UnsubAck(list) => {
            put_reason_list(list, packet.packet_type(), version, out)
        }
        Packet::Unsubscribe(unsubscribe) => {
            out.put(&unsubscribe.packet_id.get().to_be_bytes());
            if version.has_properties() {
                put_section(&unsubscribe.user, out)?;
            }
            put_unsubscribe_filters(unsubscribe.filters, out)
        }
        Packet::PingReq | Packet::PingResp => Ok(()),
        Packet::Disconnect(disconnect) => put_disconnect(disconnect, version, out),
        Packet::Auth(auth) => put_auth(auth, version, out),
    }
}

fn check_reason(packet: PacketType, reason: ReasonCode) -> Result<u8, EncodeError> {
    let code = reason.byte();
    if packet.allows(reason) {
        Ok(code)
    } else {
        Err(EncodeError::Reason { packet, code })
    }
}

fn put_connack<S: Sink>(
    connack: &ConnAck<'_>,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    let reason = check_reason(PacketType::ConnAck, connack.reason)?;
    if connack.session_present && connack.reason.is_error() {
        return Err(EncodeError::SessionPresentWithError);
    }
    match version {
        // MQTT 3.1 has no Session Present.
        ProtocolVersion::V31 => out.put(&[0, connack.reason.connect_return_code()]),
        ProtocolVersion::V311 => {
            out.put(&[
                u8::from(connack.session_present),
                connack.reason.connect_return_code(),
            ]);
        }
        ProtocolVersion::V5 => {
            out.put(&[u8::from(connack.session_present), reason]);
            put_section(&connack.properties, out)?;
        }
    }
    Ok(())
}

fn put_publish<S: Sink>(
    publish: &Publish<'_>,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    if publish.dup && publish.qos == QoS::AtMostOnce {
        return Err(EncodeError::DupAtQoS0);
    }
    if publish.packet_id.is_some() != (publish.qos != QoS::AtMostOnce) {
        return Err(EncodeError::PacketId);
    }
    put_binary(publish.topic.as_bytes(), Field::Topic, out)?;
    if let Some(id) = publish.packet_id {
        out.put(&id.get().to_be_bytes());
    }
    if version.has_properties() {
        put_section(&publish.properties, out)?;
    }
    out.put(publish.payload);
    Ok(())
}

fn put_ack<S: Sink>(
    ack: &Ack<'_>,
    packet: PacketType,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    let reason = check_reason(packet, ack.reason)?;
    out.put(&ack.packet_id.get().to_be_bytes());
    let bare = ack.reason_string.is_none() && ack.user.is_empty();
    if !version.has_properties() || (bare && ack.reason == ReasonCode::Success) {
        return Ok(());
    }
    out.put(&[reason]);
    if bare {
        return Ok(());
    }
    put_section(
        &Diagnostics {
            reason_string: ack.reason_string,
            user: ack.user,
        },
        out,
    )
}

fn put_subscribe<S: Sink>(
    subscribe: &Subscribe<'_>,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    if subscribe.filters.is_empty() {
        return Err(EncodeError::EmptyList(PacketType::Subscribe));
    }
    out.put(&subscribe.packet_id.get().to_be_bytes());
    if version.has_properties() {
        put_section(subscribe, out)?;
        out.put(subscribe.filters.0);
        return Ok(());
    }
    for each in subscribe.filters.iter() {
        put_binary(each.filter.as_bytes(), Field::TopicFilter, out)?;
        out.put(&[each.options.qos.bits()]);
    }
    Ok(())
}

fn put_unsubscribe_filters<S: Sink>(
    filters: UnsubscribeFilters<'_>,
    out: &mut S,
) -> Result<(), EncodeError> {
    if filters.is_empty() {
        return Err(EncodeError::EmptyList(PacketType::Unsubscribe));
    }
    out.put(filters.0);
    Ok(())
}

fn put_reason_list<S: Sink>(
    list: &ReasonList<'_>,
    packet: PacketType,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    out.put(&list.packet_id.get().to_be_bytes());
    if version.has_properties() {
        put_section(
            &Diagnostics {
                reason_string: list.reason_string,
                user: list.user,
            },
            out,
        )?;
    } else if packet == PacketType::UnsubAck {
        return Ok(());
    }
    if list.reasons.is_empty() {
        return Err(EncodeError::EmptyList(packet));
    }
    for &code in list.reasons {
        let reason = ReasonCode::from_byte(code).ok_or(EncodeError::Reason { packet, code })?;
        let code = check_reason(packet, reason)?;
        let v3_failure = !version.has_properties() && reason.is_error();
        out.put(&[if v3_failure { 0x80 } else { code }]);
    }
    Ok(())
}

fn put_disconnect<S: Sink>(
    disconnect: &Disconnect<'_>,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    let reason = check_reason(PacketType::Disconnect, disconnect.reason)?;
    if !version.has_properties() {
        return Ok(());
    }
    let Disconnect {
        reason: _,
        session_expiry,
        reason_string,
        user,
        server_reference,
    } = disconnect;
    let bare = session_expiry.is_none()
        && reason_string.is_none()
        && user.is_empty()
        && server_reference.is_none();
    if bare && disconnect.reason == ReasonCode::Success {
        return Ok(());
    }
    out.put(&[reason]);
    if bare {
        return Ok(());
    }
    put_section(disconnect, out)
}

fn put_auth<S: Sink>(
    auth: &Auth<'_>,
    version: ProtocolVersion,
    out: &mut S,
) -> Result<(), EncodeError> {
    if !version.has_properties() {
        return Err(EncodeError::NotInVersion(PacketType::Auth));
    }
    let reason = check_reason(PacketType::Auth, auth.reason)?;
    if auth.method.is_none() {
        if auth.data.is_some() {
            return Err(EncodeError::AuthDataWithoutMethod);
        }
        if auth.reason != ReasonCode::Success {
            return Err(EncodeError::AuthWithoutMethod);
        }
        if auth.reason_string.is_none() && auth.user.is_empty() {
            return Ok(());
        }
    }
    out.put(&[reason]);
    put_section(auth, out)
}

/// Writes all pairs of a list.
fn put_user_properties<S: Sink>(user: &UserProperties<'_>, out: &mut S) -> Result<(), EncodeError> {
    let field = Field::Property(PropertyId::UserProperty);
    for (key, value) in user.iter() {
        out.put(&[PropertyId::UserProperty.byte()]);
        put_binary(key.as_bytes(), field, out)?;
        put_binary(value.as_bytes(), field, out)?;
    }
    Ok(())
}

/// Checks an identifier of a subscription (3.8.2.1.2).
pub(crate) fn check_subscription_id(id: u32) -> Result<u32, EncodeError> {
    match id {
        1..=VARINT_MAX => Ok(id),
        _ => Err(EncodeError::PropertyValue(
            PropertyId::SubscriptionIdentifier,
        )),
    }
}

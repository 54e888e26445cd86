//! Reading CONNACK (3.2), as a client does.

use types::{ProtocolVersion, QoS, ReasonCode};

use crate::properties::{Span, Walk, refuse_zero};
use crate::read::Reader;
use crate::{ConnAck, ConnAckProperties, DecodeError, Field, PacketType, PropertyId};

pub(super) fn decode(version: ProtocolVersion, body: &[u8]) -> Result<ConnAck<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let flags = reader.byte(Field::ConnAckFlags)?;
    // MQTT 3.1 has no flags here and says nothing of the byte.
    if flags & 0xfe != 0 && version != ProtocolVersion::V31 {
        return Err(DecodeError::ReservedConnAckFlag);
    }
    let session_present = flags & 0x01 != 0 && version != ProtocolVersion::V31;
    let (reason, properties) = if version.has_properties() {
        let reason = super::reason(&mut reader, PacketType::ConnAck)?;
        (reason, properties(&mut reader)?)
    } else {
        (
            return_code(reader.byte(Field::ReasonCode)?)?,
            ConnAckProperties::default(),
        )
    };
    reader.finish()?;
    if session_present && reason.is_error() {
        return Err(DecodeError::SessionPresentWithError);
    }
    Ok(ConnAck {
        session_present,
        reason,
        properties,
    })
}

/// The return codes of MQTT 3 (3.2.2.3) in the words of 5.0.
fn return_code(code: u8) -> Result<ReasonCode, DecodeError> {
    Ok(match code {
        0 => ReasonCode::Success,
        1 => ReasonCode::UnsupportedProtocolVersion,
        2 => ReasonCode::ClientIdentifierNotValid,
        3 => ReasonCode::ServerUnavailable,
        4 => ReasonCode::BadUserNameOrPassword,
        5 => ReasonCode::NotAuthorized,
        code => {
            return Err(DecodeError::Reason {
                packet: PacketType::ConnAck,
                code,
            });
        }
    })
}

fn properties<'a>(reader: &mut Reader<'a>) -> Result<ConnAckProperties<'a>, DecodeError> {
    use PropertyId as P;
    let mut walk = Walk::take(reader)?;
    let mut found = ConnAckProperties::default();
    let mut user = Span::default();
    let mut qos1 = None;
    loop {
        let start = walk.offset();
        let Some(id) = walk.next()? else { break };
        match id {
            P::SessionExpiryInterval => walk.u32(id, &mut found.session_expiry)?,
            P::ReceiveMaximum => {
                walk.u16(id, &mut found.receive_maximum)?;
                refuse_zero(&found.receive_maximum, id)?;
            }
            // QoS 0 or 1; a server that takes QoS 2 leaves it out (3.2.2.3.4).
            P::MaximumQoS => walk.flag(id, &mut qos1)?,
            P::RetainAvailable => walk.flag(id, &mut found.retain_available)?,
            P::MaximumPacketSize => {
                walk.u32(id, &mut found.maximum_packet_size)?;
                refuse_zero(&found.maximum_packet_size, id)?;
            }
            P::AssignedClientIdentifier => walk.string(id, &mut found.assigned_client_id)?,
            P::TopicAliasMaximum => walk.u16(id, &mut found.topic_alias_maximum)?,
            P::ReasonString => walk.string(id, &mut found.reason_string)?,
            P::UserProperty => walk.user(start, &mut user)?,
            P::WildcardSubscriptionAvailable => {
                walk.flag(id, &mut found.wildcard_subscription_available)?;
            }
            P::SubscriptionIdentifierAvailable => {
                walk.flag(id, &mut found.subscription_ids_available)?;
            }
            P::SharedSubscriptionAvailable => {
                walk.flag(id, &mut found.shared_subscription_available)?;
            }
            P::ServerKeepAlive => walk.u16(id, &mut found.server_keep_alive)?,
            P::ResponseInformation => walk.string(id, &mut found.response_information)?,
            P::ServerReference => walk.string(id, &mut found.server_reference)?,
            P::AuthenticationMethod => walk.string(id, &mut found.authentication_method)?,
            P::AuthenticationData => walk.binary(id, &mut found.authentication_data)?,
            other => return Err(DecodeError::PropertyNotAllowed(other)),
        }
    }
    found.user = walk.user_properties(user);
    found.maximum_qos = qos1.map(|one| {
        if one {
            QoS::AtLeastOnce
        } else {
            QoS::AtMostOnce
        }
    });
    if found.authentication_data.is_some() && found.authentication_method.is_none() {
        return Err(DecodeError::AuthDataWithoutMethod);
    }
    Ok(found)
}

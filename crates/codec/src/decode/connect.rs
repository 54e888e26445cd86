//! Reading CONNECT (3.1).

use types::{ProtocolVersion, QoS};

use super::ForwardReader;
use crate::properties::{Span, Walk, refuse_zero};
use crate::read::Reader;
use crate::{Connect, ConnectProperties, DecodeError, Field, Forward, PropertyId, Will};

/// The connect flags (3.1.2.3), taken apart.
struct Flags {
    clean_start: bool,
    will: Option<WillFlags>,
    username: bool,
    password: bool,
}

struct WillFlags {
    qos: QoS,
    retain: bool,
}

pub(super) fn decode(body: &[u8]) -> Result<Connect<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let name = reader.binary(Field::ProtocolName)?;
    let level = reader.byte(Field::ProtocolLevel)?;
    let version =
        ProtocolVersion::from_wire(name, level).ok_or(DecodeError::UnsupportedVersion { level })?;
    let flags = flags(reader.byte(Field::ConnectFlags)?, version)?;
    let keep_alive = reader.u16(Field::KeepAlive)?;
    let properties = if version.has_properties() {
        properties(&mut reader)?
    } else {
        ConnectProperties::default()
    };
    let client_id = reader.string(Field::ClientId)?;
    let will = match flags.will {
        Some(flags) => Some(will(version, flags, &mut reader)?),
        None => None,
    };
    // MQTT 3.1 (3.1, "User name and password flags"): the flag may be set though the field
    // is missing, for the sake of clients that are older still.
    let present = |flag: bool, reader: &Reader<'_>| {
        flag && !(version == ProtocolVersion::V31 && reader.is_empty())
    };
    let username = match present(flags.username, &reader) {
        true => Some(reader.string(Field::Username)?),
        false => None,
    };
    let password = match present(flags.password, &reader) {
        true => Some(reader.binary(Field::Password)?),
        false => None,
    };
    reader.finish()?;
    Ok(Connect {
        version,
        bridge: level & 0x80 != 0,
        clean_start: flags.clean_start,
        keep_alive,
        client_id,
        will,
        username,
        password,
        properties,
    })
}

fn flags(byte: u8, version: ProtocolVersion) -> Result<Flags, DecodeError> {
    if byte & 0x01 != 0 {
        return Err(DecodeError::ReservedConnectFlag);
    }
    let qos = QoS::from_bits(byte >> 3 & 0x03).ok_or(DecodeError::WillQoS)?;
    let retain = byte & 0x20 != 0;
    let will = if byte & 0x04 != 0 {
        Some(WillFlags { qos, retain })
    } else if qos != QoS::AtMostOnce || retain {
        return Err(DecodeError::WillFlagsWithoutWill);
    } else {
        None
    };
    let username = byte & 0x80 != 0;
    let password = byte & 0x40 != 0;
    if password && !username && !version.has_properties() {
        return Err(DecodeError::PasswordWithoutUsername);
    }
    Ok(Flags {
        clean_start: byte & 0x02 != 0,
        will,
        username,
        password,
    })
}

fn properties<'a>(reader: &mut Reader<'a>) -> Result<ConnectProperties<'a>, DecodeError> {
    use PropertyId as P;
    let mut walk = Walk::take(reader)?;
    let mut found = ConnectProperties::default();
    let mut user = Span::default();
    loop {
        let start = walk.offset();
        let Some(id) = walk.next()? else { break };
        match id {
            P::SessionExpiryInterval => walk.u32(id, &mut found.session_expiry)?,
            P::ReceiveMaximum => {
                walk.u16(id, &mut found.receive_maximum)?;
                refuse_zero(&found.receive_maximum, id)?;
            }
            P::MaximumPacketSize => {
                walk.u32(id, &mut found.maximum_packet_size)?;
                refuse_zero(&found.maximum_packet_size, id)?;
            }
            P::TopicAliasMaximum => walk.u16(id, &mut found.topic_alias_maximum)?,
            P::RequestResponseInformation => {
                walk.flag(id, &mut found.request_response_information)?;
            }
            P::RequestProblemInformation => {
                walk.flag(id, &mut found.request_problem_information)?;
            }
            P::UserProperty => walk.user(start, &mut user)?,
            P::AuthenticationMethod => walk.string(id, &mut found.authentication_method)?,
            P::AuthenticationData => walk.binary(id, &mut found.authentication_data)?,
            other => return Err(DecodeError::PropertyNotAllowed(other)),
        }
    }
    found.user = walk.user_properties(user);
    if found.authentication_data.is_some() && found.authentication_method.is_none() {
        return Err(DecodeError::AuthDataWithoutMethod);
    }
    Ok(found)
}

/// Will Properties, Will Topic, Will Payload (3.1.3.2 to 3.1.3.4).
fn will<'a>(
    version: ProtocolVersion,
    flags: WillFlags,
    reader: &mut Reader<'a>,
) -> Result<Will<'a>, DecodeError> {
    let mut delay = None;
    let mut message_expiry = None;
    let mut forward = Forward::default();
    if version.has_properties() {
        let mut walk = Walk::take(reader)?;
        let mut forward_reader = ForwardReader::default();
        loop {
            let start = walk.offset();
            let Some(id) = walk.next()? else { break };
            match id {
                PropertyId::WillDelayInterval => walk.u32(id, &mut delay)?,
                PropertyId::MessageExpiryInterval => walk.u32(id, &mut message_expiry)?,
                other => forward_reader.read(other, start, &mut walk, &mut forward)?,
            }
        }
        forward_reader.finish(&walk, &mut forward);
    }
    Ok(Will {
        topic: reader.string(Field::WillTopic)?,
        payload: reader.binary(Field::WillPayload)?,
        qos: flags.qos,
        retain: flags.retain,
        delay,
        message_expiry,
        forward,
    })
}

//! Writing CONNECT (3.1), as a client or a bridge does.

use super::put_section;
use crate::write::{Sink, put_binary};
use crate::{Connect, EncodeError, Field};

pub(super) fn put<S: Sink>(connect: &Connect<'_>, out: &mut S) -> Result<(), EncodeError> {
    let version = connect.version;
    if !version.has_properties() && connect.password.is_some() && connect.username.is_none() {
        return Err(EncodeError::PasswordWithoutUsername);
    }
    put_binary(version.name().as_bytes(), Field::ProtocolName, out)?;
    out.put(&[
        version.level() | u8::from(connect.bridge) << 7,
        flags(connect),
    ]);
    out.put(&connect.keep_alive.to_be_bytes());
    if version.has_properties() {
        put_section(&connect.properties, out)?;
    }
    put_binary(connect.client_id.as_bytes(), Field::ClientId, out)?;
    if let Some(will) = &connect.will {
        if version.has_properties() {
            put_section(will, out)?;
        }
        put_binary(will.topic.as_bytes(), Field::WillTopic, out)?;
        put_binary(will.payload, Field::WillPayload, out)?;
    }
    if let Some(username) = connect.username {
        put_binary(username.as_bytes(), Field::Username, out)?;
    }
    if let Some(password) = connect.password {
        put_binary(password, Field::Password, out)?;
    }
    Ok(())
}

/// The connect flags (3.1.2.3).
fn flags(connect: &Connect<'_>) -> u8 {
    let will = match &connect.will {
        Some(will) => 0x04 | will.qos.bits() << 3 | u8::from(will.retain) << 5,
        None => 0,
    };
    u8::from(connect.clean_start) << 1
        | will
        | u8::from(connect.password.is_some()) << 6
        | u8::from(connect.username.is_some()) << 7
}

//! Why bytes are no packet, and why a packet cannot be sent.

use std::fmt;

use types::ReasonCode;

use crate::{Field, PacketType, PropertyId};

/// Why bytes were refused. Each ends the connection (MQTT-4.13.1-1); [`DecodeError::reason`]
/// is what a client of MQTT 5.0 is told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The remaining length has more than four bytes or more than it needs (MQTT-1.5.5-1).
    RemainingLength,
    /// The packet with its header has more bytes than the limit.
    PacketTooLarge {
        /// The size that the header announces, in bytes.
        size: u32,
        /// The limit, in bytes.
        limit: u32,
    },
    /// Packet type 0 is reserved (2.1.2).
    ReservedType,
    /// The version of this connection has no such packet (AUTH in MQTT 3).
    NotInVersion(PacketType),
    /// The flags of the first byte are not those of the type (MQTT-2.1.3-1, -3.6.1-1,
    /// -3.8.1-1, -3.10.1-1).
    HeaderFlags(PacketType),
    /// A PUBLISH of QoS 3 (MQTT-3.3.1-4).
    PublishQoS,
    /// DUP is set though the QoS is 0 (MQTT-3.3.1-2).
    DupAtQoS0,
    /// No version that this codec knows has this protocol name and level (MQTT-3.1.2-1).
    UnsupportedVersion {
        /// The level of the CONNECT.
        level: u8,
    },
    /// The packet ends before or within the field.
    Truncated(Field),
    /// Bytes are left behind the packet's last field.
    TrailingBytes,
    /// The field is not UTF-8, or holds a surrogate (MQTT-1.5.4-1).
    Utf8(Field),
    /// The field holds U+0000 (MQTT-1.5.4-2).
    Nul(Field),
    /// The field's variable byte integer is too long or not minimal (MQTT-1.5.5-1).
    VarInt(Field),
    /// Packet identifier 0 (MQTT-2.2.1-3).
    ZeroPacketId,
    /// Bit 0 of the connect flags is set (MQTT-3.1.2-3).
    ReservedConnectFlag,
    /// Will QoS 3 (MQTT-3.1.2-12).
    WillQoS,
    /// Will QoS or Will Retain without the Will Flag (MQTT-3.1.2-11, -13).
    WillFlagsWithoutWill,
    /// A password without a user name, in MQTT 3 (MQTT 3.1.1: MQTT-3.1.2-22).
    PasswordWithoutUsername,
    /// Bits 1 to 7 of the acknowledge flags are set (MQTT-3.2.2-1).
    ReservedConnAckFlag,
    /// Session Present in a CONNACK that reports an error (MQTT-3.2.2-6).
    SessionPresentWithError,
    /// A list of filters or reasons with nothing in it (MQTT-3.8.3-2, -3.10.3-2).
    EmptyList(PacketType),
    /// Reserved bits of the subscription options are set (MQTT-3.8.3-5).
    ReservedOptions,
    /// QoS 3 or Retain Handling 3 in the subscription options (3.8.3.1).
    OptionValue,
    /// The reason code is not one of this packet's (2.4).
    Reason {
        /// The packet.
        packet: PacketType,
        /// The code on the wire.
        code: u8,
    },
    /// MQTT 5.0 defines no property with this identifier (2.2.2.2).
    UnknownProperty(u8),
    /// The property does not belong to this packet (2.2.2.2).
    PropertyNotAllowed(PropertyId),
    /// A property that may stand once stands twice.
    DuplicateProperty(PropertyId),
    /// The property has a value that it must not have: 0 for one that counts from 1, or
    /// neither 0 nor 1 for one that answers yes or no.
    PropertyValue(PropertyId),
    /// Authentication Data without Authentication Method (3.1.2.11.10).
    AuthDataWithoutMethod,
    /// An AUTH with a reason other than success and without Authentication Method (3.15.2.2.2).
    AuthWithoutMethod,
}

impl DecodeError {
    /// What the other side is told: 0x81 what cannot be parsed, 0x82 what can be but is not
    /// allowed, and 0x84 and 0x95 for their own cases (4.13).
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::RemainingLength
            | Self::ReservedType
            | Self::HeaderFlags(_)
            | Self::PublishQoS
            | Self::Truncated(_)
            | Self::TrailingBytes
            | Self::Utf8(_)
            | Self::Nul(_)
            | Self::VarInt(_)
            | Self::ReservedConnectFlag
            | Self::WillQoS
            | Self::ReservedConnAckFlag
            | Self::ReservedOptions
            | Self::UnknownProperty(_)
            | Self::PropertyNotAllowed(_) => ReasonCode::MalformedPacket,
            Self::NotInVersion(_)
            | Self::DupAtQoS0
            | Self::ZeroPacketId
            | Self::WillFlagsWithoutWill
            | Self::PasswordWithoutUsername
            | Self::SessionPresentWithError
            | Self::EmptyList(_)
            | Self::OptionValue
            | Self::Reason { .. }
            | Self::DuplicateProperty(_)
            | Self::PropertyValue(_)
            | Self::AuthDataWithoutMethod
            | Self::AuthWithoutMethod => ReasonCode::ProtocolError,
            Self::PacketTooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::UnsupportedVersion { .. } => ReasonCode::UnsupportedProtocolVersion,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemainingLength => f.write_str("remaining length is malformed"),
            Self::PacketTooLarge { size, limit } => {
                write!(
                    f,
                    "packet of {size} bytes is larger than the limit of {limit}"
                )
            }
            Self::ReservedType => f.write_str("packet type 0 is reserved"),
            Self::NotInVersion(packet) => write!(f, "{packet} does not exist in this version"),
            Self::HeaderFlags(packet) => write!(f, "flags of the first byte of {packet}"),
            Self::PublishQoS => f.write_str("PUBLISH of QoS 3"),
            Self::DupAtQoS0 => f.write_str("DUP is set at QoS 0"),
            Self::UnsupportedVersion { level } => {
                write!(f, "protocol name and level {level} are not supported")
            }
            Self::Truncated(field) => write!(f, "packet ends in {field}"),
            Self::TrailingBytes => f.write_str("bytes behind the end of the packet"),
            Self::Utf8(field) => write!(f, "{field} is not UTF-8"),
            Self::Nul(field) => write!(f, "{field} holds U+0000"),
            Self::VarInt(field) => write!(f, "variable byte integer of {field} is malformed"),
            Self::ZeroPacketId => f.write_str("packet identifier 0"),
            Self::ReservedConnectFlag => f.write_str("reserved connect flag is set"),
            Self::WillQoS => f.write_str("will QoS 3"),
            Self::WillFlagsWithoutWill => f.write_str("will QoS or retain without will flag"),
            Self::PasswordWithoutUsername => f.write_str("password without user name"),
            Self::ReservedConnAckFlag => f.write_str("reserved acknowledge flag is set"),
            Self::SessionPresentWithError => f.write_str("session present with an error"),
            Self::EmptyList(packet) => write!(f, "{packet} with an empty list"),
            Self::ReservedOptions => f.write_str("reserved subscription option is set"),
            Self::OptionValue => f.write_str("subscription QoS 3 or retain handling 3"),
            Self::Reason { packet, code } => write!(f, "reason code 0x{code:02x} in {packet}"),
            Self::UnknownProperty(id) => write!(f, "unknown property 0x{id:02x}"),
            Self::PropertyNotAllowed(id) => write!(f, "{id} does not belong to this packet"),
            Self::DuplicateProperty(id) => write!(f, "{id} stands twice"),
            Self::PropertyValue(id) => write!(f, "{id} has a value that is not allowed"),
            Self::AuthDataWithoutMethod => {
                f.write_str("authentication data without authentication method")
            }
            Self::AuthWithoutMethod => f.write_str("AUTH without authentication method"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a packet was not written: always a mistake of our own. Nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// Text or binary data of more than 65,535 bytes.
    TooLong(Field),
    /// The body has more than 268,435,455 bytes.
    PacketTooLarge,
    /// The receiver's version has no such packet.
    NotInVersion(PacketType),
    /// A packet identifier at QoS 0, or none above it (MQTT-2.2.1-2 to -4).
    PacketId,
    /// DUP is set though the QoS is 0 (MQTT-3.3.1-2).
    DupAtQoS0,
    /// A password without a user name, in MQTT 3.
    PasswordWithoutUsername,
    /// Session Present in a CONNACK that reports an error (MQTT-3.2.2-6).
    SessionPresentWithError,
    /// A list of filters or reasons with nothing in it.
    EmptyList(PacketType),
    /// The packet cannot carry this reason code ([`PacketType::allows`]).
    Reason {
        /// The packet.
        packet: PacketType,
        /// The code.
        code: u8,
    },
    /// The property must not have this value: 0, or above 268,435,455 for an identifier.
    PropertyValue(PropertyId),
    /// Authentication Data without Authentication Method.
    AuthDataWithoutMethod,
    /// An AUTH with a reason other than success and without Authentication Method.
    AuthWithoutMethod,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(field) => write!(f, "{field} is longer than 65535 bytes"),
            Self::PacketTooLarge => f.write_str("packet is longer than 268435455 bytes"),
            Self::NotInVersion(packet) => write!(f, "{packet} does not exist in this version"),
            Self::PacketId => f.write_str("packet identifier does not go with the QoS"),
            Self::DupAtQoS0 => f.write_str("DUP at QoS 0"),
            Self::PasswordWithoutUsername => f.write_str("password without user name"),
            Self::SessionPresentWithError => f.write_str("session present with an error"),
            Self::EmptyList(packet) => write!(f, "{packet} with an empty list"),
            Self::Reason { packet, code } => write!(f, "reason code 0x{code:02x} in {packet}"),
            Self::PropertyValue(id) => write!(f, "{id} has a value that is not allowed"),
            Self::AuthDataWithoutMethod => {
                f.write_str("authentication data without authentication method")
            }
            Self::AuthWithoutMethod => f.write_str("AUTH without authentication method"),
        }
    }
}

impl std::error::Error for EncodeError {}

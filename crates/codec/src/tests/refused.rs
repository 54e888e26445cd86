//! What must be refused, each line with its clause or case and the reason that the other side
//! is told. Cnn is a corner of the protocol, Snn a security case, [n] a clause of 3.1.1.

use types::ProtocolVersion;

use super::{ALL, V3, V5, V311};
use crate::DecodeError as E;
use crate::DecodeError;
use crate::Field as F;
use crate::PacketType as T;
use crate::PropertyId as P;

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const VERSION: u8 = 0x84;

/// Clause or case, versions, first byte and body, error, reason.
pub(super) type Line = (
    &'static str,
    &'static [ProtocolVersion],
    &'static str,
    DecodeError,
    u8,
);

/// The first byte.
#[rustfmt::skip]
pub(super) const FIRST_BYTE: &[Line] = &[
    ("S06 2.1.2", ALL, "00", E::ReservedType, MALFORMED),
    ("S06 2.1.2", ALL, "0f", E::ReservedType, MALFORMED),
    ("C33 2.1.3-1", ALL, "11", E::HeaderFlags(T::Connect), MALFORMED),
    ("C33 2.1.3-1", ALL, "28 0000", E::HeaderFlags(T::ConnAck), MALFORMED),
    ("C33 2.1.3-1", ALL, "42 0001", E::HeaderFlags(T::PubAck), MALFORMED),
    ("C33 2.1.3-1", ALL, "51 0001", E::HeaderFlags(T::PubRec), MALFORMED),
    ("S16 3.6.1-1", ALL, "60 0001", E::HeaderFlags(T::PubRel), MALFORMED),
    ("S16 3.6.1-1", ALL, "63 0001", E::HeaderFlags(T::PubRel), MALFORMED),
    ("S16 3.6.1-1", &[V311, V5], "6a 0001", E::HeaderFlags(T::PubRel), MALFORMED),
    ("C33 2.1.3-1", ALL, "74 0001", E::HeaderFlags(T::PubComp), MALFORMED),
    ("S16 3.8.1-1", ALL, "80 0001 0001 'a' 00", E::HeaderFlags(T::Subscribe), MALFORMED),
    ("S16 3.8.1-1", V3, "86 0001 0001 'a' 00", E::HeaderFlags(T::Subscribe), MALFORMED),
    ("S16 3.8.1-1", &[V311], "8a 0001 0001 'a' 00", E::HeaderFlags(T::Subscribe), MALFORMED),
    ("S16 3.8.1-1", &[V5], "8a 0001 00 0001 'a' 00", E::HeaderFlags(T::Subscribe), MALFORMED),
    ("C33 2.1.3-1", ALL, "92 0001 00", E::HeaderFlags(T::SubAck), MALFORMED),
    ("S16 3.10.1-1", ALL, "a0 0001 0001 'a'", E::HeaderFlags(T::Unsubscribe), MALFORMED),
    ("S16 3.10.1-1", &[V311], "aa 0001 0001 'a'", E::HeaderFlags(T::Unsubscribe), MALFORMED),
    ("C33 2.1.3-1", ALL, "b2 0001", E::HeaderFlags(T::UnsubAck), MALFORMED),
    ("C33 2.1.3-1", ALL, "c1", E::HeaderFlags(T::PingReq), MALFORMED),
    ("C33 2.1.3-1", ALL, "d8", E::HeaderFlags(T::PingResp), MALFORMED),
    ("3.14.1-1", ALL, "e2", E::HeaderFlags(T::Disconnect), MALFORMED),
    ("C36 3.15.1-1", ALL, "f4", E::HeaderFlags(T::Auth), MALFORMED),
    ("S16 3.3.1-4", ALL, "36 0001 't' 0001", E::PublishQoS, MALFORMED),
    ("S16 3.3.1-4", ALL, "3f 0001 't' 0001", E::PublishQoS, MALFORMED),
    ("S16 3.3.1-2", ALL, "38 0001 't'", E::DupAtQoS0, PROTOCOL),
    ("S16 3.3.1-2", ALL, "39 0001 't'", E::DupAtQoS0, PROTOCOL),
];

#[rustfmt::skip]
pub(super) const CONNECT: &[Line] = &[
    ("S05", ALL, "10", E::Truncated(F::ProtocolName), MALFORMED),
    ("S03", ALL, "10 0004 'MQT'", E::Truncated(F::ProtocolName), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT'", E::Truncated(F::ProtocolLevel), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT' 04", E::Truncated(F::ConnectFlags), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT' 04 02 00", E::Truncated(F::KeepAlive), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT' 04 02 0000", E::Truncated(F::ClientId), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT' 05 02 0000", E::Truncated(F::PropertyLength), MALFORMED),
    ("S17 3.1.2-2", ALL, "10 0004 'MQTT' 06 02", E::UnsupportedVersion { level: 6 }, VERSION),
    ("S17 3.1.2-2", ALL, "10 0004 'MQTT' 03 02", E::UnsupportedVersion { level: 3 }, VERSION),
    ("S17 3.1.2-2", ALL, "10 0004 'MQTT' 86 02", E::UnsupportedVersion { level: 0x86 }, VERSION),
    ("S17 3.1.2-1", ALL, "10 0004 'mqtt' 04 02", E::UnsupportedVersion { level: 4 }, VERSION),
    ("S17 3.1.2-1", ALL, "10 0006 'MQIsdp' 04", E::UnsupportedVersion { level: 4 }, VERSION),
    ("S17 3.1.2-1", ALL, "10 0006 'MQISDP' 03", E::UnsupportedVersion { level: 3 }, VERSION),
    ("S17 3.1.2-1", ALL, "10 0000 05 02", E::UnsupportedVersion { level: 5 }, VERSION),
    ("S17 3.1.2-1", ALL, "10 0002 fffe 05", E::UnsupportedVersion { level: 5 }, VERSION),
    ("C07 3.1.2-3", ALL, "10 0004 'MQTT' 04 03 0000 0001 'a'", E::ReservedConnectFlag, MALFORMED),
    ("C07 3.1.2-3", ALL, "10 0004 'MQTT' 05 03 0000 00 0000", E::ReservedConnectFlag, MALFORMED),
    ("C05 3.1.2-12", ALL, "10 0004 'MQTT' 05 1e 0000 00", E::WillQoS, MALFORMED),
    ("C05 3.1.2-12", ALL, "10 0004 'MQTT' 04 1a 0000", E::WillQoS, MALFORMED),
    ("C05 3.1.2-11", ALL, "10 0004 'MQTT' 05 0a 0000 00", E::WillFlagsWithoutWill, PROTOCOL),
    ("C05 3.1.2-11", ALL, "10 0004 'MQTT' 04 12 0000", E::WillFlagsWithoutWill, PROTOCOL),
    ("C05 3.1.2-13", ALL, "10 0004 'MQTT' 05 22 0000 00", E::WillFlagsWithoutWill, PROTOCOL),
    ("C07 [3.1.2-22]", ALL, "10 0004 'MQTT' 04 42 0000 0001 'a' 0001 'p'", E::PasswordWithoutUsername, PROTOCOL),
    ("C07", ALL, "10 0006 'MQIsdp' 03 42 0000 0001 'a'", E::PasswordWithoutUsername, PROTOCOL),
    ("S12", ALL, "10 0004 'MQTT' 04 02 0000 0002 c080", E::Utf8(F::ClientId), MALFORMED),
    ("S12 1.5.4-2", ALL, "10 0004 'MQTT' 04 02 0000 0002 6100", E::Nul(F::ClientId), MALFORMED),
    ("S12 1.5.4-1", ALL, "10 0004 'MQTT' 04 82 0000 0001 'a' 0003 eda080", E::Utf8(F::Username), MALFORMED),
    ("S12 1.5.4-2", ALL, "10 0004 'MQTT' 04 82 0000 0001 'a' 0001 00", E::Nul(F::Username), MALFORMED),
    ("S12", ALL, "10 0004 'MQTT' 04 06 0000 0001 'a' 0001 ff 0000", E::Utf8(F::WillTopic), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT' 04 06 0000 0001 'a' 0001 't'", E::Truncated(F::WillPayload), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT' 04 82 0000 0001 'a'", E::Truncated(F::Username), MALFORMED),
    ("S05", ALL, "10 0004 'MQTT' 04 c2 0000 0001 'a' 0001 'u' 0002 'p'", E::Truncated(F::Password), MALFORMED),
    ("S05", ALL, "10 0006 'MQIsdp' 03 c2 0000 0001 'a' 00", E::Truncated(F::Username), MALFORMED),
    ("S04", ALL, "10 0004 'MQTT' 04 02 0000 0001 'a' 00", E::TrailingBytes, MALFORMED),
    ("S04", ALL, "10 0004 'MQTT' 05 02 0000 00 0001 'a' 00", E::TrailingBytes, MALFORMED),
    ("S04", ALL, "10 0006 'MQIsdp' 03 02 0000 0001 'a' 00", E::TrailingBytes, MALFORMED),
];

/// Each body is `0004 'MQTT' 05 02 0000`, the properties given here, and `0001 'a'`.
#[rustfmt::skip]
pub(super) const CONNECT_PROPERTIES: &[Line] = &[
    ("S11", &[V5], "04 05 00000000", E::UnknownProperty(0x05), MALFORMED),
    ("S11", &[V5], "02 81 01", E::UnknownProperty(0x81), MALFORMED),
    ("S11", &[V5], "02 01 01", E::PropertyNotAllowed(P::PayloadFormatIndicator), MALFORMED),
    ("S11", &[V5], "03 23 0001", E::PropertyNotAllowed(P::TopicAlias), MALFORMED),
    ("S11", &[V5], "05 18 00000001", E::PropertyNotAllowed(P::WillDelayInterval), MALFORMED),
    ("S11 3.1.2.11.2", &[V5], "0a 11 00000001 11 00000001", E::DuplicateProperty(P::SessionExpiryInterval), PROTOCOL),
    ("S11", &[V5], "06 21 0001 21 0002", E::DuplicateProperty(P::ReceiveMaximum), PROTOCOL),
    ("S11", &[V5], "0a 27 00000001 27 00000001", E::DuplicateProperty(P::MaximumPacketSize), PROTOCOL),
    ("S11", &[V5], "06 22 0001 22 0001", E::DuplicateProperty(P::TopicAliasMaximum), PROTOCOL),
    ("S11", &[V5], "04 19 01 19 01", E::DuplicateProperty(P::RequestResponseInformation), PROTOCOL),
    ("S11", &[V5], "04 17 01 17 01", E::DuplicateProperty(P::RequestProblemInformation), PROTOCOL),
    ("S11", &[V5], "08 15 0001 'm' 15 0001 'm'", E::DuplicateProperty(P::AuthenticationMethod), PROTOCOL),
    ("S11", &[V5], "0a 15 0001 'm' 16 0000 16 0000", E::DuplicateProperty(P::AuthenticationData), PROTOCOL),
    ("C36 3.1.2.11.10", &[V5], "04 16 0001 'd'", E::AuthDataWithoutMethod, PROTOCOL),
    ("C09 3.1.2.11.3", &[V5], "03 21 0000", E::PropertyValue(P::ReceiveMaximum), PROTOCOL),
    ("C10 3.1.2.11.4", &[V5], "05 27 00000000", E::PropertyValue(P::MaximumPacketSize), PROTOCOL),
    ("3.1.2.11.6", &[V5], "02 19 02", E::PropertyValue(P::RequestResponseInformation), PROTOCOL),
    ("3.1.2.11.7", &[V5], "02 17 ff", E::PropertyValue(P::RequestProblemInformation), PROTOCOL),
    ("S05", &[V5], "04 11 000000", E::Truncated(F::Property(P::SessionExpiryInterval)), MALFORMED),
    ("S05", &[V5], "01 26", E::Truncated(F::Property(P::UserProperty)), MALFORMED),
    ("S12", &[V5], "06 26 0001 ff 0000", E::Utf8(F::Property(P::UserProperty)), MALFORMED),
    ("S12 1.5.7-1", &[V5], "06 26 0000 0001 00", E::Nul(F::Property(P::UserProperty)), MALFORMED),
    ("S03", &[V5], "7f", E::Truncated(F::PropertyLength), MALFORMED),
    ("S02 1.5.5-1", &[V5], "8000", E::VarInt(F::PropertyLength), MALFORMED),
    ("S02 1.5.5-1", &[V5], "8080808001", E::VarInt(F::PropertyLength), MALFORMED),
];

#[rustfmt::skip]
pub(super) const CONNACK: &[Line] = &[
    ("S05", V3, "20 00", E::Truncated(F::ReasonCode), MALFORMED),
    ("S05", &[V5], "20 00 00", E::Truncated(F::PropertyLength), MALFORMED),
    ("S04", V3, "20 00 00 00", E::TrailingBytes, MALFORMED),
    ("3.2.2-1", &[V311], "20 02 00", E::ReservedConnAckFlag, MALFORMED),
    ("3.2.2-1", &[V5], "20 80 00 00", E::ReservedConnAckFlag, MALFORMED),
    ("C03 3.2.2-6", &[V5], "20 01 87 00", E::SessionPresentWithError, PROTOCOL),
    ("C03 [3.2.2-4]", &[V311], "20 01 05", E::SessionPresentWithError, PROTOCOL),
    ("3.2.2-8", V3, "20 00 06", E::Reason { packet: T::ConnAck, code: 6, }, PROTOCOL),
    ("3.2.2-8", &[V5], "20 00 01 00", E::Reason { packet: T::ConnAck, code: 1, }, PROTOCOL),
    ("3.2.2-8", &[V5], "20 00 8e 00", E::Reason { packet: T::ConnAck, code: 0x8e, }, PROTOCOL),
    ("C39", &[V5], "20 00 00 02 24 02", E::PropertyValue(P::MaximumQoS), PROTOCOL),
    ("C39", &[V5], "20 00 00 02 25 02", E::PropertyValue(P::RetainAvailable), PROTOCOL),
    ("C39", &[V5], "20 00 00 02 2a 02", E::PropertyValue(P::SharedSubscriptionAvailable), PROTOCOL),
    ("C09", &[V5], "20 00 00 03 21 0000", E::PropertyValue(P::ReceiveMaximum), PROTOCOL),
    ("C10", &[V5], "20 00 00 05 27 00000000", E::PropertyValue(P::MaximumPacketSize), PROTOCOL),
    ("C36", &[V5], "20 00 00 03 16 0000", E::AuthDataWithoutMethod, PROTOCOL),
    ("S11", &[V5], "20 00 00 02 17 00", E::PropertyNotAllowed(P::RequestProblemInformation), MALFORMED),
    ("S11", &[V5], "20 00 00 04 28 01 28 01", E::DuplicateProperty(P::WildcardSubscriptionAvailable), PROTOCOL),
];

#[rustfmt::skip]
pub(super) const PUBLISH: &[Line] = &[
    ("S05", ALL, "30", E::Truncated(F::Topic), MALFORMED),
    ("S03", ALL, "30 0005", E::Truncated(F::Topic), MALFORMED),
    ("S03", ALL, "30 ffff 'abc'", E::Truncated(F::Topic), MALFORMED),
    ("S12 3.3.2-1", ALL, "30 0001 ff", E::Utf8(F::Topic), MALFORMED),
    ("S12 overlong", ALL, "30 0002 c0af", E::Utf8(F::Topic), MALFORMED),
    ("S12 1.5.4-1", ALL, "30 0003 eda080", E::Utf8(F::Topic), MALFORMED),
    ("S12 above U+10FFFF", ALL, "30 0004 f4908080", E::Utf8(F::Topic), MALFORMED),
    ("S12 cut within a character", ALL, "30 0002 'a' c3", E::Utf8(F::Topic), MALFORMED),
    ("S12 1.5.4-2", ALL, "30 0003 'a' 00 'b'", E::Nul(F::Topic), MALFORMED),
    ("S12 1.5.4-2, behind a word", ALL, "30 0012 'abcdefghijklmnopq' 00", E::Nul(F::Topic), MALFORMED),
    ("C24 2.2.1-3", ALL, "32 0001 't' 0000", E::ZeroPacketId, PROTOCOL),
    ("C24 2.2.1-3", ALL, "34 0001 't' 0000 00", E::ZeroPacketId, PROTOCOL),
    ("S05", ALL, "32 0001 't' 00", E::Truncated(F::PacketId), MALFORMED),
    ("S05", &[V5], "30 0001 't'", E::Truncated(F::PropertyLength), MALFORMED),
    ("S03", &[V5], "30 0001 't' 02 01", E::Truncated(F::PropertyLength), MALFORMED),
    ("S02 1.5.5-1", &[V5], "30 0001 't' 8000", E::VarInt(F::PropertyLength), MALFORMED),
    ("S05", &[V5], "30 0001 't' 80", E::Truncated(F::PropertyLength), MALFORMED),
    ("S11", &[V5], "30 0001 't' 02 00 00", E::UnknownProperty(0), MALFORMED),
    ("S11", &[V5], "30 0001 't' 03 21 0001", E::PropertyNotAllowed(P::ReceiveMaximum), MALFORMED),
    ("S11", &[V5], "30 0001 't' 03 1f 0000", E::PropertyNotAllowed(P::ReasonString), MALFORMED),
    ("C31", &[V5], "30 0001 't' 02 01 02", E::PropertyValue(P::PayloadFormatIndicator), PROTOCOL),
    ("C12", &[V5], "30 0001 't' 02 0b 00", E::PropertyValue(P::SubscriptionIdentifier), PROTOCOL),
    ("S02 1.5.5-1", &[V5], "30 0001 't' 03 0b 8100", E::VarInt(F::Property(P::SubscriptionIdentifier)), MALFORMED),
    ("S11", &[V5], "30 0001 't' 04 01 01 01 01", E::DuplicateProperty(P::PayloadFormatIndicator), PROTOCOL),
    ("S11", &[V5], "30 0001 't' 0a 02 00000001 02 00000001", E::DuplicateProperty(P::MessageExpiryInterval), PROTOCOL),
    ("S11", &[V5], "30 0001 't' 06 23 0001 23 0001", E::DuplicateProperty(P::TopicAlias), PROTOCOL),
    ("S11", &[V5], "30 0001 't' 06 08 0000 08 0000", E::DuplicateProperty(P::ResponseTopic), PROTOCOL),
    ("S11", &[V5], "30 0001 't' 06 09 0000 09 0000", E::DuplicateProperty(P::CorrelationData), PROTOCOL),
    ("S11", &[V5], "30 0001 't' 06 03 0000 03 0000", E::DuplicateProperty(P::ContentType), PROTOCOL),
    ("S12", &[V5], "30 0001 't' 04 08 0001 ff", E::Utf8(F::Property(P::ResponseTopic)), MALFORMED),
    ("S12", &[V5], "30 0001 't' 04 03 0001 00", E::Nul(F::Property(P::ContentType)), MALFORMED),
    ("S12", &[V5], "30 0001 't' 06 26 0000 0001 80", E::Utf8(F::Property(P::UserProperty)), MALFORMED),
];

#[rustfmt::skip]
pub(super) const ACKS: &[Line] = &[
    ("S05", ALL, "40", E::Truncated(F::PacketId), MALFORMED),
    ("S05", ALL, "62 00", E::Truncated(F::PacketId), MALFORMED),
    ("C24 2.2.1-3", ALL, "40 0000", E::ZeroPacketId, PROTOCOL),
    ("C24 2.2.1-3", ALL, "50 0000", E::ZeroPacketId, PROTOCOL),
    ("C24 2.2.1-3", ALL, "62 0000", E::ZeroPacketId, PROTOCOL),
    ("C24 2.2.1-3", ALL, "70 0000", E::ZeroPacketId, PROTOCOL),
    ("S04 MQTT 3 has two bytes", V3, "40 0001 00", E::TrailingBytes, MALFORMED),
    ("S04 MQTT 3 has two bytes", V3, "62 0001 00 00", E::TrailingBytes, MALFORMED),
    ("3.4.2.1", &[V5], "40 0001 92", E::Reason { packet: T::PubAck, code: 0x92, }, PROTOCOL),
    ("3.5.2.1", &[V5], "50 0001 01", E::Reason { packet: T::PubRec, code: 0x01, }, PROTOCOL),
    ("3.6.2.1", &[V5], "62 0001 10", E::Reason { packet: T::PubRel, code: 0x10, }, PROTOCOL),
    ("3.7.2.1", &[V5], "70 0001 80", E::Reason { packet: T::PubComp, code: 0x80, }, PROTOCOL),
    ("2.4", &[V5], "40 0001 ff", E::Reason { packet: T::PubAck, code: 0xff, }, PROTOCOL),
    ("S04", &[V5], "40 0001 00 00 00", E::TrailingBytes, MALFORMED),
    ("S03", &[V5], "40 0001 00 01", E::Truncated(F::PropertyLength), MALFORMED),
    ("S11", &[V5], "40 0001 00 06 1f 0000 1f 0000", E::DuplicateProperty(P::ReasonString), PROTOCOL),
    ("S11", &[V5], "70 0001 00 03 1c 0000", E::PropertyNotAllowed(P::ServerReference), MALFORMED),
];

#[rustfmt::skip]
pub(super) const SUBSCRIBE: &[Line] = &[
    ("S05", ALL, "82", E::Truncated(F::PacketId), MALFORMED),
    ("C24 2.2.1-3", ALL, "82 0000 00 0001 'a' 00", E::ZeroPacketId, PROTOCOL),
    ("C26 3.8.3-2", V3, "82 0001", E::EmptyList(T::Subscribe), PROTOCOL),
    ("C26 3.8.3-2", &[V5], "82 0001 00", E::EmptyList(T::Subscribe), PROTOCOL),
    ("S05", &[V5], "82 0001", E::Truncated(F::PropertyLength), MALFORMED),
    ("S05", V3, "82 0001 0001 'a'", E::Truncated(F::SubscriptionOptions), MALFORMED),
    ("S03", V3, "82 0001 0002 'a'", E::Truncated(F::TopicFilter), MALFORMED),
    ("S04", V3, "82 0001 0001 'a' 00 00", E::Truncated(F::TopicFilter), MALFORMED),
    ("C26 [3.8.3-4]", V3, "82 0001 0001 'a' 04", E::ReservedOptions, MALFORMED),
    ("C26 [3.8.3-4]", V3, "82 0001 0001 'a' 03", E::OptionValue, PROTOCOL),
    ("C26 3.8.3-5", &[V5], "82 0001 00 0001 'a' 40", E::ReservedOptions, MALFORMED),
    ("C26 3.8.3-5", &[V5], "82 0001 00 0001 'a' 00 0001 'b' 80", E::ReservedOptions, MALFORMED),
    ("3.8.3.1", &[V5], "82 0001 00 0001 'a' 03", E::OptionValue, PROTOCOL),
    ("C16", &[V5], "82 0001 00 0001 'a' 30", E::OptionValue, PROTOCOL),
    ("S12 3.8.3-1", V3, "82 0001 0001 ff 00", E::Utf8(F::TopicFilter), MALFORMED),
    ("S12 3.8.3-1", &[V5], "82 0001 00 0001 00 00", E::Nul(F::TopicFilter), MALFORMED),
    ("C12", &[V5], "82 0001 02 0b 00 0001 'a' 00", E::PropertyValue(P::SubscriptionIdentifier), PROTOCOL),
    ("C12 3.8.2.1.2", &[V5], "82 0001 04 0b 01 0b 02 0001 'a' 00", E::DuplicateProperty(P::SubscriptionIdentifier), PROTOCOL),
    ("S02", &[V5], "82 0001 06 0b 8080808001 0001 'a' 00", E::VarInt(F::Property(P::SubscriptionIdentifier)), MALFORMED),
    ("S11", &[V5], "82 0001 03 1f 0000 0001 'a' 00", E::PropertyNotAllowed(P::ReasonString), MALFORMED),
    ("C27 3.10.3-2", V3, "a2 0001", E::EmptyList(T::Unsubscribe), PROTOCOL),
    ("C27 3.10.3-2", &[V5], "a2 0001 00", E::EmptyList(T::Unsubscribe), PROTOCOL),
    ("C24 2.2.1-3", ALL, "a2 0000 00 0001 'a'", E::ZeroPacketId, PROTOCOL),
    ("S04", V3, "a2 0001 0001 'a' 00", E::Truncated(F::TopicFilter), MALFORMED),
    ("S12 3.10.3-1", V3, "a2 0001 0001 fe", E::Utf8(F::TopicFilter), MALFORMED),
    ("S11", &[V5], "a2 0001 02 0b 01 0001 'a'", E::PropertyNotAllowed(P::SubscriptionIdentifier), MALFORMED),
];

#[rustfmt::skip]
pub(super) const ANSWERS: &[Line] = &[
    ("C26 3.8.4-6", V3, "90 0001", E::EmptyList(T::SubAck), PROTOCOL),
    ("C26 3.8.4-6", &[V5], "90 0001 00", E::EmptyList(T::SubAck), PROTOCOL),
    ("[3.9.3-2]", V3, "90 0001 03", E::Reason { packet: T::SubAck, code: 3, }, PROTOCOL),
    ("[3.9.3-2]", V3, "90 0001 87", E::Reason { packet: T::SubAck, code: 0x87, }, PROTOCOL),
    ("3.9.3", &[V5], "90 0001 00 11", E::Reason { packet: T::SubAck, code: 0x11, }, PROTOCOL),
    ("3.9.3", &[V5], "90 0001 00 00 03", E::Reason { packet: T::SubAck, code: 3, }, PROTOCOL),
    ("C24 2.2.1-3", ALL, "90 0000 00 00", E::ZeroPacketId, PROTOCOL),
    ("[3.11]", V3, "b0 0001 00", E::TrailingBytes, MALFORMED),
    ("C27 3.11.3", &[V5], "b0 0001 00", E::EmptyList(T::UnsubAck), PROTOCOL),
    ("3.11.3", &[V5], "b0 0001 00 01", E::Reason { packet: T::UnsubAck, code: 1, }, PROTOCOL),
    ("3.11.3", &[V5], "b0 0001 00 97", E::Reason { packet: T::UnsubAck, code: 0x97, }, PROTOCOL),
];

#[rustfmt::skip]
pub(super) const ENDS: &[Line] = &[
    ("S04", ALL, "c0 00", E::TrailingBytes, MALFORMED),
    ("S04", ALL, "d0 00", E::TrailingBytes, MALFORMED),
    ("S04 MQTT 3 has no body", V3, "e0 00", E::TrailingBytes, MALFORMED),
    ("3.14.2-1", &[V5], "e0 01", E::Reason { packet: T::Disconnect, code: 1, }, PROTOCOL),
    ("3.14.2-1", &[V5], "e0 84 00", E::Reason { packet: T::Disconnect, code: 0x84, }, PROTOCOL),
    ("S03", &[V5], "e0 00 05 11", E::Truncated(F::PropertyLength), MALFORMED),
    ("S04", &[V5], "e0 00 00 00", E::TrailingBytes, MALFORMED),
    ("S11", &[V5], "e0 00 0a 11 00000000 11 00000000", E::DuplicateProperty(P::SessionExpiryInterval), PROTOCOL),
    ("S11", &[V5], "e0 00 03 21 0001", E::PropertyNotAllowed(P::ReceiveMaximum), MALFORMED),
    ("MQTT 3 has no AUTH", V3, "f0", E::NotInVersion(T::Auth), PROTOCOL),
    ("MQTT 3 has no AUTH", V3, "f0 18 04 15 0001 'm'", E::NotInVersion(T::Auth), PROTOCOL),
    ("S05", &[V5], "f0 18", E::Truncated(F::PropertyLength), MALFORMED),
    ("C36 3.15.2-1", &[V5], "f0 87 00", E::Reason { packet: T::Auth, code: 0x87, }, PROTOCOL),
    ("C36 3.15.2.2.2", &[V5], "f0 18 00", E::AuthWithoutMethod, PROTOCOL),
    ("C36 3.15.2.2.2", &[V5], "f0 00 03 16 0000", E::AuthDataWithoutMethod, PROTOCOL),
    ("S11 3.15.2.2.2", &[V5], "f0 18 08 15 0001 'm' 15 0001 'm'", E::DuplicateProperty(P::AuthenticationMethod), PROTOCOL),
    ("S04", &[V5], "f0 00 00 00", E::TrailingBytes, MALFORMED),
];

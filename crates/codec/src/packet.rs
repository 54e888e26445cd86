//! One packet model for all versions and both directions.
//!
//! Packets borrow from the bytes they were read from. Fields that a version lacks hold what
//! that version means in the words of 5.0 (a MQTT 3 PUBACK has `ReasonCode::Success`).

use types::{PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions};

use crate::{PacketType, SubscriptionIds, UserProperties};

/// A control packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Packet<'a> {
    /// Client to server, first packet of a connection.
    Connect(Box<Connect<'a>>),
    /// Server to client, the answer to CONNECT.
    ConnAck(Box<ConnAck<'a>>),
    /// A message, either way.
    Publish(Publish<'a>),
    /// QoS 1: taken.
    PubAck(Ack<'a>),
    /// QoS 2, first answer: taken.
    PubRec(Ack<'a>),
    /// QoS 2, second packet of the sender: released.
    PubRel(Ack<'a>),
    /// QoS 2, last answer: done.
    PubComp(Ack<'a>),
    /// Client to server.
    Subscribe(Subscribe<'a>),
    /// Server to client.
    SubAck(ReasonList<'a>),
    /// Client to server.
    Unsubscribe(Unsubscribe<'a>),
    /// Server to client.
    UnsubAck(ReasonList<'a>),
    /// Client to server.
    PingReq,
    /// Server to client.
    PingResp,
    /// Either way; MQTT 3 servers never send it.
    Disconnect(Disconnect<'a>),
    /// Either way, MQTT 5.0 only.
    Auth(Auth<'a>),
}

/// CONNECT (3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Connect<'a> {
    /// The version, from protocol name and level.
    pub version: ProtocolVersion,
    /// Bit 0x80 of the level: the other side is a bridge (Mosquitto's habit).
    pub bridge: bool,
    /// Clean Start (5.0), Clean Session (3).
    pub clean_start: bool,
    /// Keep alive in seconds; 0 is none.
    pub keep_alive: u16,
    /// The client identifier; may be empty.
    pub client_id: &'a str,
    /// The will, if the will flag is set.
    pub will: Option<Will<'a>>,
    /// The user name.
    pub username: Option<&'a str>,
    /// The password: any bytes.
    pub password: Option<&'a [u8]>,
    /// Properties of 5.0.
    pub properties: ConnectProperties<'a>,
}

/// Properties of CONNECT (3.1.2.11).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectProperties<'a> {
    /// Session Expiry Interval in seconds.
    pub session_expiry: Option<u32>,
    /// Receive Maximum; never 0.
    pub receive_maximum: Option<u16>,
    /// Maximum Packet Size; never 0.
    pub maximum_packet_size: Option<u32>,
    /// Topic Alias Maximum.
    pub topic_alias_maximum: Option<u16>,
    /// Request Response Information.
    pub request_response_information: Option<bool>,
    /// Request Problem Information.
    pub request_problem_information: Option<bool>,
    /// User Properties.
    pub user: UserProperties<'a>,
    /// Authentication Method.
    pub authentication_method: Option<&'a str>,
    /// Authentication Data; only with a method.
    pub authentication_data: Option<&'a [u8]>,
}

/// The will of a CONNECT (3.1.3.2 to 3.1.3.4).
#[derive(Clone, Debug, PartialEq)]
pub struct Will<'a> {
    /// Will topic; UTF-8 without NUL, not yet checked as a topic name.
    pub topic: &'a str,
    /// Will payload.
    pub payload: &'a [u8],
    /// Will QoS.
    pub qos: QoS,
    /// Will retain.
    pub retain: bool,
    /// Will Delay Interval in seconds.
    pub delay: Option<u32>,
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
    /// What is passed on unaltered, as for PUBLISH.
    pub forward: Forward<'a>,
}

/// Properties of a message that a server passes on unaltered and in order
/// (MQTT-3.3.2-4, -15, -16, -17, -18, -20).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forward<'a> {
    /// Payload Format Indicator: `true` is UTF-8 text.
    pub payload_is_utf8: Option<bool>,
    /// Content Type.
    pub content_type: Option<&'a str>,
    /// Response Topic; UTF-8 without NUL, not yet checked as a topic name.
    pub response_topic: Option<&'a str>,
    /// Correlation Data.
    pub correlation_data: Option<&'a [u8]>,
    /// User Properties.
    pub user: UserProperties<'a>,
}

/// CONNACK (3.2).
#[derive(Clone, Debug, PartialEq)]
pub struct ConnAck<'a> {
    /// Session Present.
    pub session_present: bool,
    /// The reason. For MQTT 3, encoded by `ReasonCode::connect_return_code`; decoded from a
    /// return code into the matching code of 5.0.
    pub reason: ReasonCode,
    /// Properties of 5.0.
    pub properties: ConnAckProperties<'a>,
}

/// Properties of CONNACK (3.2.2.3). `None` is "not sent".
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // the names are the standard's
pub struct ConnAckProperties<'a> {
    pub session_expiry: Option<u32>,
    pub receive_maximum: Option<u16>,
    pub maximum_qos: Option<QoS>,
    pub retain_available: Option<bool>,
    pub maximum_packet_size: Option<u32>,
    pub assigned_client_id: Option<&'a str>,
    pub topic_alias_maximum: Option<u16>,
    pub reason_string: Option<&'a str>,
    pub user: UserProperties<'a>,
    pub wildcard_subscription_available: Option<bool>,
    pub subscription_ids_available: Option<bool>,
    pub shared_subscription_available: Option<bool>,
    pub server_keep_alive: Option<u16>,
    pub response_information: Option<&'a str>,
    pub server_reference: Option<&'a str>,
    pub authentication_method: Option<&'a str>,
    pub authentication_data: Option<&'a [u8]>,
}

/// PUBLISH (3.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Publish<'a> {
    /// Sent before.
    pub dup: bool,
    /// QoS.
    pub qos: QoS,
    /// Retain flag.
    pub retain: bool,
    /// UTF-8 without NUL, not yet checked as a topic name; empty if an alias stands for it.
    pub topic: &'a str,
    /// Present exactly if QoS is above 0.
    pub packet_id: Option<PacketId>,
    /// Properties of 5.0.
    pub properties: PublishProperties<'a>,
    /// The payload.
    pub payload: &'a [u8],
}

/// Properties of PUBLISH (3.3.2.3). `forward_bytes` does not count when they are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublishProperties<'a> {
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
    /// Topic Alias as sent; 0 and above-maximum are the connection's to refuse.
    pub topic_alias: Option<u16>,
    /// Subscription Identifiers; only a server sends them.
    pub subscription_ids: SubscriptionIds<'a>,
    /// What is passed on unaltered.
    pub forward: Forward<'a>,
    /// The bytes of the properties that are passed on, if they stand in one piece on the wire
    /// (always so when there is neither alias, expiry nor identifier between them; empty if
    /// there are none). Encoding ignores this.
    pub forward_bytes: Option<&'a [u8]>,
}

impl PartialEq for PublishProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            message_expiry,
            topic_alias,
            subscription_ids,
            forward,
            forward_bytes: _,
        } = self;
        *message_expiry == other.message_expiry
            && *topic_alias == other.topic_alias
            && *subscription_ids == other.subscription_ids
            && *forward == other.forward
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ack<'a> {
    /// The packet that is answered.
    pub packet_id: PacketId,
    /// The reason.
    pub reason: ReasonCode,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user: UserProperties<'a>,
}

/// SUBSCRIBE (3.8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscribe<'a> {
    /// The packet identifier.
    pub packet_id: PacketId,
    /// Subscription Identifier: 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// User Properties.
    pub user: UserProperties<'a>,
    /// At least one filter with its options.
    pub filters: SubscribeFilters<'a>,
}

/// UNSUBSCRIBE (3.10).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsubscribe<'a> {
    /// The packet identifier.
    pub packet_id: PacketId,
    /// User Properties.
    pub user: UserProperties<'a>,
    /// At least one filter.
    pub filters: UnsubscribeFilters<'a>,
}

/// The filters of a SUBSCRIBE: encoded, checked once, walked in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SubscribeFilters<'a>(pub(crate) &'a [u8]);

/// The filters of an UNSUBSCRIBE: encoded, checked once, walked in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnsubscribeFilters<'a>(pub(crate) &'a [u8]);

/// One place of a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeFilter<'a> {
    /// UTF-8 without NUL, not yet checked as a filter.
    pub filter: &'a str,
    /// The options.
    pub options: SubscriptionOptions,
}

/// SUBACK (3.9) or UNSUBACK (3.11). MQTT 3's UNSUBACK has no list; it is sent empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReasonList<'a> {
    /// The packet that is answered.
    pub packet_id: PacketId,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user: UserProperties<'a>,
    /// One reason for each filter, in order, as bytes of `ReasonCode` in the words of 5.0.
    /// For MQTT 3 every error is sent as 0x80.
    pub reasons: &'a [u8],
}

/// DISCONNECT (3.14).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disconnect<'a> {
    /// The reason.
    pub reason: ReasonCode,
    /// Session Expiry Interval in seconds; only a client sends it.
    pub session_expiry: Option<u32>,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user: UserProperties<'a>,
    /// Server Reference; only a server sends it.
    pub server_reference: Option<&'a str>,
}

/// AUTH (3.15).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Auth<'a> {
    /// Success, ContinueAuthentication or ReAuthenticate.
    pub reason: ReasonCode,
    /// Authentication Method.
    pub method: Option<&'a str>,
    /// Authentication Data.
    pub data: Option<&'a [u8]>,
    /// Reason String.
    pub reason_string: Option<&'a str>,
    /// User Properties.
    pub user: UserProperties<'a>,
}

impl Packet<'_> {
    /// The packet's type.
    pub fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}

impl ConnAck<'_> {
    /// An answer without properties; no session is present.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            session_present: false,
            reason,
            properties: ConnAckProperties::default(),
        }
    }
}

impl Ack<'_> {
    /// An answer without properties.
    #[inline]
    pub fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self {
            packet_id,
            reason,
            reason_string: None,
            user: UserProperties::default(),
        }
    }
}

impl<'a> ReasonList<'a> {
    /// An answer without properties; `reasons` has one byte for each filter.
    pub fn new(packet_id: PacketId, reasons: &'a [u8]) -> Self {
        Self {
            packet_id,
            reason_string: None,
            user: UserProperties::default(),
            reasons,
        }
    }
}

impl Disconnect<'_> {
    /// A DISCONNECT without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            session_expiry: None,
            reason_string: None,
            user: UserProperties::default(),
            server_reference: None,
        }
    }
}

impl Auth<'_> {
    /// An AUTH without properties.
    pub fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            method: None,
            data: None,
            reason_string: None,
            user: UserProperties::default(),
        }
    }
}

//! What a peer can do wrong after CONNACK, and the one map from an error to its answer.

use types::{ReasonCode, TopicError};

/// An error of the peer that ends its connection (MQTT-4.13.1-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The bytes are no packet; the reason is the decoder's.
    Undecodable(ReasonCode),
    /// A second CONNECT (MQTT-3.1.0-2).
    SecondConnect,
    /// A packet that only servers send.
    ServerOnlyPacket,
    /// PUBLISH without topic and without alias.
    NoTopic,
    /// Alias 0 or above the maximum (MQTT-3.3.2-8, -9).
    TopicAliasOutOfRange,
    /// An alias that stands for nothing.
    UnknownTopicAlias,
    /// A topic name that is none.
    TopicName(TopicError),
    /// A response topic that is no topic name (MQTT-3.3.2-14).
    ResponseTopic,
    /// A client sent a Subscription Identifier in PUBLISH (MQTT-3.3.4-6).
    SubscriptionIdFromClient,
    /// More unacknowledged QoS 1 and 2 messages than the Receive Maximum (MQTT-3.3.4-7).
    ReceiveMaximumExceeded,
    /// DISCONNECT with a session expiry after CONNECT said zero.
    SessionExpiryFromZero,
    /// No Local on a shared subscription (MQTT-3.8.3-4).
    NoLocalOnShared,
    /// AUTH although CONNECT named no authentication method (MQTT-4.12.0-6).
    UnexpectedAuth,
    /// AUTH with another method than CONNECT's (MQTT-4.12.1-1).
    AuthMethodChanged,
    /// More user properties than `limits.user_properties`.
    TooManyProperties,
    /// Nothing arrived for one and a half times the keep alive (MQTT-3.1.2-22).
    KeepAliveTimeout,
    /// The client's Maximum Packet Size leaves no room for an answer that it must get
    /// (MQTT-3.1.2-24).
    NoRoomToAnswer,
    /// PUBLISH to a topic of the server's own, at QoS 0 and without another way to say so.
    NotAuthorized,
}

impl Violation {
    /// The reason of the DISCONNECT that a MQTT 5.0 client gets before the close. MQTT 3
    /// clients see the close alone (C37).
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::Undecodable(reason) => reason,
            Self::SecondConnect
            | Self::ServerOnlyPacket
            | Self::NoTopic
            | Self::UnknownTopicAlias
            | Self::SubscriptionIdFromClient
            | Self::SessionExpiryFromZero
            | Self::NoLocalOnShared
            | Self::UnexpectedAuth
            | Self::AuthMethodChanged => ReasonCode::ProtocolError,
            Self::ResponseTopic | Self::TopicName(_) => ReasonCode::TopicNameInvalid,
            Self::TopicAliasOutOfRange => ReasonCode::TopicAliasInvalid,
            Self::ReceiveMaximumExceeded => ReasonCode::ReceiveMaximumExceeded,
            Self::TooManyProperties => ReasonCode::QuotaExceeded,
            Self::NoRoomToAnswer => ReasonCode::PacketTooLarge,
            Self::KeepAliveTimeout => ReasonCode::KeepAliveTimeout,
            Self::NotAuthorized => ReasonCode::NotAuthorized,
        }
    }

    /// What to tell the client in a Reason String: plain words, naming the culprit.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Undecodable(_) => "the packet could not be decoded",
            Self::SecondConnect => "a second CONNECT on one connection",
            Self::ServerOnlyPacket => "a packet that only servers send",
            Self::NoTopic => "PUBLISH without topic and without topic alias",
            Self::TopicAliasOutOfRange => "topic alias is 0 or above the server's maximum",
            Self::UnknownTopicAlias => "topic alias was never set on this connection",
            Self::TopicName(TopicError::TooManyLevels) => "topic has too many levels",
            Self::TopicName(TopicError::ControlCharacter) => "topic has a control character",
            Self::TopicName(_) => "not a topic name",
            Self::ResponseTopic => "response topic is not a topic name",
            Self::SubscriptionIdFromClient => "clients do not send subscription identifiers",
            Self::ReceiveMaximumExceeded => "more unacknowledged messages than receive maximum",
            Self::SessionExpiryFromZero => "session expiry was zero at CONNECT and stays so",
            Self::NoLocalOnShared => "No Local on a shared subscription",
            Self::UnexpectedAuth => "AUTH without an authentication method in CONNECT",
            Self::AuthMethodChanged => "AUTH with another method than CONNECT's",
            Self::TooManyProperties => "too many user properties",
            Self::KeepAliveTimeout => "nothing received within one and a half keep alives",
            Self::NoRoomToAnswer => "the answer is above the client's maximum packet size",
            Self::NotAuthorized => "not authorized",
        }
    }
}

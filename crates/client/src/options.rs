//! What a client says of itself when it connects and when it leaves.

use std::time::Duration;

use codec::{Connect, ConnectProperties, Forward, UserPropertiesBuf};
use types::{ProtocolVersion, QoS, ReasonCode};

use crate::message::MessageProperties;

/// Everything about a session that is known before it connects.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectOptions {
    /// The version to speak.
    pub version: ProtocolVersion,
    /// The client identifier. Empty: the server assigns one, which MQTT 3.1 does not know and
    /// MQTT 3.1.1 allows only with a clean session (MQTT-3.1.3-6, 3.1.1: MQTT-3.1.3-7).
    pub client_id: String,
    /// Clean Start (5.0), Clean Session (3).
    pub clean_start: bool,
    /// Keep alive in seconds; 0 is none. A server may overrule it (MQTT-3.1.2-21).
    pub keep_alive: u16,
    /// The user name.
    pub username: Option<String>,
    /// The password: any bytes.
    pub password: Option<Vec<u8>>,
    /// The message that the server sends if this client vanishes.
    pub will: Option<Will>,
    /// Session Expiry Interval in seconds (5.0).
    pub session_expiry: Option<u32>,
    /// Receive Maximum that is announced (5.0); a server that exceeds it is left with 0x93.
    pub receive_maximum: Option<u16>,
    /// Topic Alias Maximum that is announced (5.0).
    pub topic_alias_maximum: Option<u16>,
    /// Request Response Information (5.0).
    pub request_response_information: Option<bool>,
    /// Request Problem Information (5.0).
    pub request_problem_information: Option<bool>,
    /// User Properties of CONNECT (5.0).
    pub user: UserPropertiesBuf,
    /// Authentication Method of CONNECT (5.0).
    pub authentication_method: Option<String>,
    /// Authentication Data of CONNECT (5.0); only with a method.
    pub authentication_data: Option<Vec<u8>>,
    /// What is said when the server asks to continue the authentication.
    pub auth: AuthAnswer,
    /// Bounds of the client itself.
    pub limits: ClientLimits,
    /// Whether every packet is told as an [`Event::Packet`](crate::Event::Packet).
    pub trace: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            version: ProtocolVersion::V5,
            client_id: String::new(),
            clean_start: true,
            keep_alive: 60,
            username: None,
            password: None,
            will: None,
            session_expiry: None,
            receive_maximum: None,
            topic_alias_maximum: None,
            request_response_information: None,
            request_problem_information: None,
            user: UserPropertiesBuf::new(),
            authentication_method: None,
            authentication_data: None,
            auth: AuthAnswer::default(),
            limits: ClientLimits::default(),
            trace: false,
        }
    }
}

impl ConnectOptions {
    /// The CONNECT that these options make.
    pub(crate) fn packet(&self) -> Connect<'_> {
        Connect {
            version: self.version,
            bridge: false,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_id: &self.client_id,
            will: self.will.as_ref().map(Will::packet),
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            properties: ConnectProperties {
                session_expiry: self.session_expiry,
                receive_maximum: self.receive_maximum,
                maximum_packet_size: self.limits.announced_packet_size,
                topic_alias_maximum: self.topic_alias_maximum,
                request_response_information: self.request_response_information,
                request_problem_information: self.request_problem_information,
                user: self.user.as_borrowed(),
                authentication_method: self.authentication_method.as_deref(),
                authentication_data: self.authentication_data.as_deref(),
            },
        }
    }
}

/// The will of a client (3.1.2.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Will {
    /// Will topic.
    pub topic: String,
    /// Will payload.
    pub payload: Vec<u8>,
    /// Will QoS.
    pub qos: QoS,
    /// Will retain.
    pub retain: bool,
    /// Will Delay Interval in seconds (5.0).
    pub delay: Option<u32>,
    /// Other properties (5.0); a topic alias is not among those of a will and is left out.
    pub properties: MessageProperties,
}

impl Will {
    fn packet(&self) -> codec::Will<'_> {
        codec::Will {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            delay: self.delay,
            message_expiry: self.properties.message_expiry,
            forward: self.properties.forward(),
        }
    }
}

impl MessageProperties {
    pub(crate) fn forward(&self) -> Forward<'_> {
        Forward {
            payload_is_utf8: self.payload_is_utf8,
            content_type: self.content_type.as_deref(),
            response_topic: self.response_topic.as_deref(),
            correlation_data: self.correlation_data.as_deref(),
            user: self.user.as_borrowed(),
        }
    }
}

/// What a client answers to AUTH: always the same, which is enough for methods of one step
/// (MQTT-4.12.0-3; the method is that of CONNECT, MQTT-4.12.0-5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthAnswer {
    /// Authentication Data.
    pub data: Option<Vec<u8>>,
    /// User Properties.
    pub user: UserPropertiesBuf,
}

/// What a client says when it leaves. MQTT 3 knows none of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DisconnectOptions {
    /// Success, or DisconnectWithWill to have the will sent all the same.
    pub reason: ReasonCode,
    /// Session Expiry Interval in seconds, if it is to change.
    pub session_expiry: Option<u32>,
    /// User Properties.
    pub user: UserPropertiesBuf,
}

impl Default for DisconnectOptions {
    fn default() -> Self {
        Self {
            reason: ReasonCode::Success,
            session_expiry: None,
            user: UserPropertiesBuf::new(),
        }
    }
}

/// Bounds of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientLimits {
    /// Largest packet taken, in bytes. Larger: the connection ends with 0x95.
    pub packet_size: u32,
    /// Maximum Packet Size that is announced (5.0), in bytes. Larger: the server drops the
    /// message.
    pub announced_packet_size: Option<u32>,
    /// Most messages that wait to be sent. More: `RequestError::QueueFull`.
    pub waiting: usize,
    /// Most QoS 1 and 2 messages on their way, if the server does not want fewer
    /// (MQTT-3.3.4-7). More wait.
    pub inflight: u16,
    /// Longest time from an open link to CONNACK. Longer: the connection ends.
    pub connect_deadline: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            packet_size: codec::VARINT_MAX,
            announced_packet_size: None,
            waiting: 1024,
            inflight: 100,
            connect_deadline: Duration::from_secs(30),
        }
    }
}

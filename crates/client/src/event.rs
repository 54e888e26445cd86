//! What a session has to tell.

use codec::{DecodeError, EncodeError};
use types::{LinkEnd, ReasonCode, Ticket};

use crate::message::Received;

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The server accepted the connection.
    Connected(Box<Connected>),
    /// A message arrived. It is acknowledged already, as far as it is to be.
    Message(Box<Received>),
    /// A message that was handed to `publish` has reached the end of its way: QoS 0 is
    /// written out, QoS 1 and 2 are acknowledged.
    Published {
        /// What `publish` gave.
        ticket: Ticket,
        /// How it ended.
        result: PublishResult,
    },
    /// The server answered a SUBSCRIBE.
    Subscribed {
        /// What `subscribe` gave.
        ticket: Ticket,
        /// A reason for each filter, in order (MQTT-3.8.4-6).
        reasons: Vec<ReasonCode>,
    },
    /// The server answered an UNSUBSCRIBE.
    Unsubscribed {
        /// What `unsubscribe` gave.
        ticket: Ticket,
        /// A reason for each filter, in order; all success from a server of MQTT 3.
        reasons: Vec<ReasonCode>,
    },
    /// A packet was sent or received; only if `ConnectOptions::trace` is set.
    Packet {
        /// Which way.
        direction: Direction,
        /// Name and main fields, for people.
        text: String,
    },
    /// The connection is over: what is left of the output may be written, then the link is to
    /// be closed. The session keeps what it needs to go on with another link.
    Closed(CloseReason),
}

/// What CONNACK said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connected {
    /// The server has a session of this client.
    pub session_present: bool,
    /// The client identifier that the server assigned.
    pub assigned_client_id: Option<String>,
    /// Session Expiry Interval in seconds, if the server overruled ours.
    pub session_expiry: Option<u32>,
    /// Keep alive in seconds, if the server overruled ours.
    pub server_keep_alive: Option<u16>,
    /// Response Information.
    pub response_information: Option<String>,
}

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// How a message that was to be published ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishResult {
    /// Success, or NoMatchingSubscribers.
    Done(ReasonCode),
    /// The server acknowledged it with an error.
    Refused {
        /// The error.
        reason: ReasonCode,
        /// Reason String.
        text: Option<String>,
    },
    /// The server said at connect that it does not take such a message: it was not sent.
    NotSent(NotSent),
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// Larger than the server's Maximum Packet Size (MQTT-3.2.2-15).
    TooLarge {
        /// Bytes of the packet.
        size: usize,
        /// The server's limit in bytes.
        limit: u32,
    },
    /// Above the server's Maximum QoS (MQTT-3.2.2-11).
    QoS,
    /// The server does not retain (MQTT-3.2.2-14).
    Retain,
    /// Topic alias 0, or above the server's Topic Alias Maximum (MQTT-3.2.2-17).
    TopicAlias,
    /// It cannot be put into a packet.
    Encode(EncodeError),
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// `disconnect` was called and everything is written.
    Done,
    /// CONNACK with an error.
    Refused {
        /// The error; for MQTT 3, the matching one of 5.0.
        reason: ReasonCode,
        /// Reason String.
        text: Option<String>,
        /// Server Reference.
        server_reference: Option<String>,
    },
    /// The server sent DISCONNECT.
    Disconnected {
        /// Why.
        reason: ReasonCode,
        /// Reason String.
        text: Option<String>,
        /// Server Reference.
        server_reference: Option<String>,
    },
    /// The link ended by itself.
    Link(LinkEnd),
    /// The server sent what is not a packet.
    Malformed(DecodeError),
    /// The server sent a packet that it must not send here.
    Violation(Violation),
    /// No CONNACK in time.
    ConnectDeadline,
    /// The server does not answer PINGREQ.
    KeepAlive,
    /// A packet of ours could not be written: a mistake in what the caller gave.
    Encode(EncodeError),
}

/// What a server did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A packet before CONNACK that is neither CONNACK nor AUTH (MQTT-3.2.0-1).
    BeforeConnAck,
    /// A packet that only clients send, or a second CONNACK (MQTT-3.2.0-2).
    UnexpectedPacket,
    /// AUTH though no method was asked for (MQTT-4.12.0-6).
    UnexpectedAuth,
    /// Session Present after a clean start (MQTT-3.2.2-2).
    SessionPresent,
    /// Topic alias 0, above our maximum, or without a topic that it stands for (3.3.2.3.4).
    TopicAlias,
    /// An empty topic without an alias, or a wildcard in it (MQTT-3.3.2-2).
    TopicName,
    /// More QoS 2 messages on their way than our Receive Maximum (MQTT-3.3.4-9).
    ReceiveMaximum,
    /// SUBACK or UNSUBACK with another number of reasons than there were filters
    /// (MQTT-3.8.4-6), or one that nothing waits for.
    Acknowledgement,
}

impl Violation {
    /// What the server is told in DISCONNECT.
    pub fn reason(self) -> ReasonCode {
        match self {
            Self::TopicAlias => ReasonCode::TopicAliasInvalid,
            Self::TopicName => ReasonCode::TopicNameInvalid,
            Self::ReceiveMaximum => ReasonCode::ReceiveMaximumExceeded,
            Self::BeforeConnAck
            | Self::UnexpectedPacket
            | Self::UnexpectedAuth
            | Self::SessionPresent
            | Self::Acknowledgement => ReasonCode::ProtocolError,
        }
    }
}

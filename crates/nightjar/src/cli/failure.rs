//! What `pub` and `sub` tell people when something fails, and their exit codes.
//!
//! Codes are Mosquitto's: that of CONNACK if the server refuses the connection (1 to 5 for
//! MQTT 3, 128 to 162 for 5.0), else 1; 7 if the connection is lost; 27 if `-W` ends it.

use std::fmt;
use std::process::ExitCode;

use client::{CloseReason, ConnectError, NotSent, RequestError};
use types::{LinkEnd, ProtocolVersion, ReasonCode};

/// Why a command ends without success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One line for people; empty if there is nothing to say.
    pub(crate) message: String,
    /// The exit code.
    pub(crate) code: u8,
}

impl Failure {
    /// Anything that has no code of its own.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
        }
    }

    /// `-W` ended it (27).
    pub(crate) fn timeout() -> Self {
        Self {
            message: "Timed out".to_owned(),
            code: 27,
        }
    }

    /// Says what is to be said and gives the exit code.
    pub(crate) fn report(&self, quiet: bool) -> ExitCode {
        if !quiet && !self.message.is_empty() {
            eprintln!("{}", self.message);
        }
        ExitCode::from(self.code)
    }

    /// A connection that could not be made.
    pub(crate) fn connect(error: &ConnectError) -> Self {
        let advice = match error {
            ConnectError::Connect { error, .. } => match error.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    "; is the server running? Start it with `nightjar`"
                }
                std::io::ErrorKind::TimedOut => "; does a firewall stand in between?",
                _ => "",
            },
            ConnectError::Resolve { .. } => "; is the name after -h right?",
            ConnectError::NoAddress { .. } => {
                "; an address after -A must be of the same family as the server's"
            }
            ConnectError::Thread(_) => "",
        };
        Self::new(format!("Error: {error}{advice}"))
    }

    /// A connection that ended.
    pub(crate) fn closed(reason: &CloseReason, version: ProtocolVersion) -> Self {
        match reason {
            CloseReason::Refused {
                reason,
                text,
                server_reference,
            } => Self {
                message: format!(
                    "Error: the server refused the connection: {}{}{}{}",
                    reason.as_str(),
                    detail(text.as_deref()),
                    reference(server_reference.as_deref()),
                    refusal_advice(*reason),
                ),
                code: match version {
                    ProtocolVersion::V5 => reason.byte(),
                    ProtocolVersion::V31 | ProtocolVersion::V311 => reason.connect_return_code(),
                },
            },
            CloseReason::Disconnected {
                reason,
                text,
                server_reference,
            } => Self {
                message: format!(
                    "Error: the server ended the connection: {}{}{}",
                    reason.as_str(),
                    detail(text.as_deref()),
                    reference(server_reference.as_deref()),
                ),
                code: reason.byte().max(1),
            },
            CloseReason::Link(LinkEnd::Eof) => Self {
                message: "Error: the server closed the connection".to_owned(),
                code: CONNECTION_LOST,
            },
            CloseReason::Link(LinkEnd::Error) => Self {
                message: "Error: the connection broke".to_owned(),
                code: CONNECTION_LOST,
            },
            CloseReason::KeepAlive => Self {
                message: "Error: the server does not answer any more".to_owned(),
                code: CONNECTION_LOST,
            },
            CloseReason::ConnectDeadline => Self {
                message: "Error: the server did not answer CONNECT; does it speak MQTT on this \
                          port?"
                    .to_owned(),
                code: CONNECTION_LOST,
            },
            CloseReason::Malformed(error) => Self::new(format!(
                "Error: what the server sent is not MQTT: {error}; is the port right?"
            )),
            CloseReason::Violation(violation) => Self::new(format!(
                "Error: the server broke the protocol: {violation:?}"
            )),
            CloseReason::Encode(error) => Self::new(format!("Error: cannot connect: {error}")),
            CloseReason::Done => Self {
                message: String::new(),
                code: 0,
            },
        }
    }

    /// A request that was not taken.
    pub(crate) fn request(error: &RequestError) -> Self {
        Self::new(format!("Error: {error}"))
    }

    /// A message that the server refused.
    pub(crate) fn refused(reason: ReasonCode, text: Option<&str>) -> Self {
        Self {
            message: format!(
                "Error: the server refused the message: {}{}",
                reason.as_str(),
                detail(text)
            ),
            code: reason.byte(),
        }
    }

    /// A message that was not sent.
    pub(crate) fn not_sent(why: NotSent) -> Self {
        let why = match why {
            NotSent::TooLarge { size, limit } => {
                format!("its packet has {size} bytes, the server takes {limit}")
            }
            NotSent::QoS => "the server does not support this QoS; try a lower -q".to_owned(),
            NotSent::Retain => "the server does not retain messages; try without -r".to_owned(),
            NotSent::TopicAlias => "the server does not take this topic alias".to_owned(),
            NotSent::Encode(error) => error.to_string(),
        };
        Self::new(format!("Error: the message was not sent: {why}"))
    }
}

/// Whether a connection that ended like this may be tried again: what a person has to mend
/// first is not, and a client that was taken over would take over in turn.
pub(crate) fn may_retry(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Link(_) | CloseReason::KeepAlive | CloseReason::ConnectDeadline => true,
        CloseReason::Refused { reason, .. } | CloseReason::Disconnected { reason, .. } => matches!(
            reason,
            ReasonCode::Success
                | ReasonCode::UnspecifiedError
                | ReasonCode::ServerUnavailable
                | ReasonCode::ServerBusy
                | ReasonCode::ServerShuttingDown
                | ReasonCode::KeepAliveTimeout
                | ReasonCode::QuotaExceeded
                | ReasonCode::AdministrativeAction
                | ReasonCode::ConnectionRateExceeded
                | ReasonCode::MaximumConnectTime
        ),
        CloseReason::Done
        | CloseReason::Malformed(_)
        | CloseReason::Violation(_)
        | CloseReason::Encode(_) => false,
    }
}

fn refusal_advice(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized => {
            "; check -u and -P, and what the server allows this user"
        }
        ReasonCode::UnsupportedProtocolVersion => "; try another -V",
        ReasonCode::ClientIdentifierNotValid => "; try another -i",
        _ => "",
    }
}

fn detail(text: Option<&str>) -> String {
    text.map(|text| format!(" ({})", Printable(text)))
        .unwrap_or_default()
}

fn reference(server: Option<&str>) -> String {
    server
        .map(|server| format!(", use {}", Printable(server)))
        .unwrap_or_default()
}

/// Text of a server without what could steer a terminal.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .filter(|c| !c.is_control())
            .try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

const CONNECTION_LOST: u8 = 7;

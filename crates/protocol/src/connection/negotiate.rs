//! What a CONNECT asks for against what the server grants (3.1, 3.2).

use std::time::Duration;

use codec::Connect;
use types::{Limits, ProtocolVersion, ReasonCode, TopicName};

/// What a CONNECT comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The version that both speak.
    pub version: ProtocolVersion,
    /// Keep alive in force, in seconds; 0 is off.
    pub keep_alive: u16,
    /// Whether the keep alive differs from what the client asked for (MQTT-3.2.2-21).
    pub keep_alive_imposed: bool,
    /// How long the session outlives the connection.
    pub session_expiry: Duration,
    /// Whether the session expiry differs from what the client asked for.
    pub session_expiry_imposed: bool,
    /// Most QoS 1 and 2 messages outstanding towards the client.
    pub window: u16,
    /// Most QoS 1 and 2 messages outstanding from the client.
    pub receive_maximum: u16,
    /// Largest packet towards the client, in bytes. It is the client's word alone: what the
    /// server has taken in may grow on its way out, by a Subscription Identifier or an alias.
    pub packet_size: u32,
    /// Highest alias that the client may use.
    pub topic_alias_maximum_in: u16,
    /// Highest alias that the server may use.
    pub topic_alias_maximum_out: u16,
    /// Request Problem Information.
    pub problem_information: bool,
    /// Request Response Information.
    pub response_information: bool,
}

/// A CONNECT that is answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason in CONNACK.
    pub reason: ReasonCode,
    /// Plain words for the log and for the Reason String.
    pub why: &'static str,
}

/// Never expires, on the wire (3.1.2.11.2).
const FOREVER: u32 = u32::MAX;

/// Checks a decoded CONNECT against the rules that need no more than the packet and the
/// limits, and works out what is agreed.
pub fn negotiate(connect: &Connect<'_>, limits: &Limits) -> Result<Negotiated, Refusal> {
    check_client_id(connect)?;
    check_will(connect, limits)?;
    if connect.properties.user.len() > usize::from(limits.user_properties) {
        return Err(Refusal {
            reason: ReasonCode::QuotaExceeded,
            why: "too many user properties in CONNECT",
        });
    }
    let (session_expiry, session_expiry_imposed) = session_expiry(connect, limits);
    let keep_alive = match limits.keep_alive {
        0 => connect.keep_alive,
        cap if connect.keep_alive == 0 => cap,
        cap => connect.keep_alive.min(cap),
    };
    let five = connect.version.has_properties();
    // MQTT 3 cannot be told of another keep alive; it keeps what it asked for.
    let keep_alive = if five { keep_alive } else { connect.keep_alive };
    let properties = &connect.properties;
    Ok(Negotiated {
        version: connect.version,
        keep_alive,
        keep_alive_imposed: keep_alive != connect.keep_alive,
        session_expiry,
        session_expiry_imposed,
        window: properties
            .receive_maximum
            .unwrap_or(u16::MAX)
            .min(limits.inflight.max(1)),
        receive_maximum: limits.receive_maximum.max(1),
        packet_size: properties.maximum_packet_size.unwrap_or(u32::MAX),
        topic_alias_maximum_in: if five { limits.topic_alias_maximum } else { 0 },
        topic_alias_maximum_out: properties
            .topic_alias_maximum
            .unwrap_or(0)
            .min(limits.topic_alias_out),
        problem_information: properties.request_problem_information.unwrap_or(true),
        response_information: properties.request_response_information.unwrap_or(false),
    })
}

/// MQTT 3 lets a client go without an identifier only for a clean session
/// (3.1.1: MQTT-3.1.3-7, -8); 5.0 assigns one (MQTT-3.1.3-6).
fn check_client_id(connect: &Connect<'_>) -> Result<(), Refusal> {
    let refused = |why| {
        Err(Refusal {
            reason: ReasonCode::ClientIdentifierNotValid,
            why,
        })
    };
    if connect.client_id.is_empty() {
        return match connect.version {
            ProtocolVersion::V5 => Ok(()),
            ProtocolVersion::V311 if connect.clean_start => Ok(()),
            ProtocolVersion::V311 => refused("an empty client id needs a clean session"),
            ProtocolVersion::V31 => refused("MQTT 3.1 needs a client id"),
        };
    }
    // Control characters would reach logs and topics of presence events (S13).
    if connect.client_id.chars().any(char::is_control) {
        return refused("the client id has a control character");
    }
    Ok(())
}

/// The will is a message like any other and is checked before it can ever be needed.
fn check_will(connect: &Connect<'_>, limits: &Limits) -> Result<(), Refusal> {
    let Some(will) = &connect.will else {
        return Ok(());
    };
    if TopicName::parse(will.topic, limits.topic_levels).is_err() {
        return Err(Refusal {
            reason: ReasonCode::TopicNameInvalid,
            why: "the will topic is not a topic name",
        });
    }
    if let Some(topic) = will.forward.response_topic
        && TopicName::parse(topic, limits.topic_levels).is_err()
    {
        return Err(Refusal {
            reason: ReasonCode::TopicNameInvalid,
            why: "the will's response topic is not a topic name",
        });
    }
    if will.forward.user.len() > usize::from(limits.user_properties) {
        return Err(Refusal {
            reason: ReasonCode::QuotaExceeded,
            why: "too many user properties in the will",
        });
    }
    Ok(())
}

fn session_expiry(connect: &Connect<'_>, limits: &Limits) -> (Duration, bool) {
    if !connect.version.has_properties() {
        let lasting = if connect.clean_start {
            Duration::ZERO
        } else {
            limits.v3_session_expiry
        };
        return (lasting, false);
    }
    let asked = connect.properties.session_expiry.unwrap_or(0);
    cap_session_expiry(asked, limits)
}

/// A session expiry in seconds as asked for, capped; whether it was capped.
pub fn cap_session_expiry(asked: u32, limits: &Limits) -> (Duration, bool) {
    let wanted = if asked == FOREVER {
        Duration::MAX
    } else {
        Duration::from_secs(u64::from(asked))
    };
    if wanted > limits.session_expiry {
        (limits.session_expiry, true)
    } else {
        (wanted, false)
    }
}

/// A session expiry in whole seconds for the wire.
pub fn session_expiry_seconds(expiry: Duration) -> u32 {
    u32::try_from(expiry.as_secs()).unwrap_or(FOREVER)
}

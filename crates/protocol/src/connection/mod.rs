//! The life of a socket after its CONNECT was accepted: what was agreed, and what is held
//! against it.

pub mod aliases;
pub mod negotiate;
pub mod violation;

use std::time::Duration;

use types::{ProtocolVersion, QoS, ReasonCode, Time};

use self::aliases::{AliasesIn, AliasesOut};
use self::negotiate::Negotiated;
use self::violation::Violation;

/// One open connection: the agreements of its CONNECT and the state that dies with it.
#[derive(Debug)]
pub struct Connection {
    version: ProtocolVersion,
    keep_alive: u16,
    problem_information: bool,
    /// Most QoS 1 and 2 messages that may be outstanding towards the client.
    window: u16,
    /// Largest packet that the client takes.
    packet_size: u32,
    /// Most QoS 1 and 2 messages that the client may have outstanding, as it was told.
    receive_maximum: u16,
    /// QoS 2 messages from the client that are not released.
    unreleased: u16,
    /// The topics that stand behind the client's aliases.
    pub aliases_in: AliasesIn,
    /// The aliases that the server uses towards the client.
    pub aliases_out: AliasesOut,
}

impl Connection {
    /// A connection as it was agreed on. `window` is the lower of the client's Receive
    /// Maximum and the server's own bound on inflight messages.
    pub fn new(agreed: &Negotiated) -> Self {
        Self {
            version: agreed.version,
            keep_alive: agreed.keep_alive,
            problem_information: agreed.problem_information,
            window: agreed.window,
            packet_size: agreed.packet_size,
            receive_maximum: agreed.receive_maximum,
            unreleased: 0,
            aliases_in: AliasesIn::new(agreed.topic_alias_maximum_in),
            aliases_out: AliasesOut::new(agreed.topic_alias_maximum_out),
        }
    }

    /// The protocol version.
    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Most QoS 1 and 2 messages outstanding towards the client (MQTT-3.3.4-9).
    pub fn window(&self) -> usize {
        usize::from(self.window)
    }

    /// Largest packet that may be sent to the client, in bytes (MQTT-3.1.2-24).
    pub fn packet_size(&self) -> usize {
        usize::try_from(self.packet_size).unwrap_or(usize::MAX)
    }

    /// Whether reason strings and user properties may be sent on packets other than PUBLISH,
    /// CONNACK and DISCONNECT (MQTT-3.1.2-29).
    pub fn problem_information(&self) -> bool {
        self.problem_information
    }

    /// Most aliases that the server may use towards the client (MQTT-3.1.2-26).
    pub fn aliases(&self) -> u16 {
        self.aliases_out.maximum()
    }

    /// Keep alive in seconds; 0 is off.
    pub fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    /// When the connection counts as dead if nothing arrives after `last_received`: one and a
    /// half times the keep alive (MQTT-3.1.2-22). `None` if keep alive is off.
    pub fn keep_alive_deadline(&self, last_received: Time) -> Option<Time> {
        if self.keep_alive == 0 {
            return None;
        }
        let grace = Duration::from_millis(u64::from(self.keep_alive).saturating_mul(1500));
        Some(last_received + grace)
    }

    /// Takes in a QoS 1 or 2 message from the client. Only QoS 2 is counted: QoS 1 is
    /// acknowledged in the turn in which it arrives.
    ///
    /// # Errors
    /// A MQTT 5.0 client that goes beyond the Receive Maximum that it was told
    /// (MQTT-3.3.4-7). What an earlier connection left does not count (4.9).
    pub fn begin_receive(&mut self, qos: QoS) -> Result<(), Violation> {
        if self.unreleased >= self.receive_maximum && self.version.has_properties() {
            return Err(Violation::ReceiveMaximumExceeded);
        }
        if qos == QoS::ExactlyOnce {
            self.unreleased = self.unreleased.saturating_add(1);
        }
        Ok(())
    }

    /// A QoS 2 message of [`Connection::begin_receive`] is done: PUBCOMP, or PUBREC with an
    /// error. Messages of an earlier connection were not counted here, so the count stops at
    /// zero.
    pub fn end_receive(&mut self) {
        self.unreleased = self.unreleased.saturating_sub(1);
    }

    /// Checks the session expiry of a DISCONNECT: it may not become more than zero if CONNECT
    /// said zero (3.14.2.2.2).
    pub fn check_disconnect_expiry(
        at_connect: Duration,
        asked: Option<u32>,
    ) -> Result<(), Violation> {
        if at_connect.is_zero() && asked.is_some_and(|seconds| seconds > 0) {
            return Err(Violation::SessionExpiryFromZero);
        }
        Ok(())
    }
}

/// Whether a DISCONNECT of the client takes its will along: only the normal one does
/// (MQTT-3.14.4-3); 0x04 and every error keep it.
pub fn disconnect_discards_will(reason: ReasonCode) -> bool {
    reason == ReasonCode::Success
}

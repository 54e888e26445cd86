//! What the server allows on one link.

use std::time::Duration;

use codec::{ConnAckProperties, Packet};
use types::{ProtocolVersion, QoS};

use crate::event::NotSent;
use crate::message::Message;
use crate::options::ConnectOptions;

/// What the server allows on this link.
#[derive(Debug)]
pub(super) struct Granted {
    /// Receive Maximum, but no more than our own limit.
    pub(super) inflight: u16,
    packet_size: u32,
    qos: QoS,
    retain: bool,
    topic_alias_maximum: u16,
    /// Zero is none.
    pub(super) keep_alive: Duration,
}

impl Granted {
    pub(super) fn new(options: &ConnectOptions) -> Self {
        Self {
            inflight: options.limits.inflight.max(1),
            packet_size: u32::MAX,
            qos: QoS::ExactlyOnce,
            retain: true,
            topic_alias_maximum: 0,
            keep_alive: Duration::from_secs(options.keep_alive.into()),
        }
    }

    /// What CONNACK says (3.2.2.3).
    pub(super) fn apply(&mut self, properties: &ConnAckProperties<'_>, version: ProtocolVersion) {
        self.inflight = self
            .inflight
            .min(properties.receive_maximum.unwrap_or(u16::MAX));
        self.packet_size = properties.maximum_packet_size.unwrap_or(u32::MAX);
        self.qos = properties.maximum_qos.unwrap_or(QoS::ExactlyOnce);
        self.retain = properties.retain_available.unwrap_or(true);
        self.topic_alias_maximum = match version {
            ProtocolVersion::V5 => properties.topic_alias_maximum.unwrap_or(0),
            // There are no aliases on the wire: none can be wrong.
            ProtocolVersion::V31 | ProtocolVersion::V311 => u16::MAX,
        };
        if let Some(seconds) = properties.server_keep_alive {
            self.keep_alive = Duration::from_secs(seconds.into());
        }
    }

    /// Whether the server said that it takes such a message.
    pub(super) fn check(&self, message: &Message, packet: &Packet<'_>) -> Result<(), NotSent> {
        if message.qos > self.qos {
            return Err(NotSent::QoS);
        }
        if message.retain && !self.retain {
            return Err(NotSent::Retain);
        }
        if let Some(alias) = message.properties.topic_alias
            && !(1..=self.topic_alias_maximum).contains(&alias)
        {
            return Err(NotSent::TopicAlias);
        }
        if self.packet_size < u32::MAX {
            let size = codec::encoded_len(packet, ProtocolVersion::V5);
            if size > usize::try_from(self.packet_size).unwrap_or(usize::MAX) {
                return Err(NotSent::TooLarge {
                    size,
                    limit: self.packet_size,
                });
            }
        }
        Ok(())
    }
}

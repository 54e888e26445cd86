//! What a subscriber asks for beside the filter.

use crate::QoS;

/// When retained messages are sent at SUBSCRIBE (MQTT-3.3.1-9 to -11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetainHandling {
    /// 0: at each SUBSCRIBE.
    Send,
    /// 1: only if the subscription did not exist.
    SendIfNew,
    /// 2: never.
    DoNotSend,
}

impl RetainHandling {
    /// `None` for 3, a protocol error.
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::Send),
            1 => Some(Self::SendIfNew),
            2 => Some(Self::DoNotSend),
            _ => None,
        }
    }

    /// The two bits on the wire.
    pub fn bits(self) -> u8 {
        match self {
            Self::Send => 0,
            Self::SendIfNew => 1,
            Self::DoNotSend => 2,
        }
    }
}

/// The options byte of one subscription (MQTT 5.0, 3.8.3.1). MQTT 3 has the QoS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionOptions {
    /// The highest QoS at which the subscriber wants messages.
    pub qos: QoS,
    /// Do not send the subscriber its own messages (MQTT-3.8.3-3).
    pub no_local: bool,
    /// Keep the retain flag as it was published (MQTT-3.3.1-13).
    pub retain_as_published: bool,
    /// When retained messages are sent.
    pub retain_handling: RetainHandling,
}

impl SubscriptionOptions {
    /// What a MQTT 3 subscription means in the words of 5.0.
    pub fn plain(qos: QoS) -> Self {
        Self {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }
    }

    /// `None` if a reserved bit or a reserved value is set (MQTT-3.8.3-5).
    pub fn from_byte(byte: u8) -> Option<Self> {
        if byte & 0xc0 != 0 {
            return None;
        }
        Some(Self {
            qos: QoS::from_bits(byte & 0x03)?,
            no_local: byte & 0x04 != 0,
            retain_as_published: byte & 0x08 != 0,
            retain_handling: RetainHandling::from_bits(byte >> 4)?,
        })
    }

    /// The byte on the wire.
    pub fn to_byte(self) -> u8 {
        self.qos.bits()
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | self.retain_handling.bits() << 4
    }
}

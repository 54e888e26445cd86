//! The protocol version is data; there is one packet model for all of them.

/// A version of MQTT that this server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProtocolVersion {
    /// MQTT 3.1, protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1, protocol name `MQTT`, level 4.
    V311,
    /// MQTT 5.0, protocol name `MQTT`, level 5.
    V5,
}

impl ProtocolVersion {
    /// The version of a CONNECT packet's protocol name and level.
    ///
    /// Mosquitto's bridges set bit 0x80 of the level; it is accepted and ignored.
    pub fn from_wire(name: &[u8], level: u8) -> Option<Self> {
        match (name, level & 0x7f) {
            (b"MQIsdp", 3) => Some(Self::V31),
            (b"MQTT", 4) => Some(Self::V311),
            (b"MQTT", 5) => Some(Self::V5),
            _ => None,
        }
    }

    /// The protocol name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }

    /// The protocol level on the wire.
    pub fn level(self) -> u8 {
        match self {
            Self::V31 => 3,
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    /// Whether packets of this version carry properties and reason codes.
    pub fn has_properties(self) -> bool {
        matches!(self, Self::V5)
    }
}

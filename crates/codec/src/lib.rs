//! Bytes to packets and back, for MQTT 3.1, 3.1.1 and 5.0.
//!
//! **Never:** no I/O, no state between packets, no allocation while decoding (but for the box
//! of CONNECT and CONNACK), no panic on a peer's bytes.
//!
//! | module | owns |
//! |---|---|
//! | [`packet`] | [`Packet`]: one model for all versions and both directions, borrowed |
//! | [`properties`] | validated, borrowed properties; lists that are walked in place |
//! | [`filters`] | the filters of SUBSCRIBE and UNSUBSCRIBE, walked in place |
//! | [`kind`] | [`PacketType`], [`PropertyId`] and [`Field`]: what the parts are called |
//! | [`error`] | [`DecodeError`] and [`EncodeError`], each naming the culprit |
//! | `frame` | [`frame()`] finds a packet's bounds |
//! | `decode` | [`decode`] reads a packet, [`decode_publish`] the one that must be fast |
//! | `encode` | [`encode`] writes a packet, its exact size known before |
//! | [`publish`] | the fast way out of a PUBLISH that many recipients share |
//! | `read`, `write` | primitive data types (1.5) and their bounds |

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod decode;
mod encode;
pub mod error;
pub mod filters;
mod frame;
pub mod kind;
pub mod packet;
pub mod properties;
pub mod publish;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use decode::{decode, decode_publish};
pub use encode::{encode, encoded_len};
pub use error::{DecodeError, EncodeError};
pub use filters::{SubscribeFiltersBuf, UnsubscribeFiltersBuf};
pub use frame::{Frame, frame};
pub use kind::{Field, PacketType, PropertyId};
pub use packet::*;
pub use properties::{SubscriptionIds, SubscriptionIdsBuf, UserProperties, UserPropertiesBuf};
pub use publish::PublishHead;

/// The most that a variable byte integer can say (1.5.5), and so the largest body of a packet
/// in bytes and the highest Subscription Identifier.
pub const VARINT_MAX: u32 = 268_435_455;

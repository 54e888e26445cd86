//! Bytes to packets and back, for MQTT 3.1, 3.1.1 and 5.0.
//!
//! **Never:** no I/O, no state between packets, no allocation while decoding, no panic on a
//! peer's bytes.
//!
//! | module | owns |
//! |---|---|
//! | [`packet`] | [`Packet`]: one model for all versions and both directions, borrowed |
//! | [`properties`] | validated, borrowed properties; lists that are walked in place |
//! | `decode` | [`frame`] finds a packet's bounds, [`decode`] reads it |
//! | `encode` | [`encode`] writes a packet, its exact size known before |
//! | `publish` | the fast way out of a PUBLISH that many recipients share |

pub mod packet;
pub mod properties;

pub use packet::*;

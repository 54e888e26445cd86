//! Bridges: messages between this server and others, over MQTT.
//!
//! **Never:** no message kept here, no packet identifier made up for one, no acknowledgement before
//! the other side has given it, no logging, nothing on a worker's thread. No file is read but those
//! with certificates and the password, at each connection anew.
//!
//! A bridge joins two sessions, one of this server and one of the other, that both outlive their
//! connections. It is a client of each and holds nothing itself: what waits, waits in one of the
//! sessions; packet identifiers are the same on both sides. [`Relay`] says how.
//!
//! | module | owns |
//! |---|---|
//! | [`settings`] | [`Settings`]: what a bridge is to do |
//! | [`rule`] | [`Rule`]: which topics, in which direction, by which names |
//! | [`relay`] | [`Relay`]: packets of one side into packets of the other, without I/O |
//! | [`figures`] | [`Figures`] and [`Status`]: what is told of a bridge |
//! | [`via`] | through which servers a message has come |
//! | `backoff` | how long to wait before the next try |
//! | `dial` | TCP and TLS to the other server |
//! | `carry` | the task of one bridge |
//! | [`bridges`] | [`Bridges`]: the thread of all of them |

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

mod backoff;
pub mod bridges;
mod carry;
mod dial;
pub mod figures;
pub mod relay;
pub mod rule;
pub mod settings;
pub mod via;

pub use bridges::{Bridges, Home, Occurrence, View};
pub use figures::{Dropped, Figures, Phase, Status};
pub use relay::{End, GivenUp, Memory, Relay, Side};
pub use rule::{Direction, Rule, RuleError};
pub use settings::{Address, Bounds, Notify, Outflow, Password, Settings, Start, Tls};

//! The small MQTT client under our own tools: `nightjar pub`, `nightjar sub` and `nightjar bench`, later
//! bridges.
//!
//! **Never:** no logging, no global state, no async; no clock and no socket outside `link` and
//! `swarm`;
//! no panic on a server's bytes; no TLS yet.
//!
//! | module | owns |
//! |---|---|
//! | [`options`] | [`ConnectOptions`], [`Will`], [`DisconnectOptions`]: what a client says of itself |
//! | [`message`] | [`Message`] and [`Received`], owned |
//! | [`event`] | [`Event`], [`CloseReason`], [`PublishResult`]: what a session has to tell |
//! | [`session`] | [`Session`], the state machine: bytes, commands and time in; bytes and events out |
//! | [`link`] | [`Client`], the blocking shell: one TCP link at a time, a thread that reads it |
//! | [`swarm`] | [`Swarm`]: many sessions on one thread |

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

pub mod event;
pub mod link;
pub mod message;
pub mod options;
pub mod session;
pub mod swarm;

pub use event::{CloseReason, Connected, Direction, Event, NotSent, PublishResult, Violation};
pub use link::{Client, ConnectError, Endpoint, Inbox, Turn};
pub use message::{Message, MessageProperties, Received};
pub use options::{AuthAnswer, ClientLimits, ConnectOptions, DisconnectOptions, Will};
pub use session::{Filter, RequestError, Session, SubscribeRequest, UnsubscribeRequest};
pub use swarm::Swarm;

// What callers need to fill in the options.
pub use codec::{UserPropertiesBuf, VARINT_MAX};

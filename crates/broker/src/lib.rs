//! The core of one worker: admit, publish, subscribe, retain, will, takeover, queues, limits.
//!
//! **Never:** no sockets, no clock, no threads, no waiting, no logging. Time and bytes come
//! in, actions, bytes and events go out, and the same inputs give the same outputs.
//!
//! | module | owns |
//! |---|---|
//! | [`worker`] | [`Worker`], the core that an event loop drives; one file for each concern |
//! | [`shared`] | [`Shared`]: what all workers read: index, retained messages, gauges |
//! | [`mail`] | what workers say to each other |
//! | [`durability`] | which class of durability holds for a message |
//! | [`event`] | what happened, for logs and counters: closed lists of reasons |
//! | [`metrics`] | counters, written by one worker each |
//! | `memory` | what the process holds, and what may have come since |
//! | `conn`, `client` | the records of a connection and of a session |
//! | `output`, `slots`, `timers` | bytes to be written, dense storage, the timer buckets |
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

mod client;
mod conn;
pub mod durability;
pub mod event;
pub mod mail;
mod memory;
pub mod metrics;
mod output;
pub mod shared;
mod slots;
mod timers;
pub mod worker;

pub use durability::DurabilityRules;
pub use event::{CloseReason, DropReason, Event, EventSink};
pub use mail::{Control, Mail};
pub use metrics::{Counter, Metrics, Totals};
pub use shared::{BrokerConfig, Shared};
pub use worker::{Restore, Worker};

//! The core of one worker: admit, publish, subscribe, retain, will, takeover, queues, limits.
//!
//! **Never:** no sockets, no clock, no threads, no waiting, no logging. Time and bytes come
//! in, actions, bytes and events go out, and the same inputs give the same outputs.
//!
//! | module | owns |
//! |---|---|
//! | [`worker`] | [`Worker`], the core that an event loop drives; one file for each concern |
//! | [`spools`] | [`Spools`]: sessions that have limits of their own |
//! | [`shared`] | [`Shared`]: what all workers read: index, retained messages, gauges |
//! | [`mail`] | what workers say to each other |
//! | [`durability`] | which class of durability holds for a message |
//! | [`listeners`] | what holds for the links of one listener |
//! | [`event`] | what happened, for logs and counters: closed lists of reasons |
//! | [`retained`] | a retained message, and who published it |
//! | [`errand`] | what the control plane may have done |
//! | [`orders`] | [`Orders`]: what clients may have the control plane do |
//! | [`probe`] | what happens to messages on their way, for who watches |
//! | [`question`] | what the control plane may ask, and the answers |
//! | [`metrics`] | counters, written by one worker each |
//! | `memory` | what the process holds, and what may have come since |
//! | `conn`, `client` | the records of a connection and of a session |
//! | `rates` | how much may come in which time |
//! | `decided` | what was allowed lately |
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
mod decided;
pub mod durability;
pub mod errand;
pub mod event;
pub mod listeners;
pub mod mail;
mod memory;
pub mod metrics;
pub mod orders;
mod output;
pub mod probe;
pub mod question;
mod rates;
pub mod retained;
pub mod shared;
mod slots;
pub mod spools;
mod timers;
pub mod worker;

pub use durability::DurabilityRules;
pub use errand::{Done, Errand, NotDone, Task};
pub use event::{CloseReason, Denial, DropReason, Dropped, Event, EventSink, Wanted};
pub use listeners::{Knows, ListenerRules, Mount};
pub use mail::{Control, Mail, Selector};
pub use metrics::{Counter, Metrics, Totals};
pub use orders::{NotTaken, Order, Orders};
pub use probe::{Asked, Mark, Probe, Step, Tracer, Watchers};
pub use question::{Ask, Findings, Question};
pub use shared::{BrokerConfig, Revoked, Shared};
pub use spools::Spools;
pub use worker::{Restore, Worker};

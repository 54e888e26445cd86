//! A seeded universe: several workers in one thread, with a clock and a network that do what
//! they are told, held against a naive reference broker.
//!
//! **Never:** no sockets, no threads, no clock, no shell but the journal, which is driven by hand.
//! The workers are built by the same constructor as in production.
//!
//! | module | owns |
//! |---|---|
//! | [`universe`] | [`Universe`]: workers, links and mail, turned by hand |
//! | [`guard`] | who may come in and do what, by a function, for stories |
//! | [`peer`] | [`Peer`]: a client at the end of a link, for stories |
//! | [`simulation`] | [`Simulation`]: one run of a seed |
//! | [`plan`] | [`Plan`]: what a run is made of |
//! | [`client`] | [`Client`](client::Client): a correct client with habits |
//! | [`messages`] | every message of a run, by its number |
//! | [`reference`] | [`Reference`](reference::Reference): who must, may and must not get what |
//! | [`durable`] | [`durable::Server`]: with a store and a disk, to be killed and started again |
//! | [`failure`], [`trace`], [`rng`] | broken rules, what happened, chance |

pub mod client;
pub mod durable;
pub mod failure;
pub mod guard;
pub mod messages;
pub mod peer;
pub mod plan;
pub mod reference;
pub mod rng;
pub mod simulation;
pub mod trace;
pub mod universe;

pub use failure::Failure;
pub use peer::{Peer, Received};
pub use plan::Plan;
pub use simulation::{Outcome, Simulation};
pub use universe::{LinkId, Universe};

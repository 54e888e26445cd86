//! Two state machines: [`connection`] is the life of a socket, [`session`] the life of a
//! client.
//!
//! **Never:** no sockets, no clock, no routing, no access decisions. Bytes are the codec's,
//! topics the router's; this crate knows what may be said when, and what is owed to whom.
//!
//! | module | owns |
//! |---|---|
//! | [`connection::negotiate`] | what CONNECT asks for against what the server grants |
//! | [`connection`] | keep alive, topic aliases both ways, quotas, what may arrive when |
//! | [`connection::violation`] | each error of a peer, and the one map from error to answer |
//! | [`session`] | what is owed to a client: subscriptions, inflight, queue, QoS 2 receipts |
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

pub mod connection;
pub mod session;

pub use connection::Connection;
pub use connection::negotiate::{Negotiated, Refusal, negotiate};
pub use connection::violation::Violation;
pub use session::{Matched, Outbound, Restored, Session, When};

//! A seeded universe: several workers in one thread, with a clock and a network that do what
//! they are told, held against a naive reference broker.
//!
//! **Never:** no sockets, no threads, no clock, no shell. The workers are built by the same
//! constructor as in production.
//!
//! | module | owns |
//! |---|---|
//! | [`universe`] | [`Universe`]: workers, links and mail, turned by hand |
//! | [`peer`] | [`Peer`]: a client at the end of a link, for stories |

pub mod peer;
pub mod universe;

pub use peer::{Peer, Received};
pub use universe::{LinkId, Universe};

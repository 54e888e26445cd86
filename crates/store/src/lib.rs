//! The storage port: what a worker tells its store, and what the store promises back.
//!
//! **Never:** no files, no threads, no waiting. A worker appends records while it works and
//! commits once at the end of a turn; the store answers later with the last ticket that is
//! safe. What was promised to a client (PUBACK, PUBREC) is held back until then.
//!
//! | module | owns |
//! |---|---|
//! | [`record`] | [`Record`]: everything that a session or a retained message must survive by |
//! | [`port`] | [`Store`], the port; [`StoreFailed`] |
//! | [`memory`] | [`NoStore`], which promises nothing; [`MemoryStore`], which does what tests tell it |
//!
//! A worker has a store of its own, and a session's records go to the store of the worker it
//! is at home on: each recovers alone. A message for sessions of several workers is one record
//! in each of their stores, however many sessions it has there.

pub mod memory;
pub mod port;
pub mod record;

pub use memory::{MemoryStore, NoStore, Tape};
pub use port::{Store, StoreFailed};
pub use record::{Record, Settled};

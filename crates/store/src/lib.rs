//! The storage port: what a worker tells its store, and what the store promises back.
//!
//! **Never:** no files, no threads, no waiting. A worker hands messages and records over while it
//! works and commits once at the end of a turn; the store answers later with the last ticket that
//! is safe. What was promised to a client (PUBACK, PUBREC) is held back until then.
//!
//! | module | owns |
//! |---|---|
//! | [`record`] | [`Record`]: everything that a session or a retained message must survive by |
//! | [`port`] | [`Store`], the port, and the shapes of its questions and answers |
//! | [`recovered`] | [`Recovered`]: what a store gives back at the start |
//! | [`memory`] | [`NoStore`], which promises nothing; [`MemoryStore`], which does what tests tell it |
//!
//! All workers stand before one store: a message is stored once, whoever owes it, and what one
//! worker commits is safe only with all that any worker committed before.

pub mod memory;
pub mod port;
pub mod record;
pub mod recovered;

pub use memory::{MemoryStore, NoStore, Tape};
pub use port::{
    COMMIT_BOUNDS, Condition, Figures, Found, Health, Loaded, Progress, Room, Shortage, Store,
    StoreFailed, Wish,
};
pub use record::{Delivery, Publisher, Record, Settled, WillParts};
pub use recovered::{
    Recovered, RecoveredBegun, RecoveredDelivery, RecoveredPublisher, RecoveredRetained,
    RecoveredSession, RecoveredSubscription, RecoveredWill, Stage,
};

//! The embedded store: a journal on disk behind the storage port.
//!
//! **Never:** no topics matched, no group member chosen, no clock read but where the process
//! starts. The journal alone is the truth; everything else is rebuilt from it. docs/storage.md has
//! the format.
//!
//! | module | owns |
//! |---|---|
//! | [`disk`] | [`disk::Disk`]: the few things that are asked of a file system, and the real one |
//! | [`faulty`] | a disk in memory that tears, loses, fails and flips what tests tell it to |
//! | [`segment`] | headers, frames and their checksums |
//! | [`log`] | segments as one log: append, sync, roll, recycle; what is found at the start |
//! | [`record`] | records to bytes and back |
//! | [`model`] | what the records come to: sessions, what they are owed, what lives where |
//! | [`checkpoint`] | the model as records, a little at a time |
//! | [`engine`] | log and model together: commit, load, compact, recover; no threads |
//! | [`server`] | the threads around an engine, and [`server::Handle`], the port for one worker |
//! | [`by_hand`] | a store without threads and without a clock, for simulation and tests |
//! | `figures` | how long commits take |
//! | [`lines`] | export and import, one JSON object a line |
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

pub mod by_hand;
pub mod checkpoint;
pub mod disk;
pub mod engine;
pub mod faulty;
mod figures;
pub mod lines;
pub mod log;
pub mod model;
pub mod record;
pub mod segment;
pub mod server;

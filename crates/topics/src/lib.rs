//! Topics: who wants what, and what is kept for whom comes later.
//!
//! **Never:** no I/O, no clock, no randomness, no threads of its own, no protocol. The order
//! of a hash map never reaches an output. Nothing here recurses: 65,536 levels are as safe
//! as three.
//!
//! | module | owns |
//! |---|---|
//! | [`filter`] | [`matches()`], the plain rule that all else is tested against |
//! | [`index`] | [`SharedIndex`], every subscription of the server, read by all workers |
//! | [`route`] | [`Route`], who gets the messages of one topic, split by worker |
//! | [`cache`] | [`RouteCache`], one worker's routes |
//! | [`share`] | [`GroupRoute`], [`Strategy`]: the one member of a group that gets a message |
//! | [`retained`] | [`RetainedStore`], the last message of each topic |
//!
//! Behind them: `trie` (the wildcard filters), `subscribers` (the set at one filter),
//! `symbols` (each level's text once), `slab` and `keyed` (memory and hashing).
//!
//! The order that makes a subscription complete: a publisher stores a retained message and
//! then routes it; a subscriber applies its change and then replays what is retained. Both
//! are behind locks, so an update is either found by the replay or routed live (or both),
//! never neither.

pub mod cache;
pub mod filter;
pub mod index;
mod keyed;
pub mod retained;
pub mod route;
pub mod share;
mod slab;
mod subscribers;
mod symbols;
mod trie;

pub use cache::RouteCache;
pub use filter::matches;
pub use index::{IndexChange, IndexStats, SharedIndex};
pub use retained::{
    RetainedFull, RetainedLimits, RetainedStore, RetainedValue, ScanCursor, ScanProgress,
};
pub use route::{Delivery, Recipient, Route};
pub use share::{GroupRoute, Member, MemberState, Pick, Strategy, UnknownStrategy};

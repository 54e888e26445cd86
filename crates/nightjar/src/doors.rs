//! Who comes in and what he may do there: from the configuration to what the parts work with.
//!
//! | module | owns |
//! |---|---|
//! | [`listeners`] | sockets, TLS and WebSocket of each listener |
//! | [`certificates`] | files that are watched, and swapped without a restart |
//! | [`identities`] | who is asked who a client is |
//! | [`permissions`] | rules, with what the database holds, as a policy |
//! | [`live`] | permissions that change while the server runs |

pub(crate) mod certificates;
pub(crate) mod identities;
pub(crate) mod listeners;
pub(crate) mod live;
pub(crate) mod permissions;

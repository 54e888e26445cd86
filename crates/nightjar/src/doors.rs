//! Who comes in and what he may do there: from the configuration to what the parts work with.
//!
//! | module | owns |
//! |---|---|
//! | [`listeners`] | sockets, TLS and WebSocket of each listener |
//! | [`certificates`] | files that are watched, and swapped without a restart |
//! | [`identities`] | who is asked who a client is |
//! | [`permissions`] | the rules |

pub(crate) mod certificates;
pub(crate) mod identities;
pub(crate) mod listeners;
pub(crate) mod permissions;

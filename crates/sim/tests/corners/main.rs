//! Stories for the protocol corners C01 to C44, on the core without sockets.
//!
//! Each test begins with the number of its corner and cites the clauses of MQTT 5.0 in its
//! doc line, those of 3.1.1 in brackets. docs/conformance.md lists them all; `manifest` holds
//! the list against the tests. `story` is what they are told with.

mod alias;
mod auth;
mod connect;
mod errors;
mod expiry;
mod flow;
mod manifest;
mod properties;
mod qos;
mod retained;
mod session;
mod shared;
mod story;
mod subscribe;
mod topics;
mod versions;
mod will;

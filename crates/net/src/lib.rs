//! The event loop: sockets, buffers, mailboxes.
//!
//! **Never:** no MQTT, no decision about a client, no lock held while a core runs, no wake-up
//! for each message, no buffer for an idle connection, no busy wait, no sleep. `unsafe` only
//! in `poller`, and there only on systems other than Linux.
//!
//! One thread for each worker owns its sockets and a [`types::Core`], whose contract says
//! what a turn of the loop is. Entry types: [`Listener`], then [`Runtime::start`].
//!
//! | module | owns |
//! |---|---|
//! | `runtime` | [`Runtime`], [`WorkerSetup`], [`WorkerPanic`]: threads, start and end |
//! | `worker` | the turn: reads, mail, time, then actions; containment of panics |
//! | `write` | the way out: one gathered write for each touched link |
//! | `links` | the slot of a link (64 bytes) and the list of them |
//! | `linger` | closing so that the other side can still read our last packet |
//! | `accept` | taking connections; the pause when descriptors run out |
//! | `address` | [`Address`]: TCP or a Unix socket and its file |
//! | `listener` | [`Listener`], [`ListenerConfig`], socket options |
//! | `mailbox` | [`Mailboxes`]: mail between workers and from the control plane |
//! | `poller` | readiness: epoll on Linux, the `polling` crate elsewhere |
//! | `counters` | [`Counters`] and [`Notice`]: what the loop has to tell |
//! | `clock` | [`Clock`] |
//! | `descriptors` | the process's limit of open files |

mod accept;
mod address;
mod clock;
mod counters;
mod descriptors;
mod linger;
mod links;
mod listener;
mod mailbox;
mod poller;
mod runtime;
mod worker;
mod write;

pub use address::{Address, DEFAULT_MODE};
pub use clock::Clock;
pub use counters::{Counters, Notice};
pub use descriptors::raise_descriptor_limit;
pub use listener::{Ipv6, Listener, ListenerConfig};
pub use mailbox::{Mailboxes, Undeliverable};
pub use runtime::{Runtime, WorkerPanic, WorkerSetup};

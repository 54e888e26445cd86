//! Real Rust clients against a running server: `cargo test` with its address in
//! `MQTT_E2E_ADDRESS`. This library holds what the tests of all clients share.
//!
//! **Never:** it starts no server, and talks to no other host than the one it is given.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longest wait for any one answer. A healthy run never gets near it.
pub const PATIENCE: Duration = Duration::from_secs(15);

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Host and port of the server under test.
///
/// # Panics
/// When `MQTT_E2E_ADDRESS` is not set to `host:port`.
pub fn address() -> (String, u16) {
    let address = env::var("MQTT_E2E_ADDRESS").expect("MQTT_E2E_ADDRESS names the server");
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let host = host.trim_matches(['[', ']']);
    (host.to_owned(), port.parse().expect("a port"))
}

/// A client id, or a level of a topic, that nothing else in this run uses.
pub fn fresh(what: &str) -> String {
    let serial = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{what}-{}-{serial}", std::process::id())
}

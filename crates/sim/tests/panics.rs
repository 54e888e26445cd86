//! What a panic of the server's own leaves behind: one connection, or nothing to go on with.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use auth::{Access, Subject};
use broker::BrokerConfig;
use codec::{ConnectProperties, Packet, Will};
use sim::guard::Judge;
use sim::peer::connect;
use sim::{Peer, Universe};
use types::{Core, ProtocolVersion, QoS};

const V5: ProtocolVersion = ProtocolVersion::V5;

/// A server whose policy panics once it is told to.
fn universe() -> (Universe, Arc<AtomicBool>) {
    let breaks = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&breaks);
    let mut config = BrokerConfig::open(1, 7);
    config.policy = Arc::new(Judge(move |_: &Subject<'_>, _: &Access<'_>| {
        assert!(!broken.load(Ordering::Relaxed), "as it was told");
        true
    }));
    (Universe::new(config), breaks)
}

#[test]
fn a_panic_at_one_connection_leaves_the_worker_whole() {
    let (mut universe, breaks) = universe();
    let mut bob = Peer::join(&mut universe, V5, "bob");
    breaks.store(true, Ordering::Relaxed);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        bob.publish(&mut universe, "a", b"1", QoS::AtMostOnce, 0);
    }));
    assert!(panicked.is_err());
    assert!(universe.worker(0).is_sound());
}

#[test]
fn a_panic_after_a_connection_was_closed_for_another_leaves_the_worker_broken() {
    let (mut universe, breaks) = universe();
    let mut packet = connect(V5, "alice");
    packet.properties = ConnectProperties {
        session_expiry: Some(3_600),
        ..Default::default()
    };
    packet.will = Some(Will {
        topic: "gone",
        payload: b"alice",
        qos: QoS::AtMostOnce,
        retain: false,
        delay: Some(60),
        message_expiry: None,
        forward: Default::default(),
    });
    Peer::connect(&mut universe, packet);
    breaks.store(true, Ordering::Relaxed);
    // The old connection is closed, then the session ends, and its will with it.
    let mut again = Peer::open(&mut universe, V5);
    let hello = Packet::Connect(Box::new(connect(V5, "alice")));
    let panicked = catch_unwind(AssertUnwindSafe(|| again.send(&mut universe, &hello)));
    assert!(panicked.is_err());
    assert!(!universe.worker(0).is_sound());
}

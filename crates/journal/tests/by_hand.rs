//! The store turned by hand, on a disk that fills up.

use std::sync::Arc;
use std::time::Duration;

use journal::by_hand::ByHand;
use journal::disk::Disk;
use journal::engine::{Idle, Options};
use journal::faulty::MemoryDisk;
use store::{Delivery, Found, Record, Store, WillParts, Wish};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, MessageRef, QoS, SessionKey,
    StoredSession, Time, WorkerId,
};

const WALL: u64 = 1_700_000_000_000;
const KEY: SessionKey = SessionKey {
    slot: 1,
    generation: 1,
};

fn open(disk: &MemoryDisk) -> ByHand {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut options = Options::default();
    options.log.segment_bytes = 64 << 10;
    let (store, _, report) = ByHand::open(disk, options, WALL).expect("a store");
    assert!(report.losses.is_empty(), "{report:?}");
    store
}

/// A session with a will of so many bytes.
fn begin(handle: &mut dyn Store, client: &str, will: usize) -> StoredSession {
    let session = handle.new_session();
    let payload = vec![b'w'; will];
    handle.append(Record::Session {
        session,
        client: &ClientId::new(client).expect("an identifier"),
        user: None,
        expiry: Duration::MAX,
        will: Some(WillParts {
            topic: "w",
            properties: &[],
            payload: &payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            delay: Duration::ZERO,
            message_expiry: None,
            durability: Durability::Disk,
        }),
    });
    session
}

/// Owes the session a message with this number.
fn owe(handle: &mut dyn Store, session: StoredSession, number: u64, now: Time) -> MessageRef {
    let parts = MessageParts {
        properties: &[],
        payload: &[b'x'; 1_000],
        qos: QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        expires: None,
        durability: Durability::Disk,
        followed: types::Followed::No,
    };
    let message = handle.keep(&Message::new(Arc::from("t"), parts), now);
    handle.append(Record::Owed {
        message,
        deliveries: &[Delivery {
            session,
            number: DeliveryNumber::new(number).expect("not zero"),
            qos: QoS::AtLeastOnce,
            retain: false,
            packet_id: None,
            ids: None,
            share: None,
        }],
    });
    handle.commit(Wish::Synced);
    message
}

/// What waits in the inbox while the disk is full is not written with what was taken before, but it
/// is there, for whoever asks.
#[test]
fn a_message_behind_those_that_did_not_fit_is_never_gone() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let now = Time::from_millis(1);
    let session = begin(&mut *handle, "a", 0);
    handle.commit(Wish::Synced);
    store.settle(now, 10);
    disk.full_after(0);
    // Until nothing more is taken.
    let mut number = 0;
    let mut behind = Vec::new();
    while behind.len() < 2 {
        number += 1;
        let message = owe(&mut *handle, session, number, now);
        let written = handle.progress().expect("it runs").written;
        store.turn(now);
        if handle.progress().expect("it runs").written == written {
            behind.push(message);
        }
        assert!(number < 1_000, "the disk is never full");
    }
    handle.load(KEY, &behind);
    store.turn(now);
    assert!(handle.loaded().is_none(), "it is not written yet");
    disk.heal();
    for _ in 0..3 {
        store.turn(now);
    }
    for message in behind {
        let loaded = handle.loaded().expect("an answer");
        assert_eq!(loaded.message, message);
        assert!(matches!(loaded.found, Found::Message(_)), "{loaded:?}");
    }
}

/// What a checkpoint takes is no reason for the next one, however large it is beside a segment.
#[test]
fn housekeeping_ends_whatever_a_checkpoint_takes() {
    for (sessions, will) in [(1, 65_000), (3, 65_000), (40, 65_000)] {
        let disk = MemoryDisk::new();
        let mut store = open(&disk);
        let mut handle = store.handle(WorkerId(0));
        let now = Time::from_millis(1);
        for number in 0..sessions {
            begin(&mut *handle, &format!("client{number}"), will);
            handle.commit(Wish::Synced);
            store.turn(now);
        }
        let ends = (0..2_000).any(|_| store.turn(now) == Idle::Done);
        assert!(ends, "{sessions} sessions");
    }
}

//! What a handle keeps to itself until it commits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use store::{Delivery, Found, Record, Recovered, Store, Wish};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, MessageRef, QoS, SessionKey,
    StoredSession, Time, WorkerId,
};

use crate::by_hand::ByHand;
use crate::engine::Options;
use crate::faulty::MemoryDisk;

const WALL: u64 = 1_700_000_000_000;
const READER: SessionKey = SessionKey {
    slot: 3,
    generation: 1,
};

fn open(disk: &MemoryDisk) -> (ByHand, Recovered) {
    let (store, recovered, _) =
        ByHand::open(Arc::new(disk.clone()), Options::default(), WALL).unwrap();
    (store, recovered)
}

fn message(payload: &[u8]) -> Message {
    let parts = MessageParts {
        properties: &[],
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        expires: None,
        durability: Durability::Disk,
        followed: types::Followed::No,
    };
    Message::new("t".into(), parts)
}

fn begin(handle: &mut dyn Store, client: &str) -> StoredSession {
    let session = handle.new_session();
    handle.append(Record::Session {
        session,
        client: &ClientId::new(client).unwrap(),
        user: None,
        expiry: Duration::MAX,
        will: None,
    });
    session
}

fn owe(handle: &mut dyn Store, session: StoredSession, number: u64, message: MessageRef) {
    let delivery = Delivery {
        session,
        number: DeliveryNumber::new(number).unwrap(),
        qos: QoS::AtLeastOnce,
        retain: false,
        packet_id: None,
        ids: None,
        share: None,
    };
    handle.append(Record::Owed {
        message,
        deliveries: &[delivery],
    });
}

fn load(store: &mut ByHand, handle: &mut dyn Store, message: MessageRef) -> Vec<u8> {
    handle.load(READER, &[message]);
    store.turn(Time::ZERO);
    match handle.loaded().unwrap().found {
        Found::Message(message) => message.payload().to_vec(),
        other => panic!("{other:?}"),
    }
}

/// Whatever the lengths of messages and turns, so that frames are copied or handed over, and
/// bodies go before their batch or with it.
#[test]
fn what_two_workers_keep_to_themselves_survives_their_commits() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut workers = [store.handle(WorkerId(0)), store.handle(WorkerId(1))];
    let [first, second] = &mut workers;
    let sessions = [begin(&mut **first, "a"), begin(&mut **second, "b")];
    let mut kept = Vec::new();
    for number in 1..=60_u64 {
        for ((handle, session), mark) in workers.iter_mut().zip(sessions).zip([0_u8, 1]) {
            let length = [10, 300, 20_000, 70_000, 5 << 20][usize::try_from(number % 5).unwrap()];
            let length = if number > 10 {
                length.min(70_000)
            } else {
                length
            };
            let payload = vec![mark; length];
            let name = match number % 7 {
                0 => handle.keep(&message(&payload), Time::ZERO),
                _ => handle.keep_here(&message(&payload), Time::ZERO),
            };
            owe(&mut **handle, session, number, name);
            kept.push((name, payload));
            if number % 3 == 0 {
                handle.commit(Wish::Synced);
            }
        }
        if number % 11 == 0 {
            store.turn(Time::ZERO);
        }
    }
    store.turn(Time::ZERO);
    let names: BTreeSet<MessageRef> = kept.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), kept.len());
    assert_eq!(store.engine().model().counts().deliveries, 120);
    disk.kill();
    drop((store, workers));
    let (mut store, recovered) = open(&disk);
    let owed = recovered.sessions.iter();
    assert_eq!(
        owed.map(|session| session.deliveries.len()).sum::<usize>(),
        120
    );
    let mut handle = store.handle(WorkerId(0));
    for (name, payload) in kept {
        assert!(load(&mut store, &mut *handle, name) == payload);
    }
}

#[test]
fn a_message_can_be_loaded_before_its_commit() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let name = handle.keep_here(&message(b"early"), Time::ZERO);
    owe(&mut *handle, session, 1, name);
    assert_eq!(load(&mut store, &mut *handle, name), b"early");
    handle.commit(Wish::Synced);
    store.turn(Time::ZERO);
    assert_eq!(store.engine().model().counts().deliveries, 1);
}

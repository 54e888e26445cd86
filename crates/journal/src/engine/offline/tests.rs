//! Tools that are cut off anywhere, on a disk in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use store::{Delivery, Record, Recovered, Settled, Stage, Store, Wish};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, QoS, StoredSession, Time, WorkerId,
};

use crate::by_hand::ByHand;
use crate::disk::Disk;
use crate::engine::{Engine, Options};
use crate::faulty::MemoryDisk;
use crate::log;
use crate::segment::segment_number;

const WALL: u64 = 1_700_000_000_000;

fn options() -> Options {
    Options {
        log: log::Options {
            segment_bytes: 32 << 10,
            spares: 1,
        },
        ..Options::default()
    }
}

fn by_hand(disk: &MemoryDisk) -> ByHand {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    ByHand::open(disk, options(), WALL).unwrap().0
}

fn engine(disk: &MemoryDisk) -> (Engine, Recovered) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let (engine, recovered, report) = Engine::open(disk, options(), WALL).unwrap();
    assert!(report.losses.is_empty(), "{report:?}");
    (engine, recovered)
}

fn message(number: u64) -> Message {
    let parts = MessageParts {
        properties: &[],
        payload: &[number.to_le_bytes()[0]; 1000],
        qos: QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        expires: None,
        durability: Durability::Disk,
        followed: types::Followed::No,
    };
    Message::new(Arc::from("t"), parts)
}

/// 200 messages for one session, of which every fourth still waits; and a second start, so that
/// there are segments before the checkpoint.
fn filled() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut store = by_hand(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = handle.new_session();
    handle.append(Record::Session {
        session,
        client: &ClientId::new("lamp").unwrap(),
        user: None,
        expiry: Duration::MAX,
        will: None,
    });
    for number in 1..=200 {
        owe(&mut *handle, session, number);
        if number > 20 && (number - 20) % 4 != 0 {
            handle.append(Record::Settled {
                session,
                number: DeliveryNumber::new(number - 20).unwrap(),
                step: Settled::Done,
            });
        }
        handle.commit(Wish::Synced);
        store.write_only(Time::ZERO);
    }
    store.turn(Time::ZERO);
    drop((store, handle));
    by_hand(&disk).settle(Time::ZERO, 2);
    disk
}

fn owe(handle: &mut dyn Store, session: StoredSession, number: u64) {
    let message = handle.keep(&message(number), Time::ZERO);
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

/// What waits: the number of each delivery, and the first byte of its message if it can be read.
fn waiting(disk: &MemoryDisk) -> BTreeMap<u64, Option<u8>> {
    let (engine, recovered) = engine(disk);
    let session = recovered.sessions.first().unwrap();
    let deliveries = session.deliveries.iter().map(|delivery| {
        let Stage::Waiting(body) = delivery.stage else {
            panic!("{delivery:?} was never sent")
        };
        let mut bytes = Vec::new();
        let super::super::Lookup::At(place) = engine.look_up(body.reference) else {
            panic!("{body:?} is gone")
        };
        place.read(&mut bytes).unwrap();
        let message = crate::record::decode_body(body.reference, &bytes, engine.clock());
        let byte = message.ok().map(|message| message.payload()[0]);
        (delivery.number.get(), byte)
    });
    deliveries.collect()
}

fn bytes(disk: &MemoryDisk) -> u64 {
    let names = disk.list().unwrap();
    let lengths = names
        .iter()
        .map(|name| disk.open(name).unwrap().len().unwrap());
    lengths.sum()
}

#[test]
fn compaction_leaves_little_but_what_lives() {
    let disk = filled();
    let before = (bytes(&disk), waiting(&disk));
    assert!(before.1.len() > 50);
    engine(&disk).0.compact_all(WALL).unwrap();
    disk.cut_power(1);
    let live = 1100 * u64::try_from(before.1.len()).unwrap();
    let segments = disk.list().unwrap();
    let segments = segments
        .iter()
        .filter(|name| segment_number(name).is_some());
    let used: usize = segments.map(|name| disk.content(name).unwrap().len()).sum();
    assert!(
        u64::try_from(used).unwrap() < live * 3 / 2 + (40 << 10) && bytes(&disk) < before.0,
        "{used} bytes for {live}"
    );
    assert_eq!(waiting(&disk), before.1);
}

#[test]
fn compaction_may_be_cut_off_anywhere() {
    let filled = filled();
    let wanted = waiting(&filled.copy());
    let mut is_done = false;
    for changes in 0.. {
        if is_done {
            break;
        }
        let disk = filled.copy();
        let before = disk.counts().changes;
        let (engine, _) = engine(&disk);
        let opened = disk.counts().changes - before;
        disk.gone_after(changes);
        is_done = engine.compact_all(WALL).is_ok();
        assert!(opened > 0 && changes < 5000);
        if changes % 2 == 0 {
            disk.cut_power(changes);
        } else {
            disk.kill();
        }
        assert_eq!(waiting(&disk), wanted, "after {changes} changes");
    }
}

#[test]
fn damage_may_be_put_aside_again_and_again() {
    let filled = filled();
    let wanted = waiting(&filled.copy());
    // The message of the fourth delivery, in the first segment.
    let name = crate::segment::segment_name(1);
    let content = filled.content(&name).unwrap();
    let at = content
        .windows(1000)
        .position(|it| it == [4; 1000])
        .unwrap();
    filled.flip(&name, u64::try_from(at).unwrap(), 3);
    let mut damaged = wanted.clone();
    damaged.insert(4, None);
    assert_eq!(waiting(&filled.copy()), damaged);
    let mut mended = wanted;
    mended.remove(&4);
    let mut is_done = false;
    for changes in 0.. {
        if is_done {
            break;
        }
        let disk = filled.copy();
        let (mut first, _) = engine(&disk);
        disk.gone_after(changes);
        let losses = first.put_segments_aside(&[1]);
        drop(first);
        is_done = losses.is_ok();
        if let Ok(losses) = losses {
            assert_eq!(losses.deliveries, 1);
            assert_eq!(losses.clients, [ClientId::new("lamp").unwrap()]);
            assert_eq!(disk.content(&name), None);
        }
        disk.cut_power(changes);
        let found = waiting(&disk);
        let either = found == mended || !is_done && found == damaged;
        assert!(either, "after {changes} changes: {found:?}");
    }
}

//! Housekeeping that is interrupted.

use std::num::NonZeroU32;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::engine::{Engine, Idle};

const MANY: u64 = 2_000;

/// Owes a session [`MANY`] deliveries with very many identifiers: about 5 MB of queue.
fn owe_long(handle: &mut dyn Store, session: StoredSession) {
    let message = handle.keep(&message("t", b"x"), at(1));
    let ids: Box<[NonZeroU32]> = vec![NonZeroU32::new(1 << 27).unwrap(); 600].into();
    for number in 1..=MANY {
        let delivery = Delivery {
            ids: Some(ids.clone()),
            ..delivery(session, number)
        };
        handle.append(Record::Owed {
            message,
            deliveries: &[delivery],
        });
    }
}

#[test]
fn a_checkpoint_that_is_cut_in_the_midst_of_a_session_takes_nothing_from_it() {
    for changes in 10..30 {
        let disk = MemoryDisk::default();
        let (mut store, _) = open(&disk);
        let mut handle = store.handle(WorkerId(0));
        let session = begin(&mut *handle, "a");
        owe_long(&mut *handle, session);
        handle.commit(Wish::Synced);
        store.write_only(at(1));
        disk.gone_after(changes);
        store.settle(at(2), 20);
        drop((store, handle));
        disk.kill();
        let (_, recovered) = open(&disk);
        let numbers = owed(&recovered, "a").into_iter().map(|(number, _)| number);
        assert!(numbers.eq(1..=MANY), "{changes} changes");
    }
}

#[test]
fn housekeeping_comes_to_an_end_however_much_there_is() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    for number in 1..=300_000 {
        owe(&mut *handle, session, number, b"x", at(1));
        if number % 1_000 == 0 {
            handle.commit(Wish::Lazy);
        }
    }
    store.write_only(at(2));
    drop((store, handle));
    disk.kill();
    // A start is followed by a checkpoint.
    let (mut store, _) = open(&disk);
    let before = store.engine().log.current();
    let pieces = (0..5_000).take_while(|_| store.turn(at(2)) == Idle::More);
    assert!(pieces.count() < 1_000);
    let segments = store.engine().log.current() - before;
    assert!(segments > 16, "that was a small one: {segments}");
}

/// Room that a store has on its disk.
const ROOM: u64 = (5 << 20) + (500 << 10);

fn open_on_small_disk(disk: &MemoryDisk) -> ByHand {
    let mut options = options();
    options.log.segment_bytes = 1 << 20;
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    ByHand::open(shared, options, WALL).unwrap().0
}

/// A store of one session that is owed as many messages as its disk has room for.
struct Filled {
    store: ByHand,
    handle: Box<dyn Store>,
    session: StoredSession,
    last: u64,
    now: u64,
}

impl Filled {
    fn new(disk: &MemoryDisk, payload: usize) -> Self {
        let mut store = open_on_small_disk(disk);
        let mut handle = store.handle(WorkerId(0));
        let session = begin(&mut *handle, "a");
        handle.commit(Wish::Synced);
        store.settle(at(1), 10);
        disk.full_after(ROOM);
        let mut filled = Self {
            store,
            handle,
            session,
            last: 0,
            now: 1,
        };
        filled.fill(payload);
        filled
    }

    /// Owes messages until no more are taken.
    fn fill(&mut self, payload: usize) {
        let payload = vec![1; payload];
        let mut refused = 0;
        while refused < 5 {
            for _ in 0..100 {
                if self.handle.room() != Room::Enough {
                    refused += 1;
                    break;
                }
                self.last += 1;
                let now = at(self.now);
                owe(&mut *self.handle, self.session, self.last, &payload, now);
                refused = 0;
            }
            self.commit(10);
        }
    }

    /// The same, and again with what the store finds to give back.
    fn fill_up(&mut self, payload: usize) {
        for _ in 0..10 {
            self.wait(10);
            if self.handle.room() == Room::Full {
                return;
            }
            self.fill(payload);
        }
        panic!("it is never full");
    }

    fn commit(&mut self, later: u64) {
        self.now += later;
        self.handle.commit(Wish::Synced);
        self.store.turn(at(self.now));
        assert!(!self.store.has_failed());
    }

    /// All has been written that was handed over.
    fn assert_written(&self) {
        assert_eq!(self.handle.figures().unwrap().backlog_bytes, 0);
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1_000;
            self.store.settle(at(self.now), 20);
        }
    }
}

#[test]
fn a_full_disk_has_room_again_when_all_is_collected() {
    for payload in [1_000, 200, 100, 50, 10] {
        let disk = MemoryDisk::default();
        let mut filled = Filled::new(&disk, payload);
        let first = filled.last;
        assert!(first > 1_500, "{payload} bytes: only {first}");
        for round in 0..3 {
            let begins = if round == 0 { 0 } else { filled.last };
            if round > 0 {
                filled.fill(payload);
            }
            filled.fill_up(payload);
            for number in begins + 1..=filled.last {
                settle(&mut *filled.handle, filled.session, number);
            }
            filled.commit(10);
            filled.assert_written();
            filled.wait(20);
            assert_eq!(filled.handle.figures().unwrap().messages, 0);
            assert_eq!(filled.handle.room(), Room::Enough, "{payload} bytes");
            let taken = filled.last - begins;
            assert!(taken > first / 2, "{payload} bytes: {taken} of {first}");
        }
    }
}

#[test]
fn what_waits_on_a_full_disk_can_be_collected_one_by_one() {
    for payload in [1_000, 50] {
        let disk = MemoryDisk::default();
        let mut filled = Filled::new(&disk, payload);
        // Each is sent and settled in a frame of its own.
        for number in 1..=filled.last {
            filled.handle.append(Record::Sent {
                session: filled.session,
                number: DeliveryNumber::new(number).unwrap(),
                id: PacketId::FIRST,
            });
            filled.commit(1);
            settle(&mut *filled.handle, filled.session, number);
            filled.commit(1);
            if number % 100 == 0 {
                filled.assert_written();
            }
        }
        filled.wait(20);
        assert_eq!(filled.handle.room(), Room::Enough, "{payload} bytes");
    }
}

#[test]
fn a_checkpoint_is_not_tried_for_nothing_on_a_full_disk() {
    let disk = MemoryDisk::default();
    let mut filled = Filled::new(&disk, 50);
    filled.fill_up(50);
    let before = filled.store.engine().log.current();
    let written = filled.store.engine().log.written();
    filled.wait(100);
    assert_eq!(filled.store.engine().log.current(), before);
    assert_eq!(filled.store.engine().log.written(), written);
}

#[test]
fn a_restart_gets_out_of_a_full_disk() {
    for payload in [1_000, 50] {
        let disk = MemoryDisk::default();
        let filled = Filled::new(&disk, payload);
        let (last, session) = (filled.last, filled.session);
        drop(filled);
        for _ in 0..3 {
            let left = disk.free_bytes().unwrap();
            disk.kill();
            disk.full_after(left);
            let mut store = open_on_small_disk(&disk);
            store.settle(at(1), 20);
        }
        let left = disk.free_bytes().unwrap();
        disk.kill();
        disk.full_after(left);
        let mut store = open_on_small_disk(&disk);
        let mut handle = store.handle(WorkerId(0));
        store.settle(at(1), 20);
        for number in 1..=last {
            settle(&mut *handle, session, number);
        }
        handle.commit(Wish::Synced);
        for second in 1..20 {
            store.settle(at(second * 1_000), 20);
        }
        assert_eq!(handle.figures().unwrap().backlog_bytes, 0);
        assert_eq!(handle.figures().unwrap().messages, 0);
        assert_eq!(handle.room(), Room::Enough, "{payload} bytes");
    }
}

#[test]
fn a_full_disk_can_be_compacted() {
    let disk = MemoryDisk::default();
    let mut filled = Filled::new(&disk, 50);
    for number in (1..=filled.last).filter(|number| number % 10 > 0) {
        settle(&mut *filled.handle, filled.session, number);
    }
    filled.handle.commit(Wish::Synced);
    // Nothing is given back before the end.
    filled.store.write_only(at(filled.now));
    let owes = filled.last / 10;
    drop(filled);
    let left = disk.free_bytes().unwrap();
    disk.kill();
    disk.full_after(left);
    let mut options = options();
    options.log.segment_bytes = 1 << 20;
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (engine, ..) = Engine::open(shared, options, WALL).unwrap();
    engine.compact_all(WALL + 1).unwrap();
    assert!(disk.free_bytes().unwrap() > ROOM / 2);
    disk.kill();
    let (_, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "a").len() as u64, owes);
}

#[test]
fn the_room_of_large_things_that_are_removed_comes_back() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let filters: Vec<_> = (0..300)
        .map(|number| {
            let text = format!("{number}/{}", "x".repeat(20_000));
            types::SubscriptionFilter::parse(&text, 10).unwrap()
        })
        .collect();
    for filter in &filters {
        handle.append(Record::Subscribed {
            session,
            filter,
            options: types::SubscriptionOptions::plain(QoS::AtLeastOnce),
            id: None,
        });
    }
    handle.commit(Wish::Synced);
    for second in 1..20 {
        store.settle(at(second * 1_000), 200);
    }
    let full = handle.figures().unwrap().disk_bytes;
    assert!(full > 6_000_000, "{full}");
    handle.append(Record::SessionEnded { session });
    handle.commit(Wish::Synced);
    for second in 20..30 {
        store.settle(at(second * 1_000), 200);
    }
    let left = handle.figures().unwrap().disk_bytes;
    assert!(left < 1_000_000, "{left}");
}

#[test]
fn what_a_checkpoint_takes_is_known_before() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let check = |store: &ByHand, what: &str| {
        let model = store.engine().model();
        let mut checkpoint = Checkpoint::begin(model, u64::from(u32::MAX));
        let mut out = Vec::new();
        checkpoint.step(model, &mut out, usize::MAX);
        let (told, takes) = (model.state_bytes(), out.len() as u64);
        assert!(takes <= told + 64, "{what}: {takes}, told {told}");
        assert!(told <= takes * 3, "{what}: {takes}, told {told}");
    };
    let sessions: Vec<_> = (0..500)
        .map(|number| begin(&mut *handle, &format!("client-{number}")))
        .collect();
    handle.commit(Wish::Synced);
    store.turn(at(1));
    check(&store, "sessions");
    let filter = types::SubscriptionFilter::parse("$share/group/a/+/b", 10).unwrap();
    for &session in &sessions {
        handle.append(Record::Subscribed {
            session,
            filter: &filter,
            options: types::SubscriptionOptions::plain(QoS::AtLeastOnce),
            id: None,
        });
    }
    handle.commit(Wish::Synced);
    store.turn(at(2));
    check(&store, "subscriptions");
    for number in 1..=20_000 {
        owe(&mut *handle, sessions[0], number, b"x", at(3));
    }
    handle.commit(Wish::Synced);
    store.turn(at(3));
    check(&store, "deliveries");
    for number in 1..=5_000 {
        let topic = format!("a/topic/{number}");
        let message = handle.keep(&message(&topic, b"x"), at(4));
        handle.append(Record::Retained {
            message,
            topic: &topic,
            sequence: number,
            publisher: None,
        });
    }
    handle.commit(Wish::Synced);
    store.turn(at(4));
    check(&store, "retained messages");
    owe_long(&mut *handle, sessions[1]);
    handle.commit(Wish::Synced);
    store.turn(at(5));
    check(&store, "identifiers");
    for &session in &sessions {
        handle.append(Record::Unsubscribed {
            session,
            filter: &filter,
        });
        handle.append(Record::SessionEnded { session });
    }
    for number in 1..=5_000 {
        let topic = format!("a/topic/{number}");
        handle.append(Record::Cleared {
            topic: &topic,
            sequence: 5_000 + number,
        });
    }
    handle.commit(Wish::Synced);
    store.turn(at(6));
    for second in 1..100 {
        store.turn(at(second * 1_000));
    }
    assert!(store.engine().model().state_bytes() < 100);
}

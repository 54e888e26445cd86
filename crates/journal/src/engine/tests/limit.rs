//! `limits.store_bytes`, and how soon room comes back.

use store::Shortage;

use super::*;

const MOST: u64 = 4 << 20;

fn open_limited(disk: &MemoryDisk) -> ByHand {
    let options = Options {
        store_bytes: MOST,
        ..options()
    };
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    ByHand::open(disk, options, WALL).unwrap().0
}

/// Owes messages from a number on, many in each turn, until no more are taken. Returns the last.
fn fill(store: &mut ByHand, handle: &mut dyn Store, first: u64, now: &mut u64) -> u64 {
    let mut last = first - 1;
    while handle.room() == Room::Enough {
        for _ in 0..100 {
            if handle.room() != Room::Enough {
                break;
            }
            last += 1;
            owe(handle, SESSION, last, &[1; 1_000], at(*now));
        }
        handle.commit(Wish::Synced);
        *now += 10;
        store.turn(at(*now));
        assert!(disk_bytes(store) <= MOST);
    }
    last
}

fn disk_bytes(store: &ByHand) -> u64 {
    store.engine().figures(0).disk_bytes
}

fn begun(disk: &MemoryDisk) -> (ByHand, Box<dyn Store>) {
    let mut store = open_limited(disk);
    let mut handle = store.handle(WorkerId(0));
    assert_eq!(begin(&mut *handle, "a"), SESSION);
    handle.commit(Wish::Synced);
    store.settle(at(1), 10);
    (store, handle)
}

const SESSION: StoredSession = StoredSession(1);

#[test]
fn the_limit_holds_and_room_comes_back_soon() {
    let disk = MemoryDisk::default();
    let (mut store, mut handle) = begun(&disk);
    let mut now = 1;
    let mut last = 0;
    for _ in 0..3 {
        let first = last + 1;
        last = fill(&mut store, &mut *handle, first, &mut now);
        assert!(
            last - first > 2_500,
            "messages have most of the room: {first} to {last}"
        );
        assert_eq!(store.engine().shortage(), Some(Shortage::Limit));
        for number in first..=last {
            settle(&mut *handle, SESSION, number);
            if number % 10 == 0 {
                handle.commit(Wish::Lazy);
                store.turn(at(now));
                assert!(disk_bytes(&store) <= MOST);
            }
        }
        handle.commit(Wish::Lazy);
        for _ in 0..70 {
            now += 100;
            store.settle(at(now), 10);
            assert!(disk_bytes(&store) <= MOST);
        }
        let (left, figures) = (store.engine().limit_left(), store.engine().figures(0));
        assert!(left > MOST / 4 * 3, "{left} {figures:?}");
    }
}

#[test]
fn what_is_handed_over_counts_before_it_is_written() {
    for payload in [10, 1_000, 100_000] {
        let disk = MemoryDisk::default();
        let (mut store, mut handle) = begun(&disk);
        let mut last = 0;
        for turn in 1..100 {
            while handle.room() == Room::Enough {
                last += 1;
                owe(&mut *handle, SESSION, last, &vec![1; payload], at(turn));
            }
            handle.commit(Wish::Synced);
            store.settle(at(turn), 100);
            assert!(disk_bytes(&store) <= MOST, "{payload} bytes each");
        }
        assert_eq!(store.engine().shortage(), Some(Shortage::Limit));
    }
}

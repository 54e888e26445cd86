//! Housekeeping that is interrupted.

use std::num::NonZeroU32;

use super::*;
use crate::engine::Idle;

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

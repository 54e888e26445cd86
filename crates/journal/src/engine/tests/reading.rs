//! Messages that the disk gives an error for.

use super::*;

/// A store with two messages that were asked for, on a disk that reads nothing.
fn asked(disk: &MemoryDisk) -> (ByHand, Box<dyn Store>) {
    let (mut store, _) = open(disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let messages = [1, 2].map(|number| owe(&mut *handle, session, number, b"x", at(1)));
    handle.commit(Wish::Synced);
    store.turn(at(1));
    disk.fail_reads(Fault::Always(io::ErrorKind::Other));
    handle.load(KEY, &messages);
    store.turn(at(2));
    (store, handle)
}

#[test]
fn a_message_that_cannot_be_read_for_a_while_is_not_damaged() {
    let disk = MemoryDisk::default();
    let (mut store, mut handle) = asked(&disk);
    assert!(handle.loaded().is_none());
    assert_eq!(handle.figures().unwrap().failures, 1);
    disk.fail_reads(Fault::None);
    store.turn(at(3));
    let found = loaded(&mut *handle);
    assert_eq!(found.len(), 2);
    let is_message = |it: &Loaded| matches!(it.found, Found::Message(_));
    assert!(found.iter().all(is_message), "{found:?}");
    assert_eq!(handle.figures().unwrap().damaged, 0);
    assert!(handle.progress().is_ok());
}

#[test]
fn an_error_that_passes_at_once_is_not_noticed() {
    let disk = MemoryDisk::default();
    let (mut store, mut handle) = asked(&disk);
    disk.fail_reads(Fault::Once(io::ErrorKind::Other));
    store.turn(at(3));
    assert_eq!(loaded(&mut *handle).len(), 2);
}

#[test]
fn a_disk_that_never_reads_fails_the_store() {
    let disk = MemoryDisk::default();
    let (mut store, mut handle) = asked(&disk);
    let turns = (3..100).take_while(|&second| {
        store.turn(at(second * 1_000));
        handle.progress().is_ok()
    });
    assert_eq!(turns.count(), 8);
    assert!(handle.loaded().is_none(), "nothing is given up");
    disk.kill();
    let (_, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "a").len(), 2);
}

//! F04 and F05: writes and syncs that fail, and disks that are full.

use std::io::ErrorKind;

use super::*;

fn is_full<T: fmt::Debug>(result: Result<T, WriteError>) -> bool {
    matches!(result, Err(WriteError::Full(_)))
}

fn is_failed<T: fmt::Debug>(result: Result<T, WriteError>) -> bool {
    matches!(result, Err(WriteError::Failed(_)))
}

/// Whatever is asked for fails, and the disk is not touched.
fn assert_dead(log: &mut Log, disk: &MemoryDisk) {
    disk.heal();
    let before = disk.counts();
    assert!(is_failed(log.append(&mut frame(b"x"), 1000)));
    assert!(is_failed(log.sync()));
    assert!(is_failed(log.roll(1000)));
    assert!(is_failed(log.mark(1000)));
    assert!(is_failed(log.make_spare()));
    assert!(log.remove(1).is_err());
    assert!(log.quarantine(1).is_err());
    assert_eq!(disk.counts(), before);
}

#[test]
fn a_write_that_failed_is_never_tried_again() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append_synced(&mut log, b"safe");
    disk.fail_writes(Fault::Once(ErrorKind::Other));
    assert!(is_failed(log.append(&mut frame(&payload(1, 500)), 1000)));
    assert_dead(&mut log, &disk);
    assert_eq!(log.synced(), 1);
    disk.kill();
    assert_eq!(start(&disk).unwrap().tail.sequence, 1);
}

#[test]
fn a_sync_that_failed_is_never_tried_again() {
    // What is full at a sync is lost as well: the system had taken it.
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        let disk = MemoryDisk::new();
        let mut log = start(&disk).unwrap().log;
        append_synced(&mut log, b"safe");
        append(&mut log, b"not safe");
        disk.fail_syncs(Fault::Once(kind));
        assert!(is_failed(log.sync()));
        assert_eq!(log.synced(), 1);
        assert_dead(&mut log, &disk);
        disk.cut_power(0);
        assert_eq!(start(&disk).unwrap().tail.sequence, 1);
    }
}

#[test]
fn what_a_failed_sync_left_with_the_system_is_written_again_by_the_next_start() {
    for seed in 0..20 {
        let disk = MemoryDisk::new();
        let mut log = start(&disk).unwrap().log;
        append_synced(&mut log, b"safe");
        append(&mut log, &payload(1, 3000));
        append(&mut log, b"not safe");
        disk.fail_syncs(Fault::Once(ErrorKind::Other));
        assert!(is_failed(log.sync()));
        disk.kill();
        // The system shows what the disk does not have, and a sync would succeed.
        let mut found = start(&disk).unwrap();
        assert_eq!(sequences(&found.frames), [1, 2, 3]);
        append_synced(&mut found.log, b"built on that");
        disk.cut_power(seed);
        let found = start(&disk).unwrap();
        assert_eq!(sequences(&found.frames), [1, 2, 3, 4], "seed {seed}");
    }
}

#[test]
fn a_failure_while_a_segment_is_made_is_for_good() {
    for step in 0..3 {
        let disk = MemoryDisk::new();
        let mut log = start(&disk).unwrap().log;
        append(&mut log, b"not safe");
        match step {
            0 => disk.fail_syncs(Fault::Once(ErrorKind::Other)),
            1 => disk.fail_folder_syncs(Fault::Once(ErrorKind::Other)),
            _ => disk.fail_writes(Fault::Once(ErrorKind::Other)),
        }
        assert!(is_failed(log.roll(1000)), "step {step}");
        assert_dead(&mut log, &disk);
        for seed in 0..20 {
            let disk = disk.copy();
            disk.cut_power(seed);
            let found = start(&disk).unwrap();
            assert!(
                found.tail.sequence >= log.synced(),
                "step {step}, seed {seed}"
            );
        }
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_and_not_written() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    let before = disk.counts();
    let mut frame = frame(b"");
    frame.records().resize(MAX_PAYLOAD + FRAME_HEAD + 1, 0);
    assert!(is_failed(log.append(&mut frame, 1000)));
    assert_eq!(disk.counts(), before);
}

#[test]
fn a_full_disk_takes_the_same_frame_at_the_same_place_later() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    let long = payload(2, 3000);
    append_synced(&mut log, &payload(1, 3000));
    disk.fail_writes(Fault::Always(ErrorKind::StorageFull));
    let mut frame = frame(&long);
    for _ in 0..3 {
        assert!(is_full(log.append(&mut frame, 1000)));
        assert_eq!(log.written(), 1);
        log.sync().unwrap();
    }
    // A power cut now finds nothing of it.
    let cut = disk.copy();
    cut.cut_power(3);
    assert_eq!(start(&cut).unwrap().tail.sequence, 1);

    disk.heal();
    let at = log.append(&mut frame, 2000).unwrap();
    assert_eq!((at.segment, at.offset), (1, 4096 + 3032 + 32));
    assert_eq!(at.sequence, 2);
    log.sync().unwrap();
    disk.cut_power(4);
    let found = start(&disk).unwrap();
    assert_eq!(found.frames[&2], (at, long));
}

#[test]
fn without_room_for_another_segment_the_log_waits_where_it_is() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, &payload(1, 9000));
    disk.full_after(1000);
    assert!(is_full(log.make_spare()));
    assert!(!log.has_spare());
    let mut long = frame(&payload(2, 9000));
    for _ in 0..3 {
        assert!(is_full(log.append(&mut long, 1000)));
        assert!(is_full(log.roll(1000)));
    }
    // What is short still has room, and can be made safe.
    assert_eq!(append_synced(&mut log, b"short").segment, 1);
    assert_eq!(log.synced(), 2);
    disk.heal();
    let at = log.append(&mut long, 1000).unwrap();
    assert_eq!((at.segment, at.offset, at.sequence), (2, 4096 + 32, 3));
    log.make_spare().unwrap();
    log.sync().unwrap();
    disk.cut_power(5);
    assert_eq!(sequences(&start(&disk).unwrap().frames), [1, 2, 3]);
}

#[test]
fn a_spare_is_a_reserve_for_a_full_disk() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    log.make_spare().unwrap();
    append(&mut log, &payload(1, 9000));
    disk.full_after(0);
    let at = append_synced(&mut log, &payload(2, 9000));
    assert_eq!(at.segment, 2);
    // A segment that is not needed any more makes room.
    log.set_checkpoint(2);
    assert!(is_full(log.make_spare()));
    disk.heal();
    disk.full_after(SMALL.segment_bytes);
    log.roll(1000).unwrap();
    assert!(is_full(log.make_spare()));
    disk.full_after(disk.free_bytes().unwrap() + 1024);
    log.remove(1).unwrap();
    if !log.has_spare() {
        log.make_spare().unwrap_err();
        log.remove(2).unwrap();
        log.make_spare().unwrap();
    }
    append_synced(&mut log, b"room again");
}

#[test]
fn a_start_on_a_full_disk_uses_the_spare() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append_synced(&mut log, b"safe");
    log.make_spare().unwrap();
    disk.kill();
    disk.full_after(0);
    let mut found = start(&disk).unwrap();
    append_synced(&mut found.log, b"goes on");
    disk.kill();
    let empty = MemoryDisk::new();
    empty.full_after(0);
    assert!(matches!(start(&empty), Err(OpenError::Io { .. })));
}

#[test]
fn every_reason_for_a_full_disk_is_known() {
    for kind in [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::ReadOnlyFilesystem,
    ] {
        let disk = MemoryDisk::new();
        let mut log = start(&disk).unwrap().log;
        disk.fail_writes(Fault::Once(kind));
        assert!(is_full(log.append(&mut frame(b"x"), 1000)), "{kind}");
        append_synced(&mut log, b"x");
    }
}

#[test]
fn a_removal_that_fails_loses_no_segment() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, b"x");
    log.roll(1000).unwrap();
    disk.gone_after(0);
    assert!(log.remove(1).is_err());
    assert!(log.quarantine(1).is_err());
    disk.heal();
    assert!(log.file(1).is_some());
    log.remove(1).unwrap();
    append_synced(&mut log, b"goes on");
}

#[test]
fn a_segment_whose_name_was_not_synced_is_not_missed_later() {
    for seed in 0..20 {
        let disk = MemoryDisk::new();
        let mut log = start(&disk).unwrap().log;
        append_synced(&mut log, b"safe");
        disk.fail_folder_syncs(Fault::Once(ErrorKind::Other));
        assert!(is_failed(log.roll(1000)));
        disk.kill();
        // The system shows the name, and never writes it.
        let mut log = start(&disk).unwrap().log;
        append_synced(&mut log, b"built on that");
        disk.cut_power(seed);
        let found = start(&disk).unwrap();
        assert_eq!(sequences(&found.frames), [1, 2], "seed {seed}");
    }
}

#[test]
fn a_segment_that_lost_its_name_is_none_any_more() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    for seed in 1..=2 {
        append_synced(&mut log, &payload(seed, 9000));
        log.roll(1000).unwrap();
    }
    // There is no room to make a whole one of it, and then the system does not remove it either.
    disk.full_after(100);
    let changes = disk.counts().changes;
    let copy = disk.copy();
    log.remove(1).unwrap();
    assert!(log.file(1).is_none());
    let needed = disk.counts().changes - changes;
    copy.kill();
    let mut log = start(&copy).unwrap().log;
    copy.full_after(100);
    copy.gone_after(needed - 1);
    assert!(log.remove(1).is_err());
    assert!(log.file(1).is_none());
    copy.heal();
    // What is left of it is in nobody's way.
    log.make_spare().unwrap();
    append_synced(&mut log, &payload(3, 9000));
    append_synced(&mut log, &payload(4, 9000));
}

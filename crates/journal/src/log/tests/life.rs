//! Without faults.

use super::*;
use crate::segment::spare_name;

#[test]
fn frames_come_back_in_order_over_many_segments() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    let mut places = Vec::new();
    for seed in 1..=40 {
        places.push(append(&mut log, &payload(seed, 900)));
    }
    assert!(log.current() >= 3, "several segments");
    log.sync().unwrap();
    disk.kill();

    let again = start(&disk).unwrap();
    assert_eq!(sequences(&again.frames), (1..=40).collect::<Vec<_>>());
    for (place, (sequence, (at, bytes))) in places.iter().zip(&again.frames) {
        assert_eq!(place, at);
        assert_eq!(*bytes, payload(*sequence, 900));
    }
    assert_eq!(again.tail.sequence, 40);
    assert_eq!(again.tail.dropped_bytes, 0);
    assert_eq!(again.log.written(), 40);
}

#[test]
fn a_place_is_where_the_payload_can_be_read() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, b"before");
    let at = append(&mut log, b"the payload");
    append(&mut log, b"behind");
    let mut bytes = [0; 11];
    let file = log.file(at.segment).unwrap();
    assert_eq!(file.read_at(at.offset, &mut bytes).unwrap(), 11);
    assert_eq!(&bytes, b"the payload");
}

#[test]
fn a_recovered_segment_is_never_appended_to() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    let first = append_synced(&mut log, b"one");
    disk.kill();
    let mut again = start(&disk).unwrap();
    let name = segment_name(first.segment);
    let sealed = disk.content(&name).unwrap();
    assert_eq!(sealed.len(), 4096 + 40, "cut behind its last frame");
    for seed in 0..30 {
        let at = append_synced(&mut again.log, &payload(seed, 900));
        assert!(at.segment > first.segment);
    }
    assert_eq!(disk.content(&name).unwrap(), sealed);
    let info: Vec<_> = again.log.segments().collect();
    assert_eq!(info[0].used, 4096 + 40);
    assert!(info.iter().rev().skip(1).all(|segment| segment.sealed));
    assert!(!info.last().unwrap().sealed);
}

#[test]
fn a_start_replaces_a_segment_without_a_frame() {
    let disk = MemoryDisk::new();
    for life in 1..=5 {
        let started = start(&disk).unwrap();
        assert_eq!(started.tail.sequence, 0);
        assert_eq!(started.log.current(), 1, "life {life}");
        disk.kill();
    }
    assert_eq!(append(&mut start(&disk).unwrap().log, b"x").sequence, 1);
}

#[test]
fn a_frame_longer_than_a_segment_gets_a_segment_of_its_size() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, b"short");
    let long = payload(1, 100_000);
    let at = append(&mut log, &long);
    assert_eq!(at.segment, 2);
    let behind = append_synced(&mut log, &payload(2, 5000));
    assert_eq!(behind.segment, 3);
    disk.kill();
    let again = start(&disk).unwrap();
    assert_eq!(again.frames[&2].1, long);
    assert_eq!(sequences(&again.frames), [1, 2, 3]);
}

#[test]
fn a_frame_that_just_fits_does_not_roll() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    let room = SMALL.segment_bytes - HEADER_BYTES;
    let most = usize::try_from(room).unwrap() - FRAME_HEAD;
    assert_eq!(append(&mut log, &payload(1, most)).segment, 1);
    assert_eq!(append(&mut log, b"").segment, 2);
    let mut log = start(&MemoryDisk::new()).unwrap().log;
    assert_eq!(append(&mut log, b"").segment, 1);
    assert_eq!(append(&mut log, &payload(1, most)).segment, 2);
}

#[test]
fn a_replay_begins_with_the_checkpoint_of_the_newest_header() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, b"one");
    let first = log.roll(1000).unwrap();
    append_synced(&mut log, b"two");
    log.set_checkpoint(first);
    disk.kill();
    let (scan, ..) = replay(&disk).unwrap();
    assert_eq!(scan.checkpoint(), 0, "no header names it yet");

    let mut log = start(&disk).unwrap().log;
    log.set_checkpoint(first);
    log.roll(1000).unwrap();
    append_synced(&mut log, b"three");
    log.remove(1).unwrap();
    disk.kill();
    let again = start(&disk).unwrap();
    assert_eq!(sequences(&again.frames), [2, 3]);

    disk.kill();
    let (scan, ..) = replay(&disk).unwrap();
    assert_eq!(scan.checkpoint(), first, "it goes from header to header");
    assert_eq!(scan.replay_from(), first);
}

#[test]
fn a_removed_segment_becomes_the_next_one_and_nothing_of_it_comes_back() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    // Frames of one length: the old ones lie exactly where new ones will.
    for seed in 1..=12 {
        append(&mut log, &payload(seed, 1000));
    }
    assert_eq!(log.current(), 2);
    log.roll(1000).unwrap();
    log.set_checkpoint(3);
    log.roll(1000).unwrap();
    let old = disk.content(&segment_name(1)).unwrap();
    log.remove(1).unwrap();
    assert!(log.has_spare());
    assert!(names(&disk).contains(&spare_name(1)));
    log.roll(1000).unwrap();
    assert!(!log.has_spare());
    append_synced(&mut log, &payload(100, 1000));
    let name = segment_name(log.current());
    let new = disk.content(&name).unwrap();
    let second = 4096 + 1032;
    assert_eq!(
        new[second..old.len()],
        old[second..],
        "the old frames lie there"
    );
    assert_eq!(new.len(), 16 << 10, "it has a whole segment's room again");
    disk.kill();
    let (_, tail, frames) = replay(&disk).unwrap();
    assert_eq!(sequences(&frames), [13]);
    assert_eq!(
        tail.dropped_bytes, 0,
        "what an earlier life left is not counted"
    );
}

#[test]
fn frames_of_another_life_of_the_same_blocks_are_not_taken() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append_synced(&mut log, b"common");
    disk.kill();
    // The same numbers, places and sequences, in a life that never was.
    let other = disk.copy();
    assert_ne!(other.random(), other.random());
    let mut others = start(&other).unwrap().log;
    let mut ours = start(&disk).unwrap().log;
    for seed in 0..3 {
        append_synced(&mut others, &payload(seed, 500));
    }
    append_synced(&mut ours, &payload(100, 500));
    let stale = other.content(&segment_name(2)).unwrap();
    let behind = 4096 + 536;
    disk.edit(&segment_name(2), |bytes| {
        bytes[behind..].copy_from_slice(&stale[behind..]);
    });
    disk.kill();
    let found = start(&disk).unwrap();
    assert_eq!(sequences(&found.frames), [1, 2]);
    assert_eq!(found.frames[&2].1, payload(100, 500));
}

#[test]
fn a_segment_that_somebody_reads_is_not_written_over() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    let at = append(&mut log, b"still read");
    log.roll(1000).unwrap();
    let reader = log.file(at.segment).unwrap();
    log.remove(at.segment).unwrap();
    assert!(!log.has_spare());
    for seed in 0..40 {
        append(&mut log, &payload(seed, 900));
    }
    let mut bytes = [0; 10];
    reader.read_at(at.offset, &mut bytes).unwrap();
    assert_eq!(&bytes, b"still read");
}

#[test]
fn the_segment_that_is_written_is_not_removed() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    assert!(log.remove(1).is_err());
    assert!(log.remove(2).is_err());
    assert!(log.quarantine(1).is_err());
    append_synced(&mut log, b"all is well");
}

#[test]
fn spares_are_used_up_by_a_start_and_wrong_ones_removed() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, b"x");
    log.make_spare().unwrap();
    log.make_spare().unwrap();
    assert_eq!(log.disk_bytes(), 2 * SMALL.segment_bytes);
    disk.put("spare-7.segment", &[1; 100]);
    disk.kill();
    let log = start(&disk).unwrap().log;
    assert_eq!(
        names(&disk),
        [segment_name(1), segment_name(2), "store.id".to_owned()]
    );
    assert!(!log.has_spare());
    assert_eq!(log.disk_bytes(), 4096 + 40 + SMALL.segment_bytes);
}

#[test]
fn a_sync_is_asked_for_only_if_something_is_written() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, b"x");
    let before = disk.counts().syncs;
    log.sync().unwrap();
    assert_eq!(log.synced(), 1);
    log.sync().unwrap();
    assert_eq!(disk.counts().syncs, before + 1);
}

#[test]
fn one_frame_is_one_write() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    let before = disk.counts().changes;
    append(&mut log, &payload(1, 9000));
    assert_eq!(disk.counts().changes, before + 1);
}

#[test]
fn a_store_keeps_its_name() {
    let disk = MemoryDisk::new();
    assert!(scan(&disk).unwrap().is_new());
    start(&disk).unwrap();
    disk.kill();
    let id = scan(&disk).unwrap().id().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    start(&disk).unwrap();
    disk.kill();
    assert_eq!(scan(&disk).unwrap().id(), Some(&*id));
    let text = String::from_utf8(disk.content("store.id").unwrap()).unwrap();
    assert_eq!(text, format!("Nightjar store\nformat 1\nid {id}\n"));
}

#[test]
fn time_is_the_latest_of_all_frames_and_headers() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    log.append(&mut frame(b"x"), 5000).unwrap();
    disk.kill();
    let (scan, tail, _) = replay(&disk).unwrap();
    assert_eq!(tail.time, 5000);
    // A wall clock that went back since.
    Log::begin(scan, &tail, 10).unwrap();
    disk.kill();
    assert_eq!(replay(&disk).unwrap().1.time, 5000);
}

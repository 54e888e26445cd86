//! F07, F08 and what else may have happened to the files.

use super::*;
use crate::segment::HeaderError;

/// Six synced frames of 1000 bytes in segment 1, five in segment 2, and a mark behind them.
fn two_segments() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    for seed in 1..=6 {
        append_synced(&mut log, &payload(seed, 1000));
    }
    log.roll(1000).unwrap();
    for seed in 7..=11 {
        append_synced(&mut log, &payload(seed, 1000));
    }
    log.mark(1000).unwrap();
    disk.kill();
    disk
}

/// Where frame `place` (0, 1, ...) of a segment of [`two_segments`] begins.
fn begins(place: u64) -> u64 {
    HEADER_BYTES + place * 1032
}

/// How a start is refused: the file, and where in it.
fn refusal(disk: &MemoryDisk) -> (String, u64) {
    let before: Vec<_> = contents(disk);
    let refused = match start(disk) {
        Err(OpenError::Damaged { file, offset, .. }) => (file, offset),
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(contents(disk), before, "a refusal changes nothing");
    refused
}

fn contents(disk: &MemoryDisk) -> Vec<(String, Vec<u8>)> {
    let names = names(disk).into_iter();
    names
        .map(|name| (name.clone(), disk.content(&name).unwrap()))
        .collect()
}

fn salvage(disk: &MemoryDisk) -> (Vec<u64>, Tail, Vec<Damage>) {
    let mut found = Vec::new();
    let mut damages = Vec::new();
    let mut each = |at: FrameAt, _: &[u8]| {
        found.push(at.sequence);
        Ok(())
    };
    let tail = scan(disk)
        .unwrap()
        .salvage(&mut each, &mut damages)
        .unwrap();
    (found, tail, damages)
}

#[test]
fn a_damaged_tail_is_cut_off() {
    // Without the mark: nothing says that the last frame was on the disk.
    let whole = MemoryDisk::new();
    let mut log = start(&whole).unwrap().log;
    for seed in 1..=3 {
        append_synced(&mut log, &payload(seed, 100));
    }
    whole.kill();
    let last = HEADER_BYTES + 2 * 136;
    for byte in last..last + 132 {
        let disk = whole.copy();
        disk.flip(&segment_name(1), byte, 5);
        let found = start(&disk).unwrap();
        assert_eq!(sequences(&found.frames), [1, 2], "byte {byte}");
        // A frame is told from what was there before by its sequence and length.
        if !(last + 4..last + 24).contains(&byte) {
            assert_eq!(found.tail.dropped_bytes, 136, "byte {byte}");
        }
    }
    for length in last..last + 132 {
        let disk = whole.copy();
        let length = usize::try_from(length).unwrap();
        disk.edit(&segment_name(1), |bytes| bytes.truncate(length));
        let mut found = start(&disk).unwrap();
        assert_eq!(sequences(&found.frames), [1, 2], "cut at {length}");
        assert_eq!(append_synced(&mut found.log, b"again").sequence, 3);
        disk.kill();
        assert_eq!(start(&disk).unwrap().tail.sequence, 3);
    }
}

#[test]
fn a_page_of_zeros_at_the_end_is_a_damaged_tail() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append_synced(&mut log, &payload(1, 5000));
    append_synced(&mut log, &payload(2, 5000));
    disk.edit(&segment_name(1), |bytes| bytes[12288..].fill(0));
    disk.kill();
    let found = start(&disk).unwrap();
    assert_eq!(sequences(&found.frames), [1]);
    assert_eq!(found.tail.dropped_bytes, 5032);
}

#[test]
fn damage_before_what_was_synced_later_is_refused() {
    let whole = two_segments();
    for place in 0..5 {
        for byte in [0, 4, 8, 16, 24, 32, 500, 1031] {
            let disk = whole.copy();
            disk.flip(&segment_name(2), begins(place) + byte, 0);
            let refused = refusal(&disk);
            assert_eq!(refused, (segment_name(2), begins(place)), "byte {byte}");
        }
    }
}

#[test]
fn the_mark_at_the_end_may_itself_be_torn() {
    let disk = two_segments();
    disk.flip(&segment_name(2), begins(5) + 9, 0);
    assert_eq!(start(&disk).unwrap().tail.sequence, 11);
}

#[test]
fn damage_in_an_older_segment_is_refused() {
    let whole = two_segments();
    for place in 0..6 {
        for byte in [0, 4, 8, 16, 24, 32, 500, 1031] {
            let disk = whole.copy();
            disk.flip(&segment_name(1), begins(place) + byte, 3);
            let refused = refusal(&disk);
            assert_eq!(refused, (segment_name(1), begins(place)), "byte {byte}");
        }
    }
    // Also where there is nothing behind it.
    for length in [4096, 5000, 4096 + 5 * 1032, 4096 + 6 * 1032 - 1] {
        let disk = whole.copy();
        disk.edit(&segment_name(1), |bytes| bytes.truncate(length));
        let at = (u64::try_from(length).unwrap() - HEADER_BYTES) / 1032;
        assert_eq!(refusal(&disk), (segment_name(1), begins(at)));
    }
}

#[test]
fn a_damaged_header_is_refused() {
    for number in [1, 2] {
        for byte in 0..64 {
            let disk = two_segments();
            disk.flip(&segment_name(number), byte, 6);
            assert_eq!(refusal(&disk), (segment_name(number), 0), "byte {byte}");
        }
        for length in [0, 1, 63, 64, 4095] {
            let disk = two_segments();
            disk.edit(&segment_name(number), |bytes| bytes.truncate(length));
            assert_eq!(refusal(&disk), (segment_name(number), 0), "cut at {length}");
        }
    }
}

#[test]
fn a_segment_under_another_name_is_refused() {
    let disk = two_segments();
    disk.rename(&segment_name(2), &segment_name(3)).unwrap();
    assert_eq!(refusal(&disk), (segment_name(3), 0));
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = two_segments();
    start(&disk).unwrap();
    disk.kill();
    for number in [1, 2] {
        let disk = disk.copy();
        disk.remove(&segment_name(number)).unwrap();
        match start(&disk) {
            Err(OpenError::Missing { file }) => assert_eq!(file, segment_name(number)),
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn a_missing_segment_before_the_checkpoint_is_none() {
    let disk = two_segments();
    let mut log = start(&disk).unwrap().log;
    log.set_checkpoint(3);
    log.roll(1000).unwrap();
    disk.kill();
    disk.remove(&segment_name(1)).unwrap();
    start(&disk).unwrap();
    disk.kill();
    let (_, _, damages) = salvage(&disk);
    assert_eq!(damages, []);
    disk.remove(&segment_name(3)).unwrap();
    assert!(matches!(start(&disk), Err(OpenError::Missing { .. })));
}

#[test]
fn another_version_is_refused_and_named() {
    let disk = two_segments();
    disk.edit("store.id", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace("format 1", "format 2").into_bytes();
    });
    match start(&disk) {
        Err(OpenError::Version { file, found }) => assert_eq!((&*file, &*found), ("store.id", "2")),
        other => panic!("not refused: {other:?}"),
    }
    let disk = two_segments();
    disk.edit(&segment_name(1), |bytes| {
        bytes[8] = 9;
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..64]);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    });
    match start(&disk) {
        Err(OpenError::Version { file, found }) => {
            assert_eq!((file, &*found), (segment_name(1), "9"))
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let disk = MemoryDisk::new();
    disk.put("thesis.doc", b"precious");
    assert!(matches!(start(&disk), Err(OpenError::Foreign { file }) if file == "thesis.doc"));
    assert_eq!(names(&disk), ["thesis.doc"]);
    let disk = MemoryDisk::new();
    disk.put("lock", b"");
    start(&disk).unwrap();
}

#[test]
fn a_store_that_lost_its_segments_or_its_name_is_refused() {
    let disk = two_segments();
    disk.remove("store.id").unwrap();
    assert!(matches!(start(&disk), Err(OpenError::NoIdentity)));
    let disk = two_segments();
    disk.remove(&segment_name(1)).unwrap();
    disk.remove(&segment_name(2)).unwrap();
    assert!(matches!(start(&disk), Err(OpenError::NoSegment)));
    for text in ["", "Nightjar store\n", "Nightjar store\nformat 1\nid 12\n"] {
        let disk = two_segments();
        disk.edit("store.id", |bytes| *bytes = text.as_bytes().to_vec());
        assert_eq!(refusal(&disk), ("store.id".to_owned(), 0), "{text:?}");
    }
}

#[test]
fn a_segment_that_cannot_be_read_is_refused() {
    let disk = two_segments();
    let mut scan = scan(&disk).unwrap();
    disk.gone_after(0);
    let refused = scan.replay(&mut |_, _| Ok(()));
    assert!(
        matches!(refused, Err(OpenError::Damaged { .. })),
        "{refused:?}"
    );
}

#[test]
fn errors_of_the_one_who_replays_end_the_replay() {
    let mut scan = scan(&two_segments()).unwrap();
    let mut seen = 0;
    let refused = scan.replay(&mut |_, _| {
        seen += 1;
        Err(OpenError::NoSegment)
    });
    assert!(matches!(refused, Err(OpenError::NoSegment)));
    assert_eq!(seen, 1);
}

#[test]
fn a_salvage_gives_what_is_left_and_says_what_is_not() {
    let disk = two_segments();
    disk.flip(&segment_name(1), begins(1) + 40, 1);
    disk.flip(&segment_name(1), begins(2) + 40, 1);
    disk.flip(&segment_name(1), begins(5) + 40, 1);
    disk.flip(&segment_name(2), begins(0) + 40, 1);
    let (found, tail, damages) = salvage(&disk);
    assert_eq!(found, [1, 4, 5, 8, 9, 10, 11, 12]);
    let lost = |segment, place, first, last| Damage {
        segment,
        offset: begins(place),
        wrong: Wrong::Frames(first..=last),
    };
    assert_eq!(
        damages,
        [lost(1, 1, 2, 3), lost(1, 5, 6, 6), lost(2, 0, 7, 7)]
    );
    assert_eq!(tail.sequence, 12);
    assert_eq!(
        damages[0].wrong.to_string(),
        "frames 2 to 3 are not what was written"
    );
}

#[test]
fn a_salvage_passes_over_lost_headers_and_files() {
    let disk = two_segments();
    start(&disk).unwrap();
    disk.kill();
    disk.flip(&segment_name(2), 30, 1);
    disk.remove(&segment_name(1)).unwrap();
    let (found, tail, damages) = salvage(&disk);
    assert!(found.is_empty());
    let wrong: Vec<_> = damages.iter().map(|damage| &damage.wrong).collect();
    assert_eq!(
        wrong,
        [&Wrong::Missing, &Wrong::Header(HeaderError::Checksum)]
    );
    // No sequence is given twice.
    assert_eq!(tail.sequence, 12);
}

#[test]
fn what_was_salvaged_goes_on_and_the_damage_is_put_aside() {
    let disk = two_segments();
    disk.flip(&segment_name(2), begins(1), 0);
    let mut scan = scan(&disk).unwrap();
    let mut damages = Vec::new();
    let tail = scan.salvage(&mut |_, _| Ok(()), &mut damages).unwrap();
    let mut log = Log::begin(scan, &tail, 1000).unwrap();
    let first = log.current();
    // The state is written again, as a checkpoint, and then the damage is in nobody's way.
    append_synced(&mut log, b"all that is left");
    log.set_checkpoint(first);
    log.roll(1000).unwrap();
    log.quarantine(damages[0].segment).unwrap();
    disk.cut_power(1);
    let found = start(&disk).unwrap();
    assert_eq!(sequences(&found.frames), [13]);
    assert!(
        disk.content("quarantine/0000000000000002.segment")
            .is_some()
    );
    assert!(!names(&disk).contains(&segment_name(2)));
}

#[test]
fn a_replay_of_everything_also_sees_what_lies_before_the_checkpoint() {
    let disk = two_segments();
    let mut log = start(&disk).unwrap().log;
    log.set_checkpoint(3);
    log.roll(1000).unwrap();
    disk.kill();
    disk.flip(&segment_name(1), begins(3) + 100, 1);
    assert_eq!(start(&disk.copy()).unwrap().frames.len(), 0);
    let mut found = Vec::new();
    let mut damages = Vec::new();
    let mut each = |at: FrameAt, _: &[u8]| {
        found.push(at.sequence);
        Ok(())
    };
    let mut scan = scan(&disk).unwrap();
    scan.replay_all(&mut each, &mut damages).unwrap();
    assert_eq!(found, [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(damages.len(), 1);
    assert_eq!(damages[0].wrong, Wrong::Frames(4..=4));

    // The end of a segment counts even if the next one is gone.
    disk.remove(&segment_name(2)).unwrap();
    disk.edit(&segment_name(1), |bytes| {
        bytes.truncate(4096 + 6 * 1032 - 8)
    });
    let mut damages = Vec::new();
    let mut scan = self::scan(&disk).unwrap();
    scan.replay_all(&mut |_, _| Ok(()), &mut damages).unwrap();
    assert_eq!(damages.last().unwrap().wrong, Wrong::FramesFrom(6));
}

#[test]
fn an_error_says_the_file_the_place_and_what_to_do() {
    let disk = two_segments();
    disk.flip(&segment_name(2), begins(1), 0);
    let text = start(&disk).unwrap_err().to_string();
    for part in [
        "0000000000000002.segment",
        "byte 5128",
        "frame 8",
        "nightjar store verify",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn without_store_id_an_error_says_how_to_write_it_anew() {
    for text in [None, Some("id 12\n")] {
        let disk = two_segments();
        match text {
            Some(text) => disk.edit("store.id", |bytes| *bytes = text.as_bytes().to_vec()),
            None => disk.remove("store.id").unwrap(),
        }
        let error = start(&disk).unwrap_err().to_string();
        for part in [
            "store.id",
            "\"format 1\"",
            "32 hex",
            "nightjar store verify",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("--quarantine"), "{error}");
        disk.put(
            "store.id",
            format!("Nightjar store\nformat 1\nid {:032}\n", 1).as_bytes(),
        );
        start(&disk).unwrap();
    }
}

/// A payload is not ours: it may be full of what looks like frames.
#[test]
fn heads_of_frames_in_a_torn_payload_are_no_frames() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append_synced(&mut log, b"safe");
    let mut disguise = Vec::new();
    for place in 0..300u32 {
        disguise.extend_from_slice(&0u32.to_le_bytes());
        disguise.extend_from_slice(&(10_000 - place * 32).to_le_bytes());
        disguise.extend_from_slice(&3u64.to_le_bytes());
        disguise.extend_from_slice(&2u64.to_le_bytes());
        disguise.extend_from_slice(&0u64.to_le_bytes());
    }
    append(&mut log, &disguise);
    let last = append(&mut log, b"torn as well");
    disk.kill();
    disk.flip(&segment_name(1), 4136, 0);
    let found = start(&disk.copy()).unwrap();
    assert_eq!(sequences(&found.frames), [1]);
    let dropped = last.offset + 16 - 4136;
    assert_eq!(found.tail.dropped_bytes, dropped, "the last frame was seen");
}

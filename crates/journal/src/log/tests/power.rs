//! F02 and F03: the power is cut, and of what was not synced any part survives.

use super::*;
use crate::faulty::Chance;

/// What must be true after a power cut.
#[derive(Default)]
struct Ledger {
    /// Payloads by sequence, as they were written last.
    written: BTreeMap<u64, Vec<u8>>,
    /// All up to this one was said to be safe.
    safe: u64,
    /// Checkpoints that a header may name.
    checkpoints: Vec<u64>,
    /// The one that a header on the disk names for sure.
    noted: u64,
}

impl Ledger {
    fn append(&mut self, log: &mut Log, payload: Vec<u8>) -> Result<(), WriteError> {
        // It may reach the disk even if the call fails.
        self.written.insert(log.written() + 1, payload.clone());
        log.append(&mut frame(&payload), 1000)?;
        Ok(())
    }

    fn sync(&mut self, log: &mut Log) -> Result<(), WriteError> {
        log.sync()?;
        self.safe = log.written();
        Ok(())
    }

    /// A checkpoint of nothing, which begins with a new segment, and lets go of all before it.
    fn checkpoint(&mut self, log: &mut Log) -> Result<(), WriteError> {
        let first = log.roll(1000)?;
        self.safe = log.written();
        log.set_checkpoint(first);
        self.checkpoints.push(first);
        log.roll(1000)?;
        self.noted = first;
        let old: Vec<u64> = log.segments().map(|segment| segment.number).collect();
        for number in old.into_iter().filter(|&number| number < first) {
            log.remove(number).map_err(WriteError::Failed)?;
        }
        Ok(())
    }

    /// One random step.
    fn step(&mut self, log: &mut Log, chance: &mut Chance) -> Result<(), WriteError> {
        match chance.up_to(19) {
            0..=11 => {
                let length = chance.up_to(3000);
                self.append(log, payload(chance.next(), length))
            }
            12..=15 => self.sync(log),
            16 => log.make_spare(),
            17 => log.mark(1000).map(|()| {
                self.written.insert(log.written(), Vec::new());
                self.safe = log.written();
            }),
            18 => log.roll(1000).map(|_| self.safe = log.written()),
            _ => self.checkpoint(log),
        }
    }

    /// Looks at what is there after a power cut or a kill.
    fn check(&mut self, found: &Started, context: &str) {
        let frames = &found.frames;
        let last = found.tail.sequence;
        assert!(last >= self.safe, "{context}: lost {last}..{}", self.safe);
        for (sequence, (_, bytes)) in frames {
            let expected = self.written.get(sequence);
            assert_eq!(expected, Some(bytes), "{context}: frame {sequence}");
        }
        let found = sequences(frames);
        assert!(
            found.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{context}: a hole in {found:?}"
        );
        if let Some(newest) = found.last() {
            assert_eq!(*newest, last, "{context}");
        }
    }

    /// The new life begins with what was found.
    fn adopt(&mut self, found: &Started) {
        self.written
            .retain(|&sequence, _| sequence <= found.tail.sequence);
        self.safe = found.tail.sequence;
    }
}

#[test]
fn what_was_synced_survives_any_power_cut() {
    let mut torn = 0;
    let mut lost = 0;
    for seed in 0..1500 {
        let disk = MemoryDisk::new();
        let mut ledger = Ledger::default();
        let mut chance = Chance::new(seed);
        for life in 0..4 {
            let context = format!("seed {seed}, life {life}");
            let mut found = match start(&disk) {
                Ok(found) => found,
                Err(error) => panic!("{context}: {error}"),
            };
            ledger.check(&found, &context);
            torn += u64::from(found.tail.dropped_bytes > 0);
            lost += u64::from(found.tail.sequence < last(&ledger));
            let (noted, checkpoint) = (ledger.noted, found.log.checkpoint);
            assert!(checkpoint >= noted, "{context}: an older checkpoint");
            assert!(
                checkpoint == 0 || ledger.checkpoints.contains(&checkpoint),
                "{context}"
            );
            ledger.adopt(&found);
            for _ in 0..chance.up_to(30) {
                ledger.step(&mut found.log, &mut chance).unwrap();
            }
            if chance.up_to(5) == 0 {
                disk.kill();
                assert_eq!(
                    replay(&disk).unwrap().1.sequence,
                    last(&ledger),
                    "{context}"
                );
            } else {
                disk.cut_power(chance.next());
            }
        }
    }
    assert!(torn > 200, "the cuts must tear something: {torn}");
    assert!(lost > 200, "the cuts must lose something: {lost}");
}

fn last(ledger: &Ledger) -> u64 {
    ledger.written.keys().next_back().copied().unwrap_or(0)
}

/// All that a log does, step by step, until the disk is gone.
fn script(disk: &MemoryDisk, ledger: &mut Ledger) -> Result<(), String> {
    let text = |error: WriteError| error.to_string();
    let mut found = start(disk).map_err(|error| error.to_string())?;
    ledger.check(&found, "script");
    ledger.adopt(&found);
    let log = &mut found.log;
    for seed in 0..6 {
        ledger.append(log, payload(seed, 1500)).map_err(text)?;
        ledger.append(log, payload(seed + 100, 700)).map_err(text)?;
        ledger.sync(log).map_err(text)?;
    }
    ledger.checkpoint(log).map_err(text)?;
    ledger.append(log, payload(7, 1500)).map_err(text)?;
    log.make_spare().map_err(text)?;
    ledger.checkpoint(log).map_err(text)?;
    ledger.append(log, payload(8, 30_000)).map_err(text)?;
    ledger.sync(log).map_err(text)
}

#[test]
fn the_power_may_be_cut_between_any_two_steps() {
    // Over three lives, so that each step of a start is cut off as well.
    for cut_life in 0..3 {
        for after in 0.. {
            let disk = MemoryDisk::new();
            let mut ledger = Ledger::default();
            for _ in 0..cut_life {
                script(&disk, &mut ledger).unwrap();
                disk.cut_power(after);
            }
            disk.gone_after(after);
            let whole = script(&disk, &mut ledger).is_ok();
            for seed in 0..24 {
                let disk = disk.copy();
                disk.cut_power(seed);
                let context = format!("life {cut_life}, after {after}, seed {seed}");
                match start(&disk) {
                    Ok(found) => ledger.check(&found, &context),
                    Err(error) => panic!("{context}: {error}"),
                }
            }
            if whole {
                assert!(after > 40, "the script is longer than {after} steps");
                break;
            }
        }
    }
}

#[test]
fn a_torn_frame_is_dropped_at_every_boundary() {
    for sector in [512, 4096] {
        let disk = MemoryDisk::new();
        let mut log = start(&disk).unwrap().log;
        append_synced(&mut log, b"safe");
        let before = disk.content(&segment_name(1)).unwrap();
        append(&mut log, &payload(1, 9000));
        let after = disk.content(&segment_name(1)).unwrap();
        // Only the first sectors, only the last, all but one.
        for cut in (sector..16 << 10).step_by(sector) {
            for kept in [0..cut, cut..16 << 10] {
                let disk = disk.copy();
                let mut bytes = before.clone();
                bytes[kept.clone()].copy_from_slice(&after[kept.clone()]);
                if bytes == after || bytes == before {
                    continue;
                }
                disk.edit(&segment_name(1), |content| *content = bytes.clone());
                disk.kill();
                let found = start(&disk).unwrap();
                assert_eq!(found.tail.sequence, 1, "{sector}, {kept:?}");
                assert_eq!(found.frames[&1].1, b"safe");
                if kept.start == 0 {
                    assert!(found.tail.dropped_bytes > 9000, "{sector}, {kept:?}");
                }
            }
        }
    }
}

#[test]
fn what_comes_behind_a_hole_is_dropped_and_never_comes_back() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append_synced(&mut log, b"safe");
    let hole = append(&mut log, &payload(1, 600));
    append(&mut log, b"behind the hole");
    let at = usize::try_from(hole.offset).unwrap();
    disk.edit(&segment_name(1), |bytes| bytes[at - 32..at + 600].fill(0));
    disk.kill();
    let mut found = start(&disk).unwrap();
    assert_eq!(sequences(&found.frames), [1]);
    assert!(found.tail.dropped_bytes > 600);
    append_synced(&mut found.log, b"another second");
    append_synced(&mut found.log, b"another third");
    disk.kill();
    let again = start(&disk).unwrap();
    assert_eq!(again.frames[&2].1, b"another second");
    assert_eq!(again.frames[&3].1, b"another third");
    assert_eq!(again.tail.dropped_bytes, 0);
}

#[test]
fn what_a_kill_left_with_the_system_is_synced_by_the_next_start() {
    let disk = MemoryDisk::new();
    let mut log = start(&disk).unwrap().log;
    append(&mut log, b"written, not synced");
    disk.kill();
    assert_eq!(start(&disk).unwrap().tail.sequence, 1);
    for seed in 0..50 {
        let disk = disk.copy();
        disk.cut_power(seed);
        assert_eq!(start(&disk).unwrap().tail.sequence, 1, "seed {seed}");
    }
}

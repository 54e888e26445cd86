//! The log on a disk that fails. Fault numbers (F02 ...) are those of docs/storage.md.

use std::collections::BTreeMap;

use super::*;
use crate::faulty::{Fault, MemoryDisk};

mod damage;
mod full;
mod life;
mod power;
mod real;

/// Room for three frames of 4 KiB, or for many short ones.
const SMALL: Options = Options {
    segment_bytes: 16 << 10,
    spares: 1,
};

/// What a start finds.
#[derive(Debug)]
struct Started {
    log: Log,
    tail: Tail,
    frames: Frames,
}

/// By sequence.
type Frames = BTreeMap<u64, (FrameAt, Vec<u8>)>;

fn scan(disk: &MemoryDisk) -> Result<Scan, OpenError> {
    Scan::open(Arc::new(disk.clone()), SMALL)
}

fn replay(disk: &MemoryDisk) -> Result<(Scan, Tail, Frames), OpenError> {
    let mut scan = scan(disk)?;
    let mut frames = BTreeMap::new();
    let tail = scan.replay(&mut |at, payload| {
        let before = frames.insert(at.sequence, (at, payload.to_vec()));
        assert_eq!(before, None, "frame {} came twice", at.sequence);
        Ok(())
    })?;
    Ok((scan, tail, frames))
}

fn start(disk: &MemoryDisk) -> Result<Started, OpenError> {
    let (scan, tail, frames) = replay(disk)?;
    let log = Log::begin(scan, &tail, 1000).map_err(|error| found::io_error("begin", error))?;
    Ok(Started { log, tail, frames })
}

fn frame(payload: &[u8]) -> FrameBuffer {
    let mut frame = FrameBuffer::default();
    frame.push(payload);
    frame
}

/// A payload like no other, from `seed`.
fn payload(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn append(log: &mut Log, payload: &[u8]) -> FrameAt {
    log.append(&mut frame(payload), 1000).unwrap()
}

fn append_synced(log: &mut Log, payload: &[u8]) -> FrameAt {
    let at = append(log, payload);
    log.sync().unwrap();
    at
}

/// All frames are there from the first to the last, without a hole.
fn sequences(frames: &Frames) -> Vec<u64> {
    frames.keys().copied().collect()
}

fn names(disk: &MemoryDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

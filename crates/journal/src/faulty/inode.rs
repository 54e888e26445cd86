//! The content of one file: what is durable, and what was written since.

use std::collections::BTreeMap;

use super::{Chance, as_u64};

/// A file without its name.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// What is not durable yet.
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Inode {
    /// Zeros, of which nothing is durable.
    pub(super) fn new(bytes: u64) -> Self {
        let mut inode = Self::durable(Vec::new());
        inode.set_len(bytes);
        inode
    }

    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self {
            now: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        }
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.now
    }

    pub(super) fn length(&self) -> u64 {
        as_u64(self.now.len())
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            self.change(Change::Write(at, bytes.to_vec()));
        }
    }

    pub(super) fn set_len(&mut self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.change(Change::Length(bytes));
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that failed: what was pending never becomes durable.
    pub(super) fn lose(&mut self) {
        self.pending.clear();
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.now);
        self.durable.clone_from(&self.now);
        self.pending.clear();
    }

    /// Keeps of what was pending all, nothing, a prefix whose last write is torn, or any sectors.
    pub(super) fn cut_power(&mut self, chance: &mut Chance) {
        let count = self.pending.len();
        let sector = if chance.up_to(1) == 0 { 512 } else { 4096 };
        let (whole, torn) = match chance.up_to(4) {
            0 => (0, 0),
            1 => (count, count),
            2 => {
                let whole = chance.up_to(count);
                (whole, whole.saturating_add(1).min(count))
            }
            _ => (0, count),
        };
        let mut survivors = Sectors::new(sector, whole..=torn, chance);
        for (place, change) in self.pending.drain(..).enumerate() {
            match change {
                Change::Write(at, bytes) => {
                    for (at, part) in survivors.of(place, at, &bytes) {
                        put(&mut self.durable, at, part);
                    }
                }
                Change::Length(_) if !survivors.keep_length(place) => {}
                Change::Length(bytes) => self.durable.resize(bytes, 0),
            }
        }
        self.now.clone_from(&self.durable);
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, part) => put(bytes, *at, part),
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }
}

/// Which of the pending changes each sector has seen when the power is cut. A sector is written
/// as a whole: it has seen all changes before some point, and none after it.
struct Sectors<'a> {
    bytes: usize,
    /// Between which changes the point lies.
    span: std::ops::RangeInclusive<usize>,
    points: BTreeMap<usize, usize>,
    /// Until which change the length of the file is what was asked for.
    length: usize,
    chance: &'a mut Chance,
}

impl<'a> Sectors<'a> {
    fn new(bytes: usize, span: std::ops::RangeInclusive<usize>, chance: &'a mut Chance) -> Self {
        let length = between(&span, chance);
        Self {
            bytes,
            span,
            points: BTreeMap::new(),
            length,
            chance,
        }
    }

    fn keep_length(&self, place: usize) -> bool {
        place < self.length
    }

    /// The parts of a write that survive.
    fn of<'b>(&mut self, place: usize, at: usize, bytes: &'b [u8]) -> Vec<(usize, &'b [u8])> {
        let mut parts = Vec::new();
        let mut rest = bytes;
        let mut at = at;
        while !rest.is_empty() {
            let sector = at.checked_div(self.bytes).unwrap_or(0);
            let end = sector.saturating_add(1).saturating_mul(self.bytes);
            let length = end.saturating_sub(at).min(rest.len());
            let (part, behind) = rest.split_at(length);
            if place < self.point(sector) {
                parts.push((at, part));
            }
            rest = behind;
            at = at.saturating_add(length);
        }
        parts
    }

    fn point(&mut self, sector: usize) -> usize {
        let (span, chance) = (&self.span, &mut *self.chance);
        let point = self.points.entry(sector);
        *point.or_insert_with(|| between(span, chance))
    }
}

fn between(span: &std::ops::RangeInclusive<usize>, chance: &mut Chance) -> usize {
    let width = span.end().saturating_sub(*span.start());
    span.start().saturating_add(chance.up_to(width))
}

/// Writes, and makes the file longer if that needs it.
fn put(bytes: &mut Vec<u8>, at: usize, part: &[u8]) {
    let end = at.saturating_add(part.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(part);
    }
}

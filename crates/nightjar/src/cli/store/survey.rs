//! What is in a store, and what is wrong with it. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use journal::disk::Disk;
use journal::lines;
use journal::log::{self, Damage, FrameAt, Scan, Tail, Wrong};
use journal::model::{Losses, Model};
use journal::record::{BodyPlace, Item, Malformed, Records, StoreClock, decode_body};
use journal::segment::{segment_name, spare_number};
use types::{ClientId, MessageRef};

use super::Failure;

/// A store that was read.
pub(super) struct Survey {
    scan: Scan,
    /// What its records come to. Whoever was connected still is.
    pub(super) model: Model,
    /// Where it ends.
    pub(super) tail: Tail,
    /// Frames that were read.
    pub(super) frames: u64,
    /// Messages in them, needed or not.
    pub(super) bodies: u64,
    /// What is wrong.
    pub(super) faults: Vec<Fault>,
}

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    /// The number of the segment.
    pub(super) segment: u64,
    /// Where, in bytes from the start of the file.
    pub(super) offset: u64,
    /// What is wrong.
    pub(super) what: String,
}

/// How much of a store is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What a start reads: from the last checkpoint on.
    State,
    /// Every frame of every segment.
    Everything,
}

impl Survey {
    /// Reads a store.
    ///
    /// # Errors
    ///
    /// It is no store of this version. Damage is no error: see [`Survey::faults`].
    pub(super) fn take(disk: Arc<dyn Disk>, depth: Depth) -> Result<Self, Failure> {
        let mut model = Model::new(disk.random());
        let mut scan = Scan::open(disk, log::Options::default())?;
        if scan.is_new() {
            return Err(Failure::new(
                "it is empty: no server has ever stored anything in it",
            ));
        }
        let from = scan.replay_from();
        let (mut frames, mut bodies) = (0, 0);
        let mut faults = Vec::new();
        let mut each = |at: FrameAt, payload: &[u8]| {
            frames += 1;
            bodies += check_records(&at, payload, &mut faults);
            if at.segment >= from {
                if let Err(error) = model.apply(at, payload) {
                    faults.push(Fault::record(&at, &error));
                }
                model.tidy(at.time);
            }
            Ok(())
        };
        let mut damages = Vec::new();
        let tail = match depth {
            Depth::State => scan.salvage(&mut each, &mut damages)?,
            Depth::Everything => scan.replay_all(&mut each, &mut damages)?,
        };
        faults.extend(damages.into_iter().map(Fault::from));
        faults.sort();
        faults.dedup();
        Ok(Self {
            scan,
            model,
            tail,
            frames,
            bodies,
            faults,
        })
    }

    /// The name that the store was given when it was made.
    pub(super) fn id(&self) -> &str {
        self.scan.id().unwrap_or_default()
    }

    /// The segments, and the bytes of their files.
    pub(super) fn segments(&self) -> impl Iterator<Item = (u64, u64)> {
        self.scan.segments()
    }

    /// The segment that a start begins to read with.
    pub(super) fn replay_from(&self) -> u64 {
        self.scan.replay_from()
    }

    /// The bytes of a message; none if they are not there.
    fn bytes(&self, place: BodyPlace) -> io::Result<Vec<u8>> {
        let Some(file) = self.scan.file(place.segment) else {
            return Ok(Vec::new());
        };
        let end = place.offset.saturating_add(place.length.into());
        if end > file.len()? {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; place.length as usize];
        let read = file.read_at(place.offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes what lives as lines, `now` on the wall clock.
    ///
    /// # Errors
    ///
    /// Those of `line`, and [`io::ErrorKind::InvalidData`] at the first message that is not what
    /// was written: half a copy must not pass for a whole one.
    pub(super) fn export(
        &self,
        now: u64,
        line: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> io::Result<lines::Exported> {
        let mut read = |place| {
            let bytes = self.bytes(place)?;
            if is_whole(&bytes) {
                return Ok(bytes);
            }
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the message in {} at byte {} is not what was written",
                    segment_name(place.segment),
                    place.offset
                ),
            ))
        };
        lines::export(&self.model, self.clock(now), &mut read, line)
    }

    /// The store's clock, `now` on the wall clock.
    pub(super) fn clock(&self, now: u64) -> u64 {
        now.max(self.tail.time)
    }

    /// Reads every message that somebody needs, and says what is lost by what is wrong. Messages
    /// that are found to be damaged become faults. What was lost stays out of the model from now
    /// on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn lost(&mut self) -> io::Result<Lost> {
        let mut lost = Lost::default();
        // Before the end of the replay, the model also knows messages that nobody refers to.
        lost.add(self.model.end_replay(self.tail.time));
        let needed = self.model.segments().map(|(number, _)| number);
        let missing: Vec<u64> = needed.filter(|&it| self.scan.file(it).is_none()).collect();
        for segment in missing {
            self.model.lose(segment);
            if self.faults.iter().all(|fault| fault.segment != segment) {
                self.faults.push(Fault {
                    segment,
                    offset: 0,
                    what: Wrong::Missing.to_string(),
                });
            }
        }
        lost.add(self.model.end_replay(self.tail.time));
        let mut broken = Vec::new();
        let mut read = |place: BodyPlace| {
            let bytes = self.bytes(place)?;
            if !is_whole(&bytes) {
                broken.push(Fault::message(place.segment, place.offset));
            }
            Ok(bytes)
        };
        let exported = lines::export(&self.model, 0, &mut read, &mut |_| Ok(()))?;
        self.faults.append(&mut broken);
        self.faults.sort();
        self.faults.dedup();
        lost.owed += exported.left_out;
        lost.clients.extend(exported.clients);
        Ok(lost)
    }
}

/// What cannot be had any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Deliveries, retained messages and messages on their way between members of a group.
    pub(super) owed: u64,
    /// The clients that lose deliveries.
    pub(super) clients: BTreeSet<ClientId>,
    /// Topics that lose their retained message, as far as they are known.
    pub(super) retained: BTreeSet<Arc<str>>,
    /// Clients that may have lost deliveries, records and all, and how many at most.
    pub(super) suspects: BTreeMap<ClientId, u64>,
}

impl Lost {
    /// Adds what the journal tells.
    pub(super) fn add(&mut self, losses: Losses) {
        self.owed += losses.deliveries + losses.passed + losses.retained.len() as u64;
        self.clients.extend(losses.clients);
        self.retained.extend(losses.retained);
        self.suspects.extend(losses.suspects);
    }
}

impl Fault {
    fn record(at: &FrameAt, error: &Malformed) -> Self {
        Self {
            segment: at.segment,
            offset: at.offset + error.offset as u64,
            what: format!("no record that this version knows: {}", error.what),
        }
    }

    fn message(segment: u64, offset: u64) -> Self {
        Self {
            segment,
            offset,
            what: "a message is not what was written".to_owned(),
        }
    }
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Self {
        Self {
            segment: damage.segment,
            offset: damage.offset,
            what: damage.wrong.to_string(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = segment_name(self.segment);
        write!(f, "{file}, byte {}: {}", self.offset, self.what)
    }
}

/// Does something that reads, again if the store changed under it: a running server removes
/// segments and makes new ones of them. What is damaged for good looks the same twice.
///
/// # Errors
///
/// That of the last time.
pub(super) fn steadily<T, E: ToString>(
    mut attempt: impl FnMut() -> Result<T, E>,
    faults: impl Fn(&T) -> &[Fault],
) -> Result<T, E> {
    let mut before = None;
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        let result = attempt();
        let verdict = match &result {
            Ok(found) if faults(found).is_empty() => return result,
            Ok(found) => faults(found).iter().map(Fault::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        if left == 0 || before.as_ref() == Some(&verdict) {
            return result;
        }
        before = Some(verdict);
    }
}

/// Counts the messages of a frame, and finds records that are none and messages that are damaged,
/// although the frame is not.
fn check_records(at: &FrameAt, payload: &[u8], faults: &mut Vec<Fault>) -> u64 {
    let mut count = 0;
    for record in Records::new(payload) {
        match record {
            Ok((offset, Item::Body(body))) => {
                count += 1;
                if decode_body(body.message, body.bytes, StoreClock { base: 0 }).is_err() {
                    faults.push(Fault::message(at.segment, at.offset + offset as u64));
                }
            }
            Ok(_) => {}
            Err(error) => faults.push(Fault::record(at, &error)),
        }
    }
    count
}

/// Whether these are the bytes of some message.
fn is_whole(bytes: &[u8]) -> bool {
    let reference = bytes.get(4..12).and_then(|name| name.try_into().ok());
    let Some(reference) = reference.map(u64::from_le_bytes) else {
        return false;
    };
    decode_body(MessageRef(reference), bytes, StoreClock { base: 0 }).is_ok()
}

/// The files of spares and their bytes.
pub(super) fn spares(disk: &dyn Disk) -> io::Result<(u64, u64)> {
    let names = disk.list()?;
    let spares = names.iter().filter(|name| spare_number(name).is_some());
    Ok(spares.fold((0, 0), |(count, bytes), name| {
        // One that is gone by now has become a segment.
        let length = disk.open(name).and_then(|file| file.len()).unwrap_or(0);
        (count + 1, bytes + length)
    }))
}

/// How often a store that changes is read.
const ATTEMPTS: u32 = 3;

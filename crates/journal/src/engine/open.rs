//! What happens before the first record of a run.

use std::io;
use std::sync::Arc;

use store::Recovered;

use super::background::Background;
use super::{Engine, OpenError};
use crate::disk::Disk;
use crate::log::{self, Damage, FrameAt, Log, Scan, Tail, WriteError};
use crate::model::{Losses, Model};
use crate::record::{Malformed, StoreClock};
use crate::segment::{HEADER_BYTES, segment_name};

/// How a store is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The segments.
    pub log: log::Options,
    /// Most bytes on the disk (`limits.store_bytes`); 0 is as many as there are. Segments are no
    /// larger than a 32nd of it, but for a frame that is.
    pub store_bytes: u64,
    /// What to do about damaged segments.
    pub damage: OnDamage,
}

impl Options {
    /// With segments that are small beside the limit: room is taken and given back by whole ones.
    fn within_limit(mut self) -> Self {
        if self.store_bytes > 0 {
            let pages = self.store_bytes / 32 / HEADER_BYTES;
            let most = pages.saturating_mul(HEADER_BYTES).max(LEAST_SEGMENT);
            self.log.segment_bytes = self.log.segment_bytes.min(most);
        }
        self
    }
}

/// What to do about segments that are damaged where that is not the end of a write that never
/// finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// The store is not opened.
    #[default]
    Refuse,
    /// They are put aside. What can still be read of them is kept, the rest is lost.
    Quarantine,
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Sessions.
    pub sessions: u64,
    /// Messages that they are owed, counted for each.
    pub deliveries: u64,
    /// Messages that somebody is owed, or that are retained.
    pub messages: u64,
    /// Retained messages.
    pub retained: u64,
    /// Bytes of frames that were read.
    pub bytes: u64,
    /// Bytes of a write that never finished; nothing in them was acknowledged as synced.
    pub dropped_bytes: u64,
    /// Records that named what is not there.
    pub anomalies: u64,
    /// What is damaged: these segments were put aside.
    pub damages: Vec<Damage>,
    /// What is owed, but not there any more.
    pub losses: Losses,
}

impl Engine {
    /// Opens a store, or makes one in an empty folder. `wall` is the wall clock in milliseconds
    /// since 1970; the store's clock goes on from it, or from where it stood if that is later.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says which file is not what it must be, and what to do.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        wall: u64,
    ) -> Result<(Self, Recovered, Report), OpenError> {
        let mut model = Model::new(disk.random());
        let options = options.within_limit();
        let mut scan = Scan::open(disk, options.log)?;
        let mut damages = Vec::new();
        let tail = replay(&mut scan, &mut model, options.damage, &mut damages)?;
        let anomalies = model.anomalies();
        let base = wall.max(tail.time.saturating_add(1));
        if options.damage == OnDamage::Quarantine {
            lose_missing(&scan, &mut model);
        }
        let losses = model.end_replay(base);
        if let Some(number) = missing(&scan, &model).first() {
            let file = segment_name(*number);
            return Err(OpenError::Missing { file });
        }
        let checkpoint = scan.checkpoint();
        let log = Log::begin(scan, &tail, base).map_err(unwritable)?;
        let counts = model.counts();
        let mut engine = Self {
            current: log.current(),
            log,
            model,
            clock: StoreClock { base },
            options,
            background: Background::new(checkpoint, tail.replayed_bytes, counts.sessions),
            now: base,
            written_bytes: 0,
            syncs: 0,
            failures: 0,
        };
        engine.put_aside(&damages)?;
        let recovered = engine.model.recovered(engine.clock);
        let report = Report {
            sessions: counts.sessions,
            deliveries: counts.deliveries,
            messages: counts.messages,
            retained: counts.retained,
            bytes: tail.replayed_bytes,
            dropped_bytes: tail.dropped_bytes,
            anomalies,
            damages,
            losses,
        };
        Ok((engine, recovered, report))
    }

    /// Puts damaged segments aside, after what they still held of use is safe elsewhere.
    fn put_aside(&mut self, damages: &[Damage]) -> Result<(), OpenError> {
        let mut numbers: Vec<u64> = damages.iter().map(|damage| damage.segment).collect();
        numbers.dedup();
        numbers.retain(|&number| self.log.file(number).is_some());
        if numbers.is_empty() {
            return Ok(());
        }
        let failed = |error: WriteError| match error {
            WriteError::Full(error) | WriteError::Failed(error) => unwritable(error),
        };
        for &number in &numbers {
            self.rescue(number).map_err(failed)?;
        }
        self.whole_checkpoint().map_err(failed)?;
        for number in numbers {
            // What could not be moved stays where it is, and is withheld when it is asked for.
            if self.model.live(number).messages == 0 {
                self.log.quarantine(number).map_err(unwritable)?;
            }
        }
        Ok(())
    }
}

fn replay(
    scan: &mut Scan,
    model: &mut Model,
    on_damage: OnDamage,
    damages: &mut Vec<Damage>,
) -> Result<Tail, OpenError> {
    let mut each = |at: FrameAt, payload: &[u8]| {
        let applied = model.apply(at, payload);
        model.tidy(at.time);
        applied.map_err(|error| malformed(at, error))
    };
    match on_damage {
        OnDamage::Refuse => scan.replay(&mut each),
        OnDamage::Quarantine => scan.salvage(&mut each, damages),
    }
}

/// Segments that messages should lie in, but that are not there.
fn missing(scan: &Scan, model: &Model) -> Vec<u64> {
    let segments = model.segments().map(|(number, _)| number);
    let mut missing: Vec<u64> = segments
        .filter(|&number| scan.file(number).is_none())
        .collect();
    missing.sort_unstable();
    missing
}

fn lose_missing(scan: &Scan, model: &mut Model) {
    for number in missing(scan, model) {
        model.lose(number);
    }
}

fn unwritable(error: io::Error) -> OpenError {
    OpenError::Io {
        file: "a new segment".to_owned(),
        error,
    }
}

/// Records that are none, in a frame that is what was written: another version wrote them.
fn malformed(at: FrameAt, error: Malformed) -> OpenError {
    let place = u64::try_from(error.offset).unwrap_or(u64::MAX);
    OpenError::Damaged {
        file: segment_name(at.segment),
        offset: at.offset.saturating_add(place),
        what: error.what.to_owned(),
    }
}

/// A segment below this is not worth a file.
const LEAST_SEGMENT: u64 = 64 << 10;

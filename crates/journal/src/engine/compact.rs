//! Messages that are still needed are moved out of segments that hold little else.

use std::sync::Arc;

use super::background::PIECE;
use super::{Engine, Lookup, read_exact};
use crate::disk::DiskFile;
use crate::log::WriteError;
use crate::record::{Item, Records, decode_body, encode_kept};
use crate::segment::{FRAME_HEAD, FrameHead, HEADER_BYTES, SegmentHeader, check_frame};

/// A segment whose messages are being moved.
pub(super) struct Victim {
    number: u64,
    generation: u64,
    file: Arc<dyn DiskFile>,
    /// Where its frames end.
    end: u64,
    /// Where the frame begins of which `frame` holds what was read so far.
    at: u64,
    frame: Vec<u8>,
    /// Bytes of its payload that were looked at.
    done: usize,
}

/// How much of a frame was read.
enum Filled {
    Part,
    Whole(FrameHead),
}

/// A segment that is not what it must be.
struct Damaged;

impl Victim {
    fn open(number: u64, file: Arc<dyn DiskFile>, end: u64) -> Result<Self, Damaged> {
        let mut header = vec![0; usize::try_from(HEADER_BYTES).map_err(|_| Damaged)?];
        read_exact(&*file, 0, &mut header).map_err(|_| Damaged)?;
        let header = SegmentHeader::decode(&header).map_err(|_| Damaged)?;
        Ok(Self {
            number,
            generation: header.generation,
            file,
            end,
            at: HEADER_BYTES,
            frame: Vec::new(),
            done: 0,
        })
    }

    pub(super) fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// Reads on in the frame, a piece at most, and checks it when it is whole.
    fn fill(&mut self) -> Result<Filled, Damaged> {
        if self.frame.is_empty() {
            self.read(FRAME_HEAD)?;
        }
        let head = FrameHead::parse(&self.frame).ok_or(Damaged)?;
        let whole = FRAME_HEAD.saturating_add(head.payload_bytes());
        let missing = whole.saturating_sub(self.frame.len());
        self.read(missing.min(PIECE))?;
        if missing > PIECE {
            return Ok(Filled::Part);
        }
        if missing > 0 {
            check_frame(&head, &self.frame, self.generation, self.at).ok_or(Damaged)?;
        }
        Ok(Filled::Whole(head))
    }

    fn read(&mut self, more: usize) -> Result<(), Damaged> {
        let have = self.frame.len();
        let at = u64::try_from(have).map_err(|_| Damaged)?;
        let at = self.at.saturating_add(at);
        self.frame.resize(have.saturating_add(more), 0);
        let into = self.frame.get_mut(have..).unwrap_or_default();
        read_exact(&*self.file, at, into).map_err(|_| Damaged)
    }

    /// Appends what is still needed to `out`, a piece at most, and says how much of the payload is
    /// done then.
    fn pick(&self, engine: &Engine, out: &mut Vec<u8>) -> Result<usize, Damaged> {
        let payload = self.frame.get(FRAME_HEAD..).unwrap_or_default();
        let rest = payload.get(self.done..).unwrap_or_default();
        let begins = FRAME_HEAD.saturating_add(self.done);
        for record in Records::new(rest) {
            let (offset, item) = record.map_err(|_| Damaged)?;
            let Item::Body(body) = item else {
                continue;
            };
            let place = u64::try_from(begins.saturating_add(offset)).map_err(|_| Damaged)?;
            let place = self.at.saturating_add(place);
            if engine.model.is_live_at(body.message, self.number, place) {
                encode_kept(body.bytes, out);
                if out.len() >= PIECE {
                    let end = offset.saturating_add(body.bytes.len());
                    return Ok(self.done.saturating_add(end));
                }
            }
        }
        Ok(payload.len())
    }

    /// Goes on behind a part of the payload.
    fn advance(&mut self, head: &FrameHead, done: usize) {
        self.done = done;
        if done >= head.payload_bytes() {
            self.at = self.at.saturating_add(head.frame_bytes());
            self.done = 0;
            self.frame.clear();
        }
    }
}

impl Engine {
    /// The segment with the least in it that is needed, if the disk holds too much.
    pub(super) fn choose_victim(&mut self) -> Option<Victim> {
        if !self.has_garbage() {
            return None;
        }
        let noted = self.background.noted;
        let stuck = &self.background.stuck;
        let scattered = self.is_scattered();
        // On a full disk the room for it is what is kept for other things too.
        let most = match self.background.is_full() {
            true => self.available() / 2,
            false => u64::MAX,
        };
        let old = self.log.segments().filter(|segment| {
            let live = self.model.live(segment.number).bytes;
            let thin = live < segment.used.saturating_sub(segment.used / 4)
                || scattered && self.is_small(segment);
            segment.number < noted && thin && live <= most && !stuck.contains(&segment.number)
        });
        let (number, used) = old
            .min_by_key(|segment| self.model.live(segment.number).bytes)
            .map(|segment| (segment.number, segment.used))?;
        let file = self.log.file(number)?;
        let victim = Victim::open(number, file, used);
        if victim.is_err() {
            self.give_up(number);
        }
        victim.ok()
    }

    /// Moves a piece of what is needed in the victim.
    ///
    /// # Errors
    ///
    /// As [`Engine::write`]. After [`WriteError::Full`] the same piece is moved again.
    pub(super) fn compact(&mut self) -> Result<(), WriteError> {
        let Some(mut victim) = self.background.victim.take() else {
            return Ok(());
        };
        if victim.at >= victim.end {
            if self.model.live(victim.number).messages > 0 {
                self.give_up(victim.number);
            }
            return Ok(());
        }
        let mut out = Vec::new();
        let picked = victim.fill().and_then(|filled| match filled {
            Filled::Part => Ok(None),
            Filled::Whole(head) => Ok(Some((head, victim.pick(self, &mut out)?))),
        });
        match picked {
            Err(Damaged) => self.give_up(victim.number),
            Ok(None) => self.background.victim = Some(victim),
            Ok(Some((head, done))) => {
                let moved = self.write_and_apply(&out);
                if moved.is_ok() {
                    victim.advance(&head, done);
                }
                self.background.victim = Some(victim);
                moved?;
            }
        }
        Ok(())
    }

    /// Moves all messages that are needed out of a damaged segment, as far as they are whole; the
    /// others are lost.
    ///
    /// # Errors
    ///
    /// As [`Engine::write`].
    pub(super) fn rescue(&mut self, number: u64) -> Result<(), WriteError> {
        let mut bytes = Vec::new();
        let mut out = Vec::new();
        for message in self.model.messages_in(number) {
            let Lookup::At(place) = self.look_up(message) else {
                continue;
            };
            let read = place.read(&mut bytes);
            if read.is_ok() && decode_body(message, &bytes, self.clock).is_ok() {
                encode_kept(&bytes, &mut out);
            }
            if out.len() >= PIECE {
                self.write_and_apply(&out)?;
                out.clear();
            }
        }
        self.write_and_apply(&out)
    }

    /// Writes records of the housekeeping, and takes them for what happened.
    pub(super) fn write_and_apply(&mut self, records: &[u8]) -> Result<(), WriteError> {
        if records.is_empty() {
            return Ok(());
        }
        let at = self.write_own(records)?;
        // These are records: they were read as such.
        self.apply(at, records)
            .map_err(|error| WriteError::Failed(std::io::Error::other(error)))
    }

    /// A damaged segment stays as it is until nobody needs it any more.
    fn give_up(&mut self, number: u64) {
        self.failures = self.failures.saturating_add(1);
        self.background.stuck.push(number);
    }
}

//! The frames of one segment, read through a window.

use std::io;
use std::sync::Arc;

use super::FRAME_HEAD_BYTES;
use super::sums::Sums;
use crate::disk::DiskFile;
use crate::segment::{FRAME_HEAD, FrameHead, check_frame, frame_seed};

/// Reads frames of one segment.
pub(super) struct Reader {
    file: Arc<dyn DiskFile>,
    generation: u64,
    /// Bytes of the file.
    length: u64,
    /// What was read last.
    window: Vec<u8>,
    /// Where that begins in the file.
    begins: u64,
}

/// What lies behind a place where the expected frame is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// The next frame there is.
    pub(super) next: Option<u64>,
    /// The highest `synced` of all the frames behind.
    pub(super) synced: u64,
    /// Where the last of them ends.
    pub(super) end: u64,
}

impl Reader {
    pub(super) fn new(file: Arc<dyn DiskFile>, generation: u64, length: u64) -> Self {
        Self {
            file,
            generation,
            length,
            window: Vec::new(),
            begins: 0,
        }
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What may be the head of a frame at `at`, unchecked.
    pub(super) fn head(&mut self, at: u64) -> io::Result<Option<FrameHead>> {
        let bytes = self.bytes(at, FRAME_HEAD)?;
        Ok(FrameHead::parse(bytes))
    }

    /// The frame at `at`: its head and payload; `None` if there is none.
    pub(super) fn frame(&mut self, at: u64) -> io::Result<Option<(FrameHead, &[u8])>> {
        let Some(head) = self.head(at)? else {
            return Ok(None);
        };
        let length = FRAME_HEAD.saturating_add(head.payload_bytes());
        if at.saturating_add(as_u64(length)) > self.length {
            return Ok(None);
        }
        let generation = self.generation;
        let frame = self.bytes(at, length)?;
        Ok(check_frame(&head, frame, generation, at).map(|payload| (head, payload)))
    }

    /// Looks for frames with at least the sequence `expected`, from `from` to the end of the file.
    pub(super) fn survey(&mut self, from: u64, expected: u64) -> io::Result<Survey> {
        let mut survey = Survey {
            end: from,
            ..Survey::default()
        };
        let mut at = from;
        let mut effort = Effort::default();
        while at.saturating_add(FRAME_HEAD_BYTES) <= self.length {
            if at.is_multiple_of(BLANK_BYTES) && self.is_blank(at)? {
                // A head may begin in the last zeros.
                at = at.saturating_add(BLANK_BYTES - FRAME_HEAD_BYTES);
                continue;
            }
            let step = match self.head(at)? {
                Some(head)
                    if self.may_follow(&head, at, expected)
                        && self.is_frame(&head, at, &mut effort)? =>
                {
                    survey.next.get_or_insert(at);
                    survey.synced = survey.synced.max(head.synced);
                    survey.end = at.saturating_add(head.frame_bytes());
                    head.frame_bytes()
                }
                _ => ALIGNMENT,
            };
            at = at.saturating_add(step);
        }
        Ok(survey)
    }

    /// Whether there are only zeros in the next block.
    fn is_blank(&mut self, at: u64) -> io::Result<bool> {
        let block = self.bytes(at, BLANK)?;
        Ok(block.len() == BLANK && block.iter().all(|&byte| byte == 0))
    }

    /// Whether a frame with this head can lie here if the last one before it was the one before
    /// `expected`: cheap, so that only what is likely is checked.
    fn may_follow(&self, head: &FrameHead, at: u64, expected: u64) -> bool {
        let room = self.length.saturating_sub(at);
        let furthest = expected.saturating_add(self.length / FRAME_HEAD_BYTES);
        let span = expected..=furthest;
        span.contains(&head.sequence)
            && FRAME_HEAD_BYTES.saturating_add(u64::from(head.length)) <= room
    }

    /// Whether there is a frame with this head at `at`. What looks like frames and is none costs
    /// little, however much there is of it.
    fn is_frame(&mut self, head: &FrameHead, at: u64, effort: &mut Effort) -> io::Result<bool> {
        effort.bytes = effort.bytes.saturating_add(head.frame_bytes());
        if effort.bytes <= self.length.saturating_mul(READ_AGAIN) {
            return Ok(self.frame(at)?.is_some());
        }
        let sums = match &mut effort.sums {
            Some(sums) => sums,
            None => effort.sums.insert(Sums::new(&*self.file, at)?),
        };
        let seed = frame_seed(self.generation, at);
        let payload = at.saturating_add(FRAME_HEAD_BYTES);
        let end = payload.saturating_add(u64::from(head.length));
        let sum = sums.range(&*self.file, seed, at.saturating_add(4), end)?;
        Ok(sum == head.checksum)
    }

    /// So many bytes from `at`, fewer only at the end of the file.
    fn bytes(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let wanted = as_u64(length).min(self.length.saturating_sub(at));
        let length = usize::try_from(wanted).unwrap_or(usize::MAX);
        let have = as_u64(self.window.len());
        let begins = self.begins;
        if at < begins || at.saturating_add(wanted) > begins.saturating_add(have) {
            self.fill(at, length)?;
        }
        let from = usize::try_from(at.saturating_sub(self.begins)).unwrap_or(usize::MAX);
        let to = from.saturating_add(length).min(self.window.len());
        Ok(self.window.get(from..to).unwrap_or_default())
    }

    fn fill(&mut self, at: u64, least: usize) -> io::Result<()> {
        let rest = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        // Nothing is in the window while it is filled, also if that fails.
        self.window.clear();
        self.begins = at;
        self.window.resize(least.max(WINDOW).min(rest), 0);
        match self.file.read_at(at, &mut self.window) {
            Ok(read) => {
                self.window.truncate(read);
                Ok(())
            }
            Err(error) => {
                self.window.clear();
                Err(error)
            }
        }
    }
}

/// What a survey has done so far.
#[derive(Default)]
struct Effort {
    /// Bytes of all that looked like frames.
    bytes: u64,
    /// Made when that is too much.
    sums: Option<Sums>,
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes that are read at once.
const WINDOW: usize = 1 << 20;
/// Bytes of a block that is passed over at once if it is zero.
const BLANK: usize = 4096;
/// [`BLANK`] as a distance in a file.
const BLANK_BYTES: u64 = 4096;
/// Frames begin on multiples of this.
const ALIGNMENT: u64 = 8;
/// As long as what looks like frames is not longer than so many times the file, it is read.
const READ_AGAIN: u64 = 4;

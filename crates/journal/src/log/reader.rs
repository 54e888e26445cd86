//! The frames of one segment, read through a window.

use std::io;
use std::sync::Arc;

use super::FRAME_HEAD_BYTES;
use crate::disk::DiskFile;
use crate::segment::{FRAME_HEAD, FrameHead, check_frame};

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
    /// Whether what looks like frames was too much to check it all.
    pub(super) effort: Effort,
}

/// How much of what looks like a frame was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Effort {
    /// All.
    #[default]
    Whole,
    /// So much that somebody must have written it to keep us busy.
    GivenUp,
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
        let mut checked = 0u64;
        let most = self.length.saturating_mul(MOST_CHECKED);
        while at.saturating_add(FRAME_HEAD_BYTES) <= self.length {
            let step = match self.head(at)? {
                Some(head) if self.may_follow(&head, at, expected) => {
                    checked = checked.saturating_add(head.frame_bytes());
                    if checked > most {
                        survey.effort = Effort::GivenUp;
                        return Ok(survey);
                    }
                    match self.frame(at)? {
                        Some(_) => {
                            survey.next.get_or_insert(at);
                            survey.synced = survey.synced.max(head.synced);
                            survey.end = at.saturating_add(head.frame_bytes());
                            head.frame_bytes()
                        }
                        None => ALIGNMENT,
                    }
                }
                _ => ALIGNMENT,
            };
            at = at.saturating_add(step);
        }
        Ok(survey)
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

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes that are read at once.
const WINDOW: usize = 1 << 20;
/// Frames begin on multiples of this.
const ALIGNMENT: u64 = 8;
/// A survey gives up when it has checked so many times the length of the file.
const MOST_CHECKED: u64 = 16;

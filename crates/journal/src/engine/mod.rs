//! Log and model together: commit, load, make room, recover. No threads and no clock: times are
//! arguments, in milliseconds of the store's clock.
//!
//! What is written is applied to the model by the same way as in a replay; so the model is what a
//! restart would find.

use std::io;
use std::sync::Arc;

use store::Figures;
use types::MessageRef;

mod background;
mod compact;
mod offline;
mod open;
mod room;

pub use open::{OnDamage, Options, Report};

use self::background::Background;
pub use self::background::Idle;
use crate::disk::DiskFile;
pub use crate::log::OpenError;
use crate::log::{FrameAt, Log, WriteError};
use crate::model::Model;
use crate::record::{Malformed, StoreClock};
use crate::segment::FrameBuffer;
use crate::server::Start;

/// A store, driven by whoever has it.
pub struct Engine {
    log: Log,
    model: Model,
    clock: StoreClock,
    options: Options,
    background: Background,
    /// The segment that is written.
    current: u64,
    /// The store's clock, as far as anybody told.
    now: u64,
    written_bytes: u64,
    syncs: u64,
    failures: u64,
}

/// Where a message lies.
#[derive(Clone)]
pub enum Lookup {
    /// Nowhere: nobody is owed it any more.
    Gone,
    /// There.
    At(Place),
}

/// The place of a message. As long as somebody has it, the file stays as it is.
#[derive(Clone)]
pub struct Place {
    file: Arc<dyn DiskFile>,
    offset: u64,
    length: u32,
}

impl Engine {
    /// The numbers that handles begin with.
    pub(crate) fn start(&self, most_backlog: u64) -> Start {
        // The clock of a run begins behind all that the journal holds, so that its references do.
        let floor = self.clock.base << MessageRef::COUNT_BITS;
        Start {
            clock: self.clock,
            reference: MessageRef(floor).max(self.model.last_reference()),
            session: self.model.last_session(),
            most_backlog,
            figures: self.figures(self.now),
        }
    }

    /// Joins the workers' clock to the store's.
    pub fn clock(&self) -> StoreClock {
        self.clock
    }

    /// Writes whole records as one frame. They are not safe before [`Engine::sync`], and not
    /// applied before [`Engine::apply`].
    ///
    /// # Errors
    ///
    /// [`WriteError::Full`]: nothing happened, and the same frame may be tried again.
    /// [`WriteError::Failed`]: for good.
    pub fn write(&mut self, frame: &mut FrameBuffer, now: u64) -> Result<FrameAt, WriteError> {
        self.now = self.now.max(now);
        match self.log.append(frame, self.now) {
            Ok(at) => {
                self.background.has_written(frame.payload().len(), self.now);
                if at.segment != self.current {
                    self.current = at.segment;
                    self.background.has_rolled();
                }
                let length = u64::try_from(frame.payload().len()).unwrap_or(u64::MAX);
                self.written_bytes = self.written_bytes.saturating_add(length);
                Ok(at)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Makes all that is written safe. Does nothing if it is.
    ///
    /// # Errors
    ///
    /// Any is for good: what the disk has is not known any more.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        if self.is_synced() {
            return Ok(());
        }
        match self.log.sync() {
            Ok(()) => {
                self.syncs = self.syncs.saturating_add(1);
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Whether all that was written is on the disk.
    pub fn is_synced(&self) -> bool {
        self.log.synced() >= self.log.written()
    }

    /// Syncs, and says so on the disk: for the end of a run.
    ///
    /// # Errors
    ///
    /// As [`Engine::write`].
    pub fn close(&mut self) -> Result<(), WriteError> {
        let marked = self.log.mark(self.now);
        marked.map_err(|error| self.failed(error))
    }

    /// Brings the model to a frame that was written. Frames come in order, each once.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the records are none: a restart would refuse them.
    pub fn apply(&mut self, at: FrameAt, payload: &[u8]) -> Result<(), Malformed> {
        let applied = self.model.apply(at, payload);
        if applied.is_err() {
            self.failures = self.failures.saturating_add(1);
        }
        applied
    }

    /// Finds a message.
    pub fn look_up(&self, message: MessageRef) -> Lookup {
        let Some(place) = self.model.locate(message) else {
            return Lookup::Gone;
        };
        let Some(file) = self.log.file(place.segment) else {
            return Lookup::Gone;
        };
        Lookup::At(Place {
            file,
            offset: place.offset,
            length: place.length,
        })
    }

    /// What there is to show, but for what only handles know.
    pub fn figures(&self, now: u64) -> Figures {
        Figures {
            disk_bytes: self.log.disk_bytes(),
            live_bytes: self.live_bytes(),
            messages: self.model.messages(),
            oldest: self.model.oldest().map_or(0, MessageRef::millis),
            now,
            syncs: self.syncs,
            failures: self.failures,
            written_bytes: self.written_bytes,
            ..Figures::default()
        }
    }

    /// What the journal holds of it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The bytes of messages that are needed, and about those that a checkpoint takes.
    fn live_bytes(&self) -> u64 {
        let state = self.model.needed_state_bytes();
        self.model.live_bytes().saturating_add(state)
    }

    /// Counts what went wrong; a full disk is no fault of it.
    fn failed(&mut self, error: WriteError) -> WriteError {
        if matches!(error, WriteError::Failed(_)) {
            self.failures = self.failures.saturating_add(1);
        }
        error
    }
}

impl Place {
    /// Reads the message's bytes into `buffer`, in place of what it holds.
    ///
    /// # Errors
    ///
    /// That of the disk, or of a file that is shorter than it was.
    pub fn read(&self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let length = usize::try_from(self.length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer.clear();
        buffer.resize(length, 0);
        read_exact(&*self.file, self.offset, buffer)
    }
}

/// Fills `into` from a file.
fn read_exact(file: &dyn DiskFile, at: u64, into: &mut [u8]) -> io::Result<()> {
    if file.read_at(at, into)? == into.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests;

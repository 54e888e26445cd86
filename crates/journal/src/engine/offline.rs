//! What tools do to a store that no server runs on.

use std::io;

use super::background::Reserve;
use super::{Engine, Idle};
use crate::log::WriteError;
use crate::model::Losses;

impl Engine {
    /// Writes what lives once more, wherever it keeps space from being given back: a segment stays
    /// only if more than three quarters of it are messages that are needed. The last one is cut
    /// where it ends. Safe at any point: what is removed is on the disk elsewhere before.
    ///
    /// # Errors
    ///
    /// As [`Engine::write`]. Without room for all of it, what was given back until then is.
    pub fn compact_all(mut self, now: u64) -> Result<(), WriteError> {
        self.now = self.now.max(now);
        // Any byte is too many, until there is nothing left to do.
        self.options.store_bytes = 1;
        self.background.reserve = Reserve::None;
        // This may make the room for a checkpoint.
        while self.idle(self.now)? == Idle::More {}
        if self.background.is_full() && !self.fits(self.model.state_bytes()) {
            return Err(WriteError::Full(io::ErrorKind::StorageFull.into()));
        }
        self.whole_checkpoint()?;
        self.background.retry_at = 0;
        while self.idle(self.now)? == Idle::More {}
        self.close()?;
        self.cut_last().map_err(WriteError::Failed)
    }

    /// Gives back the room that was taken for what comes next: nothing does.
    fn cut_last(&self) -> io::Result<()> {
        let Some(last) = self.log.segments().last() else {
            return Ok(());
        };
        let Some(file) = self.log.file(last.number) else {
            return Ok(());
        };
        file.set_len(last.used)?;
        file.sync()
    }

    /// Puts segments aside, after what can still be read of them is safe elsewhere. Nobody is
    /// owed the rest any more; says what that is. Segments that are not there, and the one that is
    /// written, are passed over.
    ///
    /// # Errors
    ///
    /// As [`Engine::write`]; nothing is put aside then.
    pub fn put_segments_aside(&mut self, numbers: &[u64]) -> Result<Losses, WriteError> {
        let current = self.log.current();
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|&number| number != current && self.log.file(number).is_some());
        if numbers.is_empty() {
            return Ok(Losses::default());
        }
        for &number in &numbers {
            self.rescue(number)?;
        }
        for &number in &numbers {
            self.model.lose(number);
        }
        let losses = self.model.end_replay(self.now);
        self.whole_checkpoint()?;
        for &number in &numbers {
            // The checkpoint's end may have removed it with all that is not needed.
            if self.log.file(number).is_some() {
                self.log.quarantine(number).map_err(WriteError::Failed)?;
            }
        }
        self.close()?;
        Ok(losses)
    }
}

#[cfg(test)]
mod tests;

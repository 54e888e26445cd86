//! Room that is taken before it is needed, and room for a segment on a full disk.

use std::io;

use super::{HEADER_BYTES, Log, Spare, WriteError};

impl Log {
    /// Bytes for which the room is taken already: of the current segment, and of spares.
    pub fn room(&self) -> u64 {
        let current = self.segments.get(&self.current.number);
        let rest = current.map_or(0, |segment| segment.bytes.saturating_sub(segment.used));
        let spares = self.spares.iter().map(|spare| spare.bytes);
        spares.fold(rest, u64::saturating_add)
    }

    /// Bytes that the disk has left for others; `None` if it does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        self.disk.free_bytes().ok()
    }

    /// Says how much [`Log::room`] there should be: [`Log::make_spare`] and [`Log::remove`] see to
    /// it.
    pub fn set_reserve(&mut self, bytes: u64) {
        self.reserve = bytes;
    }

    /// Removes a spare if there are more than the options say and the reserve needs.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn trim(&mut self) -> io::Result<()> {
        let enough = self.reserve.saturating_add(self.options.segment_bytes);
        let spare = self.spares.pop_if(|spare| spare.bytes > 0);
        let Some(spare) = spare else {
            return Ok(());
        };
        if self.spares.len() < self.options.spares || self.room() < enough {
            self.spares.push(spare);
            return Ok(());
        }
        self.disk.remove(&spare.name)
    }

    /// Takes the room for a segment now, unless there is [`Log::has_spare`] and as much
    /// [`Log::room`] as the reserve asks for.
    ///
    /// # Errors
    ///
    /// [`WriteError::Full`], and the log goes on in what it has.
    pub fn make_spare(&mut self) -> Result<(), WriteError> {
        self.check()?;
        let wanted = self.spares.is_empty() || self.room() < self.reserve;
        if wanted && self.options.spares > 0 {
            let spare = self.new_file(self.options.segment_bytes)?;
            self.spares.push(spare);
        }
        Ok(())
    }

    /// A file with room for at least `bytes`, on a disk that has no room for a whole segment: a
    /// smaller one, if need be of the room that the current segment has left, or of spares that are
    /// too short. `error` is what the disk said.
    pub(super) fn spare_in_need(
        &mut self,
        bytes: u64,
        error: io::Error,
    ) -> Result<Spare, WriteError> {
        if !is_full(&error) {
            return Err(WriteError::Full(error));
        }
        let segment = self.options.segment_bytes;
        let least = whole_pages(bytes).max(self.smallest());
        let free = self.free_bytes().unwrap_or(0);
        if least < segment
            && let Some(spare) = self.smaller(least)?
        {
            return Ok(spare);
        }
        let spares = self.spares.iter().map(|spare| spare.bytes);
        if bytes > segment && spares.fold(free, u64::saturating_add) >= least {
            while let Some(spare) = self.spares.pop() {
                let removed = self.disk.remove(&spare.name);
                removed.map_err(|error| self.note(WriteError::of(error)))?;
                if let Some(spare) = self.try_file(least)? {
                    return Ok(spare);
                }
            }
        }
        match self.instead_of_rest(least, free)? {
            Some(spare) => Ok(spare),
            None => Err(WriteError::Full(error)),
        }
    }

    /// The shortest segment that is worth a file.
    pub(crate) fn smallest(&self) -> u64 {
        SMALLEST.min(self.options.segment_bytes)
    }

    /// As much as there is room for, by halves.
    fn smaller(&mut self, least: u64) -> Result<Option<Spare>, WriteError> {
        let mut bytes = self.options.segment_bytes / 2;
        while bytes > least {
            if let Some(spare) = self.try_file(whole_pages(bytes))? {
                return Ok(Some(spare));
            }
            bytes /= 2;
        }
        self.try_file(least)
    }

    /// Gives the room away that the current segment has left, and takes it for another. If that
    /// fails, the current one has it again, unless somebody else was quicker.
    fn instead_of_rest(&mut self, least: u64, free: u64) -> Result<Option<Spare>, WriteError> {
        let Some(segment) = self.segments.get_mut(&self.current.number) else {
            return Ok(None);
        };
        let (bytes, end) = (segment.bytes, whole_pages(segment.used));
        if bytes.saturating_sub(end).saturating_add(free) < least || end >= bytes {
            return Ok(None);
        }
        let cut = segment.file.set_len(end);
        segment.bytes = end;
        cut.map_err(|error| self.note(WriteError::of(error)))?;
        let made = self.smaller(least)?;
        if made.is_none()
            && let Some(segment) = self.segments.get_mut(&self.current.number)
        {
            match segment.file.allocate(bytes).map_err(WriteError::of) {
                Ok(()) => segment.bytes = bytes,
                Err(WriteError::Full(_)) => {}
                Err(error) => return Err(self.note(error)),
            }
        }
        Ok(made)
    }

    /// A file, if there is room for it.
    fn try_file(&mut self, bytes: u64) -> Result<Option<Spare>, WriteError> {
        match self.new_file(bytes) {
            Ok(spare) => Ok(Some(spare)),
            Err(WriteError::Full(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn whole_pages(bytes: u64) -> u64 {
    bytes.saturating_add(HEADER_BYTES - 1) & !(HEADER_BYTES - 1)
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// The shortest segment that is worth a file: some thousand acknowledgements.
pub(super) const SMALLEST: u64 = 64 << 10;

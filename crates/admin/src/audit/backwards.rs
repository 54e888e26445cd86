//! Lines of a file from its end, with bounded memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that are read at once.
const PIECE: u64 = 64 * 1024;

/// Most bytes of a line; what is longer comes in parts.
const LONGEST: usize = 8 * 1024 * 1024;

/// The lines from the last on, without their ends.
#[derive(Debug)]
pub(super) struct Backwards {
    file: File,
    /// Bytes before those that were read.
    left: u64,
    /// What was read and is not given, its lines still to be found.
    rest: Vec<u8>,
    /// Bytes of `rest` from here on have no end of a line.
    searched: usize,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The end of the last line may still be there.
    Fresh,
    Going,
    Over,
}

impl Backwards {
    pub(super) fn new(file: File, bytes: u64) -> Self {
        Self {
            file,
            left: bytes,
            rest: Vec::new(),
            searched: 0,
            state: State::Fresh,
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let before = self.rest.get(..self.searched).unwrap_or_default();
            if let Some(end) = before.iter().rposition(|&byte| byte == b'\n') {
                let line = self.rest.split_off(end.saturating_add(1));
                self.rest.truncate(end);
                self.searched = end;
                return Ok(Some(line));
            }
            if self.left == 0 {
                self.state = State::Over;
                return Ok(Some(std::mem::take(&mut self.rest)));
            }
            if self.rest.len() > LONGEST {
                self.searched = 0;
                return Ok(Some(std::mem::take(&mut self.rest)));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let length = self.left.min(PIECE);
        self.left = self.left.saturating_sub(length);
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.seek(SeekFrom::Start(self.left))?;
        self.file.read_exact(&mut piece)?;
        self.searched = piece.len();
        if self.state == State::Fresh {
            self.state = State::Going;
            if piece.last() == Some(&b'\n') {
                piece.pop();
                self.searched = piece.len();
            }
        }
        piece.append(&mut self.rest);
        self.rest = piece;
        Ok(())
    }
}

impl Iterator for Backwards {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Fresh && self.left == 0 {
            self.state = State::Over;
        }
        if self.state == State::Over {
            return None;
        }
        let line = self.next_line().transpose();
        if matches!(line, Some(Err(_))) {
            self.state = State::Over;
        }
        line
    }
}

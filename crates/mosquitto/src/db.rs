//! `mosquitto.db`: the file in which Mosquitto keeps retained messages, sessions and queues.
//!
//! A head of 23 bytes (a mark, a checksum that is always zero, the version), then chunks: a kind,
//! a length, and a body that begins with numbers of fixed places. Versions 5 (Mosquitto 1.6) and 6
//! (2.0 and 2.1) are read. Nothing in it is protected by a checksum: what makes no sense is
//! counted and passed over, and where no chunk can begin the reading ends, with what was whole.

mod body;
mod chunk;
mod properties;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

pub use chunk::{Chunk, Client, ClientMessage, Content, Direction, State, Stored, Subscription};

use body::Layout;

/// A database, from its first chunk on. Memory: one chunk at a time.
#[derive(Debug)]
pub struct Database<R> {
    file: BufReader<R>,
    /// Where the next chunk begins.
    at: u64,
    /// Bytes of the file.
    length: u64,
    version: Version,
    layout: Layout,
}

/// Who writes such a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 5: Mosquitto 1.6. It has no names of users with sessions.
    Five,
    /// 6: Mosquitto 2.0 and 2.1.
    Six,
}

/// Why nothing of a file can be read.
#[derive(Debug)]
pub enum DatabaseError {
    /// It does not begin as one of Mosquitto does.
    Foreign,
    /// It is empty, or ends within its head.
    Empty,
    /// Its version is one that this program does not read.
    Version(u32),
    /// The system says no.
    Io(io::Error),
}

/// What was found next.
#[derive(Debug)]
pub enum Found {
    /// A chunk, and where it begins, in bytes.
    Chunk(u64, Chunk),
    /// A chunk that makes no sense, or of a kind that nobody knows; what follows it is read.
    Odd(u64, &'static str),
    /// The end of the file, behind its last chunk.
    End,
    /// The file is cut off here, in the middle of a chunk.
    Cut(u64),
    /// No chunk begins here: the rest is damaged.
    Damaged(u64),
}

/// How much of messages is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All but what is behind the topic: [`Stored::content`] is `None`.
    Heads,
    /// Properties and payload too.
    Whole,
}

impl Version {
    /// The number in the file.
    pub fn number(self) -> u32 {
        match self {
            Self::Five => 5,
            Self::Six => 6,
        }
    }

    /// Whether sessions have the names of their users.
    pub fn has_users(self) -> bool {
        self == Self::Six
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is no database of Mosquitto"),
            Self::Empty => f.write_str("the file ends before its first chunk: nothing is in it"),
            Self::Version(old @ 0..=4) => write!(
                f,
                "version {old}, of Mosquitto 1.5 or older; let Mosquitto 1.6 or 2.0 start and stop \
                 once with it, which writes it anew, and try again"
            ),
            Self::Version(new) => write!(
                f,
                "version {new}, which this program does not know: versions 5 (Mosquitto 1.6) and 6 \
                 (2.0, 2.1) are read"
            ),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DatabaseError {}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: Read + Seek> Database<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// [`DatabaseError`]: nothing of it can be read.
    pub fn open(mut file: R) -> Result<Self, DatabaseError> {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        let mut head = [0; HEAD];
        let read = fill(&mut file, &mut head)?;
        let (mark, rest) = head.split_at(MARK.len());
        let known = mark.len().min(read);
        if mark.get(..known) != MARK.get(..known) {
            return Err(DatabaseError::Foreign);
        }
        if read < HEAD {
            return Err(DatabaseError::Empty);
        }
        let number = rest.last_chunk().map_or(0, |it| u32::from_be_bytes(*it));
        let version = match number {
            5 => Version::Five,
            6 => Version::Six,
            number => return Err(DatabaseError::Version(number)),
        };
        Ok(Self {
            file,
            at: HEAD as u64,
            length,
            version,
            layout: Layout::new(version),
        })
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Begins anew, with the first chunk.
    ///
    /// # Errors
    /// Those of the system.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.go(HEAD as u64)
    }

    /// Reads the next chunk. After [`Found::End`], [`Found::Cut`] and [`Found::Damaged`] comes the
    /// same again.
    ///
    /// # Errors
    /// Those of the system: the file could be read, and now cannot.
    pub fn next_chunk(&mut self, detail: Detail) -> io::Result<Found> {
        let begins = self.at;
        let rest = self.length.saturating_sub(begins);
        if rest == 0 {
            return Ok(Found::End);
        }
        let mut head = [0; CHUNK_HEAD];
        if rest < CHUNK_HEAD as u64 || fill(&mut self.file, &mut head)? < CHUNK_HEAD {
            self.go(begins)?;
            return Ok(Found::Cut(begins));
        }
        let (kind, length) = body::two(head);
        // Mosquitto passes over kinds that it does not know; it has six, and room for few more.
        if kind == 0 || kind > MOST_KINDS {
            self.go(begins)?;
            return Ok(Found::Damaged(begins));
        }
        let within = begins.saturating_add(CHUNK_HEAD as u64);
        let next = within.saturating_add(u64::from(length));
        if next > self.length {
            self.go(begins)?;
            return Ok(Found::Cut(begins));
        }
        let read = self.body(kind, length, detail)?;
        self.go(next)?;
        Ok(match read {
            Ok(chunk) => Found::Chunk(begins, chunk),
            Err(why) => Found::Odd(begins, why),
        })
    }

    fn body(
        &mut self,
        kind: u32,
        length: u32,
        detail: Detail,
    ) -> io::Result<Result<Chunk, &'static str>> {
        // What is long is a message; anything else has a few names in it.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let wanted = match (kind, detail) {
            (chunk::MESSAGE, Detail::Heads) => length.min(LONGEST_NAMES),
            (chunk::MESSAGE, Detail::Whole) if length > LONGEST_MESSAGE => {
                return Ok(Err("a message that is longer than MQTT allows"));
            }
            (chunk::MESSAGE, Detail::Whole) => length,
            _ if length > LONGEST_NAMES => {
                return Ok(Err("a chunk that is longer than its kind can be"));
            }
            _ => length,
        };
        let mut body = vec![0; wanted];
        if fill(&mut self.file, &mut body)? < wanted {
            return Ok(Err("the file became shorter while it was read"));
        }
        Ok(chunk::read(kind, &body, length, detail, &mut self.layout))
    }

    fn go(&mut self, to: u64) -> io::Result<()> {
        let now = self.file.stream_position()?;
        let distance = i128::from(to).saturating_sub(i128::from(now));
        match i64::try_from(distance) {
            Ok(distance) => self.file.seek_relative(distance)?,
            Err(_) => drop(self.file.seek(SeekFrom::Start(to))?),
        }
        self.at = to;
        Ok(())
    }
}

/// Reads until the buffer is full or the file ends; how much.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0_usize;
    while let Some(rest) = buffer.get_mut(done..)
        && !rest.is_empty()
    {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => done = done.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// What a file begins with.
const MARK: &[u8; 15] = b"\x00\xb5\x00mosquitto db";
/// The mark, a checksum that is not used, the version.
const HEAD: usize = 23;
/// The kind and the length of a chunk, each of four bytes.
const CHUNK_HEAD: usize = 8;
/// Kinds of chunks that a later Mosquitto may have; above it is damage.
const MOST_KINDS: u32 = 255;
/// Numbers, and at most three names of 64 KiB each.
const LONGEST_NAMES: usize = 4 * 65_536;
/// A packet of the greatest length, and what is not in packets.
const LONGEST_MESSAGE: usize = 268_435_455 + LONGEST_NAMES;
const BUFFER: usize = 64 * 1024;

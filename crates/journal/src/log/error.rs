//! What goes wrong.

use std::fmt;
use std::io;

use store::Shortage;

use super::found::IDENTITY;
use crate::disk::FolderError;
use crate::segment::VERSION;

/// Why nothing was written, or nothing is known to be safe.
#[derive(Debug)]
pub enum WriteError {
    /// The disk takes nothing more for now: it is full, over a quota, or read-only. Nothing has
    /// happened, and the same may be tried again.
    Full(io::Error),
    /// For good: nobody knows what is on the disk. Nothing must be acknowledged any more.
    Failed(io::Error),
}

impl WriteError {
    /// The meaning of a write that went wrong; of a sync, everything is [`WriteError::Failed`].
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem => Self::Full(error),
            _ => Self::Failed(error),
        }
    }
}

/// Why a disk that is [`WriteError::Full`] takes nothing.
pub(crate) fn shortage(error: &io::Error) -> Shortage {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Shortage::ReadOnly,
        _ => Shortage::Disk,
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(error) => write!(f, "the store has no room: {error}"),
            Self::Failed(error) => write!(f, "the store has failed: {error}"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full(error) | Self::Failed(error) => Some(error),
        }
    }
}

/// Why a store is not opened. Nothing was changed on the disk.
#[derive(Debug)]
pub enum OpenError {
    /// The folder cannot be used.
    Folder(FolderError),
    /// The system refuses something.
    Io {
        /// The file, or what was tried with the folder.
        file: String,
        /// What the system says.
        error: io::Error,
    },
    /// The folder holds something else than a store.
    Foreign {
        /// A file that no store has.
        file: String,
    },
    /// There are segments, but `store.id` is gone.
    NoIdentity,
    /// There is `store.id`, but no segment.
    NoSegment,
    /// Another version wrote the store.
    Version {
        /// The file that says so.
        file: String,
        /// The version of its format.
        found: String,
    },
    /// A segment is gone.
    Missing {
        /// Its file.
        file: String,
    },
    /// Something that was on the disk is not what it was.
    Damaged {
        /// The file.
        file: String,
        /// Where, in bytes from the start of the file.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(error) => error.fmt(f),
            Self::Io { file, error } => write!(f, "store: {file}: {error}"),
            Self::Foreign { file } => write!(
                f,
                "the folder of the store holds {file}, which is no part of a store; name an empty \
                 folder"
            ),
            Self::NoIdentity => write!(
                f,
                "the store has segments but no store.id: somebody removed it; {ANEW}"
            ),
            Self::NoSegment => f.write_str(
                "the store has a store.id but no segment: somebody removed them; restore them \
                 from a backup, or remove the folder to begin with an empty store",
            ),
            Self::Version { file, found } => write!(
                f,
                "{file} has version {found} of the store's format, and this server reads version \
                 {VERSION}; use the server that wrote it, or its `nightjar store export`"
            ),
            Self::Missing { file } => {
                write!(f, "the segment {file} of the store is missing; {ADVICE}")
            }
            Self::Damaged { file, what, .. } if file == IDENTITY => {
                write!(f, "{file} is damaged: {what}; {ANEW}")
            }
            Self::Damaged { file, offset, what } => {
                write!(f, "{file} is damaged at byte {offset}: {what}; {ADVICE}")
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder(error) => Some(error),
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<FolderError> for OpenError {
    fn from(error: FolderError) -> Self {
        Self::Folder(error)
    }
}

const ADVICE: &str = "`nightjar store verify` says what is lost; restore the store from a backup, or \
                      go on without it by `nightjar store verify --quarantine`";

/// What can be done without `store.id`: nothing of what clients are owed is in it.
const ANEW: &str = "write it anew, three lines: \"Nightjar store\", \"format 1\", and \"id \" with any \
                    32 hexadecimal digits; then see what `nightjar store verify` says";

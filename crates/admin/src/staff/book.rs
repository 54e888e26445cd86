//! What is kept, and its file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{StaffRole, secret};
use crate::Stamp;

/// The form of the file. Another is refused, so that nothing of it is lost.
const VERSION: u32 = 1;
/// Most bytes of the file: more than the most entries have.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Most administrators, and most keys.
pub(super) const MOST: usize = 1000;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    version: u32,
    pub(super) administrators: Vec<KeptAdministrator>,
    pub(super) keys: Vec<KeptKey>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptAdministrator {
    pub(super) username: String,
    pub(super) role: StaffRole,
    pub(super) description: String,
    pub(super) password: String,
    pub(super) created_at: Stamp,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptKey {
    pub(super) name: String,
    pub(super) api_key: String,
    /// SHA-256 of the secret.
    pub(super) secret: [u8; 32],
    pub(super) role: StaffRole,
    pub(super) description: String,
    pub(super) enabled: bool,
    pub(super) expires_at: Option<Stamp>,
    pub(super) created_at: Stamp,
}

impl Book {
    fn new() -> Self {
        Self {
            version: VERSION,
            administrators: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Reads the file; an empty book if there is none. What is damaged is an error, never nobody:
    /// else anybody could be the first (S100).
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::new()),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text)?;
        // What serde says of a file may hold what is in it: say where only.
        let book: Self = serde_json::from_str(&text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is damaged: {place}"),
            )
        })?;
        let whole = book.version == VERSION
            && book
                .administrators
                .iter()
                .all(|one| secret::is_hash(&one.password));
        if whole {
            Ok(book)
        } else {
            let words = "it is of another version, or a hash in it is damaged";
            Err(io::Error::new(io::ErrorKind::InvalidData, words))
        }
    }

    /// Takes the place of the file at once, or not at all; for its owner alone (S99).
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        let new = path.with_extension("new");
        let written = (|| {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, path)
        })();
        if written.is_err() {
            // It is in nobody's way: the next attempt replaces it.
            drop(fs::remove_file(&new));
        }
        written?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()
    }
}

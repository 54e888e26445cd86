//! Configurations that were replaced, in a folder for the server's user alone: there are secrets in
//! them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use admin::server::configuration::Version;
use admin::{Failure, Stamp};
use serde::{Deserialize, Serialize};

/// So many are kept; the oldest goes first. Each is at most 1 MiB.
const KEPT: usize = 20;
/// Below the data folder.
const FOLDER: &str = "configurations";

/// The folder of versions.
pub(super) struct Versions {
    folder: PathBuf,
}

/// A file of the folder.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    version: Version,
    toml: String,
}

impl Versions {
    pub(super) fn new(data_dir: &Path) -> Self {
        let folder = data_dir.join(FOLDER);
        Self { folder }
    }

    /// Keeps a text, and says under which number.
    ///
    /// # Errors
    /// The disk refuses.
    pub(super) fn keep(&self, toml: &str, by: &str, note: &str) -> Result<u64, Failure> {
        let numbers = self.numbers().map_err(|error| self.failed(&error))?;
        let version = numbers.last().copied().unwrap_or(0).saturating_add(1);
        let entry = Entry {
            version: Version {
                version,
                at: Stamp::now(),
                by: by.into(),
                note: note.into(),
            },
            toml: toml.into(),
        };
        self.write(&entry).map_err(|error| self.failed(&error))?;
        Ok(version)
    }

    /// Forgets the oldest if there are too many. That one more is kept than need be is no reason to
    /// refuse anything.
    pub(super) fn prune(&self) {
        let numbers = self.numbers().unwrap_or_default();
        let old = numbers.len().saturating_sub(KEPT);
        numbers.iter().take(old).for_each(|&one| self.forget(one));
    }

    /// Forgets one. That one more is kept than need be is no reason to refuse anything.
    pub(super) fn forget(&self, version: u64) {
        drop(fs::remove_file(self.file(version)));
    }

    /// All, the newest first.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub(super) fn list(&self) -> Result<Vec<Version>, Failure> {
        let numbers = self.numbers().map_err(|error| self.failed(&error))?;
        let entries = numbers.into_iter().rev().map(|one| self.read(one));
        entries.map(|entry| Ok(entry?.version)).collect()
    }

    /// The text of one.
    ///
    /// # Errors
    /// There is none of this number, or it cannot be read.
    pub(super) fn text(&self, version: u64) -> Result<String, Failure> {
        Ok(self.read(version)?.toml)
    }

    fn read(&self, version: u64) -> Result<Entry, Failure> {
        let text = match fs::read_to_string(self.file(version)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let words = format!("there is no version {version}");
                return Err(Failure::NotFound(words));
            }
            Err(error) => return Err(self.failed(&error)),
        };
        let entry = serde_json::from_str(&text).map_err(io::Error::other);
        entry.map_err(|error| self.failed(&error))
    }

    fn write(&self, entry: &Entry) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.folder)?;
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let part = self.folder.join("part");
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = options.open(&part)?;
        self.hand_over(&file)?;
        file.write_all(
            serde_json::to_string(entry)
                .map_err(io::Error::other)?
                .as_bytes(),
        )?;
        file.sync_all()?;
        fs::rename(&part, self.file(entry.version.version))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Gives a file to the folder's owner: the superuser may have made it without a server.
    fn hand_over(&self, file: &File) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let (folder, new) = (
                self.folder.parent().unwrap_or(&self.folder),
                file.metadata()?,
            );
            let owner = folder.metadata()?;
            if new.uid() != owner.uid() {
                fchown(file, Some(owner.uid()), Some(owner.gid()))?;
                std::os::unix::fs::chown(&self.folder, Some(owner.uid()), Some(owner.gid()))?;
            }
        }
        Ok(())
    }

    /// The numbers that there are, lowest first.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".json"));
            numbers.extend(name.and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn file(&self, version: u64) -> PathBuf {
        self.folder.join(format!("{version:08}.json"))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::Unavailable(format!("{}: {error}", self.folder.display()))
    }
}

//! The configuration file, replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use admin::Failure;

/// The file that is replaced: what a link points to, not the link.
pub(super) struct Target {
    path: PathBuf,
    folder: PathBuf,
    found: fs::Metadata,
}

impl Target {
    /// The file at this path.
    ///
    /// # Errors
    /// It is not there, or is none.
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        let failed =
            |error: io::Error| Failure::Unavailable(format!("{}: {error}", path.display()));
        let real = path.canonicalize().map_err(failed)?;
        let found = real.metadata().map_err(failed)?;
        if !found.is_file() {
            let words = format!("{} is no file that could be replaced", path.display());
            return Err(Failure::Unavailable(words));
        }
        let folder = real.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            path: real,
            folder,
            found,
        })
    }

    /// Puts this text in its place, with the same permissions and owner: after a crash it is the old
    /// one or the new one.
    ///
    /// # Errors
    /// The system refuses; the file is as it was.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let new = self
            .folder
            .join(format!(".{name}.{}.new", std::process::id()));
        let written = self
            .fill(&new, text)
            .and_then(|()| fs::rename(&new, &self.path))
            .and_then(|()| File::open(&self.folder)?.sync_all());
        written.map_err(|error| {
            // If it was never made there is nothing to remove.
            drop(fs::remove_file(&new));
            Failure::Unavailable(format!(
                "{} cannot be replaced: {error}; the server's user needs to write to the folder {}",
                self.path.display(),
                self.folder.display()
            ))
        })
    }

    fn fill(&self, path: &Path, text: &str) -> io::Result<()> {
        // What an earlier crash left is nobody's.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        self.adorn(&file)?;
        file.sync_all()
    }

    /// Gives a file what the old one has.
    fn adorn(&self, file: &File) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, fchown};
            let new = file.metadata()?;
            let (uid, gid) = (self.found.uid(), self.found.gid());
            if (new.uid(), new.gid()) != (uid, gid) {
                fchown(file, Some(uid), Some(gid))?;
            }
        }
        file.set_permissions(self.found.permissions())
    }
}

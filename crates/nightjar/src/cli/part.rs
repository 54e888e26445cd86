//! A file beside the one that is wanted, for what is not whole yet.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

/// A new file for its owner alone, under a name that nobody knows before: nothing that others have put
/// there is written to, and no link is followed (S99). It goes when it is dropped before it is whole.
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    is_whole: bool,
}

impl Part {
    /// Makes it beside this file.
    ///
    /// # Errors
    /// The path names no file, or the system refuses.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        // Std keys its hasher from the system's randomness.
        let random = RandomState::new().build_hasher().finish();
        let mut part = name.to_owned();
        part.push(format!(".{random:016x}.part"));
        let path = path.with_file_name(part);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        Ok(Self {
            path,
            file,
            is_whole: false,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, empty again.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn again(&mut self) -> io::Result<&File> {
        self.file.rewind()?;
        self.file.set_len(0)?;
        Ok(&self.file)
    }

    /// It is whole: puts it in the place of the file.
    ///
    /// # Errors
    /// The system refuses; that file is as it was.
    pub(crate) fn replace(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_whole
            && let Err(error) = fs::remove_file(&self.path)
        {
            eprintln!("{} is left over: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn s99_what_is_not_whole_is_its_owner_s_and_goes() {
        use std::io::Write;
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("b");
        let (mut one, other) = (
            Part::beside(&wanted).unwrap(),
            Part::beside(&wanted).unwrap(),
        );
        // Whoever makes such a file first does not know under which name.
        assert_ne!(one.path(), other.path());
        let mode = other.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(other);
        one.again().unwrap().write_all(b"half").unwrap();
        one.again().unwrap().write_all(b"all").unwrap();
        one.replace(&wanted).unwrap();
        assert_eq!(fs::read(&wanted).unwrap(), b"all");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

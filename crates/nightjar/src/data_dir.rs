//! The folder for what outlives a restart.

use std::fmt;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::plan::Intent;

/// Why a data folder cannot be used.
#[derive(Debug)]
pub(crate) enum DataDirError {
    /// Nobody named one, and the environment has neither `XDG_DATA_HOME` nor `HOME`.
    Nameless,
    /// The system refused.
    Refused {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

impl fmt::Display for DataDirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nameless => f.write_str(
                "no data folder: neither XDG_DATA_HOME nor HOME is set; name one with --data-dir",
            ),
            Self::Refused { path, error } => write!(
                f,
                "the data folder {} cannot be written to: {error}; name another with --data-dir",
                path.display()
            ),
        }
    }
}

/// The folder to use: the configured one or the default. With [`Intent::Start`] it is there
/// and can be written to afterwards; it is made for its owner alone.
pub(crate) fn prepare(
    configured: Option<&Path>,
    environment: &[(String, String)],
    intent: Intent,
) -> Result<PathBuf, DataDirError> {
    let path = locate(configured, environment)?;
    let refused = |error| DataDirError::Refused {
        path: path.clone(),
        error,
    };
    match intent {
        Intent::Start => create(&path).and_then(|()| probe(&path)).map_err(refused)?,
        Intent::Check => foresee(&path).map_err(refused)?,
    }
    Ok(path)
}

/// The folder that [`prepare`] looks at, without a look at it; a whole path, so that logs and messages
/// name it wherever they are read.
pub(crate) fn locate(
    configured: Option<&Path>,
    environment: &[(String, String)],
) -> Result<PathBuf, DataDirError> {
    let Some(path) = configured else {
        return default_path(environment).ok_or(DataDirError::Nameless);
    };
    std::path::absolute(path).map_err(|error| DataDirError::Refused {
        path: path.to_owned(),
        error,
    })
}

/// Makes the folder for a user, if it is not there; one that is there stays whose it is.
pub(crate) fn make_for(account: &Account, path: PathBuf) -> Result<(), DataDirError> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let made = create(&path).and_then(|()| account.own(&path));
    made.map_err(|error| DataDirError::Refused { path, error })
}

fn default_path(environment: &[(String, String)]) -> Option<PathBuf> {
    let folder = |name: &str| {
        let (_, value) = environment.iter().find(|(known, _)| known == name)?;
        // The base directory specification says to ignore relative paths.
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    folder("XDG_DATA_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("nightjar"))
}

/// Makes a folder for its owner alone, and those above it; one that is there stays as it is.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Writes and removes a file: permissions alone do not tell of a read-only disk. A full one is no
/// reason not to start: clients may collect what is there, and so make room.
fn probe(path: &Path) -> io::Result<()> {
    let file = path.join(format!(".probe-{}", std::process::id()));
    match fs::write(&file, b"nightjar") {
        Err(error) if is_full(&error) => match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        Err(error) => Err(error),
        Ok(()) => fs::remove_file(&file),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether [`create`] and [`probe`] would succeed, as far as can be told without doing it.
fn foresee(path: &Path) -> io::Result<()> {
    let existing = path
        .ancestors()
        .find(|folder| folder.symlink_metadata().is_ok());
    // A relative path without any part that exists is made in the current folder.
    let existing = existing.filter(|folder| !folder.as_os_str().is_empty());
    let existing = existing.unwrap_or(Path::new("."));
    if !existing.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if existing == path {
        return probe(path);
    }
    writable(existing)?;
    // Root passes every check of permissions, but /proc takes no folder from anybody.
    let random = RandomState::new().build_hasher().finish();
    let trial = existing.join(format!(".nightjar-{random:016x}"));
    fs::create_dir(&trial)?;
    fs::remove_dir(&trial)
}

#[cfg(unix)]
fn writable(path: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    access(path, Access::WRITE_OK | Access::EXEC_OK)?;
    // Root passes every check of permissions, but not a read-only file system.
    if rustix::fs::statvfs(path)?
        .f_flag
        .contains(rustix::fs::StatVfsMountFlags::RDONLY)
    {
        return Err(io::ErrorKind::ReadOnlyFilesystem.into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn writable(path: &Path) -> io::Result<()> {
    if path.metadata()?.permissions().readonly() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn a_relative_folder_is_told_as_a_whole_path() {
        let whole = locate(Some(Path::new("data")), &[]).unwrap();
        assert_eq!(whole, std::env::current_dir().unwrap().join("data"));
        assert_eq!(
            locate(Some(Path::new("/x/y")), &[]).unwrap(),
            Path::new("/x/y")
        );
    }

    #[test]
    fn the_default_follows_the_base_directory_specification() {
        let both = environment(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")]);
        assert_eq!(default_path(&both), Some("/x/nightjar".into()));
        let relative = environment(&[("HOME", "/h"), ("XDG_DATA_HOME", "x")]);
        assert_eq!(
            default_path(&relative),
            Some("/h/.local/share/nightjar".into())
        );
        assert_eq!(default_path(&[]), None);
    }
}

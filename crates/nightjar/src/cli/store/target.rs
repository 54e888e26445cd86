//! Which store is meant, and its lock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use config::{Setting, Sources};
use journal::disk::{Disk, Folder, FolderError};
use journal::engine::Options;

use super::Failure;
use super::look::Look;
use crate::data_dir;
use crate::storage::FOLDER;
use crate::{origin, plan};

/// Where the store is.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Where {
    /// Configuration file that names the data folder
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The server's data folder: the store is in it
    #[arg(short, long, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
}

/// A store that was named, whether it is there or not.
#[derive(Debug)]
pub(super) struct Target {
    /// The folder of the store.
    pub(super) folder: PathBuf,
    /// What the server's configuration says of it.
    pub(super) options: Options,
    /// The words that name it, for commands that are advised.
    words: String,
}

impl Where {
    /// The store that is meant: the one that a server with the same words would use.
    ///
    /// # Errors
    ///
    /// All mistakes of the configuration, or no folder was named.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let mut sources = Sources::of_process(self.config.clone());
        if let Some(folder) = &self.data_dir {
            sources.options.push(Setting {
                option: "--data-dir",
                key: "data_dir",
                value: folder.to_string_lossy().into_owned(),
            });
        }
        let origin = origin::load(&sources).map_err(|errors| Failure(errors.to_string()))?;
        let config = origin.loaded.config;
        plan::leave_root(&config, &sources).map_err(|error| Failure(error.to_string()))?;
        let data_dir = data_dir::locate(config.data_dir.as_deref(), &sources.environment)
            .map_err(|error| Failure(error.to_string()))?;
        let log = journal::log::Options {
            segment_bytes: config.store.segment_bytes,
            ..journal::log::Options::default()
        };
        Ok(Target {
            folder: data_dir.join(FOLDER),
            options: Options {
                log,
                store_bytes: config.limits.store_bytes,
                ..Options::default()
            },
            words: self.words(),
        })
    }

    /// The options as a shell takes them, each with a space before it.
    fn words(&self) -> String {
        words(self.config.as_deref(), self.data_dir.as_deref())
    }
}

/// What names a store to `nightjar store`, as a shell takes it, with a space before each option.
pub(crate) fn words(config: Option<&Path>, data_dir: Option<&Path>) -> String {
    let named = [("--config", config), ("--data-dir", data_dir)];
    let named = named.into_iter().filter_map(|(option, path)| {
        let path = path?.to_string_lossy();
        Some(format!(" {option} {}", quoted(&path)))
    });
    named.collect()
}

impl Target {
    /// The store as one who only looks sees it.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn look(&self) -> Result<Arc<dyn Disk>, Failure> {
        self.reach()?;
        Ok(Arc::new(Look::new(&self.folder)))
    }

    /// The store for oneself.
    ///
    /// # Errors
    ///
    /// There is none, or somebody else has it.
    pub(super) fn lock(&self) -> Result<Arc<dyn Disk>, Failure> {
        self.reach()?;
        match Folder::open_existing(&self.folder) {
            Ok(folder) => Ok(Arc::new(folder)),
            Err(FolderError::Missing(_)) => Err(self.missing()),
            Err(error) => Err(locked(error)),
        }
    }

    /// Looks whether there is a folder, and whether this user may look into it.
    fn reach(&self) -> Result<(), Failure> {
        let error = match fs::read_dir(&self.folder) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Err(self.missing()),
            io::ErrorKind::PermissionDenied => Err(self.about(Failure(format!(
                "cannot be read: {error}; run this as the user that the server runs as"
            )))),
            _ => Err(self.about(Failure(format!("cannot be read: {error}")))),
        }
    }

    /// What to say if there is no store.
    pub(super) fn missing(&self) -> Failure {
        // Whoever names the store itself is told what to name.
        let above = self.folder.parent().filter(|it| it.join(IDENTITY).exists());
        let meant =
            above
                .and_then(Path::parent)
                .map_or_else(String::new, |data_dir| match data_dir.as_os_str() {
                    name if name.is_empty() => String::from(": perhaps ."),
                    _ => format!(": perhaps {}", data_dir.display()),
                });
        Failure(format!(
            "there is no store in {}; name the server's data folder with --data-dir{meant}, or its \
             configuration with --config",
            self.folder.display()
        ))
    }

    /// A command of `nightjar store` about this store, to be typed as it is.
    pub(super) fn command(&self, task: &str) -> String {
        format!("`nightjar store {task}{}`", self.words)
    }

    /// An error with the folder that it is about.
    pub(super) fn about(&self, failure: impl Into<Failure>) -> Failure {
        Failure(format!(
            "the store {}: {}",
            self.folder.display(),
            failure.into()
        ))
    }
}

/// A word of a command line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The file by which a store is known.
const IDENTITY: &str = "store.id";

/// Why a folder was not locked, with the name of who has it.
pub(super) fn locked(error: FolderError) -> Failure {
    match error {
        FolderError::InUse(path) => Failure(format!(
            "the store {} is in use by {}; stop that first",
            path.display(),
            holder(&path).unwrap_or_else(|| "another server or tool".to_owned())
        )),
        error => Failure(error.to_string()),
    }
}

/// The process that has the lock, where the system tells.
#[cfg(target_os = "linux")]
fn holder(folder: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let lock = fs::metadata(folder.join(journal::disk::LOCK)).ok()?;
    let (major, minor) = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    let file = format!("{major:02x}:{minor:02x}:{}", lock.ino());
    // A line is "1: FLOCK ADVISORY WRITE 4711 fd:01:1234 0 EOF".
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pid: u32 = words.get(4)?.parse().ok()?;
        (words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&file.as_str())).then_some(pid)
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("process {pid} ({})", name.trim().escape_debug()))
}

#[cfg(not(target_os = "linux"))]
fn holder(_: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_typed_as_it_is_advised() {
        let place = Where {
            config: Some("/etc/nightjar.toml".into()),
            data_dir: Some("/mnt/plant 7/it's".into()),
        };
        let words = " --config /etc/nightjar.toml --data-dir '/mnt/plant 7/it'\\''s'";
        assert_eq!(place.words(), words);
        assert_eq!(Where::default().words(), "");
    }
}

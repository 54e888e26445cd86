//! Which store is meant, and its lock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use config::{Config, Setting, Sources};
use journal::disk::{Disk, Folder, FolderError};
use journal::engine::Options;

use super::Failure;
use super::look::Look;
use crate::data_dir;
use crate::storage::FOLDER;

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
        let config = Config::load(&sources).map_err(|errors| Failure(errors.to_string()))?;
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
        })
    }
}

impl Target {
    /// The store as one who only looks sees it.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn look(&self) -> Result<Arc<dyn Disk>, Failure> {
        if !self.folder.is_dir() {
            return Err(self.missing());
        }
        Ok(Arc::new(Look::new(&self.folder)))
    }

    /// The store for oneself.
    ///
    /// # Errors
    ///
    /// There is none, or somebody else has it.
    pub(super) fn lock(&self) -> Result<Arc<dyn Disk>, Failure> {
        match Folder::open_existing(&self.folder) {
            Ok(folder) => Ok(Arc::new(folder)),
            Err(FolderError::Missing(_)) => Err(self.missing()),
            Err(error) => Err(locked(error)),
        }
    }

    /// What to say if there is no store.
    pub(super) fn missing(&self) -> Failure {
        Failure(format!(
            "there is no store in {}; name the server's data folder with --data-dir, or its \
             configuration with --config",
            self.folder.display()
        ))
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
    use std::fs;
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

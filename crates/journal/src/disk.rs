//! What is asked of a file system, and the real one.
//!
//! All names are relative to the folder of one store. No other module of this crate uses
//! `std::fs`.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of one store.
pub trait Disk: Send + Sync {
    /// The names of its files; folders are not among them.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a file with room for so many bytes, all zero, which only its owner may read. The
    /// file must not be there. It outlives a power cut only after [`DiskFile::sync`] and
    /// [`Disk::sync_folder`].
    ///
    /// # Errors
    ///
    /// What the system says; the file is not there then.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file to read and to write.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, at once; a file that had this name is gone.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Puts a file aside, into the folder [`QUARANTINE`], and makes that durable.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn quarantine(&self, name: &str) -> io::Result<()>;

    /// Removes a file. Those who have it open may read on.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all that was created, renamed and removed durable.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_folder(&self) -> io::Result<()>;

    /// Bytes that the file system has left for this user.
    ///
    /// # Errors
    ///
    /// What the system says; [`io::ErrorKind::Unsupported`] where it says nothing.
    fn free_bytes(&self) -> io::Result<u64>;

    /// A number that no earlier life of the store has had.
    fn random(&self) -> u64;
}

/// A file in the folder of a store.
pub trait DiskFile: Send + Sync {
    /// Reads what is there, into the beginning of `into`; fewer bytes only at the end of the
    /// file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all the bytes.
    ///
    /// # Errors
    ///
    /// What the system says; some of the bytes may be written then.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was written, and the length, durable.
    ///
    /// # Errors
    ///
    /// What the system says. The same file must not be synced again then: it would be told that
    /// all is well although it is not.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file, or makes it longer by zeros.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Makes the file so long at least, and takes the room for it, as [`Disk::create`] does.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Bytes of the file.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Where damaged segments are put aside.
pub const QUARANTINE: &str = "quarantine";
/// The file whose lock the user of a store holds.
pub const LOCK: &str = "lock";

/// Why the folder of a store cannot be used.
#[derive(Debug)]
pub enum FolderError {
    /// Another server or tool uses it now.
    InUse(PathBuf),
    /// It is not there.
    Missing(PathBuf),
    /// The system refuses.
    Refused(PathBuf, io::Error),
    /// Other users have access to this, and the system refuses to take it from them.
    Exposed(PathBuf, io::Error),
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "another server or tool uses the store {}; stop it first",
                path.display()
            ),
            Self::Missing(path) => write!(f, "there is no store in {}", path.display()),
            Self::Refused(path, error) => {
                write!(f, "the store {} cannot be used: {error}", path.display())
            }
            Self::Exposed(path, error) => write!(
                f,
                "other users have access to {}, and it cannot be taken from them: {error}; \
                 change its owner to the user that runs the server, or its permissions (chmod \
                 go-rwx)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for FolderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InUse(_) | Self::Missing(_) => None,
            Self::Refused(_, error) | Self::Exposed(_, error) => Some(error),
        }
    }
}

/// The real folder of a store. It is locked until this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    tightened: usize,
    /// Closing it gives the lock back.
    _lock: File,
}

impl Folder {
    /// Makes the folder for its owner alone (0700) if it is not there, and locks it. If other
    /// users have access to it or what is in it, that is taken from them.
    ///
    /// # Errors
    ///
    /// [`FolderError::InUse`] if somebody else holds the lock, [`FolderError::Refused`], or
    /// [`FolderError::Exposed`].
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let refused = |error| FolderError::Refused(path.to_owned(), error);
        make_folder(path).map_err(refused)?;
        Self::lock(path)
    }

    /// Locks a folder that is there: for tools that must not make a store where none is.
    ///
    /// # Errors
    ///
    /// As [`Folder::open`], and [`FolderError::Missing`].
    pub fn open_existing(path: &Path) -> Result<Self, FolderError> {
        if path.is_dir() {
            Self::lock(path)
        } else {
            Err(FolderError::Missing(path.to_owned()))
        }
    }

    fn lock(path: &Path) -> Result<Self, FolderError> {
        let refused = |error| FolderError::Refused(path.to_owned(), error);
        let mut options = own_file();
        let lock = options.create(true).truncate(false).open(path.join(LOCK));
        let lock = lock.map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                tightened: tighten(path)?,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(refused(error)),
        }
    }

    /// How many files and folders other users had access to, until it was locked.
    pub fn tightened(&self) -> usize {
        self.tightened
    }
}

/// Takes the access from other users: to the folder first, then to all that is in it. Says from how
/// many files and folders.
#[cfg(unix)]
fn tighten(folder: &Path) -> Result<usize, FolderError> {
    use std::os::unix::fs::PermissionsExt;
    let refused = |error| FolderError::Refused(folder.to_owned(), error);
    let mut tightened = 0usize;
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        let found = fs::symlink_metadata(&path).map_err(refused)?;
        // Links have no permissions of their own, and what they lead to is not ours.
        if found.is_symlink() {
            continue;
        }
        let mut permissions = found.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(permissions.mode() & 0o700);
            fs::set_permissions(&path, permissions)
                .map_err(|error| FolderError::Exposed(path.clone(), error))?;
            tightened = tightened.saturating_add(1);
        }
        if found.is_dir() {
            for entry in fs::read_dir(&path).map_err(refused)? {
                paths.push(entry.map_err(refused)?.path());
            }
        }
    }
    Ok(tightened)
}

#[cfg(not(unix))]
fn tighten(_: &Path) -> Result<usize, FolderError> {
    Ok(0)
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path.join(name);
        let file = own_file().create_new(true).open(&path)?;
        if let Err(error) = preallocate(&file, bytes) {
            drop(file);
            fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = own_file().open(self.path.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn quarantine(&self, name: &str) -> io::Result<()> {
        let aside = self.path.join(QUARANTINE);
        make_folder(&aside)?;
        fs::rename(self.path.join(name), aside.join(name))?;
        sync_folder(&aside)?;
        sync_folder(&self.path)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }

    #[cfg(unix)]
    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    #[cfg(not(unix))]
    fn free_bytes(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn random(&self) -> u64 {
        // Std keys its hasher from the system's randomness.
        RandomState::new().hash_one(0u8)
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0usize;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match read_some(&self.0, at.saturating_add(length(done)), rest) {
                Ok(0) => break,
                Ok(read) => done = done.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0usize;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match write_some(&self.0, at.saturating_add(length(done)), rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => done = done.saturating_add(written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        preallocate(&self.0, bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Files are for their owner alone.
fn own_file() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder for its owner alone, durably, unless it is there.
fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Ok(()) => path.parent().map_or(Ok(()), |parent| {
            if parent.as_os_str().is_empty() {
                sync_folder(Path::new("."))
            } else {
                sync_folder(parent)
            }
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Other systems give no way to sync a folder, and keep its changes in order.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Takes the room now, so that a full disk is noticed before anything is written.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // The file system cannot: writes notice a full disk.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => lengthen(file, bytes),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    lengthen(file, bytes)
}

fn lengthen(file: &File, bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() < bytes {
        file.set_len(bytes)?;
    }
    Ok(())
}

#[cfg(unix)]
fn read_some(file: &File, at: u64, into: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

#[cfg(windows)]
fn read_some(file: &File, at: u64, into: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, at)
}

#[cfg(unix)]
fn write_some(file: &File, at: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, at)
}

#[cfg(windows)]
fn write_some(file: &File, at: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, at)
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

//! Where a listener listens, and the file of a Unix socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use socket2::Socket;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP. Port 0 lets the system choose.
    Tcp(SocketAddr),
    /// UDP, for QUIC. Port 0 lets the system choose.
    Udp(SocketAddr),
    /// A Unix socket, where the system has them.
    Unix {
        /// Its file. The folder must exist.
        path: PathBuf,
        /// The file's permissions, whatever the process's umask: who may write to it may connect.
        mode: u32,
    },
}

impl Address {
    /// A Unix socket for the user and the group of the server ([`DEFAULT_MODE`]).
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix {
            path: path.into(),
            mode: DEFAULT_MODE,
        }
    }

    /// The address, if it is one of TCP.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Udp(_) | Self::Unix { .. } => None,
        }
    }

    /// The address, if it is one of UDP.
    pub fn udp(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(address) => Some(*address),
            Self::Tcp(_) | Self::Unix { .. } => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) | Self::Udp(address) => address.fmt(f),
            Self::Unix { path, .. } => path.display().fmt(f),
        }
    }
}

/// Permissions of a Unix socket if nothing else is said: the server's user and group.
pub const DEFAULT_MODE: u32 = 0o660;

/// The file of a bound Unix socket. Dropped, it removes the file if it is still the one that
/// was made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    #[cfg(unix)]
    identity: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    /// Binds, after taking a file away that a former server has left behind. Nobody can connect
    /// before the socket listens, and by then the permissions are set.
    pub(crate) fn bind(socket: &Socket, path: &Path, mode: u32) -> io::Result<Self> {
        use std::fs;
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        remove_stale(path)?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        let made = fs::symlink_metadata(path)?;
        let file = Self {
            path: path.to_owned(),
            identity: (made.dev(), made.ino()),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(file)
    }
}

#[cfg(not(unix))]
impl SocketFile {
    pub(crate) fn bind(_: &Socket, path: &Path, _: u32) -> io::Result<Self> {
        let text = format!("{}: this system has no Unix sockets", path.display());
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let found = std::fs::symlink_metadata(&self.path);
            if found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
                // What is left of it if this fails is stale, and the next server removes it.
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }
}

/// Removes a socket that nobody listens on. Anything else stays and is an error.
#[cfg(unix)]
fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let text = format!("{}: there is a file that is no socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => {
            let text = format!("{}: another server listens there", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
    }
}

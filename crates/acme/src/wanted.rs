//! What is asked for, and what is told.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A certificate that is to be there, always.
#[derive(Clone)]
pub struct Wanted {
    /// What people call it.
    pub name: String,
    /// Address of the authority's directory (RFC 8555, 7.1.1). It may hold a secret.
    pub directory: String,
    /// The names that it is for; at least one.
    pub domains: Vec<String>,
    /// Where the authority may write to.
    pub email: Option<String>,
    /// A file (PEM) of the root to trust when the authority is asked, instead of those of browsers.
    pub roots: Option<PathBuf>,
    /// Where the authority's look is answered (RFC 8555, 8.3): port 80 as the world sees it.
    pub http: SocketAddr,
    /// Its folder; what is above that exists.
    pub folder: PathBuf,
}

impl Wanted {
    /// The file with key and chain, which is for the owner of the process alone.
    pub fn file(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted")
            .field("name", &self.name)
            .field("domains", &self.domains)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Something that an operator should read in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// There is a new one.
    Issued {
        /// Which.
        name: String,
        /// When it ends, in seconds since 1970.
        not_after: i64,
    },
    /// There is none, or no newer one. What was there stays.
    Failed {
        /// Which.
        name: String,
        /// Why. May quote the authority.
        problem: String,
        /// How long the one that is there is still good; nothing for a stand-in.
        left: Option<Duration>,
        /// When it is tried again.
        again: Duration,
    },
}

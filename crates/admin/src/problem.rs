//! Why the API cannot start.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the API or the audit log cannot start. The words say what to do.
#[derive(Debug)]
pub enum Problem {
    /// Another server listens on the control socket.
    Running(PathBuf),
    /// What is where the control socket should be is something else.
    NotASocket(PathBuf),
    /// The path of the control socket is longer than the system takes.
    TooLong(PathBuf),
    /// The control socket cannot be made.
    Socket(PathBuf, io::Error),
    /// The audit log cannot be written.
    Audit(PathBuf, io::Error),
    /// The file of administrators cannot be read.
    Staff(PathBuf, io::Error),
    /// The dashboard cannot listen where it is to.
    Web(SocketAddr, io::Error),
    /// The port of metrics cannot be opened.
    Metrics(SocketAddr, io::Error),
    /// The system gives no random numbers.
    Random,
    /// The system gives no thread or no event queue.
    Thread(io::Error),
    /// There are no Unix sockets on this system.
    NoSockets,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(path) => write!(
                f,
                "another server listens on the control socket {}; stop it, or use another data \
                 folder",
                path.display()
            ),
            Self::NotASocket(path) => write!(
                f,
                "{} is in the way of the control socket; move it away, or set `control_socket`",
                path.display()
            ),
            Self::TooLong(path) => write!(
                f,
                "the path of the control socket {} is longer than a socket's may be; set \
                 `control_socket` to a shorter one",
                path.display()
            ),
            Self::Socket(path, error) => {
                write!(f, "the control socket {}: {error}", path.display())
            }
            Self::Audit(path, error) => write!(f, "the audit log {}: {error}", path.display()),
            Self::Staff(path, error) => write!(
                f,
                "the file of administrators {}: {error}; restore it, or move it away to begin with \
                 a new first administrator",
                path.display()
            ),
            Self::Web(address, error) => write!(
                f,
                "the dashboard cannot listen on {address}: {error}; set `dashboard.address` to \
                 another, or `dashboard.enabled = false`"
            ),
            Self::Metrics(address, error) => write!(
                f,
                "metrics cannot be told at {address}: {error}; set `metrics.listen` to another"
            ),
            Self::Random => f.write_str("the system gives no random numbers"),
            Self::Thread(error) => write!(f, "the control plane cannot start: {error}"),
            Self::NoSockets => f.write_str(
                "this system has no Unix sockets; set `control_socket = \"\"` to do without",
            ),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(_, error)
            | Self::Audit(_, error)
            | Self::Staff(_, error)
            | Self::Web(_, error)
            | Self::Metrics(_, error)
            | Self::Thread(error) => Some(error),
            Self::Running(_)
            | Self::NotASocket(_)
            | Self::TooLong(_)
            | Self::Random
            | Self::NoSockets => None,
        }
    }
}

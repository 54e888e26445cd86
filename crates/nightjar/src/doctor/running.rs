//! Whether the server runs, and as which process.

use std::path::Path;

use config::Config;

/// A server that runs.
pub(super) struct Running {
    /// Its process.
    pub(super) pid: u32,
    /// The configuration file that it was started with, if it says one.
    pub(super) file: Option<String>,
}

/// The server with this data folder, if it runs: who answers at its control socket.
#[cfg(unix)]
pub(super) fn find(config: &Config, data_dir: &Path) -> Option<Running> {
    let socket = crate::steer::socket(config, data_dir)?;
    let stream = std::os::unix::net::UnixStream::connect(&socket).ok()?;
    let pid = peer(&stream)?;
    let answer = admin::client::Client::new(socket).request("GET", "/api/v5/configs", None);
    // One that does not answer still runs.
    let file = answer.ok().and_then(|answer| {
        let file = answer.get("file")?.as_str()?;
        Some(file.to_owned())
    });
    Some(Running { pid, file })
}

/// There are no control sockets.
#[cfg(not(unix))]
pub(super) fn find(_: &Config, _: &Path) -> Option<Running> {
    None
}

#[cfg(target_os = "linux")]
fn peer(stream: &std::os::unix::net::UnixStream) -> Option<u32> {
    let credentials = rustix::net::sockopt::socket_peercred(stream).ok()?;
    u32::try_from(credentials.pid.as_raw_nonzero().get()).ok()
}

#[cfg(all(unix, not(target_os = "linux")))]
fn peer(_: &std::os::unix::net::UnixStream) -> Option<u32> {
    // It runs, whatever its number is.
    Some(0)
}

//! The thread that serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

#[cfg(unix)]
use crate::http::serve::{Bounds, serve};
#[cfg(unix)]
use crate::http::state::State;
#[cfg(unix)]
use crate::routes;
use crate::{Audit, Denials, Problem, Server};

/// Where the API listens, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The control socket; its folder is made if it is not there. At most 107 bytes on Linux.
    pub socket: PathBuf,
    /// Most connections; others wait to be accepted.
    pub connections: usize,
    /// Most requests at once; others are answered with 503.
    pub requests: u16,
    /// How long a request may take. Those that upload may take ten minutes.
    pub time_limit: Duration,
    /// How long a connection may take for the head of its next request.
    pub idle: Duration,
    /// How long requests may go on when the server ends.
    pub grace: Duration,
}

impl Settings {
    /// The usual bounds.
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            connections: 256,
            requests: 64,
            time_limit: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            grace: Duration::from_secs(5),
        }
    }
}

/// The API, as long as this lives. It serves on a thread of its own; what waits for disks does so
/// on others, at most one for each request.
#[derive(Debug)]
pub struct Api {
    stop: watch::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// Most bytes of a request's head: more than one of a browser has.
#[cfg(unix)]
const HEAD: usize = 16 * 1024;

impl Api {
    /// Listens, and serves from then on.
    ///
    /// # Errors
    /// The socket cannot be made, or another server has it.
    #[cfg(unix)]
    pub fn start(
        settings: Settings,
        server: Arc<dyn Server>,
        audit: Arc<Audit>,
        denials: Arc<Denials>,
    ) -> Result<Self, Problem> {
        let (control, listener) = crate::control::Control::bind(&settings.socket)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(usize::from(settings.requests.max(1)))
            .thread_name("admin-disk")
            .build()
            .map_err(Problem::Thread)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::from_std(listener).map_err(Problem::Thread)?
        };
        let (requests, limit) = (settings.requests, settings.time_limit);
        let state = State::new(server, audit, denials, requests, limit);
        let router = routes::router(&state);
        let bounds = Bounds {
            connections: settings.connections,
            head: HEAD,
            idle: settings.idle,
            grace: settings.grace,
        };
        let (stop, stopped) = watch::channel(());
        let thread = std::thread::Builder::new().name("admin".into());
        let thread = thread.spawn(move || {
            // The socket goes last: who finds it finds a server.
            let _control = control;
            runtime.block_on(serve(listener, router, state, bounds, stopped));
            // A change that has begun is on a disk's thread or nearly so.
            runtime.shutdown_timeout(settings.grace);
        });
        Ok(Self {
            stop,
            thread: Some(thread.map_err(Problem::Thread)?),
        })
    }

    /// There is no API without Unix sockets.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(unix))]
    pub fn start(
        _: Settings,
        _: Arc<dyn Server>,
        _: Arc<Audit>,
        _: Arc<Denials>,
    ) -> Result<Self, Problem> {
        Err(Problem::NoSockets)
    }

    /// Takes no more requests, answers those that are inside, and removes the socket. Waits for
    /// that, at most twice the grace of the settings. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop.send_replace(());
        if let Some(thread) = self.thread.take() {
            // A panic on it has been told by the hook.
            drop(thread.join());
        }
    }
}

//! The thread that serves.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

#[cfg(unix)]
use axum::Router;
use tokio::sync::watch;

#[cfg(unix)]
use crate::control::{Control, ControlEntrance};
#[cfg(unix)]
use crate::http::serve::{Bounds, serve};
#[cfg(unix)]
use crate::http::state::{SCRAPES, STRANGERS, State};
use crate::metrics::Traffic;
#[cfg(unix)]
use crate::routes;
#[cfg(unix)]
use crate::scrape::ScrapeEntrance;
use crate::staff::Staff;
use crate::web;
#[cfg(unix)]
use crate::web::{Front, Hosts, WebEntrance};
use crate::{Audit, Denials, Problem, Server};

/// Where the API listens, and its bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The control socket, if there is one; its folder is made if it is not there. At most 107 bytes
    /// on Linux.
    pub socket: Option<PathBuf>,
    /// The port of the dashboard, if there is one.
    pub web: Option<web::Settings>,
    /// The port of metrics, if there is one: who reaches it reads them without signing in.
    pub metrics: Option<SocketAddr>,
    /// Names that the port of metrics may be called by, beside addresses and `localhost`.
    pub metrics_hosts: Vec<String>,
    /// The file of administrators and keys. Its folder exists.
    pub staff: PathBuf,
    /// The file in which the one-time code for the first administrator is kept, if it is: it is removed
    /// when there is one.
    pub setup_code: Option<PathBuf>,
    /// Most connections by each way in; others wait to be accepted. One address may have a quarter.
    pub connections: usize,
    /// Most requests at once by each way in, those of strangers not counted, of which there are at
    /// most 8; others are answered with 503.
    pub requests: u16,
    /// How long a request may take. Those that upload may take ten minutes.
    pub time_limit: Duration,
    /// How long a connection may take for the head of its next request, and for taking anything of an
    /// answer.
    pub idle: Duration,
    /// How long requests may go on when the server ends.
    pub grace: Duration,
}

impl Settings {
    /// The usual bounds, with the file of administrators and nowhere to listen yet.
    pub fn new(staff: PathBuf) -> Self {
        Self {
            socket: None,
            web: None,
            metrics: None,
            metrics_hosts: Vec::new(),
            staff,
            setup_code: None,
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
    staff: Arc<Staff>,
    traffic: Arc<Traffic>,
    web: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
}

/// Most bytes of a request's head: more than one of a browser has.
#[cfg(unix)]
const HEAD: usize = 16 * 1024;

impl Api {
    /// Listens, and serves from then on.
    ///
    /// # Errors
    /// The socket or the port cannot be had, another server has it, or the file of administrators
    /// cannot be read.
    #[cfg(unix)]
    pub fn start(
        settings: Settings,
        server: Arc<dyn Server>,
        audit: Arc<Audit>,
        denials: Arc<Denials>,
    ) -> Result<Self, Problem> {
        let staff = Staff::open(settings.staff.clone())?;
        let staff = Arc::new(staff.with_code_in(settings.setup_code.clone()));
        let socket = settings.socket.as_deref().map(Control::bind).transpose()?;
        let (port, scraped) = ports(&settings)?;
        let at = |bound: &Option<Bound>| bound.as_ref().map(|(_, address)| *address);
        let (address, metrics) = (at(&port), at(&scraped));
        let runtime = runtime(settings.requests)?;
        let (stop, stopped) = watch::channel(());
        let state = State::new(
            server,
            audit,
            denials,
            Arc::clone(&staff),
            settings.requests,
            settings.time_limit,
            stopped.clone(),
        );
        let (traffic, router) = (state.traffic(), routes::router(&state));
        let bounds = Bounds {
            connections: settings.connections,
            head: HEAD,
            idle: settings.idle,
            grace: settings.grace,
        };
        let (control, listener) = socket.unzip();
        let (by_socket, by_port, by_scrape) = {
            let _inside = runtime.enter();
            let by_socket = listener.map(|listener| by_socket(listener, router.clone()));
            let by_port = settings
                .web
                .zip(port)
                .map(|(web, (listener, _))| by_port(listener, &web, Arc::clone(&staff), router));
            let by_scrape =
                scraped.map(|(listener, _)| by_scrape(listener, &settings.metrics_hosts, &state));
            (
                by_socket.transpose()?,
                by_port.transpose()?,
                by_scrape.transpose()?,
            )
        };
        let thread = std::thread::Builder::new().name("admin".into());
        let thread = thread.spawn(move || {
            // The socket goes last: who finds it finds a server.
            let _control = control;
            let serving = async {
                let by_socket = served(by_socket, &state, bounds, &stopped);
                let by_port = served(by_port, &state, bounds, &stopped);
                let by_scrape = served(by_scrape, &state, bounds, &stopped);
                tokio::join!(by_socket, by_port, by_scrape);
            };
            runtime.block_on(serving);
            // A change that has begun is on a disk's thread or nearly so.
            runtime.shutdown_timeout(settings.grace);
        });
        Ok(Self {
            stop,
            thread: Some(thread.map_err(Problem::Thread)?),
            staff,
            traffic,
            web: address,
            metrics,
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

    /// Where the dashboard listens, if it does.
    pub fn web(&self) -> Option<SocketAddr> {
        self.web
    }

    /// Where metrics are told without signing in, if they are.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// What the API does, for who sends metrics elsewhere.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// The one-time code for the first administrator, while there is none. To be shown where only who
    /// runs the server sees it.
    pub fn setup_code(&self) -> Option<String> {
        self.staff.setup_code()
    }

    /// Takes no more requests, answers those that are inside, and removes the socket. Waits for
    /// that, at most twice the grace of the settings. Dropping does the same.
    pub fn stop(self) {}
}

/// A thread for each request that can be inside.
#[cfg(unix)]
fn blocking(requests: u16) -> usize {
    let by_doors = usize::from(requests).saturating_mul(2);
    by_doors.saturating_add(usize::from(STRANGERS.saturating_add(SCRAPES)))
}

#[cfg(unix)]
fn runtime(requests: u16) -> Result<tokio::runtime::Runtime, Problem> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().enable_time();
    builder.max_blocking_threads(blocking(requests));
    let built = builder.thread_name("admin-disk").build();
    built.map_err(Problem::Thread)
}

#[cfg(unix)]
fn by_socket(
    listener: std::os::unix::net::UnixListener,
    router: Router,
) -> Result<ControlEntrance, Problem> {
    let listener = tokio::net::UnixListener::from_std(listener).map_err(Problem::Thread)?;
    Ok(ControlEntrance { listener, router })
}

#[cfg(unix)]
fn by_port(
    listener: std::net::TcpListener,
    web: &web::Settings,
    staff: Arc<Staff>,
    router: Router,
) -> Result<WebEntrance, Problem> {
    Ok(WebEntrance {
        listener: tokio::net::TcpListener::from_std(listener).map_err(Problem::Thread)?,
        front: Arc::new(Front::new(web, staff, router)),
        tls: web.tls.clone().map(tokio_rustls::TlsAcceptor::from),
    })
}

#[cfg(unix)]
fn by_scrape(
    listener: std::net::TcpListener,
    hosts: &[String],
    state: &State,
) -> Result<ScrapeEntrance, Problem> {
    Ok(ScrapeEntrance {
        listener: tokio::net::TcpListener::from_std(listener).map_err(Problem::Thread)?,
        hosts: Arc::new(Hosts::new(hosts)),
        router: routes::scraped(state),
    })
}

/// Serves by one way in, if there is it.
#[cfg(unix)]
async fn served(
    entrance: Option<impl crate::http::serve::Entrance>,
    state: &State,
    bounds: Bounds,
    stopped: &watch::Receiver<()>,
) {
    if let Some(entrance) = entrance {
        serve(entrance, state.clone(), bounds, stopped.clone()).await;
    }
}

/// A port, and where it is.
#[cfg(unix)]
type Bound = (std::net::TcpListener, SocketAddr);

/// The port of the dashboard and that of metrics, as far as they are wanted.
#[cfg(unix)]
fn ports(settings: &Settings) -> Result<(Option<Bound>, Option<Bound>), Problem> {
    let web = settings.web.as_ref().map(|web| web.address);
    let web = web.map(|at| listen(at).map_err(|error| Problem::Web(at, error)));
    let metrics = settings.metrics;
    let metrics = metrics.map(|at| listen(at).map_err(|error| Problem::Metrics(at, error)));
    Ok((web.transpose()?, metrics.transpose()?))
}

#[cfg(unix)]
fn listen(at: SocketAddr) -> io::Result<Bound> {
    let listener = std::net::TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
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

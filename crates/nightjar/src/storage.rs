//! The store of a running server: what it promises, how it begins and how it ends.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use broker::{Control, DurabilityRules, Mail};
use config::Config;
use journal::disk::Folder;
use journal::engine::{Engine, OpenError, Options, Report};
use journal::server::{Change, Server, Settings, Stopped, View};
use net::Mailboxes;
use store::{NoStore, Recovered, Store};
use tracing::{error, info, warn};
use types::{ClientId, Durability, WorkerId};

use crate::trouble;

/// The folder in the data folder.
pub(crate) const FOLDER: &str = "store";

/// Why the store could not be opened.
#[derive(Debug)]
pub(crate) enum StorageError {
    /// The folder is of no use.
    Folder(PathBuf, journal::disk::FolderError),
    /// What lies in it is. The words name the store to the commands that are advised.
    Open(PathBuf, OpenError, String),
    /// The system gave no thread.
    System(io::Error),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => write!(f, "the store {}: {error}", path.display()),
            Self::Open(path, error, words) => {
                let command = "nightjar store verify";
                let advice = error.to_string();
                let advice = advice.replace(command, &format!("{command}{words}"));
                write!(f, "the store {}: {advice}", path.display())
            }
            Self::System(error) => write!(f, "the store cannot start: {error}"),
        }
    }
}

/// The store of a server, or none if nothing is to be stored.
pub(crate) struct Storage {
    running: Option<Running>,
}

struct Running {
    server: Server,
    mailboxes: Arc<OnceLock<Mailboxes<Mail>>>,
}

/// What holds for messages, by the configuration.
pub(crate) fn rules(config: &Config) -> DurabilityRules {
    let listeners = config.listeners.iter().map(|one| one.durability).collect();
    let topics = config
        .topics
        .iter()
        .map(|rule| (rule.prefix.as_str().into(), rule.durability))
        .collect();
    DurabilityRules::new(config.store.durability, listeners, topics)
}

impl Storage {
    /// Opens the store below the data folder and brings back what it holds. `words` name it on a
    /// command line, `start` is the start of the workers' clock: now.
    ///
    /// # Errors
    ///
    /// The store cannot be used, or is in use. An empty one never takes its place.
    pub(crate) fn open(
        config: &Config,
        data_dir: &Path,
        words: &str,
        start: Instant,
    ) -> Result<(Self, Recovered), StorageError> {
        if rules(config).strongest() == Durability::Memory {
            leave_alone(&data_dir.join(FOLDER));
            return Ok((Self { running: None }, Recovered::default()));
        }
        let path = data_dir.join(FOLDER);
        let folder =
            Folder::open(&path).map_err(|error| StorageError::Folder(path.clone(), error))?;
        if folder.tightened() > 0 {
            warn!(
                folder = &*path.to_string_lossy(),
                files = folder.tightened(),
                "other users had access to the store: taken away"
            );
        }
        let options = Options {
            log: journal::log::Options {
                segment_bytes: config.store.segment_bytes,
                ..journal::log::Options::default()
            },
            store_bytes: config.limits.store_bytes,
            ..Options::default()
        };
        let (engine, recovered, report) = Engine::open(Arc::new(folder), options, wall_millis())
            .map_err(|error| StorageError::Open(path.clone(), error, words.to_owned()))?;
        announce(&recovered, &report, start);
        let settings = Settings {
            sync_interval: config.store.sync_interval,
            backlog: u64::try_from(config.limits.store_backlog).unwrap_or(u64::MAX),
        };
        let mailboxes: Arc<OnceLock<Mailboxes<Mail>>> = Arc::default();
        let wake = {
            let mailboxes = Arc::clone(&mailboxes);
            move |worker: WorkerId| {
                let ready = Mail::Control(Control::StoreReady);
                // A worker that has ended waits for nothing.
                let _ended = mailboxes.wait().send(worker, ready);
            }
        };
        let tell = Box::new(move |change: &Change| trouble::log(change, &path));
        let server = Server::start(engine, settings, move || start.elapsed(), wake, tell)
            .map_err(StorageError::System)?;
        let running = Some(Running { server, mailboxes });
        Ok((Self { running }, recovered))
    }

    /// What a worker keeps in the store by.
    pub(crate) fn handle(&self, worker: WorkerId) -> Box<dyn Store> {
        match &self.running {
            Some(running) => Box::new(running.server.handle(worker)),
            None => Box::new(NoStore),
        }
    }

    /// The store's figures; none if nothing is stored.
    pub(crate) fn view(&self) -> Option<View> {
        self.running.as_ref().map(|running| running.server.view())
    }

    /// Tells the store where workers are woken. Until then it waits with that.
    pub(crate) fn join(&self, mailboxes: &Mailboxes<Mail>) {
        if let Some(running) = &self.running {
            // It is told once.
            let _first = running.mailboxes.set(mailboxes.clone());
        }
    }

    /// Brings everything to the disk. Whether that succeeded.
    pub(crate) fn close(self) -> bool {
        let Some(running) = self.running else {
            return true;
        };
        match running.server.stop() {
            Stopped::Clean => {
                info!("store closed: everything is on the disk");
                true
            }
            Stopped::Incomplete => {
                error!("store closed with something that did not reach the disk");
                false
            }
        }
    }
}

/// Says so if a store of an earlier run is there that this one has no use for.
fn leave_alone(folder: &Path) {
    if folder.is_dir() {
        warn!(
            folder = &*folder.to_string_lossy(),
            "there is a store, and nothing is stored now: it stays as it is, and what it holds is \
             not served; set store.durability to go on with it"
        );
    }
}

/// One line about what was found.
fn announce(recovered: &Recovered, report: &Report, start: Instant) {
    let seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    if report.dropped_bytes > 0 {
        warn!(
            bytes = report.dropped_bytes,
            "the store ended in the middle of a write, which was never acknowledged: cut off"
        );
    }
    if !report.losses.is_empty() {
        let clients: Vec<&str> = report.losses.clients.iter().map(ClientId::as_str).collect();
        error!(
            deliveries = report.losses.deliveries,
            retained = report.losses.retained.len(),
            clients = clients.join(" "),
            "messages are missing in the store"
        );
    }
    if report.anomalies > 0 {
        warn!(
            records = report.anomalies,
            "records of the store name what is not there"
        );
    }
    info!(
        sessions = recovered.sessions.len(),
        messages = report.messages,
        retained = recovered.retained.len(),
        bytes = report.bytes,
        dropped_bytes = report.dropped_bytes,
        seconds,
        "store recovered"
    );
}

/// The wall clock. Before 1970 it is wrong, and the store goes on from its own.
fn wall_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

//! What a start will do, and every reason why it cannot. `serve` and `check` go through the
//! same door, so that their verdicts are the same.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use config::{Config, ConfigErrors, Loaded, Places, Setting, Sources};
use mosquitto::Note;

use crate::account::{Account, AccountError};
use crate::cli::ServeArgs;
use crate::data_dir::{self, DataDirError};
use crate::origin::{self, Origin};
use crate::process;

/// A start that can be made.
#[derive(Debug)]
pub(crate) struct Plan {
    /// All that was said, and the defaults for the rest.
    pub(crate) config: Config,
    /// Where each value was set.
    pub(crate) places: Places,
    /// Where it was said; a reload reads it again.
    pub(crate) sources: Sources,
    /// What a file of Mosquitto means here.
    pub(crate) notes: Vec<Note>,
    /// Mosquitto's file defines no listener.
    pub(crate) is_local_only: bool,
    /// The server's name.
    pub(crate) node: String,
    /// The folder for what outlives a restart.
    pub(crate) data_dir: PathBuf,
    /// How many event loops.
    pub(crate) workers: u16,
}

/// Whether the plan is to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Make what is missing.
    Start,
    /// Leave everything as it is.
    Check,
}

/// Why there can be no start.
#[derive(Debug)]
pub(crate) enum PlanError {
    /// The configuration is wrong.
    Config(ConfigErrors),
    /// The data folder cannot be used.
    DataDir(DataDirError),
    /// The server cannot become the user that it should.
    Account(AccountError),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::DataDir(error) => error.fmt(f),
            Self::Account(error) => error.fmt(f),
        }
    }
}

impl Plan {
    /// Reads the configuration and looks at the machine.
    ///
    /// # Errors
    /// All errors of the configuration, or the data folder's.
    pub(crate) fn new(args: ServeArgs, intent: Intent) -> Result<Self, PlanError> {
        let sources = sources(args);
        let origin = origin::load(&sources).map_err(PlanError::Config)?;
        let Origin {
            loaded,
            notes,
            is_local_only,
        } = origin;
        let Loaded { config, places } = loaded;
        if intent == Intent::Start {
            leave_root(&config, &sources)?;
        }
        let data_dir = data_dir::prepare(config.data_dir.as_deref(), &sources.environment, intent)
            .map_err(PlanError::DataDir)?;
        let node = config.node.clone().unwrap_or_else(process::host_name);
        let workers = workers(config.workers);
        Ok(Self {
            config,
            places,
            sources,
            notes,
            is_local_only,
            node,
            data_dir,
            workers,
        })
    }
}

/// If this is root and the configuration names another user, becomes that one, to whom a data folder
/// that is new is given first. So a command makes no file there that the server could not read.
///
/// # Errors
/// There is no such user, the folder cannot be made, or the system refuses.
pub(crate) fn leave_root(config: &Config, sources: &Sources) -> Result<(), PlanError> {
    let account = Account::to_become(config.user.as_deref()).map_err(PlanError::Account)?;
    let Some(account) = account else {
        return Ok(());
    };
    let folder = data_dir::locate(config.data_dir.as_deref(), &sources.environment)
        .map_err(PlanError::DataDir)?;
    data_dir::make_for(&account, folder).map_err(PlanError::DataDir)?;
    account.enter().map_err(PlanError::Account)
}

/// Where a configuration comes from, with what the command line says.
pub(crate) fn sources(args: ServeArgs) -> Sources {
    let mut sources = Sources::of_process(args.config);
    let is_foreign = origin::foreign(&sources).is_some();
    for port in args.port {
        let (key, value) = match is_foreign {
            true => (origin::PORT, port.to_string()),
            false => ("listener", format!("127.0.0.1:{port}")),
        };
        sources.options.push(Setting {
            option: "--port",
            key,
            value,
        });
    }
    if args.verbose {
        sources.options.push(Setting {
            option: "--verbose",
            key: "log.level",
            value: "debug".into(),
        });
    }
    for address in args.listen {
        sources.options.push(Setting {
            option: "--listen",
            key: "listener",
            value: address,
        });
    }
    if let Some(folder) = args.data_dir {
        let value = folder.to_string_lossy().into_owned();
        sources.options.push(Setting {
            option: "--data-dir",
            key: "data_dir",
            value,
        });
    }
    if args.allow_anonymous {
        let value = "true".to_owned();
        sources.options.push(Setting {
            option: "--allow-anonymous",
            key: "allow_anonymous",
            value,
        });
    }
    sources
}

/// One for each core, unless the configuration says otherwise.
fn workers(configured: u16) -> u16 {
    if configured > 0 {
        return configured;
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u16::try_from(cores)
        .unwrap_or(MOST_WORKERS)
        .min(MOST_WORKERS)
}

/// As many as the configuration takes.
const MOST_WORKERS: u16 = 1024;

//! The configuration of a running server: shown, checked, replaced, and put back.
//!
//! **Never** without a way back: what is replaced is kept first, the file is replaced as a whole, and a
//! server that does not take the new one gets the old one again.

mod file;
mod versions;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use admin::server::configuration::{
    Applied, Checked, ConfigChange, ConfigProblem, ConfigValue, Configs, Text, Version,
};
use admin::{Failure, Record};
use config::{Config, ConfigError, ConfigErrors, Loaded, Place, Places, Sources};
use serde_json::{Value, json};
use tracing::error;

use super::tools::file_line;
use crate::foresight::{self, Obstacle};
use crate::origin;
use versions::Versions;

/// How long the main thread may be busy with something else.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a backup calls it.
const CONFIGURATION: &str = "configuration";

/// A word to the server's main thread: read the configuration again, and say how it went.
#[derive(Debug)]
pub(crate) struct Reread {
    answer: SyncSender<Result<(), String>>,
    /// Set by who is first: the thread that begins with it, or who asked and has given up.
    is_decided: Arc<AtomicBool>,
}

impl Reread {
    /// Does the work and says how it went, unless who asked has given up: the file may be the old one
    /// again by now, or be about to.
    pub(crate) fn answer(self, work: impl FnOnce() -> Result<(), String>) {
        if !self.is_decided.swap(true, Ordering::AcqRel) {
            // Who asked waits for this.
            drop(self.answer.try_send(work()));
        }
    }
}

/// The configuration of a running server.
pub(crate) struct Kept {
    sources: Sources,
    /// A file of another program that the configuration is in. It is for its owner to change.
    foreign: Option<PathBuf>,
    versions: Versions,
    now: RwLock<Arc<Now>>,
    patience: Duration,
    tags: RandomState,
    /// One change after the other.
    turn: Mutex<Box<dyn Fn(Reread) + Send>>,
}

/// What holds.
struct Now {
    config: Config,
    places: Places,
}

impl Kept {
    /// What a server began with. `reread` hands a word to the thread that takes configurations over.
    pub(crate) fn new(
        loaded: (Config, Places),
        mut sources: Sources,
        data_dir: &Path,
        reread: Box<dyn Fn(Reread) + Send>,
    ) -> Self {
        let foreign = origin::foreign(&sources).map(Path::to_owned);
        if foreign.is_some() {
            sources.file = None;
            sources.options.retain(|one| one.key != origin::PORT);
        }
        let (config, places) = loaded;
        Self {
            sources,
            foreign,
            versions: Versions::new(data_dir),
            now: RwLock::new(Arc::new(Now { config, places })),
            patience: PATIENCE,
            tags: RandomState::new(),
            turn: Mutex::new(reread),
        }
    }

    /// The configuration was taken over.
    pub(crate) fn taken_over(&self, config: &Config, places: Places) {
        let config = config.clone();
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        *now = Arc::new(Now { config, places });
    }

    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.sources.file.as_deref().or(self.foreign.as_deref())
    }

    /// A line of a backup: the file, or what a file of Mosquitto is here.
    pub(crate) fn backup(&self) -> Result<Option<Value>, Failure> {
        if self.foreign.is_some() {
            let text = self.now().config.to_short_toml();
            return Ok(Some(json!({ CONFIGURATION: { "text": text } })));
        }
        let file = self.sources.file.as_deref();
        file.map(|file| file_line(CONFIGURATION, file)).transpose()
    }

    fn now(&self) -> Arc<Now> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&now)
    }

    fn file(&self) -> Result<&Path, Failure> {
        if let Some(foreign) = &self.foreign {
            let words = format!(
                "the configuration is {}, a file of Mosquitto: change that and send SIGHUP, or begin \
                 with what `nightjar migrate` makes of it",
                foreign.display()
            );
            return Err(Failure::Invalid(words));
        }
        self.sources.file.as_deref().ok_or_else(|| {
            let words = "the server was started without a configuration file; start it with \
                         `nightjar serve --config FILE` to change its configuration here";
            Failure::Invalid(words.into())
        })
    }

    /// The text of the file.
    fn written(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.sources.file else {
            return Ok(None);
        };
        let read = std::fs::read_to_string(path);
        read.map(Some)
            .map_err(|error| Failure::Unavailable(format!("{}: {error}", path.display())))
    }

    fn name(&self) -> PathBuf {
        let usual = || PathBuf::from("nightjar.toml");
        self.sources.file.clone().unwrap_or_else(usual)
    }

    /// The text with its secrets, and what it says.
    fn understood(&self, toml: &str) -> Result<Result<(String, Loaded), ConfigErrors>, Failure> {
        let old = self.written()?.unwrap_or_default();
        Ok(config::unmasked(&self.name(), toml, &old).and_then(|text| {
            let loaded = Loaded::read_text(&self.sources, &text)?;
            Ok((text, loaded))
        }))
    }

    /// Checks, notes, keeps, writes, reads again.
    fn replace(
        &self,
        (toml, basis): (&str, Option<&str>),
        (by, note): (&str, &str),
        record: &Record,
    ) -> Result<Applied, Failure> {
        let path = self.file()?;
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.written()?.unwrap_or_default();
        if basis.is_some_and(|basis| !self.is_among(&old, basis)) {
            let words = "somebody has changed the configuration file since you read it; read it \
                         again, and make your change to that";
            return Err(Failure::Changed(words.into()));
        }
        let (text, loaded) = self.understood(toml)?.map_err(|errors| refusal(&errors))?;
        let obstacles = self.obstacles(&loaded.config);
        if let Some(first) = obstacles.first() {
            return Err(Failure::Invalid(format!("{}: {}", first.key, first.words)));
        }
        let changes = changes(&self.now(), &loaded);
        if text == old {
            let version = None;
            record.done(None, Some(&changes))?;
            self.take_over(&**turn)?;
            let etag = self.tag(&text);
            return Ok(Applied {
                changes,
                etag,
                version,
            });
        }
        let file = file::Target::of(path)?;
        record.done(None, Some(&changes))?;
        let version = self.versions.keep(&old, by, note)?;
        if let Err(failure) = file.write(&text) {
            self.versions.forget(version);
            return Err(failure);
        }
        if let Err(failure) = self.take_over(&**turn) {
            if let Err(worse) = file.write(&old) {
                error!(%worse, file = %path.display(), "the configuration before it is not back");
                let words = format!(
                    "{failure}; and the file is not as it was: {worse}. Version {version} is what \
                     it was"
                );
                return Err(Failure::Unavailable(words));
            }
            self.versions.forget(version);
            return Err(failure);
        }
        self.versions.prune();
        let version = Some(version);
        let etag = self.tag(&text);
        Ok(Applied {
            changes,
            etag,
            version,
        })
    }

    /// Stands for a text, and says nothing of what is in it: there are secrets, so it is drawn anew at
    /// each start.
    fn tag(&self, text: &str) -> String {
        format!("{:016x}", self.tags.hash_one(text))
    }

    fn is_among(&self, text: &str, basis: &str) -> bool {
        let tag = self.tag(text);
        let mut all = basis.split(',');
        all.any(|one| one.trim().trim_matches('"') == tag)
    }

    /// What the next start would stumble over.
    fn obstacles(&self, new: &Config) -> Vec<Obstacle> {
        foresight::obstacles(new, Some(&self.now().config), &self.sources.environment)
    }

    /// Has the server read its file again.
    fn take_over(&self, reread: &dyn Fn(Reread)) -> Result<(), Failure> {
        let (answer, answered) = sync_channel(1);
        let is_decided = Arc::new(AtomicBool::new(false));
        reread(Reread {
            answer,
            is_decided: Arc::clone(&is_decided),
        });
        let mut said = answered.recv_timeout(self.patience);
        if said == Err(RecvTimeoutError::Timeout) && is_decided.swap(true, Ordering::AcqRel) {
            // It is at it: only it knows how that ends.
            said = answered.recv().map_err(RecvTimeoutError::from);
        }
        match said {
            Ok(Ok(())) => Ok(()),
            Ok(Err(words)) => Err(Failure::Invalid(words)),
            Err(_) => Err(Failure::Unavailable(
                "the server is ending, or busy with another change".into(),
            )),
        }
    }
}

/// Puts an earlier configuration in the place of the file while no server runs, and keeps what was there.
/// Nothing is asked of a server, and nothing is in its audit log.
///
/// # Errors
/// There is no such version, it does not fit any more, or the disk refuses: the file is as it was.
pub(crate) fn roll_back_offline(path: &Path, data_dir: &Path, version: u64) -> Result<(), Failure> {
    let versions = Versions::new(data_dir);
    let text = versions.text(version)?;
    let sources = Sources::of_process(Some(path.to_owned()));
    Loaded::read_text(&sources, &text).map_err(|errors| refusal(&errors))?;
    let file = file::Target::of(path)?;
    let old = std::fs::read(path);
    let old = old.map_err(|error| Failure::Unavailable(format!("{}: {error}", path.display())))?;
    let note = format!("replaced by version {version} without a server");
    let kept = versions.keep(&String::from_utf8_lossy(&old), "the command line", &note)?;
    if let Err(failure) = file.write(&text) {
        versions.forget(kept);
        return Err(failure);
    }
    versions.prune();
    Ok(())
}

impl admin::server::Configuration for Kept {
    fn shown(&self, text: Text) -> Result<Configs, Failure> {
        let now = self.now();
        let told = now.config.told(&now.places).into_iter();
        let file = self.path();
        let found = self.written()?;
        let etag = found.as_ref().map(|text| self.tag(text));
        let written = found.filter(|_| text == Text::File);
        // What is broken may hide a secret where nobody looks for it.
        let sound = written.filter(|text| Loaded::read_text(&self.sources, text).is_ok());
        let masked = sound.and_then(|text| config::masked(&text));
        Ok(Configs {
            toml: masked.unwrap_or_else(|| now.config.to_toml()),
            file: file.map(|path| path.display().to_string()),
            etag,
            values: told
                .map(|one| ConfigValue {
                    source: source(&one.place, file),
                    key: one.key,
                    value: one.value,
                })
                .collect(),
        })
    }

    fn check(&self, toml: &str) -> Result<Checked, Failure> {
        Ok(match self.understood(toml)? {
            Ok((_, loaded)) => {
                let obstacles = self.obstacles(&loaded.config);
                Checked {
                    ok: obstacles.is_empty(),
                    problems: obstacles.into_iter().map(in_the_way).collect(),
                    changes: changes(&self.now(), &loaded),
                }
            }
            Err(errors) => Checked {
                ok: false,
                problems: errors.iter().map(|one| self.problem(one)).collect(),
                changes: Vec::new(),
            },
        })
    }

    fn apply(
        &self,
        toml: &str,
        basis: Option<&str>,
        by: &str,
        record: &Record,
    ) -> Result<Applied, Failure> {
        self.replace((toml, basis), (by, "replaced by another"), record)
    }

    fn versions(&self) -> Result<Vec<Version>, Failure> {
        self.versions.list()
    }

    fn rollback(&self, version: u64, by: &str, record: &Record) -> Result<Applied, Failure> {
        self.file()?;
        let text = self.versions.text(version)?;
        let note = format!("replaced by version {version}");
        self.replace((&text, None), (by, &note), record)
    }
}

impl Kept {
    fn problem(&self, error: &ConfigError) -> ConfigProblem {
        let parts = error.parts();
        let own = |path: &Path| path == self.name();
        let number = |number: usize| u64::try_from(number).ok();
        let (line, column, elsewhere) = match &error.place {
            Place::File { path, line, column } if own(path) => {
                (number(*line), number(*column), None)
            }
            Place::WholeFile(path) if own(path) => (None, None, None),
            other => (None, None, Some(other.to_string())),
        };
        ConfigProblem {
            line,
            column,
            key: parts.key.map(str::to_owned),
            message: match elsewhere {
                Some(place) => format!("{place}: {}", parts.message),
                None => parts.message.to_owned(),
            },
            hint: parts.hint.map(str::to_owned),
        }
    }
}

fn in_the_way(obstacle: Obstacle) -> ConfigProblem {
    ConfigProblem {
        line: None,
        column: None,
        key: Some(obstacle.key.into()),
        message: obstacle.words,
        hint: None,
    }
}

/// From where a value is, in a word.
fn source(place: &Place, file: Option<&Path>) -> String {
    match place {
        Place::File { path, line, .. } if file == Some(path) => format!("file:{line}"),
        Place::File { path, line, .. } => format!("file:{}:{line}", path.display()),
        Place::WholeFile(path) => format!("file:{}", path.display()),
        Place::Variable(name) => format!("env:{name}"),
        Place::Option(name) => format!("flag:{name}"),
        Place::Default => "default".into(),
    }
}

fn changes(now: &Now, new: &Loaded) -> Vec<ConfigChange> {
    let changes = now.config.changes_to(&now.places, &new.config, &new.places);
    let changes = changes.into_iter();
    changes
        .map(|one| ConfigChange {
            key: one.key,
            from: one.from,
            to: one.to,
            needs_restart: one.needs_restart,
        })
        .collect()
}

/// The first thing that is wrong, and how many more.
fn refusal(errors: &ConfigErrors) -> Failure {
    let first = errors.iter().next().map(ToString::to_string);
    let more = match errors.iter().count() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Failure::Invalid(format!("{}{more}", first.unwrap_or_default()))
}

#[cfg(test)]
mod tests;

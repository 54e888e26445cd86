//! The configuration: what holds and from where, what another would change, earlier ones.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Failure, Record, Stamp};

/// The configuration. All methods may wait for a disk.
pub trait Configuration: Send + Sync {
    /// What holds. With `Text::File` the text is the file's, comments included, without secrets; else,
    /// or if there is no file, what holds is written as a file.
    ///
    /// # Errors
    /// The file cannot be read.
    fn shown(&self, text: Text) -> Result<Configs, Failure>;

    /// What would become of this text.
    ///
    /// # Errors
    /// The file cannot be read; what is wrong with the text is an answer.
    fn check(&self, toml: &str) -> Result<Checked, Failure>;

    /// Puts this text in the place of the file's, keeps that, and reads it. `basis` is a list of
    /// [`Configs::etag`], separated by commas: the file has to be one of them.
    ///
    /// # Errors
    /// The file is not the basis, the text is wrong, there is no file, or it cannot be written: all then stays as it is.
    fn apply(
        &self,
        toml: &str,
        basis: Option<&str>,
        by: &str,
        record: &Record,
    ) -> Result<Applied, Failure>;

    /// Earlier ones, the newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn versions(&self) -> Result<Vec<Version>, Failure>;

    /// Puts an earlier one in force, as [`Configuration::apply`] does.
    ///
    /// # Errors
    /// There is no such version, and as [`Configuration::apply`].
    fn rollback(&self, version: u64, by: &str, record: &Record) -> Result<Applied, Failure>;
}

/// Which text of a configuration is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The file's: who may change it.
    File,
    /// What holds, as a file would say it: comments may say more than is meant for everybody.
    Rendered,
}

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Configs {
    /// The configuration as text; `***` or `…` stands for a secret. Administrators get the file's.
    pub toml: String,
    /// The file; absent if the server was started without one.
    pub file: Option<String>,
    /// Stands for the text of the file, as the header `ETag` does: who sends it back with another text
    /// (`If-Match`) overwrites nobody else's change. Absent without a file; another after a restart.
    pub etag: Option<String>,
    /// Every value that is set.
    pub values: Vec<ConfigValue>,
}

/// A value, and from where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigValue {
    /// Such as `limits.packet_size` or `listener[mqtt-1883].address`.
    pub key: String,
    /// As the file would write it; `***` stands for a secret.
    pub value: String,
    /// `default`, `file:LINE`, `env:NAME` or `flag:--OPTION`.
    pub source: String,
}

/// What would become of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    /// Whether it can be applied.
    pub ok: bool,
    /// All that is wrong.
    pub problems: Vec<ConfigProblem>,
    /// What it would change of what holds.
    pub changes: Vec<ConfigChange>,
}

/// Something that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigProblem {
    /// The line, from 1; absent if it is not in the text.
    pub line: Option<u64>,
    /// The character in the line, from 1.
    pub column: Option<u64>,
    /// The key, if it is about one.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// A value that becomes another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigChange {
    /// The key.
    pub key: String,
    /// What it is; empty if it is not set.
    pub from: String,
    /// What it becomes; empty if it is not set.
    pub to: String,
    /// Whether it acts at the next start only.
    pub needs_restart: bool,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// The values that are others now, or at the next start.
    pub changes: Vec<ConfigChange>,
    /// Stands for the text that the file has now.
    pub etag: String,
    /// The version that the configuration before it was kept as; absent if the text was the same.
    pub version: Option<u64>,
}

/// A configuration that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Its number: each new one has a higher one.
    pub version: u64,
    /// When it was replaced.
    pub at: Stamp,
    /// Who replaced it.
    pub by: String,
    /// By what.
    pub note: String,
}

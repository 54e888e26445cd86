//! What belongs to a Mosquitto: its configuration, read as Mosquitto reads it, as one of ours, and its
//! database, as it was written.
//!
//! **Never:** no file but those that the configuration names is read, and none is written; no
//! socket, no clock, no logging; nothing that it says is passed over: an option is honoured, or its
//! difference is told, or the start is refused.
//!
//! The way: [`read()`] takes the lines of the files and knows each option; [`translate()`] makes a
//! [`Config`](config::Config) of them and tells what is not the same ([`Note`]); [`render()`] writes
//! that as a `nightjar.toml`.
//!
//! | module | owns |
//! |---|---|
//! | `options` | the one table of options: where they stand, what they hold, what becomes of them |
//! | `read` | lines, `include_dir`, sections |
//! | `value` | values of a line, as Mosquitto takes them |
//! | `acl` | `acl_file` as rules |
//! | `gather` | what the lines say, listener by listener |
//! | `translate` | what that is here |
//! | `render` | the same as a file of ours |
//! | [`db`] | `mosquitto.db`: retained messages, sessions, queues |

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod acl;
pub mod db;
mod gather;
mod options;
mod read;
mod render;
mod translate;
mod value;

#[cfg(test)]
mod docs;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use config::{Config, ConfigErrors, Place, Places};

pub use read::{Read, read};
pub use render::render;
pub use translate::translate;

/// What a configuration of Mosquitto is here.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The configuration.
    pub config: Config,
    /// Where Mosquitto's files say it.
    pub places: Places,
    /// What is not the same, and what holds because nothing was said; in the order of the files,
    /// what stands nowhere last.
    pub notes: Vec<Note>,
    /// Whether no listener is defined, so that clients of this machine may connect without a name.
    /// A file that was cut off says this too: who reads it again must not believe it.
    pub is_local_only: bool,
}

/// Something that whoever moves from Mosquitto has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands; `None`: nothing is said, and this is the default.
    pub place: Option<Place>,
    /// How much it matters.
    pub weight: Weight,
    /// What it is, in one line.
    pub text: String,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is as with Mosquitto, or nobody will notice.
    Same,
    /// It is another thing here, and somebody may notice.
    Differs,
}

/// What a translation has to know of the machine.
pub struct Machine<'a> {
    /// The folder that relative paths begin in: Mosquitto looks for them where it was started.
    pub folder: &'a Path,
    /// Whether there is IPv6: a listener without an address is then for both.
    pub has_ipv6: bool,
    /// Whether root starts the server.
    pub is_root: bool,
    /// What the server keeps is here if nothing says where and root's own folder would be the place,
    /// which is closed to whom the server becomes.
    pub system_folder: Option<&'a Path>,
    /// Whether there is a user of this name.
    pub has_user: &'a dyn Fn(&str) -> bool,
    /// The addresses of a host's name.
    pub resolve: &'a dyn Fn(&str) -> std::io::Result<Vec<IpAddr>>,
}

impl Machine<'_> {
    /// The path, from the root on.
    pub(crate) fn absolute(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// What the command line of Mosquitto says beside its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-p`: ports in the place of 1883, while the file defines no listener.
    pub ports: Vec<u16>,
    /// `-v`: everything is logged.
    pub verbose: bool,
}

/// Reads a file of Mosquitto and translates it.
///
/// # Errors
/// All that is wrong, each with its place: a file that cannot be read, an option that Mosquitto does
/// not know, a value that it would not take, and options of security that cannot be honoured here.
pub fn load(
    file: Option<&Path>,
    options: &Options,
    machine: &Machine<'_>,
) -> Result<Translation, ConfigErrors> {
    let read = match file {
        Some(file) => read(file)?,
        None => Read::default(),
    };
    translate(&read, options, machine)
}

/// Whether a file is taken for one of Mosquitto: its name ends in `.conf`.
pub fn is_mosquitto(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "conf")
}

/// Whether a file, whatever its name, says something in the words of Mosquitto: its first line that
/// is no comment begins with an option of Mosquitto's, and no `=` is behind it.
pub fn speaks_mosquitto(file: &Path) -> bool {
    let Ok(text) = read::text(file, read::MAX_FILE) else {
        return false;
    };
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    first
        .and_then(|line| line.split_once(' '))
        .is_some_and(|(word, rest)| {
            options::find(word).is_some() && !rest.trim_start().starts_with('=')
        })
}

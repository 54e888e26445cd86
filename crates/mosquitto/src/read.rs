//! Lines of the files, each with its option and its section.
//!
//! A line is a comment only if `#` is its first character. The first word is the option, one or
//! more spaces stand before the value; there is no quoting. `include_dir` is read where it stands,
//! only from the main file. What is said before the first `listener` of a file is about the
//! listener on port 1883, as in Mosquitto 2.0.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use config::{ConfigError, ConfigErrors, Place};

use crate::options::{self, Known, Scope};

/// What the files say, in its order.
#[derive(Clone, Debug, Default)]
pub struct Read {
    pub(crate) lines: Vec<Line>,
    /// How many listeners there are, with the one on port 1883, which is the first.
    pub(crate) listeners: usize,
    /// How many bridges there are.
    pub(crate) bridges: usize,
}

/// A line that says something.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) option: &'static Known,
    /// The option as it is written: that of a plugin has an end of its own.
    pub(crate) name: String,
    /// What stands behind it, without spaces around.
    pub(crate) value: String,
    pub(crate) place: Place,
    /// The listener that it is below.
    pub(crate) listener: usize,
    /// It is below `port` or `bind_address`, which are below a `listener`: for Mosquitto 2.0 it is
    /// about that listener, for 2.1 about the one on port 1883.
    pub(crate) is_astray: bool,
    /// The bridge that it is below.
    pub(crate) bridge: Option<usize>,
}

/// Reads a file and those that it includes.
///
/// # Errors
/// All lines that Mosquitto would not take, or none but that a file cannot be read. A file above
/// 1 MiB is refused, and so are more than 1,000 files.
pub fn read(file: &Path) -> Result<Read, ConfigErrors> {
    let mut reader = Reader {
        read: Read {
            listeners: 1,
            ..Read::default()
        },
        errors: Vec::new(),
    };
    reader.file(file, Depth::Main);
    match ConfigErrors::of(reader.errors) {
        Some(errors) => Err(errors),
        None => Ok(reader.read),
    }
}

/// Reads a text as if it were a file that includes none.
///
/// # Errors
/// As [`read`].
#[cfg(test)]
pub(crate) fn read_text(text: &str) -> Result<Read, ConfigErrors> {
    let mut reader = Reader {
        read: Read {
            listeners: 1,
            ..Read::default()
        },
        errors: Vec::new(),
    };
    reader.lines(Path::new("mosquitto.conf"), text, Depth::Main);
    match ConfigErrors::of(reader.errors) {
        Some(errors) => Err(errors),
        None => Ok(reader.read),
    }
}

/// How deep a file is included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Main,
    Included,
}

struct Reader {
    read: Read,
    errors: Vec<ConfigError>,
}

impl Reader {
    fn file(&mut self, path: &Path, depth: Depth) {
        match text(path, MAX_FILE) {
            Ok(text) => self.lines(path, &text, depth),
            Err(error) => self.errors.push(error),
        }
    }

    fn lines(&mut self, path: &Path, text: &str, depth: Depth) {
        // Each file begins with the listener on port 1883, and with no bridge.
        let mut listener = 0;
        let mut is_astray = false;
        let mut bridge = None;
        for (number, line) in (1_usize..).zip(text.split('\n')) {
            let line = line.trim_end_matches('\r');
            let word = line.trim_start_matches(' ');
            if line.starts_with('#') || word.is_empty() {
                continue;
            }
            let (name, value) = word.split_once(' ').unwrap_or((word, ""));
            let place = Place::File {
                path: path.to_owned(),
                line: number,
                column: 1,
            };
            let Some(option) = options::find(name) else {
                self.wrong(place, options::unknown(name));
                continue;
            };
            match name {
                "include_dir" => {
                    self.include(value.trim(), &place, depth);
                    continue;
                }
                "listener" => {
                    listener = self.read.listeners;
                    is_astray = false;
                    self.read.listeners = self.read.listeners.saturating_add(1);
                }
                "port" | "bind_address" => {
                    is_astray |= listener != 0;
                    listener = 0;
                }
                "connection" => {
                    bridge = Some(self.read.bridges);
                    self.read.bridges = self.read.bridges.saturating_add(1);
                }
                _ => {}
            }
            if option.scope == Scope::Bridge && bridge.is_none() {
                self.wrong(place, format!("{name}: there is no connection above it"));
                continue;
            }
            self.read.lines.push(Line {
                option,
                name: name.to_owned(),
                value: value.trim_matches([' ', '\t']).to_owned(),
                place,
                listener,
                is_astray,
                bridge,
            });
        }
    }

    fn include(&mut self, folder: &str, place: &Place, depth: Depth) {
        if depth == Depth::Included {
            let message = "include_dir: only the main file may include others";
            return self.wrong(place.clone(), message);
        }
        if folder.is_empty() {
            return self.wrong(place.clone(), "include_dir: the value is missing");
        }
        match included(Path::new(folder)) {
            Ok(files) => {
                for file in files {
                    self.file(&file, Depth::Included);
                }
            }
            Err(error) => {
                self.wrong(place.clone(), format!("include_dir: {folder}: {error}"));
            }
        }
    }

    fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.errors.push(ConfigError {
            place,
            message: message.into(),
        });
    }
}

/// The files of a folder, in their order: by letters whatever their case, then capitals first.
fn included(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let is_one = Path::new(&name).extension() == Some(OsStr::new("conf"));
        if is_one {
            files.push(name);
        }
        if files.len() > MOST_FILES {
            return Err(format!("there are more than {MOST_FILES} files in it"));
        }
    }
    files.sort_by_cached_key(|name| {
        let bytes = name.as_encoded_bytes().to_vec();
        (bytes.to_ascii_uppercase(), bytes)
    });
    Ok(files.into_iter().map(|name| folder.join(name)).collect())
}

/// The text of a file that is no longer than `most` bytes. In comments any byte may stand.
pub(crate) fn text(path: &Path, most: u64) -> Result<String, ConfigError> {
    let whole = |message: String| ConfigError {
        place: Place::WholeFile(path.to_owned()),
        message,
    };
    let unread = |error: std::io::Error| whole(format!("cannot be read: {error}"));
    let found = fs::metadata(path).map_err(unread)?;
    if found.is_dir() {
        return Err(whole("is a folder, not a file".into()));
    }
    if found.len() > most {
        let size = found.len();
        return Err(whole(format!(
            "is too long: {size} bytes, more than {most}"
        )));
    }
    let bytes = fs::read(path).map_err(unread)?;
    let mut text = String::with_capacity(bytes.len());
    for (number, line) in (1_usize..).zip(bytes.split(|byte| *byte == b'\n')) {
        if number > 1 {
            text.push('\n');
        }
        let wrong = |message: &str| ConfigError {
            place: Place::File {
                path: path.to_owned(),
                line: number,
                column: 1,
            },
            message: message.into(),
        };
        match std::str::from_utf8(line) {
            Ok(line) if line.contains('\0') => {
                return Err(wrong("is no text: it has a byte 0 in it"));
            }
            Ok(line) => text.push_str(line),
            // What it says does not matter, that it is a line does.
            Err(_) if line.starts_with(b"#") => text.push('#'),
            Err(_) => return Err(wrong("is not text in UTF-8")),
        }
    }
    Ok(text)
}

/// In bytes.
pub(crate) const MAX_FILE: u64 = 1 << 20;
const MOST_FILES: usize = 1000;

//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file; line and column count from 1, columns in characters.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The file as a whole: it could not be read.
    WholeFile(PathBuf),
    /// An environment variable.
    Variable(String),
    /// An option of the command line, such as `--listen`.
    Option(&'static str),
    /// A default that does not fit what was set elsewhere.
    Default,
}

impl Place {
    /// File and line, such as `access.toml:12`, where both are known.
    pub(crate) fn short(&self) -> String {
        match self {
            Self::File { path, line, .. } => {
                let file = path.file_name().unwrap_or(path.as_os_str());
                format!("{}:{line}", file.to_string_lossy())
            }
            place => place.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::WholeFile(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "variable {}", name.escape_debug()),
            Self::Option(name) => write!(f, "option {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong. It shows as one line: place, then what is wrong and what to write
/// instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// An error for a table: what it is about, what is wrong, what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The key, if the message begins with one.
    pub key: Option<&'a str>,
    /// What is wrong.
    pub message: &'a str,
    /// What to write instead, if the message says it.
    pub hint: Option<&'a str>,
}

impl ConfigError {
    /// The message in its parts: `key: what is wrong; what to write`.
    pub fn parts(&self) -> Parts<'_> {
        let is_key = |text: &&str| {
            let fits =
                |letter: char| letter.is_ascii_lowercase() || "._0123456789".contains(letter);
            !text.is_empty() && text.chars().all(fits)
        };
        let split = self.message.split_once(": ");
        let split = split.filter(|(key, _)| is_key(key));
        let (key, rest) = match split {
            Some((key, rest)) => (Some(key), rest),
            None => (None, &*self.message),
        };
        match rest.rsplit_once("; ") {
            Some((message, hint)) => Parts {
                key,
                message,
                hint: Some(hint),
            },
            None => Parts {
                key,
                message: rest,
                hint: None,
            },
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ConfigError {}

/// All that is wrong with a configuration, in the order of places; at least one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// All of these, in the order of places; `None` if there is none.
    pub fn of(errors: Vec<ConfigError>) -> Option<Self> {
        Self::none_of(errors).err()
    }

    /// `Ok` if there is none.
    pub(crate) fn none_of(mut errors: Vec<ConfigError>) -> Result<(), Self> {
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by(|a, b| a.place.cmp(&b.place));
        Err(Self(errors))
    }

    pub(crate) fn one(error: ConfigError) -> Self {
        Self(vec![error])
    }

    pub(crate) fn into_vec(self) -> Vec<ConfigError> {
        self.0
    }

    /// The errors, at least one.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self::one(error)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

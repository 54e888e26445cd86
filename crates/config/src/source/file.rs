//! Text, and where something stands in it.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use crate::error::Place;

/// The text that spans point into.
pub(crate) struct File<'a> {
    path: &'a Path,
    text: &'a str,
    /// Where each line starts: thousands of rules are looked up in it.
    lines: Vec<usize>,
}

impl<'a> File<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        let lines = std::iter::once(0).chain(breaks).collect();
        Self { path, text, lines }
    }

    pub(crate) fn place(&self, span: Range<usize>) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.start);
        let start = self
            .lines
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let in_line = self.text.get(start..span.start).unwrap_or_default();
        Place::File {
            path: self.path.to_owned(),
            line,
            column: in_line.chars().count().saturating_add(1),
        }
    }
}

/// Where the value of the line at `at` begins, and its key, if it looks like text without quotes: a value
/// that is nothing else of TOML. What it is is not told: it may be a secret.
pub(super) fn unquoted(text: &str, at: usize) -> Option<(usize, &str)> {
    let (before, behind) = text.split_at_checked(at)?;
    let begin = before.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let end = behind
        .find('\n')
        .map_or(text.len(), |end| at.saturating_add(end));
    let line = text.get(begin..end)?;
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let looks_like_text = |first: char| {
        first.is_alphanumeric()
            || matches!(first, '/' | '.' | '~' | '#' | '+' | '-' | '$' | '*' | ':')
    };
    let trimmed = value.trim_start();
    let is_text = trimmed.starts_with(looks_like_text) && !trimmed.starts_with('#');
    let is_key = !key.is_empty() && key.bytes().all(bare);
    if !is_key || !is_text || DeTable::parse(line).is_ok() {
        return None;
    }
    let gap = line.len().checked_sub(trimmed.len())?;
    Some((begin.checked_add(gap)?, key))
}

/// Reads a regular file that is no longer than `most` bytes. What its size says is not believed: a
/// device has none, and a file may grow. A pipe is not waited for (S97).
pub(super) fn read_file(path: &Path, most: u64) -> Result<String, String> {
    let unread = |error: io::Error| format!("cannot be read: {error}");
    let mut options = fs::File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(unread)?;
    if !file.metadata().map_err(unread)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unread)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        return String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned());
    }
    Err(format!(
        "is no configuration: it has more than {most} bytes"
    ))
}

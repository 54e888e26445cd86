//! Text, and where something stands in it.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

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

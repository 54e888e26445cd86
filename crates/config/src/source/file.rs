//! Text, and where something stands in it.

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

/// Reads a file that is no longer than `most` bytes.
pub(super) fn read_file(path: &Path, most: u64) -> Result<String, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if size > most {
        return Err(format!(
            "is no configuration: it has {size} bytes, more than {most}"
        ));
    }
    std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => "is not text in UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    })
}

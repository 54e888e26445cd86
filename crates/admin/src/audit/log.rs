//! The files of the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::Settings;
use super::backwards::Backwards;

/// The files.
#[derive(Debug)]
pub(super) struct Log {
    settings: Settings,
    file: File,
    /// Bytes and lines of the newest file.
    bytes: u64,
    lines: u64,
    /// The newest file ends in a part of a line.
    torn: bool,
    /// Lines of `FILE.1`, `FILE.2` and so on.
    older: Vec<u64>,
}

/// A file as it was at one moment, to be read while others write.
#[derive(Debug)]
pub(super) struct Sheet {
    file: File,
    bytes: u64,
    /// How many lines it has.
    pub(super) lines: u64,
}

impl Sheet {
    /// Its lines from the last on.
    pub(super) fn backwards(self) -> Backwards {
        Backwards::new(self.file, self.bytes)
    }
}

impl Log {
    pub(super) fn open(settings: Settings) -> io::Result<Self> {
        let file = open(&settings.file)?;
        let counted = count(&settings.file)?;
        let mut older = Vec::new();
        for number in 1..=settings.keep {
            match count(&numbered(&settings.file, number)) {
                Ok(counted) => older.push(counted.lines()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            settings,
            file,
            bytes: counted.bytes,
            lines: counted.lines(),
            torn: counted.torn,
            older,
        })
    }

    /// Adds a line, which brings its own end, and waits until the disk has it.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.settings.size {
            self.rotate()?;
        }
        let start = self.file.metadata()?.len();
        let written = self.add(line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What is there of it must not become the beginning of another line.
            if self.file.set_len(start).is_err() && !self.torn {
                self.torn = true;
                self.lines = self.lines.saturating_add(1);
            }
            return Err(error);
        }
        self.bytes = start
            .saturating_add(length)
            .saturating_add(u64::from(self.torn));
        self.torn = false;
        self.lines = self.lines.saturating_add(1);
        Ok(())
    }

    /// The files from the newest on.
    pub(super) fn sheets(&self) -> io::Result<Vec<Sheet>> {
        let mut sheets = vec![Sheet {
            file: File::open(&self.settings.file)?,
            bytes: self.bytes,
            lines: self.lines,
        }];
        for (number, &lines) in (1..).zip(&self.older) {
            let file = File::open(numbered(&self.settings.file, number))?;
            let bytes = file.metadata()?.len();
            sheets.push(Sheet { file, bytes, lines });
        }
        Ok(sheets)
    }

    fn add(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
        }
        self.file.write_all(line)
    }

    /// Begins a new file. If a step fails, it is done again before the next line.
    fn rotate(&mut self) -> io::Result<()> {
        let newest = &self.settings.file;
        let next = sibling(newest, "new");
        remove(&next)?;
        let file = open(&next)?;
        if self.settings.keep > 0 {
            remove(&numbered(newest, self.settings.keep))?;
            for number in (1..self.settings.keep).rev() {
                let to = numbered(newest, number.saturating_add(1));
                rename(&numbered(newest, number), &to)?;
            }
            rename(newest, &numbered(newest, 1))?;
        }
        fs::rename(&next, newest)?;
        sync_folder(newest)?;
        self.older.insert(0, self.lines);
        self.older
            .truncate(usize::try_from(self.settings.keep).unwrap_or(usize::MAX));
        (self.file, self.bytes, self.lines, self.torn) = (file, 0, 0, false);
        Ok(())
    }
}

/// What a file has.
struct Counted {
    bytes: u64,
    ends: u64,
    torn: bool,
}

impl Counted {
    /// Its lines, a last one without an end included.
    fn lines(&self) -> u64 {
        self.ends.saturating_add(u64::from(self.torn))
    }
}

fn count(path: &Path) -> io::Result<Counted> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut counted = Counted {
        bytes: 0,
        ends: 0,
        torn: false,
    };
    loop {
        let read = file.read(&mut buffer)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok(counted);
        };
        let ends = piece.iter().filter(|&&byte| byte == b'\n').count();
        counted.bytes = counted
            .bytes
            .saturating_add(u64::try_from(read).unwrap_or(0));
        counted.ends = counted
            .ends
            .saturating_add(u64::try_from(ends).unwrap_or(0));
        counted.torn = piece.last() != Some(&b'\n');
    }
}

/// Opens for adding; nobody else may read it (S99).
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        let file = options.open(path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

fn numbered(newest: &Path, number: u32) -> PathBuf {
    sibling(newest, &number.to_string())
}

fn sibling(newest: &Path, ending: &str) -> PathBuf {
    let mut name = newest.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    absent_is_fine(fs::rename(from, to))
}

fn remove(path: &Path) -> io::Result<()> {
    absent_is_fine(fs::remove_file(path))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

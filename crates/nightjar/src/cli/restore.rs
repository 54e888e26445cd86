//! `nightjar restore`: begins a data folder with what `nightjar backup` saved.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use config::{Setting, Sources};
use providers::access::{Access, AccessError, Row};
use serde_json::Value;

use super::store;
use crate::data_dir;
use crate::doors::live::FILE as ACCESS;
use crate::steer::tools::{ADMINISTRATORS, FORM};
use crate::{origin, plan};

/// Begin a data folder with what `nightjar backup` saved
///
/// The folder has to be named, by --data-dir or by a configuration file that names it. The server must not run, and nothing of what is restored may be there yet: neither users nor
/// administrators nor messages. The configuration is put beside them as restored.toml, to be looked at
/// and moved to its place. A file of `nightjar store export` is for `nightjar store import`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// Configuration file that names the data folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder to begin
    #[arg(short, long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// The configuration of a backup, in the data folder.
const CONFIGURATION: &str = "restored.toml";
/// A message of the largest packet fits in twice.
const LONGEST_LINE: u64 = 1 << 30;

/// Does what `nightjar restore` is asked for.
pub(crate) fn run(args: &RestoreArgs) -> ExitCode {
    match restore(args) {
        Ok(words) => {
            print!("{words}");
            ExitCode::SUCCESS
        }
        Err(words) => {
            eprintln!("{words}");
            ExitCode::FAILURE
        }
    }
}

fn restore(args: &RestoreArgs) -> Result<String, String> {
    whole(&args.file)?;
    let folder = folder(args)?;
    let refused = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let places = [ACCESS, ADMINISTRATORS, CONFIGURATION].map(|name| folder.join(name));
    if let Some(there) = places.iter().find(|path| path.exists()) {
        return Err(format!(
            "{} is there already; restore into another data folder, or move this one away",
            there.display()
        ));
    }
    data_dir::create(&folder).map_err(|error| refused(&folder, error))?;
    let done = parts(args, &folder);
    if done.is_err() {
        // All that was not there before goes again; what was never made is not there to go.
        places.iter().for_each(|path| drop(fs::remove_file(path)));
    }
    done
}

fn parts(args: &RestoreArgs, folder: &Path) -> Result<String, String> {
    let mut words = String::new();
    for (kind, name) in [
        ("configuration", CONFIGURATION),
        ("administrators", ADMINISTRATORS),
    ] {
        let mut texts = Lines::open(&args.file)?.filter_map(|line| match line {
            Ok(line) => {
                let text = line.get(kind)?.get("text")?.as_str()?.to_owned();
                Some(Ok(text))
            }
            Err(error) => Some(Err(error)),
        });
        if let Some(text) = texts.next().transpose()? {
            let path = folder.join(name);
            own_file(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
            words.push_str(&format!("{kind}: {}\n", path.display()));
            if name == CONFIGURATION {
                words.push_str(&moved(folder, &path, &text));
            }
        }
    }
    let (mut failed, mut count) = (None, 0_u64);
    let mut rows = Lines::open(&args.file)?.filter_map(|line| match line {
        Ok(line) => row(&line).inspect(|_| count += 1).map(Ok),
        Err(error) => {
            failed = Some(error.clone());
            Some(Err(AccessError::Invalid(error)))
        }
    });
    let restored = Access::restore(&folder.join(ACCESS), &mut rows);
    restored.map_err(|error| failed.unwrap_or_else(|| error.to_string()))?;
    words.push_str(&format!("users, groups, roles, bans: {count} records\n"));
    let lines = Stored::open(&args.file)?;
    if lines.has_any {
        let data_dir = Some(folder.to_owned());
        let mut lines = BufReader::new(lines);
        let counts = store::refill(args.config.clone(), data_dir, &mut lines)?;
        words.push_str(&format!("store: {counts}\n"));
    }
    Ok(words)
}

/// What to look at before the configuration of a backup is moved to its place: it may name the folder of
/// the server that was saved, or what this machine has not.
fn moved(folder: &Path, path: &Path, text: &str) -> String {
    let mut sources = Sources::of_process(Some(path.to_owned()));
    // Only what the file says counts here.
    let is_setting = |name: &str| name.starts_with("NIGHTJAR__");
    sources.environment.retain(|(name, _)| !is_setting(name));
    let (shown, into) = (path.display(), folder.display());
    let config = match config::Loaded::read_text(&sources, text) {
        Ok(loaded) => loaded.config,
        Err(errors) => {
            let errors = errors.to_string();
            return format!(
                "{shown} is not right on this machine:\n{}\n",
                errors.trim_end()
            );
        }
    };
    match config.data_dir {
        Some(named) if named == folder => String::new(),
        Some(named) => format!(
            "{shown} names the data folder {}; you restored into {into}: change data_dir before \
             you move the file to its place\n",
            named.display()
        ),
        None => format!(
            "{shown} names no data folder; you restored into {into}: start with --data-dir, or \
             write data_dir into the file\n"
        ),
    }
}

fn folder(args: &RestoreArgs) -> Result<PathBuf, String> {
    let mut sources = Sources::of_process(args.config.clone());
    if let Some(folder) = &args.data_dir {
        sources.options.push(Setting {
            option: "--data-dir",
            key: "data_dir",
            value: folder.to_string_lossy().into_owned(),
        });
    }
    let origin = origin::load(&sources).map_err(|errors| errors.to_string())?;
    let config = origin.loaded.config;
    if config.data_dir.is_none() {
        return Err(
            "say into which data folder: --data-dir FOLDER, or --config FILE if the file \
                    names one"
                .to_owned(),
        );
    }
    plan::leave_root(&config, &sources).map_err(|error| error.to_string())?;
    let folder = data_dir::locate(config.data_dir.as_deref(), &sources.environment);
    folder.map_err(|error| error.to_string())
}

fn row(line: &Value) -> Option<Row> {
    let [table, key, record] = line.get("access")?.as_array()?.as_slice() else {
        return None;
    };
    Some(Row {
        table: table.as_str()?.to_owned(),
        key: key.as_str()?.to_owned(),
        record: record.clone(),
    })
}

fn own_file(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Looks whether a backup is whole; how many lines it has.
///
/// # Errors
/// It is none, of a form that this version does not know, or not whole.
pub(crate) fn whole(path: &Path) -> Result<u64, String> {
    let said = |words: &str| Err(format!("{}: {words}", path.display()));
    let mut texts = Texts::open(path)?;
    let first = texts.next()?.unwrap_or_default();
    let first: Value = serde_json::from_str(&first).unwrap_or_default();
    match first
        .pointer("/nightjar_backup/form")
        .and_then(Value::as_u64)
    {
        Some(FORM) => {}
        Some(_) => return said("a backup of a newer version; restore it with that"),
        None => return said("no backup of `nightjar backup`"),
    }
    let (mut lines, mut last) = (1_u64, String::new());
    while let Some(text) = texts.next()? {
        lines += 1;
        last = text;
    }
    let last: Value = serde_json::from_str(&last).unwrap_or_default();
    let wanted = last.pointer("/end/lines").and_then(Value::as_u64);
    match wanted.is_some_and(|wanted| wanted.checked_add(1) == Some(lines)) {
        true => Ok(lines),
        false => said("this backup is not whole: it was cut off, or something in it is missing"),
    }
}

/// The lines of a backup as text.
struct Texts {
    file: BufReader<File>,
    path: PathBuf,
}

impl Texts {
    fn open(path: &Path) -> Result<Self, String> {
        let opened = File::open(path);
        let file = opened.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Self {
            file: BufReader::new(file),
            path: path.to_owned(),
        })
    }

    fn next(&mut self) -> Result<Option<String>, String> {
        let mut text = String::new();
        let mut limited = (&mut self.file).take(LONGEST_LINE);
        match limited.read_line(&mut text) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(text)),
            Err(error) => Err(format!("cannot read {}: {error}", self.path.display())),
        }
    }
}

/// The lines of a backup but those of the store, which are many.
struct Lines(Texts);

impl Lines {
    fn open(path: &Path) -> Result<Self, String> {
        Texts::open(path).map(Self)
    }
}

/// What each line of the store begins with.
const STORED: &str = "{\"store\":";

impl Iterator for Lines {
    type Item = Result<Value, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next() {
                Ok(Some(text)) if text.starts_with(STORED) => {}
                Ok(Some(text)) => {
                    let line = serde_json::from_str(&text);
                    return Some(line.map_err(|error| {
                        format!("{}: a line is no JSON: {error}", self.0.path.display())
                    }));
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The lines of the store, as `nightjar store export` writes them.
struct Stored {
    texts: Texts,
    line: Vec<u8>,
    at: usize,
    has_any: bool,
}

impl Stored {
    fn open(path: &Path) -> Result<Self, String> {
        let mut stored = Self {
            texts: Texts::open(path)?,
            line: Vec::new(),
            at: 0,
            has_any: false,
        };
        stored.has_any = stored.advance()?;
        Ok(stored)
    }

    /// Takes the next line; false if there is none.
    fn advance(&mut self) -> Result<bool, String> {
        while let Some(text) = self.texts.next()? {
            let inner = text.trim_end().strip_prefix(STORED);
            if let Some(inner) = inner.and_then(|rest| rest.strip_suffix('}')) {
                self.line = format!("{inner}\n").into_bytes();
                self.at = 0;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.line.len() && !self.advance().map_err(io::Error::other)? {
            return Ok(0);
        }
        let rest = self.line.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = folder.path().join("backup");
        fs::write(&path, text).unwrap();
        path
    }

    const HEAD: &str = "{\"nightjar_backup\":{\"form\":1}}\n";

    #[test]
    fn what_is_cut_off_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let good = format!("{HEAD}{{\"store\":{{\"a\":1}}}}\n{{\"end\":{{\"lines\":2}}}}\n");
        assert_eq!(whole(&file(&folder, &good)), Ok(3));
        let cut = good.rsplit_once("{\"end").unwrap().0;
        assert!(
            whole(&file(&folder, cut))
                .unwrap_err()
                .contains("not whole")
        );
        let gap = format!("{HEAD}{{\"end\":{{\"lines\":2}}}}\n");
        assert!(
            whole(&file(&folder, &gap))
                .unwrap_err()
                .contains("not whole")
        );
        let newer = HEAD.replace('1', "2");
        assert!(whole(&file(&folder, &newer)).unwrap_err().contains("newer"));
        assert!(
            whole(&file(&folder, "x\n"))
                .unwrap_err()
                .contains("no backup")
        );
    }

    #[test]
    fn another_folder_in_the_configuration_is_said() {
        let folder = Path::new("/var/lib/new");
        let path = folder.join(CONFIGURATION);
        let said = |text: &str| moved(folder, &path, text);
        assert_eq!(said("data_dir = \"/var/lib/new\"\n"), "");
        let old = said("data_dir = \"/var/lib/old\"\n");
        assert!(
            old.contains("/var/lib/old") && old.contains("/var/lib/new"),
            "{old}"
        );
        assert!(said("").contains("names no data folder"));
        assert!(said("workers = \"x\"\n").contains("not right on this machine"));
    }

    #[test]
    fn lines_of_the_store_are_as_they_were_exported() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "{HEAD}{{\"store\":{{\"a\":{{}}}}}}\n{{\"access\":[\"t\",\"k\",1]}}\n{{\"store\":[2]}}\n"
        );
        let path = file(&folder, &text);
        let mut lines = String::new();
        Stored::open(&path)
            .unwrap()
            .read_to_string(&mut lines)
            .unwrap();
        assert_eq!(lines, "{\"a\":{}}\n[2]\n");
        let rows: Vec<Row> = Lines::open(&path)
            .unwrap()
            .filter_map(|line| row(&line.unwrap()))
            .collect();
        assert!(rows.len() == 1 && rows[0].key == "k");
    }
}

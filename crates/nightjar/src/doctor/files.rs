//! Files: whether they are there, can be read, and by whom else.

use std::fs;
use std::path::Path;

use super::Patient;
use super::report::{Finding, Report};
use crate::data_dir;
use crate::plan::Intent;

const AREA: &str = "files";

/// Files of the data folder that only its owner may read.
const SECRETS: &[&str] = &[
    "administrators.json",
    "setup-code",
    "access.redb",
    "audit.jsonl",
    "store",
    "acme",
    "configurations",
];

pub(super) fn look(patient: &Patient, report: &mut Report) {
    if let Some(file) = &patient.sources.file {
        configuration(patient, file, report);
    }
    for file in patient.config.files() {
        match fs::File::open(&file.path) {
            Err(error) => report.add(Finding::problem(
                AREA,
                format!("{}: {}: {error}", file.key, file.path.display()),
                "name a file that is there and that the server's user may read",
            )),
            Ok(_) if file.is_secret => report.add(secret(&file.key, &file.path)),
            Ok(_) => report.add(Finding::good(
                AREA,
                format!("{}: {} can be read", file.key, file.path.display()),
            )),
        }
    }
    if let Some(folder) = &patient.data_dir {
        data(patient, folder, report);
    }
}

/// The configuration file matters if there are secrets in it.
fn configuration(patient: &Patient, file: &Path, report: &mut Report) {
    let has_secrets = patient.config.to_toml().contains('…');
    let Some(mode) = others(file) else {
        return;
    };
    if has_secrets && mode & 0o077 != 0 {
        report.add(Finding::warning(
            AREA,
            format!(
                "{} has passwords in it, and others than its owner may read it (mode {mode:04o})",
                file.display()
            ),
            format!(
                "chmod 600 {}, or name files with the passwords",
                file.display()
            ),
        ));
    } else if mode & 0o022 != 0 {
        report.add(Finding::warning(
            AREA,
            format!(
                "others than its owner may write to {} (mode {mode:04o})",
                file.display()
            ),
            format!("chmod go-w {}", file.display()),
        ));
    }
}

fn secret(key: &str, path: &Path) -> Finding {
    match others(path) {
        Some(mode) if mode & 0o077 != 0 => Finding::warning(
            AREA,
            format!(
                "{key}: others than its owner have access to {} (mode {mode:04o})",
                path.display()
            ),
            format!("chmod 600 {}", path.display()),
        ),
        _ => Finding::good(AREA, format!("{key}: {} is its owner's", path.display())),
    }
}

fn data(patient: &Patient, folder: &Path, report: &mut Report) {
    let shown = folder.display();
    let configured = patient.config.data_dir.as_deref();
    let usable = data_dir::prepare(configured, &patient.sources.environment, Intent::Check);
    report.add(match usable {
        Ok(_) if folder.is_dir() => {
            Finding::good(AREA, format!("the data folder {shown} can be written to"))
        }
        Ok(_) => Finding::good(
            AREA,
            format!("the data folder {shown} would be made at the start"),
        ),
        Err(error) => Finding::problem(
            AREA,
            error.to_string(),
            "give the folder to the server's user, or name another",
        ),
    });
    if others(folder).is_some_and(|mode| mode & 0o077 != 0) {
        report.add(Finding::warning(
            AREA,
            format!("others than its owner may look into the data folder {shown}"),
            format!("chmod 700 {shown}"),
        ));
        // Behind a closed door it does not matter.
        let inside = SECRETS.iter().map(|name| folder.join(name));
        for path in inside.filter(|path| path.symlink_metadata().is_ok()) {
            if others(&path).is_some_and(|mode| mode & 0o077 != 0) {
                report.add(secret("the data folder", &path));
            }
        }
    }
    owner(folder, report);
}

/// A store whose files belong to somebody else cannot be opened by who does not own the folder.
#[cfg(unix)]
fn owner(folder: &Path, report: &mut Report) {
    use std::os::unix::fs::MetadataExt;
    let (Ok(own), Ok(entries)) = (folder.metadata(), fs::read_dir(folder)) else {
        return;
    };
    let strange = entries.flatten().find(|entry| {
        let found = entry.metadata();
        found.is_ok_and(|found| found.uid() != own.uid())
    });
    if let Some(entry) = strange {
        report.add(Finding::warning(
            AREA,
            format!(
                "{} belongs to another user than the data folder",
                entry.path().display()
            ),
            format!("chown -R {}:{} {}", own.uid(), own.gid(), folder.display()),
        ));
    }
}

#[cfg(not(unix))]
fn owner(_: &Path, _: &mut Report) {}

/// The permissions of a file, where there are any.
fn others(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Some(path.metadata().ok()?.permissions().mode() & 0o7777)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

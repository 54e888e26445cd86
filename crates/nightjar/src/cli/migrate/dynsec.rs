//! `nightjar migrate --from-dynsec`: the file of Mosquitto's plugin becomes the database of users.
//!
//! | module | owns |
//! |---|---|
//! | [`file`] | the file's form |
//! | [`translate`] | what it means here |

mod file;
mod translate;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use config::{Method, Sources};
use providers::access::{Access, AccessError, Existing, UserEdit};

use super::database::{Target, sources};
use crate::data_dir;
use crate::doors::live::FILE as ACCESS;
use crate::{origin, plan};

use translate::{Translation, translate};

/// Does it.
pub(super) fn run(file: &Path, target: &Target) -> ExitCode {
    match bring(file, target) {
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

fn bring(path: &Path, target: &Target) -> Result<String, String> {
    let translation = read(path)?;
    let sources = sources(target);
    let folder = folder(&sources)?;
    let place = folder.join(ACCESS);
    if place.exists() {
        return Err(format!(
            "{} is there already; stop the server and move it away, or bring this into another \
             data folder",
            place.display()
        ));
    }
    data_dir::create(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let half = folder.join(format!("{ACCESS}.migrate"));
    // What an earlier attempt has left.
    if half.exists() {
        fs::remove_file(&half).map_err(|error| format!("{}: {error}", half.display()))?;
    }
    let filled = fill(&half, &translation).map_err(|error| error.to_string());
    let named = filled.and_then(|()| {
        fs::hard_link(&half, &place).map_err(|error| format!("{}: {error}", place.display()))
    });
    if let Err(error) = fs::remove_file(&half) {
        eprintln!("{} is left over: {error}", half.display());
    }
    named?;
    let mut words = format!(
        "{}: {} users, {} groups, {} roles are in {}\n",
        path.display(),
        translation.users.len(),
        translation.groups.len(),
        translation.roles.len(),
        place.display()
    );
    for note in &translation.notes {
        words.push_str(&format!("not the same: {note}\n"));
    }
    words.push_str(&advice(&sources)?);
    Ok(words)
}

/// Reads a file and translates it.
fn read(path: &Path) -> Result<Translation, String> {
    let unread = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let opened = File::open(path).map_err(|error| unread(&error))?;
    let mut text = String::new();
    let read = opened
        .take(MOST.saturating_add(1))
        .read_to_string(&mut text);
    let read = read.map_err(|error| unread(&error))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MOST {
        return Err(unread(&"it is longer than 256 MiB"));
    }
    let file: file::File = serde_json::from_str(&text).map_err(|error| unread(&error))?;
    translate(&file).map_err(|reasons| {
        let mut words = unread(&"nothing was brought along");
        for reason in reasons {
            words.push_str(&format!("\n  {reason}"));
        }
        words
    })
}

fn folder(sources: &Sources) -> Result<std::path::PathBuf, String> {
    let origin = origin::load(sources).map_err(|errors| errors.to_string())?;
    let config = origin.loaded.config;
    plan::leave_root(&config, sources).map_err(|error| error.to_string())?;
    data_dir::locate(config.data_dir.as_deref(), &sources.environment)
        .map_err(|error| error.to_string())
}

/// Puts it all into a new database.
fn fill(path: &Path, translation: &Translation) -> Result<(), AccessError> {
    let access = Access::open(path, None)?;
    let agree = |_: &_| Ok(());
    let changes = access.changes(&agree);
    for role in &translation.roles {
        changes.put_role(role)?;
    }
    for group in &translation.groups {
        changes.put_group(group)?;
    }
    if !translation.rules.is_empty() {
        changes.put_rules(&translation.rules)?;
    }
    let entry = |(name, edit): &(String, UserEdit)| Ok((name.clone(), edit.clone()));
    let mut entries = translation.users.iter().map(entry);
    let about = |name: &str, error: AccessError| match error {
        AccessError::Invalid(why) => AccessError::Invalid(format!("client {name:?}: {why}")),
        AccessError::Exists => AccessError::Invalid(format!("client {name:?} a second time")),
        other => other,
    };
    changes.import(&mut entries, Existing::Refuse, about)?;
    Ok(())
}

/// What the configuration has to say for it.
fn advice(sources: &Sources) -> Result<String, String> {
    let origin = origin::load(sources).map_err(|errors| errors.to_string())?;
    let config = origin.loaded.config;
    let asks = config
        .authentication
        .iter()
        .any(|one| matches!(one.method, Method::Database));
    Ok(match asks {
        true => String::new(),
        false => "the configuration does not ask the database of users yet: it needs an \
                  [[authentication]] with type = \"database\"\n"
            .into(),
    })
}

/// Bytes of the largest file that is read.
const MOST: u64 = 256 << 20;

//! `nightjar migrate`: what belongs to a Mosquitto, brought along.
//!
//! | module | owns |
//! |---|---|
//! | [`database`] | `--from-db`: from the file to the store, and what is told |
//! | [`plan`] | what a database holds, and what becomes of it |
//! | [`route`] | messages that Mosquitto has taken in and not passed on |
//! | [`lines`] | the plan as lines of an export |
//! | [`dynsec`] | `--from-dynsec`: from the file of the plugin to the database of users |

mod database;
mod dynsec;
mod lines;
mod plan;
mod route;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use config::{ConfigErrors, Loaded, Sources};
use mosquitto::Translation;

use crate::origin;

/// Bring along what belongs to a Mosquitto: its configuration, its database, its users
///
/// With a mosquitto.conf: print the nightjar.toml that says the same, or write it with --output,
/// which leaves no file behind if the start would be refused; at its head stands what is not the
/// same. Without a file of ours nothing has to be migrated: `nightjar serve --config
/// mosquitto.conf` serves as that file says.
///
/// With --from-db: begin the store with the retained messages, sessions, subscriptions and queues
/// of a mosquitto.db. Stop Mosquitto first, so that all is in the file. The store must be empty, or
/// not there yet; either all that could be read is in it afterwards, or nothing.
///
/// With --from-dynsec: make the database of users, groups and roles of the dynamic-security.json of
/// Mosquitto's plugin. There must be none yet. What would let somebody do more than before refuses
/// it.
#[derive(Args, Debug)]
#[command(
    after_long_help = EXAMPLES,
    group = ArgGroup::new("what").required(true).args(["file", "from_db", "from_dynsec"])
)]
pub(super) struct MigrateArgs {
    /// The configuration file of Mosquitto
    #[arg(value_name = "MOSQUITTO.CONF")]
    file: Option<PathBuf>,
    /// The database of Mosquitto: the file mosquitto.db
    #[arg(long, value_name = "FILE")]
    from_db: Option<PathBuf>,
    /// The users of Mosquitto's plugin: the file dynamic-security.json
    #[arg(long, value_name = "FILE")]
    from_dynsec: Option<PathBuf>,
    #[command(flatten)]
    target: database::Target,
    #[command(flatten)]
    database: database::DatabaseArgs,
}

const EXAMPLES: &str = "\
Examples:
  nightjar migrate /etc/mosquitto/mosquitto.conf
  nightjar migrate /etc/mosquitto/mosquitto.conf --output nightjar.toml
  nightjar check --config nightjar.toml
  nightjar migrate --from-db /var/lib/mosquitto/mosquitto.db \\
      --config /etc/mosquitto/mosquitto.conf
  nightjar migrate --from-dynsec /var/lib/mosquitto/dynamic-security.json \\
      --config /etc/mosquitto/mosquitto.conf

Exit codes:
  0   done
  1   nothing was done, and standard error says why: the file is wrong, or says something of
      security that cannot be honoured; a server has the store; there is something in it
  3   all that could be read is in the store, but a part of the database is cut off or damaged:
      standard error says which";

/// Does what `nightjar migrate` is asked for.
pub(super) fn run(args: &MigrateArgs) -> ExitCode {
    match (&args.from_db, &args.from_dynsec, &args.file) {
        (Some(file), ..) => database::run(file, &args.target, &args.database),
        (None, Some(file), _) => dynsec::run(file, &args.target),
        (None, None, Some(file)) => configuration(file, args.database.output()),
        // The command line asks for one of them.
        (None, None, None) => ExitCode::FAILURE,
    }
}

fn configuration(file: &Path, output: Option<&Path>) -> ExitCode {
    let text = match rendered(file) {
        Ok(text) => text,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    let written = match output {
        Some(output) => std::fs::write(output, text)
            .map_err(|error| format!("{}: cannot be written: {error}", output.display())),
        None => std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| error.to_string()),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nightjar: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The file of ours, if a server could be started by it.
fn rendered(file: &Path) -> Result<String, ConfigErrors> {
    let translation = origin::translated(file, Vec::new())?;
    let text = mosquitto::render(&translation, file);
    let Translation { config, places, .. } = translation;
    Loaded::read_over(&Sources::default(), Loaded { config, places })?;
    Ok(text)
}

//! `nightjar migrate`: a configuration of Mosquitto as one of ours.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::origin;

/// Print the nightjar.toml that says what a mosquitto.conf says
///
/// At its head stands what is not the same. Without a file of ours nothing has to be migrated:
/// `nightjar serve --config mosquitto.conf` serves as that file says.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct MigrateArgs {
    /// The configuration file of Mosquitto
    #[arg(value_name = "MOSQUITTO.CONF")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  nightjar migrate /etc/mosquitto/mosquitto.conf
  nightjar migrate /etc/mosquitto/mosquitto.conf > nightjar.toml
  nightjar check --config nightjar.toml

Exit codes:
  0   printed
  1   the file is wrong, or says something of security that cannot be honoured: every reason
      is on standard error";

/// Does what `nightjar migrate` is asked for.
pub(super) fn run(args: &MigrateArgs) -> ExitCode {
    let translation = match origin::translated(&args.file, Vec::new()) {
        Ok(translation) => translation,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    let text = mosquitto::render(&translation, &args.file);
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nightjar: {error}");
            ExitCode::FAILURE
        }
    }
}

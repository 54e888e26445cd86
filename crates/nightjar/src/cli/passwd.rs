//! `nightjar passwd`: password files, with the options of mosquitto_passwd.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use providers::passwords::{self, Changed};

use super::failure::Failure;
use super::password::{self, Typed};

/// Write password files
///
/// Passwords are hashed by argon2id. Lines of other users stay as they are, also those that
/// mosquitto_passwd wrote. A running server reads the file again on SIGHUP.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PasswdArgs {
    /// Begin a new file; what was in it is gone
    #[arg(short, conflicts_with = "delete")]
    create: bool,
    /// The password is the last argument; other users of this machine can see it there
    #[arg(short, requires = "password")]
    batch: bool,
    /// Remove the user
    #[arg(short = 'D', conflicts_with = "batch")]
    delete: bool,
    /// The password file
    file: PathBuf,
    /// The user
    #[arg(value_name = "USER")]
    name: String,
    /// With -b: the password; otherwise it is asked for, or read from standard input
    #[arg(requires = "batch", allow_hyphen_values = true)]
    password: Option<String>,
}

/// Does what `nightjar passwd` is asked for.
pub(crate) fn run(args: &PasswdArgs) -> ExitCode {
    match change(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(false),
    }
}

fn change(args: &PasswdArgs) -> Result<(), Failure> {
    let (file, name) = (&*args.file, &*args.name);
    let failed = |problem: providers::Problem| Failure::new(problem.to_string());
    if args.delete {
        return match passwords::delete(file, name).map_err(failed)? {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "there is no user {name:?} in the file"
            ))),
        };
    }
    if !args.create && !file.exists() {
        return Err(Failure::new(format!(
            "there is no file {}; -c makes it",
            file.display()
        )));
    }
    let typed = match &args.password {
        Some(password) => Typed::of(password),
        None => password::new(&format!("Password of {name}"))?,
    };
    let changed = match args.create {
        true => passwords::create(file, name, typed.secret()),
        false => passwords::set(file, name, typed.secret()),
    };
    match changed.map_err(failed)? {
        Changed::Added | Changed::Replaced => Ok(()),
    }
}

const EXAMPLES: &str = "\
Examples:
  nightjar passwd -c passwords alice      a new file with one user; asks for the password
  nightjar passwd passwords bob           another user, or another password of his
  nightjar passwd -b passwords bob pa55   the same in scripts
  nightjar passwd -D passwords bob        away with him";

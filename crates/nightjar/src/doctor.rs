//! `nightjar doctor`: what of this machine and this configuration stands in a server's way, and what to
//! do about it.
//!
//! **Never:** nothing is changed, made or asked of a network; the disk is measured in a file without a
//! name, for two seconds at most.
//!
//! | module | owns |
//! |---|---|
//! | [`report`] | [`Finding`]: what was found, as text and as JSON |
//! | [`running`] | whether the server runs, and as which process |
//! | [`ports`] | ports: free, or taken by whom |
//! | [`files`] | files and their permissions |
//! | [`certificates`] | chains, keys, names, expiry |
//! | [`clock`] | the clock, against the newest file |
//! | [`disk`] | free space, and how fast the disk syncs |
//! | [`machine`] | open files, memory |
//! | [`kernel`] | settings of the kernel |

mod certificates;
mod clock;
mod disk;
mod files;
mod kernel;
mod machine;
mod ports;
mod report;
mod running;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use config::{Config, ConfigError, ConfigErrors, Sources};

use crate::cli::ServeArgs;
use crate::data_dir;
use crate::foresight;
use crate::origin;
use crate::plan;
use report::{Finding, Report};
use running::Running;

/// Look for what stands in a server's way, and say what to do about it
///
/// Looks at ports, files and their permissions, certificates, the clock, the disk, limits of open
/// files and memory, and settings of the kernel. It changes nothing and may be used while the server
/// runs. As the user that runs the server, with the options that it has, it sees most.
#[derive(Args, Debug)]
#[command(after_help = CODES)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Do not measure the disk, which takes up to two seconds and keeps it busy
    #[arg(long)]
    no_disk: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

const CODES: &str = "\
Exit codes:
  0   nothing stands in the way
  1   it works, but something should be looked at
  2   the server cannot start, or would not keep what it promises (also: wrong options)";

/// What there is to look at.
struct Patient {
    config: Config,
    sources: Sources,
    data_dir: Option<PathBuf>,
    /// The server with this data folder, if it runs.
    running: Option<Running>,
}

/// Does what `nightjar doctor` is asked for.
pub(crate) fn run(args: DoctorArgs) -> ExitCode {
    let mut report = Report::default();
    let sources = plan::sources(args.serve);
    let config = configuration(&sources, &mut report);
    let folder = data_dir::locate(config.data_dir.as_deref(), &sources.environment);
    let data_dir = match folder {
        Ok(path) => Some(path),
        Err(error) => {
            report.add(Finding::problem(
                "files",
                error.to_string(),
                "name a data folder",
            ));
            None
        }
    };
    let running = data_dir
        .as_deref()
        .and_then(|folder| running::find(&config, folder));
    let patient = Patient {
        config,
        sources,
        data_dir,
        running,
    };
    report.add(match &patient.running {
        Some(server) => Finding::good("server", format!("it runs, as process {}", server.pid)),
        None => Finding::good("server", "no server runs with this data folder"),
    });
    if let Some(file) = unnamed(&patient) {
        report.add(Finding::warning(
            "server",
            format!("it was started with {file}; what follows goes by the defaults"),
            format!("name the file: --config {file}"),
        ));
    }
    for one in foresight::warnings(&patient.config) {
        report.add(Finding::warning("configuration", one.what, one.advice));
    }
    ports::look(&patient, &mut report);
    files::look(&patient, &mut report);
    certificates::look(&patient, &mut report);
    clock::look(&patient, &mut report);
    disk::look(&patient, !args.no_disk, &mut report);
    machine::look(&patient, &mut report);
    kernel::look(&patient, &mut report);
    report.print(args.json)
}

/// The file of the running server, if nobody named one.
fn unnamed(patient: &Patient) -> Option<&str> {
    let server = patient.running.as_ref()?;
    let file = server.file.as_deref()?;
    patient.sources.file.is_none().then_some(file)
}

/// The configuration. If it is wrong, the rest is looked at with the defaults.
fn configuration(sources: &Sources, report: &mut Report) -> Config {
    match origin::load(sources).map(|origin| origin.loaded.config) {
        Ok(config) => {
            let whence = match &sources.file {
                Some(file) => format!("{} is good", file.display()),
                None => "there is no file: defaults, variables and options".to_owned(),
            };
            report.add(Finding::good("configuration", whence));
            config
        }
        Err(errors) => {
            wrong(&errors).for_each(|finding| report.add(finding));
            report.add(Finding::note(
                "configuration",
                "what follows goes by the defaults",
            ));
            Config::default()
        }
    }
}

fn wrong(errors: &ConfigErrors) -> impl Iterator<Item = Finding> {
    errors.iter().map(|error: &ConfigError| {
        Finding::problem(
            "configuration",
            error.to_string(),
            "the server does not start with it; mend it and ask `nightjar check`",
        )
    })
}

//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(feature = "tools")]
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};

#[cfg(feature = "api")]
use crate::doctor;
use crate::{check, parts, serve};

#[cfg(feature = "tools")]
mod bench;
mod chance;
mod client_args;
#[cfg(feature = "tools")]
mod completions;
mod conversation;
mod failure;
mod format;
mod migrate;
mod part;
mod passwd;
mod password;
mod printer;
mod properties;
mod publish;
mod refused;
#[cfg(feature = "api")]
mod restore;
#[cfg(all(feature = "api", unix))]
mod steer;
pub(crate) mod store;
mod subscribe;
mod url;

/// Runs what the command line asks for.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| unknown(&error));
    match cli.command {
        None => serve::run(cli.serve),
        Some(Command::Serve(args)) => serve::run(args),
        Some(Command::Check(args)) => check::run(args),
        #[cfg(feature = "api")]
        Some(Command::Doctor(args)) => doctor::run(args),
        #[cfg(feature = "api")]
        Some(Command::Restore(args)) => restore::run(&args),
        #[cfg(feature = "tools")]
        Some(Command::Completions(args)) => completions::completions(&args, Cli::command()),
        #[cfg(feature = "tools")]
        Some(Command::Man(args)) => completions::man(&args, Cli::command()),
        Some(Command::Pub(args)) => publish::run(*args),
        Some(Command::Sub(args)) => subscribe::run(*args),
        #[cfg(feature = "tools")]
        Some(Command::Bench(args)) => bench::run(args),
        Some(Command::Store(args)) => store::run(args),
        Some(Command::Passwd(args)) => passwd::run(&args),
        Some(Command::Migrate(args)) => migrate::run(&args),
        #[cfg(all(feature = "api", unix))]
        Some(Command::Steer(command)) => command.run(),
    }
}

/// What cannot be understood ends the process.
fn unknown(error: &clap::Error) -> ! {
    if let Some(ContextValue::String(name)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(why) = parts::lacks_command(name)
    {
        eprintln!("nightjar: {why}");
        std::process::exit(2);
    }
    error.exit()
}

/// Nightjar, an MQTT server.
///
/// Speaks MQTT 5.0, 3.1.1 and 3.1. Without a command it serves: on 127.0.0.1:1883, for
/// everyone on this machine and for nobody else.
#[derive(Debug, Parser)]
#[command(
    name = "nightjar",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 100,
    after_long_help = EXAMPLES
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a command)
    Serve(ServeArgs),
    /// Say whether the server would start with this configuration, and what it would do
    Check(CheckArgs),
    #[cfg(feature = "api")]
    Doctor(doctor::DoctorArgs),
    Pub(Box<publish::PublishArgs>),
    Sub(Box<subscribe::SubscribeArgs>),
    #[cfg(feature = "tools")]
    Bench(bench::BenchArgs),
    Store(store::StoreArgs),
    Passwd(passwd::PasswdArgs),
    Migrate(migrate::MigrateArgs),
    #[cfg(feature = "api")]
    Restore(restore::RestoreArgs),
    #[cfg(feature = "tools")]
    Completions(completions::CompletionsArgs),
    #[cfg(feature = "tools")]
    Man(completions::ManArgs),
    #[cfg(all(feature = "api", unix))]
    #[command(flatten)]
    Steer(Box<steer::Command>),
}

/// What `nightjar serve` is told.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Configuration file; docs/configuration.md lists its keys. One whose name ends in .conf is
    /// read as Mosquitto's: docs/migrating-from-mosquitto.md
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Accept connections here, in place of the configuration's listeners; may be repeated
    #[arg(short, long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Vec<String>,
    /// Accept connections of this machine on this port; may be repeated. With a mosquitto.conf: in
    /// the place of 1883, while it defines no listener
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Vec<u16>,
    /// Log all that happens, whatever the configuration says
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Folder for what must outlive a restart: the store is in it
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Let anyone connect who reaches a listener, even from other machines
    #[arg(long)]
    pub(crate) allow_anonymous: bool,
}

/// What `nightjar check` is told.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Print the configuration that results, defaults included
    #[arg(long)]
    pub(crate) print: bool,
}

const EXAMPLES: &str = "\
Examples:
  nightjar                                     serve this machine on port 1883
  nightjar --listen 0.0.0.0:1883 --allow-anonymous
                                               serve the whole network, without passwords
  nightjar check --config nightjar.toml        find every mistake before a start
  nightjar serve --config nightjar.toml        serve as the file says
  nightjar serve --config /etc/mosquitto/mosquitto.conf
                                               serve as Mosquitto would with that file

Signals:
  SIGTERM, SIGINT   say goodbye to all clients and end; a second one ends at once
  SIGHUP            read the configuration again";

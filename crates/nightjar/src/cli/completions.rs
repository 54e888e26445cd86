//! `nightjar completions` and `nightjar man`: what shells and readers of manuals need, from the parser
//! of the command line itself.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::EnumValueParser;
use clap::{Args, Command, ValueEnum};

/// Write what a shell needs to complete commands and options
#[derive(Args, Debug)]
#[command(after_help = WHERE)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_parser = EnumValueParser::<Shell>::new())]
    shell: Shell,
}

const WHERE: &str = "\
Where it goes:
  bash   nightjar completions bash > /usr/share/bash-completion/completions/nightjar
  zsh    nightjar completions zsh > /usr/local/share/zsh/site-functions/_nightjar
  fish   nightjar completions fish > ~/.config/fish/completions/nightjar.fish";

/// Shells that are known.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Write the manual page, or with --out a page for each command
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write nightjar.1 and a page for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Prints the completion of a shell.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> ExitCode {
    use clap_complete::{Shell as Known, generate};
    let known = match args.shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    let mut text = Vec::new();
    generate(known, &mut command, NAME, &mut text);
    ended(io::stdout().write_all(&text))
}

/// Prints the manual page, or writes all of them.
pub(crate) fn man(args: &ManArgs, command: Command) -> ExitCode {
    ended(match &args.out {
        None => page(command).and_then(|page| io::stdout().write_all(&page)),
        Some(folder) => pages(command, folder),
    })
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

fn pages(command: Command, folder: &Path) -> io::Result<()> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(named)?;
    clap_mangen::generate_to(command, folder).map_err(named)
}

fn ended(done: io::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Who has read enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nightjar: {error}");
            ExitCode::FAILURE
        }
    }
}

const NAME: &str = "nightjar";

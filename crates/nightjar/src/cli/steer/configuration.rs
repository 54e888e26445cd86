//! `config`: the configuration of a running server.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::super::failure::Failure;
use super::table::print;
use super::way::Way;
use super::{end, time, word};
use crate::steer::configuration::roll_back_offline;

/// Show, check or change the configuration of a running server
///
/// What is changed here is changed in the server's file, and holds at once as far as it can. `nightjar
/// check` looks at a file without a server.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Show(ShowArgs),
    Check(TextArgs),
    Diff(TextArgs),
    Apply(TextArgs),
    Versions(VersionsArgs),
    Rollback(RollbackArgs),
}

/// Show what holds, and from where each value is
#[derive(Args, Debug)]
struct ShowArgs {
    /// The text of the file in place of a table, without secrets
    #[arg(long)]
    toml: bool,
    /// Only what is not the default
    #[arg(long, conflicts_with = "toml")]
    set: bool,
    #[command(flatten)]
    way: Way,
}

/// Check a text (check), say what it would change (diff), or put it in force (apply)
#[derive(Args, Debug)]
struct TextArgs {
    /// The new configuration; `-` is standard input. `***` keeps the secret that is there
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    way: Way,
}

/// List the configurations that were replaced
#[derive(Args, Debug)]
struct VersionsArgs {
    #[command(flatten)]
    way: Way,
}

/// Return to a configuration that was replaced
#[derive(Args, Debug)]
struct RollbackArgs {
    /// Its number, as `nightjar config versions` lists it
    version: u64,
    /// Change the file without a server, which must not run: if it does not start with what it has.
    /// Needs --config, and --data-dir if the file does not name the folder any more
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    way: Way,
}

const EXAMPLES: &str = "\
Examples:
  nightjar config show --set                 what was said, and where
  nightjar config show --toml > new.toml     a text to begin with
  nightjar config diff new.toml              what it would change
  nightjar config apply new.toml             put it in force
  nightjar config rollback 3                 and back";

/// Does what `nightjar config` is asked for.
pub(super) fn config(args: ConfigArgs) -> ExitCode {
    end(match args.task {
        Task::Show(args) => show(&args),
        Task::Check(args) => check(&args),
        Task::Diff(args) => diff(&args),
        Task::Apply(args) => apply(&args),
        Task::Versions(args) => versions(&args),
        Task::Rollback(args) => rollback(&args),
    })
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let mut answer = args.way.ask("GET", "/configs", None)?;
    if args.toml {
        return args.way.show(&answer, |answer| {
            let text = answer.get("toml").and_then(Value::as_str);
            let (text, etag) = (text.unwrap_or_default(), word(answer, "etag"));
            match etag.is_empty() {
                true => text.to_owned(),
                false => format!("{}\n{BEGUN}{etag}\n", text.trim_end_matches('\n')),
            }
        });
    }
    let mut rows = taken(&mut answer, "values");
    if args.set {
        rows.retain(|row| word(row, "source") != "default");
    }
    args.way.list(rows, ["KEY", "VALUE", "FROM"], |row| {
        ["key", "value", "source"].map(|name| word(row, name))
    })
}

fn check(args: &TextArgs) -> Result<(), Failure> {
    let answer = checked(args)?;
    args.way.show(&answer, |answer| match problems(answer) {
        problems if problems.is_empty() => "The configuration is good.\n".to_owned(),
        problems => problems,
    })?;
    verdict(&answer)
}

fn diff(args: &TextArgs) -> Result<(), Failure> {
    let mut answer = checked(args)?;
    let problems = problems(&answer);
    if !problems.is_empty() {
        print(&problems)?;
        return verdict(&answer);
    }
    changes(&args.way, &mut answer)
}

fn apply(args: &TextArgs) -> Result<(), Failure> {
    let text = text(&args.new)?;
    // What `show --toml` said at the end is for this, and not for the file.
    let (text, etag) = begun_with(&text);
    let body = json!({ "toml": text });
    let applied = match etag {
        Some(etag) => args.way.ask_if(("PUT", "/configs"), &body, etag),
        None => args.way.ask("PUT", "/configs", Some(&body)),
    };
    let mut answer = applied.map_err(|refused| in_text(args, &body).unwrap_or(refused))?;
    changes(&args.way, &mut answer)
}

/// What is wrong with a text that was refused, by its own name: the server speaks of its file. `None`: it is
/// not the text, or the server cannot say.
fn in_text(args: &TextArgs, body: &Value) -> Option<Failure> {
    let looked = args.way.ask("POST", "/configs/check", Some(body)).ok()?;
    let problems = problems(&looked);
    let lines = problems.lines();
    let named = lines.map(|line| format!("{}:{line}", named(&args.new)));
    let named = named.collect::<Vec<_>>().join("\n");
    (!named.is_empty()).then(|| Failure::new(named))
}

fn named(new: &Path) -> String {
    match new.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => new.display().to_string(),
    }
}

/// Begins the last line of what `show --toml` prints: which text it is.
const BEGUN: &str = "# nightjar config apply takes this line out; it was made from ";

/// The text without that line, and what the line says.
fn begun_with(text: &str) -> (&str, Option<&str>) {
    let whole = text.trim_end();
    match whole.rsplit_once(BEGUN) {
        Some((before, etag)) if !etag.contains('\n') => (before, Some(etag.trim())),
        _ => (text, None),
    }
}

fn versions(args: &VersionsArgs) -> Result<(), Failure> {
    let mut answer = args.way.ask("GET", "/configs/versions", None)?;
    let rows = taken(&mut answer, "data");
    args.way
        .list(rows, ["VERSION", "REPLACED", "BY", "NOTE"], |row| {
            [
                word(row, "version"),
                time(row, "at"),
                word(row, "by"),
                word(row, "note"),
            ]
        })
}

fn rollback(args: &RollbackArgs) -> Result<(), Failure> {
    if args.offline {
        let (file, folder) = args.way.offline()?;
        let done = roll_back_offline(&file, &folder, args.version);
        done.map_err(|failure| Failure::new(failure.to_string()))?;
        let version = args.version;
        return print(&format!("{} is version {version} again\n", file.display()));
    }
    let body = json!({ "version": args.version });
    let mut answer = args.way.ask("POST", "/configs/rollback", Some(&body))?;
    changes(&args.way, &mut answer)
}

fn checked(args: &TextArgs) -> Result<Value, Failure> {
    let body = json!({ "toml": text(&args.new)? });
    args.way.ask("POST", "/configs/check", Some(&body))
}

/// Ends with 1 if something is wrong, as `nightjar check` does.
fn verdict(answer: &Value) -> Result<(), Failure> {
    match answer.get("ok") {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(Failure::new("")),
    }
}

/// What is wrong, a line each.
fn problems(answer: &Value) -> String {
    let rows = answer.get("problems").and_then(Value::as_array);
    let lines = rows.into_iter().flatten().map(|row| {
        let at = match (word(row, "line"), word(row, "column")) {
            (line, _) if line.is_empty() => String::new(),
            (line, column) => format!("{line}:{column}: "),
        };
        let key = match word(row, "key") {
            key if key.is_empty() => key,
            key => format!("{key}: "),
        };
        let hint = match word(row, "hint") {
            hint if hint.is_empty() => hint,
            hint => format!("; {hint}"),
        };
        format!("{at}{key}{}{hint}\n", word(row, "message"))
    });
    lines.collect()
}

fn changes(way: &Way, answer: &mut Value) -> Result<(), Failure> {
    let rows = taken(answer, "changes");
    way.list(rows, ["KEY", "FROM", "TO", "WHEN"], |row| {
        let when = match row.get("needs_restart") {
            Some(Value::Bool(true)) => "at the next start",
            _ => "at once",
        };
        [
            word(row, "key"),
            word(row, "from"),
            word(row, "to"),
            when.to_owned(),
        ]
    })
}

fn taken(answer: &mut Value, name: &str) -> Vec<Value> {
    match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_what_it_was_made_from() {
        let text = format!("workers = 1\n{BEGUN}0123abcd\n");
        assert_eq!(begun_with(&text), ("workers = 1\n", Some("0123abcd")));
        assert_eq!(begun_with("workers = 1\n"), ("workers = 1\n", None));
        // Something below it is of another hand.
        let more = format!("{text}log.level = \"info\"\n");
        assert_eq!(begun_with(&more), (&*more, None));
    }
}

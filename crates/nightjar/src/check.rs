//! `nightjar check`.

use std::io::Write;
use std::process::ExitCode;

use mosquitto::{Note, Weight};

use crate::cli::CheckArgs;
use crate::foresight;
use crate::plan::{Intent, Plan};

/// Says what a start would do, or every reason why there would be none. It opens no port:
/// the server whose configuration is checked may be running.
pub(crate) fn run(args: CheckArgs) -> ExitCode {
    let plan = match Plan::new(args.serve, Intent::Check) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let obstacles = foresight::obstacles(&plan.config, None, &plan.sources.environment);
    if !obstacles.is_empty() {
        for one in obstacles {
            eprintln!("{}: {}", one.key, one.words);
        }
        return ExitCode::FAILURE;
    }
    for one in foresight::warnings(&plan.config) {
        eprintln!("warning: {one}");
    }
    let text = if args.print {
        plan.config.to_toml()
    } else {
        format!("{}{}", notes(&plan), summary(&plan))
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nightjar: the verdict is good, but cannot be printed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a file of Mosquitto means here, a line each.
fn notes(plan: &Plan) -> String {
    let line = |note: &Note| {
        let place = note.place.as_ref().map(|place| format!("{place}: "));
        let word = match note.weight {
            Weight::Differs => "not as in Mosquitto",
            Weight::Same => "as in Mosquitto",
        };
        format!("{word}: {}{}\n", place.unwrap_or_default(), note.text)
    };
    plan.notes.iter().map(line).collect()
}

fn summary(plan: &Plan) -> String {
    let listeners: Vec<String> = plan
        .config
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect();
    format!(
        "The configuration is good: {} with {} would listen on {}; its data folder is {}.\n",
        plan.node,
        match plan.workers {
            1 => "1 worker".to_owned(),
            workers => format!("{workers} workers"),
        },
        listeners.join(", "),
        plan.data_dir.display()
    )
}

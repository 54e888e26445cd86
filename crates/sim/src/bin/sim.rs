//! Runs seeds: one to look at it, or many to look for one that fails.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sim::{Outcome, Simulation};

const USAGE: &str = "\
usage: sim [--seed N [--trace]] [--from N] [--runs N] [--seconds N]

  --seed N      run one seed twice and compare
  --trace       print what happened in it
  --from N      the first of many seeds (default 0)
  --runs N      how many (default 1000)
  --seconds N   stop after this time
";

struct Options {
    seed: Option<u64>,
    trace: bool,
    from: u64,
    runs: u64,
    seconds: Option<u64>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        seed: None,
        trace: false,
        from: 0,
        runs: 1000,
        seconds: None,
    };
    let mut runs = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok());
        match word.as_str() {
            "--seed" => options.seed = Some(number()?),
            "--trace" => options.trace = true,
            "--from" => options.from = number()?,
            "--runs" => runs = Some(number()?),
            "--seconds" => options.seconds = Some(number()?),
            _ => return None,
        }
    }
    options.runs = runs.unwrap_or(match options.seconds {
        Some(_) => u64::MAX,
        None => options.runs,
    });
    Some(options)
}

/// One seed; a panic of the server is a failure like any other.
fn run(seed: u64, trace: bool) -> Result<Outcome, String> {
    std::panic::catch_unwind(|| Simulation::new(seed, trace).run())
        .map_err(|_| "the server panicked".to_owned())
}

fn one(seed: u64, trace: bool) -> ExitCode {
    let outcome = match run(seed, trace) {
        Ok(outcome) => outcome,
        Err(why) => {
            eprintln!("seed {seed}: {why}");
            return ExitCode::FAILURE;
        }
    };
    for line in &outcome.trace {
        println!("{line}");
    }
    println!(
        "seed {seed}: {} messages received, hash {:016x}",
        outcome.received, outcome.hash
    );
    if let Some(failure) = outcome.failure {
        println!("seed {seed} fails: {failure}");
        return ExitCode::FAILURE;
    }
    match run(seed, false) {
        Ok(again) if again.hash == outcome.hash => ExitCode::SUCCESS,
        _ => {
            println!("seed {seed} does not give the same run twice");
            ExitCode::FAILURE
        }
    }
}

fn many(options: &Options) -> ExitCode {
    let start = Instant::now();
    let (mut done, mut failed, mut received) = (0u64, 0u64, 0usize);
    for seed in (options.from..).take(usize::try_from(options.runs).unwrap_or(usize::MAX)) {
        let late = |seconds| start.elapsed() >= Duration::from_secs(seconds);
        if options.seconds.is_some_and(late) || failed >= 10 {
            break;
        }
        let failure = match run(seed, false) {
            Ok(outcome) => {
                received += outcome.received;
                outcome.failure.map(|failure| failure.to_string())
            }
            Err(why) => Some(why),
        };
        done += 1;
        if let Some(failure) = failure {
            failed += 1;
            println!("seed {seed} fails: {failure}");
            println!("  replay: cargo run -p sim --release -- --seed {seed} --trace");
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{done} seeds in {seconds:.1} s, {failed} failed, {received} messages received");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match options.seed {
        Some(seed) => one(seed, options.trace),
        None => many(&options),
    }
}

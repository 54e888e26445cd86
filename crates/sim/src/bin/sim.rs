//! Runs seeds: one to look at it, or many to look for one that fails.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sim::durable::{Plan, Run};
use sim::{Failure, Outcome, Simulation};

const USAGE: &str = "\
usage: sim [--durable] [--seed N [--trace]] [--from N] [--runs N] [--seconds N]

  --durable     servers that crash and start again from their disk
  --workers N   with so many workers in each life (durable)
  --rehearse    and tries after each turn of the store what a crash would leave (durable)
  --seed N      run one seed twice and compare
  --trace       print what happened in it
  --from N      the first of many seeds (default 0)
  --runs N      how many (default 1000)
  --seconds N   stop after this time
";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Durable(Closer),
}

/// How durable runs are changed, to look closer.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Closer {
    workers: Option<usize>,
    rehearse: bool,
}

struct Options {
    kind: Kind,
    seed: Option<u64>,
    trace: bool,
    from: u64,
    runs: u64,
    seconds: Option<u64>,
}

fn options() -> Option<Options> {
    let mut options = Options {
        kind: Kind::Plain,
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
            "--durable" => {
                options.closer();
            }
            "--workers" => {
                let workers = Some(number()?).and_then(|count| usize::try_from(count).ok());
                options.closer().workers = workers;
            }
            "--rehearse" => options.closer().rehearse = true,
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

impl Options {
    /// How durable runs are changed; they are durable from here on.
    fn closer(&mut self) -> &mut Closer {
        if self.kind == Kind::Plain {
            self.kind = Kind::Durable(Closer::default());
        }
        match &mut self.kind {
            Kind::Durable(closer) => closer,
            Kind::Plain => unreachable!("it was made durable"),
        }
    }
}

impl Closer {
    fn run(self, seed: u64, trace: bool) -> Result<Outcome, Failure> {
        let mut plan = Plan::new(seed);
        if let Some(workers) = self.workers {
            plan.workers.fill(workers.max(1));
        }
        if self.rehearse {
            plan.rehearsals = 1000;
        }
        Run::of(plan, trace).map(Run::run)
    }
}

/// One seed; a panic of the server is a failure like any other.
fn run(kind: Kind, seed: u64, trace: bool) -> Result<Outcome, String> {
    let run = || match kind {
        Kind::Plain => Ok(Simulation::new(seed, trace).run()),
        Kind::Durable(closer) => closer.run(seed, trace),
    };
    match std::panic::catch_unwind(run) {
        Ok(outcome) => outcome.map_err(|failure| failure.to_string()),
        Err(_) => Err("the server panicked".to_owned()),
    }
}

fn one(kind: Kind, seed: u64, trace: bool) -> ExitCode {
    let outcome = match run(kind, seed, trace) {
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
    match run(kind, seed, false) {
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
        let failure = match run(options.kind, seed, false) {
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
            let durable = match options.kind {
                Kind::Plain => "",
                Kind::Durable(_) => "--durable ",
            };
            println!("  replay: cargo run -p sim --release -- {durable}--seed {seed} --trace");
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
        Some(seed) => one(options.kind, seed, options.trace),
        None => many(&options),
    }
}

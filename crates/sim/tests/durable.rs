//! Servers that crash and start again: seeds that failed once, and some that nobody has seen.

use sim::durable::Run;

/// Seeds that failed once and showed an error of the server, with what it was.
const ONCE_FAILED: &str = include_str!("durable_seeds.txt");

/// How many seeds an ordinary test run looks at; `SIM_DURABLE_SEEDS` says otherwise.
const SEEDS: u64 = 2_000;

fn run(seed: u64) -> u64 {
    let outcome = Run::new(seed, false).map(Run::run);
    let outcome = outcome.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    if let Some(failure) = outcome.failure {
        panic!(
            "seed {seed}: {failure}\n\
             replay: cargo run -p sim --release -- --durable --seed {seed} --trace"
        );
    }
    outcome.hash
}

#[test]
fn seeds_that_failed_once_pass() {
    let seeds: Vec<u64> = ONCE_FAILED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .map(|seed| seed.parse().expect("a seed is a number"))
        .collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        run(seed);
    }
}

#[test]
fn random_seeds_pass() {
    let seeds = std::env::var("SIM_DURABLE_SEEDS")
        .ok()
        .map_or(SEEDS, |seeds| {
            seeds.parse().expect("SIM_DURABLE_SEEDS is a number")
        });
    for seed in 0..seeds {
        run(seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let hashes: Vec<u64> = (0..20).map(run).collect();
    let again: Vec<u64> = (0..20).map(run).collect();
    assert_eq!(hashes, again);
    let mut different = hashes;
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 20);
}

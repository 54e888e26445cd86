//! `--random-filter`: a share of the messages.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Says yes as often as was asked for.
#[derive(Debug)]
pub(crate) struct Chance {
    /// Of 1,000 draws.
    wins: Option<u64>,
    seed: RandomState,
    draws: u64,
}

impl Chance {
    /// Yes in `percent` of 100 draws, 0.1 to 100; always without one.
    pub(crate) fn new(percent: Option<f64>) -> Self {
        // 1 to 1,000: the range was checked.
        let wins = percent.map(|percent| (percent * 10.0).round() as u64);
        Self {
            wins,
            seed: RandomState::new(),
            draws: 0,
        }
    }

    /// Whether this one is chosen.
    pub(crate) fn draw(&mut self) -> bool {
        let Some(wins) = self.wins else {
            return true;
        };
        self.draws = self.draws.wrapping_add(1);
        let mut hasher = self.seed.build_hasher();
        hasher.write_u64(self.draws);
        hasher.finish() % 1000 < wins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_follows_the_percentage() {
        let mut always = Chance::new(None);
        assert!((0..100).all(|_| always.draw()));
        let mut all = Chance::new(Some(100.0));
        assert!((0..1000).all(|_| all.draw()));
        let mut half = Chance::new(Some(50.0));
        let wins = (0..10_000).filter(|_| half.draw()).count();
        assert!((4_000..6_000).contains(&wins), "{wins}");
    }
}

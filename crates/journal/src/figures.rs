//! How long commits take.

use std::time::Duration;

use store::COMMIT_BOUNDS;

/// Counts of commits by latency, in the shape of [`store::Figures::commits`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    counts: [u64; COMMIT_BOUNDS.len() + 1],
}

impl Histogram {
    /// Counts one commit.
    pub(crate) fn add(&mut self, took: Duration) {
        let place = COMMIT_BOUNDS.partition_point(|&bound| bound < took);
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// The counts: for each bound those not longer (but longer than the bound before), and last
    /// the longer ones.
    pub(crate) fn counts(&self) -> [u64; COMMIT_BOUNDS.len() + 1] {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_counts_what_is_not_longer() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::ZERO);
        histogram.add(Duration::from_micros(250));
        histogram.add(Duration::from_micros(251));
        histogram.add(Duration::from_secs(6));
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[12]), (2, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 4);
    }
}

//! What the server did lately: an hour by five seconds, a day by two minutes, a week by a quarter of
//! an hour, and no more.
//!
//! It is in memory, and from time to time in one file: a whole new one that takes the place of the
//! old one, with a checksum. What is torn is not believed.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crate::server::figures::Sample;

/// Samples of a ring.
const LENGTH: usize = 720;

/// The steps of the rings, in milliseconds.
const STEPS: [u64; 3] = [5_000, 120_000, 840_000];

/// What the file begins with; the digit is its version.
const MAGIC: &[u8; 8] = b"njfigs1\n";

/// Bytes of a sample in the file.
const ROW: usize = 80;

/// The figures of one moment: counters since the start, and states.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Counters are since the start; the rest is as it is now.
    pub figures: Sample,
}

/// What the server did lately.
#[derive(Debug)]
pub struct History {
    rings: [Ring; STEPS.len()],
}

#[derive(Debug)]
struct Ring {
    step: u64,
    /// The oldest first.
    samples: VecDeque<Sample>,
    /// The step that is being filled.
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    number: u64,
    /// The counters at its beginning.
    base: Sample,
    cpu: f64,
    moments: u32,
}

impl Default for History {
    fn default() -> Self {
        Self {
            rings: STEPS.map(|step| Ring {
                step,
                samples: VecDeque::with_capacity(LENGTH),
                current: None,
            }),
        }
    }
}

impl History {
    /// Takes note of a moment; one a second is enough.
    pub fn note(&mut self, moment: Moment) {
        for ring in &mut self.rings {
            ring.note(moment);
        }
    }

    /// The samples of a span up to now, the oldest first: by the smallest step that goes as far back
    /// as any does.
    pub fn latest(&self, now: u64, span: Duration) -> Vec<Sample> {
        let from = now.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let firsts = self.rings.each_ref().map(|ring| ring.first_since(from));
        let Some(oldest) = firsts.iter().flatten().min() else {
            return Vec::new();
        };
        let mut rings = self.rings.iter().zip(&firsts);
        let found = rings.find(|(ring, first)| {
            first.is_some_and(|first| first <= oldest.saturating_add(ring.step.saturating_mul(2)))
        });
        let samples = found.into_iter().flat_map(|(ring, _)| &ring.samples);
        let wanted = samples.filter(|sample| sample.time_stamp >= from);
        wanted.copied().collect()
    }

    /// Reads what [`History::write`] wrote; an empty history if nothing is there.
    ///
    /// # Errors
    /// The file cannot be read, or is not whole.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let torn = || io::Error::new(io::ErrorKind::InvalidData, "it is torn or damaged");
        Self::parse(&bytes).ok_or_else(torn)
    }

    /// Writes all to a new file, which takes the place of the old one when it is on the disk.
    ///
    /// # Errors
    /// The file cannot be written; the old one stays.
    pub fn write(bytes: &[u8], path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(new, path)
    }

    /// What the file has: at most 170 KiB.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for ring in &self.rings {
            let count = u32::try_from(ring.samples.len()).unwrap_or(0);
            bytes.extend_from_slice(&count.to_le_bytes());
            for sample in &ring.samples {
                for word in words(sample) {
                    bytes.extend_from_slice(&word.to_le_bytes());
                }
            }
        }
        let sum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (whole, sum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(whole) != u32::from_le_bytes(*sum) {
            return None;
        }
        let mut rest = whole.strip_prefix(MAGIC)?;
        let mut history = Self::default();
        for ring in &mut history.rings {
            let (count, behind) = rest.split_first_chunk::<4>()?;
            let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            if count > LENGTH {
                return None;
            }
            let (rows, behind) = behind.split_at_checked(count.checked_mul(ROW)?)?;
            rest = behind;
            let (rows, _) = rows.as_chunks::<ROW>();
            ring.samples.extend(rows.iter().map(sample));
        }
        rest.is_empty().then_some(history)
    }
}

impl Ring {
    fn note(&mut self, moment: Moment) {
        let number = moment.at.checked_div(self.step).unwrap_or(0);
        let figures = moment.figures;
        let current = self.current.get_or_insert(Current {
            number,
            base: figures,
            cpu: 0.0,
            moments: 0,
        });
        current.cpu += figures.cpu_percent;
        current.moments = current.moments.saturating_add(1);
        if current.number == number {
            return;
        }
        let base = current.base;
        let sample = Sample {
            time_stamp: moment.at,
            received: figures.received.saturating_sub(base.received),
            sent: figures.sent.saturating_sub(base.sent),
            dropped: figures.dropped.saturating_sub(base.dropped),
            bytes_in: figures.bytes_in.saturating_sub(base.bytes_in),
            bytes_out: figures.bytes_out.saturating_sub(base.bytes_out),
            cpu_percent: current.cpu / f64::from(current.moments.max(1)),
            ..figures
        };
        self.current = Some(Current {
            number,
            base: figures,
            cpu: 0.0,
            moments: 0,
        });
        // The clock was set back: what it said before would come twice.
        while self
            .samples
            .pop_back_if(|last| last.time_stamp >= moment.at)
            .is_some()
        {}
        if self.samples.len() >= LENGTH {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// When its first sample was, of those since then.
    fn first_since(&self, from: u64) -> Option<u64> {
        let mut times = self.samples.iter().map(|sample| sample.time_stamp);
        times.find(|&time| time >= from)
    }
}

/// A sample as numbers of the file.
fn words(sample: &Sample) -> [u64; ROW / 8] {
    [
        sample.time_stamp,
        sample.connections,
        sample.received,
        sample.sent,
        sample.dropped,
        sample.bytes_in,
        sample.bytes_out,
        sample.cpu_percent.to_bits(),
        sample.memory_bytes,
        sample.disk_bytes,
    ]
}

fn sample(row: &[u8; ROW]) -> Sample {
    let (numbers, _) = row.as_chunks::<8>();
    let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut next = || numbers.next().unwrap_or(0);
    Sample {
        time_stamp: next(),
        connections: next(),
        received: next(),
        sent: next(),
        dropped: next(),
        bytes_in: next(),
        bytes_out: next(),
        cpu_percent: f64::from_bits(next()),
        memory_bytes: next(),
        disk_bytes: next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    /// A time at which all steps begin.
    const START: u64 = 1_000_000 * 840_000;

    /// A moment a second, with ten messages a second.
    fn run(history: &mut History, from: u64, seconds: u64) -> u64 {
        for second in 0..seconds {
            let figures = Sample {
                received: second * 10,
                connections: second,
                cpu_percent: 50.0,
                ..Sample::default()
            };
            let at = from + second * 1000;
            history.note(Moment { at, figures });
        }
        from + seconds * 1000
    }

    #[test]
    fn each_step_counts_what_came_in_it() {
        let mut history = History::default();
        let now = run(&mut history, START, 61);
        let samples = history.latest(now, Duration::from_secs(3600));
        assert_eq!(samples.len(), 12);
        assert!(samples.iter().all(|one| one.received == 50));
        assert!(samples.iter().all(|one| one.cpu_percent == 50.0));
        assert_eq!(samples[11].connections, 60);
        // A younger server shows a week by its smallest step.
        assert_eq!(
            history.latest(now, Duration::from_secs(7 * 86_400)),
            samples
        );
        assert_eq!(history.latest(now, Duration::from_secs(12)).len(), 3);
    }

    #[test]
    fn no_span_has_more_than_so_many() {
        let mut history = History::default();
        let now = run(&mut history, START, 30 * 3600);
        let of = |seconds| history.latest(now, Duration::from_secs(seconds));
        assert_eq!(of(3600).len(), 720);
        assert_eq!(of(3600)[0].received, 50);
        let day = of(86_400);
        assert_eq!((day.len(), day[0].received), (720, 1200));
        let week = of(7 * 86_400);
        assert_eq!((week.len(), week[0].received), (30 * 3600 / 840, 8400));
        let size = history.bytes().len();
        assert!(size < 170 * 1024, "{size}");
    }

    #[test]
    fn the_file_is_read_as_it_was_written_and_a_torn_one_is_not_believed() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("figures");
        assert!(History::read(&path).unwrap().rings[0].samples.is_empty());
        let mut history = History::default();
        let now = run(&mut history, START, 7200);
        let bytes = history.bytes();
        History::write(&bytes, &path).unwrap();
        let span = Duration::from_secs(86_400);
        let read = History::read(&path).unwrap();
        assert_eq!(read.latest(now, span), history.latest(now, span));
        assert_eq!(read.bytes(), bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        for cut in [0, 7, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            let error = History::read(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let mut other = bytes.clone();
        other[100] ^= 1;
        assert!(History::parse(&other).is_none());
    }

    #[test]
    fn after_a_restart_counters_begin_anew_and_the_past_stays() {
        let mut history = History::default();
        let now = run(&mut history, START, 600);
        let mut next = History::parse(&history.bytes()).unwrap();
        let now = run(&mut next, now + 60_000, 600);
        let samples = next.latest(now, Duration::from_secs(3600));
        assert!(samples.iter().all(|one| one.received <= 50), "{samples:?}");
        assert!(samples.len() > 230);
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_no_future() {
        let mut history = History::default();
        run(&mut history, START, 600);
        let now = run(&mut history, START - HOUR, 20);
        let samples = history.latest(now, Duration::from_secs(86_400));
        assert!(samples.iter().all(|one| one.time_stamp <= now));
        assert!(samples.is_sorted_by_key(|one| one.time_stamp));
    }
}

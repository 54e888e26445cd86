//! The disk: free space, and how fast it syncs.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use types::Durability;

use super::Patient;
use super::report::{Finding, Report, bytes};

const AREA: &str = "disk";
/// A measurement ends after so long, or so many syncs.
const LONGEST: Duration = Duration::from_secs(2);
const MOST_SYNCS: usize = 1000;
/// What is written before each sync: about what a busy server writes for a few messages.
const PIECE: usize = 4096;
/// Of the file that is written over and over.
const SIZE: u64 = 4 << 20;

pub(super) fn look(patient: &Patient, measures: bool, report: &mut Report) {
    let Some(folder) = &patient.data_dir else {
        return;
    };
    let existing = folder.ancestors().find(|it| it.is_dir());
    let existing = existing.filter(|it| !it.as_os_str().is_empty());
    let existing = existing.unwrap_or(Path::new("."));
    space(patient, existing, report);
    let store = &patient.config.store;
    if store.durability == Durability::Memory {
        let what = "nothing is kept on the disk (store.durability = \"memory\")";
        report.add(Finding::note(AREA, what));
    } else if measures {
        report.add(speed(existing));
    }
}

#[cfg(unix)]
fn space(patient: &Patient, folder: &Path, report: &mut Report) {
    let found = match rustix::fs::statvfs(folder) {
        Ok(found) => found,
        Err(error) => {
            let what = format!("the file system of {}: {error}", folder.display());
            return report.add(Finding::problem(AREA, what, "name another data folder"));
        }
    };
    let unit = found.f_frsize;
    let (free, all) = (found.f_bavail * unit, found.f_blocks * unit);
    let share = (free.saturating_mul(100)).checked_div(all).unwrap_or(100);
    let words = format!("{} of {} are free ({share} %)", bytes(free), bytes(all));
    let segment = patient.config.store.segment_bytes;
    let limit = patient.config.limits.store_bytes;
    report.add(
        if free < segment.saturating_mul(2) {
            Finding::problem(
                AREA,
                words,
                "free space: the store needs room for two segments",
            )
        } else if share < 5 {
            Finding::warning(AREA, words, "free space, before the store refuses messages")
        } else if limit > 0 && limit > all {
            Finding::warning(
                AREA,
                format!("{words}; limits.store_bytes is more than the file system has"),
                "lower limits.store_bytes, so that it is reached before the disk is full",
            )
        } else {
            Finding::good(AREA, words)
        }
        .figure("free_bytes", free)
        .figure("total_bytes", all),
    );
    if let Some(name) = short_lived(folder) {
        report.add(Finding::warning(
            AREA,
            format!("{} is on {name}", folder.display()),
            "what is there is gone after a restart of the machine; choose a disk",
        ));
    }
    let inodes = found.f_files > 0 && found.f_favail < 1000;
    if inodes {
        report.add(Finding::warning(
            AREA,
            "the file system has hardly any inodes left",
            "remove files: the store needs a few new ones",
        ));
    }
}

#[cfg(not(unix))]
fn space(_: &Patient, _: &Path, _: &mut Report) {}

/// What a file system is called that lives in memory.
#[cfg(target_os = "linux")]
fn short_lived(folder: &Path) -> Option<&'static str> {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    match u64::try_from(kind).ok()? {
        TMPFS => Some("tmpfs, which is memory"),
        RAMFS => Some("ramfs, which is memory"),
        _ => None,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn short_lived(_: &Path) -> Option<&'static str> {
    None
}

fn speed(folder: &Path) -> Finding {
    let syncs = match nameless(folder).and_then(|file| measure(file, LONGEST)) {
        Ok(syncs) => syncs,
        Err(error) => {
            let what = format!(
                "the disk cannot be measured in {}: {error}",
                folder.display()
            );
            return Finding::note(AREA, what);
        }
    };
    judge(syncs)
}

/// Syncs with their durations, shortest first, and how long all took.
struct Syncs {
    each: Vec<Duration>,
    all: Duration,
}

fn judge(syncs: Syncs) -> Finding {
    let share = |percent: usize| {
        let at = (syncs.each.len() * percent / 100).min(syncs.each.len().saturating_sub(1));
        syncs
            .each
            .get(at)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    let count = syncs.each.len();
    let rate = count as f64 / syncs.all.as_secs_f64().max(1e-9);
    let (median, p99) = (share(50), share(99));
    let words = format!("{rate:.0} syncs/s, median {median:.1} ms, 99 of 100 within {p99:.1} ms");
    let finding = if p99 > 1000.0 {
        Finding::problem(
            AREA,
            words,
            "acknowledgements would wait for seconds: look for a failing or overloaded disk",
        )
    } else if p99 > 100.0 || rate < 50.0 {
        Finding::warning(
            AREA,
            words,
            "QoS 1 and 2 wait for it: use a disk with a power-loss protected cache, give the \
             server a disk of its own, or choose store.durability = \"os\" where a power cut may \
             take a little",
        )
    } else {
        Finding::good(AREA, words)
    };
    let rounded = |number: f64| (number * 100.0).round() / 100.0;
    finding
        .figure("syncs", count)
        .figure("syncs_per_second", rounded(rate))
        .figure("p50_ms", rounded(median))
        .figure("p99_ms", rounded(p99))
}

fn measure(mut file: File, longest: Duration) -> io::Result<Syncs> {
    use std::io::{Seek, SeekFrom};
    let piece = vec![0x5a; PIECE];
    // As the store does: what is written lies in space that the file has already.
    for _ in 0..SIZE / PIECE as u64 {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let (begun, mut each) = (Instant::now(), Vec::new());
    let mut place = 0;
    while each.len() < MOST_SYNCS && begun.elapsed() < longest {
        file.seek(SeekFrom::Start(place % SIZE))?;
        let before = Instant::now();
        file.write_all(&piece)?;
        file.sync_data()?;
        each.push(before.elapsed());
        place += PIECE as u64;
    }
    let all = begun.elapsed();
    each.sort_unstable();
    Ok(Syncs { each, all })
}

/// A file that nobody finds, and that is gone when it is closed.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let how = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let made = open(folder, how, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(made))
}

/// A file that has no name from the moment it is there.
#[cfg(not(target_os = "linux"))]
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let mut options = File::options();
    let file = options.write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    #[test]
    fn a_slow_disk_is_told() {
        let syncs = |each: u64, count: u64| Syncs {
            each: vec![Duration::from_millis(each); usize::try_from(count).unwrap()],
            all: Duration::from_millis(each * count),
        };
        assert_eq!(judge(syncs(1, 100)).level, Level::Good);
        assert_eq!(judge(syncs(30, 10)).level, Level::Warning);
        assert_eq!(judge(syncs(2000, 1)).level, Level::Problem);
    }

    #[test]
    fn a_measurement_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = nameless(folder.path()).unwrap();
        let syncs = measure(file, Duration::from_millis(50)).unwrap();
        assert!(!syncs.each.is_empty() && syncs.each.is_sorted());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

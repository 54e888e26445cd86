//! The clock. Without a network, all there is to compare it with is what was written before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Patient;
use super::report::{Finding, Report};

const AREA: &str = "clock";
/// Before this no version was built: 2026-01-01.
const EARLIEST: u64 = 1_767_225_600;
/// File systems and clocks may differ by as much.
const TOLERANCE: Duration = Duration::from_secs(60);
/// Files that are looked at, at most.
const MOST_FILES: usize = 10_000;

pub(super) fn look(patient: &Patient, report: &mut Report) {
    let newest = patient.data_dir.as_deref().and_then(newest);
    report.add(judge(SystemTime::now(), newest));
}

fn judge(now: SystemTime, newest: Option<(PathBuf, SystemTime)>) -> Finding {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if seconds < EARLIEST {
        return Finding::problem(
            AREA,
            "the clock is before 2026",
            "set it, and let NTP keep it: expiry of sessions, messages and certificates goes by it",
        );
    }
    match newest {
        Some((path, at)) if at > now + TOLERANCE => {
            let ahead = at.duration_since(now).unwrap_or_default().as_secs();
            Finding::problem(
                AREA,
                format!(
                    "the clock is {ahead} s behind the newest file, {}",
                    path.display()
                ),
                "set it, and let NTP keep it: what was to expire would live longer",
            )
            .figure("behind_seconds", ahead)
        }
        Some(_) => Finding::good(AREA, "it is behind no file of the data folder"),
        None => Finding::good(AREA, "it is sane; there is nothing to compare it with yet"),
    }
}

/// The file that was written last.
fn newest(folder: &Path) -> Option<(PathBuf, SystemTime)> {
    let mut newest: Option<(PathBuf, SystemTime)> = None;
    let (mut folders, mut seen) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        // What this user may not read is told elsewhere.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST_FILES {
                return newest;
            }
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                folders.push(entry.path());
            } else if let Ok(at) = found.modified()
                && newest.as_ref().is_none_or(|(_, last)| at > *last)
            {
                newest = Some((entry.path(), at));
            }
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    #[test]
    fn a_clock_behind_what_was_written_is_a_problem() {
        let now = UNIX_EPOCH + Duration::from_secs(EARLIEST + 1000);
        let file = |seconds| {
            Some((
                PathBuf::from("f"),
                UNIX_EPOCH + Duration::from_secs(seconds),
            ))
        };
        assert_eq!(judge(UNIX_EPOCH, None).level, Level::Problem);
        assert_eq!(judge(now, None).level, Level::Good);
        assert_eq!(judge(now, file(EARLIEST + 1030)).level, Level::Good);
        assert_eq!(judge(now, file(EARLIEST + 1100)).level, Level::Problem);
    }

    #[test]
    fn the_newest_file_is_found_below_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("old"), "").unwrap();
        let file = fs::File::create(folder.path().join("a/new")).unwrap();
        let later = SystemTime::now() + Duration::from_secs(500);
        file.set_modified(later).unwrap();
        assert_eq!(
            newest(folder.path()).unwrap().0,
            folder.path().join("a/new")
        );
    }
}

//! On the real file system.

use std::path::{Path, PathBuf};

use super::*;
use crate::disk::{Folder, FolderError, LOCK, QUARANTINE};

/// A folder that is gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("nightjar-journal-{:016x}", fresh());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("store")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn fresh() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(std::process::id())
}

fn begin(path: &Path) -> (Log, Tail, Vec<Vec<u8>>) {
    let mut scan = Scan::open(Arc::new(Folder::open(path).unwrap()), SMALL).unwrap();
    let mut payloads = Vec::new();
    let mut each = |_: FrameAt, payload: &[u8]| {
        payloads.push(payload.to_vec());
        Ok(())
    };
    let tail = scan.replay(&mut each).unwrap();
    (Log::begin(scan, &tail, 1).unwrap(), tail, payloads)
}

#[test]
fn a_log_lives_in_a_real_folder() {
    let scratch = Scratch::new();
    let path = scratch.store();
    let written: Vec<_> = (1..=40).map(|seed| payload(seed, 900)).collect();
    let (mut log, ..) = begin(&path);
    for bytes in &written {
        append_synced(&mut log, bytes);
    }
    log.roll(1).unwrap();
    log.set_checkpoint(1);
    drop(log);
    let (mut log, tail, found) = begin(&path);
    assert_eq!(found, written);
    assert_eq!((tail.sequence, tail.dropped_bytes), (40, 0));
    // Recycled, deleted, put aside.
    log.remove(1).unwrap();
    assert!(log.has_spare());
    log.remove(2).unwrap();
    log.quarantine(3).unwrap();
    assert!(path.join(QUARANTINE).join(segment_name(3)).exists());
    assert!(!path.join(segment_name(2)).exists());
    let number = log.roll(1).unwrap();
    append_synced(&mut log, b"in a recycled one");
    let length = std::fs::metadata(path.join(segment_name(number)))
        .unwrap()
        .len();
    assert_eq!(length, SMALL.segment_bytes);
    assert!(log.disk_bytes() >= length);
}

#[test]
fn a_second_one_is_locked_out() {
    let scratch = Scratch::new();
    let path = scratch.store();
    let first = Folder::open(&path).unwrap();
    for second in [Folder::open(&path), Folder::open_existing(&path)] {
        let error = second.unwrap_err();
        assert!(matches!(&error, FolderError::InUse(at) if *at == path));
        let text = OpenError::from(error).to_string();
        assert!(
            text.contains("another server or tool uses the store"),
            "{text}"
        );
    }
    drop(first);
    Folder::open(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn what_others_have_access_to_is_taken_from_them() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let path = scratch.store();
    drop(Folder::open(&path).unwrap());
    let elsewhere = path.with_file_name("elsewhere");
    std::fs::write(&elsewhere, "").unwrap();
    let aside = path.join(QUARANTINE);
    std::fs::create_dir(&aside).unwrap();
    std::fs::write(aside.join("one"), "").unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let widen = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let wide = [(&path, 0o755), (&aside, 0o770), (&path.join(LOCK), 0o604)];
    for (path, mode) in wide {
        widen(path, mode);
    }
    widen(&aside.join("one"), 0o644);
    widen(&elsewhere, 0o644);
    std::os::unix::fs::symlink(&elsewhere, path.join("link")).unwrap();
    assert_eq!(Folder::open(&path).unwrap().tightened(), 4);
    assert_eq!((mode(&path), mode(&aside)), (0o700, 0o700));
    assert_eq!(
        (mode(&path.join(LOCK)), mode(&aside.join("one"))),
        (0o600, 0o600)
    );
    assert_eq!(mode(&elsewhere), 0o644, "not ours");
    assert_eq!(Folder::open(&path).unwrap().tightened(), 0);
}

#[test]
fn a_tool_makes_no_store() {
    let scratch = Scratch::new();
    let path = scratch.store();
    assert!(matches!(
        Folder::open_existing(&path),
        Err(FolderError::Missing(_))
    ));
    assert!(!path.exists());
    std::fs::write(&path, b"a file").unwrap();
    assert!(Folder::open(&path).is_err());
}

#[cfg(unix)]
#[test]
fn all_of_it_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new();
    let path = scratch.store();
    let (mut log, ..) = begin(&path);
    log.make_spare().unwrap();
    log.roll(1).unwrap();
    log.quarantine(1).unwrap();
    log.make_spare().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join(QUARANTINE)), 0o700);
    let files = ["store.id", "lock", "spare-1.segment"].map(str::to_owned);
    let quarantined = format!("{QUARANTINE}/{}", segment_name(1));
    for name in files.into_iter().chain([segment_name(2), quarantined]) {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn room_is_taken_when_a_segment_is_made() {
    use std::os::unix::fs::MetadataExt;

    let scratch = Scratch::new();
    let folder = Folder::open(&scratch.store()).unwrap();
    let file = folder.create("a", 1 << 20).unwrap();
    assert_eq!(file.len().unwrap(), 1 << 20);
    assert!(!file.is_empty().unwrap());
    let blocks = std::fs::metadata(scratch.store().join("a"))
        .unwrap()
        .blocks();
    assert!(blocks * 512 >= 1 << 20, "{blocks} blocks");
    assert!(folder.create("a", 1).is_err(), "it is there already");
    assert!(folder.free_bytes().unwrap() > 0);
    assert_ne!(folder.random(), folder.random());

    // What the disk cannot have leaves no file behind.
    let error = folder.create("b", u64::MAX >> 1);
    assert!(error.is_err());
    assert_eq!(
        folder
            .list()
            .unwrap()
            .iter()
            .filter(|name| *name == "b")
            .count(),
        0
    );
}

#[test]
fn a_file_is_read_to_its_end() {
    let scratch = Scratch::new();
    let folder = Folder::open(&scratch.store()).unwrap();
    let file = folder.create("a", 0).unwrap();
    file.write_at(3, b"abc").unwrap();
    file.sync().unwrap();
    let mut bytes = [9; 8];
    assert_eq!(file.read_at(2, &mut bytes).unwrap(), 4);
    assert_eq!(&bytes[..5], b"\0abc\x09");
    assert_eq!(file.read_at(6, &mut bytes).unwrap(), 0);
    file.allocate(4).unwrap();
    assert_eq!(file.len().unwrap(), 6, "never shorter");
    folder.rename("a", "b").unwrap();
    folder.sync_folder().unwrap();
    assert_eq!(folder.open("b").unwrap().len().unwrap(), 6);
    folder.remove("b").unwrap();
    assert!(folder.open("b").is_err());
}

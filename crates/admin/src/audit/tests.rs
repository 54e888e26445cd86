use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::*;

fn settings(folder: &Path, size: u64, keep: u32) -> Settings {
    Settings {
        file: folder.join("audit.jsonl"),
        size,
        keep,
    }
}

fn page(number: u32, limit: u32) -> Page {
    Page::new(number, limit).unwrap()
}

fn targets(audit: &Audit, page: Page) -> Vec<String> {
    let listed = audit.newest(page).unwrap();
    listed.rows.into_iter().map(|line| line.target).collect()
}

#[test]
fn a_change_is_one_line_with_who_what_before_and_after() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::open(settings(folder.path(), 1 << 20, 1)).unwrap();
    let record = audit.record("local user 1000", "control socket", "user.change", "ann");
    record.secret("password");
    assert_eq!(record.outcome(), None);
    let (before, after) = (json!({"disabled": false}), json!({"disabled": true}));
    record.done(Some(&before), Some(&after)).unwrap();
    assert_eq!(record.outcome(), Some(Outcome::Done));

    let text = fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 1);
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(Stamp::parse(line["at"].as_str().unwrap()).is_some());
    assert_eq!(line["who"], "local user 1000");
    assert_eq!(line["from"], "control socket");
    assert_eq!(line["operation"], "user.change");
    assert_eq!(line["target"], "ann");
    assert_eq!(line["before"], before);
    assert_eq!(
        line["after"],
        json!({"disabled": true, "password": "(changed)"})
    );
    assert_eq!(line["outcome"], "done");
}

#[test]
fn what_fails_after_its_line_has_another_line_with_the_same_id() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::open(settings(folder.path(), 1 << 20, 1)).unwrap();
    let record = audit.record("w", "f", "ban.create", "t");
    record.acted().unwrap();
    record.refused("the disk is full").unwrap();
    audit
        .record("w", "f", "ban.create", "u")
        .refused("no")
        .unwrap();
    let lines = audit.newest(page(1, 10)).unwrap().rows;
    let outcomes: Vec<_> = lines.iter().map(|line| line.outcome).collect();
    assert_eq!(outcomes, [Outcome::Refused, Outcome::Failed, Outcome::Done]);
    assert_eq!(lines[1].id, lines[2].id);
    assert_ne!(lines[0].id, lines[1].id);
    assert_eq!(lines[1].why.as_deref(), Some("the disk is full"));
}

#[test]
fn full_files_are_kept_and_read_newest_first() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::open(settings(folder.path(), 500, 2)).unwrap();
    let write = |audit: &Arc<Audit>, number: u32| {
        let record = audit.record("w", "f", "o", &format!("t{number}"));
        record.acted().unwrap();
    };
    for number in 0..20 {
        write(&audit, number);
    }
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        names(folder.path()),
        ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    );
    let kept = audit.newest(page(1, 100)).unwrap().count;
    assert!((3..20).contains(&kept), "{kept}");
    let all = targets(&audit, page(1, 100));
    let expected: Vec<_> = (0..20).rev().map(|number| format!("t{number}")).collect();
    assert_eq!(all[..], expected[..all.len()]);
    assert_eq!(u64::try_from(all.len()).unwrap(), kept);

    // Pages are pieces of the same list, across files and after a restart.
    drop(audit);
    let audit = Audit::open(settings(folder.path(), 500, 2)).unwrap();
    let mut pieces = Vec::new();
    for number in 1.. {
        let piece = targets(&audit, page(number, 2));
        if piece.is_empty() {
            break;
        }
        pieces.extend(piece);
    }
    assert_eq!(pieces, all);
    write(&audit, 20);
    assert_eq!(targets(&audit, page(1, 2)), ["t20", "t19"]);
}

#[cfg(unix)]
#[test]
fn s99_the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("audit.jsonl");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let audit = Audit::open(settings(folder.path(), 1, 1)).unwrap();
    audit.record("w", "f", "o", "a").acted().unwrap();
    audit.record("w", "f", "o", "b").acted().unwrap();
    for name in ["audit.jsonl", "audit.jsonl.1"] {
        let found = fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn half_a_line_of_a_crash_spoils_no_other() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::open(settings(folder.path(), 1 << 20, 1)).unwrap();
    audit.record("w", "f", "o", "a").acted().unwrap();
    drop(audit);
    let file = folder.path().join("audit.jsonl");
    let mut raw = OpenOptions::new().append(true).open(&file).unwrap();
    raw.write_all(b"{\"at\":\"20").unwrap();
    let audit = Audit::open(settings(folder.path(), 1 << 20, 1)).unwrap();
    assert_eq!(audit.newest(page(1, 10)).unwrap().count, 2);
    audit.record("w", "f", "o", "b").acted().unwrap();
    let listed = audit.newest(page(1, 10)).unwrap();
    let found: Vec<_> = listed
        .rows
        .iter()
        .map(|line| (&*line.target, line.outcome))
        .collect();
    let done = Outcome::Done;
    assert_eq!(found, [("b", done), ("", Outcome::Damaged), ("a", done)]);
    assert_eq!(listed.count, 3);
}

#[test]
fn no_line_no_change() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::open(settings(folder.path(), 1, 1)).unwrap();
    audit.record("w", "f", "o", "a").acted().unwrap();
    // The next line needs a new file, and a folder is in its way.
    fs::create_dir(folder.path().join("audit.jsonl.new")).unwrap();
    let record = audit.record("w", "f", "o", "b");
    assert!(matches!(record.acted(), Err(Failure::Audit(_))));
    assert_eq!(record.outcome(), None);
    fs::remove_dir(folder.path().join("audit.jsonl.new")).unwrap();
    record.acted().unwrap();
    assert_eq!(targets(&audit, page(1, 10)), ["b", "a"]);
}

#[test]
fn large_values_are_kept_in_the_file_and_left_out_of_answers() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::open(settings(folder.path(), 1 << 20, 1)).unwrap();
    let large = json!("x".repeat(line::SHOWN));
    let record = audit.record(&"w".repeat(5000), "f", "o", "t");
    record.done(None, Some(&large)).unwrap();
    let text = fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(text.contains(large.as_str().unwrap()));
    let shown = audit.newest(page(1, 1)).unwrap().rows.remove(0);
    assert_eq!(
        shown.after,
        Some(json!({ "omitted_bytes": line::SHOWN + 2 }))
    );
    assert!(shown.who.ends_with("www…") && shown.who.len() < 2100);
}

#[test]
fn lines_longer_than_a_piece_are_whole() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("lines");
    let lines: Vec<String> = (0..40).map(|n| format!("{n}").repeat(n * 977)).collect();
    fs::write(&path, format!("{}\n", lines.join("\n"))).unwrap();
    let file = fs::File::open(&path).unwrap();
    let bytes = file.metadata().unwrap().len();
    let found: Vec<String> = backwards::Backwards::new(file, bytes)
        .map(|line| String::from_utf8(line.unwrap()).unwrap())
        .collect();
    let expected: Vec<String> = lines.into_iter().rev().collect();
    assert!(found == expected);
}

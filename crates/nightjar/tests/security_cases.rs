//! docs/security.md names the test of each case: this holds it against the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all functions below a folder of sources.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let found = text.lines().filter_map(|line| {
                let (name, _) = line.trim().strip_prefix("fn ")?.split_once('(')?;
                Some(name.to_owned())
            });
            names.extend(found);
        }
    }
}

/// What stands between backquotes in the column of tests and looks like a test.
fn documented(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter(|line| line.starts_with("| S"));
    let column = rows.filter_map(|row| row.split('|').nth(2));
    column
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .filter(|name| name.contains('_') && !name.contains([' ', '=', '.']))
        .map(str::to_owned)
        .collect()
}

/// Whether a function's name begins with a case, such as `s01_`.
fn is_case(name: &str) -> bool {
    let digits = name.strip_prefix('s').and_then(|rest| rest.split_once('_'));
    digits.is_some_and(|(number, _)| number.len() >= 2 && number.parse::<u8>().is_ok())
}

#[test]
fn every_test_of_a_case_is_documented_and_exists() {
    let text = fs::read_to_string(root().join("docs/security.md")).expect("the document");
    let documented = documented(&text);
    let mut existing = BTreeSet::new();
    functions(&root().join("crates"), &mut existing);
    let missing: Vec<_> = documented.difference(&existing).collect();
    assert!(missing.is_empty(), "documented, not there: {missing:?}");
    let silent: Vec<_> = existing
        .iter()
        .filter(|name| is_case(name) && !documented.contains(*name))
        .collect();
    assert!(silent.is_empty(), "there, not documented: {silent:?}");
}

#[test]
fn every_case_has_its_row() {
    let text = fs::read_to_string(root().join("docs/security.md")).expect("the document");
    let mut next = 1;
    for row in text.lines().filter(|line| line.starts_with("| S")) {
        let cases = row.split('|').nth(1).expect("a column");
        let numbers = cases.split(['S', ',', ' ']);
        let numbers: Vec<u32> = numbers.filter_map(|number| number.parse().ok()).collect();
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        assert_eq!(first, next, "{row}");
        next = last + 1;
    }
    assert_eq!(next, 110);
}

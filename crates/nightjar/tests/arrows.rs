//! Holds the table of crates in ARCHITECTURE.md against what Cargo knows: every crate has a
//! line, and no arrow is drawn that the line does not allow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn every_crate_keeps_to_its_line_of_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let drawn = drawn(&root);
    let allowed = allowed(&text, &drawn.keys().cloned().collect());

    let missing: Vec<_> = drawn
        .keys()
        .filter(|name| !allowed.contains_key(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "crates without a line in ARCHITECTURE.md: {missing:?}"
    );
    for (name, uses) in &drawn {
        let forbidden: Vec<_> = uses.difference(&allowed[name]).collect();
        assert!(
            forbidden.is_empty(),
            "{name} uses {forbidden:?}, which its line does not allow"
        );
    }
}

/// Crates of others: in a small build, and in one with all drivers for back ends and QUIC.
#[test]
fn s107_the_dependencies_of_others_stay_few() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ours = drawn(&root);
    for (features, most) in [(&["--no-default-features"][..], 117), (&[], 248)] {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--package", "nightjar", "--edges", "normal"])
            .args([
                "--prefix",
                "none",
                "--format",
                "{p}",
                "--offline",
                "--locked",
            ])
            .args(features)
            .current_dir(&root)
            .output()
            .expect("cargo tree");
        let said = String::from_utf8_lossy(&tree.stderr);
        assert!(tree.status.success(), "{said}");
        let text = String::from_utf8(tree.stdout).expect("UTF-8");
        let all: BTreeSet<&str> = text
            .lines()
            .map(|line| line.trim_end_matches(" (*)"))
            .collect();
        let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let others = all.iter().filter(|line| !ours.contains_key(&name(line)));
        let count = others.count();
        assert!(count > 50, "{text}");
        assert!(
            count <= most,
            "{count} crates of others with {features:?}, {most} allowed"
        );
    }
}

#[test]
fn a_line_says_names_or_all_or_nothing() {
    let names: BTreeSet<String> = ["a", "b", "c", "d"].map(String::from).into();
    let table = "| crate | owns | may use |\n|---|---|---|\n| `a` | x | nothing |\n\
                 | `b` | `d` | `a` |\n| `c` | x | all the above |\n| `d` | y | all |\n";
    let allowed = allowed(table, &names);
    let of = |name: &str| allowed[name].iter().map(String::as_str).collect::<Vec<_>>();
    assert!(of("a").is_empty());
    assert_eq!(of("b"), ["a"]);
    assert_eq!(of("c"), ["a", "b"]);
    assert_eq!(of("d"), ["a", "b", "c", "d"]);
}

/// The arrows between our own crates, tests aside.
fn drawn(root: &Path) -> Arrows {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON of cargo metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let names: BTreeSet<String> = packages.iter().map(name).collect();
    let uses = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies");
        let shipped = all.iter().filter(|dependency| dependency["kind"] != "dev");
        shipped
            .map(name)
            .filter(|used| names.contains(used))
            .collect()
    };
    packages
        .iter()
        .map(|package| (name(package), uses(package)))
        .collect()
}

/// What the table `| crate | owns | may use |` allows.
fn allowed(text: &str, names: &BTreeSet<String>) -> Arrows {
    let mut allowed = Arrows::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, _, may_use, _] = cells[..] else {
            continue;
        };
        let Some(name) = name
            .strip_prefix('`')
            .and_then(|name| name.strip_suffix('`'))
        else {
            continue;
        };
        let above: BTreeSet<String> = allowed.keys().cloned().collect();
        let uses = match may_use {
            "nothing" => BTreeSet::new(),
            "all" => names.clone(),
            "all the above" => above,
            list => {
                let words = list.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                words
                    .filter(|word| names.contains(*word))
                    .map(str::to_owned)
                    .collect()
            }
        };
        allowed.insert(name.to_owned(), uses);
    }
    allowed
}

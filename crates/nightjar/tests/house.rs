//! Holds the tree against the rules of CONTRIBUTING.md that a program can check.

use std::fs;
use std::path::{Path, PathBuf};

/// Hard limit of a file, in lines.
const FILE: usize = 900;
/// Limit of a function that is shipped, in lines.
const FUNCTION: usize = 70;

#[test]
fn no_file_is_too_long() {
    complain(&sources("crates", "rs"), |text| {
        let lines = text.lines().count();
        (lines > FILE)
            .then(|| format!("{lines} lines, more than {FILE}"))
            .into_iter()
            .collect()
    });
}

#[test]
fn no_function_is_too_long() {
    // A test may hold one long table.
    let aside = |path: &PathBuf| {
        path.ends_with("tests.rs")
            || path
                .iter()
                .any(|part| part == "tests" || part == "examples")
    };
    let shipped: Vec<PathBuf> = sources("crates", "rs")
        .into_iter()
        .filter(|path| !aside(path))
        .collect();
    complain(&shipped, |text| {
        let long = functions(text)
            .into_iter()
            .filter(|(_, lines)| *lines > FUNCTION);
        long.map(|(name, lines)| format!("{name}: {lines} lines, more than {FUNCTION}"))
            .collect()
    });
}

#[test]
fn no_test_is_ignored_and_nothing_is_left_to_do() {
    // Put together here, so that this file does not contain them.
    let words = [
        concat!("#[ig", "nore"),
        concat!("thread::sl", "eep"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("db", "g!("),
    ];
    complain(&sources("crates", "rs"), |text| containing(text, &words));
    let words = [
        concat!("time.sl", "eep("),
        concat!("mark.sk", "ip("),
        concat!("mark.xf", "ail"),
    ];
    complain(&sources("tests", "py"), |text| containing(text, &words));
}

#[test]
fn names_are_plain() {
    complain(&sources("crates", "rs"), |text| {
        containing(
            text,
            &[
                concat!("fn ge", "t_"),
                concat!("mod ut", "il"),
                concat!("Mana", "ger "),
            ],
        )
    });
}

#[test]
fn every_crate_begins_with_what_it_never_does() {
    let heads: Vec<PathBuf> = sources("crates", "rs")
        .into_iter()
        .filter(|path| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"))
        .collect();
    complain(&heads, |text| {
        let head: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        let found = head.iter().any(|line| line.starts_with("//! **Never:**"));
        (!found)
            .then(|| "no \"**Never:**\" in its head".to_owned())
            .into_iter()
            .collect()
    });
}

#[test]
fn maps_name_every_module() {
    complain(&sources("crates", "rs"), |text| {
        let head: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        if !head.iter().any(|line| line.starts_with("//! | module |")) {
            return Vec::new();
        }
        let words: Vec<&str> = head
            .iter()
            .flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_')))
            .collect();
        let modules = modules(text).into_iter();
        let missing = modules.filter(|name| !words.contains(&name.as_str()));
        missing
            .map(|name| format!("the map at its head lacks {name}"))
            .collect()
    });
}

#[test]
fn modules_are_found() {
    let text = "mod a;\npub(crate) mod b;\n#[cfg(test)]\nmod tests;\nmod c {\n";
    assert_eq!(modules(text), ["a", "b"]);
}

#[test]
fn functions_are_measured() {
    let text = "impl A {\n    pub fn one(&self) {\n        x\n    }\n\n    fn two() -> A\n    where\n        B: C,\n    {\n    }\n    fn three(&self);\n    fn four() {}\n}\n";
    let found = functions(text);
    assert_eq!(found, [("one".to_owned(), 3), ("two".to_owned(), 5)]);
}

/// Fails with every complaint about every file, and if there is no file.
fn complain(paths: &[PathBuf], about: impl Fn(&str) -> Vec<String>) {
    assert!(!paths.is_empty(), "no file to look at");
    let mut found = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).expect("a source file");
        let complaints = about(&text).into_iter();
        found.extend(complaints.map(|complaint| format!("{}: {complaint}", path.display())));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn containing(text: &str, words: &[&str]) -> Vec<String> {
    let hit = |(number, line): (usize, &str)| {
        let word = words.iter().find(|word| line.contains(**word))?;
        Some(format!("line {}: {word}", number + 1))
    };
    text.lines().enumerate().filter_map(hit).collect()
}

/// The modules that a file declares, but for those of tests.
fn modules(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let declared = |(at, line): (usize, &&str)| {
        let (visible, name) = line.strip_suffix(';')?.split_once("mod ")?;
        let shipped = at == 0 || lines[at - 1] != "#[cfg(test)]";
        let plain = visible.is_empty() || visible.starts_with("pub");
        (shipped && plain && name != "tests").then(|| name.to_owned())
    };
    lines.iter().enumerate().filter_map(declared).collect()
}

/// The functions with a body of more than one line, and their lines. The text is formatted:
/// a function ends at a brace below the column where it begins.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let Some(name) = name_of_function(code) else {
            continue;
        };
        if code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        if let Some(length) = lines[start..].iter().position(|line| *line == end) {
            found.push((name, length + 1));
        }
    }
    found
}

fn name_of_function(code: &str) -> Option<String> {
    let words = code.split_once("fn ")?;
    let before = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "async",
        "unsafe",
        "extern",
        "\"C\"",
    ];
    if !words
        .0
        .split_whitespace()
        .all(|word| before.contains(&word))
    {
        return None;
    }
    Some(
        words
            .1
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()?
            .to_owned(),
    )
}

/// All files below `folder` with this ending, without what others wrote or a build made.
fn sources(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(folder),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if !["target", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path
                .extension()
                .is_some_and(|extension| extension == ending)
            {
                found.push(path);
            }
        }
    }
    found
}

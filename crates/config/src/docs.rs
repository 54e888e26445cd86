//! The tables in docs/ are made here, from the table of keys and the comments of the fields;
//! these tests compare them with the committed files. `NIGHTJAR_WRITE_DOCS=1` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::keys::{Effect, KEYS, Key};
use crate::lists::{Column, LISTS, List};
use crate::value::Kind;

const LIMITS_SOURCE: &str = include_str!("../../types/src/limits.rs");
const CONFIG_SOURCE: &str = include_str!("config.rs");

#[test]
fn every_limit_has_a_key() {
    let fields = LIMITS_SOURCE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "))
        .map(|(name, _)| name);
    let keys: Vec<&str> = KEYS
        .iter()
        .filter(|key| key.section == "limits")
        .map(|key| key.name)
        .collect();
    assert_eq!(
        fields.collect::<Vec<_>>(),
        keys,
        "types::Limits and the keys of [limits]"
    );
}

#[test]
fn limits_are_documented() {
    let mut table = String::from(
        "| key | default | range | a change acts | what it bounds, and what happens beyond |\n\
         |---|---|---|---|---|\n",
    );
    for key in KEYS.iter().filter(|key| key.section == "limits") {
        table.push_str(&row(key, LIMITS_SOURCE));
    }
    compare("limits.md", "limits", &table);
}

#[test]
fn keys_are_documented() {
    let mut table = String::from(
        "| key | default | values | a change acts | meaning |\n|---|---|---|---|---|\n",
    );
    for key in KEYS.iter().filter(|key| key.section != "limits") {
        table.push_str(&row(key, CONFIG_SOURCE));
    }
    for list in LISTS {
        for column in list.columns {
            table.push_str(&list_row(list, column));
        }
    }
    compare("configuration.md", "keys", &table);
}

fn row(key: &Key, source: &str) -> String {
    let default = key
        .kind
        .show(&(key.read)(&Config::default()))
        .map_or("not set".to_owned(), |value| format!("`{value}`"));
    let effect = match key.effect {
        Effect::Reload => "at a reload",
        Effect::Restart => "at a restart",
    };
    format!(
        "| `{}` | {default} | {} | {effect} | {} |\n",
        key.path(),
        values(&key.kind),
        comment(source, owner(key.section), field(key))
    )
}

fn list_row(list: &List, column: &Column) -> String {
    let (owner, default) = match (list.name, column.name) {
        ("listener", "address") => ("Listener", "`\"127.0.0.1:1883\"`"),
        ("listener", _) => ("Listener", "not set"),
        ("topic", _) => ("TopicRule", "required"),
        (name, _) => panic!("the list {name} is new here"),
    };
    let values = match column.name {
        "address" => "IP address and port".to_owned(),
        _ => values(&column.kind),
    };
    format!(
        "| `{}.{}` | {default} | {values} | at a restart | {} |\n",
        list.name,
        column.name,
        comment(CONFIG_SOURCE, owner, column.name)
    )
}

/// The type whose fields are the keys of a section.
fn owner(section: &str) -> &'static str {
    match section {
        "" | "shared_subscriptions" => "Config",
        "store" => "Store",
        "log" => "Log",
        "limits" => "Limits",
        section => panic!("the section {section} is new here"),
    }
}

/// The field that a key sets, where it is called otherwise.
fn field(key: &Key) -> &'static str {
    match key.name {
        "segment_size" => "segment_bytes",
        name => name,
    }
}

/// What may be written, in a cell.
fn values(kind: &Kind) -> String {
    match kind {
        Kind::Choice(words) => format!("`\"{}\"`", words.join("\"`, `\"")),
        Kind::Flag => "`true`, `false`".into(),
        Kind::Text(_) => "text".into(),
        Kind::Size { .. } | Kind::Count { .. } | Kind::Span { .. } => {
            let text = kind.to_string();
            let range = text.split(", in ").next().unwrap();
            range
                .replace("write a ", "")
                .replace("number from ", "")
                .replace('"', "")
        }
    }
}

/// The documentation comment of a field of a struct, as one line.
fn comment(source: &str, owner: &str, field: &str) -> String {
    let (_, fields) = source
        .split_once(&format!("\npub struct {owner} {{\n"))
        .unwrap_or_else(|| panic!("no struct {owner}"));
    let (fields, _) = fields.split_once("\n}\n").unwrap();
    let lines: Vec<&str> = std::iter::once("")
        .chain(fields.lines().map(str::trim))
        .collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with(&format!("pub {field}: ")))
        .unwrap_or_else(|| panic!("no field {field} in {owner}"));
    let first = lines[..at]
        .iter()
        .rposition(|line| !line.starts_with("///"))
        .unwrap()
        + 1;
    assert!(first < at, "{field} has no comment");
    let text = lines[first..at]
        .iter()
        .map(|line| line.trim_start_matches("///").trim());
    text.collect::<Vec<_>>().join(" ")
}

/// Compares the part of a file of docs/ between the marks `name` with what it should be.
fn compare(file: &str, name: &str, wanted: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(file);
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->\n"),
    );
    let (head, rest) = text.split_once(&begin).expect("the begin mark");
    let (found, tail) = rest.split_once(&end).expect("the end mark");
    if found == wanted {
        return;
    }
    if std::env::var_os("NIGHTJAR_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{head}{begin}{wanted}{end}{tail}")).unwrap();
        return;
    }
    panic!("docs/{file} is behind the code: run `make docs` and commit what it writes");
}

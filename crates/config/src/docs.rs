//! The tables in docs/ are made here, from the table of keys and the comments of the fields;
//! these tests compare them with the committed files. `NIGHTJAR_WRITE_DOCS=1` writes them. The
//! examples there are read as they stand.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::config::Config;
use crate::keys::{Effect, KEYS, Key};
use crate::lists::{Column, LISTS, List, Need, Sort, Sorts};
use crate::source::Sources;
use crate::value::{Kind, Per, Value};

const LIMITS_SOURCE: &str = include_str!("../../types/src/limits.rs");
/// Where the comments of fields are.
const SOURCES: &[&str] = &[
    include_str!("config.rs"),
    include_str!("config/authentication.rs"),
    include_str!("config/bridge.rs"),
    include_str!("config/certificate.rs"),
    include_str!("config/listener.rs"),
    include_str!("config/rule.rs"),
    include_str!("config/telemetry.rs"),
    LIMITS_SOURCE,
];

#[test]
fn every_limit_has_a_key() {
    let (_, fields) = LIMITS_SOURCE.split_once("pub struct Limits {").unwrap();
    let (fields, _) = fields.split_once("\n}\n").unwrap();
    let fields = fields
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
        table.push_str(&row(key));
    }
    compare("limits.md", "limits", &table);
}

#[test]
fn keys_are_documented() {
    let mut table = HEAD.to_owned();
    for key in KEYS.iter().filter(|key| key.section != "limits") {
        table.push_str(&row(key));
    }
    compare("configuration.md", "keys", &table);
}

#[test]
fn lists_are_documented() {
    for list in LISTS {
        let mut table = HEAD.to_owned();
        let sorts = list.sorts.all();
        let words: Vec<&str> = sorts.iter().map(|sort| sort.word).collect();
        if let Sorts::Word(key, _) = list.sorts {
            let words = words.join("\"`, `\"");
            let effect = effect(list.effect);
            table.push_str(&format!(
                "| `{}.{key}` | required | `\"{words}\"` | {effect} | What is asked; each type has \
                 further keys, below. |\n",
                list.name
            ));
        }
        let mut config = Config::empty();
        (list.push)(&mut config);
        let common: String = list
            .columns
            .iter()
            .map(|column| list_row(list, None, column, &config))
            .collect();
        let own: String = match list.sorts {
            Sorts::Key(sorts) => sorts.iter().map(|sort| sort_rows(list, sort)).collect(),
            Sorts::One | Sorts::Word(..) => String::new(),
        };
        // As entries are written.
        table.push_str(&match list.known_by {
            Some(_) => common + &own,
            None => own + &common,
        });
        compare("configuration.md", list.name, &table);
    }
}

#[test]
fn types_of_authentication_are_documented() {
    let list = LISTS
        .iter()
        .find(|list| matches!(list.sorts, Sorts::Word(..)))
        .unwrap();
    let mut text = String::new();
    for sort in list.sorts.all() {
        let about = about(sort_owner(list, sort), sort.word);
        text.push_str(&format!("\n#### `type = \"{}\"`\n\n{about}\n", sort.word));
        if !sort.columns.is_empty() {
            text.push_str(&format!("\n{HEAD}{}", sort_rows(list, sort)));
        }
    }
    compare(
        "configuration.md",
        "types",
        &format!("{}\n", text.trim_start()),
    );
}

/// Each example of the page is a whole configuration; one that begins with `# access.toml` is the
/// file that the examples name.
#[test]
fn examples_can_be_read() {
    let page = fs::read_to_string(page("configuration.md")).unwrap();
    let examples = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0);
    let (rules, files): (Vec<&str>, Vec<&str>) =
        examples.partition(|text| text.starts_with("# access.toml"));
    assert!(rules.len() == 1 && files.len() > 4);
    let folder = std::env::temp_dir().join(format!("nightjar-examples-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("access.toml"), rules[0]).unwrap();
    for text in files {
        let file = folder.join("nightjar.toml");
        fs::write(&file, text).unwrap();
        let sources = Sources {
            file: Some(file),
            environment: ["DB_PASSWORD", "API_TOKEN", "LDAP_PASSWORD"]
                .map(|name| (name.into(), "secret".into()))
                .to_vec(),
            options: Vec::new(),
        };
        let read = Config::load(&sources);
        assert!(read.is_ok(), "{text}\n{}", read.unwrap_err());
    }
    fs::remove_dir_all(&folder).unwrap();
}

fn row(key: &Key) -> String {
    let default = default_cell(&key.kind, &(key.read)(&Config::default()));
    format!(
        "| `{}` | {default} | {} | {} | {} |\n",
        key.path(),
        values(&key.kind),
        effect(key.effect),
        comment(owner(key.section), field(key))
    )
}

fn sort_rows(list: &List, sort: &Sort) -> String {
    let mut config = Config::empty();
    (list.push)(&mut config);
    (sort.begin)(&mut config, 0);
    let rows = sort.columns.iter();
    rows.map(|column| list_row(list, Some(sort), column, &config))
        .collect()
}

fn list_row(list: &List, sort: Option<&Sort>, column: &Column, config: &Config) -> String {
    let default = match column.need {
        Need::Required(_) => "required".to_owned(),
        Need::Optional => default_cell(&column.kind, &(column.read)(config, 0)),
    };
    let (owner, field) = match (list.name, column.name) {
        ("rule", "allow" | "deny") => ("Rule", "action"),
        // What is said nowhere depends on other keys.
        ("rule", name) => ("Rule", name),
        ("listener", name) => ("Listener", name),
        ("topic", name) => ("TopicRule", name),
        ("bridge", name) => ("Bridge", name),
        ("certificate", name) if sort.is_none() => ("Certificate", name),
        ("authentication", name) if sort.is_none() => ("Authentication", name),
        (_, name) => (sort_owner(list, sort.unwrap()), name),
    };
    let default = match (list.name, column.name) {
        (_, "name") if default == "`\"\"`" => "see right".to_owned(),
        ("listener", "client_certificate") => "see right".to_owned(),
        ("rule", "allow" | "deny") => "one of both".to_owned(),
        ("certificate", "chain" | "acme") => "one of both".to_owned(),
        _ => default,
    };
    format!(
        "| `{}.{}` | {default} | {} | {} | {} |\n",
        list.name,
        column.name,
        values(&column.kind),
        effect(column.effect),
        comment(owner, field)
    )
}

fn default_cell(kind: &Kind, value: &Value) -> String {
    kind.show(value)
        .map_or("not set".to_owned(), |value| format!("`{value}`"))
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Reload => "at a reload",
        Effect::Restart => "at a restart",
    }
}

/// The type whose fields are the keys of a section.
fn owner(section: &str) -> &'static str {
    match section {
        "" | "shared_subscriptions" => "Config",
        "access" => "Access",
        "store" => "Store",
        "log" => "Log",
        "dashboard" => "Dashboard",
        "metrics" => "Metrics",
        "telemetry" => "Telemetry",
        "alarms" => "Alarms",
        "audit" => "Audit",
        "dynamic_security" => "DynamicSecurity",
        "limits" => "Limits",
        section => panic!("the section {section} is new here"),
    }
}

/// The type whose fields are the keys of a sort of entries.
fn sort_owner(list: &List, sort: &Sort) -> &'static str {
    match (list.name, sort.word) {
        ("certificate", "chain") => "CertificateFiles",
        ("certificate", "acme") => "Acme",
        (_, "passwords") => "Passwords",
        (_, "database" | "scram") => "Method",
        (_, "certificate") => "ByCertificate",
        (_, "jwt") => "Jwt",
        (_, "http") => "Http",
        (_, "postgresql" | "mysql") => "Sql",
        (_, "redis") => "Redis",
        (_, "mongodb") => "MongoDb",
        (_, "ldap") => "Ldap",
        (_, word) => panic!("the sort {word} is new here"),
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
        Kind::Mark => "`true`".into(),
        Kind::Text(_) => "text".into(),
        Kind::Template(_) => "text with placeholders".into(),
        Kind::Secret(_) => "text that is not shown".into(),
        Kind::Header => "`\"Name: value\"`".into(),
        Kind::File => "file".into(),
        Kind::Made => "path".into(),
        Kind::Mode => "octal digits".into(),
        Kind::Rate(Per::Piece) => "rate, such as `\"100/s\"`".into(),
        Kind::Rate(Per::Byte) => "rate, such as `\"1MiB/s\"`".into(),
        Kind::Url(schemes) => format!("address: `{}://`", schemes.join("://`, `")),
        Kind::Location(schemes) => format!("address: `{}://`, or file", schemes.join("://`, `")),
        Kind::List(kind) => format!("list: {}", values(kind)),
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

/// What a type's own comment says, or for a variant without one of its own the variant's.
fn about(owner: &str, word: &str) -> String {
    let mark = match word {
        "database" => "    Database,".to_owned(),
        "scram" => "    Scram,".to_owned(),
        _ => format!("pub struct {owner} {{"),
    };
    let lines = |source: &'static str| source.lines().collect::<Vec<_>>();
    let found = SOURCES
        .iter()
        .map(|source| lines(source))
        .find_map(|lines| {
            let at = lines.iter().position(|line| *line == mark)?;
            Some(text_above(&lines, at))
        });
    found.unwrap_or_else(|| panic!("nothing is said of {word}"))
}

/// The documentation comment of a field of a struct, as one line.
fn comment(owner: &str, field: &str) -> String {
    let mark = format!("\npub struct {owner} {{\n");
    let (_, fields) = SOURCES
        .iter()
        .find_map(|source| source.split_once(&mark))
        .unwrap_or_else(|| panic!("no struct {owner}"));
    let (fields, _) = fields.split_once("\n}\n").unwrap();
    let lines: Vec<&str> = std::iter::once("")
        .chain(fields.lines().map(str::trim))
        .collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with(&format!("pub {field}: ")))
        .unwrap_or_else(|| panic!("no field {field} in {owner}"));
    text_above(&lines, at)
}

/// The comment above a line, attributes left out, as one line.
fn text_above(lines: &[&str], at: usize) -> String {
    let above = lines[..at].iter().rev().map(|line| line.trim());
    let mut text: Vec<&str> = above
        .skip_while(|line| line.starts_with("#["))
        .map_while(|line| line.strip_prefix("///"))
        .map(str::trim)
        .collect();
    assert!(!text.is_empty(), "{} has no comment", lines[at]);
    text.reverse();
    text.join(" ")
}

fn page(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(file)
}

const HEAD: &str = "| key | default | values | a change acts | meaning |\n|---|---|---|---|---|\n";

/// Compares the part of a file of docs/ between the marks `name` with what it should be.
fn compare(file: &str, name: &str, wanted: &str) {
    // Several tables of one page are written by tests that run at once.
    static WRITING: Mutex<()> = Mutex::new(());
    let _alone = WRITING.lock();
    let path = page(file);
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

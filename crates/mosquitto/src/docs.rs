//! The table of docs/migrating-from-mosquitto.md is made here, from the table of options.
//! `NIGHTJAR_WRITE_DOCS=1` writes it.

use std::fs;
use std::path::Path;

use crate::options::{Becomes, KNOWN, Scope};

#[test]
fn options_are_documented() {
    let mut text = String::new();
    for (scope, title) in [
        (Scope::Server, "Of the server"),
        (Scope::Listener, "Of a listener"),
        (
            Scope::Security,
            "Of the server, or of a listener with `per_listener_settings`",
        ),
        (Scope::Bridge, "Of a bridge"),
    ] {
        text.push_str(&format!(
            "#### {title}\n\n| option | here | what it means |\n|---|---|---|\n"
        ));
        for known in KNOWN.iter().filter(|known| known.scope == scope) {
            let (word, what) = match known.becomes {
                Becomes::Honoured(what) => ("honoured", what),
                Becomes::Noted(what) => ("noted", what),
                Becomes::Refused(what) => ("refused", what),
            };
            let what = what.replace('|', "\\|");
            text.push_str(&format!("| `{}` | {word} | {what} |\n", known.name));
        }
        text.push('\n');
    }
    compare(&text);
}

fn compare(wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/migrating-from-mosquitto.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- begin options -->\n", "<!-- end options -->\n");
    let (head, rest) = page.split_once(begin).expect("the begin mark");
    let (found, tail) = rest.split_once(end).expect("the end mark");
    if found == wanted {
        return;
    }
    if std::env::var_os("NIGHTJAR_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{head}{begin}{wanted}{end}{tail}")).unwrap();
        return;
    }
    panic!("docs/migrating-from-mosquitto.md is behind: run `make docs` and commit what it writes");
}

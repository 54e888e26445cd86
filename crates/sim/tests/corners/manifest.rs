//! The list in docs/conformance.md against the stories.

use std::collections::BTreeSet;
use std::path::Path;

/// Every story: its name, and the doc line before it.
fn stories() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corners");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder of this test") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a text");
        let mut cited = String::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("/// ") {
                cited.push_str(words);
            } else if let Some(rest) = line.strip_prefix("fn c") {
                let name = rest.split('(').next().unwrap_or_default();
                if name.starts_with(|first: char| first.is_ascii_digit()) {
                    found.push((format!("c{name}"), cited.clone()));
                }
                cited.clear();
            } else if !line.starts_with("#[") {
                cited.clear();
            }
        }
    }
    found
}

/// Every name of a story in the list.
fn listed() -> (String, BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conformance.md");
    let text = std::fs::read_to_string(path).expect("docs/conformance.md");
    let names = text
        .split('`')
        .filter(|word| word.starts_with('c') && word.contains('_'))
        .filter(|word| word[1..].starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    (text, names)
}

#[test]
fn the_list_and_the_stories_agree() {
    let (text, listed) = listed();
    let told: BTreeSet<String> = stories().into_iter().map(|(name, _)| name).collect();
    let missing: Vec<_> = told.difference(&listed).collect();
    assert!(
        missing.is_empty(),
        "not in docs/conformance.md: {missing:#?}"
    );
    let gone: Vec<_> = listed.difference(&told).collect();
    assert!(gone.is_empty(), "no such story: {gone:#?}");
    for corner in 1..=44 {
        let heading = format!("| C{corner:02} |");
        assert!(
            text.contains(&heading),
            "C{corner:02} is not in docs/conformance.md"
        );
        // C42 is about frames of WebSocket, which the core never sees.
        let prefix = format!("c{corner:02}_");
        assert!(
            corner == 42 || told.iter().any(|name| name.starts_with(&prefix)),
            "C{corner:02} has no story"
        );
    }
}

/// Appendix B of MQTT 5.0 numbers some statements otherwise than its body: the body counts, by
/// its ids or its sections (§).
#[test]
fn c44_every_story_cites_the_body_of_the_standard() {
    let stories = stories();
    assert!(stories.len() > 100, "{}", stories.len());
    for (name, cited) in stories {
        assert!(
            cited.contains("MQTT-") || cited.contains('§') || cited.contains("Appendix"),
            "{name}: {cited}"
        );
    }
}

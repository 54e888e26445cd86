//! The same as a file of ours, with what is not the same at its head.

use std::fmt::Write;
use std::path::Path;

use config::Config;

use crate::{Note, Translation, Weight};

/// The `nightjar.toml` that says what a configuration of Mosquitto says. It is complete: the rules
/// of its `acl_file` are in it, and so are Mosquitto's defaults where ours are others.
pub fn render(translation: &Translation, file: &Path) -> String {
    let mut text = String::new();
    comment(&mut text, &format!("The same as {}", file.display()));
    let differs = notes(translation, Weight::Differs);
    let same = notes(translation, Weight::Same);
    if differs.is_empty() {
        comment(&mut text, "Nothing in it has another meaning here.");
    } else {
        comment(&mut text, "");
        comment(&mut text, "What is not the same:");
        list(&mut text, &differs);
    }
    if !same.is_empty() {
        comment(&mut text, "");
        comment(
            &mut text,
            "What holds, though it may not be what you would choose today:",
        );
        list(&mut text, &same);
    }
    text.push('\n');
    text.push_str(&bare(&translation.config).to_short_toml());
    text
}

fn notes(translation: &Translation, weight: Weight) -> Vec<&Note> {
    let notes = translation.notes.iter();
    notes.filter(|note| note.weight == weight).collect()
}

fn list(text: &mut String, notes: &[&Note]) {
    for note in notes {
        let line = match &note.place {
            Some(place) => format!("- {place}: {}", note.text),
            None => format!("- {}", note.text),
        };
        comment(text, &line);
    }
}

/// Lines of a comment, not much longer than 100 letters.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    let indent = if words.starts_with("- ") { "#  " } else { "#" };
    for word in words.split_whitespace() {
        if line.chars().count().saturating_add(word.chars().count()) >= 99 {
            // Writing into a String cannot fail.
            let _infallible = writeln!(text, "{line}");
            line = indent.to_owned();
        }
        line.push(' ');
        line.push_str(&word.replace(char::is_control, "?"));
    }
    let _infallible = writeln!(text, "{line}");
}

/// Without what a file of ours gets by being read.
fn bare(config: &Config) -> Config {
    let mut bare = config.clone();
    for rule in &mut bare.rules {
        rule.source.clear();
    }
    bare
}

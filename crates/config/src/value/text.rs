//! Text in quotes.

/// A basic string of TOML. `${` is doubled, so that reading it gives the same text.
pub(crate) fn toml_string(text: &str) -> String {
    toml_template(&text.replace("${", "$${"))
}

/// A basic string of TOML for a key that leaves `${` as it is.
pub(crate) fn toml_template(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().saturating_add(2));
    shown.push('"');
    for letter in text.chars() {
        match letter {
            '"' => shown.push_str("\\\""),
            '\\' => shown.push_str("\\\\"),
            letter if letter.is_control() => {
                shown.push_str(&format!("\\u{:04X}", u32::from(letter)));
            }
            letter => shown.push(letter),
        }
    }
    shown.push('"');
    shown
}

/// What was written, in quotes, without a line break in it and not too long for a line.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("\"{}\"", shown.escape_debug())
}

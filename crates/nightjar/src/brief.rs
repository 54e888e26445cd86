//! Words of strangers, bounded: an identifier may have 64 KB, and what is remembered or logged of so many
//! of them must not take memory or disk by that.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use types::ClientId;

/// Most bytes of a text that stays as it is, and of the beginning of one that does not.
pub(crate) const WORDS: usize = 256;

/// Another in each process, so that nobody can look for two texts that look the same.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A text as it is, or its beginning with its length and a sum of the whole: what differs behind the
/// beginning stays apart, and nothing that is cut reads like something that is not.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.len() <= WORDS {
        return Cow::Borrowed(text);
    }
    let sum = HASHER.hash_one(text);
    let begin = beginning(text);
    Cow::Owned(format!("{begin}…[{} bytes, {sum:016x}]", text.len()))
}

/// A client identifier, likewise.
pub(crate) fn id(client: &ClientId) -> ClientId {
    match text(client.as_str()) {
        Cow::Borrowed(_) => client.clone(),
        // It is not empty.
        Cow::Owned(short) => ClientId::new(&short).unwrap_or_else(|| client.clone()),
    }
}

/// The beginning of a text.
pub(crate) fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(WORDS)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s95_long_texts_are_short_and_stay_apart() {
        assert_eq!(text("a"), "a");
        let whole = "x".repeat(WORDS);
        assert_eq!(text(&whole), whole);
        let (one, other) = ("ä".repeat(30_000) + "1", "ä".repeat(30_000) + "2");
        let (short, second) = (text(&one), text(&other));
        assert!(short.len() <= WORDS + 48, "{short}");
        assert!(short.starts_with("ää") && short.contains("…[60001 bytes, "));
        assert_ne!(short, second);
        assert_eq!(short, text(&one));
        let client = ClientId::new(&one).expect("an id");
        assert_eq!(id(&client).as_str(), short);
    }
}

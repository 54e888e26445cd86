//! Where a scan of the retained messages goes on.

/// Where a scan goes on. Starts with `ScanCursor::default()`; belongs to one filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanCursor {
    pub(super) rest: Rest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// This topic and those behind it.
    At(String),
    /// Those behind this topic.
    Behind(String),
    /// Nothing is left.
    End,
}

impl Default for Rest {
    fn default() -> Self {
        Self::At(String::new())
    }
}

/// Whether a scan came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanProgress {
    /// Call again.
    More,
    /// All that matches was returned.
    Done,
}

impl ScanCursor {
    pub(super) fn progress(&self) -> ScanProgress {
        match self.rest {
            Rest::End => ScanProgress::Done,
            Rest::At(_) | Rest::Behind(_) => ScanProgress::More,
        }
    }

    /// The cursor as text, for who goes on later; `None` if nothing is left.
    pub fn to_text(&self) -> Option<String> {
        match &self.rest {
            Rest::At(topic) => Some(format!("={topic}")),
            Rest::Behind(topic) => Some(format!(">{topic}")),
            Rest::End => None,
        }
    }

    /// The cursor that this text stands for. Any place will do: a scan goes on from there.
    pub fn from_text(text: &str) -> Option<Self> {
        let rest = match text.split_at_checked(1)? {
            ("=", topic) => Rest::At(topic.to_owned()),
            (">", topic) => Rest::Behind(topic.to_owned()),
            _ => return None,
        };
        Some(Self { rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_as_text() {
        for rest in [
            Rest::default(),
            Rest::At("a/0".into()),
            Rest::Behind("é".into()),
        ] {
            let cursor = ScanCursor { rest };
            let text = cursor.to_text().unwrap();
            assert_eq!(ScanCursor::from_text(&text), Some(cursor));
        }
        assert_eq!(ScanCursor { rest: Rest::End }.to_text(), None);
        for text in ["", "é", "x", "a=b"] {
            assert_eq!(ScanCursor::from_text(text), None, "{text}");
        }
    }
}

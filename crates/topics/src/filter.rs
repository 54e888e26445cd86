//! The rule of MQTT 5.0, 4.7, in its plainest form.

use types::{TopicFilter, TopicName};

/// Whether a topic name matches a filter.
///
/// `#` stands for any number of levels, none included (4.7.1-1), `+` for exactly one
/// (4.7.1-2); a filter that starts with either never matches a topic that starts with `$`
/// (4.7.2-1). Comparison is of bytes, without normalisation (4.7.3-4).
pub fn matches(filter: &TopicFilter, topic: TopicName<'_>) -> bool {
    let mut wanted = filter.as_str().split('/');
    let mut levels = topic.as_str().split('/');
    if topic.is_reserved() && filter.as_str().starts_with(['+', '#']) {
        return false;
    }
    loop {
        match (wanted.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(want), Some(level)) if want == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &str, topic: &str) -> bool {
        matches(
            &TopicFilter::parse(filter, u16::MAX).unwrap(),
            TopicName::parse(topic, u16::MAX).unwrap(),
        )
    }

    #[test]
    fn hash_includes_the_parent_4_7_1_1() {
        for topic in ["sport", "sport/", "sport/tennis", "sport/tennis/player1"] {
            assert!(check("sport/#", topic), "{topic}");
        }
        assert!(!check("sport/#", "sports"));
        assert!(check("#", "/"));
        assert!(check("a//#", "a/"));
    }

    #[test]
    fn plus_is_one_level_4_7_1_2() {
        assert!(check("sport/+", "sport/"));
        assert!(!check("sport/+", "sport"));
        assert!(!check("sport/+", "sport/a/b"));
        assert!(check("+/+", "/finance"));
        assert!(check("/+", "/finance"));
        assert!(!check("+", "/finance"));
    }

    #[test]
    fn wildcards_spare_dollar_4_7_2_1() {
        for filter in ["#", "+/x", "+/#"] {
            assert!(!check(filter, "$SYS/x"), "{filter}");
        }
        for filter in ["$SYS/#", "$SYS/+", "$SYS/x"] {
            assert!(check(filter, "$SYS/x"), "{filter}");
        }
        assert!(check("a/+", "a/$b"));
    }

    #[test]
    fn names_are_exact_4_7_3_4() {
        assert!(!check("ACCOUNTS", "Accounts"));
        assert!(!check("a", "a/"));
        assert!(!check("/a", "a"));
        assert!(check("a b", "a b"));
    }
}

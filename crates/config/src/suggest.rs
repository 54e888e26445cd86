//! "Did you mean": the nearest of the names that exist.

/// The nearest of `names`, if it is near enough to be a slip of the pen: at most a third of
/// the letters wrong.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A longer word is no slip of any name, and would cost its length squared.
    if word.len() > 64 {
        return None;
    }
    let near_enough = word.chars().count().div_ceil(3);
    names
        .map(|name| (distance(word, name), name))
        .filter(|(distance, _)| *distance <= near_enough)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's distance: letters put in, taken out or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, from) in a.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line.saturating_add(1);
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(from != *to));
            left = replaced
                .min(left.saturating_add(1))
                .min(above.saturating_add(1));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("flaw", "lawn"), 2);
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["workers", "node", "listener"];
        assert_eq!(nearest("worker", names.into_iter()), Some("workers"));
        assert_eq!(nearest("listeners", names.into_iter()), Some("listener"));
        assert_eq!(nearest("persistence", names.into_iter()), None);
    }
}

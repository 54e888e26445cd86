//! Names in one level of the retained topics, without a walk over what is below them.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

/// A name in a level of the retained topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelName {
    /// The name.
    pub name: String,
    /// A message is retained on the topic that ends here.
    pub retained: bool,
    /// How many names are in the level below; counted up to a bound.
    pub children: usize,
}

/// All that starts with `a/` is below `a0`.
const BEHIND_SLASH: char = '0';

/// Names below `under` (with its `/`; empty for the first level) and behind `after`, in the order
/// of their bytes: at most `max`. Of the level below each, at most `count` names are counted.
pub(super) fn names(
    order: &BTreeSet<Arc<str>>,
    under: &str,
    after: Option<&str>,
    max: usize,
    count: usize,
) -> Vec<LevelName> {
    let mut found = Vec::new();
    let mut last: Option<String> = after.map(String::from);
    while found.len() < max
        && let Some(name) = next_name(order, under, last.as_deref())
    {
        let topic = format!("{under}{name}");
        let below = format!("{topic}/");
        let mut children = 0;
        let mut child: Option<String> = None;
        while children < count
            && let Some(next) = next_name(order, &below, child.as_deref())
        {
            children += 1;
            child = Some(next);
        }
        found.push(LevelName {
            retained: order.contains(topic.as_str()),
            children,
            name: name.clone(),
        });
        last = Some(name);
    }
    found
}

/// The lowest name below `under` that is behind `after`.
///
/// In the order of topics `a` is before `a-b`, which is before `a/b`: a name that has nothing but
/// topics below it may stand behind such as go on from it.
fn next_name(order: &BTreeSet<Arc<str>>, under: &str, after: Option<&str>) -> Option<String> {
    let mut from = match after {
        None => Bound::Included(String::from(under)),
        Some(after) => Bound::Excluded(format!("{under}{after}")),
    };
    let name = loop {
        let first = first_from(order, from.as_ref().map(String::as_str))?;
        let rest = first.strip_prefix(under)?;
        let name = rest.split('/').next().unwrap_or(rest);
        if after.is_none_or(|after| name > after) {
            break name;
        }
        // What is below `after` itself, or below a beginning of it.
        from = Bound::Included(format!("{under}{name}{BEHIND_SLASH}"));
    };
    // A beginning of it that is behind `after`, and that has topics below it only.
    let ends = name.char_indices().filter(|(_, letter)| *letter < '/');
    let hidden = ends
        .map(|(at, _)| name.split_at(at).0)
        .filter(|short| after.is_none_or(|after| *short > after))
        .find(|short| {
            let below = format!("{under}{short}/");
            first_from(order, Bound::Included(&below)).is_some_and(|it| it.starts_with(&below))
        });
    Some(hidden.unwrap_or(name).to_owned())
}

fn first_from<'a>(order: &'a BTreeSet<Arc<str>>, from: Bound<&str>) -> Option<&'a str> {
    let mut topics = order.range::<str, _>((from, Bound::Unbounded));
    topics.next().map(|topic| &**topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, by looking at everything.
    fn naive(topics: &[&str], under: &str) -> Vec<(String, bool, usize)> {
        let below = |under: &str| -> BTreeSet<String> {
            let rests = topics.iter().filter_map(|topic| topic.strip_prefix(under));
            rests
                .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
                .collect()
        };
        let names = below(under).into_iter();
        names
            .map(|name| {
                let topic = format!("{under}{name}");
                let children = below(&format!("{topic}/")).len();
                (name, topics.contains(&topic.as_str()), children)
            })
            .collect()
    }

    #[test]
    fn a_level_is_what_a_look_at_everything_finds() {
        let topics = [
            "a",
            "a-b",
            "a-b/c",
            "a/b",
            "a/b/c/d",
            "a/d",
            "a!/x",
            "a!x",
            "ab",
            "b/x/y",
            "b-/x",
            "/",
            "/x",
            "//",
            "c",
            "c/",
            "c/x",
            "$SYS/broker",
            "ä/x",
            "a+/y",
        ];
        let order: BTreeSet<Arc<str>> = topics.iter().map(|topic| Arc::from(*topic)).collect();
        for under in ["", "a/", "a/b/", "b/", "/", "//", "c/", "none/", "ä/"] {
            let wanted = naive(&topics, under);
            for piece in 1..5 {
                let mut seen = Vec::new();
                let mut after: Option<String> = None;
                loop {
                    let some = names(&order, under, after.as_deref(), piece, 100);
                    let Some(last) = some.last() else { break };
                    after = Some(last.name.clone());
                    let rows = some.into_iter();
                    seen.extend(rows.map(|it| (it.name, it.retained, it.children)));
                }
                assert_eq!(seen, wanted, "{under:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn children_are_counted_up_to_a_bound() {
        let topics = (0..50).map(|number| Arc::from(format!("a/{number}/x")));
        let order: BTreeSet<Arc<str>> = topics.collect();
        let found = names(&order, "", None, 10, 16);
        assert_eq!((found.len(), found[0].children), (1, 16));
    }
}

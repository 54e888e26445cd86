//! Where in an ordered list of topics the next one is that a filter may match.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use types::TopicFilter;

use super::{Rest, ScanCursor};

/// The next topics that match, up to `max` of them, after four times `max` looks at most.
pub(super) fn walk(
    order: &BTreeSet<Arc<str>>,
    filter: &TopicFilter,
    cursor: &mut ScanCursor,
    max: usize,
) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = Vec::new();
    let mut looks = max.saturating_mul(4);
    loop {
        let from = match &cursor.rest {
            Rest::At(topic) => Bound::Included(topic.as_str()),
            Rest::Behind(topic) => Bound::Excluded(topic.as_str()),
            Rest::End => return found,
        };
        let mut topics = order.range::<str, _>((from, Bound::Unbounded));
        cursor.rest = loop {
            let Some(topic) = topics.next() else {
                break Rest::End;
            };
            looks = looks.saturating_sub(1);
            match judge(filter.as_str(), topic) {
                Verdict::Match => found.push(Arc::clone(topic)),
                Verdict::Next => {}
                Verdict::Seek(target) => break Rest::At(target),
                Verdict::Past => break Rest::End,
            }
            if found.len() == max || looks == 0 {
                cursor.rest = Rest::Behind(String::from(&**topic));
                return found;
            }
        };
        if looks == 0 {
            return found;
        }
    }
}

/// What a filter says of a topic and of those behind it, in the order of their bytes.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The topic matches.
    Match,
    /// The topic does not match; the next one may.
    Next,
    /// The topic does not match, nor does any between it and this one, which is greater.
    Seek(String),
    /// Neither the topic nor any behind it matches.
    Past,
}

/// The byte behind `/`: all that starts with `a/` is below `a0`.
const BEHIND_SLASH: char = '0';

/// The byte behind `$`.
const BEHIND_DOLLAR: &str = "%";

/// Judges a topic. With each `+` the list falls into parts with a common beginning; in a
/// part, the levels after the last `+` are literal and say directly where to look.
fn judge(filter: &str, topic: &str) -> Verdict {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return Verdict::Seek(BEHIND_DOLLAR.to_owned());
    }
    // Where the topic's level of the last `+` ends.
    let mut plus: Option<usize> = None;
    let mut start = 0;
    let mut wanted = filter;
    loop {
        let (want, rest) = split(wanted);
        if want == "#" {
            return Verdict::Match;
        }
        let end = topic[start..]
            .find('/')
            .map_or(topic.len(), |at| start + at);
        if want == "+" {
            plus = Some(end);
        } else if want != &topic[start..end] {
            return literal(topic, start, want, rest, plus);
        }
        match (rest, end == topic.len()) {
            (None | Some("#"), true) => return Verdict::Match,
            // The topic is a parent of what is wanted. Other values of this `+` may come
            // before its children: `a!` does before `a/`.
            (Some(_), true) if want == "+" => return Verdict::Next,
            (Some(rest), true) => {
                let (next, _) = split(rest);
                let next = if next == "+" { "" } else { next };
                return Verdict::Seek(format!("{topic}/{next}"));
            }
            (None, false) if want == "+" => return behind(topic, Some(end)),
            (None, false) => return behind(topic, plus),
            (Some(rest), false) => {
                wanted = rest;
                start = end + 1;
            }
        }
    }
}

/// The topic differs from a literal level that starts at `start`.
fn literal(
    topic: &str,
    start: usize,
    want: &str,
    rest: Option<&str>,
    plus: Option<usize>,
) -> Verdict {
    let alone = format!("{}{want}", &topic[..start]);
    // Without more levels only the literal itself matches; with `#` it and its children do,
    // with any other its children only.
    if rest.is_none_or(|rest| rest == "#") && alone.as_str() > topic {
        return Verdict::Seek(alone);
    }
    if rest.is_some() {
        let children = alone + "/";
        if children.as_str() > topic {
            return Verdict::Seek(children);
        }
    }
    behind(topic, plus)
}

/// All with this beginning are behind us: on to the next value of the last `+`.
fn behind(topic: &str, plus: Option<usize>) -> Verdict {
    match plus {
        Some(end) => {
            let mut target = topic[..end].to_owned();
            target.push(BEHIND_SLASH);
            Verdict::Seek(target)
        }
        None => Verdict::Past,
    }
}

fn split(filter: &str) -> (&str, Option<&str>) {
    match filter.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (filter, None),
    }
}

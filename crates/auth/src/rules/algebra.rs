//! Which topics a pattern has in common with a filter.
//!
//! Each question is one walk along the levels of both. Topics that begin with `$` are matched by
//! no wildcard in the first level (MQTT-4.7.2-1), and `#` matches the level above it, too
//! (MQTT-4.7.1-1). The empty topic, which is none, is taken for one here: so `+` overlaps `/#`, and
//! `/+/#` does not cover it, on the safe side.

use super::pattern::Level;
use super::values::Values;

/// Whether a pattern matches a topic.
pub(super) fn matches(pattern: &[Level], values: &Values<'_>, topic: &str) -> bool {
    if topic.starts_with('$') && is_wild(pattern.first()) {
        return false;
    }
    let mut rest = Some(topic);
    let mut first = true;
    for want in pattern {
        let behind = match (want, rest) {
            (Level::Hash, _) => return true,
            (_, None) => return false,
            // Most rules end here, at the first level, without a look at the rest of the topic.
            (Level::Text(text), Some(rest)) => match rest.strip_prefix(&**text) {
                Some(behind) => behind,
                None => return false,
            },
            (Level::Plus | Level::Form(_), Some(rest)) => {
                let end = rest.bytes().position(|byte| byte == b'/');
                let (level, behind) = rest.split_at(end.unwrap_or(rest.len()));
                if !is_one(want, values, level, first) {
                    return false;
                }
                behind
            }
        };
        rest = match behind.strip_prefix('/') {
            None if behind.is_empty() => None,
            // The level goes on.
            None => return false,
            levels => levels,
        };
        first = false;
    }
    rest.is_none()
}

/// Whether a pattern matches each topic that a filter matches.
pub(super) fn covers(pattern: &[Level], values: &Values<'_>, filter: &str) -> bool {
    if filter.starts_with('$') && is_wild(pattern.first()) || !is_filled(pattern, values) {
        return false;
    }
    // At least one level there is, so `#` is `+/#`.
    if filter == "#" {
        return match pattern {
            [Level::Hash] => true,
            [Level::Plus, rest @ ..] => matches!(rest, [Level::Hash]),
            _ => false,
        };
    }
    let mut wanted = pattern.iter();
    let mut levels = filter.split('/');
    let mut first = true;
    loop {
        match (wanted.next(), levels.next()) {
            (Some(Level::Hash), _) | (None, None) => return true,
            // It has the level above in it, which nothing but `#` matches as well.
            (_, Some("#")) => return false,
            (Some(Level::Plus), Some(_)) => {}
            (Some(_), Some("+")) => return false,
            (Some(want), Some(level)) if is_one(want, values, level, first) => {}
            _ => return false,
        }
        first = false;
    }
}

/// Whether some topic is matched by a pattern and by a filter.
pub(super) fn overlaps(pattern: &[Level], values: &Values<'_>, filter: &str) -> bool {
    let is_reserved = match pattern.first() {
        Some(Level::Text(text)) => text.starts_with('$'),
        Some(Level::Form(form)) => form.is_reserved(),
        Some(Level::Plus | Level::Hash) | None => false,
    };
    if filter.starts_with('$') && is_wild(pattern.first())
        || filter.starts_with(['+', '#']) && is_reserved
        || !is_filled(pattern, values)
    {
        return false;
    }
    let mut wanted = pattern.iter();
    let mut levels = filter.split('/');
    let mut first = true;
    loop {
        match (wanted.next(), levels.next()) {
            (Some(Level::Hash), _) | (_, Some("#")) | (None, None) => return true,
            (Some(_), Some("+")) => {}
            (Some(want), Some(level)) if is_one(want, values, level, first) => {}
            _ => return false,
        }
        first = false;
    }
}

/// Whether a pattern is a filter to the letter.
pub(super) fn same(pattern: &[Level], values: &Values<'_>, filter: &str) -> bool {
    if !is_filled(pattern, values) {
        return false;
    }
    let mut wanted = pattern.iter();
    let mut levels = filter.split('/');
    let mut first = true;
    loop {
        match (wanted.next(), levels.next()) {
            (None, None) => return true,
            (Some(Level::Plus), Some("+")) | (Some(Level::Hash), Some("#")) => {}
            (Some(Level::Plus | Level::Hash), _) | (_, Some("+" | "#")) => return false,
            (Some(want), Some(level)) if is_one(want, values, level, first) => {}
            _ => return false,
        }
        first = false;
    }
}

/// Whether a level of a pattern matches a level that is no wildcard.
fn is_one(want: &Level, values: &Values<'_>, level: &str, first: bool) -> bool {
    match want {
        Level::Text(text) => **text == *level,
        Level::Plus | Level::Hash => true,
        Level::Form(form) => form.matches(values, level.as_bytes(), first),
    }
}

fn is_wild(level: Option<&Level>) -> bool {
    matches!(level, Some(Level::Plus | Level::Hash))
}

fn is_filled(pattern: &[Level], values: &Values<'_>) -> bool {
    let mut first = true;
    pattern.iter().all(|level| match level {
        Level::Form(form) => form.is_filled(values, std::mem::replace(&mut first, false)),
        Level::Text(_) | Level::Plus | Level::Hash => {
            first = false;
            true
        }
    })
}

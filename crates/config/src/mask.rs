//! The text of a file without what nobody may see, and back (S71).
//!
//! A secret becomes `***`. Who sends the text back keeps the secret by leaving that as it is, but only
//! in an entry whose addresses are what they were: a secret never goes to another server than the one
//! that it was written for.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::Url;
use crate::error::{ConfigError, ConfigErrors, Place};
use crate::formats::header_parts;
use crate::keys::{SECTIONS, find};
use crate::lists::{Column, LISTS, List, Sort, Sorts};
use crate::source::File;
use crate::told::UNSEEN;
use crate::value::{HIDDEN, Kind, toml_string, toml_template};

/// A text that may hold a secret.
struct Found<'t> {
    list: &'static str,
    column: &'static str,
    /// Of its entry: what says to whom the secret goes.
    anchor: String,
    /// The number of its entry.
    entry: usize,
    span: Range<usize>,
    value: &'t str,
    /// As it may be shown; none if all of it may.
    masked: Option<String>,
}

/// The text with `***` in place of each secret; `None` if it is not TOML. Comments stay.
pub fn masked(text: &str) -> Option<String> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return None;
    }
    let mut found = secrets(root.get_ref());
    found.sort_by_key(|one| one.span.start);
    let changes = found.into_iter().filter_map(|one| {
        let masked = one.masked?;
        Some((one.span, toml_string(&masked)))
    });
    Some(replaced(text, changes.collect()))
}

/// The text with the secrets of `old` in place of each `***`. What is not TOML stays as it is, to be
/// refused by who reads it.
///
/// # Errors
/// A `***` stands for no secret of `old`, or for one that went elsewhere. `path` is the file's name for
/// that.
pub fn unmasked(path: &Path, text: &str, old: &str) -> Result<String, ConfigErrors> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let (before, broken) = DeTable::parse_recoverable(old);
    if !errors.is_empty() {
        return Ok(text.to_owned());
    }
    let before = match broken.is_empty() {
        true => secrets(before.get_ref()),
        false => Vec::new(),
    };
    let file = File::new(path, text);
    let (mut changes, mut wrong) = (Vec::new(), Vec::new());
    for one in secrets(root.get_ref()) {
        if !one.value.contains(UNSEEN) {
            continue;
        }
        match original(&one, &before).and_then(|it| old.get(it.span.clone())) {
            Some(kept) => changes.push((one.span, kept.to_owned())),
            None => wrong.push(ConfigError {
                place: file.place(one.span),
                message: format!(
                    "{}.{}: *** stands for no secret of this entry as it was; write the secret",
                    one.list, one.column
                ),
            }),
        }
    }
    ConfigErrors::none_of(wrong)?;
    changes.sort_by_key(|(span, _)| span.start);
    Ok(replaced(text, changes))
}

/// The secret that a masked one stands for.
fn original<'f, 't>(one: &Found<'_>, before: &'f [Found<'t>]) -> Option<&'f Found<'t>> {
    let is_it = |old: &&Found<'_>| {
        old.list == one.list
            && old.column == one.column
            && old.anchor == one.anchor
            && old.masked.as_deref() == Some(one.value)
    };
    let all: Vec<_> = before.iter().filter(is_it).collect();
    let first = all.first()?;
    match all.iter().all(|other| other.value == first.value) {
        true => Some(first),
        false => all.into_iter().find(|other| other.entry == one.entry),
    }
}

fn replaced(text: &str, changes: Vec<(Range<usize>, String)>) -> String {
    let (mut result, mut at) = (String::with_capacity(text.len()), 0);
    for (span, new) in changes {
        result.push_str(text.get(at..span.start).unwrap_or_default());
        result.push_str(&new);
        at = span.end;
    }
    result.push_str(text.get(at..).unwrap_or_default());
    result
}

/// All that may be secret.
fn secrets<'t>(root: &'t DeTable<'_>) -> Vec<Found<'t>> {
    let mut found = Vec::new();
    for (name, value) in root {
        if let Some(section) = SECTIONS.iter().find(|section| *section == name.get_ref())
            && let Some(table) = value.get_ref().as_table()
        {
            of_section(section, table, &mut found);
        }
        let list = LISTS.iter().find(|list| list.name == name.get_ref());
        let (Some(list), Some(entries)) = (list, value.get_ref().as_array()) else {
            continue;
        };
        for (entry, value) in entries.iter().enumerate() {
            if let Some(table) = value.get_ref().as_table() {
                of_entry(list, entry, table, &mut found);
            }
        }
    }
    found
}

fn of_section<'t>(section: &'static str, table: &'t DeTable<'_>, found: &mut Vec<Found<'t>>) {
    let known = |name: &str| find(section, name).map(|key| (key.name, key.kind));
    of_table((section, 0), &known, |_| false, table, found);
}

fn of_entry<'t>(
    list: &'static List,
    entry: usize,
    table: &'t DeTable<'_>,
    found: &mut Vec<Found<'t>>,
) {
    let (sort, own) = sort_of(list, table);
    // A name means another thing in another sort.
    let kind_of = |name: &str| {
        let mut columns = list.columns.iter().chain(own);
        let column = columns.find(|column| column.name == name)?;
        Some((column.name, column.kind))
    };
    let says = |name: &str| list.known_by == Some(name) || sort == Some(name);
    of_table((list.name, entry), &kind_of, says, table, found);
}

/// The secrets of a table, which is an entry of a list, or a section. `says` tells the keys that,
/// beside addresses, say what the table is about.
fn of_table<'t>(
    (list, entry): (&'static str, usize),
    kind_of: &dyn Fn(&str) -> Option<(&'static str, Kind)>,
    says: impl Fn(&str) -> bool,
    table: &'t DeTable<'_>,
    found: &mut Vec<Found<'t>>,
) {
    let mut anchor = String::new();
    for (name, value) in table {
        let name = name.get_ref().as_ref();
        let kind = kind_of(name).map(|(_, kind)| kind);
        let goes = matches!(kind, Some(Kind::Url(_) | Kind::Location(_)));
        if let (true, DeValue::String(text)) = (says(name) || goes, value.get_ref()) {
            let shown = kind.and_then(|kind| mask(&kind, text));
            let shown = shown.as_deref().unwrap_or(text);
            anchor.push_str(&format!("{name}={shown}\n"));
        }
    }
    for (name, value) in table {
        let Some((column, kind)) = kind_of(name.get_ref()) else {
            continue;
        };
        let (kind, values): (&Kind, Vec<&'t Spanned<DeValue<'_>>>) = match (&kind, value.get_ref())
        {
            (Kind::List(kind), DeValue::Array(values)) => (kind, values.iter().collect()),
            (kind, _) => (kind, vec![value]),
        };
        for value in values.into_iter().filter(|_| kind.may_be_secret()) {
            let DeValue::String(text) = value.get_ref() else {
                continue;
            };
            found.push(Found {
                list,
                column,
                anchor: anchor.clone(),
                entry,
                span: value.span(),
                value: text,
                masked: mask(kind, text),
            });
        }
    }
}

/// The key that says the sort of an entry, and the keys of that sort.
fn sort_of(list: &'static List, table: &DeTable<'_>) -> (Option<&'static str>, &'static [Column]) {
    let text = |key: &str| {
        let mut all = table.iter();
        all.find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value.get_ref().as_str().unwrap_or_default())
    };
    let found = |sort: Option<&'static Sort>| sort.map_or(&[][..], |sort| sort.columns);
    match &list.sorts {
        Sorts::One => (None, &[]),
        Sorts::Word(key, sorts) => {
            let word = text(key);
            (
                Some(key),
                found(sorts.iter().find(|sort| Some(sort.word) == word)),
            )
        }
        Sorts::Key(sorts) => {
            let sort = sorts.iter().find(|sort| text(sort.word).is_some());
            (None, found(sort))
        }
    }
}

/// A value with the names of variables of the environment in place of what they hold, which may be a
/// secret of somebody else (S97); `None` if there are no variables in it.
pub(crate) fn with_variables(kind: &Kind, value: &DeValue<'_>) -> Option<String> {
    if kind.has_placeholders() || !has_variable(value) {
        return None;
    }
    written(kind, value)
}

fn has_variable(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.replace("$${", "").contains("${"),
        DeValue::Array(values) => values.iter().any(|one| has_variable(one.get_ref())),
        _ => false,
    }
}

fn written(kind: &Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (kind, DeValue::String(text)) => {
            let masked = mask(kind, text);
            Some(toml_template(masked.as_deref().unwrap_or(text)))
        }
        (Kind::List(kind), DeValue::Array(values)) => {
            let values = values.iter().map(|one| written(kind, one.get_ref()));
            Some(format!(
                "[{}]",
                values.collect::<Option<Vec<_>>>()?.join(", ")
            ))
        }
        _ => None,
    }
}

/// A text as it may be shown; `None` if all of it may.
fn mask(kind: &Kind, text: &str) -> Option<String> {
    if is_variable(text) {
        return None;
    }
    let shown = match kind {
        Kind::Secret(_) => UNSEEN.to_owned(),
        Kind::Header => match header_parts(text) {
            Some((_, value)) if is_variable(value.trim()) => return None,
            Some((name, _)) => format!("{name}: {UNSEEN}"),
            None => UNSEEN.to_owned(),
        },
        Kind::Url(schemes) | Kind::Location(schemes) => match Url::parse(text, schemes) {
            Ok(url) => url.to_string().replace(HIDDEN, UNSEEN),
            Err(_) if text.contains("://") => UNSEEN.to_owned(),
            Err(_) => text.to_owned(),
        },
        _ => return None,
    };
    (shown != text).then_some(shown)
}

/// Whether all of it is the name of a variable, which is no secret.
fn is_variable(text: &str) -> bool {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.contains(['$', '{', '}']))
}

impl ConfigErrors {
    /// One thing that is wrong with a file as a whole.
    pub fn of_file(path: &Path, message: impl Into<String>) -> Self {
        Self::one(ConfigError {
            place: Place::WholeFile(path.to_owned()),
            message: message.into(),
        })
    }
}

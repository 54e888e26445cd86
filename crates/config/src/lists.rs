//! The lists of the file, `[[listener]]` and the others: what an entry holds. What `keys` is for
//! single keys, [`LISTS`] is for these.
//!
//! | module | owns |
//! |---|---|
//! | `entry` | how entries are read |
//! | `listener`, `certificate`, `authentication`, `rule`, `topic`, `bridge` | a list each |

mod authentication;
mod bridge;
mod certificate;
mod entry;
mod listener;
mod rule;
mod topic;

use std::collections::BTreeMap;

pub(crate) use authentication::complete as complete_authentication;
pub(crate) use listener::complete as complete_listeners;

use crate::config::Config;
use crate::error::Place;
use crate::keys::Effect;
use crate::value::{Kind, Value};

/// A list of tables.
pub(crate) struct List {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// With its article.
    pub(crate) one: &'static str,
    /// The keys of every entry.
    pub(crate) columns: &'static [Column],
    /// Further keys, by the sort of the entry; none if all entries are of one sort.
    pub(crate) sorts: Sorts,
    /// The key that tells entries apart; none if only their order does.
    pub(crate) known_by: Option<&'static str>,
    /// The keys that a variable or an option can set: the first, perhaps the second behind `=`.
    pub(crate) short: Option<Short>,
    /// When an entry that comes or goes acts.
    pub(crate) effect: Effect,
    /// How many entries a configuration has.
    pub(crate) len: fn(&Config) -> usize,
    /// Adds an entry with defaults.
    pub(crate) push: fn(&mut Config),
    /// Takes over all entries of another configuration.
    pub(crate) copy: fn(&mut Config, &Config),
    /// What is wrong within an entry, though each key is right by itself, and at which key.
    pub(crate) check: fn(&Config, usize) -> Vec<Wrong>,
}

/// What is wrong within an entry: at which key, and what.
pub(crate) type Wrong = (&'static str, String);

/// How a variable or an option writes an entry.
pub(crate) struct Short {
    /// The keys.
    pub(crate) columns: [&'static str; 2],
    /// For people.
    pub(crate) form: &'static str,
}

/// Sorts of entries.
pub(crate) enum Sorts {
    /// All are of one sort.
    One,
    /// This key says it.
    Word(&'static str, &'static [Sort]),
    /// The first key of a sort says it by being there.
    Key(&'static [Sort]),
}

/// A sort of entries.
pub(crate) struct Sort {
    /// What it is called: the value of the key that says it, or that key.
    pub(crate) word: &'static str,
    /// Its keys.
    pub(crate) columns: &'static [Column],
    /// Makes an entry be of this sort, with defaults.
    pub(crate) begin: fn(&mut Config, usize),
    /// Whether an entry is of this sort.
    pub(crate) has: fn(&Config, usize) -> bool,
}

/// A key of an entry.
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it may hold.
    pub(crate) kind: Kind,
    /// Whether an entry can be without it.
    pub(crate) need: Need,
    /// When a change acts.
    pub(crate) effect: Effect,
    /// The value of an entry; not set if the entry is of another sort.
    pub(crate) read: fn(&Config, usize) -> Value,
    /// Sets it in an entry that is there.
    pub(crate) write: fn(&mut Config, usize, Value) -> Result<(), String>,
}

/// Whether an entry can be without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It cannot; this is what one could write, in TOML.
    Required(&'static str),
    /// It can.
    Optional,
}

/// Where an entry was set.
#[derive(Clone, Debug)]
pub(crate) struct EntryPlaces {
    /// The entry.
    pub(crate) entry: Place,
    /// Its keys.
    pub(crate) keys: BTreeMap<&'static str, Place>,
    /// Values with variables of the environment, as the file has them.
    pub(crate) written: BTreeMap<&'static str, String>,
}

impl EntryPlaces {
    /// Nobody said it.
    pub(crate) fn nowhere() -> Self {
        Self {
            entry: Place::Default,
            keys: BTreeMap::new(),
            written: BTreeMap::new(),
        }
    }

    /// Where a key was set; without it where the entry was.
    pub(crate) fn of(&self, key: &str) -> Place {
        self.keys.get(key).unwrap_or(&self.entry).clone()
    }
}

impl Sorts {
    pub(crate) fn all(&self) -> &'static [Sort] {
        match self {
            Self::One => &[],
            Self::Word(_, sorts) | Self::Key(sorts) => sorts,
        }
    }
}

impl List {
    /// The keys that an entry can have.
    pub(crate) fn columns_of(
        &'static self,
        config: &Config,
        at: usize,
    ) -> impl Iterator<Item = &'static Column> + use<> {
        let sort = self.sorts.all().iter().find(|sort| (sort.has)(config, at));
        let own = sort.map_or(&[][..], |sort| sort.columns);
        // Of entries without a name the sort says most.
        match self.known_by {
            Some(_) => self.columns.iter().chain(own),
            None => own.iter().chain(self.columns),
        }
    }

    /// The key that says the sort of an entry, if one is only for that, and what it says.
    pub(crate) fn said_sort(
        &self,
        config: &Config,
        at: usize,
    ) -> Option<(&'static str, &'static str)> {
        let Sorts::Word(key, sorts) = self.sorts else {
            return None;
        };
        let sort = sorts.iter().find(|sort| (sort.has)(config, at))?;
        Some((key, sort.word))
    }

    /// All keys that any entry can have, those of several sorts several times.
    pub(crate) fn all_columns(&self) -> impl Iterator<Item = &Column> {
        let own = self.sorts.all().iter().flat_map(|sort| sort.columns);
        self.columns.iter().chain(own)
    }

    /// What tells an entry apart from others, as text.
    pub(crate) fn key_of(&self, config: &Config, at: usize) -> Option<String> {
        let known_by = self.known_by?;
        let column = self.columns.iter().find(|it| it.name == known_by)?;
        match (column.read)(config, at) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The list of listeners.
pub(crate) const LISTENER: &str = "listener";
/// The list of certificates.
pub(crate) const CERTIFICATE: &str = "certificate";
/// The list of those that are asked who a client is.
pub(crate) const AUTHENTICATION: &str = "authentication";
/// The list of rules on who may do what.
pub(crate) const RULE: &str = "rule";
/// The list of rules for topics.
pub(crate) const TOPIC: &str = "topic";

/// The list of bridges.
pub(crate) const BRIDGE: &str = "bridge";

/// All of them, in the order of the documentation.
pub(crate) const LISTS: &[List] = &[
    listener::LIST,
    certificate::LIST,
    authentication::LIST,
    rule::LIST,
    topic::LIST,
    bridge::LIST,
];

/// A column whose values are in a field of the entries in `$list`.
macro_rules! column {
    ($list:ident, $name:expr, $kind:expr, $need:expr, $effect:ident, $field:ident) => {
        $crate::lists::Column {
            name: $name,
            kind: $kind,
            need: $need,
            effect: $crate::keys::Effect::$effect,
            read: |config, at| match config.$list.get(at) {
                Some(entry) => $crate::value::Field::read(&entry.$field),
                None => $crate::value::Value::Unset,
            },
            write: |config, at, value| {
                let entry = config.$list.get_mut(at).ok_or($crate::value::MISFIT)?;
                entry.$field = $crate::value::Field::of(value)?;
                Ok(())
            },
        }
    };
}

/// A column whose values are in a field of a part that only some entries in `$list` have: the
/// variant `$variant` of their `$sort`.
macro_rules! part_column {
    ($list:ident . $sort:ident, $variant:path, $name:ident, $kind:expr, $need:expr, $effect:ident) => {
        $crate::lists::Column {
            name: stringify!($name),
            kind: $kind,
            need: $need,
            effect: $crate::keys::Effect::$effect,
            read: |config, at| match config.$list.get(at).map(|entry| &entry.$sort) {
                Some($variant(part)) => $crate::value::Field::read(&part.$name),
                _ => $crate::value::Value::Unset,
            },
            write: |config, at, value| {
                let entry = config.$list.get_mut(at).ok_or($crate::value::MISFIT)?;
                let $variant(part) = &mut entry.$sort else {
                    return Err($crate::value::MISFIT.into());
                };
                part.$name = $crate::value::Field::of(value)?;
                Ok(())
            },
        }
    };
}

use {column, part_column};

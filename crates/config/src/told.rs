//! A configuration value by value: what holds, from where, what another would change, which files it
//! names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::Config;
use crate::error::Place;
use crate::keys::{Effect, KEYS};
use crate::lists::{Column, EntryPlaces, LISTS, List};
use crate::value::{HIDDEN, Kind, Value};

/// Where each value of a configuration was set.
#[derive(Clone, Debug, Default)]
pub struct Places {
    pub(crate) keys: BTreeMap<String, Place>,
    /// Values with variables of the environment, as the file has them.
    pub(crate) written: BTreeMap<String, String>,
    pub(crate) entries: BTreeMap<&'static str, Vec<EntryPlaces>>,
}

impl Places {
    /// Notes where a key such as `limits.inflight` was set.
    pub fn note(&mut self, key: &str, place: Place) {
        self.keys.insert(key.to_owned(), place);
    }

    /// Notes where the next entry of a list such as `listener` was set, and these of its keys.
    /// Lists and keys that there are not change nothing.
    pub fn note_entry(&mut self, list: &str, place: Place, keys: &[(&str, Place)]) {
        let Some(list) = LISTS.iter().find(|known| known.name == list) else {
            return;
        };
        let named = |(key, place): &(&str, Place)| {
            let column = list.all_columns().find(|column| column.name == *key)?;
            Some((column.name, place.clone()))
        };
        self.entries
            .entry(list.name)
            .or_default()
            .push(EntryPlaces {
                entry: place,
                keys: keys.iter().filter_map(named).collect(),
                written: BTreeMap::new(),
            });
    }
}

/// A value, and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The key: `limits.packet_size`, `listener[mqtt-1883].address`, `rule[2].permission`.
    pub key: String,
    /// The value as the file would write it; `***` stands for what nobody may see.
    pub value: String,
    /// Where it was set.
    pub place: Place,
}

/// A value that another configuration changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, as in [`Told::key`].
    pub key: String,
    /// What it is; empty if it is not set.
    pub from: String,
    /// What it becomes; empty if it is not set.
    pub to: String,
    /// Whether it acts at the next start only.
    pub needs_restart: bool,
}

/// A file that a configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The key that names it, as in [`Told::key`].
    pub key: String,
    /// Where it is.
    pub path: PathBuf,
    /// Whether it holds something that others may not read.
    pub is_secret: bool,
}

/// How values are told that the file takes from the environment.
#[derive(Clone, Copy)]
enum As {
    /// With what the variables hold.
    Holding,
    /// With their names.
    Written,
}

impl As {
    fn of(self, value: String, written: Option<&String>) -> String {
        match (self, written) {
            (Self::Written, Some(written)) => written.clone(),
            _ => value,
        }
    }
}

/// Stands for a value that nobody may see.
pub(crate) const UNSEEN: &str = "***";

/// Keys whose files hold secrets.
const SECRET_FILES: &[&str] = &["key", "secret_file", "search_password_file", "file"];

impl Config {
    /// Every value that is set, in the order of the documentation.
    pub fn told(&self, places: &Places) -> Vec<Told> {
        self.told_as(places, As::Holding)
    }

    fn told_as(&self, places: &Places, how: As) -> Vec<Told> {
        let mut all = Vec::new();
        for key in KEYS {
            if let Some(value) = shown(&key.kind, &(key.read)(self)) {
                let value = how.of(value, places.written.get(&key.path()));
                let place = places.keys.get(&key.path());
                all.push(Told {
                    key: key.path(),
                    value,
                    place: place.cloned().unwrap_or(Place::Default),
                });
            }
        }
        for list in LISTS {
            self.told_of(list, (places, how), &mut all);
        }
        all
    }

    fn told_of(&self, list: &'static List, (places, how): (&Places, As), all: &mut Vec<Told>) {
        let none = Vec::new();
        let placed = places.entries.get(list.name).unwrap_or(&none);
        for at in 0..(list.len)(self) {
            let entry = list.entry(self, at);
            let placed = placed.get(at);
            let mut add = |key: &str, value: String| {
                let known = placed.and_then(|entry| entry.keys.get(key));
                all.push(Told {
                    key: format!("{entry}.{key}"),
                    value,
                    place: known.cloned().unwrap_or(Place::Default),
                });
            };
            if let Some((key, word)) = list.said_sort(self, at) {
                add(key, word.to_owned());
            }
            for column in list.columns_of(self, at) {
                if let Some(value) = shown(&column.kind, &(column.read)(self, at)) {
                    let written = placed.and_then(|entry| entry.written.get(column.name));
                    add(column.name, how.of(value, written));
                }
            }
        }
    }

    /// What `new` changes, in the order of the documentation. A secret that becomes another shows as
    /// `***` on both sides, and a value that the file takes from the environment as the file has it
    /// (S97).
    pub fn changes_to(&self, places: &Places, new: &Self, new_places: &Places) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in KEYS {
            let (from, to) = ((key.read)(self), (key.read)(new));
            if from != to {
                let said = |value, places: &Places| {
                    let written = places.written.get(&key.path()).cloned();
                    let shown = || shown(&key.kind, value);
                    written.or_else(shown).unwrap_or_default()
                };
                changes.push(Change {
                    key: key.path(),
                    from: said(&from, places),
                    to: said(&to, new_places),
                    needs_restart: key.effect == Effect::Restart,
                });
            }
        }
        let known: Vec<String> = changes.iter().map(|one| one.key.clone()).collect();
        let paths = self.reload_changes(new);
        let now = paths.applied.into_iter().map(|path| (path, false));
        let later = paths.after_restart.into_iter().map(|path| (path, true));
        for (path, needs_restart) in now.chain(later) {
            if known.contains(&path) {
                continue;
            }
            let (from, to) = (
                self.value_of(&path, places),
                new.value_of(&path, new_places),
            );
            changes.push(Change {
                key: path,
                from,
                to,
                needs_restart,
            });
        }
        changes
    }

    /// The value of a key in an entry that has a name, such as `listener[ws-8083].allow`.
    fn value_of(&self, path: &str, places: &Places) -> String {
        let told = self.told_as(places, As::Written);
        if let Some(one) = told.iter().find(|one| one.key == path) {
            return one.value.clone();
        }
        // An entry that comes or goes, or a list as a whole.
        let entry = path.split(" (").next().unwrap_or(path);
        let prefixes = [format!("{entry}."), format!("{entry}[")];
        let is_in = |key: &str| prefixes.iter().any(|prefix| key.starts_with(&**prefix));
        let inside = told.iter().filter(|one| is_in(&one.key));
        let words = inside.map(|one| {
            let key = one.key.strip_prefix(&*prefixes[0]).unwrap_or(&one.key);
            format!("{key} = {}", one.value)
        });
        shortened(words.collect::<Vec<_>>().join(", "))
    }

    /// The files that it names, in the order of the documentation.
    pub fn files(&self) -> Vec<NamedFile> {
        let mut files = Vec::new();
        for key in KEYS {
            let is_secret = key.path() == "dashboard.key";
            named(&key.kind, (key.read)(self), &mut |path| {
                files.push(NamedFile {
                    key: key.path(),
                    path,
                    is_secret,
                });
            });
        }
        for list in LISTS {
            for at in 0..(list.len)(self) {
                let entry = list.entry(self, at);
                let columns: Vec<&Column> = list.columns_of(self, at).collect();
                for column in columns {
                    named(&column.kind, (column.read)(self, at), &mut |path| {
                        files.push(NamedFile {
                            key: format!("{entry}.{}", column.name),
                            path,
                            is_secret: SECRET_FILES.contains(&column.name),
                        });
                    });
                }
            }
        }
        files
    }
}

impl List {
    /// What an entry is called: `listener[name]`, or by its number from 1.
    fn entry(&self, config: &Config, at: usize) -> String {
        let number = || at.saturating_add(1).to_string();
        let name = self.key_of(config, at).unwrap_or_else(number);
        format!("{}[{name}]", self.name)
    }
}

/// A value as the file would write it, without what nobody may see; `None` if it is not set.
pub(crate) fn shown(kind: &Kind, value: &Value) -> Option<String> {
    let text = kind.show(value)?;
    Some(match kind.may_be_secret() {
        true => text.replace(HIDDEN, UNSEEN),
        false => text,
    })
}

fn named(kind: &Kind, value: Value, add: &mut impl FnMut(PathBuf)) {
    match (kind, value) {
        (Kind::File, Value::Text(path)) => add(PathBuf::from(path)),
        (Kind::Location(schemes), Value::Text(path))
            if !schemes.iter().any(|scheme| path.starts_with(scheme)) =>
        {
            add(PathBuf::from(path));
        }
        (Kind::List(kind), Value::List(values)) => {
            values.into_iter().for_each(|one| named(kind, one, add));
        }
        _ => {}
    }
}

/// Thousands of rules are no table's cell.
fn shortened(text: String) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

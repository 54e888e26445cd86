//! How entries of lists are read.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::{Column, EntryPlaces, List, Need, RULE, Sort, Sorts};
use crate::config::Config;
use crate::error::Place;
use crate::mask::with_variables;
use crate::source::{File, Reading, show_name};
use crate::suggest::nearest;
use crate::value::{Raw, quote};

/// A key of an entry as it was given.
struct Given<'k> {
    name: &'k str,
    raw: Result<Raw, String>,
    /// With the names of variables of the environment, if there are any.
    written: Option<String>,
    /// Of the name.
    key: Place,
    /// Of the value.
    value: Place,
}

impl Reading<'_> {
    /// Where the entries of a list were set.
    pub(crate) fn entry_places(&self, list: &str) -> &[EntryPlaces] {
        self.entries.get(list).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn read_list(
        &mut self,
        file: &File<'_>,
        list: &'static List,
        value: &Spanned<DeValue<'_>>,
    ) {
        let place = file.place(value.span());
        let Some(entries) = value.get_ref().as_array() else {
            let message = format!("{} is a list; {}", list.name, list.form());
            return self.wrong(place, message);
        };
        self.begin_list(list, place);
        for entry in entries.iter() {
            self.read_entry(file, list, entry);
        }
    }

    fn read_entry(&mut self, file: &File<'_>, list: &'static List, entry: &Spanned<DeValue<'_>>) {
        let place = file.place(entry.span());
        let Some(table) = entry.get_ref().as_table() else {
            return self.wrong(place, list.form());
        };
        let mut given = Vec::new();
        for (name, value) in table {
            let named = |column: &&Column| column.name == name.get_ref();
            // A name means the same in all sorts, as far as variables go.
            let kind = list.all_columns().find(named).map(|column| &column.kind);
            given.push(Given {
                name: name.get_ref(),
                raw: self.raw(value.get_ref(), kind),
                written: kind.and_then(|kind| with_variables(kind, value.get_ref())),
                key: file.place(name.span()),
                value: file.place(value.span()),
            });
        }
        self.add_entry(list, &given, &place);
    }

    /// Puts the entries of a variable or of options in place of all that were there.
    pub(crate) fn replace_list<'v>(
        &mut self,
        list: &'static List,
        values: impl Iterator<Item = &'v str>,
        place: &Place,
    ) {
        let Some(short) = &list.short else {
            let message = format!("{} can only stand in the file; {}", list.name, list.form());
            return self.wrong(place.clone(), message);
        };
        self.begin_list(list, place.clone());
        for value in values {
            // What is before the last `=` may have others in it.
            let (first, second) = match value.rsplit_once('=') {
                Some((first, second)) => (first, Some(second)),
                None => (value, None),
            };
            let texts = std::iter::once(first).chain(second);
            let given: Vec<_> = short
                .columns
                .iter()
                .zip(texts)
                .map(|(name, text)| Given {
                    name,
                    raw: Ok(Raw::Text(text.trim().to_owned())),
                    written: None,
                    key: place.clone(),
                    value: place.clone(),
                })
                .collect();
            self.add_entry(list, &given, place);
        }
    }

    fn begin_list(&mut self, list: &'static List, place: Place) {
        (list.copy)(&mut self.config, &Config::empty());
        self.entries.insert(list.name, Vec::new());
        self.places.insert(list.name.to_owned(), place);
    }

    /// Adds an entry of what was given. What is wrong with it is told; who finds errors does not
    /// use the configuration.
    fn add_entry(&mut self, list: &'static List, given: &[Given<'_>], entry: &Place) {
        let at = (list.len)(&self.config);
        (list.push)(&mut self.config);
        let mut places = EntryPlaces {
            entry: entry.clone(),
            keys: BTreeMap::new(),
            written: BTreeMap::new(),
        };
        let errors = self.errors.len();
        if self.begin_sort(list, given, at, entry) {
            self.fill_entry(list, given, at, &mut places);
            // A misspelt key is one error, not two.
            if self.errors.len() == errors {
                self.check_entry(list, at, &places);
            }
        }
        if let Some(rule) = self.config.rules.get_mut(at)
            && list.name == RULE
        {
            rule.source = places.entry.short();
        }
        self.entries.entry(list.name).or_default().push(places);
    }

    /// Finds out of which sort an entry is; false if that is wrong.
    fn begin_sort(
        &mut self,
        list: &'static List,
        given: &[Given<'_>],
        at: usize,
        entry: &Place,
    ) -> bool {
        match list.choose(given) {
            Ok(sort) => {
                if let Some(sort) = sort {
                    (sort.begin)(&mut self.config, at);
                }
                true
            }
            Err((place, message)) => {
                self.wrong(place.unwrap_or_else(|| entry.clone()), message);
                false
            }
        }
    }

    fn fill_entry(
        &mut self,
        list: &'static List,
        given: &[Given<'_>],
        at: usize,
        places: &mut EntryPlaces,
    ) {
        let columns: Vec<&'static Column> = list.columns_of(&self.config, at).collect();
        for one in given {
            let Some(column) = columns.iter().find(|column| column.name == one.name) else {
                if let Some(key) = list.chosen_by(one.name) {
                    places.keys.insert(key, one.value.clone());
                } else {
                    let message = list.unknown(one.name, &columns, &self.config, at);
                    self.wrong(one.key.clone(), message);
                }
                continue;
            };
            let value = match &one.raw {
                Ok(raw) => column.kind.parse(raw),
                Err(reason) => Err(reason.clone()),
            };
            let value = value.map(|value| self.anchor(&column.kind, value, &one.value));
            let written = value.and_then(|value| (column.write)(&mut self.config, at, value));
            if let Err(reason) = written {
                let message = format!("{}.{}: {reason}", list.name, column.name);
                self.wrong(one.value.clone(), message);
            }
            places.keys.insert(column.name, one.value.clone());
            if let Some(written) = &one.written {
                places.written.insert(column.name, written.clone());
            }
        }
    }

    fn check_entry(&mut self, list: &'static List, at: usize, places: &EntryPlaces) {
        for column in list.columns_of(&self.config, at) {
            if let Need::Required(example) = column.need
                && !places.keys.contains_key(column.name)
            {
                let owner = list.owner(&self.config, at);
                let message = format!("{owner} needs {} = {example} or another", column.name);
                self.wrong(places.entry.clone(), message);
            }
        }
        for (key, message) in (list.check)(&self.config, at) {
            self.wrong(places.of(key), message);
        }
    }
}

impl List {
    /// What an entry looks like, as the end of an error's line.
    fn form(&self) -> String {
        let first = match self.sorts {
            Sorts::Word(key, _) => key,
            Sorts::Key([first, ..]) if self.known_by.is_none() => first.word,
            Sorts::One | Sorts::Key(_) => self.columns.first().map_or("", |column| column.name),
        };
        format!("write [[{}]], then {first} = \"…\" below", self.name)
    }

    /// An entry, with its sort if it has one.
    fn owner(&self, config: &Config, at: usize) -> String {
        let sort = self.sorts.all().iter().find(|sort| (sort.has)(config, at));
        match (&self.sorts, sort) {
            (Sorts::Word(key, _), Some(sort)) => {
                format!("{} with {key} = {}", self.one, quote(sort.word))
            }
            (Sorts::Key(_), Some(sort)) => format!("{} with {}", self.one, sort.word),
            _ => self.one.to_owned(),
        }
    }

    /// The key of this name, if it says the sort of an entry.
    fn chosen_by(&self, name: &str) -> Option<&'static str> {
        match self.sorts {
            Sorts::Word(key, _) if key == name => Some(key),
            _ => None,
        }
    }

    /// The sort of what was given; the error says where, if not at the entry, and what.
    fn choose(
        &self,
        given: &[Given<'_>],
    ) -> Result<Option<&'static Sort>, (Option<Place>, String)> {
        let find = |name: &str| given.iter().find(|one| one.name == name);
        match self.sorts {
            Sorts::One => Ok(None),
            Sorts::Word(key, sorts) => {
                let words: Vec<&str> = sorts.iter().map(|sort| sort.word).collect();
                let words = format!("write one of \"{}\"", words.join("\", \""));
                let Some(one) = find(key) else {
                    return Err((None, format!("{} needs {key}; {words}", self.one)));
                };
                let place = Some(one.value.clone());
                let text = match &one.raw {
                    Ok(Raw::Text(text)) => text.clone(),
                    Ok(_) => return Err((place, format!("{}.{key}: {words}", self.name))),
                    Err(reason) => return Err((place, format!("{}.{key}: {reason}", self.name))),
                };
                let sort = sorts.iter().find(|sort| sort.word == text);
                sort.map(Some).ok_or_else(|| {
                    let text = quote(&text);
                    (
                        place,
                        format!("{}.{key}: {text} does not fit; {words}", self.name),
                    )
                })
            }
            Sorts::Key(sorts) => {
                let mut there = sorts.iter().filter(|sort| find(sort.word).is_some());
                let words: Vec<&str> = sorts.iter().map(|sort| sort.word).collect();
                match (there.next(), there.next()) {
                    (Some(sort), None) => Ok(Some(sort)),
                    (Some(one), Some(other)) => {
                        let place = find(other.word).map(|given| given.key.clone());
                        let message = format!(
                            "{} has {} or {}, not both; leave one out",
                            self.one, one.word, other.word
                        );
                        Err((place, message))
                    }
                    (None, _) => Err(self.misspelt(given, &words).unwrap_or_else(|| {
                        (None, format!("{} needs {}", self.one, words.join(" or ")))
                    })),
                }
            }
        }
    }

    /// A key that is most likely one of these words: that is the mistake, and not that none is there.
    fn misspelt(&self, given: &[Given<'_>], words: &[&str]) -> Option<(Option<Place>, String)> {
        let is_known = |name: &str| self.all_columns().any(|column| column.name == name);
        let mut strange = given.iter().filter(|one| !is_known(one.name));
        strange.find_map(|one| {
            let near = nearest(one.name, words.iter().copied())?;
            let (shown, list) = (show_name(one.name), self.name);
            let message = format!("unknown key {shown} in {list}; did you mean {near}?");
            Some((Some(one.key.clone()), message))
        })
    }

    /// What to say of a key that an entry does not have.
    fn unknown(&self, name: &str, columns: &[&Column], config: &Config, at: usize) -> String {
        let elsewhere = self.sorts.all().iter().filter(|sort| {
            let named = |column: &Column| column.name == name;
            sort.columns.iter().any(named)
        });
        let elsewhere: Vec<String> = elsewhere.map(|sort| quote(sort.word)).collect();
        if !elsewhere.is_empty() {
            let (owner, sorts) = (self.owner(config, at), elsewhere.join(", "));
            return match self.sorts {
                Sorts::Word(key, _) => {
                    format!("{owner} has no {name}; that is a key of {key} = {sorts}")
                }
                Sorts::One | Sorts::Key(_) => {
                    let sorts = sorts.replace('"', "");
                    format!("{owner} has no {name}; that goes with {sorts}")
                }
            };
        }
        let names = || columns.iter().map(|column| column.name);
        let end = match nearest(name, names()) {
            Some(near) => format!("did you mean {near}?"),
            None if columns.len() <= 2 => format!(
                "{} has only {}",
                self.one,
                names().collect::<Vec<_>>().join(" and ")
            ),
            None => "docs/configuration.md lists its keys".to_owned(),
        };
        format!("unknown key {} in {}; {end}", show_name(name), self.name)
    }
}

//! The lists of the file, `[[listener]]` and `[[topic]]`: what an entry holds, and how entries
//! are read. What `keys` is for single keys, [`LISTS`] is for these. A changed list acts at the
//! next start.

use std::net::SocketAddr;

use toml::Spanned;
use toml::de::DeValue;
use types::{Durability, TopicName};

use crate::config::{Config, Listener, TopicRule};
use crate::error::Place;
use crate::source::{File, Reading, show_name};
use crate::suggest::nearest;
use crate::value::{DURABILITIES, Field, Kind, MISFIT, Raw, Value};

/// A list of tables.
pub(crate) struct List {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// The keys of an entry. The first tells entries apart.
    pub(crate) columns: &'static [Column],
    /// How an entry is written in a variable or an option: the first key, perhaps with the
    /// second behind `=`.
    pub(crate) short: &'static str,
    /// The values of all entries, each in the order of the columns.
    pub(crate) rows: fn(&Config) -> Vec<Vec<Value>>,
    /// Takes all entries out.
    clear: fn(&mut Config),
    /// Adds an entry of such values.
    add: fn(&mut Config, &[Value]) -> Result<(), String>,
}

/// A key of an entry.
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it may hold.
    pub(crate) kind: Kind,
    /// Whether an entry can be without it.
    pub(crate) need: Need,
}

/// Whether an entry can be without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It cannot; this is what one could write, in TOML.
    Required(&'static str),
    /// It can.
    Optional,
}

impl List {
    /// A key of an entry.
    pub(crate) fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn path(&self, column: &Column) -> String {
        format!("{}.{}", self.name, column.name)
    }

    /// What an entry looks like, as the end of an error's line.
    fn form(&self) -> String {
        let first = self.columns.first().map_or("", |column| column.name);
        format!("write [[{}]], then {first} = \"…\" below", self.name)
    }

    /// What to say of a key that an entry does not have.
    fn unknown(&self, name: &str) -> String {
        let names = || self.columns.iter().map(|column| column.name);
        let end = match nearest(name, names()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!(
                "a {} has only {}",
                self.name,
                names().collect::<Vec<_>>().join(" and ")
            ),
        };
        format!("unknown key {} in {}; {end}", show_name(name), self.name)
    }
}

/// The list of listeners.
pub(crate) const LISTENER: &str = "listener";
/// The list of rules for topics.
pub(crate) const TOPIC: &str = "topic";

/// All of them, in the order of the documentation.
pub(crate) const LISTS: &[List] = &[
    List {
        name: LISTENER,
        columns: &[
            Column {
                name: "address",
                kind: Kind::Text(address),
                need: Need::Required("\"127.0.0.1:1883\""),
            },
            Column {
                name: "durability",
                kind: Kind::Choice(DURABILITIES),
                need: Need::Optional,
            },
        ],
        short: "ADDRESS:PORT",
        rows: |config| {
            let row = |listener: &Listener| {
                let durability = listener.durability.map_or(Value::Unset, |it| it.read());
                vec![Value::Text(listener.address.to_string()), durability]
            };
            config.listeners.iter().map(row).collect()
        },
        clear: |config| config.listeners.clear(),
        add: |config, values| {
            let [Value::Text(address), durability] = values else {
                return Err(MISFIT.into());
            };
            config.listeners.push(Listener {
                address: address.trim().parse().map_err(|_| NO_ADDRESS.to_owned())?,
                durability: class(durability)?,
            });
            Ok(())
        },
    },
    List {
        name: TOPIC,
        columns: &[
            Column {
                name: "prefix",
                kind: Kind::Text(prefix),
                need: Need::Required("\"telemetry/\""),
            },
            Column {
                name: "durability",
                kind: Kind::Choice(DURABILITIES),
                need: Need::Required("\"os\""),
            },
        ],
        short: "PREFIX=DURABILITY",
        rows: |config| {
            let row = |rule: &TopicRule| {
                let prefix = Value::Text(rule.prefix.clone());
                vec![prefix, rule.durability.read()]
            };
            config.topics.iter().map(row).collect()
        },
        clear: |config| config.topics.clear(),
        add: |config, values| {
            let [Value::Text(prefix), durability] = values else {
                return Err(MISFIT.into());
            };
            config.topics.push(TopicRule {
                prefix: prefix.clone(),
                durability: class(durability)?.ok_or(MISFIT)?,
            });
            Ok(())
        },
    },
];

fn class(value: &Value) -> Result<Option<Durability>, String> {
    if *value == Value::Unset {
        return Ok(None);
    }
    let mut class = Durability::default();
    class.write(value.clone())?;
    Ok(Some(class))
}

fn address(text: &str) -> Result<(), &'static str> {
    let parsed = text.trim().parse::<SocketAddr>();
    parsed.map(|_| ()).map_err(|_| NO_ADDRESS)
}

const NO_ADDRESS: &str = "is no address; write an IP address and a port, such as \
                          \"127.0.0.1:1883\", \"[::1]:1883\" or \"0.0.0.0:1883\"";

/// The beginning of a topic is a topic itself (MQTT 5.0, 4.7.3).
fn prefix(text: &str) -> Result<(), &'static str> {
    TopicName::parse(text, u16::MAX).map(|_| ()).map_err(|_| {
        "is no beginning of topics; write 1 to 65535 bytes such as \"telemetry/\", \
         without +, # and control characters"
    })
}

impl Reading<'_> {
    /// Where the entries of a list were set.
    pub(crate) fn entry_places(&self, list: &str) -> &[Place] {
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
        let errors = self.errors.len();
        let mut given = Vec::new();
        for (name, value) in table {
            let Some(column) = list.column(name.get_ref()) else {
                self.wrong(file.place(name.span()), list.unknown(name.get_ref()));
                continue;
            };
            let place = file.place(value.span());
            match self.raw(value.get_ref()) {
                Ok(raw) => given.push((column, raw, place)),
                Err(reason) => self.wrong(place, format!("{}: {reason}", list.path(column))),
            }
        }
        // A misspelt key is one error, not two.
        if self.errors.len() == errors {
            self.add_entry(list, &given, &place);
        }
    }

    /// Puts the entries of a variable or of options in place of all that were there.
    pub(crate) fn replace_list<'v>(
        &mut self,
        list: &'static List,
        values: impl Iterator<Item = &'v str>,
        place: &Place,
    ) {
        self.begin_list(list, place.clone());
        for value in values {
            // What is before the last `=` may have others in it.
            let (first, second) = match value.rsplit_once('=') {
                Some((first, second)) => (first, Some(second)),
                None => (value, None),
            };
            let texts = std::iter::once(first).chain(second);
            let given: Vec<_> = list
                .columns
                .iter()
                .zip(texts)
                .map(|(column, text)| (column, Raw::Text(text.trim().to_owned()), place.clone()))
                .collect();
            self.add_entry(list, &given, place);
        }
    }

    fn begin_list(&mut self, list: &'static List, place: Place) {
        (list.clear)(&mut self.config);
        self.entries.insert(list.name, Vec::new());
        self.places.insert(list.name.to_owned(), place);
    }

    /// Adds an entry of what was given, if all of it fits and nothing is missing.
    fn add_entry(&mut self, list: &'static List, given: &[(&Column, Raw, Place)], entry: &Place) {
        let errors = self.errors.len();
        let mut values = Vec::new();
        let mut known_by = entry;
        for (at, column) in list.columns.iter().enumerate() {
            let found = given.iter().find(|(known, _, _)| known.name == column.name);
            match (found, column.need) {
                (Some((_, raw, place)), _) => {
                    match column.kind.parse(raw) {
                        Ok(value) => values.push(value),
                        Err(reason) => {
                            let message = format!("{}: {reason}", list.path(column));
                            self.wrong(place.clone(), message);
                        }
                    }
                    if at == 0 {
                        known_by = place;
                    }
                }
                (None, Need::Optional) => values.push(Value::Unset),
                (None, Need::Required(example)) => {
                    let message = format!(
                        "a {} needs {} = {example} or another",
                        list.name, column.name
                    );
                    self.wrong(entry.clone(), message);
                }
            }
        }
        if self.errors.len() != errors {
            return;
        }
        match (list.add)(&mut self.config, &values) {
            Ok(()) => self
                .entries
                .entry(list.name)
                .or_default()
                .push(known_by.clone()),
            Err(reason) => self.wrong(known_by.clone(), format!("{}: {reason}", list.name)),
        }
    }
}

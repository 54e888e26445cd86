//! What a reload changes, and what it cannot.

use std::collections::BTreeMap;

use crate::config::{Config, Rule};
use crate::keys::{Effect, KEYS};
use crate::lists::{LISTS, List};
use crate::value::Value;

/// The keys that differ between a running configuration and a new one, by their paths, in the order
/// of the documentation: `limits.packet_size`, `listener[ws-8083].allow`, `listener[ws-8083] (new)`,
/// `listener[ws-8083] (gone)`, and only `rule` for what has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// These act now.
    pub applied: Vec<String>,
    /// These act at the next start.
    pub after_restart: Vec<String>,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.after_restart.is_empty()
    }

    fn add(&mut self, effect: Effect, path: String) {
        match effect {
            Effect::Reload => self.applied.push(path),
            Effect::Restart => self.after_restart.push(path),
        }
    }
}

impl Config {
    /// Which keys `new` changes, without changing anything.
    pub fn reload_changes(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for key in KEYS {
            if (key.read)(self) != (key.read)(new) {
                changes.add(key.effect, key.path());
            }
        }
        // Where a rule stands is no part of what it says.
        let bare = |rule: &Rule| Rule {
            source: String::new(),
            ..rule.clone()
        };
        let said = |config: &Self| config.access.rules.iter().map(bare).collect::<Vec<_>>();
        let file = "access.file".to_owned();
        if said(self) != said(new) && !changes.applied.contains(&file) {
            changes.add(Effect::Reload, file);
        }
        for list in LISTS {
            match list.known_by {
                Some(_) => self.compare_named(new, list, &mut changes),
                None if list.rows(self) != list.rows(new) => {
                    changes.add(list.effect, list.name.to_owned());
                }
                None => {}
            }
        }
        changes
    }

    fn compare_named(&self, new: &Self, list: &'static List, changes: &mut Changes) {
        let (old_names, new_names) = (list.names(self), list.names(new));
        for (at, name) in old_names.iter().enumerate() {
            let entry = format!("{}[{name}]", list.name);
            let Some(other) = new_names.iter().position(|known| known == name) else {
                changes.add(list.effect, format!("{entry} (gone)"));
                continue;
            };
            let (one, other) = (list.cells(self, at), list.cells(new, other));
            let mut names: Vec<&str> = one.keys().chain(other.keys()).copied().collect();
            names.sort_unstable();
            names.dedup();
            for key in names {
                let (before, after) = (one.get(key), other.get(key));
                if before.map(|cell| &cell.0) != after.map(|cell| &cell.0) {
                    let effect = before.or(after).map_or(list.effect, |cell| cell.1);
                    changes.add(effect, format!("{entry}.{key}"));
                }
            }
        }
        for name in new_names.iter().filter(|name| !old_names.contains(name)) {
            changes.add(list.effect, format!("{}[{name}] (new)", list.name));
        }
        let kept = |names: &[String], others: &[String]| {
            let kept = names.iter().filter(|name| others.contains(name));
            kept.cloned().collect::<Vec<_>>()
        };
        if kept(&old_names, &new_names) != kept(&new_names, &old_names) {
            changes.add(list.effect, format!("{} (order)", list.name));
        }
    }

    /// Takes over from `new` what may change while the server runs, and says what changed.
    ///
    /// # Errors
    /// None in practice; a key whose value its own kind does not take says so, and the
    /// configuration is as it was.
    pub fn adopt(&mut self, new: &Self) -> Result<Changes, String> {
        let changes = self.reload_changes(new);
        let mut next = self.clone();
        for key in KEYS.iter().filter(|key| key.effect == Effect::Reload) {
            (key.write)(&mut next, (key.read)(new))
                .map_err(|reason| format!("{}: {reason}", key.path()))?;
        }
        next.access.rules.clone_from(&new.access.rules);
        for list in LISTS {
            match list.effect {
                Effect::Reload => {
                    let before = next.clone();
                    (list.copy)(&mut next, new);
                    next.keep_of_entries(&before, list)?;
                }
                Effect::Restart => next.adopt_entries(new, list)?,
            }
        }
        *self = next;
        Ok(changes)
    }

    /// Takes back what may not change in entries that were there before.
    fn keep_of_entries(&mut self, before: &Self, list: &'static List) -> Result<(), String> {
        if list.known_by.is_none() {
            return Ok(());
        }
        let old_names = list.names(before);
        for (at, name) in list.names(self).iter().enumerate() {
            let Some(old) = old_names.iter().position(|known| known == name) else {
                continue;
            };
            if list.said_sort(self, at) != list.said_sort(before, old) {
                continue;
            }
            let columns: Vec<_> = list.columns_of(self, at).collect();
            for column in columns.iter().filter(|it| it.effect == Effect::Restart) {
                (column.write)(self, at, (column.read)(before, old))
                    .map_err(|reason| format!("{}[{name}].{}: {reason}", list.name, column.name))?;
            }
        }
        Ok(())
    }

    /// Takes over what may change in entries that stay.
    fn adopt_entries(&mut self, new: &Self, list: &'static List) -> Result<(), String> {
        let new_names = list.names(new);
        for (at, name) in list.names(self).iter().enumerate() {
            let Some(other) = new_names.iter().position(|known| known == name) else {
                continue;
            };
            let columns: Vec<_> = list.columns_of(self, at).collect();
            for column in columns.iter().filter(|it| it.effect == Effect::Reload) {
                (column.write)(self, at, (column.read)(new, other))
                    .map_err(|reason| format!("{}[{name}].{}: {reason}", list.name, column.name))?;
            }
        }
        Ok(())
    }
}

impl List {
    /// What tells the entries apart, in their order.
    fn names(&self, config: &Config) -> Vec<String> {
        (0..(self.len)(config))
            .filter_map(|at| self.key_of(config, at))
            .collect()
    }

    fn rows(&'static self, config: &Config) -> Vec<BTreeMap<&'static str, (Value, Effect)>> {
        (0..(self.len)(config))
            .map(|at| self.cells(config, at))
            .collect()
    }

    /// The values of an entry, its sort among them.
    fn cells(&'static self, config: &Config, at: usize) -> BTreeMap<&'static str, (Value, Effect)> {
        let columns = self.columns_of(config, at);
        let cell = |value, effect| (value, effect);
        let mut cells: BTreeMap<_, _> = columns
            .map(|column| (column.name, cell((column.read)(config, at), column.effect)))
            .collect();
        if let Some((key, word)) = self.said_sort(config, at) {
            // What cannot become another cannot become one of another sort.
            let effects = cells.values().map(|(_, effect)| *effect);
            let effect = effects.fold(self.effect, |all, one| match one {
                Effect::Restart => Effect::Restart,
                Effect::Reload => all,
            });
            cells.insert(key, cell(Value::Text(word.to_owned()), effect));
        }
        cells
    }
}

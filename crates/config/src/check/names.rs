//! Names that stand for entries of lists.

use crate::error::Place;
use crate::lists::{AUTHENTICATION, BRIDGE, CERTIFICATE, EntryPlaces, LISTENER, RULE};
use crate::source::{ACCESS_RULE, Reading};
use crate::suggest::nearest;
use crate::value::quote;

/// Names that somebody uses: in which key, and where that stands.
struct Use<'c> {
    key: &'static str,
    names: &'c [String],
    place: Place,
}

impl Reading<'_> {
    /// Each name is there once, and those that are used are there.
    pub(super) fn check_names(&mut self) {
        let config = &self.config;
        let listeners: Vec<&str> = config.listeners.iter().map(|it| it.name.as_str()).collect();
        let certificates = config.certificates.iter().map(|it| it.name.as_str());
        let certificates: Vec<&str> = certificates.collect();
        let asked = config.authentication.iter().map(|it| it.name.as_str());
        let asked: Vec<&str> = asked.collect();

        let mut wrong = Vec::new();
        twice(
            LISTENER,
            &listeners,
            self.entry_places(LISTENER),
            &mut wrong,
        );
        twice(
            CERTIFICATE,
            &certificates,
            self.entry_places(CERTIFICATE),
            &mut wrong,
        );
        twice(
            AUTHENTICATION,
            &asked,
            self.entry_places(AUTHENTICATION),
            &mut wrong,
        );
        let bridges = config.bridges.iter().map(|it| it.name.as_str());
        let bridges: Vec<&str> = bridges.collect();
        twice(BRIDGE, &bridges, self.entry_places(BRIDGE), &mut wrong);
        for used in self.uses() {
            let (list, known) = match used.key {
                "listener.certificates" => (CERTIFICATE, &certificates),
                "listener.authentication" => (AUTHENTICATION, &asked),
                _ => (LISTENER, &listeners),
            };
            for name in used
                .names
                .iter()
                .filter(|name| !known.contains(&name.as_str()))
            {
                let message = missing(used.key, list, name, known);
                wrong.push((used.place.clone(), message));
            }
        }
        self.check_both_sides(&mut wrong);
        self.wrong_all(wrong);
    }

    fn uses(&self) -> Vec<Use<'_>> {
        let config = &self.config;
        let mut uses = Vec::new();
        for (listener, places) in config.listeners.iter().zip(self.entry_places(LISTENER)) {
            uses.push(Use {
                key: "listener.certificates",
                names: &listener.certificates,
                place: places.of("certificates"),
            });
            uses.push(Use {
                key: "listener.authentication",
                names: &listener.authentication,
                place: places.of("authentication"),
            });
        }
        for (entry, places) in config
            .authentication
            .iter()
            .zip(self.entry_places(AUTHENTICATION))
        {
            uses.push(Use {
                key: "authentication.listeners",
                names: &entry.listeners,
                place: places.of("listeners"),
            });
        }
        let places = self
            .entry_places(RULE)
            .iter()
            .chain(self.entry_places(ACCESS_RULE));
        for (rule, places) in config.all_rules().zip(places) {
            uses.push(Use {
                key: "rule.listeners",
                names: &rule.listeners,
                place: places.of("listeners"),
            });
        }
        uses
    }

    /// A listener that asks somebody must be among those whom that one is for.
    fn check_both_sides(&self, wrong: &mut Vec<(Place, String)>) {
        for (listener, places) in self
            .config
            .listeners
            .iter()
            .zip(self.entry_places(LISTENER))
        {
            for name in &listener.authentication {
                let entry = self
                    .config
                    .authentication
                    .iter()
                    .find(|it| it.name == *name);
                let refuses = |listeners: &[String]| {
                    !listeners.is_empty() && !listeners.contains(&listener.name)
                };
                if entry.is_some_and(|entry| refuses(&entry.listeners)) {
                    let message = format!(
                        "listener.authentication: {} is not for {}; add that name to its listeners",
                        quote(name),
                        quote(&listener.name)
                    );
                    wrong.push((places.of("authentication"), message));
                }
            }
        }
    }
}

fn twice(
    list: &'static str,
    names: &[&str],
    places: &[EntryPlaces],
    wrong: &mut Vec<(Place, String)>,
) {
    for (at, (name, places)) in names.iter().zip(places).enumerate() {
        if names.iter().take(at).any(|known| known == name) {
            let message = format!(
                "{list}.name: {} is there twice; give one of them another name",
                quote(name)
            );
            wrong.push((places.of("name"), message));
        }
    }
}

fn missing(key: &str, list: &str, name: &str, known: &[&str]) -> String {
    let end = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {}?", quote(near)),
        None if known.is_empty() => format!("add a [[{list}]] with that name"),
        None => format!("there is {}", known.join(", ")),
    };
    format!("{key}: no [[{list}]] has the name {}; {end}", quote(name))
}

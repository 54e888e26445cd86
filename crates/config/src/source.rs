//! From the file, the environment and the command line to a [`Config`].
//!
//! | module | owns |
//! |---|---|
//! | `file` | [`File`]: text, and where something stands in it |
//! | `rules` | files of rules |

mod file;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use file::File;
use file::read_file;
pub(crate) use rules::ACCESS_RULE;

use crate::config::Config;
use crate::error::{ConfigError, ConfigErrors, Place};
use crate::keys::{KEYS, Key, SECTIONS, find};
use crate::lists::{
    EntryPlaces, LISTENER, LISTS, List, RULE, complete_authentication, complete_listeners,
};
use crate::mask::with_variables;
use crate::suggest::nearest;
use crate::told::Places;
use crate::value::{Kind, Raw, Value, quote};

/// Where a configuration comes from. A reload reads the same sources again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment: `NIGHTJAR__SECTION__KEY` overrides the file (a list is one variable,
    /// such as `NIGHTJAR__LISTENER=address,address`), and `${NAME}` in a string of the file
    /// stands for any variable.
    pub environment: Vec<(String, String)>,
    /// What the command line says; above all else.
    pub options: Vec<Setting>,
}

/// A setting of the command line. Several for a list, such as `listener`, add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The option, such as `--listen`.
    pub option: &'static str,
    /// The key that it sets, such as `listener` or `limits.packet_size`.
    pub key: &'static str,
    /// The value, as it would be written in the file.
    pub value: String,
}

impl Sources {
    /// The process's environment and this file.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let environment = std::env::vars_os()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        Self {
            file,
            environment,
            options: Vec::new(),
        }
    }
}

/// A configuration, and where each of its values was set.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// Where it was said.
    pub places: Places,
}

impl Loaded {
    /// Reads all sources.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut reading = Reading::new(&sources.environment);
        if let Some(path) = &sources.file {
            match read_file(path, MAX_FILE) {
                Ok(text) => reading.read_text(path, &text)?,
                Err(reason) => reading.wrong(Place::WholeFile(path.clone()), reason),
            }
        }
        reading.read_all(sources)
    }

    /// Reads all sources as if this were in the file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read_text(sources: &Sources, text: &str) -> Result<Self, ConfigErrors> {
        let mut reading = Reading::new(&sources.environment);
        let path = sources
            .file
            .as_deref()
            .unwrap_or(Path::new("nightjar.toml"));
        if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE) {
            let reason = format!("is no configuration: it has more than {MAX_FILE} bytes");
            reading.wrong(Place::WholeFile(path.to_owned()), reason);
        } else {
            reading.read_text(path, text)?;
        }
        reading.read_all(sources)
    }

    /// Reads what is above the file, with this in the file's place: another program's file that
    /// says the same.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read_over(sources: &Sources, base: Self) -> Result<Self, ConfigErrors> {
        let mut reading = Reading::new(&sources.environment);
        reading.config = base.config;
        reading.places = base.places.keys;
        for list in LISTS {
            let placed = base.places.entries.get(list.name);
            let mut placed = placed.cloned().unwrap_or_default();
            placed.resize_with((list.len)(&reading.config), EntryPlaces::nowhere);
            reading.entries.insert(list.name, placed);
        }
        reading.read_all(sources)
    }
}

impl Config {
    /// Reads all sources.
    ///
    /// # Errors
    /// All that is wrong, each with its place. A file with errors of TOML reports those only:
    /// what follows from them would mislead. A file above 1 MiB is refused.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        Ok(Loaded::read(sources)?.config)
    }

    /// Without an entry in any list.
    pub(crate) fn empty() -> Self {
        Self {
            listeners: Vec::new(),
            ..Self::default()
        }
    }
}

/// A configuration on its way: what is known so far, and what was wrong.
pub(crate) struct Reading<'a> {
    pub(crate) config: Config,
    pub(crate) errors: Vec<ConfigError>,
    /// Where each key was set, by its path, and each list, by its name.
    pub(crate) places: BTreeMap<String, Place>,
    /// Values of keys with variables of the environment, as the file has them.
    pub(crate) written: BTreeMap<String, String>,
    /// Where each entry of a list was set, by the list's name; as long as the list.
    pub(crate) entries: BTreeMap<&'static str, Vec<EntryPlaces>>,
    /// Whether the file is one of rules and holds nothing else.
    rules_only: bool,
    environment: &'a [(String, String)],
}

impl<'a> Reading<'a> {
    fn new(environment: &'a [(String, String)]) -> Self {
        let config = Config::default();
        let defaults = |list: &List| vec![EntryPlaces::nowhere(); (list.len)(&config)];
        Self {
            rules_only: false,
            entries: LISTS
                .iter()
                .map(|list| (list.name, defaults(list)))
                .collect(),
            config,
            errors: Vec::new(),
            places: BTreeMap::new(),
            written: BTreeMap::new(),
            environment,
        }
    }

    /// Reads what is above the file.
    fn read_all(mut self, sources: &Sources) -> Result<Loaded, ConfigErrors> {
        self.read_environment();
        self.read_options(&sources.options);
        self.read_standard();
        self.read_access();
        self.finish()
    }

    fn finish(mut self) -> Result<Loaded, ConfigErrors> {
        self.complete();
        // What holds between keys is looked at only once each key is right by itself.
        if self.errors.is_empty() {
            self.check();
        }
        ConfigErrors::none_of(self.errors)?;
        Ok(Loaded {
            config: self.config,
            places: Places {
                keys: self.places,
                written: self.written,
                entries: self.entries,
            },
        })
    }

    pub(crate) fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.errors.push(ConfigError {
            place,
            message: message.into(),
        });
    }

    fn read_text(&mut self, path: &Path, text: &str) -> Result<(), ConfigErrors> {
        let file = File::new(path, text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut unquoted = BTreeSet::new();
        for error in errors {
            if let Some(span) = error.span().filter(|_| error.message() != "duplicate key")
                && let Some((at, key)) = file::unquoted(text, span.start)
            {
                // One mistake may be several errors.
                if unquoted.insert(at) {
                    let words = format!("{key}: text needs quotes; write {key} = \"…\"");
                    self.wrong(file.place(at..at), words);
                }
                continue;
            }
            let place = error.span().map_or_else(
                || Place::WholeFile(path.to_owned()),
                |span| file.place(span),
            );
            let written = error.span().and_then(|span| text.get(span));
            match (error.message(), written) {
                ("duplicate key", Some(key)) if is_list(key) => {
                    let words = format!(
                        "{key} is a list; write [[{key}]] for each",
                        key = key.trim()
                    );
                    self.wrong(place, words);
                }
                ("duplicate key", Some(key)) => {
                    self.wrong(
                        place,
                        format!("{} is there twice", key.trim().escape_debug()),
                    );
                }
                (message, _) => self.wrong(place, message),
            }
        }
        ConfigErrors::none_of(std::mem::take(&mut self.errors))?;
        for (name, value) in root.get_ref() {
            self.read_top(&file, name, value);
        }
        Ok(())
    }

    /// Puts in what depends on other keys.
    fn complete(&mut self) {
        let entries = &self.entries;
        let is_said = |at: usize, key: &str| {
            let places = entries.get(LISTENER).and_then(|list| list.get(at));
            places.is_some_and(|places| places.keys.contains_key(key))
        };
        complete_listeners(&mut self.config, is_said);
        complete_authentication(&mut self.config);
    }

    fn read_top(
        &mut self,
        file: &File<'_>,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let section = name.get_ref().as_ref();
        if self.rules_only && section != RULE {
            let message = format!("{} does not belong here; {ONLY_RULES}", show_name(section));
            return self.wrong(file.place(name.span()), message);
        }
        if let Some(list) = LISTS.iter().find(|list| list.name == section) {
            return self.read_list(file, list, value);
        }
        if !SECTIONS.contains(&section) {
            return self.read_key(file, "", name, value);
        }
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("{section} is a table; write [{section}] and its keys below");
            return self.wrong(file.place(value.span()), message);
        };
        for (name, value) in table {
            self.read_key(file, section, name, value);
        }
    }

    fn read_key(
        &mut self,
        file: &File<'_>,
        section: &str,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let Some(key) = find(section, name.get_ref()) else {
            let message = unknown(section, name.get_ref());
            return self.wrong(file.place(name.span()), message);
        };
        let place = file.place(value.span());
        match self.raw(value.get_ref(), Some(&key.kind)) {
            Ok(raw) => {
                self.set(key, &raw, place);
                if let Some(written) = with_variables(&key.kind, value.get_ref()) {
                    self.written.insert(key.path(), written);
                }
            }
            Err(reason) => self.wrong(place, format!("{}: {reason}", key.path())),
        }
    }

    fn set(&mut self, key: &Key, raw: &Raw, place: Place) {
        let written = key
            .kind
            .parse(raw)
            .map(|value| self.anchor(&key.kind, value, &place))
            .and_then(|value| (key.write)(&mut self.config, value));
        match written {
            Ok(()) => {
                self.written.remove(&key.path());
                self.places.insert(key.path(), place);
            }
            Err(reason) => self.wrong(place, format!("{}: {reason}", key.path())),
        }
    }

    fn read_environment(&mut self) {
        for (name, value) in self.environment {
            let Some(path) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let place = Place::Variable(name.clone());
            let path = path.to_ascii_lowercase().replace("__", ".");
            let head = path.split('.').next().unwrap_or_default();
            if let Some(list) = LISTS.iter().find(|list| list.name == head) {
                if path == list.name {
                    self.replace_list(list, value.split_terminator(','), &place);
                } else if let Some(short) = &list.short {
                    let name = list.name.to_ascii_uppercase();
                    let message = format!("write {PREFIX}{name}={}, more with commas", short.form);
                    self.wrong(place, message);
                } else {
                    self.replace_list(list, std::iter::empty(), &place);
                }
            } else if SECTIONS.contains(&path.as_str()) {
                let message = format!("{path} is a table; write {name}__KEY, one for each key");
                self.wrong(place, message);
            } else {
                self.override_key(&path, value, place);
            }
        }
    }

    /// Variables that other programs know too stand for what nobody says, if they are wanted: many a
    /// container has them, and not for us.
    fn read_standard(&mut self) {
        if !self.config.telemetry.standard_variables {
            return;
        }
        for (name, path) in STANDARD {
            let variable = self.environment.iter().find(|(known, _)| known == name);
            let is_said = self.places.contains_key(*path);
            if let Some((_, value)) = variable.filter(|(_, value)| !value.is_empty() && !is_said) {
                self.override_key(path, value, Place::Variable((*name).to_owned()));
            }
        }
    }

    fn read_options(&mut self, options: &[Setting]) {
        for list in LISTS {
            let of_list = || options.iter().filter(|setting| setting.key == list.name);
            if let Some(first) = of_list().next() {
                let place = Place::Option(first.option);
                let values = of_list().map(|setting| setting.value.as_str());
                self.replace_list(list, values, &place);
            }
        }
        let is_list = |setting: &Setting| LISTS.iter().any(|list| list.name == setting.key);
        for setting in options.iter().filter(|setting| !is_list(setting)) {
            self.override_key(setting.key, &setting.value, Place::Option(setting.option));
        }
    }

    fn override_key(&mut self, path: &str, value: &str, place: Place) {
        let (section, name) = path.split_once('.').unwrap_or(("", path));
        match find(section, name) {
            Some(key) => self.set(key, &Raw::Text(value.to_owned()), place),
            None => self.wrong(place, unknown(section, name)),
        }
    }

    /// What stands in the file, with variables of the environment put in unless its key takes
    /// `${…}` for something else.
    pub(crate) fn raw(&self, value: &DeValue<'_>, kind: Option<&Kind>) -> Result<Raw, String> {
        Ok(match value {
            DeValue::String(text) if kind.is_some_and(Kind::has_placeholders) => {
                Raw::Text(text.clone().into_owned())
            }
            DeValue::String(text) => Raw::Text(self.interpolate(text)?),
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
                .map_or(Raw::Other("so long a number"), Raw::Integer),
            DeValue::Boolean(flag) => Raw::Flag(*flag),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.raw(item.get_ref(), kind));
                Raw::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Float(_) => Raw::Other("a number with a fraction"),
            DeValue::Datetime(_) => Raw::Other("a date or time of day"),
            DeValue::Table(_) => Raw::Other("a table"),
        })
    }

    /// Relative paths of a file are beside it; those of variables and options where the server was
    /// started.
    pub(crate) fn anchor(&self, kind: &Kind, value: Value, place: &Place) -> Value {
        match place {
            Place::File { path, .. } => {
                kind.anchor(value, path.parent().unwrap_or_else(|| Path::new("")))
            }
            _ => value,
        }
    }

    /// Puts variables in place of `${NAME}`; `$${` stands for `${`.
    fn interpolate(&self, text: &str) -> Result<String, String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                result.push_str(before);
                result.push_str("${");
                rest = after;
                continue;
            }
            let Some((name, after)) = after.split_once('}') else {
                return Err(
                    "\"${\" is not closed by \"}\"; write \"$${\" for the characters".into(),
                );
            };
            let variable = self.environment.iter().find(|(known, _)| known == name);
            let Some((_, value)) = variable else {
                return Err(format!("the environment has no variable {}", quote(name)));
            };
            result.push_str(before);
            result.push_str(value);
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }
}

/// What to say of a key that does not exist, with the nearest that does.
fn is_list(key: &str) -> bool {
    LISTS.iter().any(|list| list.name == key.trim())
}

fn unknown(section: &str, name: &str) -> String {
    let mut message = if section.is_empty() {
        format!("unknown key {}", show_name(name))
    } else {
        format!(
            "unknown key {} in {}",
            show_name(name),
            section.escape_debug()
        )
    };
    let has_column = |list: &&List| list.all_columns().any(|column| column.name == name);
    let known = KEYS.iter().filter(|key| key.section == section);
    let known = known.map(|key| key.name);
    let near = if section.is_empty() {
        let lists = LISTS.iter().map(|list| list.name);
        nearest(name, known.chain(SECTIONS.iter().copied()).chain(lists))
    } else {
        nearest(name, known)
    };
    if let Some(near) = near {
        message.push_str(&format!("; did you mean {near}?"));
    } else if let Some(key) = KEYS.iter().find(|key| key.name == name) {
        if key.section.is_empty() {
            message.push_str("; it belongs above the first table");
        } else {
            message.push_str(&format!("; it belongs below [{}]", key.section));
        }
    } else if let Some(list) = LISTS.iter().find(has_column) {
        message.push_str(&format!("; it belongs below [[{}]]", list.name));
    } else if section == LIMITS {
        message.push_str("; docs/limits.md lists the keys");
    } else {
        message.push_str("; docs/configuration.md lists the keys");
    }
    message
}

/// A key's name as it was written, so that it does not break its line.
pub(crate) fn show_name(name: &str) -> String {
    match name {
        "" => "\"\"".to_owned(),
        name => name.escape_debug().to_string(),
    }
}

/// The table that has a page of its own.
const LIMITS: &str = "limits";
/// Variables of OpenTelemetry's own, with the keys that they stand for.
const STANDARD: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
];
/// What a variable's name starts with when it overrides a key.
const PREFIX: &str = "NIGHTJAR__";
/// In bytes; more is not a file of ours.
const MAX_FILE: u64 = 1 << 20;
const ONLY_RULES: &str = "a file of rules has only [[rule]] in it";

//! A configuration as the file that would give it.

use crate::config::Config;
use crate::keys::{KEYS, Key, SECTIONS};
use crate::lists::{LISTS, List, Need};
use crate::value::toml_string;

impl Config {
    /// The whole configuration as TOML, defaults included; what is not set is left out, and so are
    /// the rules of `access.file`. `…` stands for passwords and keys (S71): without any,
    /// [`Config::load`] reads the same configuration from it; with one, it says so.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        text.push_str(&self.render_keys("", |_| true));
        for list in LISTS {
            for at in 0..(list.len)(self) {
                text.push_str(&format!("\n[[{}]]\n", list.name));
                if let Some((key, word)) = list.said_sort(self, at) {
                    text.push_str(&format!("{key} = {}\n", toml_string(word)));
                }
                for column in list.columns_of(self, at) {
                    if let Some(value) = column.kind.show(&(column.read)(self, at)) {
                        text.push_str(&format!("{} = {value}\n", column.name));
                    }
                }
            }
        }
        for section in SECTIONS {
            text.push_str(&format!("\n[{section}]\n"));
            text.push_str(&self.render_keys(section, |_| true));
        }
        text
    }

    /// What of the configuration is not the default, as TOML. Otherwise as [`Config::to_toml`].
    pub fn to_short_toml(&self) -> String {
        let usual = Self::default();
        let differs = |key: &&Key| (key.read)(self) != (key.read)(&usual);
        let mut text = self.render_keys("", differs);
        for list in LISTS {
            for at in 0..(list.len)(self) {
                self.render_short_entry(list, at, &mut text);
            }
        }
        for section in SECTIONS {
            let keys = self.render_keys(section, differs);
            if !keys.is_empty() {
                text.push_str(&format!("\n[{section}]\n{keys}"));
            }
        }
        text
    }

    fn render_short_entry(&self, list: &'static List, at: usize, text: &mut String) {
        let mut usual = Self::empty();
        (list.push)(&mut usual);
        text.push_str(&format!("\n[[{}]]\n", list.name));
        if let Some(sort) = list.sorts.all().iter().find(|sort| (sort.has)(self, at)) {
            (sort.begin)(&mut usual, 0);
        }
        if let Some((key, word)) = list.said_sort(self, at) {
            text.push_str(&format!("{key} = {}\n", toml_string(word)));
        }
        for column in list.columns_of(self, at) {
            let value = (column.read)(self, at);
            let is_needed = matches!(column.need, Need::Required(_));
            if !is_needed && value == (column.read)(&usual, 0) {
                continue;
            }
            if let Some(value) = column.kind.show(&value) {
                text.push_str(&format!("{} = {value}\n", column.name));
            }
        }
    }

    /// The value of a key such as `limits.inflight`, as the file would write it; `None` if there is
    /// no such key, or it is not set.
    pub fn shown(&self, name: &str) -> Option<String> {
        let (section, name) = name.rsplit_once('.').unwrap_or(("", name));
        let mut keys = KEYS.iter();
        let key = keys.find(|key| key.section == section && key.name == name)?;
        key.kind.show(&(key.read)(self))
    }

    fn render_keys(&self, section: &str, is_meant: impl Fn(&&Key) -> bool) -> String {
        let mut text = String::new();
        let keys = KEYS.iter().filter(|key| key.section == section);
        for key in keys.filter(is_meant) {
            if let Some(value) = key.kind.show(&(key.read)(self)) {
                text.push_str(&format!("{} = {value}\n", key.name));
            }
        }
        text
    }
}

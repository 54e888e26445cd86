//! A configuration as the file that would give it.

use crate::config::Config;
use crate::keys::{KEYS, SECTIONS};
use crate::lists::LISTS;
use crate::value::toml_string;

impl Config {
    /// The whole configuration as TOML, defaults included; what is not set is left out, and so are
    /// the rules of `access.file`. `…` stands for passwords and keys (S71): without any,
    /// [`Config::load`] reads the same configuration from it; with one, it says so.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        self.render_section("", &mut text);
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
            self.render_section(section, &mut text);
        }
        text
    }

    /// The value of a key such as `limits.inflight`, as the file would write it; `None` if there is
    /// no such key, or it is not set.
    pub fn shown(&self, name: &str) -> Option<String> {
        let (section, name) = name.rsplit_once('.').unwrap_or(("", name));
        let mut keys = KEYS.iter();
        let key = keys.find(|key| key.section == section && key.name == name)?;
        key.kind.show(&(key.read)(self))
    }

    fn render_section(&self, section: &str, text: &mut String) {
        for key in KEYS.iter().filter(|key| key.section == section) {
            if let Some(value) = key.kind.show(&(key.read)(self)) {
                text.push_str(&format!("{} = {value}\n", key.name));
            }
        }
    }
}

//! A configuration as the file that would give it.

use crate::config::Config;
use crate::keys::{KEYS, SECTIONS};
use crate::lists::LISTS;

impl Config {
    /// The whole configuration as TOML, defaults included; what is not set is left out.
    /// [`Config::load`] reads the same configuration from it.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        self.render_section("", &mut text);
        for list in LISTS {
            for values in (list.rows)(self) {
                text.push_str(&format!("\n[[{}]]\n", list.name));
                for (column, value) in list.columns.iter().zip(&values) {
                    if let Some(value) = column.kind.show(value) {
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

    fn render_section(&self, section: &str, text: &mut String) {
        for key in KEYS.iter().filter(|key| key.section == section) {
            if let Some(value) = key.kind.show(&(key.read)(self)) {
                text.push_str(&format!("{} = {value}\n", key.name));
            }
        }
    }
}

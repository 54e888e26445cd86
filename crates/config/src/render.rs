//! A configuration as the file that would give it.

use crate::config::Config;
use crate::keys::{ADDRESS, KEYS, LISTENER, SECTIONS};
use crate::value::toml_string;

impl Config {
    /// The whole configuration as TOML, defaults included; what is not set is left out.
    /// [`Config::load`] reads the same configuration from it.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        self.render_section("", &mut text);
        for listener in &self.listeners {
            let address = toml_string(&listener.address.to_string());
            text.push_str(&format!("\n[[{LISTENER}]]\n{ADDRESS} = {address}\n"));
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

//! Files of rules: `[[rule]]` and nothing else.

use std::path::Path;

use super::{Reading, read_file};
use crate::config::Rule;
use crate::error::{ConfigErrors, Place};
use crate::lists::RULE;
use crate::value::quote;

impl Rule {
    /// Reads a file with `[[rule]]` and nothing else, as `access.file` names it. The names of
    /// listeners in it are not looked at.
    ///
    /// # Errors
    /// All that is wrong, each with its place. A file without a rule is refused (S59), and so is
    /// one above 16 MiB.
    pub fn read_file(
        path: &Path,
        environment: &[(String, String)],
    ) -> Result<Vec<Self>, ConfigErrors> {
        let mut reading = Reading::of_rules(environment);
        match read_file(path, MAX_RULES) {
            Ok(text) => reading.read_text(path, &text)?,
            Err(reason) => reading.wrong(Place::WholeFile(path.to_owned()), reason),
        }
        if reading.errors.is_empty() && reading.config.rules.is_empty() {
            reading.wrong(Place::WholeFile(path.to_owned()), NO_RULE);
        }
        ConfigErrors::none_of(reading.errors)?;
        Ok(reading.config.rules)
    }
}

impl Reading<'_> {
    /// Reads the file that `access.file` names.
    pub(super) fn read_access(&mut self) {
        let Some(path) = self.config.access.file.clone() else {
            return;
        };
        let mut reading = Reading::of_rules(self.environment);
        match read_file(&path, MAX_RULES) {
            Ok(text) => {
                if let Err(errors) = reading.read_text(&path, &text) {
                    reading.errors = errors.into_vec();
                }
            }
            Err(reason) => {
                let message = format!("access.file: {} {reason}", quote(&path.to_string_lossy()));
                return self.wrong(self.place("access.file"), message);
            }
        }
        if reading.errors.is_empty() && reading.config.rules.is_empty() {
            reading.wrong(Place::WholeFile(path), NO_RULE);
        }
        self.errors.append(&mut reading.errors);
        self.config.access.rules = reading.config.rules;
        let places = reading.entries.remove(RULE).unwrap_or_default();
        self.entries.insert(ACCESS_RULE, places);
    }
}

impl<'a> Reading<'a> {
    fn of_rules(environment: &'a [(String, String)]) -> Self {
        Self {
            rules_only: true,
            ..Self::new(environment)
        }
    }
}

/// The places of the rules of `access.file`.
pub(crate) const ACCESS_RULE: &str = "access.rule";
/// In bytes; as many rules are made by a program.
const MAX_RULES: u64 = 16 << 20;
const NO_RULE: &str = "holds no [[rule]]; write one, or leave access.file out";

//! Values of a line, as Mosquitto takes them.

use std::time::Duration;

use config::ConfigError;

use crate::read::Line;

impl Line {
    /// What is wrong with it.
    pub(crate) fn wrong(&self, what: impl AsRef<str>) -> ConfigError {
        ConfigError {
            place: self.place.clone(),
            message: format!("{}: {}", self.name, what.as_ref()),
        }
    }

    /// A text, which reaches to the end of the line.
    pub(crate) fn text(&self) -> Result<&str, ConfigError> {
        match &*self.value {
            "" => Err(self.wrong("the value is missing")),
            text => Ok(text),
        }
    }

    /// The first word; what stands behind it does not count.
    pub(crate) fn word(&self) -> Result<&str, ConfigError> {
        let word = self.value.split(' ').next().unwrap_or_default();
        match word {
            "" => Err(self.wrong("the value is missing")),
            word => Ok(word),
        }
    }

    pub(crate) fn flag(&self) -> Result<bool, ConfigError> {
        match self.word()? {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => {
                let shown = shown(other);
                Err(self.wrong(format!("{shown} is neither true nor false")))
            }
        }
    }

    /// A whole number: decimal, or hexadecimal after `0x`, or octal after `0`, as in C.
    pub(crate) fn number(&self) -> Result<i64, ConfigError> {
        let word = self.word()?;
        let (sign, digits) = match word.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, word.strip_prefix('+').unwrap_or(word)),
        };
        let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(digits) => (16, digits),
            None if digits.len() > 1 && digits.starts_with('0') => (8, digits),
            None => (10, digits),
        };
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let number = i64::from_str_radix(digits, radix).ok().filter(|_| is_plain);
        let number = number.and_then(|number| number.checked_mul(sign));
        number.ok_or_else(|| self.wrong(format!("{} is no number", shown(word))))
    }

    /// A number from zero on; one below zero is zero.
    pub(crate) fn count(&self) -> Result<u64, ConfigError> {
        Ok(u64::try_from(self.number()?).unwrap_or_default())
    }

    /// A number in these bounds.
    pub(crate) fn within(&self, least: u64, most: u64) -> Result<u64, ConfigError> {
        let number = self.number()?;
        let found = u64::try_from(number).ok();
        found
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.wrong(format!("{number} is not between {least} and {most}")))
    }

    /// A number of hours, days, weeks, months of 30 days or years of 365: `6h`, `2w`.
    pub(crate) fn span(&self) -> Result<Duration, ConfigError> {
        let word = self.word()?;
        let unit = match word.chars().last() {
            Some('s') => 1,
            Some('h') => HOUR,
            Some('d') => 24 * HOUR,
            Some('w') => 7 * 24 * HOUR,
            Some('m') => 30 * 24 * HOUR,
            Some('y') => 365 * 24 * HOUR,
            _ => 0,
        };
        let digits = word.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let count: Option<u64> = digits.parse().ok().filter(|_| unit > 0);
        match count.and_then(|count| count.checked_mul(unit)) {
            Some(seconds) if seconds > 0 && digits.len().saturating_add(1) == word.len() => {
                Ok(Duration::from_secs(seconds))
            }
            _ => {
                let shown = shown(word);
                Err(self.wrong(format!(
                    "{shown} is no span; write a number and one of s, h, d, w, m, y, such as 14d"
                )))
            }
        }
    }
}

/// A word of the file, so that it does not break its line.
pub(crate) fn shown(word: &str) -> String {
    let short: String = word.chars().take(80).collect();
    format!("{short:?}")
}

const HOUR: u64 = 3600;

//! A password on its way in.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A password, or what is kept of one. It is read from a request and never written: it has no
/// `Serialize`, its `Debug` says nothing, and it is overwritten when it is dropped (S71).
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Password)]
pub struct Password(#[schema(inline)] Zeroizing<String>);

impl Password {
    /// Takes a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The password, for who hashes it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Asked for a text, serde_json would tell by itself what it found instead.
        deserializer.deserialize_any(Text)
    }
}

/// Takes a text alone. What serde says by itself of a number would tell the number.
struct Text;

impl Visitor<'_> for Text {
    type Value = Password;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Password, E> {
        Ok(Password::new(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Password, E> {
        Ok(Password::new(text))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Password, E> {
        Err(no_text())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Password, E> {
        Err(no_text())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Password, E> {
        Err(no_text())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Password, E> {
        Err(no_text())
    }
}

fn no_text<E: Error>() -> E {
    E::invalid_type(Unexpected::Other("something else"), &Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s71_what_is_no_password_is_not_repeated() {
        for text in ["8427", "-8427", "8427.5", "true", "[8427]", "{\"a\":8427}"] {
            let error = serde_json::from_str::<Password>(text)
                .unwrap_err()
                .to_string();
            assert!(
                !error.contains("8427") && !error.contains("true"),
                "{error}"
            );
        }
        let password: Password = serde_json::from_str("\"8427\"").unwrap();
        assert_eq!(password.reveal(), "8427");
        assert_eq!(format!("{password:?}"), "Password");
    }
}

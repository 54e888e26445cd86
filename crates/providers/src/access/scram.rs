//! What SCRAM-SHA-256 verifies passwords with (RFC 5802, 3; RFC 7677).

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Serialize};

/// What of a password is kept for SCRAM.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verifier {
    #[serde(with = "in_base64")]
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: NonZeroU32,
    #[serde(with = "in_base64")]
    pub(crate) stored_key: Vec<u8>,
    #[serde(with = "in_base64")]
    pub(crate) server_key: Vec<u8>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// With a salt of its own.
    pub(crate) fn new(password: &[u8], iterations: NonZeroU32) -> Result<Self, &'static str> {
        let mut salt = vec![0; 16];
        let random = SystemRandom::new().fill(&mut salt);
        random.map_err(|_| "the system gives no random numbers")?;
        Ok(Self::with_salt(password, salt, iterations))
    }

    pub(crate) fn with_salt(password: &[u8], salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let mut salted = [0; 32];
        let function = pbkdf2::PBKDF2_HMAC_SHA256;
        let password = prepared(password);
        pbkdf2::derive(function, iterations, &salt, &password, &mut salted);
        let client_key = sign(&salted, b"Client Key");
        Self {
            salt,
            iterations,
            stored_key: digest::digest(&digest::SHA256, client_key.as_ref())
                .as_ref()
                .into(),
            server_key: sign(&salted, b"Server Key").as_ref().into(),
        }
    }
}

/// The password as clients prepare it (SASLprep, RFC 4013), so that one that was typed in another
/// way is the same; one that cannot be prepared is taken as it is, as clients take it.
fn prepared(password: &[u8]) -> Cow<'_, [u8]> {
    let prepared = str::from_utf8(password).ok().map(stringprep::saslprep);
    match prepared {
        Some(Ok(Cow::Owned(text))) => text.into_bytes().into(),
        _ => password.into(),
    }
}

/// HMAC-SHA-256.
pub(crate) fn sign(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

mod in_base64 {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, Engine, STANDARD};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD
            .decode(text)
            .map_err(|_| D::Error::custom("damaged base64"))
    }
}

/// RFC 7677, 4.
pub(crate) const LEAST_ITERATIONS: NonZeroU32 = match NonZeroU32::new(4096) {
    Some(count) => count,
    None => NonZeroU32::MIN,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_prepared_as_rfc_4013_shows() {
        for (typed, prepared) in [
            ("I\u{ad}X", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("e\u{301}", "\u{e9}"),
            ("a\u{a0}b", "a b"),
            // Forbidden, and so taken as it is.
            ("\u{7}", "\u{7}"),
            ("\u{627}1", "\u{627}1"),
        ] {
            assert_eq!(&*super::prepared(typed.as_bytes()), prepared.as_bytes());
        }
        assert_eq!(&*prepared(&[0xff, 0xfe]), [0xff, 0xfe]);
        let verifier = |password: &str| {
            Verifier::with_salt(password.as_bytes(), vec![7; 16], LEAST_ITERATIONS)
        };
        assert!(verifier("e\u{301}") == verifier("\u{e9}"));
        assert!(verifier("a") != verifier("b"));
    }
}

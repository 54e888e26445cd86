//! The three parts of a token, and whether it is signed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use ring::{hmac, signature::VerificationAlgorithm};
use serde_json::{Map, Value};

use super::keys::{Key, Keys, Kind};
use crate::settings::Algorithm;

/// A token that nobody has verified yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    /// The key that it names.
    pub(super) key_id: Option<String>,
    /// What is signed.
    signed: &'a [u8],
    signature: Vec<u8>,
    /// Claims, in base64url.
    pub(super) payload: &'a [u8],
}

/// Why something is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// It does not look like one.
    Foreign,
    /// It looks like one, and is none.
    Bad(&'static str),
}

/// What came of verifying a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// A key of ours signed it.
    ByKey,
    /// None of our keys could have.
    ByUnknown,
    /// One should have and did not.
    Badly,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, TokenError> {
        let mut parts = text.split(|&byte| byte == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Foreign);
        };
        // A header is an object: it begins with { and a quotation mark or white space.
        if !header.starts_with(b"ey") && !header.starts_with(b"ew") {
            return Err(TokenError::Foreign);
        }
        if text.len() > LONGEST {
            return Err(TokenError::Bad("the token is longer than 8 KiB"));
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| DAMAGED)?;
        let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| DAMAGED)?;
        // RFC 7515, 4.1.11: what must be understood, and is not.
        if header.contains_key("crit") {
            return Err(TokenError::Bad(
                "the token must be understood in ways that are unknown",
            ));
        }
        let algorithm = header
            .get("alg")
            .and_then(Value::as_str)
            .and_then(algorithm);
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(DAMAGED),
        };
        let length = header_and_payload(text);
        Ok(Self {
            algorithm: algorithm.ok_or(TokenError::Bad(
                "the token is signed in a way that is not taken",
            ))?,
            key_id,
            signed: text.get(..length).ok_or(DAMAGED)?,
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| DAMAGED)?,
            payload,
        })
    }

    pub(super) fn verify(&self, keys: &Keys) -> Signed {
        let mut fitting = keys.fit(self).take(MOST_KEYS).peekable();
        if fitting.peek().is_none() {
            return Signed::ByUnknown;
        }
        if fitting.any(|key| self.is_signed_by(key)) {
            Signed::ByKey
        } else {
            Signed::Badly
        }
    }

    fn is_signed_by(&self, key: &Key) -> bool {
        let rsa = |parameters: &RsaParameters, n: &[u8], e: &[u8]| {
            let key = RsaPublicKeyComponents { n, e };
            key.verify(parameters, self.signed, &self.signature).is_ok()
        };
        let other = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            let key = UnparsedPublicKey::new(algorithm, key);
            key.verify(self.signed, &self.signature).is_ok()
        };
        let mac = |algorithm, key: &[u8]| {
            let key = hmac::Key::new(algorithm, key);
            hmac::verify(&key, self.signed, &self.signature).is_ok()
        };
        match (self.algorithm, &key.kind) {
            (Algorithm::Hs256, Kind::Secret(key)) => mac(hmac::HMAC_SHA256, key.reveal()),
            (Algorithm::Hs384, Kind::Secret(key)) => mac(hmac::HMAC_SHA384, key.reveal()),
            (Algorithm::Hs512, Kind::Secret(key)) => mac(hmac::HMAC_SHA512, key.reveal()),
            (Algorithm::Rs256, Kind::Rsa { n, e }) => {
                rsa(&signature::RSA_PKCS1_2048_8192_SHA256, n, e)
            }
            (Algorithm::Rs384, Kind::Rsa { n, e }) => {
                rsa(&signature::RSA_PKCS1_2048_8192_SHA384, n, e)
            }
            (Algorithm::Rs512, Kind::Rsa { n, e }) => {
                rsa(&signature::RSA_PKCS1_2048_8192_SHA512, n, e)
            }
            (Algorithm::Ps256, Kind::Rsa { n, e }) => {
                rsa(&signature::RSA_PSS_2048_8192_SHA256, n, e)
            }
            (Algorithm::Ps384, Kind::Rsa { n, e }) => {
                rsa(&signature::RSA_PSS_2048_8192_SHA384, n, e)
            }
            (Algorithm::Ps512, Kind::Rsa { n, e }) => {
                rsa(&signature::RSA_PSS_2048_8192_SHA512, n, e)
            }
            (Algorithm::Es256, Kind::P256(key)) => other(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Algorithm::Es384, Kind::P384(key)) => other(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Algorithm::EdDsa, Kind::Ed25519(key)) => other(&signature::ED25519, key),
            // A key of one kind verifies nothing of another (S66).
            _ => false,
        }
    }
}

/// The algorithm of this name (RFC 7518, 3.1; RFC 8037, 3.1). `none` is no algorithm.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "HS256" => Algorithm::Hs256,
        "HS384" => Algorithm::Hs384,
        "HS512" => Algorithm::Hs512,
        "RS256" => Algorithm::Rs256,
        "RS384" => Algorithm::Rs384,
        "RS512" => Algorithm::Rs512,
        "PS256" => Algorithm::Ps256,
        "PS384" => Algorithm::Ps384,
        "PS512" => Algorithm::Ps512,
        "ES256" => Algorithm::Es256,
        "ES384" => Algorithm::Es384,
        "EdDSA" | "Ed25519" => Algorithm::EdDsa,
        _ => return None,
    })
}

/// How long the first two parts are, with the dot between them.
fn header_and_payload(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == b'.').unwrap_or(0)
}

const DAMAGED: TokenError = TokenError::Bad("the token is damaged");
const LONGEST: usize = 8192;
/// Keys that are tried for a token that names none.
const MOST_KEYS: usize = 16;

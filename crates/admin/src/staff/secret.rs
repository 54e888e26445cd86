//! Hashes, and what is drawn at random.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The system gives no random numbers.
#[derive(Debug)]
pub(super) struct NoRandom;

/// What argon2id costs: 19 MiB, two passes, one lane.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT: usize = 16;
const OUTPUT: usize = 32;

/// 256 random bits as text.
pub(super) fn draw() -> Result<String, NoRandom> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(&mut *bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

fn fill(bytes: &mut [u8]) -> Result<(), NoRandom> {
    SystemRandom::new().fill(bytes).map_err(|_| NoRandom)
}

/// SHA-256: enough for what was drawn at random and has 256 bits.
pub(super) fn short_hash(secret: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    let made = digest(&SHA256, secret.as_bytes());
    for (to, from) in hash.iter_mut().zip(made.as_ref()) {
        *to = *from;
    }
    hash
}

/// Whether two hashes are the same, without telling by the time where they differ.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// The argon2id hash of a password, with a salt of its own. Takes tens of milliseconds.
pub(super) fn hash(password: &str) -> Result<String, NoRandom> {
    let mut salt = [0; SALT];
    fill(&mut salt)?;
    let mut output = [0; OUTPUT];
    argon2id(password, &salt, &mut output);
    let [salt, hash] = [&salt[..], &output[..]].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    Ok(format!("{}{salt}${hash}", head()))
}

/// Whether this is the password. It takes as long for a wrong one as for the right one, and as long
/// if there is none to compare with.
pub(super) fn verify(password: &str, kept: Option<&str>) -> bool {
    let parts = kept.and_then(parse);
    let (salt, hash) = parts.unwrap_or(([0; SALT], [0; OUTPUT]));
    let mut output = [0; OUTPUT];
    argon2id(password, &salt, &mut output);
    same(&output, &hash) && parts.is_some()
}

/// Whether a text is what [`hash`] makes.
pub(super) fn is_hash(text: &str) -> bool {
    parse(text).is_some()
}

fn head() -> String {
    format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}$")
}

fn parse(text: &str) -> Option<([u8; SALT], [u8; OUTPUT])> {
    let (salt, hash) = text.strip_prefix(&head())?.split_once('$')?;
    let salt = STANDARD_NO_PAD.decode(salt).ok()?.try_into().ok()?;
    let hash = STANDARD_NO_PAD.decode(hash).ok()?.try_into().ok()?;
    Some((salt, hash))
}

fn argon2id(password: &str, salt: &[u8], output: &mut [u8; OUTPUT]) {
    let Ok(params) = Params::new(MEMORY, PASSES, LANES, Some(OUTPUT)) else {
        return;
    };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    if argon2
        .hash_password_into(password.as_bytes(), salt, output)
        .is_err()
    {
        // Only lengths out of range are refused, and these are constants: better no password fits
        // than any.
        let mut other = [0; OUTPUT];
        drop(fill(&mut other));
        *output = other;
    }
}

/// The one-time code of the first start: 140 bits, in groups that can be read aloud.
pub(super) struct Code(Zeroizing<String>);

/// Letters and digits that are not taken for one another (Crockford).
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 28;
const GROUP: usize = 4;

impl Code {
    pub(super) fn draw() -> Result<Self, NoRandom> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        fill(&mut *bytes)?;
        let letters = bytes.iter().filter_map(|byte| {
            let letter = LETTERS.get(usize::from(byte % 32))?;
            Some(char::from(*letter))
        });
        Ok(Self(Zeroizing::new(letters.collect())))
    }

    /// As it is shown: with a line between groups.
    pub(super) fn shown(&self) -> String {
        let mut shown = String::new();
        for (at, letter) in self.0.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                shown.push('-');
            }
            shown.push(letter);
        }
        shown
    }

    /// Whether this is it: in small letters or large, with lines or without.
    pub(super) fn is(&self, given: &str) -> bool {
        let given = given
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric());
        let given: Zeroizing<String> = Zeroizing::new(
            given
                .map(|letter| match letter.to_ascii_uppercase() {
                    'O' => '0',
                    'I' | 'L' => '1',
                    other => other,
                })
                .collect(),
        );
        same(&short_hash(&given), &short_hash(&self.0))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

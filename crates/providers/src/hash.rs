//! Passwords as they are kept.
//!
//! | text | what it is |
//! |---|---|
//! | `$6$salt$hash` | Mosquitto: SHA-512 of password and salt, both base64 (not the `$6$` of crypt(3)) |
//! | `$7$iterations$salt$hash` | Mosquitto: PBKDF2 with HMAC-SHA-512 |
//! | `$argon2id$v=19$m=..,t=..,p=..$salt$hash` | argon2id (RFC 9106), as this server writes it |
//! | `$pbkdf2-sha256$i=..$salt$hash`, `-sha512` | PBKDF2 |
//! | `$sha256$salt$hash`, `$sha512$..` | SHA of salt and password, both base64: from tables with a salt |
//! | `$2b$..`, `$2a$..`, `$2y$..` | bcrypt |
//!
//! What a hash may cost is bounded, so that no line of a file or a table keeps the processor busy
//! for minutes.

use std::fmt;
use std::num::NonZeroU32;

use auth::Secret;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, pbkdf2};
use subtle::ConstantTimeEq;

use crate::settings::HashKind;

/// A password as it is kept: enough to tell whether one is right.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Plain(Secret),
    Digest {
        function: Function,
        order: Order,
        salt: Box<[u8]>,
        hash: Box<[u8]>,
    },
    Pbkdf2 {
        function: Function,
        iterations: NonZeroU32,
        salt: Box<[u8]>,
        hash: Box<[u8]>,
    },
    Argon2id {
        memory: u32,
        passes: u32,
        lanes: u32,
        salt: Box<[u8]>,
        hash: Box<[u8]>,
    },
    Bcrypt {
        cost: u32,
        text: Box<str>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    PasswordFirst,
    SaltFirst,
}

/// Why a text is no hash. It does not hold the text (S71).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashError(&'static str);

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for HashError {}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Form::Plain(_) => "Hash(plain)",
            Form::Digest { .. } => "Hash(digest)",
            Form::Pbkdf2 { .. } => "Hash(pbkdf2)",
            Form::Argon2id { .. } => "Hash(argon2id)",
            Form::Bcrypt { .. } => "Hash(bcrypt)",
        })
    }
}

impl Hash {
    /// Reads one of the texts of the table above.
    ///
    /// # Errors
    /// The text is none of them, is damaged, or would cost too much.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let mut parts = text.strip_prefix('$').ok_or(UNKNOWN)?.split('$');
        let (name, rest): (&str, Vec<&str>) = (parts.next().unwrap_or(""), parts.collect());
        let form = match (name, &rest[..]) {
            ("6", [salt, hash]) => Form::Digest {
                function: Function::Sha512,
                order: Order::PasswordFirst,
                salt: padded(salt)?,
                hash: of_length(padded(hash)?, 64)?,
            },
            ("7", [iterations, salt, hash]) => Form::Pbkdf2 {
                function: Function::Sha512,
                iterations: count(iterations)?,
                salt: padded(salt)?,
                hash: of_length(padded(hash)?, 64)?,
            },
            ("argon2id", ["v=19", parameters, salt, hash]) => argon2id(parameters, salt, hash)?,
            ("pbkdf2-sha256", [parameters, salt, hash]) => {
                of_phc(Function::Sha256, parameters, salt, hash)?
            }
            ("pbkdf2-sha512", [parameters, salt, hash]) => {
                of_phc(Function::Sha512, parameters, salt, hash)?
            }
            ("sha256", [salt, hash]) => digested(Function::Sha256, salt, hash)?,
            ("sha512", [salt, hash]) => digested(Function::Sha512, salt, hash)?,
            ("2a" | "2b" | "2y", [cost, _]) => bcrypt(cost, text)?,
            (
                "6" | "7" | "argon2id" | "pbkdf2-sha256" | "pbkdf2-sha512" | "sha256" | "sha512"
                | "2a" | "2b" | "2y",
                _,
            ) => {
                return Err(DAMAGED);
            }
            _ => return Err(UNKNOWN),
        };
        Ok(Self(form))
    }

    /// Reads a column of a table, perhaps with another that has the salt.
    ///
    /// # Errors
    /// As for [`Hash::parse`]; the hash is not of the kind that it should be; plain text is never
    /// guessed.
    pub fn of_column(kind: HashKind, text: &str, salt: Option<&str>) -> Result<Self, HashError> {
        let salted = |function: Function| {
            Ok(Self(Form::Digest {
                function,
                order: Order::SaltFirst,
                salt: salt.unwrap_or("").as_bytes().into(),
                hash: of_length(hexadecimal(text)?, function.length())?,
            }))
        };
        match kind {
            HashKind::Plain if text.is_empty() => Err(HashError("an empty password")),
            HashKind::Plain => Ok(Self(Form::Plain(Secret::new(text.as_bytes())))),
            HashKind::Sha256 => salted(Function::Sha256),
            HashKind::Sha512 => salted(Function::Sha512),
            HashKind::Auto if text.starts_with('$') => Self::parse(text),
            HashKind::Auto if text.len() == 64 => salted(Function::Sha256),
            HashKind::Auto if text.len() == 128 => salted(Function::Sha512),
            HashKind::Auto => Err(UNKNOWN),
            HashKind::Pbkdf2 | HashKind::Bcrypt | HashKind::Argon2id => {
                let hash = Self::parse(text)?;
                match (kind, &hash.0) {
                    (HashKind::Pbkdf2, Form::Pbkdf2 { .. })
                    | (HashKind::Bcrypt, Form::Bcrypt { .. })
                    | (HashKind::Argon2id, Form::Argon2id { .. }) => Ok(hash),
                    _ => Err(HashError("a hash of another kind than configured")),
                }
            }
        }
    }

    /// Whether this is the password. It takes as long for a wrong one as for the right one, and
    /// for argon2id tens of milliseconds: not for a worker.
    pub fn verify(&self, password: &[u8]) -> bool {
        match &self.0 {
            Form::Plain(right) => {
                // Hashed first, so that the time does not tell the length.
                let [right, given] =
                    [right.reveal(), password].map(|text| digest::digest(&digest::SHA256, text));
                right.as_ref().ct_eq(given.as_ref()).into()
            }
            Form::Digest {
                function,
                order,
                salt,
                hash,
            } => {
                let mut context = digest::Context::new(function.digest());
                let (first, second) = match order {
                    Order::PasswordFirst => (password, &salt[..]),
                    Order::SaltFirst => (&salt[..], password),
                };
                context.update(first);
                context.update(second);
                context.finish().as_ref().ct_eq(hash).into()
            }
            Form::Pbkdf2 {
                function,
                iterations,
                salt,
                hash,
            } => pbkdf2::verify(function.pbkdf2(), *iterations, salt, password, hash).is_ok(),
            Form::Argon2id {
                memory,
                passes,
                lanes,
                salt,
                hash,
            } => {
                let mut found = vec![0; hash.len()];
                let done = argon2_into([*memory, *passes, *lanes], password, salt, &mut found);
                done.is_ok() && bool::from(found.ct_eq(hash))
            }
            Form::Bcrypt { text, .. } => bcrypt::verify(password, text).unwrap_or(false),
        }
    }

    /// What kind it is and what it costs: the same for hashes that take the same time.
    pub(crate) fn class(&self) -> (u8, u64) {
        match &self.0 {
            Form::Plain(_) => (0, 0),
            Form::Digest { function, .. } => (1, function.length() as u64),
            Form::Pbkdf2 {
                function,
                iterations,
                ..
            } => (function.length() as u8, iterations.get().into()),
            Form::Argon2id { memory, passes, .. } => {
                (3, u64::from(*memory).saturating_mul((*passes).into()))
            }
            Form::Bcrypt { cost, .. } => (4, (*cost).into()),
        }
    }

    /// The hash of a password that nobody has, as [`hash_argon2id`] makes them.
    pub(crate) fn decoy() -> Self {
        Self(Form::Argon2id {
            memory: MEMORY,
            passes: PASSES,
            lanes: LANES,
            salt: vec![0; SALT].into(),
            hash: vec![0; OUTPUT].into(),
        })
    }
}

/// Hexadecimal digits of SHA-256 or SHA-512 of salt and password, as [`Hash::parse`] reads them.
///
/// # Errors
/// They are of neither.
pub fn salted(digits: &str, salt: &str) -> Result<String, HashError> {
    let name = match digits.len() {
        64 => "sha256",
        128 => "sha512",
        _ => return Err(UNKNOWN),
    };
    let hash = STANDARD.encode(hexadecimal(digits)?);
    Ok(format!("${name}${}${hash}", STANDARD.encode(salt)))
}

fn digested(function: Function, salt: &str, hash: &str) -> Result<Form, HashError> {
    Ok(Form::Digest {
        function,
        order: Order::SaltFirst,
        salt: STANDARD.decode(salt).map_err(|_| DAMAGED)?.into(),
        hash: of_length(padded(hash)?, function.length())?,
    })
}

/// Hashes a new password by argon2id (19 MiB, two passes, one lane), with a salt of its own. It
/// takes tens of milliseconds: not for a worker.
///
/// # Errors
/// The password is empty, or the system gives no random numbers.
pub fn hash_argon2id(password: &Secret) -> Result<String, HashError> {
    if password.reveal().is_empty() {
        return Err(HashError("an empty password"));
    }
    let mut salt = [0; SALT];
    let random = SystemRandom::new().fill(&mut salt);
    random.map_err(|_| HashError("the system gives no random numbers"))?;
    let mut hash = [0; OUTPUT];
    argon2_into([MEMORY, PASSES, LANES], password.reveal(), &salt, &mut hash)?;
    let [salt, hash] = [&salt[..], &hash[..]].map(|it| STANDARD_NO_PAD.encode(it));
    Ok(format!(
        "$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}${salt}${hash}"
    ))
}

impl Function {
    fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

fn argon2_into(
    [memory, passes, lanes]: [u32; 3],
    password: &[u8],
    salt: &[u8],
    into: &mut [u8],
) -> Result<(), HashError> {
    use argon2::{Algorithm, Argon2, Params, Version};
    let parameters = Params::new(memory, passes, lanes, Some(into.len())).map_err(|_| DAMAGED)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let done = argon2.hash_password_into(password, salt, into);
    done.map_err(|_| DAMAGED)
}

fn argon2id(parameters: &str, salt: &str, hash: &str) -> Result<Form, HashError> {
    let mut values = [None; 3];
    for parameter in parameters.split(',') {
        let (name, value) = parameter.split_once('=').ok_or(DAMAGED)?;
        let [memory, passes, lanes] = &mut values;
        let place = match name {
            "m" => memory,
            "t" => passes,
            "p" => lanes,
            _ => return Err(DAMAGED),
        };
        if place.replace(number(value)?).is_some() {
            return Err(DAMAGED);
        }
    }
    let [Some(memory), Some(passes), Some(lanes)] = values else {
        return Err(DAMAGED);
    };
    if memory > MOST_MEMORY || passes > MOST_PASSES || lanes > MOST_LANES {
        return Err(COSTLY);
    }
    let (salt, hash) = (unpadded(salt)?, unpadded(hash)?);
    if salt.len() < 8 || !(16..=64).contains(&hash.len()) {
        return Err(DAMAGED);
    }
    argon2::Params::new(memory, passes, lanes, Some(hash.len())).map_err(|_| DAMAGED)?;
    Ok(Form::Argon2id {
        memory,
        passes,
        lanes,
        salt,
        hash,
    })
}

/// `i=100000` or `i=100000,l=32`.
fn of_phc(function: Function, parameters: &str, salt: &str, hash: &str) -> Result<Form, HashError> {
    let (iterations, length) = match parameters.split_once(',') {
        Some((iterations, length)) => (iterations, Some(length)),
        None => (parameters, None),
    };
    let iterations = count(iterations.strip_prefix("i=").ok_or(DAMAGED)?)?;
    let hash = unpadded(hash)?;
    if let Some(length) = length {
        let length = number(length.strip_prefix("l=").ok_or(DAMAGED)?)?;
        if usize::try_from(length) != Ok(hash.len()) {
            return Err(DAMAGED);
        }
    }
    if !(16..=64).contains(&hash.len()) {
        return Err(DAMAGED);
    }
    Ok(Form::Pbkdf2 {
        function,
        iterations,
        salt: unpadded(salt)?,
        hash,
    })
}

fn bcrypt(cost: &str, text: &str) -> Result<Form, HashError> {
    let cost = number(cost)?;
    if cost > MOST_COST {
        return Err(COSTLY);
    }
    text.parse::<bcrypt::HashParts>().map_err(|_| DAMAGED)?;
    Ok(Form::Bcrypt {
        cost,
        text: text.into(),
    })
}

fn count(text: &str) -> Result<NonZeroU32, HashError> {
    match NonZeroU32::new(number(text)?).ok_or(DAMAGED)? {
        iterations if iterations.get() > MOST_ITERATIONS => Err(COSTLY),
        iterations => Ok(iterations),
    }
}

/// Digits only; `u32::from_str` takes a sign, too.
fn number(text: &str) -> Result<u32, HashError> {
    if !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(DAMAGED);
    }
    text.parse().map_err(|_| DAMAGED)
}

fn padded(text: &str) -> Result<Box<[u8]>, HashError> {
    not_empty(STANDARD.decode(text))
}

fn unpadded(text: &str) -> Result<Box<[u8]>, HashError> {
    not_empty(STANDARD_NO_PAD.decode(text))
}

fn not_empty(bytes: Result<Vec<u8>, base64::DecodeError>) -> Result<Box<[u8]>, HashError> {
    match bytes {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes.into()),
        Ok(_) | Err(_) => Err(DAMAGED),
    }
}

fn of_length(bytes: Box<[u8]>, length: usize) -> Result<Box<[u8]>, HashError> {
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(DAMAGED)
    }
}

fn hexadecimal(text: &str) -> Result<Box<[u8]>, HashError> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)?.wrapping_shl(4) | digit(low)?),
        _ => None,
    });
    pairs.collect::<Option<_>>().ok_or(DAMAGED)
}

const UNKNOWN: HashError = HashError("not a hash of a known kind");
const DAMAGED: HashError = HashError("a damaged hash");
const COSTLY: HashError = HashError("a hash that would take too long");

/// What new hashes cost: KiB, passes, lanes (OWASP's advice for argon2id).
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT: usize = 16;
const OUTPUT: usize = 32;

/// What hashes may cost.
const MOST_MEMORY: u32 = 262_144;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 16;
const MOST_ITERATIONS: u32 = 5_000_000;
const MOST_COST: u32 = 16;

#[cfg(test)]
mod tests;

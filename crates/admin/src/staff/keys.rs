//! API keys: for scripts, a name and a secret that were drawn at random.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::{KeptKey, MOST};
use super::people::described;
use super::{Staff, StaffRole, lock, no_random, secret};
use crate::routes::check;
use crate::{Failure, Record, Stamp};

/// A key. Its secret was shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// What people call it.
    pub name: String,
    /// The name of Basic authentication.
    pub api_key: String,
    /// What it may do.
    pub role: StaffRole,
    /// What others are to know of it.
    pub description: String,
    /// Whether it is let in.
    pub enabled: bool,
    /// When it is let in no more; never, unless given.
    pub expires_at: Option<Stamp>,
    /// When it was made.
    pub created_at: Stamp,
}

/// A key to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What people call it: 1 to 1024 bytes without control characters.
    pub name: String,
    /// What it may do.
    pub role: StaffRole,
    /// What others are to know of it.
    #[serde(default)]
    pub description: String,
    /// Whether it is let in; yes, unless given.
    pub enabled: Option<bool>,
    /// When it is let in no more; never, unless given.
    pub expires_at: Option<Stamp>,
}

/// What is to be changed of a key. What is not given stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyChange {
    /// What it may do.
    pub role: Option<StaffRole>,
    /// What others are to know of it.
    pub description: Option<String>,
    /// Whether it is let in.
    pub enabled: Option<bool>,
    /// When it is let in no more.
    pub expires_at: Option<Stamp>,
}

/// A key just made, with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeApiKey {
    #[serde(flatten)]
    pub(crate) key: ApiKey,
    /// The password of Basic authentication. It is shown this once.
    pub(crate) api_secret: String,
}

impl fmt::Debug for MadeApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

impl KeptKey {
    fn shown(&self) -> ApiKey {
        ApiKey {
            name: self.name.clone(),
            api_key: self.api_key.clone(),
            role: self.role,
            description: self.description.clone(),
            enabled: self.enabled,
            expires_at: self.expires_at,
            created_at: self.created_at,
        }
    }
}

impl Staff {
    /// Who shows this key with this secret: its name, and what it may do.
    pub(crate) fn by_key(&self, api_key: &str, given: &str) -> Option<(String, StaffRole)> {
        let book = lock(&self.book);
        let kept = book.keys.iter().find(|kept| kept.api_key == api_key)?;
        let is_right = secret::same(&secret::short_hash(given), &kept.secret);
        let is_over = kept.expires_at.is_some_and(|end| end <= Stamp::now());
        (is_right && kept.enabled && !is_over).then(|| (kept.name.clone(), kept.role))
    }

    /// All keys, by name.
    pub(crate) fn keys(&self) -> Vec<ApiKey> {
        let book = lock(&self.book);
        let mut all: Vec<_> = book.keys.iter().map(KeptKey::shown).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Makes a key.
    pub(crate) fn create_key(
        &self,
        new: NewApiKey,
        record: &Record,
    ) -> Result<MadeApiKey, Failure> {
        check::name("name", &new.name).map_err(Failure::Invalid)?;
        described(&new.description)?;
        let api_secret = secret::draw().map_err(|_| no_random())?;
        let drawn = secret::draw().map_err(|_| no_random())?;
        // 72 bits: it is no secret, it only has to be another than the others.
        let api_key: String = drawn.chars().take(12).collect();
        let (turn, mut book) = self.change();
        if book.keys.iter().any(|kept| kept.name == new.name) {
            return Err(Failure::Exists(format!(
                "there is a key {:?} already",
                new.name
            )));
        }
        if book.keys.len() >= MOST {
            return Err(Failure::Invalid(format!("there are {MOST} keys already")));
        }
        let made = KeptKey {
            name: new.name,
            api_key,
            secret: secret::short_hash(&api_secret),
            role: new.role,
            description: new.description,
            enabled: new.enabled.unwrap_or(true),
            expires_at: new.expires_at,
            created_at: Stamp::now(),
        };
        let key = made.shown();
        book.keys.push(made);
        record.done(None, Some(&key))?;
        self.keep(&turn, book)?;
        Ok(MadeApiKey { key, api_secret })
    }

    /// Changes a key.
    pub(crate) fn change_key(
        &self,
        name: &str,
        change: ApiKeyChange,
        record: &Record,
    ) -> Result<ApiKey, Failure> {
        if let Some(description) = &change.description {
            described(description)?;
        }
        let (turn, mut book) = self.change();
        let kept = book.keys.iter_mut().find(|kept| kept.name == name);
        let kept = kept.ok_or_else(|| no_key(name))?;
        let before = kept.shown();
        kept.role = change.role.unwrap_or(kept.role);
        kept.description = change
            .description
            .unwrap_or_else(|| kept.description.clone());
        kept.enabled = change.enabled.unwrap_or(kept.enabled);
        kept.expires_at = change.expires_at.or(kept.expires_at);
        let after = kept.shown();
        record.done(Some(&before), Some(&after))?;
        self.keep(&turn, book)?;
        Ok(after)
    }

    /// Removes a key.
    pub(crate) fn delete_key(&self, name: &str, record: &Record) -> Result<(), Failure> {
        let (turn, mut book) = self.change();
        let kept = book.keys.iter().find(|kept| kept.name == name);
        let before = kept.ok_or_else(|| no_key(name))?.shown();
        book.keys.retain(|kept| kept.name != name);
        record.done(Some(&before), None)?;
        self.keep(&turn, book)
    }
}

fn no_key(name: &str) -> Failure {
    Failure::NotFound(format!("there is no key {name:?}"))
}

//! Administrators, and the first of them.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::{KeptAdministrator, MOST};
use super::{Refused, SignedIn, Staff, StaffRole, lock, no_random, secret};
use crate::routes::check;
use crate::{Failure, Password, Record, Stamp};

/// Fewest characters of a password.
const SHORTEST: usize = 10;
/// Most bytes of a password.
const LONGEST: usize = 1024;
/// Most bytes of a description.
pub(super) const DESCRIPTION: usize = 1024;

/// What the audit log calls others: keys, who opens the control socket, who says not who he is, the
/// server itself, users who give orders at control topics.
const RESERVED: [&str; 5] = ["key", "local", "a stranger", "server", "mqtt user"];

/// Somebody who may use the dashboard and the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Administrator {
    /// The name.
    pub username: String,
    /// What he may do.
    pub role: StaffRole,
    /// What others are to know of him.
    pub description: String,
    /// When he was made.
    pub created_at: Stamp,
}

/// An administrator to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdministrator {
    /// The name: 1 to 1024 bytes without control characters or colons.
    pub username: String,
    /// At least 10 characters.
    pub password: Password,
    /// What he may do.
    pub role: StaffRole,
    /// What others are to know of him.
    #[serde(default)]
    pub description: String,
}

/// What is to be changed of an administrator. What is not given stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdministratorChange {
    /// What he may do.
    pub role: Option<StaffRole>,
    /// What others are to know of him.
    pub description: Option<String>,
    /// A new password, at least 10 characters.
    pub password: Option<Password>,
}

impl KeptAdministrator {
    fn shown(&self) -> Administrator {
        Administrator {
            username: self.username.clone(),
            role: self.role,
            description: self.description.clone(),
            created_at: self.created_at,
        }
    }
}

impl fmt::Debug for KeptAdministrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

impl Staff {
    /// Whether the first administrator is still to be made.
    pub(crate) fn needs_setup(&self) -> bool {
        lock(&self.book).administrators.is_empty()
    }

    /// Makes the first administrator, for who knows the one-time code. The code is used up by it.
    pub(crate) fn set_up(
        &self,
        code: &Password,
        new: NewAdministrator,
        from: Option<IpAddr>,
        record: &Record,
    ) -> Result<SignedIn, Refused> {
        // Whatever the name: there is one code.
        self.may_try(from, "")?;
        // Held until it is used up, so that two cannot use it.
        let mut kept = lock(&self.code);
        if !self.needs_setup() {
            let words = "the first administrator is made already; sign in";
            return Err(Failure::Exists(words.into()).into());
        }
        if !kept.as_ref().is_some_and(|kept| kept.is(code.reveal())) {
            self.was_wrong(from, "");
            return Err(Refused::Code);
        }
        let made = self.make_administrator(new, record)?;
        *kept = None;
        self.signed_in(&made.username, &made.password)
    }

    /// Lets somebody in by name and password. It takes as long if there is no such name.
    pub(crate) fn sign_in(
        &self,
        username: &str,
        password: &Password,
        from: Option<IpAddr>,
    ) -> Result<SignedIn, Refused> {
        self.may_try(from, username)?;
        let found = {
            let book = lock(&self.book);
            let mut all = book.administrators.iter();
            all.find(|one| one.username == username)
                .map(|one| one.password.clone())
        };
        let kept = found.as_deref();
        let fits = password.reveal().len() <= LONGEST && secret::verify(password.reveal(), kept);
        match found {
            Some(kept) if fits => self.signed_in(username, &kept),
            _ => {
                self.was_wrong(from, username);
                Err(Refused::Wrong)
            }
        }
    }

    /// All administrators, by name.
    pub(crate) fn administrators(&self) -> Vec<Administrator> {
        let book = lock(&self.book);
        let mut all: Vec<_> = book
            .administrators
            .iter()
            .map(KeptAdministrator::shown)
            .collect();
        all.sort_by(|one, other| one.username.cmp(&other.username));
        all
    }

    /// Makes an administrator.
    pub(crate) fn create_administrator(
        &self,
        new: NewAdministrator,
        record: &Record,
    ) -> Result<Administrator, Failure> {
        let made = self.make_administrator(new, record)?;
        Ok(made.shown())
    }

    fn make_administrator(
        &self,
        new: NewAdministrator,
        record: &Record,
    ) -> Result<KeptAdministrator, Failure> {
        check::name("username", &new.username).map_err(Failure::Invalid)?;
        if new.username.contains(':') {
            return Err(Failure::Invalid("username: it has a colon".into()));
        }
        if RESERVED.iter().any(|word| is_like(&new.username, word)) {
            let words = "username: in the audit log this would be somebody else";
            return Err(Failure::Invalid(words.into()));
        }
        described(&new.description)?;
        let password = hashed(&new.password)?;
        let (turn, mut book) = self.change();
        if book
            .administrators
            .iter()
            .any(|one| one.username == new.username)
        {
            let words = format!("there is an administrator {:?} already", new.username);
            return Err(Failure::Exists(words));
        }
        if book.administrators.len() >= MOST {
            return Err(Failure::Invalid(format!(
                "there are {MOST} administrators already"
            )));
        }
        let made = KeptAdministrator {
            username: new.username,
            role: new.role,
            description: new.description,
            password,
            created_at: Stamp::now(),
        };
        book.administrators.push(made.clone());
        record.done(None, Some(&made.shown()))?;
        self.keep(&turn, book)?;
        if let Some(code_file) = &self.code_file {
            // What cannot be removed is of no use to anybody, and goes at the next start.
            drop(std::fs::remove_file(code_file));
        }
        Ok(made)
    }

    /// Changes an administrator. His sessions end if what he may do or his password is another.
    pub(crate) fn change_administrator(
        &self,
        username: &str,
        change: AdministratorChange,
        record: &Record,
    ) -> Result<Administrator, Failure> {
        let changed = self.change_who_has(username, None, change, record);
        changed.map_err(|refused| match refused {
            Refused::Failure(failure) => failure,
            // No password was asked for.
            Refused::Wrong | Refused::Code | Refused::TooOften(_) => no_administrator(username),
        })
    }

    /// Changes an administrator who still has this password, if one is named.
    fn change_who_has(
        &self,
        username: &str,
        kept: Option<&str>,
        change: AdministratorChange,
        record: &Record,
    ) -> Result<Administrator, Refused> {
        if let Some(description) = &change.description {
            described(description)?;
        }
        let password = change.password.as_ref().map(hashed).transpose()?;
        let (turn, mut book) = self.change();
        let one = find(&mut book.administrators, username)?;
        if kept.is_some_and(|kept| kept != one.password) {
            return Err(Refused::Wrong);
        }
        let before = one.shown();
        let is_other = change.role.is_some_and(|role| role != one.role) || password.is_some();
        if password.is_some() {
            record.secret("password");
        }
        one.role = change.role.unwrap_or(one.role);
        one.description = change
            .description
            .unwrap_or_else(|| one.description.clone());
        one.password = password.unwrap_or_else(|| one.password.clone());
        let after = one.shown();
        one_is_left(&book.administrators)?;
        record.done(Some(&before), Some(&after))?;
        self.keep(&turn, book)?;
        if is_other {
            lock(&self.tokens).forget_all(username);
        }
        Ok(after)
    }

    /// Changes somebody's password for who knows it. All his sessions end.
    pub(crate) fn change_password(
        &self,
        username: &str,
        old: &Password,
        new: Password,
        from: Option<IpAddr>,
        record: &Record,
    ) -> Result<(), Refused> {
        self.may_try(from, username)?;
        let kept = {
            let mut book = lock(&self.book).clone();
            find(&mut book.administrators, username)?.password.clone()
        };
        if !secret::verify(old.reveal(), Some(&kept)) {
            self.was_wrong(from, username);
            return Err(Refused::Wrong);
        }
        let change = AdministratorChange {
            role: None,
            description: None,
            password: Some(new),
        };
        // Hashing took its time: who knew a password that is none any more changes nothing.
        self.change_who_has(username, Some(&kept), change, record)?;
        Ok(())
    }

    /// Removes an administrator, and ends his sessions.
    pub(crate) fn delete_administrator(
        &self,
        username: &str,
        record: &Record,
    ) -> Result<(), Failure> {
        let (turn, mut book) = self.change();
        let before = find(&mut book.administrators, username)?.shown();
        book.administrators.retain(|one| one.username != username);
        one_is_left(&book.administrators)?;
        record.done(Some(&before), None)?;
        self.keep(&turn, book)?;
        lock(&self.tokens).forget_all(username);
        Ok(())
    }
}

/// Whether a name is this word, or begins with it as a word, however it is written.
fn is_like(name: &str, word: &str) -> bool {
    let name = name.trim_start().to_lowercase();
    let rest = name.strip_prefix(word);
    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

fn find<'a>(
    all: &'a mut [KeptAdministrator],
    username: &str,
) -> Result<&'a mut KeptAdministrator, Failure> {
    let found = all.iter_mut().find(|one| one.username == username);
    found.ok_or_else(|| no_administrator(username))
}

fn no_administrator(username: &str) -> Failure {
    Failure::NotFound(format!("there is no administrator {username:?}"))
}

/// Without an admin nobody could make another, and nobody is to be the first a second time.
fn one_is_left(all: &[KeptAdministrator]) -> Result<(), Failure> {
    if all.iter().any(|one| one.role == StaffRole::Admin) {
        Ok(())
    } else {
        Err(Failure::Invalid(
            "this is the last administrator with the role admin".into(),
        ))
    }
}

fn hashed(password: &Password) -> Result<String, Failure> {
    let text = password.reveal();
    if text.chars().count() < SHORTEST {
        let words = format!("password: at least {SHORTEST} characters");
        return Err(Failure::Invalid(words));
    }
    if text.len() > LONGEST {
        return Err(Failure::Invalid(format!(
            "password: at most {LONGEST} bytes"
        )));
    }
    secret::hash(text).map_err(|_| no_random())
}

pub(super) fn described(text: &str) -> Result<(), Failure> {
    if text.len() > DESCRIPTION {
        let words = format!("description: more than {DESCRIPTION} bytes");
        return Err(Failure::Invalid(words));
    }
    Ok(())
}

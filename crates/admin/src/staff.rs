//! Who may use the dashboard and the API from elsewhere than the control socket: administrators with
//! passwords, API keys, and the tokens of those who signed in.
//!
//! Kept is what tells a right secret from a wrong one, never the secret: argon2id of passwords,
//! SHA-256 of what was drawn at random (S71). Methods that hash or write wait for it: not for the
//! thread that serves.
//!
//! | module | owns |
//! |---|---|
//! | `attempts` | how often one may be wrong |
//! | `book` | what is kept, and its file |
//! | `keys` | API keys |
//! | `people` | administrators, and the first of them |
//! | `secret` | hashes, and what is drawn at random |
//! | `tokens` | who is signed in |

mod attempts;
mod book;
mod keys;
mod people;
mod secret;
#[cfg(test)]
mod tests;
mod tokens;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::Rights;
use crate::{Failure, Problem, Stamp};
use attempts::Attempts;
use book::Book;
use secret::Code;
use tokens::Tokens;

pub(crate) use keys::MadeApiKey;
pub use keys::{ApiKey, ApiKeyChange, NewApiKey};
pub use people::{Administrator, AdministratorChange, NewAdministrator};

/// What an administrator or a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = StaffRole)]
pub enum StaffRole {
    /// Look, but at no payload.
    Viewer,
    /// Also disconnect, ban, publish, trace.
    Operator,
    /// Also say who may do what, and configure.
    Admin,
}

impl StaffRole {
    /// The rights of who signed in himself.
    pub(crate) fn in_person(self) -> Rights {
        match self {
            Self::Viewer => Rights::Viewer,
            Self::Operator => Rights::Operator,
            Self::Admin => Rights::Owner,
        }
    }

    /// The rights of a key: it never says who may use the API (S96).
    pub(crate) fn by_key(self) -> Rights {
        match self {
            Self::Viewer => Rights::Viewer,
            Self::Operator => Rights::Operator,
            Self::Admin => Rights::Admin,
        }
    }
}

/// Somebody who has signed in just now.
#[derive(Debug)]
pub(crate) struct SignedIn {
    /// What he shows from now on. It is kept nowhere else.
    pub(crate) token: String,
    pub(crate) role: StaffRole,
    pub(crate) expires_at: Stamp,
}

/// Why somebody is not let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Name, password or code is wrong; which of them is not said.
    Wrong,
    /// The one-time code is wrong; there is one, so nothing is given away.
    Code,
    /// He was wrong too often; in so long he may try again.
    TooOften(Duration),
    /// Something else.
    Failure(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// All who may use the API from elsewhere.
pub(crate) struct Staff {
    file: PathBuf,
    /// Where the one-time code is kept for who has no terminal.
    code_file: Option<PathBuf>,
    /// Held for moments only: whoever serves looks into it.
    book: Mutex<Book>,
    /// Whoever changes the book waits for the disk with it.
    changing: Mutex<()>,
    tokens: Mutex<Tokens>,
    attempts: Mutex<Attempts>,
    /// While there is no administrator: what proves that somebody sees the server's output.
    code: Mutex<Option<Code>>,
}

impl fmt::Debug for Staff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staff").field("file", &self.file).finish()
    }
}

impl Staff {
    /// Reads what is kept. Without a file there is nobody yet, and a one-time code for the first.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub(crate) fn open(file: PathBuf) -> Result<Self, Problem> {
        let book = Book::read(&file).map_err(|error| Problem::Staff(file.clone(), error))?;
        let code = if book.administrators.is_empty() {
            let drawn = Code::draw().map_err(|_| Problem::Random)?;
            Some(drawn)
        } else {
            None
        };
        Ok(Self {
            file,
            code_file: None,
            book: Mutex::new(book),
            changing: Mutex::new(()),
            tokens: Mutex::new(Tokens::default()),
            attempts: Mutex::new(Attempts::default()),
            code: Mutex::new(code),
        })
    }

    /// The same, with the file in which the one-time code is kept: it goes when the code is of no use
    /// any more.
    pub(crate) fn with_code_in(self, code_file: Option<PathBuf>) -> Self {
        Self { code_file, ..self }
    }

    /// The one-time code for the first administrator, while there is none: to be shown where only
    /// who runs the server sees it.
    pub(crate) fn setup_code(&self) -> Option<String> {
        lock(&self.code).as_ref().map(Code::shown)
    }

    /// Who shows this token.
    pub(crate) fn by_token(&self, token: &str) -> Option<(String, StaffRole)> {
        lock(&self.tokens).find(token, Instant::now())
    }

    /// Forgets a token.
    pub(crate) fn sign_out(&self, token: &str) {
        lock(&self.tokens).forget(token);
    }

    /// Says that somebody may try, or when he may.
    pub(crate) fn may_try(&self, from: Option<IpAddr>, name: &str) -> Result<(), Refused> {
        let wait = lock(&self.attempts).wait(from, name, Instant::now());
        wait.map_or(Ok(()), |wait| Err(Refused::TooOften(wait)))
    }

    /// Somebody was wrong.
    pub(crate) fn was_wrong(&self, from: Option<IpAddr>, name: &str) {
        lock(&self.attempts).failed(from, name, Instant::now());
    }

    /// Lets in who has shown the password that has this hash, if he still is an administrator with
    /// it: hashing takes its time, and who was removed, demoted or given another password meanwhile
    /// has no session by what was there before (S96).
    fn signed_in(&self, username: &str, kept: &str) -> Result<SignedIn, Refused> {
        let token = secret::draw().map_err(|_| no_random())?;
        let now = Instant::now();
        let expires_at = Stamp::from_millis(
            Stamp::now()
                .as_millis()
                .saturating_add(u64::try_from(tokens::LIFETIME.as_millis()).unwrap_or(u64::MAX)),
        );
        // Held until the token is kept: a change ends sessions after it changed the book.
        let book = lock(&self.book);
        let mut all = book.administrators.iter();
        let Some(one) = all.find(|one| one.username == username && one.password == kept) else {
            return Err(Refused::Wrong);
        };
        let role = one.role;
        lock(&self.tokens).keep(&token, username, role, now);
        drop(book);
        Ok(SignedIn {
            token,
            role,
            expires_at,
        })
    }

    /// The turn to change the book, and what is to be changed.
    fn change(&self) -> (MutexGuard<'_, ()>, Book) {
        let turn = lock(&self.changing);
        let book = lock(&self.book).clone();
        (turn, book)
    }

    /// Writes a changed book, and takes it for true only then.
    fn keep(&self, _turn: &MutexGuard<'_, ()>, changed: Book) -> Result<(), Failure> {
        changed.write(&self.file).map_err(|error| {
            Failure::Unavailable(format!(
                "the file of administrators cannot be written: {error}"
            ))
        })?;
        *lock(&self.book) = changed;
        Ok(())
    }
}

fn no_random() -> Failure {
    Failure::Unavailable("the system gives no random numbers".into())
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind each lock is whole at each moment: a panic cannot leave it half done.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

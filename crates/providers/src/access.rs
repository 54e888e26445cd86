//! Users, groups, roles, rules and bans that are made while the server runs.
//!
//! They live in one file of the data folder (redb). Each change is one transaction, on the disk
//! when the call returns, and gives back what was there before and what is there now, for the
//! audit log. What policies need of it is kept in memory and is had at once by
//! [`Access::snapshot`], with a hundred thousand users, too.
//!
//! | module | owns |
//! |---|---|
//! | [`acl`] | [`Acl`]: what the tools of Mosquitto say rules in |
//! | [`changes`] | [`Changes`]: how all this is changed, and who agrees to it |
//! | [`records`] | [`User`], [`Group`], [`Role`], [`Ban`]: what is kept, without secrets; their edits |
//! | [`snapshot`] | [`Snapshot`]: what a policy is made of |
//! | `store` | tables, keys, transactions |
//! | `scram` | what SCRAM verifies passwords with |

pub mod acl;
pub mod changes;
pub mod records;
pub(crate) mod scram;
pub mod snapshot;
mod store;

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use auth::rulebook::Members;
use serde_json::Value;

use crate::rules::RuleText;
use records::StoredUser;
use snapshot::Model;
use store::Store;

pub use acl::{Acl, AclKind};
pub use changes::{Agree, Changes, Existing, Imported};
pub use records::{Ban, BanOn, Group, Page, PasswordEdit, Role, User, UserEdit};
pub use snapshot::Snapshot;

/// Users, groups, roles, rules and bans. Calls block on the disk; changes wait for each other.
pub struct Access {
    store: Store,
    model: Mutex<Model>,
    /// Held over a change and what it does to the model.
    writing: Mutex<()>,
    /// With how many iterations verifiers for SCRAM are made.
    scram: Option<NonZeroU32>,
    /// As the model's, to be read without waiting.
    revision: AtomicU64,
    watcher: RwLock<Option<Watcher>>,
    /// The watcher was told, and nobody has looked since.
    is_told: AtomicBool,
}

/// Is told that something changed. It must not block.
pub type Watcher = Box<dyn Fn() + Send + Sync>;

/// A change, for the audit log. Secrets are not in it (S71).
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Counts all changes that were ever made.
    pub revision: u64,
    /// What changed: `user alice`, `role operators`, `ban client c1`, `rules`.
    pub what: String,
    /// What was there; `None`: nothing.
    pub before: Option<Value>,
    /// What is there now; `None`: nothing.
    pub after: Option<Value>,
}

/// A record as it is kept, for copies. There may be the hash of a password in it.
#[derive(Clone, PartialEq)]
pub struct Row {
    /// The name of its table.
    pub table: String,
    /// Its key there.
    pub key: String,
    /// What is kept.
    pub record: Value,
}

/// Why something was not done; nothing then changed.
#[derive(Debug)]
pub enum AccessError {
    /// What is asked for makes no sense; says why.
    Invalid(String),
    /// There is no such thing.
    Missing,
    /// There is such a thing already.
    Exists,
    /// The change was not agreed to; says why.
    NotAgreed(String),
    /// The file cannot be read or written.
    Storage(String),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) | Self::NotAgreed(why) => f.write_str(why),
            Self::Exists => f.write_str("there is such a thing already"),
            Self::Missing => f.write_str("there is no such thing"),
            Self::Storage(why) => write!(f, "the database of users: {why}"),
        }
    }
}

impl std::error::Error for AccessError {}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// Opens the file, or makes it with mode 0600 (S99). `scram`: passwords that are set from now
    /// on can be verified by SCRAM-SHA-256 too, with so many iterations, at least 4096 (RFC 7677);
    /// who has the file then guesses passwords at that cost instead of argon2id's.
    ///
    /// # Errors
    /// The file cannot be opened, is damaged, or is of a newer version (S100).
    pub fn open(file: &Path, scram: Option<NonZeroU32>) -> Result<Self, AccessError> {
        if scram.is_some_and(|count| !(4096..=1_000_000).contains(&count.get())) {
            let why = "SCRAM takes 4096 to 1000000 iterations";
            return Err(AccessError::Invalid(why.into()));
        }
        let store = Store::open(file)?;
        let model = store.load()?;
        Ok(Self {
            store,
            revision: AtomicU64::new(model.revision),
            model: Mutex::new(model),
            writing: Mutex::new(()),
            scram,
            watcher: RwLock::new(None),
            is_told: AtomicBool::new(false),
        })
    }

    /// Passes on every record, with its table and its key, as they are at one moment: a copy. There are
    /// hashes of passwords in it.
    ///
    /// # Errors
    /// The file cannot be read, or `pass` failed.
    pub fn rows(
        &self,
        pass: &mut dyn FnMut(Row) -> std::io::Result<()>,
    ) -> Result<(), AccessError> {
        self.store.rows(pass)
    }

    /// Makes a file of records that [`Access::rows`] gave. There must be none yet.
    ///
    /// # Errors
    /// There is a file, it cannot be written, or the records make no sense: then there is none.
    pub fn restore(
        file: &Path,
        rows: &mut dyn Iterator<Item = Result<Row, AccessError>>,
    ) -> Result<(), AccessError> {
        if file.exists() {
            return Err(AccessError::Exists);
        }
        let restored = Store::open(file).and_then(|store| {
            store.restore(rows)?;
            drop(store);
            // What a server could not read is not restored.
            Store::open(file)?.load().map(drop)
        });
        restored.inspect_err(|_| {
            // The error is the one that says why.
            drop(std::fs::remove_file(file));
        })
    }

    /// Sets who is told of changes: once, and not again until [`Access::snapshot`] was called.
    pub fn watch(&self, watcher: Watcher) {
        *self.watcher.write().unwrap_or_else(PoisonError::into_inner) = Some(watcher);
    }

    /// What a policy is made of at this time. `now`: bans that are over by then are not in it.
    pub fn snapshot(&self, now: SystemTime) -> Snapshot {
        self.is_told.store(false, Ordering::Release);
        self.model().snapshot(seconds(now))
    }

    /// Who is in which group and has which role.
    pub fn members(&self) -> Arc<Members> {
        self.model().members()
    }

    /// How many changes were ever made.
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// A user.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn user(&self, name: &str) -> Result<Option<User>, AccessError> {
        let stored = self.store.user(name)?;
        Ok(stored.map(|stored| stored.show(name)))
    }

    /// Users in the order of their names (byte by byte), from behind `after` on, at most `limit`
    /// and 1,000.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn users(&self, after: Option<&str>, limit: usize) -> Result<Page<User>, AccessError> {
        self.store.users(after, limit.min(MOST_ON_A_PAGE))
    }

    /// All groups that have roles here, in the order of their names.
    pub fn groups(&self) -> Vec<Group> {
        self.model().groups()
    }

    /// All roles, in the order of their names, which is also the order in which policies ask them.
    pub fn roles(&self) -> Vec<Role> {
        self.model().roles()
    }

    /// A group that has roles here.
    pub fn group(&self, name: &str) -> Option<Group> {
        self.model().group(name)
    }

    /// A role.
    pub fn role(&self, name: &str) -> Option<Role> {
        self.model().role(name)
    }

    /// The rules that belong to no role, in their order.
    pub fn rules(&self) -> Vec<RuleText> {
        self.model().rule_texts()
    }

    /// All bans, those that are over too until they are swept.
    pub fn bans(&self) -> Vec<Ban> {
        self.model().bans()
    }

    /// A ban, also one that is over until it is swept.
    ///
    /// # Errors
    /// What it names is no client identifier, user or network.
    pub fn ban(&self, on: &BanOn) -> Result<Option<Ban>, AccessError> {
        let (key, _) = on.check()?;
        Ok(self.model().ban(&key))
    }

    /// Changes, of which each is told to `agree` first: when nothing but the disk can refuse it any
    /// more, and before it is made. If that says no, nothing changes.
    pub fn changes<'a>(&'a self, agree: Agree<'a>) -> Changes<'a> {
        Changes {
            access: self,
            agree,
        }
    }

    /// Takes bans away that are over; how many. Nobody is told: they were in no snapshot any more.
    /// While somebody else makes a change it takes none, and does not wait.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sweep_bans(&self, now: SystemTime) -> Result<usize, AccessError> {
        let _writing = match self.writing.try_lock() {
            Ok(writing) => writing,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(0),
        };
        let over = self.model().bans_over(seconds(now));
        for key in &over {
            let revision = self.store.delete(store::BANS, key)?;
            self.model().delete_ban(key, revision);
            self.revision.store(revision, Ordering::Release);
        }
        Ok(over.len())
    }

    /// What a user's password is verified with, and what came with the user.
    pub(crate) fn stored(&self, name: &str) -> Result<Option<StoredUser>, AccessError> {
        self.store.user(name)
    }

    /// A secret of this server's that stays the same.
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.store.seed()
    }

    /// With how many iterations verifiers are made.
    pub(crate) fn scram_iterations(&self) -> NonZeroU32 {
        self.scram.unwrap_or(scram::LEAST_ITERATIONS)
    }

    fn check_roles(&self, roles: &[String]) -> Result<(), AccessError> {
        let model = self.model();
        match roles.iter().find(|role| model.role(role).is_none()) {
            Some(role) => Err(AccessError::Invalid(format!("there is no role {role:?}"))),
            None => Ok(()),
        }
    }

    fn changed(&self, change: Change) -> Change {
        self.revision.store(change.revision, Ordering::Release);
        if !self.is_told.swap(true, Ordering::AcqRel) {
            let watcher = self.watcher.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(watcher) = &*watcher {
                watcher();
            }
        }
        change
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn invalid(error: impl fmt::Display) -> AccessError {
    AccessError::Invalid(error.to_string())
}

/// Seconds since 1970; zero before.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs())
}

const MOST_ON_A_PAGE: usize = 1000;

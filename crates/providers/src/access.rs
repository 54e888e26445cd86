//! Users, groups, roles, rules and bans that are made while the server runs.
//!
//! They live in one file of the data folder (redb). Each change is one transaction, on the disk
//! when the call returns, and gives back what was there before and what is there now, for the
//! audit log. What policies need of it is kept in memory and is had at once by
//! [`Access::snapshot`], with a hundred thousand users, too.
//!
//! | module | owns |
//! |---|---|
//! | [`records`] | [`User`], [`Group`], [`Role`], [`Ban`]: what is kept, without secrets; their edits |
//! | [`snapshot`] | [`Snapshot`]: what a policy is made of |
//! | `store` | tables, keys, transactions |
//! | `scram` | what SCRAM verifies passwords with |

pub mod records;
pub(crate) mod scram;
pub mod snapshot;
mod store;

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::hash::{Hash, hash_argon2id};
use crate::rules::RuleText;
use records::{Credentials, StoredUser, check_name};
use scram::Verifier;
use snapshot::Model;
use store::Store;

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

/// Why something was not done; nothing then changed.
#[derive(Debug)]
pub enum AccessError {
    /// What is asked for makes no sense; says why.
    Invalid(String),
    /// There is no such thing.
    Missing,
    /// The file cannot be read or written.
    Storage(String),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => f.write_str(why),
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
            model: Mutex::new(model),
            writing: Mutex::new(()),
            scram,
            watcher: RwLock::new(None),
            is_told: AtomicBool::new(false),
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

    /// How many changes were ever made.
    pub fn revision(&self) -> u64 {
        self.model().revision
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

    /// Makes a user, or changes all of one but, perhaps, the password. Hashing a password takes
    /// tens of milliseconds.
    ///
    /// # Errors
    /// The name is not fit to be one, a role does not exist, the hash or password is none.
    pub fn put_user(&self, name: &str, edit: UserEdit) -> Result<Change, AccessError> {
        check_name(name)?;
        let credentials = match &edit.password {
            PasswordEdit::Keep => None,
            PasswordEdit::Remove => Some(Credentials::default()),
            PasswordEdit::Set(password) => Some(Credentials {
                hash: Some(hash_argon2id(password).map_err(invalid)?),
                scram: match self.scram {
                    Some(count) => Some(Verifier::new(password.reveal(), count).map_err(invalid)?),
                    None => None,
                },
            }),
            PasswordEdit::Hash(hash) => {
                Hash::parse(hash).map_err(invalid)?;
                Some(Credentials {
                    hash: Some(hash.clone()),
                    scram: None,
                })
            }
        };
        let _writing = self.writing();
        self.check_roles(&edit.roles)?;
        let before = self.store.user(name)?;
        let now = seconds(SystemTime::now());
        let user = StoredUser::edited(before.as_ref(), edit, credentials, now)?;
        let revision = self.store.put(store::USERS, name, &user)?;
        self.model().put_user(name, &user, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("user {name}"),
            before: before.map(|it| records::value(&it.show(name))),
            after: Some(records::value(&user.show(name))),
        }))
    }

    /// Takes a user away.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delete_user(&self, name: &str) -> Result<Change, AccessError> {
        let _writing = self.writing();
        let before = self.store.user(name)?.ok_or(AccessError::Missing)?;
        let revision = self.store.delete(store::USERS, name)?;
        self.model().delete_user(name, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("user {name}"),
            before: Some(records::value(&before.show(name))),
            after: None,
        }))
    }

    /// All groups that have roles here, in the order of their names.
    pub fn groups(&self) -> Vec<Group> {
        self.model().groups()
    }

    /// Gives a group its roles. Who is in it is said with the users, or by back ends.
    ///
    /// # Errors
    /// The name is not fit to be one, or a role does not exist.
    pub fn put_group(&self, group: &Group) -> Result<Change, AccessError> {
        check_name(&group.name)?;
        records::check_names(&group.roles, "roles")?;
        let _writing = self.writing();
        self.check_roles(&group.roles)?;
        let before = self.model().group(&group.name);
        let revision = self.store.put(store::GROUPS, &group.name, group)?;
        self.model().put_group(group, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("group {}", group.name),
            before: before.as_ref().map(records::value),
            after: Some(records::value(group)),
        }))
    }

    /// Takes a group's roles away. Its members stay members, which then means nothing.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delete_group(&self, name: &str) -> Result<Change, AccessError> {
        let _writing = self.writing();
        let before = self.model().group(name).ok_or(AccessError::Missing)?;
        let revision = self.store.delete(store::GROUPS, name)?;
        self.model().delete_group(name, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("group {name}"),
            before: Some(records::value(&before)),
            after: None,
        }))
    }

    /// All roles, in the order of their names, which is also the order in which policies ask them.
    pub fn roles(&self) -> Vec<Role> {
        self.model().roles()
    }

    /// Makes a role, or gives one other rules.
    ///
    /// # Errors
    /// The name is not fit to be one, or a rule makes no sense.
    pub fn put_role(&self, role: &Role) -> Result<Change, AccessError> {
        check_name(&role.name)?;
        let rules = records::rules(&role.rules, &format!("role {}", role.name))?;
        let _writing = self.writing();
        let before = self.model().role(&role.name);
        let revision = self.store.put(store::ROLES, &role.name, role)?;
        self.model().put_role(role, rules, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("role {}", role.name),
            before: before.as_ref().map(records::value),
            after: Some(records::value(role)),
        }))
    }

    /// Takes a role away. Who has it still has its name, which then means nothing, and means
    /// something again if a role of this name is made.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delete_role(&self, name: &str) -> Result<Change, AccessError> {
        let _writing = self.writing();
        let before = self.model().role(name).ok_or(AccessError::Missing)?;
        let revision = self.store.delete(store::ROLES, name)?;
        self.model().delete_role(name, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("role {name}"),
            before: Some(records::value(&before)),
            after: None,
        }))
    }

    /// The rules that belong to no role, in their order.
    pub fn rules(&self) -> Vec<RuleText> {
        self.model().rule_texts()
    }

    /// Puts other rules in their place.
    ///
    /// # Errors
    /// A rule makes no sense; there are more than 10,000.
    pub fn put_rules(&self, texts: &[RuleText]) -> Result<Change, AccessError> {
        let rules = records::rules(texts, "rules of the database")?;
        let _writing = self.writing();
        let before = self.model().rule_texts();
        let revision = self.store.put(store::META, store::RULES_KEY, &texts)?;
        self.model().put_rules(texts, rules, revision);
        Ok(self.changed(Change {
            revision,
            what: "rules".into(),
            before: Some(records::value(&before)),
            after: Some(records::value(&texts)),
        }))
    }

    /// All bans, those that are over too until they are swept.
    pub fn bans(&self) -> Vec<Ban> {
        self.model().bans()
    }

    /// Bans somebody, or says anew until when and why.
    ///
    /// # Errors
    /// What it names is no client identifier, user or network.
    pub fn put_ban(&self, ban: &Ban) -> Result<Change, AccessError> {
        let (key, banned) = ban.on.check()?;
        let _writing = self.writing();
        let before = self.model().ban(&key);
        let revision = self.store.put(store::BANS, &key, ban)?;
        self.model().put_ban(&key, ban, banned, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("ban {key}"),
            before: before.as_ref().map(records::value),
            after: Some(records::value(ban)),
        }))
    }

    /// Takes a ban away.
    ///
    /// # Errors
    /// There is no such ban.
    pub fn delete_ban(&self, on: &BanOn) -> Result<Change, AccessError> {
        let (key, _) = on.check()?;
        let _writing = self.writing();
        let before = self.model().ban(&key).ok_or(AccessError::Missing)?;
        let revision = self.store.delete(store::BANS, &key)?;
        self.model().delete_ban(&key, revision);
        Ok(self.changed(Change {
            revision,
            what: format!("ban {key}"),
            before: Some(records::value(&before)),
            after: None,
        }))
    }

    /// Takes bans away that are over; how many. Nobody is told: they were in no snapshot any more.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sweep_bans(&self, now: SystemTime) -> Result<usize, AccessError> {
        let _writing = self.writing();
        let over = self.model().bans_over(seconds(now));
        for key in &over {
            let revision = self.store.delete(store::BANS, key)?;
            self.model().delete_ban(key, revision);
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

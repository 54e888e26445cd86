//! Changes of what is kept, each agreed to by somebody else before it is made.

use std::collections::HashSet;
use std::time::SystemTime;

use serde::Serialize;

use super::records::{self, Credentials, StoredUser, check_name};
use super::scram::Verifier;
use super::store::{self, Table};
use super::{
    Access, AccessError, Ban, BanOn, Change, Group, PasswordEdit, Role, User, UserEdit, invalid,
    seconds,
};
use crate::hash::{Hash, hash_argon2id};
use crate::rules::RuleText;

/// Is told of a change before it is made, and says why it may not be, if so: the audit log cannot
/// be written.
pub type Agree<'a> = &'a dyn Fn(&Change) -> Result<(), String>;

/// Makes changes. They wait for each other and for the disk.
pub struct Changes<'a> {
    pub(super) access: &'a Access,
    pub(super) agree: Agree<'a>,
}

/// What became of users that came from elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// They were not there.
    pub created: u64,
    /// They were, and are what the import says now.
    pub replaced: u64,
    /// They were, and are what they were.
    pub kept: u64,
}

/// What becomes of users that are there already when others are imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is imported.
    Refuse,
    /// They stay as they are.
    Keep,
    /// They become what the import says.
    Replace,
}

impl Changes<'_> {
    /// Makes a user, or changes all of one but, perhaps, the password. Hashing a password takes
    /// tens of milliseconds.
    ///
    /// # Errors
    /// The name is not fit to be one, a role does not exist, the hash or password is none.
    pub fn put_user(&self, name: &str, edit: UserEdit) -> Result<Change, AccessError> {
        self.edit_user(name, |_| Ok(edit))
    }

    /// The same, with an edit that goes by what there is, if anything.
    ///
    /// # Errors
    /// As [`Changes::put_user`], and what `edit` says.
    pub fn edit_user(
        &self,
        name: &str,
        edit: impl FnOnce(Option<&User>) -> Result<UserEdit, AccessError>,
    ) -> Result<Change, AccessError> {
        check_name(name)?;
        let _writing = self.access.writing();
        let before = self.access.store.user(name)?;
        let shown = before.as_ref().map(|it| it.show(name));
        let edit = edit(shown.as_ref())?;
        self.access.check_roles(&edit.roles)?;
        let user = self.edited(before.as_ref(), edit)?;
        let after = user.show(name);
        let what = format!("user {name}");
        self.make(what, shown.as_ref(), Some(&after), || {
            let revision = self.access.store.put(store::USERS, name, &user)?;
            self.access.model().put_user(name, &user, revision);
            Ok(revision)
        })
    }

    /// Takes a user away.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delete_user(&self, name: &str) -> Result<Change, AccessError> {
        let _writing = self.access.writing();
        let before = self.access.store.user(name)?.ok_or(AccessError::Missing)?;
        let what = format!("user {name}");
        self.make::<User>(what, Some(&before.show(name)), None, || {
            let revision = self.delete(store::USERS, name)?;
            self.access.model().delete_user(name, revision);
            Ok(revision)
        })
    }

    /// Takes all of these users, or none. They are read one by one and their passwords are hashed
    /// before the database waits for anything: who sends them slowly holds nobody else up.
    ///
    /// # Errors
    /// The first thing that is wrong, with the entry's own words before it if it has any; a user
    /// exists and [`Existing::Refuse`] is asked for.
    pub fn import<E: From<AccessError>>(
        &self,
        entries: &mut dyn Iterator<Item = Result<(String, UserEdit), E>>,
        existing: Existing,
        about: impl Fn(&str, AccessError) -> E,
    ) -> Result<Imported, E> {
        let mut imported = Imported::default();
        let mut ready = Vec::new();
        let mut seen = HashSet::new();
        for entry in entries {
            let (name, edit) = entry?;
            if existing == Existing::Refuse && !seen.insert(name.clone()) {
                return Err(about(&name, AccessError::Exists));
            }
            match self.prepared(&name, edit, existing) {
                Ok(Some(prepared)) => ready.push((name, prepared)),
                Ok(None) => imported.kept = imported.kept.saturating_add(1),
                Err(error) => return Err(about(&name, error)),
            }
        }
        let _writing = self.access.writing();
        let batch = self.access.store.batch()?;
        let mut taken = Vec::new();
        for (name, (edit, credentials)) in ready {
            let take = || -> Result<Option<StoredUser>, AccessError> {
                self.access.check_roles(&edit.roles)?;
                let before = batch.user(&name)?;
                match (&before, existing) {
                    (Some(_), Existing::Refuse) => return Err(AccessError::Exists),
                    (Some(_), Existing::Keep) => {
                        imported.kept = imported.kept.saturating_add(1);
                        return Ok(None);
                    }
                    (Some(_), Existing::Replace) => {
                        imported.replaced = imported.replaced.saturating_add(1);
                    }
                    (None, _) => imported.created = imported.created.saturating_add(1),
                }
                let now = seconds(SystemTime::now());
                let user = StoredUser::edited(before.as_ref(), edit, credentials, now)?;
                batch.put_user(&name, &user)?;
                Ok(Some(user))
            };
            // Where it stood among the entries is not known any more.
            let taking = take().map_err(|error| match error {
                AccessError::Exists => {
                    AccessError::Invalid(format!("the user {name:?} was made meanwhile"))
                }
                other => other,
            });
            if let Some(user) = taking? {
                // Only what the model keeps.
                taken.push((name, user.without_credentials()));
            }
        }
        self.make("users".into(), None, Some(&imported), || {
            let revision = batch.commit()?;
            let mut model = self.access.model();
            for (name, user) in &taken {
                model.put_user(name, user, revision);
            }
            Ok(revision)
        })?;
        Ok(imported)
    }

    /// What can be done for a user that is imported before others have to wait; `None`: it is there
    /// already, and stays as it is.
    fn prepared(
        &self,
        name: &str,
        mut edit: UserEdit,
        existing: Existing,
    ) -> Result<Option<(UserEdit, Option<Credentials>)>, AccessError> {
        check_name(name)?;
        records::check_names(&edit.groups, "groups")?;
        records::check_names(&edit.roles, "roles")?;
        self.access.check_roles(&edit.roles)?;
        match existing {
            Existing::Refuse if self.access.store.user(name)?.is_some() => {
                return Err(AccessError::Exists);
            }
            Existing::Keep if self.access.store.user(name)?.is_some() => return Ok(None),
            Existing::Refuse | Existing::Keep | Existing::Replace => {}
        }
        let password = std::mem::replace(&mut edit.password, PasswordEdit::Keep);
        let credentials = self.credentials(&password)?;
        Ok(Some((edit, credentials)))
    }

    /// Gives a group its roles. Who is in it is said with the users, or by back ends.
    ///
    /// # Errors
    /// The name is not fit to be one, or a role does not exist.
    pub fn put_group(&self, group: &Group) -> Result<Change, AccessError> {
        check_name(&group.name)?;
        records::check_names(&group.roles, "roles")?;
        let _writing = self.access.writing();
        self.access.check_roles(&group.roles)?;
        let before = self.access.model().group(&group.name);
        let what = format!("group {}", group.name);
        self.make(what, before.as_ref(), Some(group), || {
            let revision = self.access.store.put(store::GROUPS, &group.name, group)?;
            self.access.model().put_group(group, revision);
            Ok(revision)
        })
    }

    /// Takes a group's roles away. Its members stay members, which then means nothing.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delete_group(&self, name: &str) -> Result<Change, AccessError> {
        let _writing = self.access.writing();
        let before = self.access.model().group(name);
        let before = before.ok_or(AccessError::Missing)?;
        self.make::<Group>(format!("group {name}"), Some(&before), None, || {
            let revision = self.delete(store::GROUPS, name)?;
            self.access.model().delete_group(name, revision);
            Ok(revision)
        })
    }

    /// Makes a role, or gives one other rules.
    ///
    /// # Errors
    /// The name is not fit to be one, or a rule makes no sense.
    pub fn put_role(&self, role: &Role) -> Result<Change, AccessError> {
        check_name(&role.name)?;
        let rules = records::rules(&role.rules, &format!("role {}", role.name))?;
        let _writing = self.access.writing();
        let before = self.access.model().role(&role.name);
        let what = format!("role {}", role.name);
        self.make(what, before.as_ref(), Some(role), || {
            let revision = self.access.store.put(store::ROLES, &role.name, role)?;
            self.access.model().put_role(role, rules, revision);
            Ok(revision)
        })
    }

    /// Takes a role away. Who has it still has its name, which then means nothing, and means
    /// something again if a role of this name is made.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn delete_role(&self, name: &str) -> Result<Change, AccessError> {
        let _writing = self.access.writing();
        let before = self.access.model().role(name);
        let before = before.ok_or(AccessError::Missing)?;
        self.make::<Role>(format!("role {name}"), Some(&before), None, || {
            let revision = self.delete(store::ROLES, name)?;
            self.access.model().delete_role(name, revision);
            Ok(revision)
        })
    }

    /// Puts other rules in the place of those that belong to no role.
    ///
    /// # Errors
    /// A rule makes no sense; there are more than 10,000.
    pub fn put_rules(&self, texts: &[RuleText]) -> Result<Change, AccessError> {
        let rules = records::rules(texts, "rules of the database")?;
        let _writing = self.access.writing();
        let (before, texts) = (self.access.model().rule_texts(), texts.to_vec());
        self.make("rules".into(), Some(&before), Some(&texts), || {
            let revision = self
                .access
                .store
                .put(store::META, store::RULES_KEY, &texts)?;
            self.access.model().put_rules(&texts, rules, revision);
            Ok(revision)
        })
    }

    /// Bans somebody, or says anew until when and why.
    ///
    /// # Errors
    /// What it names is no client identifier, user or network.
    pub fn put_ban(&self, ban: &Ban) -> Result<Change, AccessError> {
        let made = self.edit_ban(ban, |_| true)?;
        made.ok_or(AccessError::Exists)
    }

    /// The same, unless there is one that lasts at least as long: `None`, and that stays.
    ///
    /// # Errors
    /// As for [`Changes::put_ban`].
    pub fn lengthen_ban(&self, ban: &Ban) -> Result<Option<Change>, AccessError> {
        self.edit_ban(ban, |before| match (before.until, ban.until) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(before), Some(until)) => before < until,
        })
    }

    fn edit_ban(
        &self,
        ban: &Ban,
        replaces: impl FnOnce(&Ban) -> bool,
    ) -> Result<Option<Change>, AccessError> {
        let (key, banned) = ban.on.check()?;
        let _writing = self.access.writing();
        let before = self.access.model().ban(&key);
        if before.as_ref().is_some_and(|before| !replaces(before)) {
            return Ok(None);
        }
        let made = self.make(format!("ban {key}"), before.as_ref(), Some(ban), || {
            let revision = self.access.store.put(store::BANS, &key, ban)?;
            self.access.model().put_ban(&key, ban, banned, revision);
            Ok(revision)
        });
        made.map(Some)
    }

    /// Takes a ban away.
    ///
    /// # Errors
    /// There is no such ban.
    pub fn delete_ban(&self, on: &BanOn) -> Result<Change, AccessError> {
        let (key, _) = on.check()?;
        let _writing = self.access.writing();
        let before = self.access.model().ban(&key);
        let before = before.ok_or(AccessError::Missing)?;
        self.make::<Ban>(format!("ban {key}"), Some(&before), None, || {
            let revision = self.delete(store::BANS, &key)?;
            self.access.model().delete_ban(&key, revision);
            Ok(revision)
        })
    }

    /// Makes a change that is agreed to, and tells who watches.
    fn make<T: Serialize>(
        &self,
        what: String,
        before: Option<&T>,
        after: Option<&T>,
        act: impl FnOnce() -> Result<u64, AccessError>,
    ) -> Result<Change, AccessError> {
        let mut change = Change {
            revision: self.access.revision().saturating_add(1),
            what,
            before: before.map(records::value),
            after: after.map(records::value),
        };
        (self.agree)(&change).map_err(AccessError::NotAgreed)?;
        change.revision = act()?;
        Ok(self.access.changed(change))
    }

    fn delete(&self, table: Table, key: &str) -> Result<u64, AccessError> {
        self.access.store.delete(table, key)
    }

    /// What a user becomes by an edit.
    fn edited(
        &self,
        before: Option<&StoredUser>,
        edit: UserEdit,
    ) -> Result<StoredUser, AccessError> {
        let credentials = self.credentials(&edit.password)?;
        StoredUser::edited(before, edit, credentials, seconds(SystemTime::now()))
    }

    /// What a password is verified with; `None`: what there is stays. Hashing takes tens of
    /// milliseconds.
    fn credentials(&self, password: &PasswordEdit) -> Result<Option<Credentials>, AccessError> {
        Ok(match password {
            PasswordEdit::Keep => None,
            PasswordEdit::Remove => Some(Credentials::default()),
            PasswordEdit::Set(password) => Some(Credentials {
                hash: Some(hash_argon2id(password).map_err(invalid)?),
                scram: match self.access.scram {
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
        })
    }
}

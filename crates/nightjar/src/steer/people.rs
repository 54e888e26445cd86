//! Users of the built-in database.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use admin::import::{ImportedPassword, ImportedUser};
use admin::server::users::{Existing, Imported, UserFilter};
use admin::server::{NewUser, User, UserChange, Users};
use admin::{Failure, Listed, Page, Record};
use auth::Secret;
use providers::access::{self, AccessError, PasswordEdit, UserEdit};

use super::{Steer, as_it_is, failure, noted, seconds};

/// Users read from the database at once.
const CHUNK: usize = 1000;

impl Steer {
    /// Goes through all users in the order of their names.
    pub(super) fn each_user(&self, mut act: impl FnMut(access::User)) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let page = self.doors.access().users(after.as_deref(), CHUNK);
            let page = page.map_err(|error| failure(error, "user"))?;
            page.items.into_iter().for_each(&mut act);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn one_user(&self, name: &str) -> Result<User, Failure> {
        let what = user(name);
        let found = self.doors.access().user(name);
        let found = found.map_err(|error| failure(error, &what))?;
        found
            .map(shown)
            .ok_or_else(|| failure(AccessError::Missing, &what))
    }
}

impl Users for Steer {
    fn users(&self, filter: &UserFilter, page: Page) -> Result<Listed<User>, Failure> {
        let first = page.offset();
        let mut listed = Listed {
            rows: Vec::new(),
            count: 0,
        };
        self.each_user(|user| {
            let like = filter.like.as_ref();
            let group = filter.group.as_ref();
            let wanted = like.is_none_or(|like| user.name.contains(&**like))
                && group.is_none_or(|group| user.groups.contains(group));
            if !wanted {
                return;
            }
            if listed.count >= first && listed.rows.len() < page.limit() {
                listed.rows.push(shown(user));
            }
            listed.count += 1;
        })?;
        Ok(listed)
    }

    fn user(&self, user_id: &str) -> Result<User, Failure> {
        self.one_user(user_id)
    }

    fn create_user(&self, new: NewUser, record: &Record) -> Result<User, Failure> {
        let agree = noted(record, shown);
        let name = new.user_id;
        let edit = UserEdit {
            password: PasswordEdit::Set(Secret::new(new.password.reveal().as_bytes())),
            groups: new.groups,
            roles: new.roles,
            superuser: new.is_superuser,
            disabled: new.disabled,
            client_id: new.client_id.filter(|id| !id.is_empty()),
        };
        let changes = self.doors.access().changes(&agree);
        let made = changes.edit_user(&name, |before| match before {
            Some(_) => Err(AccessError::Exists),
            None => Ok(edit),
        });
        made.map_err(|error| failure(error, &user(&name)))?;
        self.refresh_user(&name)?;
        self.one_user(&name)
    }

    fn change_user(
        &self,
        user_id: &str,
        change: UserChange,
        record: &Record,
    ) -> Result<User, Failure> {
        let agree = noted(record, shown);
        let new_password = change.password.is_some();
        let disabled = change.disabled == Some(true);
        let bound = change.client_id.as_deref().is_some_and(|id| !id.is_empty());
        let changes = self.doors.access().changes(&agree);
        let made = changes.edit_user(user_id, |before| {
            let before = before.ok_or(AccessError::Missing)?;
            Ok(UserEdit {
                password: change.password.map_or(PasswordEdit::Keep, |new| {
                    PasswordEdit::Set(Secret::new(new.reveal().as_bytes()))
                }),
                groups: change.groups.unwrap_or(before.groups.clone()),
                roles: change.roles.unwrap_or(before.roles.clone()),
                superuser: change.is_superuser.unwrap_or(before.superuser),
                disabled: change.disabled.unwrap_or(before.disabled),
                client_id: match change.client_id {
                    Some(id) => Some(id).filter(|id| !id.is_empty()),
                    None => before.client_id.clone(),
                },
            })
        });
        made.map_err(|error| failure(error, &user(user_id)))?;
        // Who proved that he is this user can do so no more.
        match new_password || disabled || bound {
            true => self.end_users([Arc::from(user_id)].into())?,
            false => self.refresh_user(user_id)?,
        }
        self.one_user(user_id)
    }

    fn delete_user(&self, user_id: &str, record: &Record) -> Result<(), Failure> {
        let agree = noted(record, shown);
        let gone = self.doors.access().changes(&agree).delete_user(user_id);
        gone.map_err(|error| failure(error, &user(user_id)))?;
        self.end_users([Arc::from(user_id)].into())
    }

    fn import_users(
        &self,
        entries: &mut dyn Iterator<Item = Result<ImportedUser, Failure>>,
        existing: Existing,
        record: &Record,
    ) -> Result<Imported, Failure> {
        let agree = noted(record, as_it_is);
        let line = Cell::new(0);
        let mut names = BTreeSet::new();
        let mut edits = entries.map(|entry| {
            let entry = entry.map_err(Stopped::Entry)?;
            line.set(entry.line);
            names.insert(Arc::from(entry.user_id.as_str()));
            edit(entry).map_err(Stopped::Entry)
        });
        let changes = self.doors.access().changes(&agree);
        let imported = changes.import(&mut edits, existing_users(existing), |name, error| {
            let why = failure(error, &user(name));
            Stopped::Entry(at_line(why, line.get()))
        });
        let imported = imported.map_err(|stopped| match stopped {
            Stopped::Entry(why) => why,
            Stopped::Database(error) => failure(error, "user"),
        })?;
        if imported.replaced > 0 {
            self.end_users(names)?;
        }
        Ok(Imported {
            created: imported.created,
            replaced: imported.replaced,
            kept: imported.kept,
        })
    }
}

/// Why nothing was imported.
enum Stopped {
    Entry(Failure),
    Database(AccessError),
}

impl From<AccessError> for Stopped {
    fn from(error: AccessError) -> Self {
        Self::Database(error)
    }
}

fn existing_users(existing: Existing) -> access::Existing {
    match existing {
        Existing::Refuse => access::Existing::Refuse,
        Existing::Keep => access::Existing::Keep,
        Existing::Replace => access::Existing::Replace,
    }
}

fn edit(entry: ImportedUser) -> Result<(String, UserEdit), Failure> {
    let password = match &entry.password {
        ImportedPassword::Plain(password) => {
            PasswordEdit::Set(Secret::new(password.reveal().as_bytes()))
        }
        ImportedPassword::Hash(hash) => PasswordEdit::Hash(hash.reveal().into()),
        ImportedPassword::Salted { hash, salt } => {
            let text = providers::hash::salted(hash.reveal(), salt.reveal());
            let wrong = |error: providers::hash::HashError| {
                at_line(Failure::Invalid(error.to_string()), entry.line)
            };
            PasswordEdit::Hash(text.map_err(wrong)?)
        }
    };
    let edit = UserEdit {
        password,
        groups: entry.groups,
        roles: entry.roles,
        superuser: entry.is_superuser,
        disabled: entry.disabled,
        client_id: None,
    };
    Ok((entry.user_id, edit))
}

/// A failure with the line that it is about.
fn at_line(failure: Failure, line: u64) -> Failure {
    match failure {
        Failure::Invalid(why) => Failure::Invalid(format!("line {line}: {why}")),
        Failure::Exists(why) => Failure::Exists(format!("line {line}: {why}")),
        other => other,
    }
}

fn user(name: &str) -> String {
    format!("user {name:?}")
}

pub(super) fn shown(user: access::User) -> User {
    User {
        user_id: user.name,
        is_superuser: user.superuser,
        disabled: user.disabled,
        client_id: user.client_id,
        groups: user.groups,
        roles: user.roles,
        created_at: seconds(user.created),
        changed_at: seconds(user.changed),
    }
}

//! One order: who gives it, its lines in the audit log, what follows from it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use admin::{Audit, Record};
use providers::access::acl::DEFAULT_ROLE;
use providers::access::{Access, AccessError, Change, Group, PasswordEdit, Role, User, UserEdit};
use serde_json::Value;

use super::args::{Wrong, invalid};
use crate::steer::orders::Then;
use crate::steer::{as_it_is, noted, people};

/// Users read from the database at once.
const CHUNK: usize = 1000;

/// Where one order is carried out.
pub(super) struct Desk<'a> {
    pub(super) access: &'a Access,
    audit: &'a Arc<Audit>,
    who: &'a str,
    from: &'a str,
    then: RefCell<BTreeSet<Then>>,
}

impl<'a> Desk<'a> {
    /// `who` gives the order, and from where.
    pub(super) fn new(
        access: &'a Access,
        audit: &'a Arc<Audit>,
        (who, from): (&'a str, &'a str),
    ) -> Self {
        Self {
            access,
            audit,
            who,
            from,
            then: RefCell::default(),
        }
    }

    /// What live connections are to see of it.
    pub(super) fn then(self) -> Vec<Then> {
        self.then.into_inner().into_iter().collect()
    }

    pub(super) fn follows(&self, then: Then) {
        self.then.borrow_mut().insert(then);
    }

    /// A change, with its line in the audit log: also if it is refused.
    pub(super) fn change<T>(
        &self,
        operation: &str,
        target: &str,
        act: impl FnOnce(&Record) -> Result<T, Wrong>,
    ) -> Result<T, Wrong> {
        let record = self.audit.record(self.who, self.from, operation, target);
        let done = act(&record);
        let written = match &done {
            Ok(_) => Ok(()),
            Err(Wrong::Says(why)) => record.refused(why),
            Err(Wrong::Failed(why)) => record.failed(why),
        };
        // A change that cannot be told of was not made: the error says so.
        written.map_err(|failure| Wrong::failed(failure.to_string()))?;
        done
    }

    /// Edits a user that is there.
    pub(super) fn edit(
        &self,
        name: &str,
        edit: impl FnOnce(&User) -> Result<UserEdit, Wrong>,
    ) -> Result<(), Wrong> {
        self.change("user.change", name, |record| {
            let mut refused = None;
            let agree = noted(record, people::shown);
            let made = self.access.changes(&agree).edit_user(name, |before| {
                let before = before.ok_or(AccessError::Missing)?;
                let edit = edit(before).map_err(|wrong| {
                    let words = wrong.to_string();
                    refused = Some(wrong);
                    AccessError::Invalid(words)
                })?;
                told_of_password(record, &edit);
                Ok(edit)
            });
            let made = made.map(drop).map_err(|error| why(error, "Client"));
            made.map_err(|error| refused.take().unwrap_or(error))
        })
    }

    pub(super) fn put_group(&self, group: &Group) -> Result<(), Wrong> {
        self.change("group.put", &group.name, |record| {
            let agree = noted(record, as_it_is);
            self.made(self.access.changes(&agree).put_group(group), "Group")
        })
    }

    pub(super) fn remove_group(&self, name: &str) -> Result<(), Wrong> {
        self.change("group.delete", name, |record| {
            let agree = noted(record, as_it_is);
            self.made(self.access.changes(&agree).delete_group(name), "Group")
        })
    }

    pub(super) fn put_role(&self, role: &Role) -> Result<(), Wrong> {
        self.change("role.put", &role.name, |record| {
            let agree = noted(record, as_it_is);
            self.made(self.access.changes(&agree).put_role(role), "Role")
        })
    }

    pub(super) fn remove_role(&self, name: &str) -> Result<(), Wrong> {
        self.change("role.delete", name, |record| {
            let agree = noted(record, as_it_is);
            self.made(self.access.changes(&agree).delete_role(name), "Role")
        })
    }

    fn made(&self, made: Result<Change, AccessError>, what: &str) -> Result<(), Wrong> {
        made.map(drop).map_err(|error| why(error, what))
    }

    pub(super) fn user(&self, name: &str) -> Result<User, Wrong> {
        let found = self
            .access
            .user(name)
            .map_err(|error| why(error, "Client"))?;
        found.ok_or_else(|| missing("Client"))
    }

    pub(super) fn known_group(&self, name: &str) -> Result<Group, Wrong> {
        self.access.group(name).ok_or_else(|| missing("Group"))
    }

    pub(super) fn known_role(&self, name: &str) -> Result<Role, Wrong> {
        let found = self
            .access
            .role(name)
            .filter(|role| role.name != DEFAULT_ROLE);
        found.ok_or_else(|| missing("Role"))
    }

    /// That all of these are there.
    pub(super) fn know_groups(&self, names: &[String]) -> Result<(), Wrong> {
        names
            .iter()
            .try_for_each(|name| self.known_group(name).map(drop))
    }

    /// That all of these are there.
    pub(super) fn know_roles(&self, names: &[String]) -> Result<(), Wrong> {
        names
            .iter()
            .try_for_each(|name| self.known_role(name).map(drop))
    }

    /// Goes through all users in the order of their names.
    pub(super) fn each_user(&self, mut act: impl FnMut(User)) -> Result<(), Wrong> {
        let mut after = None;
        loop {
            let page = self.access.users(after.as_deref(), CHUNK);
            let page = page.map_err(|error| why(error, "Client"))?;
            page.items.into_iter().for_each(&mut act);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// What a user stays, all of it.
pub(super) fn as_before(user: &User) -> UserEdit {
    UserEdit {
        groups: user.groups.clone(),
        roles: user.roles.clone(),
        superuser: user.superuser,
        disabled: user.disabled,
        client_id: user.client_id.clone(),
        ..UserEdit::default()
    }
}

/// That a password is another is in the audit log, and no more of it (S71).
pub(super) fn told_of_password(record: &Record, edit: &UserEdit) {
    if edit.password != PasswordEdit::Keep {
        record.secret("password");
    }
}

/// Objects that name something.
pub(super) fn named<'n>(key: &str, names: impl Iterator<Item = &'n String>) -> Value {
    let object = |name: &String| {
        Value::Object(
            [(key.to_owned(), name.as_str().into())]
                .into_iter()
                .collect(),
        )
    };
    names.map(object).collect()
}

pub(super) fn missing(what: &str) -> Wrong {
    Wrong::says(format!("{what} not found"))
}

pub(super) fn exists(what: &str) -> Wrong {
    Wrong::says(format!("{what} already exists"))
}

/// That a role is not the one that stands for what holds without one.
pub(super) fn role_name(name: &str) -> Result<&str, Wrong> {
    match name == DEFAULT_ROLE {
        true => Err(invalid("rolename")),
        false => Ok(name),
    }
}

/// A change that was not made, in words.
pub(super) fn why(error: AccessError, what: &str) -> Wrong {
    match error {
        AccessError::Invalid(why) => Wrong::Says(why),
        AccessError::Missing => missing(what),
        AccessError::Exists => exists(what),
        AccessError::NotAgreed(why) => Wrong::Failed(why),
        AccessError::Storage(why) => Wrong::Failed(format!("The database of users: {why}")),
    }
}

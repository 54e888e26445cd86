//! Commands about clients, which are users here.

use auth::Secret;
use providers::access::acl::DEFAULT_ROLE;
use providers::access::{AccessError, PasswordEdit, User, UserEdit};
use serde_json::{Value, json};

use super::args::{Args, Wrong};
use super::desk::{Desk, as_before, exists, named, role_name, told_of_password, why};
use crate::steer::orders::Then;
use crate::steer::{noted, people};

impl Desk<'_> {
    pub(super) fn create_client(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("username")?;
        args.only(&["username", "password", "clientid", "groups", "roles"])?;
        let groups = args.names("groups", "groupname")?.unwrap_or_default();
        let mut roles = args.names("roles", "rolename")?.unwrap_or_default();
        let password = match args.text("password")? {
            None => PasswordEdit::Keep,
            Some(password) => set(password)?,
        };
        let client_id = args.text("clientid")?.map(str::to_owned);
        self.change("user.create", name, |record| {
            if self.access.user(name).is_ok_and(|found| found.is_some()) {
                return Err(exists("Client"));
            }
            self.know_groups(&groups)?;
            self.know_roles(&roles)?;
            if self.access.role(DEFAULT_ROLE).is_some() {
                roles.push(DEFAULT_ROLE.into());
            }
            let edit = UserEdit {
                password,
                groups,
                roles,
                client_id: client_id.filter(|id| !id.is_empty()),
                ..UserEdit::default()
            };
            told_of_password(record, &edit);
            let agree = noted(record, people::shown);
            let changes = self.access.changes(&agree);
            let made = changes.edit_user(name, |before| match before {
                Some(_) => Err(AccessError::Exists),
                None => Ok(edit),
            });
            made.map(drop).map_err(|error| why(error, "Client"))
        })?;
        self.follows(Then::Refresh(name.into()));
        Ok(())
    }

    pub(super) fn delete_client(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("username")?;
        args.only(&["username"])?;
        self.user(name)?;
        self.change("user.delete", name, |record| {
            let agree = noted(record, people::shown);
            let gone = self.access.changes(&agree).delete_user(name);
            gone.map(drop).map_err(|error| why(error, "Client"))
        })?;
        self.follows(Then::End(name.into()));
        Ok(())
    }

    pub(super) fn enable_client(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("username")?;
        args.only(&["username"])?;
        self.edit(name, |before| {
            Ok(UserEdit {
                disabled: false,
                ..as_before(before)
            })
        })?;
        self.follows(Then::Refresh(name.into()));
        Ok(())
    }

    pub(super) fn disable_client(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("username")?;
        args.only(&["username"])?;
        self.edit(name, |before| {
            Ok(UserEdit {
                disabled: true,
                ..as_before(before)
            })
        })?;
        self.follows(Then::End(name.into()));
        Ok(())
    }

    pub(super) fn set_client_id(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("username")?;
        args.only(&["username", "clientid"])?;
        let id = args.text("clientid")?.filter(|id| !id.is_empty());
        self.edit(name, |before| {
            Ok(UserEdit {
                client_id: id.map(str::to_owned),
                ..as_before(before)
            })
        })?;
        self.follows(match id {
            // Who has another one has shown something that does not hold any more.
            Some(_) => Then::End(name.into()),
            None => Then::Refresh(name.into()),
        });
        Ok(())
    }

    pub(super) fn set_client_password(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("username")?;
        args.only(&["username", "password"])?;
        let password = args.text("password")?;
        let password = password.ok_or_else(|| Wrong::says("Invalid/missing password"))?;
        let password = set(password)?;
        self.edit(name, |before| {
            Ok(UserEdit {
                password,
                ..as_before(before)
            })
        })?;
        self.follows(Then::End(name.into()));
        Ok(())
    }

    pub(super) fn modify_client(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("username")?;
        args.only(&["username", "password", "clientid", "groups", "roles"])?;
        let groups = args.names("groups", "groupname")?;
        let roles = args.names("roles", "rolename")?;
        let password = args.text("password")?.map(set).transpose()?;
        let id = args.text("clientid")?;
        self.know_groups(groups.as_deref().unwrap_or_default())?;
        self.know_roles(roles.as_deref().unwrap_or_default())?;
        let is_to_end = password.is_some() || id.is_some_and(|id| !id.is_empty());
        self.edit(name, |before| {
            let kept = as_before(before);
            let is_default = |role: &&String| *role == DEFAULT_ROLE;
            let roles = roles.map(|mut roles| {
                roles.extend(before.roles.iter().find(is_default).cloned());
                roles
            });
            Ok(UserEdit {
                password: password.unwrap_or_default(),
                groups: groups.unwrap_or(kept.groups),
                roles: roles.unwrap_or(kept.roles),
                client_id: match id {
                    Some(id) => Some(id.to_owned()).filter(|id| !id.is_empty()),
                    None => kept.client_id,
                },
                superuser: kept.superuser,
                disabled: kept.disabled,
            })
        })?;
        self.follows(match is_to_end {
            true => Then::End(name.into()),
            false => Then::Refresh(name.into()),
        });
        Ok(())
    }

    pub(super) fn add_client_role(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let (name, role) = self.client_and_role(args)?;
        args.no_priority()?;
        self.user(name)?;
        self.known_role(role)?;
        self.edit(name, |before| {
            if before.roles.iter().any(|known| known == role) {
                return Err(Wrong::says("Client already has this role"));
            }
            let mut edit = as_before(before);
            edit.roles.push(role.into());
            Ok(edit)
        })?;
        self.follows(Then::Refresh(name.into()));
        Ok(())
    }

    /// As with the plugin, taking a role away that is not there is no error.
    pub(super) fn remove_client_role(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let (name, role) = self.client_and_role(args)?;
        self.user(name)?;
        self.known_role(role)?;
        self.edit(name, |before| {
            let mut edit = as_before(before);
            edit.roles.retain(|known| known != role);
            Ok(edit)
        })?;
        self.follows(Then::Refresh(name.into()));
        Ok(())
    }

    fn client_and_role<'a>(&self, args: &Args<'a>) -> Result<(&'a str, &'a str), Wrong> {
        let name = args.needs("username")?;
        let role = role_name(args.needs("rolename")?)?;
        args.only(&["username", "rolename", "priority"])?;
        Ok((name, role))
    }

    pub(super) fn client(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        let name = args.needs("username")?;
        args.only(&["username"])?;
        Ok(json!({ "client": shown(&self.user(name)?) }))
    }

    pub(super) fn clients(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        args.only(&["verbose", "count", "offset"])?;
        let part = args.part()?;
        let mut total: usize = 0;
        let mut rows: Vec<Value> = Vec::new();
        self.each_user(|user| {
            if total >= part.offset && rows.len() < part.count {
                rows.push(match part.is_verbose {
                    true => shown(&user),
                    false => user.name.into(),
                });
            }
            total += 1;
        })?;
        Ok(json!({ "totalCount": total, "clients": rows }))
    }
}

fn set(password: &str) -> Result<PasswordEdit, Wrong> {
    match password.is_empty() {
        true => Err(Wrong::says("Empty password is not allowed")),
        false => Ok(PasswordEdit::Set(Secret::new(password.as_bytes()))),
    }
}

fn shown(user: &User) -> Value {
    let roles = user.roles.iter().filter(|role| *role != DEFAULT_ROLE);
    let mut shown = json!({
        "username": user.name,
        "roles": named("rolename", roles),
        "groups": named("groupname", user.groups.iter()),
    });
    if let Some(id) = &user.client_id {
        shown["clientid"] = id.as_str().into();
    }
    if user.disabled {
        shown["disabled"] = true.into();
    }
    shown
}

//! Commands about roles and their ACLs, and what holds where no ACL does.

use providers::access::acl::{self, DEFAULT_ROLE, DefaultAccess};
use providers::access::{Acl, Role, User};
use serde_json::{Value, json};

use super::args::{Args, Wrong, invalid};
use super::desk::{Desk, as_before, exists, role_name};
use crate::steer::orders::Then;

/// Most ACLs of a role.
const MOST: usize = 1000;

impl Desk<'_> {
    pub(super) fn create_role(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = role_name(args.needs("rolename")?)?;
        args.only(&["rolename", "acls"])?;
        let acls = acls(args)?.unwrap_or_default();
        if self.access.role(name).is_some() {
            return Err(exists("Role"));
        }
        if name > DEFAULT_ROLE && self.default()? != DefaultAccess::default() {
            return Err(Wrong::says(format!(
                "Roles are asked in the order of their names, and this one would come behind \
                 {DEFAULT_ROLE:?}, which holds what is allowed without an ACL; take another name"
            )));
        }
        self.put_role(&Role::of_acls(name.into(), acls))
    }

    /// Nobody has it any more, also if another one of this name is made.
    pub(super) fn delete_role(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = role_name(args.needs("rolename")?)?;
        args.only(&["rolename"])?;
        self.known_role(name)?;
        let has = |roles: &[String]| roles.iter().any(|role| role == name);
        for user in self.users_where(|user| has(&user.roles))? {
            self.edit(&user, |before| {
                let mut edit = as_before(before);
                edit.roles.retain(|role| role != name);
                Ok(edit)
            })?;
            self.follows(Then::Refresh(user));
        }
        for mut group in self.access.groups() {
            if has(&group.roles) {
                group.roles.retain(|role| role != name);
                self.put_group(&group)?;
            }
        }
        self.remove_role(name)
    }

    pub(super) fn modify_role(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = role_name(args.needs("rolename")?)?;
        args.only(&["rolename", "acls"])?;
        let acls = acls(args)?;
        self.known_role(name)?;
        match acls {
            Some(acls) => self.put_role(&Role::of_acls(name.into(), acls)),
            None => Ok(()),
        }
    }

    pub(super) fn add_role_acl(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = role_name(args.needs("rolename")?)?;
        args.only(&["rolename", "acltype", "topic", "priority", "allow"])?;
        let role = self.known_role(name)?;
        let acl = args.acl()?;
        let mut acls = changeable(&role)?;
        let is_same = |one: &Acl| (one.acltype, &one.topic) == (acl.acltype, &acl.topic);
        if acls.iter().any(is_same) {
            return Err(Wrong::says("ACL with this topic already exists"));
        }
        acls.push(acl);
        bounded(&acls)?;
        self.put_role(&Role::of_acls(name.into(), acls))
    }

    pub(super) fn remove_role_acl(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = role_name(args.needs("rolename")?)?;
        args.only(&["rolename", "acltype", "topic"])?;
        let (kind, topic) = (args.acl_kind()?, args.needs("topic")?);
        let role = self.known_role(name)?;
        let mut acls = changeable(&role)?;
        let before = acls.len();
        acls.retain(|acl| acl.acltype != kind || acl.topic != topic);
        if acls.len() == before {
            return Err(Wrong::says("ACL not found"));
        }
        self.put_role(&Role::of_acls(name.into(), acls))
    }

    pub(super) fn role(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        let name = args.needs("rolename")?;
        args.only(&["rolename"])?;
        Ok(json!({ "role": shown(&self.known_role(name)?) }))
    }

    pub(super) fn roles(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        args.only(&["verbose", "count", "offset"])?;
        let part = args.part()?;
        let mut roles = self.access.roles();
        roles.retain(|role| role.name != DEFAULT_ROLE);
        let wanted = roles.iter().skip(part.offset).take(part.count);
        let rows: Vec<Value> = match part.is_verbose {
            true => wanted.map(shown).collect(),
            false => wanted.map(|role| role.name.as_str().into()).collect(),
        };
        Ok(json!({ "totalCount": roles.len(), "roles": rows }))
    }

    pub(super) fn default_access(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        args.only(&[])?;
        let default = self.default()?;
        let says = |acltype, allow| json!({ "acltype": acltype, "allow": allow });
        Ok(json!({ "acls": [
            says("publishClientSend", default.publish),
            says("publishClientReceive", true),
            says("subscribe", default.subscribe),
            says("unsubscribe", true),
        ] }))
    }

    /// What is allowed without an ACL is in a role that each user has, and that comes last.
    pub(super) fn set_default_access(&self, args: &Args<'_>) -> Result<(), Wrong> {
        args.only(&["acls"])?;
        let before = self.default()?;
        let mut after = before;
        for acl in args.list("acls")?.ok_or_else(|| invalid("acls"))? {
            acl.only(&["acltype", "allow", "access"])?;
            let kind = acl.needs("acltype")?;
            // mosquitto_ctrl 2.0 says it with a word, which its own plugin passes over.
            let allow = match (acl.flag("allow")?, acl.text("access")?) {
                (Some(allow), None) => allow,
                (None, Some("allow")) => true,
                (None, Some("deny")) => false,
                _ => return Err(invalid("allow")),
            };
            match (kind, allow) {
                ("publishClientSend", _) => after.publish = allow,
                ("subscribe", _) => after.subscribe = allow,
                ("publishClientReceive" | "unsubscribe", true) => {}
                ("publishClientReceive", false) => {
                    return Err(Wrong::says(
                        "Who may subscribe receives here: it cannot be denied",
                    ));
                }
                ("unsubscribe", false) => {
                    return Err(Wrong::says(
                        "Clients may always unsubscribe here: it cannot be denied",
                    ));
                }
                _ => return Err(Wrong::says("Unknown acltype")),
            }
        }
        if after == before {
            return Ok(());
        }
        if after != DefaultAccess::default() {
            self.give_default_role()?;
        }
        self.put_role(&after.role())
    }

    /// Each user has the role before it says anything: a crash leaves nobody with a part of it.
    fn give_default_role(&self) -> Result<(), Wrong> {
        let roles = self.access.roles();
        if let Some(role) = roles.iter().find(|role| *role.name > *DEFAULT_ROLE) {
            return Err(Wrong::says(format!(
                "Roles are asked in the order of their names, and {:?} would come behind \
                 {DEFAULT_ROLE:?}, which holds what is allowed without an ACL; give it another name",
                role.name
            )));
        }
        if roles.iter().all(|role| role.name != DEFAULT_ROLE) {
            self.put_role(&DefaultAccess::default().role())?;
        }
        let lacks = |user: &User| user.roles.iter().all(|role| role != DEFAULT_ROLE);
        for user in self.users_where(lacks)? {
            self.edit(&user, |before| {
                let mut edit = as_before(before);
                if lacks(before) {
                    edit.roles.push(DEFAULT_ROLE.into());
                }
                Ok(edit)
            })?;
        }
        Ok(())
    }

    fn default(&self) -> Result<DefaultAccess, Wrong> {
        let Some(role) = self.access.role(DEFAULT_ROLE) else {
            return Ok(DefaultAccess::default());
        };
        DefaultAccess::of_role(&role).ok_or_else(|| {
            Wrong::says(format!(
                "The role {DEFAULT_ROLE:?} says what no default access does; see `nightjar role \
                 show {DEFAULT_ROLE}`"
            ))
        })
    }

    fn users_where(&self, is_meant: impl Fn(&User) -> bool) -> Result<Vec<String>, Wrong> {
        let mut names = Vec::new();
        self.each_user(|user| {
            if is_meant(&user) {
                names.push(user.name);
            }
        })?;
        Ok(names)
    }
}

fn acls(args: &Args<'_>) -> Result<Option<Vec<Acl>>, Wrong> {
    let Some(rows) = args.list("acls")? else {
        return Ok(None);
    };
    let acl = |row: Args<'_>| {
        row.only(&["acltype", "topic", "priority", "allow"])?;
        row.acl()
    };
    let acls = rows.into_iter().map(acl).collect::<Result<Vec<_>, _>>()?;
    bounded(&acls)?;
    Ok(Some(acls))
}

fn bounded(acls: &[Acl]) -> Result<(), Wrong> {
    match acls.len() > MOST {
        true => Err(Wrong::says(format!("A role has at most {MOST} ACLs"))),
        false => Ok(()),
    }
}

/// The ACLs of a role that has nothing but those.
fn changeable(role: &Role) -> Result<Vec<Acl>, Wrong> {
    role.to_acls().ok_or_else(|| {
        Wrong::says("The role has rules that no ACLs say; change it with `nightjar role`")
    })
}

fn shown(role: &Role) -> Value {
    let Some(mut acls) = role.to_acls() else {
        return json!({
            "rolename": role.name,
            "acls": [],
            "textdescription": "has rules that no ACLs say; see `nightjar role show`",
        });
    };
    acl::sort(&mut acls);
    // As the plugin lists them: kind by kind.
    acls.sort_by_key(|acl| acl.acltype);
    let said = |acl: &Acl| {
        json!({
            "acltype": acl.acltype,
            "topic": acl.topic,
            "priority": acl.priority,
            "allow": acl.allow,
        })
    };
    let acls: Vec<Value> = acls.iter().map(said).collect();
    json!({ "rolename": role.name, "acls": acls })
}

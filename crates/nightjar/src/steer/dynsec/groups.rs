//! Commands about groups.

use std::collections::HashMap;

use providers::access::{Group, User};
use serde_json::{Value, json};

use super::args::{Args, Wrong};
use super::desk::{Desk, as_before, exists, named, role_name};
use crate::steer::orders::Then;

impl Desk<'_> {
    pub(super) fn create_group(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("groupname")?;
        args.only(&["groupname", "roles"])?;
        let roles = args.names("roles", "rolename")?.unwrap_or_default();
        if self.access.group(name).is_some() {
            return Err(exists("Group"));
        }
        self.know_roles(&roles)?;
        // Who is in a group of this name by another way is in this one from now on.
        self.put_group(&Group {
            name: name.into(),
            roles,
        })
    }

    /// Its members are not in it any more, also if another one of this name is made.
    pub(super) fn delete_group(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("groupname")?;
        args.only(&["groupname"])?;
        self.known_group(name)?;
        for user in self.members(name)? {
            self.leave(name, &user)?;
        }
        self.remove_group(name)
    }

    pub(super) fn modify_group(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let name = args.needs("groupname")?;
        args.only(&["groupname", "roles", "clients"])?;
        let roles = args.names("roles", "rolename")?;
        let clients = args.names("clients", "username")?;
        let mut group = self.known_group(name)?;
        self.know_roles(roles.as_deref().unwrap_or_default())?;
        for user in clients.iter().flatten() {
            self.user(user)?;
        }
        if let Some(roles) = roles {
            group.roles = roles;
            self.put_group(&group)?;
        }
        let Some(clients) = clients else {
            return Ok(());
        };
        let members = self.members(name)?;
        for user in members.iter().filter(|user| !clients.contains(user)) {
            self.leave(name, user)?;
        }
        for user in clients.iter().filter(|user| !members.contains(user)) {
            self.join(name, user)?;
        }
        Ok(())
    }

    pub(super) fn add_group_client(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let (group, user) = self.group_and_client(args)?;
        args.no_priority()?;
        if self.user(user)?.groups.iter().any(|known| known == group) {
            return Err(Wrong::says("Client is already in this group"));
        }
        self.join(group, user)
    }

    pub(super) fn remove_group_client(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let (group, user) = self.group_and_client(args)?;
        self.leave(group, user)
    }

    fn group_and_client<'a>(&self, args: &Args<'a>) -> Result<(&'a str, &'a str), Wrong> {
        let user = args.needs("username")?;
        let group = args.needs("groupname")?;
        args.only(&["username", "groupname", "priority"])?;
        self.user(user)?;
        self.known_group(group)?;
        Ok((group, user))
    }

    fn join(&self, group: &str, user: &str) -> Result<(), Wrong> {
        self.edit(user, |before| {
            let mut edit = as_before(before);
            if edit.groups.iter().all(|known| known != group) {
                edit.groups.push(group.into());
            }
            Ok(edit)
        })?;
        self.follows(Then::Refresh(user.into()));
        Ok(())
    }

    fn leave(&self, group: &str, user: &str) -> Result<(), Wrong> {
        self.edit(user, |before| {
            let mut edit = as_before(before);
            edit.groups.retain(|known| known != group);
            Ok(edit)
        })?;
        self.follows(Then::Refresh(user.into()));
        Ok(())
    }

    pub(super) fn add_group_role(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let (mut group, role) = self.group_and_role(args)?;
        args.no_priority()?;
        if group.roles.iter().any(|known| known == role) {
            return Err(Wrong::says("Group is already in this role"));
        }
        group.roles.push(role.into());
        self.put_group(&group)
    }

    /// As with the plugin, taking a role away that is not there is no error.
    pub(super) fn remove_group_role(&self, args: &Args<'_>) -> Result<(), Wrong> {
        let (mut group, role) = self.group_and_role(args)?;
        group.roles.retain(|known| known != role);
        self.put_group(&group)
    }

    fn group_and_role<'a>(&self, args: &Args<'a>) -> Result<(Group, &'a str), Wrong> {
        let group = args.needs("groupname")?;
        let role = role_name(args.needs("rolename")?)?;
        args.only(&["groupname", "rolename", "priority"])?;
        let group = self.known_group(group)?;
        self.known_role(role)?;
        Ok((group, role))
    }

    pub(super) fn group(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        let name = args.needs("groupname")?;
        args.only(&["groupname"])?;
        let group = self.known_group(name)?;
        let members = self.members(name)?;
        Ok(json!({ "group": shown(&group, &members) }))
    }

    pub(super) fn groups(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        args.only(&["verbose", "count", "offset"])?;
        let part = args.part()?;
        let groups = self.access.groups();
        let wanted = groups.iter().skip(part.offset).take(part.count);
        let rows: Vec<Value> = if part.is_verbose {
            let mut members: HashMap<String, Vec<String>> = HashMap::new();
            self.each_user(|user| {
                for group in user.groups {
                    members.entry(group).or_default().push(user.name.clone());
                }
            })?;
            let of = |group: &Group| members.get(&group.name).map_or(&[][..], |names| names);
            wanted.map(|group| shown(group, of(group))).collect()
        } else {
            wanted.map(|group| group.name.as_str().into()).collect()
        };
        Ok(json!({ "totalCount": groups.len(), "groups": rows }))
    }

    /// That clients without a name are in no group, unless they have rules from elsewhere.
    pub(super) fn anonymous_group(&self, args: &Args<'_>) -> Result<Value, Wrong> {
        args.only(&[])?;
        match self.access.rules().iter().any(|rule| rule.anonymous) {
            true => Err(Wrong::says(
                "What clients without a name may do are rules here, and no group's: they came \
                 with `nightjar migrate --from-dynsec`",
            )),
            false => Ok(json!({ "group": { "groupname": "" } })),
        }
    }

    /// The names of who is in a group, in order.
    fn members(&self, group: &str) -> Result<Vec<String>, Wrong> {
        let mut members = Vec::new();
        let is_in = |user: &User| user.groups.iter().any(|known| known == group);
        self.each_user(|user| {
            if is_in(&user) {
                members.push(user.name);
            }
        })?;
        Ok(members)
    }
}

fn shown(group: &Group, members: &[String]) -> Value {
    json!({
        "groupname": group.name,
        "roles": named("rolename", group.roles.iter()),
        "clients": named("username", members.iter()),
    })
}

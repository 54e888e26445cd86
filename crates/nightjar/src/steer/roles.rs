//! Groups and roles of the built-in database.

use std::collections::HashMap;

use admin::server::roles::{Permission, RuleAction};
use admin::server::{Group, GroupChange, Role, RoleChange, Roles, Rule};
use admin::{Failure, Listed, Page, Record};
use providers::RuleText;
use providers::access::{self, AccessError};
use providers::rules;

use super::{Steer, as_it_is, failure, noted};

impl Steer {
    /// How many users are in each group.
    fn members(&self) -> Result<HashMap<String, u64>, Failure> {
        let mut members = HashMap::new();
        self.each_user(|user| {
            for group in user.groups {
                *members.entry(group).or_default() += 1;
            }
        })?;
        Ok(members)
    }

    fn one_group(&self, name: &str) -> Result<Group, Failure> {
        let mut groups = self.doors.access().groups().into_iter();
        let found = groups.find(|group| group.name == name);
        let found = found.ok_or_else(|| failure(AccessError::Missing, &group(name)))?;
        Ok(Group {
            members: self.members()?.get(name).copied().unwrap_or_default(),
            name: found.name,
            roles: found.roles,
        })
    }

    fn one_role(&self, name: &str) -> Result<Role, Failure> {
        let mut roles = self.doors.access().roles().into_iter();
        let found = roles.find(|role| role.name == name);
        found
            .map(shown)
            .ok_or_else(|| failure(AccessError::Missing, &role(name)))
    }
}

impl Roles for Steer {
    fn groups(&self, page: Page) -> Result<Listed<Group>, Failure> {
        let members = self.members()?;
        let groups = self.doors.access().groups().into_iter();
        Ok(page.of(groups.map(|group| Group {
            members: members.get(&group.name).copied().unwrap_or_default(),
            name: group.name,
            roles: group.roles,
        })))
    }

    fn group(&self, name: &str) -> Result<Group, Failure> {
        self.one_group(name)
    }

    fn put_group(
        &self,
        name: &str,
        change: GroupChange,
        record: &Record,
    ) -> Result<Group, Failure> {
        let agree = noted(record, as_it_is);
        let wanted = access::Group {
            name: name.into(),
            roles: change.roles,
        };
        let made = self.doors.access().changes(&agree).put_group(&wanted);
        made.map_err(|error| failure(error, &group(name)))?;
        self.one_group(name)
    }

    fn delete_group(&self, name: &str, record: &Record) -> Result<(), Failure> {
        let agree = noted(record, as_it_is);
        let gone = self.doors.access().changes(&agree).delete_group(name);
        gone.map(drop).map_err(|error| failure(error, &group(name)))
    }

    fn roles(&self, page: Page) -> Result<Listed<Role>, Failure> {
        Ok(page.of(self.doors.access().roles().into_iter().map(shown)))
    }

    fn role(&self, name: &str) -> Result<Role, Failure> {
        self.one_role(name)
    }

    fn put_role(&self, name: &str, change: RoleChange, record: &Record) -> Result<Role, Failure> {
        let agree = noted(record, as_it_is);
        let wanted = access::Role {
            name: name.into(),
            rules: change.rules.into_iter().map(text).collect(),
            acls: Vec::new(),
        };
        let made = self.doors.access().changes(&agree).put_role(&wanted);
        made.map_err(|error| failure(error, &role(name)))?;
        self.one_role(name)
    }

    fn delete_role(&self, name: &str, record: &Record) -> Result<(), Failure> {
        let agree = noted(record, as_it_is);
        let gone = self.doors.access().changes(&agree).delete_role(name);
        gone.map(drop).map_err(|error| failure(error, &role(name)))
    }
}

fn group(name: &str) -> String {
    format!("group {name:?}")
}

fn role(name: &str) -> String {
    format!("role {name:?}")
}

/// A rule as the database keeps it.
fn text(rule: Rule) -> RuleText {
    RuleText {
        permission: match rule.permission {
            Permission::Allow => rules::Permission::Allow,
            Permission::Deny => rules::Permission::Deny,
        },
        action: match rule.action {
            RuleAction::Publish => rules::RuleAction::Publish,
            RuleAction::Subscribe => rules::RuleAction::Subscribe,
            RuleAction::All => rules::RuleAction::All,
        },
        topics: rule.topics,
        exact: rule.exact,
        qos: rule.qos,
        retain: rule.retain,
        ..RuleText::default()
    }
}

fn shown(role: access::Role) -> Role {
    Role {
        name: role.name,
        rules: role.rules.into_iter().map(rule).collect(),
    }
}

fn rule(text: RuleText) -> Rule {
    Rule {
        permission: match text.permission {
            rules::Permission::Allow => Permission::Allow,
            rules::Permission::Deny => Permission::Deny,
        },
        action: match text.action {
            rules::RuleAction::Publish => RuleAction::Publish,
            rules::RuleAction::Subscribe => RuleAction::Subscribe,
            rules::RuleAction::All => RuleAction::All,
        },
        topics: text.topics,
        exact: text.exact,
        qos: text.qos,
        retain: text.retain,
    }
}

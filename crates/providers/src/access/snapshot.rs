//! What policies are made of.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::Rules;
use auth::rulebook::{Banned, Bans, Members, Membership};

use super::records::{Ban, Group, Role, StoredUser};
use crate::rules::RuleText;

/// All that a policy needs, for [`auth::rulebook::Contents`].
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Counts changes: the same number is the same contents, but for bans that are over.
    pub revision: u64,
    /// Rules that belong to no role; they go behind those of the configuration.
    pub rules: Rules,
    /// Roles, in the order of their names.
    pub roles: Vec<auth::rulebook::Role>,
    /// Who is in which group and has which role.
    pub members: Arc<Members>,
    /// Who is not let in now.
    pub bans: Arc<Bans>,
    /// When the next ban is over: another snapshot is due then.
    pub next_expiry: Option<SystemTime>,
}

/// What of the file is kept in memory: all but passwords.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) revision: u64,
    members: Arc<Members>,
    groups: BTreeMap<String, Group>,
    roles: BTreeMap<String, (Role, Rules)>,
    texts: Vec<RuleText>,
    rules: Rules,
    bans: BTreeMap<String, (Ban, Banned)>,
}

impl Model {
    pub(super) fn snapshot(&self, now: u64) -> Snapshot {
        let role = |(role, rules): &(Role, Rules)| auth::rulebook::Role {
            name: role.name.as_str().into(),
            rules: rules.clone(),
        };
        let bans = || self.bans.values().filter(|(ban, _)| !is_over(ban, now));
        let next = bans().filter_map(|(ban, _)| ban.until).min();
        Snapshot {
            revision: self.revision,
            rules: self.rules.clone(),
            roles: self.roles.values().map(role).collect(),
            members: Arc::clone(&self.members),
            bans: Arc::new(bans().map(|(_, banned)| banned.clone()).collect()),
            next_expiry: next.and_then(|it| UNIX_EPOCH.checked_add(Duration::from_secs(it))),
        }
    }

    pub(super) fn put_user(&mut self, name: &str, user: &StoredUser, revision: u64) {
        self.revision = revision;
        let names = |names: &[String]| names.iter().map(|name| Arc::from(&**name)).collect();
        let belongs = !user.groups.is_empty() || !user.roles.is_empty();
        if user.disabled || !(belongs || user.superuser) {
            return self.delete_user(name, revision);
        }
        let membership = Membership {
            groups: names(&user.groups),
            roles: names(&user.roles),
            superuser: user.superuser,
        };
        if self.members.users.get(name) != Some(&membership) {
            let users = &mut Arc::make_mut(&mut self.members).users;
            users.insert(name.into(), membership);
        }
    }

    pub(super) fn delete_user(&mut self, name: &str, revision: u64) {
        self.revision = revision;
        if self.members.users.contains_key(name) {
            Arc::make_mut(&mut self.members).users.remove(name);
        }
    }

    pub(super) fn put_group(&mut self, group: &Group, revision: u64) {
        self.revision = revision;
        let roles = group.roles.iter().map(|role| Arc::from(&**role)).collect();
        let groups = &mut Arc::make_mut(&mut self.members).groups;
        groups.insert(group.name.as_str().into(), roles);
        self.groups.insert(group.name.clone(), group.clone());
    }

    pub(super) fn delete_group(&mut self, name: &str, revision: u64) {
        self.revision = revision;
        Arc::make_mut(&mut self.members).groups.remove(name);
        self.groups.remove(name);
    }

    pub(super) fn put_role(&mut self, role: &Role, rules: Rules, revision: u64) {
        self.revision = revision;
        self.roles.insert(role.name.clone(), (role.clone(), rules));
    }

    pub(super) fn delete_role(&mut self, name: &str, revision: u64) {
        self.revision = revision;
        self.roles.remove(name);
    }

    pub(super) fn put_rules(&mut self, texts: &[RuleText], rules: Rules, revision: u64) {
        self.revision = revision;
        self.texts = texts.to_vec();
        self.rules = rules;
    }

    pub(super) fn put_ban(&mut self, key: &str, ban: &Ban, banned: Banned, revision: u64) {
        self.revision = revision;
        self.bans.insert(key.into(), (ban.clone(), banned));
    }

    pub(super) fn delete_ban(&mut self, key: &str, revision: u64) {
        self.revision = revision;
        self.bans.remove(key);
    }

    pub(super) fn members(&self) -> Arc<Members> {
        Arc::clone(&self.members)
    }

    pub(super) fn groups(&self) -> Vec<Group> {
        self.groups.values().cloned().collect()
    }

    pub(super) fn group(&self, name: &str) -> Option<Group> {
        self.groups.get(name).cloned()
    }

    pub(super) fn roles(&self) -> Vec<Role> {
        self.roles.values().map(|(role, _)| role.clone()).collect()
    }

    pub(super) fn role(&self, name: &str) -> Option<Role> {
        self.roles.get(name).map(|(role, _)| role.clone())
    }

    pub(super) fn rule_texts(&self) -> Vec<RuleText> {
        self.texts.clone()
    }

    pub(super) fn bans(&self) -> Vec<Ban> {
        self.bans.values().map(|(ban, _)| ban.clone()).collect()
    }

    pub(super) fn ban(&self, key: &str) -> Option<Ban> {
        self.bans.get(key).map(|(ban, _)| ban.clone())
    }

    /// Keys of bans that are over.
    pub(super) fn bans_over(&self, now: u64) -> Vec<String> {
        let over = self.bans.iter().filter(|(_, (ban, _))| is_over(ban, now));
        over.map(|(key, _)| key.clone()).collect()
    }
}

fn is_over(ban: &Ban, now: u64) -> bool {
    ban.until.is_some_and(|until| until <= now)
}

//! Users, groups, roles and rules that decide as Mosquitto's plugin would.
//!
//! The plugin asks the roles of a client by their priority, then those of its groups by theirs; in a
//! role the ACLs by theirs, for each of publishing, receiving and subscribing alone. Here the first
//! rule decides, role by role in the order of their names, and what a rule says of subscriptions it
//! says of what they bring. So it is looked whether the names bring another order where two roles of
//! one client contradict each other, and whether receiving is allowed wherever subscribing is. What
//! would let somebody do more than before is refused; where somebody may do less, it is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use auth::rules::{Pattern, Values};
use auth::{Identity, Subject};
use providers::RuleText;
use providers::access::acl::{self, Acl, AclKind as Kind, DEFAULT_ROLE as DEFAULT, DefaultAccess};
use providers::access::{Group, PasswordEdit, Role, UserEdit};
use types::TopicFilter;

use super::file::{Client, File, by_priority};

/// What a file becomes.
#[derive(Debug, Default)]
pub(super) struct Translation {
    pub(super) users: Vec<(String, UserEdit)>,
    pub(super) groups: Vec<Group>,
    pub(super) roles: Vec<Role>,
    /// Those of clients without a name.
    pub(super) rules: Vec<RuleText>,
    /// What is not the same, and lets nobody do more.
    pub(super) notes: BTreeSet<String>,
}

/// An ACL, ready to be compared.
struct Ready<'a> {
    acl: &'a Acl,
    filter: TopicFilter,
    pattern: Pattern,
}

struct Work<'a> {
    file: &'a File,
    /// By role; each kind in its order.
    acls: HashMap<&'a str, Vec<Ready<'a>>>,
    groups: HashMap<&'a str, &'a super::file::Group>,
    refusals: BTreeSet<String>,
    done: Translation,
}

/// Translates a file.
///
/// # Errors
/// All that would let somebody do more than Mosquitto does, and all that makes no sense; a line each.
pub(super) fn translate(file: &File) -> Result<Translation, Vec<String>> {
    let mut work = Work {
        file,
        acls: HashMap::new(),
        groups: HashMap::new(),
        refusals: BTreeSet::new(),
        done: Translation::default(),
    };
    work.read();
    work.roles();
    work.groups();
    work.default_role();
    work.clients();
    work.anonymous();
    match work.refusals.is_empty() {
        true => Ok(work.done),
        false => Err(work.refusals.into_iter().collect()),
    }
}

impl<'a> Work<'a> {
    fn refuse(&mut self, words: String) {
        self.refusals.insert(words);
    }

    fn note(&mut self, words: String) {
        self.done.notes.insert(words);
    }

    fn read(&mut self) {
        for role in &self.file.roles {
            let mut ready = Vec::new();
            for acl in &role.acls {
                match TopicFilter::parse(&acl.topic, u16::MAX) {
                    Ok(filter) => ready.push(Ready {
                        acl,
                        pattern: Pattern::plain(&filter),
                        filter,
                    }),
                    Err(_) => self.refuse(format!(
                        "role {:?}: {:?} is no topic filter",
                        role.rolename, acl.topic
                    )),
                }
            }
            ready.sort_by_key(|one| std::cmp::Reverse(one.acl.priority));
            // In a role, a filter to the letter is looked for before patterns are.
            ready.sort_by_key(|one| one.acl.acltype == Kind::SubscribePattern);
            if self.acls.insert(&role.rolename, ready).is_some() {
                self.refuse(format!("two roles {:?}", role.rolename));
            }
        }
        for group in &self.file.groups {
            if self.groups.insert(&group.groupname, group).is_some() {
                self.refuse(format!("two groups {:?}", group.groupname));
            }
        }
    }

    fn roles(&mut self) {
        for role in &self.file.roles {
            for acl in &role.acls {
                self.look_at(&role.rolename, acl);
            }
            let role = Role::of_acls(role.rolename.clone(), role.acls.clone());
            self.done.roles.push(role);
        }
    }

    fn look_at(&mut self, role: &str, acl: &Acl) {
        let Acl { acltype, topic, .. } = acl;
        match (acltype, acl.allow) {
            (Kind::UnsubscribeLiteral | Kind::UnsubscribePattern, false) => self.refuse(format!(
                "role {role:?} denies to unsubscribe from {topic:?}: clients may always unsubscribe \
                 here; take that ACL away"
            )),
            (Kind::SubscribePattern, false) if self.file.default.subscribe => {
                self.note(narrower(topic));
            }
            (Kind::PublishClientSend, true) if topic.starts_with('$') && !is_own(topic) => {
                self.note(format!(
                    "role {role:?} allows publishing to {topic:?}: topics that begin with $ are \
                     the server's own and stay closed, but for that of this plugin"
                ));
            }
            _ => {}
        }
        if topic.contains("%c") || topic.contains("%u") {
            let words = format!(
                "role {role:?}: in {topic:?}, %c and %u are text to Mosquitto 2.0, and so they are \
                 here; write ${{clientid}} or ${{username}} for what the client has"
            );
            match acl.allow {
                true => self.note(words),
                false => self.refuse(words),
            }
        }
    }

    fn groups(&mut self) {
        for group in &self.file.groups {
            let roles: Vec<String> = by_priority(&group.roles)
                .into_iter()
                .map(str::to_owned)
                .collect();
            self.done.groups.push(Group {
                name: group.groupname.clone(),
                roles,
            });
        }
    }

    /// What holds if no ACL is about it becomes a role that comes last.
    fn default_role(&mut self) {
        let default = self.file.default;
        if !default.unsubscribe {
            let by_all = "defaultACLAccess denies to unsubscribe: clients may always unsubscribe \
                          here; say `mosquitto_ctrl dynsec setDefaultACLAccess unsubscribe allow`";
            self.refuse(by_all.into());
        }
        let rules = default_rules(self.file);
        if rules.is_empty() {
            return;
        }
        if let Some(role) = self.file.roles.iter().find(|it| *it.rolename >= *DEFAULT) {
            let words = format!(
                "role {:?} would come behind {DEFAULT:?}, which holds what defaultACLAccess \
                 allows; give it another name",
                role.rolename
            );
            self.refuse(words);
        }
        self.done.roles.push(Role {
            name: DEFAULT.into(),
            rules,
            acls: Vec::new(),
        });
    }

    fn clients(&mut self) {
        let mut belongs: BTreeMap<&str, Vec<super::file::Named>> = BTreeMap::new();
        for group in &self.file.groups {
            for client in &group.clients {
                belongs
                    .entry(&client.name)
                    .or_default()
                    .push(super::file::Named {
                        name: group.groupname.clone(),
                        priority: client.priority,
                    });
            }
        }
        let has_default = self.done.roles.iter().any(|role| role.name == DEFAULT);
        for client in &self.file.clients {
            let mut groups = client.groups.clone();
            for named in belongs.remove(&*client.username).unwrap_or_default() {
                if groups.iter().all(|group| group.name != named.name) {
                    groups.push(named);
                }
            }
            let groups = by_priority(&groups)
                .into_iter()
                .map(str::to_owned)
                .collect();
            self.client(client, groups, has_default);
        }
        for (client, _) in belongs {
            self.refuse(format!(
                "a group has the client {client:?}, who is not there"
            ));
        }
    }

    fn client(&mut self, client: &'a Client, groups: Vec<String>, has_default: bool) {
        let name = &client.username;
        let mut roles: Vec<String> = by_priority(&client.roles)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let whose = format!("client {name:?}");
        let mut order = roles.clone();
        for group in &groups {
            match self.groups.get(&**group) {
                Some(group) => {
                    order.extend(by_priority(&group.roles).into_iter().map(str::to_owned));
                }
                None => self.refuse(format!(
                    "{whose} is in the group {group:?}, which is not there"
                )),
            }
        }
        self.compare(&whose, &order, true);
        if has_default {
            roles.push(DEFAULT.into());
        }
        let password = match client.hash() {
            Ok(Some(hash)) => PasswordEdit::Hash(hash),
            Ok(None) => PasswordEdit::Remove,
            Err(why) => return self.refuse(format!("{whose}: {why}")),
        };
        let edit = UserEdit {
            password,
            groups,
            roles,
            superuser: false,
            disabled: client.disabled,
            client_id: client.clientid.clone().filter(|id| !id.is_empty()),
        };
        self.done.users.push((name.clone(), edit));
    }

    /// Rules without a role are looked at in their own order.
    fn anonymous(&mut self) {
        let mut rules = Vec::new();
        if let Some(name) = self
            .file
            .anonymous_group
            .as_deref()
            .filter(|it| !it.is_empty())
        {
            let Some(group) = self.groups.get(name) else {
                return self.refuse(format!(
                    "the group {name:?} of anonymous clients is not there"
                ));
            };
            let order = by_priority(&group.roles).into_iter().map(str::to_owned);
            let order: Vec<String> = order.collect();
            self.compare("who has no name", &order, false);
            let all: Vec<&Ready<'_>> = order
                .iter()
                .filter_map(|role| self.acls.get(&**role))
                .flatten()
                .collect();
            rules.extend(acl::rules(all.iter().map(|one| one.acl)));
            self.note(format!(
                "clients without a name have the rights of the group {name:?}, where a listener \
                 lets them in (`allow_anonymous` in a nightjar.toml; under a mosquitto.conf with \
                 this plugin none does); changes of the group do not reach them"
            ));
        }
        rules.extend(default_rules(self.file));
        for rule in &mut rules {
            rule.anonymous = true;
        }
        self.done.rules = rules;
    }

    /// Whether one who has these roles, in the order in which Mosquitto asks them, may do here what
    /// he may do there. `by_name`: here they are asked in the order of their names.
    fn compare(&mut self, whose: &str, order: &[String], by_name: bool) {
        let mut refusals = Vec::new();
        let mut notes = Vec::new();
        let mut all: Vec<(&str, &Ready<'_>)> = Vec::new();
        for role in order {
            match self.acls.get(&**role) {
                Some(acls) => all.extend(acls.iter().map(|one| (&**role, one))),
                None => refusals.push(format!("{whose} has the role {role:?}, which is not there")),
            }
        }
        let nobody = nobody();
        let values = Values::of(&nobody);
        for (place, (role, one)) in all.iter().enumerate() {
            let behind = all.get(place..).unwrap_or_default();
            for (other_role, other) in behind {
                if one.acl.allow == other.acl.allow || !one.pattern.overlaps(&values, &other.filter)
                {
                    continue;
                }
                let about = format!(
                    "{whose}: roles {role:?} ({:?}) and {other_role:?} ({:?})",
                    one.acl.topic, other.acl.topic
                );
                let is_turned = by_name && role > other_role;
                match (one.acl.acltype, other.acl.acltype) {
                    (Kind::PublishClientSend, Kind::PublishClientSend) if is_turned => {
                        refusals.push(turned(&about));
                    }
                    (a, b) if is_subscribe(a) && is_subscribe(b) => {
                        if is_turned {
                            refusals.push(turned(&about));
                        } else if !one.acl.allow && a == Kind::SubscribePattern {
                            let covers = one.pattern.covers(&values, &other.filter);
                            if !covers {
                                notes.push(narrower(&one.acl.topic));
                            }
                        }
                    }
                    (Kind::PublishClientReceive, Kind::PublishClientReceive) if one.acl.allow => {
                        notes.push(narrower(&other.acl.topic));
                    }
                    _ => {}
                }
            }
        }
        self.receiving(whose, &all, by_name, &mut refusals);
        self.refusals.extend(refusals);
        self.done.notes.extend(notes);
    }

    /// Whether what subscriptions bring is allowed and denied as before.
    fn receiving(
        &self,
        whose: &str,
        all: &[(&str, &Ready<'_>)],
        by_name: bool,
        refusals: &mut Vec<String>,
    ) {
        let nobody = nobody();
        let values = Values::of(&nobody);
        let allows = |one: &Ready<'_>| one.acl.allow && is_subscribe(one.acl.acltype);
        let receives = || {
            let is = |one: &Ready<'_>| one.acl.acltype == Kind::PublishClientReceive;
            all.iter().filter(move |(_, one)| is(one))
        };
        for (role, one) in all.iter().filter(|(_, one)| allows(one)) {
            for (other_role, other) in receives().filter(|(_, other)| !other.acl.allow) {
                // A deny of receiving comes first in its role, and must come before this one.
                if by_name && other_role > role && one.pattern.overlaps(&values, &other.filter) {
                    refusals.push(turned(&format!(
                        "{whose}: roles {other_role:?} (receiving {:?}) and {role:?} ({:?})",
                        other.acl.topic, one.acl.topic
                    )));
                }
            }
            let is_covered = receives()
                .any(|(_, other)| other.acl.allow && other.pattern.covers(&values, &one.filter));
            if !self.file.default.publish_client_receive && !is_covered {
                refusals.push(format!(
                    "{whose} may subscribe to {:?} and may not receive all of it: who may subscribe \
                     receives here; allow publishClientReceive for it, or subscribe to less",
                    one.acl.topic
                ));
            }
        }
        if self.file.default.subscribe && !self.file.default.publish_client_receive {
            refusals.push(
                "defaultACLAccess allows to subscribe and not to receive: who may subscribe \
                 receives here"
                    .into(),
            );
        }
    }
}

fn turned(about: &str) -> String {
    format!(
        "{about} contradict each other, and are asked in the order of their names here: give them \
         names in the order of their priorities"
    )
}

fn narrower(topic: &str) -> String {
    format!(
        "who subscribes to more than {topic:?} does not receive what is within it: what is denied \
         to subscribe or to receive is not received by wider subscriptions either"
    )
}

fn default_rules(file: &File) -> Vec<RuleText> {
    let default = DefaultAccess {
        publish: file.default.publish_client_send,
        subscribe: file.default.subscribe,
    };
    default.rules()
}

/// What opens the plugin's own topics alone means the same here.
fn is_own(topic: &str) -> bool {
    topic.starts_with("$CONTROL/dynamic-security/")
}

fn is_subscribe(kind: Kind) -> bool {
    matches!(kind, Kind::SubscribeLiteral | Kind::SubscribePattern)
}

/// Filters without placeholders ask nothing of a client.
fn nobody() -> Subject<'static> {
    Subject {
        identity: &Identity::Anonymous,
        client_id: "",
        grant: None,
        address: None,
        certificate: None,
        listener: None,
    }
}

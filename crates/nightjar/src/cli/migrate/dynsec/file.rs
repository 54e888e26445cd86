//! `dynamic-security.json`, as Mosquitto's plugin writes it.
//!
//! A key that is not known refuses the file: it might say that somebody may do less.

use providers::access::Acl;
use providers::hash::Hash;
use serde::Deserialize;

/// The file. There are hashes of passwords in it, so it is not to be shown.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    #[serde(rename = "defaultACLAccess")]
    pub(super) default: AclDefault,
    pub(super) clients: Vec<Client>,
    pub(super) groups: Vec<Group>,
    pub(super) roles: Vec<Role>,
    #[serde(rename = "anonymousGroup")]
    pub(super) anonymous_group: Option<String>,
    /// Counts the changes.
    #[serde(rename = "changeIndex", alias = "changeindex")]
    _changes: Option<serde_json::Value>,
}

/// What holds if no ACL is about it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AclDefault {
    pub(super) publish_client_send: bool,
    pub(super) publish_client_receive: bool,
    pub(super) subscribe: bool,
    pub(super) unsubscribe: bool,
}

/// A user.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Client {
    pub(super) username: String,
    pub(super) clientid: Option<String>,
    #[serde(rename = "textName", alias = "textname")]
    _name: Option<String>,
    #[serde(rename = "textDescription", alias = "textdescription")]
    _description: Option<String>,
    password: Option<String>,
    salt: Option<String>,
    iterations: Option<u32>,
    pub(super) roles: Vec<Named>,
    pub(super) groups: Vec<Named>,
    pub(super) disabled: bool,
}

/// A group.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Group {
    pub(super) groupname: String,
    #[serde(rename = "textName", alias = "textname")]
    _name: Option<String>,
    #[serde(rename = "textDescription", alias = "textdescription")]
    _description: Option<String>,
    pub(super) roles: Vec<Named>,
    pub(super) clients: Vec<Named>,
}

/// A role, a group or a client that somebody else names.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    #[serde(alias = "rolename", alias = "groupname", alias = "username")]
    pub(super) name: String,
    #[serde(default = "no_priority")]
    pub(super) priority: i64,
}

fn no_priority() -> i64 {
    -1
}

/// A role.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Role {
    pub(super) rolename: String,
    #[serde(rename = "textName", alias = "textname")]
    _name: Option<String>,
    #[serde(rename = "textDescription", alias = "textdescription")]
    _description: Option<String>,
    pub(super) acls: Vec<Acl>,
}

impl Client {
    /// The hash of the password, as a line of a password file has it; `None`: there is none.
    ///
    /// # Errors
    /// What is there is no hash that this server could check.
    pub(super) fn hash(&self) -> Result<Option<String>, String> {
        let (Some(password), Some(salt)) = (&self.password, &self.salt) else {
            return match (&self.password, &self.salt) {
                (None, None) => Ok(None),
                _ => Err("a password without a salt, or a salt without a password".into()),
            };
        };
        let iterations = self.iterations.ok_or("a password without iterations")?;
        let text = format!("$7${iterations}${salt}${password}");
        Hash::parse(&text).map_err(|error| error.to_string())?;
        Ok(Some(text))
    }
}

/// By priority, the highest first; those of one priority stay in the order of the file.
pub(super) fn by_priority(named: &[Named]) -> Vec<&str> {
    let mut sorted: Vec<&Named> = named.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.priority));
    sorted.into_iter().map(|one| one.name.as_str()).collect()
}

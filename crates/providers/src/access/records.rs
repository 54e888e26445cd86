//! What is kept, as it is shown: without secrets.

use std::sync::Arc;

use auth::rulebook::Banned;
use auth::rules::Network;
use auth::{Rules, Secret};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AccessError;
use super::acl::Acl;
use super::scram::Verifier;
use crate::rules::RuleText;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name that clients give.
    pub name: String,
    /// Groups that the user is in.
    pub groups: Vec<String>,
    /// Roles, beside those of the groups.
    pub roles: Vec<String>,
    /// May do everything that is not the server's own.
    pub superuser: bool,
    /// Is not let in by password, and has no groups and roles.
    pub disabled: bool,
    /// The only client identifier that may be used with the password; `None`: any.
    pub client_id: Option<String>,
    /// Whether there is a password. Without one the user is only a name with groups and roles, for
    /// who is let in by something else.
    pub has_password: bool,
    /// Whether the password can be verified by SCRAM, too.
    pub has_scram: bool,
    /// When the user was made, in seconds since 1970.
    pub created: u64,
    /// When it was changed the last time.
    pub changed: u64,
}

/// What a user is to be. All of it is replaced, but for [`PasswordEdit::Keep`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserEdit {
    /// The password.
    pub password: PasswordEdit,
    /// As [`User::groups`]; at most 1,000.
    pub groups: Vec<String>,
    /// As [`User::roles`]; at most 1,000. They must exist.
    pub roles: Vec<String>,
    /// As [`User::superuser`].
    pub superuser: bool,
    /// As [`User::disabled`].
    pub disabled: bool,
    /// As [`User::client_id`].
    pub client_id: Option<String>,
}

/// What becomes of a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum PasswordEdit {
    /// It stays; a new user has none.
    #[default]
    Keep,
    /// There is none any more.
    Remove,
    /// It is this one; not empty.
    Set(Secret),
    /// It is the one with this hash ([`crate::hash`]), from another server's file. SCRAM cannot
    /// verify it.
    Hash(String),
}

impl std::fmt::Debug for PasswordEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Remove => "Remove",
            Self::Set(_) => "Set",
            Self::Hash(_) => "Hash",
        })
    }
}

/// A group: a name for roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its roles; they must exist.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A role: a name for rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its rules, in their order; at most 10,000.
    #[serde(default)]
    pub rules: Vec<RuleText>,
    /// What the rules were made of, if they were made of ACLs, for who asks in these words; rules
    /// decide. See [`Role::to_acls`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acls: Vec<Acl>,
}

/// That somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ban {
    /// Whom it names.
    pub on: BanOn,
    /// When it is over, in seconds since 1970; `None`: never.
    #[serde(default)]
    pub until: Option<u64>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// Who made it.
    #[serde(default)]
    pub by: String,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
}

/// Whom a ban names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BanOn {
    /// A client identifier; `*` at the end stands for the rest.
    Client(String),
    /// A user.
    User(String),
    /// An address or a network: `10.0.0.0/8`.
    Network(String),
}

/// Some of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// These.
    pub items: Vec<T>,
    /// Behind what the next page begins; `None`: this is the last one.
    pub next: Option<String>,
}

impl BanOn {
    /// Its key in the file, and what policies make of it.
    pub(super) fn check(&self) -> Result<(String, Banned), AccessError> {
        match self {
            Self::Client(name) => {
                check_name(name)?;
                if name == "*" {
                    let why = "this would ban every client; stop the listener instead";
                    return Err(AccessError::Invalid(why.into()));
                }
                Ok((
                    format!("client {name}"),
                    Banned::Client(name.as_str().into()),
                ))
            }
            Self::User(name) => {
                check_name(name)?;
                Ok((format!("user {name}"), Banned::User(name.as_str().into())))
            }
            Self::Network(text) => {
                let network = Network::parse(text)
                    .map_err(|error| AccessError::Invalid(format!("{text:?}: {error}")))?;
                Ok((format!("network {network}"), Banned::Network(network)))
            }
        }
    }
}

/// A user as it is stored.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredUser {
    #[serde(flatten)]
    pub(crate) credentials: Credentials,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default)]
    pub(crate) superuser: bool,
    #[serde(default)]
    pub(crate) disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    created: u64,
    changed: u64,
}

/// What a password is verified with.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Credentials {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scram: Option<Verifier>,
}

impl StoredUser {
    /// `credentials`: `None`: as before.
    pub(super) fn edited(
        before: Option<&Self>,
        edit: UserEdit,
        credentials: Option<Credentials>,
        now: u64,
    ) -> Result<Self, AccessError> {
        check_names(&edit.groups, "groups")?;
        check_names(&edit.roles, "roles")?;
        edit.client_id.as_deref().map_or(Ok(()), check_name)?;
        let kept = || before.map(|it| it.credentials.clone()).unwrap_or_default();
        Ok(Self {
            credentials: credentials.unwrap_or_else(kept),
            groups: edit.groups,
            roles: edit.roles,
            superuser: edit.superuser,
            disabled: edit.disabled,
            client_id: edit.client_id,
            created: before.map_or(now, |it| it.created),
            changed: now,
        })
    }

    /// Whether the user may use this client identifier.
    pub(crate) fn may_use(&self, client_id: &str) -> bool {
        self.client_id
            .as_deref()
            .is_none_or(|only| only == client_id)
    }

    /// What is left when secrets need not be kept.
    pub(super) fn without_credentials(self) -> Self {
        Self {
            credentials: Credentials::default(),
            ..self
        }
    }

    pub(super) fn show(&self, name: &str) -> User {
        User {
            name: name.into(),
            groups: self.groups.clone(),
            roles: self.roles.clone(),
            superuser: self.superuser,
            disabled: self.disabled,
            client_id: self.client_id.clone(),
            has_password: self.credentials.hash.is_some(),
            has_scram: self.credentials.scram.is_some(),
            created: self.created,
            changed: self.changed,
        }
    }
}

/// What is fit to be the name of a user, a group, a role or a client.
pub(super) fn check_name(name: &str) -> Result<(), AccessError> {
    let why = if name.is_empty() {
        "a name is not empty"
    } else if name.len() > usize::from(u16::MAX) {
        "a name has at most 65535 bytes"
    } else if name.chars().any(char::is_control) {
        "a name has no control characters"
    } else {
        return Ok(());
    };
    Err(AccessError::Invalid(why.into()))
}

pub(super) fn check_names(names: &[String], what: &str) -> Result<(), AccessError> {
    if names.len() > MOST_NAMES {
        let why = format!("at most {MOST_NAMES} {what}");
        return Err(AccessError::Invalid(why));
    }
    names.iter().try_for_each(|name| check_name(name))
}

/// The rules of texts.
pub(super) fn rules(texts: &[RuleText], source: &str) -> Result<Rules, AccessError> {
    if texts.len() > MOST_RULES {
        return Err(AccessError::Invalid(format!("at most {MOST_RULES} rules")));
    }
    let source = Arc::from(source);
    let rule = |(place, text): (usize, &RuleText)| {
        text.rule(&source).map_err(|error| {
            AccessError::Invalid(format!("rule {}: {error}", place.saturating_add(1)))
        })
    };
    let list = texts
        .iter()
        .enumerate()
        .map(rule)
        .collect::<Result<_, _>>()?;
    Ok(Rules { list })
}

/// For the audit log.
pub(super) fn value(record: &impl Serialize) -> Value {
    // These records have text keys and nothing that could fail.
    serde_json::to_value(record).unwrap_or_default()
}

const MOST_NAMES: usize = 1000;
const MOST_RULES: usize = 10_000;

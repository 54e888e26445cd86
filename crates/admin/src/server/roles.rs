//! Groups, and roles with their rules.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Failure, Listed, Page, Record};

/// Groups and roles of the built-in database. For methods that change something, what is said at
/// [`super::Users`] holds.
pub trait Roles: Send + Sync {
    /// Groups in the order of their names.
    ///
    /// # Errors
    /// The database cannot be read, or there is none.
    fn groups(&self, page: Page) -> Result<Listed<Group>, Failure>;

    /// One group.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be read.
    fn group(&self, name: &str) -> Result<Group, Failure>;

    /// Makes a group, or gives one other roles.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if there is no such role, or the database cannot be written.
    fn put_group(&self, name: &str, group: GroupChange, record: &Record) -> Result<Group, Failure>;

    /// Removes a group; its members lose what its roles gave them.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be written.
    fn delete_group(&self, name: &str, record: &Record) -> Result<(), Failure>;

    /// Roles in the order of their names.
    ///
    /// # Errors
    /// The database cannot be read, or there is none.
    fn roles(&self, page: Page) -> Result<Listed<Role>, Failure>;

    /// One role.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be read.
    fn role(&self, name: &str) -> Result<Role, Failure>;

    /// Makes a role, or gives one other rules. They hold for connected clients within a second.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if a topic is none, or the database cannot be written.
    fn put_role(&self, name: &str, role: RoleChange, record: &Record) -> Result<Role, Failure>;

    /// Removes a role.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be written.
    fn delete_role(&self, name: &str, record: &Record) -> Result<(), Failure>;
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Roles that its members have.
    pub roles: Vec<String>,
    /// Users of the built-in database that are in it.
    pub members: u64,
}

/// What a group is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupChange {
    /// Roles that its members have.
    pub roles: Vec<String>,
}

/// A role: rules for who has it, after those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its rules in their order: the first that matches decides.
    pub rules: Vec<Rule>,
}

/// What a role is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleChange {
    /// Its rules in their order, at most 1000.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it says.
    pub permission: Permission,
    /// What it is about.
    pub action: RuleAction,
    /// Topics, as filters with the placeholders `${clientid}`, `${username}` and so on; at most
    /// 100. Without any, and without `exact`, a deny is about all topics and an allow about those
    /// that `#` matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Topics and filters that are meant to the letter; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exact: Vec<String>,
    /// QoS that it is about, 0 to 2; none is each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qos: Vec<u8>,
    /// Only messages with this retain flag; absent is either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// PUBLISH and wills.
    Publish,
    /// SUBSCRIBE and what it brings.
    Subscribe,
    /// Both.
    All,
}

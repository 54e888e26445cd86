//! The built-in database of users.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::import::ImportedUser;
use crate::{Failure, Listed, Page, Password, Record, Stamp};

/// The built-in database of users. A method that changes something calls [`Record::done`] once,
/// when nothing but the disk can refuse the change any more, and before it is made; if that fails,
/// nothing is changed and its error is the answer.
pub trait Users: Send + Sync {
    /// Users in the order of their names.
    ///
    /// # Errors
    /// The database cannot be read, or there is none ([`Failure::Unavailable`]).
    fn users(&self, filter: &UserFilter, page: Page) -> Result<Listed<User>, Failure>;

    /// One user.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be read.
    fn user(&self, user_id: &str) -> Result<User, Failure>;

    /// Makes a user.
    ///
    /// # Errors
    /// [`Failure::Exists`], [`Failure::Invalid`], or the database cannot be written.
    fn create_user(&self, user: NewUser, record: &Record) -> Result<User, Failure>;

    /// Changes what is given of a user.
    ///
    /// # Errors
    /// [`Failure::NotFound`], [`Failure::Invalid`], or the database cannot be written.
    fn change_user(
        &self,
        user_id: &str,
        change: UserChange,
        record: &Record,
    ) -> Result<User, Failure>;

    /// Removes a user.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the database cannot be written.
    fn delete_user(&self, user_id: &str, record: &Record) -> Result<(), Failure>;

    /// Takes all of these users, or none: an error among them is the answer. They come as they are
    /// read, so that a large file is never in memory as a whole.
    ///
    /// # Errors
    /// An entry is wrong, a user exists and [`Existing::Refuse`] is asked for, or the database
    /// cannot be written.
    fn import_users(
        &self,
        entries: &mut dyn Iterator<Item = Result<ImportedUser, Failure>>,
        existing: Existing,
        record: &Record,
    ) -> Result<Imported, Failure>;
}

/// A user of the built-in database. Passwords are never answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The name that a client gives as its user name.
    pub user_id: String,
    /// May do everything that is not the server's own.
    pub is_superuser: bool,
    /// Is not let in, whatever the password.
    pub disabled: bool,
    /// The only client identifier that may be used with the password; without it any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Groups that the user is in.
    pub groups: Vec<String>,
    /// Roles that the user has beside those of the groups.
    pub roles: Vec<String>,
    /// When the user was made.
    pub created_at: Stamp,
    /// When the user was last changed.
    pub changed_at: Stamp,
}

/// A user to be made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name, 1 to 1024 bytes without control characters.
    pub user_id: String,
    /// The password, at least one byte.
    pub password: Password,
    /// May do everything that is not the server's own.
    #[serde(default)]
    pub is_superuser: bool,
    /// Is not let in.
    #[serde(default)]
    pub disabled: bool,
    /// The only client identifier that may be used with the password; without it, or empty, any.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Groups that the user is in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Roles that the user has beside those of the groups.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// What is to be another. What is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// The password, at least one byte.
    pub password: Option<Password>,
    /// May do everything that is not the server's own.
    pub is_superuser: Option<bool>,
    /// Is not let in.
    pub disabled: Option<bool>,
    /// The only client identifier that may be used with the password; empty: any.
    pub client_id: Option<String>,
    /// All groups that the user is in from now on.
    pub groups: Option<Vec<String>>,
    /// All roles that the user has from now on.
    pub roles: Option<Vec<String>>,
}

/// Which users are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// The name contains this.
    pub like: Option<String>,
    /// The user is in this group.
    pub group: Option<String>,
}

/// What becomes of users that exist already when others are imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Existing {
    /// Nothing is imported.
    #[default]
    Refuse,
    /// They stay as they are.
    Keep,
    /// They become what the import says.
    Replace,
}

/// What came of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Users that were made.
    pub created: u64,
    /// Users that existed and were replaced.
    pub replaced: u64,
    /// Users that existed and were kept.
    pub kept: u64,
}

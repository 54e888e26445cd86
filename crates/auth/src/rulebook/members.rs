//! Who is in which group, and who has which role.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::rules::Rules;
use crate::rules::fit::Facts;
use crate::{Identity, Subject};

/// A role: a name for rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Role {
    /// Its name.
    pub name: Arc<str>,
    /// What those who have it may do, and may not.
    pub rules: Rules,
}

/// What somebody belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// His groups.
    pub groups: Vec<Arc<str>>,
    /// His roles, beside those of his groups.
    pub roles: Vec<Arc<str>>,
    /// May do everything that is not the server's own. It counts for what he published and for
    /// nothing else: for what he does his [`crate::Grant`] says it.
    pub superuser: bool,
}

/// Who belongs to what. Names that are nowhere else mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Of clients without a user.
    pub anonymous: Membership,
    /// Of users.
    pub users: HashMap<Arc<str>, Membership, FixedState>,
    /// The roles of groups, also of those that only a back end knows.
    pub groups: HashMap<Arc<str>, Vec<Arc<str>>, FixedState>,
}

impl Members {
    /// Whether a user is a superuser.
    pub(super) fn is_superuser(&self, identity: &Identity) -> bool {
        let user = identity.user().and_then(|user| self.users.get(user));
        user.is_some_and(|user| user.superuser)
    }

    /// All that rules ask of a client.
    pub(super) fn facts<'a>(&'a self, who: &Subject<'a>) -> Facts<'a> {
        let mut facts = Facts::of(who);
        let membership = match who.identity {
            Identity::Anonymous => Some(&self.anonymous),
            Identity::User(user) => self.users.get(user),
        };
        if let Some(membership) = membership {
            facts
                .groups
                .extend(membership.groups.iter().map(|it| &**it));
            facts.roles.extend(membership.roles.iter().map(|it| &**it));
        }
        for group in &facts.groups {
            if let Some(roles) = self.groups.get(*group) {
                facts.roles.extend(roles.iter().map(|it| &**it));
            }
        }
        facts
    }
}

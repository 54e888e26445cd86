//! Somebody other than root.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;
use std::sync::OnceLock;

use nix::unistd::{self, User};

/// Who the server becomes.
#[derive(Debug)]
pub(crate) struct Account(User);

/// Why it cannot be.
#[derive(Debug)]
pub(crate) struct AccountError {
    user: String,
    error: io::Error,
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, error } = self;
        write!(f, "the server cannot become the user {user}: {error}")
    }
}

impl Account {
    /// The account of this name; `None` if nobody is to become it: the process is not root's, or is to
    /// stay that.
    ///
    /// # Errors
    /// There is no such user, or the system does not tell.
    pub(crate) fn to_become(user: Option<&str>) -> Result<Option<Self>, AccountError> {
        let Some(user) = user.filter(|_| unistd::geteuid().is_root()) else {
            return Ok(None);
        };
        let failed = |error| AccountError {
            user: user.to_owned(),
            error,
        };
        let found = User::from_name(user).map_err(|errno| failed(errno.into()))?;
        let found = found.ok_or_else(|| failed(io::Error::other("there is no such user")))?;
        Ok(Some(Self(found)).filter(|it| !it.0.uid.is_root()))
    }

    /// Makes a file or folder this user's.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.0.uid.as_raw()), Some(self.0.gid.as_raw()))
    }

    /// The process, with all its threads, is this user's from now on, and cannot go back.
    ///
    /// # Errors
    /// The system refused, or would let it go back.
    pub(crate) fn enter(&self) -> Result<(), AccountError> {
        let User { uid, gid, name, .. } = &self.0;
        let entered = || {
            let name = CString::new(name.as_str())?;
            unistd::initgroups(&name, *gid)?;
            unistd::setgid(*gid)?;
            unistd::setuid(*uid)?;
            match unistd::setuid(unistd::Uid::from_raw(0)) {
                Ok(()) => Err(io::Error::other("it can still become root again")),
                Err(_) => Ok(()),
            }
        };
        entered().map_err(|error| AccountError {
            user: name.clone(),
            error,
        })
    }
}

/// Whether root has started the process, whoever it is now.
pub(crate) fn began_as_root() -> bool {
    static BEGAN: OnceLock<bool> = OnceLock::new();
    *BEGAN.get_or_init(|| unistd::geteuid().is_root())
}

/// Whether there is a user of this name.
pub(crate) fn exists(user: &str) -> bool {
    matches!(User::from_name(user), Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_root_or_somebody_unknown() {
        assert!(Account::to_become(None).unwrap().is_none());
        assert!(Account::to_become(Some("root")).unwrap().is_none());
        let unknown = Account::to_become(Some("nobody-of-this-name"));
        match began_as_root() {
            true => assert!(unknown.unwrap_err().to_string().contains("no such user")),
            false => assert!(unknown.unwrap().is_none(), "stays who it is"),
        }
        assert!(exists("root") && !exists("nobody-of-this-name"));
    }
}

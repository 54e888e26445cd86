//! Who calls, and what he may.

use std::sync::Arc;

/// What somebody may do with the API. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rights {
    /// Look.
    Viewer,
    /// Disconnect, ban, empty.
    Operator,
    /// Say who may do what.
    Admin,
}

impl Rights {
    /// A word for messages and the documentation.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// A name for the audit log.
    pub(crate) who: Arc<str>,
    /// From where, for the audit log.
    pub(crate) from: Arc<str>,
    /// What he may.
    pub(crate) rights: Rights,
}

/// By which door a request came, put into it before anything else looks at it. A request without
/// one is answered with 401 (S91).
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// The control socket. Who may open it may do everything.
    Control {
        /// The user that runs the other process, where the system tells.
        user: Option<u32>,
    },
    /// Tests only: somebody with other rights, as there will be by other doors.
    #[cfg(test)]
    Other(Caller),
}

impl Door {
    /// Who calls.
    pub(crate) fn caller(&self) -> Caller {
        match self {
            Self::Control { user } => Caller {
                who: types::Peer::Local(*user).to_string().into(),
                from: "control socket".into(),
                rights: Rights::Admin,
            },
            #[cfg(test)]
            Self::Other(caller) => caller.clone(),
        }
    }
}

//! Who calls, and what he may.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

/// What somebody may do with the API. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rights {
    /// Nobody in particular: may say who he is.
    Stranger,
    /// Look.
    Viewer,
    /// Disconnect, ban, empty.
    Operator,
    /// Say who may do what.
    Admin,
    /// Say who may use this API. An admin in person has it, a key never (S96).
    Owner,
}

impl Rights {
    /// A word for messages and the documentation.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Owner => "admin, in person",
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
    /// How he showed who he is.
    pub(crate) via: Via,
    /// His address, if he came over a network.
    pub(crate) address: Option<IpAddr>,
}

impl Caller {
    /// Under which name it is counted how much room he takes. Who runs the server is not counted.
    pub(crate) fn counted(&self) -> Option<Arc<str>> {
        match self.via {
            Via::Socket => None,
            Via::Token | Via::Key | Via::Nothing => Some(Arc::clone(&self.who)),
        }
    }
}

/// How somebody showed who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// He opened the control socket.
    Socket,
    /// He signed in.
    Token,
    /// He has an API key.
    Key,
    /// He did not.
    Nothing,
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
    /// The port of the dashboard: who it is was found out there.
    Web(Caller),
    /// The port of metrics, which has routes of its own: who reaches it may read them.
    Scrape(SocketAddr),
}

impl Door {
    /// Who calls.
    pub(crate) fn caller(&self) -> Caller {
        match self {
            Self::Control { user } => Caller {
                who: types::Peer::Local(*user).to_string().into(),
                from: "control socket".into(),
                rights: Rights::Owner,
                via: Via::Socket,
                address: None,
            },
            Self::Web(caller) => caller.clone(),
            Self::Scrape(peer) => Caller {
                who: "a scraper".into(),
                from: peer.to_string().into(),
                rights: Rights::Viewer,
                via: Via::Nothing,
                address: Some(peer.ip()),
            },
        }
    }
}

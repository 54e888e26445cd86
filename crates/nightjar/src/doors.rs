//! Who comes in and what he may do there: from the configuration to what the parts work with.
//!
//! | module | owns |
//! |---|---|
//! | [`listeners`] | sockets, TLS and WebSocket of each listener |
//! | [`certificates`] | files that are watched, and swapped without a restart |
//! | [`identities`] | who is asked who a client is |
//! | [`permissions`] | rules, with what the database holds, as a policy |
//! | [`live`] | permissions that change while the server runs |

pub(crate) mod certificates;
pub(crate) mod identities;
pub(crate) mod listeners;
pub(crate) mod live;
pub(crate) mod permissions;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use auth::{Authenticator, Policy};
use broker::Mail;
use config::Config;
use net::{Address, Listener, Mailboxes, TlsDoor};
use providers::{Access, Figures, Purge};

use self::certificates::Watched;
use self::identities::{Identities, IdentityError};
use self::listeners::{ListenError, Opened};
use self::live::{Changes, Permissions, Problem};
use self::permissions::{Configured, RuleError};

/// Why nobody could come in, or the wrong ones could.
#[derive(Debug)]
pub(crate) enum DoorError {
    /// A listener could not be opened.
    Listen(ListenError),
    /// Clients could not be told apart.
    Identity(IdentityError),
    /// Rules or the database cannot be used.
    Permissions(Problem),
    /// A rule cannot be made.
    Rule(RuleError),
}

impl fmt::Display for DoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
            Self::Permissions(error) => error.fmt(f),
            Self::Rule(error) => error.fmt(f),
        }
    }
}

impl Open {
    /// The sockets, for the workers; the second time there are none.
    pub(crate) fn sockets(&mut self) -> Vec<Listener> {
        std::mem::take(&mut self.listeners)
    }
}

/// The doors of a server.
pub(crate) struct Doors {
    permissions: Arc<Permissions>,
    identities: Arc<Identities>,
    addresses: Vec<Address>,
    /// What TLS goes by, of each listener that has it.
    tls: Vec<Option<TlsDoor>>,
}

/// What of the doors is for others to take.
pub(crate) struct Open {
    listeners: Vec<Listener>,
    watched: Vec<Watched>,
    changes: Changes,
}

impl Doors {
    /// Opens all doors, or none: identities and permissions first, so that nobody connects to a
    /// server that then does not start.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn open(config: &Config, data_dir: &Path) -> Result<(Self, Open), DoorError> {
        let (permissions, changes) =
            Permissions::open(config, data_dir).map_err(DoorError::Permissions)?;
        let identities = Identities::start(config, permissions.access());
        let identities = identities.map_err(DoorError::Identity)?;
        let Opened {
            listeners,
            addresses,
            tls,
            watched,
        } = listeners::open(config).map_err(DoorError::Listen)?;
        let doors = Self {
            permissions,
            identities,
            addresses,
            tls,
        };
        let open = Open {
            listeners,
            watched,
            changes,
        };
        Ok((doors, open))
    }

    /// Where the listeners listen, in their order.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Who says who clients are.
    pub(crate) fn authenticator(&self) -> Arc<dyn Authenticator> {
        Arc::clone(&self.identities) as Arc<dyn Authenticator>
    }

    /// Who may do what.
    pub(crate) fn policy(&self) -> Arc<dyn Policy> {
        self.permissions.policy()
    }

    /// The database of users.
    pub(crate) fn access(&self) -> &Access {
        self.permissions.access()
    }

    /// What TLS of a listener goes by, if it has it.
    pub(crate) fn tls(&self, listener: usize) -> Option<&TlsDoor> {
        self.tls.get(listener)?.as_ref()
    }

    /// What providers were asked, if there are any.
    pub(crate) fn figures(&self) -> Option<Figures> {
        self.identities.figures()
    }

    /// Forgets who was let in lately.
    pub(crate) fn forget(&self, whom: Purge<'_>) {
        self.identities.forget(whom);
    }

    /// From now on the workers hear of answers and changes; until the sender is dropped,
    /// certificates are watched.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn join(&self, open: Open, mailboxes: &Mailboxes<Mail>) -> io::Result<Sender<()>> {
        self.identities.join(mailboxes);
        self.permissions.follow(open.changes, mailboxes.clone())?;
        certificates::watch(open.watched, mailboxes.clone())
    }

    /// Puts other rules and identities in force.
    ///
    /// # Errors
    /// Something is wrong with them; all then stays as it is (S59, S98).
    pub(crate) fn replace(&self, config: &Config) -> Result<(), DoorError> {
        let rules = Configured::new(config).map_err(DoorError::Rule)?;
        self.identities
            .replace(config)
            .map_err(DoorError::Identity)?;
        self.permissions.replace(rules);
        Ok(())
    }
}

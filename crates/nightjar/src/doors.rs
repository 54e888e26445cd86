//! Who comes in and what he may do there: from the configuration to what the parts work with.
//!
//! | module | owns |
//! |---|---|
//! | [`listeners`] | sockets, TLS and WebSocket of each listener |
//! | [`places`] | which listener has which place |
//! | [`authorities`] | certificates that are asked for (ACME) |
//! | [`certificates`] | files that are watched, and swapped without a restart |
//! | [`identities`] | who is asked who a client is |
//! | [`permissions`] | rules, with what the database holds, as a policy |
//! | [`live`] | permissions that change while the server runs |

#[cfg_attr(not(feature = "acme"), path = "doors/authorityless.rs")]
pub(crate) mod authorities;
pub(crate) mod certificates;
pub(crate) mod identities;
pub(crate) mod listeners;
pub(crate) mod live;
pub(crate) mod permissions;
pub(crate) mod places;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth::{Authenticator, Policy};
use broker::{Mail, Shared};
use config::Config;
use net::{Address, Listener, Listening, Mailboxes, TlsDoor};
use providers::{Access, Figures, Purge};
use tracing::{error, info};

use self::authorities::Authorities;
use self::certificates::{Watch, Watched};
use self::identities::{Identities, IdentityError};
use self::listeners::{ListenError, Opened};
use self::live::{Changes, Permissions, Problem};
use self::permissions::{Configured, RuleError};
use self::places::Places;
use crate::steer::bell::Bell;

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

/// The doors of a server.
pub(crate) struct Doors {
    permissions: Arc<Permissions>,
    identities: Arc<Identities>,
    live: Mutex<Live>,
}

/// What a reload changes.
struct Live {
    places: Places,
    authorities: Authorities,
    /// Where each place listens or did, and what its TLS goes by, if it has that.
    found: Vec<(Address, Option<TlsDoor>)>,
    /// From when the workers run.
    running: Option<Running>,
}

/// What doors work on while the server runs.
struct Running {
    shared: Arc<Shared>,
    listening: Listening<Mail>,
    /// Dropped, it ends the watch over certificates.
    watch: Sender<Watch>,
}

/// What of the doors is for others to take.
pub(crate) struct Open {
    listeners: Vec<Listener>,
    watched: Vec<Watched>,
    changes: Changes,
}

impl Open {
    /// The sockets, for the workers; the second time there are none.
    pub(crate) fn sockets(&mut self) -> Vec<Listener> {
        std::mem::take(&mut self.listeners)
    }
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
        let authorities = Authorities::new(data_dir);
        authorities.prepare(config).map_err(DoorError::Listen)?;
        let opened = listeners::open(config, &config.listeners, &authorities);
        let opened = opened.map_err(DoorError::Listen)?;
        let (mut listeners, mut watched, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for one in opened {
            found.push(one.found());
            listeners.push(one.listener);
            watched.extend(one.watched);
        }
        let live = Live {
            places: Places::new(config),
            authorities,
            found,
            running: None,
        };
        let doors = Self {
            permissions,
            identities,
            live: Mutex::new(live),
        };
        let open = Open {
            listeners,
            watched,
            changes,
        };
        Ok((doors, open))
    }

    /// Where open listeners listen, by their places.
    pub(crate) fn addresses(&self) -> Vec<(u16, Address)> {
        let live = self.live();
        let found = (0..).zip(&live.found);
        found
            .filter(|(place, _)| live.places.is_open(usize::from(*place)))
            .map(|(place, (address, _))| (place, address.clone()))
            .collect()
    }

    /// A configuration with its listeners by their places, those that have closed included.
    pub(crate) fn placed(&self, config: &Config) -> Config {
        self.live().places.apply(config)
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
    pub(crate) fn tls(&self, place: usize) -> Option<TlsDoor> {
        self.live().found.get(place)?.1.clone()
    }

    /// What providers were asked, if there are any.
    pub(crate) fn figures(&self) -> Option<Figures> {
        self.identities.figures()
    }

    /// Whether a file of passwords has this user; `None` if this provider is none.
    pub(crate) fn knows(&self, provider: &str, user: &str) -> Option<bool> {
        self.identities.knows(provider, user)
    }

    /// Forgets who was let in lately.
    pub(crate) fn forget(&self, whom: Purge<'_>) {
        self.identities.forget(whom);
    }

    /// From now on the workers hear of answers and changes, and certificates are watched and kept
    /// good.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn join(
        &self,
        (config, open): (&Config, Open),
        shared: &Arc<Shared>,
        mailboxes: &Mailboxes<Mail>,
        listening: Listening<Mail>,
        bell: &Arc<Bell>,
    ) -> io::Result<()> {
        self.identities.join(mailboxes);
        self.permissions.follow(open.changes, mailboxes.clone())?;
        let running = Running {
            shared: Arc::clone(shared),
            listening,
            watch: certificates::watch(mailboxes.clone(), Arc::clone(bell))?,
        };
        let watched = open.watched.into_iter();
        watched.for_each(|one| running.watch(Watch::Add(Box::new(one))));
        let mut live = self.live();
        live.running = Some(running);
        live.authorities.keep(config)
    }

    /// Puts other rules, identities and listeners in force. New listeners are opened before anything
    /// is changed.
    ///
    /// # Errors
    /// Something is wrong with them; all then stays as it is (S59, S98).
    pub(crate) fn replace(&self, config: &Config) -> Result<(), DoorError> {
        let mut live = self.live();
        let moves = live.places.moves(config).map_err(DoorError::Listen)?;
        let placed = moves.places.apply(config);
        let rules = Configured::new(&placed).map_err(DoorError::Rule)?;
        let new = moves.places.from(moves.first_new);
        let authorities = &live.authorities;
        authorities.prepare(config).map_err(DoorError::Listen)?;
        let opened = listeners::open(config, new, authorities).map_err(DoorError::Listen)?;
        self.identities
            .replace(&placed)
            .map_err(DoorError::Identity)?;
        self.permissions.replace(rules);
        let live = &mut *live;
        live.places = moves.places;
        let Some(running) = &live.running else {
            return Ok(());
        };
        // What holds for a listener is there before its first client is.
        running.shared.set_listeners(listeners::rules(&placed));
        for place in moves.close {
            if let Some(wanted) = live.places.at(place) {
                running.close(place, wanted);
            }
        }
        for (one, wanted) in opened.into_iter().zip(live.places.from(moves.first_new)) {
            live.found.push(one.found());
            running.open(one, wanted);
        }
        if let Err(error) = live.authorities.keep(config) {
            error!(%error, "new certificates are not asked for");
        }
        Ok(())
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn open(&self, opened: Opened, wanted: &config::Listener) {
        let address = opened.listener.address().clone();
        let (protocol, listener) = (wanted.protocol.as_str(), &*wanted.name);
        match self.listening.open(opened.listener) {
            Ok(_place) => info!(%address, protocol, listener, "listening"),
            Err(error) => error!(%address, protocol, listener, %error, "listener not opened"),
        }
        if let Some(watched) = opened.watched {
            self.watch(Watch::Add(Box::new(watched)));
        }
    }

    fn close(&self, place: usize, wanted: &config::Listener) {
        if let Ok(place) = u16::try_from(place) {
            self.listening.close(place);
        }
        self.watch(Watch::Remove(wanted.name.clone()));
        let (address, listener) = (&wanted.address, &*wanted.name);
        info!(%address, listener, "listener closed: clients that came by it stay");
    }

    fn watch(&self, change: Watch) {
        if self.watch.send(change).is_err() {
            error!("certificates are not watched any more");
        }
    }
}

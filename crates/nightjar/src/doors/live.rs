//! Permissions that change while the server runs: the database of users, roles and bans, and what a
//! reload brings. Each change becomes a policy that all workers get.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use auth::Policy;
use broker::{Control, Mail};
use config::Config;
use net::Mailboxes;
use providers::access::{Access, AccessError, Snapshot};
use tracing::warn;
use types::WorkerId;

use super::permissions::{self, RuleError};

/// The database in the data folder.
pub(crate) const FILE: &str = "access.redb";
/// Changes that come so shortly after each other become one policy.
const TOGETHER: Duration = Duration::from_millis(100);
/// And those that come in this time at most.
const LONGEST_TOGETHER: Duration = Duration::from_millis(500);
/// Bans that are over are taken out of the database now and then.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What rules, roles and bans come to, now.
pub(crate) struct Permissions {
    access: Arc<Access>,
    rules: Mutex<permissions::Configured>,
    /// What was made last, and what it was made of.
    made: Mutex<Made>,
    wake: Sender<()>,
}

/// A policy, and what it was made of.
struct Made {
    /// [`Access::revision`].
    revision: u64,
    policy: Arc<dyn Policy>,
}

/// What is to be done when something has changed; [`Permissions::follow`] does it.
pub(crate) struct Changes(Receiver<()>);

impl Permissions {
    /// Opens the database and reads the rules.
    ///
    /// # Errors
    /// The database cannot be used, or a rule cannot be made.
    pub(crate) fn open(config: &Config, data_dir: &Path) -> Result<(Arc<Self>, Changes), Problem> {
        let path = data_dir.join(FILE);
        let scram = permissions::scram_iterations(config);
        let access = Access::open(&path, scram).map_err(|error| Problem::Database(path, error))?;
        let rules = permissions::Configured::new(config).map_err(Problem::Rule)?;
        let (wake, changes) = mpsc::channel();
        let told = wake.clone();
        access.watch(Box::new(move || {
            // Nobody follows any more: the server ends.
            let _ending = told.send(());
        }));
        let made = Mutex::new(make(&rules, &access.snapshot(SystemTime::now())));
        let permissions = Self {
            access: Arc::new(access),
            rules: Mutex::new(rules),
            made,
            wake,
        };
        Ok((Arc::new(permissions), Changes(changes)))
    }

    /// The database.
    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Who may do what. A change that was made is in it, also if the workers have yet to hear of it.
    pub(crate) fn policy(&self) -> Arc<dyn Policy> {
        if self.made().revision != self.access.revision() {
            // Nobody has to hear of it by this: the workers do by the change itself.
            self.renew(&self.access.snapshot(SystemTime::now()));
        }
        Arc::clone(&self.made().policy)
    }

    fn renew(&self, snapshot: &Snapshot) -> Arc<dyn Policy> {
        let made = make(&self.rules(), snapshot);
        let policy = Arc::clone(&made.policy);
        *self.made() = made;
        policy
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other rules in force, soon.
    pub(crate) fn replace(&self, rules: permissions::Configured) {
        *self.rules() = rules;
        // Nobody follows any more: the server ends.
        let _ending = self.wake.send(());
    }

    fn rules(&self) -> MutexGuard<'_, permissions::Configured> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the workers of each change, until the server ends.
    pub(crate) fn follow(
        self: &Arc<Self>,
        changes: Changes,
        mailboxes: Mailboxes<Mail>,
    ) -> io::Result<()> {
        let permissions = Arc::downgrade(self);
        let now = SystemTime::now();
        let first = until_expiry(&self.access.snapshot(now), now);
        thread::Builder::new()
            .name("permissions".into())
            .spawn(move || {
                let mut next = first;
                loop {
                    match changes.0.recv_timeout(next) {
                        Ok(()) => {
                            gather(&changes.0);
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                    let Some(permissions) = permissions.upgrade() else {
                        return;
                    };
                    next = permissions.tell(&mailboxes);
                }
            })?;
        Ok(())
    }

    /// Tells the workers what holds now. Returns when it has to be looked at again.
    fn tell(&self, mailboxes: &Mailboxes<Mail>) -> Duration {
        let now = SystemTime::now();
        let snapshot = self.access.snapshot(now);
        let policy = self.renew(&snapshot);
        for worker in (0..=u16::MAX).map(WorkerId).take(mailboxes.workers()) {
            let mail = Mail::Control(Control::Policy(Arc::clone(&policy)));
            if mailboxes.send(worker, mail).is_err() {
                // It has ended; so will the others.
                break;
            }
        }
        // Last: what is to hold now does not wait for a disk.
        if let Err(error) = self.access.sweep_bans(now) {
            warn!(%error, "bans that are over stay in the database");
        }
        until_expiry(&snapshot, now)
    }
}

/// What comes shortly after a change belongs to it. Whoever goes on changing does not put it off.
fn gather(changes: &Receiver<()>) {
    let end = Instant::now() + LONGEST_TOGETHER;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || changes.recv_timeout(left.min(TOGETHER)).is_err() {
            return;
        }
    }
}

fn make(rules: &permissions::Configured, snapshot: &Snapshot) -> Made {
    Made {
        revision: snapshot.revision,
        policy: rules.policy(snapshot),
    }
}

/// How long until a ban is over.
fn until_expiry(snapshot: &Snapshot, now: SystemTime) -> Duration {
    let next = snapshot.next_expiry;
    let left = next.map(|at| at.duration_since(now).unwrap_or_default());
    left.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

/// Why there are no permissions.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The database cannot be used.
    Database(PathBuf, AccessError),
    /// A rule cannot be made.
    Rule(RuleError),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Rule(error) => error.fmt(f),
        }
    }
}

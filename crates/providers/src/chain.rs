//! Asks the providers one after the other, and answers once.
//!
//! What takes no time is answered on the spot, on the worker that asks. All else goes to a small
//! runtime of the chain's own, through the gate of the provider in question: so many at once, so
//! many that wait, a deadline for each (S64, S68).
//!
//! | outcome of a provider | what follows |
//! |---|---|
//! | it knows the client | the client is admitted |
//! | the credentials are wrong | refused with 0x86; nobody else is asked |
//! | it does not know the client | the next one; if there is none, refused with 0x86 |
//! | it fails, is late, is down | refused with 0x88, or the next one ([`crate::settings::OnFailure`]) |
//! | it cannot say about this client | the same, but it is not taken for down |
//! | too many questions wait | refused with 0x89 |
//!
//! A client that shows neither name nor password, and whom no provider knows by something else
//! (a certificate), is admitted as nobody in particular where the listener says so, and otherwise
//! refused with 0x87 (S62).
//!
//! | module | owns |
//! |---|---|
//! | `line` | the providers of one set of settings |
//! | `step` | one provider in its place: gate, deadline, counters, cache |
//! | `walk` | from one provider to the next |
//! | `gate`, `breaker` | how many ask at once; whether anybody does |
//! | `hashing` | the few threads that hash |
//! | `throttle` | addresses from which logins fail |
//! | `cache` | who was admitted lately |
//! | `promise` | that each question has one answer |

mod breaker;
mod cache;
mod gate;
mod hashing;
mod line;
mod promise;
mod step;
mod throttle;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use auth::{Answer, Asker, Authenticator, Outcome, Refresh, Request};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::figures::Figures;
use crate::provider::Provider;
use crate::question::Question;
use crate::{Kind, Problem, ProviderSettings, Settings};
use line::Line;
use promise::Promise;
use throttle::Throttle;
use walk::Look;

pub(crate) use hashing::Hashing;

/// Takes answers that come later: mail to the worker that asked. Called on the chain's threads; it
/// must not block.
pub type Answers = Arc<dyn Fn(Asker, Outcome) + Send + Sync>;

/// Takes what is worth a line in the log. It must not block.
pub type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// What is worth a line in the log, once each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A provider has failed several times in a row, and is asked only now and then.
    Down {
        /// Its name.
        provider: Arc<str>,
        /// How it failed the last time.
        why: Arc<str>,
    },
    /// It answers again.
    Up {
        /// Its name.
        provider: Arc<str>,
    },
}

/// Which remembered admissions are to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge<'a> {
    /// All.
    All,
    /// Those of a user.
    User(&'a str),
    /// Those of a client identifier.
    Client(&'a str),
}

/// The providers, and the threads that ask them. Dropping it ends the threads; questions that are
/// open are then refused with 0x88.
pub struct Chain {
    inner: Arc<Inner>,
    /// `Some` until it is dropped.
    runtime: Option<Runtime>,
}

/// What questions on their way share.
struct Inner {
    line: RwLock<Arc<Line>>,
    hashing: Hashing,
    throttle: Mutex<Throttle>,
    throttled: AtomicU64,
    /// Refusals that are held back.
    waiting: AtomicU32,
    answers: Answers,
    notices: Notices,
    handle: Handle,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chain")
    }
}

impl Chain {
    /// Reads the files that the settings name and starts the threads. Back ends need not be there
    /// yet.
    ///
    /// # Errors
    /// A file cannot be read, settings make no sense, or this build lacks what they need (S69).
    pub fn start(
        settings: Settings,
        answers: Answers,
        notices: Notices,
    ) -> Result<Arc<Self>, Problem> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(hashing::threads().saturating_add(BESIDES_HASHING))
            .thread_name("providers")
            .enable_all()
            .build()
            .map_err(|error| Problem::new(format!("threads for providers: {error}")))?;
        let mut throttle = Throttle::default();
        throttle.set_limit(settings.failed_logins);
        let inner = Inner {
            line: RwLock::new(Arc::new(Line::build(settings, None)?)),
            hashing: Hashing::new(),
            throttle: Mutex::new(throttle),
            throttled: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            answers,
            notices,
            handle: runtime.handle().clone(),
        };
        Ok(Arc::new(Self {
            inner: Arc::new(inner),
            runtime: Some(runtime),
        }))
    }

    /// Whether [`Chain::start`] would take this provider: reads the files that it names. Nobody is
    /// asked, and a database of users is not looked at.
    ///
    /// # Errors
    /// As for [`Chain::start`].
    pub fn foresee(one: &ProviderSettings) -> Result<(), Problem> {
        match one.kind {
            // The server has it open, if it runs.
            Kind::Database | Kind::Scram => Ok(()),
            _ => Provider::build(one, None).map(drop),
        }
    }

    /// Puts other settings in force, and reads all files again. Questions on their way are
    /// answered by the old ones. What was remembered is forgotten; who is banned for failed logins
    /// stays so.
    ///
    /// # Errors
    /// As for [`Chain::start`]; all then stays as it is.
    pub fn replace(&self, settings: Settings) -> Result<(), Problem> {
        let limit = settings.failed_logins;
        let line = Line::build(settings, Some(&self.inner.line()))?;
        *self
            .inner
            .line
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(line);
        self.inner.throttle().set_limit(limit);
        Ok(())
    }

    /// Whether a provider that reads a file of passwords has this user, as it was read last; `None` if
    /// there is no such provider, or it is of another kind.
    pub fn knows(&self, provider: &str, user: &str) -> Option<bool> {
        let line = self.inner.line();
        match &line.find(provider)?.provider {
            Provider::Passwords(passwords) => Some(passwords.has(user)),
            _ => None,
        }
    }

    /// What was asked so far.
    pub fn figures(&self) -> Figures {
        Figures {
            providers: self.inner.line().figures(),
            throttled: self.inner.throttled.load(Relaxed),
            addresses: self.inner.throttle().len(),
        }
    }

    /// Forgets remembered admissions; how many. Clients that are connected are asked about again
    /// only if the broker is told to ask.
    pub fn purge(&self, purge: Purge<'_>) -> usize {
        self.inner.line().purge(&purge)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Authenticator for Chain {
    fn authenticate(&self, mut request: Request) -> Answer {
        let line = self.inner.line();
        let asker = request.asker;
        let enhanced = request.enhanced.take();
        let name = line.listener_name(request.listener);
        let question = Question::admit(request, name);
        let look = match enhanced {
            None => self.inner.look(&line, &question, 0),
            Some(enhanced) => self.inner.look_enhanced(&line, &question, enhanced),
        };
        match look {
            Look::Ends(outcome) => Answer::Now(outcome),
            look => {
                let inner = Arc::clone(&self.inner);
                let promise = Promise::new(asker, &inner.answers, walk::interrupted());
                inner
                    .handle
                    .clone()
                    .spawn(inner.go(line, question, look, promise));
                Answer::Later
            }
        }
    }

    fn refresh(&self, refresh: Refresh) -> Answer {
        walk::refresh(&self.inner, refresh)
    }

    fn takes_secret_names(&self, listener: u16) -> bool {
        let line = self.inner.line();
        let mut steps = line.steps.iter();
        steps.any(|step| step.serves(listener) && step.provider.takes_secret_names())
    }
}

impl Inner {
    fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when guesses from the client's address are not listened to.
    fn blocked_until(&self, question: &Question) -> Option<Instant> {
        let address = question.peer.ip()?;
        self.throttle().blocked_until(address, Instant::now())
    }

    /// A guess from the client's address was wrong.
    fn blame(&self, question: &Question) {
        if let Some(address) = question.peer.ip() {
            self.throttle().fail(address, Instant::now());
        }
    }
}

/// Threads for what blocks besides hashing: names that are looked up.
const BESIDES_HASHING: usize = 8;

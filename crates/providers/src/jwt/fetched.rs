//! A set of keys that is fetched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::keys::Keys;
use crate::Problem;
use crate::settings::{Address, Tls};
use crate::web::Web;

/// Keys that somebody else keeps. They are fetched when they are needed and old, in a task of its own;
/// while that goes on or fails, those that are there go on to hold.
#[derive(Debug)]
pub(super) struct Fetched {
    refresh: Duration,
    issuer: Arc<Issuer>,
    /// Those who hope for newer keys. There may be many more with made-up ones.
    hopeful: Semaphore,
}

/// Who keeps the keys, and what came from there.
#[derive(Debug)]
struct Issuer {
    web: Web,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<Keys>>,
    /// When they were fetched.
    since: Option<Instant>,
    /// When somebody tried.
    tried: Option<Instant>,
    /// Ends with the task that fetches.
    fetching: Option<watch::Receiver<()>>,
    why: Option<Arc<str>>,
}

impl Fetched {
    pub(super) fn new(url: &Address, refresh: Duration, tls: &Tls) -> Result<Self, Problem> {
        let issuer = Issuer {
            web: Web::new(url, &[], tls, LONGEST)?,
            state: Mutex::default(),
        };
        Ok(Self {
            refresh,
            issuer: Arc::new(issuer),
            hopeful: Semaphore::new(MOST_HOPEFUL),
        })
    }

    /// The keys. Old ones are fetched anew, but nobody waits for that.
    pub(super) async fn keys(&self) -> Result<Arc<Keys>, Arc<str>> {
        if let Some(keys) = self.fresh() {
            return Ok(keys);
        }
        let fetching = self.fetch();
        if let Some(old) = self.issuer.state().keys.clone() {
            return Ok(old);
        }
        if let Some(fetching) = fetching {
            ended(fetching).await;
        }
        let state = self.issuer.state();
        let why = || state.why.clone().unwrap_or_else(|| "no keys yet".into());
        state.keys.clone().ok_or_else(why)
    }

    /// Keys that are newer than these, if there are any soon.
    pub(super) async fn newer(&self, than: Arc<Keys>) -> Arc<Keys> {
        let are_same = |keys: &Arc<Keys>| Arc::ptr_eq(keys, &than);
        let are_old = self.issuer.state().keys.as_ref().is_none_or(are_same);
        if are_old
            && let Some(fetching) = self.fetch()
            && let Ok(_hopeful) = self.hopeful.try_acquire()
        {
            // What is not there in time is there for the next one.
            let _in_time = timeout(HOPE, ended(fetching)).await;
        }
        self.issuer.state().keys.clone().unwrap_or(than)
    }

    fn fresh(&self) -> Option<Arc<Keys>> {
        let state = self.issuer.state();
        let age = state.since?.elapsed();
        state.keys.clone().filter(|_| age < self.refresh)
    }

    /// Begins to fetch, unless somebody did a moment ago: tokens with made-up keys are no reason to
    /// ask all the time. `Some`: it goes on.
    fn fetch(&self) -> Option<watch::Receiver<()>> {
        let mut state = self.issuer.state();
        let is_running = |it: &&watch::Receiver<()>| it.has_changed().is_ok();
        if let Some(fetching) = state.fetching.as_ref().filter(is_running) {
            return Some(fetching.clone());
        }
        if state.tried.is_some_and(|it| it.elapsed() < LEAST_PAUSE) {
            return None;
        }
        let (ends, fetching) = watch::channel(());
        state.tried = Some(Instant::now());
        state.fetching = Some(fetching.clone());
        state.why = Some("the keys were not fetched in time".into());
        let issuer = Arc::clone(&self.issuer);
        tokio::spawn(async move {
            let _ends = ends;
            let fetched = timeout(PATIENCE, issuer.ask()).await;
            let late = || Err("the keys were not fetched in time".into());
            issuer.take(fetched.unwrap_or_else(|_| late()));
        });
        Some(fetching)
    }

    /// As if the last try was long ago.
    #[cfg(test)]
    pub(super) fn forget_the_pause(&self) {
        self.issuer.state().tried = None;
    }
}

impl Issuer {
    async fn ask(&self) -> Result<Keys, Arc<str>> {
        let reply = self.web.get().await?;
        if reply.status != hyper::StatusCode::OK {
            return Err(format!("keys: status {}", reply.status.as_u16()).into());
        }
        Keys::of_json(&reply.body).map_err(|why| format!("keys: {why}").into())
    }

    fn take(&self, fetched: Result<Keys, Arc<str>>) {
        let mut state = self.state();
        match fetched {
            Ok(keys) => {
                state.keys = Some(Arc::new(keys));
                state.since = Some(Instant::now());
                state.why = None;
            }
            Err(why) => state.why = Some(why),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the task that fetches has ended: it never sends anything.
async fn ended(mut fetching: watch::Receiver<()>) {
    while fetching.changed().await.is_ok() {}
}

const LONGEST: usize = 256 * 1024;
const LEAST_PAUSE: Duration = Duration::from_secs(10);
/// How long an issuer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a token whose key is not there waits for newer keys. It never is the issuer's failure:
/// the key may be made up.
const HOPE: Duration = Duration::from_secs(1);
/// So many wait at once: each has one of the provider's places.
const MOST_HOPEFUL: usize = 4;

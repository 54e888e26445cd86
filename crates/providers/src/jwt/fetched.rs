//! A set of keys that is fetched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::keys::Keys;
use crate::Problem;
use crate::settings::{Address, Tls};
use crate::web::Web;

/// Keys that somebody else keeps. They are fetched when they are needed and old; while that fails,
/// those that are there go on to hold.
#[derive(Debug)]
pub(super) struct Fetched {
    web: Web,
    refresh: Duration,
    state: Mutex<State>,
    /// One fetches at a time.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<Keys>>,
    /// When they were fetched.
    since: Option<Instant>,
    /// When somebody tried.
    tried: Option<Instant>,
    why: Option<Arc<str>>,
}

impl Fetched {
    pub(super) fn new(url: &Address, refresh: Duration, tls: &Tls) -> Result<Self, Problem> {
        Ok(Self {
            web: Web::new(url, &[], tls, LONGEST)?,
            refresh,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
        })
    }

    /// The keys, fetched anew if they are old.
    pub(super) async fn keys(&self) -> Result<Arc<Keys>, Arc<str>> {
        if let Some(keys) = self.fresh() {
            return Ok(keys);
        }
        let old = self.state().keys.clone();
        if let Some(old) = old {
            // Somebody may fetch already: what is there will do.
            if let Ok(turn) = self.turn.try_lock() {
                self.fetch().await;
                drop(turn);
            }
            return Ok(self.state().keys.clone().unwrap_or(old));
        }
        let _turn = self.turn.lock().await;
        if self.state().keys.is_none() {
            self.fetch().await;
        }
        let state = self.state();
        let why = || state.why.clone().unwrap_or_else(|| "no keys yet".into());
        state.keys.clone().ok_or_else(why)
    }

    /// Keys that are newer than these, if there are any.
    pub(super) async fn newer(&self, than: Arc<Keys>) -> Arc<Keys> {
        let _turn = self.turn.lock().await;
        let are_same = |keys: &Arc<Keys>| Arc::ptr_eq(keys, &than);
        if self.state().keys.as_ref().is_none_or(are_same) {
            self.fetch().await;
        }
        self.state().keys.clone().unwrap_or(than)
    }

    fn fresh(&self) -> Option<Arc<Keys>> {
        let state = self.state();
        let age = state.since?.elapsed();
        state.keys.clone().filter(|_| age < self.refresh)
    }

    /// Fetches, unless somebody tried a moment ago: tokens with made-up keys are no reason to ask
    /// all the time.
    async fn fetch(&self) {
        {
            let mut state = self.state();
            if state.tried.is_some_and(|it| it.elapsed() < LEAST_PAUSE) {
                return;
            }
            state.tried = Some(Instant::now());
            state.why = Some("the keys were not fetched in time".into());
        }
        let fetched = self.ask().await;
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

    async fn ask(&self) -> Result<Keys, Arc<str>> {
        let reply = self.web.get().await?;
        if reply.status != hyper::StatusCode::OK {
            return Err(format!("keys: status {}", reply.status.as_u16()).into());
        }
        Keys::of_json(&reply.body).map_err(|why| format!("keys: {why}").into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As if the last try was long ago.
    #[cfg(test)]
    pub(super) fn forget_the_pause(&self) {
        self.state().tried = None;
    }
}

const LONGEST: usize = 256 * 1024;
const LEAST_PAUSE: Duration = Duration::from_secs(10);

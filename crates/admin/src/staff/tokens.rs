//! Who is signed in: in memory only, so that a restart ends all sessions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::StaffRole;
use super::secret::short_hash;

/// How long a token holds.
pub(super) const LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// How long it holds without being shown.
const IDLE: Duration = Duration::from_secs(3600);
/// Most tokens of one administrator; the one that was shown longest ago goes.
const EACH: usize = 16;
/// Most tokens.
const MOST: usize = 1024;

/// Who is signed in. Its keys are hashes: what is here lets nobody in.
#[derive(Default)]
pub(super) struct Tokens(HashMap<[u8; 32], Session>);

struct Session {
    username: String,
    role: StaffRole,
    made: Instant,
    shown: Instant,
}

impl Session {
    fn holds(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < LIFETIME
            && now.saturating_duration_since(self.shown) < IDLE
    }
}

impl Tokens {
    pub(super) fn keep(&mut self, token: &str, username: &str, role: StaffRole, now: Instant) {
        self.0.retain(|_, session| session.holds(now));
        let own = |session: &Session| session.username == username;
        if self.0.values().filter(|session| own(session)).count() >= EACH {
            self.forget_oldest(own);
        }
        if self.0.len() >= MOST {
            self.forget_oldest(|_| true);
        }
        let session = Session {
            username: username.into(),
            role,
            made: now,
            shown: now,
        };
        self.0.insert(short_hash(token), session);
    }

    fn forget_oldest(&mut self, of: impl Fn(&Session) -> bool) {
        let among = self.0.iter().filter(|(_, session)| of(session));
        let oldest = among.min_by_key(|(_, session)| session.shown);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.0.remove(&key);
        }
    }

    pub(super) fn find(&mut self, token: &str, now: Instant) -> Option<(String, StaffRole)> {
        // Looking for a hash tells nothing by its time: who does not know the token cannot choose
        // the hash.
        let key = short_hash(token);
        let session = self.0.get_mut(&key)?;
        if !session.holds(now) {
            self.0.remove(&key);
            return None;
        }
        session.shown = now;
        Some((session.username.clone(), session.role))
    }

    pub(super) fn forget(&mut self, token: &str) {
        self.0.remove(&short_hash(token));
    }

    /// Ends all sessions of somebody.
    pub(super) fn forget_all(&mut self, username: &str) {
        self.0.retain(|_, session| session.username != username);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

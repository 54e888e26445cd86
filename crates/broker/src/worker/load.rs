//! Messages that come back from the store.
//!
//! What waits in the store alone is asked for in bounded portions shortly before it is sent. A
//! session whose head is on its way rests until it is there.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use protocol::session::Filled;
use store::{Found, Loaded};
use types::{Body, MessageRef, SessionKey, SessionRef, SubscriptionFilter, Time};

use super::Worker;
use super::deliver::is_over;
use super::look::LOOKER;
use super::share::Origin;
use crate::event::{DropReason, Event};

/// Messages asked for at once for one session.
const LOAD_MESSAGES: usize = 512;
/// Bytes of messages asked for at once for one session.
const LOAD_BYTES: usize = 1024 * 1024;

/// Messages that are loaded for another member of their group.
pub(super) type Passing = HashMap<MessageRef, Vec<Passed>>;

/// One of them.
#[derive(Debug)]
pub(super) struct Passed {
    group: Arc<SubscriptionFilter>,
    tried: BTreeSet<SessionRef>,
    passed: bool,
    expires: Option<Time>,
}

/// No session has this key: loads for it are for [`Passing`].
const NOBODY: SessionKey = SessionKey {
    slot: u32::MAX,
    generation: u32::MAX,
};

impl Worker {
    /// Asks for what the session would send next.
    pub(super) fn load_missing(&mut self, key: SessionKey, now: Time) {
        if !self.durable {
            return;
        }
        let oldest = self.oldest_welcome(now);
        let missing = self.clients.at_mut(key).map(|client| {
            let session = &mut client.session;
            let is_over = |body: &Body| is_over(body, oldest, now);
            session.missing(LOAD_MESSAGES, LOAD_BYTES, is_over)
        });
        if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
            self.store.load(key, &missing);
        }
    }

    /// Hands a message to another member of its group, once it is in memory.
    pub(super) fn pass_on(
        &mut self,
        group: Arc<SubscriptionFilter>,
        body: Body,
        tried: &BTreeSet<SessionRef>,
        passed: bool,
        now: Time,
    ) {
        let tried = tried.clone();
        match body {
            Body::Here(message) => {
                let origin = Origin {
                    receipt: None,
                    passed,
                };
                self.share_again(&group, message, tried, origin, now);
            }
            Body::Stored(stored) => {
                let waiting = self.passing.entry(stored.reference).or_default();
                waiting.push(Passed {
                    group,
                    tried,
                    passed,
                    expires: Some(stored.expires),
                });
                if waiting.len() == 1 {
                    self.store.load(NOBODY, &[stored.reference]);
                }
            }
        }
    }

    /// Takes in what the store has loaded.
    pub(super) fn take_loaded(&mut self, now: Time) {
        if !self.durable {
            return;
        }
        let mut filled: Vec<SessionKey> = Vec::new();
        while let Some(loaded) = self.store.loaded() {
            if let Found::Damaged = loaded.found {
                self.event(Event::MessageDamaged {
                    message: loaded.message,
                });
            }
            if loaded.reader == LOOKER {
                self.take_look(&loaded);
            } else if loaded.reader == NOBODY {
                self.pass_loaded(&loaded, now);
            } else {
                self.fill(&loaded, now);
                if filled.last() != Some(&loaded.reader) {
                    filled.push(loaded.reader);
                }
            }
        }
        self.record_lost();
        for key in filled {
            self.pump(key, now);
        }
    }

    fn pass_loaded(&mut self, loaded: &Loaded, now: Time) {
        for passed in self.passing.remove(&loaded.message).unwrap_or_default() {
            match &loaded.found {
                Found::Message(message) => {
                    let origin = Origin {
                        receipt: None,
                        passed: passed.passed,
                    };
                    let message = Arc::clone(message);
                    self.share_again(&passed.group, message, passed.tried, origin, now);
                }
                Found::Gone | Found::Damaged => {
                    let reason = why_lost(&loaded.found, passed.expires, now);
                    self.lost(reason, None, None, None, 0);
                    if passed.passed {
                        self.record_arrived(Some(loaded.message), &passed.group);
                    }
                }
            }
        }
    }

    fn fill(&mut self, loaded: &Loaded, now: Time) {
        let key = loaded.reader;
        let message = match &loaded.found {
            Found::Message(message) => Some(Arc::clone(message)),
            Found::Gone | Found::Damaged => None,
        };
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let filled = client.session.fill(loaded.message, message);
        let replays_go_on = client.awaited.take_if(|last| *last == loaded.message);
        self.fill_found(loaded);
        if let Filled::Lost(outbound) = filled {
            let reason = why_lost(&loaded.found, outbound.body.expires(), now);
            self.lost_outbound(reason, key, &outbound);
            self.lose(key, outbound.number);
        }
        if replays_go_on.is_some() {
            self.wake_replay(key);
        }
    }

    /// Puts a loaded message where a replay waits for it; one that is gone was replaced. It stays
    /// in memory if there is room.
    fn fill_found(&mut self, loaded: &Loaded) {
        let replays = self
            .clients
            .at_mut(loaded.reader)
            .and_then(|client| client.replays.as_mut());
        let mut known = None;
        for replay in replays.into_iter().flat_map(|replays| replays.values_mut()) {
            match &loaded.found {
                Found::Message(message) => {
                    for (sequence, kept) in &mut replay.found {
                        if waits_for(&kept.body, loaded.message) {
                            kept.body = Body::Here(Arc::clone(message));
                            known = Some((*sequence, message, kept.clone()));
                        }
                    }
                }
                Found::Gone | Found::Damaged => {
                    let waits = |body: &Body| waits_for(body, loaded.message);
                    replay.found.retain(|(_, kept)| !waits(&kept.body));
                }
            }
        }
        if let Some((sequence, message, kept)) = known
            && self.has_memory_for(message.size())
        {
            self.shared.retained.fill(message.topic(), sequence, kept);
        }
    }
}

/// Why a message is lost that the store does not give. It forgets by itself what has expired.
fn why_lost(found: &Found, expires: Option<Time>, now: Time) -> DropReason {
    match found {
        Found::Gone if expires.is_some_and(|at| at <= now) => DropReason::Expired,
        Found::Gone => DropReason::Missing,
        Found::Message(_) | Found::Damaged => DropReason::Damaged,
    }
}

fn waits_for(body: &Body, message: MessageRef) -> bool {
    body.message().is_none() && body.reference() == Some(message)
}

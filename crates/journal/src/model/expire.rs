//! What has expired and nobody collects: it is dropped, so that its room is given back.
//!
//! Whoever collects a delivery looks at its expiry himself, and settles it then. This is for
//! clients that stay away, and for topics that nobody asks for.

use std::sync::Arc;
use std::vec;

use types::{DeliveryNumber, StoredSession};

use super::queue::Entry;
use super::session::Session;
use super::{Model, Retained};
use crate::checkpoint::Progress;
use crate::record::{Link, encode_cleared, encode_expired};

/// A walk over all that may have expired before some point in time, a little at a time.
#[derive(Debug)]
pub(crate) struct ExpiryWalk {
    before: u64,
    sessions: vec::IntoIter<u64>,
    topics: Option<vec::IntoIter<Arc<str>>>,
}

impl ExpiryWalk {
    /// Begins one. What expires later is left to a later walk: see [`Model::soonest`].
    pub(crate) fn begin(model: &mut Model, before: u64) -> Self {
        model.messages.forget_soonest();
        Self {
            before,
            sessions: model.session_numbers().into_iter(),
            topics: None,
        }
    }

    /// Appends the records that drop what has expired, looking at about `at_most` things, or at a
    /// session. They are to be written, and then applied; the model does not change before.
    pub(crate) fn step(
        &mut self,
        model: &mut Model,
        out: &mut Vec<u8>,
        at_most: usize,
    ) -> Progress {
        let mut looked = 0_usize;
        while looked < at_most {
            if let Some(number) = self.sessions.next() {
                let looked_at = model.expire_session(number, self.before, out);
                looked = looked.saturating_add(looked_at).saturating_add(1);
                continue;
            }
            let topics = self
                .topics
                .get_or_insert_with(|| model.topics().into_iter());
            let Some(topic) = topics.next() else {
                return Progress::Done;
            };
            model.expire_topic(&topic, self.before, out);
            looked = looked.saturating_add(1);
        }
        Progress::More
    }
}

impl Model {
    /// A time before which nothing expires that an [`ExpiryWalk`] would drop.
    pub(crate) fn soonest(&self) -> Option<u64> {
        self.messages.soonest()
    }

    /// What a walk found was not written: another has to find it again.
    pub(crate) fn expire_again(&mut self) {
        self.messages.expects(0);
    }

    /// How many deliveries were looked at.
    fn expire_session(&mut self, number: u64, before: u64, out: &mut Vec<u8>) -> usize {
        let Some(session) = self.sessions.get(&number) else {
            return 0;
        };
        let is_away = matches!(session.details.link, Link::Away { .. });
        for entry in session.queue.iter().filter(|entry| is_waiting(entry)) {
            let known = self.messages.known(entry.message);
            let Some(expires) = known.and_then(|known| known.expires) else {
                continue;
            };
            // A message of a group goes to another member if its session ends.
            if self.extras.extra(entry.extra).group().is_some() {
                continue;
            }
            match DeliveryNumber::new(entry.number()) {
                Some(delivery) if is_away && expires < before => {
                    encode_expired(StoredSession(number), delivery, out);
                }
                _ => self.messages.expects(expires),
            }
        }
        session.queue.len()
    }

    fn expire_topic(&mut self, topic: &str, before: u64, out: &mut Vec<u8>) {
        let Some(&Retained {
            message, sequence, ..
        }) = self.retained.get(topic)
        else {
            return;
        };
        let known = self.messages.known(message);
        match known.and_then(|known| known.expires) {
            Some(expires) if expires < before => encode_cleared(topic, sequence, out),
            Some(expires) => self.messages.expects(expires),
            None => {}
        }
    }

    /// A delivery was dropped. Its worker may not know yet, and settle it.
    pub(super) fn expired(&mut self, session: StoredSession, number: DeliveryNumber, now: u64) {
        let Some(session) = self.sessions.get_mut(&session.0) else {
            return self.unknown();
        };
        session.expired = session.expired.max(number.get());
        if let Some(entry) = session.queue.remove(number.get()) {
            self.discard(&entry, now);
        }
    }

    /// A record names a delivery that is not there.
    pub(super) fn unknown_delivery(&mut self, session: StoredSession, number: DeliveryNumber) {
        let session = self.sessions.get(&session.0);
        if session.is_none_or(|session| number.get() > session.expired) {
            self.unknown();
        }
    }
}

impl Session {
    /// The highest number of a delivery that was dropped because it expired.
    pub(super) fn last_expired(&self) -> Option<DeliveryNumber> {
        DeliveryNumber::new(self.expired)
    }
}

/// Whether a delivery was not begun: what was sent once is completed.
fn is_waiting(entry: &Entry) -> bool {
    entry.packet_id == 0 && entry.message != 0
}

//! What was allowed lately, so that a client whose topics keep changing is not asked about each
//! of them again.

use std::sync::Arc;

use types::{QoS, SessionKey};

/// Entries of one worker. At 40 bytes each, taken with the first.
const ENTRIES: usize = 4096;
/// What leaves a number of 64 bits one of so many places.
const SHIFT: u32 = u64::BITS - ENTRIES.trailing_zeros();

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// To publish with this QoS and this retain flag.
    Publish(QoS, bool),
    /// To be given a message with this QoS.
    Receive(QoS),
}

/// Answers of the present policy that were yes. A new one may take the place of an old one.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    entries: Vec<Option<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    session: SessionKey,
    /// Of the session, when it was asked.
    epoch: u32,
    what: What,
    /// Known by its place in memory, which is its own as long as this lives.
    topic: Arc<str>,
}

impl Decided {
    /// Whether this was allowed to a session that is still in this epoch.
    #[inline]
    pub(crate) fn knows(
        &self,
        session: SessionKey,
        epoch: u32,
        topic: &Arc<str>,
        what: What,
    ) -> bool {
        let entry = self.entries.get(place(session, topic, what));
        entry.and_then(Option::as_ref).is_some_and(|entry| {
            Arc::ptr_eq(&entry.topic, topic)
                && entry.session == session
                && entry.epoch == epoch
                && entry.what == what
        })
    }

    /// It was.
    pub(crate) fn note(&mut self, session: SessionKey, epoch: u32, topic: &Arc<str>, what: What) {
        if self.entries.is_empty() {
            self.entries.resize(ENTRIES, None);
        }
        if let Some(entry) = self.entries.get_mut(place(session, topic, what)) {
            *entry = Some(Entry {
                session,
                epoch,
                what,
                topic: Arc::clone(topic),
            });
        }
    }

    /// Another policy holds.
    pub(crate) fn clear(&mut self) {
        self.entries = Vec::new();
    }
}

/// Which entry it is may depend on places in memory: what is answered does not.
fn place(session: SessionKey, topic: &Arc<str>, what: What) -> usize {
    let what = match what {
        What::Publish(qos, retain) => u64::from(qos.bits()) << 1 | u64::from(retain),
        What::Receive(qos) => u64::from(qos.bits()) << 1 | 8,
    };
    let topic = Arc::as_ptr(topic).cast::<u8>().addr() >> 4;
    let topic = u64::try_from(topic).unwrap_or(0);
    let mixed = topic ^ u64::from(session.slot) << 32 ^ what << 24;
    let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> SHIFT).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s61_an_answer_holds_for_this_session_in_this_state_alone() {
        let session = SessionKey {
            slot: 1,
            generation: 1,
        };
        let other = SessionKey {
            slot: 1,
            generation: 2,
        };
        let topic: Arc<str> = "a/b".into();
        let what = What::Publish(QoS::AtLeastOnce, false);
        let mut decided = Decided::default();
        assert!(!decided.knows(session, 7, &topic, what));
        decided.note(session, 7, &topic, what);
        assert!(decided.knows(session, 7, &topic, what));
        assert!(!decided.knows(session, 8, &topic, what));
        assert!(!decided.knows(other, 7, &topic, what));
        assert!(!decided.knows(session, 7, &Arc::from("a/b"), what));
        for else_what in [
            What::Publish(QoS::AtLeastOnce, true),
            What::Publish(QoS::ExactlyOnce, false),
            What::Receive(QoS::AtLeastOnce),
        ] {
            assert!(!decided.knows(session, 7, &topic, else_what));
        }
        decided.clear();
        assert!(!decided.knows(session, 7, &topic, what));
    }
}

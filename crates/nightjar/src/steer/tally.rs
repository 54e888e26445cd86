//! How often what happened, by its reason. Workers count and never wait.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use broker::{CloseReason, Event, Wanted};

use crate::events;

/// How often what happened, since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    connected: AtomicU64,
    disconnected: Reasons,
    rejected: Reasons,
    denied: [AtomicU64; WANTED.len()],
}

type Reasons = [AtomicU64; events::REASONS.len()];

const WANTED: [Wanted; 3] = [Wanted::Connect, Wanted::Publish, Wanted::Subscribe];

impl Tally {
    /// Something happened. Called on a worker.
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Connected { .. } => count(Some(&self.connected)),
            Event::Disconnected { reason, .. } => count(of(&self.disconnected, reason)),
            Event::Rejected { reason, .. } => count(of(&self.rejected, reason)),
            Event::Denied(denial) => {
                let place = WANTED.iter().position(|one| *one == denial.wanted);
                count(place.and_then(|place| self.denied.get(place)));
            }
            _ => {}
        }
    }

    /// Clients that were let in.
    pub(crate) fn connected(&self) -> u64 {
        self.connected.load(Relaxed)
    }

    /// Connections of clients that ended, by reason.
    pub(crate) fn disconnected(&self) -> Vec<(&'static str, u64)> {
        named(&events::REASONS, &self.disconnected)
    }

    /// Links that ended before a client was let in, by reason.
    pub(crate) fn rejected(&self) -> Vec<(&'static str, u64)> {
        named(&events::REASONS, &self.rejected)
    }

    /// What was denied, by what was wanted.
    pub(crate) fn denied(&self) -> Vec<(&'static str, u64)> {
        named(&WANTED.map(Wanted::as_str), &self.denied)
    }
}

fn count(counter: Option<&AtomicU64>) {
    if let Some(counter) = counter {
        counter.fetch_add(1, Relaxed);
    }
}

fn of<'a>(reasons: &'a Reasons, reason: &CloseReason) -> Option<&'a AtomicU64> {
    let word = events::word(reason);
    let place = events::REASONS.iter().position(|one| *one == word)?;
    reasons.get(place)
}

fn named(names: &[&'static str], counts: &[AtomicU64]) -> Vec<(&'static str, u64)> {
    let counts = counts.iter().map(|count| count.load(Relaxed));
    names.iter().copied().zip(counts).collect()
}

#[cfg(test)]
mod tests {
    use types::{ClientId, Peer, ReasonCode};

    use super::*;

    #[test]
    fn ends_are_counted_by_reason() {
        let tally = Tally::default();
        let reasons = [
            CloseReason::Client(ReasonCode::Success),
            CloseReason::Eof,
            CloseReason::Eof,
            CloseReason::Panic,
        ];
        for reason in reasons {
            let client = ClientId::new("c").unwrap();
            let peer = Peer::Local(None);
            tally.event(&Event::Disconnected {
                client,
                peer,
                reason,
            });
        }
        let counted = |name| {
            let all = tally.disconnected();
            all.into_iter()
                .find(|(it, _)| *it == name)
                .map(|(_, count)| count)
        };
        assert_eq!(counted("disconnect"), Some(1));
        assert_eq!(counted("closed_without_disconnect"), Some(2));
        assert_eq!(counted("panic"), Some(1));
        assert_eq!(counted("banned"), Some(0));
        assert!(tally.rejected().iter().all(|(_, count)| *count == 0));
    }
}

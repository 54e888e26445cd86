//! Who takes longest, by looks at what workers know anyway.
//!
//! Sessions keep no time for each message. Who asks makes a look: a message that is still the oldest
//! without its acknowledgement waits at least since it first was. So times are as exact as the looks
//! are frequent, and nothing is paid when nobody looks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use admin::server::{Answer, Slow, SlowKind, SlowSubscription};
use admin::{Failure, Stamp};
use broker::question::LateClient;
use broker::{Findings, Question};
use types::{ClientId, PacketId};

use super::Steer;

/// Most clients that are listed, and that are remembered from look to look.
const LISTED: usize = 1000;
const REMEMBERED: usize = 20_000;
/// A look that is older tells nothing: another one follows soon.
const STALE: Duration = Duration::from_secs(10);
/// After so long.
const SOON: Duration = Duration::from_secs(1);
/// Less is not slow.
const LEAST: Duration = Duration::from_millis(500);
/// Who was slow is listed for so long.
const LISTED_FOR: Duration = Duration::from_secs(600);

/// What was seen at looks.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    looked: Option<Instant>,
    /// The oldest message of each client without its acknowledgement, and since when it was seen.
    oldest: HashMap<ClientId, (PacketId, Instant)>,
    slow: HashMap<ClientId, (Instant, SlowSubscription)>,
}

impl Looks {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in a whole look.
    fn take(&mut self, found: Vec<LateClient>, now: Instant) {
        let mut oldest = HashMap::new();
        for late in found {
            let since = late.oldest.map(|id| {
                let known = self
                    .oldest
                    .get(&late.client)
                    .filter(|(known, _)| *known == id);
                let since = known.map_or(now, |(_, since)| *since);
                if oldest.len() < REMEMBERED {
                    oldest.insert(late.client.clone(), (id, since));
                }
                since
            });
            let waits = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            let (span, waits_for) = match late.stalled > waits {
                true => (late.stalled, SlowKind::Reading),
                false => (waits, SlowKind::Acknowledgement),
            };
            if span >= LEAST {
                self.note(late, span, waits_for, now);
            }
        }
        (self.oldest, self.looked) = (oldest, Some(now));
        self.slow
            .retain(|_, (at, _)| now.saturating_duration_since(*at) < LISTED_FOR);
    }

    fn note(&mut self, late: LateClient, span: Duration, waits_for: SlowKind, now: Instant) {
        let timespan_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let known = self.slow.get(&late.client);
        if known.is_some_and(|(_, known)| known.timespan_ms > timespan_ms) {
            return;
        }
        if known.is_none() && self.slow.len() >= LISTED {
            let quickest = self.slow.iter().min_by_key(|(_, (_, it))| it.timespan_ms);
            let quickest = quickest.map(|(id, (_, it))| (id.clone(), it.timespan_ms));
            match quickest {
                Some((id, quickest)) if quickest < timespan_ms => self.slow.remove(&id),
                _ => return,
            };
        }
        let row = SlowSubscription {
            clientid: late.client.as_str().into(),
            topic: late.topic.as_deref().unwrap_or("").into(),
            timespan_ms,
            waits_for,
            last_update: Stamp::now(),
        };
        self.slow.insert(late.client, (now, row));
    }

    fn listed(&self) -> Vec<SlowSubscription> {
        let mut rows: Vec<_> = self.slow.values().map(|(_, row)| row.clone()).collect();
        rows.sort_by(|a, b| {
            let slower = b.timespan_ms.cmp(&a.timespan_ms);
            slower.then_with(|| a.clientid.cmp(&b.clientid))
        });
        rows
    }
}

impl Slow for Steer {
    fn slow(&self) -> Answer<'_, Vec<SlowSubscription>> {
        Box::pin(async move {
            let looked = self.slow.lock().looked;
            let is_fresh = looked.is_some_and(|at| at.elapsed() < STALE);
            self.look().await?;
            if !is_fresh {
                tokio::time::sleep(SOON).await;
                self.look().await?;
            }
            Ok(self.slow.lock().listed())
        })
    }

    fn forget_slow(&self) {
        *self.slow.lock() = State::default();
    }
}

impl Steer {
    /// Asks all workers who is late.
    async fn look(&self) -> Result<(), Failure> {
        let mut found = Vec::new();
        for worker in self.workers() {
            let mut after = None;
            loop {
                let question = Question::Late { after };
                let Findings::Late(late) = self.ask(worker, question).await? else {
                    return Err(super::ask::mistaken());
                };
                found.extend(late.clients);
                after = late.next;
                if after.is_none() {
                    break;
                }
            }
        }
        self.slow.lock().take(found, Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn late(client: &str, oldest: u16, stalled: u64) -> LateClient {
        LateClient {
            client: ClientId::new(client).expect("an id"),
            oldest: PacketId::new(oldest),
            topic: Some("t".into()),
            stalled: Duration::from_secs(stalled),
        }
    }

    #[test]
    fn who_does_not_acknowledge_is_slow_and_who_goes_on_is_not() {
        let (mut state, start) = (State::default(), Instant::now());
        for second in 0..5u16 {
            let found = vec![
                late("stuck", 1, 0),
                late("busy", second + 1, 0),
                late("full", 0, 7),
            ];
            state.take(found, start + Duration::from_secs(second.into()));
        }
        let rows = state.listed();
        let names: Vec<_> = rows
            .iter()
            .map(|row| (&*row.clientid, row.timespan_ms))
            .collect();
        assert_eq!(names, [("full", 7000), ("stuck", 4000)]);
        assert_eq!(rows[0].waits_for, SlowKind::Reading);
        assert_eq!(rows[1].waits_for, SlowKind::Acknowledgement);
        state.take(Vec::new(), start + LISTED_FOR * 2);
        assert!(state.listed().is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_keeps_the_slowest() {
        let (mut state, now) = (State::default(), Instant::now());
        let all = (1..=3000).map(|number| late(&format!("c{number}"), 0, number));
        state.take(all.collect(), now);
        let rows = state.listed();
        assert_eq!((rows.len(), &*rows[0].clientid), (LISTED, "c3000"));
        assert_eq!(rows[LISTED - 1].clientid, "c2001");
    }
}

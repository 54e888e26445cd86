//! Until nothing happens any more, and what must be true then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use broker::DropReason;
use broker::metrics::Gauge;
use types::{ProtocolVersion, QoS, ReasonCode, WorkerId};

use super::Simulation;
use crate::client::State;
use crate::failure::{Failure, ensure};
use crate::messages::MessageId;
use crate::peer::Peer;
use crate::reference::Counts;

/// Rounds until all is quiet, at most: more is going in circles.
const PATIENCE: usize = 10_000;

impl Simulation {
    /// Everybody reads and acknowledges everything, all mail and all index changes arrive;
    /// then everything is checked. In the end everybody who has a session comes back first.
    pub(super) fn calm_down(&mut self, last: bool) -> Result<(), Failure> {
        self.note(format_args!("all calms down"));
        for worker in 0..self.universe.workers() {
            self.universe.worker(worker).set_index_batch(256);
        }
        self.settle()?;
        self.close_given_up()?;
        for number in 0..self.clients.len() {
            let back = last || self.rng.percent(50);
            if self.reference.is_away(number) && back {
                self.connect(number, false);
                self.settle()?;
            }
        }
        self.close_given_up()?;
        self.settle()?;
        for number in 0..self.clients.len() {
            let client = &self.clients[number];
            ensure!(
                client.state != State::Open || client.unanswered() == 0,
                "{} waits for {} answers",
                client.id,
                client.unanswered()
            );
        }
        self.begin();
        let counts = self.counts();
        let shared = Arc::clone(&self.universe.shared);
        for reason in DropReason::ALL {
            let dropped = shared.totals().drops(reason);
            if dropped > 0 {
                self.note(format_args!("{dropped} dropped: {reason:?}"));
            }
        }
        self.reference.quiet(counts, &self.messages)?;
        self.check_gauges()?;
        self.check_retained()
    }

    fn settle(&mut self) -> Result<(), Failure> {
        for number in 0..self.clients.len() {
            if let Some(link) = self.clients[number].link {
                self.set_takes(link, usize::MAX)?;
            }
        }
        for _ in 0..PATIENCE {
            let mut busy = false;
            for number in 0..self.clients.len() {
                self.clients[number].acknowledge(usize::MAX);
                let waiting = self.may_arrive(number);
                if waiting > 0 {
                    busy = true;
                    self.deliver(number, waiting, &[])?;
                }
            }
            for worker in 0..self.universe.workers() {
                let lanes = self.all_lanes(worker);
                busy |= self.turn(worker, &lanes)?;
            }
            if !busy {
                return Ok(());
            }
        }
        Err(Failure("the server does not come to rest".into()))
    }

    fn counts(&self) -> Counts {
        let shared = &self.universe.shared;
        let index = shared.index.stats();
        let totals = shared.totals();
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Counts {
            connected: number(totals.gauge(Gauge::Connected)),
            sessions: shared.connections_and_sessions().1,
            subscriptions: index.subscriptions,
            memberships: index.shared_subscriptions,
            dropped: totals.drops(DropReason::QueueFull) + totals.drops(DropReason::TooLarge),
        }
    }

    fn check_gauges(&self) -> Result<(), Failure> {
        let shared = &self.universe.shared;
        for worker in (0u16..).take(self.universe.workers()).map(WorkerId) {
            let bytes = shared.mailbox_bytes(worker);
            ensure!(
                bytes == 0,
                "{bytes} bytes in the empty mailbox of {worker:?}"
            );
        }
        let links = (0..self.clients.len())
            .filter(|&number| self.has_link(number))
            .count();
        let (connections, _) = shared.connections_and_sessions();
        ensure!(
            connections == links,
            "the server counts {connections} links, not {links}"
        );
        let full = shared.totals().drops(DropReason::QueueFull);
        ensure!(
            full == 0 || self.plan.tight_queue,
            "{full} messages did not fit into queues that are large"
        );
        let room = shared.totals().drops(DropReason::MailboxFull);
        ensure!(
            room == 0 || self.plan.tight_mail,
            "{room} messages did not fit into mailboxes that are large"
        );
        Ok(())
    }

    /// Who subscribes now gets exactly what is retained.
    fn check_retained(&mut self) -> Result<(), Failure> {
        let expected = self.reference.retained();
        let mut probe = Peer::join(&mut self.universe, ProtocolVersion::V5, "probe");
        probe.subscribe(&mut self.universe, "#", QoS::AtMostOnce);
        let mut found: BTreeMap<String, MessageId> = BTreeMap::new();
        for (topic, payload) in probe.messages(&mut self.universe) {
            let message = self
                .messages
                .find(&payload)
                .ok_or_else(|| Failure(format!("{payload:?} is retained on {topic}")))?;
            let earlier = found.insert(topic.clone(), message);
            ensure!(earlier.is_none(), "{topic} is retained twice");
        }
        probe.disconnect(&mut self.universe, ReasonCode::Success);
        // The probe is no client: nobody is told of it.
        self.ear
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clear();
        let same = found.iter().all(|(topic, message)| {
            let expected = expected.get(topic);
            expected.is_some_and(|any| any.contains(message))
        }) && expected
            .iter()
            .all(|(topic, any)| any.len() > 1 || found.contains_key(topic));
        ensure!(
            same || self.plan.is_loose(),
            "retained is {found:?}, not {expected:?}"
        );
        Ok(())
    }

    /// Everybody goes, all sessions expire, and nothing is left.
    pub(super) fn leave_nothing(&mut self) -> Result<(), Failure> {
        for number in 0..self.clients.len() {
            if self.clients[number].state == State::Open {
                self.clients[number].disconnect(&mut self.rng);
            }
        }
        self.settle()?;
        self.close_given_up()?;
        // Wills first, then what they left in sessions that live on.
        for _ in 0..3 {
            self.universe.pass(Duration::from_secs(8 * 24 * 3600));
            self.settle()?;
        }
        self.begin();
        let counts = self.counts();
        self.reference.quiet(counts, &self.messages)?;
        self.check_gauges()?;
        let (connections, sessions) = self.universe.shared.connections_and_sessions();
        ensure!(
            (connections, sessions) == (0, 0),
            "{connections} connections and {sessions} sessions are left"
        );
        let index = self.universe.shared.index.stats();
        ensure!(
            index == topics::IndexStats::default(),
            "the index still holds {index:?}"
        );
        let totals = self.universe.shared.totals();
        for gauge in [Gauge::Connected, Gauge::Waiting, Gauge::WaitingBytes] {
            let left = totals.gauge(gauge);
            ensure!(left == 0, "{gauge:?} is {left} in the end");
        }
        let retained = self.reference.retained();
        let unsure = retained.values().any(|any| any.len() > 1) || self.plan.is_loose();
        let count = self.universe.shared.retained.count();
        ensure!(
            count == retained.len() || unsure,
            "{count} messages are retained, not {}",
            retained.len()
        );
        Ok(())
    }
}

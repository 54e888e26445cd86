//! One run of a seed: several lives of one server, its clients, and the ledger.

use std::collections::BTreeMap;
use std::fmt;

use journal::engine::Report;
use journal::faulty::{Fault, MemoryDisk};
use types::{Durability, ProtocolVersion, QoS, ReasonCode};

use super::client::{Client, State};
use super::ledger::{Ended, Ledger, MessageId, Present, Restart};
use super::listen::Heard;
use super::plan::{End, Plan};
use super::server::Server;
use crate::failure::{Failure, ensure};
use crate::peer::Peer;
use crate::rng::Rng;
use crate::simulation::Outcome;
use crate::trace::Trace;
use crate::universe::LinkId;

/// One run.
pub struct Run {
    pub(super) plan: Plan,
    pub(super) rng: Rng,
    /// For what does not change the run.
    pub(super) other: Rng,
    pub(super) server: Server,
    pub(super) clients: Vec<Client>,
    pub(super) ledger: Ledger,
    pub(super) trace: Trace,
    /// For each client, what CONNACK had to say when CONNECT was sent.
    pub(super) expected: Vec<Present>,
    /// Links that clients gave up without closing them.
    pub(super) given_up: Vec<LinkId>,
    /// The disk is full at present.
    pub(super) is_full: bool,
    /// The end of this life has begun.
    pub(super) is_dying: bool,
    received: usize,
}

/// The wall clock of the first life, in milliseconds since 1970.
const WALL: u64 = 1_700_000_000_000;

impl Run {
    /// Everything follows from the seed. The trace is kept in words if `keep_trace`.
    ///
    /// # Errors
    ///
    /// An empty disk is refused.
    pub fn new(seed: u64, keep_trace: bool) -> Result<Self, Failure> {
        Self::of(Plan::new(seed), keep_trace)
    }

    /// The same for a plan that was changed, to look closer.
    ///
    /// # Errors
    ///
    /// As [`Run::new`].
    pub fn of(plan: Plan, keep_trace: bool) -> Result<Self, Failure> {
        let seed = plan.seed;
        let server = Server::start(MemoryDisk::new(), plan.setup(), WALL)
            .map_err(|error| Failure(format!("an empty disk is refused: {error}")))?;
        let count = plan.clients.len();
        let mut ledger = Ledger::new(&plan);
        ledger.set_clock(WALL);
        Ok(Self {
            rng: Rng::new(!seed),
            other: Rng::new(seed.rotate_left(32)),
            server,
            clients: (0..count)
                .map(|number| Client::new(number, &plan))
                .collect(),
            ledger,
            trace: Trace::new(keep_trace),
            expected: vec![Present::May; count],
            given_up: Vec::new(),
            is_full: false,
            is_dying: false,
            received: 0,
            plan,
        })
    }

    /// Runs to the end or to the first promise that is broken.
    pub fn run(mut self) -> Outcome {
        let plan = self.plan.clone();
        self.note(format_args!("{plan:?}"));
        let failure = self.play().err();
        Outcome {
            hash: self.trace.hash(),
            trace: self.trace.lines().to_vec(),
            received: self.received,
            failure,
        }
    }

    fn play(&mut self) -> Result<(), Failure> {
        for life in 0..self.plan.workers.len() {
            for _ in 0..self.plan.events {
                self.act()?;
            }
            if let Some(&end) = self.plan.ends.get(life) {
                self.end_life(end)?;
                let step = self.plan.steps[life];
                self.begin_life(end, step)?;
            }
        }
        self.calm_down()
    }

    /// Puts a line into the trace, behind what clients said before.
    pub(super) fn note(&mut self, words: fmt::Arguments<'_>) {
        let now = self.server.now();
        for client in &mut self.clients {
            for said in client.said.drain(..) {
                self.trace
                    .line(now, format_args!("{} says {said}", client.id));
            }
        }
        self.trace.line(now, words);
    }

    fn end_life(&mut self, end: End) -> Result<(), Failure> {
        self.note(format_args!("the end comes: {end:?}"));
        match end {
            End::Kill | End::Cut | End::Stop => {}
            End::SyncsFail | End::SyncsFailAndKill => {
                let fault = self.rng.pick(&[
                    Fault::Once(std::io::ErrorKind::Other),
                    Fault::Always(std::io::ErrorKind::Other),
                ]);
                self.server.disk.fail_syncs(fault);
                self.go_on()?;
            }
            End::DiskGone | End::DiskGoneAndCut => {
                let changes = u64::try_from(self.rng.below(60)).unwrap_or(0);
                self.server.disk.gone_after(changes);
                self.ledger.loses_disk();
                self.go_on()?;
            }
        }
        match end {
            End::Kill | End::SyncsFailAndKill | End::DiskGone => self.server.kill(),
            End::Cut | End::SyncsFail | End::DiskGoneAndCut => {
                let seed = self.rng.next_u64();
                self.server.cut_power(seed);
            }
            End::Stop => {
                self.server.disk.heal();
                self.is_full = false;
                self.stop()?;
            }
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        self.is_dying = true;
        for _ in 0..self.rng.below(self.plan.events) {
            self.act()?;
        }
        Ok(())
    }

    /// A clean end: everybody is told, all that the server took over is on the disk.
    fn stop(&mut self) -> Result<(), Failure> {
        let clock = self.server.store_clock();
        self.ledger.set_clock(clock);
        self.server.drain();
        for number in 0..self.clients.len() {
            self.listen_to(number)?;
            if self.clients[number].link.is_some() {
                self.lose(number, Ended::HungUp);
            }
        }
        self.server.end();
        self.ledger.synced();
        for client in &mut self.clients {
            client.is_safe_now();
        }
        Ok(())
    }

    fn begin_life(&mut self, end: End, step: i64) -> Result<(), Failure> {
        self.given_up.clear();
        self.is_full = false;
        self.is_dying = false;
        let report = self
            .server
            .restart(step)
            .map_err(|error| Failure(format!("the store is refused after {end:?}: {error}")))?;
        let clock = self.server.store_clock();
        self.note(format_args!("the server is back at {clock}: {report:?}"));
        self.check_report(&report)?;
        let cut = matches!(end, End::Cut | End::SyncsFail | End::DiskGoneAndCut);
        let after = match end {
            End::Stop => Restart::AfterEnd,
            _ => Restart::AfterCrash,
        };
        for number in 0..self.clients.len() {
            let greeting = self.clients[number].state == State::Greeting;
            if greeting && !self.ledger.lost_in_greeting(number) {
                self.forget(number);
            }
            self.drop_link(number);
            if after == Restart::AfterCrash {
                self.clients[number].may_be_forgotten();
            }
        }
        self.ledger.restarted(after, clock);
        if cut && self.plan.class < Durability::Disk {
            self.ledger.forget_everything();
            for number in 0..self.clients.len() {
                self.forget(number);
            }
        }
        Ok(())
    }

    /// A crash loses nothing that is referred to.
    pub(super) fn check_report(&self, report: &Report) -> Result<(), Failure> {
        // Workers race: one may speak of a session that another has just ended.
        let races = self.plan.workers.iter().any(|&workers| workers > 1);
        ensure!(
            report.losses.is_empty() && (races || report.anomalies == 0),
            "the store has lost something: {report:?}"
        );
        Ok(())
    }

    /// The client's session is gone, and what it had not finished with it.
    pub(super) fn forget(&mut self, number: usize) {
        for message in self.clients[number].forget() {
            self.ledger.gave_up(message);
        }
    }

    /// The client has no link any more.
    pub(super) fn drop_link(&mut self, number: usize) {
        for message in self.clients[number].lose_link() {
            self.ledger.gave_up(message);
        }
    }

    /// A client's connection is over.
    pub(super) fn lose(&mut self, number: usize, ended: Ended) {
        let client = &self.clients[number];
        match client.state {
            State::Away => {}
            State::Greeting => {
                if !self.ledger.lost_in_greeting(number) {
                    self.forget(number);
                }
            }
            State::Open => self.ledger.left(number, ended, None),
            State::Leaving => {
                let ends_session = client.ends_session;
                self.ledger.left(number, ended, Some(ends_session));
                if ends_session {
                    self.forget(number);
                }
            }
        }
        self.drop_link(number);
    }

    /// All clients look at what came.
    pub(super) fn listen(&mut self) -> Result<(), Failure> {
        let clock = self.server.store_clock();
        self.ledger.set_clock(clock);
        for number in 0..self.clients.len() {
            self.listen_to(number)?;
        }
        Ok(())
    }

    fn listen_to(&mut self, number: usize) -> Result<(), Failure> {
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        let bytes = self.server.universe().take_inbox(link);
        self.trace.bytes(&bytes);
        self.clients[number].inbox.extend(bytes);
        loop {
            let client = &mut self.clients[number];
            let heard = client.listen(&self.plan, &mut self.rng, &mut self.ledger)?;
            let Some(heard) = heard else { break };
            self.on_heard(number, heard)?;
            if self.clients[number].link.is_none() {
                return Ok(());
            }
        }
        if self.server.universe().is_closed(link) {
            self.note(format_args!("client{number}: the server closed {link:?}"));
            self.lose(number, Ended::Closed);
        }
        Ok(())
    }

    fn on_heard(&mut self, number: usize, heard: Heard) -> Result<(), Failure> {
        self.note(format_args!("client{number} hears {heard:?}"));
        match heard {
            Heard::Connected(present) => self.connected(number, present),
            Heard::Message(told) => {
                self.received += 1;
                self.ledger.got(number, &told)
            }
            Heard::Other(_) => Ok(()),
        }
    }

    fn connected(&mut self, number: usize, present: bool) -> Result<(), Failure> {
        let asked = self.clients[number].asked;
        let heard = self.ledger.expected(number, asked.clean);
        let expected = [self.expected[number], heard];
        let expiry = self.clients[number].expiry(&self.plan);
        self.ledger
            .connected(number, present, expected, expiry, asked.will)?;
        if !present {
            self.forget(number);
        } else if !self.clients[number].has_session {
            // MQTT-3.2.2-4: it has nothing to go on with.
            self.ledger.disown(number);
            self.clients[number].is_haunted = true;
            let link = self.clients[number].link;
            self.drop_link(number);
            self.given_up.extend(link);
            return Ok(());
        }
        let client = &mut self.clients[number];
        client.has_session = true;
        client.is_haunted = false;
        client.resend(&mut self.ledger);
        Ok(())
    }

    /// Who subscribes now gets what is retained.
    pub(super) fn check_retained(&mut self) -> Result<(), Failure> {
        let universe = self.server.universe();
        let mut probe = Peer::join(universe, ProtocolVersion::V5, "probe");
        probe.subscribe(universe, "#", QoS::AtMostOnce);
        let mut found: BTreeMap<String, MessageId> = BTreeMap::new();
        self.server.settle();
        for (topic, payload) in probe.messages(self.server.universe()) {
            let message = self.ledger.find(&payload).ok_or_else(|| {
                let payload = String::from_utf8_lossy(&payload);
                Failure(format!("{payload:?} is retained on {topic}"))
            })?;
            let earlier = found.insert(topic.clone(), message);
            ensure!(earlier.is_none(), "{topic} is retained twice");
        }
        probe.disconnect(self.server.universe(), ReasonCode::Success);
        self.server.settle();
        self.note(format_args!("retained: {found:?}"));
        self.ledger.check_retained(&found)
    }
}

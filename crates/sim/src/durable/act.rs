//! What happens next, and how all comes to rest.

use std::time::Duration;

use super::client::State;
use super::ledger::Ended;
use super::run::Run;
use super::server::Turn;
use crate::failure::{Failure, ensure};

/// Milliseconds that may pass in one go.
const SPANS: [u64; 7] = [1, 100, 100, 1_000, 10_000, 70_000, 4_000_000];
/// A minute after it came the store forgets a message that nobody is owed.
const LONG: Duration = Duration::from_secs(5);
/// Rounds until all is quiet, at most: more is going in circles.
const PATIENCE: usize = 10_000;

impl Run {
    /// One event, by chance.
    pub(super) fn act(&mut self) -> Result<(), Failure> {
        let clock = self.server.store_clock();
        self.ledger.set_clock(clock);
        let rare = self.rng.below(1000);
        let (calm, full) = (self.plan.calms, self.plan.full);
        if rare < self.plan.time_passes {
            return self.time_passes();
        } else if rare < self.plan.time_passes + calm && !self.is_dying {
            return self.calm_down();
        } else if rare < self.plan.time_passes + calm + full {
            self.fill_disk();
            return Ok(());
        }
        if self.rng.percent(self.plan.store_pace) {
            self.store_turns();
            return self.rehearse();
        }
        match self.rng.below(10) {
            0..=4 => self.client_acts(),
            5..=7 => self.bytes_arrive(),
            _ => {
                let worker = self.rng.below(self.server.universe().workers());
                let lanes = self.some_lanes(worker);
                self.turn(worker, &lanes)
            }
        }
    }

    fn time_passes(&mut self) -> Result<(), Failure> {
        self.close_given_up()?;
        let span = Duration::from_millis(self.rng.pick(&SPANS));
        if span > LONG {
            // No mail is on its way for so long.
            self.server.settle_workers();
            self.listen()?;
        }
        self.server.universe().pass(span);
        self.note(format_args!("{span:?} pass"));
        Ok(())
    }

    fn fill_disk(&mut self) {
        self.is_full = !self.is_full;
        let full = self.is_full;
        if full {
            let room = self.rng.pick(&[0, 10_000, 100_000]);
            self.server.disk.full_after(room);
        } else {
            self.server.disk.full_after(u64::MAX);
        }
        self.note(format_args!("the disk is full: {full}"));
    }

    /// At times it is tried what a crash would leave now.
    fn rehearse(&mut self) -> Result<(), Failure> {
        if self.other.below(1000) >= self.plan.rehearsals {
            return Ok(());
        }
        let seed = self.other.next_u64();
        let cut = self.other.percent(50).then_some(seed);
        let (_, report) = self
            .server
            .rehearse(cut)
            .map_err(|error| Failure(format!("a crash ({cut:?}) ends in: {error}")))?;
        self.check_report(&report)
    }

    /// When all is at rest, the store has what the clients have, and nothing is on its way.
    fn check_store(&mut self) -> Result<(), Failure> {
        let (recovered, report) = self
            .server
            .rehearse(None)
            .map_err(|error| Failure(format!("a crash when all is calm ends in: {error}")))?;
        self.check_report(&report)?;
        ensure!(
            recovered.passed.is_empty(),
            "when all is calm the store has {} messages on their way between members of groups",
            recovered.passed.len()
        );
        self.ledger.check_recovered(&recovered.sessions)
    }

    fn store_turns(&mut self) {
        let (writes, syncs) = self.plan.store_turns;
        let turn = match self.rng.below(100) {
            chance if chance < writes => Turn::Write,
            chance if chance < writes + syncs => Turn::All,
            _ => Turn::Wished,
        };
        let woke = self.server.store_turn(turn);
        self.note(format_args!("the store: {turn:?}, wakes {woke}"));
    }

    /// Some of the letters that wait for a worker, interleaved by chance.
    fn some_lanes(&mut self, worker: usize) -> Vec<usize> {
        let mut waiting = self.server.universe().waiting_mail(worker);
        let total = waiting.iter().sum();
        let mut count = total;
        if !self.rng.percent(self.plan.prompt_mail) {
            count = self.rng.below(total + 1);
        }
        let mut lanes = Vec::with_capacity(count);
        for _ in 0..count {
            let lane = self.rng.weighted(&waiting);
            waiting[lane] -= 1;
            lanes.push(lane);
        }
        lanes
    }

    fn turn(&mut self, worker: usize, lanes: &[usize]) -> Result<(), Failure> {
        self.note(format_args!("worker {worker} takes {lanes:?}"));
        self.server.universe().turn_with(worker, lanes);
        self.listen()
    }

    fn bytes_arrive(&mut self) -> Result<(), Failure> {
        let waiting: Vec<usize> = (0..self.clients.len())
            .filter(|&number| !self.clients[number].outbox.is_empty())
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let number = self.rng.pick(&waiting);
        let all = self.clients[number].outbox.len();
        let count = match self.rng.percent(80) {
            true => all,
            false => self.rng.between(1, all),
        };
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        let worker = self.server.universe().worker_of(link);
        let lanes = self.some_lanes(worker);
        self.arrive(number, count);
        self.turn(worker, &lanes)
    }

    fn arrive(&mut self, number: usize, count: usize) {
        let client = &mut self.clients[number];
        let Some(link) = client.link else { return };
        let bytes: Vec<u8> = client.outbox.drain(..count).collect();
        self.server.universe().arrive(link, &bytes);
        self.note(format_args!("{count} bytes of client{number} arrive"));
    }

    fn client_acts(&mut self) -> Result<(), Failure> {
        let number = self.rng.below(self.clients.len());
        let weights = self.clients[number].habits.weights;
        match self.clients[number].state {
            State::Away => {
                if self.rng.percent(weights[7]) {
                    let clean = self.rng.percent(self.clients[number].habits.clean);
                    self.connect(number, clean)?;
                }
                Ok(())
            }
            State::Open => self.open_client_acts(number),
            State::Greeting | State::Leaving if self.rng.percent(5) => self.hang_up(number),
            State::Greeting | State::Leaving => Ok(()),
        }
    }

    /// Opens a link and sends CONNECT; a link that the client has is left as it is.
    fn connect(&mut self, number: usize, clean: bool) -> Result<(), Failure> {
        if !self.clients[number].lasts() {
            // What it gives up with its session, the server must not take in later.
            self.hang_up(number)?;
        }
        if let Some(old) = self.clients[number].link {
            // What the server has not read from it yet would be taken in later.
            self.server.settle_workers();
            self.listen()?;
            self.given_up.push(old);
            self.lose(number, Ended::HungUp);
        }
        let clean = self.clients[number].begins_clean(clean);
        let worker = self.rng.below(self.server.universe().workers());
        let link = self.server.universe().open_at(worker);
        self.expected[number] = self.ledger.expected(number, clean);
        self.ledger.connecting(number, clean);
        self.clients[number].connect(link, clean, &mut self.rng, &mut self.ledger);
        let asked = self.clients[number].asked;
        self.note(format_args!(
            "client{number} connects on {link:?}: {asked:?}"
        ));
        Ok(())
    }

    fn hang_up(&mut self, number: usize) -> Result<(), Failure> {
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        self.note(format_args!("client{number} hangs up {link:?}"));
        let greets = self.clients[number].state == State::Greeting;
        self.lose(number, Ended::HungUp);
        let worker = self.server.universe().worker_of(link);
        self.server.universe().hang_up(link);
        if greets {
            // A link on its way home must not get there after the client's next one.
            self.server.settle_workers();
        }
        self.turn(worker, &[])
    }

    /// Links that were given up are closed at last.
    fn close_given_up(&mut self) -> Result<(), Failure> {
        for link in std::mem::take(&mut self.given_up) {
            let worker = self.server.universe().worker_of(link);
            self.server.universe().hang_up(link);
            self.turn(worker, &[])?;
        }
        Ok(())
    }

    fn open_client_acts(&mut self, number: usize) -> Result<(), Failure> {
        let client = &mut self.clients[number];
        let weights = client.habits.weights;
        let groups = client.habits.filters.iter().any(|one| one.starts_with('$'))
            || self
                .plan
                .clients
                .iter()
                .any(|one| one.filters.iter().any(|one| one.starts_with('$')));
        let (rng, ledger) = (&mut self.rng, &mut self.ledger);
        match rng.weighted(&weights[..7]) {
            0 => client.publish(groups, rng, ledger),
            1 => client.subscribe(&self.plan, rng, ledger),
            2 => client.unsubscribe(rng, ledger),
            3 => client.acknowledge(rng.between(1, 5)),
            4 => {
                let ends = client.habits.version.has_properties() && rng.percent(20);
                client.disconnect(ends);
            }
            5 => return self.hang_up(number),
            _ => {
                let clean = rng.percent(client.habits.clean);
                return self.connect(number, clean);
            }
        }
        Ok(())
    }

    /// The disk has room, everybody is back, reads and acknowledges everything; then all that
    /// was promised must be kept.
    pub(super) fn calm_down(&mut self) -> Result<(), Failure> {
        self.note(format_args!("all calms down"));
        self.server.disk.full_after(u64::MAX);
        self.is_full = false;
        self.close_given_up()?;
        // A full disk is tried again only after a while.
        self.server.universe().pass(Duration::from_millis(200));
        self.settle()?;
        if let Some(due) = self.ledger.last_will() {
            self.wait_until(due)?;
        }
        // What was refused for want of room is sent again on another connection (MQTT 3.1.1).
        for _ in 0..3 {
            for number in 0..self.clients.len() {
                if self.clients[number].unanswered() > 0 {
                    self.hang_up(number)?;
                }
                let away = self.clients[number].state == State::Away;
                if away && self.clients[number].has_session {
                    self.connect(number, false)?;
                }
            }
            self.settle()?;
        }
        for client in &mut self.clients {
            ensure!(
                client.state != State::Open || client.unanswered() == 0,
                "{} waits for {} answers",
                client.id,
                client.unanswered()
            );
            client.is_safe_now();
        }
        self.ledger.synced();
        self.ledger.check_owed()?;
        self.check_store()?;
        self.check_retained()
    }

    /// A will may be due in an hour: a while is waited for it, not for ever.
    fn wait_until(&mut self, due: u64) -> Result<(), Failure> {
        let span = due.saturating_sub(self.server.store_clock());
        if span > 0 && self.rng.percent(50) {
            self.server.universe().pass(Duration::from_millis(span));
            self.note(format_args!("{span} ms pass for a will"));
            self.settle()?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), Failure> {
        for _ in 0..PATIENCE {
            let mut busy = false;
            for number in 0..self.clients.len() {
                self.clients[number].acknowledge(usize::MAX);
                let count = self.clients[number].outbox.len();
                if count > 0 {
                    busy = true;
                    self.arrive(number, count);
                }
            }
            self.server.settle();
            self.listen()?;
            if !busy {
                self.server.keep_house();
                self.listen()?;
                return Ok(());
            }
        }
        Err(Failure("the server does not come to rest".into()))
    }
}

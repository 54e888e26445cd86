//! What happens next.

use std::time::Duration;

use super::{Simulation, Way};
use crate::client::State;
use crate::failure::Failure;
use crate::universe::LinkId;

/// Milliseconds that may pass in one go: the server's timers go by tenths of a second.
const SPANS: [u64; 6] = [100, 100, 500, 1_000, 4_000, 31_000];

impl Simulation {
    /// One event, by chance.
    pub(super) fn act(&mut self) -> Result<(), Failure> {
        if self.rng.percent(self.plan.time_passes) {
            let span = Duration::from_millis(self.rng.pick(&SPANS));
            self.universe.pass(span);
            self.note(format_args!("{span:?} pass"));
            return Ok(());
        }
        match self.rng.below(10) {
            0..=4 => self.client_acts(),
            5..=7 => self.bytes_arrive(),
            8 if self.plan.slow_index && self.rng.percent(20) => {
                let worker = self.rng.below(self.universe.workers());
                let batch = self.rng.pick(&[0, 0, 1, 256]);
                self.universe.worker(worker).set_index_batch(batch);
                self.note(format_args!("worker {worker} applies {batch} at once"));
                Ok(())
            }
            _ => {
                let worker = self.rng.below(self.universe.workers());
                let lanes = self.some_lanes(worker);
                self.turn(worker, &lanes).map(|_| ())
            }
        }
    }

    /// Some of the letters that wait for a worker, interleaved by chance.
    fn some_lanes(&mut self, worker: usize) -> Vec<usize> {
        let mut waiting = self.universe.waiting_mail(worker);
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

    fn bytes_arrive(&mut self) -> Result<(), Failure> {
        let waiting: Vec<usize> = (0..self.clients.len())
            .filter(|&number| self.may_arrive(number) > 0)
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let number = self.rng.pick(&waiting);
        let all = self.may_arrive(number);
        let count = if self.rng.percent(70) {
            all
        } else {
            self.rng.between(1, all)
        };
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        let lanes = self.some_lanes(self.universe.worker_of(link));
        self.deliver(number, count, &lanes)
    }

    fn client_acts(&mut self) -> Result<(), Failure> {
        let number = self.rng.below(self.clients.len());
        match self.clients[number].state {
            State::Away => {
                let clean = self.rng.percent(self.plan.clients[number].clean);
                self.connect(number, clean);
                Ok(())
            }
            State::Open => self.open_client_acts(number),
            State::Greeting | State::Leaving if self.rng.percent(5) => self.hang_up(number),
            State::Greeting | State::Leaving => Ok(()),
        }
    }

    /// Opens a link and sends CONNECT; a link that the client has is left as it is.
    pub(super) fn connect(&mut self, number: usize, clean: bool) {
        if let Some(old) = self.clients[number].link {
            self.reference.abandoned(old);
            self.given_up.push(old);
        }
        self.ways[number] = Way::default();
        let worker = self.rng.below(self.universe.workers());
        self.begin();
        let link = self.universe.open_at(worker);
        let asked = self.clients[number].connect(
            link,
            clean,
            &self.plan,
            &mut self.rng,
            &mut self.messages,
        );
        self.note(format_args!(
            "client{number} connects on {link:?}: {asked:?}"
        ));
        self.reference.opened(link, number, asked);
    }

    fn hang_up(&mut self, number: usize) -> Result<(), Failure> {
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        self.note(format_args!("client{number} hangs up {link:?}"));
        self.begin();
        self.reference.abandoned(link);
        self.clients[number].lose_link();
        self.ways[number] = Way::default();
        let worker = self.universe.worker_of(link);
        self.universe.hang_up(link);
        self.turn_now(worker, &[])
    }

    /// Links that were given up are closed at last.
    pub(super) fn close_given_up(&mut self) -> Result<(), Failure> {
        for link in std::mem::take(&mut self.given_up) {
            self.begin();
            let worker = self.universe.worker_of(link);
            self.universe.hang_up(link);
            self.turn_now(worker, &[])?;
        }
        Ok(())
    }

    fn open_client_acts(&mut self, number: usize) -> Result<(), Failure> {
        let client = &mut self.clients[number];
        let weights = client.habits.weights.clone();
        let (plan, rng) = (&self.plan, &mut self.rng);
        let choice = rng.weighted(&[
            weights.publish,
            weights.subscribe,
            weights.unsubscribe,
            weights.disconnect,
            weights.acknowledge,
            weights.ping,
            weights.retry,
            weights.hang_up,
            weights.take_over,
            weights.throttle,
        ]);
        match choice {
            0 => {
                client.publish(plan, rng, &mut self.messages);
            }
            1 => client.subscribe(plan, rng),
            2 => client.unsubscribe(plan, rng),
            3 => client.disconnect(rng),
            4 => {
                let count = rng.between(1, 5);
                client.acknowledge(count);
            }
            5 => client.ping(),
            6 => client.retry(rng, &self.messages),
            7 => return self.hang_up(number),
            8 => {
                let clean = self.rng.percent(self.plan.clients[number].clean);
                self.connect(number, clean);
            }
            _ => return self.throttle(number),
        }
        Ok(())
    }

    /// The link takes nothing, or a little, or all again.
    fn throttle(&mut self, number: usize) -> Result<(), Failure> {
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        let takes = match self.rng.below(3) {
            0 => 0,
            1 => self.rng.between(1, 60),
            _ => usize::MAX,
        };
        self.set_takes(link, takes)
    }

    pub(super) fn set_takes(&mut self, link: LinkId, takes: usize) -> Result<(), Failure> {
        self.note(format_args!("{link:?} takes {takes}"));
        self.begin();
        if takes < usize::MAX {
            self.reference.set_lagging(link, true);
        }
        self.universe.set_takes(link, takes);
        let worker = self.universe.worker_of(link);
        self.turn_now(worker, &[])?;
        if takes == usize::MAX {
            self.reference.set_lagging(link, false);
        }
        Ok(())
    }
}

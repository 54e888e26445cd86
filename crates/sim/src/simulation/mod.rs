//! One run of a seed: clients, a server and the reference, and chance between them.
//!
//! | file | concern |
//! |---|---|
//! | `act` | what happens next |
//! | `quiet` | until nothing happens any more, and what must be true then |

mod act;
mod quiet;

use std::sync::{Arc, Mutex, PoisonError};

use broker::{BrokerConfig, Event, EventSink};
use codec::Frame;

use crate::client::{Client, Heard, State};
use crate::failure::Failure;
use crate::messages::Messages;
use crate::plan::Plan;
use crate::reference::Reference;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::universe::{LinkId, Universe};

/// Keeps what the server tells until the simulation asks.
#[derive(Debug, Default)]
struct Ear(Mutex<Vec<Event>>);

impl EventSink for Ear {
    fn event(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Equal seeds give equal hashes.
    pub hash: u64,
    /// What happened, if it was to be kept.
    pub trace: Vec<String>,
    /// How many messages clients got.
    pub received: usize,
    /// The rule that was broken, if one was.
    pub failure: Option<Failure>,
}

/// The way from a client to the server.
#[derive(Clone, Debug, Default)]
struct Way {
    /// Bytes that reached the server and are no packet yet.
    arrived: Vec<u8>,
    /// Questions that reached the server and are not answered.
    asked: usize,
}

/// One run.
pub struct Simulation {
    plan: Plan,
    rng: Rng,
    universe: Universe,
    ear: Arc<Ear>,
    clients: Vec<Client>,
    messages: Messages,
    reference: Reference,
    trace: Trace,
    received: usize,
    /// For each client, what is on its link to the server.
    ways: Vec<Way>,
    /// Links that clients gave up without closing them.
    given_up: Vec<LinkId>,
}

impl Simulation {
    /// Everything follows from the seed. The trace is kept in words if `keep_trace`.
    pub fn new(seed: u64, keep_trace: bool) -> Self {
        let plan = Plan::new(seed);
        let ear = Arc::new(Ear::default());
        let config = BrokerConfig {
            events: Arc::clone(&ear) as Arc<dyn EventSink>,
            ..plan.config()
        };
        Self {
            rng: Rng::new(!seed),
            universe: Universe::new(config),
            ear,
            clients: (0..plan.clients.len())
                .map(|number| Client::new(number, &plan))
                .collect(),
            messages: Messages::default(),
            reference: Reference::new(&plan),
            trace: Trace::new(keep_trace),
            received: 0,
            ways: vec![Way::default(); plan.clients.len()],
            given_up: Vec::new(),
            plan,
        }
    }

    /// Runs to the end or to the first rule that is broken.
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
        for round in 0..self.plan.rounds {
            for _ in 0..self.plan.events {
                self.act()?;
            }
            self.calm_down(round + 1 == self.plan.rounds)?;
        }
        self.leave_nothing()
    }

    fn note(&mut self, words: std::fmt::Arguments<'_>) {
        self.trace.line(self.universe.now(), words);
    }

    /// Something is about to happen to the server.
    fn begin(&mut self) {
        self.reference.begin_step(self.universe.now());
    }

    /// Something happened to the server: what it says of it, and what clients hear.
    fn observe(&mut self, worker: usize) -> Result<(), Failure> {
        let events =
            std::mem::take(&mut *self.ear.0.lock().unwrap_or_else(PoisonError::into_inner));
        for event in events {
            self.on_event(event)?;
        }
        self.reference.timers_ran(worker, &self.messages);
        for number in 0..self.clients.len() {
            self.listen(number)?;
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        self.note(format_args!("server: {event:?}"));
        let messages = &self.messages;
        match event {
            Event::Connected {
                client,
                peer,
                session_present,
                ..
            } => {
                let link = self.link_of(peer)?;
                let worker = self.universe.worker_of(link);
                let name = client.as_str();
                if let Some(client) = self.clients.iter_mut().find(|one| one.id == name) {
                    client.let_in(link, session_present);
                }
                self.reference
                    .connected(link, worker, session_present, messages)
            }
            Event::Disconnected { peer, reason, .. } => {
                let link = self.link_of(peer)?;
                self.reference.disconnected(link, reason, messages)
            }
            Event::TakenOver { old, .. } => {
                let link = self.link_of(old)?;
                self.reference.taken_over(link);
                Ok(())
            }
            Event::SessionEnded {
                client,
                expired: true,
                ..
            } => {
                let number = self
                    .clients
                    .iter()
                    .position(|one| one.id == client.as_str())
                    .ok_or_else(|| Failure(format!("{client} is nobody")))?;
                self.reference.expired(number, messages)
            }
            Event::SessionEnded { .. }
            | Event::Rejected { .. }
            | Event::Subscribed { .. }
            | Event::Unsubscribed { .. }
            | Event::Reloaded { .. } => Ok(()),
            other => Err(Failure(format!("nothing should cause {other:?}"))),
        }
    }

    fn link_of(&self, peer: types::Peer) -> Result<LinkId, Failure> {
        self.universe
            .link_of(peer)
            .ok_or_else(|| Failure(format!("no link from {peer}")))
    }

    fn listen(&mut self, number: usize) -> Result<(), Failure> {
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        let bytes = self.universe.take_inbox(link);
        if !bytes.is_empty() {
            self.trace.bytes(&bytes);
            let client = &mut self.clients[number];
            let heard = client.listen(&bytes, &self.plan, &mut self.rng, &self.messages)?;
            for heard in heard {
                self.on_heard(number, link, heard)?;
            }
        }
        if self.universe.is_closed(link) {
            self.note(format_args!("client{number}: the server closed {link:?}"));
            self.reference.abandoned(link);
            self.clients[number].lose_link();
            self.ways[number] = Way::default();
        }
        Ok(())
    }

    fn on_heard(&mut self, number: usize, link: LinkId, heard: Heard) -> Result<(), Failure> {
        self.note(format_args!("client{number} hears {heard:?}"));
        match heard {
            Heard::Connected { .. } => Ok(()),
            Heard::Message(told) => {
                self.received += 1;
                self.reference.told(link, &told, &self.messages)
            }
            Heard::Subscribed(id) => {
                self.ways[number].asked -= 1;
                self.reference.subscribed(link, id, &self.messages);
                Ok(())
            }
            Heard::Unsubscribed(id, reasons) => {
                self.ways[number].asked -= 1;
                self.reference.unsubscribed(link, id, &reasons)
            }
        }
    }

    /// The first `count` bytes of what a client has sent reach the server, in a turn that
    /// takes the next letters of these lanes as well.
    fn deliver(&mut self, number: usize, count: usize, lanes: &[usize]) -> Result<(), Failure> {
        let Some(link) = self.clients[number].link else {
            return Ok(());
        };
        self.begin();
        let count = count.min(self.may_arrive(number));
        let bytes: Vec<u8> = self.clients[number].outbox.drain(..count).collect();
        let worker = self.universe.worker_of(link);
        self.universe.arrive(link, &bytes);
        self.hear(number, link, &bytes)?;
        self.turn_now(worker, lanes)
    }

    /// How much of what a client has sent may reach the server. The server keeps what is
    /// behind a question until that is answered; so that it is known when it takes what in,
    /// it comes no earlier, except in runs that are about just this.
    fn may_arrive(&self, number: usize) -> usize {
        let outbox = &self.clients[number].outbox;
        if self.plan.pipelines {
            return outbox.len();
        }
        let way = &self.ways[number];
        if way.asked > 0 {
            return 0;
        }
        let all = [way.arrived.as_slice(), outbox].concat();
        let mut end = 0;
        while let Ok(Frame::Complete {
            first_byte,
            total_len,
            ..
        }) = codec::frame(&all[end..], u32::MAX)
        {
            end += total_len;
            if is_question(first_byte) {
                return end - way.arrived.len();
            }
        }
        outbox.len()
    }

    /// The reference hears what the server hears.
    fn hear(&mut self, number: usize, link: LinkId, bytes: &[u8]) -> Result<(), Failure> {
        let version = self.clients[number].habits.version;
        let mut all = std::mem::take(&mut self.ways[number].arrived);
        all.extend_from_slice(bytes);
        let mut used = 0;
        while let Ok(Frame::Complete {
            first_byte,
            header_len,
            total_len,
        }) = codec::frame(&all[used..], u32::MAX)
        {
            let body = &all[used + header_len..used + total_len];
            let packet = codec::decode(version, first_byte, body)
                .map_err(|error| Failure(format!("a client said nonsense: {error}")))?;
            used += total_len;
            self.trace.line(
                self.universe.now(),
                format_args!("client{number} said {packet:?}"),
            );
            if let codec::Packet::PubAck(ack) | codec::Packet::PubRec(ack) = &packet
                && !self.plan.is_loose()
            {
                self.clients[number].acknowledgement_arrived(ack.packet_id);
            }
            if is_question(first_byte) {
                self.ways[number].asked += 1;
            }
            self.reference.heard(link, &packet, &self.messages)?;
        }
        all.drain(..used);
        self.ways[number].arrived = all;
        Ok(())
    }

    /// One turn of a worker, which takes the next letters of these lanes.
    fn turn(&mut self, worker: usize, lanes: &[usize]) -> Result<bool, Failure> {
        self.begin();
        let busy = self.universe.turn_with(worker, lanes);
        self.observe(worker)?;
        Ok(busy)
    }

    fn turn_now(&mut self, worker: usize, lanes: &[usize]) -> Result<(), Failure> {
        self.universe.turn_with(worker, lanes);
        self.observe(worker)
    }

    /// All letters that wait for a worker, by lane.
    fn all_lanes(&self, worker: usize) -> Vec<usize> {
        let waiting = self.universe.waiting_mail(worker);
        waiting
            .iter()
            .enumerate()
            .flat_map(|(lane, &count)| std::iter::repeat_n(lane, count))
            .collect()
    }

    fn has_link(&self, number: usize) -> bool {
        self.clients[number].state != State::Away
    }
}

/// SUBSCRIBE or UNSUBSCRIBE.
fn is_question(first_byte: u8) -> bool {
    matches!(first_byte >> 4, 8 | 10)
}

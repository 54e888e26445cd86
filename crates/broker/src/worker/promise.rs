//! What waits for the store: acknowledgements, and what must not be sent before it is safe.
//!
//! PUBACK and PUBREC are held back until each worker that is home to a durable recipient has the
//! message safe (MQTT-4.3.2-4); acknowledgements of one connection leave in the order of arrival.
//! A QoS 2 message to a durable session waits behind a gate until its packet identifier is safe,
//! and PUBREL until PUBREC is: a client that forgot an identifier must not see it again.

use std::collections::VecDeque;

use protocol::session::Gate;
use store::{StoreFailed, Wish};
use types::{Action, ConnId, DeliveryNumber, Durability, PacketId, SessionKey, Ticket, Time};

use super::Worker;
use super::errands::Answers;
use crate::conn::Conn;
use crate::errand::{Done, NotDone, Reply};
use crate::event::Event;
use crate::mail::{Mail, Receipt};
use crate::metrics::Counter;

/// What this worker has promised and not kept yet.
#[derive(Default)]
pub(super) struct Promises {
    /// How many workers each hold still waits for, and whose acknowledgement it holds.
    open: Holds,
    /// What the batch of this turn is waited for by.
    in_batch: Vec<(Durability, Waiter)>,
    /// What waits for the operating system, by ticket.
    os: VecDeque<(Ticket, Waiter)>,
    /// What waits for the disk, by ticket.
    disk: VecDeque<(Ticket, Waiter)>,
    dirty: bool,
    failed: bool,
    /// What the control plane waits to hear.
    answers: Answers,
}

#[derive(Debug)]
struct Hold {
    conn: ConnId,
    /// How many acknowledgements to that connection it holds.
    acks: u32,
    waits: u32,
    /// Whether another worker is among those that it waits for.
    remote: bool,
    /// A QoS 2 identifier that is recorded when all of them have answered, before the
    /// acknowledgement.
    received: Option<(SessionKey, PacketId, Durability)>,
}

/// Holds by number. They are opened in sequence and nearly all lifted so: a hold's place follows
/// from its number.
#[derive(Debug, Default)]
struct Holds {
    first: u64,
    ring: VecDeque<Option<Hold>>,
}

impl Holds {
    fn open(&mut self, hold: Hold) -> u64 {
        let ahead = u64::try_from(self.ring.len()).unwrap_or(u64::MAX);
        self.ring.push_back(Some(hold));
        self.first.saturating_add(ahead)
    }

    fn at_mut(&mut self, number: u64) -> Option<&mut Hold> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.ring.get_mut(place)?.as_mut()
    }

    fn remove(&mut self, number: u64) {
        let place = number.checked_sub(self.first);
        if let Some(hold) = place
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| self.ring.get_mut(place))
        {
            *hold = None;
        }
        while self.ring.pop_front_if(|hold| hold.is_none()).is_some() {
            self.first = self.first.saturating_add(1);
        }
    }
}

/// What a ticket is waited for by.
#[derive(Clone, Copy, Debug)]
enum Waiter {
    /// An acknowledgement, here or at another worker.
    Receipt(Receipt),
    /// A PUBLISH or a PUBREL to a session of this worker.
    Gate(SessionKey, PacketId, Option<DeliveryNumber>),
    /// The output of a connection, CONNACK first.
    Output(ConnId),
}

/// An acknowledgement that waits, or that waits behind one.
#[derive(Debug)]
pub(crate) struct HeldAck {
    hold: Option<u64>,
    packet: HeldPacket,
}

/// The bytes of an acknowledgement. Nearly all are short, and so many that memory for each would
/// cost more than the rest.
#[derive(Debug)]
enum HeldPacket {
    Short([u8; SHORT], u8),
    Long(Box<[u8]>),
}

impl HeldPacket {
    fn new(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match (u8::try_from(bytes.len()), short.get_mut(..bytes.len())) {
            (Ok(length), Some(place)) => {
                place.copy_from_slice(bytes);
                Self::Short(short, length)
            }
            _ => Self::Long(Box::from(bytes)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// PUBACK and PUBREC have four bytes without a reason, and six with one.
const SHORT: usize = 14;

impl Worker {
    /// Opens a hold for the acknowledgement of a packet that `conn` sent. The first thing it
    /// waits for is the end of [`Worker::send_or_hold`].
    pub(super) fn open_hold(&mut self, conn: ConnId) -> Option<Receipt> {
        if !self.durable {
            return None;
        }
        let open = Hold {
            conn,
            acks: 1,
            waits: 1,
            remote: false,
            received: None,
        };
        let hold = self.promises.open.open(open);
        Some(Receipt {
            worker: self.id,
            hold,
            begun: None,
        })
    }

    /// The packet is not acknowledged at all.
    pub(super) fn drop_hold(&mut self, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.promises.open.remove(receipt.hold);
        }
    }

    /// One more store has to answer before the hold is lifted.
    pub(super) fn await_receipt(&mut self, receipt: Option<Receipt>) {
        let hold = receipt.and_then(|receipt| self.promises.open.at_mut(receipt.hold));
        if let Some(hold) = hold {
            hold.waits = hold.waits.saturating_add(1);
        }
    }

    /// The same for another worker's part in it.
    pub(super) fn await_remote(&mut self, receipt: Option<Receipt>) {
        let hold = receipt.and_then(|receipt| self.promises.open.at_mut(receipt.hold));
        if let Some(hold) = hold {
            hold.waits = hold.waits.saturating_add(1);
            hold.remote = true;
        }
    }

    /// A share of a message goes to another worker.
    pub(super) fn mark_remote(&mut self, receipt: Option<Receipt>) {
        let receipt = receipt.filter(|receipt| receipt.worker == self.id);
        let hold = receipt.and_then(|receipt| self.promises.open.at_mut(receipt.hold));
        if let Some(hold) = hold {
            hold.remote = true;
        }
    }

    /// Puts the record of a QoS 2 identifier off until all workers have recorded what they owe.
    /// `false` if there is no other worker: then all is in one batch.
    pub(super) fn receive_later(
        &mut self,
        receipt: Receipt,
        received: (SessionKey, PacketId, Durability),
    ) -> bool {
        let (key, id, _) = received;
        match self.promises.open.at_mut(receipt.hold) {
            Some(hold) if hold.remote => {
                hold.received = Some(received);
                if let Some(client) = self.clients.at_mut(key) {
                    client.taking.push((id, receipt.hold));
                }
                true
            }
            _ => false,
        }
    }

    /// The hold of a QoS 2 message that came again while other workers have still to record it:
    /// the answer waits for them too, and goes to the connection that asked last.
    pub(super) fn rejoin(
        &mut self,
        conn: ConnId,
        key: SessionKey,
        id: PacketId,
    ) -> Option<Receipt> {
        let hold = self.clients.at(key)?.hold_of(id)?;
        let open = self.promises.open.at_mut(hold)?;
        open.waits = open.waits.saturating_add(1);
        open.acks = match std::mem::replace(&mut open.conn, conn) == conn {
            true => open.acks.saturating_add(1),
            false => 1,
        };
        Some(Receipt {
            worker: self.id,
            hold,
            begun: None,
        })
    }

    /// The batch of this turn has something in it.
    pub(super) fn mark_batch(&mut self) {
        self.promises.dirty = true;
    }

    /// Answers a receipt when the batch of this turn is as safe as the class says.
    pub(super) fn answer_when_safe(&mut self, receipt: Receipt, class: Durability) {
        self.promises
            .in_batch
            .push((class, Waiter::Receipt(receipt)));
        self.promises.dirty = true;
    }

    /// Opens the gate of a delivery when the batch of this turn is as safe as the class says.
    pub(super) fn open_gate_when_safe(
        &mut self,
        key: SessionKey,
        id: PacketId,
        number: Option<DeliveryNumber>,
        class: Durability,
    ) {
        let gate = Waiter::Gate(key, id, number);
        self.promises.in_batch.push((class, gate));
        self.promises.dirty = true;
    }

    /// Lets the output of a connection go when the batch of this turn is safe.
    pub(super) fn uncork_when_safe(&mut self, id: ConnId) {
        let class = self.shared.config.durability.strongest();
        self.promises.in_batch.push((class, Waiter::Output(id)));
        self.promises.dirty = true;
    }

    /// There is nothing to wait for here.
    pub(super) fn settle_receipt(&mut self, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.answer(receipt);
        }
    }

    /// Whether as many acknowledgements of a connection wait for the store as it may have
    /// messages unacknowledged: a slow store slows publishers down.
    pub(super) fn holds_enough(&self, conn: ConnId) -> bool {
        self.durable
            && self
                .conns
                .at(conn)
                .and_then(Conn::open)
                .and_then(|open| open.held.as_ref())
                .is_some_and(|held| held.len() >= usize::from(self.limits.receive_maximum))
    }

    fn answer(&mut self, receipt: Receipt) {
        if receipt.worker == self.id {
            self.lift(receipt.hold);
        } else {
            let mail = Mail::Safe(receipt.hold);
            self.actions.push_back(Action::Mail {
                to: receipt.worker,
                mail,
            });
        }
    }

    /// Sends an acknowledgement as soon as its hold is lifted and all before it are sent. It is
    /// the last thing that was written to the connection, from `from` on.
    pub(super) fn send_or_hold(&mut self, id: ConnId, receipt: Option<Receipt>, from: usize) {
        let Some(receipt) = receipt else { return };
        let waits = self.settle_hold(receipt.hold);
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let Some(open) = conn.open_mut() else { return };
        let held = open.held.as_ref().is_some_and(|held| !held.is_empty());
        if !waits && !held {
            return;
        }
        let packet = HeldPacket::new(conn.output.take_back(from).as_slice());
        if let Some(open) = conn.open_mut() {
            let hold = waits.then_some(receipt.hold);
            open.held
                .get_or_insert_with(VecDeque::new)
                .push_back(HeldAck { hold, packet });
        }
    }

    /// All that a hold could wait for has begun. Whether it waits for something.
    #[inline]
    pub(super) fn settle_hold(&mut self, hold: u64) -> bool {
        let mut waits = 0;
        if let Some(open) = self.promises.open.at_mut(hold) {
            open.waits = open.waits.saturating_sub(1);
            waits = open.waits;
        }
        if waits == 0 {
            self.promises.open.remove(hold);
        }
        waits > 0
    }

    /// Answers the control plane when the hold is lifted.
    pub(super) fn keep_answer(&mut self, hold: u64, answer: (Reply, Done)) {
        if self.promises.failed {
            return answer.0(Err(NotDone::Failed));
        }
        self.promises.answers.insert(hold, answer);
    }

    /// Holds what was written to a connection from `from` on until the batch of this turn is
    /// safe: it tells the client that something is kept which outlives the connection.
    pub(super) fn hold_until_safe(&mut self, id: ConnId, from: usize) {
        let class = self.shared.config.durability.strongest();
        if let Some(receipt) = self.open_hold(id) {
            self.await_receipt(Some(receipt));
            self.answer_when_safe(receipt, class);
            self.send_or_hold(id, Some(receipt), from);
        }
    }

    /// One store has answered.
    pub(super) fn lift(&mut self, hold: u64) {
        let Some(open) = self.promises.open.at_mut(hold) else {
            return;
        };
        open.waits = open.waits.saturating_sub(1);
        if open.waits > 0 {
            return;
        }
        let (conn, acks) = (open.conn, open.acks);
        if let Some((key, id, class)) = open.received.take() {
            if let Some(client) = self.clients.at_mut(key) {
                client.taking.retain(|(_, other)| *other != hold);
            }
            let receipt = Receipt {
                worker: self.id,
                hold,
                begun: None,
            };
            if self.record_received_now(key, id, class, receipt) {
                return;
            }
        }
        self.promises.open.remove(hold);
        self.release_held(conn, hold, acks);
    }

    fn release_held(&mut self, id: ConnId, lifted: u64, acks: u32) {
        let Some(conn) = self.conns.at_mut(id) else {
            // It is the control plane that waits, or nobody any more.
            if let Some((reply, done)) = self.promises.answers.remove(&lifted) {
                reply(Ok(done));
            }
            return;
        };
        let Some(mut held) = conn.open_mut().and_then(|open| open.held.take()) else {
            return;
        };
        // Most often it is one, and the first.
        for _ in 0..acks {
            if let Some(ack) = held.iter_mut().find(|ack| ack.hold == Some(lifted)) {
                ack.hold = None;
            }
        }
        let mut sent = false;
        while held.front().is_some_and(|ack| ack.hold.is_none()) {
            let Some(ack) = held.pop_front() else { break };
            conn.output
                .buffer(&mut self.pool)
                .extend_from_slice(ack.packet.bytes());
            sent = true;
        }
        if let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut)
            && !held.is_empty()
        {
            open.held = Some(held);
        }
        if sent {
            self.touch(id);
        }
    }

    /// What a gate held back is safe now.
    fn pass_gate(
        &mut self,
        key: SessionKey,
        id: PacketId,
        number: Option<DeliveryNumber>,
        now: Time,
    ) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let conn = client.conn;
        match (client.session.open_gate(id, number), conn) {
            (Gate::Publish(outbound), Some(conn)) => {
                self.send_held(key, conn, id, &outbound, now);
            }
            (Gate::Pubrel, Some(conn)) => self.write_pubrel(conn, id),
            // Somebody else sends it: the resend of a later connection.
            (Gate::Publish(_) | Gate::Pubrel, None) | (Gate::NotDue, _) => {}
        }
        self.pump(key, now);
    }

    /// Closes this turn's batch and lets go what has become safe.
    pub(super) fn commit_records(&mut self, now: Time) {
        if !self.durable {
            return;
        }
        while std::mem::take(&mut self.promises.dirty) {
            self.commit_batch();
        }
        match self.store.progress() {
            Ok(progress) => {
                self.keep_promises(|promises| &mut promises.os, progress.written, now);
                self.keep_promises(|promises| &mut promises.disk, progress.synced, now);
                let class = self.shared.config.durability.strongest();
                self.forget_ends(match class {
                    Durability::Memory | Durability::Os => progress.written,
                    Durability::Disk => progress.synced,
                });
                // Gates that opened may have sent more, which is recorded.
                while std::mem::take(&mut self.promises.dirty) {
                    self.commit_batch();
                }
            }
            Err(StoreFailed) => {
                if !std::mem::replace(&mut self.promises.failed, true) {
                    self.count(Counter::StoreFailures, 1);
                    self.event(Event::StoreFailed { worker: self.id });
                    for (reply, _) in std::mem::take(&mut self.promises.answers).into_values() {
                        reply(Err(NotDone::Failed));
                    }
                }
            }
        }
    }

    fn commit_batch(&mut self) {
        let strongest = self.promises.in_batch.iter().map(|(class, _)| *class).max();
        let wish = match strongest {
            None | Some(Durability::Memory) => Wish::Lazy,
            Some(Durability::Os) => Wish::Written,
            Some(Durability::Disk) => Wish::Synced,
        };
        let waits_for_os = |(class, _): &(Durability, Waiter)| *class < Durability::Disk;
        let ticket = if wish == Wish::Synced && self.promises.in_batch.iter().any(waits_for_os) {
            // The store tells of one wish for each batch: those whose class is `os` must not wait
            // for the disk. The second is empty.
            let ticket = self.store.commit(Wish::Written);
            self.store.commit(wish);
            ticket
        } else {
            self.store.commit(wish)
        };
        self.hand_over_ends(ticket);
        let Promises {
            in_batch, os, disk, ..
        } = &mut self.promises;
        let mut recorded = Vec::new();
        for (class, waiter) in in_batch.drain(..) {
            if let Waiter::Receipt(receipt) = waiter
                && receipt.begun.is_some()
            {
                recorded.push(receipt);
                continue;
            }
            match class {
                Durability::Memory | Durability::Os => os.push_back((ticket, waiter)),
                Durability::Disk => disk.push_back((ticket, waiter)),
            }
        }
        for receipt in recorded {
            self.answer(receipt);
        }
    }

    fn keep_promises(
        &mut self,
        of: impl Fn(&mut Promises) -> &mut VecDeque<(Ticket, Waiter)>,
        safe: Ticket,
        now: Time,
    ) {
        while let Some((_, waiter)) = of(&mut self.promises).pop_front_if(|(at, _)| *at <= safe) {
            match waiter {
                Waiter::Receipt(receipt) => self.answer(receipt),
                Waiter::Gate(key, id, number) => self.pass_gate(key, id, number, now),
                Waiter::Output(conn) => self.uncork(conn),
            }
        }
    }

    /// Whether the store has failed, so that nothing more can be promised.
    pub(super) fn store_failed(&self) -> bool {
        self.promises.failed
    }
}

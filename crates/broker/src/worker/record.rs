//! What goes to the store, and what waits for it.
//!
//! With a store of class `memory` nothing here does anything. Otherwise PUBACK and PUBREC are
//! held back until each worker that is home to a durable recipient has the message safe
//! (MQTT-4.3.2-4); acknowledgements of one connection leave in the order of arrival.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::session::subscriptions::Subscription;
use store::{Record, Settled, StoreFailed};
use types::{Action, ConnId, Message, PacketId, QoS, SessionKey, SubscriptionFilter, Ticket};

use super::Worker;
use super::publish::Fanout;
use crate::client::Client;
use crate::conn::Conn;
use crate::event::Event;
use crate::mail::{Mail, Receipt};
use crate::metrics::Counter;

/// Acknowledgements that wait, by worker.
#[derive(Debug, Default)]
pub(super) struct Promises {
    next: u64,
    /// How many stores each hold still waits for, and whose acknowledgement it holds.
    open: hashbrown::HashMap<u64, Hold, foldhash::fast::FixedState>,
    /// Receipts whose record is in the batch of this turn.
    in_batch: Vec<Receipt>,
    /// Receipts whose batch is committed, by ticket.
    committed: VecDeque<(Ticket, Receipt)>,
    dirty: bool,
    failed: bool,
    /// The durable sessions that the message at hand is owed to.
    pub(super) recipients: Vec<(SessionKey, QoS)>,
}

#[derive(Debug)]
struct Hold {
    conn: ConnId,
    waits: u32,
}

/// An acknowledgement that waits, or that waits behind one.
#[derive(Debug)]
pub(crate) struct HeldAck {
    hold: Option<u64>,
    packet: Vec<u8>,
}

impl Worker {
    /// Tells the store, if it wants to know.
    #[inline]
    pub(super) fn record(&mut self, record: Record<'_>) {
        if self.durable {
            self.store.append(record);
            self.promises.dirty = true;
        }
    }

    /// A message is about to be delivered here; its durable recipients are written down.
    pub(super) fn begin_record(&mut self) {
        self.promises.recipients.clear();
    }

    /// Whether the message at hand has durable recipients here.
    pub(super) fn owes_record(&self) -> bool {
        !self.promises.recipients.is_empty()
    }

    /// Writes a recipient down, if it is durable.
    pub(super) fn owe_record(&mut self, key: SessionKey, qos: QoS) {
        if qos != QoS::AtMostOnce && self.keeps(key) {
            self.promises.recipients.push((key, qos));
        }
    }

    /// A QoS 2 identifier is known from now on; PUBREC waits until that is safe, if the
    /// session outlives its connection.
    pub(super) fn record_received(
        &mut self,
        session: SessionKey,
        id: PacketId,
        receipt: Option<Receipt>,
    ) {
        if let Some(receipt) = receipt.filter(|_| self.keeps(session)) {
            self.record(Record::Received { session, id });
            self.await_receipt(Some(receipt));
            self.promises.in_batch.push(receipt);
        }
    }

    /// A retained message has changed; the acknowledgement waits until that is safe.
    pub(super) fn record_retained(&mut self, fanout: &mut Fanout<'_>, sequence: u64) {
        if !self.durable {
            return;
        }
        let message = Arc::clone(fanout.message());
        self.record(Record::Retained {
            message: &message,
            sequence,
        });
        if let Some(receipt) = fanout.receipt {
            self.await_receipt(Some(receipt));
            self.promises.in_batch.push(receipt);
        }
    }

    /// A message will not be recorded: whoever waits for it need not.
    pub(super) fn settle_receipt(&mut self, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.answer(receipt);
        }
    }

    /// The message is not acknowledged at all.
    pub(super) fn drop_hold(&mut self, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.promises.open.remove(&receipt.hold);
        }
    }

    /// Opens a hold for the acknowledgement of a message that `conn` published. The first
    /// thing it waits for is the end of [`Worker::send_or_hold`].
    pub(super) fn open_hold(&mut self, conn: ConnId) -> Option<Receipt> {
        if !self.durable {
            return None;
        }
        let hold = self.promises.next;
        self.promises.next = hold.wrapping_add(1);
        self.promises.open.insert(hold, Hold { conn, waits: 1 });
        Some(Receipt {
            worker: self.id,
            hold,
        })
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

    /// One more store has to answer before the hold is lifted.
    pub(super) fn await_receipt(&mut self, receipt: Option<Receipt>) {
        let hold = receipt.and_then(|receipt| self.promises.open.get_mut(&receipt.hold));
        if let Some(hold) = hold {
            hold.waits = hold.waits.saturating_add(1);
        }
    }

    /// Records a message for the recipients written down since [`Worker::begin_record`], and
    /// answers the receipt when that is safe; at once if there is none.
    pub(super) fn record_message(&mut self, message: &Message, receipt: Option<Receipt>) {
        if !self.durable {
            return;
        }
        let recipients = std::mem::take(&mut self.promises.recipients);
        if !recipients.is_empty() {
            self.record(Record::Message {
                message,
                recipients: &recipients,
            });
        }
        let recorded = !recipients.is_empty();
        self.promises.recipients = recipients;
        if let Some(receipt) = receipt {
            if recorded {
                self.promises.in_batch.push(receipt);
            } else {
                self.answer(receipt);
            }
        }
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

    /// Sends an acknowledgement as soon as its hold is lifted and all before it are sent.
    pub(super) fn send_or_hold(&mut self, id: ConnId, receipt: Option<Receipt>, from: usize) {
        let Some(receipt) = receipt else { return };
        let mut waits = 0;
        if let Some(hold) = self.promises.open.get_mut(&receipt.hold) {
            hold.waits = hold.waits.saturating_sub(1);
            waits = hold.waits;
        }
        if waits == 0 {
            self.promises.open.remove(&receipt.hold);
        }
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let Some(open) = conn.open_mut() else { return };
        let held = open.held.as_ref().is_some_and(|held| !held.is_empty());
        if waits == 0 && !held {
            return;
        }
        // The acknowledgement is the last thing that was written: take it back.
        let packet = conn.output.take_back(from);
        if let Some(open) = conn.open_mut() {
            let hold = (waits > 0).then_some(receipt.hold);
            open.held
                .get_or_insert_with(VecDeque::new)
                .push_back(HeldAck { hold, packet });
        }
    }

    /// One store has answered.
    pub(super) fn lift(&mut self, hold: u64) {
        let Some(open) = self.promises.open.get_mut(&hold) else {
            return;
        };
        open.waits = open.waits.saturating_sub(1);
        if open.waits > 0 {
            return;
        }
        let conn = open.conn;
        self.promises.open.remove(&hold);
        self.release_held(conn, hold);
    }

    fn release_held(&mut self, id: ConnId, lifted: u64) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let Some(mut held) = conn.open_mut().and_then(|open| open.held.take()) else {
            return;
        };
        for ack in &mut held {
            if ack.hold == Some(lifted) {
                ack.hold = None;
            }
        }
        let mut sent = false;
        while held.front().is_some_and(|ack| ack.hold.is_none()) {
            let Some(ack) = held.pop_front() else { break };
            conn.output
                .buffer(&mut self.pool)
                .extend_from_slice(&ack.packet);
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

    /// A message on its way to a durable session went one step on. Such records need no
    /// promise: losing one only sends a QoS 1 message again.
    pub(super) fn record_settled(&mut self, session: SessionKey, id: PacketId, step: Settled) {
        if self.keeps(session) {
            self.record(Record::Settled { session, id, step });
        }
    }

    /// A publisher released a QoS 2 identifier.
    pub(super) fn record_released(&mut self, session: SessionKey, id: PacketId) {
        if self.keeps(session) {
            self.record(Record::Released { session, id });
        }
    }

    /// A session that outlives its connection began or was resumed, or its expiry changed.
    pub(super) fn record_session(&mut self, session: SessionKey) {
        let Some(client) = self.clients.at_mut(session) else {
            return;
        };
        if self.durable && (client.keeps() || client.recorded) {
            client.recorded = true;
            let (client, expiry) = (client.id.clone(), client.expiry);
            self.record(Record::Session {
                session,
                client: &client,
                expiry,
            });
        }
    }

    /// A session is gone.
    pub(super) fn record_session_ended(&mut self, session: SessionKey, client: &Client) {
        if client.recorded {
            self.record(Record::SessionEnded { session });
        }
    }

    pub(super) fn record_subscribed(
        &mut self,
        session: SessionKey,
        filter: &SubscriptionFilter,
        subscription: Subscription,
    ) {
        if self.keeps(session) {
            let Subscription { options, id } = subscription;
            self.record(Record::Subscribed {
                session,
                filter,
                options,
                id,
            });
        }
    }

    pub(super) fn record_unsubscribed(&mut self, session: SessionKey, filter: &SubscriptionFilter) {
        if self.keeps(session) {
            self.record(Record::Unsubscribed { session, filter });
        }
    }

    /// Whether a session's records are wanted.
    fn keeps(&self, session: SessionKey) -> bool {
        self.durable && self.clients.at(session).is_some_and(Client::keeps)
    }

    /// Closes this turn's batch and lets go what has become safe.
    pub(super) fn commit_records(&mut self) {
        if !self.durable {
            return;
        }
        if std::mem::take(&mut self.promises.dirty) {
            let ticket = self.store.commit();
            let receipts = std::mem::take(&mut self.promises.in_batch);
            self.promises
                .committed
                .extend(receipts.into_iter().map(|receipt| (ticket, receipt)));
        }
        match self.store.safe() {
            Ok(safe) => {
                while let Some((ticket, receipt)) = self.promises.committed.front().copied()
                    && safe.is_some_and(|safe| ticket <= safe)
                {
                    self.promises.committed.pop_front();
                    self.answer(receipt);
                }
            }
            Err(StoreFailed) => {
                if !std::mem::replace(&mut self.promises.failed, true) {
                    self.count(Counter::StoreFailures, 1);
                    self.event(Event::StoreFailed { worker: self.id });
                }
            }
        }
    }

    /// Whether the store of this worker has failed, so that nothing more can be promised.
    pub(super) fn store_failed(&self) -> bool {
        self.promises.failed
    }
}

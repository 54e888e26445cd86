//! What goes to the store. Without one nothing here does anything.
//!
//! A message that durable sessions are owed is handed over once and referred to by its
//! [`types::MessageRef`]; each session numbers what is owed to it, and names it by that number
//! until it is settled.

use std::sync::Arc;

use protocol::Outbound;
use protocol::session::subscriptions::Subscription;
use store::{Delivery, Record, Settled, WillParts};
use types::{
    Body, DeliveryNumber, Durability, Message, MessageRef, PacketId, QoS, SessionKey,
    StoredSession, SubscriptionFilter, Time,
};

use super::Worker;
use super::publish::Fanout;
use crate::client::Client;
use crate::conn::Will;
use crate::mail::{Begun, Receipt};
use crate::retained::{Kept, Publisher};

/// What is collected while one message is delivered.
#[derive(Debug, Default)]
pub(super) struct Owing {
    /// The durable sessions here that the message is owed to.
    pub(super) deliveries: Vec<Delivery>,
    /// What had to go for it: settled after it is recorded, for it may be the message itself.
    pub(super) lost: Vec<(StoredSession, DeliveryNumber)>,
    /// PUBLISH packets that wait until their identifiers are safe.
    pub(super) gates: Vec<(SessionKey, PacketId, DeliveryNumber)>,
}

impl Worker {
    /// Tells the store, if it wants to know.
    #[inline]
    pub(super) fn record(&mut self, record: Record<'_>) {
        if self.durable {
            self.store.append(record);
            self.mark_batch();
        }
    }

    /// The reference of a message, which is handed to the store if it has none.
    pub(super) fn keep(&mut self, message: &Message, now: Time) -> MessageRef {
        message.reference_or(|| self.store.keep(message, now))
    }

    /// The same for the message at hand.
    pub(super) fn keep_fanout(&mut self, fanout: &mut Fanout<'_>) {
        let here = self.id;
        // Retained, or on its way to others, it is known by its reference before the commit.
        let private = !fanout.parts.retain
            && fanout.route.groups().is_empty()
            && fanout.route.workers().all(|worker| worker == here);
        let now = fanout.now;
        let message = fanout.message();
        if private {
            message.reference_or(|| self.store.keep_here(message, now));
        } else {
            self.keep(message, now);
        }
    }

    /// A message is about to be delivered here; what it is owed to is collected.
    pub(super) fn begin_record(&mut self) {
        self.owing.deliveries.clear();
    }

    /// Whether the message at hand is owed to anybody here.
    pub(super) fn owes_record(&self) -> bool {
        !self.owing.deliveries.is_empty()
    }

    /// Records what was collected since [`Worker::begin_record`], and answers the receipt when
    /// that is safe; at once if there is nothing.
    /// `group` chose the only one.
    pub(super) fn record_owed(
        &mut self,
        message: &Message,
        receipt: Option<Receipt>,
        group: Option<&SubscriptionFilter>,
        now: Time,
    ) {
        if !self.durable {
            return;
        }
        if !self.owes_record() {
            self.settle_receipt(receipt);
            return self.record_lost();
        }
        let class = message.durability();
        let reference = self.keep(message, now);
        let deliveries = std::mem::take(&mut self.owing.deliveries);
        self.record(Record::Owed {
            message: reference,
            deliveries: &deliveries,
        });
        if let Some(begun) = receipt.and_then(|receipt| receipt.begun) {
            self.record_begun(begun, &deliveries, group);
        }
        self.owing.deliveries = deliveries;
        while let Some((key, id, number)) = self.owing.gates.pop() {
            self.open_gate_when_safe(key, id, Some(number), class);
        }
        if let Some(receipt) = receipt {
            self.answer_when_safe(receipt, class);
        }
        self.record_lost();
    }

    fn record_begun(
        &mut self,
        begun: Begun,
        deliveries: &[Delivery],
        group: Option<&SubscriptionFilter>,
    ) {
        let Begun { session, id } = begun;
        match group {
            Some(group) => self.record(Record::BegunInGroup { session, id, group }),
            None => {
                let owed: Vec<StoredSession> = deliveries.iter().map(|one| one.session).collect();
                let owed = &owed;
                self.record(Record::Begun { session, id, owed });
            }
        }
    }

    /// Settles what had to go.
    pub(super) fn record_lost(&mut self) {
        let mut lost = std::mem::take(&mut self.owing.lost);
        for (session, number) in lost.drain(..) {
            self.record(Record::Settled {
                session,
                number,
                step: Settled::Done,
            });
        }
        self.owing.lost = lost;
    }

    /// A delivery is over. Such records need no promise: losing one only sends a QoS 1 message
    /// again.
    pub(super) fn record_done(&mut self, key: SessionKey, number: Option<DeliveryNumber>) {
        self.record_settled(key, number, Settled::Done);
    }

    pub(super) fn record_settled(
        &mut self,
        key: SessionKey,
        number: Option<DeliveryNumber>,
        step: Settled,
    ) {
        if let Some(session) = self.stored(key)
            && let Some(number) = number
        {
            self.record(Record::Settled {
                session,
                number,
                step,
            });
        }
    }

    /// A message that waited is about to be sent with this identifier.
    pub(super) fn record_sent(&mut self, key: SessionKey, id: PacketId, outbound: &Outbound) {
        if let Some(session) = self.stored(key)
            && let Some(number) = outbound.number
        {
            self.record(Record::Sent {
                session,
                number,
                id,
            });
        }
    }

    /// A QoS 2 identifier is known from now on; PUBREC waits until that is safe, if the session
    /// outlives its connection.
    pub(super) fn record_received(
        &mut self,
        key: SessionKey,
        id: PacketId,
        class: Durability,
        receipt: Option<Receipt>,
    ) {
        if let Some(receipt) = receipt
            && class.is_stored()
            && !self.receive_later(receipt, (key, id, class))
        {
            let receipt = Receipt {
                begun: None,
                ..receipt
            };
            self.record_received_now(key, id, class, receipt);
        }
    }

    /// The same at once. Whether there is something to wait for.
    pub(super) fn record_received_now(
        &mut self,
        key: SessionKey,
        id: PacketId,
        class: Durability,
        receipt: Receipt,
    ) -> bool {
        let Some(session) = self.keeping(key) else {
            return false;
        };
        self.record(Record::Received { session, id });
        self.await_receipt(Some(receipt));
        self.answer_when_safe(receipt, class);
        true
    }

    /// What workers say of a QoS 2 message that they record one by one; `None` if one batch has
    /// it all.
    pub(super) fn begun(
        &self,
        key: SessionKey,
        id: Option<PacketId>,
        class: Durability,
    ) -> Option<Begun> {
        let session = self.keeping(key).filter(|_| class.is_stored())?;
        Some(Begun { session, id: id? })
    }

    /// A publisher released a QoS 2 identifier.
    pub(super) fn record_released(&mut self, key: SessionKey, id: PacketId) {
        if let Some(session) = self.stored(key) {
            self.record(Record::Released { session, id });
        }
    }

    /// A retained message has changed, which was `before`; the acknowledgement waits until that is
    /// safe. What is not stored only takes away what is: nobody waits for that.
    pub(super) fn record_retained(
        &mut self,
        fanout: &mut Fanout<'_>,
        sequence: u64,
        before: Option<Kept>,
    ) {
        let class = fanout.parts.durability;
        let was_stored = before.is_some_and(|before| before.body.reference().is_some());
        if !self.durable || !class.is_stored() && !was_stored {
            return;
        }
        let topic = Arc::clone(fanout.route.topic());
        if fanout.parts.payload.is_empty() || !class.is_stored() {
            self.record(Record::Cleared {
                topic: &topic,
                sequence,
            });
        } else {
            let message = Arc::clone(fanout.message());
            let message = self.keep(&message, fanout.now);
            let publisher = self.publisher_of(fanout);
            self.record(Record::Retained {
                message,
                topic: &topic,
                sequence,
                publisher: publisher.as_deref().map(Publisher::as_record),
            });
        }
        if let Some(receipt) = fanout.receipt.filter(|_| class.is_stored()) {
            self.await_receipt(Some(receipt));
            self.answer_when_safe(receipt, class);
        }
    }

    /// A session that outlives its connection began or was resumed, or its expiry changed.
    pub(super) fn record_session(&mut self, key: SessionKey, will: Option<&Will>) {
        if !self.durable {
            return;
        }
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        if client.stored.is_none() && client.keeps() {
            client.stored = Some(self.store.new_session());
        }
        let Some(session) = client.stored else { return };
        let (id, identity, expiry) = (client.id.clone(), client.identity.clone(), client.expiry);
        self.record(Record::Session {
            session,
            client: &id,
            user: identity.user(),
            expiry,
            will: will.map(will_parts),
        });
    }

    /// A session's client is away, or its will is published.
    pub(super) fn record_away(&mut self, key: SessionKey) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let Some(session) = client.stored else { return };
        let ends = client.ends.filter(|&at| at < Time::MAX);
        let will = client.will.as_ref().map(|(due, _)| *due);
        self.record(Record::Away {
            session,
            ends,
            will,
        });
    }

    /// A session is gone.
    pub(super) fn record_session_ended(&mut self, client: &Client) {
        if let Some(session) = client.stored {
            self.record(Record::SessionEnded { session });
            self.note_end(&client.id);
        }
    }

    pub(super) fn record_subscribed(
        &mut self,
        key: SessionKey,
        filter: &SubscriptionFilter,
        subscription: Subscription,
    ) {
        if let Some(session) = self.keeping(key) {
            let Subscription { options, id } = subscription;
            self.record(Record::Subscribed {
                session,
                filter,
                options,
                id,
            });
        }
    }

    pub(super) fn record_unsubscribed(&mut self, key: SessionKey, filter: &SubscriptionFilter) {
        if let Some(session) = self.stored(key) {
            self.record(Record::Unsubscribed { session, filter });
        }
    }

    /// A message leaves one member of a group for another. Whether that is recorded.
    pub(super) fn record_passed(
        &mut self,
        key: SessionKey,
        group: &SubscriptionFilter,
        number: Option<DeliveryNumber>,
        body: &Body,
    ) -> bool {
        let (Some(_), Some(message)) = (number, body.reference()) else {
            return false;
        };
        self.record(Record::Passed { message, group });
        self.record_done(key, number);
        true
    }

    /// A message that left one member of a group is with another, or with nobody.
    pub(super) fn record_arrived(
        &mut self,
        message: Option<MessageRef>,
        group: &SubscriptionFilter,
    ) {
        if let Some(message) = message {
            self.record(Record::Arrived { message, group });
        }
    }

    /// The session's number in the store, if it is there.
    pub(super) fn stored(&self, key: SessionKey) -> Option<StoredSession> {
        self.clients.at(key).and_then(|client| client.stored)
    }

    /// The same, if what happens from now on is to be kept.
    fn keeping(&self, key: SessionKey) -> Option<StoredSession> {
        self.clients
            .at(key)
            .filter(|client| client.keeps())
            .and_then(|client| client.stored)
    }
}

/// What a delivery to a durable session is recorded as, if its message is to be stored.
pub(super) fn owe(
    client: &mut Client,
    class: Durability,
    qos: QoS,
) -> Option<(StoredSession, DeliveryNumber)> {
    let session = client.stored?;
    if qos == QoS::AtMostOnce || !class.is_stored() || !client.keeps() {
        return None;
    }
    let number = client.next_delivery;
    client.next_delivery = number.next();
    Some((session, number))
}

/// The record of a delivery.
pub(super) fn delivery(
    (session, number): (StoredSession, DeliveryNumber),
    outbound: &Outbound,
    packet_id: Option<PacketId>,
) -> Delivery {
    Delivery {
        session,
        number,
        qos: outbound.qos,
        retain: outbound.retain,
        packet_id,
        ids: (!outbound.matched.ids().is_empty()).then(|| outbound.matched.ids().into()),
        share: outbound.matched.share().cloned(),
    }
}

fn will_parts(will: &Will) -> WillParts<'_> {
    WillParts {
        topic: &will.topic,
        properties: &will.properties,
        payload: &will.payload,
        qos: will.qos,
        retain: will.retain,
        delay: will.delay,
        message_expiry: will.message_expiry,
        durability: will.durability,
    }
}

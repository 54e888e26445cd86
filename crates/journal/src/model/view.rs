//! The model from outside, for checkpoints and exports.

use std::sync::Arc;

use store::{Publisher, RecoveredBegun};
use types::{DeliveryNumber, MessageRef, PacketId, StoredSession, SubscriptionFilter};

use super::messages::Known;
use super::queue::Entry;
use super::session::{Session, Subscription};
use super::{Model, RETAIN, qos};
use crate::record::{DeliveryItem, QueueEntry, SessionStateParts};

/// One session.
#[derive(Clone, Copy)]
pub(crate) struct SessionView<'a> {
    number: StoredSession,
    session: &'a Session,
    model: &'a Model,
}

impl<'a> SessionView<'a> {
    pub(crate) fn state(self) -> SessionStateParts<'a> {
        self.session.state(self.number)
    }

    pub(crate) fn subscriptions(self) -> &'a [Subscription] {
        self.session.details.subscriptions()
    }

    /// QoS 2 messages of the client that are not received as a whole, and those that have them
    /// already.
    pub(crate) fn begun(self) -> &'a [(PacketId, RecoveredBegun)] {
        self.session.details.begun()
    }

    /// The highest number of a delivery that was dropped in this run because it expired.
    pub(crate) fn last_expired(self) -> Option<DeliveryNumber> {
        self.session.last_expired()
    }

    /// How many deliveries wait.
    pub(crate) fn queued(self) -> usize {
        self.session.queue.len()
    }

    /// The deliveries, in order.
    pub(crate) fn queue(self) -> impl Iterator<Item = QueueEntry<'a>> {
        let entries = self.session.queue.iter();
        entries.filter_map(move |entry| self.queued_entry(entry))
    }

    fn queued_entry(self, entry: &Entry) -> Option<QueueEntry<'a>> {
        Some(QueueEntry {
            message: Some(MessageRef(entry.message)).filter(|message| message.0 != 0),
            delivery: DeliveryItem {
                session: self.number,
                number: DeliveryNumber::new(entry.number())?,
                qos: qos(entry.flags),
                retain: entry.flags & RETAIN != 0,
                packet_id: PacketId::new(entry.packet_id),
                extra: self.model.extras.extra(entry.extra),
            },
        })
    }
}

impl Model {
    /// The numbers of all sessions, in no order.
    pub(crate) fn session_numbers(&self) -> Vec<u64> {
        self.sessions.keys().copied().collect()
    }

    pub(crate) fn session(&self, number: u64) -> Option<SessionView<'_>> {
        Some(SessionView {
            number: StoredSession(number),
            session: self.sessions.get(&number)?,
            model: self,
        })
    }

    /// The topics that have a retained message, or had one lately, in no order.
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        self.retained.keys().cloned().collect()
    }

    /// The retained message of a topic (`None` inside: cleared lately), its sequence, and who
    /// published it.
    pub(crate) fn retained(
        &self,
        topic: &str,
    ) -> Option<(Option<MessageRef>, u64, Option<Publisher<'_>>)> {
        let known = self.retained.get(topic)?;
        let message = Some(MessageRef(known.message)).filter(|message| message.0 != 0);
        let publisher = known.publisher.as_ref();
        let publisher = publisher.map(|publisher| publisher.as_record());
        Some((message, known.sequence, publisher))
    }

    /// The messages on their way, in no order.
    pub(crate) fn passing(&self) -> Vec<u64> {
        self.passed.keys().copied().collect()
    }

    /// The groups that a message is on its way in.
    pub(crate) fn groups(&self, message: u64) -> &[SubscriptionFilter] {
        self.passed.get(&message).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn known(&self, message: MessageRef) -> Option<Known> {
        self.messages.known(message.0)
    }

    /// The messages that lie in segments before `first`, in no order.
    pub(crate) fn messages_before(&self, first: u64) -> Vec<MessageRef> {
        self.messages.before(first)
    }

    /// The messages that lie in a segment, in no order.
    pub(crate) fn messages_in(&self, segment: u64) -> Vec<MessageRef> {
        self.messages.within(segment)
    }

    /// The messages that somebody refers to, in no order.
    pub(crate) fn referred(&self) -> Vec<MessageRef> {
        self.messages.referred().collect()
    }
}

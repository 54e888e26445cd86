//! What each record does.

use std::sync::Arc;

use store::{Publisher, Settled};
use types::{DeliveryNumber, MessageRef, StoredSession, SubscriptionFilter};

use super::messages::Known;
use super::queue::Entry;
use super::session::{Changed, Details, Session, Subscription};
use super::weight::{bytes, group_bytes, publisher_bytes};
use super::{Cleared, Model, Phase, RETAIN, Retained, parse_filter};
use crate::log::FrameAt;
use crate::record::{
    BodyItem, BodyPlace, Deliveries, Item, Link, Malformed, QueueEntries, QueueEntry, Records,
    SessionFields, SessionState,
};

impl Model {
    /// Takes the records of one frame.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if they are none; then the model holds a part of them and is of no use.
    pub fn apply(&mut self, at: FrameAt, payload: &[u8]) -> Result<(), Malformed> {
        if self.phase != Phase::Live && self.gaps.frame(at.sequence) {
            for (&number, session) in &self.sessions {
                self.gaps.expect(number, session.next.get());
            }
        }
        for record in Records::new(payload) {
            let (offset, item) = record?;
            self.one(&at, offset, item)
                .map_err(|what| Malformed { offset, what })?;
        }
        Ok(())
    }

    fn one(&mut self, at: &FrameAt, offset: usize, item: Item<'_>) -> Result<(), &'static str> {
        let now = at.time;
        match item {
            Item::Body(body) => self.body_comes(at, offset, &body)?,
            Item::Owed {
                message,
                deliveries,
            } => self.owed(message, deliveries, now)?,
            Item::Settled {
                session,
                number,
                step,
            } => self.settled(session, number, step, now),
            Item::Sent {
                session,
                number,
                id,
            } => match self.entry(session, number) {
                Some(entry) => entry.packet_id = id.get(),
                None => self.unknown_delivery(session, number),
            },
            Item::Expired { session, number } => self.expired(session, number, now),
            Item::Retained {
                message,
                sequence,
                topic,
                publisher,
            } => self.retain(Some(message), sequence, topic, publisher, now),
            Item::Cleared { sequence, topic } => self.retain(None, sequence, topic, None, now),
            Item::Passed { message, group } => {
                self.pass(message, parse_filter(group)?);
            }
            Item::Arrived { message, group } => {
                self.arrive(message, &parse_filter(group)?, now);
            }
            _ => self.about_session(item, now)?,
        }
        Ok(())
    }

    fn about_session(&mut self, item: Item<'_>, now: u64) -> Result<(), &'static str> {
        match item {
            Item::Session(fields) => self.session_begins(&fields)?,
            Item::Away {
                session,
                ends,
                will,
            } => self.change(session, |known| known.set_link(Link::Away { ends, will })),
            Item::SessionEnded { session } => {
                if !self.remove_session(session.0, now) {
                    self.unknown();
                }
            }
            Item::Subscribed {
                session,
                options,
                id,
                filter,
            } => {
                let filter = parse_filter(filter)?;
                let subscription = Subscription {
                    filter,
                    options,
                    id,
                };
                self.change(session, |known| known.subscribe(subscription));
            }
            Item::Unsubscribed { session, filter } => {
                let filter = parse_filter(filter)?;
                self.change(session, |known| known.unsubscribe(&filter));
            }
            Item::Received { session, id } => self.change(session, |known| known.receive(id)),
            Item::Begun { session, id, owed } => {
                self.change(session, |known| known.begin_receiving(id, owed));
            }
            Item::BegunInGroup { session, id, group } => {
                let group = parse_filter(group)?;
                self.change(session, |known| known.begin_in_group(id, group));
            }
            Item::Released { session, id } => self.change(session, |known| known.release(id)),
            _ => self.of_checkpoint(item, now)?,
        }
        Ok(())
    }

    fn of_checkpoint(&mut self, item: Item<'_>, now: u64) -> Result<(), &'static str> {
        match item {
            Item::SessionState(state) => self.session_state(&state, now)?,
            Item::QueueState { session, entries } => self.queue_state(session, entries, now)?,
            Item::BodyPlace {
                message,
                place,
                size,
                expires,
            } => {
                let known = Known {
                    place,
                    size,
                    expires,
                };
                self.messages.place(message.0, known, now)?;
            }
            Item::CheckpointBegins {
                last_session,
                sequence,
                ..
            } => {
                self.last_session = self.last_session.max(last_session);
                self.sequence = self.sequence.max(sequence);
            }
            Item::CheckpointEnds { first } => {
                self.checkpoint = Some(first);
                if self.phase == Phase::Partial {
                    self.phase = Phase::Whole;
                }
            }
            Item::RetainedState {
                message,
                sequence,
                topic,
                publisher,
            } => self.retain(message, sequence, topic, publisher, now),
            Item::PassedState { message, group } => {
                self.pass(message, parse_filter(group)?);
            }
            // Taken by the callers.
            Item::Body(_)
            | Item::Session(_)
            | Item::Away { .. }
            | Item::SessionEnded { .. }
            | Item::Subscribed { .. }
            | Item::Unsubscribed { .. }
            | Item::Owed { .. }
            | Item::Sent { .. }
            | Item::Settled { .. }
            | Item::Expired { .. }
            | Item::Received { .. }
            | Item::Begun { .. }
            | Item::BegunInGroup { .. }
            | Item::Released { .. }
            | Item::Retained { .. }
            | Item::Cleared { .. }
            | Item::Passed { .. }
            | Item::Arrived { .. } => {}
        }
        Ok(())
    }

    fn body_comes(
        &mut self,
        at: &FrameAt,
        offset: usize,
        body: &BodyItem<'_>,
    ) -> Result<(), &'static str> {
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        let length = u32::try_from(body.bytes.len()).map_err(|_| "a message beyond 4 GiB")?;
        let known = Known {
            place: BodyPlace {
                segment: at.segment,
                offset: at.offset.saturating_add(offset),
                length,
            },
            size: body.size,
            expires: body.expires,
        };
        self.messages.come(body.message.0, known, at.time)
    }

    /// Changes what is known of a session.
    fn change(&mut self, session: StoredSession, change: impl FnOnce(&mut Details) -> Changed) {
        let changed = match self.sessions.get_mut(&session.0) {
            Some(known) => {
                let before = known.details.bytes();
                let changed = change(&mut known.details);
                self.weight.sessions.replace(before, known.details.bytes());
                changed
            }
            None => Changed::Unknown,
        };
        if changed == Changed::Unknown {
            self.unknown();
        }
    }

    /// A record names what is not there.
    pub(super) fn unknown(&mut self) {
        if self.phase != Phase::Partial {
            self.anomalies = self.anomalies.saturating_add(1);
        }
    }

    #[inline]
    fn owed(
        &mut self,
        message: MessageRef,
        mut deliveries: Deliveries<'_>,
        now: u64,
    ) -> Result<(), &'static str> {
        while let Some(delivery) = deliveries.read()? {
            let entry = QueueEntry {
                message: Some(message),
                delivery,
            };
            if !self.push(&entry, now)? {
                self.unknown();
            }
        }
        Ok(())
    }

    /// Adds a delivery; `false` if there is no such session.
    #[inline]
    fn push(&mut self, queued: &QueueEntry<'_>, now: u64) -> Result<bool, &'static str> {
        let delivery = &queued.delivery;
        let Some(session) = self.sessions.get_mut(&delivery.session.0) else {
            return Ok(false);
        };
        let message = queued.message.map_or(0, |message| message.0);
        let mut entry = Entry::new(message, delivery.number.get());
        entry.extra = self.extras.intern(delivery.extra)?;
        entry.packet_id = delivery.packet_id.map_or(0, types::PacketId::get);
        entry.flags = delivery.qos.bits() | if delivery.retain { RETAIN } else { 0 };
        self.gaps.go_on(delivery.session.0, delivery.number.get());
        session.next = session.next.max(delivery.number.next());
        let old = session.queue.insert(entry);
        self.deliveries = self.deliveries.saturating_add(1);
        if message != 0 && !self.messages.refer(message) {
            self.unknown();
        }
        if let Some(old) = old {
            self.discard(&old, now);
        }
        Ok(true)
    }

    /// A delivery has left its queue.
    pub(super) fn discard(&mut self, entry: &Entry, now: u64) {
        self.deliveries = self.deliveries.saturating_sub(1);
        self.extras.release(entry.extra);
        if entry.message != 0 {
            self.messages.release(entry.message, now);
        }
    }

    fn entry(&mut self, session: StoredSession, number: DeliveryNumber) -> Option<&mut Entry> {
        let session = self.sessions.get_mut(&session.0)?;
        session.queue.entry(number.get())
    }

    #[inline]
    fn settled(&mut self, session: StoredSession, number: DeliveryNumber, step: Settled, now: u64) {
        let Some(queue) = self.sessions.get_mut(&session.0).map(|it| &mut it.queue) else {
            return self.unknown();
        };
        match step {
            Settled::Received => {
                // Without an identifier there would be nothing to release.
                let found = queue
                    .entry(number.get())
                    .filter(|entry| entry.packet_id != 0);
                let Some(entry) = found else {
                    return self.unknown();
                };
                let (message, extra) = (entry.message, entry.extra);
                entry.message = 0;
                entry.extra = 0;
                self.extras.release(extra);
                if message != 0 {
                    self.messages.release(message, now);
                }
            }
            Settled::Done => match queue.remove(number.get()) {
                Some(entry) => self.discard(&entry, now),
                None => self.unknown_delivery(session, number),
            },
        }
    }

    fn session_begins(&mut self, fields: &SessionFields<'_>) -> Result<(), &'static str> {
        let number = fields.session.0;
        self.last_session = self.last_session.max(number);
        match self.sessions.get_mut(&number) {
            Some(session) => {
                // If the run before ended without a word of this one, it ended here.
                session.break_off();
                let before = session.details.bytes();
                session.details.begin(fields)?;
                let after = session.details.bytes();
                self.weight.sessions.replace(before, after);
            }
            None => {
                let session = Session::new(fields)?;
                self.weight.sessions.add(session.details.bytes());
                self.sessions.insert(number, session);
            }
        }
        Ok(())
    }

    /// A session as it was when the checkpoint came to it: what was known is replaced.
    fn session_state(&mut self, state: &SessionState<'_>, now: u64) -> Result<(), &'static str> {
        let number = state.fields.session.0;
        self.last_session = self.last_session.max(number);
        self.remove_session(number, now);
        let mut session = Session::new(&state.fields)?;
        session.details.set_link(state.link);
        session.next = state.next;
        session.details.unsure = state.unsure;
        self.gaps.go_on(number, state.next.get());
        for id in state.received {
            session.details.receive(id);
        }
        self.weight.sessions.add(session.details.bytes());
        self.sessions.insert(number, session);
        Ok(())
    }

    fn queue_state(
        &mut self,
        session: StoredSession,
        mut entries: QueueEntries<'_>,
        now: u64,
    ) -> Result<(), &'static str> {
        if !self.sessions.contains_key(&session.0) {
            self.unknown();
            return Ok(());
        }
        while let Some(entry) = entries.read()? {
            self.push(&entry, now)?;
        }
        Ok(())
    }

    pub(super) fn remove_session(&mut self, number: u64, now: u64) -> bool {
        let Some(session) = self.sessions.remove(&number) else {
            return false;
        };
        self.weight.sessions.take(session.details.bytes());
        for entry in session.queue.iter() {
            self.discard(entry, now);
        }
        true
    }

    /// A topic was set or cleared. Of two changes the one with the higher sequence holds; of a
    /// message and a clearing with the same one, the clearing.
    fn retain(
        &mut self,
        message: Option<MessageRef>,
        sequence: u64,
        topic: &str,
        publisher: Option<Publisher<'_>>,
        now: u64,
    ) {
        self.sequence = self.sequence.max(sequence);
        let message = message.map_or(0, |message| message.0);
        let (topic, before) = match self.retained.get_key_value(topic) {
            Some((_, known)) if known.sequence > sequence => return,
            Some((_, known)) if known.sequence == sequence && message != 0 => return,
            Some((topic, known)) => (Arc::clone(topic), known.message),
            None => {
                self.weight.topics.add(bytes(topic));
                (Arc::from(topic), 0)
            }
        };
        if message == 0 {
            self.cleared.push_back(Cleared {
                topic: Arc::clone(&topic),
                sequence,
                since: now,
            });
        } else {
            self.set = self.set.saturating_add(1);
            if !self.messages.refer(message) {
                self.unknown();
            }
        }
        let publisher = publisher.filter(|_| message != 0);
        let publisher = publisher.map(|publisher| self.publishers.one(publisher));
        let change = Retained {
            message,
            sequence,
            publisher,
        };
        let bytes = publisher_bytes(change.publisher.as_deref());
        let old = self.retained.insert(topic, change);
        let publisher = old.and_then(|old| old.publisher);
        self.weight
            .topics
            .replace(publisher_bytes(publisher.as_deref()), bytes);
        if before != 0 {
            self.set = self.set.saturating_sub(1);
            self.messages.release(before, now);
        }
    }

    fn pass(&mut self, message: MessageRef, group: SubscriptionFilter) {
        let groups = self.passed.entry(message.0).or_default();
        if groups.contains(&group) {
            return;
        }
        self.weight.topics.add(group_bytes(&group));
        groups.push(group);
        if !self.messages.refer(message.0) {
            self.unknown();
        }
    }

    fn arrive(&mut self, message: MessageRef, group: &SubscriptionFilter, now: u64) {
        let groups = self.passed.get_mut(&message.0);
        let found = groups.and_then(|groups| {
            let place = groups.iter().position(|known| known == group)?;
            groups.swap_remove(place);
            Some(groups.is_empty())
        });
        let Some(last) = found else {
            return self.unknown();
        };
        self.weight.topics.take(group_bytes(group));
        if last {
            self.passed.remove(&message.0);
        }
        self.messages.release(message.0, now);
    }
}

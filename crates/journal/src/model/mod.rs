//! What the records come to: sessions, what they are owed, and what lives where. Pure: it is fed
//! with records, while they are written and again when they are read at the start.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use store::Settled;
use types::{ClientId, DeliveryNumber, MessageRef, QoS, StoredSession, SubscriptionFilter};

use crate::log::FrameAt;
use crate::record::{
    BodyPlace, Deliveries, Item, Link, Malformed, QueueEntries, QueueEntry, Records, SessionFields,
    SessionState,
};

mod extras;
mod messages;
mod queue;
mod recover;
mod session;
mod view;

pub use messages::SegmentUse;
pub use recover::Losses;
pub(crate) use view::SessionView;

use extras::Extras;
use messages::{Known, Messages};
use queue::Entry;
use session::{Session, Subscription};

/// The live state of a store.
#[derive(Debug)]
pub struct Model {
    phase: Phase,
    sessions: HashMap<u64, Session, FixedState>,
    messages: Messages,
    extras: Extras,
    retained: HashMap<Arc<str>, Retained, foldhash::quality::FixedState>,
    cleared: VecDeque<Cleared>,
    set: u64,
    passed: HashMap<u64, Vec<SubscriptionFilter>, FixedState>,
    deliveries: u64,
    last_session: u64,
    sequence: u64,
    checkpoint: Option<u64>,
    anomalies: u64,
}

/// What the model may expect to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A replay before the end of its checkpoint: records name sessions and messages whose state
    /// is still to come.
    Partial,
    /// A replay behind its checkpoint.
    Whole,
    /// What is applied happens now.
    Live,
}

/// A topic that has a retained message, or had one lately.
#[derive(Clone, Copy, Debug)]
struct Retained {
    /// 0: it was cleared.
    message: u64,
    sequence: u64,
}

#[derive(Clone, Debug)]
struct Cleared {
    topic: Arc<str>,
    sequence: u64,
    since: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions.
    pub sessions: u64,
    /// Messages that they are owed, counted for each.
    pub deliveries: u64,
    /// Messages that somebody is owed, or that are retained or on their way.
    pub messages: u64,
    /// Topics with a retained message.
    pub retained: u64,
}

/// Milliseconds for which the store still knows a message that nobody refers to, because a
/// reference from another worker may be on its way; and the sequence of a cleared topic.
pub const GRACE: u64 = 60_000;
/// The same when more than [`LIMBO`] messages wait for it.
const HURRIED_GRACE: u64 = 5_000;
const LIMBO: usize = 1_000_000;

impl Model {
    /// An empty one, about to be fed with a replay. `seed` keys its tables, some of whose keys
    /// clients choose.
    pub fn new(seed: u64) -> Self {
        let ours = || FixedState::with_seed(seed);
        let theirs = || foldhash::quality::FixedState::with_seed(seed);
        Self {
            phase: Phase::Partial,
            sessions: HashMap::with_hasher(ours()),
            messages: Messages::new(&ours),
            extras: Extras::new(theirs()),
            retained: HashMap::with_hasher(theirs()),
            cleared: VecDeque::new(),
            set: 0,
            passed: HashMap::with_hasher(ours()),
            deliveries: 0,
            last_session: 0,
            sequence: 0,
            checkpoint: None,
            anomalies: 0,
        }
    }

    /// Takes the records of one frame.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if they are none; then the model holds a part of them and is of no use.
    pub fn apply(&mut self, at: FrameAt, payload: &[u8]) -> Result<(), Malformed> {
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
            Item::Body(body) => {
                let offset = u64::try_from(offset).unwrap_or(u64::MAX);
                let place = BodyPlace {
                    segment: at.segment,
                    offset: at.offset.saturating_add(offset),
                    length: u32::try_from(body.bytes.len())
                        .map_err(|_| "a message beyond 4 GiB")?,
                };
                let known = Known {
                    place,
                    size: body.size,
                    expires: body.expires,
                };
                self.messages.place(body.message.0, known, now)?;
            }
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
                None => self.unknown(),
            },
            Item::Received { session, id } => match self.sessions.get_mut(&session.0) {
                Some(session) => session.receive(id),
                None => self.unknown(),
            },
            Item::Released { session, id } => {
                let session = self.sessions.get_mut(&session.0);
                if !session.is_some_and(|session| session.release(id)) {
                    self.unknown();
                }
            }
            Item::Retained {
                message,
                sequence,
                topic,
            } => self.retain(Some(message), sequence, topic, now),
            Item::RetainedState {
                message,
                sequence,
                topic,
            } => self.retain(message, sequence, topic, now),
            Item::Cleared { sequence, topic } => self.retain(None, sequence, topic, now),
            Item::Passed { message, group } | Item::PassedState { message, group } => {
                self.pass(message, parse_filter(group)?, now);
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
            } => match self.sessions.get_mut(&session.0) {
                Some(session) => session.set_link(Link::Away { ends, will }),
                None => self.unknown(),
            },
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
                match self.sessions.get_mut(&session.0) {
                    Some(session) => session.subscribe(subscription),
                    None => self.unknown(),
                }
            }
            Item::Unsubscribed { session, filter } => {
                let filter = parse_filter(filter)?;
                let session = self.sessions.get_mut(&session.0);
                if !session.is_some_and(|session| session.unsubscribe(&filter)) {
                    self.unknown();
                }
            }
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
            // Taken by `one`.
            Item::Body(_)
            | Item::Owed { .. }
            | Item::Settled { .. }
            | Item::Sent { .. }
            | Item::Received { .. }
            | Item::Released { .. }
            | Item::Retained { .. }
            | Item::RetainedState { .. }
            | Item::Cleared { .. }
            | Item::Passed { .. }
            | Item::PassedState { .. }
            | Item::Arrived { .. } => {}
        }
        Ok(())
    }

    /// A record names what is not there.
    fn unknown(&mut self) {
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
        session.next = session.next.max(delivery.number.next());
        let old = session.queue.insert(entry);
        self.deliveries = self.deliveries.saturating_add(1);
        if message != 0 && !self.messages.refer(message, now) {
            self.unknown();
        }
        if let Some(old) = old {
            self.discard(&old, now);
        }
        Ok(true)
    }

    /// A delivery has left its queue.
    fn discard(&mut self, entry: &Entry, now: u64) {
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
                None => self.unknown(),
            },
        }
    }

    fn session_begins(&mut self, fields: &SessionFields<'_>) -> Result<(), &'static str> {
        let number = fields.session.0;
        self.last_session = self.last_session.max(number);
        match self.sessions.get_mut(&number) {
            Some(session) => session.begin(fields),
            None => {
                self.sessions.insert(number, Session::new(fields)?);
                Ok(())
            }
        }
    }

    /// A session as it was when the checkpoint came to it: what was known is replaced.
    fn session_state(&mut self, state: &SessionState<'_>, now: u64) -> Result<(), &'static str> {
        let number = state.fields.session.0;
        self.last_session = self.last_session.max(number);
        self.remove_session(number, now);
        let mut session = Session::new(&state.fields)?;
        session.set_link(state.link);
        session.next = state.next;
        for id in state.received {
            session.receive(id);
        }
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

    fn remove_session(&mut self, number: u64, now: u64) -> bool {
        let Some(session) = self.sessions.remove(&number) else {
            return false;
        };
        for entry in session.queue.iter() {
            self.discard(entry, now);
        }
        true
    }

    /// A topic was set or cleared. Of two changes the one with the higher sequence holds; of a
    /// message and a clearing with the same one, the clearing.
    fn retain(&mut self, message: Option<MessageRef>, sequence: u64, topic: &str, now: u64) {
        self.sequence = self.sequence.max(sequence);
        let message = message.map_or(0, |message| message.0);
        let change = Retained { message, sequence };
        let (topic, before) = match self.retained.get_key_value(topic) {
            Some((_, known)) if known.sequence > sequence => return,
            Some((_, known)) if known.sequence == sequence && message != 0 => return,
            Some((topic, known)) => (Arc::clone(topic), known.message),
            None => (Arc::from(topic), 0),
        };
        if message == 0 {
            self.cleared.push_back(Cleared {
                topic: Arc::clone(&topic),
                sequence,
                since: now,
            });
        } else {
            self.set = self.set.saturating_add(1);
            if !self.messages.refer(message, now) {
                self.unknown();
            }
        }
        self.retained.insert(topic, change);
        if before != 0 {
            self.set = self.set.saturating_sub(1);
            self.messages.release(before, now);
        }
    }

    fn pass(&mut self, message: MessageRef, group: SubscriptionFilter, now: u64) {
        let groups = self.passed.entry(message.0).or_default();
        if groups.contains(&group) {
            return;
        }
        groups.push(group);
        if !self.messages.refer(message.0, now) {
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
        if last {
            self.passed.remove(&message.0);
        }
        self.messages.release(message.0, now);
    }

    /// Forgets what nobody has referred to for [`GRACE`]. Cheap: to be called often, with the
    /// store's clock; in a replay with the time of each frame.
    pub fn tidy(&mut self, now: u64) {
        if self.phase == Phase::Partial {
            return;
        }
        self.messages.tidy(now, self.phase == Phase::Live);
        while let Some(cleared) = self.cleared.front() {
            if now.saturating_sub(cleared.since) < GRACE {
                break;
            }
            let same = |known: &Retained| known.message == 0 && known.sequence == cleared.sequence;
            if self.retained.get(&cleared.topic).is_some_and(same) {
                self.retained.remove(&cleared.topic);
            }
            self.cleared.pop_front();
        }
    }

    /// Where a message lies; `None` if the store does not have it (any more).
    pub fn locate(&self, message: MessageRef) -> Option<BodyPlace> {
        self.messages.known(message.0).map(|known| known.place)
    }

    /// Whether a message is still needed, at this place (of its checksum, in the segment's file).
    pub fn is_live_at(&self, message: MessageRef, segment: u64, offset: u64) -> bool {
        self.locate(message)
            .is_some_and(|place| place.segment == segment && place.offset == offset)
    }

    /// What is needed in a segment.
    pub fn live(&self, segment: u64) -> SegmentUse {
        self.messages.used(segment)
    }

    /// The segments with messages that are needed, in no order.
    pub fn segments(&self) -> impl Iterator<Item = (u64, SegmentUse)> {
        self.messages.segments()
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        Counts {
            sessions: u64::try_from(self.sessions.len()).unwrap_or(u64::MAX),
            deliveries: self.deliveries,
            messages: self.messages(),
            retained: self.set,
        }
    }

    /// Messages that somebody is owed, or that are retained or on their way.
    pub fn messages(&self) -> u64 {
        self.messages.needed()
    }

    /// The oldest of them, about: no message is older, and one came within 1,024 ms after it.
    pub fn oldest(&self) -> Option<MessageRef> {
        self.messages.oldest()
    }

    /// Bytes of messages that must stay on the disk.
    pub fn live_bytes(&self) -> u64 {
        self.messages.bytes()
    }

    /// About the bytes that a checkpoint takes.
    pub fn state_bytes(&self) -> u64 {
        let counts = self.counts();
        [
            (counts.sessions, SESSION_BYTES),
            (counts.deliveries, DELIVERY_BYTES),
            (counts.messages, PLACE_BYTES),
            (counts.retained, TOPIC_BYTES),
        ]
        .into_iter()
        .fold(0, |sum, (count, each)| {
            sum.saturating_add(count.saturating_mul(each))
        })
    }

    /// The highest number of a session that ever was.
    pub fn last_session(&self) -> StoredSession {
        StoredSession(self.last_session)
    }

    /// The highest reference that was found.
    pub fn last_reference(&self) -> MessageRef {
        self.messages.last()
    }

    /// The highest sequence of a change of retained messages that ever was.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The first segment of the last whole checkpoint that was applied.
    pub fn checkpoint(&self) -> Option<u64> {
        self.checkpoint
    }

    /// How many records named what was not there, outside of a checkpoint. Some are races between
    /// workers; many are a mistake.
    pub fn anomalies(&self) -> u64 {
        self.anomalies
    }

    /// The clients that are owed a message, in order of their names. Slow: for reports.
    pub fn sessions_owed(&self, message: MessageRef) -> Vec<ClientId> {
        let mut clients: Vec<ClientId> = self
            .sessions
            .values()
            .filter(|session| session.queue.iter().any(|entry| entry.message == message.0))
            .map(|session| session.client.clone())
            .collect();
        clients.sort_unstable();
        clients
    }
}

/// A filter that was valid when it was stored.
fn parse_filter(text: &str) -> Result<SubscriptionFilter, &'static str> {
    SubscriptionFilter::parse(text, u16::MAX).map_err(|_| "no valid filter")
}

fn qos(flags: u8) -> QoS {
    QoS::from_bits(flags & QOS).unwrap_or(QoS::ExactlyOnce)
}

// What a checkpoint writes of each, in bytes: of a session with a subscription or two.
const SESSION_BYTES: u64 = 128;
const DELIVERY_BYTES: u64 = 16;
const PLACE_BYTES: u64 = 36;
const TOPIC_BYTES: u64 = 48;

const QOS: u8 = 0x03;
const RETAIN: u8 = 0x04;

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;

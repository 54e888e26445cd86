//! What the records come to: sessions, what they are owed, and what lives where. Pure: it is fed
//! with records, while they are written and again when they are read at the start.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use store::RecoveredPublisher;
use types::{ClientId, MessageRef, QoS, StoredSession, SubscriptionFilter};

use self::publishers::Publishers;
use crate::record::BodyPlace;

mod ages;
mod apply;
mod expire;
mod extras;
mod gaps;
mod messages;
mod nearby;
mod publishers;
mod queue;
mod recent;
mod recover;
mod session;
mod view;
mod weight;

pub(crate) use expire::ExpiryWalk;
pub use messages::SegmentUse;
pub use recover::Losses;
pub(crate) use view::SessionView;

use extras::Extras;
use gaps::Gaps;
use messages::{Hurry, Messages};
use session::Session;
use weight::Weight;

/// The live state of a store.
#[derive(Debug)]
pub struct Model {
    phase: Phase,
    sessions: HashMap<u64, Session, FixedState>,
    messages: Messages,
    extras: Extras,
    retained: HashMap<Arc<str>, Retained, foldhash::quality::FixedState>,
    publishers: Publishers,
    cleared: VecDeque<Cleared>,
    set: u64,
    passed: HashMap<u64, Vec<SubscriptionFilter>, FixedState>,
    deliveries: u64,
    last_session: u64,
    sequence: u64,
    checkpoint: Option<u64>,
    anomalies: u64,
    gaps: Gaps,
    weight: Weight,
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
#[derive(Clone, Debug)]
struct Retained {
    /// 0: it was cleared.
    message: u64,
    sequence: u64,
    publisher: Option<Arc<RecoveredPublisher>>,
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
/// reference from another worker may be on its way: counted from its coming if it is released
/// within a second after that, otherwise from its release. For as long it knows the sequence of a
/// topic that was cleared.
pub const GRACE: u64 = 60_000;
/// The same when more than [`LIMBO`] messages wait for it, or room is short.
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
            publishers: Publishers::default(),
            cleared: VecDeque::new(),
            set: 0,
            passed: HashMap::with_hasher(ours()),
            deliveries: 0,
            last_session: 0,
            sequence: 0,
            checkpoint: None,
            anomalies: 0,
            gaps: Gaps::default(),
            weight: Weight::default(),
        }
    }

    /// Forgets what nobody has referred to for [`GRACE`]. Cheap: to be called often, with the
    /// store's clock; in a replay with the time of each frame.
    pub fn tidy(&mut self, now: u64) {
        if self.phase == Phase::Partial {
            return;
        }
        let hurry = match self.phase {
            Phase::Live => Hurry::IfMany,
            _ => Hurry::No,
        };
        self.messages.tidy(now, hurry);
        while let Some(cleared) = self.cleared.front() {
            if now.saturating_sub(cleared.since) < GRACE {
                break;
            }
            let same = |known: &Retained| known.message == 0 && known.sequence == cleared.sequence;
            if self.retained.get(&cleared.topic).is_some_and(same) {
                let gone = self.retained.remove(&cleared.topic);
                let publisher = gone.and_then(|gone| gone.publisher);
                let bytes = weight::publisher_bytes(publisher.as_deref());
                self.weight
                    .topics
                    .take(weight::bytes(&cleared.topic).saturating_add(bytes));
            }
            self.cleared.pop_front();
        }
    }

    /// The same, but room is short: a message is forgotten as soon as when very many wait.
    pub fn tidy_in_need(&mut self, now: u64) {
        if self.phase == Phase::Live {
            self.messages.tidy(now, Hurry::Yes);
        }
        self.tidy(now);
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

    /// About the bytes that a checkpoint takes, and hardly more than it takes.
    pub fn state_bytes(&self) -> u64 {
        self.state_bytes_with(self.messages.places())
    }

    /// The same without messages that nobody refers to, which are forgotten soon.
    pub fn needed_state_bytes(&self) -> u64 {
        self.state_bytes_with(self.messages())
    }

    fn state_bytes_with(&self, places: u64) -> u64 {
        let deliveries = self.deliveries.saturating_mul(DELIVERY_BYTES);
        [
            self.weight.sessions.bytes(),
            self.weight.topics.bytes(),
            deliveries.saturating_add(self.extras.bytes()),
            places.saturating_mul(PLACE_BYTES),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// About the bytes that may be written, without asking for room, until all that is owed is
    /// settled: by clients that come back, take what waits for them, and go.
    pub fn settling_bytes(&self) -> u64 {
        let settling = self.deliveries.saturating_mul(SETTLING_BYTES);
        settling.saturating_add(self.weight.sessions.bytes())
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
            .map(|session| session.details.client.clone())
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

// What a checkpoint writes of each, in bytes.
const DELIVERY_BYTES: u64 = 18;
const PLACE_BYTES: u64 = 36;
/// That it is sent and settled: more at QoS 2, and if each has a frame of its own; but what is
/// written then gives its room back by and by.
const SETTLING_BYTES: u64 = 48;

const QOS: u8 = 0x03;
const RETAIN: u8 = 0x04;

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;

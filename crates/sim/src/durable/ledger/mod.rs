//! What was promised, and whether it is kept: written from what clients send and hear alone, and
//! from when the driver saw everything on the disk. It knows nothing of the server's inside.
//!
//! Whatever happens has a step. What a client sent reached the server no earlier than that, and no
//! later than its answer; so for each message and each subscription there is an interval in which
//! the server took it over, or never did. What holds in any case is checked.
//!
//! | file | concern |
//! |---|---|
//! | `sessions` | connections, sessions, the end of a life, wills |
//! | `subscriptions` | who wants what, when |
//! | `receive` | what a client got, held against that |
//! | `quiet` | what must be true when nothing is on its way |

mod quiet;
mod receive;
mod sessions;
mod subscriptions;

use std::collections::BTreeMap;
use std::time::Duration;

use types::QoS;

pub use self::sessions::{Ended, Present, Restart};
use self::sessions::{Ghost, Session, Will};
use super::plan::Plan;

/// A point in a run.
type Step = u64;

/// A message's number, which its payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub usize);

/// A message that some client sent, or left as its will.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The client.
    pub publisher: usize,
    /// The topic.
    pub topic: &'static str,
    /// The QoS.
    pub qos: QoS,
    /// The retain flag.
    pub retain: bool,
    /// It clears what is retained: its payload is empty.
    pub clears: bool,
    /// It is a will.
    pub is_will: bool,
    /// Message Expiry Interval in seconds.
    pub expiry: Option<u32>,
    /// The payload.
    pub payload: Vec<u8>,
    size: usize,
    /// When it was sent first; for a will, when it may be published.
    from: Step,
    sent_at: u64,
    resent: bool,
    /// When it was acknowledged, by step and by the store's clock.
    acked: Option<(Step, u64)>,
    /// When the server can take it over no more: it was acknowledged, refused, or given up.
    ended: Option<Step>,
}

impl Posted {
    /// A message whose payload has so many bytes at least.
    pub fn new(publisher: usize, topic: &'static str, qos: QoS, size: usize) -> Self {
        Self {
            publisher,
            topic,
            qos,
            retain: false,
            clears: false,
            is_will: false,
            expiry: None,
            payload: Vec::new(),
            size,
            from: 0,
            sent_at: 0,
            resent: false,
            acked: None,
            ended: None,
        }
    }

    /// From when on it is over, at the latest, by the store's clock.
    fn expires(&self) -> Option<u64> {
        let (_, acked) = self.acked?;
        Some(acked + u64::from(self.expiry?) * 1000)
    }

    /// Whether it may have expired by now.
    fn may_be_over(&self, clock: u64) -> bool {
        let expiry = self.expiry.map(|seconds| u64::from(seconds) * 1000);
        expiry.is_some_and(|expiry| self.sent_at + expiry <= clock)
    }
}

/// All that was promised.
#[derive(Debug)]
pub struct Ledger {
    plan: Plan,
    step: Step,
    /// The store's clock.
    clock: u64,
    posted: Vec<Posted>,
    /// Every session that ever was.
    sessions: Vec<Session>,
    /// Each client's session that lives, as far as the client knows.
    current: Vec<Option<usize>>,
    /// For each client that knows of no session, whether there may be one.
    ghosts: Vec<Ghost>,
    wills: Vec<Will>,
    /// The disk is gone: what lies on it is passed over until the next start.
    unreadable: bool,
    /// Messages that were retained before anything was known.
    forgotten: bool,
}

impl Ledger {
    /// Nothing was promised.
    pub fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            step: 0,
            clock: 0,
            posted: Vec::new(),
            sessions: Vec::new(),
            current: vec![None; plan.clients.len()],
            ghosts: vec![Ghost::None; plan.clients.len()],
            wills: Vec::new(),
            unreadable: false,
            forgotten: false,
        }
    }

    /// What the store's clock says now.
    pub fn set_clock(&mut self, clock: u64) {
        self.clock = clock;
    }

    /// The disk may be gone from now on.
    pub fn loses_disk(&mut self) {
        self.unreadable = true;
    }

    fn tick(&mut self) -> Step {
        self.step += 1;
        self.step
    }

    /// Takes a message in that is sent now, and gives it its payload.
    pub fn post(&mut self, mut posted: Posted) -> MessageId {
        let id = self.posted.len();
        if !posted.clears {
            posted.payload = format!("m{id}-").into_bytes();
            let size = posted.size.max(posted.payload.len());
            posted.payload.resize(size, b'x');
        }
        posted.from = self.tick();
        posted.sent_at = self.clock;
        self.posted.push(posted);
        MessageId(id)
    }

    /// The message with this number.
    pub fn posted(&self, id: MessageId) -> &Posted {
        &self.posted[id.0]
    }

    /// The message with this payload, to the byte.
    pub fn find(&self, payload: &[u8]) -> Option<MessageId> {
        let digits = payload
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_digit());
        let digits: Vec<u8> = digits.copied().collect();
        let id: usize = String::from_utf8(digits).ok()?.parse().ok()?;
        let known = self.posted.get(id)?;
        (known.payload == payload).then_some(MessageId(id))
    }

    /// A message is sent again.
    pub fn resent(&mut self, message: MessageId) {
        let posted = &mut self.posted[message.0];
        posted.resent = true;
        // The store's clock goes on from what is written: it may have been later before a crash.
        posted.sent_at = posted.sent_at.min(self.clock);
    }

    /// The server has acknowledged a message: PUBACK, or the first PUBREC.
    pub fn acknowledged(&mut self, message: MessageId) {
        let step = self.tick();
        let clock = self.clock;
        let posted = &mut self.posted[message.0];
        posted.acked = posted.acked.or(Some((step, clock)));
        posted.ended = posted.ended.or(Some(step));
    }

    /// A message was refused, or its publisher will not send it again.
    pub fn gave_up(&mut self, message: MessageId) {
        let step = self.tick();
        let posted = &mut self.posted[message.0];
        posted.ended = posted.ended.or(Some(step));
    }

    /// The power was cut under a server that promised less (class `os`): whatever was before is
    /// not known any more.
    pub fn forget_everything(&mut self) {
        for posted in &mut self.posted {
            posted.acked = None;
            posted.ended = None;
        }
        for session in &mut self.sessions {
            session.give_up();
            // Nor does a group know to whom it gave a message, and who had it: it may give it again.
            session.got.clear();
        }
        self.current.fill(None);
        self.ghosts.fill(Ghost::Perhaps);
        self.wills.clear();
        self.forgotten = true;
    }
}

/// What came to one session of one message.
#[derive(Clone, Debug, Default)]
struct Got {
    /// New flows without the retain flag, and with it.
    live: usize,
    retained: usize,
    /// New flows of QoS 2 among them.
    twice: usize,
    /// How often a crash may have made the server forget that it was delivered.
    forgiven: usize,
    /// The client has answered, and the store has heard of it.
    closed: bool,
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The messages got, by number.
type GotAll = BTreeMap<MessageId, Got>;

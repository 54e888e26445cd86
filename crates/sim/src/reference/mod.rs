//! The reference broker: lists and linear matching, one step at a time.
//!
//! It is told what reaches the server and when, and what the server says of connections and
//! sessions, and works out who must, may and must not receive what. Where workers race, as
//! an index change and a message of another worker do, it knows an interval and checks what
//! holds in any case; when all is quiet it checks exactly.
//!
//! | file | concern |
//! |---|---|
//! | `sessions` | connections, sessions, wills |
//! | `publish` | who must and who may get a message |
//! | `subscribe` | subscriptions and what is retained for them |
//! | `receive` | what a client got, held against that |
//! | `quiet` | what must be true when nothing is on its way |

mod publish;
mod quiet;
mod receive;
mod sessions;
mod subscribe;

pub use self::quiet::Counts;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use types::{PacketId, QoS, ReasonCode, SubscriptionFilter, SubscriptionOptions, Time};

use crate::client::Asked;
use crate::messages::{MessageId, Messages};
use crate::plan::Plan;
use crate::universe::LinkId;

/// A point in a run: each thing that happens to the server is a step of its own.
type Step = u64;

/// What a server should do.
#[derive(Debug)]
pub struct Reference {
    plan: Plan,
    step: Step,
    now: Time,
    links: BTreeMap<LinkId, Link>,
    /// Every session that ever was.
    sessions: Vec<Session>,
    /// Each client's session that lives.
    current: Vec<Option<usize>>,
    publications: Vec<Publication>,
    /// The publications of each message.
    of_message: BTreeMap<MessageId, Vec<usize>>,
    retained: BTreeMap<String, Kept>,
    /// From and until which step each message was retained.
    kept: BTreeMap<MessageId, Vec<(Step, Option<Step>)>>,
    /// Topics on which an empty message was published.
    cleared: BTreeSet<String>,
    /// Publications whose groups are still to be looked at.
    unshared: Vec<usize>,
    /// Messages that were lost and may have been, for full queues or their size.
    excused: u64,
}

/// A connection.
#[derive(Debug)]
struct Link {
    client: usize,
    asked: Asked,
    session: Option<usize>,
    /// The worker at which its client is at home.
    worker: usize,
    open: bool,
    /// The client has given it up.
    abandoned: bool,
    taken_over: bool,
    /// It does not take bytes as they come.
    lagging: bool,
    last_heard: Time,
    /// DISCONNECT reached the server.
    goodbye: Option<(ReasonCode, Option<Duration>)>,
    topic_aliases: BTreeMap<u16, String>,
}

/// A session.
#[derive(Debug)]
struct Session {
    client: usize,
    conn: Option<LinkId>,
    worker: usize,
    expiry: Duration,
    ends: Option<Time>,
    ended: bool,
    will: Option<(Time, MessageId)>,
    subscriptions: Vec<Subscription>,
    /// QoS 2 identifiers that are not released, with their messages.
    unreleased: BTreeSet<PacketId>,
    /// What it got of each message.
    got: BTreeMap<MessageId, Got>,
    owed: Vec<Due>,
    /// For each publisher, topic and QoS, the last message in order.
    last: BTreeMap<(usize, String, QoS), usize>,
    /// Questions by packet identifier: positions in `subscriptions`, from and until.
    asked: BTreeMap<PacketId, Vec<usize>>,
    unasked: BTreeMap<PacketId, (Vec<usize>, Vec<u8>)>,
    /// It was away at some time.
    was_away: bool,
}

/// How many copies of a message a session got.
#[derive(Clone, Copy, Debug, Default)]
struct Got {
    /// New flows without the retain flag.
    live: usize,
    /// New flows with it.
    retained: usize,
}

/// A subscription, from one SUBSCRIBE to what ends or replaces it.
#[derive(Clone, Debug)]
struct Subscription {
    filter: SubscriptionFilter,
    options: SubscriptionOptions,
    id: Option<NonZeroU32>,
    /// Retained messages are sent for it.
    replays: bool,
    /// SUBSCRIBE reached the server.
    from: Step,
    /// Everybody knows of it.
    sure: Option<Step>,
    /// UNSUBSCRIBE, or another SUBSCRIBE, reached the server.
    until: Option<Step>,
    /// Nobody knows of it any more.
    gone: Option<Step>,
    /// Another subscription to the same filter took its place.
    replaced: bool,
}

/// A message as the server took it in, once.
#[derive(Clone, Debug)]
struct Publication {
    message: MessageId,
    publisher: usize,
    /// The server took it in no earlier, and no later.
    from: Step,
    to: Step,
    expires: Option<Time>,
}

/// A message that a session must get before all is quiet.
#[derive(Clone, Debug)]
struct Due {
    message: MessageId,
    qos: QoS,
    expires: Option<Time>,
    replay: bool,
}

/// A retained message.
#[derive(Clone, Debug)]
struct Kept {
    message: MessageId,
    expires: Option<Time>,
    since: Step,
    /// It is a will.
    is_will: bool,
    /// Or it is one of these: which of several wills of one step came last is not known.
    or: Vec<MessageId>,
}

impl Subscription {
    /// A message that was taken in between these steps may arrive by it.
    fn may_match(&self, from: Step, to: Step) -> bool {
        self.from <= to && self.gone.is_none_or(|gone| gone >= from)
    }

    /// A message that was taken in between these steps must arrive by it, or by what took its
    /// place (MQTT-3.8.4-4).
    fn must_match(&self, from: Step, to: Step) -> bool {
        let sure = self.sure.is_some_and(|sure| sure < from);
        sure && (self.until.is_none_or(|until| until > to)
            || self.replaced && self.gone.is_none_or(|gone| gone > to))
    }
}

impl Reference {
    /// A server to which nothing has happened.
    pub fn new(plan: &Plan) -> Self {
        Self {
            plan: plan.clone(),
            step: 0,
            now: Time::ZERO,
            links: BTreeMap::new(),
            sessions: Vec::new(),
            current: vec![None; plan.clients.len()],
            publications: Vec::new(),
            of_message: BTreeMap::new(),
            retained: BTreeMap::new(),
            kept: BTreeMap::new(),
            cleared: BTreeSet::new(),
            unshared: Vec::new(),
            excused: 0,
        }
    }

    /// The next thing happens.
    pub fn begin_step(&mut self, now: Time) {
        self.step += 1;
        self.now = now;
    }

    /// The session that a client has.
    fn session_of(&self, client: usize) -> Option<usize> {
        self.current.get(client).copied().flatten()
    }

    /// Whether a client has a session without a connection.
    pub fn is_away(&self, client: usize) -> bool {
        self.session_of(client)
            .is_some_and(|session| self.sessions[session].conn.is_none())
    }

    /// Whether the server may have to drop this message for its size.
    fn surely_takes(&self, client: usize, message: MessageId, messages: &Messages) -> bool {
        let sent = messages.at(message);
        let size = sent.topic.len() + sent.payload.len();
        self.plan.clients[client]
            .packet_size
            .is_none_or(|most| u32::try_from(size + 60).is_ok_and(|size| size <= most))
    }
}

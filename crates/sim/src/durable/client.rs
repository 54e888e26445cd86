//! A correct client that keeps what it must keep over the server's lives as well.
//!
//! It resends with DUP and the old identifier, knows QoS 2 identifiers until they are released,
//! and holds each packet against the rules that it can check alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use types::{PacketId, ProtocolVersion, QoS};

use super::ledger::MessageId;
use super::plan::{Habits, Plan};
use crate::universe::LinkId;

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No link.
    Away,
    /// CONNECT is sent.
    Greeting,
    /// CONNACK arrived.
    Open,
    /// DISCONNECT is sent.
    Leaving,
}

/// What a CONNECT asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Clean Start.
    pub clean: bool,
    /// The will, and its delay in seconds.
    pub will: Option<(MessageId, u32)>,
}

/// A message on its way to the server.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) id: PacketId,
    pub(super) qos: QoS,
    pub(super) message: MessageId,
    pub(super) released: bool,
}

/// A message that came with an identifier.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) message: Option<MessageId>,
    pub(super) qos: QoS,
    /// The connection on which it came last.
    pub(super) connection: u32,
    /// PUBACK or PUBREC is sent.
    pub(super) answered: bool,
    /// A crash does not make the server forget it.
    pub(super) safe: bool,
    /// A crash may have made the server forget it.
    pub(super) stale: bool,
    /// A group gave it, and may give it to another.
    pub(super) shared: bool,
}

/// What the client owes the server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owed {
    Puback(PacketId),
    Pubrec(PacketId),
    Pubcomp(PacketId),
}

/// What the client asked the server.
#[derive(Clone, Debug)]
pub enum Question {
    /// SUBSCRIBE: the place of the subscription in the session's list.
    Subscribe(usize, QoS),
    /// UNSUBSCRIBE: likewise, and whether the subscription was there.
    Unsubscribe(usize),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub number: usize,
    /// Its client id.
    pub id: String,
    /// How it behaves.
    pub habits: Habits,
    /// Where it stands.
    pub state: State,
    /// Its link.
    pub link: Option<LinkId>,
    /// Bytes for the server that have not arrived.
    pub outbox: Vec<u8>,
    /// The server may have a session that the client knows nothing of.
    pub is_haunted: bool,
    /// DISCONNECT ends the session.
    pub ends_session: bool,
    /// Whether it has a session, as far as it knows.
    pub has_session: bool,
    /// What it said, in words, since somebody looked.
    pub(super) said: Vec<String>,
    pub(super) inbox: Vec<u8>,
    pub(super) connection: u32,
    pub(super) asked: Asked,
    pub(super) questions: BTreeMap<PacketId, Question>,
    pub(super) owed: VecDeque<Owed>,
    /// Flows that count against the window of this connection.
    pub(super) counted: BTreeSet<PacketId>,
    pub(super) window: usize,
    pub(super) server_window: usize,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) incoming: BTreeMap<PacketId, Incoming>,
    /// QoS 2 identifiers that were used in this session.
    pub(super) used2: BTreeSet<PacketId>,
    pub(super) next_id: PacketId,
}

impl Client {
    /// A client that is away.
    pub fn new(number: usize, plan: &Plan) -> Self {
        Self {
            number,
            id: format!("client{number}"),
            habits: plan.clients[number].clone(),
            state: State::Away,
            link: None,
            outbox: Vec::new(),
            is_haunted: false,
            ends_session: false,
            has_session: false,
            said: Vec::new(),
            inbox: Vec::new(),
            connection: 0,
            asked: Asked {
                clean: false,
                will: None,
            },
            questions: BTreeMap::new(),
            owed: VecDeque::new(),
            counted: BTreeSet::new(),
            window: usize::MAX,
            server_window: 0,
            outgoing: Vec::new(),
            incoming: BTreeMap::new(),
            used2: BTreeSet::new(),
            next_id: PacketId::FIRST,
        }
    }

    pub(super) fn version(&self) -> ProtocolVersion {
        self.habits.version
    }

    pub(super) fn is_five(&self) -> bool {
        self.version().has_properties()
    }

    /// Whether its session outlives its connection.
    pub fn lasts(&self) -> bool {
        self.habits.expiry > 0 && (self.is_five() || !self.asked.clean)
    }

    /// Whether it begins clean, given that it would like to. In MQTT 3.1.1 a session that begins
    /// clean ends with its connection, so that only who must does so.
    pub fn begins_clean(&self, would: bool) -> bool {
        let must = self.habits.expiry == 0 || self.is_haunted;
        must || would || self.is_five() && !self.has_session
    }

    /// How long the session outlives its connection.
    pub(super) fn expiry(&self, plan: &Plan) -> Duration {
        if self.lasts() {
            plan.expiry(self.number)
        } else {
            Duration::ZERO
        }
    }

    /// The link is gone, from whichever side. The messages that are given up with it, because
    /// the session goes too.
    pub fn lose_link(&mut self) -> Vec<MessageId> {
        self.link = None;
        self.state = State::Away;
        self.outbox.clear();
        self.inbox.clear();
        self.owed.clear();
        self.counted.clear();
        self.questions.clear();
        if self.lasts() {
            Vec::new()
        } else {
            self.forget()
        }
    }

    /// Forgets its session. The messages that are given up.
    pub fn forget(&mut self) -> Vec<MessageId> {
        self.has_session = false;
        self.incoming.clear();
        self.used2.clear();
        self.outgoing.drain(..).map(|one| one.message).collect()
    }

    /// Messages that the server has not answered in full.
    pub fn unanswered(&self) -> usize {
        self.outgoing.len() + self.questions.len()
    }

    /// All that was received is known to the store by now.
    pub fn is_safe_now(&mut self) {
        for incoming in self.incoming.values_mut() {
            incoming.safe = !incoming.stale;
        }
    }

    /// The server has crashed.
    pub fn may_be_forgotten(&mut self) {
        for incoming in self.incoming.values_mut() {
            incoming.stale = !incoming.safe;
        }
    }
}

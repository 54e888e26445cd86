//! A correct client with habits: it keeps its own session state, answers what it must answer,
//! and holds each packet of the server against the rules that one client can check alone.
//!
//! | file | concern |
//! |---|---|
//! | `speak` | what it sends |
//! | `listen` | what it hears |

mod listen;
mod speak;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use types::{PacketId, ProtocolVersion, QoS};

pub use self::listen::{Heard, Told};
use crate::messages::MessageId;
use crate::plan::{Habits, Plan};
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
#[derive(Clone, Debug)]
pub struct Asked {
    /// Clean Start.
    pub clean: bool,
    /// How long the session lives on, as the server has to grant it.
    pub expiry: Duration,
    /// Keep alive in seconds.
    pub keep_alive: u16,
    /// The will and its delay.
    pub will: Option<(MessageId, Duration)>,
}

/// A message on its way to the server.
#[derive(Clone, Debug)]
struct Outgoing {
    id: PacketId,
    qos: QoS,
    message: MessageId,
    /// PUBREC arrived.
    released: bool,
}

/// What the client remembers of a packet identifier of the server.
#[derive(Clone, Debug)]
struct Incoming {
    message: Option<MessageId>,
    qos: QoS,
    /// On which of the client's connections it came.
    connection: usize,
    /// The last packet that the flow needs from this side is sent.
    done: bool,
    /// PUBREC said that it is not wanted.
    refused: bool,
    /// PUBACK or PUBREC has reached the server: no PUBLISH may follow.
    acknowledged: bool,
}

/// An acknowledgement that is to be sent.
#[derive(Clone, Copy, Debug)]
enum Owed {
    Puback(PacketId),
    Pubrec(PacketId, bool),
    Pubcomp(PacketId),
}

/// SUBSCRIBE or UNSUBSCRIBE that is not answered.
#[derive(Clone, Debug)]
enum Question {
    Subscribe(Vec<QoS>),
    Unsubscribe(usize),
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its place in the plan.
    pub number: usize,
    /// Its client identifier.
    pub id: String,
    /// How it behaves.
    pub habits: Habits,
    /// Its link, if it has one.
    pub link: Option<LinkId>,
    /// Where it stands.
    pub state: State,
    /// What it has sent and what has not arrived.
    pub outbox: Vec<u8>,
    inbox: Vec<u8>,
    /// Counts its connections.
    connection: usize,
    resumed: bool,
    /// What the server says of the session beside CONNACK: MQTT 3.1 has no Session Present.
    session_found: bool,
    /// Counts the client's sessions at the server; each link's, and the one it knows of.
    epoch: u32,
    epochs: BTreeMap<LinkId, u32>,
    known_epoch: u32,
    // What was agreed on the connection.
    window: usize,
    server_window: usize,
    server_aliases: u16,
    // What dies with the connection.
    owed: VecDeque<Owed>,
    counted: BTreeSet<PacketId>,
    aliases_in: BTreeMap<u16, String>,
    aliases_out: BTreeMap<u16, &'static str>,
    questions: BTreeMap<PacketId, Question>,
    expires_with_connection: bool,
    /// Shared subscriptions are in use.
    shares: bool,
    // What lives as long as the session.
    outgoing: Vec<Outgoing>,
    incoming: BTreeMap<PacketId, Incoming>,
    retried: BTreeSet<PacketId>,
    next_id: PacketId,
}

impl Client {
    /// A client that is away.
    pub fn new(number: usize, plan: &Plan) -> Self {
        Self {
            number,
            id: format!("client{number}"),
            habits: plan.clients[number].clone(),
            shares: plan.filters.iter().any(|one| one.starts_with("$share")),
            link: None,
            state: State::Away,
            outbox: Vec::new(),
            inbox: Vec::new(),
            connection: 0,
            resumed: false,
            session_found: false,
            epoch: 0,
            epochs: BTreeMap::new(),
            known_epoch: 0,
            window: usize::MAX,
            server_window: 0,
            server_aliases: 0,
            owed: VecDeque::new(),
            counted: BTreeSet::new(),
            aliases_in: BTreeMap::new(),
            aliases_out: BTreeMap::new(),
            questions: BTreeMap::new(),
            expires_with_connection: false,
            outgoing: Vec::new(),
            incoming: BTreeMap::new(),
            retried: BTreeSet::new(),
            next_id: PacketId::FIRST,
        }
    }

    fn version(&self) -> ProtocolVersion {
        self.habits.version
    }

    fn is_five(&self) -> bool {
        self.version().has_properties()
    }

    /// The link is gone, from whichever side.
    pub fn lose_link(&mut self) {
        self.link = None;
        self.state = State::Away;
        self.outbox.clear();
        self.inbox.clear();
        self.owed.clear();
        self.counted.clear();
        self.aliases_in.clear();
        self.aliases_out.clear();
        self.questions.clear();
    }

    fn forget_session(&mut self) {
        self.outgoing.clear();
        self.incoming.clear();
        self.retried.clear();
    }

    /// Messages and questions that the server has not answered in full.
    pub fn unanswered(&self) -> usize {
        self.outgoing.len() + self.questions.len()
    }

    /// The server lets the client in, on this link or one that was given up, with its session or without.
    pub fn let_in(&mut self, link: LinkId, session_found: bool) {
        if self.link == Some(link) {
            self.session_found = session_found;
        }
        self.epoch += u32::from(!session_found);
        self.epochs.insert(link, self.epoch);
    }

    /// An acknowledgement has reached the server.
    pub fn acknowledgement_arrived(&mut self, id: PacketId) {
        if let Some(incoming) = self.incoming.get_mut(&id) {
            incoming.acknowledged = true;
        }
    }
}

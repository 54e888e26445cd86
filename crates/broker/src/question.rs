//! Questions of the control plane: what is known of a client, who would get a message, what waits
//! and what is retained.
//!
//! Each worker answers for what is at home with it. An answer has a bounded number of entries and
//! says how to go on; a worker answers few questions in a turn.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::{Grant, Identity};
use topics::ScanCursor;
use types::{
    Body, ClientId, LinkInfo, PacketId, ProtocolVersion, QoS, SessionKey, SubscriptionFilter,
    SubscriptionOptions, Time, TopicFilter,
};

pub use protocol::session::Awaits;

pub use crate::conn::Traffic;

/// A question, and where its answer goes.
pub struct Ask {
    /// What is asked.
    pub question: Question,
    /// Takes the answer. Called on the worker: it must not block.
    pub reply: Box<dyn FnOnce(Findings) + Send>,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ask").field(&self.question).finish()
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// What is known of a client. For the worker that [`crate::Shared::home_of`] names.
    Client {
        /// Its client identifier.
        client: Arc<str>,
        /// The last filter of the answer before.
        after: Option<SubscriptionFilter>,
        /// Most filters, up to [`Question::MOST`].
        most: usize,
    },
    /// Clients at home here, connected and away. For each worker.
    Clients {
        /// Which.
        wanted: Box<Wanted>,
        /// [`Clients::next`] of the answer before.
        after: Option<SessionKey>,
        /// Most clients, up to [`Question::MOST`].
        most: usize,
    },
    /// Who at home here would get a message, and which groups. For each worker.
    Subscribers {
        /// The message's topic, with the mount of a listener.
        topic: Arc<str>,
        /// The message's QoS.
        qos: QoS,
        /// Whose message, for No Local.
        publisher: Option<Arc<str>>,
        /// Members of this group instead of subscribers of their own.
        group: Option<SubscriptionFilter>,
        /// [`Subscribers::next`] of the answer before.
        after: Option<SessionKey>,
        /// Most clients, up to [`Question::MOST`].
        most: usize,
    },
    /// Subscriptions of clients at home here. For each worker.
    Subscriptions {
        /// Which.
        wanted: Box<WantedSubscriptions>,
        /// [`Subscriptions::next`] of the answer before.
        after: Option<SubscriptionPlace>,
        /// Most subscriptions, up to [`Question::MOST`].
        most: usize,
    },
    /// What waits for a client or is on its way to it. For its home.
    Messages {
        /// Its client identifier.
        client: Arc<str>,
        /// Which of the two.
        part: Part,
        /// How many to pass over.
        from: usize,
        /// Most messages, up to [`Question::MOST`].
        most: usize,
    },
    /// What is retained. For any worker.
    Retained {
        /// Topics that match this.
        filter: TopicFilter,
        /// [`RetainedPiece::next`] of the answer before.
        after: ScanCursor,
        /// Most messages, up to [`Question::MOST`]. A worker looks at four times as many topics.
        most: usize,
        /// Whether messages that lie in the store alone are wanted, too.
        load: bool,
    },
    /// Who these sessions belong to. For the worker that they are at home with.
    Names(Vec<SessionKey>),
    /// Clients at home here that have not acknowledged all, or take no bytes. For each worker.
    Late {
        /// [`Late::next`] of the answer before.
        after: Option<SessionKey>,
    },
}

/// Where a list of subscriptions goes on: behind this filter of a session, or behind the session.
pub type SubscriptionPlace = (SessionKey, Option<SubscriptionFilter>);

/// Which messages of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those that wait.
    Waiting,
    /// Those that were sent and are not fully acknowledged.
    Underway,
}

/// Which subscriptions are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedSubscriptions {
    /// Of this client.
    pub client: Option<Box<str>>,
    /// For this filter, to the letter.
    pub filter: Option<Box<str>>,
    /// For filters that match this topic.
    pub matching: Option<Box<str>>,
    /// In the group of this name.
    pub share: Option<Box<str>>,
    /// In any group.
    pub is_shared: bool,
    /// With this QoS.
    pub qos: Option<QoS>,
}

/// Which clients are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The client identifier contains this.
    pub like: Option<Box<str>>,
    /// Of this user.
    pub user: Option<Box<str>>,
    /// The name of the user contains this.
    pub like_user: Option<Box<str>>,
    /// Connected, and speaks this.
    pub version: Option<ProtocolVersion>,
    /// Connected from this address.
    pub address: Option<IpAddr>,
    /// Connected by this listener.
    pub listener: Option<u16>,
    /// Connected, or away.
    pub presence: Option<Presence>,
}

/// Whether a client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is connected.
    Connected,
    /// Its session waits for it.
    Away,
}

impl Question {
    /// A worker looks at no more clients than this for one answer, whether they are wanted or not.
    pub const LOOKS: usize = 10_000;
    /// An answer has no more entries than this.
    pub const MOST: usize = 1_000;
    /// Bytes of messages that are loaded from the store for one answer.
    pub const LOADED_BYTES: usize = 1024 * 1024;
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Findings {
    /// The client; `None` if there is none such here.
    Client(Option<Box<ClientFacts>>),
    /// Clients.
    Clients(Clients),
    /// Who would get the message; `None` if the topic is none.
    Subscribers(Option<Subscribers>),
    /// Subscriptions.
    Subscriptions(Subscriptions),
    /// Messages of a client; `None` if there is none such here.
    Messages(Option<Messages>),
    /// What is retained.
    Retained(RetainedPiece),
    /// Their client identifiers; `None` for those that are gone.
    Names(Vec<Option<ClientId>>),
    /// Who is late.
    Late(Late),
}

impl Findings {
    /// Messages that may lie in the store alone.
    pub(crate) fn bodies(&mut self) -> Vec<&mut Body> {
        match self {
            Self::Messages(Some(messages)) => {
                let rows = messages.rows.iter_mut();
                rows.filter_map(|row| row.body.as_mut()).collect()
            }
            Self::Retained(piece) => piece.rows.iter_mut().map(|row| &mut row.body).collect(),
            Self::Client(_)
            | Self::Clients(_)
            | Self::Subscribers(_)
            | Self::Subscriptions(_)
            | Self::Messages(None)
            | Self::Names(_)
            | Self::Late(_) => Vec::new(),
        }
    }
}

/// Some of the clients at home here that are late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// They.
    pub clients: Vec<LateClient>,
    /// Where to go on; `None`: this was all.
    pub next: Option<SessionKey>,
}

/// A client that has not acknowledged all, or takes no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateClient {
    /// The client.
    pub client: ClientId,
    /// The message that was sent first of those that it has not fully acknowledged.
    pub oldest: Option<PacketId>,
    /// The topic of that message, if it is at hand.
    pub topic: Option<Arc<str>>,
    /// For how long its link has taken nothing while something was to be written.
    pub stalled: Duration,
}

/// Some of the clients at home here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clients {
    /// They, without their subscriptions.
    pub clients: Vec<ClientFacts>,
    /// Where to go on; `None`: this was all.
    pub next: Option<SessionKey>,
}

/// What is known of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientFacts {
    /// The client.
    pub client: ClientId,
    /// Whom the session belongs to.
    pub identity: Identity,
    /// What came with the identity; not known again after a restart, until the client is back.
    pub grant: Option<Arc<Grant>>,
    /// How it is connected, if it is.
    pub link: Option<LinkFacts>,
    /// How long its session outlives the connection.
    pub expiry: Duration,
    /// How many messages wait for it.
    pub waiting: usize,
    /// How many bytes these have.
    pub waiting_bytes: usize,
    /// How many had to go because its queue was full, since the session is here.
    pub overflown: u64,
    /// How many are inflight towards it.
    pub inflight: usize,
    /// How many QoS 2 messages of it are not released.
    pub unreleased: usize,
    /// When it left, if it is away since this run.
    pub left: Option<Time>,
    /// The will that it leaves, or that waits for its delay.
    pub will: Option<WillFacts>,
    /// How many subscriptions it has.
    pub subscription_count: usize,
    /// Some of them, by filter.
    pub subscriptions: Vec<SubscriptionFacts>,
}

/// What is known of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionFacts {
    /// For what.
    pub filter: SubscriptionFilter,
    /// How.
    pub options: SubscriptionOptions,
    /// Whether each message is asked about, because a rule denies a part of the filter.
    pub in_part: bool,
}

/// How a client is connected.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkFacts {
    /// Address, certificate, listener.
    pub info: LinkInfo,
    /// What it speaks.
    pub version: ProtocolVersion,
    /// In seconds; zero is none.
    pub keep_alive: u16,
    /// When what it was granted is over, if ever.
    pub granted_until: Option<Time>,
    /// CONNECT asked for a session that begins anew.
    pub clean_start: bool,
    /// Most QoS 1 and 2 messages that may be inflight towards it.
    pub window: usize,
    /// Most aliases of topics towards it.
    pub aliases: u16,
    /// Largest packet that it takes, in bytes.
    pub packet_size: usize,
    /// Bytes that wait for its link to take them.
    pub pending: usize,
    /// What went through.
    pub traffic: Traffic,
}

/// A will, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WillFacts {
    /// Where it goes.
    pub topic: Arc<str>,
    /// Its QoS.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// How long it waits.
    pub delay: Duration,
}

/// Some of the subscriptions of clients at home here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscriptions {
    /// They.
    pub rows: Vec<Subscribed>,
    /// Where to go on; `None`: this was all.
    pub next: Option<SubscriptionPlace>,
}

/// A subscription, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Whose.
    pub client: ClientId,
    /// Whether it is connected.
    pub is_connected: bool,
    /// How many messages are inflight towards it.
    pub inflight: usize,
    /// How many wait for it.
    pub waiting: usize,
    /// For what.
    pub filter: SubscriptionFilter,
    /// How.
    pub options: SubscriptionOptions,
}

/// Some of the messages of a client.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// They, in order.
    pub rows: Vec<MessageFacts>,
    /// How many there are in all.
    pub count: usize,
}

/// A message of a client.
#[derive(Clone, Debug)]
pub struct MessageFacts {
    /// The message; `None` if it is not kept, because it would not be sent again.
    pub body: Option<Body>,
    /// The QoS towards the client.
    pub qos: QoS,
    /// The retain flag towards it.
    pub retain: bool,
    /// Its packet identifier and what is awaited, if it is on its way.
    pub underway: Option<(PacketId, Awaits)>,
}

/// Some of what is retained.
#[derive(Clone, Debug, Default)]
pub struct RetainedPiece {
    /// Messages, by topic.
    pub rows: Vec<RetainedFacts>,
    /// Where to go on; `None`: this was all.
    pub next: Option<ScanCursor>,
}

/// A retained message.
#[derive(Clone, Debug)]
pub struct RetainedFacts {
    /// Its topic.
    pub topic: Arc<str>,
    /// The message.
    pub body: Body,
    /// Who published it; `None`: the server itself, or it is not known.
    pub publisher: Option<(ClientId, Identity)>,
}

/// Who would get a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscribers {
    /// Clients that are at home here.
    pub clients: Vec<Subscriber>,
    /// Where to go on; `None`: this was all.
    pub next: Option<SessionKey>,
    /// Groups of which one member gets it, and how many members they have on all workers.
    pub groups: Vec<(Arc<SubscriptionFilter>, usize)>,
}

/// Somebody who would get a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Who.
    pub client: ClientId,
    /// At which QoS.
    pub qos: QoS,
    /// By which of its subscriptions, or one of them; `None` if it has too many to look through.
    pub filter: Option<SubscriptionFilter>,
    /// Whether it is connected.
    pub is_online: bool,
    /// What would become of it.
    pub gets: Gets,
}

/// What would become of a message for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gets {
    /// It would be sent.
    Now,
    /// It would wait until the client is back.
    Later,
    /// QoS 0 is not kept for who is away.
    Away,
    /// A rule denies it this topic.
    Denied,
}

//! Questions of the control plane: what is known of a client, and who would get a message.
//!
//! Each worker answers for what is at home with it. An answer has a bounded number of entries and
//! says how to go on; a worker answers few questions in a turn.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::{Grant, Identity};
use types::{
    ClientId, LinkInfo, ProtocolVersion, QoS, SessionKey, SubscriptionFilter, SubscriptionOptions,
    Time,
};

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
        /// Members of this group instead of subscribers of their own.
        group: Option<SubscriptionFilter>,
        /// [`Subscribers::next`] of the answer before.
        after: Option<SessionKey>,
        /// Most clients, up to [`Question::MOST`].
        most: usize,
    },
}

/// Which clients are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The client identifier contains this.
    pub like: Option<Box<str>>,
    /// Of this user.
    pub user: Option<Box<str>>,
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
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Findings {
    /// The client; `None` if there is none such here.
    Client(Option<Box<ClientFacts>>),
    /// Clients.
    Clients(Clients),
    /// Who would get the message; `None` if the topic is none.
    Subscribers(Option<Subscribers>),
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
    /// How many are inflight towards it.
    pub inflight: usize,
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

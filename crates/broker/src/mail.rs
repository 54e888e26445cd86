//! What workers say to each other, and what the control plane says to them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use auth::{AskedFor, Outcome, Policy, Subject};
use store::RecoveredBegun;
use topics::Route;
use types::{
    Limits, Message, PacketId, QoS, SessionKey, SessionRef, StoredSession, SubscriptionFilter,
    WorkerId,
};

use crate::errand::Errand;
use crate::event::CloseReason;
use crate::probe::Watchers;
use crate::question::Ask;
use crate::spools::Spools;

/// One piece of mail. What is on its way counts against `limits.mailbox_bytes`, except for
/// [`Mail::Control`], [`Mail::Ask`], [`Mail::Errand`] and [`Mail::Answer`], which who sends them
/// bounds.
#[derive(Debug)]
pub enum Mail {
    /// A message for all recipients that the route has at the receiving worker.
    Publish {
        /// Who gets it.
        route: Arc<Route>,
        /// The message.
        message: Arc<Message>,
        /// Whom to tell when it is safe.
        receipt: Option<Receipt>,
        /// Those that have it already.
        skip: Option<Skip>,
    },
    /// A message for one member of a shared subscription.
    Share(Box<Share>),
    /// What a receipt asked for is safe.
    Safe(u64),
    /// Who a client is, or what it is granted.
    Answer(Box<(AskedFor, Outcome)>),
    /// The control plane wants to know something.
    Ask(Box<Ask>),
    /// The control plane wants something done.
    Errand(Box<Errand>),
    /// Something from the control plane.
    Control(Control),
}

/// Whom to tell when a message is safe in the receiving worker's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The worker that holds an acknowledgement back.
    pub worker: WorkerId,
    /// Its number for it.
    pub hold: u64,
    /// The QoS 2 message that this is about, if workers record what is owed one by one.
    pub begun: Option<Begun>,
}

/// A QoS 2 message from a durable session that sessions of several workers are owed.
///
/// They cannot record that in one commit. Each says in its own that it has begun, and answers as
/// soon as that is committed; then the publisher's worker records the identifier, and PUBREC
/// waits for that. If a crash comes between, the message comes again, and not to those that have
/// it (MQTT-4.3.3-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The publisher's session.
    pub session: StoredSession,
    /// The packet identifier.
    pub id: PacketId,
}

/// Those that a message is not for, because an earlier run left it owed to them.
pub type Skip = Arc<RecoveredBegun>;

/// A message that a shared subscription gives to one of its members.
#[derive(Debug)]
pub struct Share {
    /// The chosen member's session, at the receiving worker.
    pub to: SessionKey,
    /// The message.
    pub message: Arc<Message>,
    /// The member's highest QoS.
    pub qos: QoS,
    /// Whether the member keeps the retain flag.
    pub retain_as_published: bool,
    /// The member's Subscription Identifier.
    pub id: Option<NonZeroU32>,
    /// The group.
    pub group: Arc<SubscriptionFilter>,
    /// Members that could not take the message.
    pub tried: BTreeSet<SessionRef>,
    /// Whom to tell when it is safe.
    pub receipt: Option<Receipt>,
    /// It left another member, and the store knows that it is on its way.
    pub passed: bool,
}

/// What the control plane says to a worker.
#[derive(Clone)]
pub enum Control {
    /// End all connections and then the worker. 5.0 clients hear `ServerShuttingDown`, or
    /// `UseAnotherServer` if there is a reference to one.
    Drain,
    /// The store has made a batch safe, or has loaded messages.
    StoreReady,
    /// This holds from now on; sessions are held against it within a second.
    Policy(Arc<dyn Policy>),
    /// End the connections of these.
    End(Selector, CloseReason),
    /// Ask again what these are granted.
    Refresh(Selector),
    /// Publish this in the server's own name, at QoS 0. For one worker: others get it by its mail.
    Publish {
        /// A topic that begins with `$SYS/`; what is no topic is not published.
        topic: Arc<str>,
        /// The message.
        payload: Arc<[u8]>,
        /// Whether it is retained.
        retain: bool,
    },
    /// These hold from now on.
    Reload {
        /// The limits.
        limits: Arc<Limits>,
        /// Where clients are sent that a full or ending server cannot keep.
        reference: Option<Arc<str>>,
    },
    /// These watch messages from now on, and nobody else.
    Watch(Watchers),
    /// These sessions have limits of their own from now on.
    Spools(Arc<Spools>),
}

/// Which clients are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The one with this client identifier.
    Client(Arc<str>),
    /// All of this user.
    User(Arc<str>),
    /// All of these users.
    Users(Arc<BTreeSet<Arc<str>>>),
    /// All that are connected from this address.
    Address(IpAddr),
    /// All.
    All,
}

impl Selector {
    pub(crate) fn matches(&self, who: &Subject<'_>) -> bool {
        match self {
            Self::Client(id) => **id == *who.client_id,
            Self::User(name) => who.identity.user() == Some(name),
            Self::Users(names) => {
                let user = who.identity.user();
                user.is_some_and(|user| names.contains(user))
            }
            Self::Address(address) => who.address == Some(*address),
            Self::All => true,
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drain => "Drain",
            Self::StoreReady => "StoreReady",
            Self::Policy(_) => "Policy",
            Self::End(..) => "End",
            Self::Refresh(_) => "Refresh",
            Self::Publish { .. } => "Publish",
            Self::Reload { .. } => "Reload",
            Self::Watch(_) => "Watch",
            Self::Spools(_) => "Spools",
        })
    }
}

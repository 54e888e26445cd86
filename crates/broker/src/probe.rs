//! What happens to messages on their way, step by step, for who watches.
//!
//! Nobody watches as a rule, and then a worker looks at one flag that it has at hand. Who watches
//! is told to workers by [`crate::Control::Watch`]; nothing is shared, and no lock is asked for.

pub mod samples;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use types::{
    ClientId, Followed, MessageParts, PacketId, Peer, QoS, ReasonCode, SessionKey, WorkerId,
};

use crate::event::DropReason;

/// Takes steps. Called on a worker: it must not block, and must not do more than a little.
///
/// A step has what a span of distributed tracing needs beside the time, which the probe takes: who
/// had the message, and the user properties, in which a trace context travels with it.
pub trait Probe: Send + Sync {
    /// A message went a step.
    fn step(&self, step: &Step<'_>);
}

/// Follows messages from one server to the next by what travels with them (W3C Trace Context).
///
/// It is the one that makes identifiers, throws dice and looks at clocks: a worker does none of that.
/// A message that it marks is [`Followed`] from then on, whatever it goes through: mail, queues, the
/// store. It is told the steps of these only: the rest costs a worker that it counts down.
pub trait Tracer: Probe {
    /// How many messages come in at a worker until one is chosen, that one included. `None`: none is.
    /// Asked at first, and whenever one was chosen.
    fn gap(&self, worker: WorkerId) -> Option<NonZeroU32>;

    /// Whether it is asked of messages too that may bring a context.
    fn honors_contexts(&self) -> bool;

    /// A message begins its way. If it is to be followed: what it goes on with.
    fn mark(&self, step: &Step<'_>, asked: Asked) -> Option<Mark>;

    /// Whether any message that is followed waits for an acknowledgement at this worker.
    fn awaits_any(&self, worker: WorkerId) -> bool;
}

/// Why a [`Tracer`] is asked whether a message is to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It was its turn ([`Tracer::gap`]).
    Chosen,
    /// Its publisher may publish it, and it has room for a context ([`Tracer::honors_contexts`]).
    Brought,
}

/// What a message that is followed goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its properties, in the place of its own, in the encoding of MQTT 5.0.
    pub properties: Arc<[u8]>,
    /// What they have that its own had not.
    pub followed: Followed,
}

/// Who watches.
#[derive(Clone, Default)]
pub struct Watchers {
    /// Told of every step.
    pub every: Option<Arc<dyn Probe>>,
    /// Told of messages as they are received: of all while they are few, then of a sample, each
    /// with the number of messages that it stands for.
    pub some: Option<Arc<dyn Probe>>,
    /// Asked of some messages whether they are to be followed, and then told of every step of those.
    pub traced: Option<Arc<dyn Tracer>>,
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers")
            .field("every", &self.every.is_some())
            .field("some", &self.some.is_some())
            .field("traced", &self.traced.is_some())
            .finish()
    }
}

/// A step of a message.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// At which worker.
    pub worker: WorkerId,
    /// Who sent it, or who is to have it; `None`: the server itself, or nobody in particular.
    pub client: Option<&'a ClientId>,
    /// The session of that client, at this worker.
    pub session: Option<SessionKey>,
    /// Where that client is connected from, unless it is away.
    pub peer: Option<Peer>,
    /// The topic, with the mount of a listener; `None` if it is not at hand any more.
    pub topic: Option<&'a Arc<str>>,
    /// The message, if it is at hand and the step is about all of it.
    pub message: Option<MessageParts<'a>>,
    /// The properties that are passed on with it, in the encoding of MQTT 5.0; empty if they are not
    /// at hand.
    pub properties: &'a [u8],
    /// It stands for so many: one, unless samples are taken.
    pub weight: u32,
    /// What happened.
    pub what: What,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It came from a client, or the server publishes it.
    Received {
        /// Its packet identifier at QoS 1 and 2.
        packet_id: Option<PacketId>,
        /// The client says that it sent it before.
        dup: bool,
    },
    /// Its publisher may publish it, and nothing else is against it.
    Authorized,
    /// Its publisher was answered, or would have been at QoS 0: this is what became of it.
    Answered(ReasonCode),
    /// It was matched against the subscriptions, and passed on.
    Routed {
        /// Sessions that want it, on all workers.
        recipients: usize,
        /// Groups of which one member gets it.
        groups: usize,
    },
    /// It waits for a client.
    Queued {
        /// At this QoS.
        qos: QoS,
    },
    /// It was written to a client's output.
    Sent {
        /// Its packet identifier at QoS 1 and 2.
        packet_id: Option<PacketId>,
        /// At this QoS.
        qos: QoS,
        /// It was sent before.
        dup: bool,
    },
    /// A client acknowledged it.
    Acknowledged {
        /// Its packet identifier.
        packet_id: PacketId,
        /// By which packet.
        by: Acknowledgement,
    },
    /// Somebody did not get it.
    Dropped(DropReason),
}

/// A packet by which a client acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// QoS 1: it has it.
    PubAck,
    /// QoS 2: it has it.
    PubRec,
    /// QoS 2: it knows that the server knows.
    PubComp,
}

impl Acknowledgement {
    /// The packet's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubComp => "PUBCOMP",
        }
    }
}
